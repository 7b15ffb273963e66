"""What `pellucid info DATA` says of data before anything is learned: of a table each column, what it would be used
for and why, what it holds, and which columns could be learned; of a text, a series and pictures likewise."""

import os
import shlex
import shutil
import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from ..base.figures import rounded
from ..data.animals import table_file
from ..data.codes import mean_and_deviation
from ..data.columns import LEARNED, Feature, as_numbers, as_texts, candidates, decide, decide_task
from ..data.frame import Column, Frame
from ..data.images import picture_column
from ..data.text import read_text
from ..train import streamed
from ..train.sources import DATA_SETS, gaps, kind_of, names
from ..train.tables import quoted
from ..train.tables import read as read_frame
from .options import near_file

SHOWN = 5  # commonest values, likeliest targets
EXAMPLE = 40  # characters of a text that is shown


def document(data: str, reading: Mapping[str, Any]) -> dict:
    """Everything there is to say of a file, a folder or a data set by its name, for --json."""
    if data in DATA_SETS and DATA_SETS[data].kind is None:
        return of_carried(data)
    from ..data.images import is_idx

    path = Path(data)
    if data not in DATA_SETS and not path.exists():
        raise DataError(f"{data}: there is no such run folder, file or data set.{near_file(data)}")
    if path.is_dir() and any(path.glob("*/run.json")):
        raise DataError(
            f"{data}: a folder of runs. List them with: pellucid runs --in {shlex.quote(data)}"
        )
    if path.is_dir() or is_idx(path):
        return {"data": data, **of_pictures(path)}
    if data not in DATA_SETS and kind_of(data, {}) == "text":
        return {"data": data, **of_text(read_text(data))}
    memory = streamed.memory_for(os.fspath(table_file(data)), {}, reading)
    if memory is None:
        return {"data": data, **of_table(data, read_frame(data, reading))}
    found = streamed.surveyed(data, memory, reading)
    few = f"the figures are those of {len(found.sample):,} rows, drawn by chance: all take too much memory"
    told = of_table(data, found.sample)
    return {"data": data, **told, "rows": found.n, "notes": [*found.notes, few]}


def of_carried(data: str) -> dict:
    """What the package carries and no file of a person's own holds."""
    from ..data.digits import load_digits
    from ..data.series import SOURCE, load_series
    from ..data.text import read_alice

    if data == "text":
        return {"data": data, **of_text(read_alice())}
    if data == "series":
        series = load_series()
        values = Column(series.unit, "number", series.values, np.zeros(len(series.values), bool))
        span = {"from": series.times[0], "to": series.times[-1], "step": "every month", "notes": []}
        return {"data": data, "kind": "series", "source": SOURCE, "values": len(series.values),
                **span, **of_values(values)}  # fmt: skip
    digits = load_digits()
    counts = np.bincount(digits.y).tolist()
    return {
        "data": data,
        "kind": "pictures",
        "pictures": len(digits),
        "classes": dict(zip(digits.classes, counts, strict=True)),
        "shape": [*digits.shape, 1],
        "choices": [],
        "notes": [],
        "damaged": [],
    }


# Tables


def of_table(data: str, frame: Frame) -> dict:
    """Each column, and the likeliest targets with what could be done with each."""
    schema = decide(frame)
    plans = {f.name: f for f in (*schema.features, *schema.dropped)}
    paths = picture_column(frame, Path(data).parent)
    if paths is not None:
        why = (
            "most of its texts are paths of pictures: they are learned from, not the other columns"
        )
        plans[paths] = Feature(paths, "picture", why)
    targets = []
    for name in candidates(frame)[:SHOWN]:
        task, why = decide_task(frame, name)
        targets.append({"column": name, "task": task, "why": why})
    return {
        "kind": "table",
        "rows": len(frame),
        "columns": [of_column(frame, c, plans[c.name]) for c in frame.columns],
        "targets": targets,
        "notes": list(frame.notes),
    }


def of_column(frame: Frame, column: Column, plan: Feature) -> dict:
    """One column: its use and why, how many cells are missing, and what the others hold."""
    told: dict[str, Any] = {
        "column": column.name,
        "use": plan.use,
        "why": plan.why,
        "is_left_out": plan.use not in (*LEARNED, "picture"),
        "missing": int(column.missing.sum()),
    }
    if column.kind == "date":
        return told | of_dates(column)
    if plan.use == "number" or (plan.use != "category" and column.kind == "number"):
        numbers, _, _ = as_numbers(frame.name, column)
        told["missing"] = int(np.isnan(numbers).sum())
        return told | of_values(Column(column.name, "number", numbers, np.isnan(numbers)))
    counts = Counter(t for t in as_texts(column) if t is not None)
    told["different"] = len(counts)
    if plan.use == "category":
        told["commonest"] = dict(sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:SHOWN])
    elif counts:
        told["example"] = next(iter(counts))
    return told


def of_values(column: Column) -> dict:
    """Range, mean, deviation and median of the numbers that are there."""
    here = column.values[np.isfinite(column.values) & ~column.missing]
    if not len(here):
        return {}
    mean, deviation = mean_and_deviation(here)  # of numbers of any size
    return {
        "different": len(np.unique(here)),
        "lowest": float(here.min()),
        "highest": float(here.max()),
        "mean": mean,
        "deviation": deviation if here.min() < here.max() else 0.0,
        "median": 2 * float(np.median(here / 2)),  # halves: the sum of two large ones overflows
    }


def of_dates(column: Column) -> dict:
    """Span, usual step, gaps, dates that come twice, and whether they are in order."""
    dates = column.values[~column.missing]
    if not len(dates):
        return {}
    here = Column(column.name, "date", np.sort(dates), np.zeros(len(dates), bool))
    steps = np.diff(here.values).astype(np.int64)
    notes = []
    if len(steps) and steps.min() == 0:
        n = int((steps == 0).sum())
        notes.append("1 date comes again" if n == 1 else f"{n:,} dates come again")
    else:
        notes += gaps(here, steps)
    if (dates[1:] < dates[:-1]).any():
        notes.append("not in order")
    at = names(here.take(np.array([0, len(dates) - 1])))
    return {
        "different": len(np.unique(dates)),
        "from": at[0],
        "to": at[1],
        "step": usual_step(here.values) if len(steps) else None,
        "notes": notes,
    }


UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def usual_step(dates: np.ndarray) -> str:
    """'every day', 'every 15 minutes', 'every month': the middle of the steps of dates in order."""
    steps = np.diff(dates).astype("m8[us]").astype(np.int64)
    months = np.diff(dates.astype("M8[M]")).astype(np.int64)
    usual, usual_months = float(np.median(steps)), int(np.median(months))
    days = dates.astype("M8[D]") - dates.astype("M8[M]").astype("M8[D]")
    if usual_months >= 1 and (days == days[0]).all():
        is_years = usual_months % 12 == 0
        many = usual_months / 12 if is_years else usual_months
        unit = "year" if is_years else "month"
    else:
        seconds = usual / 1e6
        unit, size = next((u for u in UNITS if seconds >= u[1]), UNITS[-1])
        many = round(seconds / size, 3)
    return f"every {unit}" if many == 1 else f"every {many:g} {unit}s"


# Texts and pictures


def of_text(text: str) -> dict:
    """Characters, lines, words and the vocabulary, the commonest first."""
    counts = Counter(text)
    return {
        "kind": "text",
        "characters": len(text),
        "lines": text.count("\n") + (not text.endswith("\n")),
        "words": len(text.split()),
        "vocabulary": dict(sorted(counts.items(), key=lambda c: (-c[1], c[0]))),
    }


def of_pictures(path: Path) -> dict:
    """Classes with their counts, sizes, and what could not be read. Raises DataError where nothing can be."""
    from ..data.images import is_idx, read_idx, read_image_folder

    found = read_idx(path) if is_idx(path) else read_image_folder(path, labelled=False)
    n = len(found.classes)
    counts = np.bincount(found.y, minlength=n).tolist() if n else []
    return {
        "kind": "pictures",
        "pictures": len(found),
        "classes": dict(zip(found.classes, counts, strict=True)),
        "shape": list(found.shape),
        "choices": [{"what": c.what, "value": c.value, "why": c.why} for c in found.choices],
        "notes": list(found.notes),
        "damaged": [{"file": f, "why": why} for f, why in found.damaged],
    }


# For a person


def words(told: dict) -> str:
    """The document for a person to read."""
    return "\n".join(WORDS[told["kind"]](told))


def words_of_table(told: dict) -> list[str]:
    """A line for each column, then which could be learned."""
    columns = told["columns"]
    wide = max(len("column"), *(len(c["column"][:30]) for c in columns))
    used = max(len("use"), *(len(c["use"]) for c in columns))
    lines = [f"{told['data']}: {told['rows']:,} rows of {len(columns)} columns", ""]
    for c in columns:
        head = f"{c['column'][:30]:{wide}}  {c['use']:{used}}  "
        lines += wrapped(head, "; ".join(said_of(c)))
    lines += [f"note: {note}" for note in told["notes"]]
    lines.append("")
    if not told["targets"]:
        return [
            *lines,
            "No column could be learned: all are constant, different in each row, or dates.",
        ]
    lines.append("Could be learned, the likeliest first:")
    for t in told["targets"]:
        lines += wrapped(f"  {t['column'][:30]:{wide}}  {t['task']:8}  ", t["why"])
    first = told["targets"][0]["column"]
    name = shlex.quote(told["data"])
    lines.append(f"As in: pellucid train {name} --target {quoted(first)}")
    # A series has each date once.
    dated = next((c for c in columns if c["use"] == "date" and not again(c)), None)
    amounts = [c["column"] for c in columns if c["use"] == "number"]
    if dated and amounts:
        lines.append(f"Or:    pellucid train {name} --task forecast --target {quoted(amounts[-1])}")
    return lines


def again(c: dict) -> bool:
    """Whether dates of the column come more than once."""
    return any("again" in note for note in c.get("notes", []))


def said_of(c: dict) -> list[str]:
    """What there is to say of a column, from why it is used so to what it holds."""
    said = [c["why"] + (": left out" if c["is_left_out"] else "")]
    if c["missing"] and "missing" not in c["why"]:
        said.append(f"{c['missing']:,} missing")
    if c["use"] == "number" and "mean" in c:
        said.append(
            f"mean {rounded(c['mean'], 6)}, deviation {rounded(c['deviation'], 6)}, median {rounded(c['median'], 6)}"
        )
    if c.get("step"):
        said.append(c["step"])
    said += c.get("notes", [])
    if "commonest" in c:
        values = ", ".join(f"{v[:30]} {n:,}" for v, n in c["commonest"].items())
        rest = c["different"] - len(c["commonest"])
        said.append(values + (f" and {rest:,} more" if rest else ""))
    if "example" in c and not c["is_left_out"]:
        said.append(f"as {shortened(c['example'])!r}")
    return said


def shortened(text: str) -> str:
    """Its first characters."""
    return text if len(text) <= EXAMPLE else text[:EXAMPLE] + " ..."


def wrapped(head: str, text: str) -> list[str]:
    """A line that goes on below its own text."""
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)
    return textwrap.wrap(
        head + text, width, subsequent_indent=" " * len(head), drop_whitespace=True
    ) or [head]


def words_of_text(told: dict) -> list[str]:
    """Its size, and its characters with how often each comes."""
    vocabulary = told["vocabulary"]
    shown = ", ".join(f"{c!r} {n:,}" for c, n in list(vocabulary.items())[:8])
    rare = [c for c, n in vocabulary.items() if n < 5]
    lines = [
        f"{told['data']}: a text of {told['characters']:,} characters, {told['words']:,} words, "
        f"{told['lines']:,} lines",
        f"vocabulary  {len(vocabulary)} different characters; the commonest: {shown}",
    ]
    if rare:
        seen = " ".join(c if c.isprintable() else repr(c) for c in rare[:40])
        more = f" and {len(rare) - 40} more" if len(rare) > 40 else ""
        come = "comes" if len(rare) == 1 else "come"
        lines.append(f"rare        {len(rare)} {come} less than five times: {seen}{more}")
    return [*lines, f"As in: pellucid train {shlex.quote(told['data'])}"]


def words_of_series(told: dict) -> list[str]:
    """Its span, step and range."""
    return [
        f"{told['data']}: {told['values']:,} values, {told['source']}",
        f"times   {told['from']} to {told['to']}, {told['step']}",
        f"values  {rounded(told['lowest'], 6)} to {rounded(told['highest'], 6)}, mean {rounded(told['mean'], 6)}, "
        f"deviation {rounded(told['deviation'], 6)}",
        f"As in: pellucid train {told['data']}",
    ]


def words_of_pictures(told: dict) -> list[str]:
    """Classes, sizes, and what could not be read."""
    height, width, channels = told["shape"]
    colour = "colour" if channels == 3 else "grey"
    lines = [f"{told['data']}: {told['pictures']:,} pictures, {height} x {width}, {colour}"]
    wide = max((len(c["what"]) for c in told["choices"]), default=0)
    for c in told["choices"]:
        lines += wrapped(f"{c['what']:{wide}}  ", f"{c['value']}: {c['why']}")
    wide = max((len(name) for name in told["classes"]), default=0)
    lines += ["", *(f"{name:{wide}}  {n:,}" for name, n in told["classes"].items())]
    # Damaged pictures have a line each below.
    lines += [f"note: {n}" for n in told["notes"] if "left out that cannot be read" not in n]
    lines += [f"damaged: {d['file']}: {d['why']}" for d in told["damaged"]]
    return [*lines, f"As in: pellucid train {shlex.quote(told['data'])}"]


WORDS = {
    "table": words_of_table,
    "text": words_of_text,
    "series": words_of_series,
    "pictures": words_of_pictures,
}
