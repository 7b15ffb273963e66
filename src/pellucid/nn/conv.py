"""Convolutional layers: Conv1d, Conv2d, Conv3d and their adjoints ConvTranspose1d, ..2d, ..3d.

Each is a layer around one function of tensor/convolution.py. Arguments have PyTorch's names and defaults;
the input is channels last, and the weight (k.., in, out), which the contraction reads as it lies.

N batch, L or H W or D H W places, C channels, k.. kernel sizes"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from ..base import dtypes
from ..tensor.convolution import (
    Padding,
    Sizes,
    check_groups,
    check_output_padding,
    check_padding,
    conv,
    conv_transpose,
    each,
)
from ..tensor.tensor import Tensor
from . import init as initial
from .module import Module

# scheme -> (shape, fan_in, fan_out, dtype) -> weight of that shape
SCHEMES: dict[str, Callable[..., np.ndarray]] = {
    "torch": lambda shape, fan_in, fan_out, dtype: initial.torch_conv(shape, fan_in, dtype),
    "zeros": lambda shape, fan_in, fan_out, dtype: initial.zeros(shape, dtype),
    "normal": lambda shape, fan_in, fan_out, dtype: initial.normal(shape, 0.01, dtype),
    "he": lambda shape, fan_in, fan_out, dtype: initial.kaiming_uniform(shape, fan_in, dtype=dtype),
    "he_normal": lambda shape, fan_in, fan_out, dtype: initial.kaiming_normal(
        shape, fan_in, dtype=dtype
    ),
    "glorot": lambda shape, fan_in, fan_out, dtype: initial.xavier_uniform(
        shape, fan_in, fan_out, dtype=dtype
    ),
    "glorot_normal": lambda shape, fan_in, fan_out, dtype: initial.xavier_normal(
        shape, fan_in, fan_out, dtype=dtype
    ),
    "orthogonal": lambda shape, fan_in, fan_out, dtype: initial.orthogonal(shape, 1.0, dtype),
}


def plain(sizes: Any) -> Any:
    """One number where all are equal, a list otherwise: how records and reprs show sizes."""
    if not isinstance(sizes, tuple):
        return sizes
    return sizes[0] if len(set(sizes)) == 1 else list(sizes)


class _Convolution(Module):
    """What both directions share: checked options, weight and bias."""

    n_places = 0
    padding: Any  # a word, or numbers

    def _options(self, in_channels, out_channels, kernel_size, stride, dilation, groups) -> None:
        kind, d = type(self).__name__, self.n_places
        (self.in_channels,) = each(kind, "in_channels", in_channels, 1, 1)
        (self.out_channels,) = each(kind, "out_channels", out_channels, 1, 1)
        self.kernel_size = each(kind, "kernel_size", kernel_size, d, 1)
        self.stride = each(kind, "stride", stride, d, 1)
        self.dilation = each(kind, "dilation", dilation, d, 1)
        (self.groups,) = each(kind, "groups", groups, 1, 1)
        check_groups(kind, self.in_channels, self.out_channels, self.groups)

    def _parameters(self, pair: tuple[int, int], n_read: int, bias: bool, init: str, dtype) -> None:
        """The weight (k.., *pair) and the bias; n_read channels are what PyTorch counts as fan-in."""
        n_kernel = prod(self.kernel_size)
        fan_in = n_kernel * n_read
        make = SCHEMES[initial.nearest(init, SCHEMES, "initialisation")]
        shape = (*self.kernel_size, *pair)
        self.weight = Tensor.parameter(make(shape, fan_in, n_kernel * self.out_channels, dtype))
        self.bias = (
            Tensor.parameter(initial.bias(init, fan_in, self.out_channels, dtype)) if bias else None
        )

    @property
    def _name(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "kernel_size": plain(self.kernel_size),
            "stride": plain(self.stride),
            "padding": plain(self.padding),
            "dilation": plain(self.dilation),
            "groups": self.groups,
            "bias": self.bias is not None,
        }

    def extra_repr(self) -> str:
        shown = {k: v for k, v in self.config().items() if k not in ("in_channels", "out_channels")}
        usual = {
            "stride": 1,
            "padding": 0,
            "output_padding": 0,
            "dilation": 1,
            "groups": 1,
            "bias": True,
        }
        parts = [f"{self.in_channels} -> {self.out_channels}"]
        parts += [f"{k}={v!r}" for k, v in shown.items() if v != usual.get(k)]
        return ", ".join(parts)


class _Conv(_Convolution):
    """Each output is a weighted sum of what a small kernel sees, the same weights at every place.

    x             (N, places.., in_channels)
    weight        (k.., in_channels / groups, out_channels); PyTorch's is (out, in, k..)
    bias          (out_channels,); absent with bias=False
    kernel_size, stride, dilation  one number, or one for each axis of places
    padding       zeros at both ends; 'valid': none; 'same': the size stays (needs stride 1)
    groups        groups of channels that do not see each other; in_channels of them is depthwise
    init          'torch' as PyTorch begins, or he, glorot, .., normal, orthogonal, zeros (bias 0)
    returns       (N, P.., out_channels), P = (places + 2 padding - dilation (k - 1) - 1) // stride + 1

    LeCun et al. (1989); Goodfellow et al. (2016), chapter 9. Raises OptionError for options that cannot
    be, ShapeError for an input without these axes or smaller than the kernel."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        init: str = "torch",
        dtype=dtypes.float32,
    ):
        self._options(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = check_padding(type(self).__name__, padding, self.kernel_size, self.stride)
        n_read = self.in_channels // self.groups
        self._parameters((n_read, self.out_channels), n_read, bias, init, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return conv(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            name=self._name,
        )


class Conv1d(_Conv):
    __doc__ = _Conv.__doc__
    n_places = 1
    layouts: Mapping = {"weight": (2, 1, 0)}


class Conv2d(_Conv):
    __doc__ = _Conv.__doc__
    n_places = 2
    layouts: Mapping = {"weight": (3, 2, 0, 1)}


class Conv3d(_Conv):
    __doc__ = _Conv.__doc__
    n_places = 3
    layouts: Mapping = {"weight": (4, 3, 0, 1, 2)}


class _ConvTranspose(_Convolution):
    """The adjoint of a convolution: each value writes a scaled kernel into a larger output.

    x               (N, places.., in_channels)
    weight          (k.., in_channels, out_channels / groups); PyTorch's is (in, out, k..)
    bias            (out_channels,); absent with bias=False
    padding         places that are cut off at both ends
    output_padding  places more at the far end, below the stride
    returns         (N, P.., out_channels),
                    P = (places - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1

    Also called deconvolution: Zeiler et al. (2010); Dumoulin and Visin (2016), chapter 4. With kernel 4,
    stride 2, padding 1 the size doubles and every output sees equally many inputs."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        init: str = "torch",
        dtype=dtypes.float32,
    ):
        self._options(in_channels, out_channels, kernel_size, stride, dilation, groups)
        kind = type(self).__name__
        self.padding = each(kind, "padding", padding, self.n_places, 0)
        self.output_padding = check_output_padding(kind, output_padding, self.stride, self.dilation)
        n_written = self.out_channels // self.groups
        # As PyTorch: its fan-in of this weight counts the outputs.
        self._parameters((self.in_channels, n_written), n_written, bias, init, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
            name=self._name,
        )

    def config(self) -> dict:
        return {**super().config(), "output_padding": plain(self.output_padding)}


class ConvTranspose1d(_ConvTranspose):
    __doc__ = _ConvTranspose.__doc__
    n_places = 1
    layouts: Mapping = {"weight": (1, 2, 0)}


class ConvTranspose2d(_ConvTranspose):
    __doc__ = _ConvTranspose.__doc__
    n_places = 2
    layouts: Mapping = {"weight": (2, 3, 0, 1)}


class ConvTranspose3d(_ConvTranspose):
    __doc__ = _ConvTranspose.__doc__
    n_places = 3
    layouts: Mapping = {"weight": (3, 4, 0, 1, 2)}
