"""report.html: what a run decided, how it learned and what it is worth, on one page for people.

One file that needs nothing else: no script, no font, no picture from elsewhere; it reads without a network, on a phone,
in print, by light and dark. A policy in its head forbids the browser to load or run anything, and every text that
comes from data is escaped (charts.tag).

The page is made of the content of metrics.json; what a result does not have has no section:

  settings, metrics, history, n_parameters, seconds   of every run
  scores       scores.classification or scores.regression of the held-out rows; without it the confusion table is used
  baseline, baselines     what needs no network (measure.py, baselines.table_baselines)
  decisions    rows with name, value, reason, option; notes, dropped   what was left out, repaired or found
  target, unit, command   the column, its unit, the line that makes the run again"""

import base64
import hashlib
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..base.errors import FormatError
from ..formats.atomic import write_atomic
from ..formats.model_json import read_json
from .charts import Bars, Dots, Line, Markup, Rule, chart, data, join, legend, limits, tag
from .scores import wilson

REPORT, METRICS, SAMPLES = "report.html", "metrics.json", "samples"
MOST_ROWS = 100  # of a table of epochs or classes
LARGEST_TABLE = 30  # classes of a confusion table that can still be read
MOST_PICTURE = 8 * 2**20  # bytes of a sheet of samples

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
    "generate": (
        ("precision", "Precision", "percent", False),
        ("coverage", "Coverage", "percent", False),
    ),
}
TITLES = {
    "classify": "telling classes apart",
    "regress": "estimating amounts",
    "forecast": "forecasting",
    "continue": "the next character",
    "generate": "making pictures",
}
NAMES = {
    "unigram": "counting characters",
    "bigram": "counting pairs of characters",
    "persistence": "the last value again",
    "autoregression": "autoregression",
    "mean": "always the mean",
    "majority": "always the most frequent class",
    "mixed_pixels": "pixels mixed from several",
}
# The options of `pellucid train` that a recipe's settings stand for.
FLAGS = (
    "target", "task", "net", "activation", "width", "layers", "window", "dropout", "optimizer", "lr", "schedule",
    "epochs", "batch", "seed",
)  # fmt: skip

STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1b2027;--quiet:#5a6472;--edge:#d8dde4;--soft:#f4f6f9;
--c0:#1f6fc5;--c1:#c0520a;--c2:#23804f;--c3:#9a2f8c;--c4:#806300;--c5:#4d5866;--right:31 111 197;--wrong:192 82 10}
@media (prefers-color-scheme:dark){:root{--page:#14181d;--ink:#e7ebf0;--quiet:#a2adba;--edge:#363f4a;--soft:#1d232a;
--c0:#6cb2ff;--c1:#ff9f55;--c2:#5ccf96;--c3:#e58ad9;--c4:#dcbc55;--c5:#b3bdc9;--right:76 152 235;--wrong:230 120 40}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1.2rem 1rem 3rem;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.4rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--edge)}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
p{margin:.4rem 0;max-width:44rem}a{color:var(--c0)}
.quiet,figcaption,footer,nav{color:var(--quiet);font-size:.9rem}
nav{display:flex;flex-wrap:wrap;gap:.1rem 1rem}
.hero{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}
.hero>div{flex:1 1 15rem;padding:.8rem 1rem;background:var(--soft);border:1px solid var(--edge);border-radius:.5rem}
.hero b{display:block;font-size:2rem;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums}
.verdict{font-weight:600}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.92rem}
th,td{padding:.28rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--edge)}
thead th{color:var(--quiet);font-weight:600;vertical-align:bottom}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.ours th,.ours td{font-weight:650;background:var(--soft)}
.long td{overflow-wrap:break-word;min-width:6rem}.long td:last-child{white-space:nowrap;min-width:0}
.cells td{text-align:center;min-width:2.1rem;padding:.25rem .3rem;border:1px solid var(--edge);
font-variant-numeric:tabular-nums}
.cells th{border:0;max-width:9rem;overflow-wrap:anywhere;font-weight:600}
.cells thead th{text-align:center;max-width:6rem}
.cells tbody th{text-align:right}.cells thead th:first-child{white-space:nowrap;max-width:none}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem}
figure{margin:0;max-width:32rem;break-inside:avoid}
figure>svg{width:100%;height:auto;display:block;overflow:visible}
figure>img{max-width:100%;image-rendering:pixelated;border:1px solid var(--edge)}
figcaption{margin-top:.2rem}
svg text{font-size:12px;fill:var(--quiet);stroke:none}
.end{text-anchor:end}.middle{text-anchor:middle}.start{text-anchor:start}
.grid{stroke:var(--edge);stroke-width:1}.axis{stroke:var(--quiet);stroke-width:1}
.rule{stroke:var(--quiet);stroke-width:1.2;stroke-dasharray:2 4}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.dots{fill:none;stroke-width:4;stroke-linecap:round;stroke-opacity:.45}
.range{stroke-width:1.5;stroke-opacity:.7}
.s0{stroke:var(--c0);color:var(--c0)}.s1{stroke:var(--c1);color:var(--c1)}.s2{stroke:var(--c2);color:var(--c2)}
.s3{stroke:var(--c3);color:var(--c3)}.s4{stroke:var(--c4);color:var(--c4)}.s5{stroke:var(--c5);color:var(--c5)}
.dot,.bar{fill:currentColor;stroke:none}.bar{fill-opacity:.75}
.line.s1{stroke-dasharray:7 4}.line.dash1{stroke-dasharray:2 4}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1rem;margin:.2rem 0 0;padding:0;font-size:.9rem}
.sign{width:22px;height:10px;margin-right:.35rem}
pre{background:var(--soft);border:1px solid var(--edge);border-radius:.4rem;padding:.6rem .8rem;margin:.4rem 0;
white-space:pre-wrap;overflow-wrap:anywhere;font-size:.88rem}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--quiet);font-size:.9rem}
footer{margin-top:2.5rem;padding-top:.6rem;border-top:1px solid var(--edge);overflow-wrap:anywhere}
@media (max-width:34rem){th,td{padding:.25rem .4rem}.wide table{font-size:.86rem}svg text{font-size:14px}
.long thead{display:none}.long tr{display:block;padding:.4rem 0;border-bottom:1px solid var(--edge)}
.long th,.long td{display:block;border:0;padding:.05rem .2rem}}
@media print{:root{color-scheme:light;--page:#fff;--ink:#000;--quiet:#444;--edge:#bbb;--soft:#f4f4f4;
--c0:#1f6fc5;--c1:#c0520a;--c2:#23804f;--c3:#9a2f8c;--c4:#806300;--c5:#4d5866;--right:31 111 197;--wrong:192 82 10}
body{max-width:none;padding:0;font-size:11pt}nav{display:none}.wide{overflow:visible}h2,h3{break-after:avoid}
tr,.hero{break-inside:avoid}.cells td,.ours td,.hero>div{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""" + "".join(
    f".r{i}{{background:rgb(var(--right)/{i * 6}%)}}.w{i}{{background:rgb(var(--wrong)/{i * 7}%)}}"
    for i in range(1, 10)
)


def write_report(folder: str | Path, result: Mapping[str, Any]) -> Path:
    """Writes FOLDER/report.html, whole or not at all; returns its path.

    result   content of metrics.json; `history` is read from there where it is not among it.
    Raises RunError for a folder that cannot be written."""
    folder = Path(folder)
    path = folder / REPORT
    write_atomic(path, [page(result, _history(folder, result), _last_sheet(folder)).encode()])
    return path


def page(
    result: Mapping[str, Any], history: Sequence[Mapping] = (), sheet: bytes | None = None
) -> str:
    """The HTML of the report. sheet: a PNG of made pictures."""
    task = _task(result)
    name = _map(result, "settings").get("data") or "a run"
    sections = [
        ("compared", "Beside simpler methods", _compared(result)),
        ("learning", "Learning", _learning(history, result)),
        *DETAILS.get(task, lambda result, sheet: [])(result, sheet),
        ("decisions", "What was decided", _decisions(result)),
        ("notes", "About the data", _notes(result)),
        ("again", "To make it again", _again(result)),
    ]
    kept = [(key, title, body) for key, title, body in sections if body]
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
    )
    title = f"{Path(str(name)).name}: {TITLES.get(task, task)}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{title} - pellucid"),
        tag("style", Markup(STYLE)),
    )
    body = tag(
        "body",
        tag("header", tag("h1", data(title, 120)), _target(result), _heading(result)),
        tag("nav", *(tag("a", name, href=f"#{key}") for key, name, _ in kept), aria_label="Parts"),
        tag("main", *(tag("section", tag("h2", name), body, id=key) for key, name, body in kept)),
        tag("footer", _footer(result)),
    )
    return "<!doctype html>\n" + tag("html", head, "\n", body, lang="en") + "\n"


# -- The figure, and what it is compared with ------------------------------------------------------


def _heading(result: Mapping) -> Markup:
    """The figure that counts with its interval, the best simple method beside it, and what follows."""
    key, label, kind, less_is_better = FIGURES.get(_task(result), FIGURES["classify"])[0]
    part, ours = _ours(result)
    value = ours.get(key)
    if value is None:
        return tag("p", "This run has no held-out figure.", class_="quiet")
    unit = _unit(result) if kind == "amount" else ""
    interval = ours.get(f"{key}_interval")
    n = ours.get("n")
    rows = f"{n:,} {_answers(result)}" if isinstance(n, int) else "what was held out"
    where = f"{label} on {rows} that the network had not seen"
    if part != "test":
        where = (
            f"{label} on {rows} of the {part} part, which training has used: too good to rely on"
        )
    if _task(result) == "generate":
        where = f"{label} of {rows}"
    boxes = [
        tag(
            "div",
            where,
            tag("b", _shown(value, kind, unit)),
            tag("span", f"95 % interval: {_range(interval, kind, unit)}", class_="quiet")
            if interval
            else None,
        )
    ]
    every = [(n, s) for n, s in _rivals(result) if _is_number(s.get(key))]
    rivals = [(n, s) for n, s in every if n != REAL]
    if not rivals:
        return tag("div", *boxes, class_="hero")
    name, best = (min if less_is_better else max)(rivals, key=lambda r: r[1][key])
    others = [f"{n} {_shown(s[key], kind, unit)}" for n, s in every if s is not best]
    boxes.append(
        tag(
            "div",
            "Without a network: ",
            data(name),
            tag("b", _shown(best[key], kind, unit)),
            tag("span", "; ".join(others), class_="quiet") if others else None,
        )
    )
    words = _verdict(value, interval, best[key], less_is_better)
    return join([tag("div", *boxes, class_="hero"), tag("p", words, class_="verdict")])


def _target(result: Mapping) -> Markup | None:
    """The column that is answered, of a table."""
    target = result.get("target") or _map(result, "settings").get("target")
    return tag("p", "The target is ", data(target), ".", class_="quiet") if target else None


def _verdict(
    value: float, interval: Sequence[float] | None, rival: float, less_is_better: bool
) -> str:
    """Whether the network is worth having, in a sentence that chance cannot have written alone."""
    sign = -1 if less_is_better else 1
    if interval:
        low, high = sorted(sign * v for v in interval)
        if low > sign * rival:
            return "The network is better, by more than the chance of these rows explains."
        if high < sign * rival:
            return "The network is worse: use the simple method, or change the settings."
        return "No sure difference: the network's 95 % interval includes the simple method."
    if sign * value > sign * rival:
        return "The network is better on the held-out part."
    return "The network is not better on the held-out part: use the simple method, or train longer."


def _ours(result: Mapping) -> tuple[str, dict[str, Any]]:
    """(the part of the data, its figures under the names of FIGURES)."""
    metrics = _map(result, "metrics")
    part = next((p for p in ("test", "validation", "train") if _map(metrics, p)), "test")
    found = {**_map(metrics, part), **_map(result, "forecast"), **_map(result, "pictures")}
    if _task(result) == "classify":
        found = {**found, **_from_confusion(result)}
    return part, {**found, **_map(result, "scores")}


def _from_confusion(result: Mapping) -> dict[str, Any]:
    """Accuracy, its interval, F1 and the scores of each class, from counts alone."""
    names, table = _confusion(result)
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
    }


REAL = "held-out real pictures"  # no method to beat: what a perfect one would reach


def _rivals(result: Mapping) -> list[tuple[str, Mapping]]:
    """(name, figures) of everything that needs no network, or less of one."""
    found: dict[str, Mapping] = {}
    baseline = _map(result, "baseline")
    if "class" in baseline:
        found["majority"] = baseline
    else:
        found.update({k: v for k, v in baseline.items() if isinstance(v, Mapping)})
    for name, scores in _map(result, "baselines").items():
        if isinstance(scores, Mapping):
            found[name] = {**found.get(name, {}), **scores}
    named = []
    for name, scores in found.items():
        shown = REAL if name == "real" else NAMES.get(name, name)
        if name == "majority" and "class" in scores:
            shown = f"always answering {scores['class']!r}"
        if "order" in scores:
            shown = f"{shown} of {scores['order']} values"
        named.append((shown, scores))
    return named


def _compared(result: Mapping) -> Markup | None:
    """A table: this network and each simple method."""
    rivals = _rivals(result)
    if not rivals:
        return None
    figures = FIGURES.get(_task(result), FIGURES["classify"])
    ours = _ours(result)[1]
    every = [ours, *(s for _, s in rivals)]
    figures = tuple(f for f in figures if sum(_is_number(s.get(f[0])) for s in every) > 1)
    unit = _unit(result)

    def row(name: Any, scores: Mapping, class_: str | None = None) -> Markup:
        cells: list[Any] = []
        for key, _, kind, _ in figures:
            value = scores.get(key)
            known = _is_number(value)
            cells.append(tag("td", _shown(value, kind, "") if known else "", class_="n"))
        note = scores.get("skipped") or scores.get("note")
        said = f"not tried: {note}" if scores.get("skipped") else note
        remark = tag("div", said, class_="quiet") if said else None
        return tag("tr", tag("th", name, remark, scope="row"), *cells, class_=class_)

    headings = [
        f"{label}, {unit}" if kind == "amount" and unit else label for _, label, kind, _ in figures
    ]
    rows = [row("this network", ours, "ours"), *(row(data(n), s) for n, s in rivals)]
    return _wide(_table(["", *headings], rows, numbers=range(1, len(figures) + 1)), "Comparison")


# -- Learning --------------------------------------------------------------------------------------


def _learning(history: Sequence[Mapping], result: Mapping) -> Markup | None:
    """Loss and accuracy of each epoch, and the epoch whose weights were kept."""
    if not history:
        return None
    epochs = [int(row.get("epoch", i + 1)) for i, row in enumerate(history)]
    train = [_map(row, "train") for row in history]
    validation = [_map(row, "validation") for row in history]
    best = result.get("best_epoch") or None
    losses = {"training": [t.get("loss") for t in train]}
    others = [k for k in train[0] if k.endswith("_loss")]
    if others:
        losses = {"critic": losses["training"]}
        losses.update({k.removesuffix("_loss"): [t.get(k) for t in train] for k in others})
    elif any(validation):
        losses["validation"] = [v.get("loss") for v in validation]
    charts = [_curves("Loss", epochs, losses, best)]
    if _is_number(train[0].get("accuracy")):
        shares = {"training": [t.get("accuracy") for t in train]}
        if any(validation):
            shares["validation"] = [v.get("accuracy") for v in validation]
        charts.append(_curves("Accuracy", epochs, shares, best))
    stopped = result.get("stopped")
    said = f"{str(stopped)[:1].upper()}{str(stopped)[1:]}." if stopped else None
    if not best and not others:
        said = said or "No epoch was chosen by validation: the last weights were kept."
    names = [*losses]
    keep = set(np.linspace(0, len(epochs) - 1, min(len(epochs), MOST_ROWS)).astype(int).tolist())
    rows = [
        tag("tr", tag("td", e, class_="n"),
            *(tag("td", _shown(losses[n][i], "number", ""), class_="n") for n in names))
        for i, e in enumerate(epochs) if i in keep
    ]  # fmt: skip
    table = _table(["Epoch", *(f"Loss, {n}" for n in names)], rows, range(len(names) + 1))
    some = f" ({len(rows)} of {len(epochs)} epochs)" if len(rows) < len(epochs) else ""
    return join([
        tag("p", said) if said else None,
        tag("div", *charts, class_="charts"),
        tag("details", tag("summary", f"The losses as numbers{some}"), _wide(table, "Losses")),
    ])  # fmt: skip


def _curves(
    what: str, epochs: Sequence[int], values: Mapping[str, list], best: int | None
) -> Markup:
    """A line for each name, over the epochs; a rule at the best one."""
    lines: list[Any] = [Line(epochs, ys, i) for i, ys in enumerate(values.values())]
    room = limits([y for ys in values.values() for y in ys])
    if best and room:
        lines.insert(0, Rule((best, room[0]), (best, room[1])))
    last = max(epochs)
    across = (min(epochs), last) if last > min(epochs) else (last - 1, last + 1)
    picture = chart(
        lines, f"{what} of each epoch", "epoch", what.lower(), across, room, counts=True
    )
    caption = f"{what}."
    if best:
        caption += f" The dotted line marks epoch {best}, whose weights were kept."
    return _figure(picture, caption, dict(enumerate(values)))


# -- Classes ---------------------------------------------------------------------------------------


def _classes(result: Mapping, sheet: bytes | None) -> list[tuple[str, str, Markup | None]]:
    return [
        ("mistakes", "Which classes are mixed up", _mistakes(result)),
        ("classes", "Each class", _per_class(result)),
        ("curves", "Finding a class, and false alarms", _class_curves(result)),
        ("calibration", "How sure, and how often right", _calibration(result)),
    ]


def _confusion(result: Mapping) -> tuple[list[str], np.ndarray | None]:
    """(names, counts (C, C)), or None for counts."""
    found = _map(result, "scores").get("confusion") or result.get("confusion")
    names = result.get("classes") or _map(result, "scores").get("classes") or []
    table = np.array(found) if found else None
    if table is None or table.shape != (len(names), len(names)):
        return list(names), None
    return list(names), table


def _mistakes(result: Mapping) -> Markup | None:
    """The confusion table, shaded by the share of each true class; of many classes the frequent mistakes."""
    names, table = _confusion(result)
    if table is not None and len(names) <= LARGEST_TABLE:
        rows = []
        for c, (name, counts) in enumerate(zip(names, table.tolist(), strict=True)):
            total = sum(counts)
            cells = []
            for k, n in enumerate(counts):
                level = min(9, math.ceil(9 * n / total)) if total else 0
                shade = f"{'r' if k == c else 'w'}{level}" if level else None
                share = f"{n} of {total} rows of {name} were answered {names[k]}"
                cells.append(tag("td", n or "·", class_=shade, title=share[:300]))
            rows.append(tag("tr", tag("th", data(name, 30), scope="row"), *cells))
        across = (tag("th", data(n, 14), scope="col") for n in names)
        head = tag("tr", tag("th", "true ↓", tag("br"), "answered →"), *across)
        caption = tag("p", "Rows are true classes, columns the network's answers: blue is right, orange wrong; "
                      "the stronger, the larger the part of the true class.", class_="quiet")  # fmt: skip
        body = tag("table", tag("thead", head), tag("tbody", *rows), class_="cells")
        return join([caption, _wide(body, "Confusion table")])
    mistakes = _map(result, "scores").get("mistakes")
    if not mistakes and table is not None:
        pairs = [(int(table[i, j]), names[i], names[j]) for i, j in np.argwhere(table) if i != j]
        pairs.sort(key=lambda p: -p[0])
        mistakes = [{"true": t, "answered": a, "n": n} for n, t, a in pairs[:20]]
    if not mistakes:
        return None
    rows = [
        tag("tr", tag("td", data(m["true"])), tag("td", data(m["answered"])), tag("td", m["n"], class_="n"))
        for m in mistakes
    ]  # fmt: skip
    said = tag("p", "The most frequent mistakes.", class_="quiet")
    return join([said, _wide(_table(["True", "Answered", "Rows"], rows, (2,)), "Mistakes")])


def _per_class(result: Mapping) -> Markup | None:
    found = _ours(result)[1].get("per_class")
    if not found:
        return None
    columns = [
        (key, label)
        for key, label in (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"),
                           ("roc_auc", "ROC AUC"), ("pr_auc", "PR AUC"))
        if any(_is_number(row.get(key)) for row in found)
    ]  # fmt: skip
    shown = sorted(found, key=lambda row: -row["support"])[:MOST_ROWS] if len(found) > MOST_ROWS else found  # fmt: skip
    rows = [
        tag("tr", tag("th", data(row["class"]), scope="row"), tag("td", f"{row['support']:,}", class_="n"),
            *(tag("td", f"{row[key]:.3f}" if _is_number(row.get(key)) else "–", class_="n") for key, _ in columns))
        for row in shown
    ]  # fmt: skip
    head = ["Class", "Rows", *(label for _, label in columns)]
    said = (
        "Precision: of the answers of this class, the part that is right. "
        "Recall: of its rows, the part that was found. "
    )
    if len(shown) < len(found):
        said += f"The {len(shown)} most frequent of {len(found):,} classes are listed. "
    absent = [row["class"] for row in found if not row["support"]]
    missing = None
    if absent:
        names = join([x for name in absent[:10] for x in (", ", data(name))][1:])
        missing = tag("p", "No held-out row has: ", names, "; nothing is known of them." if len(absent) <= 10
                      else f" and {len(absent) - 10} more; nothing is known of them.")  # fmt: skip
    table = _table(head, rows, range(1, len(head)))
    return join([tag("p", said, class_="quiet"), missing, _wide(table, "Scores of each class")])


def _class_curves(result: Mapping) -> Markup | None:
    """ROC and precision-recall curves."""
    scores = _map(result, "scores")
    curves, areas = _map(scores, "curves"), {
        row["class"]: row for row in scores.get("per_class") or []
    }  # fmt: skip
    charts = []
    for kind, title, across, up in (
        ("roc", "ROC", "false alarms, part of the others", "found, part of the class"),
        ("pr", "Precision and recall", "found (recall)", "right alarms (precision)"),
    ):
        lines = [Line(c["x"], c["y"], i) for i, c in enumerate(curves.get(kind) or [])]
        if not lines:
            continue
        shapes: list[Any] = [Rule((0, 0), (1, 1)), *lines] if kind == "roc" else [*lines]
        picture = chart(shapes, f"{title} curve of each class", across, up, (0, 1), (0, 1.02))
        names = {}
        for i, c in enumerate(curves[kind]):
            area = areas.get(c["class"], {}).get(f"{kind}_auc")
            names[i] = join([data(c["class"], 24), f" {area:.3f}" if _is_number(area) else ""])
        guess = " The dotted line is guessing." if kind == "roc" else ""
        charts.append(_figure(picture, f"{title}; the number is the area below.{guess}", names))
    return tag("div", *charts, class_="charts") if charts else None


def _calibration(result: Mapping) -> Markup | None:
    scores = _map(result, "scores")
    found = _map(scores, "calibration")
    bins = found.get("bins")
    if not bins:
        return None
    n = sum(b["n"] for b in bins)
    x = [b["expected"] for b in bins]
    dots = Dots(x, [b["share"] for b in bins], 0, [b["interval"][0] for b in bins],
                [b["interval"][1] for b in bins], [b["n"] / n for b in bins])  # fmt: skip
    names = scores.get("classes") or ["", "the second class"]
    second = found.get("of") != "answer" and len(names) > 1
    across = "probability that was given"
    up = "part that came true" if second else "part that is right"
    picture = chart([Rule((0, 0), (1, 1)), Line(x, dots.y, 0), dots],
                    "How often answers of each sureness are right", across, up, (0, 1), (0, 1.02))  # fmt: skip
    of = join(["of the class ", data(names[1])]) if second else "of the answer"
    caption = join([
        "Calibration ", of, ": on the dotted line a probability of 80 % comes true 8 times of 10. Larger dots "
        "are more rows, lines are 95 % intervals. Mean distance (ECE): ",
        f"{found['ece']:.3f}." if _is_number(found.get("ece")) else "unknown."])  # fmt: skip
    rows = [
        tag("tr", tag("td", f"{b['low']:.1f} to {b['high']:.1f}"),
            *(tag("td", value, class_="n") for value in (f"{b['n']:,}", f"{b['expected']:.3f}", f"{b['share']:.3f}")))
        for b in bins
    ]  # fmt: skip
    table = _table(["Probability", "Rows", "Given", "Came true"], rows, (1, 2, 3))
    more = tag("details", tag("summary", "As numbers"), _wide(table, "Calibration"))
    return join([_figure(picture, caption), more])


# -- Amounts and series ----------------------------------------------------------------------------


def _amounts(result: Mapping, sheet: bytes | None) -> list[tuple[str, str, Markup | None]]:
    """Predicted against true, and the residuals."""
    scores, unit = _map(result, "scores"), _unit(result)
    dots = _map(scores, "scatter")
    truth, predicted = dots.get("truth") or [], dots.get("predicted") or []
    if not truth:
        return []
    named = f", {unit}" if unit else ""
    both = limits([*truth, *predicted], zero=False)
    if both is None:
        return []
    residuals = [p - t for p, t in zip(predicted, truth, strict=True)]
    room = limits(residuals)
    across = limits(predicted, zero=False) or both
    apart = f"predicted - true{named}"
    scatter = chart([Rule((both[0], both[0]), (both[1], both[1])), Dots(truth, predicted, 0)],
                    "Predicted against true amounts", f"true{named}", f"predicted{named}", both, both)  # fmt: skip
    rest = chart([Rule((across[0], 0), (across[1], 0)), Dots(predicted, residuals, 1)],
                 "Residuals against predictions", f"predicted{named}", apart, across, room)  # fmt: skip
    heights, edges = np.histogram(residuals, bins=min(30, max(5, round(len(truth) ** 0.5))))
    bars = chart([Bars(edges.tolist(), heights.tolist(), 1)], "How often each residual comes",
                 apart, "rows", y_limits=(0, float(heights.max()) * 1.05))  # fmt: skip
    some = ""
    if scores.get("n", 0) > len(truth):
        some = f" {len(truth):,} of {scores['n']:,} rows, drawn at random."
    charts = tag("div",
        _figure(scatter, f"On the dotted line the prediction is exact.{some}"),
        _figure(rest, "A pattern around the dotted line is something that the network has not learned."),
        _figure(bars, "How the errors are spread."), class_="charts")  # fmt: skip
    table = None
    quantiles = _map(scores, "residuals")
    if quantiles:
        row = tag(
            "tr",
            *(tag("td", _shown(v, "amount", ""), class_="n") for v in quantiles.values()),
        )
        head = [f"{q} %" for q in quantiles]
        said = tag("p", f"So many of the rows have a smaller predicted - true{named}:")
        table = join([said, _wide(_table(head, [row], range(len(head))), "Quantiles of residuals")])
    return [("amounts", "Predicted and true", join([charts, table]))]


def _series(result: Mapping, sheet: bytes | None) -> list[tuple[str, str, Markup | None]]:
    """Forecast and truth over the held-out part, and the error further ahead."""
    unit = _unit(result)
    named_unit = f", {unit}" if unit else ""
    sections: list[tuple[str, str, Markup | None]] = []
    test = _map(result, "test")
    truth, forecast = test.get("truth") or [], test.get("forecast") or []
    if truth and len(truth) == len(forecast):
        places = list(range(len(truth)))
        times = [str(t)[:16] for t in test.get("times") or places]
        marks = dict.fromkeys((0, len(places) // 2, len(places) - 1)) if len(places) > 2 else {0: None}  # fmt: skip
        named = {float(i): times[i] for i in marks}
        across = (0, max(1, len(places) - 1))
        picture = chart([Line(places, truth, 0), Line(places, forecast, 1)], "Forecast and truth",
                        "one step ahead", unit or "value", across, None, named)  # fmt: skip
        error = [f - t for f, t in zip(forecast, truth, strict=True)]
        rest = chart([Rule((0, 0), (across[1], 0)), Dots(places, error, 1)], "Errors over time",
                     "one step ahead", f"forecast - truth{named_unit}", across, None, named)  # fmt: skip
        body = tag("div", _figure(picture, "The held-out part.", {0: "truth", 1: "forecast"}),
                   _figure(rest, "Errors that drift or swing say what was not learned."), class_="charts")  # fmt: skip
        sections.append(("series", "Forecast and truth", body))
    ahead = [row for row in result.get("mae_ahead") or [] if isinstance(row, Mapping)]
    if ahead:
        names = [key for key in ahead[0] if key != "steps"]
        steps = [row["steps"] for row in ahead]
        lines = [Line(steps, [row.get(n) for row in ahead], i) for i, n in enumerate(names)]
        top = max((row[n] for row in ahead for n in names if _is_number(row.get(n))), default=1.0)
        room = (0.0, max(steps) * 1.02), (0.0, top * 1.05 or 1.0)
        picture = chart(lines, "Mean absolute error further ahead", "steps ahead",
                        f"MAE{named_unit}", *room, counts=True)  # fmt: skip
        shown = {"forecast": "this network", **NAMES}
        labels = {i: shown.get(n, n) for i, n in enumerate(names)}
        rows = [
            tag("tr", tag("td", row["steps"], class_="n"),
                *(tag("td", _shown(row.get(n), "amount", ""), class_="n") for n in names))
            for row in ahead
        ]  # fmt: skip
        table = _table(["Steps", *labels.values()], rows, range(len(names) + 1))
        said = "Mean absolute error so many steps ahead; each goes on from its own forecasts."
        body = join([_figure(picture, said, labels), _wide(table, "Error further ahead")])
        sections.append(("ahead", "Further ahead", body))
    return sections


# -- Texts and pictures ----------------------------------------------------------------------------


def _texts(result: Mapping, sheet: bytes | None) -> list[tuple[str, str, Markup | None]]:
    """Perplexity of each part."""
    parts = _map(result, "metrics")
    rows = [
        tag("tr", tag("th", part, scope="row"), tag("td", f"{m.get('n', 0):,}", class_="n"),
            *(tag("td", _shown(m.get(key), kind, ""), class_="n")
              for key, kind in (("loss", "number"), ("perplexity", "number"), ("accuracy", "percent"))))
        for part, m in parts.items() if isinstance(m, Mapping)
    ]  # fmt: skip
    if not rows:
        return []
    said = "Perplexity: among so many characters of equal chance one would have to guess."
    if result.get("characters"):
        said += f" The text has {result['characters']} kinds of characters."
    head = ["Part", "Characters", "Nats a character", "Perplexity", "Next one right"]
    body = join([tag("p", said), _wide(_table(head, rows, range(1, 5)), "Perplexity")])
    return [("text", "Each part of the text", body)]


def _pictures(result: Mapping, sheet: bytes | None) -> list[tuple[str, str, Markup | None]]:
    """The last sheet, and how many made pictures are nearest to each class."""
    parts: list[Markup] = []
    if sheet:
        source = f"data:image/png;base64,{base64.b64encode(sheet).decode()}"
        image = tag("img", src=source, alt="Pictures that the network made after the last epoch")
        parts.append(_figure(image, "Pictures made from the same noise, after the last epoch."))
    made = _map(result, "pictures")
    names, counts = result.get("classes") or [], made.get("per_class") or []
    if counts and len(names) == len(counts):
        edges = [i + 0.5 for i in range(len(counts) + 1)]
        few = {float(i + 1): str(n)[:8] for i, n in enumerate(names)} if len(names) <= 12 else None
        picture = chart([Bars(edges, counts, 0)], "Made pictures by the nearest real class",
                        "class of the nearest real picture", "made pictures", (0.4, len(counts) + 0.6),
                        (0.0, max(*counts, 1) * 1.05), few)  # fmt: skip
        absent = [str(n) for n, k in zip(names, counts, strict=True) if not k]
        never = f" Never: {', '.join(absent[:10])}." if absent else " Every class appears."
        parts.append(_figure(picture, f"{sum(counts):,} made pictures.{never}"))
    body = [tag("div", *parts, class_="charts")] if parts else []
    if _is_number(made.get("copies")):
        body.append(
            tag("p", f"Copies of a picture that was learned from: {_percent(made['copies'])}.")
        )
    said = (
        "Precision: the part of made pictures that lies as near to a picture that was learned from as these lie "
        "to each other. Coverage: the part of held-out pictures that has a made one as near."
    )
    body.append(tag("p", said, class_="quiet"))
    return [("pictures", "What it makes", join(body))] if parts else []


DETAILS = {
    "classify": _classes,
    "regress": _amounts,
    "forecast": _series,
    "continue": _texts,
    "generate": _pictures,
}


# -- What was decided, and how to do it again ------------------------------------------------------


def _decisions(result: Mapping) -> Markup | None:
    found = [d for d in result.get("decisions") or [] if isinstance(d, Mapping)]
    if not found:
        return None
    rows = [
        tag("tr", tag("th", d.get("name", ""), scope="row"), tag("td", data(d.get("value", ""), 300)),
            tag("td", data(d.get("reason", ""), 400)), tag("td", tag("code", d["option"]) if d.get("option") else ""))
        for d in found
    ]  # fmt: skip
    head = ["What", "Value", "Why", "To change it"]
    return _wide(_table(head, rows, class_="long"), "Decisions")


def _notes(result: Mapping) -> Markup | None:
    """What was dropped, repaired or found."""
    notes = [_note(n) for name in ("notes", "findings") for n in result.get(name) or []]
    dropped = [d for d in result.get("dropped") or [] if isinstance(d, Mapping)]
    body = []
    if notes:
        body.append(tag("ul", *(tag("li", n) for n in notes[:200])))
        if len(notes) > 200:
            body.append(tag("p", f"And {len(notes) - 200} more."))
    if dropped:
        rows = [
            tag("tr", tag("th", data(d.get("column", "")), scope="row"), tag("td", data(d.get("why", ""), 300)))
            for d in dropped
        ]  # fmt: skip
        body += [tag("h3", "Columns that are not used"), _wide(_table(["Column", "Why"], rows), "Columns")]  # fmt: skip
    return join(body) if body else None


def _note(note: Any) -> Markup:
    if isinstance(note, Mapping):
        kind, said = note.get("kind", ""), note.get("text", "")
    else:
        kind, said = getattr(note, "kind", ""), getattr(note, "text", note)
    return join([tag("b", data(kind), ": ") if kind else None, data(said, 1000)])


def _again(result: Mapping) -> Markup | None:
    settings = _map(result, "settings")
    if not settings:
        return None
    rows = [
        tag("tr", tag("th", key, scope="row"), tag("td", data(_plain(value), 300)))
        for key, value in settings.items()
    ]
    line = str(result.get("command") or command(settings))
    return join([
        tag("pre", tag("code", line)),
        tag("p", "The same data, the same settings and the same seed give the same weights.", class_="quiet"),
        tag("details", tag("summary", "All settings"), _wide(_table(["Setting", "Value"], rows), "Settings")),
    ])  # fmt: skip


def command(settings: Mapping[str, Any]) -> str:
    """The command line of these settings: `pellucid train DATA --net 128-64 ...`, quoted for a shell."""
    words = ["pellucid", "train", str(settings.get("data", ""))]
    for name in FLAGS:
        value = settings.get(name)
        if value is not None:
            joined = "-".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)  # fmt: skip
            words += [f"--{name}", joined]
    return shlex.join(words)


def _footer(result: Mapping) -> Markup:
    facts = [f"pellucid {__version__}"]
    if isinstance(result.get("n_parameters"), int):
        facts.append(f"{result['n_parameters']:,} parameters")
    if _is_number(result.get("seconds")):
        facts.append(f"{result.get('epochs', '?')} epochs in {result['seconds']:,.1f} s")
    if result.get("weights_sha256"):
        facts.append(f"weights SHA-256 {result['weights_sha256']}")
    return tag("p", " · ".join(facts))


# -- Small parts -----------------------------------------------------------------------------------


def _table(
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


def _wide(table: Markup, label: str) -> Markup:
    """A table that scrolls by itself on a narrow page, also by keyboard."""
    return tag("div", table, class_="wide", tabindex="0", role="region", aria_label=label)


def _figure(picture: Markup, caption: Any, names: Mapping[int, Any] | None = None) -> Markup:
    signs = legend(names) if names else None
    return tag("figure", picture, signs, tag("figcaption", caption))


def _map(result: Mapping, key: str) -> Mapping[str, Any]:
    value = result.get(key)
    return value if isinstance(value, Mapping) else {}


def _task(result: Mapping) -> str:
    found = _map(result, "settings").get("task") or _map(result, "scores").get("task")
    return str(found or "classify")


def _unit(result: Mapping) -> str:
    return str(result.get("unit") or "")[:20]


def _answers(result: Mapping) -> str:
    """What was counted."""
    return {"continue": "characters", "forecast": "values", "generate": "made pictures"}.get(
        _task(result), "rows"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _percent(share: float) -> str:
    """96.1 %; what is not quite all is not shown as all."""
    shown = f"{100 * share:.1f}"
    if share < 1 and shown == "100.0":
        shown = "99.9"
    if share > 0 and shown == "0.0":
        shown = "< 0.1"
    return f"{shown} %"


def _shown(value: Any, kind: str, unit: str) -> str:
    """A figure for people: percent, or with four significant digits."""
    if not _is_number(value):
        return "–"
    if kind == "percent":
        return _percent(value)
    size = abs(value)
    if size and (size >= 1e7 or size < 1e-4):
        text = f"{value:.3e}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{max(0, 3 - max(0, math.floor(math.log10(size))))}f}" if size else "0"
    if not float(text.replace(",", "")):
        text = text.removeprefix("-")
    return f"{text} {unit}".rstrip()


def _range(interval: Sequence[float], kind: str, unit: str) -> str:
    low, high = (_shown(v, kind, unit) for v in interval)
    return f"{low} to {high}"


def _history(folder: Path, result: Mapping) -> list[Mapping]:
    found = result.get("history")
    if found is None and (folder / METRICS).exists():
        try:
            found = read_json(folder / METRICS).get("history")
        except FormatError:
            found = None
    return [row for row in found or [] if isinstance(row, Mapping)]


def _last_sheet(folder: Path) -> bytes | None:
    """The newest sheet of a generator's pictures."""
    sheets = sorted((folder / SAMPLES).glob("epoch-*.png"))
    if not sheets or sheets[-1].stat().st_size > MOST_PICTURE:
        return None
    return sheets[-1].read_bytes()
