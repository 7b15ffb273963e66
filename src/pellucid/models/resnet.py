"""ResNet: convolutions with a way past them, so that a hundred layers learn as easily as ten.

ResNet-20 for small images, ResNet-18 and ResNet-50 for large ones; names, layout and numbers are
torchvision's, the stages also Hugging Face's (pretrained.py). He et al. (2016), Deep residual learning."""

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import OptionError
from ..nn import init as initial
from ..tensor.tensor import Tensor
from .model import whole, wholes
from .pretrained import Pretrained


class BasicBlock(nn.Module):
    """relu(x + two 3x3 convolutions of x); x is projected where its shape changes. Figure 5, left."""

    shrink = 1  # width inside / width outside

    def __init__(self, n_in: int, n_out: int, stride: int, dtype: Any):
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False, dtype=dtype)
        self.bn1 = nn.BatchNorm2d(n_out, dtype=dtype)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False, dtype=dtype)
        self.bn2 = nn.BatchNorm2d(n_out, dtype=dtype)
        self.downsample = shortcut(n_in, n_out, stride, dtype)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(y)) + self.downsample(x)).relu()


class Bottleneck(nn.Module):
    """relu(x + 1x1, 3x3 and 1x1 convolutions of x), a quarter as wide inside. Figure 5, right.

    The 3x3 convolution has the stride (as torchvision's "v1.5"), in the paper the first one."""

    shrink = 4

    def __init__(self, n_in: int, n_out: int, stride: int, dtype: Any):
        n = n_out // self.shrink
        self.conv1 = nn.Conv2d(n_in, n, 1, bias=False, dtype=dtype)
        self.bn1 = nn.BatchNorm2d(n, dtype=dtype)
        self.conv2 = nn.Conv2d(n, n, 3, stride, padding=1, bias=False, dtype=dtype)
        self.bn2 = nn.BatchNorm2d(n, dtype=dtype)
        self.conv3 = nn.Conv2d(n, n_out, 1, bias=False, dtype=dtype)
        self.bn3 = nn.BatchNorm2d(n_out, dtype=dtype)
        self.downsample = shortcut(n_in, n_out, stride, dtype)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()


def shortcut(n_in: int, n_out: int, stride: int, dtype: Any) -> nn.Module:
    """The way past a block: nothing where shapes agree, else a 1x1 convolution (the paper's option B)."""
    if n_in == n_out and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 1, stride, bias=False, dtype=dtype),
        nn.BatchNorm2d(n_out, dtype=dtype),
    )


BLOCKS: dict[str, type[BasicBlock] | type[Bottleneck]] = {
    "basic": BasicBlock,
    "bottleneck": Bottleneck,
}


class ResNet(Pretrained):
    """A stem, stages of residual blocks, the mean over all places, one linear layer.

    x            (B, H, W, in_channels)
    block        'basic' (two 3x3 convolutions) or 'bottleneck' (1x1, 3x3, 1x1)
    depths       how many blocks each stage has; every stage but the first halves the image
    widths       how many channels each stage gives
    stem         'large': 7x7 with stride 2 and a pool, for 224 x 224; 'small': 3x3, for 32 x 32
    stem_width   channels that the stem gives; the first stage's inner width when left out
    returns      (B, num_classes) scores

    Weights begin as He's normal with fan_out, as torchvision's."""

    def __init__(
        self,
        block: str = "basic",
        depths: Sequence[int] = (2, 2, 2, 2),
        widths: Sequence[int] = (64, 128, 256, 512),
        in_channels: int = 3,
        num_classes: int = 1000,
        stem: str = "large",
        stem_width: int | None = None,
        dtype: Any = dtypes.float32,
    ):
        self.block = initial.nearest(block, BLOCKS, "block of ResNet")
        self.stem = initial.nearest(stem, ("large", "small"), "stem of ResNet")
        self.depths, self.widths = wholes(self, depths=depths, widths=widths)
        self.in_channels, self.num_classes = whole(
            self, in_channels=in_channels, num_classes=num_classes
        )
        made = BLOCKS[block]
        if len(self.depths) != len(self.widths):
            raise OptionError(
                f"ResNet: depths has {len(self.depths)} stages, widths {len(self.widths)}; give one of each for "
                "every stage."
            )
        odd = [n for n in self.widths if n % made.shrink]
        if odd:
            raise OptionError(
                f"ResNet: a bottleneck is a quarter as wide inside, so widths must be multiples of 4; got {odd[0]}."
            )
        [self.stem_width] = whole(
            self, stem_width=self.widths[0] // made.shrink if stem_width is None else stem_width
        )
        n = self.stem_width
        large = self.stem == "large"
        self.conv1 = nn.Conv2d(
            in_channels, n, 7 if large else 3, 2 if large else 1, padding=3 if large else 1,
            bias=False, dtype=dtype,
        )  # fmt: skip
        self.bn1 = nn.BatchNorm2d(n, dtype=dtype)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if large else nn.Identity()
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            blocks = []
            for j in range(depth):
                blocks.append(made(n, width, 2 if i and not j else 1, dtype))
                n = width
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(n, num_classes, init="torch", dtype=dtype)
        for _, layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                shape = layer.weight.shape
                drawn = initial.kaiming_normal(
                    shape, nonlinearity="relu", mode="fan_out", dtype=dtype
                )
                layer.weight.assign(Tensor(drawn))

    def features(self, x: Tensor) -> Tensor:
        """What the last stage gives, (B, h, w, widths[-1])."""
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for i in range(len(self.depths)):
            x = getattr(self, f"layer{i + 1}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((1, 2)))


def resnet20(num_classes: int = 10, in_channels: int = 3, dtype: Any = dtypes.float32) -> ResNet:
    """For 32 x 32 images, 0.27 million weights: three stages of three blocks. Section 4.2 of the paper; its
    shortcuts there are the parameter-free option A, here 1x1 convolutions (option B)."""
    return ResNet("basic", (3, 3, 3), (16, 32, 64), in_channels, num_classes, "small", dtype=dtype)


def resnet18(num_classes: int = 1000, in_channels: int = 3, dtype: Any = dtypes.float32) -> ResNet:
    """For 224 x 224 images, 11.7 million weights."""
    return ResNet("basic", (2, 2, 2, 2), (64, 128, 256, 512), in_channels, num_classes, dtype=dtype)


def resnet50(num_classes: int = 1000, in_channels: int = 3, dtype: Any = dtypes.float32) -> ResNet:
    """For 224 x 224 images, 25.6 million weights."""
    return ResNet(
        "bottleneck", (3, 4, 6, 3), (256, 512, 1024, 2048), in_channels, num_classes, dtype=dtype
    )
