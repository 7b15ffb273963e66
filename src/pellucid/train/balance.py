"""Few rows of one class among many of another: what alarms cost, and rows that count more where a person wants it.

An answer is the rare class where its probability is at least the `Alarm`'s: the threshold with the highest F1 on the
rows to validate. On 34 made tables with 0.5 to 8 % rare the F1 of held-out rows was .431, of the likeliest class .389.
`alarms` says what each threshold would cost; which one is right depends on what a missed case costs beside a false
alarm. Probabilities are those of the true shares: 5 % comes true 5 times of 100. With `--class-weights`
the few are learned from as much as the many (`balanced`), or half way there on a scale of products (`root`); the
network then answers as if they were more frequent, and `restore_shares` turns that back.

Weights are not chosen for a person, for they help no more. Means over six made tables (three kinds, two seeds) of
PR AUC and log loss on held-out rows, with the defaults of tables:

  rows     rare    no weights      root            balanced
   8,000   0.5 %   .267  .0235     .241  .0239     .225  .0248
  16,000   1 %     .545  .0262     .554  .0267
   8,000   2 %     .543  .0503     .529  .0527     .478  .0531

A network that sees numbers as they are gains by them (0.5 %: .214 without, .271 root, .295 balanced); one that sees in
which bins they lie learns single rows by heart that count much. Logistic regression with balanced weights: .222.
Answers that are not brought back rank rows alike, with a log loss ten times as high (0.5 %: .28).
N rows, C classes"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import OptionError
from ..data.dataset import Split
from ..data.weights import balanced
from ..models.committee import MemberLinear
from ..nn.linear import Linear
from ..nn.module import Module
from .evaluation import predict

FEWEST = 5  # rows of the rare class to choose a threshold by
RARE = 0.1  # share of the rows below which a class is rare
CLASS_WEIGHTS = ("none", "root", "balanced")
THRESHOLDS = (0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01)


@dataclass(frozen=True)
class Alarm:
    """The number of the rare one of two classes, and the probability from which on it is the answer."""

    rare: int
    threshold: float


def decided(p: np.ndarray, alarm: Alarm | None) -> np.ndarray:
    """(N,) class numbers for probabilities (N, C): the likeliest, or the rare one from its threshold on."""
    if alarm is None:
        return p.argmax(1) if len(p) else np.zeros(0, np.int64)
    # float64: a threshold must not be rounded to one of the chances that it parts.
    chances = p[:, alarm.rare].astype(np.float64)
    return np.where(chances >= alarm.threshold, alarm.rare, 1 - alarm.rare)


def decide_alarm(network: Module, data: Any, parts: Split) -> Alarm | None:
    """The threshold that the rows to validate tell; None where no class is rare, or too few of its rows are there."""
    if not data.classes or np.ndim(data.y) != 1:
        return None
    counts = rows_to_learn(data, parts)
    rare, judged = int(counts.argmin()), parts.validation
    if not is_rare(counts) or (data.y[judged] == rare).sum() < FEWEST:
        return None
    found = best_threshold(predict(network, data.x, rows=judged)[:, rare], data.y[judged] == rare)
    return None if found is None else Alarm(rare, found)


def rows_to_learn(data: Any, parts: Split) -> np.ndarray:
    """(C,) of each class. Of rows on disk they were counted when these were written."""
    if getattr(data, "class_rows", None) is not None:
        return data.class_rows[0]
    return np.bincount(data.y[parts.train], minlength=len(data.classes))


def is_rare(counts: np.ndarray) -> bool:
    """Whether one of two classes is rare. Of more classes each may be: their shares say little."""
    return len(counts) == 2 and bool(0 < counts.min() < RARE * counts.sum())


def class_weights(kind: str | None, labels: np.ndarray, n_classes: int) -> np.ndarray | None:
    """(C,) what a row of each class counts, for a row of CLASS_WEIGHTS; None: all the same."""
    if kind in (None, "none"):
        return None
    weights = balanced(labels, n_classes)
    return weights if kind == "balanced" else np.sqrt(weights)


def restore_shares(network: Module, weights: np.ndarray) -> None:
    """Answers for the true shares of the classes, from a network that learned with class weights (C,).

    Weights make the scores those of p(c) w(c), up to a constant; the last layer's bias takes log w(c) away
    (Elkan 2001, section 2). A class of weight 0 was never learned: its score stays."""
    last = [m for _, m in network.modules() if isinstance(m, Linear | MemberLinear)][-1]
    if last.bias is None or last.bias.shape[-1:] != weights.shape:
        raise OptionError(
            f"class weights need a last layer with a bias for each of the {len(weights)} classes."
        )
    log = np.log(np.where(weights > 0, weights, 1.0))
    last.bias.assign((last.bias.numpy() - log).astype(np.float32))


def alarms(
    p: np.ndarray, y: np.ndarray, classes: Sequence[str], rare: int, best: float | None
) -> dict[str, Any]:
    """What an alarm at each probability of the rare class would have cost on the test rows.

    p, y     (N,) probabilities of the rare class, class numbers
    best     the threshold of the answers; None: the likeliest class is
    returns  class, n (rows), n_class (of the class), best, and rows of threshold, alarms, right"""
    is_one = y == rare
    thresholds = sorted({*THRESHOLDS, *([best] if best is not None else [])}, reverse=True)
    rows = []
    for t in thresholds:
        alarm = p >= t
        right = int((alarm & is_one).sum())
        rows.append({"threshold": t, "alarms": int(alarm.sum()), "right": right})
    # Thresholds above every probability, and those that raise the same alarms as the one before, say nothing more.
    kept = [
        r for i, r in enumerate(rows)
        if r["threshold"] == best or (r["alarms"] and (i == 0 or r["alarms"] != rows[i - 1]["alarms"]))
    ]  # fmt: skip
    return {
        "class": classes[rare], "n": len(p), "n_class": int(is_one.sum()), "best": best, "rows": kept,
    }  # fmt: skip


def best_threshold(p: np.ndarray, is_one: np.ndarray) -> float | None:
    """The probability from which an alarm has the highest F1 on these rows; None without rows of the class."""
    if not is_one.any():
        return None
    order = np.argsort(-p, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)
    right = np.cumsum(is_one[order])[ends]
    f1 = 2 * right / (ends + 1 + is_one.sum())
    at = int(np.argmax(f1))
    low = float(p[order][ends[at]])
    # Between this row and the next one: the middle is the safest guess for other rows, with few digits if they do.
    after = float(p[order][ends[at + 1]]) if at + 1 < len(ends) else 0.0
    middles = (float(f"{(low + after) / 2:.{digits}g}") for digits in range(3, 18))
    return next((t for t in middles if after < t <= low), low)
