"""Dataset: rows of numbers with a label each, and where they come from; and its parts for training.

Arrays come in, checked arrays go out. Sizes: N rows, F features, C classes, B rows of a batch.

What the training loop needs of any kind of data is `Learnable`; texts and series are in sequence.py. A
Learnable may also have `weights`: None, or (N,) numbers that say what each row counts (`weights_of`); and
`release()`, where its arrays are parts of files: gives their memory back, of which nothing is lost, after `most_rows`
at most."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..base.errors import DataError
from ..tensor import functions as F
from ..tensor.tensor import Tensor
from .shuffle import permutation

IGNORED = -100  # in place of the number of a class: nothing is asked there


def count_answers(data: "Learnable", rows: np.ndarray) -> int:
    """How many answers a network is asked for in these rows: n_answers each, or what the data count."""
    count = getattr(data, "count", None)
    return len(rows) * data.n_answers if count is None else count(rows)


class Learnable(Protocol):
    """What can be learned from: numbered rows, and how a batch is made of the numbers."""

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what is told apart; () for amounts."""
        ...

    @property
    def n_answers(self) -> int:
        """Answers that a network gives for one row: 1, or one for each place of a window.

        Where some of them are IGNORED, the data have count(rows): how many are not."""
        ...

    def __len__(self) -> int: ...
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What a program reads in place."""
        ...

    def batch(self, stored: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """Inside a compiled step: inputs and right answers of these rows, from the stored arrays."""
        ...

    def order(self, rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """These rows as the epoch visits them."""
        ...

    def fingerprint(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Dataset:
    """N labelled rows.

    x        (N, F) float32, as the network takes them (already scaled); (N, H, W, C) for images
    y        (N,) int32 class numbers in [0, C), or float32 amounts when `classes` is empty
    classes  the C names, in the order of their numbers
    scale    how raw values became x: x = (raw - shift) / scale; stored with the model
    shape    the shape of one row as a person sees it, (8, 8) for an image of 8 x 8 pixels
    weights  (N,) what each row counts in the loss, 0 or more: 2 as if it were there twice; None: all the same"""

    name: str
    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    shift: float = 0.0
    scale: float = 1.0
    source: str = ""
    licence: str = ""
    weights: np.ndarray | None = None

    def __post_init__(self):
        check_rows(self.name, self.x, self.y, len(self.classes))
        weights_of(self)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def n_features(self) -> int:
        return int(np.prod(self.x.shape[1:]))

    @property
    def n_answers(self) -> int:
        return 1

    def arrays(self) -> tuple[np.ndarray, ...]:
        """x and y."""
        return np.ascontiguousarray(self.x, np.float32), np.ascontiguousarray(self.y)

    def batch(self, stored: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """(B, ...) inputs and (B,) labels or amounts."""
        x, y = stored
        return F.take(x, rows, axis=0), F.take(y, rows, axis=0)

    def order(self, rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """The rows shuffled, as (seed, epoch) say."""
        rows = np.asarray(rows, np.int32)
        return rows[permutation(len(rows), seed, "epoch", epoch)]

    def images(self) -> "Dataset":
        """The same rows as images with one channel: x (N, F) becomes (N, H, W, 1)."""
        if len(self.shape) != 2 or self.n_features != self.shape[0] * self.shape[1]:
            raise DataError(
                f"{self.name}: rows of {self.n_features} numbers and shape {self.shape} are no images. "
                f"An image has a height and a width."
            )
        shape = (*self.shape, 1)
        return dataclasses.replace(self, x=self.x.reshape(len(self), *shape), shape=shape)

    def fingerprint(self) -> str:
        """SHA-256 of every value and label: a checkpoint continues only on the same data."""
        digest = hashlib.sha256(
            repr((self.x.shape, self.x.dtype.str, self.y.dtype.str, self.classes)).encode()
        )
        digest.update(np.ascontiguousarray(self.x))
        digest.update(np.ascontiguousarray(self.y))
        return digest.hexdigest()


def weights_of(data: Learnable) -> np.ndarray | None:
    """What each row of the data counts: (N,) float64 of 0 or more, or None where all count the same.

    Raises DataError for weights that are no such numbers, naming the first row."""
    given = getattr(data, "weights", None)
    if given is None:
        return None
    weights = np.asarray(given)
    if weights.shape != (len(data),):
        raise DataError(
            f"{data.name}: {len(data)} rows need {len(data)} weights, one each; got weights of shape {weights.shape}."
        )
    if weights.dtype.kind not in "biuf":
        raise DataError(f"{data.name}: weights must be numbers; got {weights.dtype}.")
    weights = weights.astype(np.float64)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{data.name}, row {row}: the weight {weights[row]} is not a finite number of 0 or more "
            f"({int(bad.sum())} such weights). A row that should not count has weight 0."
        )
    return weights


@dataclass(frozen=True)
class Split:
    """Row numbers of a dataset for each purpose; together they are every row once."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))


def check_rows(name: str, x: np.ndarray, y: np.ndarray, n_classes: int = 0) -> None:
    """Raises DataError for data that cannot be learned from: names the first bad row and column."""
    if x.ndim not in (2, 4):
        raise DataError(
            f"{name}: the data must be rows and columns, shape (n, features), or images, shape "
            f"(n, height, width, channels); got shape {x.shape}."
        )
    if len(x) == 0:
        raise DataError(
            f"{name}: there are no rows. Training needs at least one row for each class."
        )
    if 0 in x.shape[1:]:
        raise DataError(f"{name}: the rows have no columns. Training needs at least one feature.")
    if y.shape != (len(x),):
        raise DataError(
            f"{name}: {len(x)} rows need {len(x)} labels, one each; got labels of shape {y.shape}."
        )
    finite = np.isfinite(x)
    if not finite.all():
        row, column = np.argwhere(~finite.reshape(len(x), -1))[0]
        raise DataError(
            f"{name}, row {row}, column {column}: {x.reshape(len(x), -1)[row, column]} is not a finite number "
            f"({int((~finite).sum())} such values). Remove or fill them before training."
        )
    if not n_classes:
        if not np.isfinite(y).all():
            row = int(np.argmin(np.isfinite(y)))
            raise DataError(
                f"{name}, row {row}: the target {y[row]} is not a finite number. Remove the row or fill it."
            )
        return
    if y.dtype.kind not in "iu":
        raise DataError(
            f"{name}: labels must be integers, class numbers 0 to {n_classes - 1}; got {y.dtype}."
        )
    outside = (y < 0) | (y >= n_classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise DataError(
            f"{name}, row {row}: label {y[row]} is outside 0..{n_classes - 1} ({n_classes} classes). "
            f"Number the classes from 0, or name more classes."
        )
    if (y == y[0]).all():
        raise DataError(
            f"{name}: every row has the same class, {y[0]}. A classifier needs rows of at least two classes."
        )
