"""Activations equal PyTorch's in values, gradients and gradients of gradients, also where lines meet."""

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid.base.errors import OptionError, ShapeError
from pellucid.tensor import functions as F
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor
from pellucid.tensor.trace import compile

torch = pytest.importorskip("torch")

# A handful of operations with one rounding each, relative to the largest value on the way.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
T = torch.nn.functional

# name -> (ours, PyTorch's); PyTorch's take the same layout, as these axes are the last
ROWS = {
    "relu": (nn.ReLU(), T.relu),
    "relu6": (nn.ReLU6(), T.relu6),
    "leaky_relu": (nn.LeakyReLU(0.02), lambda x: T.leaky_relu(x, 0.02)),
    "prelu": (nn.PReLU(dtype="float64"), lambda x: T.prelu(x, torch.tensor([0.25]).to(x.dtype))),
    "elu": (nn.ELU(1.3), lambda x: T.elu(x, 1.3)),
    "selu": (nn.SELU(), T.selu),
    "gelu": (nn.GELU(), T.gelu),
    "gelu_tanh": (nn.GELU("tanh"), lambda x: T.gelu(x, approximate="tanh")),
    "silu": (nn.SiLU(), T.silu),
    "mish": (nn.Mish(), T.mish),
    "softplus": (nn.Softplus(), T.softplus),
    "softplus_beta": (nn.Softplus(2.5, 3.0), lambda x: T.softplus(x, 2.5, 3.0)),
    "sigmoid": (nn.Sigmoid(), torch.sigmoid),
    "log_sigmoid": (nn.LogSigmoid(), T.logsigmoid),
    # PyTorch's own gradient has 1 / 6 in float32 only, so this is its definition, spelled out.
    "hardsigmoid": (nn.Hardsigmoid(), lambda x: T.relu6(x + 3) / 6),
    "hardswish": (nn.Hardswish(), T.hardswish),
    "tanh": (nn.Tanh(), torch.tanh),
    "hardtanh": (nn.Hardtanh(), T.hardtanh),
    "hardtanh_limits": (nn.Hardtanh(-2, 0.5), lambda x: T.hardtanh(x, -2, 0.5)),
    "softmax": (nn.Softmax(), lambda x: torch.softmax(x, -1)),
    "softmax_0": (nn.Softmax(0), lambda x: torch.softmax(x, 0)),
    "log_softmax": (nn.LogSoftmax(), lambda x: torch.log_softmax(x, -1)),
    "glu": (nn.GLU(), T.glu),
    "glu_0": (nn.GLU(0), lambda x: T.glu(x, 0)),
    "swiglu": (nn.SwiGLU(), lambda x: T.silu(x[..., :9]) * x[..., 9:]),
    "linear": (nn.Identity(), lambda x: x),
}


def compare(ours, theirs, dtype, scale=1.0):
    theirs = theirs.detach().numpy()
    limit = TOLERANCE[dtype]
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=limit, atol=limit * scale)


def points(dtype):
    """Random values, the ends and kinks of the pieces, and large ones. float32 so that both have the same."""
    x = np.random.default_rng(0).normal(size=(6, 18)) * 3
    x[2] = [-3, 3, 0, -0.0, -1, 1, 6, -2, 0.5, 1.2, 20, 20.5, -20, 40, -40, 80, -80, 1e-6]
    return x.astype(np.float32).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROWS)
def test_values_and_gradients_equal_torch(name, dtype):
    ours, theirs = ROWS[name]
    x = points(dtype)
    if name == "prelu":
        ours = nn.PReLU(dtype=dtype)
    a, b = Tensor.parameter(x), torch.tensor(x, requires_grad=True)
    rng = np.random.default_rng(1)
    ya, yb = ours(a), theirs(b)
    w = rng.normal(size=tuple(yb.shape)).astype(dtype)
    v = rng.normal(size=x.shape).astype(dtype)
    scale = max(1.0, float(np.abs(yb.detach().numpy()).max()) / 10)
    compare(ya, yb, dtype, scale)
    da = grad((ya * Tensor(w)).sum(), a)
    (db,) = torch.autograd.grad((yb * torch.tensor(w)).sum(), b, create_graph=True)
    compare(da, db, dtype, scale)
    if not db.requires_grad:  # PyTorch knows that it is constant
        return
    second = grad((da * Tensor(v)).sum(), a)
    (expected,) = torch.autograd.grad((db * torch.tensor(v)).sum(), b)
    smooth = [0, 1, 3, 4, 5]  # row 2 has the kinks, where a second derivative is a matter of taste
    compare(second[smooth], expected[smooth], dtype, scale)


@pytest.mark.parametrize("n", [1, 18])
def test_prelu_learns_as_in_torch(n):
    ours, theirs = nn.PReLU(n, 0.1, dtype="float64"), torch.nn.PReLU(n, 0.1, dtype=torch.float64)
    x = points("float64")
    (dw,) = grad((ours(Tensor(x)) ** 2).sum(), [ours.weight])
    (theirs(torch.tensor(x)) ** 2).sum().backward()
    compare(dw, theirs.weight.grad, "float64")
    assert dict(ours.named_parameters()).keys() == dict(theirs.named_parameters()).keys()


def test_step_is_above_the_threshold_only():
    assert nn.Step(0.5)(Tensor([0.4, 0.5, 0.6])).tolist() == [0, 0, 1]
    assert F.step(Tensor([-1.0, 1.0, 3.0]), 1.0).tolist() == [0, 0, 1]


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_every_name_keeps_nan_and_float64_and_compiles(name):
    layer = nn.activation(name)
    if name == "prelu":
        layer = nn.PReLU(dtype="float64")
    x = np.array([[np.nan, 1.0], [0.5, -2.0]])
    y = layer(Tensor(x))
    assert y.dtype.name == "float64" and np.isfinite(y.numpy()[1]).all()
    assert name == "step" or np.isnan(y.numpy()[0]).any()
    np.testing.assert_allclose(compile(layer)(x).numpy(), y.numpy(), rtol=1e-13)
    again = type(layer)(**layer.config())
    assert again.config() == layer.config()


def test_selu_keeps_mean_0_and_variance_1():
    """Klambauer et al. (2017), section 2: (0, 1) is the fixed point. The integral by the midpoint rule."""
    x = (np.arange(200_000) + 0.5) / 10_000 - 10
    density = np.exp(-x * x / 2) / np.sqrt(2 * np.pi) / 10_000
    y = F.selu(Tensor(x)).numpy()
    assert abs((y * density).sum()) < 1e-6 and abs((y * y * density).sum() - 1) < 1e-6


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.GLU()(Tensor(np.ones((2, 5)))), ShapeError, "its size 5 must be even"),
        (lambda: F.swiglu(np.ones((3, 2)), 0), ShapeError, "swiglu halves axis 0"),
        (lambda: nn.PReLU(3)(Tensor(np.ones((2, 5)))), ShapeError, "For 5 features use PReLU"),
        (lambda: F.prelu(np.ones((2, 5)), np.ones(4)), ShapeError, "prelu got 4 weights"),
        (lambda: nn.PReLU(0), OptionError, "num_parameters must be 1 or more"),
        (lambda: nn.Hardtanh(1, 1), OptionError, "must be below"),
        (lambda: nn.activation("sillu"), OptionError, "Did you mean 'silu'"),
    ],
)
def test_misuse_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
