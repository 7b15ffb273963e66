"""What a network must beat: forecasts and guesses that need no network.

text    unigram (how often each character comes), bigram (how often it follows the one before)
series  persistence (the next value is the last), autoregression (a weighted sum of the last p values)
images  whether pictures lie among others, by nearest neighbours
tables  majority or mean, and where scikit-learn is installed a linear method and gradient boosting

C characters or classes, N values, pictures or rows, F features"""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.dataset import Split
from . import scores

# Rows x features x classes that a method learns from: each takes some seconds for so many.
LINEAR, BOOSTING = 5e7, 1e7
FEWEST = 1000  # rows that it learns from all the same
BOOSTED = 500  # features x classes at most: boosting looks through all of them at each of 100 steps
SEPARATED = 1000  # classes at most for logistic regression


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


def table_baselines(
    x: np.ndarray,
    y: np.ndarray,
    split: Split,
    classes: Sequence[str],
    *,
    seed: int = 0,
    ours: np.ndarray | None = None,
    is_quick: bool = False,
) -> dict[str, dict[str, Any]]:
    """What simple methods reach on the test rows, having learned from the training rows alone.

    x        (N, F) or (N, ...) finite features, encoded as for the network
    y        (N,) class numbers, or amounts when `classes` is empty
    ours     the network's answers for the test rows, (N_test, C) probabilities or amounts: each method then has an
             `ahead_interval`, how much better the network is (scores.ahead)
    is_quick whether to leave out what needs scikit-learn
    returns  name -> scores.brief(...), and `note` where less than all rows were learned from; or
             {"skipped": why} for a method that cannot be used here. `majority` or `mean` comes first; the others
             need scikit-learn, and are absent without it."""
    train, test = np.asarray(split.train), np.asarray(split.test)
    x = x.reshape(len(x), -1) if len(x) else x  # pictures are rows of pixels here
    methods = CLASS_METHODS if len(classes) else AMOUNT_METHODS
    found: dict[str, dict[str, Any]] = {}
    for name, method in methods.items():
        why = method.refuses(y[train], len(classes), x.shape[1])
        if method.needs_sklearn and (is_quick or (not why and not _has_sklearn())):
            continue
        if why or not len(test):
            found[name] = {"skipped": why or "there are no test rows"}
            continue
        rows = _affordable(train, x.shape[1] * max(1, len(classes)), method.budget, seed)
        with _threads() if method.needs_sklearn else nullcontext():
            answers, note = method.answers(x[rows], y[rows], x[test], len(classes), seed)
        scored = (
            scores.classification(answers, y[test], classes)
            if len(classes)
            else scores.regression(answers, y[test], seed)
        )
        if len(rows) < len(train):
            note = f"learned from {len(rows):,} of {len(train):,} rows, drawn at random" + (
                f"; {note}" if note else ""
            )
        found[name] = {**scores.brief(scored), **({"note": note} if note else {})}
        if ours is not None:
            found[name]["ahead_interval"] = scores.ahead(ours, answers, y[test], seed)
    return found


@dataclass(frozen=True)
class Method:
    """A row of CLASS_METHODS or AMOUNT_METHODS.

    answers  (x, y of training, x of test, number of classes, seed) -> (answers, what is to be said about them)
    refuses  (y of training, number of classes, of features) -> why it cannot be used, or nothing
    budget   rows x features x classes at most; of more rows some are drawn at random"""

    answers: Callable[..., tuple[np.ndarray, str]]
    refuses: Callable[[np.ndarray, int, int], str] = lambda y, n_classes, n_features: _no_rows(y)
    needs_sklearn: bool = True
    budget: float = np.inf


def _majority(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int):
    """Each class as often as in training: the most frequent is the answer."""
    counts = np.bincount(y, minlength=n_classes)
    return np.tile(counts / counts.sum(), (len(x_test), 1)), ""


def _mean(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int):
    return np.full(len(x_test), np.asarray(y, np.float64).mean()), ""


def _logistic(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int):
    from sklearn.linear_model import LogisticRegression

    return _probabilities(LogisticRegression(max_iter=500), x, y, x_test, n_classes)


def _boosted_classes(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int):
    from sklearn.ensemble import HistGradientBoostingClassifier

    # Its early stopping would split again, which a class of one row does not allow.
    model = HistGradientBoostingClassifier(random_state=seed, early_stopping=False)
    return _probabilities(model, x, y, x_test, n_classes)


def _linear(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int):
    from sklearn.linear_model import Ridge

    return _amounts(Ridge(alpha=1.0), x, y, x_test)


def _boosted_amounts(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int, seed: int):
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(random_state=seed, early_stopping=False)
    return _amounts(model, x, y, x_test)


def _probabilities(
    model: Any, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, n_classes: int
) -> tuple[np.ndarray, str]:
    """(N, C) where the columns of classes that training does not have are 0."""
    note = _fitted(model, x, y)
    answers = np.zeros((len(x_test), n_classes))
    answers[:, model.classes_] = model.predict_proba(x_test)
    return answers, note


def _amounts(
    model: Any, x: np.ndarray, y: np.ndarray, x_test: np.ndarray
) -> tuple[np.ndarray, str]:
    """Amounts are learned with mean 0 and deviation 1, whatever their unit."""
    y = np.asarray(y, np.float64)
    unit = float(np.abs(y).max()) or 1.0
    mean, spread = float((y / unit).mean()), float((y / unit).std()) or 1.0
    note = _fitted(model, x, (y / unit - mean) / spread)
    return (model.predict(x_test) * spread + mean) * unit, note


def _fitted(model: Any, x: np.ndarray, y: np.ndarray) -> str:
    """Fits it; returns what is to be said about that."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit(x, y)
    stopped = any(issubclass(w.category, ConvergenceWarning) for w in told)
    return f"stopped after {model.max_iter} steps" if stopped else ""


def _no_rows(y: np.ndarray) -> str:
    return "" if len(y) else "there are no training rows"


def _separable(y: np.ndarray, n_classes: int, n_features: int) -> str:
    if n_classes > SEPARATED and len(y):
        return f"there are {n_classes:,} classes, and it would be slow above {SEPARATED:,}"
    if n_classes and len(y) and not (y != y[0]).any():
        return "the training rows have one class"
    return _no_rows(y)


def _boostable(y: np.ndarray, n_classes: int, n_features: int) -> str:
    # Two classes are told apart by one tree a step, as amounts are estimated by one.
    trees = n_classes if n_classes > 2 else 1
    if trees * n_features > BOOSTED:
        classes = f" for {n_classes:,} classes" if n_classes else ""
        return f"it would be slow with {n_features:,} features{classes}"
    return _separable(y, n_classes, n_features)


def _affordable(rows: np.ndarray, cost: int, budget: float, seed: int) -> np.ndarray:
    """As many of the rows, drawn at random, as the budget allows."""
    most = max(FEWEST, budget / max(1, cost))
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, int(most), replace=False))


def _has_sklearn() -> bool:
    from importlib.util import find_spec

    return find_spec("sklearn") is not None


def _threads() -> Any:
    """No more threads than pellucid itself was given."""
    from threadpoolctl import threadpool_limits

    from ..runtime.team import get_threads

    return threadpool_limits(get_threads())


# The simplest first.
CLASS_METHODS = {
    "majority": Method(_majority, needs_sklearn=False),
    "logistic regression": Method(_logistic, _separable, budget=LINEAR),
    "gradient boosting": Method(_boosted_classes, _boostable, budget=BOOSTING),
}
AMOUNT_METHODS = {
    "mean": Method(_mean, needs_sklearn=False),
    "linear regression": Method(_linear, budget=LINEAR),
    "gradient boosting": Method(_boosted_amounts, _boostable, budget=BOOSTING),
}
