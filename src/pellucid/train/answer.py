"""Questions to a saved network: rows from files, or that came as JSON, become what it takes; and what it answers.

`answer` is what `pellucid serve` says. There a row is, by what the network was trained on:
  a table                {"column": value, ...}; null where a value is missing
  pictures, numbers      a list of numbers, as many as the network takes, in the raw scale of its data
  a series               {"values": [at least as many as it looks back at], "steps": 1}
  a text                 {"text": "...", "top": 5}: which characters may come next

N rows, C classes or characters"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from ..data.encoder import Oddities
from ..data.frame import Frame
from ..data.image import read_image
from ..data.picture_file import is_picture
from ..data.reading import is_table
from ..data.sequence import encode
from ..data.table import read_pixels
from ..tensor import functions as F
from ..tensor.tensor import Tensor
from .measure import roll
from .saved import SavedModel
from .streamed import WRITTEN, memory_for, surveyed
from .tables import Table, reading

MOST_STEPS = 1000
MOST_NUMBERS = 2**25  # of encoded rows that are answered at once: 128 MiB


# Rows from files


def read_frame(model: SavedModel, file: Path) -> Frame:
    """The table in a file, read as the one that was learned from. Raises DataError, also where it has no rows."""
    from ..data.reading import read_table

    frame = read_table(file, **{**reading(model.settings), "kinds": model.kinds})
    if not len(frame):
        raise DataError(f"{file}: there are no rows below the header. Give rows to answer.")
    return frame


class Rows:
    """The rows of a table in a file as frames: few enough each to be encoded, read piece by piece where the table is
    more than the memory holds.

    memory  bytes; None: half of what is free
    n       rows of the whole table: known as soon as the first frame is
    notes   what was decided, repaired, ignored or never seen, a sentence each: complete once all frames are encoded"""

    def __init__(self, model: SavedModel, file: Path, memory: int | None = None):
        self.model, self.file, self.memory = model, file, memory
        self.n = 0
        self.read: tuple[str, ...] = ()
        self.odd = None if model.encoder is None else Oddities(model.encoder)

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order. Raises DataError as read_frame does."""
        model = self.model
        if model.encoder is None:
            yield read_frame(model, self.file)
            return
        said = {**reading(model.settings), "kinds": model.kinds}
        memory = memory_for(str(self.file), {"memory": self.memory}, said)
        if memory is None:
            frame = read_frame(model, self.file)
            self.read, self.n = frame.notes, len(frame)
            yield from parts_of(frame, MOST_NUMBERS // len(model.encoder.names))
            return
        survey, repairs = surveyed(str(self.file), memory, said), dict[str, Any]()
        self.n = survey.n
        most = int(memory * WRITTEN) // (32 * len(model.encoder.names))
        for frame in survey.frames(repairs):
            yield from parts_of(frame, most)
        self.read = (*survey.notes, *(note for r in repairs.values() for note in r.notes()))

    def encode(self, frame: Frame) -> tuple[Frame, np.ndarray]:
        """(frame, (N, F) its rows as the network takes them); of a table that names pictures those that can be read."""
        if self.odd is None:
            found = named_pictures(self.model, self.file, frame)
            self.read = found.notes
            assert found.frame is not None
            return found.frame, found.x
        return frame, self.some(frame, None)

    def some(self, frame: Frame, rows: np.ndarray | None) -> np.ndarray:
        """Some rows of a part of a table, or all, as the network takes them; what is odd is counted over all."""
        assert self.odd is not None
        asked = asked_of(self.model, frame)
        x = self.model.encoder.transform(asked if rows is None else asked.take(rows), is_part=True)
        self.odd.add(asked)
        return x

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.read, *(() if self.odd is None else self.odd.notes()))


def parts_of(frame: Frame, n: int) -> Iterator[Frame]:
    """The frame in parts of n rows, 256 at least."""
    n = max(256, n)
    for start in range(0, len(frame), n):
        here = np.arange(start, min(start + n, len(frame)))
        yield frame if len(here) == len(frame) else frame.take(here)


def encoded(model: SavedModel, frame: Frame) -> tuple[np.ndarray, tuple[str, ...]]:
    """((N, F) rows as the network takes them, what was repaired, ignored or never seen: a sentence each)."""
    asked = asked_of(model, frame)
    return model.encoder.transform(asked), (*frame.notes, *model.encoder.report(asked))


def asked_of(model: SavedModel, frame: Frame) -> Frame:
    """The frame without the answers, which a file may have."""
    return frame.without([model.target.name])


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pictures from a file or a folder.

    x       (N, ...) as the network takes them
    files   N names     is_rows  whether they are the rows of one file
    labels  N true classes, where the file has them
    frame   a table that names the pictures, its N rows whose picture can be read
    rows    their numbers in the whole table or folder, n_rows how many it has     notes  what is said of the others"""

    x: np.ndarray
    files: tuple[str, ...]
    is_rows: bool = False
    labels: tuple[str, ...] | None = None
    frame: Frame | None = None
    rows: np.ndarray | None = None
    n_rows: int = 0
    notes: tuple[str, ...] = ()


def read_pictures(model: SavedModel, file: Path) -> Pixels:
    """A picture, the pictures of a folder in the order of their names, those that a table names, or rows of pixels.

    Folders in a folder are its pictures' classes. Raises DataError for what is no picture, and for an empty folder."""
    if model.preparation is not None and is_table(file):
        return named_pictures(model, file, read_frame(model, file))
    if model.preparation is not None:
        if file.is_dir():
            return of_folder(model, file)
        raw = model.preparation.read(file).reshape(1, -1)
        return Pixels(model.scaled(raw), (str(file),))
    if file.suffix.lower() != ".csv":
        return Pixels(model.taken(read_image(file)[None]), (str(file),))
    rows = read_pixels(file, math.prod(model.shape), model.scale, model.shift, model.scale)
    labels = None if rows.labels is None else tuple(map(str, rows.labels.tolist()))
    return Pixels(model.taken(rows.x), (str(file),) * len(rows.x), True, labels)


def of_folder(model: SavedModel, folder: Path) -> Pixels:
    """The pictures of a folder, or of the folders in it; those that cannot be read are in the notes."""
    from ..data.images import read_files

    labels = None
    files = sorted(p for p in folder.iterdir() if p.is_file())
    if not any(map(is_picture, files)):
        files = sorted(p for p in folder.glob("*/*") if p.is_file() and is_picture(p))
        labels = tuple(p.parent.name for p in files)
    if not files:
        raise DataError(f"{folder}: there is no picture in this folder.")
    pixels, damaged = read_files(files, model.preparation)
    notes = tuple(f"{files[i]}: {damaged[i]}; no answer." for i in sorted(damaged))
    good = np.array([i for i in range(len(files)) if i not in damaged], np.int64)
    if not len(good):
        raise DataError(f"{folder}: none of its pictures can be read. {' '.join(notes[:3])}")
    return Pixels(
        x=model.scaled(pixels[good].reshape(len(good), -1)),
        files=tuple(str(files[i]) for i in good),
        labels=None if labels is None else tuple(labels[i] for i in good),
        rows=good,
        n_rows=len(files),
        notes=notes,
    )


def named_pictures(model: SavedModel, file: Path, frame: Frame) -> Pixels:
    """The pictures that the table in a file names; those that cannot be read are in the notes."""
    from ..data.columns import as_texts
    from .own_pictures import read_named

    rows, pixels, notes = read_named(frame, file.parent, model.settings, model.preparation)
    if not len(rows):
        raise DataError(f"{file}: none of its pictures can be read. {' '.join(notes[:3])}")
    known, target = frame.take(rows), str(model.settings.get("target") or "")
    labels = None
    if target in frame.names:
        labels = tuple(text or "" for text in as_texts(known[target]))
    return Pixels(
        x=model.scaled(pixels.reshape(len(pixels), -1)),
        files=tuple(frame.place(int(i)) for i in rows),
        is_rows=True,
        labels=labels,
        frame=known,
        rows=rows,
        n_rows=len(frame),
        notes=(*frame.notes, *notes),
    )


def has_learned_from(model: SavedModel, file: Path) -> bool:
    """Whether this is the file or folder that the network learned from, where it still lies at its place."""
    learned = Path(str(model.settings.get("data", "")))
    return learned.exists() and file.samefile(learned)


def has_learned_rows(model: SavedModel, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether these are the very rows (N, F) and answers (N,) of the table that the network learned from."""
    try:
        rows = Table("", x, y, model.classes, encoder=model.encoder, target=model.target)
        return rows.fingerprint() == model.rows_sha256
    except DataError:  # nothing could be learned from them
        return False


# Answers


def look_back(model: SavedModel, n: int, where: str, ahead: int = 0) -> None:
    """Raises DataError unless n values are as many as the network looks back at, and `ahead` more."""
    window = model.shape[0]
    if n < window + ahead:
        raise DataError(
            f"{where}: {n} values; the network looks back at {window}. Give {window + ahead} or more."
        )


def going_on(model: SavedModel, values: np.ndarray, steps: int, where: str) -> list[float]:
    """The values that come next, in the series' unit; each from the forecasts before it."""
    look_back(model, len(values), where)
    return roll(model.network, model.scales, values[None, -model.shape[0] :], steps)[0].tolist()


def next_chances(model: SavedModel, codes: np.ndarray) -> np.ndarray:
    """(C,) float64: the chance of each character to come after these."""
    x = np.asarray(codes[-model.shape[0] :], np.int32)[None]
    return F.softmax(model.network(Tensor(x))[:, -1], -1).numpy()[0].astype(np.float64)


def shares(classes: Sequence[str], chances: np.ndarray, top: int | None = None) -> dict[str, float]:
    """Class -> its chance to six digits: all in their order, or the `top` likeliest, these first."""
    order = range(len(classes)) if top is None else np.argsort(-chances, kind="stable")[:top]
    return {classes[i]: round(float(chances[i]), 6) for i in order}


# Rows that came as JSON


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
    x, notes = encoded(model, frame_of(columns, "the request"))
    told = answered(model, x)
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


def answered(model: SavedModel, x: np.ndarray) -> list[dict]:
    """A record for each row: the amount, or the likeliest class and the probability of each."""
    values, chances = model.answers(x)
    told: list[dict] = [{"prediction": v} for v in values.tolist()]
    if chances is not None:
        for record, p in zip(told, chances, strict=True):
            record["probabilities"] = shares(model.classes, p)
    return told


def of_numbers(model: SavedModel, rows: Sequence[Any]) -> list[dict]:
    """Classes with their probabilities, or amounts."""
    n = math.prod(model.shape)
    x = np.stack([numbers(row, n, f"row {i}") for i, row in enumerate(rows)])
    return answered(model, model.scaled(x))


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


def of_series(model: SavedModel, rows: Sequence[Any]) -> list[dict]:
    """The next values of each series, in its unit; each from the forecasts before it."""
    told = []
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or "values" not in row:
            raise DataError(f'row {i}: a series is {{"values": [...], "steps": 1}}.')
        values = numbers(row["values"], None, f"row {i}, values")
        steps = row.get("steps", 1)
        if type(steps) is not int or not 1 <= steps <= MOST_STEPS:
            raise DataError(f"row {i}: steps is a whole number from 1 to {MOST_STEPS}.")
        told.append({"forecast": going_on(model, values, steps, f"row {i}"), "unit": model.unit})
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
        told.append({"next": shares(model.classes, next_chances(model, codes), top)})
    return told


def no_question(model: SavedModel, rows: Sequence[Any]) -> list[dict]:
    """A generator, or one that mends pictures, has no question to answer."""
    raise DataError("this network makes pictures or mends them; it has no answer to rows.")


ANSWERS: dict[str, Callable[[SavedModel, Sequence[Any]], list[dict]]] = {
    "classify": of_numbers,
    "regress": of_numbers,  # from pictures
    "forecast": of_series,
    "continue": of_texts,
    "generate": no_question,
    "enhance": no_question,
}
