"""Modules: what they hold, store and show; containers; one neuron; what they refuse."""

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid.base.errors import FormatError, IndexRangeError, OptionError, ShapeError
from pellucid.tensor import random
from pellucid.tensor.tensor import Tensor


def network():
    random.seed(0)
    return nn.Sequential(
        nn.Linear(4, 3),
        nn.ReLU(),
        nn.Sequential(nn.Linear(3, 3, bias=False), nn.Tanh()),
        nn.Linear(3, 2),
    )


def test_parameters_have_the_names_of_pytorch():
    assert [n for n, _ in network().named_parameters()] == [
        "0.weight",
        "0.bias",
        "2.0.weight",
        "3.weight",
        "3.bias",
    ]
    assert network().n_parameters == 4 * 3 + 3 + 9 + 6 + 2


def test_a_shared_layer_is_learned_once():
    layer = nn.Linear(3, 3)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(list(net.parameters())) == 2 and list(net.state_dict()) == ["0.weight", "0.bias"]


def test_tensors_that_do_not_learn_are_buffers_and_private_ones_are_left_out():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale = Tensor(np.ones(3, np.float32))
            self._scratch = Tensor(np.zeros(3, np.float32))
            self.w = Tensor.parameter(np.zeros(3, np.float32))

        def forward(self, x):
            return x * self.scale + self.w

    module = Scaled()
    assert [n for n, _ in module.named_buffers()] == ["scale"]
    assert [n for n, _ in module.named_parameters()] == ["w"]
    assert sorted(module.state_dict()) == ["scale", "w"]


def test_state_dict_is_a_copy_and_goes_back():
    a, b = network(), network()
    state = a.state_dict()
    a[0].weight.assign(a[0].weight * 2)
    assert not np.array_equal(a.state_dict()["0.weight"], state["0.weight"])
    a.load_state_dict(state)
    for (_, x), (_, y) in zip(a.named_parameters(), b.named_parameters(), strict=True):
        assert np.array_equal(x.numpy(), y.numpy())


def test_load_checks_everything_before_it_changes_anything():
    net = network()
    before = net.state_dict()
    bad = {
        "missing '?0.weight": {k: v for k, v in before.items() if k != "0.weight"},
        "not in the network extra": {**before, "extra": np.zeros(1)},
        r"3.bias: the stored shape is \(3,\), the network's \(2,\)": {
            **before,
            "3.bias": np.zeros(3, np.float32),
        },
        "PyTorch's files need layout='pytorch'": {**before, "0.weight": before["0.weight"].T},
        "3.bias: the stored dtype is int64": {**before, "3.bias": np.zeros(2, np.int64)},
    }
    for words, state in bad.items():
        with pytest.raises((FormatError, ShapeError), match=words):
            net.load_state_dict({k: v * 0 + 7 if k == "0.bias" else v for k, v in state.items()})
        assert all(np.array_equal(v, before[k]) for k, v in net.state_dict().items())
    with pytest.raises(FormatError, match="layout 'torch' is unknown"):
        net.state_dict("torch")
    net.load_state_dict({"3.bias": np.ones(2, np.float32)}, strict=False)
    assert net.state_dict()["3.bias"].tolist() == [1, 1]


def test_train_and_eval_reach_every_layer():
    net = nn.Sequential(nn.Sequential(nn.Dropout(0.5)))
    assert not net.eval()[0][0].training and net.train()[0][0].training


def test_repr_shows_shapes_and_parameter_counts():
    assert repr(network()) == (
        "Sequential(  # 32 parameters\n"
        "  (0) Linear(4 -> 3)  15 parameters\n"
        "  (1) ReLU()\n"
        "  (2) Sequential(  # 9 parameters\n"
        "    (0) Linear(3 -> 3, no bias)  9 parameters\n"
        "    (1) Tanh()\n"
        "  )\n"
        "  (3) Linear(3 -> 2)  8 parameters\n"
        ")"
    )


def test_linear_names_both_sizes_and_the_repair():
    with pytest.raises(ShapeError) as error:
        nn.Linear(16, 4)(Tensor(np.zeros((32, 20), np.float32)))
    assert str(error.value) == (
        "Linear(16 -> 4) got shape (32, 20): its last axis must be 16. For 20 columns use Linear(20, 4)."
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear(0, 3), "in_features must be"),
        (lambda: nn.Linear(3, 2.5), "out_features must be"),
        (lambda: nn.Linear(3, 2, init="hee"), "Did you mean 'he'"),
        (lambda: nn.Dropout(1.5), "0 to 1; got 1.5"),
        (lambda: nn.Dropout(float("nan")), "0 to 1"),
        (lambda: nn.GELU("tan"), "Did you mean 'tanh'"),
        (lambda: nn.activation("zigmoid"), "Did you mean 'sigmoid'"),
        (lambda: nn.activation(3), "named by a word"),
        (lambda: nn.CrossEntropyLoss(reduction="average"), "reduction 'average' is unknown"),
    ],
)
def test_unknown_options_suggest_the_nearest(make, words):
    with pytest.raises(OptionError, match=words):
        make()


def test_flatten_joins_all_axes_but_the_first():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(nn.Flatten()(Tensor(x)).numpy(), x.reshape(2, 12))
    assert nn.Flatten()(Tensor(np.zeros((5, 0)))).shape == (5, 0)
    assert nn.Flatten()(Tensor(np.zeros(5))).shape == (5, 1)


def test_sequential_can_be_indexed_cut_and_counted():
    net = network()
    assert len(net) == 4 and net[1] is list(net)[1] and net[-1] is net[3]
    assert len(net[:2]) == 2 and net[:2][0] is net[0]


def test_softmax_layers_sum_to_one_along_their_axis():
    x = Tensor(np.random.default_rng(0).normal(size=(3, 5)))
    for axis in (0, 1, -1):
        np.testing.assert_allclose(nn.Softmax(axis)(x).numpy().sum(axis), 1, rtol=1e-14)


@pytest.mark.parametrize("labels", [[0, 3], [0, -1]])
def test_labels_out_of_range_name_the_row(labels):
    with pytest.raises(IndexRangeError, match=rf"target {labels[1]} in row 1 is outside 0\.\.2"):
        nn.cross_entropy(Tensor(np.zeros((2, 3))), Tensor(labels))


def test_losses_refuse_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match="they must be equal"):
        nn.mse_loss(Tensor(np.zeros((3, 1))), Tensor(np.zeros(3)))
    with pytest.raises(ShapeError, match=r"scores, as \(B, C\)"):
        nn.cross_entropy(Tensor(np.zeros((3, 2))), Tensor([0, 1]))
    with pytest.raises(IndexRangeError, match="must be integers"):
        nn.cross_entropy(Tensor(np.zeros((2, 2))), Tensor([0.0, 1.0]))


# Dropout


def test_dropout_keeps_the_mean_and_its_gradient_is_the_mask():
    from pellucid.tensor.gradient import grad

    random.seed(3)
    x = Tensor.parameter(np.ones((100, 100), np.float32))
    y = nn.Dropout(0.2)(x)
    (g,) = grad(y.sum(), [x])
    assert np.array_equal(g.numpy(), y.numpy())  # d(x m)/dx = m, and x = 1
    # 10,000 draws: the mean's standard deviation is 0.005
    assert y.numpy().mean() == pytest.approx(1.0, abs=0.02)


def test_dropout_of_0_and_1():
    x = Tensor(np.ones(5, np.float32))
    assert nn.Dropout(0)(x).tolist() == [1] * 5 and nn.Dropout(1)(x).tolist() == [0] * 5


def test_dropout_follows_from_the_seed():
    x = Tensor(np.ones(50, np.float32))
    masks = []
    for _ in range(2):
        random.seed(4)
        masks.append(nn.Dropout(0.5)(x).tolist())
    assert masks[0] == masks[1]


# The neuron


def test_neuron_explains_negative_terms_and_its_activation():
    neuron = nn.Neuron([1.5, -2.0], b=-0.5, activation="relu")
    assert neuron.explanation([1, 2]) == "1·1.5 + 2·-2 - 0.5 = -3\nrelu(-3) = 0"
    assert nn.Neuron([0.1, 0.2], b=None).explanation([1, 1]) == "1·0.1 + 1·0.2 = 0.3"
    assert repr(neuron) == "Neuron(w=[1.5, -2], b=-0.5, relu)"


def test_neuron_takes_batches_and_refuses_what_does_not_fit():
    neuron = nn.Neuron([1, 2])
    assert neuron([[1, 1], [0, 3]]).tolist() == [3, 6]
    with pytest.raises(ShapeError, match="Neuron has 2 weights"):
        neuron([1, 2, 3])
    with pytest.raises(ShapeError, match="one input at a time"):
        neuron.explain()
    with pytest.raises(ShapeError, match="needs an input"):
        nn.Neuron([1]).explain()
    with pytest.raises(ShapeError, match="list of numbers"):
        nn.Neuron([[1, 2], [3, 4]])
