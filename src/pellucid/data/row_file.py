"""Encoded rows on disk, in an order by chance, for tables that are larger than memory.

Rows come in as they are read, each with its answer and the part that it belongs to; what goes out are arrays that the
system reads from the file as they are looked at, and whose memory can be given back. The order is made on writing:
rows fall into buckets by a hash, and each bucket, small enough for memory, is shuffled and put behind the last. So
rows that are learned from together lie together, and the first rows of a part are a sample of it.

The files have no name: the system removes them whatever happens. N rows, F features, K buckets"""

import contextlib
import hashlib
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..base.errors import RunError
from .dataset import Split
from .shuffle import permutation
from .weights import mixed

N_MAPS = 3  # of the rows, their answers and their numbers
PARTS = 3  # to learn, to validate, to test
MOST_BUCKETS = 4096
CHUNK = 4096  # rows that are written together
BLOCK = (
    1 << 20
)  # bytes of rows that stay together when an epoch shuffles what it reads: a look at one maps many


def scratch_folder() -> str:
    """Where large temporary files go: TMPDIR where it is set; else /var/tmp, as /tmp is often in memory."""
    chosen = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    if not chosen and os.path.isdir("/var/tmp") and os.access("/var/tmp", os.W_OK):
        return "/var/tmp"
    return tempfile.gettempdir()


def check_room(n_bytes: int, folder: str) -> None:
    """Raises RunError where the disk has less room than that."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise RunError(
            f"{folder}: the encoded table needs {said_bytes(n_bytes)} of disk for a while, and {said_bytes(free)} are "
            f"free. Make room, set TMPDIR to a folder on a larger disk, or leave out columns with many values."
        )


def said_bytes(n: float) -> str:
    """2.4 GB, 300 MB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{int(n)} bytes"


@dataclass
class RowWriter:
    """Takes rows in any order; `finished` gives them back shuffled.

    n_features  F        n_rows   about how many will come
    memory      bytes that may be used here
    seed        of the order"""

    n_features: int
    n_rows: int
    memory: int
    seed: int

    def __post_init__(self):
        n_bytes = self.n_rows * 4 * (self.n_features + 1)
        self.folder = scratch_folder()
        check_room(2 * n_bytes, self.folder)
        # Two buckets are in memory at once, before and after they are shuffled.
        self.n_buckets = int(np.clip(3 * n_bytes // max(1, self.memory), 1, MOST_BUCKETS))
        self.file = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
        self.waiting: list[tuple[np.ndarray, np.ndarray]] = []  # (buckets, rows with their answers)
        self.n_waiting = self.n_seen = 0
        self.starts: list[np.ndarray] = []  # of the buckets in each write, and its end

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def add(self, x: np.ndarray, y: np.ndarray, part: np.ndarray) -> None:
        """Rows x (n, F) float32 with answers y (n,), int32 or float32, of parts 0 to 2."""
        rows = np.empty((len(x), self.n_features + 1), np.float32)
        rows[:, :-1] = x
        rows[:, -1] = y.view(np.float32)
        numbers = np.arange(self.n_seen, self.n_seen + len(x), dtype=np.uint64)
        hashes = mixed(numbers + np.uint64((self.seed << 32) + 1))
        bucket = part.astype(np.int64) * self.n_buckets + (
            hashes % np.uint64(self.n_buckets)
        ).astype(np.int64)
        self.waiting.append((bucket, rows))
        self.n_seen += len(x)
        self.n_waiting += rows.nbytes
        if self.n_waiting > self.memory // 3:
            self.flush()

    def flush(self) -> None:
        """Writes what waits, bucket after bucket."""
        if not self.waiting:
            return
        bucket = np.concatenate([b for b, _ in self.waiting])
        rows = np.concatenate([r for _, r in self.waiting])
        self.waiting, self.n_waiting = [], 0
        order = np.argsort(bucket, kind="stable")
        counts = np.bincount(bucket, minlength=PARTS * self.n_buckets)
        self.starts.append(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
        for start in range(0, len(order), CHUNK):
            write(self.file, rows[order[start : start + CHUNK]], self.folder)

    def finished(self, answers: np.ndarray | None = None) -> "RowFile":
        """The shuffled rows. answers  (C,) new numbers of the classes, where y held numbers of them."""
        self.flush()
        counts = np.zeros(PARTS, np.int64)
        digest = hashlib.sha256()
        dtype = np.dtype(np.float32 if answers is None else np.int32)
        classes = np.zeros((PARTS, 0 if answers is None else len(answers)), np.int64)
        with (
            tempfile.TemporaryFile(dir=self.folder) as x,
            tempfile.TemporaryFile(dir=self.folder) as y,
        ):
            for bucket in range(PARTS * self.n_buckets):
                rows = self.bucket(bucket)
                if not len(rows):
                    continue
                rows = rows[permutation(len(rows), self.seed, "split", bucket + 1)]
                found = np.ascontiguousarray(rows[:, -1])
                part = bucket // self.n_buckets
                counts[part] += len(rows)
                if answers is not None:
                    found = answers[found.view(np.int32)].astype(np.int32)
                    classes[part] += np.bincount(found, minlength=len(answers))
                inputs = np.ascontiguousarray(rows[:, :-1])
                digest.update(inputs)
                digest.update(found)
                write(x, inputs, self.folder)
                write(y, found, self.folder)
            n = int(counts.sum())
            maps = [mapped(x, n * 4 * self.n_features), mapped(y, n * 4)]
        return RowFile(
            np.frombuffer(maps[0], np.float32).reshape(n, self.n_features),
            np.frombuffer(maps[1], dtype),
            tuple(counts.tolist()),
            classes,
            digest.hexdigest(),
            maps,
        )

    def bucket(self, number: int) -> np.ndarray:
        """(n, F + 1) its rows, in the order in which they came."""
        width = 4 * (self.n_features + 1)
        parts = []
        first = 0
        for starts in self.starts:
            n = int(starts[number + 1] - starts[number])
            if n:
                self.file.seek((first + int(starts[number])) * width)
                parts.append(np.frombuffer(self.file.read(n * width), np.float32))
            first += int(starts[-1])
        if not parts:
            return np.empty((0, self.n_features + 1), np.float32)
        return np.concatenate(parts).reshape(-1, self.n_features + 1)


def write(file, rows: np.ndarray, folder: str) -> None:
    """Appends an array. Raises RunError for a full disk."""
    try:
        left = memoryview(rows).cast("B")
        while left:  # a file without a buffer may take less than it was given
            left = left[file.write(left) :]
        file.flush()
    except OSError as error:
        raise RunError(
            f"{folder}: the encoded table cannot be written: {error.strerror or error}. Make room, or set TMPDIR to "
            f"a folder on a larger disk."
        ) from error


def mapped(file, n_bytes: int) -> mmap.mmap:
    """The file's bytes, read as they are looked at; it may be closed."""
    found = mmap.mmap(file.fileno(), n_bytes)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        # A look at one row would else map 2 MB.
        with contextlib.suppress(OSError):  # a system without huge pages
            found.madvise(mmap.MADV_NOHUGEPAGE)
    return found


@dataclass(frozen=True, eq=False)
class RowFile:
    """Rows on disk, part after part, each in an order by chance.

    x        (N, F) float32, y (N,) int32 or float32: parts of files
    counts   rows to learn, to validate, to test      classes  (3, C) how many of each class
    sha256   of all values"""

    x: np.ndarray
    y: np.ndarray
    counts: tuple[int, ...]
    classes: np.ndarray
    sha256: str
    maps: list[mmap.mmap] = field(repr=False, default_factory=list)

    @property
    def n_bytes(self) -> int:
        """On disk."""
        return self.x.nbytes + self.y.nbytes

    def split(self) -> Split:
        """The rows of each part."""
        numbers = self.array(len(self.x))
        for start in range(0, len(numbers), CHUNK):
            stop = min(start + CHUNK, len(numbers))
            numbers[start:stop] = np.arange(start, stop)
        self.release()
        return Split(*(numbers[a:b] for a, b in pairwise(np.cumsum((0, *self.counts)))))

    def array(self, n: int) -> np.ndarray:
        """(n,) int32 for numbers of rows, on disk as well: many rows have many numbers."""
        with tempfile.TemporaryFile(dir=scratch_folder()) as file:
            file.truncate(4 * n)
            self.maps.append(mapped(file, 4 * n))
        return np.frombuffer(self.maps[-1], np.int32)

    def order(self, rows: np.ndarray, seed: int, epoch: int, n_bytes: int) -> np.ndarray:
        """nearby_order, on disk, within so many bytes of rows; that of the epoch before is forgotten."""
        del self.maps[N_MAPS:]
        block = max(1, BLOCK // (4 * self.x.shape[1]))
        window = max(4, n_bytes // BLOCK)
        return nearby_order(rows, seed, epoch, block, window, self.array(len(rows)), self.release)

    def release(self) -> None:
        """Gives the memory of the rows back; they are read from the file when they are looked at again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for m in self.maps:
                m.madvise(mmap.MADV_DONTNEED)


def nearby_order(
    rows: np.ndarray,
    seed: int,
    epoch: int,
    block: int,
    window: int,
    out: np.ndarray,
    release: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """The rows (n,) in an order by chance in which such that come together lie in a few places; written to `out`.

    Blocks of them are put in another order, and the rows of `window` blocks that then stand together are mixed."""
    n = len(rows)
    n_blocks = -(-n // block)
    blocks = permutation(n_blocks, seed, "epoch", epoch)
    at = 0
    for w, start in enumerate(range(0, n_blocks, window)):
        chosen = blocks[start : start + window].astype(np.int64)
        taken = (chosen[:, None] * block + np.arange(block)).reshape(-1)
        taken = taken[taken < n]
        order = permutation(len(taken), seed, "epoch", ((epoch + 1) << 24) + w)
        out[at : at + len(taken)] = rows[taken[order]]
        at += len(taken)
        release()
    return out
