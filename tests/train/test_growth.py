"""Scores that grow with the rows: the line and its interval are those of SciPy; the rows are what they should be."""

import numpy as np
import pytest
from PIL import Image

from pellucid.base.errors import OptionError
from pellucid.train.growth import SCORES, STUDENT, Point, grow, known_from, outlook, subset
from pellucid.train.recipe import recipe

stats = pytest.importorskip("scipy.stats")

ACCURACY, RMSE = SCORES["classify"], SCORES["regress"]


def test_the_quantiles_are_students():
    exact = stats.t.ppf(0.975, np.arange(1, 31))
    np.testing.assert_allclose(STUDENT, exact, atol=5e-4)  # three decimals
    assert stats.t.ppf(0.975, 40) == pytest.approx(1.96 + 2.5 / 40, rel=2e-3)


@pytest.mark.parametrize("score", [ACCURACY, RMSE])
def test_the_gain_of_each_doubling_is_the_slope_of_a_regression(score):
    rng = np.random.default_rng(4)
    rows = (20, 40, 90, 150, 210)
    points = [
        Point(n / 210, n, tuple(0.5 + 0.02 * np.log2(n) + 0.01 * rng.normal(size=4))) for n in rows
    ]
    found = outlook(points, score)
    x = np.repeat(np.log2(rows[-3:]), 4)
    y = np.ravel([p.scores for p in points[-3:]])
    line = stats.linregress(x, y if score.is_better_high else -y)
    reach = stats.t.ppf(0.975, 10) * line.stderr
    np.testing.assert_allclose(
        [found.gain, found.low, found.high],
        [line.slope, line.slope - reach, line.slope + reach],
        rtol=1e-3,  # three decimals of the quantile
    )


def points(*means, noise=0.0):
    return [
        Point(n / 400, n, (mean - noise, mean, mean + noise))
        for n, mean in zip((100, 200, 400), means, strict=True)
    ]


@pytest.mark.parametrize(
    ("made", "score", "says"),
    [
        (points(0.70, 0.75, 0.80, noise=0.002), ACCURACY, "help"),
        (points(3.0, 2.5, 2.0, noise=0.02), RMSE, "help"),
        (points(0.80, 0.80, 0.80, noise=0.002), ACCURACY, "hardly"),
        (points(2.0, 2.0, 2.0, noise=0.02), RMSE, "hardly"),
        (points(0.800, 0.801, 0.802, noise=1e-5), ACCURACY, "hardly"),  # sure, but 0.1 points of 20
        (points(1.0, 1.0, 1.0), ACCURACY, "hardly"),  # nothing is left to gain
        (points(0.70, 0.75, 0.80, noise=0.2), ACCURACY, "unknown"),
        (points(0.80, 0.75, 0.70, noise=0.2), ACCURACY, "unknown"),
        ([Point(1.0, 10, (0.5, 0.6))], ACCURACY, "unknown"),
    ],
)
def test_what_the_line_means(made, score, says):
    assert outlook(made, score).says == says


@pytest.fixture
def table(tmp_path):
    """120 rows of three columns and a class that follows from them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    rows = [f"{a:.4f},{b:.4f},{c:.4f},{'yes' if a + b > 0 else 'no'}" for a, b, c in x]
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,k\n" + "\n".join(rows) + "\n")
    return str(path)


def test_sizes_lie_within_each_other_and_never_in_the_test_rows(table):
    made = recipe(table, target="k")
    data = made.dataset()
    parts = made.split(data)
    small, large = (set(subset(made, data, parts, n, 1).tolist()) for n in (12, 30))
    assert len(small) == 12 and len(large) == 30 and small < large
    assert large <= set(parts.train.tolist())
    assert subset(made, data, parts, 12, 2).tolist() != sorted(small)
    assert (subset(made, data, parts, len(parts.train), 1) == parts.train).all()


def test_a_table_is_encoded_by_the_rows_alone(table):
    made = recipe(table, target="k")
    data = made.dataset()
    rows = subset(made, data, made.split(data), 20, 0)
    known = known_from(data, rows)
    truth = data.frame["a"].values[rows]
    code = known.encoder.codes[0]
    assert code.center == pytest.approx(truth.mean()) and code.scale == pytest.approx(truth.std())
    assert known.x.shape == (120, known.shape[0])


def test_the_points_follow_from_the_seed(table):
    made = recipe(table, target="k", net=(4,), epochs=2)
    a, b = (list(grow(made, 2, (0.3, 1.0))) for _ in range(2))
    assert a == b
    assert [p.rows for p in a] == [round(0.3 * a[1].rows), a[1].rows] and a[1].share == 1.0
    assert all(len(p.scores) == 2 for p in a)


def test_what_has_no_rows_that_stand_alone_or_none_to_test_is_refused(tmp_path):
    with pytest.raises(OptionError, match="learned to forecast, where rows do not stand alone"):
        list(grow(recipe("series")))
    for i in range(6):  # a fifth of two pictures of a class is none
        folder = tmp_path / "abc"[i // 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 40 * i, np.uint8)).save(folder / f"{i}.png")
    with pytest.raises(OptionError, match="no test rows"):
        list(grow(recipe(str(tmp_path))))
