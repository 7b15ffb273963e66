"""How a delimited file is written: its encoding, its delimiter, whether quote marks enclose cells, its header.

A cell is quoted when its first character, after blanks, is a quote mark; in it a quote mark is written twice, and it
ends before a delimiter or the end of a line. Elsewhere a quote mark is a plain character."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..base.errors import DataError, OptionError
from .written import MARKS, looks_like_a_value

DELIMITERS = "\t;|,"  # of equals the first is taken
SAID = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "blanks"}
END_OF_LINE = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Dialect:
    """Which character sets cells apart (a blank: any run of blanks), and whether quote marks enclose cells."""

    delimiter: str
    quotes: bool = True

    def __str__(self) -> str:
        return SAID.get(self.delimiter, f"the character {self.delimiter!r}")


class QuoteError(DataError):
    """A quote mark that opens a cell and does not close it.

    may_go_on  whether more text could make it right: this may be the middle of a cell"""

    may_go_on = True


# ---- Encoding ----

PACKED = "a packed file. Unpack it and name what is in it"
PICTURE = (
    "a picture, not a table. Pictures are learned from a folder that has a folder for each class"
)
# First bytes -> what such a file is, and what to do
NO_TEXT = {
    b"PK\x03\x04": "a zip archive. Unpack it and name what is in it; a workbook's name ends with .xlsx",
    **dict.fromkeys((b"BZh", b"7z\xbc\xaf", b"\xfd7zXZ", b"Rar!", b"(\xb5/\xfd"), PACKED),
    **dict.fromkeys((b"\x89PNG", b"\xff\xd8\xff", b"GIF8"), PICTURE),
    b"%PDF": "a PDF. Save its table as CSV",
    b"PAR1": "a Parquet file. Give it a name that ends with .parquet",
    b"\x93NUMPY": "an array of NumPy's. Give it a name that ends with .npy",
    b"\xd0\xcf\x11\xe0": "a file of Microsoft Office. Save its table as .xlsx or CSV",
    b"SQLite format 3": "a database. Save a table of it as CSV",
}


def refuse_no_text(data: bytes, name: str) -> None:
    """Raises DataError for what begins as an archive, a picture or another file that is no text."""
    for start, what in NO_TEXT.items():
        if data.startswith(start):
            raise DataError(f"{name}: {what}.")
    if data[257:262] == b"ustar":
        raise DataError(f"{name}: {PACKED}.")


def to_utf8(data: bytes, encoding: str | None, name: str) -> tuple[bytes, list[str]]:
    """The text as UTF-8 without a byte order mark, and notes.

    The mark decides, then valid UTF-8, then NUL bytes at every second place (UTF-16); what is left is taken as
    Windows-1252, unless parts of it are UTF-8."""
    refuse_no_text(data, name)
    if encoding is not None:
        try:
            known = codecs.lookup(encoding).name
            text = data.decode(known)
        except LookupError:
            raise OptionError(
                f"encoding {encoding!r} is not known. Give one such as utf-8, utf-16 or cp1252."
            ) from None
        except (UnicodeDecodeError, UnicodeError) as error:
            at = getattr(error, "start", 0)
            raise DataError(
                f"{name}, line {line_of(data, at)}: not {known} text (byte {at})."
            ) from error
        return text.removeprefix("\ufeff").encode("utf-8", "surrogatepass"), []
    for mark, marked in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            if marked == "utf-8":
                data = data[len(mark) :]
                break
            try:
                return data.decode(marked).encode(), [f"the text is {marked.upper()}."]
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{name}: not {marked} text, as its first bytes say (byte {error.start}). The file is cut or "
                    f"damaged."
                ) from error
    if data.isascii():
        if 0 in data[:4096]:
            for wide, odd in (("utf-16-le", 1), ("utf-16-be", 0)):
                if set(data[odd:4096:2]) == {0} and 0 not in data[1 - odd : 4096 : 2]:
                    return to_utf8(data, wide, name)[0], [f"the text is {wide.upper()}."]
        return data, []
    try:
        data.decode()  # the check alone
        return data, []
    except UnicodeDecodeError as error:
        at = error.start
    where = f"{name}, line {line_of(data, at)}: byte {data[at]:#x}"
    if not data.decode("utf-8", "ignore").isascii():
        raise DataError(
            f"{where} is not UTF-8, though other parts of the file are. Repair it, or say in what encoding the "
            f"file is, such as cp1252 or latin-1 (--encoding)."
        )
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}, line {line_of(data, error.start)}: byte {data[error.start]:#x} is neither UTF-8 nor "
            f"Windows-1252. Say in what encoding the file is, such as latin-1 (--encoding)."
        ) from error
    return text.encode(), [
        f"the text is not UTF-8 (line {line_of(data, at)}) and is read as Windows-1252; if signs look wrong, give "
        f"the encoding."
    ]


def line_of(data: bytes, at: int) -> int:
    """The line that a byte is on, from 1."""
    before = data[:at]
    return 1 + before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")


# ---- Records ----


def records(
    text: str, dialect: Dialect, name: str, line: int = 1, names: Sequence[str] = ()
) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each record; a blank line has no cells. `line` is that of the first.

    Raises QuoteError, with line and column, where a quote mark opens a cell and the cell does not end with one."""
    blank = " " if dialect.delimiter == "\t" else " \t"
    at, size = 0, len(text)
    while at < size:
        end = END_OF_LINE.search(text, at)
        stop, after = (end.start(), end.end()) if end else (size, size)
        if dialect.quotes and text.find('"', at, stop) >= 0:
            cells, n_lines, at = _quoted_record(text, at, dialect.delimiter, name, line, names)
            yield line, cells
            line += n_lines
            continue
        row = text[at:stop]
        if dialect.delimiter == " ":
            yield line, row.split()
        else:
            yield line, row.split(dialect.delimiter) if row.strip(blank) else []
        at = after
        line += 1


def record_end(text: str, dialect: Dialect, n_blank: int = 0) -> int:
    """Where the first record ends that comes after so many blank lines."""
    at = 0
    for _ in range(n_blank + 1):
        end = END_OF_LINE.search(text, at)
        start, at = at, end.end() if end else len(text)
    if dialect.quotes and '"' in text[start:at]:
        at = _quoted_record(text, start, dialect.delimiter, "", 1, ())[2]
    return at


def _quoted_record(
    text: str, at: int, delimiter: str, name: str, line: int, names: Sequence[str]
) -> tuple[list[str], int, int]:
    """(cells, lines that the record takes, place of the next) of a record with a quote mark in it."""
    mark = re.escape(delimiter)
    blank = "[ ]*" if delimiter == "\t" else "[ \t]*"
    opening = re.compile(rf'{blank}"')
    quoted = re.compile(rf'{blank}"([^"]*(?:""[^"]*)*)"{blank}')
    plain = re.compile(rf"[^{mark}\r\n]*")
    cells: list[str] = []
    n_lines = 1
    while True:
        if opening.match(text, at):
            found = quoted.match(text, at)
            where = f"{name}, line {line + n_lines - 1}, {column_said(len(cells), names)}"
            if found is None:
                raise QuoteError(
                    f"{where}: a quote mark opens this cell and none closes it. Close it, or write "
                    f"the mark twice."
                )
            cells.append(found[1].replace('""', '"'))
            n_lines += len(END_OF_LINE.findall(found[0]))
            at = found.end()
            if at < len(text) and text[at] not in (delimiter, "\r", "\n"):
                rest = text[at : at + 20].splitlines()[0]
                problem = QuoteError(
                    f"{where}: after the quote mark that closes this cell stands {rest!r}. A quote mark "
                    f"inside a quoted cell is written twice"
                    + (", not behind a backslash." if found[1].endswith("\\") else ".")
                )
                problem.may_go_on = rest.startswith('"')
                raise problem
        else:
            found = plain.match(text, at)
            assert found is not None
            cells.append(found[0])
            at = found.end()
        if at < len(text) and text[at] == delimiter:
            at += 1
            continue
        end = END_OF_LINE.match(text, at)
        return cells, n_lines, end.end() if end else at


def column_said(index: int, names: Sequence[str]) -> str:
    """A column in a message: by its name where there is one."""
    return f"column {names[index]!r}" if index < len(names) else f"column {index + 1}"


# ---- Delimiter ----


def find_delimiter(text: str, suffix: str) -> str:
    """The character that sets cells apart in this sample of whole lines.

    Of those that cut every record into the same number of cells, more than one, the one with most numbers among its
    cells; where there is none, the one that cuts most records alike."""
    if suffix in (".tsv", ".tab"):
        return "\t"
    even: dict[str, list[str]] = {}  # delimiter -> the cells that it cuts
    uneven: dict[str, float] = {}  # delimiter -> share of the records that it cuts alike
    for delimiter in DELIMITERS:
        rows = _tolerant(text, Dialect(delimiter))
        if delimiter == "\t":  # there quote marks may be plain characters
            rows = max(rows, _tolerant(text, Dialect(delimiter, False)), key=len)
        if not rows:
            continue
        width, n = Counter(len(cells) for cells in rows).most_common(1)[0]
        if width > 1 and n == len(rows):
            even[delimiter] = [c for row in rows for c in row]
        elif width > 1:
            uneven[delimiter] = n / len(rows)
    if len(even) == 1:
        return next(iter(even))
    if even:
        share = {d: sum(map(looks_like_a_value, cells)) / len(cells) for d, cells in even.items()}
        return max(share, key=share.__getitem__)
    lines = [line.split() for line in END_OF_LINE.split(text) if line.strip()]
    values = [looks_like_a_value(c) for cells in lines for c in cells]
    widths = {len(cells) for cells in lines}
    if len(widths) == 1 and widths.pop() > 1 and sum(values) > len(values) / 2 and '"' not in text:
        return " "
    return max(uneven, key=uneven.__getitem__, default=",")


def _tolerant(text: str, dialect: Dialect) -> list[list[str]]:
    """The records up to the first that cannot be read; blank lines and comments left out."""
    rows = []
    try:
        for _, cells in records(text, dialect, ""):
            if cells and not (len(cells) == 1 and cells[0].startswith("#")):
                rows.append(cells)
    except QuoteError:
        pass
    return rows


# ---- Header ----


def has_header(rows: Sequence[Sequence[str]]) -> tuple[bool, bool]:
    """(whether the first of these rows names the columns, whether that is sure).

    Names are no numbers, amounts or dates, except years or numbers that count up. Where columns below hold numbers
    the words above them are names; where all are words, names do not occur again in their columns."""
    first, rest = rows[0], rows[1:]
    if all(c.strip() in MARKS for c in first):
        return False, True
    values = [c for c in first if looks_like_a_value(c)]
    if values:
        return _counts_up(values) and len(rest) > 0, True
    if not rest:
        return True, False
    for column, name in enumerate(first):
        # A line of names may come again, where files were joined.
        below = [row[column] for row in rest if column < len(row) and row != first]
        present = [c for c in below if c.strip() not in MARKS]
        if name.strip() not in MARKS and present and all(map(looks_like_a_value, present)):
            return True, True
    again = any(c in {row[i] for row in rest if i < len(row)} for i, c in enumerate(first) if c)
    return not again, False


MOST_TITLES = 10


def n_titles(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows are a title: one cell each, above a row of names and rows of numbers under these."""
    n = next((i for i, row in enumerate(rows) if sum(bool(c.strip()) for c in row) != 1), 0)
    rest = rows[n:]
    if not 0 < n <= MOST_TITLES or len(rest) < 2 or not all(c.strip() for c in rest[0]):
        return 0
    if any(len(row) != len(rest[0]) for row in rest) or has_header(rest) != (True, True):
        return 0
    # A first row of names may lack all but one of them.
    return n if all(len(row) == 1 or len(rest[0]) > 2 for row in rows[:n]) else 0


def _counts_up(values: list[str]) -> bool:
    """0, 1, 2 ... or years in order: numbers that name columns."""
    if len(values) < 2 or not all(c.strip().isdecimal() for c in values):
        return False
    numbers = [int(c) for c in values]
    steps = {b - a for a, b in pairwise(numbers)}
    if len(steps) != 1 or min(steps) < 1:
        return False
    return (numbers[0] in (0, 1) and steps == {1} and len(numbers) > 2) or (
        numbers[0] >= 1800 and numbers[-1] <= 2200
    )


def column_names(cells: Sequence[str]) -> tuple[list[str], list[str]]:
    """(a name for each column, none empty and none twice; notes)."""
    names: dict[str, None] = {}  # in order
    notes = []
    given = {" ".join(c.split()) for c in cells}
    for number, cell in enumerate(cells, 1):
        name = " ".join(cell.split())
        if not name:
            name = f"column_{number}"
            while name in given or name in names:
                name += "_"
            notes.append(f"column {number} has no name and is called {name!r}.")
        elif name in names:
            count = 2
            while f"{name}_{count}" in given or f"{name}_{count}" in names:
                count += 1
            notes.append(f"column {number} is the second {name!r} and is called '{name}_{count}'.")
            name = f"{name}_{count}"
        names[name] = None
    return list(names), notes
