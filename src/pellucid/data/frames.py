"""Tables in memory to a Frame: pandas, polars and what else narwhals knows, a dictionary of arrays, a 2-d array.

The types of the columns decide, not their cells: a column of strings is text even where all are digits."""

import math
import numbers
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from ..base.errors import DataError
from .frame import Column, Frame

EXACT = 2**53


def frame_of(obj: Any, name: str = "data") -> Frame:
    """The frame of a table in memory; a Frame is given back as it is.

    obj   a pandas, polars or other data frame that narwhals knows; a mapping of column names to (N,) arrays or lists,
          (N, F) makes F columns; or an (N, F) NumPy array, whose columns are called column_1 to column_F
    name  for messages

    Missing are None, NaN, NaT, pandas.NA, masked values and empty text. Booleans become the words true and false, whole
    numbers beyond 2^53 text. Raises DataError for an object, or a cell, that is no number, text or date."""
    if isinstance(obj, Frame):
        return obj
    if isinstance(obj, Mapping):
        return frame_of_arrays(obj, name)
    if isinstance(obj, np.ndarray):
        if obj.ndim != 2:
            raise DataError(
                f"{name}: an array of shape {list(obj.shape)}; a table has two axes, rows and columns."
            )
        return frame_of_arrays({f"column_{i + 1}": obj[:, i] for i in range(obj.shape[1])}, name)
    import narwhals as nw

    try:
        table = nw.from_native(obj, eager_only=True)
        columns = {c: table.get_column(c) for c in table.columns}
    except TypeError:
        raise DataError(
            f"{name}: {type(obj).__name__} is no table that can be read. Give a pandas or polars DataFrame (a lazy one "
            f"collected), a dictionary of columns, or a 2-d NumPy array."
        ) from None
    except Exception as error:  # each library has its own error for a name that comes twice
        raise DataError(f"{name}: {str(error).splitlines()[0][:200]}") from error
    made, notes = [], []
    for key, series in columns.items():
        column, note = _of_series(str(key), series, name)
        notes += [note] if note else []
        made += [column] if column else []
    return Frame(name, _some(made, name), None, tuple(notes))


def frame_of_arrays(arrays: Mapping[Any, Any], name: str) -> Frame:
    """The frame of columns by name, each (N,) or (N, F)."""
    made, notes = [], []
    for key, value in arrays.items():
        array = value if isinstance(value, np.ndarray) else _array(value, f"{name}, column {key!r}")
        if array.ndim == 2:
            parts = {f"{key}_{i + 1}": array[:, i] for i in range(array.shape[1])}
        elif array.ndim == 1:
            parts = {str(key): array}
        else:
            raise DataError(
                f"{name}, column {key!r}: an array of shape {list(array.shape)}; a column has one axis."
            )
        for part, cells in parts.items():
            column, note = _of_array(part, cells, name)
            made.append(column)
            notes += [note] if note else []
    lengths = {c.name: len(c) for c in made}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{key!r} {n}" for key, n in list(lengths.items())[:6])
        raise DataError(f"{name}: the columns have different lengths: {said}.")
    return Frame(name, _some(made, name), None, tuple(notes))


def _some(made: list[Column], name: str) -> tuple[Column, ...]:
    if not made:
        raise DataError(f"{name}: there are no columns of numbers, text or dates.")
    return tuple(made)


def _array(values: Any, where: str) -> np.ndarray:
    """Cells of any kinds, as they are; arrays and series of other libraries by their own conversion."""
    if hasattr(values, "__array__"):
        return np.asarray(values)
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise DataError(f"{where}: {str(values)[:40]!r} is one value; a column is a list of them.")
    values = list(values)
    out = np.empty(len(values), object)
    out[:] = values
    return out


def _of_series(key: str, series: Any, name: str) -> tuple[Column | None, str]:
    """(column of a narwhals series, or None when it is left out; a note)."""
    import narwhals as nw

    kind = series.dtype
    if kind.is_float() or kind.is_decimal():
        missing = series.is_null().to_numpy().astype(bool)
        values = series.cast(nw.Float64).fill_null(0.0).to_numpy()
        return _of_array(key, np.ma.masked_array(values, missing), name)
    if kind.is_integer():
        missing = series.is_null().to_numpy().astype(bool)
        return _of_array(key, np.ma.masked_array(series.fill_null(0).to_numpy(), missing), name)
    if kind.is_temporal() and kind not in (nw.Datetime, nw.Date):
        if kind == nw.Duration:
            seconds = np.array(
                [math.nan if v is None else v.total_seconds() for v in series.to_list()], float
            )
            return _of_array(key, seconds, name)[
                0
            ], f"column {key!r}: durations are read in seconds."
        return None, f"column {key!r} ({kind}) is no number, text or date: left out."
    if kind.is_nested() or kind == nw.Binary:
        return None, f"column {key!r} ({kind}) is no number, text or date: left out."
    return _of_array(key, _array(series.to_list(), key), name)


def _of_array(key: str, cells: np.ndarray, name: str) -> tuple[Column, str]:
    """(column of an (N,) array, a note)."""
    hidden = np.ma.getmaskarray(cells).copy()
    data = np.ma.getdata(cells)
    kind = data.dtype.kind
    if kind in "iu":
        large = (data > EXACT) | (data < -EXACT) if kind == "i" else data > EXACT
        if (large & ~hidden).any():
            note = f"column {key!r} stays text: whole numbers beyond 2^53 would lose digits."
            return _text(key, [str(v) for v in data.tolist()], hidden), note
    if kind in "iuf":
        values = data.astype(np.float64)
        return _number(key, values, hidden | np.isnan(values)), ""
    if kind == "b":
        return _text(key, ["true" if v else "false" for v in data.tolist()], hidden), ""
    if kind == "M":
        return _date(key, data.astype("datetime64[us]"), hidden | np.isnat(data)), ""
    if kind == "m":
        seconds = np.where(np.isnat(data), np.nan, data / np.timedelta64(1, "s"))
        return _number(
            key, seconds, hidden | np.isnat(data)
        ), f"column {key!r}: durations are read in seconds."
    if kind == "S":
        try:
            data = np.char.decode(data, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{name}, column {key!r}: bytes that are not UTF-8 text.") from error
    if kind in "UST":
        return _text(key, [str(v) for v in data.tolist()], hidden), ""
    if kind != "O":
        raise DataError(f"{name}, column {key!r}: {data.dtype} is no number, text or date.")
    return _of_objects(key, data, hidden, name)


def _of_objects(key: str, data: np.ndarray, hidden: np.ndarray, name: str) -> tuple[Column, str]:
    """(column of Python's own objects, a note)."""
    cells = [None if h or _is_missing(v) else v for v, h in zip(data.tolist(), hidden, strict=True)]
    missing = np.array([v is None for v in cells], bool)
    known = [v for v in cells if v is not None]
    sorts = {_sort(v) for v in known}
    if "other" in sorts:
        row = next(i for i, v in enumerate(cells) if v is not None and _sort(v) == "other")
        raise DataError(
            f"{name}, row {row}, column {key!r}: {str(cells[row])[:40]!r} ({type(cells[row]).__name__}) is no number, "
            f"text or date. Leave the column out."
        )
    if sorts <= {"number"}:
        whole = [v for v in known if isinstance(v, numbers.Integral)]
        if not any(abs(int(v)) > EXACT for v in whole):
            values = np.array([0.0 if v is None else float(v) for v in cells], np.float64)
            return _number(key, values, missing | np.isnan(values)), ""
        note = f"column {key!r} stays text: whole numbers beyond 2^53 would lose digits."
        return _text(key, ["" if v is None else str(v) for v in cells], missing), note
    if sorts == {"date"}:
        dates = np.array([np.datetime64(0, "us") if v is None else _moment(v) for v in cells])
        return _date(key, dates.astype("datetime64[us]"), missing), ""
    note = (
        f"column {key!r} holds {' and '.join(sorted(sorts))} cells: it is text."
        if len(sorts) > 1
        else ""
    )
    words = [
        ""
        if v is None
        else str(v).lower()
        if isinstance(v, bool | np.bool_)
        else v.decode("utf-8", "replace")
        if isinstance(v, bytes)
        else str(v)
        for v in cells
    ]
    return _text(key, words, missing), note


def _is_missing(value: Any) -> bool:
    """None, NaN of any type, NaT, pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and bool(value != value)


def _sort(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, numbers.Real | np.number) or type(value).__name__ == "Decimal":
        return "number"
    if isinstance(value, str | bytes):
        return "text"
    return "date" if isinstance(value, date | np.datetime64) else "other"


def _moment(value: Any) -> np.datetime64:
    """A date or time, in UTC where it has a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def _number(key: str, values: np.ndarray, missing: np.ndarray) -> Column:
    return Column(key, "number", np.where(missing, 0.0, values), missing)


def _date(key: str, values: np.ndarray, missing: np.ndarray) -> Column:
    return Column(key, "date", np.where(missing, np.datetime64(0, "us"), values), missing)


def _text(key: str, words: list[str], missing: np.ndarray) -> Column:
    values = np.empty(len(words), object)
    values[:] = words
    missing = missing | np.array([not w.strip() for w in words], bool)
    values[missing] = ""
    return Column(key, "text", values, missing)
