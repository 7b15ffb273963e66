"""CSV that is safe to open in a spreadsheet: no cell of text is executed as a formula (CWE-1236)."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..base.errors import DataError, RunError

# What spreadsheets take for the beginning of a formula, also after blanks and in the full width of Asian fonts.
FORMULA = re.compile(r"[\s\ufeff\u200b]*[=+\-@\t\r\n|＝＋－＠]")
QUOTED = re.compile('[",\r\n]')
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
    columns = [c if isinstance(c, np.ndarray) else list(c) for c in columns]
    if len(names) != len(columns) or len({len(c) for c in columns}) > 1:
        raise DataError(
            f"{len(names)} names, and columns of {', '.join(str(len(c)) for c in columns)} values: needed is a "
            f"value for each name in each row."
        )
    if not isinstance(path_or_stream, str | Path):
        _write(path_or_stream, names, columns, raw)
        return
    path = Path(path_or_stream)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        try:
            with open(part, "x", encoding="utf-8", newline="") as stream:
                _write(stream, names, columns, raw)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}.") from error


def _write(stream: TextIO, names: Sequence[str], columns: Sequence[Any], raw: bool) -> None:
    safe = str if raw else safe_cell
    stream.write(_line([safe(n) for n in names]))
    for row in zip(*map(_cells, columns), strict=True):
        stream.write(
            _line(["" if c is None else safe(c) if isinstance(c, str) else str(c) for c in row])
        )


def _line(cells: list[str]) -> str:
    """A record: cells with a delimiter, quote mark or end of line in them stand in quote marks.

    (Python's csv module leaves a carriage return bare where lines end with line feeds.)"""
    quoted = ['"' + c.replace('"', '""') + '"' if QUOTED.search(c) else c for c in cells]
    return (",".join(quoted) if quoted != [""] else '""') + "\n"


def _cells(column: Any):
    """Values of a column as Python's own: shortest numbers, ISO dates, None where missing."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "f" and column.dtype.itemsize < 8:
        return [None if np.isnan(v) else float(str(v)) for v in column]  # 0.1, not 0.10000000149
    return map(
        _cell,
        column.tolist() if isinstance(column, np.ndarray) and column.dtype.kind != "M" else column,
    )


def _cell(value: Any):
    if value is None or (isinstance(value, float | np.floating) and value != value):
        return None
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            return None
        return str(
            value.astype("datetime64[D]") if value == value.astype("datetime64[D]") else value
        )
    if isinstance(value, np.generic):
        return _cell(float(str(value)) if isinstance(value, np.floating) else value.item())
    return value if isinstance(value, int | float | str) else str(value)


def safe_cell(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would take it for a formula."""
    return "'" + text if FORMULA.match(text) and not NUMBER.fullmatch(text) else text
