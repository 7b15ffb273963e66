"""The animals that the package carries: whole, and found by their name unless a file has it."""

import csv

from pellucid.data.animals import ANIMALS, table_file
from pellucid.data.reading import read_table

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
