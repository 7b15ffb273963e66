"""What is learned from: data sets, their parts, orders of rows, readers of files.

digits.py the data set that the package carries   dataset.py Dataset and Split   split.py   shuffle.py
image.py a picture of a digit   table.py a CSV of pixels"""

from .dataset import Dataset, Split
from .digits import load_digits
from .image import read_image
from .shuffle import permutation
from .split import split
from .table import PixelRows, read_pixels

__all__ = [
    "Dataset",
    "PixelRows",
    "Split",
    "load_digits",
    "permutation",
    "read_image",
    "read_pixels",
    "split",
]
