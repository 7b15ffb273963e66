"""Which inputs mattered: integrated gradients, of Sundararajan et al. (2017).

The answer for x differs from that for a baseline; each input gets the part of the difference that it brought along
on the straight way between the two: (x - baseline) times the mean gradient there. The parts sum to the difference
(their axiom of completeness), which tests and the printed gap check."""

from collections.abc import Callable, Sequence

import numpy as np

from ..base.errors import ShapeError
from ..nn.module import Module
from ..tensor import functions as F
from ..tensor.gradient import grad
from ..tensor.tensor import Tensor
from ..tensor.trace import compile

N_STEPS = 64
MOST_NUMBERS = 2**22  # of the points on the way that are computed at once


def integrated_gradients(
    score: Callable[..., Tensor],
    x: np.ndarray,
    baseline: np.ndarray,
    n_steps: int = N_STEPS,
    of: Sequence[np.ndarray] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """(parts, gaps) for each row.

    score     (rows (N, ...), *of) -> what is explained, (N,): graph code, rows independent of each other
    x         (N, ...) the rows     baseline  (...) or (N, ...): what they are compared with
    of        (N, ...) further arrays that the score takes: class numbers, say; they have no part
    returns   parts in x's shape, float64; gaps (N,): score(x) - score(baseline) - the sum of the parts

    The integral is taken at the middles of n_steps pieces."""
    x = np.asarray(x, np.float32)
    base = np.broadcast_to(np.asarray(baseline, np.float32), x.shape)

    @compile
    def gradients(points, *of):
        return grad(score(points, *of).sum(), points)

    value = compile(score)
    parts = np.zeros(x.shape, np.float64)
    gaps = np.zeros(len(x), np.float64)
    size = max(1, MOST_NUMBERS // max(1, n_steps * int(np.prod(x.shape[1:]))))
    middles = ((np.arange(n_steps) + 0.5) / n_steps).astype(np.float32)
    middles = middles.reshape(-1, 1, *(1 for _ in x.shape[1:]))
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        way = x[rows] - base[rows]
        points = base[rows] + middles * way  # (steps, rows, ...)
        with_them = [Tensor(np.ascontiguousarray(o[rows])) for o in of]
        at_points = [Tensor(np.concatenate([o[rows]] * n_steps)) for o in of]
        found = gradients(Tensor(points.reshape(-1, *x.shape[1:])), *at_points).numpy()
        mean = found.reshape(points.shape).mean(0, dtype=np.float64)
        parts[rows] = mean * way
        ends = [
            value(Tensor(np.ascontiguousarray(e)), *with_them).numpy()
            for e in (x[rows], base[rows])
        ]
        if ends[0].shape != (len(way),):
            raise ShapeError(
                f"integrated_gradients: score gave shape {ends[0].shape} for {len(way)} rows; it must give one "
                f"number for each."
            )
        sums = parts[rows].reshape(len(way), -1).sum(1)
        gaps[rows] = ends[0].astype(np.float64) - ends[1] - sums
    return parts, gaps


def chance_of(network: Module) -> Callable[[Tensor, Tensor], Tensor]:
    """(rows, number of a class for each (N,)) -> the probability of that class."""

    def chance(x: Tensor, classes: Tensor) -> Tensor:
        return F.take_along_axis(F.softmax(network(x), -1), classes.reshape((-1, 1)), -1)[:, 0]

    return chance


def amount_of(network: Module) -> Callable[[Tensor], Tensor]:
    """Rows -> the network's one answer."""
    return lambda x: network(x).reshape((x.shape[0],))
