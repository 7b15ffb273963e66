"""From the columns of a table to the numbers that a network takes, and back for the target.

    Encoder.fit(frame, schema, rows)   statistics of the training rows alone
    encoder.transform(frame)           (N, F) float32, always finite

A number becomes its standard score (of its logarithm or rank where it is skewed), in large tables also its place
between quantiles, piecewise linear (Gorishniy, Rubachev, Babenko (2022), "On embeddings for numerical features").
A category becomes one column a level; a text TF-IDF of its words and pairs of words; a date its year and circles of
month, weekday and hour. Columns are found by name. What is stored is plain JSON. N rows, F features."""

import math
import re
import types
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import Any, ClassVar, cast, get_args, get_type_hints

import numpy as np

from ..base.errors import DataError, FormatError
from .columns import Schema, as_dates, as_numbers, as_texts, counted, find, looked_up, shown
from .frame import Column, Frame

FORMAT, VERSION = "pellucid-encoder", 1
TARGET_FORMAT = "pellucid-target"

CELLS = 2**26  # of an encoded table that optional features may fill: 256 MiB
LIMIT = 8.0  # deviations; what lies further out is taken for this far
SKEW = 1.0  # from here on a logarithm or the rank is tried
N_RANKS = 100
STEPS, ROWS_A_STEP, LEAST_STEPS = 48, 400, 8  # quantiles for piecewise-linear features
BLOCK = 1024  # rows whose steps stay in the cache
FEW_VALUES, ROWS_A_VALUE = 32, 20  # or a step between all values, where they are few
LEVELS = 64
TERMS, LEAST_TERMS, ROWS_A_TERM, TEXT_SCALE = 1000, 64, 10, 5.0
QUANTILE_ROWS = 100_000  # quantiles of larger columns are those of so many evenly spaced rows
WORD = re.compile(r"\b\w\w+\b")
DAYS_A_YEAR = 365.2425


@dataclass(frozen=True)
class NumberCode:
    """score = (f(value) - center) / scale, within +-LIMIT; then steps, then the mark of missing.

    fill    stands for a missing value: the median
    shape   f: plain: value; log: log(1 + (value - low) / unit); rank: scores interpolated at knots
    steps   edges b of piecewise-linear features clip((value - b[t]) / (b[t+1] - b[t]), 0, 1)
    marked  whether a feature says that the value is missing"""

    kind: ClassVar[str] = "number"
    name: str
    fill: float
    shape: str
    low: float
    unit: float
    knots: tuple[float, ...]
    scores: tuple[float, ...]
    center: float
    scale: float
    steps: tuple[float, ...]
    marked: bool

    def __post_init__(self):
        _require(self.shape in ("plain", "log", "rank"), self.name, "shape")
        _require(self.scale > 0 and self.unit > 0, self.name, "scale and unit")
        _require(_ascending(self.knots), self.name, "knots")
        _require(_ascending(tuple(b / 2 for b in self.steps)), self.name, "steps")
        _require(len(self.knots) == len(self.scores), self.name, "scores")
        _require(bool(self.knots) == (self.shape == "rank"), self.name, "knots")

    @staticmethod
    def fit(where: str, column: Column, most: int) -> "NumberCode":
        """From the values of the training rows; inf counts as further out than everything else."""
        values, _, _ = as_numbers(where, column)
        here = values[np.isfinite(values)]
        marked = bool(np.isnan(values).any())
        if len(here) == 0:
            return NumberCode(column.name, 0.0, "plain", 0.0, 1.0, (), (), 0.0, 1.0, (), marked)
        sample = np.sort(here[:: -(-len(here) // QUANTILE_ROWS)])
        fill = float(sample[len(sample) // 2])
        if len(sample) % 2 == 0:  # halves first: the sum of two large values may overflow
            fill = float(sample[len(sample) // 2 - 1] / 2 + sample[len(sample) // 2] / 2)
        center, scale = mean_and_deviation(here)
        code = NumberCode(column.name, fill, "plain", 0.0, 1.0, (), (), center, scale, (), marked)
        if _skew(code.score(sample)) > SKEW or np.abs(code.score(sample)).max() >= 6:
            code = _straightened(code, sample)
        edges = np.unique(sample)
        n_steps = min(STEPS, len(column) // ROWS_A_STEP, most)
        steps: tuple[float, ...] = ()
        if len(edges) <= min(FEW_VALUES, most, len(here) // ROWS_A_VALUE):
            steps = _apart(edges)
        elif n_steps >= LEAST_STEPS:
            steps = _quantiles(sample, n_steps)
        return NumberCode(**{**vars(code), "steps": steps if len(steps) > 2 else ()})

    def score(self, values: np.ndarray) -> np.ndarray:
        """(N,) float64 standard scores of finite values or inf."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if self.shape == "log":
                values = np.log1p(np.maximum(values - self.low, 0) / self.unit)
            elif self.shape == "rank":
                values = np.interp(values, self.knots, self.scores)
            return np.clip((values - self.center) / self.scale, -LIMIT, LIMIT)

    def names(self) -> list[str]:
        edges = [f"{v:.4g}" for v in self.steps]
        steps = [f"{self.name} {a}..{b}" for a, b in pairwise(edges)]
        return [self.name, *steps, *([f"{self.name} is missing"] if self.marked else [])]

    def write(self, where: str, column: Column, out: np.ndarray) -> None:
        values, _, _ = as_numbers(where, column)
        gone = np.isnan(values)
        values[gone] = self.fill
        out[:, 0] = self.score(values)
        if self.steps:
            self._write_steps(values, out[:, 1 : len(self.steps)])
        if self.marked:
            out[:, -1] = gone

    def _write_steps(self, values: np.ndarray, out: np.ndarray) -> None:
        """Ones up to the step that a value is in, its place there, then zeros: (N,) into (N, steps)."""
        low, high = np.array(self.steps[:-1]), np.array(self.steps[1:])
        at = np.searchsorted(low[1:], values, side="right")
        # Halves: the width of a step from -1e308 to 1e308 is no float64. Within the edges first: a subtraction of equal
        # infinities is nan.
        begin = low[at] / 2
        place = (np.clip(values, low[at], high[at]) / 2 - begin) / (high / 2 - low / 2)[at]
        ones = np.tri(len(low), k=-1, dtype=np.float32)
        for start in range(0, len(values), BLOCK):
            step = at[start : start + BLOCK]
            rows = ones[step]
            rows[np.arange(len(step)), step] = place[start : start + BLOCK]
            out[start : start + BLOCK] = rows

    def refuse(self, where: str, odd: "Odd", n: int) -> None:
        """Raises DataError where none of n cells is a number, and some are words."""
        (n_bad, first), (gone, _) = odd["bad"], odd["gone"]
        if n_bad and gone == n:
            raise DataError(
                f"{where}, column {self.name!r}: {first!r} is not a number, nor is any other cell; this model "
                f"takes numbers there."
            )

    def odd(self, where: str, column: Column) -> "Odd":
        values, n_bad, first = as_numbers(where, column)
        gone, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
        return {"bad": (n_bad, first), "gone": (gone, ""), "infinite": (infinite, "")}

    def said(self, odd: "Odd") -> list[str]:
        (n_bad, first), (gone, _), (infinite, _) = odd["bad"], odd["gone"], odd["infinite"]
        found = []
        if n_bad:
            found.append(f"{self.name!r}: {_cells(n_bad)} no number ({first!r}), taken as missing")
        if gone:
            found.append(f"{self.name!r}: {gone:,} missing, filled with the median {self.fill:.6g}")
        if infinite:
            found.append(f"{self.name!r}: {_cells(infinite)} infinite, taken as beyond all others")
        return found


def _straightened(code: NumberCode, sample: np.ndarray) -> NumberCode:
    """The logarithm where it takes the skew away, the rank otherwise; sample (n,) ascending."""
    low = float(sample[0])
    with np.errstate(over="ignore"):
        above = sample[sample > low] - low
    unit = float(np.median(above))
    made = vars(code)
    if 0 < unit < np.inf and np.isfinite(sample[-1] - low):
        with np.errstate(over="ignore"):
            center, scale = mean_and_deviation(np.log1p((sample - low) / unit))
        log = NumberCode(
            **{**made, "shape": "log", "low": low, "unit": unit, "center": center, "scale": scale}
        )
        scores = log.score(sample)
        if _skew(scores) <= SKEW and np.abs(scores).max() < 6:
            return log
    # Of equal values the middle of their ranks; one knot in a hundred is enough for a curve.
    knots, first, counts = np.unique(sample, return_index=True, return_counts=True)
    share = (first + counts / 2) / len(sample)
    kept = np.unique(np.searchsorted(share, np.linspace(0, 1, N_RANKS + 1)).clip(0, len(knots) - 1))
    kept = np.union1d(kept, [0, len(knots) - 1])
    normal = NormalDist()
    ranks = [normal.inv_cdf(min(max(float(p), 1e-3), 1 - 1e-3)) for p in share[kept]]
    values = tuple(knots[kept].tolist())
    center, scale = mean_and_deviation(np.interp(sample, values, ranks))
    return NumberCode(
        **{
            **made,
            "shape": "rank",
            "knots": values,
            "scores": tuple(ranks),
            "center": center,
            "scale": scale,
        }
    )


def _skew(scores: np.ndarray) -> float:
    return abs(float(np.mean(scores * scores * scores)))


def _quantiles(ordered: np.ndarray, n: int) -> tuple[float, ...]:
    places = np.round(np.linspace(0, len(ordered) - 1, n + 1)).astype(int)
    return _apart(np.unique(ordered[places]))


def _apart(edges: np.ndarray) -> tuple[float, ...]:
    """Ascending edges without those whose halves are equal, 0 and 5e-324: `write` divides by halves."""
    _, first = np.unique(edges / 2, return_index=True)
    return tuple(edges[first].tolist())


def mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Mean and deviation of finite float64 values, 1 for a deviation of 0; of any size, 1e-300 to 1e300."""
    largest = float(np.abs(values).max())
    if largest == 0:
        return 0.0, 1.0
    unit = 2.0 ** (math.frexp(largest)[1] - 1)  # a power of two: dividing by it is exact
    scaled = values / unit
    first = float(scaled[0])  # near-constant values lose no digits once their offset is gone
    apart = scaled - first
    mean, deviation = float(apart.mean()), float(apart.std())
    return (first + mean) * unit, deviation * unit or 1.0


@dataclass(frozen=True)
class CategoryCode:
    """One feature a level, 1 where the cell is that level.

    levels  the commonest of the training rows first
    other   whether a feature stands for all other levels; without one an unseen level is all zeros
    marked  whether a feature says that the value is missing"""

    kind: ClassVar[str] = "category"
    name: str
    levels: tuple[str, ...]
    other: bool
    marked: bool

    def __post_init__(self):
        _require(len(set(self.levels)) == len(self.levels), self.name, "levels")

    @staticmethod
    def fit(where: str, column: Column, most: int) -> "CategoryCode":
        """Levels of at least 1 % of the rows (2 to 20 of them), `most` at most."""
        counts = counted(column)
        marked = counts.pop(None, 0) > 0
        n = len(column)
        least = 1 if n < 50 else min(20, max(2, n // 100))
        known = cast("Counter[str]", counts)
        ranked = sorted((t for t, c in known.items() if c >= least), key=lambda t: (-known[t], t))
        levels = tuple(ranked[:most])
        return CategoryCode(column.name, levels, len(known) > len(levels), marked)

    def names(self) -> list[str]:
        rest = [f"{self.name} = other"] * self.other + [f"{self.name} is missing"] * self.marked
        return [*(f"{self.name} = {level}" for level in self.levels), *rest]

    def write(self, where: str, column: Column, out: np.ndarray) -> None:
        n = len(self.levels)
        nowhere = n + self.other + self.marked
        place: dict[str | None, int] = {t: i for i, t in enumerate(self.levels)}
        place[None] = n + self.other if self.marked else nowhere
        at = looked_up(column, place, n if self.other else nowhere)
        rows = np.flatnonzero(at < nowhere)
        out[:] = 0
        out[rows, at[rows]] = 1

    def odd(self, where: str, column: Column) -> "Odd":
        counts = counted(column)
        gone = counts.pop(None, 0)
        unseen = {t: c for t, c in counts.items() if t not in self.levels}
        first = max(unseen, key=lambda t: (unseen[t], str(t)), default="")
        return {"unseen": (sum(unseen.values()), str(first)), "gone": (gone, "")}

    def said(self, odd: "Odd") -> list[str]:
        (unseen, first), (gone, _) = odd["unseen"], odd["gone"]
        found = []
        if unseen:
            as_what = "taken as 'other'" if self.other else "taken as no level"
            found.append(
                f"{self.name!r}: {unseen:,} with a category that is rare or new ({first[:40]!r}), {as_what}"
            )
        if gone and not self.marked:
            found.append(f"{self.name!r}: {gone:,} missing, taken as no level")
        return found


@dataclass(frozen=True)
class TextCode:
    """TF-IDF of words and pairs of words, TEXT_SCALE times as long as one; then four counts.

    terms    what is counted   weights  ln((1 + n) / (1 + rows with the term)) + 1, one each
    centers, scales  of the four counts: log length, shares of digits, capitals and signs"""

    kind: ClassVar[str] = "text"
    name: str
    terms: tuple[str, ...]
    weights: tuple[float, ...]
    centers: tuple[float, ...]
    scales: tuple[float, ...]

    def __post_init__(self):
        _require(len(self.terms) == len(self.weights), self.name, "weights")
        _require(len(set(self.terms)) == len(self.terms), self.name, "terms")
        _require(len(self.centers) == len(self.scales) == 4, self.name, "centers and scales")
        _require(all(s > 0 for s in self.scales), self.name, "scales")

    @staticmethod
    def fit(where: str, column: Column, most: int) -> "TextCode":
        """The terms that occur in most texts, in two at least."""
        texts = [t or "" for t in as_texts(column)]
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(set(_terms(text)))
        ranked = sorted((t for t, c in counts.items() if c >= 2), key=lambda t: (-counts[t], t))
        terms = tuple(ranked[:most])
        weights = tuple(math.log((1 + len(texts)) / (1 + counts[t])) + 1 for t in terms)
        pairs = [mean_and_deviation(c) for c in _counts(texts).T]
        return TextCode(
            column.name, terms, weights, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
        )

    def names(self) -> list[str]:
        counts = (f"{self.name}: {c}" for c in ("length", "digits", "capitals", "signs"))
        return [*(f"{self.name}: {t!r}" for t in self.terms), *counts]

    def write(self, where: str, column: Column, out: np.ndarray) -> None:
        texts = [t or "" for t in as_texts(column)]
        place = {t: i for i, t in enumerate(self.terms)}
        out[:] = 0
        for row, text in enumerate(texts):
            found = Counter(place[t] for t in _terms(text) if t in place)
            if found:
                at = list(found)
                values = np.array([(1 + math.log(found[i])) * self.weights[i] for i in at])
                out[row, at] = values * (TEXT_SCALE / math.sqrt(float((values**2).sum())))
        scores = (_counts(texts) - self.centers) / self.scales
        out[:, len(self.terms) :] = np.clip(scores, -LIMIT, LIMIT)

    def odd(self, where: str, column: Column) -> "Odd":
        return {"gone": (int(column.missing.sum()), "")}

    def said(self, odd: "Odd") -> list[str]:
        gone, _ = odd["gone"]
        return [f"{self.name!r}: {gone:,} missing, taken as empty texts"] if gone else []


def _terms(text: str) -> list[str]:
    words = WORD.findall(text.lower())
    return words + [f"{a} {b}" for a, b in pairwise(words)]


def _counts(texts: list[str]) -> np.ndarray:
    """(N, 4): log(1 + characters), shares of digits, of capitals, of what is no letter, digit or space."""
    found = np.zeros((len(texts), 4))
    for row, text in enumerate(texts):
        if text:
            digits = sum(map(str.isdigit, text))
            plain = sum(map(str.isalnum, text)) + sum(map(str.isspace, text))
            share = (digits, sum(map(str.isupper, text)), len(text) - plain)
            found[row] = (math.log1p(len(text)), *(s / len(text) for s in share))
    return found


CIRCLES = {"month": 12.0, "weekday": 7.0, "hour": 24.0}


@dataclass(frozen=True)
class DateCode:
    """The year with its fraction, standardised, and sine and cosine of what goes round; 0 where missing.

    circles  of CIRCLES those that differ in the training rows   marked  whether a feature says: missing"""

    kind: ClassVar[str] = "date"
    name: str
    center: float
    scale: float
    circles: tuple[str, ...]
    marked: bool

    def __post_init__(self):
        _require(self.scale > 0, self.name, "scale")
        _require(set(self.circles) <= set(CIRCLES), self.name, "circles")

    @staticmethod
    def fit(where: str, column: Column, most: int) -> "DateCode":
        """From the dates of the training rows."""
        dates = as_dates(where, column)
        here = dates[~np.isnat(dates)]
        center, scale = mean_and_deviation(_years(here)) if len(here) else (0.0, 1.0)
        circles = tuple(c for c in CIRCLES if len(here) and np.ptp(_turns(here, c)) > 0)
        return DateCode(column.name, center, scale, circles, len(here) < len(dates))

    def names(self) -> list[str]:
        pairs = [f"{self.name} {c} {f}" for c in self.circles for f in ("sine", "cosine")]
        return [f"{self.name} year", *pairs, *([f"{self.name} is missing"] if self.marked else [])]

    def write(self, where: str, column: Column, out: np.ndarray) -> None:
        dates = as_dates(where, column)
        gone = np.isnat(dates)
        dates = np.where(gone, np.datetime64(0, "us"), dates)
        out[:, 0] = np.clip((_years(dates) - self.center) / self.scale, -LIMIT, LIMIT)
        for i, circle in enumerate(self.circles):
            angle = 2 * np.pi * _turns(dates, circle)
            out[:, 1 + 2 * i], out[:, 2 + 2 * i] = np.sin(angle), np.cos(angle)
        out[gone] = 0
        if self.marked:
            out[:, -1] = gone

    def odd(self, where: str, column: Column) -> "Odd":
        return {"gone": (int(np.isnat(as_dates(where, column)).sum()), "")}

    def said(self, odd: "Odd") -> list[str]:
        gone, _ = odd["gone"]
        return [f"{self.name!r}: {gone:,} missing, taken as the mean date"] if gone else []


def _years(dates: np.ndarray) -> np.ndarray:
    return 1970 + dates.astype("M8[s]").astype(np.int64) / (86400 * DAYS_A_YEAR)


def _turns(dates: np.ndarray, circle: str) -> np.ndarray:
    """(N,) in [0, 1): January, Monday and midnight are 0."""
    if circle == "month":
        return dates.astype("M8[M]").astype(np.int64) % 12 / 12
    if circle == "weekday":
        return (dates.astype("M8[D]").astype(np.int64) + 3) % 7 / 7  # 1970-01-01 was a Thursday
    return dates.astype("M8[s]").astype(np.int64) % 86400 / 86400


Odd = dict[str, tuple[int, str]]  # what is odd in a column -> (cells, one of them)
Code = NumberCode | CategoryCode | TextCode | DateCode
CODES: dict[str, Any] = {c.kind: c for c in (NumberCode, CategoryCode, TextCode, DateCode)}


@dataclass(frozen=True)
class Encoder:
    """How the columns of a table become numbers: one code for each column, in the order of the features."""

    codes: tuple[Code, ...]

    @staticmethod
    def fit(frame: Frame, schema: Schema, rows: np.ndarray, room: int | None = None) -> "Encoder":
        """The codes of the schema's features, from `rows` alone: the training rows.

        room  optional features of a row, where more rows will be encoded than these

        Raises DataError when there are no rows, or a column is missing or cannot be read as its use."""
        if len(rows) == 0:
            raise DataError(f"{frame.name}: there are no rows to learn from.")
        uses = Counter(f.use for f in schema.features)
        n = len(rows)
        room = CELLS // n if room is None else room
        most = {
            "number": room // max(1, uses["number"]),
            "category": min(LEVELS, max(8, room // max(1, uses["category"]))),
            "text": min(
                TERMS, max(LEAST_TERMS, min(n // ROWS_A_TERM, room // max(1, uses["text"])))
            ),
            "date": 0,
        }
        columns = {c.name: c for c in frame.columns}
        codes = []
        for f in schema.features:
            column = columns[f.name] if f.name in columns else find(frame, f.name)
            codes.append(CODES[f.use].fit(frame.name, column.take(rows), most[f.use]))
        return Encoder(tuple(codes))

    @property
    def names(self) -> tuple[str, ...]:
        """What each of the F features says."""
        return tuple(name for code in self.codes for name in code.names())

    @property
    def groups(self) -> dict[str, slice]:
        """Column -> its features, a slice of the F."""
        found, start = {}, 0
        for code in self.codes:
            stop = start + len(code.names())
            found[code.name] = slice(start, stop)
            start = stop
        return found

    def transform(self, frame: Frame, is_part: bool = False) -> np.ndarray:
        """(N, F) float32, finite. Columns are found by name; surplus ones are ignored (see `report`).

        is_part  whether the frame is a part of a table: that no cell of a column is a number is left to Oddities

        Raises DataError for a missing column and for one that cannot be read as in training."""
        columns = self._columns(frame)
        for code, column in zip(self.codes, columns, strict=True):
            if isinstance(code, NumberCode) and column.kind == "text" and not is_part:
                code.refuse(frame.name, code.odd(frame.name, column), len(column))
        groups = self.groups
        out = np.empty((len(frame), sum(len(c.names()) for c in self.codes)), np.float32)
        for code, column in zip(self.codes, columns, strict=True):
            if len(frame):
                code.write(frame.name, column, out[:, groups[code.name]])
        return out

    def report(self, frame: Frame) -> tuple[str, ...]:
        """A sentence for everything that `transform` ignores, fills or has not seen in training."""
        found = Oddities(self)
        found.add(frame)
        return found.notes()

    def _columns(self, frame: Frame) -> list[Column]:
        columns = {c.name: c for c in frame.columns}
        missing = [c.name for c in self.codes if c.name not in columns]
        if missing:
            names = ", ".join(map(repr, missing[:10]))
            more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            which = f"column {names}" if len(missing) == 1 else f"columns {names}{more}"
            there = ", ".join(map(repr, frame.names[:30])) or "none"
            and_more = f" and {len(frame.names) - 30} more" if len(frame.names) > 30 else ""
            raise DataError(
                f"{frame.name}: the model needs the {which}. There are: {there}{and_more}. "
                f"Columns are found by name: rename or add them."
            )
        return [columns[c.name] for c in self.codes]

    def to_json(self) -> dict:
        """Plain JSON, for from_json."""
        codes = [{"kind": c.kind, **_plain(c)} for c in self.codes]
        return {"format": FORMAT, "version": VERSION, "columns": codes}

    @staticmethod
    def from_json(value: object) -> "Encoder":
        """The inverse of to_json; raises FormatError that names the field for anything else."""
        rows = _outline(value, FORMAT, {"columns"})["columns"]
        if not isinstance(rows, list):
            raise FormatError(f"{FORMAT}, columns: must be a list; got {str(rows)[:40]!r}.")
        codes: list[Code] = []
        for i, row in enumerate(rows):
            where = f"{FORMAT}, column {i}"
            if not isinstance(row, dict) or row.get("kind") not in tuple(CODES):
                raise FormatError(f"{where}: its kind must be one of {', '.join(CODES)}.")
            kind = CODES[row["kind"]]
            codes.append(_made(kind, {k: v for k, v in row.items() if k != "kind"}, where))
        if len({c.name for c in codes}) != len(codes):
            raise FormatError(f"{FORMAT}, columns: a name occurs twice.")
        return Encoder(tuple(codes))


class Oddities:
    """What `transform` ignores, fills or has not seen in training, counted over the parts of a table."""

    def __init__(self, encoder: Encoder):
        self.encoder = encoder
        self.name, self.n = "", 0
        self.surplus: list[str] = []
        self.found: list[Odd] = [{} for _ in encoder.codes]

    def add(self, frame: Frame) -> None:
        """One more part."""
        self.name, self.n = frame.name, self.n + len(frame)
        known = {code.name for code in self.encoder.codes}
        self.surplus = [n for n in frame.names if n not in known]
        columns = self.encoder._columns(frame)
        for odd, code, column in zip(self.found, self.encoder.codes, columns, strict=True):
            for what, (n, one) in code.odd(frame.name, column).items():
                before, first = odd.get(what, (0, ""))
                odd[what] = (before + n, first or one)

    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing. Raises DataError for a column of numbers that has words alone."""
        found = []
        for code, odd in zip(self.encoder.codes, self.found, strict=True):
            if isinstance(code, NumberCode) and odd:
                code.refuse(self.name, odd, self.n)
        if self.surplus:
            shown_names = ", ".join(map(repr, self.surplus[:10]))
            more = f" and {len(self.surplus) - 10} more" if len(self.surplus) > 10 else ""
            found.append(f"ignored columns: {shown_names}{more}")
        for code, odd in zip(self.encoder.codes, self.found, strict=True):
            found += code.said(odd) if odd else []
        return tuple(found)


@dataclass(frozen=True)
class Target:
    """What is learned: classes by number, or amounts as y = (amount - shift) / scale.

    name     of the column   task  classify or regress
    classes  in the order of their numbers: numbers by size, names by letter; () for amounts"""

    name: str
    task: str
    classes: tuple[str, ...]
    shift: float
    scale: float

    def __post_init__(self):
        _require(self.task in ("classify", "regress"), self.name, "task")
        _require(len(set(self.classes)) == len(self.classes), self.name, "classes")
        _require(
            len(self.classes) >= 2 if self.task == "classify" else not self.classes,
            self.name,
            "classes",
        )
        _require(self.scale > 0, self.name, "scale")

    @staticmethod
    def fit(column: Column, task: str, rows: np.ndarray) -> "Target":
        """From `rows` alone. Raises DataError when they hold one class, one amount or none."""
        if task not in ("classify", "regress"):
            raise DataError(
                f"target {column.name!r}: task {task!r} is neither classify nor regress."
            )
        column = column.take(rows)
        if task == "classify":
            names = set(counted(column)) - {None}
            if len(names) < 2:
                only = f"only {next(iter(names))!r}" if names else "no class"
                raise DataError(
                    f"target {column.name!r}: the {len(column):,} training rows hold {only}; at least two "
                    f"classes are needed."
                )
            return Target(
                column.name, task, tuple(sorted(cast("set[str]", names), key=_order)), 0.0, 1.0
            )
        amounts, _, _ = as_numbers("target", column)
        amounts = amounts[np.isfinite(amounts)]
        if len(amounts) == 0:
            raise DataError(f"target {column.name!r}: no training row has an amount.")
        if (amounts == amounts[0]).all():
            raise DataError(
                f"target {column.name!r}: is {shown(amounts[0])} in all of the {len(amounts):,} training rows; "
                f"there is nothing to learn."
            )
        shift, scale = mean_and_deviation(amounts)
        return Target(column.name, task, (), shift, scale)

    def encode(self, column: Column) -> tuple[np.ndarray, np.ndarray]:
        """(y, usable): (N,) int32 classes or float32 amounts, 0 where not usable, and (N,) bool.

        Not usable: missing, a class that the training rows do not have, no number, infinite."""
        if self.classes:
            place: dict[str | None, int] = {c: i for i, c in enumerate(self.classes)}
            y = looked_up(column, place, -1).astype(np.int32)
            usable = y >= 0
            y[~usable] = 0
            return y, usable
        amounts, _, _ = as_numbers("target", column)
        usable = np.isfinite(amounts)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.where(usable, amounts - self.shift, 0) / self.scale
            y = scaled.astype(np.float32)
        usable &= np.isfinite(y)
        y[~usable] = 0
        return y, usable

    def decode_amounts(self, y: np.ndarray) -> np.ndarray:
        """(N,) float64 amounts in the target's own unit."""
        return np.asarray(y, np.float64) * self.scale + self.shift

    def to_json(self) -> dict:
        """Plain JSON, for from_json."""
        return {"format": TARGET_FORMAT, "version": VERSION, **_plain(self)}

    @staticmethod
    def from_json(value: object) -> "Target":
        """The inverse of to_json; raises FormatError that names the field for anything else."""
        names = {f.name for f in fields(Target)}
        return _made(Target, _outline(value, TARGET_FORMAT, names), TARGET_FORMAT)


def _order(name: str) -> tuple:
    """Numbers by size, before names by letter."""
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)


def _plain(record: Any) -> dict:
    values = ((f.name, getattr(record, f.name)) for f in fields(record))
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values}


def _outline(value: object, form: str, keys: set[str]) -> dict:
    """The fields besides format and version, which must be ours."""
    if not isinstance(value, dict):
        raise FormatError(f"{form}: must be an object; got {str(value)[:40]!r}.")
    if value.get("format") != form:
        raise FormatError(f"field 'format' is {value.get('format')!r}; needed is {form!r}.")
    if type(value.get("version")) is not int or value["version"] != VERSION:
        raise FormatError(
            f"{form}: version {value.get('version')!r}; this pellucid reads version {VERSION}. Use a newer pellucid."
        )
    rest = {k: v for k, v in value.items() if k not in ("format", "version")}
    _same_keys(rest, keys, form)
    return rest


def _same_keys(value: Mapping, keys: set[str], where: str) -> None:
    for name in sorted(map(str, set(value) ^ keys)):
        raise FormatError(
            f"{where}: the field {name!r} is {'missing' if name in keys else 'unknown'}."
        )


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def _made(kind: Any, value: dict, where: str) -> Any:
    """A record of this kind from JSON, every field of its own type."""
    hints = _hints(kind)
    _same_keys(value, set(hints), where)
    return kind(
        **{name: _typed(value[name], hint, f"{where}, {name}") for name, hint in hints.items()}
    )


def _typed(value: object, hint: Any, where: str) -> Any:
    if isinstance(hint, types.GenericAlias):  # tuple[of, ...], a list in JSON
        if not isinstance(value, list):
            raise FormatError(f"{where}: must be a list; got {str(value)[:40]!r}.")
        return tuple(_typed(v, get_args(hint)[0], where) for v in value)
    if hint is float and type(value) is int:
        value = float(value) if abs(value) < 2**1000 else value
    if type(value) is not hint or (hint is float and not math.isfinite(cast(float, value))):
        raise FormatError(f"{where}: must be a {hint.__name__}; got {str(value)[:40]!r}.")
    return value


def _require(is_so: bool, name: str, field: str) -> None:
    if not is_so:
        raise FormatError(f"column {name!r}: its {field} cannot be.")


def _ascending(values: tuple[float, ...]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _cells(n: int) -> str:
    return "1 cell is" if n == 1 else f"{n:,} cells are"
