"""Committee: several small networks that learn beside each other; the answer is the mean of theirs.

They begin with different weights and see the same batches, but each has a loss of its own; so they err differently,
and the mean errs less than one of them does (Krogh and Vedelsby 1995, "Neural network ensembles, cross validation, and
active learning"; for networks on tables Gorishniy et al. 2024, "TabM"). One product of matrices does a layer of all.

K members, B rows, C classes or amounts"""

from typing import Any

import numpy as np

from .. import nn
from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..nn import init as initial
from ..tensor import functions as F
from ..tensor.tensor import Tensor, as_tensor
from .model import Model, chance, whole, wholes


class MemberLinear(nn.Module):
    """A Linear for each member: x (K, B, in) or (1, B, in) -> (K, B, out).

    weight  (K, in, out)     bias  (K, 1, out), begins at 0"""

    def __init__(self, n_members: int, n_in: int, n_out: int, init: str, dtype: Any):
        weights = [initial.weight(init, n_in, n_out, dtype) for _ in range(n_members)]
        self.weight = Tensor.parameter(np.stack(weights))
        self.bias = Tensor.parameter(initial.zeros((n_members, 1, n_out), dtype))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias

    def extra_repr(self) -> str:
        n, n_in, n_out = self.weight.shape
        return f"{n} of {n_in} -> {n_out}"


class Committee(Model):
    """K multilayer perceptrons of the same sizes, an activation and dropout after each hidden layer.

    sizes      features in, hidden .., out: (96, 64, 32, 2)
    n_members  K
    answers    what is averaged: 'chances' (the members' probabilities of classes) or 'amounts'
    init       of hidden layers, a row of nn.init.SCHEMES; the last layer has glorot
    x          (B, sizes[0])
    returns    in training (K, B, C): scores of every member, for a loss of its own
               in prediction (B, C): the mean amounts, or log of the mean probabilities (softmax gives them)"""

    def __init__(
        self,
        sizes: Any,
        n_members: int = 8,
        activation: str = "relu",
        dropout: float = 0.0,
        answers: str = "chances",
        init: str = "he",
        dtype: Any = dtypes.float32,
    ):
        [self.sizes] = wholes(self, at_least=2, sizes=sizes)
        [self.n_members] = whole(self, n_members=n_members)
        [self.dropout] = chance(self, dropout=dropout)
        if activation == "step":
            raise OptionError(
                "Committee: activation 'step' has the gradient 0 everywhere: hidden layers would never learn."
            )
        self.activation = nn.init.nearest(activation, nn.ACTIVATIONS, "activation of Committee")
        self.answers = nn.init.nearest(answers, ("chances", "amounts"), "answers of Committee")
        self.init = init
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            if i:
                layers += [nn.activation(activation), nn.Dropout(dropout)]
            scheme = "glorot" if i == len(self.sizes) - 2 else init
            layers.append(MemberLinear(self.n_members, n_in, n_out, scheme, dtype))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = as_tensor(x)
        if x.ndim != 2 or x.shape[1] != self.sizes[0]:
            raise ShapeError(
                f"Committee got shape {tuple(x.shape)}: it needs rows of {self.sizes[0]} numbers, "
                f"(B, {self.sizes[0]})."
            )
        out = self.layers(x.unsqueeze(0))
        if self.training:
            return out
        if self.answers == "amounts":
            return out.mean(0)
        # log of the mean of exp, without overflow: no probability is so small that its logarithm is infinite.
        return F.logsumexp(F.log_softmax(out, -1), 0) - float(np.log(self.n_members))
