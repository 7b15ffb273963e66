"""A CSV of pixels for prediction: one picture a row, in the raw units of the training data.

Short, long or unreadable rows stop the reading with file, row and column: none is skipped or shifted."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import DataError
from .text import read_text


@dataclass(frozen=True)
class PixelRows:
    """x (N, F) float32, scaled as the network takes it; labels (N,) int32 when the file has them."""

    x: np.ndarray
    labels: np.ndarray | None = None


def read_pixels(
    path: str | Path,
    n_features: int = 64,
    scale: float = 16.0,
    shift: float = 0.0,
    limit: float | None = 16.0,
) -> PixelRows:
    """Rows of n_features numbers, or n_features + 1 when the last column is a label (as UCI's files have it).

    A first line without any number is a header. Values outside 0..limit are refused: they are in another unit."""
    rows = read_cells(Path(path))
    if rows and not any(_is_number(cell) for cell in rows[0][1]):
        rows = rows[1:]
    if not rows:
        raise DataError(
            f"{path}: there are no rows of numbers. Give one picture a line, {n_features} numbers each."
        )
    width = len(rows[0][1])
    if width not in (n_features, n_features + 1):
        raise DataError(
            f"{path}, line {rows[0][0]}: {width} columns; this model takes {n_features} numbers a row "
            f"(or {n_features + 1}, the last one the label)."
        )
    values = np.empty((len(rows), width), np.float64)
    for i, (line, row) in enumerate(rows):
        if len(row) != width:
            raise DataError(
                f"{path}, line {line}: {len(row)} columns where the first row has {width}."
            )
        for j, text in enumerate(row):
            values[i, j] = _number(text, path, line, j, limit if j < n_features else None)
    x = ((values[:, :n_features] - shift) / scale).astype(np.float32)
    if width == n_features:
        return PixelRows(x)
    labels = values[:, n_features]
    whole = labels == np.floor(labels)
    if not whole.all():
        bad = int(np.argmin(whole))
        raise DataError(
            f"{path}, line {rows[bad][0]}, column {width}: label {labels[bad]:g} is not a whole number."
        )
    return PixelRows(x, labels.astype(np.int32))


def read_cells(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}.") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_000; other readers of CSV do not


def _number(text: str, path, line: int, column: int, limit: float | None) -> float:
    where = f"{path}, line {line}, column {column + 1}"
    if not _is_number(text):
        raise DataError(f"{where}: {text.strip()!r} is not a number.")
    value = float(text)
    if not np.isfinite(value):
        raise DataError(f"{where}: {text.strip()!r} is not a finite number.")
    if limit is not None and not 0 <= value <= limit:
        raise DataError(
            f"{where}: {value:g} is outside 0..{limit:g}, the ink of one pixel. For grey values of 0..255 "
            f"divide by {255 / limit:.4g} first."
        )
    return value
