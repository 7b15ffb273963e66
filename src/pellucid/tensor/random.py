"""Random numbers from a counter: (seed, counter) of the draw and the element's number give the value.

The generator is a tensor of two integers. A draw reads it and adds one to the counter, so inside a
compiled function it is state like any other: every step has new numbers, and a checkpoint that keeps
`get_state()` continues with the same ones. Values: Threefry-2x32-20 (Salmon et al. 2011)."""

import math
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import OptionError, ShapeError, TraceError
from ..graph.infer import make
from ..graph.node import Node
from . import shaping
from .storage import active
from .tensor import DTypeLike, Tensor, from_node, maximum

_generator = Tensor(np.zeros(2, np.int64))
assert _generator._storage is not None
_generator._storage.name = "random"


def seed(n: int) -> None:
    """Start the sequence of random numbers that belongs to n, a whole number from 0 to 2**63 - 1."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 0 <= n < 2**63:
        raise OptionError(f"seed got {n!r}; it must be a whole number from 0 to 2**63 - 1.")
    set_state(np.array([int(n), 0], np.int64))


def get_state() -> np.ndarray:
    """Seed and counter: int64 (2,), a copy."""
    return _generator.numpy()


def set_state(state: np.ndarray) -> None:
    """Continue from what get_state gave."""
    state = np.asarray(state)
    if state.shape != (2,) or state.dtype.kind not in "iu":
        raise ShapeError(
            f"a random state is two integers, seed and counter; got {state.dtype}{list(state.shape)}."
        )
    _generator.assign(Tensor(state.astype(np.int64)))


def _draw(shape: tuple[int, ...]) -> Node:
    if active.n_loops:
        raise TraceError(
            "a random draw inside the step of a scan: every step would have the same numbers. Draw them "
            "before, for all steps, and give them to the step by xs."
        )
    key = _generator.node
    if active:
        _generator.assign(from_node(make("add", (key, make("iota", (), ((2,), 0, "int64"))))))
    else:
        storage = _generator._storage
        assert storage is not None
        storage.release()  # `key` keeps the present counter
        storage.array[1] += 1
    return make("random", (key,), (shape,))


def _sizes(shape: tuple, name: str) -> tuple[int, ...]:
    return shaping.sizes(name, shape)


def uniform(
    *shape: Any, low: float = 0.0, high: float = 1.0, dtype: DTypeLike = dtypes.float32
) -> Tensor:
    """Even between low and below high: low + (high - low) · u, u in steps of 2**-24."""
    u = from_node(_draw(_sizes(shape, "uniform"))).astype(dtype)
    return u if (low, high) == (0.0, 1.0) else u * (high - low) + low


def normal(
    *shape: Any, mean: float = 0.0, std: float = 1.0, dtype: DTypeLike = dtypes.float32
) -> Tensor:
    """Normal distribution: √(-2 log u) · cos(2π v), Box and Muller (1958)."""
    sizes = _sizes(shape, "normal")
    u, v = from_node(_draw(sizes)).astype(dtype), from_node(_draw(sizes)).astype(dtype)
    # 1 - u lies in (0, 1]: the logarithm is finite. maximum: log may round to something above 0.
    z = maximum(-2.0 * (1.0 - u).log(), 0).sqrt() * ((2.0 * math.pi) * v).cos()
    return z if (mean, std) == (0.0, 1.0) else z * std + mean


def bernoulli(p: float, *shape: Any) -> Tensor:
    """True with probability p."""
    return from_node(_draw(_sizes(shape, "bernoulli"))) < p


def randint(low: int, high: int, *shape: Any, dtype: DTypeLike = dtypes.int64) -> Tensor:
    """Whole numbers from low to high - 1. Up to 2**24 of them, as a draw has 24 bits."""
    if not low < high or high - low > 2**24:
        raise OptionError(
            f"randint got {low} and {high}: low must be below high, by at most 2**24 = 16,777,216."
        )
    # In float64 u · n stays below n; in float32 it could round up to n.
    u = from_node(_draw(_sizes(shape, "randint"))).astype(dtypes.float64)
    return ((u * (high - low)).floor() + low).astype(dtype)


def uniform_numpy(shape: tuple[int, ...]) -> np.ndarray:
    """float32 values of a draw as a NumPy array, for initial weights."""
    return uniform(shape).numpy()


def permutation(n: int) -> Tensor:
    """The numbers 0 to n - 1 in random order, int64. Not inside a compiled function."""
    if active:
        raise TraceError(
            "random.permutation sorts, which a compiled function cannot. "
            "Draw the order outside, and pass it as an argument."
        )
    # Two draws make 48-bit keys: with 24 bits, equal keys would keep their order.
    first, second = uniform_numpy((n,)), uniform_numpy((n,))
    return Tensor(np.lexsort((second, first)).astype(np.int64))
