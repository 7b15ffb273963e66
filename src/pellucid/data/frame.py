"""Frame: a table as it was read, before anything is decided about it: named columns of values, some missing.

Readers (reading.py) make it from files, `columns.py` decides what each column is, `encoder.py` makes numbers of it.
N rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..base.errors import DataError

KINDS = {"number": "f", "text": "O", "date": "M"}  # kind -> NumPy's letter of its values


def as_codes(texts: Sequence[Any]) -> tuple[np.ndarray, tuple[Any, ...]]:
    """((N,) int32 codes, the different texts in the order in which they come): row i holds texts[codes[i]]."""
    place = {t: i for i, t in enumerate(dict.fromkeys(texts))}
    return np.fromiter(map(place.__getitem__, texts), np.int32, len(texts)), tuple(place)


class Column:
    """One column.

    kind     number (float64, whole numbers too), text (object array of str), date (datetime64[us])
    values   (N,); what stands where a value is missing means nothing (0, "", 1970)
    missing  (N,) bool"""

    def __init__(self, name: str, kind: str, values: np.ndarray, missing: np.ndarray):
        if values.dtype.kind != KINDS[kind] or values.shape != missing.shape:
            raise DataError(
                f"column {name!r}: {kind} values of {values.dtype}{list(values.shape)} with marks "
                f"of shape {list(missing.shape)}; needed is one mark for each {kind}."
            )
        self.name, self.kind, self.missing = name, kind, missing
        self.values = values

    @staticmethod
    def of_codes(
        name: str, codes: np.ndarray, texts: Sequence[str], missing: np.ndarray
    ) -> "Column":
        """A column of text: row i holds texts[codes[i]]. Different codes of present cells have different texts."""
        made = object.__new__(Column)
        made.name, made.kind, made.missing = name, "text", missing
        made.coded = codes, tuple(texts)
        return made

    def __len__(self) -> int:
        return len(self.missing)

    @cached_property
    def values(self) -> np.ndarray:
        """Of a column that was made of codes: most uses of it need the codes alone."""
        codes, texts = self.coded
        different = np.empty(len(texts), object)
        different[:] = texts
        return different[codes]

    @cached_property
    def coded(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """(codes (N,), texts) of a column of text: row i holds texts[codes[i]], where it is not missing.

        Different codes of present cells have different texts; not every text need come."""
        return as_codes(self.values.tolist())

    def take(self, rows: np.ndarray | slice) -> "Column":
        """The same column of these rows."""
        missing = self.missing[rows]
        if "coded" in self.__dict__ and len(self.coded[1]) <= len(missing):
            return Column.of_codes(self.name, self.coded[0][rows], self.coded[1], missing)
        return Column(self.name, self.kind, self.values[rows], missing)


@dataclass(frozen=True, eq=False)
class Frame:
    """N rows of named columns.

    name   of the file or object that it came from, for messages
    lines  (N,) line of the file on which each row begins, counted from 1; None where there are no lines
    notes  what the reader had to decide or repair, a sentence each: a person is told
    unit   what `lines` count: "line", or "row" of a file without lines, counted from 0"""

    name: str
    columns: tuple[Column, ...]
    lines: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    unit: str = "line"

    def __post_init__(self):
        names = Counter(c.name for c in self.columns)
        twice = sorted(n for n, count in names.items() if count > 1)
        if twice:
            raise DataError(
                f"{self.name}: two columns have the name {twice[0]!r}. Rename one of them."
            )
        if len({len(c) for c in self.columns}) > 1:
            raise DataError(f"{self.name}: the columns have different lengths.")

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def __getitem__(self, name: str) -> Column:
        if name not in self.by_name:
            raise DataError(
                f"{self.name}: there is no column {name!r}. There are: {', '.join(self.names)}."
            )
        return self.by_name[name]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by their names."""
        return {c.name: c for c in self.columns}

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(c.name for c in self.columns)

    def take(self, rows: np.ndarray) -> "Frame":
        """The same columns of these rows."""
        lines = None if self.lines is None else self.lines[rows]
        return replace(self, columns=tuple(c.take(rows) for c in self.columns), lines=lines)

    def without(self, names: Sequence[str]) -> "Frame":
        """The same rows without these columns."""
        return replace(self, columns=tuple(c for c in self.columns if c.name not in names))

    def place(self, row: int) -> str:
        """Where a row is, for messages: 'titanic.csv, line 5' or 'frame, row 3' (rows count from 0)."""
        if self.lines is None:
            return f"{self.name}, row {row}"
        return f"{self.name}, {self.unit} {self.lines[row]}"
