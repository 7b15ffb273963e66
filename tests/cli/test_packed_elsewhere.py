"""A packed run answers elsewhere what it answered where it was made, byte for byte: its data and folder are gone.

PELLUCID_FRESH_VENV=1 does it in an environment that a wheel of this tree is installed into."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.cli import main as command
from pellucid.data import load_digits

ROOT = Path(__file__).parents[2]
FRESH = os.environ.get("PELLUCID_FRESH_VENV")

# What is run elsewhere: commands come as JSON, what each prints goes to a file of its own.
ASK = """
import contextlib, io, json, sys
from pellucid.cli.main import run
import pellucid
for name, arguments in json.load(open("orders.json")).items():
    with open(name, "w", encoding="utf-8", newline="") as file, contextlib.redirect_stdout(file):
        code = run(arguments)
    assert code == 0, (name, code)
print(pellucid.__file__)
"""


def table(folder):
    """Numbers with missing cells, categories, dates, words: all that is prepared; new rows have unseen ones."""
    rng = np.random.default_rng(1)
    words = ("fine", "fast", "slow", "good", "bad")

    def rows(n, cities):
        for i in range(n):
            age = "" if i % 9 == 4 else f"{20 + i % 3 * 9 + rng.normal():.2f}"
            said = " ".join(rng.choice(words, 4))
            day = f"2020-{1 + i % 12:02}-{1 + i % 28:02}"
            yield f'{age},{cities[i % len(cities)]},{day},"{said}, {i}",{"xyz"[i % 3]}'

    names = "age,city,day,said,kind"
    (folder / "t.csv").write_text("\n".join([names, *rows(150, ("Rome", "Oslo"))]) + "\n")
    (folder / "new.csv").write_text("\n".join([names, *rows(40, ("Rome", "Bern", ""))]) + "\n")
    small = ["--net", "8", "--epochs", "2"]
    return ["t.csv", "--target", "kind", *small], ["new.csv"], ["new.csv"]


def amounts(folder):
    """Amounts, from cells with decimal commas."""
    rows = [f"{i % 17},5;{i % 5};{3 * (i % 17) - i % 5},25" for i in range(120)]
    (folder / "a.csv").write_text("\n".join(["length;n;price", *rows]) + "\n")
    (folder / "more.csv").write_text("n;length\n3;7,5\n1;0,25\n;2\n")
    small = ["--net", "8", "--epochs", "2"]
    return ["a.csv", "--target", "price", *small], ["more.csv"], ["more.csv"]


def digits(folder):
    """Pictures of 64 numbers."""
    found = load_digits()
    np.savetxt(folder / "rows.csv", found.x[:30] * 16, fmt="%d", delimiter=",")
    small = ["--net", "cnn", "--width", "2", "--epochs", "1", "--batch", "256"]
    return ["digits", *small], ["rows.csv", "--json"], ["rows.csv"]


def series(folder):
    """A dated table."""
    days = np.arange("2020-01-01", "2020-04-30", dtype="M8[D]")
    lines = [f"{day},{10 + 5 * np.sin(i / 3):.3f}" for i, day in enumerate(days)]
    (folder / "s.csv").write_text("\n".join(["day,temp", *lines]) + "\n")
    (folder / "later.csv").write_text("\n".join(["day,temp", *lines[60:100]]) + "\n")
    small = ["--task", "forecast", "--width", "4", "--epochs", "2"]
    return ["s.csv", *small], ["later.csv", "--steps", "5", "--json"], ["later.csv"]


def text(folder):
    """A rhyme."""
    (folder / "r.txt").write_text("Round and round the garden\nlike a teddy bear;\n" * 30)
    (folder / "line.txt").write_text("and round the")
    small = ["--width", "8", "--layers", "1", "--window", "16", "--epochs", "1"]
    return ["r.txt", *small], ["line.txt", "--json"], ["line.txt"]


def pictures(folder):
    """Bars and beams."""
    Image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(5)
    for kind in ("bar", "beam"):
        (folder / "shapes" / kind).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 60, (9, 12, 3)).astype(np.uint8)
            at = int(rng.integers(1, 6))
            (pixels.swapaxes(0, 1) if kind == "bar" else pixels)[at : at + 2] = 250
            Image.fromarray(pixels).save(folder / "shapes" / kind / f"{i}.png")
    shutil.copy(folder / "shapes" / "bar" / "3.png", folder / "bar.png")
    Image.fromarray(rng.integers(0, 255, (30, 20)).astype(np.uint8)).save(folder / "grey.jpg")
    small = ["--width", "2", "--epochs", "1"]
    return ["shapes", *small], ["bar.png", "grey.jpg", "--json"], ["bar.png", "grey.jpg"]


KINDS = (table, amounts, digits, series, text, pictures)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """(folder of another place, what each kind was asked, what it answered where it was made).

    The other place has the packs and the files to be asked about, nothing else; the first place is gone."""
    made, there = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("there")
    here = Path.cwd()
    os.chdir(made)
    orders, expected = {}, {}
    try:
        for kind in KINDS:
            name = kind.__name__
            train, predict, raw = kind(made)
            assert command.run(["train", *train, "--quiet", "--out", name]) == 0
            assert command.run(["pack", name]) == 0
            orders[f"{name}.out"] = ["predict", name, *predict]
            with contextlib.redirect_stdout(io.StringIO()) as told:
                assert command.run(["predict", name, *predict]) == 0
            expected[f"{name}.out"] = told.getvalue().encode()
            shutil.copy(f"{name}.pellucid", there / name)  # one name for the folder and the pack
            for file in raw:
                shutil.copy(file, there / file)
    finally:
        os.chdir(here)
    shutil.rmtree(made)
    (there / "orders.json").write_text(json.dumps(orders))
    return there, orders, expected


def environment(folder):
    """Nothing of this process but where Python is: a home of its own, so that nothing is found in caches."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {n: os.environ[n] for n in ("PATH", "SYSTEMROOT", "TMPDIR") if n in os.environ}
    path = str(Path(pellucid.__file__).parents[1])
    return {**kept, "HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": path}


def test_a_pack_answers_elsewhere_byte_for_byte(answers):
    there, orders, expected = answers
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=environment(there),
        cwd=there,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name in orders:
        assert (there / name).read_bytes() == expected[name], name
        assert len(expected[name]) > 20


def test_a_pack_holds_no_code_and_no_place_of_its_maker(answers):
    there, orders, _ = answers
    for name in orders:
        with zipfile.ZipFile(there / name.removesuffix(".out")) as archive:
            inside = set(archive.namelist())
            assert {Path(member).suffix for member in inside} == {".json", ".safetensors"}
            for member in inside:
                assert str(there.parent).encode() not in archive.read(member), (name, member)


@pytest.mark.skipif(not FRESH, reason="PELLUCID_FRESH_VENV=1: installs a wheel")
def test_a_pack_answers_in_a_fresh_environment_byte_for_byte(answers, tmp_path):
    there, orders, expected = answers
    pip = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*pip, str(ROOT)], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "v")], check=True)
    python = tmp_path / "v" / ("Scripts" if os.name == "nt" else "bin") / "python"
    wheel = next(tmp_path.glob("pellucid-*.whl"))
    subprocess.run([python, "-m", "pip", "--quiet", "install", str(wheel)], check=True)
    env = environment(there)
    del env["PYTHONPATH"]
    done = subprocess.run([python, "-c", ASK], env=env, cwd=there, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "v") in done.stdout
    for name in orders:
        assert (there / name).read_bytes() == expected[name], name
