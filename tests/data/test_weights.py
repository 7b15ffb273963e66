"""Balanced classes; equal rows as one, in an order that their values alone fix."""

import numpy as np
import pytest

from pellucid.base.errors import DataError
from pellucid.data import weights as w
from pellucid.data.weights import balanced, merged, visits


def test_balanced_classes_count_the_same_in_all():
    labels = np.array([0, 0, 0, 0, 0, 1, 3, 3, 3, 3])
    found = balanced(labels, 4)
    np.testing.assert_allclose(found, [10 / 15, 10 / 3, 0, 10 / 12])  # three classes have rows
    assert np.bincount(labels, found[labels])[[0, 1, 3]] == pytest.approx(10 / 3)
    counts = np.array([1, 1, 1, 1, 0, 2, 0, 1, 1, 1.0])
    np.testing.assert_allclose(balanced(labels, 4, counts), [9 / 12, 9 / 6, 0, 9 / 9])
    with pytest.raises(DataError, match="no rows"):
        balanced(labels, 4, np.zeros(10))


def rows(n=500, kinds=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(kinds, 3))[rng.integers(0, kinds, n)], rng.integers(0, 2, n)


def test_merged_rows_are_numpys_unique_rows_with_their_weights_added():
    x, y = rows()
    weights = np.random.default_rng(1).integers(0, 4, len(x))
    found, totals = merged(x, y, weights)
    table = np.column_stack([x, y])
    expected, number = np.unique(table[weights > 0], axis=0, return_inverse=True)
    sums = np.bincount(number.ravel(), weights[weights > 0])
    order = np.lexsort(table[found].T[::-1])
    np.testing.assert_array_equal(table[found][order], expected)
    np.testing.assert_array_equal(totals[order], sums)


@pytest.mark.parametrize("chunk", [3, 1 << 16])
def test_order_copies_and_the_sign_of_zero_make_no_difference(chunk, monkeypatch):
    monkeypatch.setattr(w, "CHUNK", chunk)
    x, y = rows(200)
    x[:40, 1] = 0.0
    one, totals = merged(x, y)
    order = np.random.default_rng(5).permutation(400)
    other_x, other_y = np.tile(x, (2, 1)), np.tile(y, 2)
    other_x[200:240, 1] = -0.0
    other, doubled = merged(other_x[order], other_y[order])
    np.testing.assert_array_equal(other_x[order][other], x[one])
    np.testing.assert_array_equal(other_y[order][other], y[one])
    np.testing.assert_array_equal(doubled, 2 * totals)


def test_rows_whose_hashes_are_equal_by_accident_stay_apart(monkeypatch):
    monkeypatch.setattr(w, "hashes_of", lambda x, y: np.zeros(len(x), np.uint64))
    x, y = np.array([[1.0], [1.0], [2.0], [2.0], [2.0]]), np.array([0, 0, 0, 1, 1])
    found, totals = merged(x, y)
    assert found.tolist() == [0, 2, 3] and totals.tolist() == [2, 1, 2]


def test_hashes_differ_for_rows_that_differ_in_one_value_or_in_the_order_of_values():
    x = np.random.default_rng(0).integers(0, 2, (5000, 16)).astype(np.float64)
    found = w.hashes_of(x, np.zeros(5000))
    assert len(np.unique(found)) == len(np.unique(x, axis=0))


def test_a_row_is_visited_as_often_as_it_counts_but_not_without_limit():
    assert visits(np.array([1, 3, 0.2, 2.6])).tolist() == [1, 3, 1, 3]
    many = visits(np.array([1e9, 1.0, 3e9]))
    assert many[1] == 1 and many.sum() <= 10_040 and many[2] == pytest.approx(3 * many[0], rel=1e-3)
    assert (visits(np.ones(100_000)) == 1).all()
