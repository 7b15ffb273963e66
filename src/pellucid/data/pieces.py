"""A delimited file that is larger than memory, cut piece by piece: the cells of delimited.py, and its errors.

Each piece ends with a row and is held to what the head of the file says (layout.py); what its columns are is decided
over all pieces (survey.py). N rows of a piece"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError, OptionError
from .cells import marks_of
from .cutter import LONGEST
from .delimited import LARGE, Rows, Table, left_out
from .dialect import QuoteError, line_of
from .layout import HEAD, Layout, Source, check_text, end_of_rows, layout_of, opened, read_from
from .regular import Cut, cut_regular
from .written import Cells

ENOUGH = 1 << 14  # bytes of a piece from which machine code is the faster reader
SHOWN = 5  # lines in a note


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
