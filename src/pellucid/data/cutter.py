"""Cutter: regular delimited text to columns of numbers and of codes of texts, by machine code.

A chunk of the text is cut into cells (cut_rows.py) while it is in the cache; then each column reads its cells, as
numbers (cut_numbers.py) or as codes of their different texts (cut_texts.py)."""

import ctypes
import functools
from collections.abc import Collection, Sequence

import numpy as np

from . import cut_numbers, cut_rows, cut_texts
from .dialect import Dialect
from .written import EXACT, LEADING_ZERO, NUMBER, Cells

BLOCK = 64  # bytes that cut_rows.py compares at once
CHUNK = 1 << 18  # bytes that are cut together, a multiple of BLOCK
LONGEST = 1 << 26  # bytes of a row: more is an open quote mark
PAD = 2 * BLOCK  # bytes beyond a chunk that may be read
QUOTE, NO_QUOTE = ord('"'), 0xFF  # the latter is no byte of UTF-8

_P, _I, _B = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint8
SIGNATURES = {
    "cut": (_P, _I, _B, _B, _I, _I, _P, _P, _P, _P),
    "numbers": (_P, _P, _P, _I, _I, _P, _P, _P, _P, _P),
    "codes": (_P, _P, _P, _I, _I, _I, _P, _P, _I, _P, _P, _P, _P),
    "fill": (_P, _I, _P, _I),
}


@functools.cache
def native() -> dict:
    """The functions by their names, compiled for this machine or read from the object cache."""
    from ..runtime import jit  # LLVM: not before a large table is read

    text = cut_rows.TEXT + cut_numbers.TEXT + cut_texts.TEXT
    (found,) = jit.link([(text, tuple(f"pellucid_{name}" for name in SIGNATURES))])
    _code.append(found)
    return {
        name: ctypes.CFUNCTYPE(_I, *types)(found[f"pellucid_{name}"])
        for name, types in SIGNATURES.items()
    }


_code: list = []  # held for good: it would be unloaded else


def address(array: np.ndarray) -> int:
    """Where its values lie."""
    return array.ctypes.data


class Text:
    """UTF-8 text of which every line ends in one way, cut chunk by chunk.

    above  bytes that are no rows      eol  what ends a line      width  cells of a row"""

    def __init__(self, data: bytes, above: int, eol: bytes, width: int, dialect: Dialect):
        self.data, self.above, self.eol, self.width = data, above, eol, width
        self.delimiter = ord(dialect.delimiter)
        self.is_quoted = dialect.quotes and b'"' in data
        self.tails: dict[int, bytes] = {}  # ends of the data, with room behind, by first byte
        self._make_room(CHUNK)

    def _make_room(self, size: int) -> None:
        """For the cells of a chunk of this many bytes: begins, ends, lines after a row; and rows that are odd."""
        self.size, room = size, size + PAD + BLOCK
        self.begins, self.ends, self.odd = (np.empty(room, np.int32) for _ in range(3))
        self.lines = np.empty(room, np.int64)
        self.begins_at, self.ends_at, self.odd_at = map(address, (self.begins, self.ends, self.odd))

    def cut(self, columns: "Sequence[Numbers | Codes]") -> np.ndarray | None:
        """Adds all rows to these columns. (N,) int64 lines on which they begin, from 0; None: they are not regular."""
        starts, at, n_lines, n_rows = [np.zeros(1, np.int64)], self.above, 0, 0
        while at < len(self.data):
            rows, used = self._cut_chunk(at)
            if rows < 0 or (rows == 0 and self.size >= LONGEST):
                return None
            if not rows:
                self._make_room(2 * self.size)
                continue
            for column in columns:
                column.add(n_rows, rows)
            starts.append(self.lines[:rows] + n_lines)
            n_lines += int(self.lines[rows - 1])
            n_rows, at = n_rows + rows, at + used
        return np.concatenate(starts)[:-1]

    def _cut_chunk(self, at: int) -> tuple[int, int]:
        """(whole rows that begin at this byte, -1 where they are not regular; bytes of these)."""
        used = ctypes.c_int64()
        n = self.size
        is_last = at + n + PAD > len(self.data)
        if is_last:
            n_rest = len(self.data) - at + (0 if self.data.endswith(self.eol) else len(self.eol))
            n = n_rest + -n_rest % BLOCK
            if at not in self.tails:
                self.tails[at] = (self.data[at:] + self.eol)[:n_rest].ljust(n + PAD, b"\0")
        source, offset = (self.tails[at], 0) if is_last else (self.data, at)
        self.here = address(np.frombuffer(source, np.uint8)) + offset
        rows = native()["cut"](
            self.here, n, self.delimiter, QUOTE if self.is_quoted else NO_QUOTE, len(self.eol), self.width,
            self.begins_at, self.ends_at, address(self.lines), ctypes.byref(used),
        )  # fmt: skip
        if is_last and rows >= 0 and used.value != n_rest:
            return -1, 0  # a quote mark is open
        return rows, used.value

    def cell(self, row: int, column: int) -> str:
        """A cell of the chunk."""
        at = row * self.width + column
        n = int(self.ends[at]) - int(self.begins[at])
        return self.said(ctypes.string_at(self.here + int(self.begins[at]), n))

    def said(self, cell: bytes) -> str:
        """What a cell says that is written so: without the marks around it, and where a mark is written twice, one."""
        text = cell.decode()
        return text.replace('""', '"') if self.is_quoted else text


class Numbers:
    """A column that is read as numbers, as long as it holds nothing else.

    most    rows at most            values, missing  (most,) float64 and bool, 0 where a cell is missing
    marks   of a missing value      n_marks, first_mark   cells that hold one, row of the first
    points  [whether a cell has a decimal point]"""

    def __init__(self, text: Text, column: int, most: int, marks: Collection[str]):
        self.text, self.column, self.marks = text, column, marks
        self.values, self.missing = np.empty(most, np.float64), np.zeros(most, bool)
        self.points = np.zeros(1, bool)
        self.at = tuple(
            map(address, (self.values, self.missing, self.points, cut_numbers.powers()))
        )
        self.are_plain, self.n_marks, self.first_mark = True, 0, -1

    def add(self, before: int, rows: int) -> None:
        """The rows of the text's chunk, before which came these."""
        if not self.are_plain:
            return
        text, i = self.text, self.column
        values, missing, points, powers = self.at
        n_odd = native()["numbers"](
            text.here, text.begins_at + 4 * i, text.ends_at + 4 * i, rows, text.width, powers,
            values + 8 * before, missing + before, text.odd_at, points,
        )  # fmt: skip
        for row in text.odd[:n_odd].tolist():
            cell = text.cell(row, i).strip()
            if cell in self.marks:
                self.missing[before + row] = True
                if cell:
                    self.first_mark = before + row if self.first_mark < 0 else self.first_mark
                    self.n_marks += 1
            elif NUMBER.fullmatch(cell) and not LEADING_ZERO.match(cell):
                self.values[before + row] = float(cell)
                self.points |= "." in cell
            else:
                self.are_plain = False
                return
        # Of what is larger or infinite, written.py says what it is.
        self.are_plain = bool((np.abs(self.values[before : before + rows]) < EXACT).all())


class Codes:
    """A column that is read as text: which of its different cells each row holds.

    most   rows at most         codes  (most,) int32      known  how many different cells there are, at `addresses`"""

    def __init__(self, text: Text, column: int, most: int):
        self.text, self.column = text, column
        self.codes = np.empty(most, np.int32)
        self.known = ctypes.c_int64()
        self.hashes, self.addresses, self.lengths = (np.empty(1 << 9, np.int64) for _ in range(3))
        self.table = np.zeros(1 << 10, np.int32)
        self._place()

    def _place(self) -> None:
        arrays = (self.codes, self.table, self.hashes, self.addresses, self.lengths)
        self.at = tuple(address(a) for a in arrays)

    def _grow(self) -> None:
        """Four times the room."""
        for name in ("hashes", "addresses", "lengths"):
            old = getattr(self, name)
            new = np.empty(4 * len(old), np.int64)
            new[: len(old)] = old
            setattr(self, name, new)
        self.table = np.zeros(4 * len(self.table), np.int32)
        self._place()
        native()["fill"](self.at[1], len(self.table) - 1, self.at[2], self.known.value)

    def add(self, before: int, rows: int) -> None:
        """The rows of the text's chunk, before which came these."""
        text, i, done = self.text, self.column, 0
        while True:
            codes, table, *known = self.at
            done = native()["codes"](
                text.here, text.begins_at + 4 * i, text.ends_at + 4 * i, done, rows, text.width,
                codes + 4 * before, table, len(self.table) - 1, ctypes.byref(self.known), *known,
            )  # fmt: skip
            if done == rows:
                return
            self._grow()

    def cells(self, name: str, n: int) -> Cells:
        """The n cells."""
        known = slice(self.known.value)
        places = zip(self.addresses[known].tolist(), self.lengths[known].tolist(), strict=True)
        texts = [self.text.said(ctypes.string_at(at, length)) for at, length in places]
        return Cells.of_codes(name, self.codes[:n], texts)
