"""Learning curves as a PNG, drawn with Pillow: lines, ticks and names are all that it needs.

Takes panels of named series over epochs, gives an image. (Matplotlib would add 80 MB for it.)"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Okabe and Ito (2008): told apart by people with every kind of colour vision.
BLUE, VERMILION, GREY, LIGHT, INK = "#0072b2", "#d55e00", "#8a8a8a", "#e4e4e4", "#222222"
COLOURS = (BLUE, VERMILION)

PANEL_WIDTH, PANEL_HEIGHT = 480, 320  # pixels, before enlarging
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 64, 24, 44, 48
SCALE = 2  # for screens with small pixels; lines are drawn at SCALE x SMOOTH and averaged down
SMOOTH = 2


@dataclass(frozen=True)
class Panel:
    """One set of axes: `series` maps a name to one value per epoch; `mark` is the kept epoch.

    across  what is counted along the horizontal axis
    at      where the values of a series stand on it; None: 1, 2, 3 and on
    dots    further points, (across, value)"""

    title: str
    series: Mapping[str, Sequence[float]]
    mark: int | None = None
    limits: tuple[float, float] | None = None
    across: str = "epoch"
    at: Sequence[float] | None = None
    dots: Sequence[tuple[float, float]] = ()


def ticks(low: float, high: float, n_most: int = 6) -> list[float]:
    """Round values, 1, 2 or 5 times a power of ten apart, within [low, high]."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / n_most))
    step = next(k * power for k in (1, 2, 5, 10, 20) if span / (k * power) <= n_most)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def draw(panels: Sequence[Panel]) -> bytes:
    """The panels side by side, as the content of a PNG file."""
    from PIL import Image, ImageDraw, ImageFont

    k = SCALE * SMOOTH
    size = (PANEL_WIDTH * len(panels), PANEL_HEIGHT)
    image = Image.new("RGB", (size[0] * k, size[1] * k), "white")
    pen = ImageDraw.Draw(image)
    font, bold = ImageFont.load_default(12 * k), ImageFont.load_default(14 * k)
    for i, panel in enumerate(panels):
        _draw_panel(pen, panel, i * PANEL_WIDTH, k, font, bold)
    small = (size[0] * SCALE, size[1] * SCALE)
    file = io.BytesIO()
    image.resize(small, Image.Resampling.LANCZOS).save(file, format="PNG", optimize=True)
    return file.getvalue()


def _draw_panel(
    pen: "ImageDraw.ImageDraw", panel: Panel, left: int, k: int, font: "Font", bold: "Font"
) -> None:
    values = [v for s in panel.series.values() for v in s if math.isfinite(v)]
    n_epochs = max((len(s) for s in panel.series.values()), default=0)
    at = panel.at or range(1, n_epochs + 1)
    first, last = (at[0], at[-1]) if at else (1, 1)
    low, high = panel.limits or (min([0.0, *values]), max([1e-9, *values]))
    x0, x1 = left + MARGIN_LEFT, left + PANEL_WIDTH - MARGIN_RIGHT
    y0, y1 = PANEL_HEIGHT - MARGIN_BOTTOM, MARGIN_TOP

    def place(epoch: float, value: float) -> tuple[float, float]:
        across = (epoch - first) / ((last - first) or 1)
        up = (value - low) / (high - low)
        return ((x0 + across * (x1 - x0)) * k, (y0 + up * (y1 - y0)) * k)

    pen.text((x0 * k, 14 * k), panel.title, fill=INK, font=bold)
    for value in ticks(low, high):
        _, y = place(first, value)
        pen.line([(x0 * k, y), (x1 * k, y)], fill=LIGHT, width=k)
        pen.text(((x0 - 8) * k, y), f"{value:g}", fill=GREY, font=font, anchor="rm")
    for epoch in ticks(first, last):
        if epoch == int(epoch) and epoch >= first:
            x, _ = place(epoch, low)
            pen.text((x, (y0 + 8) * k), f"{epoch:,.0f}", fill=GREY, font=font, anchor="mt")
    pen.text(((x0 + x1) / 2 * k, (y0 + 26) * k), panel.across, fill=GREY, font=font, anchor="mt")
    if panel.mark is not None:
        x, _ = place(panel.mark, low)
        pen.line([(x, y0 * k), (x, y1 * k)], fill=GREY, width=k)
        side = -1 if panel.mark > (first + last) / 2 else 1
        pen.text(
            (x + 5 * side * k, (y0 + y1) / 2 * k),
            "weights kept",
            fill=GREY,
            font=font,
            anchor="rm" if side < 0 else "lm",
        )
    for epoch, value in panel.dots:
        x, y = place(epoch, value)
        pen.ellipse([x - 2 * k, y - 2 * k, x + 2 * k, y + 2 * k], fill=GREY)
    # Names stand in the title's row, from the right: no line can run through them.
    right = x1
    for i, (name, series) in reversed(list(enumerate(panel.series.items()))):
        colour = COLOURS[i % len(COLOURS)]
        points = [place(e, v) for e, v in zip(at, series, strict=False) if math.isfinite(v)]
        if len(points) > 1:
            pen.line(points, fill=colour, width=2 * k, joint="curve")
        for x, y in points if len(points) < 3 else points[-1:]:
            pen.ellipse([x - 3 * k, y - 3 * k, x + 3 * k, y + 3 * k], fill=colour)
        pen.text((right * k, 16 * k), name, fill=colour, font=font, anchor="ra")
        right -= int(pen.textlength(name, font=font) / k) + 14
