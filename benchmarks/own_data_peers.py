"""What scikit-learn's usual methods, untuned, reach on the very rows that `pellucid train` holds out.

    python benchmarks/own_data_peers.py DATA [--seeds 5 6 7 8 9] [--only titanic abalone] [--folds 5]

For each set of own_data.py and each seed: the figure of `pellucid train` with the target and no other option, of a
linear model, of an MLP and of gradient boosting; then the mean of their ranks over the sets. A peer learns from all
rows that are not held out, of which pellucid needs some to know when to stop; columns have the uses that pellucid
decided, and are prepared as scikit-learn's guide has it: numbers standardised, categories one-hot, texts as TF-IDF of
words and pairs (boosting: numbers as they are, the 300 commonest terms). Of a series: the same window, scaled; the
change is learned.

--folds 5 cross-validates tables over the whole file instead, as their collection does: each seed divides it into five
anew, each fifth is judged once, and the figure of a seed is the mean over the five. Below the medians stand the means
over the seeds, and what pellucid is better by than each peer, with its standard error."""

import argparse
import csv
import json
import statistics
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from own_data import SETS, Set, measure, pellucid

PEERS = ("linear", "MLP", "boosting")


def estimators(task: str, seed: int) -> dict[str, Any]:
    """scikit-learn's methods with the settings that they come with."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if task == "classify":
        return {
            "linear": LogisticRegression(max_iter=1000),
            "MLP": MLPClassifier(random_state=seed),
            "boosting": HistGradientBoostingClassifier(random_state=seed),
        }
    return {
        "linear": Ridge(),
        "MLP": MLPRegressor(random_state=seed),
        "boosting": HistGradientBoostingRegressor(random_state=seed),
    }


def table(data: Any, peer: str) -> tuple[list[list[Any]], Any]:
    """(rows of cells, what prepares them) for a peer."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from pellucid.data.columns import as_dates, as_numbers, as_texts

    is_boosting = peer == "boosting"
    number = (
        "passthrough"
        if is_boosting
        else make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    )
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    cells: list[Any] = []
    steps: list[tuple] = []
    for i, feature in enumerate(data.schema.features):
        column = data.frame[feature.name]
        if feature.use == "text":
            cells.append([t or "" for t in as_texts(column)])
            most = 300 if is_boosting else None
            words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=most)
            steps.append((str(i), words, i))
        elif feature.use == "category":
            cells.append([t or "(missing)" for t in as_texts(column)])
            steps.append((str(i), one_hot, [i]))
        else:
            is_date = feature.use == "date"
            found = as_dates("", column) if is_date else as_numbers("", column)[0]
            cells.append(np.asarray(found, np.float64))
            steps.append((str(i), number, [i]))
    rows = np.empty((len(data.frame), len(cells)), object)
    for i, column in enumerate(cells):
        rows[:, i] = column
    return rows, ColumnTransformer(steps, sparse_threshold=0.0 if is_boosting else 0.3)


def judge(s: Set, answers: np.ndarray, truth: np.ndarray) -> float:
    """The figure of the set: accuracy, area under the ROC curve, or root mean squared error."""
    if s.name == "AUC":
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(truth, answers[:, 1]))
    if s.name == "accuracy":
        return float(np.mean(answers.argmax(1) == truth))
    return float(np.sqrt(np.mean((answers - truth) ** 2)))


def recipe_of(data: Path, s: Set, seed: int) -> Any:
    """What pellucid decides about the set."""
    from pellucid.train.recipe import recipe

    given = {o[2:]: v for o, v in zip(s.options[::2], s.options[1::2], strict=True)}
    return recipe(str(data / s.file), seed=seed, **given)


def held_out(data: Path, s: Set, seed: int) -> dict[str, float]:
    """The figure of each peer, on the rows that pellucid holds out with this seed."""
    made = recipe_of(data, s, seed)
    rows = made.dataset()
    parts = made.split(rows)
    return peers(s, made, rows, np.concatenate([parts.train, parts.validation]), parts.test)


def peers(s: Set, made: Any, rows: Any, known: np.ndarray, tested: np.ndarray) -> dict[str, float]:
    """The figure of each peer on the rows tested, learned from the rows known."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = {}
    for name, model in estimators(made.task, made.seed).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 200 epochs that did not suffice are part of a default
            if made.task == "forecast":
                values, changes = rows.arrays()
                x = values[np.arange(len(rows))[:, None] + np.arange(rows.window)][..., 0]
                model.fit(x[known], changes[known + rows.window])
                last = rows.values[tested + rows.window - 1]
                answers = last + model.predict(x[tested]) * rows.step
                truth = rows.values[tested + rows.window]
            else:
                cells, prepared = table(rows, name)
                if made.task == "regress":
                    truth = rows.target.decode_amounts(rows.y)
                    model = TransformedTargetRegressor(model, transformer=StandardScaler())
                else:
                    truth = rows.y
                model = make_pipeline(prepared, model).fit(cells[known], truth[known])
                judged = "predict_proba" if made.task == "classify" else "predict"
                answers, truth = getattr(model, judged)(cells[tested]), truth[tested]
        found[name] = judge(s, answers, truth)
    return found


def cross_validated(
    data: Path, s: Set, seed: int, n_folds: int, peers_only: bool
) -> dict[str, float]:
    """The mean figure over the folds of pellucid, as its command learns from a file of the rows of the others, and of
    each peer."""
    from sklearn.model_selection import KFold, StratifiedKFold

    made = recipe_of(data, s, seed)
    rows = made.dataset()
    divide = StratifiedKFold if made.task == "classify" else KFold
    folds = divide(n_folds, shuffle=True, random_state=seed).split(rows.x, rows.y)
    found: dict[str, list[float]] = {}
    for known, tested in folds:
        values = peers(s, made, rows, known, tested)
        if not peers_only:
            values["pellucid"] = on_files(data / s.file, s, seed, known, tested)
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return {name: statistics.mean(values) for name, values in found.items()}


def on_files(file: Path, s: Set, seed: int, known: np.ndarray, tested: np.ndarray) -> float:
    """The figure of `pellucid evaluate` on a file of the rows tested after `pellucid train` on one of those known."""
    delimiter = "\t" if file.suffix == ".tsv" else ","
    with file.open(newline="", encoding="utf-8-sig") as f:
        rows = list(csv.reader(f, delimiter=delimiter))
    header = [rows.pop(0)] if s.options[-1] in rows[0] else []
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("known", known), ("tested", tested)):
            with open(f"{folder}/{name}{file.suffix}", "w", newline="", encoding="utf-8") as f:
                csv.writer(f, delimiter=delimiter).writerows(header + [rows[i] for i in part])
        run = ("--out", f"{folder}/run", "--seed", str(seed), "--quiet", "--no-baselines")
        pellucid("train", f"{folder}/known{file.suffix}", *s.options, "--test", "0", *run)
        told = pellucid("evaluate", f"{folder}/run", f"{folder}/tested{file.suffix}", "--json")
    return json.loads(told)["scores"][s.figure[-1]]


def ranks(values: Sequence[float], better: int) -> list[float]:
    """1 for the best; equal values share the mean of their places."""
    order = [better * v for v in values]
    return [sum(o > v for o in order) + (1 + sum(o == v for o in order)) / 2 for v in order]


def compared(found: dict[str, list[float]], better: int) -> list[str]:
    """The mean over the seeds of each method; of a peer also what pellucid is better by, with its standard error."""
    cells = []
    for name, values in found.items():
        cell = f"{statistics.mean(values):.4g}"
        if name != "pellucid" and "pellucid" in found and len(values) > 1:
            by = [better * (a - b) for a, b in zip(found["pellucid"], values, strict=True)]
            error = statistics.stdev(by) / len(by) ** 0.5
            cell += f" ({statistics.mean(by):+.2g} ± {error:.1g})"
        cells.append(cell)
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[5, 6, 7, 8, 9])
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--peers-only", action="store_true", help="do not train pellucid")
    parser.add_argument("--folds", type=int, help="cross-validate tables in so many parts")
    args = parser.parse_args()
    names = PEERS if args.peers_only else ("pellucid", *PEERS)
    middle: Callable = statistics.median
    by_set, by_seed, means = [], [], []
    print(f"| data | figure | {' | '.join(names)} |")
    print(f"| --- | --- |{' --- |' * len(names)}")
    for name in args.only:
        s = SETS[name]
        if args.folds and "forecast" in s.options:
            continue  # a series has one order
        found: dict[str, list[float]] = {n: [] for n in names}
        for seed in args.seeds:
            if args.folds:
                values = cross_validated(args.data, s, seed, args.folds, args.peers_only)
            else:
                values = held_out(args.data, s, seed)
                if not args.peers_only:
                    values["pellucid"] = measure(args.data, s, seed)[0]
            for n in names:
                found[n].append(values[n])
            by_seed.append(ranks([values[n] for n in names], s.better))
        medians = [middle(found[n]) for n in names]
        by_set.append(ranks(medians, s.better))
        print(f"| {name} | {s.name} | {' | '.join(f'{m:.4g}' for m in medians)} |", flush=True)
        means.append(f"| {name}, mean | {s.name} | {' | '.join(compared(found, s.better))} |")
    print("\n".join(means))
    for what, table_of_ranks in (("the medians", by_set), ("each seed", by_seed)):
        mean = np.mean(table_of_ranks, axis=0)
        print(f"| mean rank, {what} | | {' | '.join(f'{m:.2f}' for m in mean)} |")


if __name__ == "__main__":
    main()
