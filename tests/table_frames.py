"""Tables for tests, made by hand: frame({"age": [1, None], "sex": ["f", "m"]})."""

import os
from pathlib import Path

import numpy as np

from pellucid.data.frame import Column, Frame

DATA = os.environ.get("PELLUCID_DATA")  # a folder with titanic/titanic.csv and others


def data_file(name: str) -> Path | None:
    """A file of the folder PELLUCID_DATA or of one beside the checkout; None where there is none."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    path = (Path(DATA) if DATA else beside) / name
    return path if path.exists() else None


def column(name: str, values, kind: str | None = None) -> Column:
    """None is missing; the kind follows from the first value that is not."""
    values = (
        values.tolist()
        if isinstance(values, np.ndarray) and values.dtype.kind != "M"
        else list(values)
    )
    missing = np.array([v is None for v in values], bool)
    first = next((v for v in values if v is not None), 0.0)
    if kind is None:
        kind = {str: "text", np.datetime64: "date"}.get(type(first), "number")
    if kind == "text":
        cells = np.empty(len(values), object)
        cells[:] = ["" if v is None else v for v in values]
    elif kind == "date":
        cells = np.array([np.datetime64(0, "us") if v is None else v for v in values], "M8[us]")
    else:
        cells = np.array([0.0 if v is None else float(v) for v in values], np.float64)
    return Column(name, kind, cells, missing)


def frame(columns: dict, name: str = "t.csv", lines: bool = True) -> Frame:
    """A Frame as if read from a file with one header line."""
    made = tuple(column(n, v) for n, v in columns.items())
    n = len(made[0]) if made else 0
    return Frame(name, made, np.arange(2, n + 2) if lines else None)
