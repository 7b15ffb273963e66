"""Convolution, its adjoint, pooling and resampling of sequences, images and volumes; channels last.

Nothing here copies what a kernel sees. A convolution is pad -> window per axis -> one contraction with
the weight, and the compiler walks the padded input (Georganas et al. 2020, section 3); its adjoint is
one contraction -> fold per axis -> slice. Pooling reduces over the same windows. So first and higher
derivatives are made of the same few words.

N batch, L or H W or D H W places (the spatial axes), C channels, G groups, O outputs, k.. kernel sizes
x is (N, L, C), (N, H, W, C) or (N, D, H, W, C). Sizes and options are one number, or one for each
spatial axis. Arithmetic of sizes: Dumoulin and Visin (2016), "A guide to convolution arithmetic"."""

from collections.abc import Callable, Sequence
from math import gcd
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from . import functions as F
from .contraction import contraction
from .tensor import Tensor, as_tensor, from_node

Sizes = int | Sequence[int]
Padding = str | int | Sequence[int]

PLACES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}  # names of the spatial axes

# Labels of a contraction's axes; the i-th place is PLACE + i, the i-th kernel axis KERNEL + i.
_BATCH, _PLACE, _KERNEL, _IN, _GROUP, _OUT = 0, 1, 11, 21, 22, 23

# ---- options and shapes, checked


def each(name: str, option: str, value: Any, d: int, least: int) -> tuple[int, ...]:
    """`value` once for each of d axes; whole numbers, at least `least`. OptionError otherwise."""
    listed = tuple(value) if isinstance(value, (tuple, list)) else (value,) * d
    if len(listed) != d:
        raise OptionError(
            f"{name}: {option} {value!r} has {len(listed)} numbers, but there are {d} axes "
            f"({', '.join(PLACES[d])}). Give one number, or {d}."
        )
    for v in listed:
        if isinstance(v, (bool, np.bool_)) or not isinstance(v, (int, np.integer)) or v < least:
            raise OptionError(
                f"{name}: {option} must be whole numbers of {least} or more; got {value!r}."
            )
    return tuple(int(v) for v in listed)


def check_images(name: str, shape: tuple[int, ...], d: int, channels: int | None = None) -> None:
    """ShapeError unless the shape is (N, places.., C); with `channels`, unless C is that."""
    axes = ", ".join(("N", *PLACES[d], "C"))
    if len(shape) != d + 2:
        hint = f"It has {len(shape)} axes where {d + 2} are needed."
        if len(shape) == d + 1:
            lonely = channels is not None and shape[-1] != channels and channels == 1
            hint += (
                " Give the channels an axis: x.unsqueeze(-1)."
                if lonely
                else " For one sample add the batch axis: x.unsqueeze(0)."
            )
        raise ShapeError(f"{name} got shape {shape}: the input is ({axes}), channels last. {hint}")
    if channels is None or shape[-1] == channels:
        return
    hint = ""
    if shape[1] == channels:
        order = (0, *range(2, d + 2), 1)
        hint = (
            f" Axis 1 has {channels}: channels are last here, not first as in PyTorch. "
            f"x.permute{order} puts them there."
        )
    raise ShapeError(
        f"{name} got shape {shape}: its last axis ({axes}) must be {channels} channels, and is "
        f"{shape[-1]}.{hint or f' Give the layer {shape[-1]} input channels, or x others.'}"
    )


def check_groups(name: str, n_in: int, n_out: int, groups: int) -> None:
    """OptionError unless both numbers of channels can be cut into groups."""
    for what, n in (("input", n_in), ("output", n_out)):
        if n % groups:
            near = gcd(n_in, n_out)
            fits = [g for g in range(1, near + 1) if near % g == 0]
            raise OptionError(
                f"{name}: {groups} groups do not divide {n} {what} channels. For {n_in} input and {n_out} "
                f"output channels groups may be {', '.join(map(str, fits[:8]))}{', ..' * (len(fits) > 8)}."
            )


def check_padding(name: str, padding: Any, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Any:
    """A word or numbers that a convolution can have; numbers come back one for each axis."""
    if not isinstance(padding, str):
        return each(name, "padding", padding, len(kernel), 0)
    if padding not in ("same", "valid"):
        raise OptionError(f"{name}: padding is 'same', 'valid' or numbers; got {padding!r}.")
    if padding == "same" and any(s != 1 for s in stride):
        near = tuple((k - 1) // 2 for k in kernel)
        raise OptionError(
            f"{name}: padding='same' keeps the size, which stride {stride} cannot. Use stride 1, or "
            f"padding={near}, after which each size is divided by the stride and rounded up."
        )
    return padding


def check_half(
    name: str, padding: tuple[int, ...], kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> None:
    """OptionError where a window of a pool could lie outside its input."""
    for p, k, m in zip(padding, kernel, dilation, strict=True):
        reach = m * (k - 1) + 1
        if p > reach // 2:
            raise OptionError(
                f"{name}: padding {p} is more than half of the {reach} places that kernel_size {k} reaches "
                f"over, so a window could see nothing. Use padding of {reach // 2} or less."
            )


def _check_reach(
    name: str, shape: tuple[int, ...], i: int, kernel: int, dilation: int, low: int, high: int
) -> None:
    reach, n = dilation * (kernel - 1) + 1, shape[1 + i]
    if reach <= n + low + high and n > 0:
        return
    place = PLACES[len(shape) - 2][i]
    padded = f" + {low + high} of padding" if low + high else ""
    widened = f" with dilation {dilation}" if dilation > 1 else ""
    advice = "Give larger inputs."
    if n > 0:
        fits = (n + low + high - 1) // dilation + 1
        missing = reach - n
        advice = (
            f"Use a kernel of {fits} or less, padding of {-(-missing // 2)} or more, larger inputs, or fewer "
            f"layers that shrink them."
        )
    raise ShapeError(
        f"{name} got shape {shape}: a kernel of {kernel}{widened} reaches over {reach} places, but {place} "
        f"has {n}{padded}. {advice}"
    )


def _floating(x: Any) -> Tensor:
    x = as_tensor(x)
    return x if x.dtype.kind == "f" else x.astype(dtypes.float32)


def _rank(name: str, x: Tensor) -> int:
    if not 3 <= x.ndim <= 5:
        raise ShapeError(
            f"{name} got shape {x.shape}: it takes (N, L, C), (N, H, W, C) or (N, D, H, W, C), channels last."
        )
    return x.ndim - 2


def _windows(x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]):
    """(N, places.., rest..) -> (N, P1, k1, P2, k2, .., rest..)."""
    for i, (k, s, m) in enumerate(zip(kernel, stride, dilation, strict=True)):
        x = F.window(x, 1 + 2 * i, k, s, m)
    return x


def _surround(x: Tensor, pairs: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Padded along its places; x itself where nothing is to be added."""
    if not any(w for pair in pairs for w in pair):
        return x
    rest = x.ndim - 1 - len(pairs)
    return F.pad(x, ((0, 0), *pairs, *((0, 0),) * rest), value)


# ---- convolution


def conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    name: str = "",
) -> Tensor:
    """out[n, p, o] = bias[o] + sum over k, c of x[n, p · stride + k · dilation - padding, c] · weight[k, c, o].

    x         (N, places.., C)
    weight    (k.., C / groups, O); each group of C / groups inputs makes O / groups outputs
    bias      (O,) or None
    padding   zeros at both ends of each axis; 'valid': none; 'same': the size stays (stride 1), the odd
              one goes behind
    name      what errors call it
    returns   (N, P.., O) with P = (places + 2 padding - dilation (k - 1) - 1) // stride + 1

    This is cross-correlation, which the field calls convolution: Goodfellow et al. (2016), eq. 9.6."""
    x, weight = as_tensor(x), as_tensor(weight)
    d = _kernel_rank("conv", name, weight)
    name = name or f"conv{d}d"
    kernel, (n_group, n_out) = weight.shape[:d], weight.shape[d:]
    stride, dilation = (
        each(name, "stride", stride, d, 1),
        each(name, "dilation", dilation, d, 1),
    )
    (groups,) = each(name, "groups", groups, 1, 1)
    ends = check_padding(name, padding, kernel, stride)
    check_images(name, x.shape, d, n_group * groups)
    check_groups(name, n_group * groups, n_out, groups)
    pairs: list[tuple[int, int]] = []
    for i in range(d):
        if isinstance(ends, str):
            total = dilation[i] * (kernel[i] - 1) if ends == "same" else 0
            pairs.append((total // 2, total - total // 2))
        else:
            pairs.append((ends[i], ends[i]))
        _check_reach(name, x.shape, i, kernel[i], dilation[i], *pairs[i])
    if groups == n_out and n_group == 1 and groups > 1:
        windows = _windows(_surround(x, pairs), kernel, stride, dilation)
        y = (windows * _beside_places(weight, d)).sum(tuple(range(2, 2 * d + 1, 2)))
        return _biased(name, y, bias)
    x, x_rest = _split_channels(x, groups)
    x = _windows(_surround(x, pairs), kernel, stride, dilation)
    places = x.shape[1 : 2 * d : 2]
    w, w_rest = _split_weight(weight, d, groups)
    x_labels = (_BATCH, *(n + i for i in range(d) for n in (_PLACE, _KERNEL)), *x_rest)
    w_labels = (*range(_KERNEL, _KERNEL + d), *w_rest)
    out = (_BATCH, *range(_PLACE, _PLACE + d), *(n for n in w_rest if n != _IN))
    y = from_node(contraction(name, x.node, x_labels, w.node, w_labels, out))
    return _biased(name, y.reshape((x.shape[0], *places, n_out)), bias)


def conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
    name: str = "",
) -> Tensor:
    """The adjoint of `conv` in x, as a layer that enlarges: every value writes a scaled kernel into the
    output, and what overlaps is added. Zeiler et al. (2010).

    x               (N, places.., C)
    weight          (k.., C, O / groups)
    bias            (O,) or None
    padding         places that are cut off at both ends of each axis
    output_padding  places more at the far end: strided convolutions of several sizes give the same one
    returns         (N, P.., O), P = (places - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1"""
    x, weight = as_tensor(x), as_tensor(weight)
    d = _kernel_rank("conv_transpose", name, weight)
    name = name or f"conv_transpose{d}d"
    kernel, (n_in, n_group) = weight.shape[:d], weight.shape[d:]
    stride, dilation = (
        each(name, "stride", stride, d, 1),
        each(name, "dilation", dilation, d, 1),
    )
    padding = each(name, "padding", padding, d, 0)
    output_padding = check_output_padding(name, output_padding, stride, dilation)
    (groups,) = each(name, "groups", groups, 1, 1)
    check_images(name, x.shape, d, n_in)
    check_groups(name, n_in, n_group * groups, groups)
    # Places before anything is cut off, the part that is kept, and zeros behind it.
    kept: list[tuple[int, int, int]] = []
    for i in range(d):
        n = x.shape[1 + i]
        full = (n - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1
        stop = full - padding[i] + output_padding[i]
        if n < 1 or stop - padding[i] < 1:
            raise ShapeError(
                f"{name} got shape {x.shape}: {PLACES[d][i]} has {n} places, from which kernel {kernel[i]} makes "
                f"{full if n else 0}, and padding {padding[i]} at both ends leaves none. Use padding of "
                f"{max(0, (full + output_padding[i] - 1) // 2)} or less."
            )
        # Up to stride - 1 places that no window reaches can be part of the fold itself.
        length = min(max(full, stop), full + stride[i] - 1)
        kept.append((length, padding[i], stop))
    if groups == n_in and n_group == 1 and groups > 1:
        spread = x.reshape((x.shape[0], *(v for n in x.shape[1:-1] for v in (n, 1)), n_in))
        y = spread * _beside_places(weight, d)
    else:
        x, x_rest = _split_channels(x, groups)
        w = weight
        w_rest: tuple[int, ...] = (_GROUP if n_in == groups > 1 else _IN, _OUT)
        if 1 < groups < n_in:
            w = weight.reshape((*kernel, groups, n_in // groups, n_group))
            w_rest = (_GROUP, _IN, _OUT)
        x_labels = (_BATCH, *range(_PLACE, _PLACE + d), *x_rest)
        w_labels = (*range(_KERNEL, _KERNEL + d), *w_rest)
        places = tuple(n + i for i in range(d) for n in (_PLACE, _KERNEL))
        out = (_BATCH, *places, *(n for n in w_rest if n != _IN))
        y = from_node(contraction(name, x.node, x_labels, w.node, w_labels, out))
    for i in reversed(range(d)):
        y = F.fold(y, 1 + 2 * i, kept[i][0], stride[i], dilation[i])
    y = y.reshape((*y.shape[: d + 1], n_group * groups))
    y = y[(slice(None), *(slice(start, stop) for _, start, stop in kept))]
    y = _surround(y, [(0, max(0, stop - max(length, start))) for length, start, stop in kept])
    return _biased(name, y, bias)


def check_output_padding(
    name: str, output_padding: Any, stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """One number for each axis, each below the stride or the dilation."""
    listed = each(name, "output_padding", output_padding, len(stride), 0)
    for o, s, m in zip(listed, stride, dilation, strict=True):
        if o >= max(s, m):
            raise OptionError(
                f"{name}: output_padding {o} must be below the stride {s} or the dilation {m}: it says which of "
                f"the sizes that a strided convolution makes equal is meant."
            )
    return listed


def _kernel_rank(what: str, name: str, weight: Tensor) -> int:
    if not 3 <= weight.ndim <= 5:
        raise ShapeError(
            f"{name or what} got a weight of shape {weight.shape}: it takes (k.., in, out) with 1, 2 or 3 "
            f"kernel axes."
        )
    for i, k in enumerate(weight.shape[:-2]):
        if k < 1:
            raise ShapeError(
                f"{name or what} got a weight of shape {weight.shape}: axis {i}, a kernel size, is 0."
            )
    return weight.ndim - 2


def _split_channels(x: Tensor, groups: int) -> tuple[Tensor, tuple[int, ...]]:
    """Channels as (G, C / G), without the second where it is 1: depthwise. And the labels."""
    c = x.shape[-1]
    if groups == 1:
        return x, (_IN,)
    if c == groups:
        return x, (_GROUP,)
    return x.reshape((*x.shape[:-1], groups, c // groups)), (_GROUP, _IN)


def _split_weight(weight: Tensor, d: int, groups: int) -> tuple[Tensor, tuple[int, ...]]:
    """(k.., C / G, O) as (k.., C / G, G, O / G), without a C / G of 1. And the labels."""
    kernel, (c, n_out) = weight.shape[:d], weight.shape[d:]
    if groups == 1:
        return weight, (_IN, _OUT)
    if c == 1:
        return weight.reshape((*kernel, groups, n_out // groups)), (_GROUP, _OUT)
    return weight.reshape((*kernel, c, groups, n_out // groups)), (_IN, _GROUP, _OUT)


def _beside_places(weight: Tensor, d: int) -> Tensor:
    """A depthwise weight as (k1, 1, k2, .., C), beside windows (N, P1, k1, P2, k2, .., C).

    Where every channel is its own group nothing is summed over channels: a product of elements and a
    sum over the kernel run along the channels, 16 at a time, which a contraction per group does not."""
    sizes = [v for k in weight.shape[:d] for v in (k, 1)][:-1]
    return weight.reshape((*sizes, weight.shape[-2] * weight.shape[-1]))


def _biased(name: str, y: Tensor, bias: Any) -> Tensor:
    if bias is None:
        return y
    bias = as_tensor(bias)
    if bias.shape != y.shape[-1:]:
        raise ShapeError(
            f"{name} got a bias of shape {bias.shape}; for {y.shape[-1]} output channels it is ({y.shape[-1]},)."
        )
    return y + bias


# ---- pooling


def max_pool(
    x: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    name: str = "",
) -> Tensor:
    """The largest value under each window; the gradient goes to the first of them, as in PyTorch.

    x          (N, places.., C)
    stride     the kernel's size when left out
    padding    of -inf: it never wins. At most half of the kernel
    ceil_mode  a last window may reach over the end, when it begins in the input or in the padding before"""
    x = _floating(x)
    d = _rank(name or "max_pool", x)
    name = name or f"max_pool{d}d"
    windows, _ = _pooled(name, x, kernel_size, stride, padding, dilation, ceil_mode, -np.inf)
    axes = tuple(range(2, 2 * d + 1, 2))
    largest = windows.max(axes, keepdims=True)
    # The gradient alone needs to know which element of a window is its first largest one.
    number, count = F.zeros((), "int32"), 1
    for axis in axes:
        n = windows.shape[axis]
        place = F.arange(n, dtype="int32").reshape((n,) + (1,) * (windows.ndim - 1 - axis))
        number, count = number * n + place, count * n
    first = F.where(windows == largest, number, count).min(axes, keepdims=True)
    chosen = F.where(first == number, windows, 0.0).sum(axes)
    return F.surrogate(largest.reshape(chosen.shape), chosen)


def avg_pool(
    x: Any,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    name: str = "",
) -> Tensor:
    """The mean under each window. Arguments as `max_pool`.

    count_include_pad  whether the zeros of the padding count as values; those that only ceil_mode adds
                       never do"""
    x = _floating(x)
    d = _rank(name or "avg_pool", x)
    name = name or f"avg_pool{d}d"
    windows, axes = _pooled(name, x, kernel_size, stride, padding, 1, ceil_mode, 0.0)
    total = windows.sum(tuple(range(2, 2 * d + 1, 2)))
    divisor: Any = 1
    for i, (n_out, k, s, p) in enumerate(axes):
        n = x.shape[1 + i]
        low, high = (-p, n + p) if count_include_pad else (0, n)
        ends = [(max(j * s - p, low), min(j * s - p + k, high)) for j in range(n_out)]
        if all(stop - start == k for start, stop in ends):
            divisor = divisor * k
            continue
        start = F.arange(n_out) * s - p
        count = F.minimum(start + k, high) - F.maximum(start, low)
        divisor = divisor * count.astype(x.dtype).reshape((n_out, *(1,) * (d - i)))
    return total / divisor


def _pooled(name, x, kernel_size, stride, padding, dilation, ceil_mode, fill):
    """The windows, and (windows, kernel, stride, padding) of each axis. PyTorch's pooling_output_shape."""
    d = x.ndim - 2
    kernel = each(name, "kernel_size", kernel_size, d, 1)
    stride = kernel if stride is None else each(name, "stride", stride, d, 1)
    padding = each(name, "padding", padding, d, 0)
    dilation = each(name, "dilation", dilation, d, 1)
    check_half(name, padding, kernel, dilation)
    axes, pairs = [], []
    for i, (k, s, p, m) in enumerate(zip(kernel, stride, padding, dilation, strict=True)):
        n, reach = x.shape[1 + i], m * (k - 1) + 1
        # In ceil_mode a window that fits in part is one, as in PyTorch even when it is the only one.
        extra = s - 1 if ceil_mode else 0
        _check_reach(name, x.shape, i, k, m, p, p + extra)
        n_out = (n + 2 * p - reach + extra) // s + 1
        if ceil_mode and (n_out - 1) * s >= n + p:
            n_out -= 1
        pairs.append((p, max(0, (n_out - 1) * s + reach - n - p)))
        axes.append((n_out, k, s, p))
    return _windows(_surround(x, pairs, fill), kernel, stride, dilation), axes


def adaptive_avg_pool(x: Any, output_size: Any, name: str = "") -> Tensor:
    """The mean of each of `output_size` bins that cover an axis: bin i is floor(i n / m) to ceil((i + 1) n / m).

    x            (N, places.., C)
    output_size  m, one number or one for each axis; None keeps an axis as it is"""
    return _adaptive(name or "adaptive_avg_pool", x, output_size, lambda w, a: w.mean(a))


def adaptive_max_pool(x: Any, output_size: Any, name: str = "") -> Tensor:
    """The largest value of each bin; bins as in `adaptive_avg_pool`."""
    return _adaptive(name or "adaptive_max_pool", x, output_size, lambda w, a: w.max(a))


def _adaptive(
    name: str, x: Any, output_size: Any, reduce: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """Bins are rectangles: one axis after the other. Their starts repeat after n / gcd(n, m) places, so
    the bins of one phase are windows of one size and stride."""
    x = _floating(x)
    d = _rank(name, x)
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * d
    wanted = [n if m is None else m for m, n in zip(wanted, x.shape[1:], strict=False)] + list(
        wanted[d:]
    )
    for i, m in enumerate(each(name, "output_size", wanted, d, 1)):
        axis, n = 1 + i, x.shape[1 + i]
        if n < 1:
            raise ShapeError(f"{name} got shape {x.shape}: {PLACES[d][i]} has no places to pool.")
        if m == n:
            continue
        period, parts = gcd(n, m), []
        for phase in range(m // period):
            start, stop = phase * n // m, -(-(phase + 1) * n // m)
            view = x[(slice(None),) * axis + (slice(start, None),)]
            windows = F.window(view, axis, stop - start, n // period)
            parts.append(reduce(windows, axis + 1))
        y = parts[0] if len(parts) == 1 else F.stack(parts, axis + 1)
        x = y.reshape((*x.shape[:axis], m, *x.shape[axis + 1 :]))
    return x


def global_avg_pool(x: Any, keepdims: bool = False) -> Tensor:
    """The mean of each channel: (N, places.., C) -> (N, C), or (N, 1.., C). Lin et al. (2013), section 3.2."""
    return _over_places("global_avg_pool", x).mean(_place_axes(x), keepdims)


def global_max_pool(x: Any, keepdims: bool = False) -> Tensor:
    """The largest value of each channel: (N, places.., C) -> (N, C), or (N, 1.., C)."""
    return _over_places("global_max_pool", x).max(_place_axes(x), keepdims)


def _over_places(name: str, x: Any) -> Tensor:
    x = _floating(x)
    _rank(name, x)
    if 0 in x.shape[1:-1]:
        raise ShapeError(f"{name} got shape {x.shape}: there are no places to pool.")
    return x


def _place_axes(x: Any) -> tuple[int, ...]:
    return tuple(range(1, as_tensor(x).ndim - 1))


# ---- resampling

MODES = {"nearest": None, "linear": 1, "bilinear": 2, "trilinear": 3}  # mode -> spatial axes


def upsample(
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool = False,
    name: str = "upsample",
) -> Tensor:
    """x at another size. Give `size`, or `scale_factor`: one number or one for each axis.

    x              (N, places.., C)
    mode           'nearest' repeats values; 'linear' (N, L, C), 'bilinear' and 'trilinear' draw lines
                   between the neighbours along each axis
    align_corners  the first and last values stay at the ends; otherwise a value is an area, and its
                   middle is what stays. For the linear modes"""
    x = _floating(x)
    d = _rank(name, x)
    sizes, scales = _resized(name, x.shape, d, size, scale_factor, mode, align_corners)
    for i, (m, scale) in enumerate(zip(sizes, scales, strict=True)):
        n = x.shape[1 + i]
        if n < 1:
            raise ShapeError(f"{name} got shape {x.shape}: {PLACES[d][i]} has no values.")
        if m == n:  # nothing moves, whatever was rounded down
            continue
        if mode == "nearest":
            x = _nearest(x, 1 + i, m, scale)
        else:
            x = _linear(x, 1 + i, m, scale, align_corners)
    return x


def _resized(name, shape, d, size, scale_factor, mode, align_corners):
    """Sizes after, and how many places of x one place of the output is, for each axis."""
    if mode not in MODES or MODES[mode] not in (None, d):
        fit = [m for m, rank in MODES.items() if rank in (None, d)]
        raise OptionError(
            f"{name}: for shape {shape}, {d} axes between batch and channels, mode may be "
            f"{' or '.join(map(repr, fit))}; got {mode!r}."
        )
    if mode == "nearest" and align_corners:
        raise OptionError(f"{name}: align_corners is for the linear modes; 'nearest' has none.")
    if (size is None) == (scale_factor is None):
        raise OptionError(f"{name}: give size or scale_factor, one of them.")
    if size is not None:
        sizes = each(name, "size", size, d, 1)
        return sizes, [n / m for n, m in zip(shape[1:], sizes, strict=False)]
    factors = (
        tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * d
    )
    if len(factors) != d or not all(isinstance(f, (int, float)) and 0 < f < 1e6 for f in factors):
        raise OptionError(
            f"{name}: scale_factor is a number above 0, or {d} of them; got {scale_factor!r}."
        )
    sizes = tuple(int(n * float(f)) for n, f in zip(shape[1:], factors, strict=False))
    if 0 in sizes:
        raise ShapeError(
            f"{name} got shape {shape}: scale_factor {scale_factor!r} leaves the sizes {sizes}. Use a larger one."
        )
    return sizes, [1.0 / f for f in factors]


def _nearest(x: Tensor, axis: int, m: int, scale: float) -> Tensor:
    """y[i] = x[floor(i · scale)] along an axis; whole factors are repetitions, exactly."""
    n = x.shape[axis]
    if m % n == 0 and abs(scale * m - n) < 1e-9:
        return F.repeat(x, m // n, axis)
    # In float32, as PyTorch has it: another rounding would now and then choose the other neighbour.
    places = np.floor(np.arange(m, dtype=np.float32) * np.float32(scale)).astype(np.int64)
    return F.take(x, np.minimum(places, n - 1), axis)


def _linear(x: Tensor, axis: int, m: int, scale: float, align_corners: bool) -> Tensor:
    """A contraction with (n, m) weights: place j has max(0, 1 - |j - source of i|) in output i."""
    n = x.shape[axis]
    i, j = F.arange(m).astype(x.dtype), F.arange(n).astype(x.dtype)
    if align_corners:
        source = i * ((n - 1) / (m - 1) if m > 1 else 0.0)
    else:
        source = F.clip((i + 0.5) * scale - 0.5, 0, n - 1)
    weights = F.maximum(1.0 - F.abs(j.unsqueeze(1) - source), 0.0)
    labels = tuple(range(x.ndim))
    out = tuple(x.ndim if a == axis else a for a in labels)
    return from_node(contraction("upsample", x.node, labels, weights.node, (axis, x.ndim), out))
