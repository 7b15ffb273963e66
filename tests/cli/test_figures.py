"""Figures as people write them, whatever their size; cells below each other."""

import json

import numpy as np
import pytest
from commands import told_by

from pellucid.base.figures import rounded, rounded_column
from pellucid.cli.figures import aligned, percent


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (2.0514, 4, "2.051"), (47_070.4, 4, "47,070"), (4853.2, 4, "4853"), (9999.7, 4, "10,000"),
        (12_345.678, 7, "12,345.68"), (0.0, 4, "0"),
        (1.2e-5, 4, "1.2e-05"), (-381_650.25, 6, "-381,650"), (30_245_300.0, 6, "30,245,300"), (2e300, 4, "2e+300"),
    ],
)  # fmt: skip
def test_a_figure_has_no_power_of_ten_that_people_would_not_write(value, digits, shown):
    assert rounded(value, digits) == shown


def test_a_sign_is_shown_where_it_is_asked_for():
    assert [rounded(v, 2, "+") for v in (530.2, -3700.0, 0.25)] == ["+530", "-3700", "+0.25"]


def test_a_column_has_as_many_decimals_as_its_largest():
    assert rounded_column([462.6, 678.93, 44.524]) == ["462.6", "678.9", "44.5"]
    assert rounded_column([22_051.2, 96_128.0]) == ["22,051", "96,128"]
    assert rounded_column([0.5, 0.04]) == ["0.5000", "0.0400"]
    assert rounded_column([6.5e-6, 8.1e-7]) == ["6.500e-06", "8.100e-07"]
    assert rounded_column([0.0]) == ["0.000"] and rounded_column([]) == []


def test_what_is_not_all_is_not_shown_as_all():
    assert [percent(s) for s in (0, 0.0001, 0.9812, 0.9996, 1)] == [
        "0.0 %", "< 0.1 %", "98.1 %", "99.9 %", "100.0 %",
    ]  # fmt: skip


def test_cells_stand_below_each_other():
    rows = [("", "RMSE", "on"), ("mean", "9", "Monday"), ("network", "10.5", "")]
    assert aligned(rows, right=(1,)) == [
        "         RMSE  on",
        "mean        9  Monday",
        "network  10.5",
    ]


@pytest.mark.parametrize(("scale", "unlike"), [(1e-6, "0.000"), (1e6, "e+0")])
def test_the_errors_of_a_series_are_shown_whatever_its_unit(scale, unlike, tmp_path, capsys):
    values = 10 + 5 * np.sin(np.arange(120) / 3) + np.random.default_rng(4).normal(size=120)
    file, out = tmp_path / "s.csv", tmp_path / "run"
    days = np.datetime64("2020-01-01") + np.arange(120)
    lines = (f"{day},{value:.6g}" for day, value in zip(days, values * scale, strict=True))
    file.write_text("\n".join(["day,flow", *lines]) + "\n")
    small = ["--width", "4", "--epochs", "1", "--quiet", "--out", out]
    told = told_by(capsys, "train", file, "--task", "forecast", "--horizon", "3", *small).out
    result = json.loads((out / "metrics.json").read_text())
    ours = result["baseline"]["persistence"]
    (row,) = (line for line in told.splitlines() if line.startswith("the last value again"))
    mae, rmse = (float(cell.replace(",", "")) for cell in row.split()[-2:])
    # Four digits are shown.
    assert mae == pytest.approx(ours["mae"], rel=1e-3) and rmse == pytest.approx(
        ours["rmse"], rel=1e-3
    )
    said = [told, *(told_by(capsys, *words).out for words in (
        ("evaluate", out, file), ("predict", out, file, "--steps", "2"), ("explain", out, file),
        ("runs", "--in", tmp_path), ("info", file)))]  # fmt: skip
    assert all(unlike not in text for text in said), said
