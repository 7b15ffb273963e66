"""The column that is learned: classes by number, or amounts as standard scores."""

from dataclasses import dataclass, fields
from typing import cast

import numpy as np

from ..base.errors import DataError
from .codes import mean_and_deviation
from .columns import as_numbers, counted, looked_up, shown
from .frame import Column
from .records import made, outline, plain, require

FORMAT, VERSION = "pellucid-target", 1


@dataclass(frozen=True)
class Target:
    """What is learned: classes by number, or amounts as y = (amount - shift) / scale.

    name     of the column   task  classify or regress
    classes  in the order of their numbers: numbers by size, names by letter; () for amounts"""

    name: str
    task: str
    classes: tuple[str, ...]
    shift: float
    scale: float

    def __post_init__(self):
        require(self.task in ("classify", "regress"), self.name, "task")
        require(len(set(self.classes)) == len(self.classes), self.name, "classes")
        require(
            len(self.classes) >= 2 if self.task == "classify" else not self.classes,
            self.name,
            "classes",
        )
        require(self.scale > 0, self.name, "scale")

    @staticmethod
    def fit(column: Column, task: str, rows: np.ndarray) -> "Target":
        """From `rows` alone. Raises DataError when they hold one class, one amount or none."""
        if task not in ("classify", "regress"):
            raise DataError(
                f"target {column.name!r}: task {task!r} is neither classify nor regress."
            )
        column = column.take(rows)
        if task == "classify":
            names = set(counted(column)) - {None}
            if len(names) < 2:
                only = f"only {next(iter(names))!r}" if names else "no class"
                raise DataError(
                    f"target {column.name!r}: the {len(column):,} training rows hold {only}; at least two "
                    f"classes are needed."
                )
            return Target(
                column.name, task, tuple(sorted(cast("set[str]", names), key=_order)), 0.0, 1.0
            )
        amounts, _, _ = as_numbers("target", column)
        amounts = amounts[np.isfinite(amounts)]
        if len(amounts) == 0:
            raise DataError(f"target {column.name!r}: no training row has an amount.")
        if (amounts == amounts[0]).all():
            raise DataError(
                f"target {column.name!r}: is {shown(amounts[0])} in all of the {len(amounts):,} training rows; "
                f"there is nothing to learn."
            )
        shift, scale = mean_and_deviation(amounts)
        return Target(column.name, task, (), shift, scale)

    def encode(self, column: Column) -> tuple[np.ndarray, np.ndarray]:
        """(y, usable): (N,) int32 classes or float32 amounts, 0 where not usable, and (N,) bool.

        Not usable: missing, a class that the training rows do not have, no number, infinite."""
        if self.classes:
            place: dict[str | None, int] = {c: i for i, c in enumerate(self.classes)}
            y = looked_up(column, place, -1).astype(np.int32)
            usable = y >= 0
            y[~usable] = 0
            return y, usable
        amounts, _, _ = as_numbers("target", column)
        usable = np.isfinite(amounts)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.where(usable, amounts - self.shift, 0) / self.scale
            y = scaled.astype(np.float32)
        usable &= np.isfinite(y)
        y[~usable] = 0
        return y, usable

    def decode_amounts(self, y: np.ndarray) -> np.ndarray:
        """(N,) float64 amounts in the target's own unit."""
        return np.asarray(y, np.float64) * self.scale + self.shift

    def to_json(self) -> dict:
        """Plain JSON, for from_json."""
        return {"format": FORMAT, "version": VERSION, **plain(self)}

    @staticmethod
    def from_json(value: object) -> "Target":
        """The inverse of to_json; raises FormatError that names the field for anything else."""
        names = {f.name for f in fields(Target)}
        return made(Target, outline(value, FORMAT, VERSION, names), FORMAT)


def _order(name: str) -> tuple:
    """Numbers by size, before names by letter."""
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)
