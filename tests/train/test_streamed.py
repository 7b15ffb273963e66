"""Tables that are larger than --memory: learned from where they lie on disk, as well as those in memory, and with the
same bits after any break."""

import gzip
import os
import subprocess
import sys

import numpy as np
import pytest

from pellucid.base.errors import DataError, OptionError
from pellucid.cli.main import run
from pellucid.data import parquet
from pellucid.data.pieces import bytes_in_memory
from pellucid.data.reading import read_table
from pellucid.runtime.team import get_threads, set_threads
from pellucid.train import streamed
from pellucid.train.events import Checkpointed, Finished
from pellucid.train.recipe import recipe
from pellucid.train.run import train_run
from pellucid.train.streamed import Streamed

SMALL = {"net": (16,), "epochs": 2, "batch": 64}
MEMORY = 1_000_000


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(streamed, "LEAST", 1000)
    streamed._SURVEYS.clear()  # a test may change what they are made with
    streamed._TABLES.clear()


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """10,000 rows, 1,000 of them twice, sorted by the answer; 50 have none, some cells are missing."""
    rng = np.random.default_rng(5)
    n = 9_000
    age, score = rng.integers(18, 90, n), rng.normal(size=n)
    city = np.array(["Bern", "Chur", "Genf"])[rng.integers(0, 3, n)]
    z = 0.05 * (age - 54) + score + (city == "Bern") + rng.normal(0, 0.5, n)
    day = np.datetime64("2020-01-01") + rng.integers(0, 900, n)
    rows = [
        f"{a},{'NA' if i % 50 == 0 else f'{s:.4f}'},{c},{d},{'' if i % 360 == 7 else 'yes' if v > 0 else 'no'},{v:.3f}"
        for i, (a, s, c, d, v) in enumerate(zip(age, score, city, day.astype(str), z, strict=True))
    ]
    rows = sorted(rows + rows[:1000], key=lambda row: row.split(",")[4])
    path = tmp_path_factory.mktemp("visits") / "visits.csv"
    numbered = [f"{i},{row}" for i, row in enumerate(rows, 1)]
    path.write_text("\n".join(["row,age,score,city,day,stays,z", *numbered]) + "\n")
    return path


@pytest.fixture(scope="module", params=["csv", "parquet"])
def stored(request, visits):
    """The visits, as text and as Parquet."""
    return visits if request.param == "csv" else as_parquet(visits)


def as_parquet(path, rows_a_group=3000):
    """The same table beside the text."""
    import pandas as pd

    out = path.with_suffix(".parquet")
    table = pd.read_csv(path, parse_dates=["day"])
    table.to_parquet(out, row_group_size=rows_a_group, index=False)
    return out


def made_of(visits, **given):
    columns = {"z": "identifier", "row": "identifier"}  # they would give the answer away
    return recipe(str(visits), **{"target": "stays", "columns": columns, **SMALL, **given})


def finished(events):
    return next(e for e in events if isinstance(e, Finished)).result


def rows_of(x):
    return sorted(map(bytes, np.ascontiguousarray(x)))


def test_every_row_is_encoded_once_and_equal_rows_lie_in_one_part(stored):
    data = made_of(stored, memory=MEMORY, columns={"z": "identifier"}).dataset()
    assert isinstance(data, Streamed)
    frame = read_table(stored)
    kept = frame.take(np.flatnonzero(~frame["stays"].missing))
    assert rows_of(data.x) == rows_of(data.encoder.transform(kept))
    assert (data.classes, data.left_out) == (("no", "yes"), int(frame["stays"].missing.sum()))
    counts = [int((kept["stays"].values == c).sum()) for c in data.classes]
    assert np.bincount(data.y).tolist() == counts == data.class_rows.sum(0).tolist()
    parts = [set(rows_of(data.x[p])) for p in vars(data.parts).values()]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    shares = np.array([len(p) for p in vars(data.parts).values()]) / len(data)
    # 4 deviations of a share of 9,000 different rows: 4 sqrt(0.65 0.35 / 9000) = 0.02
    np.testing.assert_allclose(shares, [0.65, 0.15, 0.2], atol=0.02)
    assert {d.name for d in data.schema.dropped} == {"row", "z"}
    assert set(data.frame.notes) == set(frame.notes)
    # The file is sorted by the answer; what an epoch sees first is not.
    first = data.y[data.order(data.parts.train, 0, 0)[:1000]]
    assert 0.8 < first.mean() / data.y.mean() < 1.2


def test_rows_of_a_group_stay_together(visits):
    data = made_of(visits, memory=MEMORY, group="age").dataset()
    ages = [
        set(data.x[p][:, data.encoder.groups["age"]][:, 0].tolist())
        for p in vars(data.parts).values()
    ]
    assert not (ages[0] & ages[1] or ages[0] & ages[2] or ages[1] & ages[2])


def test_it_learns_as_well_as_in_memory(visits, tmp_path, monkeypatch):
    monkeypatch.setattr(streamed, "SAMPLE", 2)  # 5,000 rows or more, as there are for larger tables
    scores = {}
    for memory in (MEMORY, None):
        made = made_of(visits, memory=memory, epochs=4)
        result = finished(train_run(made, tmp_path / str(memory)))
        scores[memory] = result["metrics"]["test"]["accuracy"]
        if memory:
            n = result["sampled"]["test"]
            assert n == result["scores"]["n"] < result["metrics"]["test"]["n"]
            assert any(f"a sample of {n:,} of" in note for note in result["notes"])
            assert any("give --memory 250MB or more" in note for note in result["notes"])
            assert list(result["baselines"]) == ["majority"]
            plan = {d["name"]: d["value"] for d in result["decisions"]}
            assert plan["streamed"].startswith("9,9") and plan["streamed"].endswith("on disk")
    assert scores[None] > 0.8
    # Other 2,000 rows are tested: 3 deviations of the difference, 3 sqrt(2 0.87 0.13 / 2000) = 0.032
    assert abs(scores[MEMORY] - scores[None]) < 0.032


def test_a_run_that_was_stopped_and_other_threads_end_with_the_same_bits(stored, tmp_path):
    made = made_of(stored, memory=MEMORY, schedule="cosine")
    whole = finished(train_run(made, tmp_path / "whole"))["weights_sha256"]
    before = get_threads()
    try:
        set_threads(2)
        events = train_run(made, tmp_path / "part", checkpoint_seconds=0)
        for n, event in enumerate(events):
            if isinstance(event, Checkpointed) and n > 5:
                break
        events.close()
    finally:
        set_threads(before)
    streamed._TABLES.clear()  # as in a new process
    streamed._SURVEYS.clear()
    again = finished(train_run(made, tmp_path / "part", resume=True))
    assert again["weights_sha256"] == whole


def test_amounts_are_learned_from_disk_too(visits, tmp_path):
    made = made_of(visits, memory=MEMORY, target="z", columns={"stays": "identifier"})
    assert made.task == "regress"
    result = finished(train_run(made, tmp_path / "run"))
    # z is a sum of three columns and noise of 0.5; its own deviation is 1.6
    assert 0.5 < result["scores"]["rmse"] < 1.25


def test_a_table_that_fits_is_read_whole_with_the_same_bits_as_ever(visits):
    plain, fits = made_of(visits), made_of(visits, memory=10**9)
    assert plain.memory is None and fits.memory == 10**9
    data = fits.dataset()
    assert not isinstance(data, Streamed)
    np.testing.assert_array_equal(data.x, plain.dataset().x)


@pytest.mark.parametrize("kind", ["parquet", "csv.gz"])
def test_a_packed_table_is_not_read_whole_to_look_for_pictures(kind, visits, tmp_path, monkeypatch):
    path = tmp_path / f"visits.{kind}"
    packed = (
        as_parquet(visits).read_bytes() if kind == "parquet" else gzip.compress(visits.read_bytes())
    )
    path.write_bytes(packed)
    assert len(packed) < MEMORY
    monkeypatch.setattr("pellucid.data.reading.read_table", None)
    assert isinstance(made_of(path, memory=MEMORY).dataset(), Streamed)


def test_what_a_machine_has_decides_once_for_a_run(visits, monkeypatch):
    monkeypatch.setattr(streamed, "available_memory", lambda: 3_000_000)
    made = made_of(visits)
    assert made.memory == 1_000_000 and isinstance(made.dataset(), Streamed)
    stored = {n: v for n, v in made.settings().items() if n != "data"}
    monkeypatch.setattr(streamed, "available_memory", lambda: 10**10)
    assert isinstance(recipe(str(visits), **stored).dataset(), Streamed)
    whole = made_of(visits)
    monkeypatch.setattr(streamed, "available_memory", lambda: 3_000_000)
    stored = {n: v for n, v in whole.settings().items() if n != "data"}
    assert not isinstance(recipe(str(visits), **stored).dataset(), Streamed)


def test_files_are_gone_whatever_happens(visits, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    data = made_of(visits, memory=MEMORY, seed=3).dataset()
    assert data.x.shape[0] and os.listdir(tmp_path) == []


WATCHED = """
import sys
import pellucid.train.streamed as streamed
from pellucid.train.recipe import recipe
streamed.LEAST = 1000

def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) / 1000

for path in sys.argv[1:]:
    made = recipe(path, target="stays", columns={"z": "identifier", "row": "identifier"}, memory=1_000_000, epochs=1)
    data = made.dataset()
    for epoch in range(2):
        for start in range(0, len(data.parts.train), 500):
            data.x[data.order(data.parts.train, 0, epoch)[start : start + 500]].sum()
            data.release()
            if start > 5000: break
    print(len(data), data.rows.n_bytes / 1e6, peak())
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")
@pytest.mark.parametrize(("kind", "more"), [("csv", 40), ("parquet", 30)])  # MB
def test_the_memory_that_is_taken_does_not_grow_with_the_file(kind, more, visits, tmp_path):
    lines = [line for line in visits.read_text().split("\n") if line]
    files = {4: tmp_path / "small.csv", 22: tmp_path / "large.csv"}
    for copies, path in files.items():
        with open(path, "w") as file:
            file.write(lines[0] + "\n")
            for i in range(1, copies):  # of other ages
                file.writelines(f"{i}{line.replace(',', f',{i}', 1)}\n" for line in lines[1:])
    if kind == "parquet":
        files = {copies: as_parquet(path) for copies, path in files.items()}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, files.values())], capture_output=True, text=True, check=True
    )  # fmt: skip
    (_, _, small), (n, on_disk, large) = (
        map(float, x.split()) for x in done.stdout.split("\n")[:2]
    )
    assert n > 115_000 and on_disk > 5
    size = bytes_in_memory if kind == "csv" else parquet.bytes_in_memory
    in_memory = [size(path) / 1e6 for path in files.values()]
    assert in_memory[1] - in_memory[0] > more
    assert (
        large - small < 20
    )  # MB: samples are of one size; what the allocator keeps varies by 4 to 14


def test_what_cannot_be_streamed_is_said(visits, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="--class-weights root needs the table in memory"):
        made_of(visits, memory=MEMORY, class_weights="root").dataset()
    objects = tmp_path / "t.jsonl"
    objects.write_bytes(bytes(2_000_000))
    with pytest.raises(OptionError, match=r"2 MB, more than the memory of 1 MB.*and Parquet are"):
        streamed.memory_for(str(objects), {"memory": MEMORY}, {})
    with pytest.raises(DataError, match=r"line \d+, column 'z': .*inf.* is no finite number"):
        bad = tmp_path / "bad.csv"
        text = visits.read_text().rstrip("\n")
        bad.write_text(text.rsplit(",", 1)[0] + ",inf\n")
        made_of(bad, memory=MEMORY, target="z", columns=None).dataset()
    with pytest.raises(
        DataError, match=r"bad\.parquet, row 9999, column 'z': .*inf.* is no finite"
    ):
        made_of(as_parquet(bad), memory=MEMORY, target="z", columns=None).dataset()
    monkeypatch.undo()
    with pytest.raises(OptionError, match="--memory 1 MB is too little"):
        made_of(visits, memory=MEMORY)


@pytest.mark.parametrize(
    ("text", "size"), [("200MB", 200e6), ("1.5 GB", 1.5e9), ("64MiB", 2**26), ("17000000", 17e6)]
)
def test_memory_is_said_in_bytes_or_their_units(text, size):
    from pellucid.cli.options import Size

    assert Size().convert(text, None, None) == size


def test_an_amount_that_is_none_is_refused(visits, capsys):
    assert run(["train", str(visits), "--target", "stays", "--memory", "much"]) == 2
    assert "no amount of memory" in capsys.readouterr().err
