"""Containers and dropout: what they compute, hold, store and refuse; errors name the layer's path."""

import numpy as np
import pytest

import pellucid
import pellucid.nn as nn
from pellucid.base.errors import OptionError, ShapeError
from pellucid.runtime.team import get_threads, set_threads
from pellucid.tensor import random
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# ---- containers


def test_residual_adds_what_f_gives_to_x_or_to_the_shortcut():
    x, f, g = Tensor(data(4, 3)), nn.Linear(3, 3), nn.Linear(3, 5)
    y = nn.Residual(f)(x)
    assert np.array_equal(y.numpy(), (f(x) + x).numpy())
    assert np.array_equal(nn.Residual(nn.Linear(3, 5, init="zeros"), g)(x).numpy(), g(x).numpy())
    assert [n for n, _ in nn.Residual(f, g).named_parameters()] == [
        "f.weight", "f.bias", "shortcut.weight", "shortcut.bias",
    ]  # fmt: skip


def test_the_gradient_of_a_residual_passes_both_ways():
    """d/dx (x W + x) = W^T + I, summed over the outputs."""
    x, f = Tensor.parameter(data(2, 3)), nn.Linear(3, 3, bias=False)
    (g,) = grad(nn.Residual(f)(x).sum(), [x])
    wanted = np.broadcast_to(f.weight.numpy().sum(1) + 1, (2, 3))
    np.testing.assert_allclose(g.numpy(), wanted, rtol=1e-6)


def test_residual_names_both_shapes_and_the_repair():
    with pytest.raises(ShapeError, match=r"f gives shape \(4, 5\) and x \(4, 3\).*Give shortcut"):
        nn.Residual(nn.Linear(3, 5))(Tensor(data(4, 3)))
    with pytest.raises(ShapeError, match=r"\(4, 5\) and the shortcut \(4, 2\)"):
        nn.Residual(nn.Linear(3, 5), nn.Linear(3, 2))(Tensor(data(4, 3)))


def test_parallel_branches_are_added_or_joined():
    x, a, b = Tensor(data(4, 6, 3)), nn.Linear(3, 5), nn.Linear(3, 5)
    ya, yb = a(x).numpy(), b(x).numpy()
    assert np.array_equal(nn.Parallel(a, b)(x).numpy(), ya + yb)
    for axis in (-1, 1):
        joined = nn.Parallel(a, b, join="concat", axis=axis)(x)
        assert np.array_equal(joined.numpy(), np.concatenate([ya, yb], axis))
    assert nn.Parallel(a, nn.ReLU(), join="concat")(x).shape == (4, 6, 8)
    assert [n for n, _ in nn.Parallel(a, nn.ReLU(), b).named_parameters()] == [
        "0.weight", "0.bias", "2.weight", "2.bias",
    ]  # fmt: skip


def test_parallel_refuses_what_cannot_be_joined():
    with pytest.raises(ShapeError, match=r"branch 0 gives shape \(2, 5\) and branch 1 \(2, 4\)"):
        nn.Parallel(nn.Linear(3, 5), nn.Linear(3, 4))(Tensor(data(2, 3)))
    with pytest.raises(OptionError, match="Did you mean 'concat'"):
        nn.Parallel(nn.ReLU(), join="concatenate")
    with pytest.raises(OptionError, match="at least one branch"):
        nn.Parallel()


def test_a_module_list_holds_what_a_plain_list_would_hide():
    class Towers(nn.Module):
        def __init__(self):
            self.towers = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
            self.towers.append(nn.Linear(2, 2, bias=False)).extend([nn.Dropout(0.5)])

        def forward(self, x):
            for tower in self.towers:
                x = tower(x)
            return x

    net = Towers()
    assert [n for n, _ in net.named_parameters()] == [
        "towers.0.weight", "towers.0.bias", "towers.1.weight", "towers.1.bias", "towers.2.weight",
    ]  # fmt: skip
    assert len(net.towers) == 4 and net.towers[-2] is list(net.towers)[2]
    assert len(net.towers[1:]) == 3 and net.towers[1:][0] is net.towers[1]
    assert not net.eval().towers[3].training
    with pytest.raises(OptionError, match="holds modules; got function"):
        nn.ModuleList([lambda x: x])
    with pytest.raises(
        ShapeError, match=r"^layer 'towers\.0': Linear\(2 -> 2\) got shape \(5, 3\)"
    ):
        net(Tensor(data(5, 3)))


def test_unflatten_cuts_one_axis():
    x = data(2, 24, 3)
    for axis, sizes in ((1, (2, 3, 4)), (1, (2, -1)), (-2, (4, 6)), (2, (3, 1))):
        at = axis % 3
        wanted = x.reshape(
            *x.shape[:at], *np.zeros(x.shape[at]).reshape(sizes).shape, *x.shape[at + 1 :]
        )
        got = nn.Unflatten(axis, sizes)(Tensor(x))
        assert np.array_equal(got.numpy(), wanted)
    layer = nn.Unflatten(1, (2, -1))
    again = nn.Unflatten(**layer.config())
    assert repr(again) == repr(layer) == "Unflatten(1, (2, -1))"
    assert np.array_equal(
        nn.Flatten()(nn.Unflatten(1, (4, 6))(Tensor(x))).numpy(), x.reshape(2, -1)
    )


def test_unflatten_refuses_sizes_that_do_not_multiply():
    with pytest.raises(ShapeError, match=r"the sizes make 15 values, and axis 1 has 24"):
        nn.Unflatten(1, (3, 5))(Tensor(data(2, 24)))
    with pytest.raises(ShapeError, match="axis 1 has 24"):
        nn.Unflatten(1, (5, -1))(Tensor(data(2, 24)))
    for sizes in ((), (-1, -1), (2.5, 2), (-3, 2)):
        with pytest.raises(OptionError, match="whole numbers, at most one of them -1"):
            nn.Unflatten(1, sizes)


# ---- errors from inside


def test_an_error_names_the_path_and_keeps_its_kind():
    class Block(nn.Module):
        def __init__(self):
            self.inner = nn.Sequential(nn.ReLU(), nn.Linear(3, 3))

        def forward(self, x):
            return self.inner(x)

    with pytest.raises(ShapeError) as error:
        nn.Sequential(nn.Linear(4, 4), Block())(Tensor(data(2, 4)))
    assert str(error.value) == (
        "layer '1.inner.1': Linear(3 -> 3) got shape (2, 4): its last axis must be 3. For 4 columns use "
        "Linear(4, 3)."
    )


def test_an_error_of_a_function_gets_the_name_of_its_layer():
    class Doubled(nn.Module):
        def extra_repr(self):
            return "x2"

        def forward(self, x):
            return x @ x

    with pytest.raises(ShapeError, match=r"^Doubled\(x2\): matmul got shapes"):
        Doubled()(Tensor(data(2, 4)))
    with pytest.raises(ShapeError, match=r"^layer '1': Doubled\(x2\): matmul got shapes"):
        nn.Sequential(nn.ReLU(), Doubled())(Tensor(data(2, 4)))


# ---- dropout

CHANNELS = {
    nn.Dropout1d: (50, 7, 40),
    nn.Dropout2d: (50, 3, 5, 40),
    nn.Dropout3d: (50, 2, 3, 2, 40),
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_channel_dropout_zeroes_whole_channels(kind):
    random.seed(2)
    shape = CHANNELS[kind]
    x = Tensor.parameter(np.ones(shape, np.float32))
    y = kind(0.25)(x)
    (g,) = grad(y.sum(), [x])
    assert np.array_equal(g.numpy(), y.numpy())  # d(x m)/dx = m, and x = 1
    channels = y.numpy().reshape(shape[0], -1, shape[-1])
    assert (channels == channels[:, :1]).all()
    assert (channels[0] != channels[1]).any()  # each sample's mask is its own
    assert set(np.unique(channels)) == {np.float32(0), np.float32(1 / 0.75)}
    # 2,000 channels: the kept share's deviation is 0.01
    assert (channels[:, 0] > 0).mean() == pytest.approx(0.75, abs=0.04)
    assert np.array_equal(kind(0.25).eval()(x).numpy(), x.numpy())


def test_channel_dropout_is_drawn_anew_in_every_compiled_step_and_follows_from_the_seed():
    layer, x = nn.Dropout2d(0.5), Tensor(np.ones((4, 2, 2, 16), np.float32))
    step = pellucid.compile(lambda x: layer(x))
    runs = []
    for _ in range(2):
        random.seed(7)
        runs.append([step(x).numpy() for _ in range(2)])
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(*runs[0])


def test_channel_dropout_refuses_other_ranks_and_chances():
    with pytest.raises(
        ShapeError, match=r"Dropout2d\(0.5\) got shape \(2, 3, 4\): the input is \(N, H, W, C\)"
    ):
        nn.Dropout2d()(Tensor(data(2, 3, 4)))
    with pytest.raises(OptionError, match="Dropout3d: p is the chance"):
        nn.Dropout3d(1.5)
    assert nn.Dropout1d(1)(Tensor(data(2, 3, 4))).numpy().any() == np.False_


# ---- a network of all of them


def network():
    random.seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding="same"),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.GroupNorm(2, 8))),
        nn.Parallel(nn.MaxPool2d(2), nn.AvgPool2d(2), join="concat"),
        nn.Dropout2d(0.2),
        nn.ConvTranspose2d(16, 4, 4, stride=2, padding=1),
        nn.Upsample(scale_factor=0.5, mode="bilinear"),
        nn.GlobalAvgPool(),
        nn.LayerNorm(4),
        nn.Linear(4, 3),
    )


def trained(n_steps, batch=8, places=(9, 10)):
    """Weights and losses after some steps of plain gradient descent in a compiled step."""
    net = network()
    x, labels = Tensor(data(batch, *places, 2)), Tensor(np.arange(batch) % 3)

    @pellucid.compile
    def step(x, labels):
        loss = nn.cross_entropy(net(x), labels)
        weights = list(net.parameters())
        pellucid.assign(
            *((w, w - 0.1 * g) for w, g in zip(weights, grad(loss, weights), strict=True))
        )
        return loss

    losses = [step(x, labels).item() for _ in range(n_steps)]
    return losses, net.state_dict()


def test_a_compiled_network_learns_and_repeats_its_bits():
    losses, state = trained(8)
    again, same = trained(8)
    assert losses == again and all(np.array_equal(v, same[k]) for k, v in state.items())
    assert losses[-1] < losses[0] and state["1.num_batches_tracked"] == 8


def test_the_engines_agree_on_a_network_in_training(monkeypatch):
    """Two steps in NumPy and compiled; float32 roundings of sums of up to 720 terms, through 10 layers."""
    losses, state = trained(2)
    monkeypatch.setenv("PELLUCID_ENGINE", "reference")
    wanted, reference = trained(2)
    np.testing.assert_allclose(losses, wanted, rtol=1e-5)
    for name, value in reference.items():
        np.testing.assert_allclose(state[name], value, rtol=1e-3, atol=2e-5, err_msg=name)


def test_the_number_of_threads_does_not_change_a_bit():
    """A batch that is large enough to be shared out."""
    before, found = get_threads(), []
    try:
        for n in (1, 2, 3, 4):
            set_threads(n)
            found.append(trained(3, 33, (24, 26)))
    finally:
        set_threads(before)
    for losses, state in found[1:]:
        assert losses == found[0][0]
        assert all(np.array_equal(v, found[0][1][k]) for k, v in state.items())
