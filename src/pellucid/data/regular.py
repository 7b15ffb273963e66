"""Large regular files of delimited text, cut by machine code (cutter.py).

A file is regular when every record has the same number of cells, every quote mark opens or closes a whole cell, its
lines end in one way, and none is blank. What is not regular is left to delimited.py (None), which says where it is
not. N rows, of which a chunk of the file has some."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..tensor import engine
from .cells import Repairs, columns_of, marks_of
from .cutter import Codes, Numbers, Text
from .dialect import Dialect
from .frame import Column, Frame
from .written import NUMBER, Cells, Unsure, Written, plain_numbers


@dataclass
class Cut:
    """Rows of a delimited file, cut into cells.

    lines    (N,) on which they begin
    numbers  column -> what holds nothing but plain numbers, read as such already
    texts    column -> its cells as they are written
    points   of the numbers, columns in which a cell has a decimal point"""

    lines: np.ndarray
    texts: dict[int, Cells]
    numbers: dict[int, tuple[Column, Repairs]] = field(default_factory=dict)
    points: set[int] = field(default_factory=set)

    def facts(self) -> dict[int, Written]:
        """How the numbers are written."""
        return {
            i: plain_numbers(int((~c.missing).sum()), i in self.points)
            for i, (c, _) in self.numbers.items()
        }


def read_regular(
    data: bytes,
    names: Sequence[str],
    head: Sequence[tuple[int, list[str]]],
    dialect: Dialect,
    header: tuple[int, list[str]] | None,
    start: int,
    name: str,
    options: dict,
) -> Frame | None:
    """The frame of a regular file in UTF-8, else None.

    head         first records without the header, with their lines
    header       line and cells of the header, None without one
    start        line of the file on which the data begin
    options      of cells.columns_of"""
    if not head or any(len(row) != len(names) for _, row in head):
        return None
    above = 0
    if header is not None:
        if header[0] != start or head[0][0] != start + 1 or b"\n" not in data:
            return None
        above, start = data.index(b"\n") + 1, start + 1
    numbers = number_like(names, [row for _, row in head], options)
    marks = marks_of(options.get("missing"))[1]
    cut = cut_regular(
        data, names, numbers, dialect, header and header[1], start, name, marks, above
    )
    if cut is None:
        return None
    facts, others = cut.facts(), sorted(cut.texts)
    try:
        made, said = columns_of(
            [names[i] for i in others],
            [cut.texts.pop(i) for i in others],
            lambda row: f"{name}, line {cut.lines[row]}",
            others={names[i]: w for i, w in facts.items()},
            **options,
        )
    except Unsure:
        return None  # a point may stand between thousands
    columns = {i: c for i, (c, _) in cut.numbers.items()}
    columns.update(zip(others, made, strict=True))
    in_order = [note for i in sorted(cut.numbers) for note in cut.numbers[i][1].notes()]
    return Frame(name, tuple(columns[i] for i in range(len(names))), cut.lines, (*in_order, *said))


def number_like(names: Sequence[str], rows: Sequence[Sequence[str]], options: dict) -> list[int]:
    """The columns that hold nothing but plain numbers in these rows, and may be read as numbers."""
    marks, kinds = marks_of(options.get("missing"))[1], options.get("kinds") or {}
    return [
        i
        for i, column in enumerate(names)
        if options.get("decimal") != ","
        and kinds.get(column, "number") == "number"
        and all(NUMBER.fullmatch(c) or c in marks for c in (row[i].strip() for row in rows))
    ]


def cut_regular(
    data: bytes,
    names: Sequence[str],
    numbers: Sequence[int],
    dialect: Dialect,
    header: Sequence[str] | None,
    start: int,
    name: str,
    marks: Collection[str],
    above: int = 0,
) -> Cut | None:
    """The rows of a regular file, or of a part of one; None where it is not regular.

    numbers  columns that are read as numbers where they hold nothing else
    header   the names as they are written: a row that repeats them is not regular
    start    line of the file on which the rows begin, `above` bytes into the data
    marks    of a missing value in columns of numbers"""
    eol = _end_of_lines(data)
    if (
        eol is None
        or ord(dialect.delimiter) > 127
        or dialect.delimiter == " "
        or engine.name() != "compiled"
    ):
        return None
    text = Text(data, above, eol, len(names), dialect)
    most = _n_feeds(data) + 1
    numeric = {i: Numbers(text, i, most, marks) for i in numbers}
    texts = {i: Codes(text, i, most) for i in range(len(names)) if i not in numeric}
    lines = text.cut([*numeric.values(), *texts.values()])
    again = {i: Codes(text, i, most) for i, c in numeric.items() if not c.are_plain}
    if lines is None or (again and text.cut(list(again.values())) is None):
        return None
    texts |= again
    lines += start
    n = len(lines)
    cut = Cut(lines, {i: c.cells(names[i], n) for i, c in sorted(texts.items())})
    for i, c in numeric.items():
        if c.are_plain:
            first = "" if c.first_mark < 0 else f"{name}, line {lines[c.first_mark]}"
            column = Column(names[i], "number", c.values[:n], c.missing[:n])
            cut.numbers[i] = column, Repairs(names[i], c.n_marks, first)
            if c.points[0]:
                cut.points.add(i)
    if header and len(cut.texts) == len(names) and is_header_again(header, cut.texts):
        return None
    return cut


def _n_feeds(data: bytes) -> int:
    """How many line feeds there are; data.count takes four times as long where there are many."""
    every = np.frombuffer(data, np.uint8)
    parts = range(0, len(every), 1 << 20)
    return sum(int(np.count_nonzero(every[at : at + (1 << 20)] == 10)) for at in parts)


def _end_of_lines(data: bytes) -> bytes | None:
    """What ends every line; None where they end in several ways."""
    if b"\r" not in data:
        return b"\n"
    n_crlf = data.count(b"\r\n")
    return b"\r\n" if data.count(b"\r") == n_crlf == data.count(b"\n") else None


def is_header_again(header: Sequence[str], columns: dict[int, Cells]) -> bool:
    """Whether a row is the line of names once more."""
    names = [name.strip() for name in header]
    rows = np.arange(len(columns[0]))
    for i, name in enumerate(names):
        cells = columns[i]
        if name not in cells.distinct:
            return False
        rows = rows[cells.codes[rows] == cells.distinct.index(name)]
        if not len(rows):
            return False
    return True
