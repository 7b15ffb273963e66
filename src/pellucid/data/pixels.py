"""Room for the pixels of many pictures: in memory, or in a file without a name that is read as it is looked at.

A program reads either in place, in the same order and to the same bits; pixels on disk are only slower. The system
removes the file whatever happens."""

import mmap
import tempfile

import numpy as np

from ..base.errors import RunError
from ..runtime.buffers import ALIGNMENT, aligned, aligned_copy
from .row_file import check_room, scratch_folder

SHARE = 0.5  # of the memory, that pixels may take


def room_for(shape: tuple[int, ...], memory: int) -> np.ndarray:
    """(N, H, W, C) uint8, not filled; np.memmap where they are more than SHARE of the memory that may be used.

    Raises RunError for a full disk."""
    n_bytes = int(np.prod(shape, dtype=np.int64))
    if n_bytes <= SHARE * memory:
        return aligned(shape, np.uint8)
    folder = scratch_folder()
    check_room(n_bytes, folder)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(n_bytes)
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise RunError(
            f"{folder}: the decoded pictures cannot be written: {error.strerror or error}. Make room, or set TMPDIR "
            f"to a folder on a larger disk."
        ) from error


def in_place(array: np.ndarray) -> np.ndarray:
    """The array itself where a program can read it as it lies; else a copy."""
    if array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0:
        return np.asarray(array)
    return aligned_copy(array)


def release(pixels: np.ndarray) -> None:
    """Gives the memory of pixels that lie in a file back; nothing is lost."""
    found = getattr(pixels, "_mmap", None)
    if found is not None and hasattr(mmap, "MADV_DONTNEED"):
        found.madvise(mmap.MADV_DONTNEED)
