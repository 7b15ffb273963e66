"""A person's table becomes rows of numbers with a label or an amount each, divided into parts.

What is decided on the way (uses of columns, the task, rows left out, what was found) stays with the data, to be
told and stored: encoder and target are enough to read other files of the same columns.
N rows, F features"""

import difflib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import DataError, OptionError
from ..data.animals import table_file
from ..data.dataset import Dataset
from ..data.frame import Frame
from ..data.split import split_table
from .balance import class_weights

FEWEST = 10  # rows: with fewer a part to validate or to test says nothing
MOST_CLASSES = 1000
COMMITTEE_ROWS = 50_000  # of larger tables one network learns enough, in less time
READING = ("delimiter", "encoding", "header", "missing", "decimal", "sheet")  # of read_table


@dataclass(frozen=True, eq=False)
class Table(Dataset):
    """A Dataset that was made of a table.

    parts     Split of its rows               frame   the rows as they were read, those without target left out
    schema    uses of the columns             encoder, target   how cells become numbers (data/encoder.py)
    findings  what data/checks.py has found   left_out, first_left_out  rows without a target, and where
    why       of the task            class_weights   (C,) what a row of each class counts; None: all the same
    streamed  how many rows lie on disk, and why, where they do (streamed.py)    class_rows  (3, C) of each part"""

    parts: Any = None
    frame: Any = None
    schema: Any = None
    encoder: Any = None
    target: Any = None
    findings: tuple[Any, ...] = ()
    left_out: int = 0
    first_left_out: str = ""
    why: str = ""
    class_weights: np.ndarray | None = None
    streamed: tuple[str, str] | None = None
    class_rows: np.ndarray | None = None

    def said_of_scores(self) -> list[str]:
        """What is to be known of the scores."""
        return []

    def fingerprint(self) -> str:
        """SHA-256 of every number, and of what the numbers stand for."""
        digest = hashlib.sha256(super().fingerprint().encode())
        for part in (self.encoder, self.target):
            digest.update(json.dumps(part.to_json(), sort_keys=True).encode())
        return digest.hexdigest()


def known_column(frame: Frame, name: str, what: str) -> str:
    """The name itself when it is a column; OptionError that names the nearest otherwise."""
    if name in frame.names:
        return name
    lower = {n.lower(): n for n in reversed(frame.names)}
    close = difflib.get_close_matches(name.lower(), lower, 1, cutoff=0.5)
    advice = f"Did you mean {lower[close[0]]!r}? " if close else ""
    raise OptionError(
        f"{frame.name}: {what} {name!r} is not one of its columns. {advice}There are: {some(frame.names)}."
    )


def some(names: Sequence[str], most: int = 12) -> str:
    """The first few of many names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def read(data: str, reading: Mapping[str, Any]) -> Frame:
    """The table, read once for each state of its file."""
    from ..data.reading import read_table

    try:
        state = os.stat(table_file(data))
    except OSError as error:
        raise DataError(f"{data}: {error.strerror or error}.") from None
    key = (os.path.abspath(data), state.st_mtime_ns, state.st_size, repr(sorted(reading.items())))
    return once(_FRAMES, key, lambda: read_table(data, **reading))


_FRAMES: dict = {}
_TABLES: dict = {}


def once(cache: dict, key: Any, make: Any) -> Any:
    """The last thing that was made is kept: a run looks at its table to decide, to tell and to learn."""
    if key not in cache:
        found = make()
        cache.clear()
        cache[key] = found
    return cache[key]


def reading(values: Mapping[str, Any]) -> dict:
    """How the file is read, as the person said: also which columns are words though they look like numbers."""
    found = {n: values[n] for n in READING if values.get(n) is not None}
    uses = values.get("columns") or {}
    words = {n: "text" for n, use in uses.items() if use in ("category", "text", "identifier")}
    return {**found, "kinds": words} if words else found


def task_of(frame: Frame, values: Mapping[str, Any]) -> tuple[str, str]:
    """(classify or regress, why)."""
    from ..data.columns import decide_task

    asked = values.get("task")
    found, why = decide_task(frame, values["target"])
    if asked is None or asked == found:
        return found, why
    return asked, f"as you said; {found} would be chosen: {why}"


def defaults(data: str, values: Mapping[str, Any]) -> dict:
    """Task and settings that suit this table. Raises OptionError when no column is named as the target."""
    frame = read(data, reading(values))
    if not len(frame):
        raise DataError(f"{data}: there are no rows below the header. Give rows to learn from.")
    task = wanted_task(frame, values)
    n = len(frame)
    suited = {"task": task, "batch": batch_for(n)}
    if n <= COMMITTEE_ROWS and values.get("net", "committee") == "committee":
        # Few rows make few steps an epoch: some tables need more epochs then.
        suited |= {"net": "committee", "epochs": int(min(150, max(60, 300_000 // n)))}
    return suited


def wanted_task(frame: Frame, values: Mapping[str, Any]) -> str:
    """classify or regress. Raises OptionError when no column is named as the target."""
    if values.get("target") is None:
        raise OptionError(no_target(frame))
    known_column(frame, values["target"], "target")
    return task_of(frame, values)[0]


def batch_for(n: int) -> int:
    """Rows of a step: more of a large table, so that an epoch stays short; a power of 2 from 32 to 512."""
    return int(min(512, max(32, 2 ** round(np.log2(max(1, n) / 100)))))


def no_target(frame: Frame) -> str:
    """Which column is to be learned? The likeliest first."""
    from ..data.columns import candidates

    likely = candidates(frame)[:5]
    rest = [n for n in frame.names if n not in likely]
    advice = f"Likely: {', '.join(likely)}. " if likely else ""
    example = likely[0] if likely else frame.names[-1]
    if not likely or rest:
        advice += f"{'Other c' if likely else 'C'}olumns: {some(rest)}. "
    text = f"{frame.name}: --target is missing: which column is to be learned? {advice}"
    text += f"As in: --target {quoted(example)}"
    if any(c.kind == "date" for c in frame.columns):
        text += f". To forecast a column over time: --task forecast --target {quoted(example)}"
    return text


def quoted(name: str) -> str:
    """A name as a shell takes it."""
    return name if name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'


def load(made: Any) -> Table:
    """The table that a recipe names, encoded; statistics come from its training rows alone."""
    frame = read(made.data, reading(vars(made)))
    settings = made.settings()
    fixed = {n: settings.get(n) for n in DECIDED_BY}
    key = (id(frame), json.dumps(fixed, sort_keys=True))
    return once(_TABLES, key, lambda: (frame, encode(frame, made)))[1]


DECIDED_BY = ("validation", "test", "seed", "group", "task", "target", "columns", "class_weights")


def encode(frame: Frame, made: Any) -> Table:
    """Decides the columns' uses, leaves out rows without target, divides, fits the encoder, encodes."""
    from ..data.checks import check
    from ..data.columns import as_numbers, decide
    from ..data.encoder import Encoder
    from ..data.target import Target

    known_column(frame, made.target, "target")
    for name in made.columns or {}:
        known_column(frame, name, "--column")
    _, why = task_of(frame, vars(made))
    usable = ~frame[made.target].missing
    kept = frame if usable.all() else frame.take(np.flatnonzero(usable))
    column = kept[made.target]
    if len(kept) < FEWEST:
        raise DataError(
            f"{frame.name}: {len(kept)} of {len(frame)} rows have a value of {made.target!r}; {FEWEST} or more are "
            f"needed to learn, to validate and to test."
        )
    schema = decide(frame, made.target, made.columns or {})  # by all rows: a row number has no gaps
    everything = np.arange(len(kept))
    labels = None
    if made.task == "classify":
        target = Target.fit(column, made.task, everything)
        labels, known = target.encode(column)
        check_classes(frame.name, made.target, target.classes, len(kept))
    if made.group is not None:
        known_column(kept, made.group, "--group")
    learned = [f.name for f in schema.features]
    parts = split_table(kept, learned, labels, made.validation, made.test, made.seed, made.group)
    if made.task == "regress":
        amounts, _, first = as_numbers(frame.name, column)
        if np.isnan(amounts).all():
            raise DataError(
                f"{frame.name}: {made.target!r} holds {first!r} and the like: amounts are numbers. "
                f"To tell its values apart: --task classify"
            )
        target = Target.fit(column, made.task, parts.train)
    y, known = target.encode(column)
    if not known.all():
        bad = int(np.argmin(known))
        raise DataError(
            f"{kept.place(bad)}, column {made.target!r}: {str(column.values[bad])[:40]!r} is no finite number "
            f"({int((~known).sum())} such rows). Correct them, or name such marks: --missing MARK"
        )
    encoder = Encoder.fit(kept, schema, parts.train)
    x = encoder.transform(kept)
    classes = tuple(target.classes or ()) if made.task == "classify" else ()
    counts = class_weights(made.class_weights, y[parts.train], len(classes)) if classes else None
    return Table(
        name=frame.name,
        x=x,
        y=np.asarray(y, np.int32 if classes else np.float32),
        classes=classes,
        shape=(x.shape[1],),
        source=made.data,
        parts=parts,
        frame=kept,
        schema=schema,
        encoder=encoder,
        target=target,
        findings=tuple(check(kept, schema, parts)),
        left_out=len(frame) - len(kept),
        first_left_out=frame.place(int(np.argmin(usable))) if not usable.all() else "",
        why=why,
        class_weights=counts,
        weights=None if counts is None else counts[y],
    )


def check_classes(name: str, target: str, classes: Sequence[str], n: int) -> None:
    """Raises DataError for a target that tells nothing apart, or everything."""
    if len(classes) < 2:
        raise DataError(
            f"{name}: every row has {target!r} = {classes[0]!r}. Telling apart needs two classes or more."
        )
    if len(classes) > MOST_CLASSES or 2 * len(classes) > n:
        raise DataError(
            f"{name}: {target!r} has {len(classes):,} different values in {n:,} rows: it names rows rather than "
            f"classes. Choose another --target."
        )


# What is stored, and told


def preprocessing(data: Table, target: str) -> dict:
    """All that makes numbers of other files of these columns: plain JSON."""
    used = {target, *(f.name for f in data.schema.features)}
    return {
        "target": target,
        "kinds": {c.name: c.kind for c in data.frame.columns if c.name in used},
        "encoder": data.encoder.to_json(),
        "answers": data.target.to_json(),
        "file": {
            "name": os.path.basename(data.name),
            "rows": len(data) + data.left_out,
            "columns": list(data.frame.names),
            "sha256": data.fingerprint(),
        },
    }


def told(data: Table) -> dict:
    """What was repaired, found and left out, for the result."""
    notes = list(data.frame.notes)
    if data.left_out:
        notes.append(
            f"{data.left_out:,} rows without a target are left out (the first: {data.first_left_out})"
        )
    notes += data.said_of_scores()
    return {
        "notes": notes,
        "findings": [{"kind": f.kind, "text": f.text} for f in data.findings],
        "dropped": [{"column": d.name, "why": d.why} for d in data.schema.dropped],
    }
