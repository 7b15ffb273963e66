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
        sine, cosine = _angles(self.max_len, self.dim, self.base, dtype)
        # (max_len, D / 2, 2) or (max_len, 2, D / 2): where the two of a pair stand in a head's features
        self._pair = -1 if self.interleaved else -2
        self._cosine = Tensor(cosine.unsqueeze(self._pair).numpy())
        self._sine = Tensor(F.stack([-sine, sine], self._pair).numpy())

    def forward(self, x: Tensor, offset: int | Tensor = 0) -> Tensor:
        x = as_tensor(x)
        self._check_input(x, 2, "batch, heads, time")
        t, half = x.shape[-2], self.dim // 2
        sine, cosine = self._rows(self._sine, t, offset), self._rows(self._cosine, t, offset)
        pairs = x.reshape(*x.shape[:-1], *((half, 2) if self.interleaved else (2, half)))
        # (a + ib) e^(i angle): (a, b) cos + (b, a) (-sin, sin); a flip is read in place, a concat is not
        return (pairs * cosine + pairs.flip(self._pair) * sine).reshape(x.shape)

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
    own functions, so that the table has the same bits everywhere."""
    with outside():
        rates = (F.arange(dim // 2, dtype=dtypes.float64) * (-2.0 * math.log(base) / dim)).exp()
        angles = F.arange(max_len, dtype=dtypes.float64).reshape(-1, 1) * rates
        sine, cosine = angles.sin().astype(dtype), angles.cos().astype(dtype)
        sine.realize(), cosine.realize()
    return Tensor(sine.numpy()), Tensor(cosine.numpy())
