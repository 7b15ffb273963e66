"""Muon: momentum whose matrix is made orthogonal before it is applied. Jordan et al. (2024), "Muon: an
optimizer for hidden layers in neural networks"; Liu et al. (2025), section 2.2, for the second lr rule."""

from collections.abc import Iterable
from math import inf, sqrt
from types import SimpleNamespace
from typing import Any, ClassVar

from ..base.errors import OptionError
from ..tensor.tensor import Tensor
from .adam import AdamW
from .optimizer import Updates, check
from .schedules import Schedule

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic; Jordan et al., "Newton-Schulz iteration"


def orthogonal(g: Tensor, n_steps: int = 5, eps: float = 1e-7) -> Tensor:
    """About U V^T of g = U S V^T, a matrix: singular values end between 0.7 and 1.2. Newton-Schulz,
    x <- a x + (b x x^T + c (x x^T)^2) x."""
    a, b, c = COEFFICIENTS
    is_tall = g.shape[0] > g.shape[1]
    x = g.T if is_tall else g
    norm = (x * x).sum().sqrt()
    x = x / (norm + (norm < eps) * eps)
    for _ in range(n_steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if is_tall else x


class Muon(AdamW):
    """For matrices: m <- momentum * m + (1 - momentum) g;  o = orthogonal((1 - momentum) g + momentum * m)
    p <- (1 - lr * weight_decay) p - lr * f * o,  f = sqrt(max(1, n_out / n_in))

    What is no matrix (biases, norms, convolutions) is updated by AdamW with adam_lr, betas and eps; give
    embeddings and the last layer to it, too, by a group with adam=True.

    adjust_lr_fn  'original': f above; 'match_rms_adamw': f = 0.2 * sqrt(max(n_out, n_in)), for AdamW's lr"""

    limits: ClassVar = {"weight_decay": (0.0, inf), "eps": (0.0, inf), "momentum": (0.0, 1.0)}

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float | Schedule = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: str = "original",
        adam_lr: float = 3e-4,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        **common: Any,
    ):
        if adjust_lr_fn not in ("original", "match_rms_adamw"):
            raise OptionError(
                f"adjust_lr_fn must be 'original' or 'match_rms_adamw'; got {adjust_lr_fn!r}."
            )
        super().__init__(
            parameters, lr, betas, eps, weight_decay, momentum=momentum, adam=False, **common
        )
        check("adam_lr", adam_lr, 0.0)
        self.nesterov, self.ns_steps = bool(nesterov), int(ns_steps)
        self.adjust_lr_fn, self.adam_lr = adjust_lr_fn, float(adam_lr)
        base = self._lr.item()
        for p, o in zip(self.parameters, self._options, strict=True):
            o.adam = bool(o.adam) or p.ndim != 2
            if o.adam and base > 0:
                o.lr_scale *= self.adam_lr / base

    def _update(self, i: int, p: Tensor, g: Tensor, o: SimpleNamespace) -> Updates:
        if o.adam:
            return super()._update(i, p, g, o)
        m = self._m[i] + (1.0 - o.momentum) * (g - self._m[i])
        step = orthogonal(g + o.momentum * (m - g) if self.nesterov else m, self.ns_steps)
        n_in, n_out = p.shape  # a weight is stored (in, out)
        factor = sqrt(max(1.0, n_out / n_in))
        if self.adjust_lr_fn == "match_rms_adamw":
            factor = 0.2 * sqrt(max(n_in, n_out))
        start, _ = self._decayed(p, g, o)
        return [(self._m[i], m), (p, start - self._rate_of(o, p) * factor * step)]
