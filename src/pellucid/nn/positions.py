"""Where a token stands: sinusoidal and learned positions, which are added, and rotary ones, which turn.

Each takes an `offset`, the place of the first step, for generation with a cache: a number, or an integer
tensor () inside a compiled function."""

import math
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.create import is_tracing
from ..tensor.storage import outside
from ..tensor.tensor import Tensor, as_tensor
from . import init as initial
from .module import Module

# B batch, H heads, T time, C channels, D features of a head


class Positions(Module):
    """Base: a table with one row for each of `max_len` places; not used alone."""

    def __init__(self, dim: int, max_len: int, even: bool):
        kind = type(self).__name__
        for name, value in (("dim", dim), ("max_len", max_len)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise OptionError(
                    f"{kind}: {name} must be a whole number of 1 or more; got {value!r}."
                )
        if even and dim % 2:
            raise OptionError(
                f"{kind}: dim must be even, as features come in pairs; got {dim}. Use {dim + 1}."
            )
        self.dim, self.max_len = int(dim), int(max_len)

    def _rows(self, table: Tensor, length: int, offset: int | Tensor) -> Tensor:
        """Rows offset .. offset + length of the table. What is known to lie beyond it is an error."""
        if isinstance(offset, Tensor) and not is_tracing():
            offset = int(offset.item())
        last = length if isinstance(offset, Tensor) else offset + length
        if last > self.max_len or (not isinstance(offset, Tensor) and offset < 0):
            after = (
                f" after {offset} earlier ones" if not isinstance(offset, Tensor) and offset else ""
            )
            raise ShapeError(
                f"{self._title} got a sequence of {length} steps{after}: there are positions for {self.max_len}. "
                f"Cut the sequence to {self.max_len}, or use max_len={last} or more."
            )
        if isinstance(offset, Tensor):
            return F.take(table, F.arange(length) + offset, 0)
        return table[offset : offset + length]

    def _check_input(self, x: Tensor, n_axes: int, axes: str) -> None:
        if x.ndim < n_axes or x.shape[-1] != self.dim:
            size = x.shape[-1] if x.ndim else 1
            raise ShapeError(
                f"{self._title} got shape {tuple(x.shape)}: it needs ({axes}, {self.dim}). For {size} features "
                f"use {type(self).__name__}({size})."
            )

    @property
    def _title(self) -> str:
        return f"{type(self).__name__}({self.dim}, max_len={self.max_len})"

    def extra_repr(self) -> str:
        return f"{self.dim}, max_len={self.max_len}"


class SinusoidalPositions(Positions):
    """x + table: sin(t / base^(2i / C)) at feature 2i, cos of the same at 2i + 1, t the place.

    x       (.., T, C), C even
    offset  place of the first step
    Vaswani et al. (2017), section 3.5. Raises ShapeError beyond max_len places. Nothing is learned."""

    def __init__(
        self, dim: int, max_len: int = 5000, base: float = 10000.0, dtype: Any = dtypes.float32
    ):
        super().__init__(dim, max_len, True)
        self.base = float(base)
        sine, cosine = _angles(self.max_len, self.dim, self.base, dtype)
        self._table = F.stack([sine, cosine], -1).reshape(self.max_len, self.dim).realize()

    def forward(self, x: Tensor, offset: int | Tensor = 0) -> Tensor:
        x = as_tensor(x)
        self._check_input(x, 2, "batch, time")
        return x + self._rows(self._table, x.shape[-2], offset)

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {"dim": self.dim, "max_len": self.max_len, "base": self.base}


class LearnedPositions(Positions):
    """x + weight[place]: a learned vector for each place, as GPT-2 and BERT have them.

    x       (.., T, C)
    offset  place of the first step
    weight  (max_len, C), begins N(0, 0.02^2); PyTorch stores it as that of an Embedding
    Raises ShapeError beyond max_len places. Gehring et al. (2017), section 3.1."""

    def __init__(self, dim: int, max_len: int, std: float = 0.02, dtype: Any = dtypes.float32):
        super().__init__(dim, max_len, False)
        self._std = float(std)
        self.weight = Tensor.parameter(initial.normal((self.max_len, self.dim), std, dtype))

    def forward(self, x: Tensor, offset: int | Tensor = 0) -> Tensor:
        x = as_tensor(x)
        self._check_input(x, 2, "batch, time")
        return x + self._rows(self.weight, x.shape[-2], offset)

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {"dim": self.dim, "max_len": self.max_len, "std": self._std}


class RotaryPositions(Positions):
    """Turns each pair of features of queries and keys by an angle t * base^(-2i / D): scores then depend on
    the distance of two places only.

    x            (.., T, D), D even: queries or keys after the split into heads
    offset       place of the first step
    interleaved  pairs are neighbours (2i, 2i + 1), as in the paper; False: (i, i + D / 2), as in LLaMA's files
    Su et al. (2021), section 3.2.2. Raises ShapeError beyond max_len places. Nothing is learned."""

    def __init__(
        self,
        dim: int,
        max_len: int = 4096,
        base: float = 10000.0,
        interleaved: bool = True,
        dtype: Any = dtypes.float32,
    ):
        super().__init__(dim, max_len, True)
        self.base, self.interleaved = float(base), bool(interleaved)
        self._sine, self._cosine = _angles(self.max_len, self.dim, self.base, dtype)

    def forward(self, x: Tensor, offset: int | Tensor = 0) -> Tensor:
        x = as_tensor(x)
        self._check_input(x, 2, "batch, heads, time")
        t = x.shape[-2]
        sine, cosine = self._rows(self._sine, t, offset), self._rows(self._cosine, t, offset)
        if self.interleaved:
            pairs = x.reshape(*x.shape[:-1], self.dim // 2, 2)
            a, b = pairs[..., 0], pairs[..., 1]
        else:
            a, b = F.split(x, self.dim // 2, -1)
        # (a + ib) * e^(i angle)
        turned = [a * cosine - b * sine, a * sine + b * cosine]
        return F.stack(turned, -1).reshape(x.shape) if self.interleaved else F.concat(turned, -1)

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "dim": self.dim,
            "max_len": self.max_len,
            "base": self.base,
            "interleaved": self.interleaved,
        }


def _angles(max_len: int, dim: int, base: float, dtype: Any) -> tuple[Tensor, Tensor]:
    """sin and cos of t * base^(-2i / dim), (max_len, dim / 2): computed in float64, rounded once, with our
    own sine, so that the table has the same bits everywhere."""
    with outside():
        rates = Tensor(np.array([math.pow(base, -2 * i / dim) for i in range(dim // 2)]))
        angles = F.arange(max_len, dtype=dtypes.float64).reshape(-1, 1) * rates
        sine, cosine = angles.sin().astype(dtype), angles.cos().astype(dtype)
        sine.realize(), cosine.realize()
    return Tensor(sine.numpy()), Tensor(cosine.numpy())
