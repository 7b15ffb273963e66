"""Clipping: gradients made smaller before a step, so that one bad batch cannot throw the weights away."""

from collections.abc import Sequence

from ..tensor import functions as F
from ..tensor.tensor import Tensor

Gradients = Sequence[Tensor | None]


def global_norm(grads: Gradients) -> Tensor:
    """sqrt of the sum of squares of all gradients together; a number."""
    squares = [(g * g).sum() for g in grads if g is not None]
    total = squares[0]
    for square in squares[1:]:
        total = total + square.astype(total.dtype)
    return total.sqrt()


def clip_grad_norm(grads: Gradients, max_norm: float) -> tuple[list[Tensor | None], Tensor]:
    """(gradients whose norm together is at most max_norm, the norm before). Pascanu et al. (2013),
    algorithm 1; as PyTorch's clip_grad_norm_, which divides by norm + 1e-6."""
    norm = global_norm(grads)
    factor = F.minimum(max_norm / (norm + 1e-6), 1.0)
    return [None if g is None else g * factor.astype(g.dtype) for g in grads], norm


def clip_grad_value(grads: Gradients, limit: float) -> list[Tensor | None]:
    """Each element cut to -limit .. limit."""
    return [None if g is None else g.clip(-limit, limit) for g in grads]
