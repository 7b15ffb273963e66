"""Many picture files decoded by several threads, whose memory together is bounded.

Pillow decodes without holding Python's lock. Every thread takes the next number and writes into its own place of one
array, so the result does not depend on how many there are."""

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..runtime.team import get_threads
from . import picture_file
from .picture_file import Damaged, Header, Preparation
from .pixels import release, room_for

DECODING = 2**29  # bytes that pictures being decoded may take together
LEAST_DECODING = 2**26  # a photograph of 5 million pixels at once
MEMORY = 2**32  # of all pictures together, where nothing is said
BYTES_PER_PIXEL = 12  # of one being decoded: four channels, and twice in conversion
SMALL = (
    64 * 64
)  # pixels of a picture below which threads only wait for Python: 28 x 28 goes faster by one
TOLD_SECONDS = 0.1

Told = Callable[[int, int], None]  # (pictures decoded, pictures in all), at most every TOLD_SECONDS
_HEARING: list[Told] = []


@contextmanager
def heard(told: Told) -> Iterator[None]:
    """Within it `told` hears of all pictures that are decoded, wherever that is asked for."""
    _HEARING.append(told)
    try:
        yield
    finally:
        _HEARING.remove(told)


def read_headers(paths: Sequence[Path]) -> tuple[list[Header | None], dict[int, str]]:
    """(the header of each file, or None; number -> why there is none)."""
    headers: list[Header | None] = [None] * len(paths)
    damaged: dict[int, str] = {}

    def work(i: int) -> None:
        try:
            headers[i] = picture_file.read_header(paths[i])
        except Damaged as why:
            damaged[i] = str(why)

    # Reading heads is Python's work, for which threads only wait for each other.
    in_threads(len(paths), work, 1)
    return headers, damaged


def read_files(
    paths: Sequence[Path], preparation: Preparation, threads: int | None = None
) -> tuple[np.ndarray, dict[int, str]]:
    """New pictures in the form of those learned from: ((N, H, W, C) uint8, number -> why it has no pixels)."""
    headers, damaged = read_headers(paths)
    pixels, _, more = decode_all(paths, headers, preparation, threads)
    return pixels, {**damaged, **more}


def decode_all(
    paths: Sequence[Path],
    headers: Sequence[Header | None],
    preparation: Preparation,
    threads: int | None = None,
    told: Told | None = None,
    memory: int = MEMORY,
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Every file with a header decoded once: ((N, H, W, C) uint8, (N,) whether it has colour, number -> damage).

    memory  bytes that may be used; where the pixels are more, they lie in a file (pixels.py)"""
    pixels = room_for((len(paths), *preparation.shape), memory)
    has_colour = np.zeros(len(paths), bool)
    damaged: dict[int, str] = {}
    room = Room(min(DECODING, max(memory, LEAST_DECODING)))
    every = max(1, min(memory, DECODING) // 8 // max(1, int(np.prod(preparation.shape))))

    def work(i: int) -> None:
        header = headers[i]
        if header is None:
            pixels[i] = 0
            return
        with room.taken(header.height * header.width * BYTES_PER_PIXEL):
            try:
                data = picture_file.read_bytes(paths[i])
                picture = preparation.pixels(picture_file.decode(data, preparation.least))
            except Damaged as why:
                damaged[i] = str(why)
                pixels[i] = 0
                return
        pixels[i] = picture
        if i % every == every - 1:
            release(pixels)
        if preparation.channels == 3:
            has_colour[i] = bool((picture != picture[..., :1]).any())

    n_pixels = sum(h.height * h.width for h in headers if h is not None)
    if n_pixels < SMALL * len(paths):
        threads = 1
    in_threads(len(paths), work, threads, told or (_HEARING[-1] if _HEARING else None))
    return pixels, has_colour, damaged


class Room:
    """Bytes that threads share: whoever wants more than is left waits; one alone may take more than there is."""

    def __init__(self, n_bytes: int):
        self.n_bytes, self.n_taken = n_bytes, 0
        self.changed = threading.Condition()

    def taken(self, n: int) -> "Taken":
        return Taken(self, n)


@dataclass(frozen=True)
class Taken:
    room: Room
    n: int

    def __enter__(self) -> None:
        with self.room.changed:
            self.room.changed.wait_for(
                lambda: not self.room.n_taken or self.room.n_taken + self.n <= self.room.n_bytes
            )
            self.room.n_taken += self.n

    def __exit__(self, *error) -> None:
        with self.room.changed:
            self.room.n_taken -= self.n
            self.room.changed.notify_all()


def in_threads(
    n: int, work: Callable[[int], None], threads: int | None = None, told: Told | None = None
) -> None:
    """work(0) to work(n - 1), each once. Pillow decodes without holding Python's lock.

    An error in one ends all; so does Ctrl-C, after the pictures being decoded. `told` hears how many are done."""
    picture_file.pillow()
    lock, numbers, is_ended = threading.Lock(), iter(range(n)), threading.Event()
    n_done, last = 0, time.monotonic()

    def done() -> None:
        nonlocal n_done, last
        with lock:
            n_done += 1
            if told and (n_done == n or time.monotonic() - last >= TOLD_SECONDS):
                last = time.monotonic()
                told(n_done, n)

    def run() -> None:
        while not is_ended.is_set():
            with lock:
                i = next(numbers, None)
            if i is None:
                return
            try:
                work(i)
                done()
            except BaseException:
                is_ended.set()
                raise

    n_threads = max(1, min(n, get_threads() if threads is None else threads))
    with warnings.catch_warnings():
        # Pillow warns of odd EXIF and palettes, once a file; what matters is in the pixels. Too many of these is
        # an error of its own.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", picture_file.pillow().DecompressionBombWarning)
        if n_threads == 1:
            run()
            return
        from concurrent.futures import ThreadPoolExecutor  # 40 ms: not before there are pictures

        with ThreadPoolExecutor(n_threads) as pool:
            futures = [pool.submit(run) for _ in range(n_threads)]
            try:
                for future in futures:
                    future.result()
            finally:
                is_ended.set()
