"""backward and grad: what flows where, twice, and what is said when nothing can flow."""

import sys

import numpy as np
import pytest

import pellucid as pl
from pellucid.base.errors import DTypeError, PellucidError
from pellucid.tensor import functions as F


def test_backward_fills_parameters_and_adds():
    w, x = pl.Tensor.parameter([2.0, 3.0]), pl.Tensor([5.0, 7.0])
    (w * x).sum().backward()
    assert w.grad.tolist() == [5, 7]
    assert x.grad is None
    (w * w).sum().backward()
    assert w.grad.tolist() == [9, 13]
    w.zero_grad()
    assert w.grad is None


def test_gradients_of_gradients():
    x = pl.Tensor(2.0)
    first = pl.grad(x**4, x)
    second = pl.grad(first, x)
    third = pl.grad(second, x)
    assert (first.item(), second.item(), third.item()) == (32, 48, 48)
    assert pl.grad(pl.grad(3.0 * x, x), x).item() == 0  # of a straight line


def test_gradient_of_a_value_that_was_read_before():
    x = pl.Tensor([1.0, 2.0])
    y = x * x
    y.numpy()
    z = (y * x).sum()
    assert z.item() == 9
    assert pl.grad(z, x).tolist() == [3, 12]
    assert pl.grad(z, y).tolist() == [1, 2]


def test_gradient_with_a_cotangent():
    x = pl.Tensor([1.0, 2.0])
    assert pl.grad(x * x, x, pl.Tensor([1.0, 10.0])).tolist() == [2, 40]
    w = pl.Tensor.parameter([1.0, 2.0])
    (w * w).backward(pl.Tensor([1.0, 10.0]))
    assert w.grad.tolist() == [2, 40]


def test_detach_stops_gradients_also_in_the_second_order():
    x = pl.Tensor(3.0)
    y = x * (x * x).detach()
    assert pl.grad(y, x).item() == 9
    assert pl.grad(pl.grad(y, x), x).item() == 0


def test_gradients_carry_no_history_in_grad():
    w = pl.Tensor.parameter(2.0)
    (w**3).backward()
    assert w.grad.item() == 12
    assert w.grad._node is None


def test_old_expression_gives_the_gradient_at_the_old_value():
    w = pl.Tensor.parameter([3.0])
    loss = (w * w).sum()
    w.assign([100.0])
    loss.backward()
    assert w.grad.tolist() == [6]
    assert pl.grad(loss, [w])[0].tolist() == [6]


def test_what_is_not_reached_has_gradient_zero():
    x, y = pl.Tensor([1.0]), pl.Tensor([2.0, 3.0])
    assert [g.tolist() for g in pl.grad(x.sum(), [x, y])] == [[1], [0, 0]]


def test_errors():
    x = pl.Tensor([1.0])
    with pytest.raises(PellucidError, match="found no parameter"):
        x.sum().backward()
    with pytest.raises(DTypeError, match="wrt\\[0\\] is int64"):
        pl.grad(x.sum(), [pl.Tensor([1])])
    with pytest.raises(DTypeError, match="only float32 and float64"):
        pl.Tensor([1]).sum().backward()
    with pytest.raises(DTypeError, match="a parameter got int64"):
        pl.Tensor.parameter([1])
    y = pl.compile(lambda v: v * v)(x)
    with pytest.raises(PellucidError, match="came out of a compiled function"):
        pl.grad(y.sum(), x)


def test_long_history_without_parameters_is_cut_and_said(monkeypatch):
    monkeypatch.setattr(sys.modules["pellucid.tensor.realize"], "MAX_HISTORY_NODES", 20)
    x = y = pl.Tensor([1.0])
    for _ in range(30):
        y = y + 1.0
        y.realize()
    assert y._node is None
    with pytest.raises(PellucidError, match="long history that was dropped"):
        pl.grad((y * x).sum(), x)
    assert pl.grad((y * x).sum(), y).tolist() == [1]
    w = z = pl.Tensor.parameter([1.0])
    for _ in range(30):
        z = z + 1.0
        z.realize()
    assert pl.grad((z * z).sum(), w).tolist() == [62]


def test_a_chain_of_100_000_operations():
    x = y = pl.Tensor(np.float64(1.0))
    for i in range(50_000):
        y = y * 1.00001 if i % 2 else y + 1e-6
    g = pl.grad(y, x)
    assert g.item() == pytest.approx(1.00001**25_000, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_network_equals_pytorch(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((7, 5)), rng.integers(0, 3, 7)
    values = [rng.standard_normal(s) for s in ((5, 4), (4,), (4, 3), (3,))]
    ours = [pl.Tensor.parameter(v) for v in values]
    theirs = [torch.tensor(v, requires_grad=True) for v in values]

    a, b, c, d = ours
    z = F.log_softmax((pl.Tensor(x) @ a + b).tanh() @ c + d)
    loss = -F.take_along_axis(z, y[:, None], 1).mean()
    loss.backward()
    a, b, c, d = theirs
    z = torch.log_softmax((torch.tensor(x) @ a + b).tanh() @ c + d, -1)
    other = torch.nn.functional.nll_loss(z, torch.tensor(y))
    other.backward()
    np.testing.assert_allclose(loss.item(), other.item(), rtol=1e-12)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-10, atol=1e-14)
