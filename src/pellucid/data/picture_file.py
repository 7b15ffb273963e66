"""One picture file: what it holds, whether it is whole, and its pixels in the form that a network takes.

A path comes in; (H, W, C) uint8 goes out, upright, opaque, of one size. What a file is follows from its bytes,
never from its name. A file that ends before its format says so is damaged, even where its pixels could be guessed:
Pillow fills what is missing with grey or stops, by format.

Every choice is a field of `Preparation`, which is stored with the model: a new picture is read in the same way.
H, W pixels down and across, C channels"""

import dataclasses
import io
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError, FormatError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")  # decoders of rare formats have been attacked
SUFFIXES = {
    ".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG",
    ".bmp": "BMP", ".dib": "BMP", ".gif": "GIF", ".webp": "WEBP",
}  # fmt: skip
SIGNATURES = {
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff",
    "BMP": b"BM",
    "GIF": b"GIF8",
    "WEBP": b"RIFF",
}
HEAD = 18  # bytes that tell what a file is
BMP_HEADS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes of the second header of a BMP
MAX_PIXELS = 50_000_000  # a larger picture is refused before it is decoded
MAX_BYTES = 2**28  # of a file; 50 million pixels of 4 bytes have room
MAX_SIDE = 4096  # of a stored picture
ORIENTATION = 0x0112  # the EXIF tag


class Damaged(Exception):
    """Why a file gives no picture, as the end of a sentence: 'the file ends after 120 of 300 bytes'."""


@dataclass(frozen=True)
class Header:
    """What a file says about itself before its pixels are decoded.

    kind                 PNG, JPEG, BMP, GIF or WEBP
    height, width        in pixels, as a person sees it (turned where EXIF says so)
    mode                 Pillow's letters: L, RGB, P, ...
    may_be_transparent   it has an alpha channel or a transparent colour
    is_deep              more than 8 bits of grey
    is_animated          there is more than one picture; the first is read"""

    kind: str
    height: int
    width: int
    mode: str
    may_be_transparent: bool = False
    is_deep: bool = False
    is_animated: bool = False


def kind_of(head: bytes) -> str | None:
    """The format that the first HEAD bytes of a file announce; None for no picture."""
    for kind, signature in SIGNATURES.items():
        if head.startswith(signature):
            if kind == "WEBP":
                return kind if head[8:12] == b"WEBP" else None
            if kind == "BMP":  # "BM" also begins words
                return kind if int.from_bytes(head[14:18], "little") in BMP_HEADS else None
            return kind
    return None


def is_picture(path: str | Path) -> bool:
    """Whether a file is called a picture; where its name says nothing, whether it begins like one."""
    if os.path.splitext(path)[1].lower() in SUFFIXES:
        return True
    return kind_of(head_of(Path(path))) is not None


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises Damaged when it is none, cannot be opened, is empty or far too large."""
    try:
        # O_NONBLOCK: opening a pipe would wait for its other end for ever.
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise Damaged("it is not a file")
            if found.st_size > MAX_BYTES:
                raise Damaged(
                    f"{found.st_size:,} bytes are more than the {MAX_BYTES:,} of any picture"
                )
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Damaged("there is no such file") from None
    except OSError as error:
        raise Damaged(f"it cannot be opened: {error.strerror or error}") from None
    if not data:
        raise Damaged("the file is empty")
    return data


def read_header(data: bytes | Path) -> Header:
    """The header of a file, or of its bytes. Raises Damaged."""
    try:
        opened = _opened(data)
    except Damaged:
        # "Could not create decoder object" says less than that the file is cut.
        whole = read_bytes(data) if isinstance(data, Path) else data
        check_whole(whole, kind_of(whole[:HEAD]))
        raise
    with opened as picture:
        kind = "JPEG" if picture.format == "MPO" else str(picture.format)
        (width, height), mode = picture.size, picture.mode
        # A PNG's getexif() would decode all pixels to reach a part behind them.
        if (kind != "PNG" or "exif" in picture.info) and _turns(picture) in (5, 6, 7, 8):
            width, height = height, width
        may_be_transparent, is_deep = picture.has_transparency_data, _is_deep(picture)
        try:
            is_animated = picture.format != "MPO" and getattr(picture, "is_animated", False)
        except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
            raise Damaged(f"its second picture cannot be found: {_plain(error)}") from error
        return Header(kind, height, width, mode, may_be_transparent, is_deep, is_animated)


def decode(data: bytes, least: int = 0) -> Any:
    """The first picture of a whole file, upright: a Pillow image, all its pixels decoded. Raises Damaged.

    least   0, or a side in pixels: a JPEG may then be decoded at a half, a quarter or an eighth of its size, while
            both sides keep so many. All its bytes are read; a photograph of 12 million pixels takes 30 ms, not 110"""
    check_whole(data, kind_of(data[:HEAD]))
    picture = _opened(data)
    try:
        if least and picture.format in ("JPEG", "MPO"):
            picture.draft(None, (least, least))
        picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, IndexError) as error:
        raise Damaged(f"its pixels cannot be decoded: {_plain(error)}") from error
    turn = _transposition(_turns(picture))
    return picture if turn is None else picture.transpose(turn)


def check_whole(data: bytes, kind: str | None) -> None:
    """Raises Damaged when the file ends before its format does, or a PNG's check sums are wrong."""
    if kind is None:
        raise Damaged("it holds no PNG, JPEG, BMP, GIF or WebP picture")
    {
        "PNG": _check_png,
        "JPEG": _check_jpeg,
        "GIF": _check_gif,
        "WEBP": _check_webp,
        "BMP": lambda data: (
            None
        ),  # its decoder counts the bytes; the size in its head is often wrong
    }[kind](data)


def _check_png(data: bytes) -> None:
    at = 8
    while at + 12 <= len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(
            data[end - 4 : end], "big"
        ):
            raise Damaged(f"the check sum of its part {name.decode('latin-1')!r} is wrong")
        if name == b"IEND":
            return
        at = end
    raise Damaged(f"the file is cut: it ends after {len(data):,} bytes, within the picture")


def _check_jpeg(data: bytes) -> None:
    at = 2
    # From segment to segment up to the first scan; behind it FF D9 can only be the end.
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0xD9:
            return
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            at += 2
        elif marker == 0xDA:
            if data.find(b"\xff\xd9", at) < 0:
                break
            return
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise Damaged(f"the file is cut: it ends after {len(data):,} bytes, within the picture")


def _check_gif(data: bytes) -> None:
    """From block to block to the end mark 3B, after the GIF89a specification."""
    cut = Damaged(f"the file is cut: it ends after {len(data):,} bytes, within the picture")

    def colours(flags: int) -> int:
        return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0

    try:
        at = 13 + colours(data[10])
        while True:
            block, at = data[at], at + 1
            if block == 0x3B:
                return
            if block == 0x2C:  # a picture: its place, colours, the code size
                at += 9 + colours(data[at + 8]) + 1
            elif block == 0x21:
                at += 1
            elif block != 0:  # some writers leave zeros between blocks
                raise Damaged(f"byte {at - 1:,} begins no block of a GIF")
            if block != 0:
                while data[at]:
                    at += 1 + data[at]
                at += 1
    except IndexError:
        raise cut from None


def _check_webp(data: bytes) -> None:
    size = 8 + int.from_bytes(data[4:8], "little")
    if size > len(data):
        raise Damaged(f"the file is cut: it has {len(data):,} of {size:,} bytes")


def pillow():
    """PIL.Image, with the decoders of FORMATS loaded: from then on threads only read its tables."""
    try:
        from PIL import Image, WebPImagePlugin  # noqa: F401

        Image.preinit()
    except ImportError as error:
        raise DataError("reading pictures needs Pillow: pip install pillow.") from error
    return Image


def _opened(data: bytes | Path) -> Any:
    """The file's header read by Pillow. Raises Damaged when it is no picture or has too many pixels."""
    Image = pillow()
    from PIL import UnidentifiedImageError

    head = data[:HEAD] if isinstance(data, bytes) else head_of(data)
    kind = kind_of(head)
    if kind is None and head:
        raise Damaged("it holds no PNG, JPEG, BMP, GIF or WebP picture")
    try:
        picture = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS)
    except UnidentifiedImageError:
        if not head:
            raise Damaged("the file is empty") from None
        raise Damaged(f"it begins like a {kind} but is none, or is cut in its head") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Damaged(f"it has more than {MAX_PIXELS:,} pixels. Make it smaller") from None
    except FileNotFoundError:
        raise Damaged("there is no such file") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise Damaged(f"its head cannot be read: {_plain(error)}") from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        picture.close()
        raise Damaged(
            f"{width:,} x {height:,} pixels are more than {MAX_PIXELS:,}. Make it smaller"
        )
    if not width * height:
        picture.close()
        raise Damaged("it has no pixels")
    return picture


def head_of(path: Path) -> bytes:
    """The first bytes of a file that is one; b"" else."""
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__


def _turns(picture: Any) -> int:
    """EXIF's orientation, 1 to 8. Unreadable EXIF turns nothing: the picture itself is whole."""
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def _transposition(orientation: int) -> Any:
    T = pillow().Transpose
    return {
        2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE,
        6: T.ROTATE_270, 7: T.TRANSVERSE, 8: T.ROTATE_90,
    }.get(orientation)  # fmt: skip


def _is_deep(picture: Any) -> bool:
    return picture.mode.startswith("I") or picture.mode == "F"


def peak(picture: Any) -> int:
    """The largest value of a picture of more than 8 bits; 255 for any other."""
    return int(np.asarray(picture).max()) if _is_deep(picture) else 255


def visible(picture: Any) -> tuple[float, float]:
    """(sum of alpha, sum of alpha times brightness 0..255) of a picture; opaque ones weigh nothing."""
    if not picture.has_transparency_data:
        return 0.0, 0.0
    rgba = np.asarray(picture.convert("RGBA"), np.float64)
    alpha = rgba[..., 3] / 255
    if alpha.min() == 1:
        return 0.0, 0.0
    grey = rgba[..., :3] @ [0.299, 0.587, 0.114]  # ITU-R BT.601, as Pillow's L
    return float(alpha.sum()), float((alpha * grey).sum())


@dataclass(frozen=True)
class Preparation:
    """How a picture of any kind becomes (height, width, channels) uint8; stored with the model.

    channels     1 grey, 3 red, green, blue
    background   0..255: what shows through transparent places
    white        the value of a picture of more than 8 bits that becomes 255"""

    height: int
    width: int
    channels: int
    background: int = 255
    white: int = 65535

    def __post_init__(self):
        for name, low, high in (
            ("height", 1, MAX_SIDE), ("width", 1, MAX_SIDE), ("background", 0, 255),
            ("white", 1, 2**31 - 1),
        ):  # fmt: skip
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise DataError(
                    f"{name} of pictures must be a whole number of {low} to {high}; got {value!r}."
                )
        if self.channels not in (1, 3):
            raise DataError(f"pictures have 1 channel (grey) or 3 (colour); got {self.channels!r}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.height, self.width, self.channels

    @property
    def least(self) -> int:
        """What `decode` must keep of a side: twice the larger one. The means over four pixels or more that follow
        differ by a few of 255 from those over all, even in coloured noise."""
        return 2 * max(self.height, self.width)

    def read(self, path: str | Path) -> np.ndarray:
        """(H, W, C) uint8 from a file. Raises DataError that names it when it gives no picture."""
        try:
            return self.pixels(decode(read_bytes(Path(path)), self.least))
        except Damaged as why:
            raise DataError(f"{path}: {why}.") from why

    def pixels(self, picture: Any) -> np.ndarray:
        """(H, W, C) uint8 from a Pillow image."""
        flat = opaque(picture, self.background, self.white)
        mode = "L" if self.channels == 1 else "RGB"
        flat = flat if flat.mode == mode else flat.convert(mode)
        flat = fitted(flat, self.height, self.width)
        return np.asarray(flat, np.uint8).reshape(self.shape)

    def to_json(self) -> dict:
        """For a JSON file."""
        return {"version": 1, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping) -> "Preparation":
        """From what to_json gave. Raises FormatError for anything else."""
        names = {"version", *(f.name for f in dataclasses.fields(cls))}
        if not isinstance(values, Mapping) or set(values) != names or values["version"] != 1:
            raise FormatError(
                f"the preparation of pictures must have the fields {', '.join(sorted(names))} and version 1; "
                f"got {str(values)[:120]}."
            )
        try:
            return cls(**{k: v for k, v in values.items() if k != "version"})
        except DataError as error:
            raise FormatError(f"the preparation of pictures cannot be used: {error}") from error


def opaque(picture: Any, background: int, white: int) -> Any:
    """The picture as L or RGB with 8 bits: transparent places show `background`, `white` becomes 255."""
    Image = pillow()
    mode = picture.mode
    if _is_deep(picture):  # convert("L") would clip at 255
        values = np.asarray(picture, np.float64) * (255.0 / white)
        return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, (background, background, background, 255))
        seen = Image.alpha_composite(paper, rgba).convert("RGB")
        return seen.convert("L") if mode in ("1", "L", "LA", "La") else seen
    if mode in ("L", "RGB"):
        return picture
    return picture.convert("L" if mode == "1" else "RGB")


def fitted(picture: Any, height: int, width: int) -> Any:
    """The whole picture within height x width, its proportions kept; what is left over has its border's colour.

    Pillow's bilinear filter, which takes the mean over all pixels that become one when a picture shrinks."""
    Image = pillow()
    w, h = picture.size
    if (w, h) == (width, height):
        return picture
    ratio = min(width / w, height / h)
    new_w, new_h = max(1, round(w * ratio)), max(1, round(h * ratio))
    if abs(new_w - width) <= 1 and abs(new_h - height) <= 1:  # a line of border would be noise
        return picture.resize((width, height), Image.Resampling.BILINEAR)
    small = picture.resize((new_w, new_h), Image.Resampling.BILINEAR)
    pixels = np.asarray(small).reshape(new_h, new_w, -1)
    # Only the two edges that the bars lie at: bars of another colour would be edges of their own.
    edges = (pixels[0], pixels[-1]) if new_w == width else (pixels[:, 0], pixels[:, -1])
    colour = np.median(np.concatenate(edges), axis=0).astype(int).tolist()
    canvas = Image.new(
        picture.mode, (width, height), colour[0] if len(colour) == 1 else tuple(colour)
    )
    canvas.paste(small, ((width - new_w) // 2, (height - new_h) // 2))
    return canvas
