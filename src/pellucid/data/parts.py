"""Which part each row of a table belongs to, from the row alone: for tables that are larger than memory.

Equal rows lie in one part, as do rows of one group; nothing need be remembered of other rows. N rows"""

import hashlib
from collections.abc import Sequence

import numpy as np

from .frame import Column, Frame
from .split import cell_codes, row_codes
from .weights import GOLDEN, mixed


def cell_hashes(column: Column) -> np.ndarray:
    """(N,) uint64, equal where the cells are, whatever other rows there are; missing equals missing."""
    if column.kind != "text":
        return cell_codes(column)
    codes, texts = column.coded
    digests = [
        hashlib.blake2b(t.encode("utf-8", "surrogatepass"), digest_size=8).digest() for t in texts
    ]
    found = np.array([int.from_bytes(d, "little") for d in digests], np.uint64)[codes]
    found[column.missing] = 0
    return found


def row_hashes(frame: Frame, columns: Sequence[str]) -> np.ndarray:
    """(N,) uint64, equal where rows are equal in all of these columns, whatever other rows there are."""
    return row_codes(frame, columns, cell_hashes)


def number_hashes(numbers: np.ndarray) -> np.ndarray:
    """(N,) uint64, of rows by their numbers in the file alone: different ones differ."""
    return mixed(numbers.astype(np.uint64) + np.uint64(1))


def parts_of(
    hashes: np.ndarray, groups: Column | None, validation: float, test: float, seed: int
) -> np.ndarray:
    """(N,) 0 to learn, 1 to validate, 2 to test, each about its share of the rows.

    hashes  (N,) of the rows: equal ones get one part       groups  a column whose equal cells get one part; a row
                                                                    without such a cell goes by its hash"""
    key = hashes
    if groups is not None:
        key = np.where(groups.missing, hashes, mixed(cell_hashes(groups) * GOLDEN))
    chance = mixed(key ^ mixed(np.array([seed + 1], np.uint64) * GOLDEN)) >> np.uint64(11)
    share = chance.astype(np.float64) * 2.0**-53
    return np.where(share < test, 2, np.where(share < test + validation, 1, 0)).astype(np.int8)
