"""What each column of a table is, and what is to be learned: a use for every column, with the reason.

A Frame comes in, a Schema goes out; encoder.py makes numbers by it. Rules from certain to likely: what a person said,
constants, row numbers, numbers, dates, words, categories. N rows."""

import difflib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

import numpy as np

from ..base.errors import DataError, FormatError, OptionError
from ..base.figures import rounded
from .frame import Column, Frame

USES = ("number", "category", "text", "date", "identifier", "constant")
LEARNED = ("number", "category", "text", "date")  # the others are left out

SEEN = (
    20_000  # values that decide about words and numbers; counts of different values take them all
)
ID_ROWS = 10  # fewer different values may be different by chance
NUMERIC = 0.9  # of the written values must be numbers for the others to count as missing
WORDS = 3.0  # words a cell and more are text, when most cells differ
MAX_CLASSES = 20  # whole numbers of more kinds than this are amounts
MAX_NAMES = 1000  # names of more kinds than this are no classes

ID_NAME = re.compile(r"(?:^|[^a-z])(?:id|uuid|guid|index|rownames?|row number|unnamed[: ]*\d+)$")
# Leading zeros are codes ("007"), underscores are Python's own: both are no numbers.
NUMBER = re.compile(r"\s*[+-]?(?:0|[1-9]\d*|(?=\.\d))(?:\.\d*)?(?:[eE][+-]?\d+)?\s*")
TARGET_NAMES = (
    "target label class y outcome response result survived churn default diagnosis species price sale price "
    "converted purchased fraud spam quality grade"
).split()


@dataclass(frozen=True)
class Feature:
    """One column: its use (one of USES) and why."""

    name: str
    use: str
    why: str


@dataclass(frozen=True)
class Schema:
    """The plan for a table.

    features  the columns to learn from, in the table's order
    target    the column to learn; None where none was named
    dropped   the columns that are left out, each with its reason"""

    features: tuple[Feature, ...]
    target: str | None
    dropped: tuple[Feature, ...]

    def use(self, name: str) -> str:
        """The use of a column; raises DataError for a column that the plan does not know."""
        for f in (*self.features, *self.dropped):
            if f.name == name:
                return f.use
        raise DataError(f"the plan of the columns has no {name!r}.")

    def to_json(self) -> dict:
        """Plain JSON, for from_json."""
        rows = {
            part: [[f.name, f.use, f.why] for f in getattr(self, part)]
            for part in ("features", "dropped")
        }
        return {"target": self.target, **rows}

    @staticmethod
    def from_json(value: object) -> "Schema":
        """The inverse of to_json; raises FormatError for anything else."""
        if not isinstance(value, dict) or set(value) != {"target", "features", "dropped"}:
            raise FormatError("schema: must be an object of target, features and dropped.")
        if not (value["target"] is None or isinstance(value["target"], str)):
            raise FormatError(f"schema, target: must be a name; got {value['target']!r}.")
        parts = []
        for part in ("features", "dropped"):
            rows = value[part]
            if not isinstance(rows, list) or not all(
                isinstance(r, list) and len(r) == 3 and all(isinstance(v, str) for v in r)
                for r in rows
            ):
                raise FormatError(f"schema, {part}: must be rows of name, use and reason.")
            for name, use, _ in rows:
                if use not in USES:
                    raise FormatError(f"schema, column {name!r}: {use!r} is no use of a column.")
            parts.append(tuple(Feature(*r) for r in rows))
        return Schema(parts[0], value["target"], parts[1])


def decide(
    frame: Frame, target: str | None = None, given: Mapping[str, str] | None = None
) -> Schema:
    """The use of every column but the target.

    given   uses that a person named, column -> one of USES
    Raises DataError when the target is no column or no column is left to learn from, OptionError for an
    unknown column or use in `given`."""
    given = dict(given or {})
    if target is not None:
        find(frame, target)
    names = set(frame.names)
    for name, use in given.items():
        if name not in names:
            raise OptionError(
                f"{frame.name}: there is no column {name!r}{_advice(name, frame.names)}"
            )
        if use not in USES:
            raise OptionError(f"column {name!r}: {use!r} is no use{_advice(use, USES)}")
    found = []
    for column in frame.columns:
        if column.name == target:
            continue
        if column.name in given:
            use = given[column.name]
            check_use(frame.name, column, use)
            found.append(Feature(column.name, use, "as you said"))
        else:
            found.append(Feature(column.name, *use_of(column)))
    if found and not any(f.use in LEARNED for f in found):
        found = [_rescued(frame, f) if f.name not in given else f for f in found]
    features = tuple(f for f in found if f.use in LEARNED)
    dropped = tuple(f for f in found if f.use not in LEARNED)
    if target is not None and not features:
        reasons = "; ".join(f"{f.name!r}: {f.why}" for f in dropped)
        raise DataError(
            f"{frame.name}: no column is left to learn {target!r} from"
            + (f" ({reasons})." if reasons else ".")
            + " Give a column that differs from row to row."
        )
    return Schema(features, target, dropped)


def find(frame: Frame, name: str) -> Column:
    """The column; raises DataError that suggests the nearest name."""
    if name not in frame.by_name:
        raise DataError(f"{frame.name}: there is no column {name!r}{_advice(name, frame.names)}")
    return frame[name]


def _advice(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    shown = ", ".join(known[:30]) + (f" and {len(known) - 30} more" if len(known) > 30 else "")
    return (f"; did you mean {close[0]!r}?" if close else ".") + f" There are: {shown}."


def use_of(column: Column) -> tuple[str, str]:
    """(use, reason) of one column, by its values and its name."""
    gone, cells = column.missing, column.coded[0] if column.kind == "text" else column.values
    if column.kind == "number":
        gone = gone | np.isnan(cells)
    present = cells[~gone] if gone.any() else cells
    n, n_missing = len(present), len(column) - len(present)
    if n == 0:
        return "constant", "every value is missing" if len(column) else "there are no rows"
    if column.kind == "number":
        return _use_of_number(column.name, present, n_missing)
    if column.kind == "date":
        if not n_missing and (present == present[0]).all():
            return "constant", f"every value is {present[0].astype('M8[s]')}"
        return "date", f"{present.min().astype('M8[D]')} to {present.max().astype('M8[D]')}"
    return _use_of_text(column, present, n_missing)


def _use_of_number(name: str, present: np.ndarray, n_missing: int) -> tuple[str, str]:
    n, low, high = len(present), present.min(), present.max()
    if low == high:
        if n_missing:
            return "category", f"{shown(low)} or missing"
        return "constant", f"every value is {shown(low)}"
    if not n_missing and n >= ID_ROWS and present[0] in (0, 1):
        with np.errstate(invalid="ignore"):
            counts_rows = bool((np.diff(present) == 1).all())
        if counts_rows:
            return "identifier", f"counts the rows from {shown(present[0])}"
    if _is_id_name(name) and n >= ID_ROWS and is_whole(present):
        different = len(np.unique(present))
        if different == n:
            return "identifier", "named as an identifier, and every value is different"
        if different > 50:
            return "identifier", f"named as an identifier, {different:,} different values"
        return "category", f"named as an identifier, {different} different values"
    missing = f", {n_missing:,} missing" if n_missing else ""
    return "number", f"numbers of {rounded(low, 6)} to {rounded(high, 6)}{missing}"


def _use_of_text(column: Column, present: np.ndarray, n_missing: int) -> tuple[str, str]:
    """present  (n,) codes of the cells that are not missing"""
    n, texts = len(present), column.coded[1]
    seen = Counter({texts[c]: k for c, k in Counter(present[:: -(-n // SEEN)].tolist()).items()})
    if sum(k for t, k in seen.items() if NUMBER.fullmatch(t)) >= NUMERIC * seen.total():
        is_number = np.array([bool(NUMBER.fullmatch(t)) for t in texts])
        bad = np.flatnonzero(~is_number[present])
        if len(bad) <= (1 - NUMERIC) * n and n - len(bad) >= 2:
            if not len(bad):
                return "number", "every cell is a number"
            cells = "cells is" if len(bad) == 1 else "cells are"
            return "number", (
                f"{len(bad):,} of {n:,} {cells} no number ({texts[present[bad[0]]][:30]!r} is the first) "
                f"and taken as missing"
            )
    different = len(counted(column)) - bool(n_missing)
    if different == 1:
        value = texts[present[0]][:40]
        if n_missing:
            return "category", f"{value!r} or missing"
        return "constant", f"every value is {value!r}"
    if different > max(20, 0.2 * n) or (different == n and n >= 5):
        words = sum(k * len(t.split()) for t, k in seen.items()) / seen.total()
        if words >= WORDS:
            return "text", f"{words:.1f} words a cell, {different:,} different texts in {n:,} rows"
    missing = f", {n_missing:,} missing" if n_missing else ""
    if different == n or (n >= 20 and different > 0.5 * n):
        many = "every value is different" if different == n else "most values occur once"
        if n_missing > 0.05 * (n + n_missing):
            return "category", f"{many}, but {n_missing:,} are missing, and that may tell something"
        return "identifier", f"{different:,} different values in {n:,} rows: {many}"
    return "category", f"{different:,} different values{missing}"


def _rescued(frame: Frame, feature: Feature) -> Feature:
    """A row number is learned from where nothing else is left: it may be the x of y = f(x)."""
    if feature.use == "identifier" and frame[feature.name].kind == "number":
        return Feature(feature.name, "number", "looks like an identifier, but is all there is")
    return feature


def _is_id_name(name: str) -> bool:
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name.strip())
    return bool(ID_NAME.search(apart.lower()))


def check_use(where: str, column: Column, use: str) -> None:
    """Raises DataError when a column cannot be read as this use; names the first row that cannot."""
    if use == "date" and column.kind != "date":
        as_dates(where, column)
    if use == "number":
        numbers, n_bad, first = as_numbers(where, column)
        if n_bad and np.isnan(numbers).all():
            raise DataError(
                f"{where}, column {column.name!r}: {first!r} is not a number, nor is any other cell. To tell its "
                f"values apart: --column {quote(column.name)}=category"
            )


def shown(value: float) -> str:
    """A number as a class or level is named: 3 for 3.0, the shortest exact form otherwise."""
    value = float(value)
    if value == int(value) if np.isfinite(value) else False:
        return str(int(value)) if abs(value) < 1e16 else repr(value)
    return repr(value)


def is_whole(values: np.ndarray) -> bool:
    """Whether every number is whole (and finite)."""
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all())


def as_numbers(where: str, column: Column) -> tuple[np.ndarray, int, str]:
    """((N,) float64 with NaN where missing, cells that are no number, the first of them).

    Text is read as numbers; a date is none: DataError."""
    if not column.missing.any() and column.kind == "number":
        return column.values.copy(), 0, ""
    if column.missing.all():  # then its kind means nothing
        return np.full(len(column), np.nan), 0, ""
    if column.kind == "date":
        raise DataError(f"{where}, column {column.name!r}: holds dates; needed are numbers.")
    if column.kind == "number":
        return np.where(column.missing, np.nan, column.values), 0, ""
    numbers = np.full(len(column), np.nan)
    bad, first = 0, ""
    for i, (text, gone) in enumerate(
        zip(column.values.tolist(), column.missing.tolist(), strict=True)
    ):
        if gone:
            continue
        if NUMBER.fullmatch(text):
            numbers[i] = float(text)
        else:
            bad, first = bad + 1, first or text[:40]
    return numbers, bad, first


def as_texts(column: Column) -> list[str | None]:
    """The cells as text, None where missing: numbers by `shown`, dates in ISO form."""
    if column.kind == "text":
        if not column.missing.any():
            return column.values.tolist()
        return _without(column.values, column.missing)
    if column.kind == "date":
        texts = np.datetime_as_string(column.values, unit="s").astype(object)
        return _without(texts, column.missing | np.isnat(column.values))
    different, place = np.unique(column.values, return_inverse=True)
    names = np.array([shown(v) for v in different.tolist()], object)
    return _without(names[place.reshape(-1)], column.missing | np.isnan(column.values))


def counted(column: Column) -> "Counter[str | None]":
    """How often each of as_texts comes."""
    if column.kind != "text":
        return Counter(as_texts(column))
    codes, texts = column.coded
    n_missing = int(column.missing.sum())
    n_each = np.bincount(codes[~column.missing] if n_missing else codes, minlength=len(texts))
    found: dict[str | None, int] = {None: n_missing} if n_missing else {}
    found.update((t, n) for t, n in zip(texts, n_each.tolist(), strict=True) if n)
    return Counter(found)


def looked_up(column: Column, place: Mapping[str | None, int], other: int) -> np.ndarray:
    """(N,) int64, the place of each of as_texts; `other` for those that have none."""
    if column.kind != "text":
        found = as_texts(column)
        every = {t: place.get(t, other) for t in dict.fromkeys(found)}
        return np.fromiter(map(every.__getitem__, found), np.int64, len(found))
    codes, texts = column.coded
    at = np.array([place.get(t, other) for t in texts], np.int64)[codes]
    at[column.missing] = place.get(None, other)
    return at


def _without(values: np.ndarray, gone: np.ndarray) -> list[str | None]:
    values = values.copy()
    values[gone] = None
    return values.tolist()


def as_dates(where: str, column: Column) -> np.ndarray:
    """(N,) datetime64[us], NaT where missing; text must be ISO dates. Raises DataError."""
    if column.missing.all():
        return np.full(len(column), np.datetime64("NaT"), "M8[us]")
    if column.kind == "number":
        raise DataError(f"{where}, column {column.name!r}: holds numbers; needed are dates.")
    if column.kind == "date":
        return np.where(column.missing, np.datetime64("NaT"), column.values)
    dates = np.full(len(column), np.datetime64("NaT"), "M8[us]")
    for i, (text, gone) in enumerate(
        zip(column.values.tolist(), column.missing.tolist(), strict=True)
    ):
        if not gone:
            try:
                dates[i] = np.datetime64(text.strip(), "us")
            except ValueError:
                raise DataError(
                    f"{where}, column {column.name!r}: {text[:40]!r} is not a date. "
                    f"Dates are written like 2024-01-31 or 2024-01-31 12:00."
                ) from None
    return dates


def decide_task(frame: Frame, target: str) -> tuple[str, str]:
    """("classify" | "regress", why), from the target's values.

    Raises DataError for what cannot be learned: no value, one value, dates, an identifier."""
    column = find(frame, target)
    where = f"{frame.name}: the target {target!r}"
    if column.kind == "date":
        raise DataError(f"{where} holds dates. Give a column of classes or amounts.")
    if column.kind == "text" and use_of(column)[0] == "number":
        numbers, n_bad, _ = as_numbers(frame.name, column)
        # "1", "2", "unknown" are three classes; a word among a hundred amounts is a mistake.
        if not n_bad or len(set(numbers[np.isfinite(numbers)].tolist())) > MAX_CLASSES:
            column = Column(target, "number", np.nan_to_num(numbers), np.isnan(numbers))
    present = column.values[~column.missing]
    if column.kind == "number":
        present = present[np.isfinite(present)]
    n = len(present)
    if n == 0:
        raise DataError(f"{where} has no value in any row. Fill it, or name another target.")
    kinds: Any = np.unique(present) if column.kind == "number" else sorted(set(present.tolist()))
    if len(kinds) == 1:
        value = shown(kinds[0]) if column.kind == "number" else kinds[0]
        raise DataError(
            f"{where} is {value!r} in every row; there is nothing to tell apart. Name another target."
        )
    if column.kind == "text":
        if len(kinds) == n and n >= ID_ROWS:
            raise DataError(
                f"{where} is different in each of its {n:,} rows: an identifier cannot be learned. "
                f"Name another target."
            )
        if len(kinds) > MAX_NAMES:
            raise DataError(
                f"{where} has {len(kinds):,} different names; at most {MAX_NAMES:,} can be told apart. "
                f"Name another target."
            )
        return "classify", f"{len(kinds)} different names"
    if (
        use_of(column)[0] == "identifier"
        and not (kinds[1:] - kinds[:-1] != 1).any()
        and _is_id_name(target)
    ):
        raise DataError(
            f"{where} numbers the rows: an identifier cannot be learned. Name another target."
        )
    span = f"{shown(kinds[0])} to {shown(kinds[-1])}"
    if len(kinds) == 2:
        return "classify", f"two values, {shown(kinds[0])} and {shown(kinds[1])}"
    is_dense = is_whole(kinds) and kinds[-1] - kinds[0] < 2 * len(kinds)
    if is_dense and len(kinds) <= MAX_CLASSES and n >= 5 * len(kinds):
        many = f"whole numbers of {len(kinds)} kinds, {span}"
        return "classify", f"{many}; regress takes them as amounts"
    return "regress", f"amounts of {len(kinds):,} kinds, {span}"


def candidates(frame: Frame) -> tuple[str, ...]:
    """The columns that could be the target, likeliest first.

    A usual name counts most, then the last column, the first, and few different values."""
    ranked = []
    for place, column in enumerate(frame.columns):
        use = use_of(column)[0]
        try:
            task, _ = decide_task(Frame(frame.name, (column,)), column.name)
        except DataError:
            continue
        if use not in ("number", "category"):
            continue
        apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", column.name).lower().replace("_", " ").split()
        score = 8.0 * any(word in TARGET_NAMES for word in apart)
        score += 4.0 * (place == len(frame.columns) - 1) + 2.0 * (place == 0)
        score += 1.0 * (task == "classify") - 4.0 * bool(column.missing.mean() > 0.2)
        ranked.append((-score, place, column.name))
    return tuple(name for _, _, name in sorted(ranked))
