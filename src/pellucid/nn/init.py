"""Initial weights: bits from the global generator, one row per scheme in `SCHEMES`.

He and Glorot keep the variance of activations and gradients about equal from layer to layer; zeros is
kept for the lesson that equal weights stay equal. Uniform forms use only products, so they are the same
bits everywhere."""

import difflib
import math
from collections.abc import Callable

import numpy as np

from ..base import dtypes
from ..base.errors import OptionError
from ..tensor import random


def zeros(shape: tuple[int, ...], dtype=dtypes.float32) -> np.ndarray:
    """All 0."""
    return np.zeros(shape, dtypes.of(dtype).numpy)


def uniform(shape: tuple[int, ...], bound: float, dtype=dtypes.float32) -> np.ndarray:
    """Even between -bound and bound."""
    draw = random.uniform_numpy(shape).astype(np.float64)
    return ((2.0 * draw - 1.0) * bound).astype(dtypes.of(dtype).numpy)


def normal(shape: tuple[int, ...], std: float = 0.01, dtype=dtypes.float32) -> np.ndarray:
    """Normal with mean 0: Box and Muller (1958), from two even draws."""
    # 1 - u lies in (0, 1]: its logarithm is finite. Computed in float64, rounded once.
    u, v = random.uniform_numpy((2, *shape)).astype(np.float64)
    return (std * np.sqrt(-2.0 * np.log(1.0 - u)) * np.cos(2.0 * math.pi * v)).astype(
        dtypes.of(dtype).numpy
    )


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
    "normal": lambda fan_in, fan_out, dtype: normal((fan_in, fan_out), 0.01, dtype),
    "glorot": glorot,
    "glorot_normal": glorot_normal,
    "he": he,
    "he_normal": he_normal,
}


def weight(scheme: str, fan_in: int, fan_out: int, dtype=dtypes.float32) -> np.ndarray:
    """A (fan_in, fan_out) matrix by the named scheme. An unknown name suggests the nearest."""
    return SCHEMES[nearest(scheme, SCHEMES, "initialisation")](fan_in, fan_out, dtype)


def nearest(name: str, known, what: str) -> str:
    """The name itself when it is known; raises OptionError that suggests the nearest otherwise."""
    if name in known:
        return name
    close = difflib.get_close_matches(str(name), known, 1, cutoff=0.5)
    advice = f"Did you mean {close[0]!r}? " if close else ""
    raise OptionError(f"{what} {name!r} is unknown. {advice}Known: {', '.join(known)}.")
