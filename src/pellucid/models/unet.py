"""U-Net: an image in, an image of the same size out, with ways across at every scale.

Ronneberger et al. (2015), U-Net: convolutional networks for biomedical image segmentation"""

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import ShapeError
from ..tensor import functions as F
from ..tensor.tensor import Tensor
from .model import Model, whole, wholes


def double_convolution(n_in: int, n_out: int, dtype: Any) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU; twice."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False, dtype=dtype),
        nn.BatchNorm2d(n_out, dtype=dtype),
        nn.ReLU(),
        nn.Conv2d(n_out, n_out, 3, padding=1, bias=False, dtype=dtype),
        nn.BatchNorm2d(n_out, dtype=dtype),
        nn.ReLU(),
    )


class UNet(Model):
    """Down by halves, up by doubles; each scale of the way up also sees the same scale of the way down.

    x        (B, H, W, in_channels), H and W multiples of 2^(len(widths) - 1)
    widths   channels at each scale, from the full size down; the paper's are (64, 128, 256, 512, 1024)
    returns  (B, H, W, out_channels): scores of each pixel's class, or amounts

    Convolutions pad, so the output is as large as the input (the paper crops), and have batch norm."""

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        widths: Sequence[int] = (32, 64, 128, 256),
        dtype: Any = dtypes.float32,
    ):
        self.in_channels, self.out_channels = whole(
            self, in_channels=in_channels, out_channels=out_channels
        )
        [self.widths] = wholes(self, at_least=2, widths=widths)
        w = self.widths
        ins = (in_channels, *w)
        pairs = list(zip(w[1:], w, strict=False))[::-1]  # (below, here), from the lowest scale up
        self.down = nn.Sequential(
            *[double_convolution(a, b, dtype) for a, b in zip(ins, w, strict=False)]
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Sequential(*[nn.ConvTranspose2d(a, b, 2, 2, dtype=dtype) for a, b in pairs])
        self.merge = nn.Sequential(*[double_convolution(2 * b, b, dtype) for _, b in pairs])
        self.head = nn.Conv2d(w[0], out_channels, 1, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        unit = 2 ** (len(self.widths) - 1)
        if x.ndim != 4 or x.shape[1] % unit or x.shape[2] % unit:
            raise ShapeError(
                f"UNet with {len(self.widths)} scales got shape {tuple(x.shape)}: it needs (batch, height, width, "
                f"{self.in_channels}) with height and width multiples of {unit}. Pad or crop the images, or give "
                "fewer widths."
            )
        across = []
        for i, layer in enumerate(self.down):
            x = layer(self.pool(x) if i else x)
            across.append(x)
        across.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(F.concat([across.pop(), up(x)], -1))
        return self.head(x)
