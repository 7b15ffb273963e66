"""Pooling layers: the largest value or the mean of windows, of bins, or of all places.

MaxPool, AvgPool, AdaptiveMaxPool and AdaptiveAvgPool, each 1d (N, L, C), 2d (N, H, W, C) and
3d (N, D, H, W, C); GlobalMaxPool and GlobalAvgPool for any of them. Channels stay apart."""

from typing import Any

import numpy as np

from ..base.errors import OptionError
from ..tensor.convolution import (
    Sizes,
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    check_half,
    check_images,
    each,
    global_avg_pool,
    global_max_pool,
    max_pool,
)
from ..tensor.tensor import Tensor
from .conv import plain
from .module import Module


class _Pool(Module):
    """What windows of both kinds share."""

    n_places = 0

    def _options(self, kernel_size, stride, padding, dilation, ceil_mode) -> None:
        kind, d = type(self).__name__, self.n_places
        self.kernel_size = each(kind, "kernel_size", kernel_size, d, 1)
        self.stride = self.kernel_size if stride is None else each(kind, "stride", stride, d, 1)
        self.padding = each(kind, "padding", padding, d, 0)
        self.dilation = each(kind, "dilation", dilation, d, 1)
        self.ceil_mode = bool(ceil_mode)
        check_half(kind, self.padding, self.kernel_size, self.dilation)

    @property
    def _name(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "kernel_size": plain(self.kernel_size),
            "stride": plain(self.stride),
            "padding": plain(self.padding),
            "ceil_mode": self.ceil_mode,
        }

    def extra_repr(self) -> str:
        usual = {"stride": plain(self.kernel_size), "padding": 0, "dilation": 1, "ceil_mode": False}
        usual["count_include_pad"] = True
        return ", ".join(f"{k}={v!r}" for k, v in self.config().items() if v != usual.get(k))


class _MaxPool(_Pool):
    """The largest value under each window; its gradient goes to that value, evenly to several equal ones.

    x            (N, places.., C)
    kernel_size, stride, padding, dilation  one number, or one for each axis of places
    stride       the kernel's size when left out
    padding      of -inf, at most half of the kernel
    ceil_mode    a last window may reach over the end
    returns      (N, P.., C), P = (places + 2 padding - dilation (k - 1) - 1) // stride + 1"""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        ceil_mode: bool = False,
    ):
        self._options(kernel_size, stride, padding, dilation, ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        check_images(self._name, x.shape, self.n_places)
        return max_pool(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            name=self._name,
        )

    def config(self) -> dict:
        return {**super().config(), "dilation": plain(self.dilation)}


class MaxPool1d(_MaxPool):
    __doc__ = _MaxPool.__doc__
    n_places = 1


class MaxPool2d(_MaxPool):
    __doc__ = _MaxPool.__doc__
    n_places = 2


class MaxPool3d(_MaxPool):
    __doc__ = _MaxPool.__doc__
    n_places = 3


class _AvgPool(_Pool):
    """The mean under each window.

    x            (N, places.., C)
    kernel_size, stride, padding  one number, or one for each axis of places
    stride       the kernel's size when left out
    padding      of zeros, at most half of the kernel
    ceil_mode    a last window may reach over the end
    count_include_pad  whether the padding's zeros count as values
    returns      (N, P.., C), P = (places + 2 padding - k) // stride + 1"""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self._options(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    def forward(self, x: Tensor) -> Tensor:
        check_images(self._name, x.shape, self.n_places)
        return avg_pool(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            name=self._name,
        )

    def config(self) -> dict:
        return {**super().config(), "count_include_pad": self.count_include_pad}


class AvgPool1d(_AvgPool):
    __doc__ = _AvgPool.__doc__
    n_places = 1


class AvgPool2d(_AvgPool):
    __doc__ = _AvgPool.__doc__
    n_places = 2


class AvgPool3d(_AvgPool):
    __doc__ = _AvgPool.__doc__
    n_places = 3


class _AdaptivePool(Module):
    """What bins of both kinds share."""

    n_places = 0

    def __init__(self, output_size: Any):
        d = self.n_places
        listed = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * d
        if len(listed) != d or any(
            v is not None and (isinstance(v, bool) or not isinstance(v, (int, np.integer)) or v < 1)
            for v in listed
        ):
            raise OptionError(
                f"{type(self).__name__}: output_size is a whole number of 1 or more, None (as it is), or {d} "
                f"of these; got {output_size!r}."
            )
        self.output_size = tuple(None if v is None else int(v) for v in listed)

    @property
    def _name(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {"output_size": plain(self.output_size)}

    def extra_repr(self) -> str:
        return str(plain(self.output_size))


class _AdaptiveMaxPool(_AdaptivePool):
    """The largest value of each of output_size bins, whatever the size of the input.

    x            (N, places.., C)
    output_size  bins of each axis, one number or one for each; None keeps the axis
    returns      (N, output_size.., C); bin i of m over n places is floor(i n / m) to ceil((i + 1) n / m)"""

    def forward(self, x: Tensor) -> Tensor:
        check_images(self._name, x.shape, self.n_places)
        return adaptive_max_pool(x, self.output_size, name=self._name)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    __doc__ = _AdaptiveMaxPool.__doc__
    n_places = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    __doc__ = _AdaptiveMaxPool.__doc__
    n_places = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    __doc__ = _AdaptiveMaxPool.__doc__
    n_places = 3


class _AdaptiveAvgPool(_AdaptivePool):
    """The mean of each of output_size bins, whatever the size of the input.

    x            (N, places.., C)
    output_size  bins of each axis, one number or one for each; None keeps the axis
    returns      (N, output_size.., C); bin i of m over n places is floor(i n / m) to ceil((i + 1) n / m)"""

    def forward(self, x: Tensor) -> Tensor:
        check_images(self._name, x.shape, self.n_places)
        return adaptive_avg_pool(x, self.output_size, name=self._name)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    __doc__ = _AdaptiveAvgPool.__doc__
    n_places = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    __doc__ = _AdaptiveAvgPool.__doc__
    n_places = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    __doc__ = _AdaptiveAvgPool.__doc__
    n_places = 3


class _GlobalPool(Module):
    def __init__(self, keepdims: bool = False):
        self.keepdims = bool(keepdims)

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {"keepdims": self.keepdims}

    def extra_repr(self) -> str:
        return "keepdims=True" if self.keepdims else ""


class GlobalAvgPool(_GlobalPool):
    """The mean of each channel over all places: (N, places.., C) -> (N, C), or (N, 1.., C) with keepdims.

    Lin et al. (2013), "Network in network", section 3.2: in the place of dense layers at the end."""

    def forward(self, x: Tensor) -> Tensor:
        return global_avg_pool(x, self.keepdims)


class GlobalMaxPool(_GlobalPool):
    """The largest value of each channel: (N, places.., C) -> (N, C), or (N, 1.., C) with keepdims."""

    def forward(self, x: Tensor) -> Tensor:
        return global_max_pool(x, self.keepdims)
