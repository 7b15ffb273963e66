"""Pictures that a table names: a column of paths, and a column of classes or amounts.

file,label
photos/1.jpg,rose"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..base.errors import DataError, OptionError
from . import picture_file
from .decoding import MEMORY, Told
from .frame import Frame
from .image_files import File, Wishes, class_order, printable, read_files_as_pictures
from .pictures import Pictures
from .split import groups_of

LOOKED_AT = 50  # texts of a column, to know whether they are paths of pictures


def read_image_table(
    frame: Frame,
    path_column: str,
    target: str,
    base: str | Path,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    *,
    task: str = "classify",
    group: str | None = None,
    background: int | None = None,
    strict: bool = False,
    threads: int | None = None,
    memory: int = MEMORY,
    told: Told | None = None,
) -> Pictures:
    """The pictures that a table names, a row each, with the target column as class or amount.

    base   the folder that the paths start from; a path that leads out of it is refused
    group  column whose rows of equal value stay in one part
    task   classify (each different target is a class) or regress (the target is a number)

    Rows without a path or a target are left out and counted. Otherwise as read_image_folder."""
    if task not in ("classify", "regress"):
        raise OptionError(f"task must be classify or regress for pictures; got {task!r}.")
    where, what = frame[path_column], frame[target]
    if where.kind != "text":
        raise DataError(
            f"{frame.name}: column {path_column!r} holds {where.kind}s; paths of pictures are texts."
        )
    if task == "regress" and what.kind != "number":
        raise DataError(f"{frame.name}: column {target!r} holds {what.kind}s; amounts are numbers.")
    notes = list(frame.notes)
    for column in (where, what):
        if column.missing.any():
            n = int(column.missing.sum())
            first = frame.place(int(np.argmax(column.missing)))
            notes.append(
                f"{n} {'rows have' if n > 1 else 'row has'} no {column.name!r}: left out, the first in {first}."
            )
    rows = np.flatnonzero(~(where.missing | what.missing))
    if not len(rows):
        raise DataError(f"{frame.name}: no row has both {path_column!r} and {target!r}.")
    files = picture_files(frame, path_column, rows, base)
    names: tuple[str, ...]
    if task == "regress":
        labels, names = what.values[rows].astype(np.float32), ()
    else:
        labels, names = _classes(what.values[rows], what.kind)
        if len(names) < 2:
            raise DataError(
                f"{frame.name}: column {target!r} is {names[0]!r} in every row; a classifier needs at least two "
                f"classes."
            )
    wishes = Wishes(size, channels, background, strict, threads, memory, told)
    groups = None if group is None else groups_of(frame, group)[rows]
    return read_files_as_pictures(
        Path(frame.name).stem,
        files,
        labels,
        names,
        wishes,
        notes,
        source=frame.name,
        groups=groups,
    )


def _classes(values: np.ndarray, kind: str) -> tuple[np.ndarray, tuple[str, ...]]:
    texts = [f"{v:g}" for v in values] if kind == "number" else [str(v) for v in values]
    classes = tuple(sorted(set(texts), key=class_order))
    number = {c: i for i, c in enumerate(classes)}
    return np.array([number[t] for t in texts], np.int32), classes


def picture_column(frame: Frame, base: str | Path, without: Sequence[str] = ()) -> str | None:
    """The first column, but those in `without`, most of whose texts are paths of pictures in the folder `base`; None
    where there is none. At most LOOKED_AT texts of a column are looked at, evenly over its rows."""
    for column in frame.columns:
        if column.kind != "text" or column.name in without:
            continue
        present = column.values[~column.missing]
        some = present[np.linspace(0, len(present) - 1, min(len(present), LOOKED_AT)).astype(int)]
        paths = [path_of(base, str(text)) for text in some]
        found = [p is not None and p.is_file() and picture_file.is_picture(p) for p in paths]
        if 2 * sum(found) > len(found):
            return column.name
    return None


def path_of(base: str | Path, given: str) -> Path | None:
    """The file that a table in the folder `base` means; None for a path that leads out of the folder."""
    path = Path(base) / given
    try:
        if "\\" in given and os.sep == "/" and not path.exists():
            path = Path(base) / given.replace("\\", "/")  # the table was written on Windows
        inside = os.path.realpath(base)
        is_inside = os.path.commonpath([inside, os.path.realpath(path)]) == inside
    except (ValueError, OSError):  # a NUL, another drive, a text too long for a name
        return None
    return path if is_inside else None


def picture_files(frame: Frame, path_column: str, rows: np.ndarray, base: str | Path) -> list[File]:
    """The files that these rows name. Raises DataError for a path that leads out of the folder `base`."""
    files = []
    for row in rows.tolist():
        given = str(frame[path_column].values[row])
        path = path_of(base, given)
        if path is None:
            raise DataError(
                f"{frame.place(row)}, column {path_column!r}: {given!r} leads out of the folder {base}. Give the "
                f"folder that holds all pictures."
            )
        files.append(File(path, f"{printable(given)} ({frame.place(row)})"))
    return files
