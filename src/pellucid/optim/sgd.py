"""Stochastic gradient descent: w_new = w_old - lr * gradient, with PyTorch's momentum."""

from collections.abc import Iterable

from ..base.errors import OptionError
from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Updates, check


class SGD(Optimizer):
    """g <- gradient + weight_decay * p
    v <- momentum * v + (1 - dampening) * g        (at the first step v <- g)
    p <- p - lr * v                                (nesterov: p - lr * (g + momentum * v))

    Sutskever et al. (2013); as in PyTorch, v does not contain lr."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        super().__init__(parameters, lr)
        check("momentum", momentum, 0.0)
        check("dampening", dampening, 0.0, 1.0 + 1e-12)
        check("weight_decay", weight_decay, 0.0)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise OptionError("nesterov needs a momentum above 0 and no dampening.")
        self.momentum, self.dampening = float(momentum), float(dampening)
        self.weight_decay, self.nesterov = float(weight_decay), bool(nesterov)
        if self.momentum:
            self._velocity = self._buffer("momentum_buffer")
        if self.momentum and self.dampening:
            # v begins as g itself, not damped: the first step has the factor 1.
            self._fresh = self._scalar("fresh", 1.0)

    def _begin_step(self) -> Updates:
        if not (self.momentum and self.dampening):
            return []
        self._factor = 1.0 - self.dampening * (1.0 - self._fresh)
        return [(self._fresh, 0.0)]

    def _update(self, i: int, p: Tensor, g: Tensor) -> Updates:
        updates: Updates = []
        lr = self._lr.astype(p.dtype)
        if self.weight_decay:
            g = g + self.weight_decay * p
        if self.momentum:
            damped = g * self._factor.astype(p.dtype) if self.dampening else g
            v = self.momentum * self._velocity[i] + damped
            updates.append((self._velocity[i], v))
            g = g + self.momentum * v if self.nesterov else v
        return [*updates, (p, p - lr * g)]
