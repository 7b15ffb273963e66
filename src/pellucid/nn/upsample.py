"""Upsample: a sequence, image or volume at another size."""

from typing import Any

from ..base.errors import OptionError
from ..tensor.convolution import MODES, upsample
from ..tensor.tensor import Tensor
from .init import nearest
from .module import Module


class Upsample(Module):
    """x at another size, without parameters. Give size or scale_factor.

    x              (N, places.., C)
    size           sizes after, one number or one for each axis
    scale_factor   or what they are multiplied with, rounded down
    mode           'nearest' repeats values; 'linear' for (N, L, C), 'bilinear' for (N, H, W, C) and
                   'trilinear' for (N, D, H, W, C) draw lines between neighbours
    align_corners  whether the first and last values stay at the ends (linear modes only)
    returns        (N, sizes.., C)"""

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ):
        if (size is None) == (scale_factor is None):
            raise OptionError(
                f"Upsample: give size or scale_factor, one of them; got size={size!r} and "
                f"scale_factor={scale_factor!r}."
            )
        if mode == "nearest" and align_corners:
            raise OptionError("Upsample: align_corners is for the linear modes, not 'nearest'.")
        self.size = tuple(size) if isinstance(size, (tuple, list)) else size
        factor = scale_factor
        self.scale_factor = tuple(factor) if isinstance(factor, (tuple, list)) else factor
        self.mode = nearest(mode, MODES, "mode")
        self.align_corners = bool(align_corners)

    def forward(self, x: Tensor) -> Tensor:
        return upsample(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            name=f"Upsample({self.extra_repr()})",
        )

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "size": list(self.size) if isinstance(self.size, tuple) else self.size,
            "scale_factor": (
                list(self.scale_factor)
                if isinstance(self.scale_factor, tuple)
                else self.scale_factor
            ),
            "mode": self.mode,
            "align_corners": self.align_corners,
        }

    def extra_repr(self) -> str:
        usual = {"size": None, "scale_factor": None, "mode": "nearest", "align_corners": False}
        return ", ".join(f"{k}={v!r}" for k, v in self.config().items() if v != usual[k])
