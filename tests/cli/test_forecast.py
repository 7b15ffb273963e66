"""--time and --horizon: parts follow each other in time, and every step ahead is measured beside persistence."""

import json

import numpy as np
import pytest
from PIL import Image

from pellucid.cli.main import run as command
from pellucid.train.recipe import recipe

SMALL = ["--width", "4", "--epochs", "2", "--window", "6", "--quiet"]
RNG = np.random.default_rng(4)
VALUES = np.round(10 + 5 * np.sin(np.arange(120) / 3) + RNG.normal(size=120), 3)
DAYS = [str(np.datetime64("2020-01-01") + i) for i in range(120)]


def written(path, header, *columns):
    rows = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    """A finished run with a horizon of 5, its file and its result."""
    folder = tmp_path_factory.mktemp("weather")
    # Another column of dates comes first, and its order is another one.
    path = written(folder / "w.csv", "seen,day,temp", DAYS[::-1], DAYS, VALUES)
    out = folder / "run"
    words = ["train", path, "--time", "day", "--target", "temp", "--horizon", "5", *SMALL]
    assert command([*words, "--out", str(out), "--json"]) == 0
    return path, out, json.loads((out / "metrics.json").read_text())


def test_every_step_ahead_is_measured_beside_persistence(weather):
    _, _, result = weather
    assert result["settings"]["task"] == "forecast" and result["settings"]["time"] == "day"
    assert [row["steps"] for row in result["mae_ahead"]] == [1, 2, 3, 4, 5]
    test = VALUES[96:]  # the last fifth
    for h in range(1, 6):
        by_hand = np.abs(test[h - 1 :] - VALUES[95 : 120 - h]).mean()
        assert result["mae_ahead"][h - 1]["persistence"] == pytest.approx(by_hand)


def test_the_parts_follow_each_other_in_time(weather):
    path, _, result = weather
    assert result["test"]["times"] == DAYS[96:]
    assert result["test"]["truth"] == VALUES[96:].tolist()
    made = recipe(path, target="temp", time="day")
    data = made.dataset()
    parts = made.split(data)
    assert parts.train.max() < parts.validation.min() <= parts.validation.max() < parts.test.min()
    # By the first column of dates, which is what is taken without --time, all is the other way round.
    assert (recipe(path, target="temp", task="forecast").dataset().values == VALUES[::-1]).all()


def test_the_stretch_is_what_predict_says_of_the_past_alone(weather, tmp_path, capsys):
    _, out, result = weather
    past = written(tmp_path / "p.csv", "seen,day,temp", DAYS[::-1][:115], DAYS[:115], VALUES[:115])
    assert command(["predict", str(out), past, "--steps", "5", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["predictions"]
    found = told["forecast"]
    stretch = result["stretch"]
    np.testing.assert_allclose(found, stretch["forecast"], rtol=1e-5)
    assert stretch["truth"] == VALUES[115:].tolist()
    assert stretch["past"] == VALUES[115 - len(stretch["past"]) : 115].tolist()
    assert stretch["persistence"] == [VALUES[114]] * 5


def test_it_is_told_and_drawn(weather, tmp_path, capsys):
    path, out, _ = weather
    page = (out / "report.html").read_text()
    assert "Going on from the past" in page and "forecast from what was before them alone" in page
    with Image.open(out / "forecast.png") as picture:
        assert picture.size == (1920, 640)
    words = ["train", path, "--time", "day", "--target", "temp", "--horizon", "5", *SMALL[:-1]]
    assert command([*words, "--out", str(tmp_path / "r")]) == 0
    told = capsys.readouterr()
    assert "horizon     1 to 5 steps ahead" in told.err and "time        day" in told.err
    lines = told.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("steps "))
    assert [line.split()[0] for line in lines[start + 1 : start + 6]] == ["1", "2", "3", "4", "5"]


def test_a_column_of_numbers_may_tell_the_order(tmp_path):
    order = RNG.permutation(120)
    path = written(tmp_path / "n.csv", "year,temp", 1900 + order, VALUES[order])
    data = recipe(path, time="year").dataset()
    assert (data.values == VALUES).all() and data.times[0] == "1900"
    assert "put in order of 'year'" in data.source


def test_a_network_that_is_worse_than_the_last_value_is_warned_of(tmp_path, capsys):
    walk = np.cumsum(RNG.normal(size=150)).round(4)
    path = written(tmp_path / "walk.csv", "i,x", range(150), walk)
    words = ["train", path, "--time", "i", "--target", "x", "--horizon", "4", "--epochs", "1"]
    assert command([*words, "--lr", "0.5", "--window", "4", "--out", str(tmp_path / "r")]) == 0
    assert "further ahead (steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--time", "dya"], 2, "Did you mean 'day'"),
        (["--time", "place"], 1, "'north' is no date and no number"),
        (["--time", "temp"], 2, "cannot be both --time and --target"),
        (["--time", "day", "--horizon", "25"], 2, "--horizon 25 is further than the part to test, 24"),
        (["--time", "day", "--task", "classify"], 2, "--time is no setting of a table"),
    ],
)  # fmt: skip
def test_mistakes(options, code, words, tmp_path, capsys):
    path = written(tmp_path / "w.csv", "day,place,temp", DAYS, ["north"] * 120, VALUES)
    out = ["--out", str(tmp_path / "r")]
    assert command(["train", path, "--target", "temp", *options, *SMALL, *out]) == code
    assert words in capsys.readouterr().err


def test_our_own_series_has_a_horizon(tmp_path, capsys):
    words = ["train", "series", "--horizon", "2", "--width", "4", "--epochs", "1", "--quiet"]
    assert command([*words, "--out", str(tmp_path / "r"), "--json"]) == 0
    assert [r["steps"] for r in json.loads(capsys.readouterr().out)["mae_ahead"]] == [1, 2]


def test_what_made_a_series_of_the_table_is_told(weather, tmp_path, capsys):
    path, *_ = weather
    dry = ["--dry-run", "--target", "temp"]
    assert command(["train", path, "--horizon", "5", *dry]) == 0
    told = capsys.readouterr().err
    assert "task        forecast: --horizon is for a series" in told and "(--task)" in told
    assert command(["train", path, "--task", "forecast", *dry]) == 0
    assert "task        forecast: as you said" in capsys.readouterr().err
    plain = written(tmp_path / "p.csv", "size,temp", RNG.permutation(120), VALUES)
    assert command(["train", plain, "--horizon", "5", *dry]) == 0
    assert "time        the order of the rows: no column holds dates" in capsys.readouterr().err


def test_a_horizon_for_a_table_that_is_no_series_is_refused_with_its_reason(tmp_path, capsys):
    path = written(tmp_path / "p.csv", "size,kind", range(120), ["a", "b"] * 60)
    assert command(["train", path, "--target", "kind", "--horizon", "3"]) == 1
    told = capsys.readouterr().err
    assert "a forecast needs numbers" in told and "because of --horizon" in told
    assert "--time" not in told


def test_a_number_that_comes_twice_is_called_a_number(tmp_path, capsys):
    path = written(tmp_path / "p.csv", "age,temp", [i % 50 for i in range(120)], VALUES)
    assert command(["train", path, "--time", "age", "--target", "temp"]) == 1
    assert "column 'age': 0 comes twice. Keep one row for each" in capsys.readouterr().err


def test_a_file_without_the_column_of_times_is_told_which_one(weather, tmp_path, capsys):
    _, out, _ = weather
    file = written(tmp_path / "p.csv", "date,temp", DAYS, VALUES)
    assert command(["predict", str(out), file]) == 2
    told = capsys.readouterr().err
    assert "the column of times 'day' is not one of its columns" in told and "--time" not in told


def test_times_of_many_digits_stay_apart(tmp_path, capsys):
    seconds = [1_600_000_000 + 3600 * i for i in range(120)]
    path, out = written(tmp_path / "p.csv", "at,temp", seconds, VALUES), str(tmp_path / "run")
    words = ["train", path, "--time", "at", "--target", "temp", *SMALL, "--out", out]
    assert command(words) == 0
    assert command(["predict", out, path]) == 0
    assert f"after {seconds[-1]}:" in capsys.readouterr().out


def test_a_series_that_is_gone_is_asked_for(tmp_path, capsys):
    path, out = written(tmp_path / "p.csv", "day,temp", DAYS, VALUES), tmp_path / "run"
    assert command(["train", path, "--task", "forecast", *SMALL, "--out", str(out)]) == 0
    (tmp_path / "p.csv").rename(tmp_path / "q.csv")
    assert command(["predict", str(out)]) == 2
    err = capsys.readouterr().err
    assert (
        f"{path}, from which it has learned, is not there" in err and f"predict {out} FILE" in err
    )
    assert command(["predict", str(out), str(tmp_path / "q.csv")]) == 0


def test_a_note_about_a_line_names_the_file_once(weather, tmp_path, capsys):
    _, out, _ = weather
    order = [1, 0, *range(2, 120)]
    rows = ([DAYS[i] for i in order], [DAYS[i] for i in order], [VALUES[i] for i in order])
    file = written(tmp_path / "p.csv", "seen,day,temp", *rows)
    assert command(["predict", str(out), file]) == 0
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith("p.csv, line 3: its date is before") and note.count("p.csv") == 1
