"""Kernels write their arrays and nothing around them: every array here lies between guard zones."""

import math

import numpy as np
import pytest
from cases import CASES, Maker
from random_graphs import random_graph

pytest.importorskip("llvmlite")
from pellucid.base import dtypes
from pellucid.compiler.build import Options, build
from pellucid.graph.infer import make
from pellucid.graph.node import Node
from pellucid.graph.show import show
from pellucid.program.graph import Graph
from pellucid.runtime import buffers, executor

GUARD, MARK = 512, 0xAB  # bytes before and after each array, and what they hold


class Zones:
    """Makes arrays between guard zones; `broken` lists those whose zones were written."""

    def __init__(self, aligned):
        self.aligned = aligned
        self.made: list[tuple[np.ndarray, np.ndarray]] = []

    def array(self, shape, dtype, shift: int = 0) -> np.ndarray:
        """An array that begins `shift` bytes after a cache line."""
        dtype = np.dtype(dtype)
        n_bytes = math.prod(shape) * dtype.itemsize
        memory = self.aligned((n_bytes + 2 * GUARD,), np.uint8)
        memory[:] = MARK
        start = GUARD + shift
        inner = memory[start : start + n_bytes].view(dtype).reshape(shape)
        self.made.append((memory, inner))
        return inner

    def broken(self) -> list[str]:
        return [
            f"{inner.dtype}{list(inner.shape)}"
            for memory, inner in self.made
            if (memory[: (start := inner.ctypes.data - memory.ctypes.data)] != MARK).any()
            or (memory[start + inner.nbytes :] != MARK).any()
        ]


@pytest.fixture
def zones(monkeypatch):
    made = Zones(buffers.aligned)
    monkeypatch.setattr(executor, "aligned", made.array)
    return made


def assert_stays_inside(outputs: list[Node], arrays: dict, zones: Zones, options: Options) -> None:
    zones.made.clear()
    given = []
    for x, values in arrays.items():
        given.append(zones.array(x.shape, x.dtype.numpy))
        given[-1][...] = values
    executable = executor.Executable(build(Graph(tuple(arrays), (), tuple(outputs)), options))
    executable.run(given, ())
    assert not zones.broken(), f"written around {zones.broken()}, {options}:\n{show(outputs)}"


@pytest.mark.parametrize("shift", [0, 4, 36])
def test_a_large_product_lies_at_any_address(shift, zones, monkeypatch):
    """Results past STREAM_BYTES bypass the caches where they begin on a cache line, and only there."""
    m = Maker(lambda low, high: low)
    x, w = m.leaf((2048, 24), dtypes.float32), m.leaf((24, 1040), dtypes.float32)
    values = [
        np.random.default_rng(i).normal(size=a.shape).astype(np.float32)
        for i, a in enumerate((x, w))
    ]
    product = make("contract", (x, w), ("ik", "kj", "ij"))
    program = build(Graph((x, w), (), (make("tanh", (product,)), product)))
    assert any("!nontemporal" in k.text for k in program.kernels)
    monkeypatch.setattr(executor, "aligned", lambda shape, dtype: zones.array(shape, dtype, shift))
    results = executor.Executable(program).run(values, ())
    assert {a.ctypes.data % 64 for a in results} == {shift}
    assert not zones.broken()
    expected = values[0].astype(np.float64) @ values[1]
    np.testing.assert_allclose(results[1], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(results[0], np.tanh(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("to", ["uint8", "bool", "int32"])
@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 33])
def test_truncated_results_of_a_contraction_stay_inside(columns, to, zones):
    # LLVM 22 stores 4 bytes for 1 in the last of 17 columns: see loops.lane_mask.
    m = Maker(lambda low, high: low)
    a, b = m.leaf((5, 2), dtypes.float32), m.leaf((2, columns), dtypes.float32)
    product = make("contract", (a, b), ("ik", "kj", "ij"))
    whole = make("cast", (product,), ("int32",))
    smaller = make("minimum", (whole, m.leaf((5, columns), dtypes.int32)))
    for bits in (None, 128, 256):
        out = make("cast", (smaller,), (to,))
        assert_stays_inside([out], m.arrays, zones, Options(vector_bits=bits))


@pytest.mark.parametrize("op", CASES)
def test_every_primitive_stays_inside(op, zones):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        m = Maker(lambda low, high, rng=rng: int(rng.integers(low, high, endpoint=True)))
        assert_stays_inside([m.moved(CASES[op](m))], m.arrays, zones, Options())


@pytest.mark.parametrize("fuse", [False, True])
def test_random_graphs_stay_inside(fuse, zones):
    for seed in range(100, 160):
        outputs, arrays = random_graph(seed)
        assert_stays_inside(outputs, arrays, zones, Options(simplify=fuse, fuse=fuse))
