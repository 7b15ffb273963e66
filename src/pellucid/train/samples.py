"""Sheets of a generator's pictures: from the same noise at every epoch, so that one sees each of them grow.

N pictures of height H, width W and K channels, from Z numbers of noise each (models/samples.py)"""

import io

import numpy as np

from ..models.samples import image_grid
from ..nn.module import Module
from ..tensor.trace import compile
from .evaluation import in_mode

COLUMNS = ROWS = 8  # of a sheet
LEAST_SIDE = 32  # small pictures are enlarged, in whole steps, to about so many pixels
BATCH = 64


class Sampler:
    """A network's pictures from given noise, in prediction mode; the program is compiled once."""

    def __init__(self, network: Module):
        self.network = network
        self.forward = compile(lambda noise: network(noise))

    def __call__(self, noise: np.ndarray) -> np.ndarray:
        """(N, H, W, K) values for noise (N, Z)."""
        with in_mode(self.network, training=False):
            parts = [self.forward(np.ascontiguousarray(noise[i : i + BATCH])).numpy()
                     for i in range(0, len(noise), BATCH)]  # fmt: skip
        return np.concatenate(parts)


def sheet(pictures: np.ndarray, columns: int = COLUMNS) -> bytes:
    """A PNG of the pictures (N, H, W, 1 or 3), values -1 to 1, row by row."""
    from PIL import Image

    k = max(1, round(LEAST_SIDE / pictures.shape[1]))
    grid = image_grid(pictures.repeat(k, 1).repeat(k, 2), columns)
    file = io.BytesIO()
    Image.fromarray(grid[..., 0] if grid.shape[2] == 1 else grid).save(file, format="PNG")
    return file.getvalue()
