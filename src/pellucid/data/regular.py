"""Large regular files of delimited text, cut by DuckDB.

A file is regular when every record has the same number of cells, every quote mark opens or closes a whole cell, its
lines end in one way, and none is blank. That is proved here first, over all its bytes, so that DuckDB's own ideas of
repair (a short row, a trailing delimiter, a stray quote mark) never come into play. Whatever is not regular, or that
DuckDB counts otherwise, is left to delimited.py (None)."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..runtime.team import get_threads
from .cells import COMMAS, EXACT, NUMBER, NUMBER_MARKS, columns_of, mark_note
from .dialect import Dialect
from .frame import Column, Frame

CHUNK = 1 << 20  # bytes looked at together: a few arrays of that many stay in the cache
MOST_COLUMNS = 2000  # DuckDB plans a query in a time that grows faster than its columns
LF, QUOTE = 10, 34
MARK = -1.2345678901234567e300  # stands for a mark of a missing value: no one's number


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
    width = len(names)
    if not head or width > MOST_COLUMNS or ord(dialect.delimiter) > 127 or dialect.delimiter == " ":
        return None
    if header is not None and (header[0] != start or head[0][0] != start + 1):
        return None
    found = scan(data, dialect, width)
    if found is None:
        return None
    lines, is_odd = found
    lines += start
    if header is not None:
        lines = lines[1:]
    marks = options.get("missing")
    marks = NUMBER_MARKS if marks is None else frozenset(["", *marks])
    kinds = options.get("kinds") or {}
    numbers = [
        i
        for i, column in enumerate(names)
        if options.get("decimal") != ","
        and kinds.get(column, "number") == "number"
        and all(NUMBER.fullmatch(c) or c in marks for c in (row[i].strip() for _, row in head))
    ]
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
        got = query.fetch(numbers, texts)
        if got is None or len(got[0] if numbers else got[texts[0]]) != len(lines):
            return None
        columns: dict[int, Column] = {}
        notes: dict[int, list[str]] = {}
        for i in numbers:
            made = _number_column(names[i], got.pop(i), place)
            if made is not None:
                columns[i], notes[i] = made
        again = [i for i in numbers if i not in columns]
        if again:
            more = query.fetch([], again)
            if more is None:
                return None
            got.update(more)
    pointed = any((c.values[~c.missing] % 1).any() for c in columns.values())
    others = sorted(got)
    texts_of = {i: _texts(got.pop(i)) for i in others}
    if header is not None and len(others) == width and _again(header[1], texts_of):
        return None
    made_others, said = columns_of(
        [names[i] for i in others],
        [texts_of.pop(i) for i in others],
        place,
        point_seen=pointed,
        **options,
    )
    if pointed and any(note.endswith(COMMAS) for note in said):
        return None  # a point may stand between thousands
    columns.update(zip(others, made_others, strict=True))
    in_order = [note for i in sorted(notes) for note in notes[i]]
    return Frame(name, tuple(columns[i] for i in range(width)), lines, (*in_order, *said))


def _number_column(name: str, values: np.ndarray, place) -> tuple[Column, list[str]] | None:
    """The column of numbers and its notes; None where a cell is not plainly a number.

    values  masked where a cell is empty, MARK where it holds a mark of a missing value, NaN where it is neither"""
    missing = np.ma.getmaskarray(values).copy()
    plain = np.array(np.ma.getdata(values), np.float64)
    plain[missing] = 0.0
    marked = plain == MARK
    plain[marked] = 0.0
    if not (np.abs(plain) < EXACT).all():  # larger, infinite or NaN: cells.py says what they are
        return None
    notes = []
    if marked.any():
        notes.append(mark_note(name, int(marked.sum()), place(int(marked.argmax()))))
    return Column(name, "number", plain, missing | marked), notes


def _again(header: Sequence[str], columns: dict[int, list]) -> bool:
    """Whether a row is the line of names once more."""
    first = header[0] or None
    rows = [row for row, cell in enumerate(columns[0]) if (cell or None) == first]
    return any(
        all((columns[i][row] or "") == name for i, name in enumerate(header)) for row in rows
    )


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

    def fetch(self, numbers: Sequence[int], texts: Sequence[int]) -> dict[int, np.ndarray] | None:
        """Values of these columns by their index; None where DuckDB refuses the file."""
        if numbers and not self.is_odd:
            found = self.ask(dict.fromkeys(numbers, "DOUBLE"), [*numbers, *texts])
            if found is not None:
                return found
        return self.ask({}, [*numbers, *texts], {i: self.number(f"c{i}") for i in numbers})

    def ask(self, kinds: dict, wanted: Sequence[int], as_: dict | None = None) -> dict | None:
        """Columns read as these kinds, else as text, and seen through these expressions."""
        import duckdb

        d, quote = _quoted(self.dialect.delimiter), "'\"'" if self.dialect.quotes else "''"
        columns = ", ".join(f"'c{i}': '{kinds.get(i, 'VARCHAR')}'" for i in range(self.width))
        shown = ", ".join(f"{(as_ or {}).get(i, f'c{i}')} AS c{i}" for i in wanted)
        with connect() as connection:
            try:
                result = connection.execute(
                    f"SELECT {shown} FROM read_csv({_quoted(str(self.path))}, delim={d}, quote={quote}, "
                    f"escape={quote}, header={self.header}, columns={{{columns}}}, auto_detect=false, "
                    f"strict_mode=true, null_padding=false, ignore_errors=false)"
                ).fetchnumpy()
            except duckdb.Error:
                return None
        return {i: result[f"c{i}"] for i in wanted}

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


def connect():
    """DuckDB in memory: as many threads as we may use, nothing loaded from elsewhere or shown in the terminal."""
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": get_threads(),
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
