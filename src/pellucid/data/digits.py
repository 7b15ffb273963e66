"""The 1,797 handwritten digits that the package carries: 8 x 8 pixels, ink 0 (none) to 16 (full).

digits.npz holds two uint8 arrays, images (1797, 8, 8) and labels (1797,), and no code. Each pixel counts
the inked dots in a block of 4 x 4 of a 32 x 32 bitmap. It is the test part of the UCI set 'Optical
Recognition of Handwritten Digits' (E. Alpaydin and C. Kaynak, 1998, doi 10.24432/C50P49), in the order
that scikit-learn's load_digits gives."""

from pathlib import Path

import numpy as np

from .dataset import Dataset

FULL_INK = 16.0
SHAPE = (8, 8)
SOURCE = (
    "UCI Machine Learning Repository, Optical Recognition of Handwritten Digits "
    "(E. Alpaydin, C. Kaynak, 1998), doi:10.24432/C50P49"
)
LICENCE = "CC BY 4.0"


def load_digits() -> Dataset:
    """All 1,797 digits; x (1797, 64) float32 in 0..1, y (1797,) int32 in 0..9."""
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as stored:
        images, labels = stored["images"], stored["labels"]
    # Dividing by 16 is exact in float32; inputs of 0..1 suit He and Glorot initialisation.
    x = images.reshape(len(images), -1).astype(np.float32) / np.float32(FULL_INK)
    return Dataset(
        name="digits",
        x=x,
        y=labels.astype(np.int32),
        classes=tuple(str(d) for d in range(10)),
        shape=SHAPE,
        scale=FULL_INK,
        source=SOURCE,
        licence=LICENCE,
    )
