"""Tables that are larger than --memory at the command line: scores and explanations are those of the whole."""

import json

import numpy as np
import pandas as pd
import pytest
from commands import told_by

from pellucid.cli import main as command
from pellucid.train import answer, streamed

NAMES = "size,colour,text,weight,kind"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(streamed, "LEAST", 1000)
    streamed._SURVEYS.clear()


def rows(n, seed):
    """A kind that its colour and one word tell; odd cells here and there."""
    rng = np.random.default_rng(seed)
    common = "the and you have will come see here there today".split()
    for i in range(n):
        is_spam = rng.random() < 0.4
        words = [*rng.choice(common, 6), "prize" if is_spam else "lunch"]
        size = "NA" if i % 97 == 5 else f"{rng.normal() + is_spam:.3f}"
        colour = ("red", "blue")[int(rng.random() < 0.3 + 0.3 * is_spam)]
        kind = "" if i % 301 == 9 else "spam" if is_spam else "ham"
        weight = 3 + 2 * is_spam + rng.normal(0, 0.3)
        yield f"{size},{colour},{' '.join(rng.permutation(words))},{weight:.3f},{kind}"


def written(path, n, seed):
    path.write_text("\n".join([NAMES, *rows(n, seed)]) + "\n")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """task -> run folder."""
    folder = tmp_path_factory.mktemp("runs")
    file = written(folder / "learned.csv", 400, 1)
    line = ["train", str(file), "--column", "text=text", "--net", "16", "--epochs", "20", "--quiet"]
    for task, target in (("classify", "kind"), ("regress", "weight")):
        out = ["--target", target, "--out", str(folder / task)]
        assert command.run([*line, *out]) == 0
    return {task: folder / task for task in ("classify", "regress")}


@pytest.fixture(scope="module", params=["csv", "parquet"])
def new(request, tmp_path_factory):
    path = written(tmp_path_factory.mktemp("new") / "new.csv", 7000, 2)
    if request.param == "csv":
        return path
    pd.read_csv(path).to_parquet(path.with_suffix(".parquet"), row_group_size=900)
    return path.with_suffix(".parquet")


def told(capsys, *arguments):
    """(the document, the notes in any order)."""
    said = told_by(capsys, *arguments, "--json")
    return json.loads(said.out), sorted(said.err.splitlines())


def in_parts(monkeypatch):
    """Numbers of rows that are looked at together."""
    seen = []

    def some(self, frame, at, some=answer.Rows.some):
        seen.append(len(frame))
        return some(self, frame, at)

    monkeypatch.setattr(answer.Rows, "some", some)
    return seen


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_answers_to_a_table_in_pieces_are_those_to_the_whole(task, runs, new, capsys, monkeypatch):
    whole = told(capsys, "predict", runs[task], new, "--keep", "colour")
    seen = in_parts(monkeypatch)
    assert (
        told(capsys, "predict", runs[task], new, "--keep", "colour", "--memory", "500kB") == whole
    )
    assert sum(seen) == len(whole[0]["predictions"]) == 7000 and len(seen) > 3


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_scores_of_a_table_in_pieces_are_those_of_the_whole(task, runs, new, capsys, monkeypatch):
    whole = told(capsys, "evaluate", runs[task], new)
    seen = in_parts(monkeypatch)
    assert told(capsys, "evaluate", runs[task], new, "--memory", "500kB") == whole
    assert sum(seen) == 7000 and len(seen) > 3
    scores, notes = whole
    assert scores["left_out"] == (24 if task == "classify" else 0)  # rows 9, 310, ... 6932
    assert any("'size': 73 missing" in note for note in notes)


@pytest.mark.parametrize("task", ["classify", "regress"])
@pytest.mark.parametrize("row", [None, 1, 3500, 7000])
def test_explanations_of_a_table_in_pieces_are_those_of_the_whole(
    task, row, runs, new, capsys, monkeypatch
):
    monkeypatch.setattr("pellucid.cli.explain.MOST_ROWS", 100)
    of = [] if row is None else ["--row", row]
    whole = told(capsys, "explain", runs[task], new, *of)
    seen = in_parts(monkeypatch)
    assert told(capsys, "explain", runs[task], new, *of, "--memory", "500kB") == whole
    assert sum(seen) == 7000 and len(seen) > 3
    assert "words" in whole[0] and any("'size': 73 missing" in note for note in whole[1])


def test_a_row_beyond_a_large_table_is_refused(runs, new, capsys):
    line = ["explain", str(runs["classify"]), str(new), "--row", "7001", "--memory", "500kB"]
    assert command.run(line) == 1
    assert "there is no row 7001; it has 7,000" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["predict", "evaluate", "explain"])
def test_memory_is_an_option_of_tables_alone(name, tmp_path, capsys):
    text = tmp_path / "rhyme.txt"
    text.write_text("Round and round the garden\nlike a teddy bear;\n" * 30)
    small = ["--width", "16", "--layers", "1", "--window", "16", "--epochs", "1", "--quiet"]
    assert command.run(["train", str(text), *small, "--out", str(tmp_path / "run")]) == 0
    assert command.run([name, str(tmp_path / "run"), str(text), "--memory", "1GB"]) == 2
    assert "--memory is for a network that learned from the columns" in capsys.readouterr().err
