"""Model: a network that can be described by its constructor's arguments, and rebuilt from them."""

import inspect
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from .. import nn
from ..base.errors import OptionError
from ..nn import init as initial
from ..tensor.tensor import Tensor


class Model(nn.Module):
    """Base of all models here. Every constructor argument but dtype is kept as an attribute of its name:
    `config()` reads them there, and `from_config` gives them back."""

    def config(self) -> dict:
        """The constructor's arguments as plain JSON: numbers, text, lists."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: _plain(getattr(self, name)) for name in names if name != "dtype"}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], **changed: Any) -> Self:
        """A new model, with new initial weights, from what config() gave; `changed` replaces arguments."""
        return cls(**{**config, **changed})

    def shapes(self, layout: str = "pellucid") -> dict[str, tuple[int, ...]]:
        """The shape of every parameter and buffer by name; layout 'pytorch': as PyTorch stores it."""
        return {
            name: tuple(tensor.shape)
            if there is None or layout == "pellucid"
            else there.shape_there(tuple(tensor.shape))
            for name, tensor, there in self._named_tensors()
        }

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.config().items())


class Stack(nn.Sequential):
    """Layers in a row that take more than x: all get the same further arguments, and `each`, where it is
    given, has one value for each layer, which comes right after x."""

    def forward(self, x: Tensor, *same: Any, each: Any = None, **named: Any) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(x, *(() if each is None else (each[i],)), *same, **named)
        return x


def whole(model: Model, low: int = 1, **values: Any) -> list[int]:
    """The values; OptionError unless each is a whole number of `low` or more."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
            raise OptionError(
                f"{type(model).__name__}: {name} must be a whole number of {low} or more; got {value!r}."
            )
    return [int(value) for value in values.values()]


def wholes(model: Model, at_least: int = 1, **values: Any) -> list[tuple[int, ...]]:
    """The sequences, as tuples; OptionError unless each has so many whole numbers of 1 or more."""
    for name, value in values.items():
        sizes = tuple(value) if isinstance(value, (tuple, list)) else None
        if (
            sizes is None
            or len(sizes) < at_least
            or not all(
                isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1
                for n in sizes
            )
        ):
            raise OptionError(
                f"{type(model).__name__}: {name} must be {at_least} or more whole numbers, each 1 or more, like "
                f"(64, 32); got {value!r}."
            )
    return [tuple(int(n) for n in value) for value in values.values()]


def chance(model: Model, **values: Any) -> list[float]:
    """The values; OptionError unless each is a number from 0 to 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise OptionError(
                f"{type(model).__name__}: {name} is the chance that a value is zeroed, 0 to 1; got {value!r}."
            )
    return [float(value) for value in values.values()]


def divides(model: Model, heads: str, width: str) -> None:
    """OptionError unless the number of heads divides the width."""
    n, size = getattr(model, heads), getattr(model, width)
    if size % n:
        near = min(
            (d for d in range(1, min(size, 2 * n) + 1) if size % d == 0), key=lambda d: abs(d - n)
        )
        raise OptionError(
            f"{type(model).__name__}: {heads} = {n} must divide {width} = {size}, as each head takes an equal part. "
            f"Use {heads}={near}, or {width}={-(-size // n) * n}."
        )


def normal_weights(model: nn.Module, std: float) -> None:
    """New initial values: matrices and kernels N(0, std^2), biases 0; norms keep theirs."""
    for name, p in model.named_parameters():
        if p.ndim >= 2:
            p.assign(Tensor(initial.normal(p.shape, std, p.dtype)))
        elif name.endswith("bias"):
            p.assign(Tensor(initial.zeros(p.shape, p.dtype)))


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, (tuple, list)) else value
