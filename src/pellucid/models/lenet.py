"""LeNet-5: two convolutions and three linear layers, the network that read cheques.

LeCun et al. (1998), Gradient-based learning applied to document recognition, section II.B"""

from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import OptionError
from ..tensor.tensor import Tensor
from .model import Model, whole


class LeNet(Model):
    """Convolution to 6 maps, pool, to 16 maps, pool, then 120, 84 and one output for each class.

    x           (B, image_size, image_size, in_channels)
    image_size  28: images are padded to 32, as the paper's; a multiple of 4 from 12 on
    activation  'tanh' and pool 'avg' are near the paper's; 'relu' and 'max' learn faster
    returns     (B, num_classes) scores

    The paper connects the second convolution to some maps only and ends in radial basis functions; here, as
    everywhere today, all maps and a linear layer."""

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int = 28,
        activation: str = "tanh",
        pool: str = "avg",
        dtype: Any = dtypes.float32,
    ):
        self.in_channels, self.num_classes = whole(
            self, in_channels=in_channels, num_classes=num_classes
        )
        [self.image_size] = whole(self, low=12, image_size=image_size)
        if image_size % 4:
            raise OptionError(
                f"LeNet: image_size must be a multiple of 4, as two pools halve it; got {image_size}. "
                f"Pad the images to {-(-image_size // 4) * 4}."
            )
        self.activation = activation
        self.pool = nn.init.nearest(pool, ("avg", "max"), "pool of LeNet")
        pooling = nn.AvgPool2d if pool == "avg" else nn.MaxPool2d
        side = (image_size // 2 - 4) // 2
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=2, dtype=dtype),
            nn.activation(activation),
            pooling(2),
            nn.Conv2d(6, 16, 5, dtype=dtype),
            nn.activation(activation),
            pooling(2),
        )
        first = nn.Linear(16 * side * side, 120, init="torch", dtype=dtype)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.flatten_order(first, inputs=(side, side, 16)),
            nn.activation(activation),
            nn.Linear(120, 84, init="torch", dtype=dtype),
            nn.activation(activation),
            nn.Linear(84, num_classes, init="torch", dtype=dtype),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
