"""A person's own text, series and tables at the command line: trained, told, asked again, mistakes in a sentence."""

import json

import pytest

from pellucid.cli import main as command
from pellucid.train.run import load_model

TEXT = ["--width", "16", "--layers", "1", "--window", "16", "--epochs", "1", "--batch", "64"]


def told_by(capsys, *arguments):
    """What a command that succeeds prints on standard output."""
    capsys.readouterr()
    assert command.run([str(a) for a in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys, *arguments):
    """(exit code, what is said) of a command that does not: one sentence, no traceback."""
    capsys.readouterr()
    code = command.run([str(a) for a in arguments])
    err = capsys.readouterr().err
    assert code and "Traceback" not in err
    return code, err


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "rhyme.txt"
    path.write_text("Round and round the garden\nlike a teddy bear;\n" * 30, encoding="utf-8")
    return path


# Texts


def test_a_text_is_learned_and_written_on(text, tmp_path, capsys):
    out = tmp_path / "run"
    result = json.loads(told_by(capsys, "train", text, *TEXT, "--out", out, "--json"))
    assert result["settings"]["kind"] == "text" and result["settings"]["task"] == "continue"
    kinds = sorted(set(text.read_text()))
    assert result["characters"] == len(kinds)
    assert load_model(out).classes == tuple(kinds)
    written = told_by(capsys, "sample", out, "--length", "20")
    assert set(written) <= set(kinds)
    assert "nats a character" in told_by(capsys, "predict", out, text)


def test_a_text_goes_on_from_its_run_to_the_same_bits(text, tmp_path, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    more = [*TEXT, "--schedule", "constant", "--json", "--quiet"]
    more[more.index("--epochs") + 1] = "2"
    a = json.loads(told_by(capsys, "train", text, *more, "--out", whole))
    more[more.index("--epochs") + 1] = "1"
    told_by(capsys, "train", text, *more, "--out", cut)
    again = ["train", text, "--resume", "--epochs", "2", "--out", cut, "--json", "--quiet"]
    b = json.loads(told_by(capsys, *again))
    assert a["weights_sha256"] == b["weights_sha256"]


def test_a_short_text_has_short_windows(tmp_path, capsys):
    path = tmp_path / "short.md"
    path.write_text(
        "abcabdabe" * 40
    )  # 360 characters; a part of 36 must hold a window and one more
    told_by(capsys, "train", path, "--width", "8", "--layers", "1", "--epochs", "1", "--dry-run")
    out = tmp_path / "run"
    arguments = ["--width", "8", "--layers", "1", "--epochs", "1", "--out", out, "--json"]
    settings = json.loads(told_by(capsys, "train", path, *arguments))["settings"]
    assert settings["window"] == 9


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"abcdefghij", "10 characters are too few"),
        (b"", "0 characters are too few"),
        (b"caf\xe9 " * 50, "not UTF-8 text (byte 3)"),
        (b"a" * 300, "only one kind of character"),
    ],
)
def test_a_text_that_teaches_nothing_is_refused(content, words, tmp_path, capsys):
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    code, err = refused(capsys, "train", path, "--out", tmp_path / "run")
    assert code == 1 and words in err and "x.txt" in err
    assert not (tmp_path / "run" / "model.json").exists()


# Names of files


def test_a_file_that_is_not_there_names_the_nearest(text, tmp_path, capsys):
    code, err = refused(capsys, "train", tmp_path / "ryhme.txt")
    assert code == 2 and "there is no such file" in err and "rhyme.txt" in err
    assert refused(capsys, "train", "digist")[0] == 2


def test_settings_of_a_table_are_refused_for_other_data(text, capsys):
    code, err = refused(capsys, "train", "digits", "--target", "x")
    assert code == 2 and "--target is no setting of digits" in err
    code, err = refused(capsys, "train", text, "--group", "x")
    assert code == 2 and "--group is no setting of a text" in err


def test_a_dry_run_tells_and_writes_nothing(text, tmp_path, capsys):
    capsys.readouterr()
    out = tmp_path / "run"
    assert command.run(["train", str(text), *TEXT, "--dry-run", "--out", str(out)]) == 0
    assert "characters of" in capsys.readouterr().err
    assert not out.exists()
