"""The animals that the package carries: whole, and found by their name unless a file has it."""

import csv

import numpy as np
from PIL import Image

from pellucid.data.animals import ANIMALS, table_file
from pellucid.data.reading import read_table
from pellucid.train.recipe import recipe

MARKS = {"yes", "no"}


def test_the_animals_are_what_the_source_says():
    with open(ANIMALS, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["animal"] for row in rows}) == 98
    for row in rows:
        assert {row["trunk"], row["tusks"], row["elephant"]} <= MARKS
        assert int(row["legs"]) % 2 == 0 and 0 <= int(row["legs"]) <= 8
        assert float(row["mass_kg"]) > 0
    elephants = [row for row in rows if row["elephant"] == "yes"]
    assert len(elephants) == 16
    assert all(row["legs"] == "4" and row["trunk"] == "yes" for row in elephants)
    # neither sign alone tells: tapirs have a trunk, boars have tusks, some elephants have none
    others = [row for row in rows if row["elephant"] == "no"]
    assert any(row["trunk"] == "yes" for row in others) and any(r["tusks"] == "yes" for r in others)
    assert any(row["tusks"] == "no" for row in elephants)


def test_the_name_stands_for_the_table_unless_a_file_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(read_table("animals")) == 98
    (tmp_path / "animals").write_text("a,b\n1,2\n3,4\n")
    assert len(read_table("animals")) == 2
    assert table_file(tmp_path / "x.csv") == tmp_path / "x.csv"


def test_a_folder_of_that_name_is_learned_from_instead(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipe("animals").target == "elephant"
    for kind in ("cat", "dog"):
        (tmp_path / "animals" / kind).mkdir(parents=True)
        for i in range(10):
            ink = np.full((8, 8), 20 * i + (kind == "dog"), np.uint8)
            Image.fromarray(ink).save(tmp_path / "animals" / kind / f"{i}.png")
    made = recipe("animals")
    assert made.kind == "pictures" and made.dataset().classes == ("cat", "dog")
