"""Few rows of one class among many of another: how the rows are weighed, and how the answers are read.

Weights let the few be learned from as much as the many (`balanced`), or half way there on a scale of products
(`root`). The network then answers as if the few were more frequent than they are: `restore_shares` turns that back,
so that a probability of 5 % still comes true 5 times of 100. `alarms` says what each threshold would cost.

Measured on tables of 4,000 and 20,000 made rows, three kinds, 0.5 to 20 % rare, 3 or 4 seeds, means of PR AUC and log
loss on held-out rows, answers brought back to the true shares:

  rare    no weights      root            balanced        logistic regression with balanced weights
  0.5 %   .214  .0290     .271  .0262     .295  .0280     .222  .3999
  1 %     .374  .0408     .400  .0383     .380  .0391     .253  .4019
  3 %     .607  .0722     .632  .0683     .630  .0695     .373  .4240
  10 %    .790  .1384     .801  .1326     .800  .1329     .496  .4445
  20 %    .877  .1929     .879  .1905     .880  .1902     .605  .4485

Answers that are not brought back, or a threshold in their place, have the same PR AUC and a log loss of .21 to .32.
N rows, C classes"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.errors import OptionError
from ..data.weights import balanced
from ..models.committee import MemberLinear
from ..nn.linear import Linear
from ..nn.module import Module

RARE = 0.1  # share of the rows below which a class is rare
FEWEST = 10  # rows of the rare class: below, weights would let single rows decide
CLASS_WEIGHTS = ("root", "balanced", "none")
THRESHOLDS = (0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01)


def decide(counts: np.ndarray) -> str:
    """root or none, for classes with so many rows each."""
    return "root" if is_rare(counts) and counts.min() >= FEWEST else "none"


def is_rare(counts: np.ndarray) -> bool:
    """Whether one of two classes is rare. Of more classes each may be: their shares say little."""
    return len(counts) == 2 and 0 < counts.min() < RARE * counts.sum()


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
    validation: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
    rare: int,
) -> dict[str, Any]:
    """What an alarm at each probability of the rare class would have cost on the test rows.

    validation, test  ((N,) probabilities of the rare class, (N,) class numbers)
    returns           class, n (rows), n_class (of the class), best (the threshold with the highest F1 on the
                      validation rows, None where these have none), and rows of threshold, alarms, right, found"""
    p, is_one = test[0], test[1] == rare
    best = best_threshold(validation[0], validation[1] == rare)
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
    # Between this row and the next one: the middle is the safest guess for other rows.
    after = float(p[order][ends[at + 1]]) if at + 1 < len(ends) else 0.0
    return float(f"{(low + after) / 2:.3g}")
