"""The documents are true: their code prints what they show, and no name is left out."""

import html
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import pellucid
from pellucid.cli.main import cli

ROOT = Path(__file__).parent.parent
MARKDOWN = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make", ROOT / "docs" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(
    os.environ.get("PELLUCID_ENGINE") == "reference", reason="the tour shows the compiled engine"
)
def test_the_documents_run_and_say_what_is_true():
    # In a process of its own: the numbers of leaves count from its start.
    check = [sys.executable, str(ROOT / "docs" / "make.py"), "--check"]
    environment = {**os.environ, "PYTHONPATH": str(Path(pellucid.__file__).parents[1])}
    done = subprocess.run(check, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nRun `python docs/make.py`."


def test_the_picture_of_a_run_shows_what_it_prints_now(tmp_path):
    texts = re.findall(
        r"<text[^>]*>([^<]*)<", (ROOT / "docs" / "train-digits.svg").read_text("utf-8")
    )
    shown = "".join(html.unescape("".join(texts)).split())  # a long line goes on in the next
    command = [sys.executable, "-m", "pellucid", "train", "digits", "--out", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(Path(pellucid.__file__).parents[1])}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout
    for line in done.stdout.splitlines():
        # Two lines say what the clock does.
        if "steps/s" not in line and " s (early stopping)" not in line:
            told = "".join(line.split())
            assert told in shown, f"{line!r}: take the picture again: python docs/picture.py"


def test_what_a_help_text_does_not_wrap_is_a_block_of_code(make):
    text = "Learn.\n\n    \b\n    a b   first\n    c     second\n\n    The end."
    assert make.help_text(text) == "Learn.\n\n    a b   first\n    c     second\n\nThe end."


def test_every_public_name_says_what_it_is(make):
    for name, value in make.public_names(pellucid).items():
        assert make.summary(value), f"pellucid.{name} has no docstring"


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda p: p.name)
def test_commands_in_the_documents_exist(path):
    for line in re.findall(
        r"^(?:    |\$ )?(?:.*&& )?(pellucid .*)$", path.read_text("utf-8"), re.M
    ):
        words = shlex.split(line.split("  #")[0])[1:]
        if words[0].startswith("-"):
            continue
        assert words[0] in cli.commands, f"{path.name}: {line}"
        options = {o for p in cli.commands[words[0]].params for o in p.opts}
        for word in words[1:]:
            if word.startswith("--"):
                assert word.split("=")[0] in options, f"{path.name}: {line}"


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda p: p.name)
def test_links_lead_to_files_that_exist(path):
    for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_version_stands_once():
    stated = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert stated and stated[1] == pellucid.__version__


def test_commands_have_help():
    for name, command in cli.commands.items():
        assert isinstance(command, click.Command) and command.help, name
