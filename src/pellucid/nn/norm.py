"""Normalisation: values with mean 0 and variance 1 over some axes, then a learned scale and shift.

             mean and variance over        for
BatchNorm    batch and places              convolutions; remembers running statistics for prediction
LayerNorm    the last axes of a sample     Transformers
RMSNorm      the same, without the mean
GroupNorm    places and a group's channels small batches
InstanceNorm places                        style

N batch, L or H W or D H W places, C channels, last"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.convolution import check_images, each
from ..tensor.tensor import Tensor, assign
from .module import Module


def _parameter(value: float, shape: tuple[int, ...], is_there: bool, dtype) -> Tensor | None:
    numpy_dtype = dtypes.of(dtype).numpy
    return Tensor.parameter(np.full(shape, value, numpy_dtype)) if is_there else None


def _buffer(value: float, shape: tuple[int, ...], is_there: bool, dtype) -> Tensor | None:
    return Tensor(np.full(shape, value, dtypes.of(dtype).numpy)) if is_there else None


def _check_eps(kind: str, eps: float) -> float:
    if not 0.0 <= eps < 1e10:
        raise OptionError(f"{kind}: eps is added to the variance: 0 or more, as 1e-5; got {eps!r}.")
    return float(eps)


def _centred(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """x - mean, the mean and the variance over `axes`, in two passes: no cancellation."""
    mean = x.mean(axes, keepdims=True)
    d = x - mean
    return d, mean, (d * d).mean(axes, keepdims=True)


class _RunningNorm(Module):
    """Options, parameters and running statistics of batch and instance norm."""

    n_places: tuple[int, ...] = ()  # numbers of spatial axes that it takes
    running_mean: Any  # Tensors, or None without tracking
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        dtype,
    ):
        kind = type(self).__name__
        (self.num_features,) = each(kind, "num_features", num_features, 1, 1)
        self.eps = _check_eps(kind, eps)
        is_mean = momentum is None and isinstance(self, _BatchNorm)
        if not is_mean and (momentum is None or not 0.0 <= momentum <= 1.0):
            raise OptionError(
                f"{kind}: momentum is the share of the newest batch in the running statistics, 0 to 1"
                f"{', or None for the mean of all' * isinstance(self, _BatchNorm)}; got {momentum!r}."
            )
        self.momentum = momentum
        self.affine, self.track_running_stats = bool(affine), bool(track_running_stats)
        shape = (self.num_features,)
        self.weight = _parameter(1.0, shape, self.affine, dtype)
        self.bias = _parameter(0.0, shape, self.affine, dtype)
        self.running_mean = _buffer(0.0, shape, self.track_running_stats, dtype)
        self.running_var = _buffer(1.0, shape, self.track_running_stats, dtype)
        self.num_batches_tracked = _buffer(0, (), self.track_running_stats, dtypes.int64)

    def _check(self, x: Tensor) -> None:
        name = f"{type(self).__name__}({self.num_features})"
        if 0 in self.n_places and x.ndim == 2:  # (N, C)
            if x.shape[1] != self.num_features:
                raise ShapeError(
                    f"{name} got shape {x.shape}: its last axis must be {self.num_features} features. For "
                    f"{x.shape[1]} use {type(self).__name__}({x.shape[1]})."
                )
            return
        check_images(name, x.shape, self.n_places[-1], self.num_features)

    def _remember(self, mean: Tensor, var: Tensor, n: int) -> None:
        """running = (1 - momentum) running + momentum new; `var` over n values, stored unbiased."""
        count = self.num_batches_tracked + 1
        share = 1.0 / count.astype(mean.dtype) if self.momentum is None else self.momentum
        pairs = [
            (old, old + share * (new - old))
            for old, new in (
                (self.running_mean, mean),
                (self.running_var, var * (n / (n - 1))),
            )
        ]
        # PyTorch's instance norm has the number too, and leaves it at 0.
        if isinstance(self, _BatchNorm):
            pairs.append((self.num_batches_tracked, count))
        assign(*pairs)

    def _from_memory(self, x: Tensor) -> Tensor:
        """With the running statistics: a fixed scale and shift of each channel."""
        scale = (self.running_var + self.eps).rsqrt()
        if self.weight is not None:
            scale = self.weight * scale
        y = (x - self.running_mean) * scale
        return y if self.bias is None else y + self.bias

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "num_features": self.num_features,
            "eps": self.eps,
            "momentum": self.momentum,
            "affine": self.affine,
            "track_running_stats": self.track_running_stats,
        }

    def extra_repr(self) -> str:
        usual = {"eps": 1e-5, "momentum": 0.1} | {
            "affine": not isinstance(self, _InstanceNorm),
            "track_running_stats": not isinstance(self, _InstanceNorm),
        }
        given = {k: v for k, v in self.config().items() if k in usual and v != usual[k]}
        return ", ".join([str(self.num_features), *(f"{k}={v!r}" for k, v in given.items())])


class _BatchNorm(_RunningNorm):
    """(x - mean) / sqrt(variance + eps) · weight + bias, mean and variance of each channel over the batch
    and all places. Ioffe and Szegedy (2015), algorithm 1.

    x                (N, places.., C) with C = num_features; BatchNorm1d also takes (N, C)
    weight, bias     (C,), begin at 1 and 0; absent with affine=False
    momentum         share of the newest batch in running_mean and running_var (unbiased); None: the mean
                     of all batches
    track_running_stats  False: the batch's own statistics in prediction too

    In training the statistics are the batch's; in prediction (`eval()`) the running ones, so each sample's
    output is its own. Raises ShapeError for a batch with one value per channel, whose variance is 0.

    One pass: with d = x - the first row, mean = mean(d) and variance = mean(d^2) - mean(d)^2. The shift
    keeps a large mean from cancelling (Chan et al. 1983, section 3)."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype=dtypes.float32,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        if not self.training and self.track_running_stats:
            return self._from_memory(x)
        n = prod(x.shape[:-1])
        if n < 2:
            raise ShapeError(
                f"{type(self).__name__}({self.num_features}) got shape {x.shape}: values of each channel: {n}, and "
                f"a variance needs 2. Use batches of 2 or more (drop a last batch of 1), or eval() to predict."
            )
        axes = tuple(range(x.ndim - 1))
        shift = x[(0,) * (x.ndim - 1)].detach()
        d = x - shift
        mean = d.mean(axes)
        var = F.maximum((d * d).mean(axes) - mean * mean, 0.0)
        if self.training and self.track_running_stats:
            self._remember(mean + shift, var, n)
        scale = (var + self.eps).rsqrt()
        if self.weight is not None:
            scale = self.weight * scale
        y = (d - mean) * scale
        return y if self.bias is None else y + self.bias


class BatchNorm1d(_BatchNorm):
    __doc__ = _BatchNorm.__doc__
    n_places = (0, 1)


class BatchNorm2d(_BatchNorm):
    __doc__ = _BatchNorm.__doc__
    n_places = (2,)


class BatchNorm3d(_BatchNorm):
    __doc__ = _BatchNorm.__doc__
    n_places = (3,)


class _InstanceNorm(_RunningNorm):
    """As batch norm, but each sample by itself: mean and variance over its places.
    Ulyanov et al. (2016), eq. 1.

    x                (N, places.., C) with C = num_features
    weight, bias     (C,), only with affine=True
    track_running_stats  True: running means of the statistics, which prediction then uses

    Raises ShapeError for one place only, whose variance is 0."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        dtype=dtypes.float32,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        if not self.training and self.track_running_stats:
            return self._from_memory(x)
        n = prod(x.shape[1:-1])
        if n < 2:
            raise ShapeError(
                f"{type(self).__name__}({self.num_features}) got shape {x.shape}: a sample has {n} places, which have "
                f"no variance. Use larger inputs, or LayerNorm."
            )
        d, mean, var = _centred(x, tuple(range(1, x.ndim - 1)))
        if self.training and self.track_running_stats:
            over = tuple(range(x.ndim - 1))
            self._remember(mean.mean(over), var.mean(over), n)
        y = d * (var + self.eps).rsqrt()
        return y if self.weight is None else y * self.weight + self.bias


class InstanceNorm1d(_InstanceNorm):
    __doc__ = _InstanceNorm.__doc__
    n_places = (1,)


class InstanceNorm2d(_InstanceNorm):
    __doc__ = _InstanceNorm.__doc__
    n_places = (2,)


class InstanceNorm3d(_InstanceNorm):
    __doc__ = _InstanceNorm.__doc__
    n_places = (3,)


class _RowNorm(Module):
    """What layer and RMS norm share: the last axes, by their sizes."""

    normalized_shape: tuple[int, ...]

    def _rows(self, normalized_shape: int | Sequence[int]) -> None:
        kind = type(self).__name__
        sizes = normalized_shape
        listed = tuple(sizes) if isinstance(sizes, (tuple, list)) else (sizes,)
        if not listed:
            raise OptionError(f"{kind}: normalized_shape names no axis; give at least one size.")
        self.normalized_shape = tuple(each(kind, "normalized_shape", v, 1, 1)[0] for v in listed)

    def _axes(self, x: Tensor) -> tuple[int, ...]:
        n = len(self.normalized_shape)
        if x.shape[-n:] != self.normalized_shape:
            raise ShapeError(
                f"{type(self).__name__}({self._sizes}) got shape {x.shape}: its last {n} axes must be "
                f"{self.normalized_shape}. For this input use {type(self).__name__}({x.shape[-n:]})."
                if n > 1
                else f"{type(self).__name__}({self._sizes}) got shape {x.shape}: its last axis must be {self._sizes}. "
                f"For {x.shape[-1] if x.ndim else 1} features use "
                f"{type(self).__name__}({x.shape[-1] if x.ndim else 1})."
            )
        return tuple(range(x.ndim - n, x.ndim))

    @property
    def _sizes(self):
        sizes = self.normalized_shape
        return sizes[0] if len(sizes) == 1 else list(sizes)


class LayerNorm(_RowNorm):
    """(x - mean) / sqrt(variance + eps) · weight + bias over the last axes of each sample.
    Ba et al. (2016), eq. 4.

    x                 (..., *normalized_shape)
    normalized_shape  sizes of the last axes; one number for the last axis
    weight, bias      of that shape, begin at 1 and 0; absent with elementwise_affine=False, the second with
                      bias=False

    Statistics take two passes over a row that is in cache. Weights of several axes are stored in the
    order of the axes here, which for images is not PyTorch's (C, H, W)."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype=dtypes.float32,
    ):
        self._rows(normalized_shape)
        self.eps = _check_eps("LayerNorm", eps)
        self.weight = _parameter(1.0, self.normalized_shape, elementwise_affine, dtype)
        self.bias = _parameter(0.0, self.normalized_shape, elementwise_affine and bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        d, _, var = _centred(x, self._axes(x))
        y = d * (var + self.eps).rsqrt()
        if self.weight is not None:
            y = y * self.weight
        return y if self.bias is None else y + self.bias

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "normalized_shape": self._sizes,
            "eps": self.eps,
            "elementwise_affine": self.weight is not None,
            "bias": self.bias is not None,
        }

    def extra_repr(self) -> str:
        parts = [str(self._sizes)] + ([f"eps={self.eps:g}"] if self.eps != 1e-5 else [])
        if self.bias is None:
            parts.append("no bias" if self.weight is not None else "no parameters")
        return ", ".join(parts)


class RMSNorm(_RowNorm):
    """x / sqrt(mean(x^2) + eps) · weight over the last axes: layer norm without the mean.
    Zhang and Sennrich (2019), eq. 4.

    x        (..., *normalized_shape)
    weight   of that shape, begins at 1; absent with elementwise_affine=False
    eps      the dtype's own when left out: 1.2e-7 for float32"""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype=dtypes.float32,
    ):
        self._rows(normalized_shape)
        self.eps = None if eps is None else _check_eps("RMSNorm", eps)
        self.weight = _parameter(1.0, self.normalized_shape, elementwise_affine, dtype)

    def forward(self, x: Tensor) -> Tensor:
        axes = self._axes(x)
        eps = float(np.finfo(x.dtype.numpy).eps) if self.eps is None else self.eps
        y = x * ((x * x).mean(axes, keepdims=True) + eps).rsqrt()
        return y if self.weight is None else y * self.weight

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "normalized_shape": self._sizes,
            "eps": self.eps,
            "elementwise_affine": self.weight is not None,
        }

    def extra_repr(self) -> str:
        parts = [str(self._sizes)] + ([f"eps={self.eps:g}"] if self.eps is not None else [])
        return ", ".join(parts + (["no parameters"] if self.weight is None else []))


class GroupNorm(Module):
    """As layer norm, over the places and the channels of each group. Wu and He (2018), section 3.1.

    x             (N, places.., C) with C = num_channels, or (N, C)
    num_groups    groups of num_channels / num_groups neighbouring channels
    weight, bias  (C,), begin at 1 and 0; absent with affine=False"""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype=dtypes.float32,
    ):
        (self.num_groups,) = each("GroupNorm", "num_groups", num_groups, 1, 1)
        (self.num_channels,) = each("GroupNorm", "num_channels", num_channels, 1, 1)
        if self.num_channels % self.num_groups:
            fits = [g for g in range(1, self.num_channels + 1) if self.num_channels % g == 0]
            raise OptionError(
                f"GroupNorm: {self.num_groups} groups do not divide {self.num_channels} channels. num_groups may be "
                f"{', '.join(map(str, fits[:8]))}{', ..' * (len(fits) > 8)}."
            )
        self.eps = _check_eps("GroupNorm", eps)
        self.weight = _parameter(1.0, (self.num_channels,), affine, dtype)
        self.bias = _parameter(0.0, (self.num_channels,), affine, dtype)

    def forward(self, x: Tensor) -> Tensor:
        name = f"GroupNorm({self.num_groups}, {self.num_channels})"
        if x.ndim != 2 or x.shape[1] != self.num_channels:
            check_images(name, x.shape, min(max(x.ndim - 2, 1), 3), self.num_channels)
        d = x - self._group_means(x)
        y = d * (self._group_means(d * d) + self.eps).rsqrt()
        return y if self.weight is None else y * self.weight + self.bias

    def _group_means(self, x: Tensor) -> Tensor:
        """(N, 1.., C): of each channel first, along the channels as they lie, then of each group's."""
        n = self.num_channels // self.num_groups
        means = x.mean(tuple(range(1, x.ndim - 1))) if x.ndim > 2 else x
        means = means.reshape((x.shape[0], self.num_groups, n)).mean(-1)
        return F.repeat(means, n, -1).reshape((x.shape[0], *(1,) * (x.ndim - 2), self.num_channels))

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "num_groups": self.num_groups,
            "num_channels": self.num_channels,
            "eps": self.eps,
            "affine": self.weight is not None,
        }

    def extra_repr(self) -> str:
        parts = [f"{self.num_groups} groups", f"{self.num_channels} channels"]
        return ", ".join(parts + ([f"eps={self.eps:g}"] if self.eps != 1e-5 else []))
