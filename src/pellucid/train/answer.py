"""Answers of a saved network to rows that came as JSON: what `pellucid serve` says, and anything else that asks so.

A row is, by what the network was trained on:
  a table                {"column": value, ...}; null where a value is missing
  pictures, numbers      a list of numbers, as many as the network takes, in the raw scale of its data
  a series               {"values": [at least as many as it looks back at], "steps": 1}
  a text                 {"text": "...", "top": 5}: which characters may come next"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..base.errors import DataError
from ..data.sequence import Scales, encode
from ..tensor import functions as F
from ..tensor.tensor import Tensor
from .measure import roll
from .run import SavedModel

MOST_STEPS = 1000


def answer(model: SavedModel, rows: Sequence[Any]) -> list[dict]:
    """One answer for each row, in order. Raises DataError that names the row, counted from 0, and what is wrong."""
    if not rows:
        return []
    if model.encoder is not None:
        return of_table(model, rows)
    return ANSWERS[model.task](model, rows)


def of_table(model: SavedModel, rows: Sequence[Any]) -> list[dict]:
    """Classes with their probabilities, or amounts in the target's unit."""
    from ..data.reading import frame_of

    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f'row {i}: {str(row)[:60]!r} is no object, as {{"column": value}}.')
        for name, value in row.items():
            if not isinstance(value, str | int | float | bool | None):
                raise DataError(f"row {i}, column {name!r}: a value is a number, text or null.")
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: column([row.get(name) for row in rows]) for name in names}
    frame = frame_of(columns, "the request")
    x = model.encoder.transform(frame)
    notes = model.encoder.report(frame)
    if model.task == "regress":
        amounts = model.target.decode_amounts(model.outputs(x).reshape(-1))
        told: list[dict] = [{"prediction": float(a)} for a in amounts]
    else:
        told = of_chances(model.classes, model.predict(x))
    return [{**t, "notes": list(notes)} if notes else t for t in told]


def column(values: list) -> np.ndarray:
    """Numbers as numbers where all are; else text, None where a value is missing."""
    known = [v for v in values if v is not None]
    if known and all(isinstance(v, int | float) and not isinstance(v, bool) for v in known):
        return np.array([math.nan if v is None else float(v) for v in values])
    texts = [
        None if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in values
    ]
    return np.array(texts, object)


def of_numbers(model: SavedModel, rows: Sequence[Any]) -> list[dict]:
    """Classes with their probabilities."""
    n = math.prod(model.shape)
    x = np.stack([numbers(row, n, f"row {i}") for i, row in enumerate(rows)])
    return of_chances(model.classes, model.predict((x - model.shift) / model.scale))


def numbers(row: Any, n: int | None, where: str) -> np.ndarray:
    """A list of finite numbers, nested or flat, as float32."""
    try:
        found = np.array(row, np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {str(row)[:60]!r} is no list of numbers.") from None
    if n is not None and len(found) != n:
        raise DataError(f"{where}: {len(found)} numbers; the network takes {n}.")
    if not np.isfinite(found).all():
        raise DataError(f"{where}: not all numbers are finite.")
    return found.astype(np.float32)


def of_chances(classes: Sequence[str], chances: np.ndarray) -> list[dict]:
    """The likeliest class and the probability of each."""
    return [
        {
            "prediction": classes[int(p.argmax())],
            "probabilities": {c: round(float(v), 6) for c, v in zip(classes, p, strict=True)},
        }
        for p in chances
    ]


def of_series(model: SavedModel, rows: Sequence[Any]) -> list[dict]:
    """The next values of each series, in its unit; each from the forecasts before it."""
    window, scales, told = model.shape[0], Scales(model.shift, model.scale, model.step), []
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or "values" not in row:
            raise DataError(f'row {i}: a series is {{"values": [...], "steps": 1}}.')
        values = numbers(row["values"], None, f"row {i}, values")
        steps = row.get("steps", 1)
        if type(steps) is not int or not 1 <= steps <= MOST_STEPS:
            raise DataError(f"row {i}: steps is a whole number from 1 to {MOST_STEPS}.")
        if len(values) < window:
            raise DataError(f"row {i}: {len(values)} values; the network looks back at {window}.")
        found = roll(model.network, scales, values[None, -window:], steps)[0]
        told.append({"forecast": [float(v) for v in found], "unit": model.unit})
    return told


def of_texts(model: SavedModel, rows: Sequence[Any]) -> list[dict]:
    """The likeliest next characters."""
    told = []
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or not isinstance(row.get("text"), str) or not row["text"]:
            raise DataError(f'row {i}: a text is {{"text": "...", "top": 5}}, not empty.')
        top = row.get("top", 5)
        if type(top) is not int or top < 1:
            raise DataError(f"row {i}: top is a whole number of 1 or more.")
        codes = encode(row["text"], model.classes, f"row {i}")
        x = Tensor(np.asarray(codes[-model.shape[0] :], np.int32)[None])
        chances = F.softmax(model.network(x)[:, -1], -1).numpy()[0]
        order = np.argsort(-chances, kind="stable")[:top]
        told.append({"next": {model.classes[j]: round(float(chances[j]), 6) for j in order}})
    return told


def no_question(model: SavedModel, rows: Sequence[Any]) -> list[dict]:
    """A generator has no question to answer."""
    raise DataError("this network makes pictures; it has no answer to rows.")


ANSWERS: dict[str, Callable[[SavedModel, Sequence[Any]], list[dict]]] = {
    "classify": of_numbers,
    "forecast": of_series,
    "continue": of_texts,
    "generate": no_question,
}
