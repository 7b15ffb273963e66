"""Linear: out = x @ weight + bias."""

from collections.abc import Mapping

import numpy as np

from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..tensor.tensor import Tensor
from . import init as initial
from .module import Module


class Linear(Module):
    """Each output is a weighted sum of all inputs plus a bias.

    x        (..., in_features)
    weight   (in_features, out_features); PyTorch's is transposed
    bias     (out_features,), begins at 0 (with init='torch' as PyTorch's); absent with bias=False
    init     a row of init.SCHEMES"""

    layouts: Mapping = {"weight": (1, 0)}

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        init: str = "he",
        dtype=dtypes.float32,
    ):
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise OptionError(
                    f"Linear: {name} must be a whole number of 1 or more; got {value!r}."
                )
        self.in_features, self.out_features = int(in_features), int(out_features)
        self.weight = Tensor.parameter(
            initial.weight(init, self.in_features, self.out_features, dtype)
        )
        self.bias = (
            Tensor.parameter(initial.bias(init, self.in_features, self.out_features, dtype))
            if bias
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 1 or x.shape[-1] != self.in_features:
            columns = x.shape[-1] if x.ndim else 1
            raise ShapeError(
                f"Linear({self.in_features} -> {self.out_features}) got shape {tuple(x.shape)}: its last axis must be "
                f"{self.in_features}. For {columns} columns use Linear({columns}, {self.out_features})."
            )
        out = x @ self.weight
        return out if self.bias is None else out + self.bias

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias is not None,
        }

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}" + (
            "" if self.bias is not None else ", no bias"
        )
