"""Pictures that a network makes: sheets of them, and which pictures it has learned from are nearest to them.

A sheet comes from the same noise at every epoch, so that one sees each picture grow.
N pictures of height H, width W and K channels, from Z numbers of noise each (models/samples.py)"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import Split
from ..data.patches import Patches
from ..formats.atomic import remove_dead_temporaries, write_atomic, writing
from ..models.samples import fixed_noise, image_grid
from ..nn.module import Module
from ..tensor.trace import compile
from .baselines import distances
from .evaluation import in_mode
from .folder import SAMPLES
from .recipe import Recipe

COLUMNS = ROWS = 8  # of a sheet
LEAST_SIDE = 32  # small pictures are enlarged, in whole steps, to about so many pixels
BATCH = 64
COPY = 0.25  # a picture nearer than this part of the usual distance to a real one is called a copy
CHUNK = 2048  # pictures that are compared at once
JUDGED = 500  # real pictures whose distance to others is looked at


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


class Mended:
    """Some patches with a fault, as a network mends them, and as they are without; the program is compiled once."""

    def __init__(self, network: Module, given: np.ndarray, clean: np.ndarray):
        """given, clean  (N, H, W, K) uint8"""
        self.network, self.given, self.clean = network, given, clean
        self.forward = compile(lambda x: network(x))

    def __call__(self) -> np.ndarray:
        """(3 N, H, W, K) values from -1 to 1: of each patch these three."""
        x = self.given.astype(np.float32) / 255
        with in_mode(self.network, training=False):
            better = self.forward(x).numpy()
        three = np.stack([x, better, self.clean.astype(np.float32) / 255], 1)
        return 2 * three.reshape(-1, *x.shape[1:]) - 1


@dataclass(frozen=True)
class Nearest:
    """The nearest picture that was learned from, of each of N pictures.

    distances  (N,) Euclidean, of pixels from 0 to 1      rows  (N,) its row in the data
    usual      the median of such distances of real pictures that were not learned from"""

    distances: np.ndarray
    rows: np.ndarray
    usual: float

    @property
    def is_copy(self) -> np.ndarray:
        """(N,) whether it is so near that it is a copy: as nothing but a few pixels differ."""
        return self.distances < COPY * self.usual


def nearest(pictures: np.ndarray, data: Any, parts: Split) -> Nearest:
    """Among the pictures of a data set that were learned from; all values are from -1 to 1."""
    found, rows = _nearest(pictures, data, parts.train)
    others = parts.test if len(parts.test) else parts.train
    judged = others[np.linspace(0, len(others) - 1, min(len(others), JUDGED)).astype(int)]
    is_own = not len(parts.test)
    usual, _ = _nearest(data.x[judged], data, parts.train, judged if is_own else None)
    return Nearest(found, rows, float(np.median(usual)))


def _nearest(
    pictures: np.ndarray, data: Any, among: np.ndarray, own: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(distance, row) of the nearest of the rows `among`, but not of a picture's own row."""
    best, rows = np.full(len(pictures), np.inf), np.zeros(len(pictures), np.int64)
    for i in range(0, len(among), CHUNK):
        chunk = among[i : i + CHUNK]
        apart = distances(pictures, data.x[chunk]) / 2
        if own is not None:
            apart[own[:, None] == chunk] = np.inf
        at = apart.argmin(1)
        closest = apart[np.arange(len(apart)), at]
        is_nearer = closest < best
        best[is_nearer], rows[is_nearer] = closest[is_nearer], chunk[at[is_nearer]]
    return best, rows


def sheet(pictures: np.ndarray, columns: int = COLUMNS) -> bytes:
    """A PNG of the pictures (N, H, W, 1 or 3), values -1 to 1, row by row."""
    k = max(1, round(LEAST_SIDE / pictures.shape[1]))
    return png(image_grid(pictures.repeat(k, 1).repeat(k, 2), columns))


def png(pixels: np.ndarray) -> bytes:
    """A PNG of (H, W, 1 or 3) uint8."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, format="PNG")
    return file.getvalue()


class Samples:
    """A sheet of pictures after every epoch: of a generator from noise that stays the same, of pictures that are mended
    the same held-out patches; else nothing."""

    def __init__(self, made: Recipe, network: Any, folder: Path, data: Any, parts: Split):
        self.folder, self.draws = folder / SAMPLES, None
        if made.task == "generate":
            sampler = Sampler(network)
            noise = fixed_noise(ROWS * COLUMNS, network.latent, made.seed)
            self.draws = lambda: sheet(sampler(noise))
        elif isinstance(data, Patches):
            held_out = parts.validation if len(parts.validation) else parts.test
            rows = held_out[np.linspace(0, len(held_out) - 1, ROWS).astype(int)]
            mended = Mended(network, data.given[rows], data.clean[rows])
            self.draws = lambda: sheet(mended(), columns=3 * 2)
        if self.draws is not None:
            with writing(self.folder):
                self.folder.mkdir(exist_ok=True)
            remove_dead_temporaries(self.folder)

    def draw(self, epoch: int) -> None:
        """Writes the sheet of this epoch, whole or not at all."""
        if self.draws is not None:
            write_atomic(self.folder / f"epoch-{epoch:04}.png", [self.draws()])
