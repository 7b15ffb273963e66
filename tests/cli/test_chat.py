"""`pellucid chat`: what is typed is gone on from; settings change inside; the ends of a conversation."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pellucid as package
from pellucid.cli.main import run as command
from pellucid.models.generate import Reader
from pellucid.train.saved import load_model

SMALL = "--width 16 --layers 1 --window 16 --epochs 1 --batch 64 --quiet".split()


@pytest.fixture(scope="module")
def rhyme(tmp_path_factory):
    """A run that has learned a rhyme, a little."""
    folder = tmp_path_factory.mktemp("chat")
    text = folder / "rhyme.txt"
    text.write_text("Round and round the garden\nlike a teddy bear;\n" * 30, encoding="utf-8")
    out = folder / "run"
    assert command(["train", str(text), *SMALL, "--out", str(out)]) == 0
    return out


@pytest.fixture
def say(rhyme, monkeypatch, capsys):
    """say(lines, *options) -> (exit code, what it answered, what was said on standard error)."""

    def said(lines, *options):
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        code = command(["chat", str(rhyme), *options])
        out, err = capsys.readouterr()
        return code, out, err

    return said


def test_the_first_answer_is_what_sample_writes(say, rhyme, capsys):
    options = ["--length", "30", "--temperature", "0.7", "--top-k", "4", "--seed", "5"]
    code, out, err = say("Round and\n", *options)
    assert code == 0 and err == ""
    capsys.readouterr()
    assert command(["sample", str(rhyme), "--prompt", "Round and", *options]) == 0
    assert "Round and" + out == capsys.readouterr().out
    assert say("Round and\n", *options)[1] == out  # and again, to the letter


def test_what_was_said_is_remembered_until_new(say, rhyme):
    first = say("bear\n", "--length", "3", "--temperature", "0")[1]
    # an empty line goes on: three and three characters are six at once
    both = say("bear\n\n", "--length", "3", "--temperature", "0")[1]
    six = say("bear\n", "--length", "6", "--temperature", "0")[1]
    assert both.startswith(first) and both.replace("\n", "") == six.replace("\n", "")
    again = say("bear\n/new\nbear\n", "--length", "3", "--temperature", "0")[1]
    assert again == first + first


def test_the_settings_change_inside(say):
    lines = "/temperature 0\n/length 5\nRound\n/new\n/temperature 0\nRound\n/settings\n"
    code, out, err = say(lines)
    a, b = out[:5], out[6:11]
    assert code == 0 and a == b and out[5] == "\n" and len(out) == 12
    assert "temperature  0.0" in err and "length       5" in err and "top-k        off" in err
    code, out, err = say("/top-k 3\n/top-k off\n/top_p 0.5\n/settings\n")
    assert out == "" and "top-k        off" in err and "top-p        0.5" in err


def test_probabilities_are_those_of_the_network(say, rhyme):
    out = say("/length 1\n/temperature 0\nRound an\n/new\nRound\n/probabilities\n")[1]
    shown = [line.split() for line in out.split("chance of being drawn\n")[1].splitlines()]
    model = load_model(rhyme)
    context = "Round" + out.splitlines()[1]  # and the one character that was its answer
    codes = [model.classes.index(c) for c in context]
    p = np.exp(Reader(model.network).feed([codes])[0])
    best = p.argsort()[::-1][:10]
    assert [row[0].strip("'") for row in shown if len(row) == 5] == [
        model.classes[i] for i in best if model.classes[i] not in " \n"
    ]
    got = [float(line.split("'")[-1].split()[0]) for line in out.splitlines()[-10:]]
    np.testing.assert_allclose(got, 100 * p[best], atol=0.051)  # printed with one decimal


def test_mistakes_are_said_and_the_conversation_goes_on(say):
    lines = [
        "\xe9", "/temperature hot", "/temperature -1", "/tempo 3", "/top-p 2", "/quit now",
        "/probabilities", "", "/length 4", "Round",
    ]  # fmt: skip
    code, out, err = say("\n".join(lines) + "\n")
    assert code == 0 and len(out) == 4 + 1
    said = err.splitlines()
    assert len(said) == 8 and all(line.startswith("pellucid: ") for line in said)
    for line, words in zip(
        said,
        ["'é' is not among", "/temperature: 'hot'", "/temperature: '-1'", "/tempo is unknown", "/top-p: '2'",
         "/quit takes nothing", "nothing to go on from", "nothing to go on from"],
        strict=True,
    ):  # fmt: skip
        assert words in line


def test_quit_ends_it_and_help_names_every_order(say):
    code, out, err = say("/help\n/quit\nRound\n")
    assert code == 0 and out == ""
    for name in "temperature top-k top-p length probabilities settings new help quit".split():
        assert f"/{name}" in err


def test_two_strokes_begin_a_text(say):
    err = say("//x\n")[2]
    assert "'/' is not among" in err  # the rhyme has no stroke: it was taken as text


def test_only_a_text_can_chat(tmp_path, capsys):
    out = tmp_path / "digits"
    assert command(f"train digits --net 4 --epochs 1 --quiet --out {out}".split()) == 0
    assert command(["chat", str(out)]) == 2
    assert "only one that learned a text" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_ends_with_130_and_bytes_that_are_no_text_are_named(rhyme):
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    start = [sys.executable, "-u", "-m", "pellucid", "chat", str(rhyme), "--length", "100000"]
    pipe = subprocess.PIPE
    with subprocess.Popen(start, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        process.stdin.write(b"Round\n")
        process.stdin.flush()
        assert process.stdout.read(3)  # it writes
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            process.stdout.read(4096)
        assert process.wait(10) == 130
        err = process.stderr.read().decode()
        assert "Traceback" not in err and "stopped" in err
    environment["PYTHONIOENCODING"] = "utf-8:strict"
    done = subprocess.run(start, input=b"caf\xe9\n", capture_output=True, env=environment)
    assert done.returncode == 1 and b"not UTF-8 text" in done.stderr


def test_a_slip_in_a_setting_is_answered_in_words(say):
    _, _, err = say("/temperature warm\n/length x\n/temperature -1\n")
    warm, x, less = err.splitlines()
    assert warm == "pellucid: /temperature: 'warm' is no number of 0 or more."
    assert x == "pellucid: /length: 'x' is no whole number of 1 or more."
    assert less == "pellucid: /temperature: '-1' is no number of 0 or more."


def test_a_network_that_knows_no_line_end_writes_without_a_prompt(tmp_path, capsys):
    text, out = tmp_path / "flat.txt", str(tmp_path / "run")
    text.write_text("round and round the garden like a teddy bear " * 30, encoding="utf-8")
    assert command(["train", str(text), *SMALL, "--out", out]) == 0
    capsys.readouterr()
    assert command(["sample", out, "--length", "9", "--temperature", "0"]) == 0
    without = capsys.readouterr().out
    assert command(["sample", out, "--length", "9", "--temperature", "0", "--prompt", " "]) == 0
    assert without == capsys.readouterr().out and len(without.rstrip("\n")) >= 9
