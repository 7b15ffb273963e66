"""Cells become columns: numbers, dates or text, decided over all cells of a file (written.py).

Comes in: the cells of a file as they are written (delimited.py, reading.py). Goes out: columns (frame.py) and a
sentence for each thing that had to be decided. A number is read only where every present cell is a number and no
digit is lost: 007 and 20-digit identifiers stay text. Each distinct cell is looked at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from shlex import quote

import numpy as np

from ..base.errors import DataError
from .frame import Column
from .written import (
    BLANK,
    INFINITE,
    MARKS,
    NUMBER_MARKS,
    Cells,
    Reading,
    Unsure,
    Written,
    bare_of,
    date_parts,
    decide,
    moment,
    written,
)


def marks_of(missing: Sequence[str] | None) -> tuple[frozenset[str], frozenset[str]]:
    """(marks of a missing value in every column, those in a column of numbers or dates)."""
    return (MARKS, NUMBER_MARKS) if missing is None else (frozenset(["", *missing]),) * 2


def columns_of(
    names: Sequence[str],
    columns: Sequence[Sequence[str | None] | Cells],
    place: Callable[[int], str],
    missing: Sequence[str] | None = None,
    decimal: str | None = None,
    kinds: Mapping[str, str] | None = None,
    comma_separated: bool = True,
    others: Mapping[str, Written] | None = None,
) -> tuple[tuple[Column, ...], list[str]]:
    """Columns of the cells, and notes.

    place            says where a row is: 'titanic.csv, line 5'
    missing          marks of a missing value instead of MARKS; an empty cell is always missing
    decimal          "." or ","; None finds out
    kinds            name -> number, text or date, where it must not be found out
    comma_separated  the cells stood between commas: 1,234 is then 1234, not 1.234
    others           facts of other columns of the file

    Raises DataError, with the place and the column, for a number too large, for a stray word in a column of
    numbers, and for numbers that can be read in two ways; Unsure where that depends on facts of `others` that were
    not looked at."""
    marks = marks_of(missing)
    cells = [
        texts if isinstance(texts, Cells) else Cells.of(name, texts)
        for name, texts in zip(names, columns, strict=True)
    ]
    for thorough in (False, True):
        facts = dict(others or {})
        facts.update((c.name, written(c, marks[1], place, thorough)) for c in cells)
        try:
            readings = decide(facts, decimal, kinds, comma_separated)
            break
        except Unsure:
            if thorough:
                raise
    by_name = dict(zip(facts, readings, strict=True))
    out, notes = [], []
    for c in cells:
        reading = by_name[c.name]
        column, repairs = column_of(c, reading, marks, place)
        out.append(column)
        notes += [*reading.notes, *repairs.notes()]
    return tuple(out), notes


@dataclass(frozen=True)
class Repairs:
    """Cells of a column that a person should know of: how many, and where the first is.

    marks     that hold a mark of a missing value      infinite   that are infinite"""

    name: str
    marks: int = 0
    first_mark: str = ""
    infinite: int = 0
    first_infinite: str = ""

    def joined(self, other: "Repairs") -> "Repairs":
        """Of this part of a column and the one after it."""
        return Repairs(
            self.name,
            self.marks + other.marks,
            self.first_mark or other.first_mark,
            self.infinite + other.infinite,
            self.first_infinite or other.first_infinite,
        )

    def notes(self) -> list[str]:
        """A sentence for each kind."""
        out = []
        if self.marks:
            said = "1 cell holds a mark" if self.marks == 1 else f"{self.marks} cells hold marks"
            out.append(
                f"column {self.name!r}: {said} such as NA, read as missing ({self.first_mark})."
            )
        if self.infinite:
            said = "1 cell is" if self.infinite == 1 else f"{self.infinite} cells are"
            out.append(f"column {self.name!r}: {said} infinite ({self.first_infinite}).")
        return out


def column_of(
    c: Cells,
    reading: Reading,
    marks: tuple[frozenset[str], frozenset[str]],
    place: Callable[[int], str],
) -> tuple[Column, Repairs]:
    """The column as it was decided to be read. Raises DataError for a number too large, or a cell that is none."""
    known = marks[reading.kind != "text"]
    is_mark = np.array([t in known for t in c.distinct], bool)
    missing = is_mark[c.codes]
    said = np.array([bool(t) for t in c.distinct], bool) & is_mark
    rows = said[c.codes] if said.any() else missing[:0]
    repairs = Repairs(c.name, int(rows.sum()), place(int(rows.argmax())) if rows.any() else "")
    if reading.kind == "text":
        texts = ["" if m else t for t, m in zip(c.distinct, is_mark.tolist(), strict=True)]
        return Column.of_codes(c.name, c.codes, texts, missing), repairs
    is_number = reading.kind == "number"
    present = [t for t, m in zip(c.distinct, is_mark.tolist(), strict=True) if not m]
    value_of = (_numbers if is_number else _dates)(c, present, reading, place)
    nothing = 0.0 if is_number else EPOCH
    dtype = np.float64 if is_number else "datetime64[us]"
    values = np.array([value_of.get(t, nothing) for t in c.distinct], dtype)[c.codes]
    if is_number and (infinite := np.isinf(values)).any():
        n, where = int(infinite.sum()), place(int(infinite.argmax()))
        repairs = replace(repairs, infinite=n, first_infinite=where)
    return Column(c.name, reading.kind, values, missing), repairs


EPOCH = np.datetime64(0, "us")


def _numbers(c: Cells, present: list[str], reading: Reading, place: Callable) -> dict:
    """The number of each different cell."""
    bare, sign = bare_of(present) if present and reading.sign else (present, reading.sign)
    value_of = {}
    for text, cut in zip(present, bare, strict=True):
        try:
            value = float(_plain(cut, reading.style))
        except ValueError:
            value = np.nan
        if value != value or sign != reading.sign:
            raise DataError(
                f"{place(c.first(text))}, column {c.name!r}: {text!r} is not a number. Correct it, or leave it "
                f"empty if it means missing (to train: --missing {quote(text)})"
            )
        if np.isinf(value) and not INFINITE.fullmatch(cut):
            raise DataError(
                f"{place(c.first(text))}, column {c.name!r}: {text[:40]} is beyond the largest number, 1.8e308. "
                f"Correct it, or read it as missing: --missing {quote(text[:40])}"
            )
        value_of[text] = value
    return value_of


def _plain(text: str, style: str) -> str:
    """The number as Python writes it."""
    if INFINITE.fullmatch(text):
        return text.replace("∞", "inf")
    if style == "plain":
        return text
    text = re.sub(BLANK, "", text)
    return text.replace(".", "").replace(",", ".") if style == "comma" else text.replace(",", "")


def _dates(c: Cells, present: list[str], reading: Reading, place: Callable) -> dict:
    """The date of each different cell."""
    value_of = {}
    for text in present:
        when = date_of(text, reading.day_first)
        if when is None:
            raise DataError(
                f"{place(c.first(text))}, column {c.name!r}: {text!r} is not a date that can be read in one "
                f"way. Write dates as 2020-01-31."
            )
        value_of[text] = when
    return value_of


@lru_cache(1 << 16)
def date_of(text: str, day_first: bool) -> np.datetime64 | None:
    """The date; None for what is none. Dates come again and again in a table."""
    parts = date_parts(text)
    when = None if parts is None else moment(parts, day_first)
    return None if when is None else np.datetime64(when, "us")
