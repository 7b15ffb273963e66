"""Loops in programs: where their arrays lie, what runs in a step, and the same values whatever is switched off."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")
import pellucid as pl
from pellucid.base import dtypes
from pellucid.compiler.build import Options, build
from pellucid.graph.infer import constant, make
from pellucid.graph.loop import Scan
from pellucid.graph.node import Node, leaf
from pellucid.graph.reference import evaluate
from pellucid.program.graph import Graph
from pellucid.program.program import Launch, Program, Repeat
from pellucid.runtime.executor import Executable
from pellucid.tensor import functions as F

F32, I64 = dtypes.float32, dtypes.int64
EVERY = [Options(), Options(simplify=False), Options(fuse=False), Options(False, False)]


def check(graph: Graph, options: Options = EVERY[0]) -> Program:
    """Whole numbers: every order of adding gives the same bits."""
    rng = np.random.default_rng(3)
    inputs, state = (
        [rng.integers(-3, 4, x.shape).astype(x.dtype.numpy) for x in leaves]
        for leaves in (graph.inputs, graph.state)
    )
    program = build(graph, options)
    executable, wanted_state = Executable(program), [s.copy() for s in state]
    for _ in range(2):
        want = evaluate(graph, inputs, wanted_state)
        for a, b in zip(executable.run(inputs, tuple(state)), want, strict=True):
            assert np.array_equal(a, b)
    for a, b in zip(state, wanted_state, strict=True):
        assert np.array_equal(a, b)
    return program


def add(a: Node, b: Node) -> Node:
    return make("add", (a, b))


def launches(program: Program) -> tuple[int, list[int]]:
    """Launches outside of loops, and those of each loop."""
    ends = [x for x in program.launches if isinstance(x, Repeat)]
    at = {i: x for i, x in enumerate(program.launches) if isinstance(x, Repeat)}
    inside = [end - x.start for end, x in at.items()]
    return len(program.launches) - len(ends) - sum(inside), inside


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_every_kind_of_tap_and_input(options):
    """Carries that change places, taps of leaves, a state as first carry and as target, views as inputs."""
    shape, n = (2, 5), 4
    a, b, x, y, k = (leaf(shape, I64) for _ in range(5))
    xs, ys = leaf((n * 10,), I64, "xs"), leaf((2, n, 5), I64, "ys")
    first, other = leaf(shape, I64, "first"), leaf(shape, I64, "other")
    grown = add(add(a, make("mul", (x, k))), y)
    scan = Scan(
        [(a, first, b), (b, make("flip", (other,), ((0,),)), grown)],
        [(x, make("reshape", (xs,), ((n, *shape),))), (y, make("permute", (ys,), ((1, 0, 2),)))],
        [(k, make("broadcast", (constant(3, I64),), (shape,)))],
        n,
        True,
    )
    taps = [scan.final(0), scan.final(1), *map(scan.stack, (grown, a, x, k, b))]
    outputs = (*taps, make("neg", (taps[2],)), scan.final(0), first)
    check(Graph((xs, ys), (first, other), outputs, ((first, taps[1]), (other, taps[0]))), options)


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_a_loop_in_a_loop_reads_and_writes_parts_of_parts(options):
    n, m, shape = 3, 4, (7,)
    c, x, k = (leaf(shape, I64) for _ in range(3))
    s, rows, q = leaf(shape, I64), leaf((m, *shape), I64), leaf(shape, I64)
    inner = Scan([(c, s, add(make("mul", (c, k)), x))], [(x, rows)], [(k, q)], m, True)
    stacked = inner.stack(add(c, x))
    again = Scan([(c, inner.final(0), add(c, x))], [(x, stacked)], [], m)
    first, xs, w = leaf(shape, I64), leaf((n, m, *shape), I64), leaf(shape, I64)
    outer = Scan([(s, first, again.final(0))], [(rows, xs)], [(q, w)], n)
    outputs = [
        outer.final(0),
        *map(outer.stack, (stacked, inner.final(0), again.stack(c), rows, s)),
    ]
    program = check(Graph((first, xs, w), (), tuple(outputs)), options)
    assert sorted(set(program.times)) == [1, n, n * m]


def test_loops_of_one_body_share_kernels_and_arrays_of_size_zero_run_nothing():
    a, x = leaf((3,), I64), leaf((3,), I64)

    def loop(first: Node, xs: Node) -> Node:
        return Scan([(a, first, add(a, x))], [(x, xs)], [], 4).final(0)

    first, xs, ys = leaf((3,), I64), leaf((4, 3), I64), leaf((4, 3), I64)
    program = check(Graph((first, xs, ys), (), (loop(loop(first, xs), ys),)))
    assert launches(program) == (2, [1, 1]) and len(program.kernels) == 2
    e, z = leaf((0, 3), I64), leaf((0, 3), I64)
    empty = Scan([(e, z, make("neg", (e,)))], [], [], 4)
    assert check(Graph((z,), (), (empty.final(0), empty.stack(e)))).launches == ()


def test_a_loop_reads_its_inputs_where_they_lie_and_leaves_its_results_where_they_are_wanted():
    a, x = leaf((2, 3), F32), leaf((2, 3), F32)
    first, xs = leaf((2, 3), F32), leaf((4, 6), F32)
    entries = make("reshape", (xs,), ((4, 2, 3),))
    after = add(a, x)
    scan = Scan([(a, first, after)], [(x, entries)], [], 4)
    program = check(Graph((first, xs), (), (scan.final(0), scan.stack(after))))
    assert program.arena_bytes == 0 and launches(program) == (1, [1])


def test_a_state_is_read_by_a_loop_before_it_is_overwritten():
    a, k = leaf((5,), I64), leaf((5,), I64)
    s, x = leaf((5,), I64, "s"), leaf((5,), I64)
    scan = Scan([(a, x, add(a, k))], [], [(k, s)], 3)
    check(Graph((x,), (s,), (scan.final(0),), ((s, add(s, x)),)))
    check(Graph((x,), (s,), (add(s, x),), ((s, scan.final(0)),)))


def lstm_step(steps: int, batch: int = 8, features: int = 16):
    rng = np.random.default_rng(0)
    w = pl.Tensor(rng.standard_normal((features, 4 * features)).astype(np.float32) / 8)
    zero = pl.Tensor(np.zeros((batch, features), np.float32))

    def step(state, x):
        h, c = state
        gates = x + h @ w
        i, f, g, o = (gates[:, k * features : (k + 1) * features] for k in range(4))
        c = F.sigmoid(f) * c + F.sigmoid(i) * g.tanh()
        h = F.sigmoid(o) * c.tanh()
        return (h, c), h

    @pl.compile
    def gradient(x):
        _, ys = pl.scan(step, (zero, zero), x)
        return pl.grad((ys * ys).sum(), w)

    gradient(rng.standard_normal((steps, batch, 4 * features)).astype(np.float32))
    return gradient.last.executable.program


def test_a_step_of_an_lstm_is_a_product_and_little_else_and_its_weight_is_done_after_the_loop():
    program = lstm_step(20)
    forward, back = (x for x in program.launches if isinstance(x, Repeat))
    assert forward.n == back.n == 20
    loops = [set(range(x.start, program.launches.index(x))) for x in (forward, back)]
    gemms = {
        i
        for i, x in enumerate(program.launches)
        if isinstance(x, Launch) and program.kernels[x.kernel].summary.startswith("gemm")
    }
    assert [len(gemms & inside) for inside in loops] == [1, 1]
    assert len(gemms - loops[0] - loops[1]) == 1
    # Beside the product: the cell, and copies of both carries for the way back; there the cell's gradient.
    assert [len(inside) for inside in loops] == [4, 2]
    assert all(by < 0 for _, by in back.moves) and all(by > 0 for _, by in forward.moves)


def test_the_kernels_of_a_long_loop_are_those_of_a_short_one():
    short, long = lstm_step(20), lstm_step(40)
    inside = [
        [p.kernels[x.kernel].text for x, n in zip(p.launches, p.times, strict=True) if n > 1 and isinstance(x, Launch)]
        for p in (short, long)
    ]  # fmt: skip
    assert inside[0] == inside[1] and len(short.launches) == len(long.launches)


def test_a_state_that_becomes_a_scatter_is_written():
    s, index, updates = leaf((4, 3), I64), leaf((5,), I64), leaf((5, 3), I64)
    check(Graph((index, updates), (s,), (), ((s, make("scatter_add", (index, updates), (4,))),)))
