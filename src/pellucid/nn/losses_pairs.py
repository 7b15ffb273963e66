"""Losses of margins and distances: hinge, cosine, triplet. PyTorch's names, arguments and reductions.

B batch, C classes, D features"""

from ..base.errors import OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.tensor import Tensor
from .losses import (
    Loss,
    _class_weights,
    _is_class,
    as_tensor,
    check_labels,
    reduce,
    same_shape,
)


def _positive(x: Tensor) -> Tensor:
    """max(x, 0) whose gradient at 0 is 1, as PyTorch's clamp_min."""
    return F.where(x < 0, 0.0, x)


def hinge_loss(
    scores: Tensor, target: Tensor, reduction: str = "mean", margin: float = 1.0
) -> Tensor:
    """max(0, margin - y s): a binary classifier's, y is 1 or -1. Cortes and Vapnik (1995), eq. 11."""
    s, y = same_shape("hinge_loss", scores, target)
    return reduce(_positive(margin - y.astype(s.dtype) * s), reduction)


def hinge_embedding_loss(
    distances: Tensor, target: Tensor, reduction: str = "mean", margin: float = 1.0
) -> Tensor:
    """x where y = 1, max(0, margin - x) where y = -1: distances x of pairs that belong together or do not."""
    x, y = same_shape("hinge_embedding_loss", distances, target)
    losses = F.where(y == 1, 0.0, _positive(margin - x)) + F.where(y == -1, 0.0, x)
    return reduce(losses, reduction)


def margin_ranking_loss(
    first: Tensor, second: Tensor, target: Tensor, reduction: str = "mean", margin: float = 0.0
) -> Tensor:
    """max(0, margin - y (first - second)): y = 1 where the first should rank higher, -1 where the second."""
    a, b = same_shape("margin_ranking_loss", first, second)
    a, y = same_shape("margin_ranking_loss", a, target)
    return reduce(_positive(margin - y.astype(a.dtype) * (a - b)), reduction)


def multi_margin_loss(
    scores: Tensor,
    targets: Tensor,
    reduction: str = "mean",
    p: int = 1,
    margin: float = 1.0,
    *,
    weight: Tensor | None = None,
) -> Tensor:
    """sum over the wrong classes j of max(0, margin - s[target] + s[j])^p / C.

    scores (..., C); targets (...,) class numbers; weight (C,). Crammer and Singer (2001), section 2."""
    if p not in (1, 2):
        raise OptionError(f"multi_margin_loss: p must be 1 or 2; got {p!r}.")
    s, targets = as_tensor(scores), as_tensor(targets)
    if not s.ndim or tuple(targets.shape) != s.shape[:-1]:
        raise ShapeError(
            f"multi_margin_loss: scores {tuple(s.shape)} and targets {tuple(targets.shape)}; needed are "
            f"(..., C), as (B, C), and (...,) class numbers, as (B,)."
        )
    n_classes = s.shape[-1]
    check_labels(targets, n_classes, None, "multi_margin_loss")
    is_true = _is_class(targets, n_classes)
    true_score = F.where(is_true, s, 0.0).sum(-1, keepdims=True)
    v = margin - true_score + s
    v = F.where(v > 0, v, 0.0)
    if p == 2:
        v = v * v
    losses = F.where(is_true, 0.0, v).sum(-1) / n_classes
    if weight is not None:
        weight = _class_weights("multi_margin_loss", weight, n_classes, s)
        losses = losses * F.where(is_true, weight, 0.0).sum(-1)
    return reduce(losses, reduction)


def cosine_similarity(a: Tensor, b: Tensor, axis: int = -1, eps: float = 1e-8) -> Tensor:
    """a . b / (max(|a|, eps) max(|b|, eps)) along an axis: 1 for one direction, 0 at right angles."""
    a, b = as_tensor(a), as_tensor(b)
    lengths = [F.maximum((x * x).sum(axis), eps * eps).sqrt() for x in (a, b)]
    return (a * b).sum(axis) / (lengths[0] * lengths[1])


def cosine_embedding_loss(
    a: Tensor, b: Tensor, target: Tensor, reduction: str = "mean", margin: float = 0.0
) -> Tensor:
    """1 - cos(a, b) where y = 1, max(0, cos(a, b) - margin) where y = -1.

    a, b (B, D) or (D,); target (B,) or () of 1 and -1"""
    a, b = same_shape("cosine_embedding_loss", a, b)
    y = as_tensor(target)
    if not a.ndim or tuple(y.shape) != a.shape[:-1]:
        raise ShapeError(
            f"cosine_embedding_loss: inputs have shape {tuple(a.shape)}, target {tuple(y.shape)}; needed is "
            f"one 1 or -1 for each row: {tuple(a.shape[:-1])}."
        )
    eps = 1e-12  # under the root, as in PyTorch: a row of zeros has the cosine 0
    product = ((a * a).sum(-1) + eps) * ((b * b).sum(-1) + eps)
    cosine = (a * b).sum(-1) / product.sqrt()
    losses = F.where(y == 1, 1.0 - cosine, F.where(y == -1, _positive(cosine - margin), 0.0))
    return reduce(losses, reduction)


def pairwise_distance(a: Tensor, b: Tensor, p: float = 2.0, eps: float = 1e-6) -> Tensor:
    """(sum |a - b + eps|^p)^(1/p) over the last axis; eps keeps the root's gradient finite."""
    a, b = same_shape("pairwise_distance", a, b)
    d = a - b + eps
    if p == 2:
        return (d * d).sum(-1).sqrt()
    if p == 1:
        return d.abs().sum(-1)
    if not p > 0:
        raise OptionError(f"pairwise_distance: p must be above 0; got {p!r}.")
    return (d.abs() ** p).sum(-1) ** (1.0 / p)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    reduction: str = "mean",
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the distance of norm p.

    anchor, positive, negative  (..., D), one shape
    swap  the negative's distance is the nearer of those to anchor and to positive. Balntas et al. (2016)

    Schroff et al. (2015), eq. 1 with the distance in the place of its square."""
    for other in (positive, negative):
        same_shape("triplet_margin_loss", anchor, other)
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = F.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduce(_positive(margin + near - far), reduction)


# ---- modules


class _MarginLoss(Loss):
    def __init__(self, margin: float, reduction: str):
        super().__init__(reduction)
        self.margin = float(margin)


class HingeLoss(_MarginLoss):
    """hinge_loss as a module."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean"):
        super().__init__(margin, reduction)

    def forward(self, scores, target):
        return hinge_loss(scores, target, self.reduction, self.margin)


class HingeEmbeddingLoss(_MarginLoss):
    """hinge_embedding_loss as a module."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean"):
        super().__init__(margin, reduction)

    def forward(self, distances, target):
        return hinge_embedding_loss(distances, target, self.reduction, self.margin)


class MarginRankingLoss(_MarginLoss):
    """margin_ranking_loss as a module."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean"):
        super().__init__(margin, reduction)

    def forward(self, first, second, target):
        return margin_ranking_loss(first, second, target, self.reduction, self.margin)


class MultiMarginLoss(_MarginLoss):
    """multi_margin_loss as a module; `weight` is a buffer."""

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        reduction: str = "mean",
    ):
        super().__init__(margin, reduction)
        self.p = p
        self.weight = None if weight is None else as_tensor(weight)

    def forward(self, scores, targets):
        return multi_margin_loss(
            scores, targets, self.reduction, self.p, self.margin, weight=self.weight
        )


class CosineEmbeddingLoss(_MarginLoss):
    """cosine_embedding_loss as a module."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean"):
        super().__init__(margin, reduction)

    def forward(self, a, b, target):
        return cosine_embedding_loss(a, b, target, self.reduction, self.margin)


class TripletMarginLoss(_MarginLoss):
    """triplet_margin_loss as a module."""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
    ):
        super().__init__(margin, reduction)
        self.p, self.eps, self.swap = float(p), float(eps), bool(swap)

    def forward(self, anchor, positive, negative):
        return triplet_margin_loss(
            anchor, positive, negative, self.reduction, self.margin, self.p, self.eps, self.swap
        )
