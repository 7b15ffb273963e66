"""How good answers are: loss, accuracy, the majority baseline, the confusion table.

N rows, C classes"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Metrics:
    """Means over n answers; accuracy is None for amounts. `others` are further losses by name."""

    loss: float
    accuracy: float | None
    n: int
    others: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict:
        """For JSON."""
        shares = {} if self.accuracy is None else {"accuracy": self.accuracy}
        return {"loss": self.loss, **shares, **self.others, "n": self.n}


def perplexity(loss: float) -> float:
    """exp of a mean loss in nats: among so many equally likely characters it is as hard to guess."""
    return math.exp(min(loss, 709.0))  # above, there is no number left for it


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """The part of rows whose class was predicted; 0 for no rows."""
    return float(np.mean(np.asarray(truth) == np.asarray(predicted))) if len(truth) else 0.0


def majority_baseline(train: np.ndarray, test: np.ndarray) -> tuple[int, float]:
    """(the most frequent class in training, the accuracy of always answering it): what any
    network must beat. Of equally frequent classes the lowest counts."""
    majority = int(np.argmax(np.bincount(train)))
    return majority, accuracy(test, np.full(len(test), majority))


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """(C, C) counts: row = true class, column = predicted class."""
    cells = np.asarray(truth, np.int64) * n_classes + np.asarray(predicted, np.int64)
    return np.bincount(cells, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def confusion_text(table: np.ndarray, classes: Sequence[str]) -> str:
    """The table for people: true classes down, predicted across, '.' for zero."""
    width = max(len(str(table.max(initial=0))), *(len(c) for c in classes))
    side = max(len("true"), *(len(c) for c in classes))
    lines = [f"{'true':>{side}}  " + " ".join(f"{c:>{width}}" for c in classes) + "  <- predicted"]
    for name, row in zip(classes, table, strict=True):
        cells = " ".join(f"{n if n else '.':>{width}}" for n in row)
        lines.append(f"{name:>{side}}  {cells}")
    return "\n".join(lines)
