"""The runs of the same data one after the other: which is the best, how the best score moved, a page of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..train.charts import Dots, Line, Markup, chart, data, offline_page, tag
from ..train.report import STYLE
from ..train.report_parts import figure, table_of, wide
from .figures import amount

HEIGHTS = "▁▂▃▄▅▆▇█"
MOST = 12  # scores in a line
DIVIDED_BY = ("seed", "test", "validation", "group")


@dataclass(frozen=True)
class History:
    """Runs of the same data, task and target, the oldest first: dictionaries of runs.describe with a score.

    best  the best score so far, one for each run"""

    title: str
    score: str
    runs: tuple[dict, ...]
    best: tuple[float, ...]

    @property
    def best_run(self) -> dict:
        """The first that has the best score."""
        return next(r for r in self.runs if r["score"]["value"] == self.best[-1])

    @property
    def has_one_test(self) -> bool:
        """Whether all were tested on the same rows."""
        tests = {
            (r["data_sha256"], *(str(r["recipe"].get(n)) for n in DIVIDED_BY)) for r in self.runs
        }
        return len(tests) == 1


HIGHER = ("accuracy", "PSNR")  # scores of which more is better


def histories(found: Sequence[dict]) -> list[History]:
    """Those of the runs that have a score."""
    groups: dict[tuple, list[dict]] = {}
    for run in found:
        if run.get("score"):
            what = run["recipe"].get("target") or run["recipe"].get("fault")
            key = (run["data"], run["task"], what, run["score"]["name"])
            groups.setdefault(key, []).append(run)
    told = []
    for (name, _, target, score), runs in groups.items():
        better = max if score in HIGHER else min
        best: list[float] = []
        for run in runs:
            best.append(better([*best[-1:], run["score"]["value"]]))
        title = name if target is None else f"{name}, {target}"
        told.append(History(title, score, tuple(runs), tuple(best)))
    return told


def lines(told: Sequence[History]) -> list[str]:
    """A line for each history of two runs or more: the best score so far, as bars and as numbers."""
    said = []
    for h in told:
        if len(h.runs) < 2:
            continue
        last = h.best[-MOST:]
        numbers = " ".join(amount(h.score, v).removesuffix(" %") for v in last)
        unit = " %" if h.score == "accuracy" else ""
        said.append(f"{h.title}: best {h.score} so far {bars(last)} {numbers}{unit}{caveat(h)}")
    return said


def caveat(h: History) -> str:
    """What a comparison of these scores leaves out, where it does."""
    return "" if h.has_one_test else " (tested on different rows: part of it is chance)"


def bars(values: Sequence[float]) -> str:
    """The values between their lowest and highest."""
    low, span = min(values), (max(values) - min(values)) or 1.0
    return "".join(HEIGHTS[int(7 * (v - low) / span)] for v in values)


def page(told: Sequence[History], folder: Path, out: Path) -> str:
    """All histories as one HTML page that needs nothing else; reports are linked from where it is written."""
    sections = [tag("section", tag("h2", data(h.title, 120)), section(h, out)) for h in told]
    return offline_page(
        f"Runs of {folder}",
        STYLE,
        tag("header", tag("h1", "Runs of ", data(folder, 120))),
        tag("main", *(sections or [tag("p", "No run has a score yet.", class_="quiet")])),
    )


def section(h: History, out: Path) -> Markup:
    """The scores over the runs, then a row for each."""
    n = len(h.runs)
    across = list(range(1, n + 1))
    scale = 100 if h.score == "accuracy" else 1
    scores = [scale * r["score"]["value"] for r in h.runs]
    best = [scale * v for v in h.best]
    unit = ", %" if scale == 100 else ""
    picture = chart(
        [Line(across, best), Dots(across, scores, 1)],
        f"The best {h.score} so far over {n} runs",
        "run",
        h.score + unit,
        counts=True,
    )
    caption = f"The {h.score} on held-out rows of each run, and the best so far{caveat(h)}."
    rows = (
        tag("tr", *(tag("td", c, class_="n" if i in (0, 4) else None) for i, c in enumerate(cells(k, r, h, out))))
        for k, r in enumerate(h.runs, 1)
    )  # fmt: skip
    head = ("", "run", "began", "network", h.score, "")
    table = wide(table_of(head, rows, numbers=(0, 4)), f"Runs of {h.title}")
    drawn = figure(picture, caption, {0: "best so far", 1: "each run"}) if n > 1 else None
    return tag("div", drawn, table)


def cells(number: int, run: dict, h: History, out: Path) -> list:
    """One run's row; its name leads to its report, where there is one."""
    path = Path(run["run"])
    report = path / "report.html"
    name = data(path.name)
    if report.exists():
        place = Path(os.path.relpath(report, out.parent)).as_posix()
        name = tag("a", name, href=place)
    mark = tag("b", "best") if len(h.runs) > 1 and run is h.best_run else ""
    return [number, name, run["began"], run["net"], amount(h.score, run["score"]["value"]), mark]
