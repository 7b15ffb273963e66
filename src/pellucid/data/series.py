"""The series that the package carries: how warm the sea off Peru was, each month from 1950 to 2010.

sea_temperature.csv has 732 rows, month and mean temperature of the sea's surface in degrees Celsius, from 0 to 10
degrees south and 80 to 90 degrees west: the region Niño 1+2, where an El Niño shows first. Source: the National
Oceanic and Atmospheric Administration's ERSST.V3B. A work of the United States government, in the public domain."""

import math
from pathlib import Path

import numpy as np

from ..base.errors import DataError
from .sequence import Series, check_values, cut
from .table import read_cells

SOURCE = "sea surface temperature off Peru by month, 1950-2010 (NOAA, ERSST.V3B, Niño 1+2)"
LICENCE = "public domain"


def load_series(window: int = 24, validation: float = 0.15, test: float = 0.2) -> Series:
    """The 732 temperatures; scales come from the training part alone, the later parts are not looked at."""
    times, values = read_series(Path(__file__).with_name("sea_temperature.csv"))
    return scaled_series("series", values, times, window, validation, test, "°C", SOURCE, LICENCE)


def scaled_series(
    name: str,
    values: np.ndarray,
    times: tuple[str, ...],
    window: int,
    validation: float,
    test: float,
    unit: str = "",
    source: str = "",
    licence: str = "",
) -> Series:
    """A Series whose mean and deviations are those of its training part."""
    values = np.asarray(values, np.float64)
    check_values(name, values, times)
    learned = values[: max(2, cut(len(values), validation, test)[0])]
    mean, scale = _mean_and_deviation(learned)
    _, step = _mean_and_deviation(np.diff(learned))
    # 1: a part without any change is learned from as it is.
    return Series(
        name, values, times, window, unit, mean, scale or 1.0, step or 1.0, source, licence
    )


def _mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Of all the values; sums are exact, so that they do not depend on the machine's order of adding."""
    mean = math.fsum(values.tolist()) / len(values)
    return mean, math.sqrt(math.fsum(((values - mean) ** 2).tolist()) / len(values))


def read_series(path: str | Path) -> tuple[tuple[str, ...], np.ndarray]:
    """(times, values) of a CSV with one value a line, the last column; the first column names the time.

    A first line without a number in its last column is a header. With one column the times are line numbers.
    Raises DataError naming the file and the line."""
    rows = read_cells(Path(path))
    if rows and not _is_number(rows[0][1][-1]):
        rows = rows[1:]
    times, values = [], []
    for line, cells in rows:
        if not _is_number(cells[-1]):
            raise DataError(
                f"{path}, line {line}: {cells[-1].strip()!r} is not a finite number. Give one value a line, in the "
                f"last column."
            )
        times.append(cells[0].strip() if len(cells) > 1 else f"line {line}")
        values.append(float(cells[-1]))
    if not values:
        raise DataError(f"{path}: there are no values. Give one number a line.")
    return tuple(times), np.array(values, np.float64)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False
