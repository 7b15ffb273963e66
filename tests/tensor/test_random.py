"""Random numbers: from seed and counter alone, even, normal, and in range."""

import numpy as np
import pytest

import pellucid as pl
from pellucid.base.errors import OptionError, ShapeError
from pellucid.tensor import random


def test_same_seed_same_numbers_in_any_order_of_reading():
    pl.seed(1)
    a, b = random.uniform(4), random.uniform(4)
    pl.seed(1)
    c, d = random.uniform((4,)), random.uniform(4)
    last, first = d.tolist(), c.tolist()
    assert (a.tolist(), b.tolist()) == (first, last)
    assert first != last
    pl.seed(2)
    assert random.uniform(4).tolist() != first


def test_distributions():
    pl.seed(0)
    n = 100_000
    u = random.uniform(n).numpy()
    assert u.min() >= 0 and u.max() < 1
    z = random.normal(n, dtype="float64").numpy()
    for x, mean, std in (
        (u, 0.5, 12**-0.5),
        (z, 0.0, 1.0),
        (random.normal(n, mean=3, std=2).numpy(), 3.0, 2.0),
    ):
        # 5 standard errors
        assert abs(x.mean() - mean) < 5 * std / n**0.5
        assert abs(x.std() - std) < 5 * std / n**0.5
    counts = np.bincount(random.randint(-3, 4, n).numpy() + 3, minlength=7)
    assert counts.size == 7 and abs(counts - n / 7).max() < 5 * (n / 7) ** 0.5
    assert abs(random.bernoulli(0.3, n).numpy().mean() - 0.3) < 5 * (0.21 / n) ** 0.5
    assert random.uniform(n, low=-2, high=3).numpy().min() < -1.99


def test_permutation():
    pl.seed(0)
    order = random.permutation(1000).numpy()
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert not np.array_equal(order, random.permutation(1000).numpy())
    assert random.permutation(0).shape == (0,)


@pytest.mark.parametrize("n", [-1, 1.5, 2**63, True, "a"])
def test_seed_that_cannot_be(n):
    with pytest.raises(OptionError, match="whole number from 0"):
        pl.seed(n)


def test_state_and_ranges_that_cannot_be():
    with pytest.raises(ShapeError, match="two integers"):
        random.set_state(np.zeros(3, np.int64))
    with pytest.raises(OptionError, match="low must be below high"):
        random.randint(3, 3, 2)
