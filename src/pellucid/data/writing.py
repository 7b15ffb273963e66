"""CSV that is safe to open in a spreadsheet: no cell of text is executed as a formula (CWE-1236)."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..base.errors import DataError, RunError

# What spreadsheets take for the beginning of a formula, also after blanks and in the full width of Asian fonts.
FORMULA = re.compile(r"[\s\ufeff\u200b]*[=+\-@\t\r\n|＝＋－＠]")
QUOTED = re.compile('[",\r\n]')
BLOCK = 1 << 14  # rows that are made text at a time
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def write_csv(
    path_or_stream: str | Path | TextIO,
    names: Sequence[str],
    columns: Sequence[Any],
    raw: bool = False,
) -> None:
    """Writes a table as CSV in UTF-8, a line of names and a line for each row.

    names    F column names
    columns  F arrays or lists of N values: numbers, text, dates; None, NaN and NaT become empty cells
    raw      text is written as it is; otherwise text, names too, that a spreadsheet would execute gets an apostrophe
             in front. Numbers, and text that is a number such as -5, are never changed.

    A file is replaced only once the whole table is written. Raises DataError for columns of different lengths,
    RunError when the file cannot be written."""
    write_blocks(path_or_stream, names, [columns], raw)


def write_blocks(
    path_or_stream: str | Path | TextIO,
    names: Sequence[str],
    blocks: Iterable[Sequence[Any]],
    raw: bool = False,
) -> None:
    """As write_csv, a table that comes in blocks of rows: F columns each."""
    if not isinstance(path_or_stream, str | Path):
        _write(path_or_stream, names, blocks, raw)
        return
    path = Path(path_or_stream)
    whole = path.resolve()  # a link stays one
    part = whole.with_name(f"{whole.name}.{os.getpid()}.part")
    try:
        if (
            path.exists() and not path.is_file()
        ):  # /dev/stdout, a pipe: written into, never replaced
            with open(path, "w", encoding="utf-8", newline="") as stream:
                _write(stream, names, blocks, raw)
            return
        try:
            with open(part, "x", encoding="utf-8", newline="") as stream:
                _write(stream, names, blocks, raw)
            os.replace(part, whole)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        is_lost = isinstance(error, FileNotFoundError)
        advice = "Make the folder first" if is_lost else "Free some space"
        raise RunError(
            f"{path}: cannot be written: {error.strerror or error}. What was there before is unchanged. {advice} or "
            f"choose another folder."
        ) from error


def _write(
    stream: TextIO, names: Sequence[str], blocks: Iterable[Sequence[Any]], raw: bool
) -> None:
    cell = _quoted if raw else _safe
    _write_rows(stream, [[cell(n)] for n in names])
    for block in blocks:
        columns = [c if isinstance(c, np.ndarray) else list(c) for c in block]
        if len(names) != len(columns) or len({len(c) for c in columns}) > 1:
            raise DataError(
                f"{len(names)} names, and columns of {', '.join(str(len(c)) for c in columns)} values: needed is a "
                f"value for each name in each row."
            )
        for start in range(0, len(columns[0]) if columns else 0, BLOCK):
            _write_rows(stream, [_cells(c[start : start + BLOCK], cell) for c in columns])


def _write_rows(stream: TextIO, columns: list[list[str]]) -> None:
    """A line for each row of finished cells."""
    if len(columns) == 1:
        columns = [[c or '""' for c in columns[0]]]  # a blank line would be no row
    lines = list(map(",".join, zip(*columns, strict=True)))
    stream.write("\n".join([*lines, ""]))


def _cells(column: Any, cell: Callable[[str], str]) -> list[str]:
    """Some values of a column as they stand in the file; `cell` is what becomes of text."""
    values = column
    if isinstance(column, np.ndarray):
        kind, size = column.dtype.kind, column.dtype.itemsize
        if kind in "iu" or (kind == "f" and size == 8):
            found = list(map(str, column.tolist()))
            for i in np.flatnonzero(column != column).tolist():
                found[i] = ""
            return found
        if kind == "f":  # 0.1, not 0.10000000149
            return ["" if np.isnan(v) else str(float(str(v))) for v in column]
        values = column if kind == "M" else column.tolist()
    known = {text: cell(text) for text in values if type(text) is str}
    return [known[v] if type(v) is str else _text(v, cell) for v in values]


def _text(value: Any, cell: Callable[[str], str]) -> str:
    """A single value: shortest numbers, ISO dates, nothing where it is missing."""
    if value is None or (isinstance(value, float | np.floating) and value != value):
        return ""
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            return ""
        day = value.astype("datetime64[D]")
        return str(day if value == day else value)
    if isinstance(value, np.generic):
        value = float(str(value)) if isinstance(value, np.floating) else value.item()
    return str(value) if isinstance(value, int | float) else cell(str(value))


def _quoted(text: str) -> str:
    """A cell with a delimiter, quote mark or end of line in it stands in quote marks.

    (Python's csv module leaves a carriage return bare where lines end with line feeds.)"""
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text


def _safe(text: str) -> str:
    return _quoted(safe_cell(text))


def safe_cell(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would take it for a formula."""
    return "'" + text if FORMULA.match(text) and not NUMBER.fullmatch(text) else text
