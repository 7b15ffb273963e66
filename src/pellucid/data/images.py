"""Pictures from files: a folder for each class, or a table with a column of paths, or MNIST's idx files (idx.py).

    flowers/rose/1.jpg     flowers/tulip/a.png     ...             the folder's name is the class
    flowers/train/rose/1.jpg     flowers/test/rose/7.jpg ...       divided already

Here are the folders; tables are in image_table.py, and how files become arrays in image_files.py."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..base.errors import DataError
from . import picture_file
from .decoding import MEMORY, Told, read_files
from .idx import is_idx, read_idx, read_idx_array
from .image_files import (
    File,
    Wishes,
    also,
    class_order,
    count,
    printable,
    read_files_as_pictures,
    some,
)
from .image_table import picture_column, picture_files, read_image_table
from .picture_file import SUFFIXES, Preparation
from .picture_form import decide_preparation
from .pictures import Pictures, split_pictures
from .reading import is_table

__all__ = [
    "Pictures",
    "Preparation",
    "decide_preparation",
    "is_idx",
    "is_image_folder",
    "picture_column",
    "picture_files",
    "read_files",
    "read_idx",
    "read_idx_array",
    "read_image_folder",
    "read_image_table",
    "split_pictures",
]

PART_NAMES = {
    "train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2,
}  # fmt: skip
OTHER_FORMATS = {
    ".tif", ".tiff", ".heic", ".heif", ".avif", ".svg", ".raw", ".cr2", ".nef", ".dng", ".psd",
}  # fmt: skip
RUN = "run.json"  # that a run folder has
HOW_CLASSES = "Make a folder for each class in it, with that class's pictures"


# Folders


def is_image_folder(path: str | Path) -> bool:
    """Whether this is a folder with at least one picture in it, at any depth."""
    path = Path(path)
    return path.is_dir() and any(kind == "picture" for kind, _, _ in _entries(path))


def picture_paths(root: Path) -> tuple[list[str], list[str]]:
    """(every picture below a folder, what is said of other files). Raises DataError as read_image_folder."""
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder.")
    found, _, notes = _list(root)
    if not found:
        raise no_picture(root, also(notes))
    return found, notes


def no_picture(root: Path, advice: str) -> DataError:
    """What is said of a folder without a picture; where it holds tables or texts, that they can be named."""
    none = f"{root}: there is no picture in this folder"
    files = sorted(root.iterdir())
    for what, found in (
        ("table", [p for p in files if is_table(p)]),
        ("text", [p for p in files if p.suffix.lower() == ".txt"]),
    ):
        if found:
            n = len(found)
            many = f"but {n:,} {what}s: name one" if n > 1 else f"but a {what}: name it"
            return DataError(f"{none} {many}, as {found[0]}.")
    return DataError(f"{none}{advice}.")


def read_image_folder(
    path: str | Path,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    *,
    background: int | None = None,
    strict: bool = False,
    threads: int | None = None,
    memory: int = MEMORY,
    told: Told | None = None,
    name: str | None = None,
    labelled: bool = True,
    sides: tuple[int, ...] = (),
) -> Pictures:
    """The pictures of a folder with a folder for each class, in the order of their paths.

    size        pixels of a side, or (height, width); None: decided from the pictures
    channels    1 grey, 3 colour; None: grey when no picture has a colour
    background  0..255, what shows through transparent places; None: what contrasts with the pictures
    strict      a picture that cannot be read is an error; else it is left out and named in `damaged` and `notes`
    threads     that decode; None: as programs run on
    memory      bytes that may be used; pixels that are more than half of it lie in a file (pixels.py)
    told        hears (pictures decoded, pictures in all), ten times a second
    labelled    False: pictures need no classes; where there are not two of them, `classes` is () and y 0
    sides       sides of squares, of which one is decided on; (): any size

    Folders train, validation and test above the classes divide the pictures (`parts`). Raises DataError when there is
    no folder, no picture, one class only, or a link that leads out of the folder."""
    root = Path(path)
    if not root.exists():
        raise DataError(f"{path}: there is no such folder.")
    if not root.is_dir():
        raise DataError(
            f"{path}: this is a file; pictures are read from a folder with a folder for each class."
        )
    found, folders, notes = _list(root)
    if not found:
        how = HOW_CLASSES if labelled else "Put pictures there"
        known = ", ".join(s[1:] for s in SUFFIXES)
        raise no_picture(root, f" ({known}). {how}{also(notes)}")
    try:
        files, labels, classes, parts, more = _by_class(str(path), found, folders)
    except DataError:
        if labelled:
            raise
        files, labels, classes, parts, more = found, np.zeros(len(found), np.float32), (), None, []
    return read_files_as_pictures(
        name or root.resolve().name,
        [File(root / f, printable(f)) for f in files],
        labels,
        classes,
        Wishes(size, channels, background, strict, threads, memory, told, sides),
        notes + more,
        source=str(path),
        parts=parts,
    )


def _entries(root: Path) -> Iterator[tuple[str, str, str]]:
    """(kind, path below root with /, what more is to say) of all that the folder holds, in the order of names.

    kind   picture, folder, hidden, other, link (to a folder within), outside (a link that leads out), special,
           run (a run folder: what it draws is nothing to learn from)"""
    inside = os.path.realpath(root)
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(root / below) as scan:
                entries = sorted(scan, key=lambda e: e.name)
        except OSError as error:
            raise DataError(
                f"{root / below}: the folder cannot be read: {error.strerror}."
            ) from error
        folders = []
        for entry in entries:
            here = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                yield "hidden", here, ""
            elif entry.is_symlink():
                target = os.path.realpath(entry.path)
                if os.path.commonpath([inside, target]) != inside:
                    yield "outside", here, target
                elif os.path.isdir(target):
                    yield "link", here, target
                else:
                    is_one = picture_file.is_picture(entry.path)
                    yield "picture" if is_one else "other", here, ""
            elif entry.is_dir() and os.path.isfile(os.path.join(entry.path, RUN)):
                yield "run", here, ""
            elif entry.is_dir():
                folders.append(here)
                yield "folder", here, ""
            elif entry.is_file():
                is_one = picture_file.is_picture(entry.path)
                yield "picture" if is_one else "other", here, ""
            else:  # a pipe or a device: opening it could wait for ever
                yield "special", here, ""
        waiting.extend(reversed(folders))


def _list(root: Path) -> tuple[list[str], list[str], list[str]]:
    """(pictures, folders, notes): all below root. Raises DataError for a link that leads out of it."""
    found: dict[str, list[str]] = {}
    for kind, here, target in _entries(root):
        if kind == "outside":
            raise DataError(
                f"{root / here}: this link leads out of the folder, to {target}. Copy what it points at, or give "
                f"the folder that holds the pictures themselves."
            )
        found.setdefault(kind, []).append(here)
    notes = []
    if hidden := found.get("hidden"):
        notes.append(
            f"{count(hidden, 'hidden file or folder', 'hidden files or folders')} left out."
        )
    if links := found.get("link"):
        notes.append(f"{count(links, 'link to a folder', 'links to folders')} not followed.")
    if runs := found.get("run"):
        notes.append(f"{count(runs, 'run folder', 'run folders')} left out.")
    if special := found.get("special"):
        notes.append(f"{count(special, 'pipe or device', 'pipes or devices')} left out.")
    if other := found.get("other"):
        suffixes = Counter(os.path.splitext(f)[1].lower() or "no suffix" for f in other)
        commonest = sorted(suffixes, key=lambda s: (-suffixes[s], s))[:5]
        kinds = ", ".join(f"{suffixes[s]} {s}" for s in commonest)
        advice = ". Save them as PNG or JPEG to use them" if set(suffixes) & OTHER_FORMATS else ""
        notes.append(
            f"{count(other, 'file that is no picture', 'files that are no pictures')} left out ({kinds}){advice}."
        )
    return found.get("picture", []), found.get("folder", []), notes


def _by_class(
    root: str, found: Sequence[str], folders: Sequence[str]
) -> tuple[list[str], np.ndarray, tuple[str, ...], np.ndarray | None, list[str]]:
    """(files, labels, classes, parts, notes): which folder of each path is the class, which the part."""
    notes: list[str] = []
    depth = 0  # folders above those of the classes
    split_up = [f.split("/") for f in found]
    while len({p[depth] for p in split_up}) == 1 and all(len(p) >= depth + 3 for p in split_up):
        depth += 1
    if depth:
        notes.append(f"the classes are the folders in {'/'.join(split_up[0][:depth])}.")
    tops = {p[depth] for p in split_up if len(p) > depth + 1}
    parts_of = {t: PART_NAMES.get(t.lower()) for t in tops}
    is_divided = len(tops) > 1 and None not in parts_of.values() and 0 in parts_of.values()
    level = depth + is_divided
    files = [f for f, p in zip(found, split_up, strict=True) if len(p) > level + 1]
    without = [f for f, p in zip(found, split_up, strict=True) if len(p) <= level + 1]
    if not files:
        raise DataError(
            f"{root}: its {len(found)} pictures lie beside each other, so nothing says their classes. Make a folder "
            f"for each class and put its pictures there, or give a table with a column of paths."
        )
    if without:
        notes.append(
            f"{count(without, 'picture lies', 'pictures lie')} in no folder of a class: left out."
        )
    names = [_class_name(f.split("/")[level]) for f in files]
    classes = tuple(sorted(set(names), key=class_order))
    prefix = "/".join(split_up[0][:depth])
    empty = {
        _class_name(f.split("/")[level])
        for f in folders
        if f.count("/") == level and f.startswith(prefix)
    } - set(classes)
    if empty:
        notes.append(f"folders without a picture make no class: {some(sorted(empty))}.")
    if len(classes) < 2:
        raise DataError(
            f"{root}: all {len(files)} pictures are of one class, {classes[0]!r}; a classifier needs at least two. "
            f"Make a folder for each class{also(notes)}."
        )
    number = {c: i for i, c in enumerate(classes)}
    labels = np.array([number[n] for n in names], np.int32)
    parts = None
    if is_divided:
        parts = np.array([parts_of[f.split("/")[depth]] for f in files], np.uint8)
    return files, labels, classes, parts, notes


def _class_name(folder: str) -> str:
    """One name, however its accents are written: macOS writes them as letters of their own."""
    return unicodedata.normalize("NFC", printable(folder))
