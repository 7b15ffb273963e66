"""What a network must beat: forecasts and guesses that need no network.

text    unigram (how often each character comes), bigram (how often it follows the one before)
series  persistence (the next value is the last), autoregression (a weighted sum of the last p values)
images  whether pictures lie among others, by nearest neighbours

C characters, N values or pictures"""

import math
from dataclasses import dataclass

import numpy as np


def unigram_loss(train: np.ndarray, test: np.ndarray, n_classes: int) -> float:
    """Nats a character of the test part, by the counts of the training part (each plus 1)."""
    counts = np.bincount(train, minlength=n_classes) + 1.0
    return float(-np.log(counts / counts.sum())[test].mean())


def bigram_loss(train: np.ndarray, test: np.ndarray, n_classes: int) -> float:
    """Nats a character of the test part after the first, by the pairs of the training part.

    A pair's chance is mixed with the unigram's, as if that had been seen 1 time more after each character:
    pairs that never came keep a chance (additive smoothing towards the unigram; Chen and Goodman 1999)."""
    single = np.bincount(train, minlength=n_classes) + 1.0
    single /= single.sum()
    pairs = np.zeros((n_classes, n_classes))
    np.add.at(pairs, (train[:-1], train[1:]), 1.0)
    chances = (pairs + single) / (pairs.sum(1, keepdims=True) + 1.0)
    return float(-np.log(chances[test[:-1], test[1:]]).mean())


@dataclass(frozen=True)
class Errors:
    """Of forecasts, in the unit of the series: mean absolute error and root of the mean squared one."""

    mae: float
    rmse: float

    def as_dict(self) -> dict:
        """For JSON."""
        return {"mae": self.mae, "rmse": self.rmse}


def errors(forecast: np.ndarray, truth: np.ndarray) -> Errors:
    """How far forecasts are from what came."""
    e = np.asarray(forecast, np.float64) - truth
    return Errors(float(np.abs(e).mean()), math.sqrt(float((e * e).mean())))


@dataclass(frozen=True)
class Autoregression:
    """x[t] = c + w[0] x[t-1] + ... + w[p-1] x[t-p], by least squares."""

    weights: np.ndarray
    constant: float

    @property
    def order(self) -> int:
        """p, the values that a forecast looks back at."""
        return len(self.weights)

    def forecast(self, values: np.ndarray, at: np.ndarray) -> np.ndarray:
        """One step ahead, for the values at these places."""
        back = np.arange(1, self.order + 1)
        return values[at[:, None] - back] @ self.weights + self.constant

    def roll(self, windows: np.ndarray, steps: int) -> np.ndarray:
        """(N, steps) what comes after windows (N, T), T at least the order, from its own forecasts."""
        seen = np.asarray(windows, np.float64)
        for _ in range(steps):
            new = seen[:, : -self.order - 1 : -1] @ self.weights + self.constant
            seen = np.concatenate([seen, new[:, None]], 1)
        return seen[:, windows.shape[1] :]


def autoregression(
    values: np.ndarray, train: np.ndarray, validation: np.ndarray, longest: int
) -> Autoregression:
    """The order of 1 to `longest` that forecasts the validation places best, fitted on the training places.

    train, validation  places of the values to forecast; all are at or after `longest`"""
    best, best_error = None, math.inf
    for order in range(1, longest + 1):
        back = values[train[:, None] - np.arange(1, order + 1)]
        columns = np.column_stack([back, np.ones(len(train))])
        w = np.linalg.lstsq(columns, values[train], rcond=None)[0]
        found = Autoregression(w[:-1], float(w[-1]))
        judged = validation if len(validation) else train
        error = errors(found.forecast(values, judged), values[judged]).rmse
        if error < best_error:
            best, best_error = found, error
    assert best is not None
    return best


def distances(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, M) Euclidean distances between pictures of any shape."""
    a, b = (np.asarray(p, np.float64).reshape(len(p), -1) for p in (pictures, others))
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))


def precision_and_coverage(
    made: np.ndarray, known: np.ndarray, held_out: np.ndarray, k: int = 3
) -> tuple[float, float]:
    """(precision, coverage) of made pictures; a ball around a real picture reaches to its k-th nearest of its kind.

    precision  the part of made pictures that lies in a ball around a known one: do they look real?
               Kynkaanniemi et al. (2019), on pixels
    coverage   the part of held-out pictures whose ball has a made one in it: is all made that is real?
               Naeem et al. (2020)"""
    looks_real = distances(made, known) <= radii(known, k)
    reached = distances(made, held_out) <= radii(held_out, k)
    return float(looks_real.any(1).mean()), float(reached.any(0).mean())


def radii(centres: np.ndarray, k: int) -> np.ndarray:
    """(N,) how far the k-th nearest other picture is."""
    own = distances(centres, centres)
    np.fill_diagonal(own, np.inf)
    k = min(k, len(centres) - 1)
    return np.partition(own, k - 1, axis=1)[:, k - 1]
