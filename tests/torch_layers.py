"""Layers beside PyTorch's: the same weights and inputs, then all outputs and all gradients."""

import numpy as np
import pytest

from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor, realize

torch = pytest.importorskip("torch")

# Of the largest number of its array. float64: roundings of sums of some hundred products, at most
# twenty layers or steps deep; float32: the same roundings, 2**29 times larger.
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def load(ours, theirs) -> None:
    """PyTorch's weights into our layer."""
    state = {k: v.detach().numpy() for k, v in theirs.state_dict().items()}
    ours.load_state_dict(state, layout="pytorch")


def close(ours, theirs, tolerance=None, what="values") -> None:
    """Equal, relative to the largest number; to 0.1 where all are smaller: zeros that are differences of
    numbers near 1 keep the roundings of those."""
    if isinstance(ours, Tensor):
        ours = ours.numpy()
    if isinstance(theirs, torch.Tensor):
        theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape, what
    assert ours.dtype == theirs.dtype, what
    if tolerance is None:
        tolerance = TOLERANCE[str(theirs.dtype)]
    scale = max(0.1, float(np.abs(theirs).max(initial=0)))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale, err_msg=what)


def flat(value) -> list:
    """The tensors of an output, in order."""
    if value is None:
        return []
    if isinstance(value, (tuple, list)):
        return [t for part in value for t in flat(part)]
    return [value]


def compare(ours, theirs, inputs, call_ours, call_theirs, seed=0) -> None:
    """Both called with the same float arrays: outputs, gradients of the inputs and of all parameters.

    call_ours(layer, *tensors) and call_theirs(layer, *tensors) give outputs in one order. The gradients
    are those of a random weighting of every output."""
    rng = np.random.default_rng(seed)
    theirs.zero_grad()
    a = [Tensor.parameter(x) for x in inputs]
    b = [torch.tensor(x, requires_grad=True) for x in inputs]
    ya, yb = flat(call_ours(ours, *a)), flat(call_theirs(theirs, *b))
    assert len(ya) == len(yb)
    named = dict(ours.named_parameters())
    weights = [rng.normal(size=tuple(z.shape)) for z in yb]
    total_a, total_b = Tensor(0.0, a[0].dtype), torch.tensor(0.0, dtype=b[0].dtype)
    for y, z, w in zip(ya, yb, weights, strict=True):
        w = w.astype(str(z.dtype).removeprefix("torch."))
        total_a, total_b = total_a + (y * Tensor(w)).sum(), total_b + (z * torch.tensor(w)).sum()
    found = grad(total_a, [*a, *named.values()])
    realize(*ya, *found)  # one program
    total_b.backward()
    for i, (y, z) in enumerate(zip(ya, yb, strict=True)):
        close(y, z, what=f"output {i}")
    for i, (g, x) in enumerate(zip(found, b, strict=False)):
        close(g, x.grad, what=f"gradient of input {i}")
    reference = dict(theirs.named_parameters())
    assert set(named) == set(reference)
    for (name, _), g in zip(named.items(), found[len(a) :], strict=True):
        wanted = reference[name].grad.numpy()
        close(g.numpy().T if wanted.ndim == 2 else g, np.ascontiguousarray(wanted), what=name)
