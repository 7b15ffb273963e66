"""Lion: steps of one size, by the sign of a mean. Chen et al. (2023), "Symbolic discovery of optimization
algorithms", algorithm 2."""

from collections.abc import Iterable
from math import inf
from types import SimpleNamespace
from typing import Any, ClassVar

from ..tensor import functions as F
from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Updates, check
from .schedules import Schedule


class Lion(Optimizer):
    """p <- (1 - lr * weight_decay) p - lr * sign(beta1 m + (1 - beta1) g);  m <- beta2 m + (1 - beta2) g

    Its lr is three to ten times smaller than Adam's, its weight decay as much larger."""

    limits: ClassVar = {"weight_decay": (0.0, inf)}

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float | Schedule = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        **common: Any,
    ):
        super().__init__(parameters, lr, weight_decay=weight_decay, **common)
        check("betas[0]", betas[0], 0.0, 1.0)
        check("betas[1]", betas[1], 0.0, 1.0)
        self.betas = (float(betas[0]), float(betas[1]))
        self._m = self._buffer("exp_avg")

    def _update(self, i: int, p: Tensor, g: Tensor, o: SimpleNamespace) -> Updates:
        beta1, beta2 = self.betas
        lr = self._rate_of(o, p)
        start = p * (1.0 - lr * o.weight_decay) if o.weight_decay else p
        step = F.sign(beta1 * self._m[i] + (1.0 - beta1) * g)
        return [
            (self._m[i], beta2 * self._m[i] + (1.0 - beta2) * g),
            (p, start - lr * step),
        ]
