"""Layers for sequences, images and volumes beside PyTorch's, whose channels come first."""

import numpy as np
import pytest
from torch_layers import close

from pellucid.nn.module import Layout
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor

torch = pytest.importorskip("torch")


def first(x: np.ndarray):
    """(N, places.., C) as PyTorch's (N, C, places..), a leaf that has a gradient."""
    return torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)), requires_grad=True)


def last(t) -> np.ndarray:
    """Back: channels last, as NumPy."""
    return np.moveaxis(t.detach().numpy(), 1, -1)


def load(ours, theirs) -> None:
    """PyTorch's parameters and buffers into our layer."""
    state = {k: v.detach().numpy() for k, v in theirs.state_dict().items()}
    ours.load_state_dict(state, layout="pytorch")


def in_their_order(layer, name: str, value: np.ndarray) -> np.ndarray:
    """Our array of a parameter as PyTorch would store it."""
    axes = layer.layouts.get(name)
    return value if axes is None else Layout(axes).to_pytorch(value)


def compare(ours, theirs, x: np.ndarray, seed: int = 0) -> None:
    """Outputs, gradients of the input and of all parameters, and buffers afterwards."""
    # Another seed than the data's: a norm has no gradient along its own output.
    rng = np.random.default_rng(seed + 1000)
    a, b = Tensor.parameter(x), first(x)
    theirs.zero_grad()
    ya, yb = ours(a), theirs(b)
    close(ya, np.ascontiguousarray(last(yb)))
    w = rng.normal(size=ya.shape).astype(x.dtype)
    named = dict(ours.named_parameters())
    found = grad((ya * Tensor(w)).sum(), [a, *named.values()])
    (yb * first(w).detach()).sum().backward()
    close(found[0], last(b.grad), what="gradient of the input")
    reference = dict(theirs.named_parameters())
    assert set(named) == set(reference)
    for name, g in zip(named, found[1:], strict=True):
        close(in_their_order(ours, name, g.numpy()), reference[name].grad, what=name)
    same_buffers(ours, theirs)


def same_buffers(ours, theirs) -> None:
    """Whole numbers exactly, the others to the tolerance."""
    buffers, wanted = dict(ours.named_buffers()), dict(theirs.named_buffers())
    assert set(buffers) == set(wanted)
    for name, value in wanted.items():
        close(buffers[name], value, None if value.is_floating_point() else 0, what=name)


def data(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> np.ndarray:
    """Normal values, no two equal."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)
