"""Delimited text (CSV, TSV and kin) to a Frame: the right cells in the right columns, or an error that says where.

How the file is written is found out (dialect.py), then the whole file is held to it: every record has the same number
of cells. Nothing is padded, shifted or skipped; blank lines and comments are counted in the notes. Large regular
files are cut by machine code (regular.py), all others here; what the cells are is decided in cells.py."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

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
    n_titles,
    records,
    to_utf8,
)
from .frame import Frame
from .regular import read_regular
from .written import looks_like_a_value

SAMPLE = 1 << 17  # bytes by which the delimiter and the header are judged
SAMPLE_LINES = 1000
LARGE = 1 << 18  # bytes from which machine code is the faster reader, its linking included
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
) -> Frame:
    """The table in the bytes of a file; the parameters are those of reading.read_table.

    name    for messages
    suffix  of the file: .tsv and .tab are cut at tabs
    large   bytes from which machine code cuts regular ones"""
    data, notes = to_utf8(data, encoding, name)
    refuse_nul(data, name)
    if b"\r" in data and b'"' not in data:
        n_crlf, n_cr, n_lf = (data.count(end) for end in (b"\r\n", b"\r", b"\n"))
        if n_lf and (n_cr != n_crlf or n_lf != n_crlf):
            notes.append(MIXED)
    data, start, comment, delimiter = begin(data, name, suffix, delimiter, notes)
    options = {"missing": missing, "decimal": decimal, "kinds": kinds}
    table = Table(data, name, start, comment, header, options, large)
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


MIXED = "lines end in more than one way: at carriage returns and at line feeds."


def refuse_nul(data: bytes, name: str, line: int = 1) -> None:
    """Raises DataError for a NUL byte; the data begin on `line`."""
    at = data.find(b"\0")
    if at >= 0:
        raise DataError(
            f"{name}, line {line - 1 + line_of(data, at)}, byte {at}: a NUL byte. This is no text file, or a damaged "
            f"one."
        )


def begin(
    data: bytes, name: str, suffix: str, delimiter: str | None, notes: list[str]
) -> tuple[bytes, int, str, str]:
    """(the table in a file or its head, its first line, the comment right above it, its delimiter)."""
    delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter or "", delimiter)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise OptionError(
            f"delimiter {delimiter!r}: give one character, such as ',' or ';', or tab."
        )
    data, start, comment, hint = _preamble(data, notes)
    if not data[:4096].strip() and not data.strip():
        raise DataError(f"{name}: there is no table in the file. Give one with a row a line.")
    return data, start, comment, delimiter or hint or find_delimiter(_sample(data), suffix)


def swallows_lines(text: str | None) -> bool:
    """Whether a cell holds whole lines of a table: a tab and an end of line."""
    return text is not None and "\t" in text and ("\n" in text or "\r" in text)


def _swallows_lines(frame: Frame) -> bool:
    """Whether a cell does."""
    return any(swallows_lines(text) for c in frame.columns if c.kind == "text" for text in c.values)


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


@dataclass
class Opened:
    """What the first lines of a table say.

    names   of the columns          named   the cells of the header, ["x"] where it is not the first record
    head    the first records below the header, with their lines     header  line and cells of the header, or None"""

    names: list[str]
    named: list[str]
    head: list[tuple[int, list[str]]]
    header: tuple[int, list[str]] | None


@dataclass
class Rows:
    """Rows that were cut, and what was not.

    lines, cells  of each row        blank     blank lines, each with the number of rows before it
    comments      lines of comments among the rows"""

    lines: list[int] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)
    blank: list[tuple[int, int]] = field(default_factory=list)
    comments: list[int] = field(default_factory=list)

    def trim(self, width: int) -> None:
        """Forgets what is blank at the end of the file."""
        while self.cells and not self.cells[-1]:
            self.cells.pop()
            self.lines.pop()
        self.blank = [(line, before) for line, before in self.blank if before < len(self.cells)]
        if width == 1:
            self.cells = [cells or [""] for cells in self.cells]

    def notes(self, width: int) -> list[str]:
        """A sentence about the blank lines, one about the comments."""
        blank = [line for line, _ in self.blank]
        return [
            *left_out("blank", len(blank), blank, width == 1),
            *left_out("comment", len(self.comments), self.comments),
        ]


def left_out(what: str, n: int, lines: Sequence[int], is_missing: bool = False) -> list[str]:
    """The note on n lines that are no rows, of which the first ones are given."""
    if not n:
        return []
    s = "s" if n > 1 else ""
    did = f"count{'' if s else 's'} as missing" if is_missing else "left out"
    where = ", ".join(map(str, lines[:5])) + (", ..." if n > 5 else "")
    return [f"{n} {what} line{s} {did} (line{s} {where})."]


class Table:
    """The table in some bytes of UTF-8, which can be read under more than one dialect.

    start    line of the file on which the bytes begin
    comment  the comment line right above: perhaps the header"""

    def __init__(self, data, name, start, comment, header, options, large):
        self.data, self.name, self.start, self.comment = data, name, start, comment
        self.header, self.options, self.large = header, options, large

    def opened(self, dialect: Dialect, notes: list[str]) -> "Opened":
        """What the first lines say under this dialect; adds to the notes."""
        if dialect.delimiter != ",":
            notes.append(f"cells are set apart by {dialect}.")
        head = self.pass_titles(self.head(dialect), notes)
        named, skip_first = self.named(head, dialect, notes)
        names, said = column_names(named)
        notes += said if any(c.strip() for c in named) else []
        return Opened(
            names,
            named if skip_first else ["x"],
            head[skip_first:],
            head[0] if skip_first else None,
        )

    def read(self, dialect: Dialect, notes: list[str]) -> Frame:
        """The table under this dialect."""
        notes = list(notes)
        found = self.opened(dialect, notes)
        names = found.names
        options = {**self.options, "comma_separated": dialect.delimiter == ","}
        if len(self.data) >= self.large and len(names) > 1:
            frame = read_regular(
                self.data, names, found.head, dialect, found.header, self.start, self.name, options
            )
            if frame is not None:
                return self.finished(frame, found.named, notes)
        rows = self.rows(dialect, names, None if found.header is None else found.header[1])
        rows.trim(len(names))
        if not rows.cells:
            raise DataError(
                f"{self.name}: there are names of columns and no rows. Give at least one row below them."
            )
        notes += rows.notes(len(names))
        lines = np.array(rows.lines, np.int64)
        columns = list(zip(*rows.cells, strict=True))
        del rows
        made, said = columns_of(
            names, columns, lambda row: f"{self.name}, line {lines[row]}", **options
        )
        frame = Frame(self.name, made, lines, tuple(said))
        return self.finished(frame, found.named, notes)

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

    def pass_titles(self, head: list, notes: list[str]) -> list:
        """The head below lines of a title, which the table then begins behind."""
        n = 0 if self.header is False else n_titles([cells for _, cells in head])
        if n:
            shown = " / ".join(" ".join("".join(cells).split())[:60] for _, cells in head[:n])
            notes.append(f"{n} title line{'s' if n > 1 else ''} above the table left out: {shown}.")
            ends = (found.end() for found in re.finditer(rb"\r\n|\n|\r", self.data))
            first = head[n][0]
            at = next(islice(ends, first - self.start - 1, None))
            self.data, self.start = self.data[at:], first
        return head[n:]

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

    def rows(
        self,
        dialect: Dialect,
        names: Sequence[str],
        header: list[str] | None,
        is_below: bool = False,
    ) -> "Rows":
        """All rows, cut here.

        header    the first record, where that is none of them      is_below  it has been passed already"""
        width = len(names)
        out = Rows()
        header_seen = is_below
        for line, cells in records(self.data.decode(), dialect, self.name, self.start, names):
            if not cells:
                out.blank.append((line, len(out.cells)))
                if width == 1 and (out.cells or header is None):
                    out.cells.append([])
                    out.lines.append(line)
            elif cells == header and not header_seen:
                header_seen = True
            elif cells == header and width > 1:
                raise DataError(
                    f"{self.name}, line {line}: the names of the columns come again. The file seems to be several in "
                    f"one: remove the line."
                )
            elif len(cells) == width:
                out.cells.append(cells)
                out.lines.append(line)
            elif len(cells) == 1 and cells[0].startswith("#"):
                out.comments.append(line)
            else:
                self.refuse_width(line, cells, names, dialect)
        return out

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
            advice = (
                "The file seems to be cut there. Get the whole file, or remove the line."
                if last
                else "Add it, or write NA where there is no value."
            )
            raise DataError(f"{where}: {many}: {column_said(n, names)} has none. {advice}")
        raise DataError(
            f"{where}: {many}: {cells[width][:40]!r} after {column_said(width - 1, names)} has no column. Cells are "
            f"set apart by {dialect}; a cell with one in it must stand in quote marks."
        )
