"""What a report shows of each task: mistakes and curves of classes, residuals of amounts, forecasts, texts, pictures.

DETAILS has a row for each task: (result, last sheet of pictures) -> sections (key, title, content or None)."""

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .charts import Bars, Dots, Line, Markup, Rule, chart, data, join, limits, tag
from .report_parts import (
    MOST_ROWS,
    NAMES,
    confusion_of,
    figure,
    is_number,
    mapping,
    own_figures,
    percent,
    say,
    table_of,
    unit_of,
    wide,
)

LARGEST_TABLE = 30  # classes of a confusion table that can still be read
Sections = list[tuple[str, str, Markup | None]]

# -- Classes ---------------------------------------------------------------------------------------


def _classes(result: Mapping, sheet: bytes | None) -> Sections:
    return [
        ("mistakes", "Which classes are mixed up", _mistakes(result)),
        ("alarms", "What an alarm costs", _alarms(result)),
        ("classes", "Each class", _per_class(result)),
        ("curves", "Finding a class, and false alarms", _class_curves(result)),
        ("calibration", "How sure, and how often right", _calibration(result)),
    ]


def _mistakes(result: Mapping) -> Markup | None:
    """The confusion table, shaded by the share of each true class; of many classes the frequent mistakes."""
    names, table = confusion_of(result)
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
        return join([caption, wide(body, "Confusion table")])
    mistakes = mapping(result, "scores").get("mistakes")
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
    return join([said, wide(table_of(["True", "Answered", "Rows"], rows, (2,)), "Mistakes")])


def _per_class(result: Mapping) -> Markup | None:
    figures = own_figures(result)[1]
    found = figures.get("per_class")
    if not found:
        return None
    columns = [
        (key, label)
        for key, label in (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"),
                           ("roc_auc", "ROC AUC"), ("pr_auc", "PR AUC"))
        if any(is_number(row.get(key)) for row in found)
    ]  # fmt: skip
    shown = sorted(found, key=lambda row: -row["support"])[:MOST_ROWS] if len(found) > MOST_ROWS else found  # fmt: skip
    rows = [
        tag("tr", tag("th", data(row["class"]), scope="row"), tag("td", f"{row['support']:,}", class_="n"),
            *(tag("td", f"{row[key]:.3f}" if is_number(row.get(key)) else "–", class_="n") for key, _ in columns))
        for row in shown
    ]  # fmt: skip
    head = ["Class", "Rows", *(label for _, label in columns)]
    said = (
        "Precision: of the answers of this class, the part that is right. "
        "Recall: of its rows, the part that was found. "
    )
    if len(shown) < len(found):
        said += f"The {len(shown)} most frequent of {len(found):,} classes are listed. "
    medical = None
    if screening := mapping(figures, "screening"):
        medical = tag("p", "With ", data(screening["positive"]), " as the positive class: sensitivity ",
                      say(screening["sensitivity"], "percent", ""), ", specificity ",
                      say(screening["specificity"], "percent", ""), ".")  # fmt: skip
    absent = [row["class"] for row in found if not row["support"]]
    missing = None
    if absent:
        names = join([x for name in absent[:10] for x in (", ", data(name))][1:])
        missing = tag("p", "No held-out row has: ", names, "; nothing is known of them." if len(absent) <= 10
                      else f" and {len(absent) - 10} more; nothing is known of them.")  # fmt: skip
    table = table_of(head, rows, range(1, len(head)))
    return join(
        [tag("p", said, class_="quiet"), medical, missing, wide(table, "Scores of each class")]
    )


def _alarms(result: Mapping) -> Markup | None:
    """Where one of two classes is rare: alarms, right ones and found ones from each probability on."""
    found = mapping(result, "alarms")
    if not found.get("rows"):
        return None
    n_class = found["n_class"]
    rows = [
        tag("tr", tag("th", f"{row['threshold']:.3g}" + (" *" if row["threshold"] == found["best"] else ""),
                      scope="row", class_="n"),
            *(tag("td", value, class_="n") for value in (
                f"{row['alarms']:,}", f"{row['right']:,}", f"{row['alarms'] - row['right']:,}",
                percent(row["right"] / row["alarms"]) if row["alarms"] else "–",
                percent(row["right"] / n_class) if n_class else "–")))
        for row in found["rows"]
    ]  # fmt: skip
    head = [
        "Probability from",
        "Alarms",
        "Right",
        "False",
        "Right, of the alarms",
        f"Found, of {n_class:,}",
    ]
    said = tag("p", "If an alarm is raised where the probability of ", data(found["class"]), " is at least so high, "
               f"among {found['n']:,} rows.", class_="quiet")  # fmt: skip
    said_of_best = "* The highest F1 on the rows to validate: from here on it is the answer."
    best = said_of_best if found["best"] is not None else None
    table = wide(table_of(head, rows, range(len(head))), "Alarms")
    return join([said, table, tag("p", best, class_="quiet") if best else None])


def _class_curves(result: Mapping) -> Markup | None:
    """ROC and precision-recall curves."""
    scores = mapping(result, "scores")
    curves, areas = mapping(scores, "curves"), {
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
            names[i] = join([data(c["class"], 24), f": {area:.3f}" if is_number(area) else ""])
        guess = " The dotted line is guessing." if kind == "roc" else ""
        charts.append(
            figure(picture, f"{title}; the number is the area under the curve.{guess}", names)
        )
    return tag("div", *charts, class_="charts") if charts else None


def _calibration(result: Mapping) -> Markup | None:
    scores = mapping(result, "scores")
    found = mapping(scores, "calibration")
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
        f"{found['ece']:.3f}." if is_number(found.get("ece")) else "unknown."])  # fmt: skip
    rows = [
        tag("tr", tag("td", f"{b['low']:.1f} to {b['high']:.1f}"),
            *(tag("td", value, class_="n") for value in (f"{b['n']:,}", f"{b['expected']:.3f}", f"{b['share']:.3f}")))
        for b in bins
    ]  # fmt: skip
    table = table_of(["Probability", "Rows", "Given", "Came true"], rows, (1, 2, 3))
    more = tag("details", tag("summary", "As numbers"), wide(table, "Calibration"))
    return join([figure(picture, caption), more])


# -- Amounts and series ----------------------------------------------------------------------------


def _amounts(result: Mapping, sheet: bytes | None) -> Sections:
    """Predicted against true, and the residuals."""
    scores, unit = mapping(result, "scores"), unit_of(result)
    dots = mapping(scores, "scatter")
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
    n_bins = min(30, max(5, round(len(truth) ** 0.5)))
    heights, edges = np.histogram(residuals, n_bins, range=limits(residuals, zero=False))
    bars = chart([Bars(edges.tolist(), heights.tolist(), 1)], "How often each residual comes",
                 apart, "rows", y_limits=(0, float(heights.max()) * 1.05))  # fmt: skip
    some = ""
    if scores.get("n", 0) > len(truth):
        some = f" {len(truth):,} of {scores['n']:,} rows, drawn at random."
    charts = tag("div",
        figure(scatter, f"On the dotted line the prediction is exact.{some}"),
        figure(rest, "A pattern around the dotted line is something that the network has not learned."),
        figure(bars, "How the errors are spread."), class_="charts")  # fmt: skip
    table = None
    quantiles = mapping(scores, "residuals")
    if quantiles:
        row = tag(
            "tr",
            *(tag("td", say(v, "amount", ""), class_="n") for v in quantiles.values()),
        )
        head = [f"{q} %" for q in quantiles]
        said = tag("p", f"So many of the rows have a smaller predicted - true{named}:")
        table = join(
            [said, wide(table_of(head, [row], range(len(head))), "Quantiles of residuals")]
        )
    return [("amounts", "Predicted and true", join([charts, table]))]


def _series(result: Mapping, sheet: bytes | None) -> Sections:
    """Forecast and truth over the held-out part, and the error further ahead."""
    unit = unit_of(result)
    named_unit = f", {unit}" if unit else ""
    sections: Sections = []
    test = mapping(result, "test")
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
        body = tag("div", figure(picture, "The held-out part.", {0: "truth", 1: "forecast"}),
                   figure(rest, "Errors that drift or swing say what was not learned."), class_="charts")  # fmt: skip
        sections.append(("series", "Forecast and truth", body))
    stretch = _stretch(mapping(result, "stretch"), unit or "value")
    if stretch:
        sections.append(("stretch", "Going on from the past", stretch))
    ahead = [row for row in result.get("mae_ahead") or [] if isinstance(row, Mapping)]
    if ahead:
        names = [key for key in ahead[0] if key != "steps"]
        steps = [row["steps"] for row in ahead]
        lines = [Line(steps, [row.get(n) for row in ahead], i) for i, n in enumerate(names)]
        top = max((row[n] for row in ahead for n in names if is_number(row.get(n))), default=1.0)
        room = (0.0, max(steps) * 1.02), (0.0, top * 1.05 or 1.0)
        picture = chart(lines, "Mean absolute error further ahead", "steps ahead",
                        f"MAE{named_unit}", *room, counts=True)  # fmt: skip
        shown = {"forecast": "this network", **NAMES}
        labels = {i: shown.get(n, n) for i, n in enumerate(names)}
        rows = [
            tag("tr", tag("td", row["steps"], class_="n"),
                *(tag("td", say(row.get(n), "amount", ""), class_="n") for n in names))
            for row in ahead
        ]  # fmt: skip
        table = table_of(["Steps", *labels.values()], rows, range(len(names) + 1))
        said = "Mean absolute error so many steps ahead; each goes on from its own forecasts."
        body = join([figure(picture, said, labels), wide(table, "Error further ahead")])
        sections.append(("ahead", "Further ahead", body))
    return sections


def _stretch(found: Mapping, unit: str) -> Markup | None:
    """The past, the truth that came after it, and what was forecast from the past alone."""
    past, truth, forecast = (found.get(key) or [] for key in ("past", "truth", "forecast"))
    n, times = len(past), found.get("times") or []
    if not truth or len(truth) != len(forecast) or len(times) != n + len(truth):
        return None
    before, after = (
        list(range(n)),
        list(range(n - 1, n + len(truth))) if n else list(range(len(truth))),
    )
    joined = past[-1:]
    lines = [
        Line(before, past, 2),
        Line(after, [*joined, *truth], 0),
        Line(after, [*joined, *forecast], 1),
    ]
    marks = {
        float(i): str(times[i])[:16] for i in dict.fromkeys((0, max(0, n - 1), len(times) - 1))
    }
    room = limits([*past, *truth, *forecast], zero=False)
    across = (0, max(1, len(times) - 1))
    picture = chart(lines, "Past, forecast and truth", "time", unit, across, room, marks)
    said = f"The last {len(truth)} held-out values, forecast from what was before them alone."
    return figure(picture, said, {2: "past", 0: "truth", 1: "forecast"})


# -- Texts and pictures ----------------------------------------------------------------------------


def _texts(result: Mapping, sheet: bytes | None) -> Sections:
    """Perplexity of each part."""
    parts = mapping(result, "metrics")
    rows = [
        tag("tr", tag("th", part, scope="row"), tag("td", f"{m.get('n', 0):,}", class_="n"),
            *(tag("td", say(m.get(key), kind, ""), class_="n")
              for key, kind in (("loss", "number"), ("perplexity", "number"), ("accuracy", "percent"))))
        for part, m in parts.items() if isinstance(m, Mapping)
    ]  # fmt: skip
    if not rows:
        return []
    said = "Perplexity: among so many characters of equal chance one would have to guess."
    if result.get("characters"):
        said += f" The text has {result['characters']} kinds of characters."
    head = ["Part", "Characters", "Nats a character", "Perplexity", "Next one right"]
    body = join([tag("p", said), wide(table_of(head, rows, range(1, 5)), "Perplexity")])
    return [("text", "Each part of the text", body)]


def _pictures(result: Mapping, sheet: bytes | None) -> Sections:
    """The last sheet, and how many made pictures are nearest to each class."""
    parts: list[Markup] = []
    if sheet:
        source = f"data:image/png;base64,{base64.b64encode(sheet).decode()}"
        image = tag("img", src=source, alt="Pictures that the network made after the last epoch")
        parts.append(figure(image, "Pictures made from the same noise, after the last epoch."))
    made = mapping(result, "pictures")
    names, counts = result.get("classes") or [], made.get("per_class") or []
    if counts and len(names) == len(counts):
        edges = [i + 0.5 for i in range(len(counts) + 1)]
        few = {float(i + 1): str(n)[:8] for i, n in enumerate(names)} if len(names) <= 12 else None
        picture = chart([Bars(edges, counts, 0)], "Made pictures by the nearest real class",
                        "class of the nearest real picture", "made pictures", (0.4, len(counts) + 0.6),
                        (0.0, max(*counts, 1) * 1.05), few)  # fmt: skip
        absent = [str(n) for n, k in zip(names, counts, strict=True) if not k]
        never = f" Never: {', '.join(absent[:10])}." if absent else " Every class appears."
        parts.append(figure(picture, f"{sum(counts):,} made pictures.{never}"))
    body = [tag("div", *parts, class_="charts")] if parts else []
    if is_number(made.get("copies")):
        body.append(
            tag("p", f"Copies of a picture that was learned from: {percent(made['copies'])}.")
        )
    said = (
        "Precision: the part of made pictures that lies as near to a picture that was learned from as these lie "
        "to each other. Coverage: the part of held-out pictures that has a made one as near."
    )
    body.append(tag("p", said, class_="quiet"))
    return [("pictures", "What it makes", join(body))] if parts else []


def _mended(result: Mapping, sheet: bytes | None) -> Sections:
    """The last sheet."""
    if not sheet:
        return []
    source = f"data:image/png;base64,{base64.b64encode(sheet).decode()}"
    image = tag("img", src=source, alt="Patches with a fault, mended, and without")
    said = "Patches of pictures that were not learned from, three by three: with the fault, mended, and as they were."
    return [("mended", "What it mends", figure(image, said))]


DETAILS = {
    "classify": _classes,
    "regress": _amounts,
    "forecast": _series,
    "continue": _texts,
    "generate": _pictures,
    "enhance": _mended,
}
