"""A person's own pictures: a folder, idx files, or a table that names them; the settings that suit them.

`read` decodes them once for each set of settings; a run looks at them to decide, to tell and to learn."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError, OptionError
from ..base.machine import available_memory
from ..data.augment import augmentation_for
from ..data.dataset import Split
from ..data.decoding import MEMORY
from ..data.frame import Column, Frame
from ..data.patches import FAULTS, Patches, read_patches, split_patches
from ..data.pictures import Choice, Pictures, split_pictures
from ..data.target import Target
from ..models.dcgan import scales
from ..nn.init import nearest
from . import streamed, tables

READING = ("size", "channels", "background", "strict", "memory")  # how pictures are read
LOOK_BYTES = 2**16  # of a text, in which the name of a picture must occur
MOST_BYTES = 2**28  # of a table, to look into it
SHARE = 0.5  # of the memory that is free
FEWEST_MADE_OF = 50  # pictures, to make new ones
STEPS_TO_MAKE = 3000  # of a generator and its critic
SIDES = (8, 16, 32, 64)  # of pictures that a generator makes

_PICTURES: dict = {}
_PREPARED: dict = {}


# Which data are pictures


def is_pictures(path: str | Path) -> bool:
    """Whether this is a folder of pictures, or an idx file of them."""
    from ..data.images import is_idx, is_image_folder

    return is_idx(path) or is_image_folder(path)


def is_picture_table(path: str, values: Mapping[str, Any]) -> bool:
    """Whether a table names pictures: a person has said which column does, or most values of one are such paths."""
    given = values.get("columns") or {}
    if "picture" in given.values():
        return True
    return may_name_pictures(path, values.get("memory")) and _column(path, values) is not None


def may_name_pictures(path: str, memory: int | None = None) -> bool:
    """Whether it is worth while to read a table for that: none that is large, and no text without such a name."""
    try:
        if os.path.getsize(path) > min(MOST_BYTES, memory or MOST_BYTES):
            return False
        with open(path, "rb") as file:
            head = file.read(LOOK_BYTES)
    except OSError:  # whoever reads it says why
        return False
    # No plain text: a workbook, Parquet, gzip, UTF-16. Packed it may be larger than it looks.
    if b"\0" in head or head.startswith(b"\x1f\x8b"):
        return not streamed.is_larger(Path(path), memory or streamed.default_memory(), {})
    return re.search(rb"\.(png|jpe?g?|gif|bmp|webp|jfif|dib|apng)", head, re.IGNORECASE) is not None


def _column(path: str, values: Mapping[str, Any]) -> str | None:
    """The column of pictures of a table, as a person said or as its texts say."""
    from ..data.images import picture_column

    given = values.get("columns") or {}
    frame = tables.read(path, tables.reading(values))
    named = [name for name, use in given.items() if use == "picture"]
    if len(named) > 1:
        raise OptionError(
            f"--column: {' and '.join(named)}: one column of pictures can be learned from."
        )
    if named:
        return tables.known_column(frame, named[0], "--column")
    without = [*given, *filter(None, [values.get("target")])]
    return picture_column(frame, Path(path).parent, without)


# Reading


def state_of(path: str) -> str:
    """What changes when a file in the folder does, or the file itself: what was read then is read anew."""
    digest = hashlib.sha256()
    waiting = [os.path.abspath(path)]
    while waiting:
        here = waiting.pop()
        try:
            found = os.stat(here)
            if stat.S_ISDIR(found.st_mode):
                waiting += sorted(e.path for e in os.scandir(here) if not e.is_symlink())
        except OSError:  # whoever reads it says why
            continue
        told = (here, found.st_size, found.st_mtime_ns)
        digest.update(repr(told).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read(path: str, values: Mapping[str, Any]) -> Pictures:
    """The pictures of a folder, of idx files or of a table, decoded once.

    values  settings: task, READING, and of a table target, columns and how it is read"""
    from ..data.images import is_idx, read_idx

    wishes = {n: values[n] for n in READING if values.get(n) is not None}
    if values.get("kind") == "picture_table":
        told = {n: values.get(n) for n in ("task", "target", "columns", "group", *tables.READING)}
        key = (path, state_of(path), repr((wishes, told)))
        return tables.once(_PICTURES, key, lambda: _read_table(path, values, wishes))
    if is_idx(path):
        for name in set(wishes) - {"strict"}:
            raise OptionError(
                f"{path}: --{name} is no setting of idx files; their pictures stay as they are."
            )
        return tables.once(_PICTURES, (path, state_of(path)), lambda: read_idx(path))
    is_made = values.get("task") == "generate"
    key = (path, state_of(path), repr((wishes, is_made)))
    return tables.once(_PICTURES, key, lambda: _read_folder(path, is_made, wishes))


def memory_free() -> int:
    """Bytes that pictures may take without being asked: half of what is free."""
    return int(SHARE * (available_memory() or 2 * MEMORY)) // 1_000_000 * 1_000_000


def _read_folder(path: str, is_made: bool, wishes: Mapping[str, Any]) -> Pictures:
    from ..data.images import read_image_folder

    sides = SIDES if is_made else ()
    wishes = {"memory": memory_free(), **wishes}
    return read_image_folder(path, labelled=not is_made, sides=sides, **wishes)


def _read_table(path: str, values: Mapping[str, Any], wishes: Mapping[str, Any]) -> Pictures:
    from ..data.images import read_image_table

    column = _column(path, values)
    frame = tables.read(path, tables.reading(values))
    if column is None:
        raise DataError(
            f"{path}: no column holds paths of pictures that are there. Say which one does: --column NAME=picture"
        )
    target = tables.known_column(frame, values["target"], "target")
    group = values.get("group")
    if group is not None:
        tables.known_column(frame, group, "--group")
    others = [n for n in frame.names if n not in (column, target, group)]
    base, (task, why_task) = Path(path).parent, tables.task_of(frame, values)
    wishes = {"memory": memory_free(), **wishes}
    found = read_image_table(frame, column, target, base, task=task, group=group, **wishes)
    why = "as you said"
    if (values.get("columns") or {}).get(column) != "picture":
        why = f"most of its texts are paths of pictures in {base}"
    choices = [Choice("pictures", f"column {column}", why, "column")]
    if others:
        named = tables.some(others)
        choices.append(Choice("dropped", named, "only the picture is learned from", ""))
    choices.append(Choice("task", task, why_task, "task"))
    return replace(found, choices=(*choices, *found.choices))


# Settings


def defaults(data: str, values: Mapping[str, Any]) -> dict:
    """Few pictures are learned from in small batches and for many epochs: 1,500 steps or so, 12 epochs at least; two
    networks that learn against each other take STEPS_TO_MAKE."""
    if values.get("task") == "enhance":
        return {"fault": FAULTS[0]}
    n = max(1, len(read(data, values)))
    batch = values.get("batch") or int(min(64, max(8, 2 ** round(np.log2(n / 20)))))
    if values.get("task") == "generate":
        return {"batch": batch, "epochs": int(min(400, max(5, STEPS_TO_MAKE * batch // n)))}
    return {"batch": batch, "epochs": int(min(60, max(12, 1500 * batch // n)))}


def table_defaults(data: str, values: Mapping[str, Any]) -> dict:
    """The task that the target asks for, and what suits pictures. Raises OptionError when no target is named."""
    frame = tables.read(data, tables.reading(values))
    if values.get("target") is None:
        raise OptionError(tables.no_target(frame.without([_column(data, values) or ""])))
    tables.known_column(frame, values["target"], "target")
    task, _ = tables.task_of(frame, values)
    return {"task": task, **defaults(data, {**values, "task": task, "kind": "picture_table"})}


def load(made: Any) -> Pictures | Patches:
    """Pictures scaled by the training part, varied where that does no harm; or patches, to mend a fault."""
    key = (made.data, state_of(made.data), repr(sorted(made.settings().items())))
    make = _patches if made.task == "enhance" else _prepared
    return tables.once(_PREPARED, key, lambda: make(made))


def _patches(made: Any) -> Patches:
    for name in ("size", "augment"):
        if getattr(made, name) is not None:
            raise OptionError(
                f"--{name} is no setting of enhancing: pictures keep their size and places."
            )
    if not made.test:
        raise OptionError("--test 0: mended pictures are judged by held-out ones; leave some.")
    fault = nearest(made.fault, FAULTS, "fault")
    wishes = {"background": made.background, "strict": bool(made.strict)}
    return read_patches(made.data, fault, made.channels, seed=made.seed, **wishes)


def _prepared(made: Any) -> Pictures:
    if made.fault is not None:
        raise OptionError("--fault belongs to --task enhance.")
    data = read(made.data, vars(made))
    parts = split(data, made)
    if made.task == "generate":  # -1 to 1, as a generator's tanh
        check_made(made, data, parts)
        return replace(_varied(data, made, made.augment or "none"), shift=127.5, scale=127.5)
    data = data.standardised(parts.train)
    if made.target is not None and made.task == "classify":
        data = replace(data, target=Target(made.target, "classify", data.classes, 0.0, 1.0))
    if made.task == "regress":
        amounts = Column(
            made.target, "number", data.y.astype(np.float64), np.zeros(len(data), bool)
        )
        target = Target.fit(amounts, "regress", parts.train)
        data = replace(data, y=target.encode(amounts)[0], target=target)
    if made.network_name != "mlp":
        return _varied(data, made, made.augment)
    return _varied(data, made, made.augment or "none").flat()


def check_made(made: Any, data: Pictures, parts: Split) -> None:
    """Raises unless a generator can learn from such pictures: squares of a side that its layers reach, and enough."""
    height, width, _ = data.shape
    if height != width:
        raise DataError(
            f"{made.data}: its pictures are {height} x {width}; a generator makes squares."
        )
    if height != 8:
        scales("--size", height)
    if len(parts.test) < FEWEST_MADE_OF // 10:
        raise DataError(
            f"{made.data}: {len(data)} pictures, {len(parts.test)} of them held out: too few to make new ones of, and "
            f"to compare them with. Give {FEWEST_MADE_OF} or more, and a larger --test."
        )


def _varied(data: Pictures, made: Any, augment: str | None) -> Pictures:
    """The pictures varied in these ways; said with the reason."""
    varied, words, why = augmentation_for(augment, data.classes, *data.shape)
    if made.augment is None and augment is not None:
        why = WHY_NONE[made.task if made.task == "generate" else "mlp"]
    choice = Choice("augment", words, why, "augment")
    return replace(data, augmentation=varied, choices=(*data.choices, choice))


WHY_NONE = {
    "generate": "what is learned from is what is made: mirrored pictures would be made, too",
    "mlp": "an mlp knows no neighbours: a moved picture is another to it",
}


def split(data: Pictures | Patches, made: Any) -> Split:
    """Pictures of equal pixels stay together; a division into folders stands."""
    if isinstance(data, Patches):
        return split_patches(data, made.validation, made.test, made.seed)
    return split_pictures(data, made.validation, made.test, made.seed)


# New pictures


def read_named(
    frame: Frame, base: Path, settings: Mapping[str, Any], preparation: Any
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(numbers of the rows whose picture can be read, their pixels (N, H, W, C), what is said of the others).

    settings  of the run; its column of pictures is looked for first"""
    from ..data.images import picture_column, picture_files, read_files

    given = settings.get("columns") or {}
    named = [n for n, use in given.items() if use == "picture" and n in frame.names]
    column = named[0] if named else picture_column(frame, base, [settings.get("target") or ""])
    if column is None:
        raise DataError(f"{frame.name}: no column holds paths of pictures that are there.")
    rows = np.flatnonzero(~frame[column].missing)
    files = picture_files(frame, column, rows, base)
    pixels, damaged = read_files([f.path for f in files], preparation)
    notes = [f"{files[i].shown}: {damaged[i]}; no answer." for i in sorted(damaged)]
    if len(rows) < len(frame):
        n = len(frame) - len(rows)
        notes.append(f"{n} {'rows have' if n > 1 else 'row has'} no {column!r}; no answer.")
    good = np.array([i for i in range(len(rows)) if i not in damaged], np.int64)
    return rows[good], pixels[good], notes
