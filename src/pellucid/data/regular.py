"""Large regular files of delimited text, cut by DuckDB.

A file is regular when every record has the same number of cells, every quote mark opens or closes a whole cell, its
lines end in one way, and none is blank. That is proved here first, over all its bytes, so that DuckDB's own ideas of
repair (a short row, a trailing delimiter, a stray quote mark) never come into play. Whatever is not regular, or that
DuckDB counts otherwise, is left to delimited.py (None)."""

import contextlib
import functools
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime.team import get_threads
from .cells import Repairs, columns_of, marks_of
from .dialect import Dialect
from .frame import Column, Frame
from .written import EXACT, NUMBER, Cells, Unsure, Written, plain_numbers

CHUNK = 1 << 20  # bytes looked at together: a few arrays of that many stay in the cache
MOST_COLUMNS = 2000  # DuckDB plans a query in a time that grows faster than its columns
LF, QUOTE = 10, 34
FEW = 10_000  # different texts of a column that are fetched once each
MARK = -1.2345678901234567e300  # stands for a mark of a missing value: no one's number


@dataclass
class Cut:
    """Rows of a delimited file, cut into cells.

    lines    (N,) on which they begin
    numbers  column -> what holds nothing but plain numbers, read as such already
    texts    column -> its cells as they are written, None where there is none"""

    lines: np.ndarray
    texts: dict[int, Cells]
    numbers: dict[int, tuple[Column, Repairs]] = field(default_factory=dict)

    def facts(self) -> dict[int, Written]:
        """How the numbers are written."""
        return {
            i: plain_numbers(int((~c.missing).sum()), bool((c.values != np.floor(c.values)).any()))
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
    path: Path | None = None,
) -> Frame | None:
    """The frame of a regular file in UTF-8, else None.

    head         first records without the header, with their lines
    header       line and cells of the header, None without one
    start        line of the file on which the data begin
    options      of cells.columns_of
    path         of a file with exactly these bytes; otherwise a copy is written for DuckDB"""
    if not head or any(len(row) != len(names) for _, row in head):
        return None
    if header is not None and (header[0] != start or head[0][0] != start + 1):
        return None
    rows = [row for _, row in head]
    numbers = number_like(names, rows, options)
    marks = marks_of(options.get("missing"))[1]
    marked = {i for i in numbers if any((c := row[i].strip()) and c in marks for row in rows)}
    cut = cut_regular(data, names, numbers, dialect, header, start, name, marks, path, marked)
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
    header: tuple[int, list[str]] | None,
    start: int,
    name: str,
    marks: Collection[str],
    path: Path | None = None,
    marked: set[int] | None = None,
) -> Cut | None:
    """The rows of a regular file, or of a part of one; None where it is not regular.

    numbers  columns that are read as numbers where they hold nothing else
    marks    of a missing value in such columns; the rest is as of read_regular
    marked   those of the numbers that have such marks, as far as is known: the others are read faster; more may be
             added here"""
    width = len(names)
    if width > MOST_COLUMNS or ord(dialect.delimiter) > 127 or dialect.delimiter == " ":
        return None
    found = scan(data, dialect, width)
    if found is None:
        return None
    lines, is_odd = found
    lines += start
    if header is not None:
        lines = lines[1:]
    texts = [i for i in range(width) if i not in set(numbers)]

    def place(row: int) -> str:
        return f"{name}, line {lines[row]}"

    with tempfile.TemporaryDirectory() as folder:
        if (
            path is None
            or any(sign in str(path) for sign in "*?[")
            or path.stat().st_size != len(data)
        ):
            path = Path(folder) / "table.csv"
            path.write_bytes(data)
        query = _Query(path, dialect, width, header is not None, marks, is_odd)
        got = query.fetch(numbers, texts, marked or set())
        if got is None or len(next(iter(got.values()))) != len(lines):
            return None
        made = {i: _number_column(names[i], got.pop(i), place) for i in numbers}
        again = [i for i in numbers if made[i] is None]
        if again:
            more = query.fetch([], again, set())
            if more is None:
                return None
            got.update(more)
    cut = Cut(lines, {i: query.cells(names[i], got.pop(i), i) for i in sorted(got)})
    cut.numbers = {i: m for i, m in made.items() if m is not None}
    if marked is not None:
        marked |= {i for i, (_, repairs) in cut.numbers.items() if repairs.marks}
    if header is not None and len(cut.texts) == width and is_header_again(header[1], cut.texts):
        return None
    return cut


def _number_column(name: str, values: np.ndarray, place) -> tuple[Column, Repairs] | None:
    """The column of numbers and what was repaired in it; None where a cell is not plainly a number.

    values  masked where a cell is empty, MARK where it holds a mark of a missing value, NaN where it is neither"""
    missing = np.ma.getmaskarray(values).copy()
    plain = np.array(np.ma.getdata(values), np.float64)
    plain[missing] = 0.0
    marked = plain == MARK
    plain[marked] = 0.0
    if not (np.abs(plain) < EXACT).all():  # larger, infinite or NaN: written.py says what they are
        return None
    n = int(marked.sum())
    repairs = Repairs(name, n, place(int(marked.argmax())) if n else "")
    return Column(name, "number", plain, missing | marked), repairs


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


def _texts(values: np.ndarray) -> list:
    if np.ma.isMaskedArray(values):
        return [
            None if hidden else text
            for text, hidden in zip(
                values.data.tolist(), np.ma.getmaskarray(values).tolist(), strict=True
            )
        ]
    return values.tolist()


class _Query:
    """Columns of a regular file, by DuckDB."""

    def __init__(self, path: Path, dialect: Dialect, width: int, header: bool, marks, is_odd: bool):
        self.is_odd = is_odd
        self.path, self.dialect, self.width, self.header = path, dialect, width, header
        self.marks = sorted(m for m in marks if m)
        self.distinct: dict[int, list[str]] = {}

    def fetch(
        self, numbers: Sequence[int], texts: Sequence[int], marked: set[int]
    ) -> dict[int, np.ndarray] | None:
        """Values of these columns by their index; None where DuckDB refuses the file."""
        plain = [i for i in numbers if i not in marked]
        if plain and not self.is_odd:
            seen = {i: self.number(f"c{i}") for i in numbers if i in marked}
            found = self.ask(dict.fromkeys(plain, "DOUBLE"), [*numbers, *texts], seen)
            if found is not None:
                return found
        return self.ask({}, [*numbers, *texts], {i: self.number(f"c{i}") for i in numbers})

    def ask(self, kinds: dict, wanted: Sequence[int], as_: dict | None = None) -> dict | None:
        """Columns read as these kinds, else as text, and seen through these expressions."""
        import duckdb

        d, quote = _quoted(self.dialect.delimiter), "'\"'" if self.dialect.quotes else "''"
        columns = ", ".join(f"'c{i}': '{kinds.get(i, 'VARCHAR')}'" for i in range(self.width))
        shown = ", ".join(f"{(as_ or {}).get(i, f'c{i}')} AS c{i}" for i in wanted)
        source = (
            f"SELECT {shown} FROM read_csv({_quoted(str(self.path))}, delim={d}, quote={quote}, escape={quote}, "
            f"header={self.header}, columns={{{columns}}}, auto_detect=false, strict_mode=true, null_padding=false, "
            f"ignore_errors=false)"
        )
        texts = [i for i in wanted if i not in kinds and i not in (as_ or {})]
        with connect() as connection:
            try:
                if not texts:
                    result = connection.execute(source).fetchnumpy()
                else:
                    connection.execute(f"CREATE OR REPLACE TEMP TABLE t AS {source}")
                    self.distinct.update(self.few(connection, texts))
                    seen = ", ".join(
                        self.code(i) if i in self.distinct else f"c{i}" for i in wanted
                    )
                    result = connection.execute(f"SELECT {seen} FROM t").fetchnumpy()
            except duckdb.Error:
                return None
        return {i: result[f"c{i}"] for i in wanted}

    def few(self, connection, texts: Sequence[int]) -> dict[int, list[str]]:
        """The different texts of the columns that have few: their cells come as numbers, not as Python's strings."""
        counts = ", ".join(f"approx_count_distinct(c{i})" for i in texts)
        found = connection.execute(f"SELECT count(*), {counts} FROM t").fetchone()
        most = min(FEW, found[0] // 4)
        few = [i for i, n in zip(texts, found[1:], strict=True) if 0 < n <= most]
        if not few:
            return {}
        lists = ", ".join(f"list(DISTINCT c{i})" for i in few)
        return dict(zip(few, connection.execute(f"SELECT {lists} FROM t").fetchone(), strict=True))

    def code(self, i: int) -> str:
        """The cell's place among the different texts."""
        known = ", ".join(_quoted(t) for t in self.distinct[i] if t is not None)
        return f"enum_code(c{i}::ENUM({known})) AS c{i}"

    def cells(self, name: str, values: np.ndarray, i: int) -> Cells:
        """The cells of a column that was asked for as text."""
        if i not in self.distinct:
            return Cells.of(name, _texts(values))
        texts = [*(t for t in self.distinct[i] if t is not None), None]
        codes = np.ma.filled(values.astype(np.int32), len(texts) - 1)
        # In the order in which they come, as that of other columns.
        seen, first = np.unique(codes.astype(np.uint16), return_index=True)
        order = seen[np.argsort(first)].astype(np.int32)
        place = np.zeros(len(texts), np.int32)
        place[order] = np.arange(len(order))
        return Cells.of_codes(name, place[codes], [texts[t] for t in order.tolist()])

    def number(self, c: str) -> str:
        """The cell as a number, MARK for a mark of a missing value; NaN for words and for what is not written plainly:
        leading zeros, plus signs and blanks in front, 1_000."""
        marks = ", ".join(map(_quoted, self.marks)) or "''"
        value = (
            f"coalesce(TRY_CAST({c} AS DOUBLE), CASE WHEN {c} IN ({marks}) THEN {MARK!r}::DOUBLE "
            f"WHEN {c} <> '' THEN 'nan'::DOUBLE END)"
        )
        if not self.is_odd:
            return value
        # Texts are compared byte by byte: below '-.' are those that begin with a blank, '+' or '--'.
        return (
            f"CASE WHEN {c} <> '' AND {c} NOT IN ({marks}) AND ({c} < '-.' OR ({c} >= '00' AND {c} < '0:') OR "
            f"({c} >= '-00' AND {c} < '-0:') OR contains({c}, '_')) THEN 'nan'::DOUBLE ELSE {value} END"
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@contextlib.contextmanager
def connect() -> Iterator[Any]:
    """DuckDB in memory: as many threads as we may use, nothing loaded from elsewhere or shown in the terminal.

    The connection is one of several to the same engine, which takes 15 ms to begin. Ctrl-C within stays Ctrl-C."""
    with _engine(os.getpid(), get_threads()).cursor() as connection:
        try:
            yield connection
        except RuntimeError as error:
            if str(error) == "Query interrupted":  # what DuckDB makes of it
                raise KeyboardInterrupt from None
            raise


@functools.cache
def _engine(process: int, n_threads: int):
    """One for each process: a forked child must not use its parent's."""
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": n_threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("SET enable_progress_bar = false")
    return connection


def scan(data: bytes, dialect: Dialect, width: int) -> tuple[np.ndarray, bool] | None:
    """(lines, from 0, on which the records of a regular file begin; whether there may be numbers in it that are not
    written plainly, as 007 and 1_000 are not), or None when the file is not regular."""
    if data.endswith((b"\n\n", b"\n\r\n")):
        return None
    bounds = {ord(dialect.delimiter), LF}
    if b"\r" in data:
        n_crlf = data.count(b"\r\n")
        if data.count(b"\r") != n_crlf or data.count(b"\n") != n_crlf:
            return None  # from here on a carriage return is a part of the end of a line
    if dialect.quotes and b'"' in data:
        bounds.add(QUOTE)
    # The first cell stands after no bound, and the last bytes are too few to look at three.
    is_odd = QUOTE in bounds or b"_" in data or data[0] < 49 or b"0" in data[-4:]
    every = np.frombuffer(data, np.uint8)
    starts = [np.zeros(1, np.int64)]
    is_open = 0  # inside a quoted cell
    n_delimiters = 0  # since the last end of a record
    n_lines = 0
    for at in range(0, len(every), CHUNK):
        chunk = every[at : at + CHUNK]
        found = chunk == LF
        for sign in bounds - {LF}:
            found |= chunk == sign
        where = np.flatnonzero(found)
        what = chunk[where]
        is_end = what == LF
        is_odd = is_odd or _begins_oddly(every, found, at, bounds | {13})
        mark = what == QUOTE
        if QUOTE in bounds and (is_open or mark.any()):
            opened = (np.cumsum(mark, dtype=np.int64) + is_open) & 1
            if not _whole_cells(every, where[mark] + at, opened[mark] == 1, dialect):
                return None
            is_open = int(opened[-1]) if len(opened) else is_open
            lines = np.cumsum(is_end, dtype=np.int64)
            outside = (opened == 0) & ~mark
            is_end, lines = is_end[outside], lines[outside]
            ends = np.flatnonzero(is_end)
            starts.append(lines[ends] + n_lines)
            n_lines += int((what == LF).sum())
        else:
            ends = np.flatnonzero(is_end)
            starts.append(np.arange(1, len(ends) + 1) + n_lines)
            n_lines += len(ends)
        if len(ends):
            cells = np.diff(ends, prepend=-1) - 1
            cells[0] += n_delimiters
            if (cells != width - 1).any():
                return None
            n_delimiters = len(is_end) - 1 - int(ends[-1])
        else:
            n_delimiters += len(is_end)
    if is_open:
        return None
    out = np.concatenate(starts)
    if data.endswith(b"\n"):
        return out[:-1], is_odd
    return (out, is_odd) if n_delimiters == width - 1 else None


def _begins_oddly(every: np.ndarray, bound: np.ndarray, at: int, empty: set[int]) -> bool:
    """Whether a cell after one of these bounds (a mask of the bytes from `at`) begins with a zero before a digit, or
    with a sign below '-', such as a blank or '+', other than those after an empty cell."""
    n = min(len(bound), len(every) - at - 3)
    if n <= 0:
        return False
    a, b, c = (every[at + i : at + i + n] for i in (1, 2, 3))
    bound = bound[:n]
    low = a[bound & (a < 45)]
    if not np.isin(low, list(empty)).all():
        return True
    zero = bound & (a == 48) & (b - np.uint8(48) < 10)
    minus = np.flatnonzero(bound & (a == 45))
    b, c = b[minus], c[minus]
    b_digit = b - np.uint8(48) < 10
    odd = (b == 48) & (c - np.uint8(48) < 10) | ~b_digit & (b != 46)
    return bool(zero.any() or odd.any())


def _whole_cells(every: np.ndarray, marks: np.ndarray, opens: np.ndarray, dialect: Dialect) -> bool:
    """Whether each quote mark that opens stands first in its cell, and each that closes last.

    A mark that is written twice closes and opens at once: beside a mark both are right."""
    beside = np.where(opens, marks - 1, marks + 1)
    beside = every[np.clip(beside, 0, len(every) - 1)]
    edge = np.where(opens, marks == 0, marks == len(every) - 1)
    for sign in (ord(dialect.delimiter), LF, 13, QUOTE):
        edge |= beside == sign
    return bool(edge.all())
