"""A line chart with a logarithmic scale, as SVG text."""

import html
import math
from dataclasses import dataclass, replace

import numpy as np

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 400, 70, 50, 50
RIGHT = 200  # room for the names of the curves
COLORS = ("#c0392b", "#2471a3", "#1e8449", "#7d3c98")


@dataclass(frozen=True)
class Curve:
    """One value per place, 0, 1, 2 ..; dashed curves take the colour of the solid one after them."""

    name: str
    values: np.ndarray
    is_dashed: bool = False

    def scaled(self, factor: float) -> "Curve":
        return replace(self, values=self.values * factor)


def chart(curves: list[Curve], title: str, x_name: str, floor: float = 1e-12) -> str:
    """The SVG. Values below `floor` are drawn at it."""
    low = max(floor, min(float(c.values.min()) for c in curves))
    high = max(float(c.values.max()) for c in curves)
    bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
    n = max(len(c.values) for c in curves)

    def x_of(i: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * i / (n - 1)

    def y_of(value: float) -> float:
        share = (math.log10(max(value, floor)) - bottom) / (top - bottom)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="14">{html.escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{html.escape(x_name)}</text>',
    ]
    every = max(1, (top - bottom) // 6)
    for power in range(bottom, top + 1, every):
        y = y_of(10.0**power)
        lines.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>'
        )
    for i in np.linspace(0, n - 1, 5).round().astype(int):
        lines.append(
            f'<text x="{x_of(i):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{i + 1}</text>'
        )
    color = 0
    for number, curve in enumerate(curves):
        points = " ".join(f"{x_of(i):.1f},{y_of(float(v)):.1f}" for i, v in enumerate(curve.values))
        paint = f'stroke="{COLORS[color]}" stroke-width="1.6"' + (
            ' stroke-dasharray="5 4"' if curve.is_dashed else ""
        )
        y = TOP + 10 + 20 * number
        lines.append(
            f'<polyline fill="none" {paint} points="{points}"/>'
            f'<line x1="{WIDTH - RIGHT + 14}" x2="{WIDTH - RIGHT + 40}" y1="{y}" y2="{y}" {paint}/>'
            f'<text x="{WIDTH - RIGHT + 46}" y="{y + 4}">{html.escape(curve.name)}</text>'
        )
        color += not curve.is_dashed
    return "\n".join([*lines, "</svg>", ""])
