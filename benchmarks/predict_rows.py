"""Claim: `pellucid predict RUN table.csv` answers 100,000 rows at least as fast as scikit-learn doing the same.

    python benchmarks/predict_rows.py [--rows 100000] [--repeat 5] [--parts]

The same is pandas.read_csv, a ColumnTransformer (StandardScaler, OneHotEncoder), MLPClassifier(256, 128).predict_proba
and to_csv of the probabilities, of the same file: six columns of numbers, four of categories, three classes. Both learn
from the whole file (one pass); only answering is timed, in one process with everything imported, one after the other;
ours reads its run folder too. `command` is each as a fresh process, with its imports. --parts: where our time goes."""

import argparse
import contextlib
import cProfile
import functools
import io
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

NUMBERS = ("age", "income", "score", "visits", "height", "ratio")
CATEGORIES = {"city": 30, "plan": 4, "colour": 8, "device": 12}
SKLEARN = """
import sys, joblib, pandas
pipeline = joblib.load(sys.argv[1])
frame = pandas.read_csv(sys.argv[2])
pandas.DataFrame(pipeline.predict_proba(frame), columns=pipeline.classes_).to_csv(sys.argv[3], index=False)
"""


def write_table(path: Path, n: int, seed: int = 0) -> None:
    """The table as pandas writes it, its numbers to four digits behind the point."""
    import pandas

    rng = np.random.default_rng(seed)
    columns: dict = {
        "age": rng.integers(18, 90, n),
        "income": np.round(rng.lognormal(10, 0.7, n), 2),
        "score": np.round(rng.normal(size=n), 4),
        "visits": rng.poisson(4, n),
        "height": np.round(rng.normal(170, 10, n), 1),
        "ratio": np.round(rng.random(n), 4),
    }
    for name, levels in CATEGORIES.items():
        columns[name] = np.array([f"{name} {i}" for i in range(levels)])[rng.integers(0, levels, n)]
    signal = columns["score"] + (columns["plan"] == "plan 1") + rng.normal(size=n) / 2
    columns["kind"] = np.array(["low", "middle", "high"])[np.digitize(signal, (-0.5, 0.8))]
    pandas.DataFrame(columns).to_csv(path, index=False)


def theirs(file: Path, folder: Path) -> Callable[[], None]:
    """scikit-learn, fitted; stored beside, for a process of its own."""
    import warnings

    import joblib
    import pandas
    from sklearn.compose import ColumnTransformer
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = ColumnTransformer(
        [("n", StandardScaler(), list(NUMBERS)),
         ("c", OneHotEncoder(handle_unknown="ignore"), list(CATEGORIES))]
    )  # fmt: skip
    pipeline = make_pipeline(columns, MLPClassifier((256, 128), max_iter=1, random_state=0))
    frame = pandas.read_csv(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one pass is too few to converge
        pipeline.fit(frame, frame["kind"])
    joblib.dump(pipeline, folder / "pipeline.joblib")

    def answer() -> None:
        chances = pipeline.predict_proba(pandas.read_csv(file))
        found = pandas.DataFrame(chances, columns=pipeline.classes_)
        found.to_csv(folder / "theirs.csv", index=False)

    return answer


def ours(file: Path, folder: Path) -> Callable[[], None]:
    """pellucid, trained; its run folder beside."""
    from pellucid.cli.main import run

    options = ["--target", "kind", "--net", "256-128", "--epochs", "1", "--quiet"]
    assert run(["train", str(file), *options, "--out", str(folder / "run")]) == 0

    def answer() -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # how many answers were right
            line = ["predict", str(folder / "run"), str(file), "--out", str(folder / "ours.csv")]
            assert run(line) == 0

    return answer


def seconds(answer: Callable[[], None]) -> float:
    start = time.perf_counter()
    answer()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--parts", action="store_true", help="profile of ours, at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "table.csv"
        write_table(file, options.rows)
        made = {"pellucid": ours(file, folder), "scikit-learn": theirs(file, folder)}
        commands = {
            "pellucid": ["-m", "pellucid", "predict", "run", "table.csv", "--out", "a.csv"],
            "scikit-learn": ["-c", SKLEARN, "pipeline.joblib", "table.csv", "b.csv"],
        }
        paths = os.pathsep.join(os.path.abspath(p) for p in sys.path if p)

        def command(who: str) -> None:
            subprocess.run(
                [sys.executable, *commands[who]],
                cwd=folder, check=True, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": paths},
            )  # fmt: skip

        inside: dict[str, list[float]] = {who: [] for who in made}
        whole: dict[str, list[float]] = {who: [] for who in made}
        for turn in range(options.repeat + 1):
            for who, answer in made.items():
                took = seconds(answer), seconds(functools.partial(command, who))
                if turn:  # the first imports, and fills caches
                    inside[who].append(took[0])
                    whole[who].append(took[1])
        for what, times in (("in one process", inside), ("command", whole)):
            middle = {who: statistics.median(t) for who, t in times.items()}
            ratio = middle["scikit-learn"] / middle["pellucid"]
            told = ", ".join(f"{who} {t:.3f} s" for who, t in middle.items())
            verdict = "met" if ratio >= 1 else "NOT MET"
            print(f"{what:15} {options.rows:,} rows: {told}: {ratio:.2f}x, bar 1x: {verdict}")
        if options.parts:
            profile = cProfile.Profile()
            profile.runcall(made["pellucid"])
            pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


if __name__ == "__main__":
    main()
