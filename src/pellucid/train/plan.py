"""What a sample of a table that is larger than memory decides: the uses of its columns, their encoder, and by what its
rows are parted.

The sample is that of its survey (data/survey.py, data/parquet.py). N rows of the sample that have the target"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import DataError
from ..data.frame import Column, Frame
from .tables import FEWEST, known_column, task_of

ROOM = 2**29  # numbers on disk that optional features may fill: 2 GiB


@dataclass(frozen=True)
class Plan:
    """What the sample decides.

    kept     its rows that have the target, (N,) the part of each     why      of the task
    encoder  fitted to those to learn from                            by_row   gives each row of the file its part"""

    kept: Frame
    part: np.ndarray
    schema: Any
    encoder: Any
    by_row: "Chooser"
    why: str

    @property
    def learned(self) -> np.ndarray:
        """Its rows to learn from."""
        return np.flatnonzero(self.part == 0)

    def rows_to_learn(self, made: Any, found: Any) -> Iterator[Frame]:
        """All rows of the file to learn from, piece by piece."""
        n = 0
        for frame in found.frames({}):
            at = np.flatnonzero(~frame[made.target].missing)
            parts = self.by_row.parts(frame.take(at), n + at)
            n += len(frame)
            yield frame.take(at[parts == 0])


def planned(made: Any, found: Any) -> Plan:
    """The plan for the table. found  its Survey. Raises DataError as tables.encode does."""
    from ..data.encoder import Encoder

    sample, name = found.sample, found.sample.name
    known_column(sample, made.target, "target")
    for column in made.columns or {}:
        known_column(sample, column, "--column")
    if made.group is not None:
        known_column(sample, made.group, "--group")
    _, why = task_of(sample, vars(made))
    usable = np.flatnonzero(~sample[made.target].missing)
    if len(usable) < FEWEST:
        raise DataError(
            f"{name}: hardly a row has a value of {made.target!r}. Name another target."
        )
    kept = sample.take(usable)
    schema = uses(kept, made, found.rows[usable])
    by_row = Chooser(kept, [f.name for f in schema.features], made)
    part = by_row.parts(kept, found.rows[usable])
    learned = np.flatnonzero(part == 0)
    if not len(learned):
        raise DataError(
            f"{name}: no row of the sample is left to learn from. Give another --group."
        )
    n_learned = found.n * len(learned) // len(sample)
    encoder = Encoder.fit(kept, schema, learned, room=ROOM // max(1, n_learned))
    return Plan(kept, part, schema, encoder, by_row, why)


def uses(kept: Frame, made: Any, numbers: np.ndarray) -> Any:
    """The uses of the columns, by the sample; a column that counts the file's rows is an identifier."""
    from ..data.columns import Feature, Schema, decide

    schema = decide(kept, made.target, made.columns or {})
    counts = [
        f for f in schema.features
        if f.use == "number" and f.name not in (made.columns or {}) and counts_rows(kept[f.name], numbers)
    ]  # fmt: skip
    if not counts or len(counts) == len(schema.features):
        return schema
    names = {f.name for f in counts}
    dropped = [Feature(f.name, "identifier", "counts the rows") for f in counts]
    features = tuple(f for f in schema.features if f.name not in names)
    return Schema(features, schema.target, (*schema.dropped, *dropped))


def counts_rows(column: Column, numbers: np.ndarray) -> bool:
    """Whether the column of a sample is the rows' numbers, from any start."""
    if column.kind != "number" or column.missing.any():
        return False
    apart = column.values - numbers
    return bool((apart == apart[0]).all()) and len(apart) > 1


class Chooser:
    """Gives each row its part, by a hash of what is learned from in it, of its group, or where rows repeat of its
    number."""

    def __init__(self, sample: Frame, learned: list[str], made: Any):
        from ..data.parts import row_hashes
        from ..data.split import REPEATED, check_shares

        check_shares(made.validation, made.test)
        self.learned, self.made = learned, made
        n_different = len(np.unique(row_hashes(sample, learned)))
        self.is_repeated = n_different < REPEATED and len(sample) >= 10 * n_different

    def parts(self, frame: Frame, numbers: np.ndarray) -> np.ndarray:
        """(N,) 0 to learn, 1 to validate, 2 to test. numbers  of the rows in the file."""
        from ..data.parts import number_hashes, parts_of, row_hashes

        made = self.made
        if self.is_repeated:
            hashes = number_hashes(numbers)
        else:
            hashes = row_hashes(frame, self.learned)
        groups = frame[made.group] if made.group is not None else None
        return parts_of(hashes, groups, made.validation, made.test, made.seed)
