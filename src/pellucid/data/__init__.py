"""What is learned from: data sets, their parts, orders of rows, readers of files.

digits.py, text.py, series.py the data that the package carries (SOURCES.md)   dataset.py Dataset and Split
sequence.py texts and series seen through windows   split.py   shuffle.py
reading.py tables of any kind (frame.py)   columns.py what each column is   checks.py what is odd
encoder.py cells to numbers, by codes.py   target.py what is learned
layout.py, pieces.py, survey.py, parquet.py, row_file.py tables larger than memory
images.py folders, tables and idx files of pictures (pictures.py)   image.py a picture of a digit
table.py a CSV of pixels"""

from .dataset import Dataset, Learnable, Split
from .digits import load_digits
from .image import read_image
from .images import read_idx, read_image_folder, read_image_table
from .pictures import Pictures, split_pictures
from .sequence import Scales, Series, Text, decode, encode, split_series, split_text
from .series import load_series, read_series
from .shuffle import permutation
from .split import split
from .table import PixelRows, read_pixels
from .text import load_text

__all__ = [
    "Dataset",
    "Learnable",
    "Pictures",
    "PixelRows",
    "Scales",
    "Series",
    "Split",
    "Text",
    "decode",
    "encode",
    "load_digits",
    "load_series",
    "load_text",
    "permutation",
    "read_idx",
    "read_image",
    "read_image_folder",
    "read_image_table",
    "read_pixels",
    "read_series",
    "split",
    "split_pictures",
    "split_series",
    "split_text",
]
