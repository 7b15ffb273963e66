"""Orders of rows: a pure function of (seed, purpose, counter), so that nothing needs remembering.

The bits are the graph's own Threefry numbers (graph/reference.py, row `random`), the sort is stable:
the same order on every machine, whatever the engine or the number of threads."""

import numpy as np

from ..graph.reference import REFERENCE

# Each purpose has its own stream: the key's high word. 0 is the user's own generator.
PURPOSES = {"split": 1, "epoch": 2, "example": 3, "offset": 4, "growth": 5}


def permutation(n: int, seed: int, purpose: str, counter: int = 0) -> np.ndarray:
    """The numbers 0..n-1 in an order fixed by the arguments; int32.

    Sorting n random keys gives each order the same chance up to ties: 48-bit keys make a tie
    less likely than n^2 / 2^49, and a stable sort keeps even that case deterministic."""
    key = np.array([(seed & 0xFFFFFFFF) | PURPOSES[purpose] << 32, counter], np.int64)
    high, low = np.asarray(REFERENCE["random"](key, (2, n)), np.float64)
    keys = high * 2**24 + low
    order = np.argsort(keys)  # several times as fast as a stable sort, which only ties need
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.argsort(keys, kind="stable")
    return order.astype(np.int32)
