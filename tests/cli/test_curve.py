"""The learning curve: round ticks, and a picture also for one epoch or infinite losses."""

import io
import math

import pytest
from PIL import Image

from pellucid.cli.curve import Panel, draw, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 60, [10, 20, 30, 40, 50, 60]),
        (0, 2.4, [0, 0.5, 1, 1.5, 2]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("losses", [[2.0], [2.0, 1.0], [math.inf, 1.0, math.nan], [0.0, 0.0], []])
def test_any_run_gives_a_picture(losses):
    png = draw([Panel("Loss", {"training": losses}, mark=1)])
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (960, 640)


def test_a_falling_line_falls():
    png = draw([Panel("Loss", {"training": [2.0, 1.0, 0.0]})])
    with Image.open(io.BytesIO(png)) as picture:
        pixels = picture.convert("RGB").load()
        width, height = picture.size
        blue = [
            (x, y)
            for x in range(width)
            for y in range(100, height)  # below the title's row, where the name stands in blue
            if pixels[x, y][2] > 150 and pixels[x, y][0] < 60
        ]
    leftmost, rightmost = min(blue), max(blue)
    assert leftmost[1] < rightmost[1]  # y counts downwards
