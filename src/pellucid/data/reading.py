"""Tables from files: delimited text, Parquet, Excel, JSON lines and NumPy's files, plain or gzipped, to a Frame.

Delimited text is read in delimited.py; objects in memory in frames.py. No format is taken that can carry code."""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError, OptionError
from .animals import table_file
from .cells import columns_of
from .delimited import read_delimited
from .dialect import column_names, has_header, to_utf8
from .duck import connect
from .frame import Frame
from .frames import frame_of, frame_of_arrays
from .parquet import read_parquet
from .writing import write_csv

__all__ = ["frame_of", "is_table", "read_table", "write_csv"]

TEXT = (".csv", ".tsv", ".tab", ".data", ".dat")
EXCEL = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
PARQUET = (".parquet", ".pq")
JSON = (".jsonl", ".ndjson", ".json")
NUMPY = (".npy", ".npz")


def is_table(path: str | Path) -> bool:
    """Whether the file's name says that it is a table: .csv, .tsv, .parquet, .xlsx, .jsonl, .npy and kin, or those
    with .gz. A .txt may be a text: it is none, though read_table reads it."""
    return suffix_of(Path(path)) in TEXT + EXCEL + PARQUET + JSON + NUMPY


def is_workbook(path: str | Path) -> bool:
    """Whether the file's name says that it is one of Excel and kin, which has sheets."""
    return suffix_of(Path(path)) in EXCEL


def suffix_of(path: Path) -> str:
    """The suffix below .gz, in small letters."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def read_table(
    path: str | Path,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    missing: Sequence[str] | None = None,
    decimal: str | None = None,
    kinds: Mapping[str, str] | None = None,
    sheet: str | None = None,
) -> Frame:
    """The table in a file, or `animals`, the one that the package carries; what None stands for is found out, and what
    was found is said in the frame's notes.

    delimiter  character between cells of text, or tab
    encoding   of text: utf-8, utf-16, cp1252 ...
    header     whether the first row names the columns
    missing    marks of a missing value, in place of NA, N/A, nan, null, ? (and - among numbers); empty is always one
    decimal    "." or ",", where numbers of text have decimals
    kinds      name -> number, text or date, where the cells must not decide; for a prediction those of the training.
               Names that the file has not are left out of account.
    sheet      of a workbook; None: its first

    A file whose name says nothing is read as delimited text. Raises DataError, with file, line and column, for a file
    that cannot be read rightly, OptionError for an impossible option."""
    path = table_file(path)
    missing = (missing,) if isinstance(missing, str) else missing
    options: dict[str, Any] = {"missing": missing, "decimal": decimal, "kinds": kinds}
    suffix = suffix_of(path)
    if path.is_dir():
        raise DataError(f"{path}: a folder, not a file with a table.")
    if not path.exists():
        raise DataError(f"{path}: there is no such file.")
    if suffix in PARQUET:
        return read_parquet(path)
    if suffix in EXCEL:
        return _read_excel(path, sheet, header, options)
    raw = _read_bytes(path)
    data = _unpacked(raw, path)
    if suffix in NUMPY:
        return _read_numpy(path, data)
    if suffix in JSON:
        return _read_json(path.name, data, encoding, options)
    return read_delimited(data, path.name, suffix, delimiter, encoding, header, **options)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _unpacked(data: bytes, path: Path) -> bytes:
    """The bytes, unpacked when they are gzipped, whatever the file's name says."""
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzipped file is cut or damaged: {error}.") from error


# ---- Excel ----


def _read_excel(path: Path, sheet: str | None, header: bool | None, options: dict) -> Frame:
    """The cells of a sheet as text, decided upon as those of a CSV; lines are the rows of the sheet."""
    try:
        import fastexcel
    except ImportError:
        raise DataError(
            f"{path}: reading workbooks needs fastexcel: pip install pellucid[excel]. Or save the sheet as CSV."
        ) from None
    import duckdb

    name = path.name
    try:
        book = fastexcel.read_excel(str(path))
        if sheet is not None and sheet not in book.sheet_names:
            raise OptionError(
                f"{name}: there is no sheet {sheet!r}. There are: {', '.join(book.sheet_names)}."
            )
        cells = book.load_sheet(sheet or 0, header_row=None, skip_rows=0, dtypes="string")
        with connect() as connection:
            connection.register("cells", cells)
            rows = connection.execute("SELECT * FROM cells").fetchall()
    except (fastexcel.FastExcelError, duckdb.Error, OSError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        said = str(error).splitlines()[0][:200].rstrip(".")
        raise DataError(
            f"{name}: cannot be read as a workbook: {said}. Save it again as .xlsx or .csv."
        ) from error
    notes = [f"the sheet {cells.name!r} is read."] if len(book.sheet_names) > 1 else []
    numbered = [(i, ["" if c is None else c for c in row]) for i, row in enumerate(rows, 1)]
    return _of_rows(name, numbered, header, options, notes)


def _of_rows(name, numbered, header, options, notes) -> Frame:
    """A frame of rows of cells of equal width: those without any cell are left out and counted."""
    filled = [(line, cells) for line, cells in numbered if any(c.strip() for c in cells)]
    if not filled:
        raise DataError(f"{name}: there are no cells. Give a table with one row a line.")
    used = [i for i in range(len(filled[0][1])) if any(cells[i].strip() for _, cells in filled)]
    filled = [(line, [cells[i] for i in used]) for line, cells in filled]
    n_blank = filled[-1][0] - filled[0][0] + 1 - len(filled)
    if n_blank:
        notes.append(f"{n_blank} empty row{'s' if n_blank > 1 else ''} between others left out.")
    rows = [cells for _, cells in filled]
    named = has_header(rows[:1000])[0] if header is None else header
    names, said = column_names(rows[0] if named else [""] * len(rows[0]))
    if named:
        filled, rows = filled[1:], rows[1:]
    else:
        said = [
            f"there is no row of names: the columns are called column_1 to column_{len(names)}."
        ]
    if not rows:
        raise DataError(f"{name}: there are names of columns and no rows. Give at least one row.")
    lines = np.array([line for line, _ in filled], np.int64)
    columns, more = columns_of(
        names, list(zip(*rows, strict=True)), lambda row: f"{name}, row {lines[row]}", **options
    )
    return Frame(name, columns, lines, (*notes, *said, *more))


# ---- JSON ----


def _read_json(name: str, data: bytes, encoding: str | None, options: dict) -> Frame:
    """One object a line, or one list of objects. Strings are decided upon as the cells of a CSV."""
    utf8, notes = to_utf8(data, encoding, name)
    text = utf8.decode()
    lines, objects = [], []
    if text.lstrip().startswith("["):
        found = _json(text, name, 1)
        objects = found
        lines = list(range(1, len(found) + 1))
        what = "object"
    else:
        what = "line"
        for line, row in enumerate(text.split("\n"), 1):
            if row.strip():
                objects.append(_json(row, name, line))
                lines.append(line)
    for line, found in zip(lines, objects, strict=True):
        if not isinstance(found, dict):
            raise DataError(
                f'{name}, {what} {line}: {str(found)[:40]!r} is no object. Give one, as {{"column": value}}, a line.'
            )
    if not objects:
        raise DataError(f"{name}: there are no rows. Give one object a line.")
    numbers, texts = {}, {}
    kinds = options.get("kinds") or {}
    for key in dict.fromkeys(key for row in objects for key in row):
        values = [row.get(key) for row in objects]
        known = [v for v in values if v is not None]
        if any(isinstance(v, dict | list) for v in known):
            notes.append(f"column {key!r} holds lists or objects: left out.")
        elif (
            known
            and all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)
            and kinds.get(key, "number") == "number"
        ):
            numbers[key] = np.array(values, object)
        else:
            texts[key] = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        if key in numbers or key in texts:
            continue
    at = np.array(lines, np.int64)
    order = [*numbers, *texts]
    made = list(frame_of_arrays(numbers, name).columns) if numbers else []
    columns, said = columns_of(
        list(texts), list(texts.values()), lambda row: f"{name}, {what} {at[row]}", **options
    )
    made += columns
    keys = [k for k in dict.fromkeys(key for row in objects for key in row) if k in set(order)]
    by_name = {c.name: c for c in made}
    if not keys:
        raise DataError(f"{name}: no column holds numbers or text.")
    return Frame(name, tuple(by_name[k] for k in keys), at, (*notes, *said))


def _json(text: str, name: str, line: int):
    def pairs(found: list) -> dict:
        keys = [key for key, _ in found]
        if len(set(keys)) < len(keys):
            twice = next(k for k in keys if keys.count(k) > 1)
            raise DataError(f"{name}, line {line}: the key {twice!r} comes twice in one object.")
        return dict(found)

    def number(digits: str) -> float:
        value = float(digits)
        if np.isinf(value):
            raise DataError(
                f"{name}, line {line}: {digits[:40]} is beyond the largest number, 1.8e308."
            )
        return value

    try:
        return json.loads(text, object_pairs_hook=pairs, parse_float=number)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{name}, line {line + error.lineno - 1}, column {error.colno}: no JSON: {error.msg}."
        ) from error
    except (RecursionError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name}, line {line}: no JSON that can be read: {error}.") from error


# ---- NumPy's files ----


def _read_numpy(path: Path, data: bytes) -> Frame:
    """An array (N,), (N, F) or with named fields, or a .npz of such arrays of equal length; never a pickle."""
    import io

    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(found, np.ndarray):
            arrays = {"": found}
        else:
            with found:
                arrays = {key: found[key] for key in found.files}
    except Exception as error:  # zipfile, struct and numpy raise what they like on damaged bytes
        raise DataError(
            f"{path}: holds no whole array of numbers. What numpy.save or numpy.savez has written of numbers can be "
            f"read; Python objects (pickles) are not, since to read them runs code."
        ) from error
    columns: dict[str, np.ndarray] = {}
    for key, array in arrays.items():
        if array.dtype.names:
            columns.update({n: array[n] for n in array.dtype.names})
        else:
            columns[key] = array
    if list(columns) == [""]:
        frame = frame_of(
            columns[""].reshape(-1, 1) if columns[""].ndim == 1 else columns[""], path.name
        )
    else:
        frame = frame_of_arrays(columns, path.name)
    if not len(frame):
        raise DataError(f"{path.name}: there are no rows.")
    return frame
