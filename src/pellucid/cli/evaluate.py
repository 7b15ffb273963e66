"""`pellucid evaluate RUN FILE`: how good the network is on rows whose answers are known."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..base.errors import DataError, OptionError
from ..base.figures import rounded
from ..data.image_files import some
from ..train.answer import (
    Rows,
    has_learned_from,
    has_learned_rows,
    look_back,
    read_pictures,
)
from ..train.baselines import errors
from ..train.measure import roll
from ..train.resampling import mean_interval
from ..train.saved import SavedModel, load_model
from ..train.scores import classification, regression
from .figures import percent
from .predict import after, check_memory, note, predict_text
from .results import per_class, screened


def evaluate(run: Path, file: Path, as_json: bool, memory: int | None = None) -> None:
    """Run the command; results go to standard output."""
    model = load_model(run)
    check_memory(model, run, memory)
    if model.task not in EVALUATIONS:
        raise OptionError(
            f"{run}: this network makes pictures; there is no right answer to compare."
        )
    if model.encoder is not None:
        found = of_table(model, run, file, memory)
    else:
        found = EVALUATIONS[model.task](model, run, file)
    learned = found.pop("learned_from", False) or has_learned_from(model, file)
    told = {"run": str(run), "file": str(file), "learned_from": learned, **found}
    click.echo(json.dumps(told, indent=2) if as_json else "\n".join(words(told, model)))


def of_classes(model: SavedModel, run: Path, file: Path) -> dict[str, Any]:
    """Scores of class probabilities, over the rows whose class is known to the network."""
    found = read_pictures(model, file)
    note(file, found.notes)
    labels = found.labels or ()
    known = [i for i, label in enumerate(labels) if label in model.classes]
    if not known:
        raise DataError(f"{file}: {no_truth(model, labels)}")
    truth = np.array([model.classes.index(labels[i]) for i in known])
    scores = classification(
        model.predict(found.x[known]), truth, model.classes, seed=0, alarm=model.alarm
    )
    return {"left_out": len(found.x) - len(known), "scores": scores}


def no_truth(model: SavedModel, labels: Sequence[str]) -> str:
    """Why pictures cannot be compared with their classes."""
    if model.preparation is None:
        n = len(model.classes)
        return f"no row has its class. A row is the picture's numbers, then its class, one of {n}."
    classes = some(model.classes)
    target = model.settings.get("target")
    where = "folder" if target is None else f"value of {target!r}"
    if not labels:
        return (
            f"nothing says the classes of its pictures. Give a {where} for each class: {classes}."
        )
    given = some(sorted(set(labels)))
    return f"the network knows the classes {classes}, and no {where} here is one of them: {given}."


def of_table(model: SavedModel, run: Path, file: Path, memory: int | None = None) -> dict[str, Any]:
    """Scores over the rows of a table that have the target; of a large one the answers alone are kept."""
    name, rows, n, x = model.target.name, Rows(model, file, memory), 0, np.zeros(0)
    answered: list[np.ndarray] = []
    truth: list[np.ndarray] = []
    for part in rows:
        if name not in part.names:
            raise DataError(
                f"{file}: has no column {name!r}, the answers to compare with. To get answers: "
                f"pellucid predict {run} {file}"
            )
        frame, x = rows.encode(part)
        y, known = model.target.encode(frame[name])
        x, n = x[known], n + len(frame)
        if len(x):
            values, chances = model.answers(x)
            answered.append(values if chances is None else chances)
            truth.append(y[known])
    if not truth:
        raise DataError(f"{file}: column {name!r} has no value that the network has learned.")
    note(file, rows.notes)
    given, y = np.concatenate(answered), np.concatenate(truth)
    if model.task == "regress":
        scores = regression(given, model.target.decode_amounts(y))
    else:
        scores = classification(given, y, model.classes, seed=0, alarm=model.alarm)
    # Of a table in parts the rows are gone; its path tells then.
    is_learned = model.encoder is not None and len(x) == len(y) and has_learned_rows(model, x, y)
    return {"left_out": n - len(y), "scores": scores, "learned_from": is_learned}


def of_series(model: SavedModel, run: Path, file: Path) -> dict[str, Any]:
    """Errors one step ahead, beside saying the last value again."""
    _, values = after(model, file)
    window = model.shape[0]
    look_back(model, len(values), str(file), ahead=1)
    places = np.arange(window, len(values))
    windows = values[places[:, None] - np.arange(window, 0, -1)]
    forecast = roll(model.network, model.scales, windows, 1)[:, 0]
    scores = regression(forecast, values[places])
    scores["mae_interval"] = mean_interval(np.abs(forecast - values[places]))
    return {
        "left_out": window,
        "scores": scores,
        "persistence": errors(values[places - 1], values[places]).as_dict(),
    }


def of_text(model: SavedModel, run: Path, file: Path) -> dict[str, Any]:
    """Loss and perplexity of every next character."""
    ((told,), _) = predict_text(model, run, [file], 1, 1)
    kept = ("loss", "perplexity", "perplexity_interval", "accuracy", "n")
    return {"left_out": 1, "scores": {"task": "continue", **{k: told[k] for k in kept}}}


EVALUATIONS = {
    "classify": of_classes,
    "regress": of_table,
    "forecast": of_series,
    "continue": of_text,
}


def words(told: dict, model: SavedModel) -> list[str]:
    """The scores for a person, and whether they are of rows that the network knows."""
    lines = words_of_scores(told, model)
    if told["learned_from"]:
        lines.append(
            "The network has learned from this file: it knows most of it. What it is worth on others: "
            f"pellucid info {told['run']}"
        )
    return lines


def words_of_scores(told: dict, model: SavedModel) -> list[str]:
    """The scores alone."""
    scores = told["scores"]
    if model.task == "continue":
        return [
            f"{told['file']}: {scores['loss']:.3f} nats a character, perplexity {scores['perplexity']:.2f}"
            f"{between(scores['perplexity_interval'], '.2f')}; "
            f"{percent(scores['accuracy'])} of {scores['n']:,} next characters right."
        ]
    lines = [f"{told['file']}: {scores['n']:,} rows" + left_out(told, model)]
    if model.task == "classify":
        return lines + of_probabilities(scores)
    unit = model.unit if model.task == "forecast" else str(model.settings.get("target", ""))
    lines += [
        f"RMSE {rounded(scores['rmse'], 6)}{between(scores['rmse_interval'])} {unit}".rstrip(),
        f"MAE {rounded(scores['mae'], 6)}{between(scores['mae_interval'])}, "
        f"median error {rounded(scores['median_absolute_error'], 6)}, "
        f"mean of predicted - true {rounded(scores['bias'], 4, '+')}",
    ]
    if scores["r2"] is not None:
        lines.append(f"R2 {scores['r2']:.4f}")
    if "persistence" in told:
        same = told["persistence"]
        lines.append(
            f"The last value again: RMSE {rounded(same['rmse'], 6)}, MAE {rounded(same['mae'], 6)}"
        )
    return lines


def between(found: Sequence[float] | None, form: str = "") -> str:
    """An interval in words; nothing where there is none."""
    if not found:
        return ""
    low, high = (f"{v:{form}}" if form else rounded(v) for v in found)
    return f" (95 %: {low} to {high})"


def left_out(told: dict, model: SavedModel) -> str:
    """Which rows are not counted, and why."""
    n = told["left_out"]
    if not n:
        return ""
    if model.task == "forecast":
        return f" ({n:,} more to look back at)"
    return f" ({n:,} more have no answer that the network knows)"


def of_probabilities(scores: dict) -> list[str]:
    """Accuracy with its interval, and a line for each class."""
    low, high = scores["accuracy_interval"]
    lines = [
        f"Accuracy {percent(scores['accuracy'])} ({percent(low)} to {percent(high)} with 95 % confidence), "
        f"macro F1 {scores['macro_f1']:.3f}, log loss {scores['log_loss']:.3f} nats"
    ]
    if scores["roc_auc"] is not None:
        roc, pr = (between(scores.get(f"{name}_interval"), ".3f") for name in ("roc_auc", "pr_auc"))
        lines.append(f"ROC AUC {scores['roc_auc']:.3f}{roc}, PR AUC {scores['pr_auc']:.3f}{pr}")
    by_size = sorted(scores["per_class"], key=lambda c: -c["support"])
    return [*lines, "", *per_class(by_size), *screened(scores["screening"])]
