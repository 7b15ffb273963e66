"""`pellucid evaluate`: scores of files with answers, against a calculation of their own."""

import json

import numpy as np
import pytest

from pellucid.cli.main import run as command
from pellucid.data.digits import load_digits
from pellucid.train.saved import load_model


def make(folder, name, *arguments):
    run = folder / name
    assert command(["train", *arguments, "--quiet", "--out", str(run)]) == 0
    return run


def told(capsys, run, file):
    capsys.readouterr()
    assert command(["evaluate", str(run), str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert command(["evaluate", str(run), str(file)]) == 0
    return found, capsys.readouterr().out


def test_digits(tmp_path, capsys):
    run = make(tmp_path, "digits", "digits", "--net", "16", "--epochs", "2")
    data = load_digits()
    rows = np.column_stack([data.x[:60] * data.scale, data.y[:60]]).astype(int)
    file = tmp_path / "rows.csv"
    file.write_text("".join(",".join(map(str, r)) + "\n" for r in rows))
    found, text = told(capsys, run, file)
    p = load_model(run).predict(data.x[:60])
    n_right = int((p.argmax(1) == data.y[:60]).sum())
    assert found["scores"]["n"] == 60 and found["scores"]["n_right"] == n_right
    loss = -np.log(p[np.arange(60), data.y[:60]]).mean()
    assert found["scores"]["log_loss"] == pytest.approx(loss, rel=1e-5)
    assert f"Accuracy {100 * n_right / 60:.1f} %" in text
    file.write_text("".join(",".join(map(str, r[:-1])) + "\n" for r in rows))
    assert command(["evaluate", str(run), str(file)]) == 1
    assert "no row has its class" in capsys.readouterr().err


@pytest.fixture
def table(tmp_path):
    """Amounts that follow from two columns, and a class that follows from one."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200))
    lines = ["a,b,amount,kind"]
    for x, y in zip(a, b, strict=True):
        lines.append(f"{x:.4f},{y:.4f},{100 + 30 * x - 10 * y:.4f},{'up' if x > 0 else 'down'}")
    file = tmp_path / "table.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("target", ["amount", "kind"])
def test_tables(target, table, tmp_path, capsys):
    run = make(tmp_path, target, str(table), "--target", target, "--epochs", "3", "--net", "8")
    found, text = told(capsys, run, table)
    capsys.readouterr()
    assert command(["predict", str(run), str(table), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["predictions"]
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    if target == "amount":
        truth = np.array([float(r[2]) for r in rows])
        error = np.array([a["amount"] for a in answers]) - truth
        assert found["scores"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-6)
        assert "R2" in text
    else:
        n_right = sum(a["kind"] == r[3] for a, r in zip(answers, rows, strict=True))
        assert found["scores"]["n_right"] == n_right
    assert found["scores"]["n"] == 200 and found["left_out"] == 0
    assert found["learned_from"] and "has learned from this file" in text
    # A copy with another column at its end, written in another way, has the same rows; one of other numbers has not.
    lines = table.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text(
        "\r\n".join(f"{line},9" for line in [*lines, ""] if line).replace("kind,9", "kind,x")
    )
    assert told(capsys, run, other)[0]["learned_from"]
    other.write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]))
    found, text = told(capsys, run, other)
    assert not found["learned_from"] and "learned from" not in text
    other.write_text("\n".join(lines[:2]))  # of a single class nothing could be learned
    assert not told(capsys, run, other)[0]["learned_from"]
    missing = tmp_path / "missing.csv"
    missing.write_text("\n".join(line.rsplit(",", 2)[0] for line in table.read_text().splitlines()))
    assert command(["evaluate", str(run), str(missing)]) == 1
    assert f"has no column '{target}'" in capsys.readouterr().err


def test_a_series(tmp_path, capsys):
    run = make(
        tmp_path,
        "series",
        "series",
        "--width",
        "4",
        "--layers",
        "1",
        "--epochs",
        "1",
        "--window",
        "6",
    )
    values = 20 + np.sin(np.arange(30))
    file = tmp_path / "v.csv"
    file.write_text("t,v\n" + "".join(f"{i},{v!r}\n" for i, v in enumerate(values.tolist())))
    found, text = told(capsys, run, file)
    same = np.diff(values)[5:]
    assert found["persistence"]["mae"] == pytest.approx(np.abs(same).mean())
    capsys.readouterr()
    errors = []
    for n in (6, 20, 29):
        part = tmp_path / f"{n}.csv"
        part.write_text("".join(file.read_text().splitlines(keepends=True)[: n + 1]))
        assert command(["predict", str(run), str(part), "--json"]) == 0
        (answer,) = json.loads(capsys.readouterr().out)["predictions"][0]["forecast"]
        errors.append(abs(answer - values[n]))
    assert found["scores"]["n"] == 24 and "The last value again" in text
    assert not found["learned_from"]
    pairs = {round(t, 6): abs(p - t) for p, t in zip(*points(found), strict=True)}
    for n, e in zip((6, 20, 29), errors, strict=True):
        assert pairs[round(float(values[n]), 6)] == pytest.approx(e, abs=1e-5)


def points(found):
    """(predicted, true) of the scatter: all rows, where there are few."""
    scatter = found["scores"]["scatter"]
    return scatter["predicted"], scatter["truth"]


def test_a_text_that_was_learned_from_is_named(tmp_path, capsys):
    text = tmp_path / "rhyme.txt"
    text.write_text("Round and round the garden like a teddy bear;\n" * 30)
    run = make(tmp_path, "text", str(text), "--width", "8", "--layers", "1", "--epochs", "1")
    found, words = told(capsys, run, text)
    assert found["learned_from"] and f"pellucid info {run}" in words
    (tmp_path / "other.txt").write_text(text.read_text())
    assert not told(capsys, run, tmp_path / "other.txt")[0]["learned_from"]
