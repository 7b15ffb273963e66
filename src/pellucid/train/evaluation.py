"""What a network answers and how good that is, in prediction mode; and the sums that training keeps, too.

Numbers are sums in a program's own buffers, over the answers of many batches; means are taken at the end."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..base.errors import DataError
from ..data.dataset import Learnable, count_answers, weights_of
from ..nn.module import Module
from ..tensor import functions as F
from ..tensor.tensor import Tensor, assign
from ..tensor.trace import compile
from .metrics import Metrics
from .objectives import OBJECTIVES, Objective, Scores, stored, stored_weights, weights_in

SLICE_SECONDS = 0.05  # a native call is aimed at this, half of what Ctrl-C may wait
EVALUATION_ROWS = 512  # rows of one evaluation batch at most,
EVALUATION_ANSWERS = 4096  # and as many answers: windows of a text have many for each row


def evaluate(
    network: Module, data: Learnable, rows: np.ndarray, loss: str = "cross_entropy"
) -> Metrics:
    """Mean loss and accuracy over the answers of these rows, in prediction mode.

    Where the data have weights, the loss is sum(w loss) / sum(w) and rows of weight 0 are left out; the
    accuracy counts every other row once."""
    return Evaluator(network, data, loss, weights=weights_of(data))(rows)


def predict(
    network: Module, x: Any, probabilities: bool = True, rows: np.ndarray | None = None
) -> np.ndarray:
    """(N, C) class probabilities (or raw outputs) of rows x (N, F) or (N, ...), in prediction mode.

    rows  of a data set's x alone, which are looked at a batch after the other"""
    if rows is not None:
        cuts = range(0, len(rows), EVALUATION_ROWS)
        return _answers(network, (x[rows[i : i + EVALUATION_ROWS]] for i in cuts), probabilities)
    x = np.ascontiguousarray(x, np.float32)
    if x.ndim < 2:
        raise DataError(f"predict: x must have shape (rows, features); got {x.shape}.")
    if not np.isfinite(x).all():
        row, *column = np.argwhere(~np.isfinite(x))[0]
        raise DataError(
            f"predict: row {row}, column {', '.join(map(str, column))}: {x[(row, *column)]} is not a finite number."
        )
    cuts = range(0, len(x), EVALUATION_ROWS)
    return _answers(network, (x[i : i + EVALUATION_ROWS] for i in cuts), probabilities)


def _answers(network: Module, batches: Iterable[np.ndarray], probabilities: bool) -> np.ndarray:
    @compile
    def forward(batch):
        out = network(batch)
        return F.softmax(out, -1) if probabilities else out

    with in_mode(network, training=False):
        parts = [forward(np.ascontiguousarray(b)).numpy() for b in batches]
    if not parts:
        raise DataError("predict: there are no rows.")
    return np.concatenate(parts)


class in_mode:
    """`with in_mode(network, training=False):` and back to the mode it had."""

    def __init__(self, network: Module, training: bool):
        self.network, self.training = network, training

    def __enter__(self):
        self.before = self.network.training
        self.network.train(self.training)

    def __exit__(self, *error):
        self.network.train(self.before)


class Sums:
    """Running sums over answers, kept in the program's own buffers."""

    def __init__(self, objective: Objective):
        self.objective = objective
        self.loss = Tensor(np.zeros((), np.float64))
        self.n_correct = Tensor(np.zeros((), np.int64))
        self.others = [Tensor(np.zeros((), np.float64)) for _ in objective.others]
        self.n_answers = 0  # that are summed
        self.mean_weight = 1.0  # of the rows that are summed

    def add(self, scores: Scores) -> None:
        """Inside a compiled step."""
        self.loss.assign(self.loss + scores.loss.astype("float64"))
        if scores.n_correct is not None:
            self.n_correct.assign(self.n_correct + scores.n_correct)
        for total, other in zip(self.others, scores.others, strict=True):
            total.assign(total + other.astype("float64"))

    def set(
        self,
        loss: float = 0.0,
        n_correct: int = 0,
        n_answers: int = 0,
        others: np.ndarray | None = None,
    ) -> None:
        values = np.zeros(len(self.others)) if others is None else others
        assign(
            (self.loss, Tensor(np.float64(loss))),
            (self.n_correct, Tensor(np.int64(n_correct))),
            *((t, Tensor(np.float64(v))) for t, v in zip(self.others, values, strict=True)),
        )
        self.n_answers = n_answers

    def metrics(self) -> Metrics:
        n = self.n_answers
        judged = max(1, n * self.objective.n_judged)
        accuracy = int(self.n_correct.item()) / judged if self.objective.has_accuracy else None
        others = zip(self.objective.others, self.others, strict=True)
        return Metrics(
            float(self.loss.item()) / (judged * self.mean_weight),
            accuracy,
            n,
            {name: float(total.item()) / judged for name, total in others},
        )


class Slices:
    """How many steps the next native call walks, from how long the last ones took."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.n = 1
        self.is_warm = False

    def took(self, n: int, seconds: float) -> None:
        if not self.is_warm:  # the first call traced and compiled: it says nothing
            self.is_warm = True
            return
        per_step = max(seconds / n, 1e-9)
        self.n = max(1, min(int(self.seconds / per_step), 4 * max(n, 1)))


class Lent:
    """Memory of data that lie on disk: it is given back after every call, and a call looks at so many batches at most.

    Of other data nothing is given back and `most` is no limit."""

    def __init__(self, data: Learnable, batch: int):
        self.release: Callable[[], None] = getattr(data, "release", lambda: None)
        self.most: int = max(1, getattr(data, "most_rows", 2**62) // batch)


class Evaluator:
    """A network's metrics on rows of a data set; its programs are compiled once."""

    def __init__(
        self,
        network: Module,
        data: Learnable,
        loss: str,
        batch: int | None = None,
        tensors: tuple[Tensor, ...] | None = None,
        weights: np.ndarray | None = None,
    ):
        """weights   (N,) what each row counts; None: all the same"""
        self.network, self.batch = network, max(1, batch or evaluation_rows(data))
        objective = OBJECTIVES[loss]
        self.sums, self.data = Sums(objective), data
        arrays = tensors or stored(data)
        self.weights = weights
        if weights is not None and weights.max() > 0:  # float32 may not hold them as they are
            self.weights = weights / weights.max()
        weighed = stored_weights(self.weights, objective, loss)

        @compile
        def step(rows):
            batch = data.batch(arrays, rows)
            self.sums.add(objective.score(network, *batch, *weights_in(weighed, rows)))

        self.step = step
        self.lent = Lent(data, self.batch)
        self.slices = Slices(SLICE_SECONDS)

    def __call__(self, rows: np.ndarray) -> Metrics:
        rows = np.ascontiguousarray(rows, np.int32)
        if self.weights is not None:
            rows = np.ascontiguousarray(rows[self.weights[rows] > 0])
            if not len(rows):
                raise DataError(f"{self.data.name}: every row to be judged has weight 0.")
            self.sums.mean_weight = float(np.mean(self.weights[rows], dtype=np.float64))
        self.sums.set(n_answers=count_answers(self.data, rows))
        n_full = len(rows) // self.batch
        full = np.ascontiguousarray(rows[: n_full * self.batch]).reshape(n_full, self.batch)
        with in_mode(self.network, training=False):
            done = 0
            while done < n_full:
                n = min(self.slices.n, self.lent.most, n_full - done)
                start = time.perf_counter()
                self.step.many(n, full, start=done)
                self.lent.release()
                self.slices.took(n, time.perf_counter() - start)
                done += n
            if len(rows) > n_full * self.batch:
                self.step(np.ascontiguousarray(rows[n_full * self.batch :]))
        return self.sums.metrics()


def evaluation_rows(data: Learnable) -> int:
    """How many rows an evaluation takes at once: bounded by rows and by answers."""
    return min(EVALUATION_ROWS, max(1, EVALUATION_ANSWERS // data.n_answers))
