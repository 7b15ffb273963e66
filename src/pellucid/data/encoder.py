"""From the columns of a table to the numbers that a network takes.

    Encoder.fit(frame, schema, rows)   statistics of the training rows alone
    encoder.transform(frame)           (N, F) float32, always finite

Each column by a code of codes.py; columns are found by name. What is stored is plain JSON. N rows, F features."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..base.errors import DataError, FormatError
from .codes import CODES, LEAST_TERMS, LEVELS, ROWS_A_TERM, TERMS, Code, NumberCode, Odd
from .columns import Schema, find
from .frame import Column, Frame
from .records import made, outline, plain

FORMAT, VERSION = "pellucid-encoder", 1
BLOCK = 1 << 14  # rows that are encoded together
CELLS = 2**26  # of an encoded table that optional features may fill: 256 MiB


@dataclass(frozen=True)
class Encoder:
    """How the columns of a table become numbers: one code for each column, in the order of the features."""

    codes: tuple[Code, ...]

    @staticmethod
    def fit(frame: Frame, schema: Schema, rows: np.ndarray, room: int | None = None) -> "Encoder":
        """The codes of the schema's features, from `rows` alone: the training rows.

        room  optional features of a row, where more rows will be encoded than these

        Raises DataError when there are no rows, or a column is missing or cannot be read as its use."""
        if len(rows) == 0:
            raise DataError(f"{frame.name}: there are no rows to learn from.")
        uses = Counter(f.use for f in schema.features)
        n = len(rows)
        room = CELLS // n if room is None else room
        most = {
            "number": room // max(1, uses["number"]),
            "category": min(LEVELS, max(8, room // max(1, uses["category"]))),
            "text": min(
                TERMS, max(LEAST_TERMS, min(n // ROWS_A_TERM, room // max(1, uses["text"])))
            ),
            "date": 0,
        }
        codes = []
        for f in schema.features:
            column = find(frame, f.name)
            codes.append(CODES[f.use].fit(frame.name, column.take(rows), most[f.use]))
        return Encoder(tuple(codes))

    @property
    def names(self) -> tuple[str, ...]:
        """What each of the F features says."""
        return tuple(name for code in self.codes for name in code.names())

    @property
    def groups(self) -> dict[str, slice]:
        """Column -> its features, a slice of the F."""
        found, start = {}, 0
        for code in self.codes:
            stop = start + len(code.names())
            found[code.name] = slice(start, stop)
            start = stop
        return found

    def transform(self, frame: Frame, is_part: bool = False) -> np.ndarray:
        """(N, F) float32, finite. Columns are found by name; surplus ones are ignored (see `report`).

        is_part  whether the frame is a part of a table: that no cell of a column is a number is left to Oddities

        Raises DataError for a missing column and for one that cannot be read as in training."""
        columns = self._columns(frame)
        for code, column in zip(self.codes, columns, strict=True):
            if isinstance(code, NumberCode) and column.kind == "text" and not is_part:
                code.refuse(frame.name, code.odd(frame.name, column), len(column))
        groups = self.groups
        out = np.empty((len(frame), sum(len(c.names()) for c in self.codes)), np.float32)
        for start in range(0, len(frame), BLOCK):  # of which all features fit into the cache
            rows = slice(start, start + BLOCK)
            for code, column in zip(self.codes, columns, strict=True):
                code.write(frame.name, column.take(rows), out[rows, groups[code.name]])
        return out

    def report(self, frame: Frame) -> tuple[str, ...]:
        """A sentence for everything that `transform` ignores, fills or has not seen in training."""
        found = Oddities(self)
        found.add(frame)
        return found.notes()

    def _columns(self, frame: Frame) -> list[Column]:
        missing = [c.name for c in self.codes if c.name not in frame.by_name]
        if missing:
            names = ", ".join(map(repr, missing[:10]))
            more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            which = f"column {names}" if len(missing) == 1 else f"columns {names}{more}"
            there = ", ".join(map(repr, frame.names[:30])) or "none"
            and_more = f" and {len(frame.names) - 30} more" if len(frame.names) > 30 else ""
            # As column_names calls them where the file does not.
            is_bare = frame.names == tuple(f"column_{i + 1}" for i in range(len(frame.names)))
            advice = (
                "The file seems to have no line of names: write one above its rows."
                if is_bare
                else "Columns are found by name: rename or add them."
            )
            raise DataError(
                f"{frame.name}: the model needs the {which}. There are: {there}{and_more}. {advice}"
            )
        return [frame[c.name] for c in self.codes]

    def to_json(self) -> dict:
        """Plain JSON, for from_json."""
        codes = [{"kind": c.kind, **plain(c)} for c in self.codes]
        return {"format": FORMAT, "version": VERSION, "columns": codes}

    @staticmethod
    def from_json(value: object) -> "Encoder":
        """The inverse of to_json; raises FormatError that names the field for anything else."""
        rows = outline(value, FORMAT, VERSION, {"columns"})["columns"]
        if not isinstance(rows, list):
            raise FormatError(f"{FORMAT}, columns: must be a list; got {str(rows)[:40]!r}.")
        codes: list[Code] = []
        for i, row in enumerate(rows):
            where = f"{FORMAT}, column {i}"
            if not isinstance(row, dict) or row.get("kind") not in tuple(CODES):
                raise FormatError(f"{where}: its kind must be one of {', '.join(CODES)}.")
            kind = CODES[row["kind"]]
            codes.append(made(kind, {k: v for k, v in row.items() if k != "kind"}, where))
        if len({c.name for c in codes}) != len(codes):
            raise FormatError(f"{FORMAT}, columns: a name occurs twice.")
        return Encoder(tuple(codes))


class Oddities:
    """What `transform` ignores, fills or has not seen in training, counted over the parts of a table."""

    def __init__(self, encoder: Encoder):
        self.encoder = encoder
        self.name, self.n = "", 0
        self.surplus: list[str] = []
        self.found: list[Odd] = [{} for _ in encoder.codes]

    def add(self, frame: Frame) -> None:
        """One more part."""
        self.name, self.n = frame.name, self.n + len(frame)
        known = {code.name for code in self.encoder.codes}
        self.surplus = [n for n in frame.names if n not in known]
        columns = self.encoder._columns(frame)
        for odd, code, column in zip(self.found, self.encoder.codes, columns, strict=True):
            for what, (n, one) in code.odd(frame.name, column).items():
                before, first = odd.get(what, (0, ""))
                odd[what] = (before + n, first or one)

    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing. Raises DataError for a column of numbers that has words alone."""
        found = []
        for code, odd in zip(self.encoder.codes, self.found, strict=True):
            if isinstance(code, NumberCode) and odd:
                code.refuse(self.name, odd, self.n)
        if self.surplus:
            shown_names = ", ".join(map(repr, self.surplus[:10]))
            more = f" and {len(self.surplus) - 10} more" if len(self.surplus) > 10 else ""
            found.append(f"ignored columns: {shown_names}{more}")
        for code, odd in zip(self.encoder.codes, self.found, strict=True):
            found += code.said(odd) if odd else []
        return tuple(found)
