"""`pellucid tune`: the first try is the recipe, the winner's command gives the winner's loss."""

import json
import shlex

import click
import pytest

pytest.importorskip("optuna")
from pellucid.cli.main import run as command
from pellucid.cli.options import Duration
from pellucid.cli.tune import option, told
from pellucid.train.recipe import recipe
from pellucid.train.tune import Try, propose, tune

GIVEN = {"epochs": 2, "net": (8,)}


def test_the_same_seed_finds_the_same_and_never_worse_than_the_recipe():
    runs = [
        [(t.settings, t.loss, t.state) for t in tune("digits", GIVEN, None, 4)] for _ in range(2)
    ]
    assert runs[0] == runs[1]
    first, *others = runs[0]
    assert first[0] == {} and all(
        set(s) <= {"lr", "l2", "batch", "schedule"} and s for s, _, _ in others
    )


def test_the_winners_command_trains_to_the_winners_loss(tmp_path, capsys):
    line = "tune digits --tries 3 --epochs 2 --net 8 --seed 3 --json --quiet"
    assert command(line.split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["best"]["loss"] == min(t["loss"] for t in found["tries"])
    words = shlex.split(found["command"])
    assert words[:3] == ["pellucid", "train", "digits"]
    out = tmp_path / "winner"
    assert command([*words[1:], "--out", str(out), "--quiet"]) == 0
    result = json.loads((out / "metrics.json").read_text())
    assert result["metrics"]["validation"]["loss"] == pytest.approx(found["best"]["loss"], rel=1e-6)


class Middle:
    """A trial that takes the first or the lowest of everything."""

    def suggest_float(self, name, low, high, log=False):
        return low

    def suggest_int(self, name, low, high):
        return low

    def suggest_categorical(self, name, choices):
        return choices[0]


def test_only_what_the_network_has_is_proposed():
    assert set(propose(Middle(), recipe("digits"))) == {"lr", "l2", "batch", "net", "schedule"}
    assert "l2" not in propose(Middle(), recipe("digits", optimizer="sgd"))
    found = propose(Middle(), recipe("series", lr=1e-3))
    assert "lr" not in found and "net" not in found and found["layers"] == 1 and found["l2"] == 1e-3
    recipe("series", **{**found, "lr": 1e-3})  # these settings are understood


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("20", 20), (" 2 M ", 120)]
)
def test_times(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "0s", "5 days", "1e3", "five"])
def test_what_is_no_time(text):
    with pytest.raises(click.BadParameter, match="90s, 5m or 1h"):
        Duration().convert(text, None, None)


def test_mistakes(capsys):
    assert command(["tune", "digits"]) == 2
    assert "--for 5m, or --tries 20" in capsys.readouterr().err
    assert command(["tune", "digits", "--task", "generate", "--tries", "1"]) == 2
    assert "networks that generate have none" in capsys.readouterr().err


def test_a_failed_try_is_valid_json():
    failed = Try(1, {}, float("inf"), 0, 0.1, "failed")
    assert json.loads(json.dumps(told(failed), allow_nan=False))["loss"] is None


def test_the_time_ends_the_search():
    tries = list(tune("digits", {"epochs": 1000, "patience": 0, "net": (4,)}, 1.0, None))
    assert tries[-1].state == "stopped" and tries[-1].epochs < 1000


def test_the_command_repeats_how_the_table_is_read(tmp_path, capsys):
    lines = [f"{i % 7},{i % 3},{'-' if i == 9 else i % 5},{'ab'[i % 2]}" for i in range(80)]
    path = tmp_path / "odd name.csv"
    path.write_text("\n".join(["a;b;c;y", *(line.replace(",", ";") for line in lines)]) + "\n")
    words = [str(path), "--target", "y", "--delimiter", ";", "--header", "--column", "a=category",
             "--column", "b=category", "--missing", "-", "--missing", "?", "--class-weights", "none",
             "--group", "c", "--epochs", "1"]  # fmt: skip
    assert command(["tune", *words, "--tries", "1", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    again = shlex.split(found["command"])
    assert again[:3] == ["pellucid", "train", str(path)]
    assert command([*again[1:], "--dry-run", "--json", "--quiet"]) == 0
    assert sorted(again[2:]) == sorted(words)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("header", False, ["--no-header"]),
        ("strict", True, ["--strict"]),
        ("columns", {"a b": "text", "c=d": "number"}, ["--column", "a b=text", "--column", "c=d=number"]),
        ("net", (64, 32), ["--net", "64-32"]),
        ("net", (), ["--net", "none"]),
        ("class_weights", "root", ["--class-weights", "root"]),
    ],
)  # fmt: skip
def test_settings_as_the_command_line_takes_them(name, value, words):
    assert option(name, value) == words
