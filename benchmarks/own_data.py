"""Public data sets by `pellucid train FILE --target COLUMN` with no other option: the figure beside a reference.

    python benchmarks/own_data.py DATA [--seeds 0 1 2 3 4] [--only titanic abalone]

DATA has one folder for each set. The references are those that its own collection gives: untuned scikit-learn on the
same files (cross-validated, so that a single held-out part may lie a point or two to either side). own_data_peers.py
measures scikit-learn on the same rows. Those of LONG take minutes for each seed and are run where they are named."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Set:
    """One data set: its file, the options that name the target, the figure, and what it is held against.

    better  1: higher is better, -1: lower"""

    file: str
    options: tuple[str, ...]
    figure: tuple[str, ...]  # keys into metrics.json
    name: str
    reference: float
    by: str
    better: int = 1


def series(column: str) -> tuple[str, ...]:
    return ("--task", "forecast", "--target", column)


ACCURACY, RMSE = ("scores", "accuracy"), ("scores", "rmse")
AHEAD = ("forecast", "rmse")
SETS = {
    "titanic": Set("titanic/titanic.csv", ("--target", "Survived"), ACCURACY, "accuracy", 0.814, "boosting"),
    "telco_churn": Set(
        "telco_churn/Telco-Customer-Churn.csv", ("--target", "Churn"), ("scores", "roc_auc"), "AUC", 0.852, "linear"
    ),
    "california_housing": Set(
        "california_housing/housing.csv", ("--target", "median_house_value"), RMSE, "RMSE", 53_300, "MLP", -1
    ),
    "abalone": Set("abalone/abalone_h.csv", ("--target", "rings"), RMSE, "RMSE", 2.13, "MLP", -1),
    "travel_insurance": Set(
        "travel_insurance/TravelInsurancePrediction.csv", ("--target", "TravelInsurance"), ACCURACY, "accuracy",
        0.816, "boosting",
    ),
    "sms_spam": Set("sms_spam/sms.tsv", ("--target", "column_1"), ACCURACY, "accuracy", 0.983, "TF-IDF, logistic"),
    "airline_passengers": Set(
        "airline_passengers/airline-passengers.csv", series("Passengers"), AHEAD, "RMSE", 15.7, "autoregression", -1
    ),
    "daily_min_temperatures": Set(
        "daily_min_temperatures/daily-min-temperatures.csv", series("Temp"), AHEAD, "RMSE", 2.21, "autoregression", -1
    ),
    "sunspots": Set(
        "sunspots/monthly-sunspots.csv", series("Sunspots"), AHEAD, "RMSE", 18.3, "autoregression", -1
    ),
}  # fmt: skip
LOSS = ("metrics", "test", "loss")
LONG = {
    "mnist": Set("mnist", (), ACCURACY, "accuracy", 0.992, "small CNN"),
    "tinyshakespeare": Set("tinyshakespeare/input.txt", (), LOSS, "nats", 1.88, "nanoGPT of this size", -1),
    "names": Set("names/names.txt", (), LOSS, "nats", 1.92, "makemore's transformer", -1),
}  # fmt: skip


def pellucid(*words: str) -> str:
    """What a command prints. Ends with its message where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", *words], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"pellucid {' '.join(words)}\n{done.stderr}")
    return done.stdout


def measure(data: Path, s: Set, seed: int) -> tuple[float, float]:
    """(the figure on the held-out part, seconds)."""
    with tempfile.TemporaryDirectory() as folder:
        run = ("--seed", str(seed), "--quiet", "--json", "--out", f"{folder}/run")
        result = json.loads(pellucid("train", str(data / s.file), *s.options, *run))
    value = result
    for key in s.figure:
        value = value[key]
    return value, result["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--only", nargs="+", choices=[*SETS, *LONG], default=list(SETS))
    args = parser.parse_args()
    print("| data | figure | median | lowest to highest | reference | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in args.only:
        s = {**SETS, **LONG}[name]
        found, seconds = zip(*(measure(args.data, s, seed) for seed in args.seeds), strict=True)
        median = statistics.median(found)
        met = "" if s.better * median >= s.better * s.reference else ": not met"
        print(
            f"| {name} | {s.name} | {median:.4g} | {min(found):.4g} to {max(found):.4g} "
            f"| {s.reference:g} ({s.by}){met} | {statistics.median(seconds):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
