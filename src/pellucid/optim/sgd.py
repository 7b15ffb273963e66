"""Stochastic gradient descent: w_new = w_old - lr * gradient, with PyTorch's momentum."""

from collections.abc import Iterable
from math import inf
from types import SimpleNamespace
from typing import Any, ClassVar

from ..base.errors import OptionError
from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Updates
from .schedules import Schedule


class SGD(Optimizer):
    """g <- gradient + weight_decay * p
    v <- momentum * v + (1 - dampening) * g        (at the first step v <- g)
    p <- p - lr * v                                (nesterov: p - lr * (g + momentum * v))

    Sutskever et al. (2013); as in PyTorch, v does not contain lr."""

    limits: ClassVar = {
        "weight_decay": (0.0, inf),
        "momentum": (0.0, inf),
        "dampening": (0.0, 1.0 + 1e-12),
    }

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float | Schedule = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        **common: Any,
    ):
        super().__init__(
            parameters,
            lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            **common,
        )
        if nesterov and (momentum <= 0 or dampening != 0):
            raise OptionError("nesterov needs a momentum above 0 and no dampening.")
        self.nesterov = bool(nesterov)
        if any(o.momentum for o in self._options):
            self._velocity = self._buffer("momentum_buffer")
        self._is_damped = any(o.momentum and o.dampening for o in self._options)
        if self._is_damped:
            # v begins as g itself, not damped: the first step has the factor 1.
            self._fresh = self._scalar("fresh", 1.0)

    def _begin_step(self) -> Updates:
        return [(self._fresh, 0.0)] if self._is_damped else []

    def _update(self, i: int, p: Tensor, g: Tensor, o: SimpleNamespace) -> Updates:
        updates: Updates = []
        if o.weight_decay:
            g = g + o.weight_decay * p
        if o.momentum:
            damped = g
            if o.dampening:
                damped = g * (1.0 - o.dampening * (1.0 - self._fresh)).astype(p.dtype)
            v = o.momentum * self._velocity[i] + damped
            updates.append((self._velocity[i], v))
            g = g + o.momentum * v if self.nesterov else v
        return [*updates, (p, p - self._rate_of(o, p) * g)]
