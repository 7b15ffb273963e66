"""The linear path of the Forecaster: an autoregression to begin with, and a part of what is saved."""

import numpy as np
import pytest

from pellucid import Tensor
from pellucid.base.errors import OptionError, ShapeError
from pellucid.data.series import load_series
from pellucid.models import Forecaster
from pellucid.train.evaluation import evaluate
from pellucid.train.recipe import recipe

rng = np.random.default_rng(0)


@pytest.mark.parametrize(("features", "outputs"), [(1, 1), (2, 3)])
def test_it_begins_as_the_least_squares_fit(features, outputs):
    x, y = rng.normal(size=(60, 5, features)), rng.normal(size=(60, outputs))
    network = Forecaster(features, 4, n_outputs=outputs, window=5, dtype="float64")
    network.begin_linear(x, y, ridge=0.0)
    rows = np.column_stack([x.reshape(60, -1), np.ones(60)])
    weights, *_ = np.linalg.lstsq(rows, y, rcond=None)
    np.testing.assert_allclose(network(Tensor(x)).numpy(), rows @ weights, atol=1e-10)


def test_fewer_rows_than_weights_have_a_fit_too():
    x, y = rng.normal(size=(3, 20, 1)), rng.normal(size=(3, 1))
    network = Forecaster(1, 4, window=20)
    network.begin_linear(x.astype(np.float32), y)
    found = network(Tensor(x.astype(np.float32))).numpy()
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, y, atol=0.05)


def test_without_a_window_there_is_no_linear_path():
    network = Forecaster(1, 4)
    assert not [name for name, _ in network.named_parameters() if name.startswith("linear")]
    with pytest.raises(OptionError, match=r"window=T"):
        network.begin_linear(np.zeros((3, 2, 1)), np.zeros((3, 1)))
    network(Tensor(np.zeros((2, 9, 1), np.float32)))  # of any length


def test_another_length_is_refused():
    with pytest.raises(ShapeError, match=r"window=5\) got 4 steps"):
        Forecaster(1, 4, window=5)(Tensor(np.zeros((2, 4, 1), np.float32)))


def test_the_default_for_a_series_begins_where_the_autoregression_is():
    made = recipe("series")
    data = made.dataset()
    parts = made.split(data)
    network = made.network(data)
    assert isinstance(network, Forecaster) and network.window == data.window
    values, changes = data.arrays()
    windows = values[:, 0][parts.train[:, None] + np.arange(data.window)]
    rows = np.column_stack([windows, np.ones(len(windows))]).astype(np.float64)
    weights, *_ = np.linalg.lstsq(rows, changes[parts.train + data.window], rcond=None)
    tests = values[:, 0][parts.test[:, None] + np.arange(data.window)]
    expected = np.column_stack([tests, np.ones(len(tests))]) @ weights
    loss = np.mean((expected - changes[parts.test + data.window]) ** 2)
    assert evaluate(network, data, parts.test, "mse").loss == pytest.approx(loss, rel=0.02)
    assert len(load_series(data.window, made.validation, made.test)) == len(data)


def test_the_linear_path_is_fitted_anew_to_what_the_recurrent_part_leaves():
    x, y = rng.normal(size=(60, 5, 1)), rng.normal(size=(60, 1))
    network = Forecaster(1, 4, window=5, dtype="float64")
    recurrent = network(Tensor(x)).numpy() - network.linear_part(x)
    network.fit_linear(x, y - recurrent, ridge=0.0)
    rows = np.column_stack([x.reshape(60, -1), np.ones(60)])
    weights, *_ = np.linalg.lstsq(rows, y - recurrent, rcond=None)
    np.testing.assert_allclose(network(Tensor(x)).numpy(), recurrent + rows @ weights, atol=1e-10)


def test_at_the_end_the_autoregression_knows_the_validation_part_too():
    made = recipe("series")
    data = made.dataset()
    parts = made.split(data)
    network = made.network(data)
    known = np.concatenate([parts.train, parts.validation])
    values, changes = data.arrays()
    windows = values[:, 0][known[:, None] + np.arange(data.window)]
    rows = np.column_stack([windows, np.ones(len(windows))]).astype(np.float64)
    weights, *_ = np.linalg.lstsq(rows, changes[known + data.window], rcond=None)
    # The recurrent part begins at nothing, so that the forecast is the autoregression's.
    made.row.finish(network, data, parts)
    found = network.linear_part(windows[:, :, None])
    # 0.01 of a usual change: what the ridge takes of weights of neighbouring, nearly equal values
    np.testing.assert_allclose(found, rows @ weights[:, None], atol=0.01)
