"""Dropout: in training each value is zeroed with probability p (Srivastava et al. 2014)."""

from ..base.errors import OptionError
from ..tensor import functions as F
from ..tensor import random
from .module import Module


class Dropout(Module):
    """Kept values are divided by 1 - p, so that the expected value stays; in prediction x passes unchanged.

    The mask comes from the global generator: its counter is state, so each step has a fresh mask and a
    resumed run the same one."""

    def __init__(self, p: float = 0.5):
        if not 0.0 <= p <= 1.0:
            raise OptionError(
                f"Dropout: p is the chance that a value is zeroed, 0 to 1; got {p!r}."
            )
        self.p = float(p)

    def forward(self, x):
        if not self.training or self.p == 0.0:
            return x
        if self.p == 1.0:
            return x * 0.0
        keep = random.uniform(x.shape) >= self.p
        return F.where(keep, x * (1.0 / (1.0 - self.p)), 0.0)

    def config(self) -> dict:
        return {"p": self.p}

    def extra_repr(self) -> str:
        return f"{self.p:g}"
