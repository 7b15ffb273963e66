"""What one look at a delimited file that is larger than memory finds: how each of its columns is read, and a sample.

The cells of all its pieces (pieces.py) decide (written.py); only then are columns made. N rows of a piece, or of the
sample"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from .cells import Repairs, column_of, marks_of
from .delimited import MIXED, swallows_lines
from .dialect import Dialect, QuoteError
from .frame import Column, Frame
from .layout import Layout, layout_of
from .parts import number_hashes
from .pieces import Tally, cuts
from .regular import Cut
from .written import Cells, Reading, Unsure, Written, decide, written


@dataclass(frozen=True)
class Survey:
    """What one look at the whole file has found.

    readings  how each column is read    columns  places of those that are kept
    n         rows                       sample   a Frame of some, drawn by chance    rows   their numbers, from 0
    notes     a sentence for each thing that was decided                              size   bytes of a piece"""

    layout: Layout
    readings: tuple[Reading, ...]
    columns: tuple[int, ...]
    n: int
    sample: Frame
    rows: np.ndarray
    notes: tuple[str, ...]
    size: int

    def frames(self, repairs: dict[str, Repairs]) -> Iterator[Frame]:
        """The file's rows, piece by piece, as read_table reads them; what is repaired is added to `repairs`."""
        layout = self.layout
        marks = marks_of(layout.options.get("missing"))
        plain = [i for i in self.columns if is_plain(self.readings[i])]
        for cut in cuts(layout, self.size, plain, Tally()):
            columns = []
            for i in self.columns:
                column, found = made(layout, self.readings, cut, i, marks)
                columns.append(column)
                before = repairs.get(column.name)
                repairs[column.name] = found if before is None else before.joined(found)
            yield Frame(layout.name, tuple(columns), cut.lines)


def made(
    layout: Layout, readings: Sequence[Reading], cut: Cut, i: int, marks: tuple
) -> tuple[Column, Repairs]:
    """A column of a piece, as it was decided to be read."""
    if i in cut.numbers:
        return cut.numbers[i]
    return column_of(
        cut.texts[i], readings[i], marks, lambda row: f"{layout.name}, line {cut.lines[row]}"
    )


def is_plain(reading: Reading) -> bool:
    return reading.kind == "number" and reading.style == "plain" and not reading.sign


class _Swallowed(Exception):
    """A cell holds whole lines of a table: a tab and an end of line."""


class _Again(Exception):
    """Columns whose cells must all be seen as they are written."""

    def __init__(self, columns: set[int]):
        self.columns = columns


def survey(path: Path, size: int, most: int, **options: Any) -> Survey:
    """Looks at every row of the file once, or again where the first look saw too little.

    size     bytes of a piece        most   rows of the sample
    options  those of reading.read_table"""
    # Many writers of tab-separated text know no quoting: there a quote mark may open a cell and close nothing.
    try:
        return _looked(layout_of(path, **options), size, most)
    except _Swallowed:
        try:
            return _looked(layout_of(path, quotes=False, **options), size, most)
        except DataError:
            return _looked(layout_of(path, **options), size, most, may_swallow=True)
    except QuoteError as error:
        layout = layout_of(path, quotes=False, **options)
        if layout.dialect.delimiter != "\t":
            raise
        try:
            return _looked(layout, size, most)
        except DataError:
            raise error from None


def _looked(layout: Layout, size: int, most: int, may_swallow: bool = False) -> Survey:
    """Looks as often as is needed to see what decides."""
    written_out: set[int] = set()
    while True:
        try:
            return _surveyed(layout, size, most, written_out, may_swallow)
        except _Again as again:
            assert not again.columns <= written_out
            written_out |= again.columns


def _surveyed(
    layout: Layout, size: int, most: int, written_out: set[int], may_swallow: bool
) -> Survey:
    marks = marks_of(layout.options.get("missing"))
    names = layout.names
    numbers = [i for i in layout.numbers if i not in written_out]
    facts = [Written() for _ in names]
    seen_as_numbers: set[int] = set()
    tally, drawn, n = Tally(), Sample(most), 0
    is_suspect = layout.dialect == Dialect("\t") and not may_swallow
    for cut in cuts(layout, size, numbers, tally):
        if is_suspect and any(
            map(swallows_lines, chain.from_iterable(c.distinct for c in cut.texts.values()))
        ):
            raise _Swallowed
        for i, w in facts_of(layout, cut, marks[1], written_out).items():
            try:
                facts[i] = facts[i].joined(w)
            except Unsure:
                raise _Again({i}) from None
        seen_as_numbers |= set(cut.numbers)
        if cut.numbers:  # what was no number once is not asked for again
            numbers[:] = [i for i in numbers if i in cut.numbers]
        drawn.add(cut, n)
        n += len(cut.lines)
    if not n:
        raise DataError(
            f"{layout.name}: there are names of columns and no rows. Give at least one row below them."
        )
    o = layout.options
    try:
        readings = decide(
            dict(zip(names, facts, strict=True)), o.get("decimal"), o.get("kinds"), layout.dialect.delimiter == ","
        )  # fmt: skip
    except Unsure:
        raise _Again(set(range(len(names)))) from None
    wrong = {i for i in seen_as_numbers if not is_plain(readings[i])}
    if wrong:
        raise _Again(wrong)
    columns, notes = tuple(range(len(names))), list(layout.notes)
    if layout.is_unnamed and not facts[-1].n:
        columns = columns[:-1]
        notes = [x for x in notes if not x.startswith(f"column {len(names)} has no name")]
        notes.append("every line ends with a delimiter: the empty column after it is left out.")
    if "mixed" in tally.n:
        notes.append(MIXED)
    notes += tally.notes()
    notes += [note for i in columns for note in readings[i].notes]
    sample = drawn.frame(layout, readings, columns, marks)
    return Survey(layout, tuple(readings), columns, n, sample, drawn.numbers(), tuple(notes), size)


def facts_of(
    layout: Layout, cut: Cut, marks: frozenset[str], thorough: set[int]
) -> dict[int, Written]:
    """How the cells of each column of a piece are written."""
    place = lambda row: f"{layout.name}, line {cut.lines[row]}"  # noqa: E731
    found = cut.facts()
    is_comma = layout.options.get("decimal") == ","
    for i, cells in cut.texts.items():
        found[i] = written(cells, marks, place, is_comma or i in thorough)
    return found


@dataclass
class Drawn:
    """Some rows of a piece: their numbers in the file, hashes of these, lines, columns of numbers, and the cells of the
    others in one string each: thousands of strings would pin the memory that the rest of the piece leaves."""

    numbers: np.ndarray
    hashes: np.ndarray
    lines: np.ndarray
    columns: dict[int, Column]
    texts: dict[int, str]

    def below(self, limit: np.uint64) -> "Drawn":
        """Those whose hash is no larger."""
        at = np.flatnonzero(self.hashes <= limit)
        return Drawn(
            self.numbers[at],
            self.hashes[at],
            self.lines[at],
            {i: c.take(at) for i, c in self.columns.items()},
            {i: chosen(t, at) for i, t in self.texts.items()},
        )


NUL = "\0"  # stands in no cell


def chosen(texts: str, rows: np.ndarray) -> str:
    """The cells of these rows."""
    cells = texts.split(NUL)
    return NUL.join([cells[r] for r in rows.tolist()])


class Sample:
    """Rows drawn by chance from pieces that come one after the other: those whose numbers have the least hashes.

    Which rows it holds does not depend on how the file is cut."""

    def __init__(self, most: int):
        self.most = most
        self.pieces: list[Drawn] = []
        self.limit = np.uint64(2**64 - 1)

    def add(self, cut: Cut, first: int) -> None:
        """Rows of a piece; the first has this number."""
        numbers = np.arange(first, first + len(cut.lines))
        hashes = number_hashes(numbers)
        at = np.flatnonzero(hashes <= self.limit)
        if not len(at):
            return
        columns = {i: column.take(at) for i, (column, _) in cut.numbers.items()}
        texts = {i: NUL.join(c.texts(at)) for i, c in cut.texts.items()}
        self.pieces.append(Drawn(numbers[at], hashes[at], cut.lines[at], columns, texts))
        if sum(len(p.numbers) for p in self.pieces) > 2 * self.most:
            self.finish()

    def finish(self) -> None:
        """Cuts it to its size."""
        every = np.concatenate([p.hashes for p in self.pieces])
        if len(every) > self.most:
            self.limit = np.partition(every, self.most - 1)[self.most - 1]
            self.pieces = [p.below(self.limit) for p in self.pieces]
            self.pieces = [p for p in self.pieces if len(p.numbers)]

    def numbers(self) -> np.ndarray:
        """The numbers of its rows in the file, from 0."""
        return np.concatenate([p.numbers for p in self.pieces])

    def frame(
        self, layout: Layout, readings: Sequence[Reading], columns: Sequence[int], marks: tuple
    ) -> Frame:
        """The rows, read as was decided."""
        self.finish()
        out = []
        for i in columns:
            name, kind = layout.names[i], readings[i].kind
            parts = []
            for p in self.pieces:
                if i in p.columns:
                    parts.append(p.columns[i])
                    continue
                cut = Cut(p.lines, {i: Cells.of(name, p.texts.pop(i).split(NUL))})
                parts.append(made(layout, readings, cut, i, marks)[0])
            values = np.concatenate([c.values for c in parts])
            missing = np.concatenate([c.missing for c in parts])
            out.append(Column(name, kind, values, missing))
        return Frame(layout.name, tuple(out), np.concatenate([p.lines for p in self.pieces]))
