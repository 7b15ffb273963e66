"""The digits are all there, unchanged, and the parts that they are cut into are fair."""

import numpy as np
import pytest

from pellucid.base.errors import DataError
from pellucid.data import Dataset, load_digits, permutation, split

# How often each digit occurs in UCI's optdigits.tes, from its documentation (optdigits.names).
PER_CLASS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_are_the_1797_of_uci():
    data = load_digits()
    assert data.x.shape == (1797, 64) and data.x.dtype == np.float32
    assert data.x.min() == 0.0 and data.x.max() == 1.0
    assert np.bincount(data.y).tolist() == PER_CLASS
    # The first row of optdigits.tes: a zero.
    first = [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]
    assert (data.x[0, :16] * 16).tolist() == first and data.y[0] == 0
    assert "CC BY" in data.licence and "UCI" in data.source


def test_split_holds_every_row_once_and_keeps_the_share_of_each_class():
    data = load_digits()
    parts = split(data, 0.15, 0.2, seed=3)
    together = np.sort(np.concatenate([parts.train, parts.validation, parts.test]))
    assert together.tolist() == list(range(1797))
    for part, share in ((parts.validation, 0.15), (parts.test, 0.2)):
        for digit, n in enumerate(PER_CLASS):
            # rounding moves a class by half a row at most
            assert abs((data.y[part] == digit).sum() - n * share) <= 0.5


def test_split_follows_from_the_seed_alone():
    data = load_digits()
    a, b, c = split(data, seed=1), split(data, seed=1), split(data, seed=2)
    assert (a.test == b.test).all()
    assert not np.array_equal(a.test, c.test)


def test_a_class_with_one_row_stays_in_training():
    x = np.zeros((5, 2), np.float32)
    parts = split(Dataset("t", x, np.array([0, 0, 0, 0, 1], np.int32), ("a", "b")), 0.3, 0.3)
    assert 4 in parts.train


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.5, 0.5), (1.0, 0.0), (0.0, float("nan"))])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(DataError, match="leave rows for training"):
        split(load_digits(), *shares)


@pytest.mark.parametrize("n", [0, 1, 2, 17, 1000])
def test_permutation_holds_every_number_once(n):
    assert sorted(permutation(n, 5, "epoch", 9).tolist()) == list(range(n))


def test_permutation_changes_with_seed_purpose_and_counter():
    orders = {
        tuple(permutation(50, seed, purpose, counter))
        for seed in (0, 1)
        for purpose in ("epoch", "split")
        for counter in (0, 1)
    }
    assert len(orders) == 8


def test_permutation_gives_each_place_the_same_chance():
    counts = np.zeros((6, 6))
    for i in range(3000):
        counts[np.arange(6), permutation(6, 0, "epoch", i)] += 1
    # 500 expected, standard deviation 20.4; 5 of them
    assert np.abs(counts - 500).max() < 103


def rows(x, y, classes=("a", "b")):
    return Dataset("table", np.asarray(x, np.float32), np.asarray(y, np.int32), classes)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rows(np.zeros((0, 3)), []), "there are no rows"),
        (lambda: rows(np.zeros((2, 0)), [0, 1]), "no columns"),
        (lambda: rows([[1], [2]], [0, 0]), "every row has the same class, 0"),
        (lambda: rows([[1], [2]], [0, 2]), "row 1: label 2 is outside 0..1"),
        (lambda: rows([[1], [2]], [0, -1]), "row 1: label -1 is outside 0..1"),
        (lambda: rows([[1], [np.nan]], [0, 1]), "row 1, column 0: nan is not a finite"),
        (lambda: rows([[np.inf], [2]], [0, 1]), "row 0, column 0: inf is not a finite"),
        (lambda: rows([[1], [2]], [0]), "2 rows need 2 labels"),
        (lambda: rows([1, 2], [0, 1]), "rows and columns"),
        (
            lambda: Dataset("t", np.ones((2, 1), "f"), np.array([0.0, 1.0]), ("a", "b")),
            "must be integers",
        ),
        (
            lambda: Dataset("t", np.ones((2, 1), "f"), np.array([0.0, np.inf], "f")),
            "row 1: the target inf",
        ),
    ],
)
def test_data_that_cannot_be_learned_is_named(make, words):
    with pytest.raises(DataError, match=words):
        make()


def test_fingerprint_changes_with_any_value_or_label():
    a = rows([[1], [2], [3]], [0, 1, 0]).fingerprint()
    assert a == rows([[1], [2], [3]], [0, 1, 0]).fingerprint()
    assert a != rows([[1], [2], [3.5]], [0, 1, 0]).fingerprint()
    assert a != rows([[1], [2], [3]], [0, 1, 1]).fingerprint()
