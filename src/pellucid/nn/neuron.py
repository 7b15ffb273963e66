"""One neuron that can be read aloud: z = w1*x1 + ... + wn*xn + b, then a = f(z)."""

import numpy as np

from ..base import dtypes
from ..base.errors import ShapeError
from ..tensor.tensor import Tensor
from .activation import ACTIVATIONS, Activation, Identity, activation
from .module import Module


class Neuron(Module):
    """A weighted sum, a bias and an activation.

    w           one weight for each input
    b           the bias; None for a neuron without one, whose sum at x = 0 is exactly 0
    activation  a name ('relu'), a module (nn.step(.5)) or None for the sum itself
    dtype       float64 by default: a printed sum should look like the arithmetic it shows"""

    def __init__(self, w, b: float | None = 0.0, activation=None, dtype=dtypes.float64):
        weights = np.atleast_1d(np.asarray(w, dtypes.of(dtype).numpy))
        if weights.ndim != 1:
            raise ShapeError(
                f"Neuron: w must be a list of numbers, one for each input; got shape {weights.shape}."
            )
        self.weight = Tensor.parameter(weights)
        self.bias = (
            None if b is None else Tensor.parameter(np.asarray(b, weights.dtype).reshape(()))
        )
        self.activation = _module(activation)
        self._last: np.ndarray | None = None

    def forward(self, x) -> Tensor:
        """f(w . x + b); x (..., n)."""
        return self.activation(self.sum(x))

    def sum(self, x) -> Tensor:
        """w . x + b, before the activation."""
        given = None
        if not isinstance(x, Tensor):
            given = np.asarray(x, dtypes.of(self.weight.dtype).numpy)
            x = Tensor(given)
        if x.ndim < 1 or x.shape[-1] != self.weight.size:
            raise ShapeError(
                f"Neuron has {self.weight.size} weights and got inputs of shape {tuple(x.shape)}: the last axis must "
                f"be {self.weight.size}, one input for each weight."
            )
        self._last = given if given is not None else self._last
        z = (x * self.weight).sum(-1)
        return z if self.bias is None else z + self.bias

    def explanation(self, x=None) -> str:
        """The sum written out, and the activation when there is one; x is the last input when left out."""
        if x is None:
            x = self._last
        if x is None:
            raise ShapeError(
                "explain() needs an input: call the neuron first, or give one: explain([1, 0, 1])."
            )
        values = np.asarray(x, dtypes.of(self.weight.dtype).numpy)
        if values.ndim != 1:
            raise ShapeError(f"explain() shows one input at a time; got shape {values.shape}.")
        z = self.sum(values)
        digits = 15 if self.weight.dtype is dtypes.float64 else 7

        def show(v) -> str:
            return f"{float(v):.{digits}g}"

        terms = [f"{show(a)}·{show(w)}" for a, w in zip(values, self.weight.numpy(), strict=True)]
        if self.bias is not None:
            terms.append(show(self.bias.item()))
        text = f"{' + '.join(terms)} = {show(z.item())}".replace("+ -", "- ")
        if isinstance(self.activation, Identity):
            return text
        return f"{text}\n{_name(self.activation)}({show(z.item())}) = {show(self.activation(z).item())}"

    def explain(self, x=None) -> None:
        """Prints `explanation`."""
        print(self.explanation(x))

    def extra_repr(self) -> str:
        weights = ", ".join(f"{w:g}" for w in self.weight.numpy())
        bias = "no bias" if self.bias is None else f"b={self.bias.item():g}"
        return f"w=[{weights}], {bias}, {_name(self.activation)}"

    def __repr__(self) -> str:
        return f"Neuron({self.extra_repr()})"


def _module(given) -> Module:
    if given is None:
        return Identity()
    return given if isinstance(given, Module) else activation(given)


def _name(module: Module) -> str:
    for name, kind in ACTIVATIONS.items():
        if type(module) is kind:
            extra = module.extra_repr() if isinstance(module, Activation) else ""
            return name + (f"[{extra}]" if extra else "")
    return type(module).__name__
