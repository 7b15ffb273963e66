"""Intervals by resampling: they are those of scikit-learn's figures on drawn rows, and hold what they promise."""

import math

import numpy as np
import pytest

from pellucid.cli.evaluate import between
from pellucid.data.text import load_text
from pellucid.train.measure import perplexity_interval
from pellucid.train.recipe import recipe
from pellucid.train.resampling import MOST, area_intervals, areas, drawn_areas, mean_interval
from pellucid.train.scores import classification


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(scores that often are equal, whether a row is of the class)."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    return np.round(rng.normal(size=n) + y, 1), y


def test_areas_of_drawn_rows_are_those_of_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    scores, y = drawn(120, 0)
    order = np.argsort(-scores, kind="stable")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(scores[order])) + 1])
    counts = np.random.default_rng(1).multinomial(120, np.full(120, 1 / 120), size=5)
    roc, pr = areas(counts, y[order], starts)
    for r in range(5):
        rows = np.repeat(order, counts[r])
        assert roc[r] == pytest.approx(sk.roc_auc_score(y[rows], scores[rows]), rel=1e-12)
        assert pr[r] == pytest.approx(sk.average_precision_score(y[rows], scores[rows]), rel=1e-12)


def test_drawn_rows_have_the_areas_of_all_rows_by_how_often_each_was_drawn():
    rng = np.random.default_rng(11)
    n = 5000
    starts = np.flatnonzero(rng.random(n) < 0.4)  # of equal scores about two and a half
    starts[0] = 0
    is_one = rng.random(n) < 0.3
    for m in (1, 2, 700):
        rows = rng.integers(0, n, m)
        counts = np.bincount(rows, minlength=n)[None]
        # Sums of m terms in another order: m ulps at most. One row alone has no area, the precision apart.
        np.testing.assert_allclose(
            drawn_areas(rows, is_one, starts), areas(counts, is_one, starts), rtol=m * 2.3e-16
        )


def test_area_intervals_hold_the_true_area_about_19_times_of_20():
    # Two normal distributions one deviation apart: the true area is Phi(1 / sqrt 2).
    truth = 0.5 * (1 + math.erf(0.5))
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(60):
        y = rng.random(150) < 0.4
        (low, high), _ = area_intervals(rng.normal(size=150) + y, y, seed)
        held += low <= truth <= high
    assert 51 <= held <= 60  # 95 % of 60 are 57; 3.6 deviations below


def test_intervals_of_many_rows_have_the_width_of_all_of_them():
    scores, y = drawn(4 * MOST, 5)
    (low, high), _ = area_intervals(scores, y)
    p = (low + high) / 2
    # Hanley and McNeil (1982), from the exponential model.
    n_1, n_0 = y.sum(), (~y).sum()
    q_1, q_2 = p / (2 - p), 2 * p * p / (1 + p)
    variance = (p * (1 - p) + (n_1 - 1) * (q_1 - p * p) + (n_0 - 1) * (q_2 - p * p)) / (n_1 * n_0)
    assert (high - low) / (2 * 1.96) == pytest.approx(math.sqrt(variance), rel=0.15)


def test_without_rows_of_both_kinds_there_is_none():
    scores, y = drawn(30, 1)
    assert area_intervals(scores, np.zeros(30, bool)) == (None, None)
    assert area_intervals(scores, np.ones(30, bool)) == (None, None)
    assert area_intervals(scores, y, 7) == area_intervals(scores, y, 7)


def test_only_those_who_ask_get_intervals():
    scores, y = drawn(200, 2)
    p = 1 / (1 + np.exp(-scores))
    both, labels = np.stack([1 - p, p], 1), y.astype(int)
    assert "roc_auc_interval" not in classification(both, labels, ("a", "b"))
    found = classification(both, labels, ("a", "b"), seed=0)
    for name in ("roc_auc", "pr_auc", "rare_pr_auc"):
        low, high = found[f"{name}_interval"]
        assert low < found[name] < high


def test_blocks_hold_the_mean_of_values_that_hang_together():
    rng = np.random.default_rng(9)
    held = {"blocks": 0, "single": 0}
    for seed in range(60):
        noise = rng.normal(size=400)
        values = np.convolve(
            noise, np.ones(6), "valid"
        )  # each like its neighbours; the true mean is 0
        low, high = mean_interval(values, seed)
        held["blocks"] += low <= 0 <= high
        half = 1.96 * values.std() / math.sqrt(len(values))
        held["single"] += abs(values.mean()) <= half
    assert held["blocks"] >= 48 and held["blocks"] > held["single"] + 8
    assert mean_interval(np.ones(4)) is None and mean_interval(np.ones(0)) is None


def test_the_perplexity_of_a_text_has_an_interval_around_it():
    made = recipe("text", net="gru", width=4, window=16)
    data = load_text(16)
    rows = np.arange(60, dtype=np.int32) * 16
    network = made.network(data)
    low, high = perplexity_interval(network, data, rows)
    from pellucid.train.evaluation import evaluate

    assert low < math.exp(evaluate(network, data, rows).loss) < high
    assert perplexity_interval(network, data, rows[:3]) is None


def test_intervals_in_words():
    assert between([0.5, 0.75], ".2f") == " (95 %: 0.50 to 0.75)" and between(None) == ""
