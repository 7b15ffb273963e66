"""The table that the package carries: 98 animals, and whether each is an elephant.

animals.csv has a row for each kind, of elephants also for sex and age, as these decide about tusks: the legs that it
walks on (fins, flippers and wings are none), whether it has a trunk (a long nose that grasps; the tapirs' short one
counts) and tusks, its main colour, the usual mass of a grown one in kg, rounded. Mammoths count as elephants: they are
of the same family. Compiled for pellucid from common knowledge, under its licence."""

import os
from pathlib import Path

ANIMALS = Path(__file__).with_name("animals.csv")
TARGET = "elephant"
SOURCE = "98 animals, compiled for pellucid"
LICENCE = "Apache-2.0"


def table_file(name: str | Path) -> Path:
    """Where a table is: `animals` is the one that the package carries, unless there is a file of that name."""
    return ANIMALS if os.fspath(name) == "animals" and not os.path.exists(name) else Path(name)
