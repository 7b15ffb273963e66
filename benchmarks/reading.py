"""How long it takes until a table is numbers, beside the time that polars takes to read the same file.

A CSV of a million rows and 20 columns: 8 decimal and 6 whole numbers, 5 categories, a date; some cells are missing.
Read and encode are timed one after the other, in turn with polars; medians of the process's CPU time and of the clock,
with the same number of threads for both.

    python benchmarks/reading.py                     1 million rows, 3 turns, 1 thread
    python benchmarks/reading.py --rows 200000 --profile"""

import argparse
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np


def write(path: Path, n: int, seed: int = 0) -> None:
    """The table."""
    rng = np.random.default_rng(seed)
    columns = {}
    for i in range(8):
        columns[f"x{i}"] = [f"{v:.{2 + i % 4}f}" for v in rng.normal(0, 10**i, n).tolist()]
    for i in range(6):
        columns[f"n{i}"] = rng.integers(0, 10 ** (1 + i), n).astype(str).tolist()
    for i in range(5):
        names = np.array([f"{'abcde'[i]}{j}" for j in range(3 * 4**i)])
        columns[f"c{i}"] = names[rng.integers(0, len(names), n)].tolist()
    days = np.datetime64("2015-01-01") + rng.integers(0, 3000, n)
    columns["day"] = days.astype(str).tolist()
    for name in ("x1", "n2", "c1"):
        for row in rng.choice(n, n // 50, replace=False).tolist():
            columns[name][row] = ""
    with open(path, "w", encoding="utf-8") as file:
        file.write(",".join(columns) + "\n")
        file.writelines(",".join(row) + "\n" for row in zip(*columns.values(), strict=True))


def timed(work) -> tuple[float, float, object]:
    """(seconds of the processor, of the clock, what it gave)."""
    cpu, clock = time.process_time(), time.perf_counter()
    found = work()
    return time.process_time() - cpu, time.perf_counter() - clock, found


def encode(frame) -> np.ndarray:
    """As a run does: uses of columns, parts, statistics of the training part, numbers."""
    from pellucid.data.columns import decide
    from pellucid.data.encoder import Encoder
    from pellucid.data.split import split_table

    schema = decide(frame, "x0")
    parts = split_table(frame, [f.name for f in schema.features])
    return Encoder.fit(frame, schema, parts.train).transform(frame)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--file", type=Path, help="keep the CSV here, or take the one that is there"
    )
    parser.add_argument("--profile", action="store_true", help="where the time goes, of one turn")
    asked = parser.parse_args()
    for name in ("PELLUCID_THREADS", "POLARS_MAX_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(asked.threads)  # before any of them is imported
    import polars

    from pellucid.data.reading import read_table

    with tempfile.TemporaryDirectory() as folder:
        path = asked.file or Path(folder) / "table.csv"
        if not path.exists():
            write(path, asked.rows)
        found: dict[str, list[tuple[float, float]]] = {"polars": [], "read": [], "encode": []}
        if asked.profile:
            import cProfile
            import pstats

            profile = cProfile.Profile()
            profile.runcall(lambda: encode(read_table(path)))
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
            return
        for turn in range(asked.turns + 1):
            by_polars = timed(lambda: polars.read_csv(path, try_parse_dates=True))
            read = timed(lambda: read_table(path))
            encoded = timed(partial(encode, read[2]))
            if turn:  # the first turn imports
                for name, took in (("polars", by_polars), ("read", read), ("encode", encoded)):
                    found[name].append(took[:2])
            del by_polars, read, encoded
    median = {
        name: [statistics.median(c) for c in zip(*times, strict=True)]
        for name, times in found.items()
    }
    print(f"{'':10} {'CPU s':>8} {'s':>8} {'times polars (CPU)':>20}")
    ours = [a + b for a, b in zip(median["read"], median["encode"], strict=True)]
    for name, (cpu, clock) in {**median, "both": ours}.items():
        print(f"{name:10} {cpu:8.2f} {clock:8.2f} {cpu / median['polars'][0]:20.2f}")


if __name__ == "__main__":
    main()
