"""Functions of tensors give what NumPy and PyTorch give, in values and gradients."""

import math

import numpy as np
import pytest

import pellucid as pl
from pellucid.base.errors import DTypeError, IndexRangeError, ShapeError
from pellucid.tensor import functions as F

X = np.array(
    [
        -np.inf,
        -200.0,
        -20.0,
        -2.5,
        -1.5,
        -0.5,
        -1e-9,
        -0.0,
        0.0,
        1e-12,
        0.3,
        0.5,
        1.5,
        2.5,
        20.0,
        200.0,
        np.inf,
        np.nan,
    ]
)

NUMPY = {
    "abs": np.abs, "sign": np.sign, "square": np.square, "exp": np.exp, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "tanh": np.tanh,
    "sinh": np.sinh, "cosh": np.cosh, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc,
    "round": np.round, "isnan": np.isnan,
    "isinf": np.isinf, "isfinite": np.isfinite, "negative": np.negative, "positive": np.positive,
    "reciprocal": np.reciprocal,
    "expm1": np.expm1, "sqrt": np.sqrt, "log": np.log, "log2": np.log2, "log10": np.log10,
    "log1p": np.log1p,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NUMPY))
def test_functions_of_one_number(name):
    with np.errstate(all="ignore"):
        expected = NUMPY[name](X)
    # 4e-14: sinh(200) goes through products of rounded exponentials.
    np.testing.assert_allclose(getattr(F, name)(pl.Tensor(X)).numpy(), expected, rtol=4e-14)


def test_erf():
    x = np.array([-3.0, -0.5, 0.0, 0.1, 2.0])
    np.testing.assert_allclose(pl.Tensor(x).erf().numpy(), [math.erf(v) for v in x], rtol=1e-14)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sigmoid", "softmax", "mean"])
def test_integers_become_float32(name):
    assert getattr(pl.Tensor([1, 2]), name)().dtype.name == "float32"


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "abs", "sign"])
@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integers_stay_integers(name, dtype):
    x = np.array([0, 1, 7], dtype)
    y = getattr(F, name)(pl.Tensor(x))
    assert y.dtype.name == dtype
    assert np.array_equal(y.numpy(), getattr(np, name)(x))


def test_two_numbers():
    a, b = (v.ravel() for v in np.meshgrid(X, X))
    with np.errstate(all="ignore"):
        for name in ("hypot", "logaddexp", "copysign"):
            np.testing.assert_allclose(
                getattr(F, name)(pl.Tensor(a), pl.Tensor(b)).numpy(),
                getattr(np, name)(a, b),
                rtol=1e-13,
                err_msg=name,
            )


# name -> (ours, PyTorch's); compared in values, gradients, and at the points where branches meet
TORCH = {
    "relu": (F.relu, lambda t, F_, x: F_.relu(x)),
    "leaky_relu": (F.leaky_relu, lambda t, F_, x: F_.leaky_relu(x)),
    "elu": (F.elu, lambda t, F_, x: F_.elu(x)),
    "gelu": (F.gelu, lambda t, F_, x: F_.gelu(x)),
    "gelu_tanh": (lambda x: F.gelu(x, "tanh"), lambda t, F_, x: F_.gelu(x, approximate="tanh")),
    "sigmoid": (F.sigmoid, lambda t, F_, x: t.sigmoid(x)),
    "log_sigmoid": (F.log_sigmoid, lambda t, F_, x: F_.logsigmoid(x)),
    "softplus": (F.softplus, lambda t, F_, x: F_.softplus(x)),
    "silu": (F.silu, lambda t, F_, x: F_.silu(x)),
    "softmax": (F.softmax, lambda t, F_, x: t.softmax(x, -1)),
    "log_softmax": (F.log_softmax, lambda t, F_, x: t.log_softmax(x, -1)),
    "logsumexp": (F.logsumexp, lambda t, F_, x: t.logsumexp(x, -1)),
    "tanh": (F.tanh, lambda t, F_, x: t.tanh(x)),
    "abs": (F.abs, lambda t, F_, x: t.abs(x)),
    "std": (lambda x: F.std(x, -1, 1), lambda t, F_, x: t.std(x, -1)),
    "norm": (lambda x: (x**2).sum(-1) ** 0.5, lambda t, F_, x: t.linalg.vector_norm(x, dim=-1)),
    "log1p": (lambda x: F.log1p(x * x), lambda t, F_, x: t.log1p(x * x)),
    "expm1": (F.expm1, lambda t, F_, x: t.expm1(x)),
    "sinh": (F.sinh, lambda t, F_, x: t.sinh(x)),
    "clip": (lambda x: x.clip(-1, 2), lambda t, F_, x: x.clip(-1, 2)),
}


@pytest.mark.parametrize("name", sorted(TORCH))
def test_activations_equal_pytorch_in_values_and_gradients(name):
    torch = pytest.importorskip("torch")
    ours, theirs = TORCH[name]
    x = np.array([[-30.0, -3.0, -0.7, -1e-3, 0.0], [1e-5, 0.4, 2.5, 9.0, 30.0]])
    weight = np.random.default_rng(0).standard_normal(x.shape)
    a, b = pl.Tensor(x), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(torch, torch.nn.functional, b)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-12, atol=1e-300)
    w = weight if y.shape == x.shape else weight[:, 0]
    (z * torch.tensor(w)).sum().backward()
    found = pl.grad((y * w).sum(), a).numpy()
    np.testing.assert_allclose(found, b.grad.numpy(), rtol=1e-10, atol=1e-15)


def test_softmax_of_large_numbers_is_finite():
    y = F.softmax(pl.Tensor([1000.0, 1001.0]))
    np.testing.assert_allclose(y.numpy(), [0.26894142, 0.73105858], rtol=1e-6)
    assert F.logsumexp(pl.Tensor([-np.inf, -np.inf])).item() == -np.inf
    assert F.sigmoid(pl.Tensor([-1e4, 1e4])).tolist() == [0, 1]
    assert F.step(pl.Tensor([-1.0, 0.0, 2.0])).tolist() == [0, 0, 1]


@pytest.mark.parametrize("x", [-100.0, -1.0, 0.0, 1.0, 100.0])
def test_gradient_of_sigmoid_is_finite_everywhere(x):
    t = pl.Tensor(x)
    s = 1 / (1 + math.exp(-x))
    assert pl.grad(t.sigmoid(), t).item() == pytest.approx(s * (1 - s), rel=1e-6, abs=1e-30)


# ---- shapes


def test_shape_functions_equal_numpy():
    x = np.arange(24).reshape(2, 3, 4)
    t = pl.Tensor(x)
    pairs = [
        (t.T, x.T), (t.mT, x.transpose(0, 2, 1)), (t.permute(2, 0, 1), x.transpose(2, 0, 1)),
        (t.transpose(0, -1), x.swapaxes(0, 2)),
        (t.reshape(4, -1), x.reshape(4, -1)), (t.flatten(), x.ravel()),
        (t.flatten(1), x.reshape(2, 12)),
        (t.unsqueeze(1), x[:, None]), (t.unsqueeze((0, -1)), x[None, ..., None]),
        (t.unsqueeze(0).squeeze(), x),
        (t.flip(), x[::-1, ::-1, ::-1]), (t.flip(1), x[:, ::-1]), (t.pad(1), np.pad(x, 1)),
        (t.pad(((0, 0), (1, 2), (0, 1)), 7), np.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=7)),
        (t.expand(5, -1, 3, -1), np.broadcast_to(x, (5, 2, 3, 4))),
        (F.moveaxis(t, 0, -1), np.moveaxis(x, 0, -1)),
        (F.moveaxis(t, (0, 1), (1, 0)), np.moveaxis(x, (0, 1), (1, 0))),
        (F.roll(t, 2), np.roll(x, 2)),
        (F.roll(t, (1, -1), (0, 2)), np.roll(x, (1, -1), (0, 2))),
        (F.repeat(t, 2, 1), np.repeat(x, 2, 1)), (F.repeat(t, 2), np.repeat(x, 2)),
        (F.tile(t, (2, 1, 3)), np.tile(x, (2, 1, 3))),
        (F.tile(t, (2, 2, 1, 1)), np.tile(x, (2, 2, 1, 1))), (F.tile(t, 2), np.tile(x, 2)),
        (F.concat([t, t], 1), np.concatenate([x, x], 1)),
        (F.concat([t, t], None), np.concatenate([x, x], None)),
        (F.stack([t, t], -1), np.stack([x, x], -1)), (F.diff(t), np.diff(x)),
        (F.diff(t, 0, 2), np.diff(x, 2, 0)),
        (F.tril(t, 1), np.tril(x, 1)), (F.triu(t, -1), np.triu(x, -1)),
        (F.swapaxes(t, 0, 1), x.swapaxes(0, 1)),
        (F.cumulative_sum(t, axis=1, include_initial=True), np.cumulative_sum(x, axis=1, include_initial=True)),
        (F.count_nonzero(t, 0), np.count_nonzero(x, 0)),
    ]  # fmt: skip
    for i, (y, expected) in enumerate(pairs):
        assert y.shape == expected.shape, i
        assert np.array_equal(y.numpy(), expected), i
    assert [p.shape for p in F.split(t, 3, 2)] == [(2, 3, 3), (2, 3, 1)]
    assert [p.shape for p in F.split(t, [1, 0, 2], 1)] == [(2, 1, 4), (2, 0, 4), (2, 2, 4)]
    assert [p.tolist() for p in F.unstack(t, 1)] == [x[:, i].tolist() for i in range(3)]
    with pytest.raises(ShapeError, match="together 4; axis 1 has 3"):
        F.split(t, [2, 2], 1)


def test_creation_equals_numpy():
    pairs = [
        (F.arange(5), np.arange(5)), (F.arange(2, 9, 3), np.arange(2, 9, 3)),
        (F.arange(5, 0, -2), np.arange(5, 0, -2)),
        (F.arange(0, 1, 0.25), np.arange(0, 1, 0.25)), (F.arange(0), np.arange(0)),
        (F.linspace(0, 1, 5), np.linspace(0, 1, 5)),
        (F.linspace(3, -1, 4, endpoint=False), np.linspace(3, -1, 4, endpoint=False)),
        (F.eye(3), np.eye(3)), (F.eye(2, 3, 1), np.eye(2, 3, 1)),
        (F.zeros((2, 0)), np.zeros((2, 0))), (F.ones(3), np.ones(3)),
        (F.full((2,), 7), np.full(2, 7)), (F.eye(0), np.eye(0)),
    ]  # fmt: skip
    for y, expected in pairs:
        assert y.shape == expected.shape
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-7)
    assert F.full((2,), 7).dtype.name == "int64" and F.full((2,), True).dtype.name == "bool"
    for indexing in ("xy", "ij"):
        ours = F.meshgrid(F.arange(2), F.arange(3), F.arange(4), indexing=indexing)
        for y, expected in zip(
            ours,
            np.meshgrid(np.arange(2), np.arange(3), np.arange(4), indexing=indexing),
            strict=True,
        ):
            assert np.array_equal(y.numpy(), expected)


def test_one_hot():
    assert F.one_hot(pl.Tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(IndexRangeError, match="index 3 and 3 classes"):
        F.one_hot(pl.Tensor([0, 3]), 3)
    with pytest.raises(DTypeError, match="takes integers"):
        F.one_hot(pl.Tensor([0.0]), 3)
