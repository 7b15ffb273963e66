"""`pellucid explain`: which columns, words, pixels, values or characters an answer rests on."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..base.errors import DataError, OptionError
from ..base.figures import rounded
from ..formats.atomic import write_atomic
from ..train.answer import Rows, read_pictures
from ..train.explain import Words, amount_of, chance_of, integrated_gradients, words_of
from ..train.saved import SavedModel, load_model
from .explain_sequence import of_series, of_text
from .options import check_out
from .predict import check_memory, note

FEW = 20  # rows: with fewer the file has no average row worth comparing with
MOST_ROWS = 5000  # whose mean is told: a second or two, and one part in fifty from that of all
BAR = 20  # characters
MOST_WORDS = 100  # of an answer, from both ends
MOST_ANSWERS = 5  # whose words are printed
ABSENT = "words that are not there"


def explain(
    run: Path,
    file: Path,
    row: int | None,
    of: str | None,
    top: int,
    out: Path | None,
    as_json: bool,
    attention: bool = False,
    memory: int | None = None,
) -> None:
    """Run the command; results go to standard output."""
    model = load_model(run)
    check_memory(model, run, memory)
    if model.task not in ("classify", "regress", "continue", "forecast"):
        raise OptionError(f"{run}: this network makes pictures; it gives no answer to explain.")
    if of is not None and of not in model.classes:
        known = ", ".join(model.classes) or "none: it estimates amounts"
        raise OptionError(f"--class {of!r} is no class of {run}. There are: {known}.")
    if attention and model.task != "continue":
        raise OptionError(f"{run}: --attention is for a GPT that continues texts.")
    check_out(out, [file], "explained", "picture")
    if model.task in ("continue", "forecast"):
        if row is not None:
            raise OptionError(
                f"{run}: --row is for tables and pictures; what comes after the end of FILE is explained."
            )
        is_text = model.task == "continue"
        told = of_text(model, file, of, out, attention) if is_text else of_series(model, file, out)
    elif model.encoder is not None:
        if out is not None:
            raise OptionError(
                "--out is for the picture of a picture; a table is explained in words."
            )
        told = of_table(model, file, row, of, memory)
    else:
        told = of_pictures(model, file, row, of, out)
    click.echo(
        json.dumps({"run": str(run), **told}, indent=2) if as_json else "\n".join(words(told, top))
    )


def parts_of(
    model: SavedModel, x: np.ndarray, baseline: np.ndarray, of: str | None
) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """(parts, gaps, what is explained of each row, its value): the likeliest class of each row, or `of`."""
    values, chances = model.answers(x)
    if chances is None:
        parts, gaps = integrated_gradients(amount_of(model.network), x, baseline)
        scale = model.target.scale
        return parts * scale, gaps * scale, [model.target.name] * len(x), values
    numbers = chances.argmax(1) if of is None else np.full(len(x), model.classes.index(of))
    parts, gaps = integrated_gradients(chance_of(model.network), x, baseline, of=[numbers])
    return parts, gaps, [model.classes[c] for c in numbers], chances[np.arange(len(x)), numbers]


def of_table(
    model: SavedModel, file: Path, row: int | None, of: str | None, memory: int | None
) -> dict:
    """The part of each column: of one row with its sign, or the mean size over the rows."""
    rows, before = Rows(model, file, memory), 0
    some, found, asked = np.zeros(0, int), [], np.zeros(0)
    for part in rows:
        if not before and row is not None and row > rows.n:
            raise DataError(f"{file}: there is no row {row}; it has {rows.n:,}.")
        some = evenly(rows.n)
        at = -1 if row is None else row - 1 - before
        here = some[(some >= before) & (some < before + len(part))] - before
        x = rows.some(part, np.append(here, at) if 0 <= at < len(part) else here)
        found.append(x[: len(here)])
        asked = x[-1:] if len(x) > len(here) else asked
        before += len(part)
    note(file, rows.notes)
    x, n = np.concatenate(found), rows.n
    baseline, compared = x.mean(0), "the average row of the file"
    if len(some) < n:
        compared = f"the average of {len(some):,} rows of the file"
    if len(some) < FEW:
        baseline, compared = 0 * baseline, "the average of what was learned from"
    x = x if row is None else asked
    parts, gaps, answers, values = parts_of(model, x, baseline, of)
    columns = {name: parts[:, s].sum(1) for name, s in model.encoder.groups.items()}
    texts = words_of(model.encoder, x, parts)
    told: dict[str, Any] = {
        "file": str(file),
        "compared_with": compared,
        "unit": "probability" if model.task == "classify" else model.target.name,
        "target": model.target.name,
        "largest_gap": float(np.abs(gaps).max()),
    }
    if row is not None:
        told |= {"row": row, "answer": answers[0], "value": float(values[0])}
        told["parts"] = {name: float(p[0]) for name, p in columns.items()}
        told["words"] = {t.column: words_of_row(t) for t in texts}
    else:
        told["rows"], told["of_rows"] = len(x), n
        told["mean_size"] = {name: float(np.abs(p).mean()) for name, p in columns.items()}
        told["words"] = {t.column: words_of_answers(t, answers) for t in texts}
    return {k: v for k, v in told.items() if k != "words" or v}


def evenly(n: int) -> np.ndarray:
    """Numbers of all rows; of a large table those of MOST_ROWS rows, evenly apart."""
    return np.linspace(0, n - 1, min(n, MOST_ROWS)).astype(int)


def words_of_row(text: Words) -> dict[str, float]:
    """The part of each word that the first row has, the strongest first; then that of all others."""
    parts, is_there = text.parts[0], text.is_there[0]
    order = [i for i in np.argsort(-np.abs(parts), kind="stable") if is_there[i]]
    found = {text.names[i]: float(parts[i]) for i in order}
    return {**found, ABSENT: float(parts[~is_there].sum())}


def words_of_answers(text: Words, answers: Sequence[str]) -> dict[str, dict]:
    """Answer -> its rows, and the mean part that each word has in them where it is there, the most for it first."""
    found = {}
    for answer, n in Counter(answers).most_common():
        rows = np.array([a == answer for a in answers])
        means = (text.parts * text.is_there)[rows].sum(0) / n
        order = np.argsort(-means, kind="stable")
        shown = [i for i in order if means[i]]
        ends = (
            shown
            if len(shown) <= MOST_WORDS
            else [*shown[: MOST_WORDS // 2], *shown[-MOST_WORDS // 2 :]]
        )
        found[answer] = {"rows": n, "words": {text.names[i]: float(means[i]) for i in ends}}
    return found


def of_pictures(
    model: SavedModel, file: Path, row: int | None, of: str | None, out: Path | None
) -> dict:
    """The part of each pixel, and a picture of the parts: what speaks for the class and what against it."""
    found = read_pictures(model, file)
    note(file, found.notes)
    numbers = np.arange(len(found.x)) if found.rows is None else found.rows
    if row is None and len(numbers) > 1:
        raise OptionError(f"{file}: {len(numbers):,} pictures; say which one: --row 1")
    rows = np.flatnonzero(numbers == row - 1) if row is not None else np.arange(1)
    if not len(rows):
        raise DataError(f"{file}: there is no row {row} with a picture; it has {len(numbers):,}.")
    picture = found.x[rows]
    shape = (*model.shape, 1)[:2] if model.preparation is None else model.preparation.shape[:2]
    parts, gaps, answers, values = parts_of(model, picture, empty(picture, shape), of)
    channels = parts[0].reshape(*shape, -1).sum(-1)
    path = out or Path(f"{file.stem}-explained.png")
    write_atomic(path, [heat(picture[0].reshape(*shape, -1).mean(-1), channels)])
    strongest = np.argsort(-np.abs(channels), axis=None)[:10]
    return {
        "file": str(file),
        "compared_with": "an empty picture of its middle colour",
        "unit": "probability" if model.task == "classify" else model.target.name,
        "largest_gap": float(np.abs(gaps).max()),
        **({"row": int(numbers[rows[0]]) + 1} if row is not None else {}),
        "answer": answers[0],
        "value": float(values[0]),
        "picture": str(path),
        "parts": {
            f"pixel {i // shape[1] + 1}, {i % shape[1] + 1}": float(channels.flat[i])
            for i in strongest
        },
    }


def empty(picture: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A picture of one colour, the median of this one's: mostly its ground.

    Compared with black, dark things on a light ground would have no part: discs and squares of that kind got 31 % of
    the sizes of all parts while they are 19 % of the pixels, and get all of them so."""
    pixels = picture.reshape(int(np.prod(shape)), -1)
    colour = np.broadcast_to(np.median(pixels, axis=0), pixels.shape)
    return np.ascontiguousarray(colour, np.float32).reshape(picture.shape)


def heat(picture: np.ndarray, parts: np.ndarray, side: int = 448) -> bytes:
    """The picture beside its parts as a PNG: blue speaks for the answer, red against it, white is neither."""
    import io

    from PIL import Image

    low, high = float(picture.min()), float(picture.max())
    grey = np.repeat(((picture - low) / max(high - low, 1e-9))[..., None], 3, -1)
    strength = np.abs(parts) / max(float(np.abs(parts).max()), 1e-30)
    colour = np.where((parts > 0)[..., None], (0.0, 0.45, 0.7), (0.84, 0.37, 0.0))
    heat_ = 1 - strength[..., None] * (1 - colour)
    both = np.concatenate([grey, np.ones((len(picture), 1, 3)), heat_], 1)
    times = max(1, side // len(picture))
    image = Image.fromarray(np.round(255 * both).astype(np.uint8))
    image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def words(told: dict, top: int) -> list[str]:
    """The parts as bars, the largest first."""
    percent = told["unit"] == "probability"
    if "parts" in told:
        value = f"{100 * told['value']:.1f} %" if percent else rounded(told["value"], 6)
        row = f" row {told['row']}" if "row" in told else ""
        answer = repr(told["answer"]) if "text" in told else named(told["answer"], told)
        head = f"{told['file']}{row}: {answer}, {value}. Compared with {told['compared_with']}:"
        shown = strongest(told["parts"], top, percent)
    else:
        of = f" of {told['of_rows']:,}" if told["rows"] < told["of_rows"] else ""
        head = (
            f"{told['file']}, {told['rows']:,}{of} rows: how much each column changes the answer, in the mean. "
            f"Compared with {told['compared_with']}:"
        )
        shown = strongest(told["mean_size"], top, percent, signed=False)
    lines = [head, *shown]
    for column, found in told.get("words", {}).items():
        if "row" in told:
            lines += ["", f"Words of {column!r}:", *strongest(found, top, percent)]
        else:
            lines += words_of_column(column, found, told, top)
    if "picture" in told:
        lines.append(f"Blue speaks for it, red against it: {told['picture']}")
    if "attention" in told:
        lines.append(f"Who looks at whom, a line a place: {told['attention']}")
    return lines


def named(answer: str, told: dict) -> str:
    """'Survived = 1' of a table's classes; an amount has its column's name already."""
    is_class = told.get("target") is not None and told["unit"] == "probability"
    return f"{told['target']} = {answer}" if is_class else answer


def words_of_column(column: str, found: dict, told: dict, top: int) -> list[str]:
    """For each answer the words that speak most for it; of amounts those that change it most."""
    percent, lines = told["unit"] == "probability", []
    for answer, of in list(found.items())[:MOST_ANSWERS]:
        rows = (
            f"all {of['rows']:,} rows"
            if of["rows"] == told["rows"]
            else f"the {of['rows']:,} rows answered so"
        )
        if percent:
            title = f"speak most for {named(answer, told)}"
            shown = bars([(n, v) for n, v in list(of["words"].items())[:top] if v > 0], percent)
        else:
            title = f"change {answer} most"
            shown = strongest(of["words"], top, percent)
        lines += ["", f"Words of {column!r} that {title}, in the mean of {rows}:", *shown]
    if len(found) > MOST_ANSWERS:
        lines.append(f"and {len(found) - MOST_ANSWERS} more answers (--json has them)")
    return lines


def strongest(parts: dict[str, float], top: int, percent: bool, signed: bool = True) -> list[str]:
    """Bars of the largest parts, and what the others are at most."""
    shown = sorted(parts.items(), key=lambda p: -abs(p[1]))
    lines = bars(shown[:top], percent, signed)
    if len(shown) > top:
        rest = sum(abs(v) for _, v in shown[top:])
        lines.append(f"{len(shown) - top} more together at most {size(rest, percent, False)}")
    return lines


def bars(parts: Sequence[tuple[str, float]], percent: bool, signed: bool = True) -> list[str]:
    """A line each: name, size, bar; the bar of a size without sign is of another kind."""
    most = max((abs(v) for _, v in parts), default=0.0) or 1.0
    width = max((len(name) for name, _ in parts), default=0)
    lines = []
    for name, v in parts:
        bar = ("=" if not signed else "+" if v > 0 else "-") * round(BAR * abs(v) / most)
        lines.append(f"  {name:{width}}  {size(v, percent, signed):>10}  {bar}".rstrip())
    return lines


def size(value: float, percent: bool, signed: bool) -> str:
    """'+12.3 %' or '-1234'; '12.3 %' without sign."""
    sign = "+" if signed else ""
    return f"{100 * value:{sign}.1f} %" if percent else rounded(value, 4, sign)
