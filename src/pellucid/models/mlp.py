"""MLP: the multilayer perceptron, linear layers with an activation between them.

Rumelhart et al. (1986)"""

from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import OptionError
from ..tensor.tensor import Tensor, as_tensor
from .model import Model, chance, wholes


class MLP(Model):
    """Linear layers of the given sizes, an activation and dropout after each but the last.

    sizes       features in, hidden .., out: (784, 128, 10)
    activation  a name that nn.activation knows
    x           (B, ...): flattened to (B, sizes[0])
    returns     (B, sizes[-1]): scores (logits) or amounts, without activation"""

    def __init__(
        self,
        sizes: Any,
        activation: str = "relu",
        dropout: float = 0.0,
        init: str = "he",
        dtype: Any = dtypes.float32,
    ):
        [self.sizes] = wholes(self, at_least=2, sizes=sizes)
        [self.dropout] = chance(self, dropout=dropout)
        if activation == "step":
            raise OptionError(
                "MLP: activation 'step' has the gradient 0 everywhere: hidden layers would never learn. Use "
                "'sigmoid', its smooth form, or 'relu'."
            )
        self.activation = nn.init.nearest(activation, nn.ACTIVATIONS, "activation of MLP")
        self.init = init
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            if i:
                layers.append(nn.activation(activation))
                if dropout:
                    layers.append(nn.Dropout(dropout))
            layers.append(nn.Linear(n_in, n_out, init=init, dtype=dtype))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = as_tensor(x)
        return self.layers(x.reshape(x.shape[0], -1))
