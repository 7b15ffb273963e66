"""Parquet, read by DuckDB: whole to a Frame, or piece by piece where it is larger than memory.

What a column is follows from the file's schema. Whole numbers that float64 cannot hold become text, booleans the words
true and false; lists and the like are left out. N rows of the file, or of a piece"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from .cells import Repairs
from .duck import connect
from .frame import Column, Frame, as_codes
from .frames import EXACT, frame_of_arrays
from .parts import number_hashes
from .row_file import said_bytes

LEAST = 64_000_000  # bytes that DuckDB must have
SHARE = 0.25  # of them, that the columns which are read together may take in a row group
HEAD = 10_000  # rows by which it is estimated how long texts are
CHUNK = 1 << 20  # row numbers that are looked at together
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER")
LONG = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT")


@dataclass(frozen=True)
class Stored:
    """A column of the file: its name, the SQL that reads it, and what it is: a number, text or a date."""

    name: str
    sql: str
    kind: str


def read_parquet(path: Path) -> Frame:
    """The whole table. Raises DataError for a file that is none, and for one without rows or columns to learn from."""
    with _opened(path) as connection:
        stored, notes, n = _schema(connection, path)
        columns = tuple(_read(connection, [s])[0] for s in stored)
    return Frame(path.name, columns, np.arange(n), notes, "row")


@dataclass(frozen=True)
class Survey:
    """What one look at the whole file has found; as survey.Survey, whose rows are lines of text.

    together  the columns, in groups that are read together   n        rows
    sample    a Frame of some, drawn by chance                rows     their numbers, from 0
    notes     a sentence for each thing that was decided      n_piece  rows of a piece
    memory    bytes that DuckDB may take"""

    path: Path
    together: tuple[tuple[Stored, ...], ...]
    n: int
    sample: Frame
    rows: np.ndarray
    notes: tuple[str, ...]
    n_piece: int
    memory: int

    def frames(self, repairs: dict[str, Repairs]) -> Iterator[Frame]:
        """The file's rows, piece by piece, as read_parquet reads them; nothing in them needs repair."""
        with _opened(self.path, self.memory) as connection:
            for first in range(0, self.n, self.n_piece):
                some = f"LIMIT {self.n_piece} OFFSET {first}"
                columns = [c for group in self.together for c in _read(connection, group, some)]
                yield _frame(self.path, columns, np.arange(first, first + len(columns[0])))


def survey(path: Path, size: int, most: int, memory: int) -> Survey:
    """Looks at the file's schema, and draws a sample.

    size    bytes of a piece, as columns    most  rows of the sample
    memory  bytes that DuckDB may take; it has 64 MB in any case"""
    memory = max(LEAST, memory)
    with _opened(path, memory) as connection:
        stored, notes, n = _schema(connection, path)
        together = _together(connection, path, stored, int(SHARE * memory))
        rows = drawn(n, most)
        connection.register("drawn", {"row": rows})
        columns = [_sampled(connection, s) for s in stored]
        n_piece = max(256, int(size / _row_bytes(connection, stored)))
    sample = _frame(path, columns, rows)
    return Survey(path, together, n, sample, rows, notes, n_piece, memory)


def drawn(n: int, most: int) -> np.ndarray:
    """(most,) numbers of rows in order, of n: those that have the least hashes, as survey.Sample draws them."""
    found = np.zeros(0, np.int64)
    for first in range(0, n, CHUNK):
        found = np.concatenate([found, np.arange(first, min(n, first + CHUNK))])
        if len(found) > most:
            found = np.sort(found[np.argpartition(number_hashes(found), most - 1)[:most]])
    return found


def row_bytes(path: Path) -> float:
    """What a row takes in memory as columns, in the mean of the first rows."""
    with _opened(path, LEAST) as connection:
        return _row_bytes(connection, _schema(connection, path)[0])


def bytes_in_memory(path: Path) -> float:
    """What the file takes in memory as columns, estimated from its first rows; 0 where these cannot be read."""
    try:
        with _opened(path, LEAST) as connection:
            stored, _, n = _schema(connection, path)
            return n * _row_bytes(connection, stored)
    except DataError:
        return 0  # who reads it says what is wrong


# ---- SQL ----


@contextlib.contextmanager
def _opened(path: Path, memory: int | None = None) -> Iterator[Any]:
    """DuckDB with the file as the table t, within so many bytes. Raises DataError that names the file."""
    import duckdb

    try:
        with connect(memory) as connection:
            # DuckDB's own wildcards, which a file's name may hold.
            source = "".join(f"[{c}]" if c in "*?[" else c for c in str(path.absolute()))
            connection.execute(
                f"CREATE OR REPLACE TEMP VIEW t AS SELECT * FROM read_parquet({_sql(source, chr(39))})"
            )
            yield connection
    except duckdb.OutOfMemoryException as error:
        assert memory is not None
        raise DataError(
            f"{path}: a row group takes more than {said_bytes(memory)} to read. Give more --memory, or write the file "
            f"with fewer rows in a row group."
        ) from error
    except duckdb.Error as error:
        said = str(error).splitlines()[0][:200]
        raise DataError(
            f"{path}: cannot be read as Parquet: {said.rstrip('.')}. Write it again, or use another copy."
        ) from error


def _schema(connection: Any, path: Path) -> tuple[list[Stored], tuple[str, ...], int]:
    """(the columns that can be learned from, a note for each other, the number of rows)."""
    stored, left_out = [], []
    for name, kind, *_ in connection.execute("DESCRIBE t").fetchall():
        found = _stored(connection, name, kind)
        if found is None:
            left_out.append(
                f"column {name!r} ({kind.lower()[:40]}) is no number, text or date: left out."
            )
        else:
            stored.append(found)
    if not stored:
        raise DataError(f"{path.name}: there are no columns of numbers, text or dates.")
    n = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    if not n:
        raise DataError(f"{path.name}: there are no rows.")
    return stored, tuple(left_out), n


def _stored(connection: Any, name: str, kind: str) -> Stored | None:
    """A column as a double, a timestamp or text; None for lists and other things."""
    c = _sql(name, '"')
    if kind in LONG or kind.endswith(",0)"):
        large = f"SELECT count(*) FROM t WHERE {c} > {EXACT} OR {c} < -{EXACT}"
        if connection.execute(large).fetchone()[0]:
            return Stored(name, f"CAST({c} AS VARCHAR)", "text")
        return Stored(name, f"CAST({c} AS DOUBLE)", "number")
    if kind in (*WHOLE, "FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        return Stored(name, f"CAST({c} AS DOUBLE)", "number")
    if kind in ("BOOLEAN", "VARCHAR", "UUID") or kind.startswith("ENUM"):
        # Without any value it may be of any kind; a number needs no levels.
        has_values = connection.execute(f"SELECT count({c}) FROM t").fetchone()[0]
        return Stored(name, f"CAST({c} AS VARCHAR)", "text" if has_values else "number")
    if kind == "TIMESTAMP WITH TIME ZONE":
        return Stored(name, f"make_timestamp(epoch_us({c}))", "date")
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return Stored(name, f"CAST({c} AS TIMESTAMP)", "date")
    return None


def _read(connection: Any, stored: Sequence[Stored], some: str = "") -> list[Column]:
    """The columns, of all rows or of some, in the file's order."""
    wanted = ", ".join(f"{s.sql} AS c{i}" for i, s in enumerate(stored))
    found = connection.execute(f"SELECT {wanted} FROM t {some}").fetchnumpy()
    return [_column(s, found[f"c{i}"]) for i, s in enumerate(stored)]


def _sampled(connection: Any, stored: Stored) -> Column:
    """The rows of a column whose numbers are drawn."""
    numbered = f"SELECT {stored.sql} AS c, row_number() OVER () - 1 AS n FROM t"
    found = connection.execute(
        f"SELECT c FROM ({numbered}) JOIN drawn ON n = row ORDER BY n"
    ).fetchnumpy()["c"]
    return _column(stored, found)


def _column(stored: Stored, cells: np.ndarray) -> Column:
    """The column of these cells, those without a value masked; each different text is looked at once."""
    if stored.kind != "text":
        return frame_of_arrays({stored.name: cells}, stored.name).columns[0]
    codes, different = as_codes(np.ma.getdata(cells).tolist())
    is_blank = np.array([text is None or not text.strip() for text in different], bool)
    texts = ["" if blank else text for text, blank in zip(different, is_blank, strict=True)]
    return Column.of_codes(stored.name, codes, texts, np.ma.getmaskarray(cells) | is_blank[codes])


def _frame(path: Path, columns: Sequence[Column], rows: np.ndarray) -> Frame:
    return Frame(path.name, tuple(columns), rows, (), "row")


def _together(
    connection: Any, path: Path, stored: Sequence[Stored], room: int
) -> tuple[tuple[Stored, ...], ...]:
    """The columns in groups that take no more room in any row group: DuckDB reads whole parts of columns."""
    sizes = dict(
        connection.execute(
            "SELECT path_in_schema, max(total_uncompressed_size) FROM parquet_metadata(?) GROUP BY ALL",
            [str(path.absolute())],
        ).fetchall()
    )
    groups: list[list[Stored]] = []
    left = -1
    for s in stored:
        left -= sizes.get(s.name, 0)
        if left < 0:
            groups.append([])
            left = room - sizes.get(s.name, 0)
        groups[-1].append(s)
    return tuple(map(tuple, groups))


def _row_bytes(connection: Any, stored: Sequence[Stored]) -> float:
    """A number of its place; a number or a date, or a Python object and what points to it; whether it is missing."""
    texts = [s for s in stored if s.kind == "text"]
    total = 8.0 + 9 * (len(stored) - len(texts)) + 66 * len(texts)
    for s in texts:
        head = f"SELECT avg(strlen(c)) FROM (SELECT {s.sql} AS c FROM t LIMIT {HEAD})"
        total += connection.execute(head).fetchone()[0] or 0
    return total


def _sql(text: str, mark: str) -> str:
    return mark + text.replace(mark, mark * 2) + mark
