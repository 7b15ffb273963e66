"""What rows count: balanced classes, and equal rows as one.

N rows, C classes, F features, M distinct rows"""

import numpy as np

from ..base.errors import DataError

FEW_VISITS = 10_000  # so many in an epoch are never too many, however few the distinct rows are
MOST_COPIES = 10  # and beyond that so many for each distinct row


def balanced(labels: np.ndarray, n_classes: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(C,) what a row of each class must count so that all classes count the same in all: n / (C n_c).

    labels   (N,) integers in [0, C)
    weights  (N,) what each row counts before; None: 1
    C is the number of classes that there are rows of; a class without rows has 0."""
    counts = np.bincount(labels, weights, minlength=n_classes).astype(np.float64)
    if not counts.any():
        raise DataError("classes cannot be balanced: there are no rows, or all count nothing.")
    share = counts.sum() / np.count_nonzero(counts)
    return np.divide(share, counts, out=np.zeros(n_classes), where=counts > 0)


def merged(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(numbers of the distinct rows (M,), what each counts in all (M,)), in an order that their values alone fix.

    x  (N, F) and y (N,), numbers; equal rows have equal x and y. Rows of weight 0 are left out.

    Copies of a row, its weight, and the order in which rows are given thus make no difference. The order is
    that of a hash; of different rows with one hash (a chance of about N^2 / 2^65) the first given comes first."""
    total = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
    rows = np.flatnonzero(total > 0)
    hashes = hashes_of(x, y)[rows]
    order = np.argsort(hashes, kind="stable")
    rows, hashes = rows[order], hashes[order]
    is_first = np.ones(len(rows), bool)
    same = np.flatnonzero(hashes[1:] == hashes[:-1])
    for start in range(0, len(same), CHUNK):
        at = same[start : start + CHUNK]
        here, there = rows[at + 1], rows[at]
        is_first[at + 1] = (y[here] != y[there]) | (x[here] != x[there]).any(1)
    first = np.flatnonzero(is_first)
    return rows[first], np.add.reduceat(total[rows], first) if len(first) else total[:0]


CHUNK = 1 << 16
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hashes_of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N,) uint64, a number for each row that its values fix; -0 is 0.

    Every word is mixed by the finaliser of MurmurHash3, with its column's own key, and the results are added."""
    found = np.empty(len(x), np.uint64)
    for start in range(0, len(x), CHUNK):
        part = slice(start, start + CHUNK)
        table = np.column_stack([x[part].reshape(len(x[part]), -1), y[part]]).astype(np.float64)
        words = (table + 0.0).view(np.uint64)
        columns = np.arange(1, words.shape[1] + 1, dtype=np.uint64)
        found[part] = mixed(words ^ mixed(columns * GOLDEN)).sum(1)
    return found


def mixed(words: np.ndarray) -> np.ndarray:
    """Every bit of a uint64 word changes half of the result's bits."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        words = (words ^ (words >> np.uint64(33))) * np.uint64(factor)
    return words ^ (words >> np.uint64(33))


def visits(total: np.ndarray) -> np.ndarray:
    """(M,) how often an epoch visits each distinct row that counts `total`; a visit counts total / visits.

    A row that counts k is visited round(k) times, at least once: as k copies of it would be. Where that were
    more than 10,000 visits and 10 for each row, all come less often in proportion and count more."""
    wanted = np.maximum(np.round(total), 1.0)
    limit = FEW_VISITS + MOST_COPIES * len(total)
    if wanted.sum() > limit:
        wanted = np.maximum(np.round(wanted * (limit / wanted.sum())), 1.0)
    return wanted.astype(np.int64)
