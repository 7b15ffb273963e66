"""Small parts of a report: figures for people, tables, and what a result says under its names.

N rows, C classes"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .charts import Markup, legend, tag
from .scores import screening, wilson

MOST_ROWS = 100  # of a table of epochs or classes

# What a task's figures are called: key, heading, kind, whether less is better. The first is the one that counts.
FIGURES = {
    "classify": (
        ("accuracy", "Accuracy", "percent", False),
        ("macro_f1", "Macro F1", "number", False),
        ("roc_auc", "ROC AUC", "number", False),
        ("pr_auc", "PR AUC", "number", False),
        ("log_loss", "Log loss", "number", True),
    ),
    "regress": (
        ("rmse", "RMSE", "amount", True),
        ("mae", "MAE", "amount", True),
        ("median_absolute_error", "Median error", "amount", True),
        ("r2", "R²", "number", False),
    ),
    "forecast": (("mae", "MAE", "amount", True), ("rmse", "RMSE", "amount", True)),
    "continue": (
        ("perplexity", "Perplexity", "number", True),
        ("loss", "Nats a character", "number", True),
        ("accuracy", "Next character right", "percent", False),
    ),
    "enhance": (("psnr", "PSNR", "number", False),),
    "generate": (
        ("precision", "Precision", "percent", False),
        ("coverage", "Coverage", "percent", False),
    ),
}
NAMES = {
    "nothing": "doing nothing",
    "bicubic": "bicubic interpolation",
    "unigram": "counting characters",
    "bigram": "counting pairs of characters",
    "persistence": "the last value again",
    "autoregression": "autoregression",
    "mean": "always the mean",
    "majority": "always the most frequent class",
    "mixed_pixels": "pixels mixed from several",
}


def figures_of(result: Mapping) -> tuple[tuple[str, str, str, bool], ...]:
    """The task's rows of FIGURES; where a class is rare its PR AUC counts, as who never finds it is right mostly."""
    rows = FIGURES.get(task_of(result), FIGURES["classify"])
    if mapping(result, "alarms"):
        rare = ("rare_pr_auc", "PR AUC of the rare class", "number", False)
        return (rare, *(row for row in rows if row[0] != "pr_auc"))
    return rows


def own_figures(result: Mapping) -> tuple[str, dict[str, Any]]:
    """(the part of the data, its figures under the names of FIGURES)."""
    metrics = mapping(result, "metrics")
    part = next((p for p in ("test", "validation", "train") if mapping(metrics, p)), "test")
    found = {**mapping(metrics, part), **mapping(result, "forecast"), **mapping(result, "pictures"),
             **mapping(result, "enhanced")}  # fmt: skip
    if task_of(result) == "classify":
        found = {**found, **_from_confusion(result)}
    return part, {**found, **mapping(result, "scores")}


def _from_confusion(result: Mapping) -> dict[str, Any]:
    """Accuracy, its interval, F1 and the scores of each class, from counts alone."""
    names, table = confusion_of(result)
    if table is None or not table.sum():
        return {}
    right, true, answered = table.diagonal(), table.sum(1), table.sum(0)
    rows = []
    for c, name in enumerate(names):
        both = int(true[c] + answered[c])
        rows.append({
            "class": name, "support": int(true[c]),
            "precision": right[c] / answered[c] if answered[c] else None,
            "recall": right[c] / true[c] if true[c] else None,
            "f1": 2 * right[c] / both if both else None,
        })  # fmt: skip
    n, n_right = int(table.sum()), int(right.sum())
    return {
        "n": n,
        "accuracy": n_right / n,
        "accuracy_interval": wilson(n_right, n),
        "macro_f1": float(np.mean([r["f1"] for r in rows if r["f1"] is not None])),
        "per_class": rows,
        "screening": screening(right, true, names) if len(names) == 2 else None,
    }


def confusion_of(result: Mapping) -> tuple[list[str], np.ndarray | None]:
    """(names, counts (C, C)), or None for counts."""
    found = mapping(result, "scores").get("confusion") or result.get("confusion")
    names = result.get("classes") or mapping(result, "scores").get("classes") or []
    table = np.array(found) if found else None
    if table is None or table.shape != (len(names), len(names)):
        return list(names), None
    return list(names), table


def table_of(
    head: Sequence[Any],
    rows: Iterable[Markup],
    numbers: Iterable[int] = (),
    class_: str | None = None,
) -> Markup:
    right = set(numbers)
    cells = (
        tag("th", h, scope="col", class_="n" if i in right else None) for i, h in enumerate(head)
    )
    return tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *rows), class_=class_)


def wide(table: Markup, label: str) -> Markup:
    """A table that scrolls by itself on a narrow page, also by keyboard."""
    return tag("div", table, class_="wide", tabindex="0", role="region", aria_label=label)


def figure(picture: Markup, caption: Any, names: Mapping[int, Any] | None = None) -> Markup:
    signs = legend(names) if names else None
    return tag("figure", picture, signs, tag("figcaption", caption))


def mapping(result: Mapping, key: str) -> Mapping[str, Any]:
    value = result.get(key)
    return value if isinstance(value, Mapping) else {}


def task_of(result: Mapping) -> str:
    found = mapping(result, "settings").get("task") or mapping(result, "scores").get("task")
    return str(found or "classify")


def unit_of(result: Mapping) -> str:
    return str(result.get("unit") or "")[:20]


def answers(result: Mapping) -> str:
    """What was counted."""
    return {
        "continue": "characters",
        "forecast": "values",
        "generate": "made pictures",
        "enhance": "pictures",
    }.get(task_of(result), "rows")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def plain(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def percent(share: float) -> str:
    """96.1 %; what is not quite all is not shown as all."""
    shown = f"{100 * share:.1f}"
    if share < 1 and shown == "100.0":
        shown = "99.9"
    if share > 0 and shown == "0.0":
        shown = "< 0.1"
    return f"{shown}\u00a0%"


def say(value: Any, kind: str, unit: str) -> str:
    """A figure for people: percent, or with four significant digits."""
    if not is_number(value):
        return "–"
    if kind == "percent":
        return percent(value)
    size = abs(value)
    if size and (size >= 1e7 or size < 1e-4):
        text = f"{value:.3e}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{max(0, 3 - max(0, math.floor(math.log10(size))))}f}" if size else "0"
    if not float(text.replace(",", "")):
        text = text.removeprefix("-")
    return f"{text}\u00a0{unit}" if unit else text


def say_range(interval: Sequence[float], kind: str, unit: str) -> str:
    low, high = (say(v, kind, unit) for v in interval)
    return f"{low} to {high}"
