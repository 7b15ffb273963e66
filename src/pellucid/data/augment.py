"""Augmentation: while a network learns, each picture is moved, mirrored and lit a little differently every time.

It happens inside the compiled step, by the program's random numbers: every step has new ones, a resumed run the
same. In prediction pictures are what they are. Only what leaves a picture's class as it is may be varied, so every
choice has a reason. Source: Krizhevsky et al. (2012), section 4.1.
B pictures, H, W pixels down and across, C channels"""

import difflib
from dataclasses import dataclass

from ..base.errors import OptionError
from ..tensor import functions as F
from ..tensor import random
from ..tensor.create import arange
from ..tensor.tensor import Tensor

# Names that say: these are signs to be read. A mirrored sign is another sign, or none.
SIGNS = {*"0123456789abcdefghijklmnopqrstuvwxyz", "zero", "one", "two", "three", "four", "five",
         "six", "seven", "eight", "nine", "left", "right"}  # fmt: skip


@dataclass(frozen=True)
class Augmentation:
    """How much pictures are varied; each by itself.

    flip        mirrored left to right, every second one
    shift       moved by up to so many pixels down or up, and as many to a side; the border is repeated
    brightness  values are multiplied by a number between 1 - brightness and 1 + brightness"""

    flip: bool = False
    shift: int = 0
    brightness: float = 0.0

    def __post_init__(self):
        if isinstance(self.shift, bool) or not isinstance(self.shift, int) or self.shift < 0:
            raise OptionError(
                f"shift must be a whole number of pixels, 0 or more; got {self.shift!r}."
            )
        if not 0 <= self.brightness < 1:
            raise OptionError(f"brightness must be 0 to below 1; got {self.brightness!r}.")

    def __call__(self, pixels: Tensor) -> Tensor:
        """(B, H, W, C) uint8 as stored -> the same shape; float32 in 0..255 when brightness varies."""
        if self.flip or self.shift:
            pixels = self._moved(pixels)
        if not self.brightness:
            return pixels
        low, high = 1 - self.brightness, 1 + self.brightness
        factor = random.uniform(pixels.shape[0], 1, 1, 1, low=low, high=high)
        return F.clip(pixels.astype("float32") * factor, 0.0, 255.0)

    def _moved(self, pixels: Tensor) -> Tensor:
        """One gather for both: the place in the old picture of each place in the new one."""
        n, height, width, channels = pixels.shape
        down = arange(height, dtype="int64").reshape((1, height))
        across = arange(width, dtype="int64").reshape((1, width))
        if self.flip:
            is_mirrored = random.bernoulli(0.5, n, 1)
            across = F.where(is_mirrored, (width - 1) - across, across)
        if self.shift:
            low, high = -self.shift, self.shift + 1
            down = F.clip(down + random.randint(low, high, n, 1), 0, height - 1)
            across = F.clip(across + random.randint(low, high, n, 1), 0, width - 1)
        down = F.broadcast_to(down, (n, height)).reshape((n, height, 1))
        across = F.broadcast_to(across, (n, width)).reshape((n, 1, width))
        first = arange(n, dtype="int64").reshape((n, 1, 1)) * (height * width)
        places = first + down * width + across
        return F.take(pixels.reshape((n * height * width, channels)), places, axis=0)


WAYS = ("flip", "shift", "brightness")


def augmentation_for(
    asked: str | None, classes: tuple[str, ...], height: int, width: int, channels: int
) -> tuple[Augmentation | None, str, str]:
    """(what to vary or None, the same in words, why).

    asked  none, or WAYS joined by commas; None: as decide_augmentation says
    Raises OptionError for anything else, with the nearest."""
    if asked is None:
        varied, why = decide_augmentation(classes, height, width, channels)
        return varied, in_words(varied), why
    ways = () if asked == "none" else tuple(w.strip() for w in asked.split(","))
    for way in ways:
        if way not in WAYS:
            near = difflib.get_close_matches(way, (*WAYS, "none"), 1)
            advice = f"Did you mean {near[0]!r}? " if near else ""
            raise OptionError(
                f"augment: {way!r} is no way to vary a picture. {advice}There are: {', '.join(WAYS)}, joined by "
                f"commas, or none."
            )
    varied = Augmentation(
        flip="flip" in ways,
        shift=max(1, min(height, width) // 16) if "shift" in ways else 0,
        brightness=0.2 if "brightness" in ways else 0.0,
    )
    return varied if ways else None, in_words(varied), "as you said"


def in_words(varied: Augmentation | None) -> str:
    """mirrored, moved by up to 2 pixels."""
    v = varied or Augmentation()
    words = (
        ("mirrored", v.flip),
        (f"moved by up to {v.shift} pixel{'s'[: v.shift > 1]}", v.shift),
        (f"brighter or darker by {v.brightness:.0%}", v.brightness),
    )
    return ", ".join(word for word, is_so in words if is_so) or "not at all"


def decide_augmentation(
    classes: tuple[str, ...], height: int, width: int, channels: int
) -> tuple[Augmentation | None, str]:
    """(what to vary or None, why) from the classes' names and the pictures' size."""
    signs = [c for c in classes if c.strip().lower() in SIGNS]
    if 2 * len(signs) >= max(1, len(classes)):
        return None, (
            f"the classes are signs ({', '.join(signs[:3])}): mirrored they mean something else, and such pictures "
            f"are centred already"
        )
    side = min(height, width)
    if side < 16:
        return None, f"at {height} x {width} pixels a shift of one is a large part of the picture"
    if channels == 1:
        return Augmentation(shift=side // 16), (
            "moved a little, a thing stays what it is; not mirrored, as grey pictures are often scans or drawings "
            "in which left and right matter"
        )
    return Augmentation(flip=True, shift=side // 16, brightness=0.2), (
        "mirrored, moved or lit differently, a thing in a photograph stays what it is"
    )
