"""Losses: how far an answer is from the right one. Loss, error and cost are three words for it.

B batch, C classes"""

import numpy as np

from ..base.errors import IndexRangeError, ShapeError
from ..tensor import functions as F
from ..tensor.create import arange
from ..tensor.storage import active
from ..tensor.tensor import Tensor
from .init import nearest
from .module import Module

REDUCTIONS = ("mean", "sum", "none")


def distance(target, predicted):
    """|target - predicted|: the plainest error. Numbers in, number out; otherwise Tensors."""
    if isinstance(target, (int, float)) and isinstance(predicted, (int, float)):
        return abs(target - predicted)
    return (_tensor(target) - _tensor(predicted)).abs()


def mse_loss(predicted: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Mean squared error: mean((predicted - target)^2); both of one shape."""
    predicted, target = _tensor(predicted), _tensor(target)
    if predicted.shape != target.shape:
        raise ShapeError(
            f"mse_loss: predicted has shape {tuple(predicted.shape)}, target {tuple(target.shape)}; they must be "
            f"equal. To compare (B, 1) with (B,) reshape one of them."
        )
    difference = predicted - target
    return _reduce(difference * difference, reduction)


def cross_entropy(logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Negative log-likelihood of the true class, in nats: log(sum(exp(logits))) - logits[target].

    logits   (B, C) float, any scale
    targets  (B,) integers in [0, C)
    returns  () for mean and sum, (B,) for none

    Computed from the logits with the row's maximum subtracted, so it is finite for any finite logits.
    Source: Goodfellow et al. (2016), section 6.2.2.3."""
    logits, targets = _tensor(logits), _tensor(targets)
    if logits.ndim != 2 or targets.ndim != 1 or logits.shape[0] != targets.shape[0]:
        raise ShapeError(
            f"cross_entropy: logits {tuple(logits.shape)} and targets {tuple(targets.shape)}; needed are (B, C) scores "
            f"and (B,) class numbers."
        )
    check_labels(targets, logits.shape[1])
    # The loss does not change when a row is shifted, so no gradient flows through its maximum.
    z = logits - logits.max(-1, keepdims=True).detach()
    is_true_class = targets.unsqueeze(1) == arange(logits.shape[1], dtype=targets.dtype)
    return _reduce(z.exp().sum(-1).log() - F.where(is_true_class, z, 0.0).sum(-1), reduction)


def check_labels(targets: Tensor, n_classes: int) -> None:
    """Raises IndexRangeError for a class number outside [0, n_classes) when the values are at hand.

    Inside a compiled step they are not; the training loop checks all labels before it starts."""
    if targets.dtype.kind != "i":
        raise IndexRangeError(
            f"cross_entropy: targets must be integers, class numbers; got {targets.dtype}."
        )
    if active or targets._storage is None or targets.size == 0:
        return
    values = targets._storage.array
    outside = (values < 0) | (values >= n_classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise IndexRangeError(
            f"cross_entropy: target {values[row]} in row {row} is outside 0..{n_classes - 1}: the logits have "
            f"{n_classes} classes."
        )


class MSELoss(Module):
    """mse_loss as a module."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = nearest(reduction, REDUCTIONS, "reduction")

    def forward(self, predicted, target):
        return mse_loss(predicted, target, self.reduction)


class CrossEntropyLoss(Module):
    """cross_entropy as a module."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = nearest(reduction, REDUCTIONS, "reduction")

    def forward(self, logits, targets):
        return cross_entropy(logits, targets, self.reduction)


# the name a person gives -> the function; several words mean the same
LOSSES = {
    "cross_entropy": cross_entropy,
    "crossentropy": cross_entropy,
    "log_loss": cross_entropy,
    "mse": mse_loss,
    "mean_squared_error": mse_loss,
    "squared_error": mse_loss,
}


def loss(name: str):
    """A loss function by name; a typo suggests the nearest."""
    return LOSSES[nearest(str(name).replace("-", "_"), LOSSES, "loss")]


def _reduce(values: Tensor, reduction: str) -> Tensor:
    nearest(reduction, REDUCTIONS, "reduction")
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def _tensor(x) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)
