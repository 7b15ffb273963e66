"""`pellucid predict`: class probabilities of a picture or of every row of a CSV file; the values that come
next in a series; the characters that may come next in a text."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from ..base.errors import DataError, OptionError
from ..data.image import read_image
from ..data.sequence import Scales, Series, Text, encode
from ..data.series import read_series
from ..data.table import read_pixels
from ..tensor import functions as F
from ..tensor.tensor import Tensor
from ..train.evaluation import evaluate
from ..train.measure import roll
from ..train.recipe import recipe
from ..train.run import SavedModel, load_model


@dataclass(frozen=True)
class Seen:
    """What the network answers to one picture: where it stood, and a probability for each class."""

    file: str
    row: int | None  # counted from 1, of a CSV file
    truth: str | None
    probabilities: np.ndarray


def predict(run: Path, files: tuple[Path, ...], top: int, steps: int, as_json: bool) -> None:
    """Run the command; results go to standard output."""
    model = load_model(run)
    if model.task == "generate":
        raise OptionError(
            f"{run}: this network makes pictures; it has no answer to a file. Use: pellucid sample {run}"
        )
    if model.task != "forecast" and not files:
        raise OptionError(f"{run}: a file is missing: pellucid predict {run} FILE")
    if steps != 1 and model.task != "forecast":
        raise OptionError(
            f"{run}: --steps belongs to forecasts; this network was trained to {model.task}."
        )
    told, lines = PREDICTIONS[model.task](model, run, files, top, steps)
    if as_json:
        document = {"run": str(run), "weights_sha256": model.weights_sha256, "predictions": told}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo("\n".join(lines))


def predict_classes(
    model: SavedModel, run: Path, files: Sequence[Path], top: int, steps: int
) -> tuple[list[dict], list[str]]:
    """The answer to every picture, and how many are right where that is known."""
    seen = [s for file in files for s in look(model, file)]
    lines = [words(s, model.classes, top, alone=len(seen) == 1) for s in seen]
    known = [s for s in seen if s.truth is not None]
    if known:
        n_right = sum(model.classes[s.probabilities.argmax()] == s.truth for s in known)
        lines.append(f"{n_right} of {len(known)} right: {100 * n_right / len(known):.1f} %")
    return documents(model, seen), lines


def predict_series(
    model: SavedModel, run: Path, files: Sequence[Path], top: int, steps: int
) -> tuple[list[dict], list[str]]:
    """The next values after each file; without one after the series that was learned from.

    Beyond the first each value is forecast from the forecasts before it: errors add up."""
    told, lines = [], []
    series = [(str(file), *read_series(file)) for file in files]
    if not series:
        data = recipe(**model.settings).dataset()
        if not isinstance(data, Series):
            raise OptionError(f"{run}: a file is missing: pellucid predict {run} FILE")
        series = [(data.name, data.times, data.values)]
    for name, times, values in series:
        window = model.shape[0]
        if len(values) < window:
            raise DataError(
                f"{name}: {len(values)} values; this network looks back at {window}. Give {window} or more."
            )
        scales = Scales(model.shift, model.scale, model.step)
        found = roll(model.network, scales, values[None, -window:], steps)[0].tolist()
        told.append({"file": name, "after": times[-1], "unit": model.unit, "forecast": found})
        lines.append(f"{name}, after {times[-1]}:")
        lines += [f"{i:>4}  {v:.4g} {model.unit}".rstrip() for i, v in enumerate(found, 1)]
    return told, lines


def predict_text(
    model: SavedModel, run: Path, files: Sequence[Path], top: int, steps: int
) -> tuple[list[dict], list[str]]:
    """How well each file is foreseen (nats a character, perplexity), and what may come after it."""
    told, lines = [], []
    for file in files:
        codes = encode(read_text(file), model.classes, str(file))
        window = model.shape[0]
        if len(codes) < 2:
            raise DataError(f"{file}: {len(codes)} characters are too few. Give 2 or more.")
        data = Text(str(file), codes, model.classes, min(window, len(codes) - 1))
        rows = np.arange((len(codes) - 1) // data.window, dtype=np.int32) * data.window
        score = evaluate(model.network, data, rows)
        chances = next_chances(model, codes)
        order = np.argsort(-chances, kind="stable")[:top]
        after = {model.classes[i]: round(float(chances[i]), 6) for i in order}
        told.append(
            {"file": str(file), "loss": score.loss, "perplexity": math.exp(score.loss),
             "accuracy": score.accuracy, "n": score.n, "next": after}
        )  # fmt: skip
        lines.append(
            f"{file}: {score.loss:.3f} nats a character, perplexity {math.exp(score.loss):.2f}; next: "
            + ", ".join(f"{c!r} {percent(p)}" for c, p in after.items())
        )
    return told, lines


def next_chances(model: SavedModel, codes: np.ndarray) -> np.ndarray:
    """The chance of each character to come after these."""
    x = np.asarray(codes[-model.shape[0] :], np.int32)[None]
    return F.softmax(model.network(Tensor(x))[:, -1], -1).numpy()[0].astype(np.float64)


def read_text(file: Path) -> str:
    """A text file in UTF-8, line ends as one character."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}: not UTF-8 text (byte {error.start}). Save it in UTF-8."
        ) from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}.") from error


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


def documents(model: SavedModel, seen: Sequence[Seen]) -> list[dict]:
    """The answers for --json."""
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
    return predictions


PREDICTIONS = {
    "classify": predict_classes,
    "forecast": predict_series,
    "continue": predict_text,
}
