"""What the scripts share: arguments, the readers of public data sets, mini-batches, the result line."""

import argparse
import gzip
import sys
import time
from pathlib import Path

import numpy as np

import pellucid


class Run:
    """The arguments of a script, its random numbers, its clock and its result line.

    quick   tiny settings that show that the script works; the figure means nothing then"""

    def __init__(self, doc: str, *more):
        parser = argparse.ArgumentParser(description=doc.splitlines()[0])
        parser.add_argument("data", type=Path, help="folder with the data sets, one folder each")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--quick", action="store_true", help="tiny settings, to try the script")
        for name, settings in more:
            parser.add_argument(name, **settings)
        self.args = parser.parse_args()
        self.name = Path(sys.argv[0]).stem
        self.data, self.seed, self.quick = self.args.data, self.args.seed, self.args.quick
        self.rng = np.random.default_rng(self.seed)
        pellucid.seed(self.seed)
        self.start = time.perf_counter()

    def log(self, text: str) -> None:
        """Progress goes to standard error: standard output has the result alone."""
        print(f"{time.perf_counter() - self.start:6.1f} s  {text}", file=sys.stderr, flush=True)

    def result(self, figure: str, is_met: bool, bar: str) -> None:
        """The one line: name, seed, figure, bar, verdict, seconds."""
        verdict = "quick" if self.quick else "met" if is_met else "NOT MET"
        seconds = time.perf_counter() - self.start
        print(f"{self.name} seed {self.seed}: {figure} (bar {bar}): {verdict}, {seconds:.0f} s")


def shuffled(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Row numbers of an epoch's full batches, (n // size, size)."""
    return rng.permutation(n)[: n // size * size].reshape(-1, size)


# ---- readers


def idx(path: Path) -> np.ndarray:
    """The array of a gzipped IDX file of bytes: two zeros, a type, the rank, big-endian sizes, the data."""
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    sizes = np.frombuffer(raw, ">i4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(sizes)


def mnist(data: Path, quick: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images (60000, 28, 28, 1) in 0..1, labels, and the 10,000 of the test set; quick: 2,000 and 500 of them."""
    parts = []
    for part, n in (("train", 2000), ("t10k", 500)):
        rows = slice(n if quick else None)
        images = idx(data / "mnist" / f"{part}-images-idx3-ubyte.gz")[rows]
        parts.append((images[..., None] / np.float32(255)).astype(np.float32))
        parts.append(idx(data / "mnist" / f"{part}-labels-idx1-ubyte.gz")[rows].astype(np.int32))
    return tuple(parts)
