"""Delimited text (CSV, TSV and kin) to a Frame: the right cells in the right columns, or an error that says where.

How the file is written is found out (dialect.py), then the whole file is held to it: every record has the same number
of cells. Nothing is padded, shifted or skipped; blank lines and comments are counted in the notes. Large regular
files are cut by DuckDB (regular.py), all others here; what the cells are is decided in cells.py."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..base.errors import DataError, OptionError
from .cells import columns_of
from .dialect import (
    Dialect,
    QuoteError,
    column_names,
    column_said,
    find_delimiter,
    has_header,
    line_of,
    records,
    to_utf8,
)
from .frame import Frame
from .regular import read_regular
from .written import looks_like_a_value

SAMPLE = 1 << 17  # bytes by which the delimiter and the header are judged
SAMPLE_LINES = 1000
LARGE = 1 << 21  # bytes from which DuckDB is the faster reader, its import included
PLAIN_QUOTES = "quote marks are read as plain characters: they do not enclose cells."


def read_delimited(
    data: bytes,
    name: str,
    suffix: str = "",
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    missing: Sequence[str] | None = None,
    decimal: str | None = None,
    kinds: Mapping[str, str] | None = None,
    large: int = LARGE,
    path: Path | None = None,
) -> Frame:
    """The table in the bytes of a file; the parameters are those of reading.read_table.

    name    for messages
    suffix  of the file: .tsv and .tab are cut at tabs
    large   bytes from which DuckDB is asked
    path    of the file, where the bytes are all that it holds"""
    delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter or "", delimiter)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise OptionError(
            f"delimiter {delimiter!r}: give one character, such as ',' or ';', or tab."
        )
    original = data
    data, notes = to_utf8(data, encoding, name)
    at = data.find(b"\0")
    if at >= 0:
        raise DataError(
            f"{name}, line {line_of(data, at)}, byte {at}: a NUL byte. This is no text file, or a damaged one."
        )
    if b"\r" in data and b'"' not in data:
        n_crlf, n_cr, n_lf = (data.count(end) for end in (b"\r\n", b"\r", b"\n"))
        if n_lf and (n_cr != n_crlf or n_lf != n_crlf):
            notes.append("lines end in more than one way: at carriage returns and at line feeds.")
    data, start, comment, hint = _preamble(data, notes)
    if not data[:4096].strip() and not data.strip():
        raise DataError(f"{name}: there is no table in the file. Give one with a row a line.")
    if delimiter is None:
        delimiter = hint or find_delimiter(_sample(data), suffix)
    options = {"missing": missing, "decimal": decimal, "kinds": kinds}
    table = Table(data, name, start, comment, header, options, large)
    table.path = path if data is original else None
    try:
        frame = table.read(Dialect(delimiter, delimiter != " "), notes)
        if delimiter != "\t" or not _swallows_lines(frame):
            return frame
        error = None
    except QuoteError as problem:
        if delimiter != "\t":
            raise
        error = problem
    # Many writers of tab-separated text know no quoting: there a quote mark may open a cell and close nothing.
    try:
        return table.read(Dialect("\t", False), [*notes, PLAIN_QUOTES])
    except DataError:
        if error is None:
            return frame
        raise error from None


def _swallows_lines(frame: Frame) -> bool:
    """Whether a cell holds whole lines of a table: a tab and an end of line."""
    return any(
        "\t" in text and ("\n" in text or "\r" in text)
        for c in frame.columns
        if c.kind == "text"
        for text in c.values
    )


def _preamble(data: bytes, notes: list[str]) -> tuple[bytes, int, str, str | None]:
    """(the table, its first line, the comment above it, the delimiter that a line sep=; names)."""
    at, line, n, comment, hint = 0, 1, 0, "", None
    for found in re.finditer(rb"[^\r\n]*(?:\r\n|\n|\r|$)", data):
        text = found[0].strip(b" \r\n")
        sep = re.fullmatch(rb'"?sep=(.)"?', text) if line == 1 else None
        if sep:
            hint = sep[1].decode("latin-1")
        elif text.startswith(b"#"):
            comment, n = text.decode(), n + 1
        elif text:
            break
        else:
            comment = ""
        if found.end() == len(data):
            at = len(data)
            break
        at, line = found.end(), line + 1
    if n:
        notes.append(f"{n} comment line{'s' if n > 1 else ''} above the table left out.")
    return data[at:] if at else data, line, comment, hint


def _sample(data: bytes) -> str:
    """The first lines, whole: SAMPLE bytes of them or three."""
    if len(data) <= SAMPLE:
        return data.decode()
    ends = []
    for found in re.finditer(rb"\r\n|\n|\r", data):
        ends.append(found.end())
        if len(ends) >= 3 and (found.end() > SAMPLE or len(ends) > SAMPLE_LINES):
            break
    inside = [e for e in ends if e <= SAMPLE]
    end = inside[-1] if len(inside) >= 3 else (ends[-1] if ends else len(data))
    return data[:end].decode()


class Table:
    """The table in some bytes of UTF-8, which can be read under more than one dialect.

    start    line of the file on which the bytes begin
    comment  the comment line right above: perhaps the header"""

    def __init__(self, data, name, start, comment, header, options, large):
        self.data, self.name, self.start, self.comment = data, name, start, comment
        self.header, self.options, self.large = header, options, large
        self.path: Path | None = None  # of a file with just these bytes

    def read(self, dialect: Dialect, notes: list[str]) -> Frame:
        """The table under this dialect."""
        notes = list(notes)
        if dialect.delimiter != ",":
            notes.append(f"cells are set apart by {dialect}.")
        head = self.head(dialect)
        width = len(head[0][1])
        named, skip_first = self.named(head, dialect, notes)
        names, said = column_names(named)
        notes += said if any(c.strip() for c in named) else []
        options = {**self.options, "comma_separated": dialect.delimiter == ","}
        if len(self.data) >= self.large and width > 1:
            frame = read_regular(
                self.data, names, head[skip_first:], dialect, head[0] if skip_first else None,
                self.start, self.name, options, self.path,
            )  # fmt: skip
            if frame is not None:
                return self.finished(frame, named if skip_first else ["x"], notes)
        lines, rows = self.rows(dialect, names, head[0][1] if skip_first else None, notes)
        columns = list(zip(*rows, strict=True))
        del rows
        made, said = columns_of(
            names, columns, lambda row: f"{self.name}, line {lines[row]}", **options
        )
        frame = Frame(self.name, made, lines, tuple(said))
        return self.finished(frame, named if skip_first else ["x"], notes)

    def finished(self, frame: Frame, named: Sequence[str], notes: list[str]) -> Frame:
        """The frame with all notes, without an empty last column that has no name."""
        columns = frame.columns
        if len(columns) > 1 and not named[-1].strip() and columns[-1].missing.all():
            notes = [n for n in notes if not n.startswith(f"column {len(columns)} has no name")]
            notes.append("every line ends with a delimiter: the empty column after it is left out.")
            columns = columns[:-1]
        return Frame(self.name, columns, frame.lines, (*notes, *frame.notes))

    def head(self, dialect: Dialect) -> list[tuple[int, list[str]]]:
        """The first records, blank lines left out."""
        text = _sample(self.data)
        out = []
        try:
            for line, cells in records(text, dialect, self.name, self.start):
                if cells:
                    out.append((line, cells))
                if len(out) > SAMPLE_LINES:
                    break
        except QuoteError:
            if len(text.encode()) == len(self.data) or not out:
                raise  # otherwise the sample may end inside a cell
        return out

    def named(self, head, dialect: Dialect, notes: list[str]) -> tuple[list[str], bool]:
        """(cells of the header, empty where there is none; whether the first record is that header)."""
        rows = [cells for _, cells in head]
        if self.header is not None:
            return (rows[0], True) if self.header else ([""] * len(rows[0]), False)
        found, sure = has_header(rows)
        if found:
            if not sure:
                shown = ", ".join(rows[0][:5]) + (", ..." if len(rows[0]) > 5 else "")
                notes.append(f"the first line is taken as the names of the columns: {shown[:100]}.")
            return rows[0], True
        above = self.comment.lstrip("#").strip()
        cells = next((c for _, c in records(above, dialect, self.name)), []) if above else []
        if (
            len(cells) == len(rows[0])
            and len(cells) > 1
            and not any(map(looks_like_a_value, cells))
        ):
            notes.append(f"the comment above the table names its columns: {above[:100]}.")
            return cells, False
        notes.append(
            "there is no line of names: the columns are called "
            + ("column_1." if len(rows[0]) == 1 else f"column_1 to column_{len(rows[0])}.")
        )
        return [""] * len(rows[0]), False

    def rows(self, dialect, names, header, notes) -> tuple[np.ndarray, list[list[str]]]:
        """(lines, cells) of all rows, cut here; `header` is the first record where that is none of them."""
        width = len(names)
        lines: list[int] = []
        rows: list[list[str]] = []
        blank: list[tuple[int, int]] = []  # (line, rows before it)
        comments: list[int] = []
        header_seen = False
        for line, cells in records(self.data.decode(), dialect, self.name, self.start, names):
            if not cells:
                blank.append((line, len(rows)))
                if width == 1 and (rows or header is None):
                    rows.append([])
                    lines.append(line)
            elif cells == header and not header_seen:
                header_seen = True
            elif cells == header and width > 1:
                raise DataError(
                    f"{self.name}, line {line}: the names of the columns come again. The file seems to be several in "
                    f"one: remove the line."
                )
            elif len(cells) == width:
                rows.append(cells)
                lines.append(line)
            elif len(cells) == 1 and cells[0].startswith("#"):
                comments.append(line)
            else:
                self.refuse_width(line, cells, names, dialect)
        while rows and not rows[-1]:
            rows.pop()
            lines.pop()
        blank = [(line, before) for line, before in blank if before < len(rows)]
        if width == 1:
            rows = [cells or [""] for cells in rows]
        for found, what in (
            ([line for line, _ in blank], "blank"),
            (comments, "comment"),
        ):
            if found:
                s = "s" if len(found) > 1 else ""
                did = (
                    f"count{'' if s else 's'} as missing"
                    if width == 1 and what == "blank"
                    else "left out"
                )
                where = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
                notes.append(f"{len(found)} {what} line{s} {did} (line{s} {where}).")
        if not rows:
            raise DataError(
                f"{self.name}: there are names of columns and no rows. Give at least one row below them."
            )
        return np.array(lines, np.int64), rows

    def refuse_width(self, line, cells, names, dialect):
        """Raises the error on a record that is too short or too long."""
        width, n = len(names), len(cells)
        many = f"{n} cell{'s' if n != 1 else ''} where the first line has {width}"
        where = f"{self.name}, line {line}"
        if n < width:
            last = (
                not self.data.endswith((b"\n", b"\r"))
                and line == line_of(self.data, len(self.data)) + self.start - 1
            )
            cut = " The file seems to be cut there." if last else ""
            raise DataError(f"{where}: {many}: {column_said(n, names)} has none.{cut}")
        raise DataError(
            f"{where}: {many}: {cells[width][:40]!r} after {column_said(width - 1, names)} has no column. Cells are "
            f"set apart by {dialect}; a cell with one in it must stand in quote marks."
        )
