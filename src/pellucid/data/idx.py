"""idx files, in which MNIST and its relatives come: an array with a short head, often in gzip.

    0 0 T D   T type of the numbers, D axes     D sizes, 4 bytes each, high byte first     the numbers
Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database (1998)."""

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from ..base.errors import DataError
from ..runtime.buffers import aligned
from .picture_file import MAX_SIDE, Preparation
from .pictures import Choice, Pictures

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_BYTES = 2**32  # of one array, unpacked
# train-images-idx3-ubyte, t10k-images.idx3-ubyte.gz, emnist-letters-test-images-idx3-ubyte
IMAGES = re.compile(
    r"^(?P<head>.*?)images(?P<dot>[-.])idx3-(?P<type>ubyte)(?P<gz>\.gz)?$", re.IGNORECASE
)
PART_OF = (("train", 0), ("valid", 1), ("t10k", 2), ("test", 2))


def is_idx(path: str | Path) -> bool:
    """Whether this is an idx file of pictures, or a folder with one in it."""
    path = Path(path)
    if path.is_dir():
        return any(IMAGES.match(p.name) for p in path.iterdir() if not p.name.startswith("."))
    return bool(IMAGES.match(path.name)) and path.is_file()


def read_idx(path: str | Path, name: str | None = None) -> Pictures:
    """Pictures and labels of idx files, gzip or not.

    path   the file of the pictures (the labels' file lies beside it: 'labels-idx1' for 'images-idx3'), or a folder:
           then all files of pictures in it, and train, t10k or test in their names say what each part is for

    Raises DataError that names the file when one is missing, cut, too long or of another kind."""
    path = Path(path)
    files = _files_of_pictures(path)
    images, labels, parts = [], [], []
    for file in files:
        x, y = read_idx_array(file), read_idx_array(_labels_of(file))
        if x.dtype != np.uint8 or x.ndim not in (3, 4):
            raise DataError(
                f"{file}: pictures must be bytes with 3 axes (number, height, width) or 4; "
                f"got {x.dtype} of shape {x.shape}."
            )
        if y.ndim != 1 or y.dtype.kind not in "iu":
            raise DataError(
                f"{_labels_of(file)}: labels must be whole numbers with 1 axis; got {y.dtype}{y.shape}."
            )
        if len(x) != len(y):
            raise DataError(
                f"{file}: {len(x):,} pictures have {len(y):,} labels in {_labels_of(file).name}."
            )
        images.append(x.reshape(*x.shape[:3], -1))
        labels.append(y.astype(np.int64))
        parts.append(np.full(len(x), _part(file.name), np.uint8))
    shapes = {x.shape[1:] for x in images}
    if len(shapes) > 1:
        a, b = sorted(shapes)[:2]
        raise DataError(
            f"{path}: its files hold pictures of {a} and of {b}. Give one of the files."
        )
    (height, width, channels), numbers = shapes.pop(), np.concatenate(labels)
    if not 0 < height <= MAX_SIDE or not 0 < width <= MAX_SIDE or channels not in (1, 3):
        raise DataError(f"{path}: {height} x {width} pixels of {channels} numbers are no pictures.")
    values, y = np.unique(numbers, return_inverse=True)
    part = np.concatenate(parts)
    is_divided = len(files) > 1 and bool((part == 0).any()) and bool((part > 0).any())
    counts = [
        f"{int((part == i).sum()):,} {n}"
        for i, n in enumerate(("to learn", "to validate", "to test"))
        if (part == i).any()
    ]
    return Pictures(
        name=name or path.name,
        pixels=images[0] if len(images) == 1 else joined(images),
        y=y.astype(np.int32),
        classes=tuple(str(v) for v in values.tolist()),
        preparation=Preparation(height, width, channels, background=0),
        source=str(path),
        parts=part if is_divided else None,
        choices=(
            Choice(
                "size",
                f"{height} x {width}, {channels} channel{'s'[: channels > 1]}",
                "as the idx files have it",
            ),
            *([Choice("parts", ", ".join(counts), "as the files are named")] if is_divided else []),
        ),
    )


def joined(images: list[np.ndarray]) -> np.ndarray:
    """One array of all, as programs can read it where it lies; the parts are given up one by one."""
    pixels = aligned((sum(map(len, images)), *images[0].shape[1:]), np.uint8)
    end = len(pixels)
    while images:
        part = images.pop()
        pixels[end - len(part) : end] = part
        end -= len(part)
    return pixels


def read_idx_array(path: str | Path) -> np.ndarray:
    """The array of one idx file, gzip or not, in the machine's byte order. Raises DataError that names it."""
    path = Path(path)
    try:
        with open(path, "rb") as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if is_gzip else raw as file:
                return _array(path, file)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip file is cut or damaged: {str(error).rstrip('.')}. Fetch it again."
        ) from error
    except OSError as error:
        raise DataError(f"{path}: it cannot be read: {error.strerror or error}.") from error


def _array(path: Path, file) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= head[3] <= 8:
        raise DataError(
            f"{path}: this is no idx file: it begins with {head.hex(' ') or 'nothing'}, not with 00 00, a type of "
            f"08 to 0e and the number of axes."
        )
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DataError(f"{path}: the file is cut within its head. Fetch it again.")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    dtype = np.dtype(TYPES[head[2]])
    n_bytes = dtype.itemsize
    for size in shape:  # Python's integers: a forged size must not wrap around
        n_bytes *= size
    if n_bytes > MAX_BYTES:
        raise DataError(f"{path}: its head asks for {n_bytes:,} bytes; {MAX_BYTES:,} are the most.")
    # Pages that are never written are never taken: a forged head costs no memory.
    values, n_read = aligned((n_bytes,), np.uint8), 0
    while n_read < n_bytes and (n := file.readinto(values[n_read : n_read + 2**24].data)):
        n_read += n
    n_read += len(file.read(1)) if n_read == n_bytes else 0
    if n_read != n_bytes:
        announced = "x".join(map(str, shape))
        how = f"only {n_read:,}" if n_read < n_bytes else "more"
        raise DataError(
            f"{path}: its head announces {announced} numbers, {n_bytes:,} bytes; there are {how}. Fetch it again."
        )
    values = values.view(dtype).reshape(shape)
    return values if dtype.itemsize == 1 else values.astype(dtype.newbyteorder("="))


def _files_of_pictures(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if IMAGES.match(p.name) and not p.name.startswith("."))
    if not found:
        raise DataError(
            f"{path}: there is no idx file of pictures in it, such as train-images-idx3-ubyte.gz."
        )
    # One and the same file packed and unpacked: the unpacked one reads faster.
    plain = {p.name for p in found}
    found = [p for p in found if p.suffix.lower() != ".gz" or p.name[:-3] not in plain]
    return sorted(found, key=lambda p: (_part(p.name), p.name))


def _labels_of(file: Path) -> Path:
    """The labels' file beside a file of pictures."""
    name = file.name.replace("images", "labels").replace("idx3", "idx1")
    if name == file.name:
        raise DataError(
            f"{file}: a file of pictures has 'images' and 'idx3' in its name, so that its labels can be found."
        )
    base = name.removesuffix(".gz")
    for candidate in (name, base, base + ".gz"):
        if (file.parent / candidate).exists():
            return file.parent / candidate
    raise DataError(f"{file}: the labels are missing: put {name} beside it.")


def _part(name: str) -> int:
    return next((part for word, part in PART_OF if word in name.lower()), 0)
