"""Picture files, each with its label, become `Pictures`: what folders (images.py) and tables (image_table.py) share.

Two passes. The first reads every file's head: formats, sizes, channels; from them follows one form for all
(`Preparation`), each choice with its reason. The second decodes every file once, whole, into an array of bytes. What
gives no picture is left out, named and counted before anything is learned; nothing is dropped in silence.
N pictures, H, W pixels down and across, C channels"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from .decoding import Told, decode_all, read_headers
from .picture_file import SUFFIXES, Header
from .picture_form import decide_preparation, settle_channels
from .pictures import Choice, Pictures
from .row_file import said_bytes

LISTED = 10  # names in a message


@dataclass(frozen=True)
class File:
    """A file that should hold a picture: where it is, and its name for messages."""

    path: Path
    shown: str


# Both passes


@dataclass(frozen=True)
class Wishes:
    """What a person asked for, as in read_image_folder."""

    size: int | tuple[int, int] | None
    channels: int | None
    background: int | None
    strict: bool
    threads: int | None
    memory: int
    told: Told | None
    sides: tuple[int, ...] = ()


def read_files_as_pictures(
    name: str,
    files: Sequence[File],
    labels: np.ndarray,
    classes: tuple[str, ...],
    wishes: Wishes,
    notes: list[str],
    source: str,
    parts: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Pictures:
    """The pictures of these files, with a label each; what cannot be read is left out and named."""
    headers, damaged = read_headers([f.path for f in files])
    _check_damaged(source, files, damaged, False)  # the whole list is known when all are decoded
    preparation, choices = decide_preparation(
        {i: h for i, h in enumerate(headers) if h is not None},
        [f.path for f in files],
        wishes.size,
        wishes.channels,
        wishes.background,
        wishes.sides,
    )
    pixels, has_colour, more = decode_all(
        [f.path for f in files], headers, preparation, wishes.threads, wishes.told, wishes.memory
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
            preparation, pixels, bool(has_colour[kept].any()), wishes.memory
        )
        choices.append(choice)
    kept_headers = [h for i in kept.tolist() if (h := headers[i]) is not None]
    notes = notes + _file_notes([files[i] for i in kept.tolist()], kept_headers)
    listed = tuple((files[i].shown, damaged[i]) for i in sorted(damaged))
    if listed:
        notes.append(
            f"{count(listed, 'picture', 'pictures')} left out that cannot be read: {listing(listed)}."
        )
    labels, classes, gone = _without_empty(labels[kept], classes)
    if gone:
        notes.append(f"classes of which no picture can be read are left out: {some(gone)}.")
    if classes and len(np.unique(labels)) < 2:
        raise DataError(
            f"{source}: the {len(kept)} pictures that can be read are all of one class, "
            f"{classes[labels[0]]!r}{also(notes)}."
        )
    if isinstance(pixels, np.memmap):
        why = f"decoded they are more than half of the {said_bytes(wishes.memory)} of memory"
        choices.append(
            Choice("streamed", f"{said_bytes(pixels.nbytes)} of pixels lie on disk", why, "memory")
        )
    made = Pictures(
        name, pixels, labels, classes, preparation, source=source, choices=tuple(choices), damaged=listed,
        paths=tuple(files[i].shown for i in kept.tolist()),
        parts=None if parts is None else parts[kept], groups=None if groups is None else groups[kept],
        notes=tuple(notes),
    )  # fmt: skip
    return _with_copies_noted(made)


def _check_damaged(
    source: str, files: Sequence[File], damaged: Mapping[int, str], strict: bool
) -> None:
    """Raises DataError when pictures cannot be read and that is no exception, or none is allowed."""
    if damaged and (strict or 2 * len(damaged) > len(files)):
        listed = [(files[i].shown, damaged[i]) for i in sorted(damaged)]
        raise DataError(
            f"{source}: {len(damaged)} of {len(files)} pictures cannot be read: {listing(listed)}. Replace or "
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
    text = f"{count(copies, 'picture has', 'pictures have')} the same pixels as another"
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


def class_order(name: str) -> tuple:
    """10 after 9; else as words are sorted."""
    is_number = name.isascii() and name.isdecimal()
    return (0, int(name), name) if is_number else (1, name.casefold(), name)


def _file_notes(files: Sequence[File], headers: Sequence[Header]) -> list[str]:
    """What is odd about files that were read all the same."""
    notes = []
    misnamed = [
        f"{f.shown} ({h.kind})"
        for f, h in zip(files, headers, strict=True)
        if SUFFIXES.get(f.path.suffix.lower()) != h.kind
    ]
    if misnamed:
        notes.append(f"{count(misnamed, 'file holds', 'files hold')} another format than the name says, read as what "
                     f"they hold: {some(misnamed, quoted=False)}.")  # fmt: skip
    if n := sum(h.is_animated for h in headers):
        notes.append(
            f"{n} moving {'pictures' if n > 1 else 'picture'}: the first one of each is read."
        )
    if n := sum(h.height * h.width == 1 for h in headers):
        notes.append(f"{n} {'pictures have' if n > 1 else 'picture has'} a single pixel.")
    return notes


def printable(name: str) -> str:
    """A file's name that can be shown and stored: no line breaks, controls or bytes that are no text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def count(things: Sequence[Any] | np.ndarray, one: str, many: str) -> str:
    """3 pictures, 1 picture."""
    return f"{len(things):,} {one if len(things) == 1 else many}"


def some(names: Sequence[str], quoted: bool = True) -> str:
    """The first few of many names."""
    text = ", ".join(repr(n) if quoted else n for n in names[:LISTED])
    return f"{text} and {len(names) - LISTED} more" if len(names) > LISTED else text


def listing(listed: Sequence[tuple[str, str]]) -> str:
    """name: why; name: why; and 3 more."""
    text = "; ".join(f"{name}: {why}" for name, why in listed[:LISTED])
    return f"{text}; and {len(listed) - LISTED} more" if len(listed) > LISTED else text


def also(notes: Sequence[str]) -> str:
    """What else was found, in brackets; nothing where there is nothing."""
    return f" (also: {' '.join(notes).rstrip('.')})" if notes else ""
