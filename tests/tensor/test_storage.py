"""Values: nothing is computed twice, expressions keep the values they were written with, memory is freed."""

import gc
import sys
import weakref

import numpy as np
import pytest

import pellucid as pl
from pellucid.base.errors import DTypeError
from pellucid.runtime.buffers import aligned, aligned_copy
from pellucid.tensor import engine, storage
from pellucid.tensor import functions as F


@pytest.fixture
def loads(monkeypatch):
    """Programs that were made, as a list of their graphs."""
    graphs = []
    load = engine.load

    def counting(graph, *args):
        graphs.append(graph)
        return load(graph, *args)

    monkeypatch.setattr(engine, "load", counting)
    return graphs


def test_nothing_is_computed_twice(loads):
    y = (pl.Tensor([1.5, 2.5]) * 3.25).exp()
    y.numpy()
    n = len(loads)
    y.numpy()
    assert len(loads) == n
    (y - 1.125).numpy()
    assert {x.op for x in loads[-1].outputs[0].inputs} >= {"leaf"}  # starts from the known value


def test_the_same_expression_over_other_data_runs_the_same_program(loads):
    for i in range(5):
        x = pl.Tensor(np.full((3, 7), float(i)))
        assert ((x * 2).sin() + x[:, :1]).sum().item() == pytest.approx((np.sin(2 * i) + i) * 21)
    assert len(loads) == 1


@pytest.mark.parametrize("values", [(1.0, True), (0.0, -0.0), (1, 1.0)])
def test_constants_that_hash_alike_are_other_programs(values):
    found = []
    for v in values:
        x = F.full((2,), v) if not isinstance(v, float) else F.full((2,), v, "float64")
        found.append(str((x + F.zeros(2, x.dtype) if x.dtype.kind == "z" else x).numpy()))
    assert found[0] != found[1]


def test_programs_are_kept_within_bounds(monkeypatch):
    realize = sys.modules["pellucid.tensor.realize"]
    monkeypatch.setattr(realize, "_programs", realize.Programs())
    monkeypatch.setattr(realize, "MAX_PROGRAMS", 4)
    for n in range(1, 9):
        F.zeros((n,)).numpy()
        assert len(realize._programs.kept) <= 4
    monkeypatch.setattr(realize, "MAX_PROGRAM_BYTES", 1000)
    assert F.ones((1000,)).sum().item() == 1000  # larger than the bound: run, and not kept
    assert (pl.Tensor(np.ones(1000)) * 2).sum().item() == 2000
    assert realize._programs.n_bytes <= 1000


def test_several_values_in_one_program(loads):
    x = pl.Tensor([1.0, 4.0])
    root = x.sqrt()
    a, b = root + 1, root * 2
    pl.realize(a, b)
    assert len(loads) == 1
    assert (a.tolist(), b.tolist()) == ([2, 3], [2, 4])


def test_expressions_keep_the_value_they_were_written_with():
    w = pl.Tensor([1.0, 2.0])
    before = w * 10
    view = w[0]
    w.assign([5.0, 6.0])
    w[1] = 7
    after = w * 10
    assert (before.tolist(), view.item(), after.tolist()) == ([10, 20], 1, [50, 70])


def test_assign_overwrites_in_place():
    w = pl.Tensor([1.0, 2.0])
    array = w._storage.array
    w.assign(w * 2 + w)
    assert w._storage.array is array and array.tolist() == [3, 6]
    w.assign(1)
    assert array.tolist() == [1, 1]
    w.assign(pl.Tensor([7]).astype("int64"))
    assert array.tolist() == [7, 7]
    with pytest.raises(DTypeError, match=r"cannot hold float32"):
        pl.Tensor([1]).assign([1.5])


def test_assigning_several_reads_all_old_values_first():
    a, b = pl.Tensor([1.0]), pl.Tensor([2.0])
    from pellucid.tensor import assign

    assign((a, b), (b, a))
    assert (a.item(), b.item()) == (2, 1)


def test_assign_to_an_expression_makes_it_data():
    y = pl.Tensor([1.0]) + 1
    z = y * 10
    y.assign([9.0])
    assert (y.item(), z.item()) == (9, 20)


def test_tensors_do_not_share_what_one_of_them_changes():
    a = pl.Tensor([1.0])
    twins = [a.detach(), pl.Tensor(a), a[:], a.reshape(1), a + 0, a * 1, a * 1]
    for t in twins[:-1]:
        t.numpy()
    a.assign([2.0])
    assert [t.item() for t in twins] == [1] * len(twins)
    twins[-1].assign([7.0])
    assert [t.item() for t in twins[:-1]] == [1] * (len(twins) - 1)
    twins[2][0] = 5
    assert (a.item(), twins[1].item(), twins[2].item()) == (2, 1, 5)


def test_a_view_that_was_read_still_has_the_gradient_of_its_data():
    a = pl.Tensor([1.0, 2.0])
    b = a[:]
    b.numpy()
    assert pl.grad((b * b).sum(), a).tolist() == [2, 4]


def test_a_captured_expression_is_state_that_assign_reaches():
    w = pl.Tensor([3.0])
    twin, scale = w * 2, w * 2
    f = pl.compile(lambda x: x * scale)
    assert f(pl.Tensor([1.0])).item() == 6
    scale.assign([10.0])
    assert f(pl.Tensor([1.0])).item() == 10
    assert twin.item() == 6


def test_values_are_freed_with_their_tensors():
    gc.collect()
    before = len(storage._table)
    x = pl.Tensor(np.ones(1000))
    y = (x * 2).exp()
    y.numpy()
    array = weakref.ref(y._storage.array)
    del y
    gc.collect()
    assert array() is None
    del x
    gc.collect()
    assert len(storage._table) == before


def test_a_long_loop_keeps_bounded_memory():
    x = pl.Tensor(np.ones(2**20))  # 8 MiB; at most 64 MiB of history are kept
    for _ in range(30):
        x = x * 0.5 + 1
        x.realize()
    gc.collect()
    held = sum(
        s.array.nbytes
        for s in {k.source for k in storage._table.values()}
        if isinstance(s, storage.Storage)
    )
    assert held < 150 * 2**20
    assert x[0].item() == pytest.approx(2, rel=1e-6)


def test_a_long_chain_of_stopped_gradients_is_freed_without_recursion():
    x = pl.Tensor(1.0)
    for _ in range(20_000):
        x = x.detach()
    assert x.item() == 1
    del x
    gc.collect()


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (7, 0), (1000,)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
def test_aligned(shape, dtype):
    x = aligned(shape, dtype)
    assert (x.shape, x.dtype) == (shape, np.dtype(dtype))
    assert x.size == 0 or x.ctypes.data % 64 == 0
    assert x.flags.c_contiguous and x.flags.writeable
    y = aligned_copy(np.ones(shape, dtype)[::-1] if shape else np.ones(shape, dtype))
    assert np.array_equal(y, np.ones(shape, dtype))
