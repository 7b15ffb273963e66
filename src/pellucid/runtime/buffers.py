"""Memory for arrays, aligned so that full vectors can be loaded and stored from the first element."""

import math

import numpy as np

ALIGNMENT = 64  # bytes: one AVX-512 vector, and one cache line on every target


def aligned(shape: tuple[int, ...], dtype: np.dtype | type | str) -> np.ndarray:
    """A new C-contiguous array whose first element lies on a multiple of 64 bytes; not filled."""
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    # NumPy promises 16 bytes only; the spare bytes let the start move up to the next multiple.
    memory = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """The same values and dtype (in native byte order), C-contiguous and aligned; never shared."""
    copy = aligned(array.shape, array.dtype.newbyteorder("="))
    np.copyto(copy, array)
    return copy
