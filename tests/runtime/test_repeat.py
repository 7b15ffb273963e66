"""Loops in the list of launches: each thread moves its own pointers, and they come back."""

import os

import numpy as np
import pytest

from pellucid.program.program import Launch, Program, Repeat, Slot
from pellucid.runtime import team
from pellucid.runtime.executor import Executable

from .kernels import affine, chain, turn

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the team waits by POSIX threads")

T, U, N = 3, 2, 11  # outer steps, inner steps, elements
ENTRY = 8 * N


def nested() -> Program:
    """c = x[0] + 1; for t from the end: for u: c += x[t]; c = y[t, u] = turn(c). The state is c at last."""
    accumulate = chain(N).kernels[0]
    slots = (
        Slot("scratch"),
        Slot("input", 0, 0, T * ENTRY, "x"),
        Slot("input", 0, (T - 1) * ENTRY, ENTRY, "x[t]"),
        Slot("state", 0, 0, ENTRY, "c"),
        Slot("output", 0, 0, T * U * ENTRY, "y"),
        Slot("output", 0, (T - 1) * U * ENTRY, ENTRY, "y[t][u]"),
        Slot("counter"),
        Slot("counter"),
    )
    launches = (
        Launch(0, (1, 3), N),
        Launch(1, (2, 3), N),
        Launch(2, (3, 5), N),
        Launch(3, (5, 3), N),
        Repeat(1, U, 6, ((5, ENTRY),)),
        Repeat(1, T, 7, ((2, -ENTRY), (5, -U * ENTRY))),
    )
    kernels = (affine(1, 1), accumulate, turn(N), affine(1, 0))
    return Program(kernels, launches, slots, (((T, U, N), "int64"),), (T * ENTRY,), parallel=True)


def expected(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, c = np.empty((T, U, N), np.int64), x[0] + 1
    for t in reversed(range(T)):
        for u in range(U):
            c = y[t, u] = np.roll(c + x[t], -1) * 3 + 1
    return y, c


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4])
def test_nested_loops_walk_along_their_arrays(n_threads):
    before = team.get_threads()
    team.set_threads(n_threads)
    try:
        one, c = Executable(nested()), np.zeros(N, np.int64)
        for k in range(200):
            x = np.arange(T * N).reshape(T, N) + k
            (y,) = one.run([x], (c,))
            want, last = expected(x)
            assert np.array_equal(y, want) and np.array_equal(c, last), k
        batches = np.arange(5 * T * N).reshape(5, T, N) % 17
        (y,) = one.run_many(8, [batches], [True], 0, (c,))  # the input moves from step to step, too
        assert np.array_equal(y, expected(batches[7 % 5])[0])
    finally:
        team.set_threads(before)
