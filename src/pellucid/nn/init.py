"""Initial weights: bits from the global generator, one row per scheme in `SCHEMES`.

He and Glorot keep the variance of activations and gradients about equal from layer to layer; zeros is
kept for the lesson that equal weights stay equal. Uniform forms use only products, so they are the same
bits everywhere. Weights are laid out (in, out), and (kernel sizes.., in, out) for convolutions: `fans`
reads both numbers from there. Every function returns a NumPy array of `dtype`."""

import contextlib
import difflib
import math
from collections.abc import Callable, Iterator

import numpy as np

from ..base import dtypes
from ..base.errors import FormatError, OptionError, ShapeError
from ..tensor import random

Shape = tuple[int, ...]

_budgets: list[float] = []  # of each `blank` that is open: how many numbers may still be asked for


@contextlib.contextmanager
def blank(limit: float = math.inf) -> Iterator[None]:
    """Inside, nothing is drawn: initial weights are zeros, which a file's take the place of.

    limit  how many numbers there may be in all; FormatError, before memory is taken, when more are asked for.
    The generator of random numbers stays where it is."""
    _budgets.append(limit)
    try:
        yield
    finally:
        _budgets.pop()


def _drawn(shape: Shape) -> bool:
    """Whether initial weights are drawn; counts them where they are not."""
    if not _budgets:
        return True
    _budgets[-1] -= math.prod(shape)
    if _budgets[-1] < 0:
        raise FormatError("the layers need more numbers than the file of weights holds.")
    return False


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (.., in, out): how many inputs an output reads, and the reverse.

    The axes before the last two are a kernel's and count for both: (3, 3, 16, 32) has (144, 288).
    A grouped convolution's weight (.., in / groups, out) gives what PyTorch gives."""
    if len(shape) < 2:
        raise ShapeError(
            f"fans() got the weight shape {tuple(shape)}: it needs two axes or more, (.., in, out). "
            f"For another shape give fan_in and fan_out as numbers."
        )
    kernel = math.prod(shape[:-2])
    return kernel * shape[-2], kernel * shape[-1]


def calculate_gain(nonlinearity: str, a: float | None = None) -> float:
    """The factor by which weights grow so that the variance survives the activation, as PyTorch's.

    a   negative slope of leaky_relu; 0.01 when left out"""
    known = ("linear", "identity", "conv", "sigmoid", "tanh", "relu", "leaky_relu", "selu")
    nonlinearity = nearest(nonlinearity, known, "nonlinearity")
    if nonlinearity == "tanh":
        return 5.0 / 3.0
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if a is None else float(a)
        return math.sqrt(2.0 / (1.0 + slope * slope))
    return 0.75 if nonlinearity == "selu" else 1.0


# ---- without fans


def zeros(shape: Shape, dtype=dtypes.float32) -> np.ndarray:
    """All 0."""
    return np.zeros(shape, dtypes.of(dtype).numpy)


def ones(shape: Shape, dtype=dtypes.float32) -> np.ndarray:
    """All 1."""
    return np.ones(shape, dtypes.of(dtype).numpy)


def constant(shape: Shape, value: float, dtype=dtypes.float32) -> np.ndarray:
    """All `value`."""
    return np.full(shape, value, dtypes.of(dtype).numpy)


def uniform(shape: Shape, bound: float, dtype=dtypes.float32) -> np.ndarray:
    """Even between -bound and bound."""
    if not _drawn(shape):
        return zeros(shape, dtype)
    draw = random.uniform_numpy(shape).astype(np.float64)
    return ((2.0 * draw - 1.0) * bound).astype(dtypes.of(dtype).numpy)


def normal(shape: Shape, std: float = 0.01, dtype=dtypes.float32) -> np.ndarray:
    """Normal with mean 0: Box and Muller (1958), from two even draws."""
    if not _drawn(shape):
        return zeros(shape, dtype)
    # 1 - u lies in (0, 1]: its logarithm is finite. Computed in float64, rounded once.
    u, v = random.uniform_numpy((2, *shape)).astype(np.float64)
    return (std * np.sqrt(-2.0 * np.log(1.0 - u)) * np.cos(2.0 * math.pi * v)).astype(
        dtypes.of(dtype).numpy
    )


def truncated_normal(
    shape: Shape,
    std: float = 1.0,
    mean: float = 0.0,
    low: float = -2.0,
    high: float = 2.0,
    dtype=dtypes.float32,
) -> np.ndarray:
    """Normal, but only values from low to high (absolute numbers, as PyTorch's trunc_normal_ has them):
    what falls outside is drawn again."""
    if not std > 0 or not low < high:
        raise OptionError(
            f"truncated_normal: std must be above 0 and low below high; got std={std!r}, low={low!r}, "
            f"high={high!r}."
        )
    if not _drawn(shape):
        return zeros(shape, dtype)
    below = [0.5 * (1.0 + math.erf((x - mean) / (std * math.sqrt(2.0)))) for x in (low, high)]
    if below[1] - below[0] < 1e-3:
        raise OptionError(
            f"truncated_normal: fewer than one in 1,000 values of N({mean:g}, {std:g}) lies from {low:g} to "
            f"{high:g}. Move mean nearer, or take uniform()."
        )
    values = mean + normal(shape, std, dtypes.float64).reshape(-1)
    while True:
        outside = np.flatnonzero((values < low) | (values > high))
        if not outside.size:
            return values.reshape(shape).astype(dtypes.of(dtype).numpy)
        values[outside] = mean + normal((outside.size,), std, dtypes.float64)


def orthogonal(shape: Shape, gain: float = 1.0, dtype=dtypes.float32) -> np.ndarray:
    """Rows or columns of length `gain`, at right angles to each other. Saxe et al. (2014).

    shape  (.., in, out): seen as a matrix with `out` columns. From the QR decomposition of a normal
           draw; signs are chosen so that R's diagonal is positive, which makes Q uniform (Mezzadri 2007).
           LAPACK computes it, so the last bits may differ between machines."""
    if len(shape) < 2:
        raise ShapeError(
            f"orthogonal() got shape {tuple(shape)}: it needs two axes or more, (.., in, out)."
        )
    rows, columns = math.prod(shape[:-1]), shape[-1]
    if not rows * columns or not _drawn(shape):
        return zeros(shape, dtype)
    draw = normal((max(rows, columns), min(rows, columns)), 1.0, dtypes.float64)
    q, r = np.linalg.qr(draw)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    q = q.T if rows < columns else q
    return (gain * q).reshape(shape).astype(dtypes.of(dtype).numpy)


# ---- by fans; PyTorch's names


def xavier_uniform(
    shape: Shape,
    fan_in: int | None = None,
    fan_out: int | None = None,
    gain: float = 1.0,
    dtype=dtypes.float32,
) -> np.ndarray:
    """Even, variance gain^2 * 2 / (fan_in + fan_out). Glorot and Bengio (2010), eq. 16."""
    return uniform(shape, math.sqrt(3.0) * _glorot_std(shape, fan_in, fan_out, gain), dtype)


def xavier_normal(
    shape: Shape,
    fan_in: int | None = None,
    fan_out: int | None = None,
    gain: float = 1.0,
    dtype=dtypes.float32,
) -> np.ndarray:
    """Normal, variance gain^2 * 2 / (fan_in + fan_out). Glorot and Bengio (2010), eq. 16."""
    return normal(shape, _glorot_std(shape, fan_in, fan_out, gain), dtype)


def kaiming_uniform(
    shape: Shape,
    fan: int | None = None,
    a: float = 0.0,
    nonlinearity: str = "leaky_relu",
    mode: str = "fan_in",
    dtype=dtypes.float32,
) -> np.ndarray:
    """Even, variance gain^2 / fan. He et al. (2015), eq. 10.

    fan           number of inputs (mode fan_in) or outputs (fan_out); from the shape when left out
    a             negative slope of leaky_relu; 0 is ReLU
    nonlinearity  a name that calculate_gain knows"""
    std = _he_std(shape, fan, a, nonlinearity, mode)
    return uniform(shape, math.sqrt(3.0) * std, dtype)


def kaiming_normal(
    shape: Shape,
    fan: int | None = None,
    a: float = 0.0,
    nonlinearity: str = "leaky_relu",
    mode: str = "fan_in",
    dtype=dtypes.float32,
) -> np.ndarray:
    """Normal, variance gain^2 / fan; arguments as kaiming_uniform. He et al. (2015), eq. 10."""
    return normal(shape, _he_std(shape, fan, a, nonlinearity, mode), dtype)


def _glorot_std(shape: Shape, fan_in: int | None, fan_out: int | None, gain: float) -> float:
    if fan_in is None or fan_out is None:
        found = fans(shape)
        fan_in = found[0] if fan_in is None else fan_in
        fan_out = found[1] if fan_out is None else fan_out
    return gain * math.sqrt(2.0 / max(1, fan_in + fan_out))


def _he_std(shape: Shape, fan: int | None, a: float, nonlinearity: str, mode: str) -> float:
    modes = ("fan_in", "fan_out")
    if fan is None:
        fan = fans(shape)[modes.index(nearest(mode, modes, "mode"))]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fan))


# ---- PyTorch's defaults, by kind of layer


def torch_linear(shape: Shape, fan_in: int | None = None, dtype=dtypes.float32) -> np.ndarray:
    """Even between -1/sqrt(fan_in) and 1/sqrt(fan_in): weights and, with fan_in given, biases.

    This is PyTorch's kaiming_uniform_(a=sqrt(5)) of Linear and all convolutions."""
    fan_in = fans(shape)[0] if fan_in is None else fan_in
    return uniform(shape, 1.0 / math.sqrt(max(1, fan_in)), dtype)


torch_conv = torch_linear


def torch_recurrent(shape: Shape, hidden_size: int, dtype=dtypes.float32) -> np.ndarray:
    """Even between -1/sqrt(hidden_size) and 1/sqrt(hidden_size): all of RNN, LSTM and GRU."""
    return uniform(shape, 1.0 / math.sqrt(max(1, hidden_size)), dtype)


def torch_embedding(shape: Shape, dtype=dtypes.float32) -> np.ndarray:
    """N(0, 1)."""
    return normal(shape, 1.0, dtype)


def torch_attention(shape: Shape, dtype=dtypes.float32) -> np.ndarray:
    """Glorot's even form: in_proj_weight (E, 3E) of MultiheadAttention; its biases are 0."""
    return xavier_uniform(shape, dtype=dtype)


# ---- matrices by name


def he(fan_in: int, fan_out: int, dtype=dtypes.float32) -> np.ndarray:
    """Even, variance 2 / fan_in: for ReLU, which passes half. He et al. (2015), eq. 10."""
    return uniform((fan_in, fan_out), math.sqrt(6.0 / max(1, fan_in)), dtype)


def he_normal(fan_in: int, fan_out: int, dtype=dtypes.float32) -> np.ndarray:
    """Normal, variance 2 / fan_in. He et al. (2015), eq. 10."""
    return normal((fan_in, fan_out), math.sqrt(2.0 / max(1, fan_in)), dtype)


def glorot(fan_in: int, fan_out: int, dtype=dtypes.float32) -> np.ndarray:
    """Even, variance 2 / (fan_in + fan_out): for tanh and sigmoid. Glorot and Bengio (2010), eq. 16."""
    return uniform((fan_in, fan_out), math.sqrt(6.0 / max(1, fan_in + fan_out)), dtype)


def glorot_normal(fan_in: int, fan_out: int, dtype=dtypes.float32) -> np.ndarray:
    """Normal, variance 2 / (fan_in + fan_out)."""
    return normal((fan_in, fan_out), math.sqrt(2.0 / max(1, fan_in + fan_out)), dtype)


# name -> (fan_in, fan_out, dtype) -> (fan_in, fan_out) array
SCHEMES: dict[str, Callable[..., np.ndarray]] = {
    "zeros": lambda fan_in, fan_out, dtype: zeros((fan_in, fan_out), dtype),
    "ones": lambda fan_in, fan_out, dtype: ones((fan_in, fan_out), dtype),
    "normal": lambda fan_in, fan_out, dtype: normal((fan_in, fan_out), 0.01, dtype),
    "truncated_normal": lambda fan_in, fan_out, dtype: truncated_normal(
        (fan_in, fan_out), 0.02, 0.0, -0.04, 0.04, dtype
    ),
    "glorot": glorot,
    "glorot_normal": glorot_normal,
    "he": he,
    "he_normal": he_normal,
    "orthogonal": lambda fan_in, fan_out, dtype: orthogonal((fan_in, fan_out), 1.0, dtype),
    "torch": lambda fan_in, fan_out, dtype: torch_linear((fan_in, fan_out), fan_in, dtype),
    # the other names of the same four
    "xavier_uniform": glorot,
    "xavier_normal": glorot_normal,
    "kaiming_uniform": he,
    "kaiming_normal": he_normal,
}


def weight(scheme: str, fan_in: int, fan_out: int, dtype=dtypes.float32) -> np.ndarray:
    """A (fan_in, fan_out) matrix by the named scheme. An unknown name suggests the nearest."""
    return SCHEMES[nearest(scheme, SCHEMES, "initialisation")](fan_in, fan_out, dtype)


def bias(scheme: str, fan_in: int, n: int, dtype=dtypes.float32) -> np.ndarray:
    """The (n,) biases beside such a matrix: 0, but PyTorch's even draw for 'torch'."""
    return torch_linear((n,), fan_in, dtype) if scheme == "torch" else zeros((n,), dtype)


def nearest(name: str, known, what: str) -> str:
    """The name itself when it is known; raises OptionError that suggests the nearest otherwise."""
    if name in known:
        return name
    close = difflib.get_close_matches(str(name), known, 1, cutoff=0.5)
    advice = f"Did you mean {close[0]!r}? " if close else ""
    raise OptionError(f"{what} {name!r} is unknown. {advice}Known: {', '.join(known)}.")
