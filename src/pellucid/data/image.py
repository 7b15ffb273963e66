"""A picture of one digit, brought into the form of the digits that the network has seen.

An image file comes in; (64,) float32 in 0..1 goes out, 1 for full ink. The digits of the data set were
cut out, scaled to the full height of a 32 x 32 bitmap and counted in blocks of 4 x 4 (see digits.py); a
picture that is not 8 x 8 already goes the same way."""

from pathlib import Path

import numpy as np

from ..base.errors import DataError
from .digits import SHAPE
from .picture_file import Damaged, decode, opaque, read_bytes


def read_image(path: str | Path) -> np.ndarray:
    """(64,) float32 from a picture of one digit, dark on light or light on dark.

    Raises DataError naming the file when it is no image, damaged, too large or empty of ink."""
    grey = _grey(Path(path))
    if grey.shape == SHAPE:
        return _ink(grey).reshape(-1)
    ink = _ink(grey)
    ink = ink * (ink > 0.15)  # paper is never quite even; faint grey is not ink
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        raise DataError(
            f"{path}: the picture has no ink: all {grey.size} pixels are nearly the same grey."
        )
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = ink.shape
    longest = max(height, width)
    small = _resize(ink, max(1, round(32 * height / longest)), max(1, round(32 * width / longest)))
    canvas = np.zeros((32, 32))
    top, left = (32 - small.shape[0]) // 2, (32 - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    blocks = canvas.reshape(8, 4, 8, 4).mean((1, 3))
    return (np.round(blocks * 16) / 16).astype(np.float32).reshape(-1)


def _grey(path: Path) -> np.ndarray:
    """The picture as (H, W) float64 in 0..1, upright, what is transparent on white."""
    try:
        picture = decode(read_bytes(path))
        if picture.mode.startswith("I"):  # 8 bits of 16 would lose faint ink
            pixels = np.asarray(picture, np.float64)
            return pixels / max(65535.0, float(pixels.max()))
        return np.asarray(opaque(picture, 255, 65535).convert("L"), np.float64) / 255.0
    except Damaged as why:
        raise DataError(f"{path}: {why}.") from why


def _ink(grey: np.ndarray) -> np.ndarray:
    """Ink 0..1: the paper is what most of the border shows; ink is the distance from it, stretched."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    # In the 8 x 8 pictures the digit touches the border: there, most of the corners decide.
    corners = grey[[0, 0, -1, -1], [0, -1, 0, -1]]
    paper = float(np.median(corners if grey.shape == SHAPE else border))
    ink = paper - grey if paper > 0.5 else grey - paper
    ink = np.clip(ink, 0.0, 1.0)
    return (
        (ink / ink.max()).astype(np.float32) if ink.max() > 0.05 else np.zeros_like(ink, np.float32)
    )


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Area average: each output pixel is the mean of the part of the picture that it covers."""
    return _coverage(height, image.shape[0]) @ image @ _coverage(width, image.shape[1]).T


def _coverage(n_out: int, n_in: int) -> np.ndarray:
    """(n_out, n_in): how much of input pixel j lies under output pixel i; rows sum to 1."""
    edges = np.linspace(0, n_in, n_out + 1)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(n_in)[None, :]
    overlap = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    return overlap / overlap.sum(1, keepdims=True)
