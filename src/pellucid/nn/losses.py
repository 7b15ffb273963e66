"""Losses: how far an answer is from the right one. Loss, error and cost are three words for it.

Regression first, then classes. Functions and modules have PyTorch's names, arguments and reductions;
classes are the LAST axis here. losses_pairs.py hinge, cosine, triplet   losses_gan.py adversaries and
the VAE's divergence   ctc.py sequences without an alignment

B batch, C classes"""

import numpy as np

from ..base.errors import IndexRangeError, OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.create import arange
from ..tensor.storage import active
from ..tensor.tensor import Tensor
from .init import nearest
from .module import Module

REDUCTIONS = ("mean", "sum", "none")

# ---- amounts


def distance(target, predicted):
    """|target - predicted|: the plainest error. Numbers in, number out; otherwise Tensors."""
    if isinstance(target, (int, float)) and isinstance(predicted, (int, float)):
        return abs(target - predicted)
    return (as_tensor(target) - as_tensor(predicted)).abs()


def mse_loss(predicted: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Mean squared error: mean((predicted - target)^2); both of one shape."""
    predicted, target = same_shape("mse_loss", predicted, target)
    difference = predicted - target
    return reduce(difference * difference, reduction)


def l1_loss(predicted: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Mean absolute error: mean(|predicted - target|); both of one shape. Its gradient at 0 is 0."""
    predicted, target = same_shape("l1_loss", predicted, target)
    return reduce((predicted - target).abs(), reduction)


def smooth_l1_loss(
    predicted: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere; d = predicted - target. Girshick (2015)."""
    if not beta >= 0:
        raise OptionError(f"smooth_l1_loss: beta must be 0 or more; got {beta!r}.")
    if beta == 0:
        return l1_loss(predicted, target, reduction)
    predicted, target = same_shape("smooth_l1_loss", predicted, target)
    d = predicted - target
    size = d.abs()
    return reduce(F.where(size < beta, d * d * (0.5 / beta), size - 0.5 * beta), reduction)


def huber_loss(
    predicted: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0
) -> Tensor:
    """d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere; d = predicted - target. Huber (1964)."""
    if not delta > 0:
        raise OptionError(f"huber_loss: delta must be above 0; got {delta!r}.")
    predicted, target = same_shape("huber_loss", predicted, target)
    d = predicted - target
    size = d.abs()
    return reduce(F.where(size <= delta, d * d * 0.5, (size - 0.5 * delta) * delta), reduction)


# ---- classes


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    reduction: str = "mean",
    *,
    weight: Tensor | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Negative log-likelihood of the true class, in nats: log(sum(exp(logits))) - logits[target].

    logits           (..., C) float, any scale
    targets          (...,) integers in [0, C), or (..., C) float: the probability of each class
    weight           (C,) what an example of each class counts; the mean is divided by what was counted
    ignore_index     a class number, also one outside, whose examples count nothing
    label_smoothing  part of the probability that is spread over all classes. Szegedy et al. (2016)
    returns          () for mean and sum, (...,) for none

    Computed from the logits with the row's maximum subtracted, so it is finite for any finite logits.
    A mean over no example (all are ignored) is NaN.
    Source: Goodfellow et al. (2016), section 6.2.2.3."""
    logits, targets = as_tensor(logits), as_tensor(targets)
    is_soft = targets.dtype.kind == "f" and targets.ndim == logits.ndim
    if not logits.ndim or tuple(targets.shape) != logits.shape[: None if is_soft else -1]:
        raise ShapeError(
            f"cross_entropy: logits {tuple(logits.shape)} and targets {tuple(targets.shape)}; needed are "
            f"(..., C) scores, as (B, C), and (...,) class numbers, as (B,), or (..., C) probabilities."
        )
    if not 0.0 <= label_smoothing <= 1.0:
        raise OptionError(
            f"cross_entropy: label_smoothing is a part of 1, 0 to 1; got {label_smoothing!r}."
        )
    n_classes = logits.shape[-1]
    if weight is not None:
        weight = _class_weights("cross_entropy", weight, n_classes, logits)
    if not is_soft:
        check_labels(targets, n_classes, ignore_index)
    # The loss does not change when a row is shifted, so no gradient flows through its maximum.
    z = logits - logits.max(-1, keepdims=True).detach()
    normaliser = z.exp().sum(-1).log()
    if is_soft:
        targets = targets.astype(z.dtype)
        if label_smoothing:
            targets = targets * (1.0 - label_smoothing) + label_smoothing / n_classes
        if weight is not None:
            targets = targets * weight
        return reduce((targets * (normaliser.unsqueeze(-1) - z)).sum(-1), reduction)
    is_true_class = _is_class(targets, n_classes)
    losses = normaliser - F.where(is_true_class, z, 0.0).sum(-1)
    counted = None  # what each example counts, where that is not 1
    if weight is not None:
        counted = F.where(is_true_class, weight, 0.0).sum(-1)
        losses = losses * counted
    if label_smoothing:
        each = normaliser.unsqueeze(-1) - z
        spread = (each if weight is None else each * weight).sum(-1)
        losses = losses * (1.0 - label_smoothing) + spread * (label_smoothing / n_classes)
    return _reduce_counted(losses, counted, targets, ignore_index, reduction)


def nll_loss(
    log_probabilities: Tensor,
    targets: Tensor,
    reduction: str = "mean",
    *,
    weight: Tensor | None = None,
    ignore_index: int | None = None,
) -> Tensor:
    """Negative log-likelihood of the true class from log-probabilities, as log_softmax gives them.

    log_probabilities (..., C); targets (...,) integers in [0, C); weight and ignore_index as in cross_entropy."""
    x, targets = as_tensor(log_probabilities), as_tensor(targets)
    if not x.ndim or tuple(targets.shape) != x.shape[:-1]:
        raise ShapeError(
            f"nll_loss: log-probabilities {tuple(x.shape)} and targets {tuple(targets.shape)}; needed are "
            f"(..., C), as (B, C), and (...,) class numbers, as (B,)."
        )
    check_labels(targets, x.shape[-1], ignore_index, "nll_loss")
    is_true_class = _is_class(targets, x.shape[-1])
    losses, counted = -F.where(is_true_class, x, 0.0).sum(-1), None
    if weight is not None:
        weight = _class_weights("nll_loss", weight, x.shape[-1], x)
        counted = F.where(is_true_class, weight, 0.0).sum(-1)
        losses = losses * counted
    return _reduce_counted(losses, counted, targets, ignore_index, reduction)


def binary_cross_entropy(
    probabilities: Tensor, target: Tensor, reduction: str = "mean", *, weight: Tensor | None = None
) -> Tensor:
    """-(y log p + (1 - y) log(1 - p)), y in [0, 1]; both of one shape, weight stretches to it.

    A logarithm is at least -100, as in PyTorch, so that a certain and wrong answer has a finite loss; its
    gradient there is 0. binary_cross_entropy_with_logits has no such corner."""
    p, y = same_shape("binary_cross_entropy", probabilities, target)
    y = y.astype(p.dtype)
    losses = -(y * _log_from(p) + (1.0 - y) * _log_from(1.0 - p))
    return reduce(losses if weight is None else losses * as_tensor(weight), reduction)


def _log_from(p: Tensor) -> Tensor:
    """log(p), but -100 where p is 0 or too small for the dtype."""
    is_zero = p < (1.2e-38 if p.dtype.name == "float32" else 3.8e-44)
    return F.where(is_zero, -100.0, F.where(is_zero, 1.0, p).log())


def binary_cross_entropy_with_logits(
    logits: Tensor,
    target: Tensor,
    reduction: str = "mean",
    *,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(logits), without overflow: (1 - y) x + log(1 + exp(-x)).

    logits, target  one shape; target in [0, 1]
    weight          stretches to that shape: what each element counts
    pos_weight      stretches to that shape: what the part of y = 1 counts, for rare positives"""
    x, y = same_shape("binary_cross_entropy_with_logits", logits, target)
    y = y.astype(x.dtype)
    if pos_weight is None:
        losses = (1.0 - y) * x - F.log_sigmoid(x)
    else:
        losses = (1.0 - y) * x - (1.0 + (as_tensor(pos_weight) - 1.0) * y) * F.log_sigmoid(x)
    return reduce(losses if weight is None else losses * as_tensor(weight), reduction)


def kl_div(
    log_probabilities: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """Kullback-Leibler divergence: target (log(target) - log_probabilities), each element by itself.

    target      probabilities, or their logarithms with log_target=True; one shape
    reduction   mean | sum | none | batchmean: the sum over the first axis' size, which is the divergence

    As in PyTorch, mean divides by all elements. Kullback and Leibler (1951), eq. 2.4."""
    q, p = same_shape("kl_div", log_probabilities, target)
    nearest(reduction, (*REDUCTIONS, "batchmean"), "reduction")
    if log_target:
        losses = p.exp() * (p - q)
    else:
        losses = p * (F.where(p > 0, p, 1.0).log() - q)  # 0 log 0 = 0
    if reduction == "batchmean":
        return losses.sum() / max(1, losses.shape[0] if losses.ndim else 1)
    return reduce(losses, reduction)


# ---- words that all losses share


def as_tensor(x) -> Tensor:
    """x itself, or a Tensor of it."""
    return x if isinstance(x, Tensor) else Tensor(x)


def reduce(values: Tensor, reduction: str) -> Tensor:
    """Their mean, their sum, or all of them."""
    nearest(reduction, REDUCTIONS, "reduction")
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def same_shape(name: str, predicted, target) -> tuple[Tensor, Tensor]:
    """Both as tensors; ShapeError unless their shapes are equal."""
    predicted, target = as_tensor(predicted), as_tensor(target)
    if predicted.shape != target.shape:
        raise ShapeError(
            f"{name}: predicted has shape {tuple(predicted.shape)}, target {tuple(target.shape)}; they must be "
            f"equal. To compare (B, 1) with (B,) reshape one of them."
        )
    return predicted, target


def check_labels(
    targets: Tensor, n_classes: int, ignore_index: int | None = None, name: str = "cross_entropy"
) -> None:
    """Raises IndexRangeError for a class number outside [0, n_classes) when the values are at hand.

    Inside a compiled step they are not; the training loop checks all labels before it starts."""
    if targets.dtype.kind != "i":
        raise IndexRangeError(
            f"{name}: targets must be integers, class numbers; got {targets.dtype}."
        )
    if active or targets._storage is None or targets.size == 0:
        return
    values = targets._storage.array
    outside = (values < 0) | (values >= n_classes)
    if ignore_index is not None:
        outside &= values != ignore_index
    if outside.any():
        place = np.unravel_index(int(np.argmax(outside)), values.shape)
        row = str(int(place[0])) if len(place) == 1 else str(tuple(int(i) for i in place))
        advice = ""
        if values[place] == -100 and ignore_index is None:
            advice = " To leave examples out as PyTorch does, give ignore_index=-100."
        raise IndexRangeError(
            f"{name}: target {values[place]} in row {row} is outside 0..{n_classes - 1}: the logits have "
            f"{n_classes} classes.{advice}"
        )


def _is_class(targets: Tensor, n_classes: int) -> Tensor:
    """(...,) class numbers -> (..., C) bool."""
    if targets.dtype.name == "uint8" and n_classes > 256:
        targets = targets.astype("int64")
    return targets.unsqueeze(-1) == arange(n_classes, dtype=targets.dtype)


def _class_weights(name: str, weight, n_classes: int, logits: Tensor) -> Tensor:
    weight = as_tensor(weight)
    if tuple(weight.shape) != (n_classes,):
        raise ShapeError(
            f"{name}: weight has shape {tuple(weight.shape)}; needed is ({n_classes},), one number for each "
            f"class."
        )
    return weight.astype(logits.dtype)


def _reduce_counted(
    losses: Tensor,
    counted: Tensor | None,
    targets: Tensor,
    ignore_index: int | None,
    reduction: str,
) -> Tensor:
    """reduce, where an example counts `counted` (None: 1), and nothing if it is ignored."""
    if ignore_index is not None:
        is_kept = targets != ignore_index
        losses = F.where(is_kept, losses, 0.0)
        counted = F.where(is_kept, 1.0 if counted is None else counted, 0.0).astype(losses.dtype)
    if counted is None or reduction != "mean":
        return reduce(losses, reduction)
    return losses.sum() / counted.sum()


# ---- modules


class Loss(Module):
    """Base: forward(predicted, target) gives the loss; reduction is mean, sum or none."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = nearest(reduction, REDUCTIONS, "reduction")


class MSELoss(Loss):
    """mse_loss as a module."""

    def forward(self, predicted, target):
        return mse_loss(predicted, target, self.reduction)


class L1Loss(Loss):
    """l1_loss as a module."""

    def forward(self, predicted, target):
        return l1_loss(predicted, target, self.reduction)


class SmoothL1Loss(Loss):
    """smooth_l1_loss as a module."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0):
        super().__init__(reduction)
        self.beta = float(beta)

    def forward(self, predicted, target):
        return smooth_l1_loss(predicted, target, self.reduction, self.beta)


class HuberLoss(Loss):
    """huber_loss as a module."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction)
        self.delta = float(delta)

    def forward(self, predicted, target):
        return huber_loss(predicted, target, self.reduction, self.delta)


class CrossEntropyLoss(Loss):
    """cross_entropy as a module; `weight` is a buffer."""

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(reduction)
        self.weight = None if weight is None else as_tensor(weight)
        self.ignore_index, self.label_smoothing = ignore_index, float(label_smoothing)

    def forward(self, logits, targets):
        return cross_entropy(
            logits,
            targets,
            self.reduction,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Loss):
    """nll_loss as a module; `weight` is a buffer."""

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
    ):
        super().__init__(reduction)
        self.weight = None if weight is None else as_tensor(weight)
        self.ignore_index = ignore_index

    def forward(self, log_probabilities, targets):
        return nll_loss(
            log_probabilities,
            targets,
            self.reduction,
            weight=self.weight,
            ignore_index=self.ignore_index,
        )


class BCELoss(Loss):
    """binary_cross_entropy as a module; `weight` is a buffer."""

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__(reduction)
        self.weight = None if weight is None else as_tensor(weight)

    def forward(self, probabilities, target):
        return binary_cross_entropy(probabilities, target, self.reduction, weight=self.weight)


class BCEWithLogitsLoss(Loss):
    """binary_cross_entropy_with_logits as a module; `weight` and `pos_weight` are buffers."""

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__(reduction)
        self.weight = None if weight is None else as_tensor(weight)
        self.pos_weight = None if pos_weight is None else as_tensor(pos_weight)

    def forward(self, logits, target):
        return binary_cross_entropy_with_logits(
            logits, target, self.reduction, weight=self.weight, pos_weight=self.pos_weight
        )


class KLDivLoss(Loss):
    """kl_div as a module; reduction may also be batchmean."""

    def __init__(self, reduction: str = "mean", log_target: bool = False):
        self.reduction = nearest(reduction, (*REDUCTIONS, "batchmean"), "reduction")
        self.log_target = bool(log_target)

    def forward(self, log_probabilities, target):
        return kl_div(log_probabilities, target, self.reduction, self.log_target)


# the name a person gives -> the function; several words mean the same
LOSSES = {
    "cross_entropy": cross_entropy,
    "crossentropy": cross_entropy,
    "log_loss": cross_entropy,
    "nll": nll_loss,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "kl_div": kl_div,
    "mse": mse_loss,
    "mean_squared_error": mse_loss,
    "squared_error": mse_loss,
    "l1": l1_loss,
    "mae": l1_loss,
    "mean_absolute_error": l1_loss,
    "absolute_error": l1_loss,
    "smooth_l1": smooth_l1_loss,
    "huber": huber_loss,
}


def loss(name: str):
    """A loss function by name; a typo suggests the nearest."""
    return LOSSES[nearest(str(name).replace("-", "_"), LOSSES, "loss")]
