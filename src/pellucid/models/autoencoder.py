"""Autoencoder: through a narrow place and back, so that a few numbers must say what matters.

Hinton and Salakhutdinov (2006), Reducing the dimensionality of data with neural networks"""

from collections.abc import Sequence
from math import prod
from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import ShapeError
from ..tensor.tensor import Tensor, as_tensor
from .mlp import MLP
from .model import Model, whole, wholes


class Autoencoder(Model):
    """x -> code -> x again.

    shape       sizes of one example, like (28, 28, 1) or (64,)
    hidden      widths between the input and the code; the decoder has them backwards
    code        how many numbers the code has
    activation  between layers; the code and the output have none
    x           (B, *shape)
    returns     (B, *shape)"""

    def __init__(
        self,
        shape: Sequence[int] = (28, 28, 1),
        hidden: Sequence[int] = (256,),
        code: int = 32,
        activation: str = "relu",
        dtype: Any = dtypes.float32,
    ):
        [self.shape] = wholes(self, shape=shape)
        [self.hidden] = wholes(self, at_least=0, hidden=hidden)
        [self.code] = whole(self, code=code)
        self.activation = activation
        sizes = (prod(self.shape), *self.hidden, self.code)
        self.encoder = MLP(sizes, activation, dtype=dtype)
        self.decoder = MLP(sizes[::-1], activation, dtype=dtype)

    def encode(self, x: Tensor) -> Tensor:
        """The code, (B, code)."""
        x = as_tensor(x)
        check_shape("Autoencoder", x, self.shape)
        return self.encoder(x)

    def decode(self, code: Tensor) -> Tensor:
        """What the code stands for, (B, *shape)."""
        return self.decoder(code).reshape(code.shape[0], *self.shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """Mean squared difference between x and what came back."""
        return nn.mse_loss(self(x), x)


def check_shape(name: str, x: Tensor, shape: tuple[int, ...]) -> None:
    """ShapeError unless x is (B, *shape)."""
    if x.shape[1:] != shape:
        raise ShapeError(
            f"{name} got shape {tuple(x.shape)}: it needs {('batch', *shape)}. For such examples use "
            f"{name}(shape={tuple(x.shape[1:])})."
        )
