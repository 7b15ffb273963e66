"""`pellucid curve`: the score against the number of rows that were learned from, and whether more would help."""

import json
import math
from pathlib import Path
from typing import Any

import click

from ..base.figures import rounded
from ..formats.atomic import write_atomic
from ..train.growth import LARGEST, SCORES, Outlook, Point, Score, grow, outlook
from ..train.recipe import recipe
from .curve import Panel, draw
from .figures import amount
from .options import check_out
from .train import given_settings, name_of


def curve(
    data: str,
    repeats: int,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Run the command; the table and the sentence go to standard output, the picture to a file."""
    check_out(out, [Path(data)], "learned from", "curve")
    made = recipe(data, **given_settings(given))
    score = SCORES.get(made.task, SCORES["classify"])
    points = []
    for point in grow(made, repeats):
        points.append(point)
        if not quiet:
            click.echo(
                f"{point.rows:,} rows: {score.name} {amount(score.name, point.mean)}", err=True
            )
    ahead = outlook(points, score)
    path = out or Path(f"{name_of(data)}-curve.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, [picture(points, score)])
    sentence = words(points, ahead, score)
    if as_json:
        click.echo(json.dumps(document(data, made, points, ahead, score, sentence, path), indent=2))
    else:
        click.echo("\n".join([*table(points, score), "", sentence, f"The curve is in {path}"]))


def document(
    data: str,
    made: Any,
    points: list[Point],
    ahead: Outlook,
    score: Score,
    sentence: str,
    path: Path,
) -> dict:
    """Everything for --json; numbers that are not known are null."""
    known = math.isfinite(ahead.gain)
    return {
        "data": data,
        "task": made.task,
        "score": score.name,
        "points": [
            {"rows": p.rows, "share": p.share, "scores": list(p.scores), "mean": p.mean, "deviation": p.deviation}
            for p in points
        ],
        "each_doubling": {"gain": ahead.gain, "low": ahead.low, "high": ahead.high} if known else None,
        "more_data_would": ahead.says,
        "sentence": sentence,
        "picture": str(path),
    }  # fmt: skip


def table(points: list[Point], score: Score) -> list[str]:
    """A line for each size."""
    n = len(points[0].scores)
    lines = [f"{'rows':>9}  {'share':>6}  {score.name:>12}  of {n} repeats"]
    for p in points:
        low, high = amount(score.name, min(p.scores)), amount(score.name, max(p.scores))
        spread = f"{low} to {high}" if n > 1 else ""
        lines.append(
            f"{p.rows:9,}  {100 * p.share:4.0f} %  {amount(score.name, p.mean):>12}  {spread}".rstrip()
        )
    return lines


def words(points: list[Point], ahead: Outlook, score: Score) -> str:
    """Whether more data would likely help, in a sentence with its figures."""
    if not math.isfinite(ahead.gain):
        return "Whether more data would help cannot be told: there are too few sizes and repeats (--repeats)."
    unit = " points" if score.name == "accuracy" else ""
    times = 100 if unit else 1
    # As the figure itself moves: of an RMSE a gain is a fall.
    sign = 1 if score.is_better_high else -1
    gain, low, high = (times * sign * v for v in (ahead.gain, *(ahead.low, ahead.high)[::sign]))
    first = points[max(0, len(points) - LARGEST)].rows
    better = "" if score.is_better_high else "; less is better"
    change, least, most = (rounded(v, 2, "+") for v in (gain, low, high))
    gained = (
        f"from {first:,} to {points[-1].rows:,} rows each doubling has changed the {score.name} by {change}{unit} "
        f"(95 %: {least} to {most}{better})"
    )
    return {
        "help": f"More data would likely help: {gained}.",
        "hardly": f"More data would hardly help: {gained}.",
        "unknown": f"Whether more data would help cannot be told: {gained}. More --repeats tell more.",
    }[ahead.says]


def picture(points: list[Point], score: Score) -> bytes:
    """The means as a line, each repeat as a dot, over the rows that were learned from; a PNG."""
    every = [s for p in points for s in p.scores]
    room = 0.05 * (max(every) - min(every)) or 0.05 * abs(every[0]) or 1.0
    dots = tuple((float(p.rows), s) for p in points for s in p.scores)
    return draw([
        Panel(
            f"{score.name[0].upper()}{score.name[1:]} on the same test rows",
            {"mean": [p.mean for p in points]},
            limits=(min(every) - room, max(every) + room),
            across="rows to learn from",
            at=tuple(float(p.rows) for p in points),
            dots=dots,
        )
    ])  # fmt: skip
