"""Pictures from files: a folder for each class, or a table with a column of paths, or MNIST's idx files (idx.py).

    flowers/rose/1.jpg     flowers/tulip/a.png     ...             the folder's name is the class
    flowers/train/rose/1.jpg     flowers/test/rose/7.jpg ...       divided already

Two passes. The first reads every file's head: formats, sizes, channels; from them follows one form for all
(`Preparation`), each choice with its reason. The second decodes every file once, whole, into an array of bytes. What
gives no picture is left out, named and counted before anything is learned; nothing is dropped in silence.
N pictures, H, W pixels down and across, C channels"""

import dataclasses
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError, OptionError
from . import picture_file
from .decoding import Told, decode_all, read_files, read_headers
from .frame import Frame
from .idx import is_idx, read_idx, read_idx_array
from .picture_file import SUFFIXES, Header, Preparation
from .picture_form import decide_preparation, settle_channels
from .pictures import Pictures, split_pictures

__all__ = [
    "Pictures",
    "Preparation",
    "decide_preparation",
    "is_idx",
    "is_image_folder",
    "read_files",
    "read_idx",
    "read_idx_array",
    "read_image_folder",
    "read_image_table",
    "split_pictures",
]

MEMORY = 2**32  # bytes of all pictures together
LISTED = 10  # names in a message
PART_NAMES = {
    "train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2,
}  # fmt: skip
OTHER_FORMATS = {
    ".tif", ".tiff", ".heic", ".heif", ".avif", ".svg", ".raw", ".cr2", ".nef", ".dng", ".psd",
}  # fmt: skip


@dataclass(frozen=True)
class _File:
    """A file that should hold a picture: where it is, and its name for messages."""

    path: Path
    shown: str


# Folders


def is_image_folder(path: str | Path) -> bool:
    """Whether this is a folder with at least one picture in it, at any depth."""
    path = Path(path)
    return path.is_dir() and any(kind == "picture" for kind, _, _ in _entries(path))


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
) -> Pictures:
    """The pictures of a folder with a folder for each class, in the order of their paths.

    size        pixels of a side, or (height, width); None: decided from the pictures
    channels    1 grey, 3 colour; None: grey when no picture has a colour
    background  0..255, what shows through transparent places; None: what contrasts with the pictures
    strict      a picture that cannot be read is an error; else it is left out and named in `damaged` and `notes`
    threads     that decode; None: as programs run on     memory   bytes that all pictures together may take
    told        hears (pictures decoded, pictures in all), ten times a second

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
        raise DataError(
            f"{path}: there is no picture in this folder ({_suffixes(SUFFIXES)}). Make a folder for each class in "
            f"it, with that class's pictures{_also(notes)}."
        )
    files, labels, classes, parts, more = _by_class(str(path), found, folders)
    return _read(
        name or root.resolve().name,
        [_File(root / f, _printable(f)) for f in files],
        labels,
        classes,
        _Wishes(size, channels, background, strict, threads, memory, told),
        notes + more,
        source=str(path),
        parts=parts,
    )


def _entries(root: Path) -> Iterator[tuple[str, str, str]]:
    """(kind, path below root with /, what more is to say) of all that the folder holds, in the order of names.

    kind   picture, folder, hidden, other, link (to a folder within), outside (a link that leads out), special"""
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
                    yield _kind_of_file(entry.path), here, ""
            elif entry.is_dir():
                folders.append(here)
                yield "folder", here, ""
            elif entry.is_file():
                yield _kind_of_file(entry.path), here, ""
            else:  # a pipe or a device: opening it could wait for ever
                yield "special", here, ""
        waiting.extend(reversed(folders))


def _kind_of_file(path: str) -> str:
    """picture by its name; where the name says nothing, by its first bytes."""
    if os.path.splitext(path)[1].lower() in SUFFIXES:
        return "picture"
    return "picture" if picture_file.kind_of(picture_file.head_of(Path(path))) else "other"


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
            f"{_count(hidden, 'hidden file or folder', 'hidden files or folders')} left out."
        )
    if links := found.get("link"):
        notes.append(f"{_count(links, 'link to a folder', 'links to folders')} not followed.")
    if special := found.get("special"):
        notes.append(f"{_count(special, 'pipe or device', 'pipes or devices')} left out.")
    if other := found.get("other"):
        suffixes = Counter(os.path.splitext(f)[1].lower() or "no suffix" for f in other)
        commonest = sorted(suffixes, key=lambda s: (-suffixes[s], s))[:5]
        kinds = ", ".join(f"{suffixes[s]} {s}" for s in commonest)
        advice = ". Save them as PNG or JPEG to use them" if set(suffixes) & OTHER_FORMATS else ""
        notes.append(
            f"{_count(other, 'file that is no picture', 'files that are no pictures')} left out ({kinds}){advice}."
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
            f"{_count(without, 'picture lies', 'pictures lie')} in no folder of a class: left out."
        )
    names = [_class_name(f.split("/")[level]) for f in files]
    classes = tuple(sorted(set(names), key=_class_order))
    prefix = "/".join(split_up[0][:depth])
    empty = {
        _class_name(f.split("/")[level])
        for f in folders
        if f.count("/") == level and f.startswith(prefix)
    } - set(classes)
    if empty:
        notes.append(f"folders without a picture make no class: {_some(sorted(empty))}.")
    if len(classes) < 2:
        raise DataError(
            f"{root}: all {len(files)} pictures are of one class, {classes[0]!r}; a classifier needs at least two. "
            f"Make a folder for each class{_also(notes)}."
        )
    number = {c: i for i, c in enumerate(classes)}
    labels = np.array([number[n] for n in names], np.int32)
    parts = None
    if is_divided:
        parts = np.array([parts_of[f.split("/")[depth]] for f in files], np.uint8)
    return files, labels, classes, parts, notes


def _class_name(folder: str) -> str:
    """One name, however its accents are written: macOS writes them as letters of their own."""
    return unicodedata.normalize("NFC", _printable(folder))


def _class_order(name: str) -> tuple:
    """10 after 9; else as words are sorted."""
    is_number = name.isascii() and name.isdecimal()
    return (0, int(name), name) if is_number else (1, name.casefold(), name)


# Tables


def read_image_table(
    frame: Frame,
    path_column: str,
    target: str,
    base: str | Path,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    *,
    task: str = "classify",
    background: int | None = None,
    strict: bool = False,
    threads: int | None = None,
    memory: int = MEMORY,
    told: Told | None = None,
) -> Pictures:
    """The pictures that a table names, a row each, with the target column as class or amount.

    base   the folder that the paths start from; a path that leads out of it is refused
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
    base = Path(base)
    inside = os.path.realpath(base)
    files: list[_File] = []
    names: tuple[str, ...]
    for row in rows.tolist():
        given = str(where.values[row])
        path = base / given
        if "\\" in given and os.sep == "/" and not path.exists():
            path = base / given.replace("\\", "/")  # the table was written on Windows
        try:
            is_inside = os.path.commonpath([inside, os.path.realpath(path)]) == inside
        except ValueError:  # a NUL, or another drive
            is_inside = False
        if not is_inside:
            raise DataError(
                f"{frame.place(row)}, column {path_column!r}: {given!r} leads out of the folder {base}. Give the "
                f"folder that holds all pictures."
            )
        files.append(_File(path, f"{_printable(given)} ({frame.place(row)})"))
    if task == "regress":
        labels, names = what.values[rows].astype(np.float32), ()
    else:
        labels, names = _classes(what.values[rows], what.kind)
        if len(names) < 2:
            raise DataError(
                f"{frame.name}: column {target!r} is {names[0]!r} in every row; a classifier needs at least two "
                f"classes."
            )
    wishes = _Wishes(size, channels, background, strict, threads, memory, told)
    return _read(Path(frame.name).stem, files, labels, names, wishes, notes, source=frame.name)


def _classes(values: np.ndarray, kind: str) -> tuple[np.ndarray, tuple[str, ...]]:
    texts = [f"{v:g}" for v in values] if kind == "number" else [str(v) for v in values]
    classes = tuple(sorted(set(texts), key=_class_order))
    number = {c: i for i, c in enumerate(classes)}
    return np.array([number[t] for t in texts], np.int32), classes


# Both passes


@dataclass(frozen=True)
class _Wishes:
    size: int | tuple[int, int] | None
    channels: int | None
    background: int | None
    strict: bool
    threads: int | None
    memory: int
    told: Told | None


def _read(
    name: str,
    files: Sequence[_File],
    labels: np.ndarray,
    classes: tuple[str, ...],
    wishes: _Wishes,
    notes: list[str],
    source: str,
    parts: np.ndarray | None = None,
) -> Pictures:
    headers, damaged = read_headers([f.path for f in files])
    _check_damaged(source, files, damaged, False)  # the whole list is known when all are decoded
    preparation, choices = decide_preparation(
        {i: h for i, h in enumerate(headers) if h is not None},
        [f.path for f in files],
        wishes.size,
        wishes.channels,
        wishes.background,
    )
    n_bytes = len(files) * int(np.prod(preparation.shape))
    if n_bytes > wishes.memory:
        raise DataError(
            f"{source}: {len(files):,} pictures of {_shape(preparation)} take {n_bytes:,} bytes; {wishes.memory:,} are "
            f"allowed. Use a smaller --size or more --memory."
        )
    pixels, has_colour, more = decode_all(
        [f.path for f in files], headers, preparation, wishes.threads, wishes.told
    )
    damaged = {**damaged, **more}
    _check_damaged(source, files, damaged, wishes.strict)
    kept = np.array([i for i in range(len(files)) if i not in damaged], np.int64)
    for to, i in enumerate(kept.tolist()):  # in place: a copy would double the memory
        if to != i:
            pixels[to] = pixels[i]
    pixels = pixels[: len(kept)]
    if preparation.channels == 3 and wishes.channels is None:
        preparation, pixels, choice = settle_channels(
            preparation, pixels, bool(has_colour[kept].any())
        )
        choices.append(choice)
    kept_headers = [h for i in kept.tolist() if (h := headers[i]) is not None]
    notes = notes + _file_notes([files[i] for i in kept.tolist()], kept_headers)
    listed = tuple((files[i].shown, damaged[i]) for i in sorted(damaged))
    if listed:
        notes.append(
            f"{_count(listed, 'picture', 'pictures')} left out that cannot be read: {_listing(listed)}."
        )
    labels, classes, gone = _without_empty(labels[kept], classes)
    if gone:
        notes.append(f"classes of which no picture can be read are left out: {_some(gone)}.")
    if classes and len(np.unique(labels)) < 2:
        raise DataError(
            f"{source}: the {len(kept)} pictures that can be read are all of one class, "
            f"{classes[labels[0]]!r}{_also(notes)}."
        )
    made = Pictures(
        name, pixels, labels, classes, preparation, source=source, choices=tuple(choices), damaged=listed,
        paths=tuple(files[i].shown for i in kept.tolist()),
        parts=None if parts is None else parts[kept], notes=tuple(notes),
    )  # fmt: skip
    return _with_copies_noted(made)


def _check_damaged(
    source: str, files: Sequence[_File], damaged: Mapping[int, str], strict: bool
) -> None:
    """Raises DataError when pictures cannot be read and that is no exception, or none is allowed."""
    if damaged and (strict or 2 * len(damaged) > len(files)):
        listed = [(files[i].shown, damaged[i]) for i in sorted(damaged)]
        raise DataError(
            f"{source}: {len(damaged)} of {len(files)} pictures cannot be read: {_listing(listed)}. Replace or "
            f"remove them."
        )


def _without_empty(
    labels: np.ndarray, classes: tuple[str, ...]
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Labels and classes numbered anew without classes that have lost all their pictures."""
    if not classes:
        return labels, classes, []
    used = np.unique(labels)
    gone = [c for i, c in enumerate(classes) if i not in set(used.tolist())]
    return np.searchsorted(used, labels).astype(np.int32), tuple(classes[i] for i in used), gone


def _with_copies_noted(data: Pictures) -> Pictures:
    """Says how many pictures occur several times, and whether copies disagree."""
    first = data.first_alike()
    copies = np.flatnonzero(first != np.arange(len(data)))
    if not len(copies):
        return data
    text = f"{_count(copies, 'picture has', 'pictures have')} the same pixels as another"
    if data.parts is None:
        text += "; they stay on one side of a division"
    elif n := int((data.parts[copies] != data.parts[first[copies]]).sum()):
        text += f"; {n} of them in another of the given parts, where a test would not be one"
    apart = copies[data.y[copies] != data.y[first[copies]]]
    if len(apart):
        i = int(apart[0])
        text += f"; {len(apart)} of them in another class, as {data.paths[i]} and {data.paths[int(first[i])]}"
    return dataclasses.replace(data, notes=(*data.notes, f"{text}."))


# Words


def _file_notes(files: Sequence[_File], headers: Sequence[Header]) -> list[str]:
    """What is odd about files that were read all the same."""
    notes = []
    misnamed = [
        f"{f.shown} ({h.kind})"
        for f, h in zip(files, headers, strict=True)
        if SUFFIXES.get(f.path.suffix.lower()) != h.kind
    ]
    if misnamed:
        notes.append(f"{_count(misnamed, 'file holds', 'files hold')} another format than the name says, read as what "
                     f"they hold: {_some(misnamed, quoted=False)}.")  # fmt: skip
    if n := sum(h.is_animated for h in headers):
        notes.append(
            f"{n} moving {'pictures' if n > 1 else 'picture'}: the first one of each is read."
        )
    if n := sum(h.height * h.width == 1 for h in headers):
        notes.append(f"{n} {'pictures have' if n > 1 else 'picture has'} a single pixel.")
    return notes


def _printable(name: str) -> str:
    """A file's name that can be shown and stored: no line breaks, controls or bytes that are no text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _count(things: Sequence[Any] | np.ndarray, one: str, many: str) -> str:
    return f"{len(things):,} {one if len(things) == 1 else many}"


def _some(names: Sequence[str], quoted: bool = True) -> str:
    text = ", ".join(repr(n) if quoted else n for n in names[:LISTED])
    return f"{text} and {len(names) - LISTED} more" if len(names) > LISTED else text


def _listing(listed: Sequence[tuple[str, str]]) -> str:
    text = "; ".join(f"{name}: {why}" for name, why in listed[:LISTED])
    return f"{text}; and {len(listed) - LISTED} more" if len(listed) > LISTED else text


def _also(notes: Sequence[str]) -> str:
    return f" (also: {' '.join(notes).rstrip('.')})" if notes else ""


def _suffixes(suffixes: Mapping[str, str]) -> str:
    return ", ".join(s.removeprefix(".") for s in suffixes)


def _shape(p: Preparation) -> str:
    return f"{p.height} x {p.width} x {p.channels}"
