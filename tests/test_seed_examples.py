"""The worked examples of the explainers, one test a row of table S, at library level.

Numbers are those of the examples or worked out by hand beside the test."""

import itertools
import math

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid import optim
from pellucid.base.errors import OptionError
from pellucid.data import Dataset, Split, load_digits, permutation, split
from pellucid.tensor import functions as F
from pellucid.tensor import random
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor
from pellucid.tensor.trace import compile
from pellucid.train.evaluation import evaluate, predict
from pellucid.train.events import EpochDone, Progress, Stopped
from pellucid.train.loop import Options, fit
from pellucid.train.metrics import accuracy, confusion, majority_baseline
from pellucid.train.recipe import recipe


def run(network, data, parts, optimizer, **options):
    """All events of a training run."""
    return list(fit(network, data, parts, optimizer, Options(**options)))


def everything(n):
    rows = np.arange(n, dtype=np.int32)
    return Split(rows, rows[:0])


def amounts(x, y, name="amounts"):
    return Dataset(name, np.asarray(x, np.float32), np.asarray(y, np.float32))


# A: one neuron


def test_S_A1_neuron_explains_its_sum(capsys):
    neuron = nn.Neuron(w=[0.4, 0.2, 0.3], b=0)
    assert neuron([1, 0, 1]).item() == 0.7
    neuron.explain()
    assert capsys.readouterr().out == "1·0.4 + 0·0.2 + 1·0.3 + 0 = 0.7\n"


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
def test_S_A2_sum_activation_output_agree_with_numpy(dtype, tolerance):
    rng = np.random.default_rng(2)
    for _ in range(25):  # 25 neurons on 40 inputs each: 1,000 triples
        w, b, x = rng.normal(size=5), rng.normal(), rng.normal(size=(40, 5))
        neuron = nn.Neuron(w, b, "sigmoid", dtype=dtype)
        z = (x.astype(dtype) @ w.astype(dtype) + np.asarray(b, dtype)).astype(np.float64)
        scale = np.abs(x).max() * np.abs(w).max() * 6  # of the terms that are summed
        inputs = Tensor(x.astype(dtype))
        assert np.abs(neuron.sum(inputs).numpy() - z).max() <= tolerance * scale
        assert np.abs(neuron(inputs).numpy() - 1 / (1 + np.exp(-z))).max() <= tolerance * scale
    lines = neuron.explanation(x[0]).split("\n")
    assert float(lines[0].rsplit("= ")[-1]) == pytest.approx(z[0], rel=1e-5)
    assert float(lines[1].rsplit("= ")[-1]) == pytest.approx(1 / (1 + math.exp(-z[0])), rel=1e-5)


def test_S_A3_without_bias_the_function_passes_through_f_of_0():
    for name, at_zero in (("sigmoid", 0.5), ("relu", 0.0), ("tanh", 0.0), (None, 0.0)):
        assert nn.Neuron([0.7, -1.3], b=None, activation=name)([0.0, 0.0]).item() == at_zero
    # a bias shifts the curve sideways: f(x + b / w) without it is f(x) with it
    shifted, plain = nn.Neuron([2.0], 3.0, "sigmoid"), nn.Neuron([2.0], None, "sigmoid")
    x = np.linspace(-3, 3, 7).reshape(-1, 1)
    np.testing.assert_allclose(
        shifted(Tensor(x)).numpy(), plain(Tensor(x + 1.5)).numpy(), rtol=1e-14
    )


def test_S_A4_training_gives_the_unimportant_input_the_smallest_weight():
    """Legs (four or not), trunk, tusks -> elephant: most animals have four legs, so legs say the least."""
    elephants = [(1, 1, 1, 1)] * 3 + [(1, 1, 0, 1)]
    others = [(1, 0, 0, 0)] * 4 + [(0, 0, 0, 0)] * 2 + [(1, 0, 1, 0)]  # cows and dogs, hens, a boar
    rows = elephants + others
    table = np.array(rows, np.float32)
    data = Dataset("animals", table[:, :3], table[:, 3].astype(np.int32), ("other", "elephant"))
    random.seed(0)
    network = nn.Sequential(nn.Linear(3, 2, init="zeros"))
    run(
        network,
        data,
        everything(11),
        optim.AdamW(network.parameters(), lr=0.05),
        epochs=100,
        batch_size=11,
        patience=None,
    )
    weight = network[0].weight.numpy()
    legs, trunk, tusks = np.abs(weight[:, 1] - weight[:, 0])
    assert legs < tusks < trunk


def test_S_A5_every_weight_of_a_connection_can_be_read_and_set():
    layer = nn.Linear(3, 2)
    new = np.arange(6, dtype=np.float32).reshape(3, 2)
    layer.weight.assign(new)
    assert [[layer.weight[j, k].item() for k in range(2)] for j in range(3)] == new.tolist()


def test_S_A6_an_activation_amplifies_passes_reduces_or_blocks():
    relu, sigmoid, leaky = nn.ReLU(), nn.Sigmoid(), nn.LeakyReLU(0.01)
    z = Tensor(np.array([3.0, -3.0]))
    assert relu(z).tolist() == [3.0, 0.0]  # passed, blocked
    assert leaky(z).tolist() == [3.0, -0.03]  # passed, reduced
    assert (
        0 < sigmoid(z).numpy()[1] < 0.05 < 0.95 < sigmoid(z).numpy()[0] < 1
    )  # squeezed into (0, 1)


def test_S_A7_step_with_a_threshold():
    step = nn.step(threshold=0.5)
    assert [step(x).item() for x in (0.7, 0.5, 0.3)] == [1, 0, 0]
    assert nn.step(threshold=0.2)(0.3).item() == 1
    assert grad(nn.step(0.5)(x := Tensor.parameter([0.7])).sum(), [x])[0].tolist() == [0.0]


def test_S_A8_travel_insurance_neuron_buys():
    neuron = nn.Neuron(w=[0.4, 0.2, 0.3], b=0, activation=nn.step(threshold=0.5))
    assert neuron([1, 0, 1]).item() == 1
    assert neuron.explanation() == "1·0.4 + 0·0.2 + 1·0.3 + 0 = 0.7\nstep[threshold=0.5](0.7) = 1"
    assert neuron([1, 0, 0]).item() == 0  # another person, other inputs: the step runs again
    assert neuron([0, 1, 1]).item() == 0  # 0.5 is not above 0.5


# B: networks


def test_S_B11_the_sample_after_every_layer():
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    x = Tensor(np.ones((1, 4), np.float32))
    out, stations = network.forward(x, trace=True)
    assert [name for name, _, _ in stations] == ["0", "1", "2"]
    for (_, layer, came), before in zip(stations, [x, *(s[2] for s in stations)], strict=False):
        assert np.array_equal(layer(before).numpy(), came.numpy())
    assert np.array_equal(out.numpy(), network(x).numpy())


def test_S_B12_a_network_approximates_a_continuous_function():
    x = np.linspace(-math.pi, math.pi, 256, dtype=np.float32).reshape(-1, 1)
    data = amounts(x, np.sin(3 * x[:, 0]))
    random.seed(1)
    network = nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    )
    optimizer = optim.Adam(network.parameters(), lr=1e-2)
    options = {"batch_size": 64, "patience": None, "loss": "mse"}
    run(network, data, everything(256), optimizer, epochs=1500, **options)
    optimizer.lr = 1e-3
    run(network, data, everything(256), optimizer, epochs=300, **options)
    error = np.abs(predict(network, x, probabilities=False)[:, 0] - data.y)
    assert error.max() < 0.05


def spirals(n=200, seed=0):
    """Two arms of n points each."""
    t = np.sqrt(np.linspace(0.02, 1, n)) * 3 * math.pi
    noise = (permutation(4 * n, seed, "example") / (4 * n) - 0.5).reshape(2, n, 2) * 0.4
    arms = [
        np.stack([s * t * np.cos(t), s * t * np.sin(t)], 1) / 5 + noise[i] * 0.3
        for i, s in enumerate((1, -1))
    ]
    y = np.repeat(np.arange(2, dtype=np.int32), n)
    return Dataset("spirals", np.concatenate(arms).astype(np.float32), y, ("a", "b"))


def test_S_B13_spirals_need_a_network():
    data = spirals()
    parts = split(data, 0.0, 0.25, seed=1)
    scores = {}
    for name in ("linear", "network"):
        random.seed(3)
        hidden = (
            [] if name == "linear" else [nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()]
        )
        network = nn.Sequential(*hidden, nn.Linear(64 if hidden else 2, 2))
        optimizer = optim.AdamW(network.parameters(), lr=5e-3)
        run(network, data, parts, optimizer, epochs=150, batch_size=50, patience=None)
        scores[name] = evaluate(network, data, parts.test).accuracy
    # table S says 65 % on its own spirals; two arms of half a turn and more leave a line near chance
    assert scores["linear"] <= 0.65 and scores["network"] >= 0.97


def test_S_B14_a_linear_network_is_least_squares():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).astype(np.float32)
    y = (x @ [1.5, -2.0, 0.5] + 0.7 + 0.1 * rng.normal(size=120)).astype(np.float32)
    network = nn.Sequential(nn.Linear(3, 1, init="zeros"))
    optimizer = optim.SGD(network.parameters(), lr=0.1)
    run(
        network,
        amounts(x, y),
        everything(120),
        optimizer,
        epochs=300,
        batch_size=120,
        patience=None,
        loss="mse",
    )
    exact = np.linalg.lstsq(np.column_stack([x, np.ones(120)]).astype(np.float64), y, rcond=None)[0]
    ours = np.append(network[0].weight.numpy()[:, 0], network[0].bias.numpy())
    np.testing.assert_allclose(ours, exact, atol=1e-3)


# C: activations


def test_S_C1_activation_is_a_choice_and_a_typo_suggests_the_nearest():
    for name in ("relu", "gelu", "tanh", "sigmoid", "leaky_relu"):
        assert recipe("digits", activation=name).activation == name
    with pytest.raises(OptionError, match="Did you mean 'relu'"):
        recipe("digits", activation="relus")
    with pytest.raises(OptionError, match="Did you mean 'relu'"):
        nn.activation("relus")


def test_S_C2_linear_layers_without_activation_are_one_linear_map():
    random.seed(0)
    network = nn.Sequential(*(nn.Linear(6, 6, init="glorot") for _ in range(5)))
    matrix, offset = np.eye(6), np.zeros(6)
    for layer in network:
        w = layer.weight.numpy().astype(np.float64)
        matrix, offset = matrix @ w, offset @ w + layer.bias.numpy()
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    assert np.abs(network(Tensor(x)).numpy() - (x @ matrix + offset)).max() < 1e-5


def test_S_C3_sigmoid_lies_in_0_to_1_and_never_overflows():
    y = F.sigmoid(Tensor(np.array([0.0, 1e4, -1e4, 2.0]))).numpy()
    assert y[0] == 0.5 and y[1] == 1.0 and y[2] == 0.0
    assert y[3] == pytest.approx(1 / (1 + math.exp(-2.0)), rel=1e-15)


def test_S_C4_sigmoid_says_91_percent():
    assert F.sigmoid(Tensor(np.array(2.3136))).item() == pytest.approx(0.9100, abs=5e-5)


def test_S_C5_relu_and_its_gradient():
    x = Tensor.parameter(np.array([-3.0, 0.0, 3.0]))
    assert F.relu(x).tolist() == [0.0, 0.0, 3.0]
    assert grad(F.relu(x).sum(), [x])[0].tolist() == [
        0.0,
        0.0,
        1.0,
    ]  # at 0: 0, as nn.ReLU's docstring says
    assert "0 is 0" in nn.ReLU.__doc__


def test_S_C6_leaky_relu_and_its_gradient():
    x = Tensor.parameter(np.array([-3.0, 3.0]))
    y = nn.LeakyReLU(0.01)(x)
    assert y.tolist() == [-0.03, 3.0]
    assert grad(y.sum(), [x])[0].tolist() == [0.01, 1.0]


def test_S_C7_gelu_exact_and_by_tanh():
    x = Tensor(np.array([1.0, -1.0]))
    np.testing.assert_allclose(nn.GELU()(x).numpy(), [0.8413, -0.1587], atol=5e-5)
    exact = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in (1.0, -1.0)]
    np.testing.assert_allclose(nn.GELU()(x).numpy(), exact, rtol=1e-14)
    by_tanh = nn.GELU("tanh")(x).numpy()
    assert 1e-6 < np.abs(by_tanh - exact).max() < 1e-3


def test_S_C8_softmax_gives_probabilities():
    p = F.softmax(Tensor(np.array([2.0, 1.0, 0.1, -1.0])), -1).numpy()
    np.testing.assert_allclose(p, [0.638, 0.235, 0.095, 0.032], atol=5e-4)
    assert p.sum() == pytest.approx(1.0, abs=1e-15)
    assert F.softmax(Tensor(np.array([1e4, 0.0])), -1).tolist() == [1.0, 0.0]


def test_S_C9_four_animals_get_four_probabilities():
    """Four classes, four probabilities that sum to 100 % (at library level: pictures of 4 pixels)."""
    x = np.repeat(np.eye(4, dtype=np.float32), 5, 0)
    data = Dataset(
        "animals", x, np.repeat(np.arange(4, dtype=np.int32), 5), ("dog", "cat", "chicken", "goat")
    )
    random.seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
    run(
        network,
        data,
        everything(20),
        optim.Adam(network.parameters(), lr=0.05),
        epochs=40,
        batch_size=5,
    )
    p = predict(network, x[:1])
    assert p.shape == (1, 4) and p.sum() == pytest.approx(1.0, abs=1e-6)
    assert data.classes[p[0].argmax()] == "dog" and p[0].max() > 0.9


def gradient_norms(kind):
    """Norm of each layer's weight gradient in a ten-layer network of width 16."""
    random.seed(0)
    layers = []
    for _ in range(10):
        layers += [
            nn.Linear(16, 16, init="glorot" if kind == "sigmoid" else "he"),
            nn.activation(kind),
        ]
    network = nn.Sequential(*layers, nn.Linear(16, 4))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 16)).astype(np.float32), rng.integers(0, 4, 64)
    weights = [layer.weight for layer in network if isinstance(layer, nn.Linear)]

    @compile
    def norms(x, y):
        return [(g * g).sum().sqrt() for g in grad(nn.cross_entropy(network(x), y), weights)]

    return [n.item() for n in norms(x, y)]


def test_S_C10_sigmoid_gradients_vanish_in_a_deep_network():
    norms = gradient_norms("sigmoid")
    assert norms[0] / norms[-1] < 1e-4


def test_S_C11_relu_gradients_do_not_vanish():
    norms = gradient_norms("relu")
    assert norms[0] / norms[-1] > 1e-2


# D: loss


def test_S_D1_loss_error_and_cost_are_one_thing():
    for word in ("Loss", "error", "cost"):
        assert word in nn.losses.__doc__
    assert nn.loss("cross-entropy") is nn.loss("log_loss") is nn.cross_entropy
    assert nn.loss("mse") is nn.loss("mean_squared_error") is nn.mse_loss
    with pytest.raises(OptionError, match="Did you mean 'mse'"):
        nn.loss("mes")


def test_S_D2_distance_small_and_large():
    assert nn.distance(1, 0.92) == pytest.approx(0.08, abs=1e-15)
    assert nn.distance(1, 0.35) == pytest.approx(0.65, abs=1e-15)
    for p, nats in (
        (0.92, 0.083),
        (0.35, 1.050),
    ):  # cross-entropy of the same answers punishes more
        logits = Tensor(np.log([[p, 1 - p]]))
        assert nn.cross_entropy(logits, Tensor([0])).item() == pytest.approx(nats, abs=5e-4)


def test_S_D3_mean_squared_error_matches_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 37)).astype(np.float32)
    assert nn.mse_loss(Tensor(a), Tensor(b)).item() == pytest.approx(
        np.mean((a - b) ** 2, dtype=np.float64), rel=1e-6
    )


def test_S_D4_cross_entropy_from_logits_is_finite_at_p_0():
    logits = Tensor.parameter(np.array([[1e4, -1e4], [0.0, 0.0]]))
    loss = nn.cross_entropy(logits, Tensor([1, 0]))
    assert loss.item() == pytest.approx((2e4 + math.log(2)) / 2)
    assert np.isfinite(grad(loss, [logits])[0].numpy()).all()
    assert recipe("digits").loss() == "cross_entropy"
    assert recipe("series").loss() == "mse"  # an amount


@pytest.fixture(scope="module")
def trained():
    """Digits, trained once by the default recipe, for the rows that look at a whole run."""
    made = recipe("digits")
    data = made.dataset()
    parts = made.split(data)
    network = made.network(data)
    before = {
        name: evaluate(network, data, getattr(parts, name))
        for name in ("train", "validation", "test")
    }
    options = Options(
        epochs=made.epochs, batch_size=made.batch, patience=made.patience, seed=made.seed
    )
    events = list(fit(network, data, parts, made.make_optimizer(network), options))
    return made, data, parts, network, before, events


def test_S_D5_training_minimises_the_loss(trained):
    _, data, parts, network, before, events = trained
    losses = [e.train.loss for e in events if isinstance(e, EpochDone)]
    assert losses[-1] < 0.05 * losses[0]
    assert before["train"].loss > 2.0  # ln 10 = 2.30 is the loss of knowing nothing
    assert evaluate(network, data, parts.train).loss < 0.1 < before["train"].loss
    assert evaluate(network, data, parts.validation).loss < 0.2


# E: training


def test_S_E1_one_cycle_is_forward_compare_adjust():
    w = Tensor.parameter(np.array([2.0]))
    x, y = 3.0, 7.0
    out = w * x
    assert out.item() == 6.0  # forward
    loss = (out - y) * (out - y)
    assert loss.item() == 1.0  # compare
    loss.sum().backward()
    assert w.grad.item() == -6.0  # 2 (6 - 7) 3
    optim.SGD([w], lr=0.1).step()  # adjust
    assert w.item() == pytest.approx(2.6, abs=1e-15)
    assert ((w * x - y) * (w * x - y)).item() == pytest.approx(0.64)  # repeat: nearer


def test_S_E2_forward_pass_returns_every_layers_z_and_a():
    network = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid())
    network[0].weight.assign(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    _, steps = network.forward(Tensor(np.array([[1.0, -1.0]], np.float32)), trace=True)
    (_, _, z), (_, _, a) = steps
    assert z.tolist() == [[-2.0, -2.0]]
    np.testing.assert_allclose(a.numpy(), [[0.1192, 0.1192]], atol=5e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float64", 1e-6)])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "gelu", "sigmoid", "tanh"])
def test_S_E3_gradients_equal_finite_differences(name, dtype, tolerance):
    random.seed(5)
    network = nn.Sequential(
        nn.Linear(4, 6, dtype=dtype), nn.activation(name), nn.Linear(6, 3, dtype=dtype)
    )
    exact = nn.Sequential(
        nn.Linear(4, 6, dtype="float64"), nn.activation(name), nn.Linear(6, 3, dtype="float64")
    )
    exact.load_state_dict({k: v.astype(np.float64) for k, v in network.state_dict().items()})
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 4)), Tensor(rng.integers(0, 3, 5))
    parameters = list(network.parameters())
    ours = grad(nn.cross_entropy(network(Tensor(x.astype(dtype))), y), parameters)
    loss = compile(lambda: nn.cross_entropy(exact(Tensor(x)), y))
    for p, g in zip(exact.parameters(), ours, strict=True):
        value, direction, eps = p.numpy(), rng.normal(size=p.shape), 1e-6
        p.assign(value + eps * direction)
        up = loss().item()
        p.assign(value - eps * direction)
        down = loss().item()
        p.assign(value)
        slope = (g.numpy().astype(np.float64) * direction).sum()
        scale = np.abs(g.numpy() * direction).sum() + 1e-8
        assert abs((up - down) / (2 * eps) - slope) <= tolerance * scale


def test_S_E4_a_gradient_is_the_product_of_factors_along_the_path():
    """L = (a - y)^2, a = sigmoid(z), z = w x: dL/dw = 2 (a - y) * a (1 - a) * x."""
    w, x, y = Tensor.parameter(np.array(0.5)), 2.0, 1.0
    a = F.sigmoid(w * x)
    (g,) = grad((a - y) * (a - y), [w])
    value = a.item()
    assert g.item() == pytest.approx(2 * (value - y) * value * (1 - value) * x, rel=1e-14)


def test_S_E5_the_contribution_of_each_weight_can_be_ranked():
    layer = nn.Linear(3, 1, init="zeros", dtype="float64")
    x = np.array([[0.1, -5.0, 1.0]])
    loss = nn.mse_loss(layer(Tensor(x)), Tensor(np.array([[1.0]])))
    (g,) = grad(loss, [layer.weight])
    assert np.argsort(-np.abs(g.numpy()[:, 0])).tolist() == [1, 2, 0]  # dL/dw = -2 x


def test_S_E6_errors_flow_backwards_from_the_teacher():
    """The error of each layer is the next one's, weighted back: d_z1 = (d_z2 W2^T) * relu'(z1)."""
    random.seed(2)
    first, second = nn.Linear(3, 4, dtype="float64"), nn.Linear(4, 2, dtype="float64")
    x = Tensor(np.random.default_rng(0).normal(size=(1, 3)))
    z1 = first(x)
    z2 = second(F.relu(z1))
    loss = nn.cross_entropy(z2, Tensor([1]))
    d1, d2 = grad(loss, [z1, z2])
    back = d2.numpy() @ second.weight.numpy().T * (z1.numpy() > 0)
    np.testing.assert_allclose(d1.numpy(), back, rtol=1e-13)
    teacher = F.softmax(z2, -1).numpy() - np.eye(2)[[1]]
    np.testing.assert_allclose(d2.numpy(), teacher, rtol=1e-13)


def test_S_E7_one_step_of_gradient_descent_by_hand():
    """Two weights: y = w1 x1 + w2 x2 = 0.5 * 1 - 0.25 * 2 = 0; loss (0 - 1)^2; gradient -2 x."""
    w = Tensor.parameter(np.array([0.5, -0.25], np.float32))
    x = Tensor(np.array([1.0, 2.0], np.float32))
    error = (w * x).sum() - 1.0
    (error * error).backward()
    assert w.grad.tolist() == [-2.0, -4.0]
    optim.SGD([w], lr=0.1).step()
    np.testing.assert_allclose(w.numpy(), [0.7, 0.15], atol=1e-7)


def test_S_E8_one_weight_03008():
    """w = 0.3, x = 1, y = 0.34, MSE, lr = 0.01: gradient 2 (0.3 - 0.34) = -0.08, w = 0.3008."""
    w = Tensor.parameter(np.array([[0.3]], np.float64))
    x, y = Tensor(np.array([[1.0]])), Tensor(np.array([[0.34]]))
    loss = nn.mse_loss(x @ w, y)
    loss.backward()
    assert w.grad.item() == pytest.approx(-0.08, abs=1e-15)
    optim.SGD([w], lr=0.01).step()
    assert w.item() == pytest.approx(0.3008, abs=1e-15)
    assert nn.mse_loss(x @ w, y).item() < loss.item()  # a second forward pass: nearer


def test_S_E9_stochastic_steps_are_noisier_than_full_ones():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2)).astype(np.float32)
    data = amounts(x, x @ [1.0, -1.0] + rng.normal(size=64))
    roughness = {}
    for batch in (1, 64):
        network = nn.Sequential(nn.Linear(2, 1, init="zeros"))
        optimizer = optim.SGD(network.parameters(), lr=0.05)
        events = run(
            network,
            data,
            everything(64),
            optimizer,
            epochs=80,
            batch_size=batch,
            patience=None,
            loss="mse",
        )
        curve = [e.train.loss for e in events if isinstance(e, EpochDone)][
            60:
        ]  # both have come down
        roughness[batch] = np.abs(np.diff(curve)).max()
    assert roughness[1] > 10 * roughness[64]


def test_S_E10_the_optimizer_is_a_choice():
    """Twenty steps of each equal PyTorch's: tests/optim/test_torch.py. Here: each learns, by its name."""
    for name in ("sgd", "momentum", "adam", "adamw"):
        made = recipe("digits", optimizer=name, net=(16,))
        data = made.dataset()
        network = made.network(data)
        parts = made.split(data)
        events = list(fit(network, data, parts, made.make_optimizer(network), Options(epochs=8)))
        losses = [e.train.loss for e in events if isinstance(e, EpochDone)]
        assert losses[-1] < 0.5 * losses[0], name
    with pytest.raises(OptionError, match="Did you mean 'adam'"):
        recipe("digits", optimizer="adma")


def test_S_E11_descent_walks_down_the_curve_of_one_weight():
    w = Tensor.parameter(np.array(4.0))
    optimizer = optim.SGD([w], lr=0.1)
    walked = []
    for _ in range(12):
        loss = (w - 1.0) * (w - 1.0) + 0.5
        walked.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(b < a for a, b in itertools.pairwise(walked))
    assert w.item() == pytest.approx(1 + 3 * 0.8**12)  # each step leaves 1 - 2 lr of the distance


def test_S_E12_the_learning_rate_can_change_mid_run_without_restart():
    w = Tensor.parameter(np.array([1.0]))
    optimizer = optim.SGD([w], lr=0.5)

    @compile
    def step():
        optimizer.step([Tensor(np.array([1.0]))])

    step()
    assert w.item() == 0.5
    optimizer.lr = 0.125
    step()
    assert w.item() == 0.375


@pytest.mark.parametrize(
    ("lr", "name"), [(1.1, "overshooting"), (0.3, "good"), (0.001, "crawling")]
)
def test_S_E13_too_large_overshoots_too_small_crawls(lr, name):
    w = Tensor.parameter(np.array(1.0))
    for _ in range(20):
        optim.SGD([w], lr=lr).step(grad(w * w, [w]))
    distance = abs(w.item())
    assert {"overshooting": distance > 1, "good": distance < 1e-6, "crawling": 0.9 < distance < 1}[
        name
    ]


def test_S_E14_initial_weights_follow_scheme_and_seed():
    random.seed(7)
    a = nn.Linear(400, 300, init="he").weight.numpy()
    random.seed(7)
    b = nn.Linear(400, 300, init="he").weight.numpy()
    assert np.array_equal(a, b) and len(np.unique(a)) > 1000
    variances = {
        "he": 2 / 400,
        "he_normal": 2 / 400,
        "glorot": 2 / 700,
        "glorot_normal": 2 / 700,
        "normal": 1e-4,
    }
    for scheme, variance in variances.items():
        w = nn.init.weight(scheme, 400, 300)
        assert (
            w.var() == pytest.approx(variance, rel=0.03) and abs(w.mean()) < 0.01 * w.std() + 1e-3
        )
    # zeros: all hidden neurons stay equal, the symmetry failure
    network = nn.Sequential(
        nn.Linear(4, 8, init="zeros"), nn.Sigmoid(), nn.Linear(8, 2, init="zeros")
    )
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    data = Dataset("t", x, (x[:, 0] > 0).astype(np.int32), ("a", "b"))
    run(
        network,
        data,
        everything(20),
        optim.SGD(network.parameters(), lr=0.5),
        epochs=20,
        batch_size=20,
    )
    w = network[0].weight.numpy()
    assert np.abs(w).max() > 0 and np.ptp(w, axis=1).max() == 0


def test_S_E15_epochs_and_iterations_are_counted(trained):
    made, _, parts, _, _, events = trained
    started = events[0]
    assert started.n_steps == math.ceil(len(parts.train) / made.batch)
    done = [e for e in events if isinstance(e, EpochDone)]
    assert [e.epoch for e in done] == list(range(1, len(done) + 1))
    assert all(e.steps_per_second > 0 and e.seconds_left >= 0 for e in done)
    assert all(0 < e.step < e.n_steps for e in events if isinstance(e, Progress))


def test_S_E16_it_stops_itself_when_the_validation_loss_is_flat(trained):
    made, _, _, _, _, events = trained
    stopped = events[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.epochs <= made.epochs
    if stopped.epochs < made.epochs:
        assert "has not improved for 20 epochs" in stopped.reason


def test_S_E17_held_out_accuracy_beside_the_majority_baseline(trained):
    _, data, parts, network, _, _ = trained
    predicted = predict(network, data.x[parts.test]).argmax(1)
    held_out = accuracy(data.y[parts.test], predicted)
    majority, baseline = majority_baseline(data.y[parts.train], data.y[parts.test])
    assert held_out >= 0.97 and 0.09 < baseline < 0.12 and 0 <= majority < 10
    assert held_out == evaluate(network, data, parts.test).accuracy
    table = confusion(data.y[parts.test], predicted, 10)
    assert table.sum() == len(parts.test) and np.trace(table) == round(held_out * len(parts.test))


def test_S_E18_predictions_on_new_data_come_with_probabilities(trained, tmp_path):
    from pellucid.base.errors import DataError
    from pellucid.data import read_pixels

    _, data, parts, network, _, _ = trained
    rows = parts.test[:20]
    text = "\n".join(",".join(f"{v:g}" for v in row * 16) for row in data.x[rows])
    (tmp_path / "new.csv").write_text(text)
    p = predict(network, read_pixels(tmp_path / "new.csv").x)
    assert p.shape == (20, 10) and np.abs(p.sum(1) - 1).max() < 1e-6
    assert (p.argmax(1) == data.y[rows]).mean() >= 0.9
    (tmp_path / "bad.csv").write_text(text.replace(",", ";", 1))
    with pytest.raises(DataError, match="line 1"):
        read_pixels(tmp_path / "bad.csv")


# G: practice


def test_S_G1_pixels_are_scaled_to_0_1_and_the_scale_is_stored(tmp_path):
    from pellucid.formats import model_json
    from pellucid.train.saved import load_model, save_model

    data = load_digits()
    assert data.x.min() == 0.0 and data.x.max() == 1.0 and data.scale == 16.0
    network = recipe("digits", net=(4,)).network(data)
    save_model(tmp_path, network, data, {})
    assert model_json.load(tmp_path / "model.json")["input"] == {
        "shape": [8, 8],
        "shift": 0.0,
        "scale": 16.0,
    }
    assert load_model(tmp_path).scale == 16.0


def test_S_G3_dropout_zeroes_half_in_training_and_nothing_in_prediction():
    random.seed(0)
    layer = nn.Dropout(0.5)
    x = Tensor(np.ones((200, 200), np.float32))
    kept = layer(x).numpy()
    assert abs((kept == 0).mean() - 0.5) <= 0.02
    assert set(np.unique(kept)) == {0.0, 2.0}  # the kept half is doubled
    assert not np.array_equal(layer(x).numpy(), kept)  # a fresh mask each time
    assert np.array_equal(layer.eval()(x).numpy(), x.numpy())


def test_S_G3_dropout_shrinks_the_gap_of_an_overfitted_network():
    data = load_digits()
    parts = split(data, 0.3, 0.0)
    few = Split(parts.train[::12], parts.validation)
    gap = {}
    for p in (0.0, 0.5):
        random.seed(0)
        network = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(p), nn.Linear(128, 10))
        optimizer = optim.Adam(network.parameters(), lr=5e-3)
        run(network, data, few, optimizer, epochs=60, batch_size=16, patience=None)
        gap[p] = (
            evaluate(network, data, few.validation).loss - evaluate(network, data, few.train).loss
        )
    assert 0 < gap[0.5] < gap[0.0]


def test_S_G5_early_stopping_restores_the_best_weights_and_names_the_epoch():
    data = load_digits()
    parts = split(data, 0.3, 0.0)
    few = Split(parts.train[::20], parts.validation)  # 63 rows: it overfits soon
    random.seed(0)
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    events = run(
        network,
        data,
        few,
        optim.Adam(network.parameters(), lr=0.02),
        epochs=200,
        batch_size=16,
        patience=5,
    )
    stopped, history = events[-1], [e for e in events if isinstance(e, EpochDone)]
    losses = [e.validation.loss for e in history]
    best = int(np.argmin(losses)) + 1
    assert stopped.epochs == best + 5 < 200 and stopped.best_epoch == best
    assert (
        f"not improved for 5 epochs; the weights of epoch {best}, the best, are restored"
        in stopped.reason
    )
    assert evaluate(network, data, few.validation).loss == losses[best - 1]
