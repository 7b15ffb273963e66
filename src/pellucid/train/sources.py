"""Where data come from: what the package carries by name, or a person's own file.

`source_of("titanic.csv", {"target": "Survived"})` gives the row of SOURCES that reads it: how it is loaded and
divided, what it can be used for, and the settings that suit it. A text is read as characters, a dated table as a
series when forecasts are asked for, any other table by its columns (tables.py)."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError, OptionError
from ..data import animals
from ..data.dataset import Split
from ..data.digits import load_digits
from ..data.frame import Column
from ..data.lines import is_list, mixed_lines
from ..data.sequence import Series, Text, encode, split_series, split_text
from ..data.series import load_series, scaled_series
from ..data.split import split
from ..data.text import load_text, read_text
from ..nn.init import nearest
from . import own_pictures, streamed, tables
from .tables import READING, reading

FEWEST_CHARACTERS = 100  # of a text
LEARNED = 7_000_000  # characters of a long text, over all epochs
FEWEST_VALUES = 20  # of a series: 13 to learn, 3 to validate, 4 to test
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst", ".log")
TABLE_SETTINGS = ("kind", "target", "columns", "group", "class_weights", "memory", *READING)
PICTURE_SETTINGS = (*own_pictures.READING, "augment")
SERIES_SETTINGS = ("time", "horizon")
OWN_SETTINGS = (*TABLE_SETTINGS, *SERIES_SETTINGS, *PICTURE_SETTINGS, "fault")


@dataclass(frozen=True)
class Source:
    """One kind of data.

    load      recipe -> the data
    split     (data, recipe) -> its parts
    tasks     what it is good for, the usual first
    uses      which settings of OWN_SETTINGS it has
    defaults  settings so far -> settings that suit this file, task included; what was given comes before them
    kind      of what the package carries: the row of SOURCES that it is used like"""

    load: Callable[[Any], Any]
    split: Callable[[Any, Any], Split]
    tasks: tuple[str, ...]
    uses: tuple[str, ...] = ()
    defaults: Callable[[str, Mapping[str, Any]], dict] = lambda data, values: {}
    kind: str | None = None


# What the package carries


def _digits(made: Any) -> Any:
    data = load_digits()
    if made.network_name == "mlp":
        return data
    if made.task == "generate":  # -1 to 1, as a generator's tanh
        half = data.scale / 2
        data = replace(data, x=2 * data.x - 1, shift=data.shift + half, scale=half)
    return data.images()


def animal_defaults(data: str, values: Mapping[str, Any]) -> dict:
    """Those of a table, and which column is to be learned."""
    target = values.get("target") or animals.TARGET
    return {"target": target, **tables.defaults(data, {**values, "target": target})}


DATA_SETS: dict[str, Source] = {
    "digits": Source(
        _digits,
        lambda data, made: split(data, made.validation, made.test, made.seed),
        ("classify", "generate"),
    ),
    "text": Source(
        lambda made: load_text(made.window),
        lambda data, made: split_text(data, made.validation, made.test),
        ("continue",),
    ),
    "series": Source(
        lambda made: load_series(made.window, made.validation, made.test),
        lambda data, made: split_dated(data, made),
        ("forecast",),
        ("horizon",),
    ),
    "animals": Source(
        tables.load,
        lambda data, made: data.parts,
        ("classify", "regress"),
        TABLE_SETTINGS,
        animal_defaults,
        "table",
    ),
}


# A person's own text


def load_own_text(made: Any) -> Text:
    """The characters of a file; the vocabulary is every character that it has. The lines of a list are mixed."""
    text, source = read_text(made.data), made.data
    if len(text) < FEWEST_CHARACTERS:
        raise DataError(
            f"{made.data}: {len(text)} characters are too few to learn from; give {FEWEST_CHARACTERS} or more."
        )
    a_list = is_list(text)
    if a_list:
        text = mixed_lines(text, made.validation, made.test, made.seed)
        source += "; a list, one entry on each line: its lines are mixed, equal ones stay together"
    classes = tuple(sorted(set(text)))
    return Text(
        made.data, encode(text, classes, made.data), classes, made.window, source, is_list=a_list
    )


def text_defaults(data: str, values: Mapping[str, Any]) -> dict:
    """A short text has short windows: the parts to validate and to test must hold some; a long one fewer epochs.

    7 million characters in all are learned from: some minutes of training, and more than 20 epochs of a text of
    350,000 would only be learned by heart. Entries of a list are short, and none says anything of the next: an LSTM
    learns them better than attention to all that a window holds, and in a fourth of the time."""
    text = read_text(data)
    n = len(text)
    suited: dict[str, Any] = {"window": max(1, min(64, n // 40))}
    if is_list(text) and values.get("net", "lstm") == "lstm":
        suited |= {"net": "lstm", "dropout": 0.5, "schedule": "cosine", "batch": 16, "epochs": 20}
    return {**suited, "epochs": max(1, LEARNED // n)} if n > LEARNED // 20 else suited


# A person's own series


@dataclass(frozen=True)
class Dated:
    """Values of a column in the order of time: their times, the columns' names (time: None where nothing tells the
    order but that of the rows), and what was repaired."""

    times: tuple[str, ...]
    values: np.ndarray
    target: str
    time: str | None
    notes: tuple[str, ...]


def read_dated(
    path: str | Path,
    target: str | None,
    options: Mapping[str, Any] | None = None,
    time: str | None = None,
) -> Dated:
    """A column of a dated table, in the order of time.

    target  the column of values; without one the only column of numbers
    time    the column of dates or numbers that tells the order; without one the first column of dates. Where there
            is none the rows are in order, and are named by the first column that is not the target
    Rows out of order are put in order, and gaps are counted, both said in the notes. Raises DataError for a time that
    comes twice and for a value that is missing, naming the line."""
    from ..data.reading import read_table

    frame = read_table(path, **(options or {}))
    if not len(frame):
        raise DataError(f"{path}: there are no rows. Give one value a line.")
    numbers = [c.name for c in frame.columns if c.kind == "number"]
    if time is not None:
        tables.known_column(frame, time, "the column of times")
        numbers = [n for n in numbers if n != time]
    if target is None:
        if len(numbers) != 1:
            which = f"There are: {', '.join(numbers)}." if numbers else "No column holds numbers."
            raise OptionError(
                f"{path}: --target is missing: which column is to be forecast? {which}"
            )
        target = numbers[0]
    values = frame[tables.known_column(frame, target, "target")]
    if values.kind != "number":
        bad = int(np.argmin(values.missing)) if not values.missing.all() else 0
        raise DataError(
            f"{frame.place(bad)}, column {target!r}: a forecast needs numbers; this column holds {values.kind}."
        )
    if values.missing.any():
        raise DataError(
            f"{frame.place(int(np.argmax(values.missing)))}, column {target!r}: there is no value "
            f"({int(values.missing.sum())} such rows). Fill or remove them."
        )
    notes = list(frame.notes)
    others = [c for c in frame.columns if c.name != target]
    dated = next((c for c in others if c.kind == "date"), None)
    if time is not None:
        dated = frame[time]
        if time == target:
            raise OptionError(f"{path}: {time!r} cannot be both --time and --target.")
        if dated.kind not in ("date", "number"):
            raise DataError(
                f"{frame.place(0)}, column {time!r}: {str(dated.values[0])[:40]!r} is no date and no number, "
                f"so that it tells no order."
            )
    if dated is None:
        first = next((c for c in others if c.kind == "text"), others[0] if others else None)
        times = tuple(f"row {i + 1}" for i in range(len(frame))) if first is None else names(first)
        return Dated(times, values.values, target, None, tuple(notes))
    if dated.missing.any():
        raise DataError(
            f"{frame.place(int(np.argmax(dated.missing)))}, column {dated.name!r}: there is no date. "
            f"Fill or remove the row."
        )
    order = np.argsort(dated.values, kind="stable")
    if (order[1:] < order[:-1]).any():
        later = 1 + int(np.argmax(dated.values[1:] < dated.values[:-1]))
        notes.append(
            f"{frame.place(later)}: its date is before that of the row above; the rows are put in order of "
            f"{dated.name!r}"
        )
        frame, dated, values = frame.take(order), dated.take(order), values.take(order)
    steps = np.diff(dated.values)
    if dated.kind == "date":
        steps = steps.astype(np.int64)
    if len(steps) and steps.min() == 0:
        twice = 1 + int(np.argmin(steps))
        raise DataError(
            f"{frame.place(twice)}, column {dated.name!r}: {names(dated)[twice]} comes twice. "
            f"Keep one row for each {dated.kind}."
        )
    notes += gaps(dated, steps)
    return Dated(names(dated), values.values, target, dated.name, tuple(notes))


def gaps(dated: Column, steps: np.ndarray) -> list[str]:
    """A sentence about steps that are much longer than the usual one (months and years differ a little)."""
    if len(steps) < 2:
        return []
    usual = float(np.median(steps))
    wide = np.flatnonzero(steps > 1.5 * usual)
    if not len(wide):
        return []
    at = names(dated)
    return [
        f"{len(wide)} gap{'s' if len(wide) > 1 else ''} in the dates, the first after {at[wide[0]]}: the values on "
        f"both sides are taken as neighbours"
    ]


def names(column: Column) -> tuple[str, ...]:
    """Times as people write them: dates without a time of day where none has one."""
    if column.kind == "date":
        days = column.values.astype("datetime64[D]")
        whole = bool((days == column.values).all())
        return tuple(str(v) for v in (days if whole else column.values.astype("datetime64[s]")))
    if column.kind == "number":
        return tuple(f"{v:.15g}" for v in column.values)
    return tuple(str(v) for v in column.values)


def load_own_series(made: Any) -> Series:
    """A column of a dated table."""
    found = read_dated(made.data, made.target, reading(vars(made)), made.time)
    if (n := len(found.values)) < FEWEST_VALUES:
        raise DataError(
            f"{made.data}: {n} values are too few to learn to forecast from; give {FEWEST_VALUES} or more."
        )
    where = "; ".join([f"column {found.target!r} of {made.data}", *found.notes])
    return scaled_series(
        made.data, found.values, found.times, made.window, made.validation, made.test, "", where
    )


def split_dated(data: Series, made: Any) -> Split:
    """By time. Raises OptionError for a horizon that the part to test does not reach."""
    parts = split_series(data, made.validation, made.test)
    if made.horizon is not None and made.horizon > len(parts.test):
        raise OptionError(
            f"--horizon {made.horizon} is further than the part to test, {len(parts.test):,} values. Give at most "
            f"that, or a larger --test."
        )
    return parts


def series_defaults(data: str, values: Mapping[str, Any]) -> dict:
    """The column that is forecast; a short series has short windows.

    Measured on three public series of 144 to 3,650 values: a small network and a rate that falls forecast better than
    what suits our own."""
    try:
        found = read_dated(data, values.get("target"), reading(values), values.get("time"))
    except (DataError, OptionError) as error:
        if values.get("task") is not None or values.get("time") is not None:
            raise
        why = "it is taken for a series because of --horizon, without which a column is learned"
        raise type(error)(f"{error} ({why})") from error
    window = max(1, min(24, len(found.values) // 6))
    suited = {"target": found.target, "window": window, "width": 16, "epochs": 60}
    return {**suited, "schedule": "cosine", **({"time": found.time} if found.time else {})}


# kind -> how a file of a person's own is used
SOURCES: dict[str, Source] = {
    "table": Source(
        streamed.load,
        lambda data, made: data.parts,
        ("classify", "regress"),
        TABLE_SETTINGS,
        streamed.defaults,
    ),
    "text": Source(
        load_own_text,
        lambda data, made: split_text(data, made.validation, made.test),
        ("continue",),
        ("kind",),
        text_defaults,
    ),
    "series": Source(
        load_own_series,
        split_dated,
        ("forecast",),
        ("kind", "target", *SERIES_SETTINGS, *READING),
        series_defaults,
    ),
    "pictures": Source(
        own_pictures.load,
        own_pictures.split,
        ("classify", "generate", "enhance"),
        ("kind", "fault", *PICTURE_SETTINGS),
        own_pictures.defaults,
    ),
    "picture_table": Source(
        own_pictures.load,
        own_pictures.split,
        ("classify", "regress"),
        ("kind", "target", "columns", "group", *READING, *PICTURE_SETTINGS),
        own_pictures.table_defaults,
    ),
}


def data_sha256(made: Any, data: Any) -> str:
    """SHA-256 of the file that is learned from; of a folder, or of what the package carries, of all its numbers."""
    file = animals.table_file(made.data)
    if made.kind is None or not file.is_file():
        return data.fingerprint()
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def source_of(data: str, values: Mapping[str, Any]) -> tuple[Source, str | None]:
    """(the row, its kind or None for what the package carries) of a name or a file.

    Raises OptionError with the nearest for what is neither."""
    carried = DATA_SETS.get(data)
    # A table is found by its name unless a file or folder here has it (data/animals.py).
    if carried is not None and not (carried.kind and os.path.exists(data)):
        return carried, carried.kind
    kind = values.get("kind")
    if kind is not None:
        return SOURCES[nearest(kind, SOURCES, "kind of data")], kind
    if not os.path.exists(data):
        raise OptionError(no_such_data(data, tuple(DATA_SETS)))
    kind = kind_of(data, values)
    return SOURCES[kind], kind


def no_such_data(data: str, known: Sequence[str]) -> str:
    """What is said about a name that is neither a file nor carried by the package: the nearest of both."""
    import difflib

    path = Path(data)
    near = difflib.get_close_matches(data, known, 1, cutoff=0.5)
    if not near or os.sep in data or path.suffix:
        folder = path.parent
        there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        close = difflib.get_close_matches(path.name, there, 1, cutoff=0.6)
        near = [str(folder / close[0])] if close else []
    advice = f"Did you mean {near[0]!r}? " if near else ""
    return (
        f"data set {data!r} is unknown, and there is no such file. {advice}"
        f"Known: {', '.join(known)}, or a file of your own."
    )


def kind_of(data: str, values: Mapping[str, Any]) -> str:
    """table, text, series, pictures or picture_table: a folder has pictures; else by the task that is asked for, else
    by the target, else by the file's name; a table of paths of pictures by its columns."""
    path, task = Path(data), values.get("task")
    if path.is_dir() and values.get("target") is not None:
        from ..data.images import picture_paths

        picture_paths(path)  # refuses a folder of tables
    if path.is_dir() or own_pictures.is_pictures(path):
        return "pictures"
    is_series = any(values.get(name) is not None for name in SERIES_SETTINGS)
    if task == "forecast" or (task is None and is_series):
        return "series"
    if task == "continue":
        return "text"
    if path.suffix.lower() in TEXT_SUFFIXES and not values.get("target"):
        return "text"
    return "picture_table" if own_pictures.is_picture_table(data, values) else "table"
