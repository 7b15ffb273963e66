"""Which inputs mattered: integrated gradients, of Sundararajan et al. (2017).

The answer for x differs from that for a baseline; each input gets the part of the difference that it brought along
on the straight way between the two: (x - baseline) times the mean gradient there. The parts sum to the difference
(their axiom of completeness), which tests and the printed gap check."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..base.errors import OptionError, ShapeError
from ..data.codes import TextCode
from ..data.encoder import Encoder
from ..nn.embedding import Embedding
from ..nn.module import Module
from ..tensor import functions as F
from ..tensor.gradient import grad
from ..tensor.tensor import Tensor
from ..tensor.trace import compile
from .evaluation import in_mode

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


def chance_of(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """(rows, number of a class for each (N,)) -> the probability of that class."""

    def chance(x: Tensor, classes: Tensor) -> Tensor:
        return F.take_along_axis(F.softmax(network(x), -1), classes.reshape((-1, 1)), -1)[:, 0]

    return chance


def amount_of(network: Module) -> Callable[[Tensor], Tensor]:
    """Rows -> the network's one answer."""
    return lambda x: network(x).reshape((x.shape[0],))


# Words of texts in a table


@dataclass(frozen=True, eq=False)
class Words:
    """The features of a text column: T words, pairs of words, and counts of signs.

    names     as a person reads them: 'free', 'free entry' in quote marks, and length, digits, capitals, signs
    parts     (N, T)     is_there  (N, T) whether the row has that word"""

    column: str
    names: tuple[str, ...]
    parts: np.ndarray
    is_there: np.ndarray


def words_of(encoder: Encoder, x: np.ndarray, parts: np.ndarray) -> list[Words]:
    """The words of each text column, from the features x (N, F) and their parts (N, F)."""
    found = []
    for code in encoder.codes:
        if isinstance(code, TextCode):
            here = encoder.groups[code.name]
            names = tuple(n.removeprefix(f"{code.name}: ") for n in code.names())
            is_there = x[:, here] != 0
            is_there[:, len(code.terms) :] = True
            found.append(Words(code.name, names, parts[:, here], is_there))
    return found


# Characters of a text


def next_character(
    network: Module, codes: np.ndarray, of: int, n_steps: int = N_STEPS
) -> tuple[np.ndarray, float]:
    """((T,) parts, gap) of the chance that character `of` comes after codes (T,).

    Characters are no numbers; their vectors are: those that the network's embedding gives are compared with the mean
    vector of all characters in every place, and the parts of a vector's numbers are added."""
    embeddings = [m for _, m in network.modules() if isinstance(m, Embedding)]
    if len(embeddings) != 1:
        raise OptionError(
            f"the network has {len(embeddings)} embeddings; a text is explained by the one that all of it goes through."
        )
    [embedding] = embeddings
    weight = embedding.weight.numpy()
    vectors, mean = weight[codes][None], weight.mean(0)

    def scores(vectors: Tensor) -> Tensor:
        tokens = Tensor(np.zeros(vectors.shape[:2], np.int32))
        with _giving(embedding, vectors):
            return network(tokens)[:, -1]

    number = np.array([of])
    with in_mode(network, training=False):
        parts, gaps = integrated_gradients(chance_of(scores), vectors, mean, n_steps, [number])
    return parts[0].sum(-1), float(gaps[0])


@contextmanager
def _giving(embedding: Embedding, vectors: Tensor) -> Iterator[None]:
    """Within, the layer gives these vectors for whatever tokens."""
    vars(embedding)["forward"] = lambda tokens: vectors
    try:
        yield
    finally:
        del vars(embedding)["forward"]
