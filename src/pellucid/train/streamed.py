"""Tables that are larger than memory: read twice piece by piece, encoded once, learned from where they lie on disk.

The first look at the file decides what its columns are and draws a sample of its rows; the second encodes row after
row into a file without a name (data/row_file.py). Uses of columns, the statistics of the encoder and what is found are
those of the sample; the classes, the parts and the losses are those of all rows.

Another amount of memory gives other bits (another sample, another order), so that it is stored with the run; the
same amount gives the same bits on every machine, for any number of threads and after any break."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError, OptionError
from ..base.machine import available_memory
from ..data.dataset import Split
from ..data.frame import Column, Frame
from ..data.row_file import RowFile, RowWriter, said_bytes
from . import tables
from .plan import planned
from .tables import (
    DECIDED_BY,
    MOST_CLASSES,
    Table,
    batch_for,
    check_classes,
    once,
    reading,
    wanted_task,
)

SHARE = 0.5  # of the memory that is there: what a table may take without being asked
LEAST = 64_000_000  # bytes of memory: below, the samples are too small
SKLEARN = 250_000_000  # bytes of memory: below, what scikit-learn takes would be more than half as much again
A_SCORE = 20_000  # bytes of memory for each row that is scored: intervals take 1,000 resamples, which is half of it
# Parts of the memory: a piece of the file (as text its cells take many times as much), the sample, and what is kept of
# the encoded rows while they are written, read in an epoch and looked at by other methods.
PIECE, PIECE_OF_COLUMNS = 1 / 64, 1 / 16
SAMPLE, WRITTEN, WINDOW, LOOKED_AT = 1 / 4, 1 / 4, 1 / 16, 1 / 16
MOST_SAMPLED = 200_000  # rows


@dataclass(frozen=True, eq=False)
class Streamed(Table):
    """A Table whose rows lie on disk.

    frame    a sample of the rows, those with a target     rows     the encoded ones
    n_rows   of the file                                   memory   bytes to keep within"""

    rows: Any = None
    n_rows: int = 0
    memory: int = 0

    def __post_init__(self):
        """Rows were checked when they were written."""

    def order(self, rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """The rows shuffled so that such that come together lie near each other."""
        return self.rows.order(rows, seed, epoch, int(self.memory * WINDOW))

    @property
    def most_rows(self) -> int:
        """That are looked at between two releases."""
        return int(self.memory * WINDOW / 2) // (4 * self.n_features)

    def release(self) -> None:
        """Gives the memory of rows that were looked at back."""
        self.rows.release()

    def fingerprint(self) -> str:
        """SHA-256 of every number, and of what the numbers stand for."""
        digest = hashlib.sha256(self.rows.sha256.encode())
        for part in (self.encoder, self.target):
            digest.update(json.dumps(part.to_json(), sort_keys=True).encode())
        return digest.hexdigest()

    def first_rows(self) -> list[np.ndarray]:
        """Of each part as many as may be looked at together: a sample of it, as its order is by chance."""
        most = int(min(self.memory * LOOKED_AT / (4 * self.n_features), self.memory / A_SCORE))
        most = max(1000, most)
        ends = np.cumsum((0, *self.rows.counts))
        return [np.arange(a, min(b, a + most)) for a, b in pairwise(ends)]

    def said_of_scores(self) -> list[str]:
        """Of how many rows they are."""
        n, n_all = len(self.first_rows()[2]), self.rows.counts[2]
        notes = []
        if n < n_all:
            notes.append(
                f"the scores, and those of simple methods, are of a sample of {n:,} of {n_all:,} held-out rows; loss "
                f"and accuracy of each part are of all its rows"
            )
        if not self.has_room_for_sklearn:
            notes.append(
                f"the methods of scikit-learn are left out: it takes 150 MB itself; give --memory "
                f"{said_bytes(SKLEARN).replace(' ', '')} or more"
            )
        return notes

    @property
    def has_room_for_sklearn(self) -> bool:
        """Whether its methods may be compared with."""
        return self.memory >= SKLEARN

    def looked_at(self) -> tuple[Table, Split]:
        """A table in memory of the first rows of each part, and their numbers there."""
        chosen = self.first_rows()
        at = np.concatenate(chosen)
        starts = np.cumsum([0, *(len(c) for c in chosen)])
        parts = [np.arange(a, b, dtype=np.int32) for a, b in pairwise(starts)]
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(Table)}
        table = Table(**{**own, "x": self.x[at], "y": self.y[at], "parts": Split(*parts)})
        self.release()
        return table, table.parts


# ---- Whether ----


def memory_for(data: str, values: Mapping[str, Any], said: Mapping[str, Any]) -> int | None:
    """The bytes of memory to keep within, where the table must be streamed; None where it is read whole.

    What a person said, or half of what is there. `said` is how the file is read. Raises OptionError for less than
    64 MB, and for a file that is larger than that and of a kind that cannot be read piece by piece."""
    from ..data.reading import EXCEL, JSON, NUMPY, suffix_of

    given = values.get("memory")
    if given is not None and given < LEAST:
        raise OptionError(f"--memory {said_bytes(given)} is too little; give 64MB or more.")
    path = Path(data)
    if not path.is_file():
        return None
    memory = given or default_memory()
    if suffix_of(path) in (*EXCEL, *JSON, *NUMPY):
        n_bytes = path.stat().st_size
        if memory and n_bytes > memory:
            raise OptionError(
                f"{data}: {said_bytes(n_bytes)}, more than the memory of {said_bytes(memory)}, and only delimited text "
                f"and Parquet are read piece by piece. Write it as one of these, or give more --memory."
            )
        return None
    return memory if is_larger(path, memory, said) else None


def default_memory() -> int:
    """Half of what is there; 0 where that is not known."""
    return int(SHARE * (available_memory() or 0)) // 1_000_000 * 1_000_000


def is_larger(path: Path, memory: int, said: Mapping[str, Any]) -> bool:
    """Whether a table of delimited text or Parquet takes more memory as columns; never for 0, which is not known."""
    from ..data import parquet, pieces
    from ..data.reading import PARQUET, suffix_of

    if memory and suffix_of(path) in PARQUET:
        return parquet.bytes_in_memory(path) > memory
    if path.stat().st_size * 100 < memory or not memory:  # so much that no table of that size takes
        return False
    return pieces.bytes_in_memory(path, **said) > memory


def surveyed(data: str, memory: int, said: Mapping[str, Any]) -> Any:
    """The first look at the file, once for each state of it."""
    from ..data import parquet, pieces
    from ..data.reading import PARQUET, suffix_of
    from ..data.survey import survey

    state = os.stat(data)
    key = (
        os.path.abspath(data),
        state.st_mtime_ns,
        state.st_size,
        memory,
        repr(sorted(said.items())),
    )

    def look() -> Any:
        path = Path(data)
        if suffix_of(path) in PARQUET:
            size = int(np.clip(memory * PIECE_OF_COLUMNS, 1 << 16, 1 << 26))
            return parquet.survey(path, size, sampled(memory, parquet.row_bytes(path)), memory)
        size = int(np.clip(memory * PIECE, 1 << 18, 1 << 24))
        return survey(path, size, sampled(memory, pieces.row_bytes(path, **said)), **said)

    return once(_SURVEYS, key, look)


def sampled(memory: int, row_bytes: float) -> int:
    """Rows of the sample."""
    return int(np.clip(SAMPLE * memory / row_bytes, 1000, MOST_SAMPLED))


_SURVEYS: dict = {}


# ---- The table ----


def defaults(data: str, values: Mapping[str, Any]) -> dict:
    """As tables.defaults, also for a table that must be streamed: then the memory is a setting of the run."""
    said = reading(values)
    memory = memory_for(data, values, said)
    if memory is None:
        return tables.defaults(data, values)
    found = surveyed(data, memory, said)
    task = wanted_task(found.sample, values)
    return {"task": task, "batch": batch_for(found.n), "memory": memory}


def load(made: Any) -> Table:
    """The table that a recipe names, encoded, on disk where it is large; made once for each state of its file."""
    found = survey_for(made)
    if found is None:
        return tables.load(made)
    settings = made.settings()
    key = (id(found), json.dumps({n: settings.get(n) for n in DECIDED_BY}, sort_keys=True))
    return once(_TABLES, key, lambda: (found, encode(made, found)))[1]


_TABLES: dict = {}


def survey_for(made: Any) -> Any:
    """The first look at the table that a recipe names; None where it is read whole."""
    # Without an amount of memory the table was read whole when its run began, however little there is now.
    if made.memory is None or not memory_for(made.data, vars(made), reading(vars(made))):
        return None
    return surveyed(made.data, made.memory, reading(vars(made)))


def encode(made: Any, found: Any) -> Streamed:
    """Reads the file once more, row after row into the file on disk.

    found  its Survey. Raises DataError as tables.encode does, and RunError where the disk is too small."""
    from ..data.checks import check

    if made.class_weights not in (None, "none"):
        raise OptionError(
            f"--class-weights {made.class_weights} needs the table in memory. Leave it out, or give more --memory."
        )
    plan, name = planned(made, found), found.sample.name
    kept, encoder = plan.kept, plan.encoder
    answers = Answers(made, kept[made.target], plan.learned)
    repairs: dict[str, Any] = {}
    room = int(made.memory * WRITTEN)
    n, left_out, first_left_out = 0, 0, ""
    step = max(256, room // (32 * len(encoder.names)))
    with RowWriter(len(encoder.names), found.n, room, made.seed) as writer:
        for frame in found.frames(repairs):
            numbers = np.arange(n, n + len(frame))
            n += len(frame)
            usable = np.flatnonzero(~frame[made.target].missing)
            if len(usable) < len(frame) and not left_out:
                first_left_out = frame.place(int(np.argmax(frame[made.target].missing)))
            left_out += len(frame) - len(usable)
            for start in range(0, len(usable), step):
                at = usable[start : start + step]
                rows = frame.take(at)
                y = answers.encode(rows)
                writer.add(encoder.transform(rows), y, plan.by_row.parts(rows, numbers[at]))
        rows, target = answers.finish(writer, n - left_out, name)
    check_parts(name, made, rows)
    notes = [*found.notes, *(note for r in repairs.values() for note in r.notes())]
    of = f"of a sample of {len(kept):,} rows: "
    findings = [
        f
        if f.kind in ("identifier", "constant", "leak")
        else dataclasses.replace(f, text=of + f.text)
        for f in check(
            kept, plan.schema, Split(*(np.flatnonzero(plan.part == p) for p in range(3)))
        )
    ]
    return Streamed(
        name=name,
        x=rows.x,
        y=rows.y,
        classes=target.classes,
        shape=(rows.x.shape[1],),
        source=made.data,
        parts=rows.split(),
        frame=dataclasses.replace(kept, notes=tuple(notes)),
        schema=plan.schema,
        encoder=encoder,
        target=target,
        findings=tuple(findings),
        left_out=left_out,
        first_left_out=first_left_out,
        why=f"{plan.why} (of a sample of {len(kept):,} rows)",
        streamed=streamed_line(made.memory, rows, len(kept)),
        class_rows=rows.classes if len(target.classes) else None,
        rows=rows,
        n_rows=n,
        memory=made.memory,
    )


def streamed_line(memory: int, rows: RowFile, n_sampled: int) -> tuple[str, str]:
    """What the plan says: how much, and why."""
    return (
        f"{len(rows.x):,} rows, {said_bytes(rows.n_bytes)} on disk",
        f"as columns the table would take more than {said_bytes(memory)} of memory; what its columns are and how they "
        f"are scaled is decided by a sample of {n_sampled:,} rows",
    )


class Answers:
    """What is learned, row after row: amounts by the sample's scale, or classes numbered as they come."""

    def __init__(self, made: Any, column: Column, learned: np.ndarray):
        from ..data.columns import as_numbers
        from ..data.target import Target

        self.name, self.task = made.target, made.task
        self.classes: dict[str, int] = {}
        self.target: Any = None
        if self.task == "regress":
            amounts, _, first = as_numbers("", column)
            if np.isnan(amounts).all():
                raise DataError(
                    f"{made.data}: {made.target!r} holds {first!r} and the like: amounts are numbers. "
                    f"To tell its values apart: --task classify"
                )
            self.target = Target.fit(column, self.task, learned)

    def encode(self, frame: Frame) -> np.ndarray:
        """(n,) int32 numbers of classes, in the order of their first rows, or float32 amounts."""
        from ..data.columns import as_texts

        column = frame[self.name]
        if self.task == "classify":
            names = as_texts(column)
            for name in dict.fromkeys(names):
                self.classes.setdefault(str(name), len(self.classes))
            if len(self.classes) > MOST_CLASSES:
                raise DataError(
                    f"{frame.name}: {self.name!r} has more than {MOST_CLASSES:,} different values: it names rows "
                    f"rather than classes. Choose another --target."
                )
            return np.fromiter(map(self.classes.__getitem__, names), np.int32, len(names))  # type: ignore[arg-type]
        y, known = self.target.encode(column)
        if not known.all():
            bad = int(np.argmin(known))
            raise DataError(
                f"{frame.place(bad)}, column {self.name!r}: {str(column.values[bad])[:40]!r} is no finite number. "
                f"Correct it, or name such marks: --missing MARK"
            )
        return np.asarray(y, np.float32)

    def finish(self, writer: RowWriter, n: int, name: str) -> tuple[RowFile, Any]:
        """(the rows, the target), with classes in the order of their names."""
        from ..data.target import Target

        if self.task == "regress":
            return writer.finished(), self.target
        names = np.array(list(self.classes), object)
        check_classes(name, self.name, list(self.classes), n)
        target = Target.fit(
            Column(self.name, "text", names, np.zeros(len(names), bool)),
            self.task,
            np.arange(len(names)),
        )
        place = {c: i for i, c in enumerate(target.classes)}
        return writer.finished(np.array([place[c] for c in self.classes], np.int32)), target


def check_parts(name: str, made: Any, rows: RowFile) -> None:
    """Raises DataError where a part has no rows."""
    wanted = (1.0, made.validation, made.test)
    for n, share, what in zip(rows.counts, wanted, ("learn from", "validate", "test"), strict=True):
        if share and not n:
            raise DataError(
                f"{name}: no rows are left to {what}: rows that belong together stay together. Give more rows"
                + (" or another --group." if made.group else ".")
            )
