"""What shares a kernel: the fusions that the speed rests on, and the hazards that forbid one."""

import numpy as np

import pellucid as pl
from pellucid import nn, optim
from pellucid.base import dtypes
from pellucid.compiler import build
from pellucid.compiler.kernel import GemmKernel, Guard, LoopKernel, walk
from pellucid.graph import reference
from pellucid.graph.infer import make
from pellucid.graph.node import leaf
from pellucid.program.graph import Graph
from pellucid.runtime.executor import Executable
from pellucid.tensor import engine
from pellucid.transform.gradient import gradients


def kernels(graph: Graph) -> list:
    return [k for _, k in build.stages(graph).kernels]


def test_bias_and_relu_are_the_epilogue_of_the_product():
    x, w, b = leaf((8, 5), dtypes.float32), leaf((5, 6), dtypes.float32), leaf((6,), dtypes.float32)
    z = make(
        "add",
        (make("contract", (x, w), ((0, 1), (1, 2), (0, 2))), make("broadcast", (b,), ((8, 6),))),
    )
    zero = make("broadcast", (make("const", (), (0.0, "float32")),), ((8, 6),))
    (kernel,) = kernels(Graph((x, w, b), (), (make("maximum", (z, zero)),)))
    assert isinstance(kernel, GemmKernel) and len(kernel.stores) == 1


def test_softmax_reads_its_row_in_one_kernel():
    x = pl.Tensor(np.zeros((64, 100), np.float32))
    graph = Graph((x.node,), (), (x.softmax(axis=1).node,))
    (kernel,) = kernels(graph)
    assert isinstance(kernel, LoopKernel) and kernel.inner.extent == 100


def trained_step():
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    @pl.compile
    def step(x, y):
        loss = nn.cross_entropy(model(x), y)
        optimizer.step(pl.grad(loss, model.parameters()))
        return loss

    random = np.random.default_rng(0)
    step(random.standard_normal((16, 20)).astype(np.float32), np.arange(16, dtype=np.int32) % 10)
    return step


def test_adam_is_the_epilogue_of_the_weight_gradient():
    graph = trained_step().last.graph
    stages = build.stages(graph)
    sizes = {s.size: s for s in graph.state}
    weight_kernels = [
        k for _, k in stages.kernels if isinstance(k, GemmKernel) and len(k.stores) == 3
    ]
    assert len(weight_kernels) == 2, (
        "both weights, with their two moments, are written by the products"
    )
    assert 20 * 32 in sizes
    # The gradients themselves have no place in memory.
    held = [slot.nbytes for slot in stages.program.slots if slot.kind == "arena"]
    assert 20 * 32 * 4 not in held


def test_states_that_swap_their_values():
    a, b = leaf((5,), dtypes.float32), leaf((5,), dtypes.float32)
    graph = Graph((), (a, b), (), ((a, b), (b, a)))
    first, second = np.arange(5, dtype=np.float32), np.ones(5, np.float32)
    engine.load(graph).run([], [first, second])
    assert first.tolist() == [1] * 5 and second.tolist() == [0, 1, 2, 3, 4]


def test_a_state_is_overwritten_after_its_last_reader():
    # w is read by the product that makes the output and by its own update; both need the old value.
    w, x = leaf((40, 40), dtypes.float32), leaf((40, 40), dtypes.float32)
    out = make("contract", (x, w), ((0, 1), (1, 2), (0, 2)))
    new = make("add", (w, make("contract", (w, x), ((0, 1), (1, 2), (0, 2)))))
    random = np.random.default_rng(0)
    old, given = (random.standard_normal((40, 40)).astype(np.float32) for _ in range(2))
    state = old.copy()
    (got,) = engine.load(Graph((x,), (w,), (out,), ((w, new),))).run([given], [state])
    np.testing.assert_allclose(got, given @ old, atol=1e-4)
    np.testing.assert_allclose(state, old + old @ given, atol=1e-4)


def test_a_shifted_read_of_the_state_goes_through_a_copy():
    s = leaf((100_000,), dtypes.float32)
    new = make("flip", (s,), ((0,),))
    state = np.arange(100_000, dtype=np.float32)
    engine.load(Graph((), (s,), (), ((s, new),))).run([], [state])
    assert np.array_equal(state, np.arange(100_000, dtype=np.float32)[::-1])


def test_outputs_may_be_leaves_constants_and_repeated():
    x = leaf((3,), dtypes.float32)
    two = make("const", (), (2.0, "float32"))
    twice = make("add", (x, x))
    given = np.array([1, 2, 3], np.float32)
    got = engine.load(Graph((x,), (), (x, two, twice, twice))).run([given], ())
    assert [g.tolist() for g in got] == [[1, 2, 3], 2.0, [2, 4, 6], [2, 4, 6]]


def test_equal_layers_share_kernels():
    layers = [nn.Linear(32, 32) for _ in range(6)]
    x = pl.Tensor(np.zeros((16, 32), np.float32))
    for layer in layers:
        x = nn.relu(layer(x)) if hasattr(nn, "relu") else layer(x).relu()

    @pl.compile
    def forward(x):
        for layer in layers:
            x = layer(x).relu()
        return x

    forward(np.zeros((16, 32), np.float32))
    program = forward.last.executable.program
    assert len(program.launches) == 6 and len(program.kernels) == 1


def test_the_gradient_of_a_split_is_stored_part_by_part():
    """Gates of a recurrent step: four parts, one loop over a part, no range tests; the same bits as unfused."""
    x = leaf((6, 80), dtypes.float32, "x")
    weights = [leaf((6, 20), dtypes.float32, f"w{i}") for i in range(4)]
    parts = [make("slice", (x,), ((0, 20 * i), (6, 20 * i + 20), (1, 1))) for i in range(4)]
    shared = make("tanh", (parts[0],))
    ys = [make("mul", (make("mul", (p, shared)), w)) for p, w in zip(parts, weights, strict=True)]
    y = make("add", (make("add", (ys[0], ys[1])), make("add", (ys[2], ys[3]))))
    g = leaf((6, 20), dtypes.float32, "g")
    (dx,) = gradients([y], [g], [x])
    graph = Graph((x, *weights, g), (), (dx,))
    (kernel,) = kernels(graph)
    stores = kernel.stages[0].stores
    assert len(stores) == 4 and not [
        v for v in walk([s.value for s in stores]) if isinstance(v, Guard)
    ]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(n.shape).astype(np.float32) for n in graph.inputs]
    (got,), (plain,) = (
        Executable(build.build(graph, build.Options(fuse=fuse))).run(arrays, ())
        for fuse in (True, False)
    )
    np.testing.assert_array_equal(got, plain)
    np.testing.assert_allclose(got, reference.evaluate(graph, arrays, [])[0], rtol=1e-5, atol=1e-6)
