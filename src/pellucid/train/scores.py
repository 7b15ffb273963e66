"""How good answers on held-out rows are: classes by their probabilities, amounts by their errors.

classification   accuracy, precision, recall, F1, ROC and PR curves, log loss, calibration
regression       RMSE, MAE, R2, median error, with intervals

Plain numbers come out (ready for JSON, never NaN): what cannot be said, as the recall of a class without rows,
is None. Definitions are scikit-learn's, with which the tests compare.

N rows, C classes, K classes that have a curve"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.errors import DataError, IndexRangeError, ShapeError
from .balance import Alarm, decided
from .resampling import area_intervals, interval, resampled

Z = 1.959963984540054  # standard deviations to each side that hold 95 % of a normal distribution
BINS = 10  # of the calibration
POINTS = 200  # of a stored curve
DOTS = 1000  # of a stored scatter
LARGEST_TABLE = 60  # classes that still have a confusion table
LISTED = 1000  # classes, the most frequent, that are listed one by one; of more there are no areas
CURVES = 10  # classes that still have a curve each
MISTAKES = 20  # of the most frequent mistakes that are named
QUANTILES = (0, 5, 25, 50, 75, 95, 100)  # percent, of the residuals

NONE = {  # names of a class that say: nothing was found
    "0", "-1", "no", "not", "none", "false", "negative", "neg", "normal", "healthy", "benign", "absent", "control",
    "without", "other", "others", "rest", "background", "ok", "good", "clean",
    # German, French, Spanish, Portuguese, Italian, Dutch, Scandinavian and Slavic languages
    "nein", "kein", "keine", "falsch", "negativ", "gesund", "non", "aucun", "faux", "négatif", "sain", "ninguno",
    "falso", "negativo", "sano", "não", "nao", "nenhum", "nessuno", "nee", "geen", "nei", "nej", "nie", "ne", "нет",
}  # fmt: skip

Curve = tuple[np.ndarray, np.ndarray]


def classification(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    seed: int | None = None,
    alarm: Alarm | None = None,
) -> dict[str, Any]:
    """Scores of class probabilities against the right classes.

    seed           of the resamples for the intervals of the areas of two classes; None: there are none
    alarm          the probability from which the rare class is the answer; None: the likeliest is
    probabilities  (N, C), rows sum to 1      labels  (N,) integers in [0, C)      classes  C names
    returns        accuracy and its 95 % interval (Wilson), per_class (precision, recall, f1, support, roc_auc,
                   pr_auc), macro_f1 over the classes that occur, balanced_accuracy, log_loss in nats,
                   confusion (row = true class; None above 60 classes), mistakes (the most frequent),
                   roc_auc and pr_auc (two classes: of the second; more: the mean of each class against the
                   rest, over those that the rows have), rare_pr_auc (of two classes the one with fewer rows),
                   screening (of two classes: which is the positive one, sensitivity, specificity, their intervals),
                   curves, calibration (bins and ECE)
    Raises ShapeError, IndexRangeError or DataError for arrays that do not belong together."""
    p, y = _checked(probabilities, labels, classes)
    n, n_classes = p.shape
    predicted = decided(p, alarm)
    is_right = predicted == y
    true, answered = (np.bincount(v, minlength=n_classes) for v in (y, predicted))
    right = np.bincount(y[is_right], minlength=n_classes)
    by_class: dict[int, dict[str, float | None]] = {}
    curves: dict[str, list[dict]] = {"roc": [], "pr": []}
    for c in range(n_classes) if n_classes <= LISTED else ():
        roc, pr = roc_curve(p[:, c], y == c), pr_curve(p[:, c], y == c)
        by_class[c] = {"roc_auc": roc_area(roc), "pr_auc": average_precision(pr)}
        # Two classes are one question: the curve of the first says what that of the second does.
        if n_classes <= CURVES and (n_classes, c) != (2, 0):
            for name, curve in (("roc", roc), ("pr", pr)):
                if curve is not None:
                    curves[name].append({"class": classes[c], **_thinned(curve)})
    intervals = {}
    if seed is not None and n_classes == 2:
        for name, c in (("", 1), ("rare_", int(true.argmin()))):
            roc_range, pr_range = area_intervals(p[:, c], y == c, seed)
            intervals[f"{name}pr_auc_interval"] = pr_range
        intervals["roc_auc_interval"] = roc_range  # the same for both classes
    asked = [by_class[1]] if n_classes == 2 else list(by_class.values())
    f1 = [_share(2 * right[c], true[c] + answered[c]) for c in range(n_classes)]
    recall = [_share(right[c], true[c]) for c in range(n_classes)]
    n_right = int(right.sum())
    return {
        "task": "classify",
        "n": n,
        "n_right": n_right,
        "accuracy": _share(n_right, n),
        "accuracy_interval": wilson(n_right, n),
        "balanced_accuracy": _mean(recall),
        "macro_f1": _mean(f1),
        "log_loss": log_loss(p, y, _eps(probabilities)),
        "roc_auc": _mean([s["roc_auc"] for s in asked]),
        "pr_auc": _mean([s["pr_auc"] for s in asked]),
        "rare_pr_auc": by_class[int(true.argmin())]["pr_auc"] if n_classes == 2 else None,
        **intervals,
        "screening": screening(right, true, classes) if n_classes == 2 else None,
        "classes": list(classes),
        "per_class": [
            {
                "class": classes[c],
                "precision": _share(right[c], answered[c]),
                "recall": recall[c],
                "f1": f1[c],
                "support": int(true[c]),
                **by_class.get(c, {}),
            }
            for c in sorted(np.argsort(-true, kind="stable")[:LISTED].tolist())
        ],
        "confusion": _table(y, predicted, n_classes) if n_classes <= LARGEST_TABLE else None,
        "mistakes": _mistakes(y[~is_right], predicted[~is_right], classes),
        "curves": curves,
        "calibration": calibration(p, y),
    }


def regression(predicted: np.ndarray, truth: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Errors of amounts, in the unit of the truth; intervals hold 95 % of 1,000 resamples of the rows.

    predicted, truth  (N,) finite amounts      seed  of the resamples and of the rows of the scatter
    returns           rmse, mae, bias (the mean of predicted - true), median_absolute_error, r2 (None where all
                      true amounts are equal), their intervals, quantiles of the residuals, and at most 1,000
                      rows for a scatter
    Raises ShapeError or DataError for arrays that do not belong together."""
    p, t = (np.asarray(v, np.float64) for v in (predicted, truth))
    if p.ndim != 1 or p.shape != t.shape:
        raise ShapeError(
            f"Scores of amounts need one prediction for each row; got {p.shape} and {t.shape}."
        )
    for name, values in (("prediction", p), ("true amount", t)):
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise DataError(f"Row {row}: the {name} is {values[row]}, not a finite number.")
    n = len(t)
    measures = ("rmse", "mae", "r2", "bias", "median_absolute_error")
    if not n:
        return {"task": "regress", "n": 0, **dict.fromkeys(measures)}
    # Squares of amounts near 1e200 or 1e-200 would leave the range of float64.
    unit = float(max(np.abs(p).max(), np.abs(t).max())) or 1.0
    e = p / unit - t / unit
    centred = t / unit - (t / unit).mean() if (t != t[0]).any() else np.zeros(n)
    terms = np.stack([np.ones(n), e * e, np.abs(e), centred, centred * centred], 1)
    found = _amounts(terms.sum(0)[None], unit)
    found["bias"], found["median_absolute_error"] = e.mean() * unit, np.median(np.abs(e)) * unit
    others = _amounts(resampled(terms, seed), unit)
    rows = _spread(n, DOTS, seed)
    return {
        "task": "regress",
        "n": n,
        **{name: _number(found[name]) for name in measures},
        **{f"{name}_interval": interval(values) for name, values in others.items()},
        "residuals": {str(q): _number(np.quantile(e, q / 100) * unit) for q in QUANTILES},
        "scatter": {"truth": t[rows].tolist(), "predicted": p[rows].tolist()},
    }


def ahead(
    ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray, seed: int = 0
) -> list[float] | None:
    """[low, high] that holds with 95 % confidence how much better `ours` is than `theirs`, on the same rows.

    ours, theirs  both (N, C) probabilities (truth: class numbers), compared by accuracy; or both (N,) amounts,
                  compared by RMSE, in their unit
    Looking at the rows one by one says more than two intervals do: rows that are hard for both say nothing.
    Classes: Agresti and Min (2005); amounts: resampled rows. None for no rows."""
    n = len(truth)
    if not n:
        return None
    if np.ndim(ours) == 2:
        a, b = (np.asarray(p).argmax(1) == truth for p in (ours, theirs))
        n_ours, n_theirs = int((a & ~b).sum()), int((b & ~a).sum())
        mean = (n_ours - n_theirs) / (n + 2)
        half = Z * math.sqrt((n_ours + n_theirs + 1) / (n + 2) - mean**2) / math.sqrt(n + 2)
        return [max(-1.0, mean - half), min(1.0, mean + half)]
    p, q, t = (np.asarray(v, np.float64) for v in (ours, theirs, truth))
    unit = float(max(np.abs(v).max() for v in (p, q, t))) or 1.0
    squares = [(v / unit - t / unit) ** 2 for v in (p, q)]
    sums = resampled(np.stack([np.ones(n), *squares], 1), seed)
    rmse = np.sqrt(sums[:, 1:] / sums[:, :1]) * unit
    return interval(rmse[:, 1] - rmse[:, 0])


def brief(scores: dict[str, Any]) -> dict[str, Any]:
    """The single figures of `classification` or `regression`, without tables, curves and points."""
    return {
        name: value
        for name, value in scores.items()
        if not isinstance(value, (dict, list)) or name.endswith("_interval")
    }


# -- Classes ---------------------------------------------------------------------------------------


def screening(right: np.ndarray, true: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Of two classes: the part of the positive rows that is found (sensitivity), and of the negative rows that is
    left alone (specificity), with their 95 % intervals.

    right, true  (2,) rows of each class that are answered right, and all of them"""
    one = positive(classes)
    other = 1 - one
    return {
        "positive": classes[one],
        "sensitivity": _share(right[one], true[one]),
        "sensitivity_interval": wilson(int(right[one]), int(true[one])),
        "specificity": _share(right[other], true[other]),
        "specificity_interval": wilson(int(right[other]), int(true[other])),
    }


def positive(classes: Sequence[str]) -> int:
    """Which of two classes is the finding: not the one whose name says that there is none; else the second."""
    first, second = (_says_none(c) for c in classes)
    return 0 if second and not first else 1


def _says_none(name: str) -> bool:
    word = name.strip().lower()
    return word in NONE or word.startswith(("no ", "no_", "no-", "not ", "not_", "not-", "non-"))


def wilson(n_right: int, n: int) -> list[float] | None:
    """[low, high] that holds the true share with 95 % confidence; None for no rows.

    Wilson (1927): unlike share +- 2 deviations it stays in 0..1, and 20 of 20 does not become 'surely all'."""
    if not n:
        return None
    share = n_right / n
    centre = share + Z * Z / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    low, high = ((centre + s * half) / (1 + Z * Z / n) for s in (-1, 1))
    return [
        0.0 if n_right == 0 else max(0.0, low),
        1.0 if n_right == n else min(1.0, high),
    ]


def log_loss(p: np.ndarray, y: np.ndarray, eps: float) -> float | None:
    """Mean -log of the right class's probability, in nats; probabilities are held in [eps, 1 - eps]."""
    if not len(y):
        return None
    # + 0.0: of a sure and right answer the loss is 0, not -0.
    return float(-np.log(np.clip(p[np.arange(len(y)), y], eps, 1.0)).mean() + 0.0)


def _steps(scores: np.ndarray, is_positive: np.ndarray) -> Curve:
    """(right alarms, false alarms) with the threshold at each different score, highest first.

    Rows of equal score are taken in together: their order says nothing."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = np.cumsum(is_positive[order])[ends]
    return right, ends + 1 - right


def roc_curve(scores: np.ndarray, is_positive: np.ndarray) -> Curve | None:
    """(share of false alarms, share found), from (0, 0) to (1, 1); None unless there are rows of both kinds."""
    n_positive = int(is_positive.sum())
    if n_positive in (0, len(scores)):
        return None
    right, false = _steps(scores, is_positive)
    shares = (false / (len(scores) - n_positive), right / n_positive)
    return np.append(0.0, shares[0]), np.append(0.0, shares[1])


def roc_area(curve: Curve | None) -> float | None:
    """The area under it: how often a row of the class scores above one of the rest (equal counts half)."""
    return None if curve is None else float(np.trapezoid(curve[1], curve[0]))


def pr_curve(scores: np.ndarray, is_positive: np.ndarray) -> Curve | None:
    """(recall, precision), from recall 0; None when no row is positive."""
    n_positive = int(is_positive.sum())
    if not n_positive:
        return None
    right, false = _steps(scores, is_positive)
    precision = right / (right + false)
    return np.append(0.0, right / n_positive), np.append(precision[0], precision)


def average_precision(curve: Curve | None) -> float | None:
    """The area under a precision-recall curve, as a sum of steps: between them nothing is interpolated."""
    return None if curve is None else float(np.sum(np.diff(curve[0]) * curve[1][1:]))


def calibration(p: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Whether '80 % sure' is right 8 times of 10: ten bins of equal width, and the expected calibration error.

    Of two classes the probability of the second is looked at, of more that of the answer given
    (Guo et al. 2017). ECE is the mean of |sure - right| over the rows."""
    n, n_classes = p.shape
    if n_classes == 2:
        of, sure, came = "second class", p[:, 1], y == 1
    else:
        of = "answer"
        sure = p.max(1) if n else np.zeros(0)
        came = (p.argmax(1) if n else y) == y
    edges = np.linspace(0, 1, BINS + 1)
    which = np.searchsorted(edges[1:-1], sure)
    bins: list[dict[str, Any]] = []
    for b in range(BINS):
        rows = which == b
        n_rows, n_came = int(rows.sum()), int(came[rows].sum())
        if n_rows:
            bins.append({
                "low": float(edges[b]), "high": float(edges[b + 1]), "n": n_rows,
                "expected": float(sure[rows].mean()), "share": n_came / n_rows,
                "interval": wilson(n_came, n_rows),
            })  # fmt: skip
    error = sum(b["n"] * abs(b["expected"] - b["share"]) for b in bins) / n if n else None
    return {"of": of, "bins": bins, "ece": error}


def _checked(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels)
    if p.ndim != 2 or p.shape[1] != len(classes) or not len(classes):
        raise ShapeError(
            f"Probabilities of {len(classes)} classes need the shape (rows, {len(classes)}); got {p.shape}."
        )
    if y.shape != (len(p),):
        raise ShapeError(f"{len(p)} rows of probabilities need {len(p)} labels; got {y.shape}.")
    if len(y) and y.dtype.kind not in "iu":
        raise DataError(
            f"Labels must be class numbers 0 to {len(classes) - 1}, integers; got {y.dtype}."
        )
    y = y.astype(np.int64)
    outside = (y < 0) | (y >= len(classes))
    if outside.any():
        row = int(np.argmax(outside))
        raise IndexRangeError(f"Row {row}: label {y[row]} is outside 0..{len(classes) - 1}.")
    with np.errstate(invalid="ignore"):
        good = ((p >= 0) & (p <= 1 + 1e-6)).all(1) & (np.abs(p.sum(1) - 1) < 1e-3)
    if not good.all():
        row = int(np.argmin(good))
        raise DataError(
            f"Row {row}: {p[row].tolist()!s:.80} are no probabilities: each in 0..1, their sum 1."
        )
    return p, y


def _eps(probabilities: np.ndarray) -> float:
    """Below the step of the numbers that came in, a probability is as good as 0."""
    dtype = np.asarray(probabilities).dtype
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def _table(y: np.ndarray, predicted: np.ndarray, n_classes: int) -> list[list[int]]:
    cells = np.bincount(y * n_classes + predicted, minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes).tolist()


def _mistakes(y: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> list[dict]:
    """The pairs (true, answered) that are mixed up most often."""
    pairs, counts = np.unique(y * len(classes) + predicted, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:MISTAKES]
    return [
        {"true": classes[pair // len(classes)], "answered": classes[pair % len(classes)], "n": n}
        for pair, n in zip(pairs[most].tolist(), counts[most].tolist(), strict=True)
    ]


def _share(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None


def _number(value: Any) -> float | None:
    """For JSON, which has no NaN and no infinity."""
    value = float(np.asarray(value).item())
    return value if math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    """Over those that can be said."""
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _thinned(curve: Curve) -> dict[str, list[float]]:
    """At most so many of its points, spread evenly along its length, the ends among them."""
    x, y = curve
    if len(x) > POINTS:
        length = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
        at = np.searchsorted(length, np.linspace(0, length[-1], POINTS))
        keep = np.unique(np.minimum(at, len(x) - 1))
        x, y = x[keep], y[keep]
    return {"x": x.round(5).tolist(), "y": y.round(5).tolist()}


# -- Amounts ---------------------------------------------------------------------------------------


def _amounts(sums: np.ndarray, unit: float) -> dict[str, np.ndarray]:
    """rmse, mae and r2 for sums (R, 5) of 1, e^2, |e|, t, t^2 over the rows; r2 is NaN for equal amounts."""
    n, squares, sizes, t, t_squares = sums.T
    around = t_squares - t * t / n
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(around > 1e-14 * t_squares, 1 - squares / around, np.nan)
    return {"rmse": np.sqrt(squares / n) * unit, "mae": sizes / n * unit, "r2": r2}


def _spread(n: int, most: int, seed: int) -> np.ndarray:
    """Rows for a picture: all, or so many drawn at random, in their order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
