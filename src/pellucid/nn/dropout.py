"""Dropout: in training each value, or each channel, is zeroed with probability p (Srivastava et al. 2014)."""

from ..base.errors import OptionError
from ..tensor import functions as F
from ..tensor import random
from ..tensor.convolution import check_images
from ..tensor.tensor import Tensor
from .module import Module


class Dropout(Module):
    """Kept values are divided by 1 - p, so that the expected value stays; in prediction x passes unchanged.

    The mask comes from the global generator: its counter is state, so each step has a fresh mask and a
    resumed run the same one."""

    def __init__(self, p: float = 0.5):
        if not 0.0 <= p <= 1.0:
            raise OptionError(
                f"{type(self).__name__}: p is the chance that a value is zeroed, 0 to 1; got {p!r}."
            )
        self.p = float(p)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x
        if self.p == 1.0:
            return x * 0.0
        keep = random.uniform(self._mask_shape(x)) >= self.p
        return F.where(keep, x * (1.0 / (1.0 - self.p)), 0.0)

    def _mask_shape(self, x: Tensor) -> tuple[int, ...]:
        return x.shape

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {"p": self.p}

    def extra_repr(self) -> str:
        return f"{self.p:g}"


class _ChannelDropout(Dropout):
    """Whole channels are zeroed, each sample's by itself: neighbouring places are alike, so single zeros
    would hide little. Tompson et al. (2014), section 3.2.

    x   (N, places.., C); the mask is (N, 1.., C). Otherwise as Dropout"""

    n_places = 0

    def forward(self, x: Tensor) -> Tensor:
        check_images(f"{type(self).__name__}({self.p:g})", x.shape, self.n_places)
        return super().forward(x)

    def _mask_shape(self, x: Tensor) -> tuple[int, ...]:
        return (x.shape[0], *(1,) * self.n_places, x.shape[-1])


class Dropout1d(_ChannelDropout):
    __doc__ = _ChannelDropout.__doc__
    n_places = 1


class Dropout2d(_ChannelDropout):
    __doc__ = _ChannelDropout.__doc__
    n_places = 2


class Dropout3d(_ChannelDropout):
    __doc__ = _ChannelDropout.__doc__
    n_places = 3
