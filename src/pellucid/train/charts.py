"""Pieces of a page: tags whose text is escaped, and charts as SVG.

`tag` escapes every text it is given, so that names from data cannot become HTML; only what `tag` made passes as it
is. Charts carry classes instead of colours: the page's style gives them, by light, dark and in print.

Our own drawing, because a plotting library costs a second to import and tens of MB, or needs a script in the page
to draw at all; lines, dots and bars on two axes are what a report needs."""

import base64
import hashlib
import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH, HEIGHT = 420, 280  # of a chart, in its own units; the page scales it
RIGHT, TOP, BOTTOM = 12, 12, 44
BESIDE, DIGIT = 28, 8  # left of the axis: its meaning, and each character of its numbers
N_STYLES = 6  # colours; further lines are dashed
LARGEST, SMALLEST = 1e300, 1e-300  # of what is drawn, and of a range
MOST_POINTS = 400  # of a line: two for each pixel of a narrow page
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_VOID = {"meta", "img", "br"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """Escaped, without characters that HTML does not allow."""
    if isinstance(value, Markup):
        return value
    plain = _CONTROL.sub("\ufffd", str(value)).encode("utf-8", "replace").decode()
    return Markup(html.escape(plain))


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """<name attributes>children</name>; None is left out, class_ stands for class, x_y for x-y."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{pairs}>")
    return Markup(f"<{name}{pairs}>{join(children)}</{name}>")


def join(children: Sequence[Any]) -> Markup:
    """One after the other."""
    return Markup("".join(text(c) for c in children if c is not None))


def offline_page(title: Any, style: str, *body: Any) -> str:
    """A whole page in one file. A policy in its head forbids the browser to load or run anything."""
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{title} - pellucid"),
        tag("style", Markup(style)),
    )
    return "<!doctype html>\n" + tag("html", head, "\n", tag("body", *body), lang="en") + "\n"


def data(value: Any, most: int = 60) -> Markup:
    """A text from data: shortened, and kept from turning the direction of what stands around it."""
    full = str(value)
    shown = full if len(full) <= most else full[: most - 1] + "…"
    return tag("bdi", shown, title=full[:1000] if shown != full else None)


@dataclass(frozen=True)
class Line:
    """Points joined in their order; a None or a NaN breaks it."""

    x: Sequence[float]
    y: Sequence[float | None]
    style: int = 0


@dataclass(frozen=True)
class Dots:
    """Points; `low` and `high` give each a range, `sizes` (0 to 1) an area."""

    x: Sequence[float]
    y: Sequence[float]
    style: int = 0
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    sizes: Sequence[float] = ()


@dataclass(frozen=True)
class Bars:
    """A histogram: edges (K + 1) and heights (K)."""

    edges: Sequence[float]
    heights: Sequence[float]
    style: int = 0


@dataclass(frozen=True)
class Rule:
    """A straight line from point to point, to compare with."""

    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True)
class Band:
    """The room between two lines over the same x; where one of them breaks there is none."""

    x: Sequence[float]
    low: Sequence[float | None]
    high: Sequence[float | None]
    style: int = 0


Shape = Line | Dots | Bars | Rule | Band
Limits = tuple[float, float]


def chart(
    shapes: Sequence[Shape],
    describe: str,
    across: str,
    up: str,
    x_limits: Limits | None = None,
    y_limits: Limits | None = None,
    x_names: Mapping[float, str] | None = None,
    counts: bool = False,
) -> Markup:
    """An SVG with two axes.

    describe      what it shows, for those who do not see it      across, up  what the axes mean
    x_names       names at places of the x axis, instead of numbers
    counts        whether the x axis counts: it has no 1.5"""
    x_limits = _drawable(x_limits) or limits([x for s in shapes for x in _xs(s)])
    y_limits = _drawable(y_limits) or limits([y for s in shapes for y in _ys(s)])
    if x_limits is None or y_limits is None:
        return tag("p", "There is nothing to draw.", class_="quiet")
    marks = list(x_names.items()) if x_names else ticks(*x_limits, whole=counts)
    axes = _Axes(x_limits, y_limits, marks, outer=bool(x_names))
    return tag(
        "svg",
        *axes.grid(across, up),
        tag("g", *(axes.draw(s) for s in shapes)),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=describe,
    )


def style(number: int) -> str:
    """The classes of the line, or of the legend's sign, number 0, 1, ..."""
    return f"s{number % N_STYLES}" + (f" dash{number // N_STYLES}" if number >= N_STYLES else "")


def legend(names: Mapping[int, Any]) -> Markup:
    """Signs and names by their style; names are Markup or plain text."""
    entries = (
        tag("li", tag("svg", tag("path", d="M0 5H22", class_=f"line {style(n)}"),
                      viewBox="0 0 22 10", class_="sign", aria_hidden="true"), name)
        for n, name in names.items()
    )  # fmt: skip
    return tag("ul", *entries, class_="legend")


def limits(values: Sequence[float | None], zero: bool = True) -> Limits | None:
    """The range of the finite ones, with room; None where there are none or it cannot be drawn.

    zero  begin at 0 a range that comes near it: heights can be compared"""
    finite = [float(v) for v in values if v is not None and math.isfinite(v)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    largest = max(abs(low), abs(high))
    if largest > LARGEST:
        return None
    if not _drawable((low, high)):  # equal, as far as an axis can say
        room = largest / 10 if largest > SMALLEST else 1.0
        return low - room, high + room
    if zero and 0 < low < 0.4 * high:
        low = 0.0
    room = (high - low) * 0.04
    return (low if low == 0 else low - room), high + room


def ticks(low: float, high: float, n: int = 5, whole: bool = False) -> list[tuple[float, str]]:
    """About n round places in a range, with their names; whole: only whole numbers."""
    step = _round_step((high - low) / n)
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    assert last - first <= 4 * n  # limits() leaves no range that is lost in the digits of its ends
    places = [k * step for k in range(first, last + 1)]
    largest = max(abs(low), abs(high))
    if largest >= 1e6 or step < 1e-4:
        digits = min(17, max(1, math.ceil(math.log10(largest / step) + 1e-9) + 1))
        return [(p, f"{p:.{digits}g}") for p in places]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(p, f"{p + 0.0:,.{decimals}f}") for p in places]


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.99)


def _drawable(given: Limits | None) -> Limits | None:
    """The limits, unless they are wider or closer than numbers on an axis can tell."""
    if given is None:
        return None
    low, high = given
    largest = max(abs(low), abs(high))
    is_drawable = largest <= LARGEST and high - low > max(1e-12 * largest, SMALLEST)
    return given if is_drawable else None


def _xs(shape: Shape) -> Sequence[float]:
    if isinstance(shape, Rule):
        return (shape.start[0], shape.end[0])
    return shape.edges if isinstance(shape, Bars) else shape.x


def _ys(shape: Shape) -> Sequence[float | None]:
    if isinstance(shape, Rule):
        return (shape.start[1], shape.end[1])
    if isinstance(shape, Bars):
        return [0.0, *shape.heights]
    if isinstance(shape, Band):
        return [*shape.low, *shape.high]
    return [*shape.y, *shape.low, *shape.high] if isinstance(shape, Dots) else shape.y


class _Axes:
    """From values to places in the picture. x_marks: (place, name); outer: the first and the last are words."""

    def __init__(self, x: Limits, y: Limits, x_marks: list[tuple[float, str]], outer: bool):
        self.x_limits, self.y_limits, self.x_marks, self.outer = x, y, x_marks, outer
        self.y_marks = ticks(*y)
        self.left = BESIDE + DIGIT * max((len(name) for _, name in self.y_marks), default=1)

    def x(self, value: float) -> float:
        low, high = self.x_limits
        return self.left + (WIDTH - self.left - RIGHT) * _part(value, low, high)

    def y(self, value: float) -> float:
        low, high = self.y_limits
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _part(value, low, high)

    def grid(self, across: str, up: str) -> list[Markup]:
        """Lines, numbers and what the axes mean."""
        parts = []
        for value, name in self.y_marks:
            at = f"{self.y(value):.1f}"
            parts += [
                tag("path", d=f"M{self.left} {at}H{WIDTH - RIGHT}", class_="grid"),
                tag("text", name, x=self.left - 6, y=at, dy="0.35em", class_="end"),
            ]
        last = len(self.x_marks) - 1
        for i, (value, name) in enumerate(self.x_marks):
            # The outer of long names would leave the picture.
            ends = self.outer and last > 0 and max(len(n) for _, n in self.x_marks) > 5
            side = {0: "start", last: "end"}.get(i) if ends else None
            at = f"{self.x(value):.1f}"
            parts += [
                tag("path", d=f"M{at} {HEIGHT - BOTTOM}v4", class_="axis"),
                tag("text", name, x=at, y=HEIGHT - BOTTOM + 18, class_=side or "middle"),
            ]
        middle = (HEIGHT - TOP - BOTTOM) / 2 + TOP
        return [
            *parts,
            tag("path", d=f"M{self.left} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}", class_="axis"),
            tag("text", across, x=(self.left + WIDTH - RIGHT) / 2, y=HEIGHT - 6, class_="middle"),
            tag("text", up, transform=f"translate(12 {middle:g}) rotate(-90)", class_="middle"),
        ]

    def draw(self, shape: Shape) -> Markup:
        """Its SVG."""
        if isinstance(shape, Line):
            return self.line(shape)
        if isinstance(shape, Dots):
            return self.dots(shape)
        if isinstance(shape, Bars):
            return self.bars(shape)
        if isinstance(shape, Band):
            return self.band(shape)
        (x0, y0), (x1, y1) = shape.start, shape.end
        d = f"M{self.x(x0):.1f} {self.y(y0):.1f}L{self.x(x1):.1f} {self.y(y1):.1f}"
        return tag("path", d=d, class_="rule")

    def line(self, shape: Line) -> Markup:
        """One path; a long line keeps the highest and the lowest of neighbours."""
        d, pen_is_up = [], True
        for x, y in _fewer(shape.x, shape.y):
            if y is None or not math.isfinite(y):
                pen_is_up = True
                continue
            d.append(f"{'M' if pen_is_up else 'L'}{self.x(x):.1f} {self.y(y):.1f}")
            if pen_is_up:
                d.append("h0")  # a point without neighbours shows as a dot
            pen_is_up = False
        return tag("path", d="".join(d), class_=f"line {style(shape.style)}")

    def band(self, shape: Band) -> Markup:
        """One area: along the first line and back along the second."""
        sides = [
            [(x, y) for x, y in _fewer(shape.x, ys) if y is not None and math.isfinite(y)]
            for ys in (shape.low, shape.high)
        ]
        places = [f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in (*sides[0], *reversed(sides[1]))]
        d = f"M{'L'.join(places)}z" if places else ""
        return tag("path", d=d, class_=f"band {style(shape.style)}")

    def dots(self, shape: Dots) -> Markup:
        """Many as one path of dots; those with a range or a size one by one."""
        places = [(f"{self.x(x):.1f}", f"{self.y(y):.1f}") for x, y in zip(shape.x, shape.y, strict=True)]  # fmt: skip
        name = style(shape.style)
        if not shape.sizes and not shape.low:
            d = "".join(f"M{x} {y}h0" for x, y in places)
            return tag("path", d=d, class_=f"dots {name}")
        sizes = shape.sizes or [0.25] * len(places)
        parts = [
            tag("path", d=f"M{x} {self.y(low):.1f}V{self.y(high):.1f}", class_=f"range {name}")
            for (x, _), low, high in zip(places, shape.low, shape.high, strict=bool(shape.low))
        ]
        parts += [
            tag("circle", cx=x, cy=y, r=f"{2 + 6 * math.sqrt(size):.1f}", class_=f"dot {name}")
            for (x, y), size in zip(places, sizes, strict=True)
        ]
        return tag("g", *parts)

    def bars(self, shape: Bars) -> Markup:
        """A path of rectangles."""
        d, floor = [], self.y(max(0.0, self.y_limits[0]))
        for low, high, value in zip(shape.edges, shape.edges[1:], shape.heights, strict=False):
            left, right = self.x(low) + 0.5, self.x(high) - 0.5
            d.append(f"M{left:.1f} {floor:.1f}V{self.y(value):.1f}H{right:.1f}V{floor:.1f}z")
        return tag("path", d="".join(d), class_=f"bar {style(shape.style)}")


def _part(value: float, low: float, high: float) -> float:
    """Where it lies between low and high, held to what a picture can show."""
    return min(1.5, max(-0.5, (value - low) / (high - low)))


def _fewer(x: Sequence[float], y: Sequence[float | None]) -> list[tuple[float, float | None]]:
    pairs = list(zip(x, y, strict=True))
    if len(pairs) <= MOST_POINTS:
        return pairs
    kept = []
    for part in np.array_split(np.arange(len(pairs)), MOST_POINTS // 2):
        known = [i for i in part if pairs[i][1] is not None]
        if known:
            low, high = (f(known, key=lambda i: pairs[i][1]) for f in (min, max))
            kept += sorted({int(low), int(high)})
    return [pairs[i] for i in sorted({0, *kept, len(pairs) - 1})]
