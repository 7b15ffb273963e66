"""Rows divided into training, validation and test, each class in the same proportion.

`split` for data sets, `split_table` for tables, where equal rows and groups stay together. N rows."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..base.errors import DataError
from .dataset import Dataset, Split
from .frame import Column, Frame
from .shuffle import permutation
from .weights import GOLDEN, mixed


def split(data: Dataset, validation: float = 0.15, test: float = 0.15, seed: int = 0) -> Split:
    """A stratified split: within each class the rows are shuffled, then cut.

    Of n rows of a class, round(n * test) go to test, round(n * validation) to validation and the rest
    to training, but training keeps at least one. Each part is in ascending row order."""
    check_shares(validation, test)
    order = permutation(len(data), seed, "split")
    groups = np.asarray(data.y)[order] if data.classes else np.zeros(len(data), np.int32)
    parts: tuple[list, list, list] = ([], [], [])
    for group in np.unique(groups):
        rows = order[groups == group]
        n_test = min(int(len(rows) * test + 0.5), len(rows) - 1)
        n_validation = min(int(len(rows) * validation + 0.5), len(rows) - 1 - n_test)
        cuts = np.split(rows, [n_test, n_test + n_validation])
        for part, cut in zip(parts, cuts, strict=True):
            part.append(cut)
    test_rows, validation_rows, train_rows = (
        np.sort(np.concatenate(p)).astype(np.int32) for p in parts
    )
    return Split(train_rows, validation_rows, test_rows)


def check_shares(validation: float, test: float) -> None:
    """Raises DataError for shares of the parts that leave nothing to learn from."""
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise DataError(
            f"validation {validation:g} and test {test:g} must be 0 or more and leave rows for training "
            f"(their sum must be below 1)."
        )


BLOCK = 1 << 14  # rows whose numbers stay in the cache
FEWEST = 5  # rows: to learn, to validate and to test
REPEATED = 30  # fewer different rows than this, ten times each, are repeats rather than copies


def split_table(
    frame: Frame,
    columns: Sequence[str],
    labels: np.ndarray | None = None,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    group: str | None = None,
) -> Split:
    """A stratified split of a table's rows in which equal rows, and rows of one group, lie in one part.

    columns  those to learn from: rows that are equal in all of them are equal. The target does not count: a row with
             another target would else lie apart from its twin more often than chance has it, and every score would
             be too low. Identifiers do not count: a row number would make all rows differ
    labels   (N,) class numbers: each class has its share of each part; None for amounts
    group    a column whose rows with the same value stay together (one person's visits, one day's pictures)

    A class keeps at least one row to learn from. A row that a class is too small to give comes from the next one,
    so that the parts have their shares over all. A table of less than 30 different rows, ten times each, repeats rather
    than copies: there equal rows may lie apart. Each part is in ascending row order. Raises DataError when a part
    would be empty."""
    check_shares(validation, test)
    n = len(frame)
    if n < FEWEST:
        raise DataError(
            f"{frame.name}: {n} rows; at least {FEWEST} are needed to learn, to validate and to test."
        )
    unit = same_rows(frame, columns)
    if unit.max() + 1 < REPEATED and n >= 10 * (unit.max() + 1):
        unit = np.arange(n)
    if group is not None:
        unit = joined(unit, groups_of(frame, group))
    order = permutation(n, seed, "split")
    n_units = int(unit.max()) + 1
    drawn, numbers = unit[order], np.arange(n, dtype=np.int32)
    first = np.empty(n_units, np.int32)  # where a unit is drawn first: that is written last
    first[drawn[::-1]] = numbers[::-1]
    shuffled = drawn[first[drawn] == numbers]  # the units
    sizes = np.bincount(unit, minlength=n_units)
    strata = np.zeros(n_units, np.int64) if labels is None else np.asarray(labels)[order[first]]
    part = np.zeros(n_units, np.int8)  # 0 training, 1 validation, 2 test
    owed = [0.0, 0.0, 0.0]  # rows that a part has not got from the strata before
    for stratum in np.unique(strata):
        own = shuffled[strata[shuffled] == stratum]
        rows = float(sizes[own].sum())
        wanted = [0.0, owed[1] + rows * validation, owed[2] + rows * test]
        part[own[1:]] = dealt(sizes[own[1:]], wanted)  # the first is learned from, whatever happens
        got = np.bincount(part[own], sizes[own], minlength=3).tolist()
        # One row at most: a hundred classes of one row must not empty the class that comes next.
        owed = [min(max(w - g, -1.0), 1.0) for w, g in zip(wanted, got, strict=True)]
    for p, share, name in ((2, test, "test"), (1, validation, "validate")):
        if share and not (part == p).any():
            spare = np.flatnonzero(part == 0)
            counts = {s: int((strata[spare] == s).sum()) for s in np.unique(strata[spare])}
            most = max(counts, key=lambda s: (counts[s], -s))
            if counts[most] < 2:
                kinds = f"groups of {group!r}" if group else "different rows"
                each = ", one of each class" if len(counts) > 1 else ""
                raise DataError(
                    f"{frame.name}: no rows are left to {name}: rows that belong together stay together, and there "
                    f"are only {n_units} {kinds}{each}. Give more rows{' or another group' if group else ''}."
                )
            own = spare[strata[spare] == most]
            part[own[np.argmin(sizes[own])]] = p
    train_rows, validation_rows, test_rows = (numbers[part[unit] == p] for p in range(3))
    return Split(train_rows, validation_rows, test_rows)


def dealt(sizes: np.ndarray, wanted: Sequence[float]) -> np.ndarray:
    """(U,) part of each unit: test (2), then validation (1), as long as at least half of it is wanted there.

    sizes  (U,) rows of the units      wanted  rows of each part"""
    part = np.zeros(len(sizes), np.int8)
    if (sizes == 1).all():
        n_test, n_validation = (max(0, math.floor(wanted[p] - 0.5) + 1) for p in (2, 1))
        part[: n_test + n_validation], part[:n_test] = 1, 2
        return part
    got = [0.0, 0.0, 0.0]
    for u, size in enumerate(sizes.tolist()):
        for p in (2, 1):
            if got[p] + size / 2 <= wanted[p]:
                part[u], got[p] = p, got[p] + size
                break
        else:
            if max(wanted[p] - got[p] for p in (1, 2)) < 0.5:
                break  # no unit is smaller than one row
    return part


def same_rows(frame: Frame, columns: Sequence[str]) -> np.ndarray:
    """(N,) int64 numbers, equal where rows are equal in all of these columns, from 0 in the order of the rows.

    Missing equals missing. No columns: every row is its own. (Rows are compared by 64-bit hashes: two of a million
    rows are taken for equal wrongly with a chance of 1 in 30 million, and then merely lie in one part.)"""
    return numbered(row_codes(frame, columns, cell_codes)) if columns else np.arange(len(frame))


def row_codes(
    frame: Frame, columns: Sequence[str], codes_of: Callable[[Column], np.ndarray]
) -> np.ndarray:
    """(N,) uint64, equal where rows are equal in all of these columns.

    codes_of  gives such numbers of the cells of a column"""
    found = np.zeros(len(frame), np.uint64)
    for name in columns:
        codes = codes_of(frame[name])
        for start in range(0, len(frame), BLOCK):
            rows = slice(start, start + BLOCK)
            found[rows] = ((found[rows] ^ (found[rows] >> np.uint64(32))) + codes[rows]) * GOLDEN
    return mixed(found)


def numbered(values: np.ndarray) -> np.ndarray:
    """Equal values get equal numbers, in the order in which they come first."""
    ordered = np.sort(values)  # ten times as fast as with places, which few tables need
    if (ordered[1:] != ordered[:-1]).all():
        return np.arange(len(values))
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def groups_of(frame: Frame, name: str) -> np.ndarray:
    """(N,) group numbers; a row without a group is a group of its own."""
    column = frame[name]
    found = numbered(cell_codes(column))
    gone = column.missing
    found[gone] = len(frame) + np.flatnonzero(gone)
    return numbered(found)


def joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Units of rows that are linked by equal numbers in either, directly or through others."""
    unit = np.arange(len(a))
    while True:
        before = unit
        for numbers in (a, b):
            least = np.full(int(numbers.max()) + 1, len(a))
            np.minimum.at(least, numbers, unit)
            unit = least[numbers]
        if np.array_equal(unit, before):
            return numbered(unit)


def cell_codes(column: Column) -> np.ndarray:
    """(N,) uint64, equal where the cells are; missing equals missing."""
    if column.kind == "text":
        found = column.coded[0].astype(np.uint64)
    elif column.kind == "number":
        found = (column.values + 0.0).view(np.uint64)  # -0 is 0
    else:
        found = column.values.copy().view(np.uint64)
    if column.missing.any():
        found[column.missing] = np.uint64(0x7FF8DEADBEEF0001)
    return found
