"""`pellucid predict`: class probabilities of a picture or of every row of a CSV file; the values that come
next in a series; the characters that may come next in a text; a CSV of answers to every row of a table."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..base.errors import DataError, OptionError
from ..base.figures import rounded
from ..data.frame import Column, Frame
from ..data.lines import is_list
from ..data.reading import is_table
from ..data.sequence import Series, Text, encode
from ..data.series import read_series
from ..data.text import read_text
from ..train.answer import (
    Rows,
    going_on,
    named_pictures,
    next_chances,
    read_frame,
    read_pictures,
    shares,
)
from ..train.baselines import errors
from ..train.evaluation import evaluate
from ..train.measure import perplexity_interval
from ..train.metrics import perplexity
from ..train.recipe import recipe
from ..train.saved import SavedModel, load_model
from ..train.sources import names, read_dated
from ..train.tables import known_column, reading
from .figures import percent
from .options import check_out


@dataclass(frozen=True)
class Seen:
    """What the network answers to one picture: where it stood, and a probability for each class."""

    file: str
    row: int | None  # counted from 1, of a CSV file
    truth: str | None
    probabilities: np.ndarray


def predict(
    run: Path,
    files: tuple[Path, ...],
    top: int,
    steps: int,
    as_json: bool,
    out: Path | None = None,
    keep: tuple[str, ...] = (),
    memory: int | None = None,
) -> None:
    """Run the command; results go to standard output, those for a table to `out` where it is given."""
    model = load_model(run)
    is_csv = model.encoder is not None or asks_for_rows(model, files)
    if not is_csv and (out is not None or keep):
        raise OptionError(
            f"{run}: --out and --keep belong to tables; this network learned from none."
        )
    check_memory(model, run, memory)
    if model.task == "enhance":
        raise OptionError(f"{run}: this network mends pictures. Use: pellucid enhance {run} FILE")
    if model.task == "generate":
        raise OptionError(
            f"{run}: this network makes pictures; it has no answer to a file. Use: pellucid generate {run}"
        )
    if model.task != "forecast" and not files:
        raise OptionError(f"{run}: a file is missing: pellucid predict {run} FILE")
    if steps != 1 and model.task != "forecast":
        raise OptionError(
            f"{run}: --steps belongs to forecasts; this network was trained to {model.task}."
        )
    check_out(out, files, "answered", "answers")
    lines: list[str] = []
    if is_csv:
        found = chain.from_iterable(answers(model, file, keep, memory) for file in files)
        if not as_json:
            write_answers(found, out, len(files) > 1)
            return
        told = [row for a in found for row in a.documents()]
    else:
        told, lines = PREDICTIONS[model.task](model, run, files, top, steps)
    if as_json:
        document = {"run": str(run), "weights_sha256": model.weights_sha256, "predictions": told}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo("\n".join(lines))


def check_memory(model: SavedModel, run: Path, memory: int | None) -> None:
    """Raises OptionError where --memory is given for a network that takes no tables."""
    if memory is not None and model.encoder is None:
        raise OptionError(
            f"{run}: --memory is for a network that learned from the columns of a table."
        )


def predict_classes(
    model: SavedModel, run: Path, files: Sequence[Path], top: int, steps: int
) -> tuple[list[dict], list[str]]:
    """The answer to every picture, and how many are right where that is known."""
    seen = [s for file in files for s in look(model, file)]
    lines = [words(s, model.classes, top, alone=len(seen) == 1) for s in seen]
    known = [s for s in seen if s.truth is not None]
    if known:
        n_right = sum(model.classes[s.probabilities.argmax()] == s.truth for s in known)
        lines.append(f"{n_right} of {len(known)} right: {percent(n_right / len(known))}")
    return documents(model, seen), lines


@dataclass(frozen=True)
class Answers:
    """To every row of a table, or of a part of it.

    predicted      (N,) names of classes as an object array, or amounts
    probabilities  (N, C), None for amounts
    kept           columns of the file that are copied
    before         rows of the table before these"""

    file: str
    target: str
    classes: tuple[str, ...]
    predicted: np.ndarray
    probabilities: np.ndarray | None
    kept: tuple[Column, ...]
    before: int = 0

    def names(self) -> list[str]:
        """Of the columns that are written: kept ones, the target, 'probability of CLASS'."""
        chances = [] if self.probabilities is None else self.classes
        kept = [c.name for c in self.kept]
        answer = f"predicted {self.target}" if self.target in kept else self.target
        return [*kept, answer, *(f"probability of {c}" for c in chances)]

    def columns(self) -> list[Any]:
        """The columns, in the order of names()."""
        chances = [] if self.probabilities is None else list(self.probabilities.T)
        kept = [cells(c) for c in self.kept]
        return [*kept, self.predicted, *(np.round(p.astype(np.float64), 6) for p in chances)]

    def documents(self) -> list[dict]:
        """A record a row, for --json."""
        rows = []
        for i, value in enumerate(self.predicted.tolist()):
            row: dict = {"file": self.file, "row": self.before + i + 1, self.target: value}
            if self.probabilities is not None and value is not None:
                row["probabilities"] = shares(self.classes, self.probabilities[i])
            rows.append(row)
        return rows


def cells(column: Column) -> np.ndarray:
    """The values as a person wrote them, None where there was none: whole numbers without a point."""
    if column.kind == "number":
        found = [int(v) if v.is_integer() and abs(v) < 2**53 else v for v in column.values.tolist()]
    elif column.kind == "date":
        found = list(names(column))
    else:
        found = column.values.tolist()
    return np.array([None if m else v for v, m in zip(found, column.missing, strict=True)], object)


def note(file: Path, notes: Iterable[str]) -> None:
    """Says on standard error what was odd about a file: its name, then each note, which may begin with the name."""
    for told in notes:
        is_named = told.startswith((f"{file.name}, ", f"{file}{os.sep}"))
        click.echo(told if is_named else f"{file}: {told}", err=True)


def answers(
    model: SavedModel, file: Path, keep: Sequence[str], memory: int | None
) -> Iterator[Answers]:
    """The network's answers to all rows of a table; what was odd about the file goes to standard error at the end."""
    if model.encoder is None:
        yield picture_answers(model, file, keep)
        return
    rows, judge, n = Rows(model, file, memory), Judge(model), 0
    for part in rows:
        kept = tuple(part[known_column(part, name, "--keep")] for name in keep)
        frame, x = rows.encode(part)
        found = Answers(str(file), model.target.name, model.classes, *model.answers(x), kept, n)
        judge.add(found, frame)
        n += len(frame)
        yield found
    note(file, (*rows.notes, *judge.said()))


def asks_for_rows(model: SavedModel, files: Sequence[Path]) -> bool:
    """Whether pictures are answered by a row each: amounts, and pictures that tables name."""
    if model.preparation is None or not files:
        return False
    return model.task == "regress" or all(is_table(f) for f in files)


def picture_answers(model: SavedModel, file: Path, keep: Sequence[str]) -> Answers:
    """The network's answer to every picture; empty for a row of a table whose picture cannot be read."""
    frame = read_frame(model, file) if is_table(file) else None
    found = read_pictures(model, file) if frame is None else named_pictures(model, file, frame)
    note(file, found.notes)
    values, chances = model.answers(found.x)
    target = model.target.name if model.target is not None else "class"
    if frame is None or found.frame is None or found.rows is None:
        if keep:
            raise OptionError(f"{file}: --keep belongs to tables.")
        names = Column("file", "text", np.array(found.files, object), np.zeros(len(values), bool))
        return Answers(str(file), target, model.classes, values, chances, (names,))
    kept = tuple(frame[known_column(frame, name, "--keep")] for name in keep or frame.names[:1])
    if model.target is not None:
        judge = Judge(model)
        judge.add(Answers(str(file), target, model.classes, values, chances, ()), found.frame)
        note(file, judge.said())
    predicted = np.full(found.n_rows, None, object)
    predicted[found.rows] = values
    if chances is not None:
        of_all = np.full((found.n_rows, len(model.classes)), np.nan)
        of_all[found.rows] = chances
        chances = of_all
    return Answers(str(file), target, model.classes, predicted, chances, kept)


class Judge:
    """How good the answers are, where the file has the target; over the parts of the file."""

    def __init__(self, model: SavedModel):
        self.target = model.target
        self.is_there = False
        self.predicted: list[np.ndarray] = []
        self.truth: list[np.ndarray] = []

    def add(self, found: Answers, frame: Frame) -> None:
        """One more part."""
        if found.target not in frame.names:
            return
        self.is_there = True
        y, known = self.target.encode(frame[found.target])
        if found.probabilities is None:
            self.predicted.append(found.predicted[known])
            self.truth.append(self.target.decode_amounts(y[known]))
        else:
            self.predicted.append(found.probabilities.argmax(1)[known])
            self.truth.append(y[known])

    def said(self) -> list[str]:
        """A sentence; nothing where the file has no target."""
        if not self.is_there:
            return []
        predicted, truth = np.concatenate(self.predicted), np.concatenate(self.truth)
        n, name = len(truth), repr(self.target.name)
        if not n:
            return [f"its column {name} has no value that the network has learned"]
        if not self.target.classes:
            e = errors(predicted, truth)
            return [
                f"{name} is in the file; RMSE {rounded(e.rmse, 6)}, MAE {rounded(e.mae, 6)} over {n:,} rows"
            ]
        n_right = int((predicted == truth).sum())
        return [f"{name} is in the file; {n_right:,} of {n:,} right: {percent(n_right / n)}"]


def write_answers(told: Iterator[Answers], out: Path | None, has_files: bool) -> None:
    """One CSV for all files, safe to open in a spreadsheet; with a column of file names when there are several."""
    from ..data.writing import write_blocks

    first, n = next(told), 0  # what is wrong with the file is said before anything is written

    def blocks() -> Iterator[list]:
        nonlocal n
        for found in chain([first], told):
            n += len(found.predicted)
            files = [np.full(len(found.predicted), found.file, object)] if has_files else []
            yield [*files, *found.columns()]

    header = ["file", *first.names()] if has_files else first.names()
    write_blocks(sys.stdout if out is None else out, header, blocks())
    if out is not None:
        click.echo(f"{out}: {n:,} answers", err=True)


def predict_series(
    model: SavedModel, run: Path, files: Sequence[Path], top: int, steps: int
) -> tuple[list[dict], list[str]]:
    """The next values after each file; without one after the series that was learned from.

    Beyond the first each value is forecast from the forecasts before it: errors add up."""
    told, lines = [], []
    series = [(str(file), *after(model, file)) for file in files]
    if not series:
        learned = str(model.settings.get("data"))
        if model.settings.get("kind") is not None and not Path(learned).exists():
            raise OptionError(
                f"{run}: {learned}, from which it has learned, is not there. Name the file that goes on: "
                f"pellucid predict {run} FILE"
            )
        data = recipe(**model.settings).dataset()
        if not isinstance(data, Series):
            raise OptionError(f"{run}: a file is missing: pellucid predict {run} FILE")
        series = [(data.name, data.times, data.values)]
    for name, times, values in series:
        found = going_on(model, values, steps, name)
        told.append({"file": name, "after": times[-1], "unit": model.unit, "forecast": found})
        lines.append(f"{name}, after {times[-1]}:")
        lines += [f"{i:>4}  {rounded(v, 6)} {model.unit}".rstrip() for i, v in enumerate(found, 1)]
    return told, lines


def after(model: SavedModel, file: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """(times, values) of a file: the column that was learned, or of our own series the last column."""
    target = model.settings.get("target")
    if target is None:
        return read_series(file)
    found = read_dated(file, target, reading(model.settings), model.settings.get("time"))
    note(file, found.notes)
    return found.times, found.values


def predict_text(
    model: SavedModel, run: Path, files: Sequence[Path], top: int, steps: int
) -> tuple[list[dict], list[str]]:
    """How well each file is foreseen (nats a character, perplexity), and what may come after it."""
    told, lines = [], []
    for file in files:
        text = read_text(file)
        codes = encode(text, model.classes, str(file))
        window = model.shape[0]
        if len(codes) < 2:
            raise DataError(f"{file}: {len(codes)} characters are too few. Give 2 or more.")
        fitting = min(window, len(codes) - 1)
        data = Text(str(file), codes, model.classes, fitting, is_list=is_list(text))
        rows = data.rows_between(0, len(codes))
        if not len(rows):  # a list in which no window fits after the first end of a line
            data = replace(data, is_list=False)
            rows = data.rows_between(0, len(codes))
        score = evaluate(model.network, data, rows)
        after = shares(model.classes, next_chances(model, codes), top)
        told.append(
            {"file": str(file), "loss": score.loss, "perplexity": perplexity(score.loss),
             "perplexity_interval": perplexity_interval(model.network, data, rows),
             "accuracy": score.accuracy, "n": score.n, "next": after}
        )  # fmt: skip
        lines.append(
            f"{file}: {score.loss:.3f} nats a character, perplexity {perplexity(score.loss):.2f}; next: "
            + ", ".join(f"{c!r} {whole_percent(p)}" for c, p in after.items())
        )
    return told, lines


def look(model: SavedModel, file: Path) -> list[Seen]:
    """The network's answers to everything in a file."""
    found = read_pictures(model, file)
    note(file, found.notes)
    chances = model.predict(found.x)
    truths = found.labels or (None,) * len(chances)
    return [
        Seen(name, i if found.is_rows else None, truth, p)
        for i, (name, truth, p) in enumerate(zip(found.files, truths, chances, strict=True), 1)
    ]


def words(seen: Seen, classes: tuple[str, ...], top: int, alone: bool) -> str:
    """'2: 91 %', the likeliest first: in lines for one picture, in one line each for more."""
    order = np.argsort(-seen.probabilities, kind="stable")[:top]
    answers = [f"{classes[i]}: {whole_percent(seen.probabilities[i])}" for i in order]
    if alone and seen.truth is None:
        return "\n".join(answers)
    where = f"{seen.file}" + ("" if seen.row is None else f" row {seen.row}")
    truth = "" if seen.truth is None else f"  (is {seen.truth})"
    return f"{where}  {', '.join(answers)}{truth}"


def whole_percent(probability: float) -> str:
    """91 %; what is neither nothing nor certain is not rounded to either."""
    p = 100 * float(probability)
    if p < 1:
        return "<1 %"
    return ">99 %" if p > 99 else f"{p:.0f} %"


def documents(model: SavedModel, seen: Sequence[Seen]) -> list[dict]:
    """The answers for --json."""
    predictions = []
    for s in seen:
        chances = shares(model.classes, s.probabilities)
        answer: dict = {"file": s.file, "class": max(chances, key=lambda c: chances[c])}
        if s.row is not None:
            answer["row"] = s.row
        if s.truth is not None:
            answer["true"] = s.truth
        predictions.append({**answer, "probabilities": chances})
    return predictions


PREDICTIONS = {
    "classify": predict_classes,
    "forecast": predict_series,
    "continue": predict_text,
}
