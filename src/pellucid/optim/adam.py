"""Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), by PyTorch's formulas."""

from collections.abc import Iterable

from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Updates, check


class Adam(Optimizer):
    """g <- gradient + weight_decay * p
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) g^2
    p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    beta1^t and beta2^t are kept in float64 and rounded when they meet a parameter."""

    decoupled = False  # AdamW: the decay acts on the parameter, not through the gradient

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(parameters, lr)
        check("betas[0]", betas[0], 0.0, 1.0)
        check("betas[1]", betas[1], 0.0, 1.0)
        check("eps", eps, 0.0)
        check("weight_decay", weight_decay, 0.0)
        self.betas = (float(betas[0]), float(betas[1]))
        self.eps, self.weight_decay = float(eps), float(weight_decay)
        self._beta1_power = self._scalar("beta1_power", 1.0)
        self._beta2_power = self._scalar("beta2_power", 1.0)
        self._m = self._buffer("exp_avg")
        self._v = self._buffer("exp_avg_sq")

    def _begin_step(self) -> Updates:
        beta1, beta2 = self.betas
        power1 = self._beta1_power * beta1
        power2 = self._beta2_power * beta2
        self._step_size = self._lr / (1.0 - power1)
        # One multiplication per value instead of a division.
        self._correction = 1.0 / (1.0 - power2).sqrt()
        self._keep = 1.0 - self._lr * self.weight_decay
        return [(self._beta1_power, power1), (self._beta2_power, power2)]

    def _update(self, i: int, p: Tensor, g: Tensor) -> Updates:
        beta1, beta2 = self.betas
        start: Tensor = p
        if self.weight_decay and self.decoupled:
            start = p * self._keep.astype(p.dtype)
        elif self.weight_decay:
            g = g + self.weight_decay * p
        m = beta1 * self._m[i] + (1.0 - beta1) * g
        v = beta2 * self._v[i] + (1.0 - beta2) * (g * g)
        denominator = v.sqrt() * self._correction.astype(p.dtype) + self.eps
        new = start - self._step_size.astype(p.dtype) * (m / denominator)
        return [(self._m[i], m), (self._v[i], v), (p, new)]


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter directly: p <- (1 - lr * weight_decay) p first."""

    decoupled = True

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(parameters, lr, betas, eps, weight_decay)
