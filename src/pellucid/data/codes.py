"""How the cells of one column become numbers: a code for each use of a column.

A number becomes its standard score (of its logarithm or rank where it is skewed), in large tables also its place
between quantiles, piecewise linear (Gorishniy, Rubachev, Babenko (2022), "On embeddings for numerical features").
A category becomes one column a level; a text TF-IDF of its words and pairs of words; a date its year and circles of
month, weekday and hour. Each code: fit (statistics of the rows given), names (of its features), write (them), odd and
said (what was filled or not seen before)."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any, ClassVar, cast

import numpy as np

from ..base.errors import DataError
from .columns import as_dates, as_numbers, as_texts, counted, looked_up
from .frame import Column
from .records import ascending, require

LIMIT = 8.0  # deviations; what lies further out is taken for this far
SKEW = 1.0  # from here on a logarithm or the rank is tried
N_RANKS = 100
STEPS, ROWS_A_STEP, LEAST_STEPS = 48, 400, 8  # quantiles for piecewise-linear features
BLOCK = 1024  # rows whose steps stay in the cache
FEW_VALUES, ROWS_A_VALUE = 32, 20  # or a step between all values, where they are few
LEVELS = 64
# Of texts, chosen by the loss on rows to validate, beside 10 rows a term and every text of length 5; 20 seeds or more:
# five first words of sms_spam 0.187 -> 0.167, first lines of scipy's functions 0.570 -> 0.516, summaries of packages
# 0.494 -> 0.480, titanic (its names) 0.418 -> 0.409.
TERMS, LEAST_TERMS, ROWS_A_TERM, LONGEST = 1000, 64, 3, 5.0
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
        require(self.shape in ("plain", "log", "rank"), self.name, "shape")
        require(self.scale > 0 and self.unit > 0, self.name, "scale and unit")
        require(ascending(self.knots), self.name, "knots")
        require(ascending(tuple(b / 2 for b in self.steps)), self.name, "steps")
        require(len(self.knots) == len(self.scores), self.name, "scores")
        require(bool(self.knots) == (self.shape == "rank"), self.name, "knots")

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
        if gone.any():
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
        require(len(set(self.levels)) == len(self.levels), self.name, "levels")

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
    """TF-IDF of words and pairs of words; then four counts.

    A text of n terms is a vector of length sqrt(n): its terms are about 1 each, as the level of a category is. Were all
    texts as long as each other, the few words of a name would outweigh all other columns.

    terms    what is counted   weights  ln((1 + n) / (1 + rows with the term)) + 1, one each
    longest  length that no text is beyond
    centers, scales  of the four counts: log length, shares of digits, capitals and signs"""

    kind: ClassVar[str] = "text"
    name: str
    terms: tuple[str, ...]
    weights: tuple[float, ...]
    longest: float
    centers: tuple[float, ...]
    scales: tuple[float, ...]

    def __post_init__(self):
        require(len(self.terms) == len(self.weights), self.name, "weights")
        require(len(set(self.terms)) == len(self.terms), self.name, "terms")
        require(self.longest > 0, self.name, "longest")
        require(len(self.centers) == len(self.scales) == 4, self.name, "centers and scales")
        require(all(s > 0 for s in self.scales), self.name, "scales")

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
        centers, scales = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
        return TextCode(column.name, terms, weights, LONGEST, centers, scales)

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
                length = min(self.longest, math.sqrt(len(at)))
                out[row, at] = values * (length / math.sqrt(float((values**2).sum())))
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


CIRCLES = {"month": 12, "weekday": 7, "hour": 86400}  # how many places there are on them


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
        require(self.scale > 0, self.name, "scale")
        require(set(self.circles) <= set(CIRCLES), self.name, "circles")

    @staticmethod
    def fit(where: str, column: Column, most: int) -> "DateCode":
        """From the dates of the training rows."""
        dates = as_dates(where, column)
        here = dates[~np.isnat(dates)]
        center, scale = mean_and_deviation(_years(here)) if len(here) else (0.0, 1.0)
        circles = tuple(c for c in CIRCLES if len(here) and np.ptp(_place(here, c)) > 0)
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
            angle = 2 * np.pi * (np.arange(CIRCLES[circle]) / CIRCLES[circle])
            at = _place(dates, circle)
            out[:, 1 + 2 * i], out[:, 2 + 2 * i] = np.sin(angle)[at], np.cos(angle)[at]
        out[gone] = 0
        if self.marked:
            out[:, -1] = gone

    def odd(self, where: str, column: Column) -> "Odd":
        return {"gone": (int(np.isnat(as_dates(where, column)).sum()), "")}

    def said(self, odd: "Odd") -> list[str]:
        gone, _ = odd["gone"]
        return [f"{self.name!r}: {gone:,} missing, taken as the mean date"] if gone else []


def _seconds(dates: np.ndarray) -> np.ndarray:
    return (
        dates.astype("M8[us]").view(np.int64) // 1_000_000
    )  # in no time, as astype("M8[s]") is not


def _years(dates: np.ndarray) -> np.ndarray:
    return 1970 + _seconds(dates) / (86400 * DAYS_A_YEAR)


def _place(dates: np.ndarray, circle: str) -> np.ndarray:
    """(N,) where on the circle each date is: January, Monday and midnight are 0."""
    if circle == "hour":
        return _seconds(dates) % 86400
    days = _seconds(dates) // 86400
    if circle == "weekday":
        return (days + 3) % 7  # 1970-01-01 was a Thursday
    first, last = int(days.min(initial=0)), int(days.max(initial=0))
    if last - first > len(days):
        return dates.astype("M8[M]").astype(np.int64) % 12
    return (np.arange(first, last + 1).astype("M8[D]").astype("M8[M]").astype(np.int64) % 12)[
        days - first
    ]


def _cells(n: int) -> str:
    return "1 cell is" if n == 1 else f"{n:,} cells are"


Odd = dict[str, tuple[int, str]]  # what is odd in a column -> (cells, one of them)
Code = NumberCode | CategoryCode | TextCode | DateCode
CODES: dict[str, Any] = {c.kind: c for c in (NumberCode, CategoryCode, TextCode, DateCode)}
