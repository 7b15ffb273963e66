"""How a delimited file is written, as its head says, and its text below that, as UTF-8 in pieces of any size.

Bytes are unpacked and decoded as they are read; what is no text is named with its line."""

import codecs
import gzip
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..base.errors import DataError, OptionError
from .delimited import LARGE, PLAIN_QUOTES, Table, begin, refuse_nul
from .dialect import Dialect, line_of, record_end, refuse_no_text
from .regular import number_like

HEAD = (
    1 << 20
)  # bytes by which the delimiter, the header and the columns that hold numbers are found


@dataclass(frozen=True)
class Layout:
    """How a file is written, as its head says.

    start    line on which the rows begin, skipped bytes of UTF-8 into the text     header  cells, or None
    options  missing, decimal and kinds of reading.read_table"""

    path: Path
    encoding: str | None
    dialect: Dialect
    names: tuple[str, ...]
    header: list[str] | None
    start: int
    skipped: int
    numbers: tuple[int, ...]
    is_unnamed: bool
    notes: tuple[str, ...]
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of the file, for messages."""
        return self.path.name


def layout_of(
    path: Path,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    quotes: bool = True,
    sheet: str | None = None,
    **options: Any,
) -> Layout:
    """The layout of a file; the parameters are those of reading.read_table.

    quotes  whether quote marks enclose cells, where tabs part them     sheet  is one of a workbook, not of text"""
    with opened(path) as file:
        raw = read_from(file, HEAD, path)
        is_all = len(raw) < HEAD
    marked = None if encoding else marked_encoding(raw)
    encoding = encoding or marked
    data = as_utf8(raw, encoding, path.name)
    if not is_all:
        data = data[: 1 + max(data.rfind(b"\n"), data.rfind(b"\r"))] or data
    check_text(data, path.name, 1)
    notes = [f"the text is {marked.upper()}."] if marked else []
    whole = len(data)
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    data, start, comment, mark = begin(data, path.name, suffix, delimiter, notes)
    dialect = Dialect(mark, mark != " " and (quotes or mark != "\t"))
    if not dialect.quotes and mark == "\t":
        notes.append(PLAIN_QUOTES)
    table = Table(data, path.name, start, comment, header, options, LARGE)
    found = table.opened(dialect, notes)
    data, start = table.data, table.start
    if len(found.names) == 1:
        raise DataError(f"{path.name}: one column. There is nothing to learn it from.")
    skipped, cells = whole - len(data), None
    if found.header is not None:
        text = data.decode()
        end = record_end(text, dialect, found.header[0] - start)
        skipped += len(text[:end].encode())
        start += line_of(data, len(text[:end].encode())) - 1
        cells = found.header[1]
    rows = [row for _, row in found.head if len(row) == len(found.names)]
    numbers = number_like(found.names, rows, options) if rows else []
    return Layout(
        path, encoding, dialect, tuple(found.names), cells, start, skipped, tuple(numbers),
        not found.named[-1].strip(), tuple(notes), options,
    )  # fmt: skip


# ---- Bytes ----


def opened(path: Path) -> BinaryIO:
    """The file, unpacked where it is gzipped. Raises DataError naming it."""
    try:
        with open(path, "rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
        return gzip.open(path, "rb") if is_packed else open(path, "rb")  # type: ignore[return-value]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error


def read_from(file: Any, n: int, path: Path) -> Any:
    """n bytes or signs more. Raises DataError naming the file."""
    try:
        return file.read(n)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the file is cut, damaged or cannot be read: {error}.") from error


def marked_encoding(raw: bytes) -> str | None:
    """What a byte order mark says; None: UTF-8, with its mark or without."""
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if raw.startswith(mark):
            return encoding
    return None


def as_utf8(raw: bytes, encoding: str | None, name: str) -> bytes:
    """The head as UTF-8 without a byte order mark; a sign that is cut at its end is left out."""
    refuse_no_text(raw, name)
    if encoding is None:
        return raw.removeprefix(codecs.BOM_UTF8)
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        return decoder.decode(raw).removeprefix("\ufeff").encode()
    except LookupError:
        raise OptionError(
            f"encoding {encoding!r} is not known. Give one such as utf-8, utf-16 or cp1252."
        ) from None
    except UnicodeError as error:
        raise DataError(f"{name}: not {encoding} text ({error}).") from error


class Source:
    """The text below the header, as UTF-8, in pieces of any size."""

    def __init__(self, layout: Layout):
        self.layout, self.file = layout, opened(layout.path)
        self.text = None
        if layout.encoding is not None:
            self.text = io.TextIOWrapper(self.file, encoding=layout.encoding, newline="")
        self.ahead = b""

    def __enter__(self) -> "Source":
        try:
            self.skip()
        except BaseException:
            self.__exit__()
            raise
        return self

    def skip(self) -> None:
        """What stands above the rows is passed; what was read beyond it is `ahead`."""
        left = self.layout.skipped
        first = self.read(max(left + 4, 4096)).removeprefix(codecs.BOM_UTF8)
        while len(first) < left:
            first += self.read(left)
        self.ahead = first[left:]

    def __exit__(self, *error: object) -> None:
        (self.text or self.file).close()

    def read(self, n: int) -> bytes:
        """About n bytes more; none at the end."""
        try:
            if self.text is not None:
                return read_from(self.text, n, self.layout.path).encode()
            return read_from(self.file, n, self.layout.path)
        except UnicodeError as error:
            raise DataError(
                f"{self.layout.name}: not {self.layout.encoding} text ({error})."
            ) from error


def end_of_rows(data: bytes, quotes: bool) -> int:
    """How many bytes are whole rows, as far as the number of quote marks tells; 0 where none is."""
    mark = b"\n" if b"\n" in data else b"\r"
    end = data.rfind(mark, 0, len(data) - 1) + 1  # a carriage return may be half an end of line
    if not quotes or data.count(b'"', 0, end) % 2 == 0:
        return end
    at = data.rfind(b'"', 0, end)
    return data.rfind(mark, 0, max(0, at)) + 1


def check_text(data: bytes, name: str, line: int) -> None:
    """Raises DataError for a byte that is no text; the data begin on `line`."""
    refuse_nul(data, name, line)
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        at = line - 1 + line_of(data, error.start)
        raise DataError(
            f"{name}, line {at}: byte {data[error.start]:#x} is not UTF-8. Say in what encoding the file is, "
            f"such as cp1252 or latin-1 (--encoding)."
        ) from error
