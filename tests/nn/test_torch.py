"""Layers, activations and losses equal PyTorch's in values and gradients."""

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor

torch = pytest.importorskip("torch")

# One rounding of each operation apart; sums of at most 65 products.
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


def compare(ours, theirs, dtype, scale=1.0):
    theirs = theirs.detach().numpy()
    np.testing.assert_allclose(
        ours.numpy(), theirs, rtol=TOLERANCE[dtype] * 5, atol=TOLERANCE[dtype] * scale
    )


def check(ours, theirs, shape, dtype, scale=1.0):
    """Values, and the gradient of a random weighting of them."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=shape) * 3).astype(dtype)
    a, b = Tensor.parameter(x), torch.tensor(x, requires_grad=True)
    ya, yb = ours(a), theirs(b)
    compare(ya, yb, dtype, scale)
    w = rng.normal(size=tuple(yb.shape)).astype(dtype)
    (da,) = grad((ya * Tensor(w)).sum(), [a])
    (yb * torch.tensor(w)).sum().backward()
    compare(da, b.grad, dtype, scale)


ACTIVATIONS = {
    "relu": (nn.ReLU, torch.nn.ReLU),
    "leaky_relu": (lambda: nn.LeakyReLU(0.02), lambda: torch.nn.LeakyReLU(0.02)),
    "gelu": (nn.GELU, torch.nn.GELU),
    "gelu_tanh": (lambda: nn.GELU("tanh"), lambda: torch.nn.GELU("tanh")),
    "sigmoid": (nn.Sigmoid, torch.nn.Sigmoid),
    "tanh": (nn.Tanh, torch.nn.Tanh),
    "softmax": (lambda: nn.Softmax(-1), lambda: torch.nn.Softmax(-1)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_equals_torch(name, dtype):
    ours, theirs = ACTIVATIONS[name]
    check(ours(), theirs(), (7, 17), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 65), (5, 65), (2, 3, 65)])
def test_linear_equals_torch(shape, bias, dtype):
    ours = nn.Linear(65, 3, bias=bias, dtype=dtype)
    theirs = torch.nn.Linear(65, 3, bias=bias, dtype=getattr(torch, dtype))
    ours.load_state_dict(
        {k: v.detach().numpy() for k, v in theirs.state_dict().items()}, layout="pytorch"
    )
    check(ours, theirs, shape, dtype, scale=20)
    state = ours.state_dict(layout="pytorch")
    assert all(np.array_equal(state[k], v.numpy()) for k, v in theirs.state_dict().items())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_equal_torch(reduction, dtype):
    labels = np.array([0, 3, 2, 2, 9], np.int64)
    check(
        lambda x: nn.cross_entropy(x, Tensor(labels), reduction),
        lambda x: torch.nn.functional.cross_entropy(x, torch.tensor(labels), reduction=reduction),
        (5, 10),
        dtype,
        scale=10,
    )
    target = np.random.default_rng(1).normal(size=(4, 6)).astype(dtype)
    check(
        lambda x: nn.mse_loss(x, Tensor(target), reduction),
        lambda x: torch.nn.functional.mse_loss(x, torch.tensor(target), reduction=reduction),
        (4, 6),
        dtype,
        scale=100,
    )


def test_a_network_saved_by_torch_gives_its_outputs(tmp_path):
    """The file of a PyTorch user: (out, in) weights, metadata 'pt'."""
    safetensors_torch = pytest.importorskip("safetensors.torch")
    from pellucid.train.saved import load_weights

    theirs = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.GELU(), torch.nn.Linear(5, 3))
    safetensors_torch.save_model(theirs, tmp_path / "m.safetensors", metadata={"format": "pt"})
    ours = nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3))
    arrays, layout = load_weights(tmp_path / "m.safetensors")
    ours.load_state_dict(arrays, layout=layout)
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    compare(ours(Tensor(x)), theirs(torch.tensor(x)), "float32", scale=5)
