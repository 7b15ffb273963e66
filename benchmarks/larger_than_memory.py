"""How much memory learning from a table takes that is ten times as large as --memory.

Writes a CSV of mixed columns, trains one epoch on it in a process of its own, and prints the most memory that this
process ever had (ru_maxrss), the time and the score. With --within it fails where the memory was more.

    python benchmarks/larger_than_memory.py                              1 GB, --memory 100MB
    python benchmarks/larger_than_memory.py --memory 20 --times 5        0.1 GB"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS = 50_000  # that are written together


def write(path: Path, n_bytes: int, seed: int = 0) -> int:
    """A table of numbers, categories, a date and words of n_bytes or a little more; returns its rows.

    The answer follows from four of the columns and chance: the best that can be reached is an accuracy of 0.89."""
    rng = np.random.default_rng(seed)
    cities = np.array([f"city {i}" for i in range(40)])
    names = "id,age,income,city,plan,since,score,balance,visits,note,stays"
    n = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write(names + "\n")
        while file.tell() < n_bytes:
            age, visits = rng.integers(18, 90, ROWS), rng.poisson(4, ROWS)
            income, balance = rng.lognormal(10, 1, ROWS), rng.normal(0, 5000, ROWS)
            city, plan = rng.integers(0, 40, ROWS), rng.integers(0, 3, ROWS)
            score, day = rng.normal(0, 1, ROWS), rng.integers(0, 6000, ROWS)
            z = 0.06 * (age - 54) + 0.9 * (np.log(income) - 10) + score + 1.5 * (plan == 2) - 0.5
            stays = z + rng.normal(0, 0.5, ROWS) > 0
            since = (np.datetime64("2005-01-01") + day).astype(str)
            rows = zip(
                age.tolist(), income.tolist(), cities[city].tolist(), plan.tolist(), since.tolist(), score.tolist(),
                balance.tolist(), visits.tolist(), stays.tolist(), strict=True,
            )  # fmt: skip
            file.writelines(
                f"{n + i},{a},{b:.2f},{c},{'ABC'[p]},{d},{s:.5f},{m:.2f},{v if v < 9 else 'NA'},said {v} things,"
                f"{'yes' if y else 'no'}\n"
                for i, (a, b, c, p, d, s, m, v, y) in enumerate(rows)
            )
            n += ROWS
    return n


def train(path: Path, memory: int, out: Path) -> tuple[dict, float, float]:
    """(result, seconds, most bytes of memory) of one epoch; memory in MB."""
    command = [sys.executable, "-m", "pellucid", "train", str(path), "--target", "stays", "--memory", f"{memory}MB",
               "--epochs", "1", "--json", "--out", str(out)]  # fmt: skip
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(child.returncode)
    return json.loads(said), time.perf_counter() - began, used.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", type=int, default=100, help="MB")
    parser.add_argument(
        "--times", type=float, default=10.0, help="how many times as large the file is"
    )
    parser.add_argument("--within", type=int, help="MB that the process may take at most")
    parser.add_argument(
        "--file", type=Path, help="keep the CSV here, or take the CSV or Parquet that is there"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = asked.file or Path(folder) / "large.csv"
        if not path.exists():
            write(path, int(asked.memory * asked.times * 1e6))
        result, seconds, most = train(path, asked.memory, Path(folder) / "run")
        n_bytes = path.stat().st_size
    test, scores = result["metrics"]["test"], result["scores"]
    print(f"file            {n_bytes / 1e6:,.0f} MB")
    print(f"--memory        {asked.memory} MB")
    print(f"most memory     {most / 1e6:,.0f} MB")
    print(
        f"accuracy        {test['accuracy']:.4f} of {test['n']:,} held-out rows, AUC {scores['roc_auc']:.4f}"
    )
    print(f"seconds         {seconds:,.0f}")
    if asked.within is not None and most > asked.within * 1e6:
        sys.exit(f"more than {asked.within} MB")


if __name__ == "__main__":
    main()
