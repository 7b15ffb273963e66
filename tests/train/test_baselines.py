"""What needs no network is computed as its definition says."""

import math

import numpy as np
import pytest

from pellucid.data import load_series, load_text, split_series
from pellucid.train import baselines


def test_unigram_and_bigram_by_hand():
    train, test = np.array([0, 0, 1, 0]), np.array([0, 1, 2])
    # counts 3, 1, 0 and 1 each: 4/7, 2/7, 1/7
    assert baselines.unigram_loss(train, test, 3) == pytest.approx(
        -(math.log(4 / 7) + math.log(2 / 7) + math.log(1 / 7)) / 3
    )
    # after 0: 0 once, 1 once; after 1: 0 once; each mixed with one unigram
    chances = [(1 + 2 / 7) / 3, (0 + 1 / 7) / 2]  # 0 -> 1, 1 -> 2
    assert baselines.bigram_loss(train, test, 3) == pytest.approx(
        -sum(math.log(p) for p in chances) / 2
    )


def test_chances_sum_to_one_and_pairs_say_more_than_single_characters():
    data = load_text()
    train, test = data.codes[:100_000], data.codes[100_000:]
    n = len(data.classes)
    single = [math.exp(-baselines.unigram_loss(train, np.array([i]), n)) for i in range(n)]
    after_e = [math.exp(-baselines.bigram_loss(train, np.array([44, i]), n)) for i in range(n)]
    assert sum(single) == pytest.approx(1) and sum(after_e) == pytest.approx(1)
    assert baselines.bigram_loss(train, test, n) < baselines.unigram_loss(train, test, n) - 0.5


def test_an_autoregression_finds_the_rule_of_its_series():
    """x[t] = 1.5 x[t-1] - 0.9 x[t-2] + 2, started anywhere: exact, so that least squares finds it."""
    x = [1.0, 4.0]
    for _ in range(80):
        x.append(1.5 * x[-1] - 0.9 * x[-2] + 2)
    values = np.array(x)
    found = baselines.autoregression(values, np.arange(5, 50), np.arange(50, 60), 5)
    at = np.arange(60, 82)
    assert baselines.errors(found.forecast(values, at), values[at]).rmse < 1e-9
    # Further ahead it goes on from its own forecasts.
    rolled = found.roll(values[None, 55:60], 20)
    np.testing.assert_allclose(rolled[0], values[60:80], rtol=1e-8)
    exact = baselines.autoregression(values, np.arange(2, 50), np.arange(50, 60), 2)
    np.testing.assert_allclose([*exact.weights, exact.constant], [1.5, -0.9, 2], rtol=1e-8)


def test_the_order_is_chosen_on_the_validation_part_not_on_the_test():
    data = load_series()
    parts = split_series(data)
    train, validation, test = (p + data.window for p in (parts.train, parts.validation, parts.test))
    found = baselines.autoregression(data.values, train, validation, data.window)
    scores = []
    for order in range(1, data.window + 1):
        back = np.column_stack([data.values[train - k] for k in range(1, order + 1)])
        columns = np.column_stack([back, np.ones(len(train))])
        w = np.linalg.lstsq(columns, data.values[train], rcond=None)[0]
        v = np.column_stack([data.values[validation - k] for k in range(1, order + 1)])
        scores.append(np.sqrt(np.mean((v @ w[:-1] + w[-1] - data.values[validation]) ** 2)))
    assert found.order == int(np.argmin(scores)) + 1
    ours = baselines.errors(found.forecast(data.values, test), data.values[test])
    assert (
        ours.mae < ours.rmse < 0.6 < baselines.errors(data.values[test - 1], data.values[test]).mae
    )


def test_errors_by_hand():
    e = baselines.errors(np.array([1.0, 2.0]), np.array([2.0, 5.0]))
    assert e.mae == 2 and e.rmse == pytest.approx(math.sqrt(5))


def test_precision_and_coverage_tell_real_pictures_from_copies_and_noise():
    rng = np.random.default_rng(0)

    def draw(n, centres=4):
        which = np.arange(n) % centres
        return np.eye(4)[which] * 10 + rng.normal(size=(n, 4)) * 0.3

    known, held_out = draw(200), draw(200)
    good, coverage = baselines.precision_and_coverage(draw(200), known, held_out)
    # As many from the same distribution miss a ball of 3 neighbours with the chance 2^-3.
    assert good > 0.85 and abs(coverage - 7 / 8) < 0.1
    # one kind of four only: each looks real, three quarters are never made
    good, coverage = baselines.precision_and_coverage(draw(200, 1), known, held_out)
    assert good > 0.85 and 0.15 < coverage < 0.3
    good, coverage = baselines.precision_and_coverage(rng.uniform(0, 10, (200, 4)), known, held_out)
    assert good < 0.1 and coverage < 0.1


def test_distances_are_those_of_euclid():
    a, b = np.zeros((1, 2, 2)), np.array([[[3.0, 0.0], [0.0, 4.0]]])
    assert baselines.distances(a, b).tolist() == [[5.0]]
    assert baselines.radii(np.array([[0.0], [1.0], [5.0]]), 1).tolist() == [1, 1, 4]
