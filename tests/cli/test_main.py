"""The command line's manners: help at once, slips answered with the nearest word, exit codes."""

import subprocess
import sys

import click
import pytest

from pellucid.cli import main as command
from pellucid.cli.options import Amount, Layers, Whole

HEAVY = ("numpy", "llvmlite", "rich", "PIL", "safetensors")


def test_help_names_every_command_and_exit_code(capsys):
    assert command.run(["--help"]) == 0
    out = capsys.readouterr().out
    for word in (*command.cli.commands, "130", "train digits"):
        assert word in out


@pytest.mark.parametrize("name", sorted(command.cli.commands))
def test_every_command_and_option_explains_itself(name, capsys):
    assert command.run([name, "--help"]) == 0
    assert "Exit codes" in capsys.readouterr().out
    for parameter in command.cli.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from pellucid.cli.main import run; run(['train', '--help']); "
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["trian", "digits"], "'train'"),
        (["train", "digist"], "'digits'"),
        (["train", "digits", "--epoch", "3"], "'--epochs'"),
        (["train", "digits", "--activation", "Relu"], "'relu'"),
        (["train", "digits", "--optimizer", "adm"], "'adam'"),
    ],
)
def test_a_slip_names_the_nearest_and_exits_2(arguments, nearest, capsys):
    assert command.run(arguments) == 2
    err = capsys.readouterr().err
    assert f"Did you mean {nearest}?" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--net", "128-"), ("--net", "0"), ("--net", "128x64"), ("--lr", "0"), ("--epochs", "0")],
)
def test_an_impossible_value_exits_2_and_says_what_is_possible(option, value, capsys):
    assert command.run(["train", "digits", option, value]) == 2
    err = capsys.readouterr().err
    assert value in err
    assert option in err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--epochs", "x", "'x' is no whole number of 1 or more."),
        ("--epochs", "1.5", "'1.5' is no whole number of 1 or more."),
        ("--patience", "-1", "'-1' is no whole number of 0 or more."),
        ("--channels", "4", "'4' is no whole number from 1 to 3."),
        ("--seed", "-1", "'-1' is no whole number from 0 to 4294967295."),
        ("--dropout", "1", "'1' is no number from 0 to below 1."),
        ("--l2", "nan", "'nan' is no number of 0 or more."),
        ("--l2", "inf", "'inf' is no number of 0 or more."),
        ("--lr", "0", "'0' is no number above 0, nor 'find'."),
    ],
)
def test_a_number_that_does_not_fit_is_answered_in_words(option, value, words, capsys):
    assert command.run(["train", "digits", option, value]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_the_ends_of_a_range_fit():
    for kind, fit, unfit in (
        (Amount(0, 1, below=True), ("0", 0.5), ("1", "-0.1")),
        (Amount(0, 1, above=True), ("1", 1e-9), ("0", "1.1")),
        (Amount(0, above=True), ("1e-9",), ("0",)),
        (Whole(1, 3), ("1", 3), ("0", "4", "2.0")),
    ):
        for value in fit:
            assert kind.convert(value, None, None) == float(value)
        for value in unfit:
            with pytest.raises(click.BadParameter):
                kind.convert(value, None, None)


def test_widths_are_read_first_to_last():
    assert Layers().convert("128-64", None, None) == (128, 64)
    assert Layers().convert("none", None, None) == ()


def test_ctrl_c_exits_130(monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.cli, "main", interrupt)
    assert command.run([]) == 130
