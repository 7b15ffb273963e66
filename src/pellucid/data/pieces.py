"""A delimited file that is larger than memory, read piece by piece: the cells of delimited.py, and its errors.

How the file is written is found in its head. Each piece ends with a row and is held to the head; what its columns are
is decided over all pieces (written.py), and only then are they made. N rows of a piece, or of a sample."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..base.errors import DataError, OptionError
from .cells import Repairs, column_of, marks_of
from .delimited import (
    LARGE,
    MIXED,
    PLAIN_QUOTES,
    Rows,
    Table,
    begin,
    left_out,
    refuse_nul,
    swallows_lines,
)
from .dialect import Dialect, QuoteError, line_of, record_end, refuse_no_text
from .frame import Column, Frame
from .regular import Cut, cut_regular, number_like
from .weights import mixed
from .written import Cells, Reading, Unsure, Written, decide, written

HEAD = (
    1 << 20
)  # bytes by which the delimiter, the header and the columns that hold numbers are found
ENOUGH = 1 << 14  # bytes of a piece from which machine code is the faster reader
LONGEST = 1 << 26  # bytes of a row: more is an open quote mark
SHOWN = 5  # lines in a note


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


# ---- Rows ----


@dataclass
class Tally:
    """What is left out of the file, over its pieces."""

    ahead: list[int] = field(default_factory=list)  # blank lines after which no row has come yet
    n: dict[str, int] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)

    def add(self, what: str, lines: Sequence[int]) -> None:
        """Lines of this kind."""
        self.n[what] = self.n.get(what, 0) + len(lines)
        self.lines.setdefault(what, []).extend(lines[: SHOWN - len(self.lines.get(what, []))])

    def add_blank(self, rows: Rows) -> None:
        """The blank lines of a piece; those at the end of the file do not count."""
        if rows.cells:
            within = [line for line, before in rows.blank if before < len(rows.cells)]
            self.add("blank", [*self.ahead, *within])
            self.ahead = []
        self.ahead += [line for line, before in rows.blank if before == len(rows.cells)]

    def notes(self) -> list[str]:
        """A sentence for each kind."""
        return [s for what, n in self.n.items() for s in left_out(what, n, self.lines[what])]


def cuts(layout: Layout, size: int, numbers: Sequence[int], tally: Tally) -> Iterator[Cut]:
    """The rows of the file, piece by piece of about `size` bytes.

    numbers  columns that are read as numbers where a piece holds nothing else there
    Raises DataError, with the line, for what delimited.py refuses and for bytes that are not UTF-8."""
    line, wanted, buffer = layout.start, size, b""
    with Source(layout) as source:
        buffer, source.ahead = source.ahead, b""
        while True:
            more = source.read(max(wanted - len(buffer), 1))
            buffer += more
            end = end_of_rows(buffer, layout.dialect.quotes) if more else len(buffer)
            if not end and more and len(buffer) < LONGEST:
                wanted = 2 * len(buffer)
                continue
            piece = buffer[: end or len(buffer)]
            if not piece:
                return
            try:
                cut = cut_piece(layout, piece, line, numbers, tally)
            except QuoteError as error:
                # The piece may end inside a cell: marks that are plain characters mislead the count.
                if not more or len(buffer) >= LONGEST or not error.may_go_on:
                    raise
                wanted = 2 * len(buffer)
                continue
            if len(cut.lines):
                yield cut
            line += line_of(piece, len(piece)) - 1
            buffer, wanted = buffer[len(piece) :], size
            del piece, cut


def cut_piece(layout: Layout, data: bytes, line: int, numbers: Sequence[int], tally: Tally) -> Cut:
    """The rows of a piece that begins on `line`."""
    check_text(data, layout.name, line)
    if b"\r" in data and b'"' not in data and "mixed" not in tally.n:
        n_crlf, n_cr, n_lf = (data.count(end) for end in (b"\r\n", b"\r", b"\n"))
        if n_lf and (n_cr != n_crlf or n_lf != n_crlf):
            tally.n["mixed"], tally.lines["mixed"] = 0, []
    names, marks = layout.names, marks_of(layout.options.get("missing"))[1]
    if len(data) >= ENOUGH:
        cut = cut_regular(
            data, names, numbers, layout.dialect, layout.header, line, layout.name, marks
        )
        if cut is not None:
            return cut
    table = Table(data, layout.name, line, "", None, layout.options, LARGE)
    rows = table.rows(layout.dialect, names, layout.header, is_below=True)
    tally.add_blank(rows)
    tally.add("comment", rows.comments)
    columns = zip(*rows.cells, strict=True) if rows.cells else [()] * len(names)
    return Cut(
        np.array(rows.lines, np.int64), {i: Cells.of(names[i], c) for i, c in enumerate(columns)}
    )


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


# ---- How large it is ----


def row_bytes(path: Path, **options: Any) -> float:
    """What a row takes in memory as columns, in the mean of the first rows."""
    return _sizes(path, options)[0]


def bytes_in_memory(path: Path, **options: Any) -> float:
    """What the file takes in memory as columns, estimated from its first rows; 0 where these cannot be read."""
    try:
        in_memory, in_file = _sizes(path, options)
    except (DataError, OptionError):
        return 0  # the usual reader says what is wrong, and may find what is right
    with opened(path) as file:
        packed = getattr(file, "fileobj", None)
        ratio = 1.0
        if packed is not None:
            n = len(read_from(file, HEAD, path))
            ratio = n / max(1, packed.tell())
    return path.stat().st_size * ratio / in_file * in_memory


def _sizes(path: Path, options: Mapping[str, Any]) -> tuple[float, float]:
    """(bytes of a row in memory, in the file) in the mean of the first rows."""
    layout = layout_of(path, **options)
    with Source(layout) as source:
        data = source.ahead + source.read(HEAD)
    data = data[: end_of_rows(data, layout.dialect.quotes)] or data
    texts = cut_piece(layout, data, layout.start, (), Tally()).texts
    n = max(1, len(texts[0]))
    total = 8.0 * n  # of the lines
    for i, cells in texts.items():
        # A number or a date, or a Python object and what points to it; and whether it is missing.
        total += (
            9 * n
            if i in layout.numbers
            else 66 * n + int(cells.counts() @ np.array([len(t) for t in cells.distinct]))
        )
    return total / n, len(data) / n


# ---- What the columns are ----


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

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that are kept."""
        return tuple(self.layout.names[i] for i in self.columns)

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
        hashes = mixed(numbers.astype(np.uint64) + np.uint64(1))
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
