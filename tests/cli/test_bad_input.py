"""Input that cannot be learned from, at the command line: one sentence that says what, where and what to do.

And what a person should know before training: seen in the printed plan, in metrics.json and in report.html."""

import html
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.cli import main as command
from pellucid.cli import stopping
from pellucid.train.metrics import perplexity

SMALL = ["--net", "4", "--epochs", "1"]


def tell(capsys, *arguments):
    """(exit code, standard error) of a command."""
    capsys.readouterr()
    code = command.run([str(a) for a in arguments])
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return code, err


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def people(path, n=60, answer=lambda i: ("yes", "no")[i % 2]):
    """A table that can be learned from, but for its answers: each row's is answer(i)."""
    rng = random.Random(3)
    rows = (
        f"{1000 + i},{rng.randint(18, 80)},{rng.choice(('Rome', 'Oslo'))},{answer(i)}"
        for i in range(n)
    )
    return write(path, "id,age,city,bought", *rows)


def wave(path, days, cell=lambda i: f"{10 + 5 * np.sin(i / 3):.2f}"):
    """A dated table: row i is of that day, its value cell(i)."""
    start = np.datetime64("2020-01-01")
    return write(path, "day,temp", *(f"{start + d},{cell(i)}" for i, d in enumerate(days)))


def pictures(folder, side=8, n=12, classes=("bar", "beam")):
    Image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(2)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 255, (side, side)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def swapped(n, a, b):
    order = list(range(n))
    order[a], order[b] = order[b], order[a]
    return order


def at(path):
    path.mkdir()
    return path


FORECAST = ("--task", "forecast")
BOUGHT = ("--target", "bought")

# what -> (folder -> arguments of train, exit code, words of the sentence)
REFUSED = {
    "no target named": (
        lambda d: [people(d / "p.csv")], 2,
        ["p.csv", "--target is missing", "Likely: bought", "--target bought"],
    ),
    "a target that is no column": (
        lambda d: [people(d / "p.csv"), "--target", "boutgh"], 2, ["p.csv", "Did you mean 'bought'"],
    ),
    "a target that numbers the rows": (
        lambda d: [people(d / "p.csv"), "--target", "id"], 1,
        ["p.csv", "'id'", "identifier", "Name another target"],
    ),
    "a target that names the rows": (
        lambda d: [people(d / "p.csv", 60, lambda i: f"person {i}"), *BOUGHT], 1,
        ["p.csv", "'bought'", "different in each of its 60 rows", "Name another target"],
    ),
    "a target without any value": (
        lambda d: [people(d / "p.csv", 60, lambda i: ""), *BOUGHT], 1,
        ["p.csv", "'bought'", "no value in any row", "Fill it"],
    ),
    "one class": (
        lambda d: [people(d / "p.csv", 60, lambda i: "yes"), *BOUGHT], 1,
        ["p.csv", "'bought' is 'yes' in every row", "Name another target"],
    ),
    "five rows": (
        lambda d: [people(d / "p.csv", 5), *BOUGHT], 1, ["p.csv", "5 of 5 rows", "10 or more are needed"],
    ),
    "nine rows with a target": (
        lambda d: [people(d / "p.csv", 60, lambda i: "yn"[i % 2] if i < 9 else ""), *BOUGHT], 1,
        ["p.csv", "9 of 60 rows", "10 or more"],
    ),
    "all rows too long": (
        lambda d: [write(d / "p.csv", "a,b,c", *["1,2,3,4"] * 20), "--target", "a"], 1,
        ["p.csv, line 2", "4 cells where the first line has 3", "quote marks"],
    ),
    "all rows too short": (
        lambda d: [write(d / "p.csv", "a,b,c", *["1,2"] * 20), "--target", "a"], 1,
        ["p.csv, line 2", "2 cells where the first line has 3", "column 'c' has none", "write NA"],
    ),
    "a file that is cut": (
        lambda d: [(d / "p.csv").write_text("a,b,c\n" + "1,2,3\n" * 20 + "1,2") and d / "p.csv", "--target", "a"], 1,
        ["p.csv, line 22", "cut there", "Get the whole file, or remove the line"],
    ),
    "all cells missing": (
        lambda d: [write(d / "p.csv", "a,b,c", *["NA,,-"] * 20), "--target", "a"], 1, ["p.csv", "'a'", "no value"],
    ),
    "one stray word among numbers": (
        lambda d: [
            write(d / "p.csv", "a,b", *("o.k.,1" if i == 60 else f"{i},{i % 2}" for i in range(120))),
            "--target", "b",
        ], 1, ["p.csv, line 62", "column 'a'", "'o.k.'", "--missing o.k.", "--column a=category"],
    ),
    "an empty file": (
        lambda d: [(d / "p.csv").touch() or d / "p.csv", "--target", "a"], 1, ["p.csv", "no table"],
    ),
    "names alone": (
        lambda d: [write(d / "p.csv", "a,b,c"), "--target", "a"], 1, ["p.csv", "no rows", "Give at least one"],
    ),
    "no file": (
        lambda d: [people(d / "people.csv").with_name("peopel.csv"), *BOUGHT], 2,
        ["there is no such file", "people.csv"],
    ),
    "an empty folder": (
        lambda d: [at(d / "shapes")], 1, ["shapes", "no picture", "Make a folder for each class"],
    ),
    "a folder of other files": (
        lambda d: [write(at(d / "shapes") / "a.bin", "x").parent], 1, ["shapes", "no picture", "1 .bin"],
    ),
    "a folder of texts": (
        lambda d: [write(write(at(d / "tales") / "a.txt", "x").with_name("b.txt"), "x").parent], 1,
        ["tales: there is no picture in this folder but 2 texts: name one, as ", "a.txt"],
    ),
    "a text in another encoding": (
        lambda d: [(d / "t.txt").write_bytes("für Elise\n".encode("cp1252") * 30) and d / "t.txt"], 1,
        ["t.txt: not UTF-8 text (byte 1)", "iconv -f WINDOWS-1252 -t UTF-8", "t.txt"],
    ),
    "a text in UTF-16": (
        lambda d: [(d / "t.txt").write_text("für Elise\n" * 30, "utf-16") and d / "t.txt"], 1,
        ["t.txt: not UTF-8 text", "iconv -f UTF-16 -t UTF-8"],
    ),
    "a folder of tables": (
        lambda d: [people(at(d / "tables") / "a.csv").parent, *BOUGHT], 1,
        ["tables: there is no picture in this folder but a table", "name it, as ", "a.csv"],
    ),
    "a folder with one class": (
        lambda d: [pictures(d / "shapes", classes=("bar",))], 1, ["shapes", "one class"],
    ),
    "a text of 10 characters": (
        lambda d: [write(d / "t.txt", "abcdefghi")], 1, ["t.txt", "10 characters are too few", "100 or more"],
    ),
    "a text of one character": (
        lambda d: [(d / "t.txt").write_text("a" * 300) and d / "t.txt"], 1, ["t.txt", "one kind of character"],
    ),
    "a date that comes twice": (
        lambda d: [wave(d / "s.csv", [*range(50), 49, *range(51, 120)]), *FORECAST], 1,
        ["s.csv, line 52", "'day'", "2020-02-19 comes twice", "Keep one row"],
    ),
    "a series with a missing value": (
        lambda d: [wave(d / "s.csv", range(120), lambda i: "" if i == 7 else f"{i % 5}"), *FORECAST], 1,
        ["s.csv, line 9", "'temp'", "no value", "Fill or remove"],
    ),
    "five dated values": (
        lambda d: [wave(d / "s.csv", range(5)), *FORECAST], 1, ["s.csv", "values"],
    ),
    "bytes that are no text": (
        lambda d: [(d / "p.csv").write_bytes(bytes(range(256)) * 20) and d / "p.csv", "--target", "a"], 1,
        ["p.csv", "--encoding"],
    ),
    "an archive": (
        lambda d: [(d / "p.csv").write_bytes(b"PK\x03\x04\xa6\x00" * 50) and d / "p.csv", "--target", "a"], 1,
        ["p.csv: a zip archive", "Unpack it", ".xlsx"],
    ),
    "a picture for a table": (
        lambda d: [next(pictures(d / "s").glob("*/*")).rename(d / "p.csv"), "--target", "a"], 1,
        ["p.csv: a picture", "not a table", "a folder for each class"],
    ),
    "a PDF": (
        lambda d: [(d / "p.csv").write_bytes(b"%PDF-1.7\n" * 50) and d / "p.csv", "--target", "a"], 1,
        ["p.csv: a PDF", "as CSV"],
    ),
    "no data at all": (lambda d: [], 2, ["Missing argument 'DATA'", "digits", "train titanic.csv --target"]),
    "an address": (
        lambda d: ["https://example.com/people.csv", *BOUGHT], 2, ["is an address", "curl -LO https://example.com"],
    ),
    "a sheet of what is no workbook": (
        lambda d: [people(d / "p.csv"), *BOUGHT, "--sheet", "May"], 2, ["p.csv", "--sheet is for workbooks"],
    ),
    "words that are to be numbers": (
        lambda d: [people(d / "p.csv"), *BOUGHT, "--column", "city=number"], 1,
        ["p.csv", "column 'city'", "is not a number", "--column city=category"],
    ),
    "a workbook that is none": (
        lambda d: [write(d / "p.xlsx", "nonsense"), "--target", "a"], 1, ["p.xlsx", "Save it again"],
    ),
    "a damaged Parquet file": (
        lambda d: [write(d / "p.parquet", "nonsense"), "--target", "a"], 1, ["p.parquet", "Write it again"],
    ),
    "a damaged array": (
        lambda d: [write(d / "p.npy", "nonsense"), "--target", "a"], 1, ["p.npy", "numpy.save"],
    ),
    "lines that are no JSON": (
        lambda d: [write(d / "p.jsonl", "nonsense"), "--target", "a"], 1, ["p.jsonl, line 1", "no JSON"],
    ),
    "nothing to judge digits by": (
        lambda d: ["digits", "--test", "0"], 2, ["--test 0", "digits", "--test 0.1"],
    ),
    "nothing to judge a text by": (
        lambda d: [write(d / "t.txt", "round the garden " * 20), "--test", "0"], 2, ["--test 0", "t.txt"],
    ),
    "nothing to judge a series by": (
        lambda d: [wave(d / "s.csv", range(120)), *FORECAST, "--test", "0.001"], 2, ["--test 0.001", "s.csv"],
    ),
    "an --out that is a file": (
        lambda d: [people(d / "p.csv"), *BOUGHT, "--out", d / "p.csv", *SMALL], 1,
        ["p.csv: cannot be used as run folder", "--out"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_learned_from_is_refused_in_one_sentence(what, tmp_path, capsys):
    make, code, words = REFUSED[what]
    arguments = make(tmp_path)
    if "--out" not in arguments:
        arguments += ["--out", tmp_path / "run"]
    found, err = tell(capsys, "train", *arguments, "--quiet")
    assert found == code and all(w in err for w in words), err
    assert len(sentence(err).splitlines()) == 1 and sentence(err)[0] != "<", err
    # Nothing that would be in the way when the same is tried with better data.
    assert {p.name for p in (tmp_path / "run").glob("*")} <= {"lock"}


def sentence(err):
    """What is said, without the reminder of how the command is used."""
    return re.sub(r"^Usage:.*\nTry .*\n\n", "", err).strip()


# What is repaired, decided or left out is said, and the run goes on


def plan(capsys, *arguments):
    """The printed plan as one line of words."""
    code, err = tell(capsys, "train", *arguments)
    assert code == 0, err
    return re.sub(r"\s+", " ", err)


def test_rows_without_a_target_are_counted_and_the_first_is_named(tmp_path, capsys):
    path = people(tmp_path / "p.csv", 60, lambda i: "" if i % 10 == 4 else "yn"[i % 2])
    told = plan(capsys, path, *BOUGHT, "--dry-run")
    assert "left out 6 rows: they have no value of 'bought' (the first: p.csv, line 6)" in told


def test_gaps_and_unsorted_dates_are_told(tmp_path, capsys):
    path = wave(tmp_path / "s.csv", [*range(60), *range(75, 120), *range(130, 150)])
    told = plan(capsys, path, *FORECAST, "--dry-run")
    assert "2 gaps in the dates, the first after 2020-02-29" in told
    path = wave(tmp_path / "u.csv", swapped(120, 5, 6))
    told = plan(capsys, path, *FORECAST, "--dry-run")
    assert "u.csv, line 8: its date is before that of the row above" in told


def test_pictures_of_one_pixel_are_learned_and_told(tmp_path, capsys):
    told = plan(capsys, pictures(tmp_path / "dots", side=1), "--width", "2", "--dry-run")
    assert "24 pictures have a single pixel" in told


def test_a_loss_beyond_all_bounds_still_has_a_perplexity():
    assert perplexity(0.0) == 1 and perplexity(1.0) == pytest.approx(np.e)
    assert 1e307 < perplexity(5000.0) < np.inf  # exp of it is more than a number can be


# A run folder of a newer version, or a damaged one


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """(table, finished run)"""
    folder = tmp_path_factory.mktemp("base")
    path = people(folder / "p.csv")
    assert command.run(["train", str(path), *BOUGHT, *SMALL, "--quiet", "--out", f"{folder}/run"]) == 0  # fmt: skip
    return path, folder / "run"


def changed(base, tmp_path, name, old, new):
    """A copy of the run with one text replaced in one of its files."""
    import shutil

    run = shutil.copytree(base[1], tmp_path / "run")
    content = (run / name).read_bytes()
    assert content.count(old) >= 1
    (run / name).write_bytes(content.replace(old, new, 1))
    return run


NEWER = [
    ("predict", "model.json", b'"version": 1', b'"version": 2', ["model.json", "'version' is 2", "newer"]),
    ("info", "model.json", b'"version": 1', b'"version": 2', ["model.json", "'version' is 2", "newer"]),
    ("resume", "run.json", b'"version": 1', b'"version": 2', ["run.json", "'version' is 2", "newer"]),
    ("resume", "checkpoint.safetensors", b'"version":"1"', b'"version":"2"', ["checkpoint", "start a new run"]),
    ("resume", "run.json", b'"epochs"', b'"epochz"', ["run.json", "'epochz'", "newer pellucid"]),
    ("resume", "run.json", b'"batch": 32', b'"batch": "x"', ["run.json", "batch = 'x'", "whole number"]),
    ("resume", "run.json", b'"batch": 32', b'"batch": 0', ["run.json", "batch = 0", "whole number"]),
    ("resume", "run.json", b'"recipe"', b'"recipes"', ["run.json", "'recipe' is missing"]),
    ("resume", "run.json", b"{", b"[", ["run.json", "not valid JSON"]),
    ("info", "metrics.json", b"{", b"[", ["metrics.json", "not valid JSON"]),
    ("pack", "model.json", b'"version": 1', b'"version": 2', []),
]  # fmt: skip


@pytest.mark.parametrize(("use", "name", "old", "new", "words"), NEWER)
def test_a_newer_or_damaged_run_is_refused_in_one_sentence(
    use, name, old, new, words, base, tmp_path, capsys
):
    run = changed(base, tmp_path, name, old, new)
    arguments = {
        "predict": ["predict", run, base[0]],
        "info": ["info", run],
        "resume": ["train", base[0], "--resume", "--out", run, "--quiet"],
        "pack": ["pack", run, "--out", tmp_path / "r.pellucid"],
    }[use]
    code, err = tell(capsys, *arguments)
    if use == "pack":  # a pack says it when it is used
        assert code == 0
        code, err = tell(capsys, "predict", tmp_path / "r.pellucid", base[0])
        words = ["r.pellucid", "'version' is 2", "newer"]
    assert code == 1 and len(err.strip().splitlines()) == 1, err
    assert all(w in err for w in words), err


def test_a_run_goes_on_with_its_own_data_only(base, tmp_path, capsys):
    other = people(tmp_path / "other.csv")
    code, err = tell(capsys, "train", other, "--resume", "--out", base[1], "--quiet")
    assert code == 1 and "learns from" in err and "p.csv" in err and "other.csv" in err


# What should be known before training


def test_what_is_found_in_a_table_is_printed_and_stored_and_reported(tmp_path, capsys):
    rng = random.Random(4)

    def answer(i):
        return "maybe" if i == 7 else "" if i in (20, 21, 22) else ("yes", "no")[rng.random() < 0.5]

    answers = [answer(i) for i in range(200)]
    lines = [
        f"{1000 + i},x,{'A' if y == 'yes' else 'B'},{'inf' if i == 60 else 18 + 7 * i % 90},,{y}"
        for i, y in enumerate(answers)
    ]
    path = write(tmp_path / "p.csv", "id,same,code,age,empty,bought", *lines)
    out = tmp_path / "run"
    told = plan(capsys, path, *BOUGHT, *SMALL, "--out", out)
    stored = json.loads((out / "metrics.json").read_text())
    page = html.unescape(re.sub("<[^>]+>", " ", (out / "report.html").read_text(encoding="utf-8")))
    page = re.sub(r"\s+", " ", page)
    said = {
        "leak": "'code' gives 'bought' away",
        "identifier": "named as an identifier, and every value is different",
        "constant": "every value is 'x'",
        "constant, empty": "every value is missing",
        "repaired": "'age': 1 cell is infinite and taken as beyond all others (p.csv, line 62)",
        "duplicates": "rows equal an earlier one in all columns that are learned from",
        "class": "class 'maybe' of 'bought' has one row",
        "left out": "(the first: p.csv, line 22)",
    }
    everywhere = {
        "plan": told,
        "metrics.json": " ".join([f["text"] for f in stored["findings"]] + stored["notes"]),
        "report.html": page,
    }
    for what, words in said.items():
        for where, text in everywhere.items():
            assert words in text, (what, where)
    assert "--column code=identifier" in told
    assert {d["column"] for d in stored["dropped"]} == {"id", "same", "empty"}
    kinds = {f["kind"] for f in stored["findings"]}
    assert kinds == {"leak", "identifier", "constant", "repaired", "duplicates", "class"}


def test_rows_on_both_sides_of_the_split_are_told(tmp_path, capsys):
    path = write(tmp_path / "p.csv", "a,y", *(f"{i % 2},{'pq'[i % 2]}" for i in range(60)))
    out = tmp_path / "run"
    told = plan(capsys, path, "--target", "y", *SMALL, "--out", out)
    words = "21 of 21 held-out rows are also learned from"  # a fifth of 60, and 15 % of the rest
    assert words in told
    assert words in (out / "metrics.json").read_text()
    assert words in (out / "report.html").read_text(encoding="utf-8")


def test_damaged_pictures_are_named_everywhere(tmp_path, capsys):
    folder, out = pictures(tmp_path / "shapes"), tmp_path / "run"
    whole = (folder / "bar" / "3.png").read_bytes()
    (folder / "bar" / "3.png").write_bytes(whole[:-20])
    (folder / "beam" / "x.png").write_text("nonsense")
    told = plan(capsys, folder, "--width", "2", "--epochs", "1", "--out", out)
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    for name in (f"bar{'/'}3.png", f"beam{'/'}x.png"):
        assert name in told and name in page
        assert name in (out / "metrics.json").read_text()
    assert "2 pictures left out that cannot be read" in told


# Exit codes


def test_exit_codes_are_told_in_the_help_of_every_command(capsys):
    for name in command.cli.commands:
        assert command.run([name, "--help"]) == 0
        told = capsys.readouterr().out
        for code in ("0 ", "1 ", "2 ", "130 ", "143 "):
            assert re.search(rf"^\s*{code}", told, re.MULTILINE), (name, code)


def test_the_exit_codes_are_in_the_page_for_people():
    page = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text(encoding="utf-8")
    for line in command.EXIT_CODES.splitlines()[2:]:
        code = line.split()[0]
        assert f"`{code}`" in page, code


def test_ctrl_c_that_something_has_wrapped_is_still_ctrl_c(monkeypatch, capsys):
    def wrapped(**options):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:  # as Python 3.11 does in a class that is being made
            raise RuntimeError("Error calling __set_name__") from error

    monkeypatch.setattr(command.cli.commands["info"], "callback", wrapped)
    assert tell(capsys, "info", "nowhere") == (130, "pellucid: stopped.\n")

    def failed(**options):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(command.cli.commands["info"], "callback", failed)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        command.run(["info", "nowhere"])
    # NumPy, being imported: "ImportError: numpy._core.umath failed to import", of which no cause is known.
    monkeypatch.setattr(stopping, "_came", [signal.SIGTERM])
    assert tell(capsys, "info", "nowhere") == (143, "pellucid: stopped.\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_was_lost_in_a_callback_still_ends_a_run(
    number, code, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(stopping, "_came", [number])  # it came, and nothing was raised
    found, err = tell(capsys, "train", "digits", *SMALL, "--quiet", "--out", tmp_path / "run")
    assert found == code and "--resume" in err


def test_ctrl_c_in_a_callback_is_remembered_and_prints_nothing():
    code = (
        "import os, signal, weakref\n"
        "from pellucid.cli import stopping\n"
        "stopping.listen()\n"
        "class Thing: pass\n"
        "thing = Thing()\n"
        "kept = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))\n"
        "del thing\n"
        "try: stopping.ask()\n"
        "except KeyboardInterrupt: print(stopping.exit_code())\n"
    )
    path = str(Path(pellucid.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("130\n", "")


def test_a_run_is_called_after_the_folder_that_a_dot_stands_for(tmp_path, monkeypatch):
    monkeypatch.chdir(pictures(tmp_path / "shapes"))
    fast = ["--net", "4", "--epochs", "1", "--no-baselines", "--quiet"]
    for number in (1, 2):
        # The pictures of the first run, its curve, are no class of the second.
        assert command.run(["train", ".", *fast]) == 0
        told = json.loads(
            (tmp_path / "shapes/runs" / f"shapes-{number}" / "metrics.json").read_text()
        )
        assert told["classes"] == ["bar", "beam"]


def test_a_cell_that_is_no_number_is_answered_with_what_predict_can_do(tmp_path, capsys):
    out = tmp_path / "run"
    learned = ["train", people(tmp_path / "p.csv"), *BOUGHT, *SMALL, "--no-baselines", "--quiet"]
    assert tell(capsys, *learned, "--out", out)[0] == 0
    code, err = tell(capsys, "predict", out, write(tmp_path / "new.csv", "age,city", "old,Rome"))
    assert code == 1 and "line 2, column 'age': 'old' is not a number" in err
    assert "leave it empty if it means missing" in err


def test_a_file_without_names_is_told_to_get_them(tmp_path, capsys):
    out = tmp_path / "run"
    learned = ["train", people(tmp_path / "p.csv"), *BOUGHT, *SMALL, "--no-baselines", "--quiet"]
    assert tell(capsys, *learned, "--out", out)[0] == 0
    new = write(tmp_path / "new.csv", *(f"{i},{20 + i},Rome" for i in range(9)))
    code, err = tell(capsys, "predict", out, new)
    assert code == 1 and "needs the columns 'age', 'city'" in err
    assert "no line of names: write one above its rows" in err
    code, err = tell(capsys, "predict", out, write(tmp_path / "new.csv", "Age,city", "20,Rome"))
    assert code == 1 and "rename or add them" in err


def test_a_search_that_is_stopped_before_its_first_try_has_found_nothing(
    tmp_path, capsys, monkeypatch
):
    def stopped(*words):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("pellucid.cli.tune.tune", stopped)
    code, err = tell(capsys, "tune", people(tmp_path / "p.csv"), *BOUGHT)
    assert (code, err.strip()) == (130, "pellucid: stopped.")
