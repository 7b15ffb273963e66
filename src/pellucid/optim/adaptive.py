"""Rules that divide by the size of past gradients: Adagrad (Duchi et al. 2011), RMSprop (Tieleman and
Hinton 2012, lecture 6.5), by PyTorch's formulas."""

from collections.abc import Iterable
from math import inf
from types import SimpleNamespace
from typing import Any, ClassVar

from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Updates, check
from .schedules import Schedule


class Adagrad(Optimizer):
    """s <- s + g^2;  p <- p - lr / (1 + t * lr_decay) * g / (sqrt(s) + eps), t the steps made before."""

    limits: ClassVar = {"weight_decay": (0.0, inf), "eps": (0.0, inf)}

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float | Schedule = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        **common: Any,
    ):
        super().__init__(parameters, lr, weight_decay=weight_decay, eps=eps, **common)
        check("lr_decay", lr_decay, 0.0)
        check("initial_accumulator_value", initial_accumulator_value, 0.0)
        self.lr_decay = float(lr_decay)
        self._sum = self._buffer("sum", float(initial_accumulator_value))
        self._t = self._scalar("t", 0.0)

    def _begin_step(self) -> Updates:
        self._rate = self._rate / (1.0 + self._t * self.lr_decay)
        return [(self._t, self._t + 1.0)]

    def _update(self, i: int, p: Tensor, g: Tensor, o: SimpleNamespace) -> Updates:
        if o.weight_decay:
            g = g + o.weight_decay * p
        total = self._sum[i] + g * g
        return [
            (self._sum[i], total),
            (p, p - self._rate_of(o, p) * (g / (total.sqrt() + o.eps))),
        ]


class RMSprop(Optimizer):
    """s <- alpha s + (1 - alpha) g^2;  step = g / (sqrt(s) + eps);  p <- p - lr * step

    centered  the square of the mean gradient is subtracted from s (Graves 2013)
    momentum  b <- momentum * b + step;  p <- p - lr * b"""

    limits: ClassVar = {
        "weight_decay": (0.0, inf),
        "eps": (0.0, inf),
        "alpha": (0.0, 1.0),
        "momentum": (0.0, inf),
    }

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float | Schedule = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        **common: Any,
    ):
        super().__init__(
            parameters,
            lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            **common,
        )
        self.centered = bool(centered)
        self._square = self._buffer("square_avg")
        if any(o.momentum for o in self._options):
            self._velocity = self._buffer("momentum_buffer")
        if self.centered:
            self._mean = self._buffer("grad_avg")

    def _update(self, i: int, p: Tensor, g: Tensor, o: SimpleNamespace) -> Updates:
        if o.weight_decay:
            g = g + o.weight_decay * p
        square = o.alpha * self._square[i] + (1.0 - o.alpha) * (g * g)
        updates: Updates = [(self._square[i], square)]
        if self.centered:
            mean = self._mean[i] + (1.0 - o.alpha) * (g - self._mean[i])
            updates.append((self._mean[i], mean))
            square = square - mean * mean
        step = g / (square.sqrt() + o.eps)
        if o.momentum:
            step = o.momentum * self._velocity[i] + step
            updates.append((self._velocity[i], step))
        return [*updates, (p, p - self._rate_of(o, p) * step)]
