"""Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019) and NAdam (Dozat 2016), by PyTorch's formulas."""

from collections.abc import Iterable
from math import inf, log
from types import SimpleNamespace
from typing import Any, ClassVar

from ..tensor import functions as F
from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Updates, check
from .schedules import Schedule


class _Moments(Optimizer):
    """What the three share: running means of the gradient and of its square, and beta^t.

    beta1^t and beta2^t are kept in float64 and rounded when they meet a parameter."""

    decoupled = False  # True: the decay acts on the parameter, not through the gradient
    limits: ClassVar = {"weight_decay": (0.0, inf), "eps": (0.0, inf)}

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float | Schedule,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        **common: Any,
    ):
        super().__init__(parameters, lr, eps=eps, weight_decay=weight_decay, **common)
        check("betas[0]", betas[0], 0.0, 1.0)
        check("betas[1]", betas[1], 0.0, 1.0)
        self.betas = (float(betas[0]), float(betas[1]))
        self._beta1_power = self._scalar("beta1_power", 1.0)
        self._beta2_power = self._scalar("beta2_power", 1.0)
        self._m = self._buffer("exp_avg")
        self._v = self._buffer("exp_avg_sq")

    def _decayed(self, p: Tensor, g: Tensor, o: SimpleNamespace) -> tuple[Tensor, Tensor]:
        """(where the step begins, the gradient) after weight decay."""
        if not o.weight_decay:
            return p, g
        if self.decoupled:
            return p * (1.0 - self._rate * (o.lr_scale * o.weight_decay)).astype(p.dtype), g
        return p, g + o.weight_decay * p

    def _moments(self, i: int, g: Tensor) -> tuple[Tensor, Tensor]:
        beta1, beta2 = self.betas
        m = beta1 * self._m[i] + (1.0 - beta1) * g
        v = beta2 * self._v[i] + (1.0 - beta2) * (g * g)
        return m, v


class Adam(_Moments):
    """g <- gradient + weight_decay * p
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) g^2
    p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    amsgrad: the largest v so far stands in the last line (Reddi et al. 2018)."""

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        **common: Any,
    ):
        super().__init__(parameters, lr, betas, eps, weight_decay, **common)
        self.amsgrad = bool(amsgrad)
        if self.amsgrad:
            self._largest = self._buffer("max_exp_avg_sq")

    def _begin_step(self) -> Updates:
        beta1, beta2 = self.betas
        power1 = self._beta1_power * beta1
        power2 = self._beta2_power * beta2
        self._step_size = self._rate / (1.0 - power1)
        # One multiplication per value instead of a division.
        self._correction = 1.0 / (1.0 - power2).sqrt()
        return [(self._beta1_power, power1), (self._beta2_power, power2)]

    def _update(self, i: int, p: Tensor, g: Tensor, o: SimpleNamespace) -> Updates:
        start, g = self._decayed(p, g, o)
        m, v = self._moments(i, g)
        updates: Updates = [(self._m[i], m), (self._v[i], v)]
        if self.amsgrad:
            v = F.maximum(self._largest[i], v)
            updates.append((self._largest[i], v))
        denominator = v.sqrt() * self._correction.astype(p.dtype) + o.eps
        size = self._step_size if o.lr_scale == 1.0 else self._step_size * o.lr_scale
        return [*updates, (p, start - size.astype(p.dtype) * (m / denominator))]


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter directly: p <- (1 - lr * weight_decay) p first."""

    decoupled = True

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **common: Any,
    ):
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad, **common)


class NAdam(_Moments):
    """Adam with Nesterov's look ahead: with mu_t = beta1 (1 - 0.96^(t * momentum_decay) / 2),
    p <- p - lr (1 - mu_t) / (1 - prod mu) * g / d - lr mu_(t+1) / (1 - prod mu * mu_(t+1)) * m / d,
    d = sqrt(v / (1 - beta2^t)) + eps."""

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float | Schedule = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        **common: Any,
    ):
        super().__init__(parameters, lr, betas, eps, weight_decay, **common)
        check("momentum_decay", momentum_decay, 0.0)
        self.momentum_decay = float(momentum_decay)
        self.decoupled = bool(decoupled_weight_decay)
        self._t = self._scalar("t", 0.0)
        self._product = self._scalar("mu_product", 1.0)

    def _begin_step(self) -> Updates:
        t = self._t + 1.0
        power2 = self._beta2_power * self.betas[1]

        def mu(n: Tensor) -> Tensor:
            shrunk = (n * (self.momentum_decay * log(0.96))).exp()
            return self.betas[0] * (1.0 - 0.5 * shrunk)

        now, following = mu(t), mu(t + 1.0)
        product = self._product * now
        self._correction = 1.0 / (1.0 - power2).sqrt()
        self._of_g = self._rate * (1.0 - now) / (1.0 - product)
        self._of_m = self._rate * following / (1.0 - product * following)
        return [(self._t, t), (self._product, product), (self._beta2_power, power2)]

    def _update(self, i: int, p: Tensor, g: Tensor, o: SimpleNamespace) -> Updates:
        start, g = self._decayed(p, g, o)
        m, v = self._moments(i, g)
        denominator = v.sqrt() * self._correction.astype(p.dtype) + o.eps
        of_g, of_m = ((x * o.lr_scale).astype(p.dtype) for x in (self._of_g, self._of_m))
        new = start - of_g * (g / denominator) - of_m * (m / denominator)
        return [(self._m[i], m), (self._v[i], v), (p, new)]
