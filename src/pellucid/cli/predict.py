"""`pellucid predict`: class probabilities of a picture, or of every row of a CSV file."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from ..data.image import read_image
from ..data.table import read_pixels
from ..train.run import SavedModel, load_model


@dataclass(frozen=True)
class Seen:
    """What the network answers to one picture: where it stood, and a probability for each class."""

    file: str
    row: int | None  # counted from 1, of a CSV file
    truth: str | None
    probabilities: np.ndarray


def predict(run: Path, files: tuple[Path, ...], top: int, as_json: bool) -> None:
    """Run the command; results go to standard output."""
    model = load_model(run)
    seen = [s for file in files for s in look(model, file)]
    if as_json:
        click.echo(json.dumps(document(str(run), model, seen), indent=2))
        return
    for s in seen:
        click.echo(words(s, model.classes, top, alone=len(seen) == 1))
    known = [s for s in seen if s.truth is not None]
    if known:
        n_right = sum(model.classes[s.probabilities.argmax()] == s.truth for s in known)
        click.echo(f"{n_right} of {len(known)} right: {100 * n_right / len(known):.1f} %")


def look(model: SavedModel, file: Path) -> list[Seen]:
    """The network's answers to everything in a file."""
    if file.suffix.lower() != ".csv":
        return [Seen(str(file), None, None, model.predict(read_image(file)[None])[0])]
    rows = read_pixels(file, math.prod(model.shape), model.scale, model.shift, model.scale)
    answers = model.predict(rows.x)
    labels = [None] * len(answers) if rows.labels is None else [str(n) for n in rows.labels]
    return [
        Seen(str(file), i, truth, p)
        for i, (p, truth) in enumerate(zip(answers, labels, strict=True), 1)
    ]


def words(seen: Seen, classes: tuple[str, ...], top: int, alone: bool) -> str:
    """'2: 91 %', the likeliest first: in lines for one picture, in one line each for more."""
    order = np.argsort(-seen.probabilities, kind="stable")[:top]
    answers = [f"{classes[i]}: {percent(seen.probabilities[i])}" for i in order]
    if alone and seen.truth is None:
        return "\n".join(answers)
    where = f"{seen.file}" + ("" if seen.row is None else f" row {seen.row}")
    truth = "" if seen.truth is None else f"  (is {seen.truth})"
    return f"{where}  {', '.join(answers)}{truth}"


def percent(probability: float) -> str:
    """91 %; what is neither nothing nor certain is not rounded to either."""
    p = 100 * float(probability)
    if p < 1:
        return "<1 %"
    return ">99 %" if p > 99 else f"{p:.0f} %"


def document(run: str, model: SavedModel, seen: list[Seen]) -> dict:
    """The result for --json."""
    predictions = []
    for s in seen:
        shares = {
            c: round(float(p), 6) for c, p in zip(model.classes, s.probabilities, strict=True)
        }
        answer: dict = {"file": s.file, "class": max(shares, key=lambda c: shares[c])}
        if s.row is not None:
            answer["row"] = s.row
        if s.truth is not None:
            answer["true"] = s.truth
        predictions.append({**answer, "probabilities": shares})
    return {"run": run, "weights_sha256": model.weights_sha256, "predictions": predictions}
