"""Rows divided into training, validation and test, each class in the same proportion."""

import numpy as np

from ..base.errors import DataError
from .dataset import Dataset, Split
from .shuffle import permutation


def split(data: Dataset, validation: float = 0.15, test: float = 0.15, seed: int = 0) -> Split:
    """A stratified split: within each class the rows are shuffled, then cut.

    Of n rows of a class, round(n * test) go to test, round(n * validation) to validation and the rest
    to training, but training keeps at least one. Each part is in ascending row order."""
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise DataError(
            f"validation {validation:g} and test {test:g} must be 0 or more and leave rows for training "
            f"(their sum must be below 1)."
        )
    order = permutation(len(data), seed, "split")
    groups = np.asarray(data.y)[order] if data.classes else np.zeros(len(data), np.int32)
    parts: tuple[list, list, list] = ([], [], [])
    for group in np.unique(groups):
        rows = order[groups == group]
        n_test = min(int(len(rows) * test + 0.5), len(rows) - 1)
        n_validation = min(int(len(rows) * validation + 0.5), len(rows) - 1 - n_test)
        cuts = np.split(rows, [n_test, n_test + n_validation])
        for part, cut in zip(parts, cuts, strict=True):
            part.append(cut)
    test_rows, validation_rows, train_rows = (
        np.sort(np.concatenate(p)).astype(np.int32) for p in parts
    )
    return Split(train_rows, validation_rows, test_rows)
