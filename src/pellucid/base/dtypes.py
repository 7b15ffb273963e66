"""The six dtypes, their promotion, and their limits.

A DType is interned: compare with `is`. Promotion follows the Python array API standard (2024.12,
"Type promotion rules"), with NumPy's answer where that standard leaves mixed kinds open; Python
scalars are weak: they take the dtype of the tensor they meet."""

from dataclasses import dataclass

import numpy as np

from .errors import DTypeError


@dataclass(frozen=True, eq=False)
class DType:
    """One element type: its name, kind ('f' float, 'i' integer, 'b' bool), and bytes per element."""

    name: str
    kind: str
    itemsize: int

    def __repr__(self) -> str:
        return self.name

    @property
    def numpy(self) -> np.dtype:
        """The NumPy dtype of the same layout."""
        return np.dtype(self.name)


bool_ = DType("bool", "b", 1)
uint8 = DType("uint8", "i", 1)
int32 = DType("int32", "i", 4)
int64 = DType("int64", "i", 8)
float32 = DType("float32", "f", 4)
float64 = DType("float64", "f", 8)

ORDER = (bool_, uint8, int32, int64, float32, float64)  # a later one holds the kinds before it
BY_NAME = {d.name: d for d in ORDER}


def of(spec) -> DType:
    """The DType named by a DType, a name ('float32'), a NumPy dtype or a Python type.

    Raises DTypeError for every other type, naming the six that exist."""
    if isinstance(spec, DType):
        return spec
    if spec is float:
        return float32
    if spec is int:
        return int64
    name = spec if isinstance(spec, str) else np.dtype(spec).name
    if name not in BY_NAME:
        known = ", ".join(BY_NAME)
        raise DTypeError(
            f"dtype {name!r} is not one of pellucid's: {known}. Convert the data first."
        )
    return BY_NAME[name]


def promote(a: DType, b: DType) -> DType:
    """The dtype that holds values of both: the later one of `ORDER`.

    Mixed kinds promote to the float's dtype (int64 with float32 gives float32, as PyTorch does)."""
    return a if ORDER.index(a) >= ORDER.index(b) else b
