"""Patches of pictures, each twice: as it is, and with a fault. From these a network learns to mend the fault.

  small  the picture is halved in size and brought back by bicubic interpolation: detail is lost
         (Dong et al. 2014, SRCNN)
  noise  N(0, NOISE^2) is added to every number: drawn anew at every step of learning (Zhang et al. 2017, DnCNN)

Every picture keeps its own size; patches of one size are cut from it, so that a batch is one array.
N patches of P x P pixels and C channels, B patches of a batch"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from ..tensor import functions as F
from ..tensor import random
from ..tensor.tensor import Tensor
from . import picture_file
from .dataset import Split
from .decoding import in_threads, read_headers
from .image_files import count, listing
from .images import picture_paths
from .picture_file import Damaged, Preparation
from .picture_form import decide_preparation
from .pictures import Choice
from .shuffle import permutation

FAULTS = ("small", "noise")
NOISE = 25.0  # of 255; DnCNN's middle one
SIDE = 32  # pixels of a patch
LEAST_SIDE = 8
PATCHES = 2400  # of all pictures together, about
FEWEST = 5  # pictures, to learn from, to validate and to test


@dataclass(frozen=True, eq=False)
class Patches:
    """N patches.

    given, clean  (N, P, P, C) uint8 with the fault and without
    picture       (N,) int32, the number of the picture that each is of; equal pictures have one number
    fault         one of FAULTS     preparation  what is done to a picture before its patches are cut
    choices, notes, damaged   as in Pictures"""

    name: str
    given: np.ndarray
    clean: np.ndarray
    picture: np.ndarray
    fault: str
    preparation: Preparation
    source: str = ""
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()

    classes: tuple[str, ...] = ()
    shift: float = 0.0
    scale: float = 255.0

    def __len__(self) -> int:
        return len(self.clean)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(P, P, C)."""
        return self.preparation.shape

    @property
    def n_answers(self) -> int:
        """Numbers of a patch."""
        return int(np.prod(self.shape))

    @property
    def n_pictures(self) -> int:
        """How many different pictures the patches are of."""
        return int(self.picture.max()) + 1

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Both, still bytes."""
        return np.ascontiguousarray(self.given), np.ascontiguousarray(self.clean)

    def batch(self, stored: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P, P, C) float32 from 0 to 1, with the fault and without."""
        given, clean = (F.take(part, rows, axis=0).astype("float32") / 255.0 for part in stored)
        return given, clean

    def learning_batch(self, stored: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """As `batch`; noise is new each time, so that none is learned by heart."""
        given, clean = self.batch(stored, rows)
        if self.fault == "noise":
            noise = random.normal(*clean.shape) * (NOISE / 255)
            given = F.clip(clean + noise, 0.0, 1.0)
        return given, clean

    def order(self, rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """The rows shuffled, as (seed, epoch) say."""
        rows = np.asarray(rows, np.int32)
        return rows[permutation(len(rows), seed, "epoch", epoch)]

    def fingerprint(self) -> str:
        """SHA-256 of every pixel, with the fault and without."""
        digest = hashlib.sha256(repr((self.clean.shape, self.fault)).encode())
        for part in self.arrays():
            digest.update(part)
        return digest.hexdigest()


def split_patches(data: Patches, validation: float, test: float, seed: int) -> Split:
    """Whole pictures go to a part, at least one to each part that is asked for."""
    n = data.n_pictures
    order = permutation(n, seed, "split")
    n_test, n_validation = (
        max(1, round(n * share)) if share else 0 for share in (test, validation)
    )
    part_of = np.zeros(n, np.uint8)
    part_of[order[:n_test]] = 2
    part_of[order[n_test : n_test + n_validation]] = 1
    rows = part_of[data.picture]
    return Split(*(np.flatnonzero(rows == i).astype(np.int32) for i in range(3)))


def read_patches(
    path: str | Path,
    fault: str,
    channels: int | None = None,
    *,
    background: int | None = None,
    strict: bool = False,
    seed: int = 0,
) -> Patches:
    """Patches of all pictures in a folder, in folders of it too; their places follow from the seed.

    Pictures too small for a patch, and damaged ones (unless `strict`), are left out, named and counted. Raises
    DataError when fewer than FEWEST are left."""
    root = Path(path)
    files, notes = picture_paths(root)
    paths = [root / f for f in files]
    headers, damaged = read_headers(paths)
    known = {i: h for i, h in enumerate(headers) if h is not None}
    sides = sorted(min(h.height, h.width) for h in known.values())
    # Nine of ten pictures are large enough: one icon among photographs must not make all patches tiny.
    side = min(SIDE, sides[len(sides) // 10] // 2 * 2) if sides else SIDE
    side = max(LEAST_SIDE, side)
    small = [i for i, h in known.items() if min(h.height, h.width) < side]
    if len(known) - len(small) < FEWEST:
        raise DataError(
            f"{path}: {len(known) - len(small)} pictures of {side} pixels a side or more are too few to learn from; "
            f"give {FEWEST} or more."
        )
    kept = [i for i in known if i not in set(small)]
    preparation, choices = decide_preparation(
        {i: known[i] for i in kept}, paths, side, channels, background
    )
    n_each = -(-PATCHES // len(kept))
    parts: dict[int, tuple[np.ndarray, np.ndarray, str]] = {}

    def work(at: int) -> None:
        i = kept[at]
        try:
            whole = pixels_of(picture_file.decode(picture_file.read_bytes(paths[i])), preparation)
        except Damaged as why:
            damaged[i] = str(why)
            return
        parts[i] = _cut(whole, side, fault, n_each, np.random.default_rng([seed, i]))

    in_threads(len(kept), work)
    listed = tuple((files[i], damaged[i]) for i in sorted(damaged))
    if listed and (strict or len(parts) < FEWEST):
        raise DataError(
            f"{path}: {len(listed)} of {len(files)} pictures cannot be read: {listing(listed)}. Replace or remove them."
        )
    if listed:
        notes.append(
            f"{count(listed, 'picture', 'pictures')} left out that cannot be read: {listing(listed)}."
        )
    if small:
        what = count(small, "picture is", "pictures are")
        notes.append(f"{what} smaller than {side} pixels: left out, as {files[small[0]]}.")
    numbers: dict[str, int] = {}
    order = sorted(parts)
    of = [numbers.setdefault(parts[i][2], len(numbers)) for i in order]
    if len(numbers) < FEWEST:
        raise DataError(
            f"{path}: {len(numbers)} different pictures are too few to learn from; give {FEWEST} or more."
        )
    kinds = [c for c in choices if c.what in ("channels", "white", "background")]
    if not any(c.what == "channels" for c in kinds):
        kinds.append(Choice("channels", "3, colour", "there are colour files", "channels"))
    return Patches(
        name=root.resolve().name,
        given=np.concatenate([parts[i][0] for i in order]),
        clean=np.concatenate([parts[i][1] for i in order]),
        picture=np.repeat(of, [len(parts[i][0]) for i in order]).astype(np.int32),
        fault=fault,
        preparation=preparation,
        source=str(path),
        choices=tuple(kinds),
        notes=tuple(notes),
        damaged=listed,
    )


def pixels_of(picture: Any, preparation: Preparation) -> np.ndarray:
    """(H, W, C) uint8 of a Pillow image in its own size."""
    flat = picture_file.opaque(picture, preparation.background, preparation.white)
    mode = "L" if preparation.channels == 1 else "RGB"
    flat = flat if flat.mode == mode else flat.convert(mode)
    return np.asarray(flat, np.uint8).reshape(flat.height, flat.width, preparation.channels)


def _cut(
    whole: np.ndarray, side: int, fault: str, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, str]:
    """(patches with the fault, the same without, SHA-256 of the picture)."""
    height, width = (s // 2 * 2 for s in whole.shape[:2])
    whole = whole[:height, :width]
    worse = brought_back(whole) if fault == "small" else with_noise(whole, rng)
    # Even places, so that every patch lies alike on the pixels of the halved picture.
    down = 2 * rng.integers(0, (height - side) // 2 + 1, n)
    across = 2 * rng.integers(0, (width - side) // 2 + 1, n)
    places = np.unique(np.stack([down, across], 1), axis=0)
    cuts = [
        np.stack([part[y : y + side, x : x + side] for y, x in places.tolist()])
        for part in (worse, whole)
    ]
    return cuts[0], cuts[1], hashlib.sha256(np.ascontiguousarray(whole)).hexdigest()


def with_noise(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uint8 with N(0, NOISE^2) added."""
    noisy = pixels + rng.normal(0.0, NOISE, pixels.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def brought_back(pixels: np.ndarray, way: str = "bicubic") -> np.ndarray:
    """(H, W, C) halved by bicubic means and doubled again, by `way`: bicubic, or nearest (every pixel four times)."""
    height, width = pixels.shape[:2]
    return resized(resized(pixels, height // 2, width // 2), height, width, way)


def resized(pixels: np.ndarray, height: int, width: int, way: str = "bicubic") -> np.ndarray:
    """(H, W, C) uint8 in another size, by Pillow's filters."""
    Image = picture_file.pillow()
    one = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    new = one.resize((width, height), Image.Resampling[way.upper()])
    return np.asarray(new, np.uint8).reshape(height, width, -1)
