"""ViT: an image as a sequence of patches, read by a Transformer.

Dosovitskiy et al. (2021), An image is worth 16x16 words; the layout of its files is in pretrained.py."""

from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.tensor import Tensor, as_tensor
from .model import Stack, chance, divides, normal_weights, whole
from .pretrained import Pretrained

# B batch, N patches, E hidden_size


class ViT(Pretrained):
    """One score for each class, from the vector of a token that stands before all patches.

    x           (B, image_size, image_size, num_channels)
    patch_size  side of a patch; divides image_size
    returns     (B, num_labels) scores

    Defaults are ViT base, 86 million weights, which begin N(0, 0.02^2)."""

    def __init__(
        self,
        image_size: int = 224,
        patch_size: int = 16,
        num_channels: int = 3,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        num_labels: int = 1000,
        dropout: float = 0.0,
        eps: float = 1e-12,
        dtype: Any = dtypes.float32,
    ):
        self.image_size, self.patch_size, self.num_channels = whole(
            self, image_size=image_size, patch_size=patch_size, num_channels=num_channels
        )
        self.hidden_size, self.num_hidden_layers = whole(
            self, hidden_size=hidden_size, num_hidden_layers=num_hidden_layers
        )
        self.num_attention_heads, self.intermediate_size = whole(
            self, num_attention_heads=num_attention_heads, intermediate_size=intermediate_size
        )
        [self.num_labels] = whole(self, num_labels=num_labels)
        [self.dropout] = chance(self, dropout=dropout)
        divides(self, "num_attention_heads", "hidden_size")
        if image_size % patch_size:
            near = -(-image_size // patch_size) * patch_size
            raise OptionError(
                f"ViT: patch_size {patch_size} must divide image_size {image_size}. Use image_size={near}, or "
                "other patches."
            )
        self.eps = float(eps)
        n = hidden_size
        # A convolution whose windows do not overlap: each patch times one matrix.
        self.patches = nn.Conv2d(num_channels, n, patch_size, patch_size, dtype=dtype)
        self.cls_token = Tensor.parameter(nn.init.zeros((1, 1, n), dtype))
        self.positions = nn.LearnedPositions(n, (image_size // patch_size) ** 2 + 1, dtype=dtype)
        self.drop = nn.Dropout(dropout)
        self.layers = Stack(
            *[
                nn.TransformerEncoderLayer(
                    n, num_attention_heads, intermediate_size, dropout, "gelu", eps,
                    norm_first=True, dtype=dtype,
                )
                for _ in range(num_hidden_layers)
            ]
        )  # fmt: skip
        self.norm = nn.LayerNorm(n, eps, dtype=dtype)
        self.head = nn.Linear(n, num_labels, dtype=dtype)
        normal_weights(self, 0.02)

    def encode(self, x: Tensor) -> Tensor:
        """A vector for the leading token and each patch, row by row: (B, 1 + N, E)."""
        x = as_tensor(x)
        needed = (self.image_size, self.image_size, self.num_channels)
        if x.shape[1:] != needed:
            raise ShapeError(
                f"ViT got shape {tuple(x.shape)}: it needs {('batch', *needed)}, channels last. Resize the images, or "
                f"use ViT(image_size={x.shape[1] if x.ndim > 1 else self.image_size}, ...)."
            )
        tokens = self.patches(x).reshape(x.shape[0], -1, self.hidden_size)
        first = F.broadcast_to(self.cls_token, (x.shape[0], 1, self.hidden_size))
        x = self.drop(self.positions(F.concat([first, tokens], 1)))
        return self.norm(self.layers(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encode(x)[:, 0])
