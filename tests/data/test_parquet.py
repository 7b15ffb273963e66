"""Parquet that is larger than memory: in pieces it is the table that it is read whole, whatever its columns are."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pellucid.base.errors import DataError
from pellucid.data import parquet
from pellucid.data.parquet import bytes_in_memory, drawn, row_bytes, survey
from pellucid.data.reading import read_table
from pellucid.data.weights import mixed
from pellucid.runtime.team import get_threads, set_threads

N = 1999


def columns():
    """Of every kind; what tells the kind of some comes late in the file, or never."""
    rng = np.random.default_rng(3)
    at = np.arange(N)
    moments = [None if i % 13 == 2 else 1_600_000_000_000_000 + int(i) * 3_600_000_001 for i in at]
    return {
        "c1": pa.array(at, pa.int64()),
        "c0": pa.array([None if i % 7 == 1 else int(i) for i in at], pa.int16()),
        "large": pa.array([int(i) if i < N - 1 else 2**53 + 1 for i in at], pa.int64()),
        "amount": pa.array([float("nan") if i % 5 == 0 else None if i % 5 == 1 else i / 7 for i in at]),
        "price": pa.array([Decimal(int(i)) / 100 for i in at], pa.decimal128(9, 2)),
        "yes": pa.array([None if i % 3 == 0 else bool(i % 2) for i in at]),
        "late": pa.array([None if i < 1500 else f"w{i % 11}" for i in at], pa.string()),
        "early": pa.array(["", " ", "NA", "été"][:4] * 10 + [None] * (N - 40), pa.string()),
        "nothing": pa.array([None] * N, pa.string()),
        "no number": pa.array([None] * N, pa.float64()),
        "city": pa.array([("Bern", "Chur")[i % 2] for i in at]).dictionary_encode(),
        "day": pa.array([int(i) for i in at], pa.date32()),
        "moment": pa.array(moments, pa.timestamp("us", "Europe/Zurich")),
        "fine": pa.array([int(i) * 10**9 for i in at], pa.timestamp("ns")),
        "a.b": pa.array(rng.normal(size=N), pa.float32()),
        "list": pa.array([[1, 2]] * N),
        "row": pa.array(rng.integers(0, 9, N), pa.uint64()),
        "file_row_number": pa.array(rng.integers(0, 9, N), pa.int8()),
        'n"': pa.array(rng.permutation(N), pa.int32()),
    }  # fmt: skip


@pytest.fixture(scope="module", params=[100, 700, 10**6], ids="{} rows a group".format)
def path(tmp_path_factory, request):
    path = tmp_path_factory.mktemp("p") / "t[1].parquet"
    pq.write_table(pa.table(columns()), path, row_group_size=request.param)
    return path


@pytest.mark.parametrize("size", [1, 150_000, 10**9])
@pytest.mark.parametrize("room", [1e-9, 0.25])
def test_parquet_in_pieces_is_the_same_table(path, size, room, monkeypatch):
    monkeypatch.setattr(parquet, "SHARE", room)
    whole = read_table(path)
    found = survey(path, size, 50, 10**8)
    assert len(found.together) == (18 if room < 0.1 else 1)
    frames = list(found.frames({}))
    assert [len(f) for f in frames[:-1]] == [found.n_piece] * (len(frames) - 1)
    assert len(frames) == {1: 8, 150_000: 7, 10**9: 1}[size]
    assert found.n == len(whole) == N and found.notes == whole.notes
    assert np.array_equal(np.concatenate([f.lines for f in frames]), np.arange(N))
    for f in (*frames, found.sample):
        assert f.names == whole.names
        assert [c.kind for c in f.columns] == [c.kind for c in whole.columns]
        for column in f.columns:
            rows = f.lines
            np.testing.assert_array_equal(column.values, whole[column.name].values[rows])
            np.testing.assert_array_equal(column.missing, whole[column.name].missing[rows])
    np.testing.assert_array_equal(found.sample.lines, found.rows)
    assert frames[-1].place(len(frames[-1]) - 1) == f"t[1].parquet, row {N - 1}"


def test_the_table_that_is_read_whole_is_that_of_pandas(path):
    found, truth = read_table(path), pd.read_parquet(path)
    kinds = {c.name: c.kind for c in found.columns}
    assert list(kinds) == [name for name in truth.columns if name != "list"]
    texts = {"large", "yes", "late", "early", "city"}
    dates = {"day", "moment", "fine"}
    for name, kind in kinds.items():
        assert kind == ("text" if name in texts else "date" if name in dates else "number"), name
        column, known = found[name], ~found[name].missing
        expected = truth[name]
        blank = expected.astype(str).str.strip() == "" if name == "early" else False
        np.testing.assert_array_equal(known, expected.notna() & ~blank)
        if kind == "number":
            expected = expected[known].astype(float)
        elif kind == "date":
            expected = pd.to_datetime(expected, utc=True)[known].dt.tz_localize(None)
        else:
            expected = expected[known].astype(str)
            expected = expected.str.lower() if name == "yes" else expected
        np.testing.assert_array_equal(column.values[known], expected.to_numpy())


def test_the_sample_is_drawn_by_the_numbers_of_rows_alone(monkeypatch):
    hashes = mixed(np.arange(1, 5001, dtype=np.uint64))
    least = np.sort(np.argsort(hashes)[:300])
    for chunk in (7, 1000, 10**6):
        monkeypatch.setattr(parquet, "CHUNK", chunk)
        np.testing.assert_array_equal(drawn(5000, 300), least)
    np.testing.assert_array_equal(drawn(5, 300), np.arange(5))


def test_what_it_takes_in_memory_is_estimated(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": np.arange(500.0), "w": ["1234567"] * 500}), path)
    # 8 for the place, 8 and 1 of a number, 8 + 49 + 7 of a short text, 1 and 8 of its code
    assert row_bytes(path) == 8 + 9 + 66 + 7 and bytes_in_memory(path) == 500 * 90
    path.write_bytes(path.read_bytes()[:-10])
    assert bytes_in_memory(path) == 0


def test_a_row_group_that_is_too_large_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "LEAST", 1)
    path = tmp_path / "t.parquet"
    x = np.random.default_rng(0).normal(size=(2, 10**6))
    pq.write_table(pa.table({"a": x[0], "b": x[1]}), path)
    with pytest.raises(DataError, match=r"t\.parquet: a row group takes more than 4 MB.*--memory"):
        list(survey(path, 10**5, 10, 4_000_000).frames({}))


@pytest.mark.parametrize("whole", [True, False])
def test_parquet_without_rows_or_columns_is_refused(tmp_path, whole):
    read = read_table if whole else lambda path: survey(path, 10**5, 10, 10**8)
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    with pytest.raises(DataError, match=r"t\.parquet: there are no rows"):
        read(path)
    pq.write_table(pa.table({"a": [[1], [2]]}), path)
    with pytest.raises(DataError, match=r"t\.parquet: there are no columns"):
        read(path)
    path.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read(path)


def test_threads_do_not_share_the_room_that_one_row_group_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "LEAST", 1)
    path = tmp_path / "t.parquet"
    x = np.random.default_rng(0).normal(size=(3, 800_000))
    pq.write_table(pa.table({f"x{i}": v for i, v in enumerate(x)}), path, row_group_size=100_000)
    before = get_threads()
    try:
        set_threads(8)
        found = survey(path, 10**7, 10, 28_000_000)
        np.testing.assert_array_equal(
            np.concatenate([f["x2"].values for f in found.frames({})]), x[2]
        )
    finally:
        set_threads(before)
