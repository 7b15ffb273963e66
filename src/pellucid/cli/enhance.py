"""`pellucid enhance`: a picture of any size, mended by a network that has learned how."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..base.errors import DataError, FormatError, OptionError
from ..data.patches import FAULTS, pixels_of, resized
from ..data.picture_file import Damaged, decode, pillow, read_bytes
from ..formats.atomic import write_atomic
from ..train.mend import mended
from ..train.saved import load_model
from .options import check_out

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}
MOST_PIXELS = 50_000_000  # of the picture that is written


def enhance(run: Path, file: Path, out: Path | None, as_json: bool) -> None:
    """Run the command; results go to standard output."""
    model = load_model(run)
    if model.task != "enhance":
        raise OptionError(
            f"{run}: this network was trained to {model.task}; it mends no pictures. Train one that does: "
            f"pellucid train FOLDER --task enhance"
        )
    fault = model.settings.get("fault")
    if fault not in FAULTS or model.preparation is None:
        raise FormatError(
            f"{run}: field 'settings.fault' is {fault!r}; known: {', '.join(FAULTS)}."
        )
    path = out or Path(f"{file.stem}-better.png")
    if path.suffix.lower() not in FORMATS:
        raise OptionError(f"--out {path}: a picture is written as {', '.join(FORMATS)}.")
    check_out(path, [file], "mended", "better picture")
    try:
        picture = decode(read_bytes(file))
    except Damaged as why:
        raise DataError(f"{file}: {why}.") from why
    if picture.has_transparency_data:
        paper = model.preparation.background
        click.echo(f"{file}: what is transparent shows grey {paper} of 0 to 255.", err=True)
    is_grey = len(picture.getbands()) == 1 and picture.mode != "P"
    given = pixels_of(picture, model.preparation)
    if model.preparation.channels == 1 and not is_grey:
        given = pixels_of(picture, in_colour(model.preparation))
    height, width = given.shape[:2]
    if fault == "small":
        height, width = 2 * height, 2 * width
    if height * width > MOST_PIXELS:
        raise DataError(
            f"{file}: {height:,} x {width:,} pixels are more than {MOST_PIXELS:,}. Make it smaller."
        )
    if fault == "small":
        given = resized(given, height, width)
    better = mended(model.network, given, model.preparation.channels)
    if is_grey and better.shape[2] == 3:  # a grey picture stays one
        better = np.rint(better.mean(2, keepdims=True)).astype(np.uint8)
    write_atomic(path, [written(better, FORMATS[path.suffix.lower()])])
    told: dict[str, Any] = {"file": str(file), "out": str(path), "height": height, "width": width}
    if as_json:
        head = {"run": str(run), "weights_sha256": model.weights_sha256}
        click.echo(json.dumps({**head, **told}, indent=2))
    else:
        click.echo(f"{file}, mended, is in {path}: {height:,} x {width:,} pixels")


def in_colour(preparation: Any) -> Any:
    """The same preparation for three channels: a network for grey pictures mends each of them by itself."""
    from dataclasses import replace

    return replace(preparation, channels=3)


def written(pixels: np.ndarray, kind: str) -> bytes:
    """The bytes of a picture file of (H, W, 1 or 3) uint8."""
    import io

    file = io.BytesIO()
    one = pillow().fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    one.save(file, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()
