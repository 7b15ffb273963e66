"""Large regular files of delimited text, cut by DuckDB.

A file is regular when every record has the same number of cells, every quote mark opens or closes a whole cell, its
lines end in one way, and none is blank. That is proved here first, over all its bytes, so that DuckDB's own ideas of
repair (a short row, a trailing delimiter, a stray quote mark) never come into play. Whatever is not regular, or that
DuckDB counts otherwise, is left to delimited.py (None)."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..base.machine import usable_cores
from .cells import NUMBER, NUMBER_MARKS, columns_of, mark_note
from .dialect import Dialect
from .frame import Column, Frame

CHUNK = 1 << 23  # bytes looked at together: a few arrays of that many stay in the cache
MOST_COLUMNS = 2000  # DuckDB plans a query in a time that grows faster than its columns
DELIMITER, QUOTE, LF, CR = 1, 2, 3, 4


def read_regular(
    data: bytes,
    names: Sequence[str],
    head: Sequence[tuple[int, list[str]]],
    dialect: Dialect,
    header_line: int | None,
    start: int,
    name: str,
    options: dict,
) -> Frame | None:
    """The frame of a regular file in UTF-8, else None.

    head         first records without the header, with their lines
    header_line  line of the header, None without one
    start        line of the file on which the data begin
    options      of cells.columns_of"""
    width = len(names)
    if not head or width > MOST_COLUMNS or ord(dialect.delimiter) > 127 or dialect.delimiter == " ":
        return None
    if header_line is not None and (header_line != start or head[0][0] != start + 1):
        return None
    lines = scan(data, dialect, width)
    if lines is None:
        return None
    lines += start
    if header_line is not None:
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
        # A copy, for DuckDB reads files: the name of the user's own may hold its wildcards.
        path = Path(folder) / "table.csv"
        path.write_bytes(data)
        query = _Query(path, dialect, width, header_line is not None, marks)
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
    made_others, said = columns_of(
        [names[i] for i in others],
        [_texts(got.pop(i)) for i in others],
        place,
        point_seen=pointed,
        **options,
    )
    columns.update(zip(others, made_others, strict=True))
    in_order = [note for i in sorted(notes) for note in notes[i]]
    return Frame(name, tuple(columns[i] for i in range(width)), lines, (*in_order, *said))


def _number_column(name: str, values: np.ndarray, place) -> tuple[Column, list[str]] | None:
    """The column of numbers and its notes; None where a cell is not plainly a number.

    values  masked where a cell is empty, -inf where it holds a mark of a missing value, NaN where it is neither"""
    missing = np.ma.getmaskarray(values).copy()
    plain = np.array(np.ma.getdata(values), np.float64)
    plain[missing] = 0.0
    marked = plain == -np.inf
    if not np.isfinite(plain[~marked]).all():
        return None
    plain[marked] = 0.0
    notes = []
    if marked.any():
        notes.append(mark_note(name, int(marked.sum()), place(int(marked.argmax()))))
    return Column(name, "number", plain, missing | marked), notes


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

    def __init__(self, path: Path, dialect: Dialect, width: int, header: bool, marks):
        self.path, self.dialect, self.width, self.header = path, dialect, width, header
        self.marks = sorted(m for m in marks if m)

    def fetch(self, numbers: Sequence[int], texts: Sequence[int]) -> dict[int, np.ndarray] | None:
        """Values of these columns by their index; None where DuckDB refuses the file."""
        import duckdb

        d, quote = _quoted(self.dialect.delimiter), "'\"'" if self.dialect.quotes else "''"
        columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(self.width))
        wanted = [f"{self.number(f'c{i}')} AS c{i}" for i in numbers] + [f"c{i}" for i in texts]
        threads = os.environ.get("PELLUCID_THREADS", "")
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": int(threads) if threads.isdecimal() and int(threads) else usable_cores(),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        try:
            with duckdb.connect(":memory:", config=config) as connection:
                result = connection.execute(
                    f"SELECT {', '.join(wanted)} FROM read_csv({_quoted(str(self.path))}, delim={d}, quote={quote}, "
                    f"escape={quote}, header={self.header}, columns={{{columns}}}, auto_detect=false, "
                    f"strict_mode=true, null_padding=false, ignore_errors=false)"
                ).fetchnumpy()
        except duckdb.Error:
            return None
        return {i: result[f"c{i}"] for i in [*numbers, *texts]}

    def number(self, c: str) -> str:
        """The cell as a number; -inf for a mark of a missing value; NaN for all that cells.py must look at: words,
        infinities, leading zeros, whole numbers of more than 15 digits, 1_000."""
        marks = ", ".join(map(_quoted, self.marks)) or "''"
        odd = (
            f"contains({c}, '_') OR ({c}[1] = '0' AND {c}[2] BETWEEN '0' AND '9') OR (NOT {c}[1] BETWEEN '0' AND '9' "
            f"AND NOT ({c}[1] IN ('-', '+') AND {c}[2] BETWEEN '1' AND '9') AND NOT regexp_full_match({c}, "
            f"'-?0?\\.[0-9]+|-0')) OR (length({c}) > 15 AND NOT contains({c}, '.'))"
        )
        return (
            f"CASE WHEN {c} IS NULL OR {c} = '' THEN NULL WHEN {c} IN ({marks}) THEN '-inf'::DOUBLE WHEN {odd} THEN "
            f"'nan'::DOUBLE ELSE coalesce(nullif(TRY_CAST({c} AS DOUBLE), '-inf'::DOUBLE), 'nan'::DOUBLE) END"
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def scan(data: bytes, dialect: Dialect, width: int) -> np.ndarray | None:
    """Lines, from 0, on which the records of a regular file begin; None when the file is not regular."""
    if data.endswith((b"\n\n", b"\n\r\n")):
        return None
    table = np.zeros(256, np.uint8)
    table[[ord(dialect.delimiter), 10, 13]] = DELIMITER, LF, CR
    if dialect.quotes:
        table[34] = QUOTE
    every = np.frombuffer(data, np.uint8)
    n_crlf = data.count(b"\r\n")
    if data.count(b"\r") != n_crlf or n_crlf not in (0, data.count(b"\n")):
        return None
    starts = [np.zeros(1, np.int64)]
    is_open = 0  # inside a quoted cell
    n_delimiters = 0  # since the last end of a record
    n_lines = 0
    for at in range(0, len(every), CHUNK):
        found = table[every[at : at + CHUNK]]
        where = np.flatnonzero(found)
        what = found[where]
        lines = np.cumsum(what == LF) + n_lines
        if len(lines):
            n_lines = int(lines[-1])
        mark = what == QUOTE
        if mark.any() or is_open:
            opened = (np.cumsum(mark) + is_open) & 1
            is_open = int(opened[-1]) if len(opened) else is_open
            if not _whole_cells(every, where[mark] + at, opened[mark] == 1, table):
                return None
            outside = (opened == 0) & ~mark
            what, lines = what[outside], lines[outside]
        bounds = what != CR
        what, lines = what[bounds], lines[bounds]
        ends = np.flatnonzero(what == LF)
        if len(ends):
            cells = np.diff(ends, prepend=-1) - 1
            cells[0] += n_delimiters
            if (cells != width - 1).any():
                return None
            starts.append(lines[ends])
            n_delimiters = len(what) - 1 - int(ends[-1])
        else:
            n_delimiters += len(what)
    if is_open:
        return None
    out = np.concatenate(starts)
    if data.endswith(b"\n"):
        return out[:-1]
    return out if n_delimiters == width - 1 else None


def _whole_cells(
    every: np.ndarray, marks: np.ndarray, opens: np.ndarray, table: np.ndarray
) -> bool:
    """Whether each quote mark that opens stands first in its cell, and each that closes last."""
    before = np.where(marks > 0, table[every[marks - 1]], LF)
    after = np.where(
        marks + 1 < len(every), table[every[np.minimum(marks + 1, len(every) - 1)]], LF
    )
    return bool(np.where(opens, before, after).all())
