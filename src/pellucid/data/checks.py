"""What a person should know of a table before anything is learned from it.

A frame, its schema and its split come in, findings go out: a sentence each, with the columns and how many rows it is
about. Nothing is changed here. N rows."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from shlex import quote

import numpy as np

from ..base.errors import DataError
from .columns import Schema, as_dates, as_numbers, as_texts, decide_task
from .dataset import Split
from .frame import Column, Frame
from .split import REPEATED, cell_codes, numbered, same_rows

KINDS = (
    "target",
    "leak",
    "identifier",
    "constant",
    "repaired",
    "duplicates",
    "contradiction",
    "class",
)

LEAK_SHARE = (
    0.01  # of the errors that guessing makes: a column that leaves fewer gives the target away
)
LEAK_ROWS = 30  # fewer rows can agree by chance
LEAK_LEARN, LEAK_HELD = 20_000, 10_000  # rows at most that leaks are looked for in, evenly spaced
N_BINS = 64
SHOWN = 5  # names in a sentence


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    kind     one of KINDS   text  a plain sentence
    columns  it is about    rows  how many it is about; 0 where it is about columns"""

    kind: str
    text: str
    columns: tuple[str, ...] = ()
    rows: int = 0


def check(frame: Frame, schema: Schema, split: Split) -> tuple[Finding, ...]:
    """The findings, in the order of KINDS.

    frame  all rows, those without a target too; `split` holds numbers of its rows"""
    found: list[Finding] = []
    target = schema.target
    if target is not None:
        found += _targets(frame, target)
        found += _leaks(frame, schema, split)
    for use in ("identifier", "constant"):
        for f in schema.dropped:
            if f.use == use:
                found.append(Finding(use, f"{f.name!r} is left out: {f.why}.", (f.name,)))
    found += _repaired(frame, schema)
    found += _duplicates(frame, schema, split)
    if target is not None:
        found += _classes(frame, target, split)
    return tuple(found)


def _targets(frame: Frame, target: str) -> list[Finding]:
    missing = frame[target].missing
    n = int(missing.sum())
    if not n:
        return []
    places = [frame.place(int(r)) for r in np.flatnonzero(missing)[:SHOWN]]
    what = "row has" if n == 1 else "rows have"
    which = f"the first: {places[0]}" if n > 1 else places[0]
    text = f"{n:,} of {len(frame):,} {what} no {target!r} and cannot be learned from ({which})."
    return [Finding("target", text, (target,), n)]


def _task(frame: Frame, target: str) -> str:
    """classify, regress, or nothing for a target that cannot be learned: others say that."""
    try:
        return decide_task(frame, target)[0]
    except DataError:
        return ""


def _leaks(frame: Frame, schema: Schema, split: Split) -> list[Finding]:
    """Columns that alone say (nearly) everything about the target, measured on rows that were not learned from."""
    assert schema.target is not None
    column = frame[schema.target]
    learn = np.asarray(split.train, np.int64)
    held = np.concatenate([split.validation, split.test]).astype(np.int64)
    learn, held = learn[~column.missing[learn]], held[~column.missing[held]]
    if len(learn) < LEAK_ROWS or len(held) < 5 or len(schema.features) < 2:
        return []
    task = _task(frame, schema.target)
    if not task:
        return []
    learn = learn[:: -(-len(learn) // LEAK_LEARN)]
    held = held[:: -(-len(held) // LEAK_HELD)]
    frame = frame.take(np.concatenate([learn, held]))
    column = frame[schema.target]
    learn, held = np.arange(len(learn)), np.arange(len(learn), len(frame))
    classes = as_texts(column) if task == "classify" else []
    found = []
    for f in schema.features:
        if f.use == "text":
            continue  # words may well say everything: that is what they are for
        key = _bins(frame, frame[f.name], f.use, learn)
        numbers = None
        if f.use == "number":
            numbers, _, _ = as_numbers(frame.name, frame[f.name])
        if task == "classify":
            is_leak, how = _class_leak(classes, key, numbers, learn, held)
        else:
            amounts, _, _ = as_numbers(frame.name, column)
            is_leak, how = _amount_leak(amounts, key, numbers, learn, held)
        if is_leak:
            text = (
                f"{f.name!r} gives {schema.target!r} away: {how}. If it is not known before {schema.target!r} is, "
                f"leave it out (--column {quote(f.name)}=identifier)."
            )
            found.append(Finding("leak", text, (f.name,)))
    return found


def _bins(frame: Frame, column: Column, use: str, learn: np.ndarray) -> np.ndarray:
    """(N,) int64: the cell's level, or which of at most 64 bins of the learned rows it is in; missing is -1."""
    if use == "category":
        seen: dict[str, int] = {}
        return np.array(
            [-1 if t is None else seen.setdefault(t, len(seen)) for t in as_texts(column)]
        )
    if use == "date":
        dates = as_dates(frame.name, column)
        values = np.where(np.isnat(dates), np.nan, dates.astype("M8[s]").astype(np.float64))
    else:
        values, _, _ = as_numbers(frame.name, column)
    here = np.sort(values[learn][~np.isnan(values[learn])])
    if not len(here):
        return np.full(len(column), -1)
    different = np.unique(here)
    if len(different) > N_BINS:
        different = np.unique(here[np.linspace(0, len(here) - 1, N_BINS + 1).astype(int)])
    place = np.searchsorted(different, values, side="right")
    return np.where(np.isnan(values), -1, place)


def _class_leak(
    names: list[str | None],
    key: np.ndarray,
    numbers: np.ndarray | None,
    learn: np.ndarray,
    held: np.ndarray,
) -> tuple[bool, str]:
    """Whether the commonest class of a row's bin, or that of the nearest number, is nearly always right."""
    tables: dict[int, Counter] = defaultdict(Counter)
    for row in learn.tolist():
        tables[int(key[row])][names[row]] += 1
    best = {k: c.most_common(1)[0][0] for k, c in tables.items()}
    common = Counter(names[r] for r in learn.tolist()).most_common(1)[0][0]
    right = sum(best.get(int(key[r]), common) == names[r] for r in held.tolist())
    if numbers is not None and len(tables) >= N_BINS:
        # A bin in which the class changes is never right; the nearest number is.
        near = learn[~np.isnan(numbers[learn])]
        near = near[np.argsort(numbers[near], kind="stable")]
        ordered = numbers[near]
        with np.errstate(over="ignore", invalid="ignore"):
            after = np.searchsorted(ordered, numbers[held]).clip(1, len(near) - 1)
            is_before = numbers[held] - ordered[after - 1] < ordered[after] - numbers[held]
        nearest = near[np.where(is_before, after - 1, after)]
        gone = np.isnan(numbers[held])
        guess = [
            best.get(-1, common) if g else names[r]
            for g, r in zip(gone, nearest.tolist(), strict=True)
        ]
        right = max(right, sum(g == names[r] for g, r in zip(guess, held.tolist(), strict=True)))
    guessed = sum(names[r] == common for r in held.tolist())
    wrong, wrong_guessed = len(held) - right, len(held) - guessed
    # A few held-out rows of a rare class may all be right by luck: five must have been possible to get wrong.
    is_leak = wrong_guessed >= 5 and wrong <= LEAK_SHARE * wrong_guessed
    return (
        is_leak,
        f"alone it is right in {right:,} of {len(held):,} rows that were not learned from",
    )


def _amount_leak(
    amounts: np.ndarray,
    key: np.ndarray,
    numbers: np.ndarray | None,
    learn: np.ndarray,
    held: np.ndarray,
) -> tuple[bool, str]:
    """Whether a straight line or the mean of the column's own bin leaves next to nothing of the spread."""
    learn, held = learn[np.isfinite(amounts[learn])], held[np.isfinite(amounts[held])]
    if len(learn) < LEAK_ROWS or len(held) < 5:
        return False, ""
    unit = float(np.abs(amounts[learn]).max()) or 1.0
    y = amounts / unit  # so that squares of 1e200 are finite
    mean = float(y[learn].mean())
    spread = float(np.mean((y[held] - mean) ** 2))
    if not spread > 0:
        return False, ""
    lefts = []
    bins = np.unique(key[learn])
    at = np.searchsorted(bins, key).clip(0, len(bins) - 1)
    counts = np.bincount(at[learn], minlength=len(bins))
    sums = np.bincount(at[learn], weights=y[learn], minlength=len(bins))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), mean)
    if len(bins) < len(learn) / 5:
        predicted = np.where(bins[at[held]] == key[held], means[at[held]], mean)
        lefts.append(float(np.mean((y[held] - predicted) ** 2)))
    if numbers is not None and np.isfinite(numbers[learn]).sum() > 2:
        fit, use = learn[np.isfinite(numbers[learn])], held[np.isfinite(numbers[held])]
        scale = float(np.abs(numbers[fit]).max()) or 1.0
        x = numbers / scale
        apart = x[fit] - x[fit].mean()
        above = float(np.mean(apart * (y[fit] - y[fit].mean())))
        below = float(np.mean(apart**2))
        if below > 0 and len(use) >= 0.9 * len(held):
            line = y[fit].mean() + above / below * (x[use] - x[fit].mean())
            lefts.append(float(np.mean((y[use] - line) ** 2)))
    left = min(lefts, default=math.inf)
    share = 1 - left / spread
    return left <= 0.001 * spread, f"alone it explains {100 * share:.2f} % of its variation"


def _repaired(frame: Frame, schema: Schema) -> list[Finding]:
    """Cells of a number column that are no numbers, and infinite ones."""
    found = []
    for f in schema.features:
        if f.use != "number":
            continue
        column = frame[f.name]
        values, n_bad, first = as_numbers(frame.name, column)
        if n_bad:
            row = int(np.argmax(np.isnan(values) & ~column.missing))
            cells = "1 cell is" if n_bad == 1 else f"{n_bad:,} cells are"
            text = f"{f.name!r}: {cells} no number and taken as missing ({frame.place(row)}: {first!r})."
            found.append(Finding("repaired", text, (f.name,), n_bad))
        infinite = np.isinf(values)
        n = int(infinite.sum())
        if n:
            cells = "1 cell is" if n == 1 else f"{n:,} cells are"
            place = frame.place(int(np.argmax(infinite)))
            text = f"{f.name!r}: {cells} infinite and taken as beyond all others ({place})."
            found.append(Finding("repaired", text, (f.name,), n))
    return found


def _duplicates(frame: Frame, schema: Schema, split: Split) -> list[Finding]:
    names = tuple(f.name for f in schema.features)
    if not names or not len(frame):
        return []
    unit = same_rows(frame, names)
    n, n_units = len(frame), int(unit.max()) + 1
    if n == n_units:
        return []
    found = []
    learned = np.isin(unit, unit[split.train])
    held = np.concatenate([split.validation, split.test]).astype(np.int64)
    across = int(learned[held].sum())
    copies = n - n_units
    if across:
        why = ", as the table has few different rows" if n_units < REPEATED else ""
        text = f"{across:,} of {len(held):,} held-out rows are also learned from{why}: their score is no test."
        found.append(Finding("duplicates", text, (), across))
    else:
        one = "row equals an earlier one" if copies == 1 else "rows equal an earlier one"
        text = f"{copies:,} {one} in all columns that are learned from; equal rows lie in one part."
        found.append(Finding("duplicates", text, (), copies))
    if schema.target is None or _task(frame, schema.target) != "classify":
        return found
    # The best that any model of these columns can do: of equal rows the commonest class is right.
    column = frame[schema.target]
    known = ~column.missing
    total = int(known.sum())
    label = numbered(cell_codes(column))[known]
    pairs, counts = np.unique(unit[known] * (int(label.max()) + 1) + label, return_counts=True)
    most = np.zeros(n_units, np.int64)
    np.maximum.at(most, pairs // (int(label.max()) + 1), counts)
    wrong = total - int(most.sum())
    if wrong:
        text = (
            f"{wrong:,} of {total:,} rows have another {schema.target!r} than most of the rows equal to them: no "
            f"model of these columns is right in more than {100 * (1 - wrong / total):.1f} % of these rows."
        )
        found.append(Finding("contradiction", text, (schema.target,), wrong))
    return found


def _classes(frame: Frame, target: str, split: Split) -> list[Finding]:
    """Classes of one row, classes that no held-out row has, and rare ones."""
    if _task(frame, target) != "classify":
        return []
    column: Column = frame[target]
    names = as_texts(column)
    counts = Counter(n for n in names if n is not None)
    found = []
    single = sorted(n for n, c in counts.items() if c == 1)
    if single:
        listed = _listed(single)
        text = (
            f"{listed} of {target!r} {'has' if len(single) == 1 else 'have'} one row: it is learned from, and "
            f"whether it is recognised cannot be tested."
        )
        found.append(Finding("class", text, (target,), len(single)))
    tested = {names[r] for r in split.test.tolist()}
    untested = sorted(n for n, c in counts.items() if c > 1 and n not in tested)
    if untested and len(split.test):
        rows = sum(counts[n] for n in untested)
        text = f"{_listed(untested)} of {target!r} {'has' if len(untested) == 1 else 'have'} no row to test."
        found.append(Finding("class", text, (target,), rows))
    (common, most), rare = counts.most_common(1)[0], counts.most_common()[-1]
    if most >= 20 * rare[1] and rare[1] > 1:
        text = (
            f"{rare[0]!r} has {rare[1]:,} rows for {most:,} of {common!r}: always guessing {common!r} is right in "
            f"{100 * most / counts.total():.2f} %; look at each class's recall."
        )
        found.append(Finding("class", text, (target,), rare[1]))
    return found


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (
        ("class " if len(names) == 1 else "classes ") + ", ".join(map(repr, names[:SHOWN])) + more
    )
