"""The result of a run in words: what the network is worth, beside what needs no network, and where it is."""

import sys
from collections.abc import Callable, Sequence

import numpy as np

from ..base.figures import rounded, rounded_column
from ..train.diagnose import overfitting
from ..train.events import Finished
from ..train.metrics import confusion_text
from ..train.report_parts import NAMES
from .figures import aligned, percent

WARNING = "Warning: "


def report(finished: Finished) -> str:
    """The result in words, beside what needs no network, and where it is."""
    result = finished.result
    kept = (
        f"the weights of epoch {result['best_epoch']} are in {finished.run}"
        if result["best_epoch"]
        else f"the network is in {finished.run}"
    )
    early = " (early stopping)" if str(result.get("stopped")).startswith("early stopping") else ""
    task = result["settings"].get("task", "classify")
    is_table = result["settings"].get("kind") == "table"
    shown = report_rows if task == "classify" and "scores" in result else REPORTS[task]
    if "scores" in result and not result["scores"]["n"]:
        shown = report_untested
    told = shown(result, finished.run)
    lines = [
        *(line for line in told if not line.startswith(WARNING)),
        "",
        *(line for line in told if line.startswith(WARNING)),
        *([overfitting(since)] if (since := result.get("overfitting_since")) else []),
        f"{result['epochs']} epoch{'' if result['epochs'] == 1 else 's'} in {result['seconds']:.1f} s{early}; {kept}",
    ]
    if sys.stdout.isatty():
        is_own_text = result["settings"].get("kind") == "text"
        row = "regress" if is_table else "own text" if is_own_text else task
        lines.append(f"Next: {NEXT[row].format(finished.run)}")
    return "\n".join(lines)


def report_classes(result: dict, run: str) -> list[str]:
    """Accuracy beside the baseline, and the confusion table."""
    test, baseline = result["metrics"]["test"], result["baseline"]
    table = np.array(result["confusion"])
    return [
        f"Held-out accuracy {percent(test['accuracy'])}: {int(np.trace(table))} of {test['n']} right. "
        f"Always answering {baseline['class']!r} would get {percent(baseline['accuracy'])}.",
        "",
        confusion_text(table, result["classes"]),
    ]


def report_text(result: dict, run: str) -> list[str]:
    """Loss and perplexity beside those of counting."""
    test, baseline = result["metrics"]["test"], result["baseline"]
    lines = [
        f"Held-out text: {test['loss']:.3f} nats a character, perplexity {test['perplexity']:.2f}; "
        f"{percent(test['accuracy'])} of {test['n']:,} next characters right.",
        f"Counting characters: {baseline['unigram']['loss']:.3f}, perplexity "
        f"{baseline['unigram']['perplexity']:.2f}. Counting pairs: {baseline['bigram']['loss']:.3f}, "
        f"perplexity {baseline['bigram']['perplexity']:.2f}.",
    ]
    lines += sure("perplexity", test.get("perplexity_interval"), "text")
    return lines + warning(test["loss"], {NAMES[k]: v["loss"] for k, v in baseline.items()})


def report_series(result: dict, run: str) -> list[str]:
    """Errors one step ahead beside persistence and an autoregression."""
    unit, ours, baseline = result["unit"], result["forecast"], result["baseline"]
    order = baseline["autoregression"]["order"]
    rows = [
        ("this network", ours),
        ("the last value again", baseline["persistence"]),
        (f"autoregression of {order} value{'s' * (order > 1)}", baseline["autoregression"]),
    ]
    test, ahead = result["metrics"]["test"], result["mae_ahead"]
    methods = ("forecast", "persistence", "autoregression")
    further = rounded_column([e[key] for e in ahead for key in methods])
    lines = [
        f"One step ahead over the last {test['n']} values, in {unit or 'the unit of the series'}:",
        *compared(rows, {"MAE": "mae", "RMSE": "rmse"}),
        *sure("MAE one step ahead", ours.get("mae_interval"), "values"),
        "",
        "Mean absolute error further ahead, from forecasts of forecasts:",
        *aligned(
            [
                ("steps", *(name for name, _ in rows)),
                *((str(e["steps"]), *further[3 * i : 3 * i + 3]) for i, e in enumerate(ahead)),
            ],
            right=range(4),
        ),
    ]
    lines += warning(ours["rmse"], {name: e["rmse"] for name, e in rows[1:]})
    worse = [str(e["steps"]) for e in ahead if e["forecast"] >= e["persistence"]]
    if worse:
        at = f"{worse[0]} to {worse[-1]}" if len(worse) > 3 else ", ".join(worse)
        lines.append(
            f"{WARNING}{len(worse)} of {len(ahead)} times further ahead (steps {at}) not better than the last value."
        )
    return lines


def report_amounts(result: dict, run: str) -> list[str]:
    """Errors in the target's unit, beside always answering the mean and other simple methods."""
    ours = result["scores"]
    rows = [("this network", ours), *usable(result["baselines"]).items()]
    low, high = ours["rmse_interval"] or (ours["rmse"], ours["rmse"])
    lines = [
        f"{result['settings']['target']} of {ours['n']:,} held-out rows, in its own unit:",
        *compared(rows, {"RMSE": "rmse", "MAE": "mae", "R2": "r2"}),
        f"The network's RMSE on other such rows: {rounded(low)} to {rounded(high)}, with 95 % confidence.",
    ]
    return lines + warning(ours["rmse"], {n: e["rmse"] for n, e in rows[1:]})


def report_untested(result: dict, run: str) -> list[str]:
    """Where no rows were held out."""
    return ["No rows were held out to test: nothing is known about rows it has not seen (--test)."]


# Kinds of figures, each as a column
COLUMNS: dict[str, Callable[[float], str]] = {
    "accuracy": percent,
    "precision": percent,
    "coverage": percent,
    "macro_f1": "{:.3f}".format,
    "roc_auc": "{:.3f}".format,
    "rare_pr_auc": "{:.3f}".format,
    "r2": "{:.3f}".format,
    "log_loss": "{:.4f}".format,
    "psnr": "{:.2f}".format,
}


def compared(rows: Sequence[tuple[str, dict]], columns: dict[str, str]) -> list[str]:
    """A line for each method with its figures below each other; nothing where there is none.

    columns  title -> the figure's name; of those that COLUMNS has not, all have the decimals of the largest"""
    cells = []
    for key in columns.values():
        found = [e[key] for _, e in rows if e[key] is not None]
        said = iter([COLUMNS[key](v) for v in found] if key in COLUMNS else rounded_column(found))
        cells.append(["" if e[key] is None else next(said) for _, e in rows])
    lines = [(name, *(c[i] for c in cells)) for i, (name, _) in enumerate(rows)]
    return aligned([("", *columns), *lines], right=range(1, len(columns) + 1))


def usable(baselines: dict) -> dict:
    """Those that could be used."""
    return {name: b for name, b in baselines.items() if "skipped" not in b}


def report_rows(result: dict, run: str) -> list[str]:
    """Classes of a table's rows: accuracy and more beside simple methods, each class, and what is mistaken."""
    ours = result["scores"]
    rows = [("this network", ours), *usable(result["baselines"]).items()]
    low, high = ours["accuracy_interval"]
    rare = result.get("alarms")
    columns = {
        "accuracy": "accuracy",
        "macro F1": "macro_f1",
        "AUC": "roc_auc",
        "log loss": "log_loss",
    }
    lines = [
        f"{result['settings'].get('target', 'Classes')} of {ours['n']:,} held-out rows:",
        *compared(rows, {**columns, "PR AUC": "rare_pr_auc"} if rare else columns),
        f"The network's accuracy on other such rows: {percent(low)} to {percent(high)}, with 95 % confidence.",
        "",
        *per_class(ours["per_class"]),
        *screened(ours.get("screening")),
    ]
    if len(result["classes"]) <= 20:
        lines += ["", confusion_text(np.array(result["confusion"]), result["classes"])]
    key = "accuracy"
    if rare:
        # Who never raises an alarm is right nearly always.
        key = "rare_pr_auc"
        lines += sure("PR AUC", ours.get("rare_pr_auc_interval"), "rows")
        lines += ["", *alarm_table(rare)]
    better = {n: -e[key] for n, e in rows[1:] if e[key] is not None}
    return lines + (warning(-ours[key], better) if ours[key] is not None else [])


def alarm_table(found: dict) -> list[str]:
    """What an alarm for the rare class would cost, from each probability on."""
    name, n_class = found["class"][:30], found["n_class"]
    lines = [
        f"An alarm for {name!r} ({n_class:,} of {found['n']:,} rows) where its probability is at least:",
        f"{'probability':>11}  {'alarms':>8}  {'right':>16}  {'found':>16}",
    ]
    for row in found["rows"]:
        right = (
            f"{row['right']:,} ({percent(row['right'] / row['alarms'])})" if row["alarms"] else "-"
        )
        of_all = f"{percent(row['right'] / n_class)} of {n_class:,}" if n_class else "-"
        mark = (
            "  answers: best F1 on the rows to validate"
            if row["threshold"] == found["best"]
            else ""
        )
        lines.append(
            f"{row['threshold']:11.3g}  {row['alarms']:8,}  {right:>16}  {of_all:>16}{mark}"
        )
    return lines


def screened(found: dict | None) -> list[str]:
    """Sensitivity and specificity of two classes, with the positive one named."""
    if found is None:
        return []
    words = []
    for name in ("sensitivity", "specificity"):
        if found[name] is not None:
            low, high = found[f"{name}_interval"]
            words.append(f"{name} {percent(found[name])} ({percent(low)} to {percent(high)})")
    return (
        [f"With {found['positive']!r} as the positive class: {', '.join(words)}."] if words else []
    )


def per_class(scores: Sequence[dict], most: int = 20) -> list[str]:
    """Precision, recall and F1 of each class, a line each."""
    lines = [("class", "precision", "recall", "F1", "rows")]
    for c in scores[:most]:
        shares = (f"{c[name] or 0:.3f}" for name in ("precision", "recall", "f1"))
        lines.append((c["class"][:30], *shares, f"{c['support']:,}"))
    return aligned(lines, right=range(1, 5)) + (
        [f"and {len(scores) - most} more"] if len(scores) > most else []
    )


def report_pictures(result: dict, run: str) -> list[str]:
    """How far made pictures are from real ones, and whether all classes appear."""
    made, baseline = result["pictures"], result["baseline"]
    per_class = list(zip(result["classes"], made["per_class"], strict=True))
    missing = [c for c, n in per_class if not n]
    appear = "all classes appear" if not missing else f"never: {', '.join(missing)}"
    counts = ", ".join(f"{c}: {n}" for c, n in per_class)
    rows = [
        ("made pictures", made),
        ("held-out real pictures", baseline["real"]),
        ("pixels mixed from several", baseline["mixed_pixels"]),
    ]
    return [
        f"{made['n']} made pictures among real ones. Precision: how many lie as near to a picture that was",
        "learned from as these lie to each other. Coverage: how many held-out ones have a made one as near.",
        *compared(rows, {"precision": "precision", "coverage": "coverage"}),
        f"Copies of a picture that was learned from: {percent(made['copies'])}.",
        *([f"Nearest to a {counts}: {appear}."] if per_class else []),
    ]


def report_enhanced(result: dict, run: str) -> list[str]:
    """PSNR beside doing nothing and bicubic interpolation."""
    ours, beside = result["enhanced"], result["baseline"]
    nothing, simple = {
        "small": ("every pixel four times", "bicubic interpolation"),
        "noise": ("doing nothing", "halved and brought back (bicubic)"),
    }[ours["fault"]]
    rows = [("this network", ours), (nothing, beside["nothing"]), (simple, beside["bicubic"])]
    lines = [
        f"{ours['n']:,} held-out pictures, mended of {ours['fault']!r}; PSNR in decibels, more is better:",
        *compared(rows, {"": "psnr"})[1:],
    ]
    return lines + warning(-ours["psnr"], {n: -e["psnr"] for n, e in rows[1:]})


def sure(what: str, interval: Sequence[float] | None, of: str) -> list[str]:
    """A line that says between what a figure would lie on other rows; nothing where that is not known."""
    if interval is None:
        return []
    low, high = interval
    return [
        f"The network's {what} on other such {of}: {rounded(low)} to {rounded(high)}, with 95 % confidence."
    ]


def warning(ours: float, others: dict[str, float]) -> list[str]:
    """A line that names what the network does not beat; nothing when it beats all."""
    better = [name for name, value in others.items() if ours >= value]
    return [f"{WARNING}not better than {' and '.join(better)}."] if better else []


REPORTS = {
    "classify": report_classes,
    "continue": report_text,
    "forecast": report_series,
    "generate": report_pictures,
    "regress": report_amounts,
    "enhance": report_enhanced,
}
NEXT = {
    "own text": "pellucid chat {}",
    "classify": "pellucid predict {} image.png",
    "continue": 'pellucid sample {} --prompt "Alice "',
    "forecast": "pellucid predict {} --steps 12",
    "generate": "pellucid generate {} --n 16",
    "regress": "pellucid predict {} new.csv --out answers.csv",
    "enhance": "pellucid enhance {} picture.png --out better.png",
}
