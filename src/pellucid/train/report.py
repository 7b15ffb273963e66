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

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..base.errors import FormatError
from ..formats.atomic import write_atomic
from ..formats.model_json import read_json
from .charts import Band, Line, Markup, Rule, chart, data, join, limits, offline_page, tag
from .diagnose import overfitting
from .report_parts import (
    FIGURES,
    MOST_ROWS,
    NAMES,
    answers,
    figure,
    figures_of,
    is_number,
    mapping,
    own_figures,
    plain,
    say,
    say_range,
    table_of,
    task_of,
    unit_of,
    wide,
)
from .report_tasks import DETAILS

REPORT, METRICS, SAMPLES = "report.html", "metrics.json", "samples"
MOST_PICTURE = 8 * 2**20  # bytes of a sheet of samples

TITLES = {
    "classify": "telling classes apart",
    "regress": "estimating amounts",
    "forecast": "forecasting",
    "continue": "the next character",
    "generate": "making pictures",
    "enhance": "mending pictures",
}
NO_OPTIONS = ("data", "kind")  # settings of a recipe that no option of `pellucid train` gives
OPTION_OF = {"columns": "column"}

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
thead .n{white-space:normal}thead th{color:var(--quiet);font-weight:600;vertical-align:bottom}
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
.dot,.bar,.band{fill:currentColor;stroke:none}.bar{fill-opacity:.75}.band{fill-opacity:.12}
.line.s1{stroke-dasharray:7 4}.line.dash1{stroke-dasharray:2 4}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1rem;margin:.2rem 0 0;padding:0;font-size:.9rem}
.sign{width:22px;height:10px;margin-right:.35rem}
pre{background:var(--soft);border:1px solid var(--edge);border-radius:.4rem;padding:.6rem .8rem;margin:.4rem 0;
white-space:pre-wrap;overflow-wrap:anywhere;font-size:.88rem}
.option{white-space:nowrap}
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
    task = task_of(result)
    name = mapping(result, "settings").get("data") or "a run"
    sections = [
        ("compared", "Beside simpler methods", _compared(result)),
        ("learning", "Learning", _learning(history, result)),
        *DETAILS.get(task, lambda result, sheet: [])(result, sheet),
        ("purpose", "What this network is for and is not", _purpose(result)),
        ("decisions", "What was decided", _decisions(result)),
        ("notes", "About the data", _notes(result)),
        ("again", "To make it again", _again(result)),
    ]
    kept = [(key, title, body) for key, title, body in sections if body]
    title = f"{Path(str(name)).name}: {TITLES.get(task, task)}"
    return offline_page(
        title,
        STYLE,
        tag("header", tag("h1", data(title, 120)), _target(result), _heading(result)),
        tag("nav", *(tag("a", name, href=f"#{key}") for key, name, _ in kept), aria_label="Parts"),
        tag("main", *(tag("section", tag("h2", name), body, id=key) for key, name, body in kept)),
        tag("footer", _footer(result)),
    )


# -- The figure, and what it is compared with ------------------------------------------------------


def _heading(result: Mapping) -> Markup:
    """The figure that counts with its interval, the best simple method beside it, and what follows."""
    key, label, kind, less_is_better = figures_of(result)[0]
    part, ours = own_figures(result)
    value = ours.get(key)
    if value is None:
        return tag("p", "This run has no held-out figure.", class_="quiet")
    unit = unit_of(result) if kind == "amount" else ""
    interval = ours.get(f"{key}_interval")
    n = ours.get("n")
    rows = f"{n:,} {answers(result)}" if isinstance(n, int) else "what was held out"
    where = f"{label} on {rows} that the network had not seen"
    if part != "test":
        where = (
            f"{label} on {rows} of the {part} part, which training has used: too good to rely on"
        )
    if task_of(result) == "generate":
        where = f"{label} of {rows}"
    boxes = [
        tag(
            "div",
            where,
            tag("b", say(value, kind, unit)),
            tag("span", f"95 % interval: {say_range(interval, kind, unit)}", class_="quiet")
            if interval
            else None,
        )
    ]
    every = [(n, s) for n, s in _rivals(result) if is_number(s.get(key))]
    rivals = [(n, s) for n, s in every if n != REAL]
    if not rivals:
        return tag("div", *boxes, class_="hero")
    name, best = (min if less_is_better else max)(rivals, key=lambda r: r[1][key])
    others = [f"{n} {say(s[key], kind, unit)}" for n, s in every if s is not best]
    boxes.append(
        tag(
            "div",
            "Without a network: ",
            data(name),
            tag("b", say(best[key], kind, unit)),
            tag("span", "; ".join(others), class_="quiet") if others else None,
        )
    )
    ahead = None if mapping(result, "alarms") else best.get("ahead_interval")  # of the accuracy
    words = _verdict(value, interval, best[key], less_is_better, ahead)
    return join([tag("div", *boxes, class_="hero"), tag("p", words, class_="verdict")])


def _target(result: Mapping) -> Markup | None:
    """The column that is answered, of a table."""
    target = result.get("target") or mapping(result, "settings").get("target")
    return tag("p", "The target is ", data(target), ".", class_="quiet") if target else None


def _verdict(
    value: float,
    interval: Sequence[float] | None,
    rival: float,
    less_is_better: bool,
    ahead: Sequence[float] | None,
) -> str:
    """Whether the network is worth having, in a sentence that chance cannot have written alone.

    ahead  how much better the network is on the same rows, 95 % interval; without it the network's own has to do"""
    if ahead:
        if ahead[0] > 0:
            return "The network is better, by more than the chance of these rows explains."
        if ahead[1] < 0:
            return "The network is worse: use the simple method, or change the settings."
        return "No sure difference: on other such rows either could be ahead."
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


REAL = "held-out real pictures"  # no method to beat: what a perfect one would reach


def _rivals(result: Mapping) -> list[tuple[str, Mapping]]:
    """(name, figures) of everything that needs no network, or less of one."""
    found: dict[str, Mapping] = {}
    baseline = mapping(result, "baseline")
    if "class" in baseline:
        found["majority"] = baseline
    else:
        found.update({k: v for k, v in baseline.items() if isinstance(v, Mapping)})
    for name, scores in mapping(result, "baselines").items():
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
    figures = figures_of(result)
    _, label, compared_as, _ = FIGURES.get(task_of(result), FIGURES["classify"])[0]
    ours = own_figures(result)[1]
    every = [ours, *(s for _, s in rivals)]
    figures = tuple(f for f in figures if sum(is_number(s.get(f[0])) for s in every) > 1)
    unit = unit_of(result)

    def row(name: Any, scores: Mapping, class_: str | None = None) -> Markup:
        cells: list[Any] = []
        for key, _, kind, _ in figures:
            value = scores.get(key)
            known = is_number(value)
            cells.append(tag("td", say(value, kind, "") if known else "", class_="n"))
        if with_ahead:
            found = scores.get("ahead_interval")
            cells.append(tag("td", _ahead(found, compared_as) if found else "", class_="n"))
        note = scores.get("skipped") or scores.get("note")
        said = f"not tried: {note}" if scores.get("skipped") else note
        remark = tag("div", said, class_="quiet") if said else None
        return tag("tr", tag("th", name, remark, scope="row"), *cells, class_=class_)

    headings = [
        f"{label}, {unit}" if kind == "amount" and unit else label for _, label, kind, _ in figures
    ]
    with_ahead = bool(figures) and any(s.get("ahead_interval") for _, s in rivals)
    if with_ahead:
        headings.append("Network ahead by")
    rows = [row("this network", ours, "ours"), *(row(data(n), s) for n, s in rivals)]
    compared = wide(
        table_of(["", *headings], rows, numbers=range(1, len(headings) + 1)), "Comparison"
    )
    if not with_ahead:
        return compared
    said = f"Ahead by: the 95 % interval of the difference in {label} on the same rows."
    return join([compared, tag("p", said, class_="quiet")])


def _ahead(interval: Sequence[float], kind: str) -> str:
    """+1.5 to +3.2 points, or amounts."""
    if kind == "percent":
        return f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}\u00a0points"
    low, high = ((("+" if v > 0 else "") + say(v, kind, "")) for v in interval)
    return f"{low} to {high}"


# -- Learning --------------------------------------------------------------------------------------


def _learning(history: Sequence[Mapping], result: Mapping) -> Markup | None:
    """Loss and accuracy of each epoch, and the epoch whose weights were kept."""
    if not history:
        return None
    epochs = [int(row.get("epoch", i + 1)) for i, row in enumerate(history)]
    train = [mapping(row, "train") for row in history]
    validation = [mapping(row, "validation") for row in history]
    best = result.get("best_epoch") or None
    losses = {"training": [t.get("loss") for t in train]}
    others = [k for k in train[0] if k.endswith("_loss")]
    if others:
        losses = {"critic": losses["training"]}
        losses.update({k.removesuffix("_loss"): [t.get(k) for t in train] for k in others})
    elif any(validation):
        losses["validation"] = [v.get("loss") for v in validation]
    charts = [_curves("Loss", epochs, losses, best)]
    if is_number(train[0].get("accuracy")):
        shares = {"training": [t.get("accuracy") for t in train]}
        if any(validation):
            shares["validation"] = [v.get("accuracy") for v in validation]
        charts.append(_curves("Accuracy", epochs, shares, best))
    stopped = result.get("stopped")
    said = f"{str(stopped)[:1].upper()}{str(stopped)[1:]}." if stopped else None
    if since := result.get("overfitting_since"):
        said = f"{said or ''} {overfitting(int(since))}".strip()
    if not best and not others:
        said = said or "No epoch was chosen by validation: the last weights were kept."
    names = [*losses]
    keep = set(np.linspace(0, len(epochs) - 1, min(len(epochs), MOST_ROWS)).astype(int).tolist())
    rows = [
        tag("tr", tag("td", e, class_="n"),
            *(tag("td", say(losses[n][i], "number", ""), class_="n") for n in names))
        for i, e in enumerate(epochs) if i in keep
    ]  # fmt: skip
    table = table_of(["Epoch", *(f"Loss, {n}" for n in names)], rows, range(len(names) + 1))
    some = f" ({len(rows)} of {len(epochs)} epochs)" if len(rows) < len(epochs) else ""
    return join([
        tag("p", said) if said else None,
        tag("div", *charts, class_="charts"),
        tag("details", tag("summary", f"The losses as numbers{some}"), wide(table, "Losses")),
    ])  # fmt: skip


def _curves(
    what: str, epochs: Sequence[int], values: Mapping[str, list], best: int | None
) -> Markup:
    """A line for each name, over the epochs; a rule at the best one."""
    lines: list[Any] = [Line(epochs, ys, i) for i, ys in enumerate(values.values())]
    if "validation" in values and "training" in values:
        lines.insert(0, Band(epochs, values["training"], values["validation"], 1))
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
    if "validation" in values:
        caption += " The shaded room is what the rows to learn are known better than others."
    return figure(picture, caption, dict(enumerate(values)))


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
    return wide(table_of(head, rows, class_="long"), "Decisions")


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
        unused = wide(table_of(["Column", "Why"], rows), "Columns")
        body += [tag("h3", "Columns that are not used"), unused]
    return join(body) if body else None


def _note(note: Any) -> Markup:
    if isinstance(note, Mapping):
        kind, said = note.get("kind", ""), note.get("text", "")
    else:
        kind, said = getattr(note, "kind", ""), getattr(note, "text", note)
    return join([tag("b", data(kind), ": ") if kind else None, data(said, 1000)])


def _purpose(result: Mapping) -> Markup | None:
    """Of pictures whose classes are told apart: where the figures hold, and where not."""
    is_pictures = mapping(result, "settings").get("kind") in ("pictures", "picture_table")
    if not is_pictures or task_of(result) != "classify":
        return None
    names = [str(n) for n in result.get("classes") or []][:20]
    named = [x for n in names for x in (", ", data(n, 30))][1:]
    return join([
        tag("p", "For: telling pictures like those that it learned from apart (", *named, ")."),
        tag("p", "Not for: pictures of another kind, camera or place, for which its figures say nothing; and pictures "
            "of none of these classes, as it always answers one of them. A figure on held-out pictures is no clearance "
            "for medical use."),
    ])  # fmt: skip


def _again(result: Mapping) -> Markup | None:
    settings = mapping(result, "settings")
    if not settings:
        return None
    rows = [
        tag("tr", tag("th", key, scope="row"), tag("td", data(plain(value), 300)))
        for key, value in settings.items()
    ]
    line = str(result.get("command") or command(settings))
    return join([
        tag("pre", tag("code", *_words(line))),
        tag("p", "The same data, the same settings and the same seed give the same weights.", class_="quiet"),
        tag("details", tag("summary", "All settings"), wide(table_of(["Setting", "Value"], rows), "Settings")),
    ])  # fmt: skip


def _words(line: str) -> list[Any]:
    """A command for reading: no line ends within the name of an option. Copied, it is the same text."""
    words = line.split(" ")
    named = [tag("span", w, class_="option") if w.startswith("--") else w for w in words]
    return [part for w in named for part in (" ", w)][1:]


def command(settings: Mapping[str, Any]) -> str:
    """The command line of these settings: `pellucid train DATA --net 128-64 ...`, quoted for a shell."""
    words = ["pellucid", "train", str(settings.get("data", ""))]
    for name, value in settings.items():
        option = f"--{OPTION_OF.get(name, name).replace('_', '-')}"
        if name in NO_OPTIONS:
            continue
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif isinstance(value, Mapping):
            words += [w for key, use in value.items() for w in (option, f"{key}={use}")]
        elif name == "net" and isinstance(value, list | tuple):
            words += [option, plain(value) or "none"]
        elif isinstance(value, list | tuple):
            words += [w for v in value for w in (option, str(v))]
        elif value is not None:
            words += [option, str(value)]
    return shlex.join(words)


def _footer(result: Mapping) -> Markup:
    facts = [f"pellucid {__version__}"]
    if isinstance(result.get("n_parameters"), int):
        facts.append(f"{result['n_parameters']:,} parameters")
    if is_number(result.get("seconds")):
        facts.append(f"{result.get('epochs', '?')} epochs in {result['seconds']:,.1f} s")
    if result.get("weights_sha256"):
        facts.append(f"weights SHA-256 {result['weights_sha256']}")
    return tag("p", " · ".join(facts))


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
