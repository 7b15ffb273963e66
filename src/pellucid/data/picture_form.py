"""One form for pictures of all kinds: size, channels, what becomes white, what shows through; each with its reason.

Headers come in, a `Preparation` goes out. What the headers do not tell is found by decoding: the range of pictures of
more than 8 bits, what transparent pictures show, and whether colour files have a colour."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..base.errors import OptionError
from . import picture_file
from .decoding import in_threads
from .picture_file import Damaged, Header, Preparation
from .pictures import Choice
from .pixels import release, room_for

MAX_SIDE = 64  # of what is decided; a larger size can be asked for
MIN_SIDE = 8
AT_ONCE = 256  # pictures that are copied together
SAMPLE = 32  # transparent pictures that are looked at to choose what shows through
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B")


def decide_preparation(
    headers: Mapping[int, Header],
    paths: Sequence[Path],
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    background: int | None = None,
    sides: Sequence[int] = (),
) -> tuple[Preparation, list[Choice]]:
    """(one form for all pictures, why): what was asked for, or what suits the headers.

    sides  where given, pictures become squares: the side is that which is nearest to what would be decided
    Channels are decided here as far as headers tell: colour files without a colour are found out by decoding."""
    height, width, why = _size(list(headers.values()), size)
    if sides and size is None:
        side = min(sides, key=lambda s: abs(np.log(s / max(height, width))))
        if (height, width) != (side, side):
            why = f"{why}; {side} is the nearest side that can be made"
        height = width = side
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

    in_threads(len(deep), work)
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


def settle_channels(
    preparation: Preparation, pixels: np.ndarray, has_colour: bool, memory: int
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
    one = room_for((*pixels.shape[:3], 1), memory)
    for i in range(0, len(pixels), AT_ONCE):
        one[i : i + AT_ONCE] = pixels[i : i + AT_ONCE, ..., :1]
        release(pixels)
        release(one)
    return grey, one, Choice("channels", _channels(1), why, "channels")


def _channels(n: int) -> str:
    return "1, grey" if n == 1 else "3, colour"
