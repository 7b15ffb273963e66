"""How far a figure would go on other rows of the same kind: 95 % intervals by resampling (Efron 1979).

Rows are drawn again, with replacement, as many as there are; the middle 95 % of the figures that come out are the
interval. All follows from the seed. N rows, R resamples, K sums"""

import math

import numpy as np

RESAMPLES, GROUPS = 1000, 2000
DRAWN = 4_000_000  # rows in all resamples of an area, at most: seconds, not minutes
FEWEST = 200  # resamples
MOST = 20_000  # rows of a resample; of more rows fewer are drawn, and the deviations made smaller
FEWEST_BLOCKS = 5


def resampled(terms: np.ndarray, seed: int) -> np.ndarray:
    """(RESAMPLES, K) sums of terms (N, K) over rows drawn with replacement; of many rows, over groups of them."""
    # More rows than groups: sums of random groups spread as their rows do, and cost the same for any N.
    n = len(terms)
    rng = np.random.default_rng(seed)
    if n > GROUPS:
        order = rng.permutation(n)
        terms = np.add.reduceat(terms[order], np.linspace(0, n, GROUPS, endpoint=False, dtype=int))
        n = GROUPS
    drawn = rng.integers(0, n, (RESAMPLES, n)) + np.arange(RESAMPLES)[:, None] * n
    counts = np.bincount(drawn.reshape(-1), minlength=RESAMPLES * n).reshape(RESAMPLES, n)
    return counts @ terms


def interval(values: np.ndarray) -> list[float] | None:
    """[low, high] that holds the middle 95 %; None where most resamples cannot say."""
    known = values[np.isfinite(values)]
    if 2 * len(known) <= len(values):
        return None
    low, high = np.quantile(known, (0.025, 0.975))
    return [float(low), float(high)]


def area_intervals(
    scores: np.ndarray, is_positive: np.ndarray, seed: int = 0
) -> tuple[list[float] | None, list[float] | None]:
    """95 % intervals of the areas under the ROC curve and the precision-recall curve of one class.

    scores  (N,) higher for rows that are likelier of the class      is_positive  (N,) whether they are
    None where the rows have one kind only. Of more than 20,000 rows so many are drawn, and the deviations are
    made smaller by sqrt(20,000 / N) (m out of n: Bickel et al. 1997)."""
    n = len(scores)
    if not 0 < is_positive.sum() < n:
        return None, None
    order = np.argsort(-scores, kind="stable")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(scores[order])) + 1])
    is_one = is_positive[order]
    whole = areas(np.ones((1, n)), is_one, starts)
    m = min(n, MOST)
    rng = np.random.default_rng(seed)
    found = []
    left = int(min(RESAMPLES, max(FEWEST, DRAWN // m)))
    while left:
        some = min(left, max(1, DRAWN // (4 * n)))
        drawn = rng.integers(0, n, (some, m))
        if n > MOST:  # most rows are not drawn: those that are stand for themselves
            found += [drawn_areas(rows, is_one, starts) for rows in drawn]
        else:
            places = drawn + np.arange(some)[:, None] * n
            counts = np.bincount(places.reshape(-1), minlength=some * n).reshape(some, n)
            found.append(areas(counts, is_one, starts))
        left -= some
    around = np.concatenate(found, 1)
    around = whole + (around - whole) * math.sqrt(m / n)
    roc, pr = (interval(np.clip(a, 0.0, 1.0)) for a in around)
    return roc, pr


def drawn_areas(rows: np.ndarray, is_one: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(2, 1) areas where only these rows count, each as often as it comes; see areas."""
    rows = np.sort(rows)
    tied = np.searchsorted(starts, rows, "right")
    first = np.concatenate([[0], np.flatnonzero(np.diff(tied)) + 1])
    return areas(np.ones((1, len(rows))), is_one[rows], first)


def areas(counts: np.ndarray, is_one: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(2, R) areas under ROC and precision-recall where row i counts counts[r, i] times; NaN where it has none.

    Rows are in order, highest score first; rows of equal score begin at `starts`. As scores.roc_area and
    scores.average_precision: of equal scores half are right, and precision is a sum of steps."""
    ones, others = (np.add.reduceat(counts * kind, starts, axis=1) for kind in (is_one, ~is_one))
    found = np.cumsum(ones, 1)
    n_ones, n_others = found[:, -1], others.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        roc = (others * (found - ones / 2)).sum(1) / (n_ones * n_others)
        precision = found / (found + np.cumsum(others, 1))
        pr = np.where(ones > 0, ones * precision, 0.0).sum(1) / n_ones
    return np.stack([roc, pr])


def mean_interval(values: np.ndarray, seed: int = 0) -> list[float] | None:
    """95 % interval of the mean of values that follow each other; None for fewer than five blocks of them.

    Neighbours are alike, so that blocks of n^(1/3) of them are drawn, not single ones (Kuensch 1989)."""
    n = len(values)
    length = math.ceil(n ** (1 / 3)) if n else 1
    n_blocks = n // length
    if n_blocks < FEWEST_BLOCKS:
        return None
    edges = np.linspace(0, n, n_blocks + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.asarray(values, np.float64), edges)
    sizes = np.diff(np.append(edges, n)).astype(np.float64)
    found = resampled(np.stack([sizes, sums], 1), seed)
    return interval(found[:, 1] / found[:, 0])
