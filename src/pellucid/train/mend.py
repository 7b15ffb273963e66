"""A picture of any size through a network of convolutions that has learned from patches.

The picture is cut into windows of one size, which overlap by more than a pixel can see; of each the middle is kept.
So the answer is that to the whole picture, while memory and compiled programs are those of one window."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..nn.conv import Conv2d
from ..nn.module import Module
from ..tensor.trace import compile
from .evaluation import in_mode

WINDOW = 256  # pixels of a side


def mended(network: Module, given: np.ndarray, channels: int) -> np.ndarray:
    """(H, W, C) uint8, mended. A network of one channel mends each of three by itself."""
    planes = [given] if given.shape[2] == channels else np.split(given, given.shape[2], axis=2)
    forward = compile(lambda x: network(x))
    with in_mode(network, training=False):
        done = [_whole(forward, p, seen(network)) for p in planes]
    return np.concatenate(done, axis=2)


def seen(network: Module) -> int:
    """How far a pixel of the answer looks, in pixels: half of each kernel, added up."""
    return sum(
        max(layer.weight.shape[:2]) // 2
        for _, layer in network.modules()
        if isinstance(layer, Conv2d)
    )


def _whole(forward: Any, given: np.ndarray, reach: int) -> np.ndarray:
    height, width, _ = given.shape
    better = np.empty_like(given)
    side = max(WINDOW, 4 * reach)
    for top, y0, y1 in _windows(height, side, reach):
        for left, x0, x1 in _windows(width, side, reach):
            window = given[None, top : top + side, left : left + side].astype(np.float32) / 255
            out = forward(np.ascontiguousarray(window)).numpy()[0]
            kept = out[y0 - top : y1 - top, x0 - left : x1 - left]
            better[y0:y1, x0:x1] = np.clip(np.rint(kept * 255), 0, 255).astype(np.uint8)
    return better


def _windows(length: int, side: int, reach: int) -> Iterator[tuple[int, int, int]]:
    """(first pixel of a window, first and last + 1 that are kept): all windows lie within the picture, so that its
    edges are edges of windows, too."""
    done = 0
    while done < length:
        first = max(0, min(done - reach, length - side))
        end = length if first + side >= length else first + side - reach
        yield first, done, end
        done = end
