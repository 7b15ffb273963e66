"""Pictures from files: a folder for each class, or a table with a column of paths, or MNIST's idx files (idx.py).

    flowers/rose/1.jpg     flowers/tulip/a.png     ...             the folder's name is the class
    flowers/train/rose/1.jpg     flowers/test/rose/7.jpg ...       divided already

Two passes. The first reads every file's head: formats, sizes, channels; from them follows one form for all
(`Preparation`), each choice with its reason. The second decodes every file once, whole, into an array of bytes. What
gives no picture is left out, named and counted before anything is learned; nothing is dropped in silence.
N pictures, H, W pixels down and across, C channels"""

import dataclasses
import os
import threading
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError, OptionError
from ..runtime.team import get_threads
from . import picture_file
from .frame import Frame
from .idx import is_idx, read_idx, read_idx_array
from .picture_file import SUFFIXES, Damaged, Header, Preparation
from .pictures import Choice, Pictures, split_pictures

__all__ = [
    "Pictures",
    "Preparation",
    "decide_preparation",
    "is_idx",
    "is_image_folder",
    "read_idx",
    "read_idx_array",
    "read_image_folder",
    "read_image_table",
    "split_pictures",
]

MAX_SIDE = 64  # of what is decided; a larger size can be asked for
MIN_SIDE = 8
MEMORY = 2**32  # bytes of all pictures together
DECODING = 2**29  # bytes that pictures being decoded may take together
BYTES_PER_PIXEL = 12  # of one being decoded: four channels, and twice in conversion
SMALL = (
    64 * 64
)  # pixels of a picture below which threads only wait for Python: 28 x 28 goes faster by one
SAMPLE = 32  # transparent pictures that are looked at to choose what shows through
LISTED = 10  # names in a message
PART_NAMES = {
    "train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2,
}  # fmt: skip
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B")
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
    name: str | None = None,
) -> Pictures:
    """The pictures of a folder with a folder for each class, in the order of their paths.

    size        pixels of a side, or (height, width); None: decided from the pictures
    channels    1 grey, 3 colour; None: grey when no picture has a colour
    background  0..255, what shows through transparent places; None: what contrasts with the pictures
    strict      a picture that cannot be read is an error; else it is left out and named in `damaged` and `notes`
    threads     that decode; None: as programs run on     memory   bytes that all pictures together may take

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
        [_File(root / f, f) for f in files],
        labels,
        classes,
        _Wishes(size, channels, background, strict, threads, memory),
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
    names = [f.split("/")[level] for f in files]
    classes = tuple(sorted(set(names), key=_class_order))
    prefix = "/".join(split_up[0][:depth])
    empty = {
        f.split("/")[level] for f in folders if f.count("/") == level and f.startswith(prefix)
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
    return files, labels, tuple(unicodedata.normalize("NFC", c) for c in classes), parts, notes


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
        try:
            is_inside = os.path.commonpath([inside, os.path.realpath(path)]) == inside
        except ValueError:  # a NUL, or another drive
            is_inside = False
        if not is_inside:
            raise DataError(
                f"{frame.place(row)}, column {path_column!r}: {given!r} leads out of the folder {base}. Give the "
                f"folder that holds all pictures."
            )
        files.append(_File(path, f"{given} ({frame.place(row)})"))
    if task == "regress":
        labels, names = what.values[rows].astype(np.float32), ()
    else:
        labels, names = _classes(what.values[rows], what.kind)
        if len(names) < 2:
            raise DataError(
                f"{frame.name}: column {target!r} is {names[0]!r} in every row; a classifier needs at least two "
                f"classes."
            )
    wishes = _Wishes(size, channels, background, strict, threads, memory)
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
        [f.path for f in files], headers, preparation, wishes.threads
    )
    damaged = {**damaged, **more}
    _check_damaged(source, files, damaged, wishes.strict)
    kept = np.array([i for i in range(len(files)) if i not in damaged], np.int64)
    for to, i in enumerate(kept.tolist()):  # in place: a copy would double the memory
        if to != i:
            pixels[to] = pixels[i]
    pixels = pixels[: len(kept)]
    if preparation.channels == 3 and wishes.channels is None:
        preparation, pixels, choice = _colour(preparation, pixels, bool(has_colour[kept].any()))
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


def read_headers(paths: Sequence[Path]) -> tuple[list[Header | None], dict[int, str]]:
    """(the header of each file, or None; number -> why there is none)."""
    headers: list[Header | None] = [None] * len(paths)
    damaged: dict[int, str] = {}

    def work(i: int) -> None:
        try:
            headers[i] = picture_file.read_header(paths[i])
        except Damaged as why:
            damaged[i] = str(why)

    # Reading heads is Python's work, for which threads only wait for each other.
    _in_threads(len(paths), work, 1)
    return headers, damaged


def decode_all(
    paths: Sequence[Path],
    headers: Sequence[Header | None],
    preparation: Preparation,
    threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Every file with a header decoded once: ((N, H, W, C) uint8, (N,) whether it has colour, number -> damage)."""
    pixels = np.zeros((len(paths), *preparation.shape), np.uint8)
    has_colour = np.zeros(len(paths), bool)
    damaged: dict[int, str] = {}
    room = _Room(DECODING)

    def work(i: int) -> None:
        header = headers[i]
        if header is None:
            return
        with room.taken(header.height * header.width * BYTES_PER_PIXEL):
            try:
                data = picture_file.read_bytes(paths[i])
                picture = preparation.pixels(picture_file.decode(data, preparation.least))
            except Damaged as why:
                damaged[i] = str(why)
                return
        pixels[i] = picture
        if preparation.channels == 3:
            has_colour[i] = bool((picture != picture[..., :1]).any())

    n_pixels = sum(h.height * h.width for h in headers if h is not None)
    if n_pixels < SMALL * len(paths):
        threads = 1
    _in_threads(len(paths), work, threads)
    return pixels, has_colour, damaged


class _Room:
    """Bytes that threads share: whoever wants more than is left waits; one alone may take more than there is."""

    def __init__(self, n_bytes: int):
        self.n_bytes, self.n_taken = n_bytes, 0
        self.changed = threading.Condition()

    def taken(self, n: int) -> "_Taken":
        return _Taken(self, n)


@dataclass(frozen=True)
class _Taken:
    room: _Room
    n: int

    def __enter__(self) -> None:
        with self.room.changed:
            self.room.changed.wait_for(
                lambda: not self.room.n_taken or self.room.n_taken + self.n <= self.room.n_bytes
            )
            self.room.n_taken += self.n

    def __exit__(self, *error) -> None:
        with self.room.changed:
            self.room.n_taken -= self.n
            self.room.changed.notify_all()


def _in_threads(n: int, work: Callable[[int], None], threads: int | None) -> None:
    """work(0) to work(n - 1), each once. Pillow decodes without holding Python's lock.

    An error in one ends all; so does Ctrl-C, after the pictures being decoded."""
    picture_file.pillow()
    lock, numbers, is_ended = threading.Lock(), iter(range(n)), threading.Event()

    def run() -> None:
        while not is_ended.is_set():
            with lock:
                i = next(numbers, None)
            if i is None:
                return
            try:
                work(i)
            except BaseException:
                is_ended.set()
                raise

    n_threads = max(1, min(n, get_threads() if threads is None else threads))
    with warnings.catch_warnings():
        # Pillow warns of odd EXIF and palettes, once a file; what matters is in the pixels. Too many of these is
        # an error of its own.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", picture_file.pillow().DecompressionBombWarning)
        if n_threads == 1:
            run()
            return
        with ThreadPoolExecutor(n_threads) as pool:
            futures = [pool.submit(run) for _ in range(n_threads)]
            try:
                for future in futures:
                    future.result()
            finally:
                is_ended.set()


# Decisions


def decide_preparation(
    headers: Mapping[int, Header],
    paths: Sequence[Path],
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    background: int | None = None,
) -> tuple[Preparation, list[Choice]]:
    """(one form for all pictures, why): what was asked for, or what suits the headers.

    Channels are decided here as far as headers tell: colour files without a colour are found out by decoding."""
    height, width, why = _size(list(headers.values()), size)
    choices = [Choice("size", f"{height} x {width}", why, "size")]
    ratios = {round(np.log(h.width / h.height), 1) for h in headers.values()}
    if len({(h.height, h.width) for h in headers.values()} | {(height, width)}) > 1:
        fit = (
            "scaled"
            if ratios == {round(np.log(width / height), 1)}
            else "scaled whole, bars at the sides"
        )
        why_whole = (
            "cropping could cut off what tells the classes apart; bars have the colour of the picture's border, so "
            "that they make no edge"
        )
        choices.append(Choice("fit", fit, why_whole))
    is_grey = all(h.mode in GREY_MODES for h in headers.values())
    if channels is not None:
        choices.append(Choice("channels", _channels(channels), "as asked for", "channels"))
    elif is_grey:
        choices.append(Choice("channels", _channels(1), "every file is grey", "channels"))
    white = 65535
    deep = [i for i, h in headers.items() if h.is_deep]
    if deep:
        white, choice = _white(deep, paths)
        choices.append(choice)
    clear = [i for i, h in headers.items() if h.may_be_transparent]
    if background is not None:
        choices.append(Choice("background", str(background), "as asked for", "background"))
    elif clear:
        background, choice = _background(clear, paths)
        choices.append(choice)
    made = Preparation(
        height,
        width,
        channels or (1 if is_grey else 3),
        255 if background is None else background,
        white,
    )
    return made, choices


def _size(headers: Sequence[Header], size: int | tuple[int, int] | None) -> tuple[int, int, str]:
    if size is not None:
        sides = (size, size) if isinstance(size, int) else tuple(size)
        if len(sides) != 2 or not all(
            isinstance(s, int) and not isinstance(s, bool) and 1 <= s <= picture_file.MAX_SIDE
            for s in sides
        ):
            raise OptionError(
                f"size must be a number of pixels or (height, width), 1 to {picture_file.MAX_SIDE} each; got {size!r}."
            )
        return *sides, "as asked for"
    sizes = Counter((h.height, h.width) for h in headers)
    # Of sizes that are equally common, the larger.
    commonest = max(sizes, key=lambda s: (sizes[s], s))
    if len(sizes) == 1:
        (height, width), why = commonest, "every picture has this size"
    elif 2 * sizes[commonest] >= len(headers):
        (height, width) = commonest
        why = f"{sizes[commonest]} of {len(headers)} pictures have {height} x {width}"
    else:
        height, width = (int(np.median([s[i] for s in sizes.elements()])) for i in (0, 1))
        why = f"{height} x {width} is the middle of {len(sizes)} different sizes"
    longest = max(height, width)
    if longest > MAX_SIDE:
        why += f" ({height} x {width}), scaled to {MAX_SIDE} for the longer side: a step's time grows with the pixels"
        height, width = round(height * MAX_SIDE / longest), round(width * MAX_SIDE / longest)
    if min(height, width) < MIN_SIDE:
        why += f"; {MIN_SIDE} pixels are the least that filters can look at"
    return max(MIN_SIDE, height), max(MIN_SIDE, width), why


def _white(deep: Sequence[int], paths: Sequence[Path]) -> tuple[int, Choice]:
    """What becomes 255 in pictures of more than 8 bits: the most that their number of bits can hold."""
    peaks: dict[int, int] = {}

    def work(i: int) -> None:
        try:
            peaks[i] = picture_file.peak(
                picture_file.decode(picture_file.read_bytes(paths[deep[i]]))
            )
        except Damaged:
            peaks[i] = 0  # it is named when all are decoded

    _in_threads(len(deep), work, None)
    peak = max(peaks.values())
    white = max(255, 2 ** int(peak).bit_length() - 1)
    why = f"{len(deep)} pictures have more than 8 bits, up to {peak:,}; a fixed 65,535 would make dim ones black"
    return white, Choice("white", f"0..{white:,} becomes 0..255", why)


def _background(clear: Sequence[int], paths: Sequence[Path]) -> tuple[int, Choice]:
    """White or black for transparent places: what is further from what can be seen."""
    step = -(-len(clear) // SAMPLE)
    weight = brightness = 0.0
    for i in clear[::step]:
        try:
            a, b = picture_file.visible(picture_file.decode(picture_file.read_bytes(paths[i])))
        except Damaged:
            continue
        weight, brightness = weight + a, brightness + b
    if not weight:
        return 255, Choice(
            "background", "white", "nothing is transparent in the pictures looked at", "background"
        )
    mean = brightness / weight
    value, name = (255, "white") if mean < 128 else (0, "black")
    why = f"what is not transparent has a mean brightness of {mean:.0f} of 255: it stands out on {name}"
    return value, Choice("background", name, why, "background")


def _colour(
    preparation: Preparation, pixels: np.ndarray, has_colour: bool
) -> tuple[Preparation, np.ndarray, Choice]:
    """Three channels where there is a colour, else one: grey pictures are often stored as colour files."""
    if has_colour:
        return (
            preparation,
            pixels,
            Choice("channels", _channels(3), "there are pictures in colour", "channels"),
        )
    p = preparation
    grey = Preparation(p.height, p.width, 1, p.background, p.white)
    why = "red, green and blue are equal in every pixel of every file"
    return (
        grey,
        np.ascontiguousarray(pixels[..., :1]),
        Choice("channels", _channels(1), why, "channels"),
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


def _channels(n: int) -> str:
    return "1, grey" if n == 1 else "3, colour"


def _shape(p: Preparation) -> str:
    return f"{p.height} x {p.width} x {p.channels}"
