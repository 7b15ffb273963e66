"""`pellucid explain` where something follows: the values of a series that a forecast rests on, the characters of a text
that the next one rests on, and who looks at whom in a GPT.

T values or characters of the end, as many as the network looks at"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..base.errors import DataError, OptionError
from ..base.figures import rounded
from ..data.sequence import encode
from ..data.text import read_text
from ..formats.atomic import write_atomic
from ..models.gpt import GPT
from ..tensor.tensor import Tensor
from ..train.answer import going_on, look_back, next_chances
from ..train.explain import amount_of, integrated_gradients, next_character
from ..train.saved import SavedModel
from .curve import BLUE, GREY, INK
from .predict import after

MOST_SHOWN = 40  # characters along the sides of an attention map
CELL, GAP, SIDE = 12, 20, 22  # pixels: of one pair, between maps, where the characters stand
SHOWN = {"\n": "\\n", "\t": "\\t", " ": "·"}


def of_series(model: SavedModel, file: Path, out: Path | None) -> dict:
    """The part of each value that the network looks at, in what comes next."""
    if out is not None:
        raise OptionError("--out is for pictures; a forecast is explained in words.")
    times, values = after(model, file)
    window = model.shape[0]
    look_back(model, len(values), str(file))
    seen = model.scales.inputs(values[None, -window:])
    parts, gaps = integrated_gradients(amount_of(model.network), seen, seen[:, -1:])
    [forecast] = going_on(model, values, 1, str(file))
    shown = zip(times[-window:], values[-window:].tolist(), parts.reshape(-1), strict=True)
    return {
        "file": str(file),
        "compared_with": f"a past in which every value is the last one, {rounded(values[-1], 6)}",
        "unit": model.unit,
        "largest_gap": float(np.abs(gaps).max()) * model.step,
        "answer": f"after {times[-1]}",
        "value": forecast,
        "parts": {
            f"{time}: {rounded(value, 6)}, {window - i} back": float(part) * model.step
            for i, (time, value, part) in enumerate(shown)
        },
    }


def of_text(
    model: SavedModel, file: Path, of: str | None, out: Path | None, attention: bool
) -> dict:
    """The part of each character in the chance of what comes next: the likeliest, or `of`; and the maps' picture."""
    codes = encode(read_text(file), model.classes, str(file))[-model.shape[0] :]
    if not len(codes):
        raise DataError(f"{file}: the text is empty. Give one character or more.")
    if attention and not isinstance(model.network, GPT):
        raise OptionError("--attention is for a GPT; this network has no attention.")
    if out is not None and not attention:
        raise OptionError(
            "--out is for the picture of --attention; characters are explained in words."
        )
    chances = next_chances(model, codes)
    number = int(chances.argmax()) if of is None else model.classes.index(of)
    parts, gap = next_character(model.network, codes, number)
    seen = [model.classes[c] for c in codes]
    told = {
        "file": str(file),
        "compared_with": "the mean of all characters in every place",
        "unit": "probability",
        "largest_gap": abs(gap),
        "answer": model.classes[number],
        "value": float(chances[number]),
        "text": "".join(seen),
        "parts": {
            f"{c!r}, {len(seen) - i} back": float(p)
            for i, (c, p) in enumerate(zip(seen, parts, strict=True))
        },
    }
    if attention:
        path = out or Path(f"{file.stem}-attention.png")
        maps = model.network.attention_maps(Tensor(codes[None]))
        write_atomic(path, [draw_maps([m.numpy()[0] for m in maps], seen)])
        told["attention"] = str(path)
    return told


def draw_maps(maps: Sequence[np.ndarray], characters: Sequence[str]) -> bytes:
    """A PNG of (H, T, T) weights of each layer: a row of maps for each layer, one for each head.

    A line is a place that looks, a column one that is looked at; the darkest of a line is what it takes most of. Of a
    long text the last MOST_SHOWN places."""
    from PIL import Image, ImageDraw, ImageFont

    n = min(len(characters), MOST_SHOWN)
    shown = [SHOWN.get(c, c) for c in characters[-n:]]
    size = SIDE + n * CELL
    width = GAP + (size + GAP) * len(maps[0])
    height = GAP + (size + GAP) * len(maps)
    image = Image.new("RGB", (width, height), "white")
    pen, small = ImageDraw.Draw(image), ImageFont.load_default(11)
    ink = np.array([int(BLUE[i : i + 2], 16) for i in (1, 3, 5)])
    for i, layer in enumerate(maps):
        for j, weights in enumerate(layer):
            left, top = GAP + (size + GAP) * j, GAP + (size + GAP) * i
            pen.text((left, top - GAP / 2), f"layer {i + 1}, head {j + 1}", INK, small, "lm")
            part = weights[-n:, -n:]
            strength = part / np.maximum(part.max(1, keepdims=True), 1e-30)
            colours = np.round(255 - strength[..., None] * (255 - ink)).astype(np.uint8)
            cells = Image.fromarray(colours.repeat(CELL, 0).repeat(CELL, 1))
            image.paste(cells, (left + SIDE, top + SIDE))
            for k, c in enumerate(shown):
                at = SIDE + (k + 0.5) * CELL
                pen.text((left + SIDE / 2, top + at), c, GREY, small, "mm")
                pen.text((left + at, top + SIDE / 2), c, GREY, small, "mm")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
