"""Pictures: N labelled pictures of one size, kept as bytes; and their parts for training.

One byte for each number: MNIST's 70,000 take 55 MB. The compiled step gathers the rows of a batch and makes
float32 of them there, so no float copy of the whole is ever made. images.py reads them from files.
N pictures, H, W pixels down and across, C channels, B pictures of a batch"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..base.errors import DataError
from ..tensor import functions as F
from ..tensor.tensor import Tensor
from .augment import Augmentation
from .dataset import Dataset, Split, check_rows, weights_of
from .picture_file import Preparation
from .pixels import in_place, release
from .shuffle import permutation
from .split import joined, split
from .target import Target

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Choice:
    """Something that was decided about the pictures: what, the value, the reason, the option that changes it."""

    what: str
    value: str
    why: str
    option: str = ""


@dataclass(frozen=True, eq=False)
class Pictures:
    """N labelled pictures.

    pixels        (N, H, W, C) uint8
    y             (N,) int32 class numbers, or float32 amounts when `classes` is empty
    preparation   how a file becomes such pixels; stored with the model
    shift, scale  the network takes (pixel - shift) / scale
    is_flat       the network takes (B, H * W * C) instead of (B, H, W, C)
    augmentation  how pictures are varied while the network learns; None: not at all
    paths         N names of files, () where there are none
    parts         (N,) uint8, numbers of PARTS, where the data came divided; None: not divided
    choices       what was decided, with reasons     notes   what was left out or repaired, a sentence each
    damaged       (file, reason) of each picture that was left out because it could not be read
    weights       (N,) what each picture counts in the loss, as in a Dataset; None: all the same
    groups        (N,) numbers: pictures of one number stay in one part (of one patient, say); None: each by itself
    target        what amounts mean: y = (amount - shift) / scale (target.py); None: y is as it was read"""

    name: str
    pixels: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    preparation: Preparation
    shift: float = 0.0
    scale: float = 255.0
    is_flat: bool = False
    augmentation: Augmentation | None = None
    source: str = ""
    licence: str = ""
    paths: tuple[str, ...] = ()
    parts: np.ndarray | None = None
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None
    target: Target | None = None

    def __post_init__(self):
        x = self.pixels
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1:] != self.preparation.shape:
            raise DataError(
                f"{self.name}: pictures must be uint8 of shape (n, {', '.join(map(str, self.preparation.shape))}); "
                f"got {x.dtype} of shape {x.shape}."
            )
        # One number stands for each row: whole bytes are always finite.
        check_rows(self.name, np.zeros((len(x), 1), np.float32), self.y, len(self.classes))
        for what, values in (
            ("paths", self.paths or None),
            ("parts", self.parts),
            ("groups", self.groups),
        ):
            if values is not None and len(values) != len(x):
                raise DataError(f"{self.name}: {len(x)} pictures came with {len(values)} {what}.")
        weights_of(self)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.preparation.shape

    @property
    def n_features(self) -> int:
        return int(np.prod(self.shape))

    @property
    def n_answers(self) -> int:
        return 1

    @property
    def x(self) -> "Inputs":
        """What the network takes, made of the bytes when a part of it is read: x[rows] is float32."""
        return Inputs(self)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Pixels, still bytes, and y: programs read both where they lie."""
        return in_place(self.pixels), in_place(self.y)

    def release(self) -> None:
        """Gives the memory of pixels that lie in a file back; they are read from there when looked at again."""
        release(self.pixels)

    def batch(self, stored: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C) float32 inputs, or (B, H * W * C), and (B,) labels or amounts."""
        pixels, y = stored
        return self.seen(F.take(pixels, rows, axis=0)), F.take(y, rows, axis=0)

    def learning_batch(self, stored: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """As `batch`, each picture varied by the program's random numbers: what a network learns from."""
        if self.augmentation is None:
            return self.batch(stored, rows)
        pixels, y = stored
        varied = self.augmentation(F.take(pixels, rows, axis=0))
        return self.seen(varied), F.take(y, rows, axis=0)

    def seen(self, pixels: Tensor) -> Tensor:
        """The network's input from pixels (B, H, W, C): (pixel - shift) / scale."""
        x = pixels.astype("float32")
        x = (x - self.shift) / self.scale if self.shift else x / self.scale
        return x.reshape((x.shape[0], self.n_features)) if self.is_flat else x

    def order(self, rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """The rows shuffled, as (seed, epoch) say."""
        rows = np.asarray(rows, np.int32)
        return rows[permutation(len(rows), seed, "epoch", epoch)]

    def fingerprint(self) -> str:
        """SHA-256 of every pixel, label and of how they reach the network."""
        head = (self.pixels.shape, self.y.dtype.str, self.classes, self.shift, self.scale)
        digest = hashlib.sha256(repr((*head, self.is_flat, self.augmentation)).encode())
        for block in self._blocks():
            digest.update(block)
        digest.update(np.ascontiguousarray(self.y))
        return digest.hexdigest()

    def subset(self, rows: np.ndarray) -> "Pictures":
        """These pictures alone, in this order."""
        rows = np.asarray(rows)
        return dataclasses.replace(
            self,
            pixels=self.pixels[rows],
            y=self.y[rows],
            paths=tuple(self.paths[i] for i in rows.tolist()) if self.paths else (),
            parts=None if self.parts is None else self.parts[rows],
            weights=None if self.weights is None else self.weights[rows],
            groups=None if self.groups is None else self.groups[rows],
        )

    def flat(self) -> "Pictures":
        """The same pictures as rows of H * W * C numbers, for a network of neurons in layers."""
        return dataclasses.replace(self, is_flat=True)

    def standardised(self, rows: np.ndarray) -> "Pictures":
        """The same pictures, scaled so that the pixels of these rows (the training part) have mean 0, deviation 1.

        Whole sums, so the order of the rows does not matter. Pictures of a single grey keep scale 255."""
        counts = np.zeros(256, np.int64)
        for i in range(0, len(rows), 4096):
            counts += np.bincount(self.pixels[rows[i : i + 4096]].reshape(-1), minlength=256)
            release(self.pixels)
        values, n = np.arange(256), max(1, int(counts.sum()))
        mean = int(counts @ values) / n
        deviation = (int(counts @ values**2) / n - mean**2) ** 0.5
        return dataclasses.replace(self, shift=mean, scale=deviation if deviation > 0.5 else 255.0)

    def coarse(self, side: int = 8) -> np.ndarray:
        """(N, h * w * C) float32: means, 0 to 1, over blocks that cut each picture in `side` rows and columns at most.

        What simple methods are given: they would take hours for every pixel, and know nothing of neighbours."""
        height, width, channels = self.shape
        down = np.linspace(0, height, min(side, height) + 1).astype(int)
        across = np.linspace(0, width, min(side, width) + 1).astype(int)
        areas = np.diff(down)[:, None, None] * np.diff(across)[:, None] * 255.0
        out = np.empty((len(self), (len(down) - 1) * (len(across) - 1) * channels), np.float32)
        for i in range(0, len(self), 256):  # a few at a time: sums take four times the bytes
            sums = np.add.reduceat(self.pixels[i : i + 256], down[:-1], axis=1, dtype=np.uint32)
            sums = np.add.reduceat(sums, across[:-1], axis=2)
            out[i : i + 256] = (sums / areas).reshape(len(sums), -1)
            release(self.pixels)
        return out

    def first_alike(self) -> np.ndarray:
        """(N,) int32: for each picture the first row with exactly the same pixels, itself where it is the first."""
        first: dict[bytes, int] = {}
        rows = np.empty(len(self), np.int32)
        for i, picture in enumerate(picture for block in self._blocks() for picture in block):
            rows[i] = first.setdefault(hashlib.blake2b(picture, digest_size=16).digest(), i)
        return rows

    def _blocks(self, n: int = 1024) -> Iterator[np.ndarray]:
        """All pixels, n pictures at a time."""
        for i in range(0, len(self), n):
            yield np.ascontiguousarray(self.pixels[i : i + n])
            release(self.pixels)


class Inputs:
    """The network's inputs of some pictures, as `data.x` of a Dataset: made when a part is read."""

    dtype = np.dtype(np.float32)

    def __init__(self, pictures: Pictures):
        self.pictures = pictures

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C), or (N, H * W * C)."""
        p = self.pictures
        return (len(p), p.n_features) if p.is_flat else (len(p), *p.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, rows) -> np.ndarray:
        p = self.pictures
        x = (p.pixels[rows].astype(np.float32) - np.float32(p.shift)) / np.float32(p.scale)
        return x.reshape(*x.shape[:-3], p.n_features) if p.is_flat else x


def split_pictures(
    data: Pictures, validation: float = 0.15, test: float = 0.15, seed: int = 0
) -> Split:
    """A stratified split in which pictures with the same pixels, or of one group, stay together.

    Where the data came divided (folders train and test), the division stands, and only parts that are missing are
    cut from the training part; a picture that lies in several given parts is where a person has put it."""
    alike = data.first_alike()
    if data.groups is not None:
        alike = joined(alike, data.groups)
    if data.parts is None:
        return _split_rows(data, np.arange(len(data)), alike, validation, test, seed)
    given = [np.flatnonzero(data.parts == i).astype(np.int32) for i in range(3)]
    rest = _split_rows(
        data,
        given[0],
        alike,
        0.0 if len(given[1]) else validation,
        0.0 if len(given[2]) else test,
        seed,
    )
    return Split(
        rest.train,
        given[1] if len(given[1]) else rest.validation,
        given[2] if len(given[2]) else rest.test,
    )


def commonest(group: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """(K,) int32: of each of the groups 0 to K - 1 the class that most of its rows have; of several the first."""
    pairs, counts = np.unique(group.astype(np.int64) * n_classes + y, return_counts=True)
    order = np.lexsort((pairs, -counts, pairs // n_classes))
    _, first = np.unique(pairs[order] // n_classes, return_index=True)
    return (pairs[order][first] % n_classes).astype(np.int32)


def _split_rows(
    data: Pictures, rows: np.ndarray, alike: np.ndarray, validation: float, test: float, seed: int
) -> Split:
    _, firsts, group = np.unique(alike[rows], return_index=True, return_inverse=True)
    y = data.y[rows]
    if data.classes and (y == y[0]).all():
        raise DataError(f"{data.name}: the pictures to learn from are all of one class.")
    # The division looks at labels alone; pictures that stay together count as the class that most of them have.
    of_units = commonest(group, y, len(data.classes)) if data.classes else y[firsts]
    labels = Dataset(data.name, np.zeros((len(firsts), 1), np.float32), of_units, data.classes)
    parts = split(labels, validation, test, seed)
    part_of = np.zeros(len(firsts), np.uint8)
    for i, chosen in enumerate((parts.train, parts.validation, parts.test)):
        part_of[chosen] = i
    of_rows = part_of[group]
    learned = y[of_rows == 0]
    if data.classes and (learned == learned[0]).all():
        raise DataError(
            f"{data.name}: the part to learn from has pictures of one class alone. Give more pictures, or groups that "
            f"are smaller."
        )
    return Split(*(np.sort(rows[of_rows == i]).astype(np.int32) for i in range(3)))
