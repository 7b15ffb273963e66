"""`pellucid info` on data and on runs of tables: what it says is what pandas and NumPy count."""

import json

import numpy as np
import pandas as pd
import pytest
from commands import document, told_by
from malformed_files import BAD, GOOD
from PIL import Image

from pellucid.cli.columns import usual_step
from pellucid.cli.main import run as command
from pellucid.train import streamed
from pellucid.train.recipe import recipe


@pytest.fixture
def claims(tmp_path):
    """A table of insurance claims: an identifier, a date, amounts with gaps, classes, a text and a constant."""
    rng = np.random.default_rng(3)
    n = 60
    words = "storm took the roof off and water came in at night through doors".split()
    table = pd.DataFrame(
        {
            "claim_id": np.arange(5000, 5000 + n),
            "date": pd.date_range("2023-01-01", periods=n, freq="7D").strftime("%Y-%m-%d"),
            "amount": np.round(rng.lognormal(7, 1, n), 2),
            "age": rng.integers(18, 80, n).astype(float),
            "kind": rng.choice(["fire", "water", "theft"], n),
            "report": [" ".join(rng.choice(words, 6)) + f" no {i}" for i in range(n)],
            "country": "NL",
            "paid": rng.choice(["yes", "no"], n),
        }
    )
    table.loc[[3, 17, 40], "age"] = np.nan
    path = tmp_path / "claims.csv"
    table.to_csv(path, index=False)
    return path, table


def test_each_column_is_what_pandas_counts(claims, capsys):
    path, table = claims
    found = document(capsys, "info", path)
    assert found["kind"] == "table" and found["rows"] == 60
    columns = {c["column"]: c for c in found["columns"]}
    uses = {name: c["use"] for name, c in columns.items()}
    assert uses == {"claim_id": "identifier", "date": "date", "amount": "number", "age": "number",
                    "kind": "category", "report": "text", "country": "constant", "paid": "category"}  # fmt: skip
    for name in ("amount", "age"):
        c, truth = columns[name], table[name]
        got = [c[k] for k in ("lowest", "highest", "mean", "deviation", "median")]
        want = [truth.min(), truth.max(), truth.mean(), truth.std(ddof=0), truth.median()]
        np.testing.assert_allclose(got, want, rtol=1e-12)
        assert c["missing"] == truth.isna().sum() and c["different"] == truth.nunique()
    for name in ("kind", "paid"):
        assert columns[name]["commonest"] == table[name].value_counts().to_dict()
    assert columns["date"]["from"] == "2023-01-01" and columns["date"]["to"] == "2024-02-18"
    assert columns["date"]["step"] == "every 7 days" and columns["date"]["notes"] == []
    assert found["targets"][0]["column"] == "paid"
    left_out = {name for name, c in columns.items() if c["is_left_out"]}
    assert left_out == {"claim_id", "country"}


def test_a_person_reads_the_same_and_how_to_go_on(claims, capsys):
    path, _ = claims
    capsys.readouterr()
    assert command(["info", str(path)]) == 0
    out = capsys.readouterr().out
    for words in ("60 rows of 8 columns", "left out", "every 7 days", "3 missing", "--task forecast --target",
                  f"pellucid train {path} --target paid"):  # fmt: skip
        assert words in out
    assert all(len(line) <= 120 for line in out.splitlines() if str(path) not in line)


def test_the_reading_options_are_those_of_train(tmp_path, capsys):
    path = tmp_path / "x.csv"
    path.write_text("1;-9;a\n2;5;b\n3;-9;a\n")
    found = document(capsys, "info", path, "--no-header", "--missing", "-9", "--delimiter", ";")
    assert [c["column"] for c in found["columns"]] == ["column_1", "column_2", "column_3"]
    assert found["columns"][1]["missing"] == 2
    assert command(["info", str(tmp_path / "y.csv")]) == 1
    assert "y.csv" in capsys.readouterr().err


def test_a_table_that_is_too_large_is_told_from_a_sample(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    n = 6000
    table = pd.DataFrame(
        {"x": rng.normal(10, 2, n), "kind": rng.choice(["a", "b"], n, p=[0.8, 0.2])}
    )
    path = tmp_path / "large.csv"
    table.to_csv(path, index=False)
    monkeypatch.setattr(streamed, "memory_for", lambda data, values, said: 100_000)
    found = document(capsys, "info", path)
    assert found["rows"] == n
    x, kind = found["columns"]
    seen = sum(kind["commonest"].values())
    assert 500 < seen < n and f"those of {seen:,} rows" in found["notes"][-1]
    # five standard errors of a sample's mean, and of its share
    assert abs(x["mean"] - table.x.mean()) < 5 * 2 / seen**0.5
    assert abs(kind["commonest"]["a"] / seen - 0.8) < 5 * 0.4 / seen**0.5


def test_every_table_that_can_be_read_is_told_and_no_other(tmp_path, capsys):
    path = tmp_path / "t.csv"
    for name, (data, *_) in GOOD.items():
        path.write_bytes(data)
        found = document(capsys, "info", path)
        assert len(found["columns"]) >= 1, name
        # strict JSON: numbers of any size stay finite
        json.dumps(found, allow_nan=False)
    for name, (data, *_) in BAD.items():
        path.write_bytes(data)
        capsys.readouterr()
        assert command(["info", str(path)]) == 1, name
        err = capsys.readouterr().err
        assert "t.csv" in err and "Traceback" not in err and err.count("\n") == 1, name


@pytest.mark.parametrize(
    ("dates", "step"),
    [
        (pd.date_range("2020-01-01", periods=9, freq="D"), "every day"),
        (pd.date_range("2020-01-31", periods=9, freq="2h"), "every 2 hours"),
        (pd.date_range("2020-01-01", periods=9, freq="15min"), "every 15 minutes"),
        (pd.date_range("2020-01-01", periods=9, freq="MS"), "every month"),
        (pd.date_range("2020-01-01", periods=9, freq="QS"), "every 3 months"),
        (pd.date_range("2020-01-01", periods=9, freq="YS"), "every year"),
        (pd.date_range("2020-01-06", periods=9, freq="B"), "every day"),  # weekends are gaps
    ],
)
def test_the_usual_step_of_dates(dates, step):
    assert usual_step(dates.to_numpy().astype("M8[us]")) == step


def test_gaps_order_and_repeats_of_dates_are_told(tmp_path, capsys):
    days = ["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-04", "2024-01-09"]
    path = tmp_path / "s.csv"
    path.write_text("day,v\n" + "".join(f"{d},{i}.5\n" for i, d in enumerate(days)))
    (day, _) = document(capsys, "info", path)["columns"]
    assert "not in order" in day["notes"] and any("gap" in n for n in day["notes"])
    path.write_text("day,v\n" + "".join(f"{d},{i}.5\n" for i, d in enumerate([*days, days[0]])))
    assert "1 date comes again" in document(capsys, "info", path)["columns"][0]["notes"]
    # What a forecast refuses is not proposed.
    assert "--task forecast" not in told_by(capsys, "info", path).out


def test_a_text_is_counted(tmp_path, capsys):
    path = tmp_path / "t.txt"
    path.write_text("to be\nor not to be\n")
    found = document(capsys, "info", path)
    assert (found["characters"], found["lines"], found["words"]) == (19, 2, 6)
    assert list(found["vocabulary"].items())[:3] == [(" ", 4), ("o", 4), ("t", 3)]
    assert sum(found["vocabulary"].values()) == 19


def test_a_folder_of_pictures_is_counted_and_its_damage_named(tmp_path, capsys):
    for i, kind in enumerate(["cat"] * 4 + ["dog"] * 3):
        (tmp_path / "pets" / kind).mkdir(parents=True, exist_ok=True)
        ink = np.full((20, 30), 30 * i, np.uint8)
        Image.fromarray(ink).save(tmp_path / "pets" / kind / f"{i}.png")
    bad = tmp_path / "pets" / "dog" / "6.png"
    bad.write_bytes(bad.read_bytes()[:-20])
    found = document(capsys, "info", tmp_path / "pets")
    assert found["classes"] == {"cat": 4, "dog": 2} and found["shape"] == [20, 30, 1]
    assert [d["file"] for d in found["damaged"]] == ["dog/6.png"]
    capsys.readouterr()
    assert command(["info", str(tmp_path / "pets")]) == 0
    assert "damaged: dog/6.png" in capsys.readouterr().out


def test_what_the_package_carries_is_known_by_name(capsys):
    kinds = {"digits": "pictures", "text": "text", "series": "series", "animals": "table"}
    for name, kind in kinds.items():
        assert document(capsys, "info", name)["kind"] == kind
    assert document(capsys, "info", "digits")["classes"]["0"] == 178  # UCI's count
    assert document(capsys, "info", "series")["values"] == 732


def test_a_run_tells_the_mean_and_deviation_of_each_column(tmp_path, capsys):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"a": rng.normal(50, 3, 80), "b": rng.uniform(-1, 1, 80), "k": ["x", "y"] * 40}
    )
    table["price"] = 1000 + 20 * table.a + rng.normal(size=80)
    path, out = tmp_path / "t.csv", tmp_path / "run"
    table.to_csv(path, index=False)
    arguments = [
        "train",
        path,
        "--target",
        "price",
        "--net",
        "4",
        "--epochs",
        "2",
        "--quiet",
        "--out",
        out,
    ]
    assert command([*map(str, arguments)]) == 0
    learned = recipe(str(path), target="price").dataset().parts.train
    rows = {r["column"]: r for r in document(capsys, "info", out)["columns"]}
    for name in ("a", "b", "price"):
        truth = table[name].to_numpy()[learned]
        got = [rows[name]["mean"], rows[name]["deviation"]]
        np.testing.assert_allclose(got, [truth.mean(), truth.std()], rtol=1e-9)
        assert rows[name]["of"] == "the value"
    np.testing.assert_allclose(rows["a"]["missing"], np.median(table.a.to_numpy()[learned]))
    assert rows["k"]["numbers"] == 2
    capsys.readouterr()
    assert command(["info", str(out)]) == 0
    shown = capsys.readouterr().out
    assert f"mean {rows['price']['mean']:.6g}, deviation {rows['price']['deviation']:.6g}" in shown
    assert command(["info", str(tmp_path)]) == 1
    assert f"pellucid runs --in {tmp_path}" in capsys.readouterr().err
    assert command(["info", str(out), "--delimiter", ";"]) == 2
    assert "--delimiter is for tables" in capsys.readouterr().err


def test_a_rare_character_comes_and_a_damaged_picture_is_named_once(tmp_path, capsys):
    Image = pytest.importorskip("PIL.Image")
    path = tmp_path / "t.txt"
    path.write_text("round the garden " * 9 + "J")
    assert command(["info", str(path)]) == 0
    assert "rare        1 comes less than five times: J" in capsys.readouterr().out
    for name in ("a", "b"):
        (tmp_path / "s" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("L", (9, 9), 20 * i).save(tmp_path / "s" / name / f"{i}.png")
    cut = tmp_path / "s" / "a" / "0.png"
    cut.write_bytes(cut.read_bytes()[:40])
    assert command(["info", str(tmp_path / "s")]) == 0
    assert capsys.readouterr().out.count("a/0.png") == 1
