"""Samples of a generator on a fixed grid of noise: the same places at every epoch, so that one sees it learn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..base.errors import OptionError, ShapeError
from ..tensor.trace import compile


def fixed_noise(n: int, size: int, seed: int = 0) -> np.ndarray:
    """(n, size) float32 noise N(0, 1) that follows from the seed alone: Box and Muller (1958) on Philox's raw
    words. The generator of random numbers stays where it is."""
    raw = np.random.Philox(seed).random_raw(2 * n * size) >> np.uint64(11)
    u, v = raw.reshape(2, n, size) * 2.0**-53
    z = np.sqrt(-2.0 * np.log1p(-u)) * np.cos(2.0 * np.pi * v)
    return z.astype(np.float32)


def image_grid(images: Any, columns: int = 8, gap: int = 2, background: int = 96) -> np.ndarray:
    """Images (N, H, W, C) with values from -1 to 1, row by row: (rows, width, C) uint8; values beyond are cut."""
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ShapeError(
            f"image_grid got shape {images.shape}: it needs (images, height, width, channels), one image or more."
        )
    if columns < 1 or gap < 0:
        raise OptionError(
            f"image_grid: columns must be 1 or more, gap 0 or more; got {columns}, {gap}."
        )
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap, channels)
    grid = np.full(size, background, np.uint8)
    shades = np.round((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
    for i, image in enumerate(shades):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


class SampleGrid:
    """Call it after each epoch: a grid of images from the same noise, in evaluation mode.

    gan      has .generator and .latent, as DCGAN and WGAN_GP
    n, columns, seed  how many images, in how many columns, from which noise
    show     gets (epoch, grid); a folder: epoch-0001.png is written there"""

    def __init__(
        self,
        gan: Any,
        n: int = 64,
        columns: int = 8,
        seed: int = 0,
        show: Callable[[int, np.ndarray], None] | str | Path | None = None,
    ):
        self.generator: nn.Module = gan.generator
        self.noise, self.columns = fixed_noise(n, gan.latent, seed), columns
        self.show = _writer(Path(show)) if isinstance(show, (str, Path)) else show
        self._make = compile(lambda noise: self.generator(noise))

    def __call__(self, epoch: int = 0) -> np.ndarray:
        """The grid, (height, width, C) uint8."""
        was_training = self.generator.training
        self.generator.eval()
        try:
            grid = image_grid(self._make(self.noise).numpy(), self.columns)
        finally:
            self.generator.train(was_training)
        if self.show is not None:
            self.show(epoch, grid)
        return grid


def _writer(folder: Path) -> Callable[[int, np.ndarray], None]:
    def write(epoch: int, grid: np.ndarray) -> None:
        from PIL import Image

        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grid[..., 0] if grid.shape[2] == 1 else grid).save(
            folder / f"epoch-{epoch:04}.png"
        )

    return write
