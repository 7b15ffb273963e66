"""Initial weights: spread and limits by the formulas, PyTorch's numbers where it has them."""

import math

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.base.errors import OptionError, ShapeError
from pellucid.nn import init

N = 200  # 40,000 draws: a standard deviation is right to 1 %, an even draw's limit to 0.1 %


@pytest.fixture(autouse=True)
def seed():
    pl.seed(0)


def check_even(x, bound):
    assert np.abs(x).max() <= bound and np.abs(x).max() > 0.999 * bound
    assert x.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert abs(x.mean()) < 0.02 * bound


def check_normal(x, std):
    assert x.std() == pytest.approx(std, rel=0.02) and abs(x.mean()) < 0.03 * std
    assert (np.abs(x) < std).mean() == pytest.approx(0.6827, abs=0.01)
    assert (np.abs(x) > 3 * std).mean() == pytest.approx(0.0027, abs=0.001)


@pytest.mark.parametrize(
    ("shape", "torch_shape"),
    [((5, 7), (7, 5)), ((3, 5, 7), (7, 5, 3)), ((3, 2, 5, 7), (7, 5, 3, 2))],
)
def test_fans_are_torchs_of_the_transposed_weight(shape, torch_shape):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(torch_shape))
    assert init.fans(shape) == theirs


@pytest.mark.parametrize(
    "name", ["linear", "conv", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "identity"]
)
def test_gains_are_torchs(name):
    torch = pytest.importorskip("torch")
    known = {"conv": "conv2d", "identity": "linear"}.get(name, name)
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(known)
    if name == "leaky_relu":
        theirs = torch.nn.init.calculate_gain("leaky_relu", math.sqrt(5))
        assert init.calculate_gain("leaky_relu", math.sqrt(5)) == theirs


def test_even_draws_have_their_bounds():
    check_even(init.uniform((N, N), 0.3), 0.3)
    check_even(init.xavier_uniform((N, N)), math.sqrt(6 / (2 * N)))
    check_even(init.xavier_uniform((N, N), 10, 20, 2.0), 2 * math.sqrt(6 / 30))
    check_even(init.kaiming_uniform((N, N)), math.sqrt(6 / N))
    check_even(init.kaiming_uniform((4, 100, 100), a=math.sqrt(5)), 1 / math.sqrt(400))
    check_even(init.kaiming_uniform((N, N), 50, nonlinearity="tanh"), 5 / 3 * math.sqrt(3 / 50))
    check_even(init.kaiming_uniform((N, 2 * N), mode="fan_out"), math.sqrt(6 / (2 * N)))


def test_normal_draws_have_their_spread():
    check_normal(init.normal((N, N), 0.02), 0.02)
    check_normal(init.xavier_normal((N, 3 * N)), math.sqrt(2 / (4 * N)))
    check_normal(init.kaiming_normal((N, N), nonlinearity="relu"), math.sqrt(2 / N))


def test_pytorchs_defaults():
    check_even(init.torch_linear((N, N)), 1 / math.sqrt(N))
    check_even(init.torch_linear((N * N,), 16), 0.25)
    check_even(init.torch_conv((2, 2, 100, 100)), 1 / math.sqrt(400))
    check_even(init.torch_recurrent((N, N), 64), 0.125)
    check_normal(init.torch_embedding((N, N)), 1.0)
    check_even(init.torch_attention((N, 3 * N)), math.sqrt(6 / (4 * N)))
    layer = nn.Linear(100, 4000, init="torch")
    check_even(layer.weight.numpy(), 0.1)
    check_even(layer.bias.numpy(), 0.1)
    assert not nn.Linear(10, 5).bias.numpy().any()


def test_a_truncated_normal_has_no_tails():
    """Between two standard deviations: variance 1 - 2 * 2 phi(2) / (2 Phi(2) - 1) = 0.7737."""
    x = init.truncated_normal((N, N), 0.5, low=-1.0, high=1.0)
    assert np.abs(x).max() <= 1 and x.std() == pytest.approx(0.5 * math.sqrt(0.7737), rel=0.02)
    x = init.truncated_normal((1000,), 1.0, mean=2.0, low=2.5, high=3.0, dtype="float64")
    assert x.min() >= 2.5 and x.max() <= 3 and x.dtype == np.float64


@pytest.mark.parametrize("shape", [(7, 7), (9, 4), (4, 9), (3, 3, 2, 8), (1, 5), (5, 1)])
def test_orthogonal_rows_or_columns(shape):
    x = init.orthogonal(shape, 1.5, dtype="float64").reshape(-1, shape[-1])
    x = x if x.shape[0] <= x.shape[1] else x.T
    np.testing.assert_allclose(x @ x.T, 1.5**2 * np.eye(len(x)), atol=1e-12)


def test_orthogonal_matrices_are_not_biased_to_one_sign():
    """A bare QR has a diagonal of one sign: of 200 uniform ones the mean is near 0 (1 / sqrt(3 * 200))."""
    diagonals = [np.diagonal(init.orthogonal((3, 3))) for _ in range(200)]
    assert abs(np.mean(diagonals)) < 0.1


def test_constants_and_dtypes():
    assert init.zeros((2,)).tolist() == [0, 0] and init.ones((2,)).tolist() == [1, 1]
    assert init.constant((2, 1), 0.25, "float64").tolist() == [[0.25], [0.25]]
    for make in (init.zeros, init.ones, init.kaiming_uniform, init.xavier_normal, init.orthogonal):
        assert make((3, 4), dtype="float64").dtype == np.float64
        assert make((3, 4)).dtype == np.float32


@pytest.mark.parametrize("scheme", init.SCHEMES)
def test_every_scheme_makes_a_layer_with_the_same_bits_for_a_seed(scheme):
    first = nn.Linear(6, 4, init=scheme)
    pl.seed(0)
    again = nn.Linear(6, 4, init=scheme)
    assert first.weight.shape == (6, 4)
    assert np.array_equal(first.weight.numpy(), again.weight.numpy())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: init.fans((3,)), ShapeError, "needs two axes or more"),
        (lambda: init.kaiming_normal((3,)), ShapeError, "give fan_in and fan_out"),
        (lambda: init.orthogonal((3,)), ShapeError, "needs two axes or more"),
        (lambda: init.calculate_gain("rely"), OptionError, "Did you mean 'relu'"),
        (lambda: init.kaiming_uniform((3, 3), mode="fan_up"), OptionError, "mode 'fan_up'"),
        (lambda: init.truncated_normal((3,), -1.0), OptionError, "std must be above 0"),
        (lambda: init.truncated_normal((3,), 1.0, low=9, high=10), OptionError, "one in 1,000"),
        (lambda: init.weight("orthogonl", 3, 3), OptionError, "Did you mean 'orthogonal'"),
    ],
)
def test_misuse_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
