"""Convolutions and their adjoints equal PyTorch's, and refuse what cannot be."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pellucid.nn as nn
from pellucid.base.errors import FormatError, OptionError, ShapeError
from pellucid.tensor import random
from pellucid.tensor.convolution import conv, conv_transpose
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor

torch = pytest.importorskip("torch")
from torch_images import compare, data, first, last, load  # noqa: E402
from torch_layers import close  # noqa: E402

PLACES = {1: (11,), 2: (7, 9), 3: (5, 6, 7)}  # odd sizes, and different ones


def pair(name, *args, dtype="float64", **options):
    theirs = getattr(torch.nn, name)(*args, dtype=getattr(torch, dtype), **options)
    ours = getattr(nn, name)(*args, dtype=dtype, **options)
    load(ours, theirs)
    return ours, theirs


SHORT = ("plain", "same, dilation", "doubles", "dilation", "groups", "everything")


def cases(table):
    """Every row for images, a few for sequences and volumes: one code serves all."""
    return [(case, d) for case in table for d in (1, 2, 3) if d == 2 or case in SHORT]


CONV = {
    "plain": (3, 5, 3, {}),
    "1x1": (3, 17, 1, {}),
    "even kernel": (3, 5, 2, {}),
    "no bias": (3, 5, 3, {"bias": False}),
    "stride": (3, 5, 3, {"stride": 2}),
    "stride above the kernel": (3, 4, 2, {"stride": 3}),
    "padding": (3, 5, 3, {"padding": 2}),
    "same": (3, 5, 4, {"padding": "same"}),
    "valid": (3, 5, 3, {"padding": "valid"}),
    "dilation": (3, 5, 3, {"dilation": 2, "padding": 1}),
    "same, dilation": (3, 5, 3, {"dilation": 2, "padding": "same"}),
    "groups": (6, 9, 3, {"groups": 3, "padding": 1}),
    "depthwise": (17, 17, 3, {"groups": 17, "padding": 1}),
    "depthwise, two each": (3, 6, 3, {"groups": 3}),
    "everything": (4, 6, 3, {"groups": 2, "padding": 1, "stride": 2, "dilation": 2}),
    "one channel": (1, 1, 3, {}),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch copies for even kernels
@pytest.mark.parametrize(("case", "d"), cases(CONV))
def test_convolution_equals_torch(case, d):
    n_in, n_out, kernel, options = CONV[case]
    ours, theirs = pair(f"Conv{d}d", n_in, n_out, kernel, **options)
    compare(ours, theirs, data((2, *PLACES[d], n_in)))


TRANSPOSED = {
    "plain": (3, 5, 3, {}),
    "1x1": (3, 5, 1, {}),
    "no bias": (3, 5, 2, {"bias": False}),
    "doubles": (3, 5, 4, {"stride": 2, "padding": 1}),
    "gaps": (3, 5, 2, {"stride": 3}),
    "padding": (3, 5, 3, {"padding": 1}),
    "padding beyond the kernel": (3, 5, 1, {"padding": 1}),
    "output padding": (3, 5, 3, {"stride": 2, "padding": 1, "output_padding": 1}),
    "output padding into nothing": (3, 5, 3, {"dilation": 3, "output_padding": 2}),
    "dilation": (3, 5, 3, {"dilation": 2, "stride": 2}),
    "groups": (6, 9, 3, {"groups": 3, "stride": 2}),
    "depthwise": (5, 5, 3, {"groups": 5, "stride": 2}),
    "depthwise, two each": (3, 6, 3, {"groups": 3}),
    "everything": (
        4,
        6,
        3,
        {"groups": 2, "padding": 1, "stride": 3, "dilation": 2, "output_padding": 2},
    ),
}


@pytest.mark.parametrize(("case", "d"), cases(TRANSPOSED))
def test_transposed_convolution_equals_torch(case, d):
    n_in, n_out, kernel, options = TRANSPOSED[case]
    ours, theirs = pair(f"ConvTranspose{d}d", n_in, n_out, kernel, **options)
    compare(ours, theirs, data((2, *(n - 2 for n in PLACES[d]), n_in)))


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_options_differ_from_axis_to_axis(name):
    options = {"stride": (1, 2), "padding": (2, 0), "dilation": (1, 2)}
    ours, theirs = pair(name, 3, 5, (3, 2), **options)
    compare(ours, theirs, data((2, 7, 9, 3)))


@pytest.mark.parametrize("name", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d"])
def test_float32_equals_torch(name):
    d = int(name[-2])
    ours, theirs = pair(name, 17, 33, 3, stride=2, padding=1, dtype="float32")
    compare(ours, theirs, data((3, *PLACES[d], 17), "float32"))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.data())
def test_any_shape_and_option_equals_torch(draw):
    """Both directions, whatever sizes meet."""

    def number(low, high, what):
        return draw.draw(st.integers(low, high), label=what)

    d = number(1, 2, "axes")
    is_transposed = draw.draw(st.booleans(), label="transposed")
    groups = number(1, 3, "groups")
    n_in, n_out = groups * number(1, 3, "in"), groups * number(1, 3, "out")
    kernel = tuple(number(1, 4, "kernel") for _ in range(d))
    options = {
        "stride": tuple(number(1, 3, "stride") for _ in range(d)),
        "padding": tuple(number(0, 3, "padding") for _ in range(d)),
        "dilation": tuple(number(1, 3, "dilation") for _ in range(d)),
        "groups": groups,
    }
    places = tuple(number(1, 8, "places") for _ in range(d))
    for n, k, s, p, m in zip(
        places, kernel, options["stride"], options["padding"], options["dilation"], strict=True
    ):
        reach = m * (k - 1) + 1
        assume((n - 1) * s + reach > 2 * p if is_transposed else n + 2 * p >= reach)
    name = f"Conv{'Transpose' * is_transposed}{d}d"
    ours, theirs = pair(name, n_in, n_out, kernel, **options)
    compare(ours, theirs, data((number(1, 3, "batch"), *places, n_in)))


SECOND = {
    "plain": ("Conv2d", {}),
    "strided": ("Conv2d", {"stride": 2, "padding": 1}),
    "same": ("Conv2d", {"padding": "same", "dilation": 2}),
    "groups": ("Conv2d", {"groups": 2}),
    "depthwise": ("Conv2d", {"groups": 4}),
    "transposed": ("ConvTranspose2d", {"stride": 2, "padding": 1}),
}


@pytest.mark.parametrize("case", SECOND)
def test_second_derivatives_equal_torch(case):
    """The gradients of |d f / d x|^2, as a gradient penalty has them."""
    name, options = SECOND[case]
    ours, theirs = pair(name, 4, 4 if case == "depthwise" else 6, 3, **options)
    x = data((2, 6, 5, 4))
    a, b = Tensor.parameter(x), first(x)
    ya = ours(a).tanh()
    w = data(ya.shape, seed=1)
    (ga,) = grad((ya * Tensor(w)).sum(), [a])
    named = dict(ours.named_parameters())
    found = grad((ga * ga).sum(), [a, *named.values()])
    yb = theirs(b).tanh()
    (gb,) = torch.autograd.grad((yb * first(w).detach()).sum(), [b], create_graph=True)
    reference = dict(theirs.named_parameters())
    wanted = torch.autograd.grad((gb * gb).sum(), [b, *(reference[n] for n in named)])
    close(ga, last(gb))
    close(found[0], last(wanted[0]))
    for n, g, t in zip(named, found[1:], wanted[1:], strict=True):
        close(g.numpy().transpose(ours.layouts.get(n, (0,))), t, what=n)


def test_a_convolution_by_hand():
    """x = 1 2 3 4, kernel 1 -1 2 (no flip): 1 - 2 + 6 = 5 and 2 - 3 + 8 = 7."""
    x = np.array([1.0, 2, 3, 4]).reshape(1, 4, 1)
    w = np.array([1.0, -1, 2]).reshape(3, 1, 1)
    assert conv(x, w).numpy().reshape(-1).tolist() == [5, 7]
    # the adjoint writes the kernel, scaled: 5 · (1 -1 2 .) + 7 · (. 1 -1 2)
    back = conv_transpose(np.array([5.0, 7]).reshape(1, 2, 1), w)
    assert back.numpy().reshape(-1).tolist() == [5, 2, 3, 14]


def test_the_adjoint_is_the_gradient_of_the_convolution():
    """d <conv(x), y> / dx = conv_transpose(y), also where a last column is seen by no window."""
    w = Tensor(data((3, 2, 4, 5)))
    x, y = Tensor.parameter(data((2, 7, 5, 4))), Tensor(data((2, 3, 3, 5), seed=1))
    (g,) = grad((conv(x, w, stride=2, padding=(0, 1)) * y).sum(), [x])
    back = conv_transpose(y, w.permute(0, 1, 3, 2), stride=2, padding=(0, 1), output_padding=(0, 1))
    np.testing.assert_allclose(back.numpy(), g.numpy(), rtol=1e-12, atol=1e-12)


def test_whole_numbers_are_read_as_floats_and_an_empty_batch_gives_none():
    layer = nn.Conv2d(1, 2, 3)
    pixels = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)
    assert np.array_equal(
        layer(Tensor(pixels)).numpy(), layer(Tensor(pixels.astype(np.float32))).numpy()
    )
    assert layer(Tensor(np.zeros((0, 5, 5, 1), np.float32))).numpy().shape == (0, 3, 3, 2)


# ---- weights


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
def test_weights_travel_to_pytorch_and_back_bit_for_bit(kind, d):
    ours, theirs = pair(f"{kind}{d}d", 4, 6, (2, 3, 4)[:d], groups=2, dtype="float32")
    state = ours.state_dict(layout="pytorch")
    for name, value in theirs.state_dict().items():
        assert np.array_equal(state[name], value.numpy()), name
    again = getattr(nn, f"{kind}{d}d")(4, 6, (2, 3, 4)[:d], groups=2, init="zeros")
    again.load_state_dict(state, layout="pytorch")
    assert np.array_equal(again.weight.numpy(), ours.weight.numpy())


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d"])
def test_initial_weights_have_pytorchs_bounds(kind):
    """Even between -b and b: the largest of 10,000 draws is within 0.1 % of b, their deviation b / sqrt(3)."""
    random.seed(0)
    ours = getattr(nn, kind)(32, 64, 3, groups=2)
    theirs = getattr(torch.nn, kind)(32, 64, 3, groups=2)
    for name, value in theirs.named_parameters():
        mine, its = dict(ours.named_parameters())[name].numpy(), value.detach().numpy()
        n = mine.size
        assert np.abs(mine).max() == pytest.approx(np.abs(its).max(), rel=1e-3 if n > 1e3 else 0.1)
        if n > 1e3:  # 1 % is about two deviations of the estimate for 9,216 draws
            assert mine.std() == pytest.approx(its.std(), rel=0.02)


def test_initialisations_by_name_have_the_variance_of_their_formula():
    random.seed(1)
    fan_in, fan_out = 9 * 32, 9 * 64
    wanted = {
        "he": 2 / fan_in,
        "he_normal": 2 / fan_in,
        "glorot": 2 / (fan_in + fan_out),
        "glorot_normal": 2 / (fan_in + fan_out),
        "normal": 1e-4,
        "zeros": 0.0,
        "orthogonal": 1 / fan_in,
    }
    for init, variance in wanted.items():
        layer = nn.Conv2d(32, 64, 3, init=init)
        # 18,432 draws: the variance's relative deviation is about 1 %
        assert layer.weight.numpy().var() == pytest.approx(variance, rel=0.05), init
        assert not layer.bias.numpy().any()
    with pytest.raises(OptionError, match="Did you mean 'glorot'"):
        nn.Conv2d(1, 1, 1, init="glorott")


def test_dense_weights_after_a_flatten_are_reordered():
    """A whole PyTorch network: (C, H, W) rows there, (H, W, C) here, and an image made of a vector."""
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3),
        torch.nn.Flatten(),
        torch.nn.Linear(3 * 4 * 5, 7),
        torch.nn.Linear(7, 2 * 3 * 4),
        torch.nn.Unflatten(1, (2, 3, 4)),
    ).double()
    ours = nn.Sequential(
        nn.Conv2d(2, 3, 3, dtype="float64"),
        nn.Flatten(),
        nn.flatten_order(nn.Linear(60, 7, dtype="float64"), inputs=(4, 5, 3)),
        nn.flatten_order(nn.Linear(7, 24, dtype="float64"), outputs=(3, 4, 2)),
        nn.Unflatten(1, (3, 4, 2)),
    )
    load(ours, theirs)
    x = data((2, 6, 7, 2))
    close(ours(Tensor(x)), last(theirs(first(x))))
    back = ours.state_dict(layout="pytorch")
    for name, value in theirs.state_dict().items():
        assert np.array_equal(back[name], value.numpy()), name
    both = nn.flatten_order(nn.Linear(6, 8), inputs=(3, 2), outputs=(4, 2))
    weight = both.weight.numpy().reshape(3, 2, 4, 2)  # (L, C, L', C')
    assert np.array_equal(
        both.state_dict("pytorch")["weight"], weight.transpose(3, 2, 1, 0).reshape(8, 6)
    )
    with pytest.raises(ShapeError, match=r"inputs \(4, 5\) are 20 values, but the layer has 60"):
        nn.flatten_order(nn.Linear(60, 7), inputs=(4, 5))


def test_all_weights_that_do_not_fit_are_listed():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 3))
    bad = {k: np.zeros((9, *v.shape), np.float32) for k, v in net.state_dict("pytorch").items()}
    with pytest.raises(ShapeError) as error:
        net.load_state_dict(bad, layout="pytorch")
    assert [line.split(":")[0] for line in str(error.value).split("\n")] == list(bad)
    assert "(9, 2, 1, 3, 3), the network's (2, 1, 3, 3)" in str(error.value)
    with pytest.raises(ShapeError, match="PyTorch's files need layout='pytorch'"):
        net.load_state_dict(net.state_dict("pytorch"))
    with pytest.raises(FormatError, match=r"missing 0\.bias"):
        net.load_state_dict({k: v for k, v in net.state_dict().items() if k != "0.bias"})


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, (3, 2), 2, (1, 0), 1, 2, False),
        nn.Conv1d(4, 6, 3, padding="same"),
        nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, True, (2, 1)),
    ],
    ids=repr,
)
def test_a_layer_is_built_again_from_its_config(layer):
    again = type(layer)(**layer.config())
    assert again.config() == layer.config() and repr(again) == repr(layer)
    again.load_state_dict(layer.state_dict())
    x = Tensor(data((2, *(6,) * layer.n_places, 4), "float32"))
    assert np.array_equal(layer(x).numpy(), again(x).numpy())


# ---- what is refused

IMAGES = np.zeros((2, 8, 9, 3), np.float32)
REFUSED = {
    "groups": (
        lambda: nn.Conv2d(6, 8, 3, groups=4),
        "4 groups do not divide 6 input channels.*groups may be 1, 2",
    ),
    "groups, out": (
        lambda: nn.Conv2d(4, 6, 3, groups=4),
        "4 groups do not divide 6 output channels",
    ),
    "stride 0": (lambda: nn.Conv2d(3, 4, 3, stride=0), "stride must be whole numbers of 1 or more"),
    "half a stride": (lambda: nn.Conv2d(3, 4, 3, stride=0.5), "got 0.5"),
    "no channels": (lambda: nn.Conv2d(0, 4, 3), "in_channels must be"),
    "three sizes": (
        lambda: nn.Conv2d(3, 4, (3, 3, 3)),
        r"kernel_size \(3, 3, 3\) has 3 numbers, but there are 2 axes \(H, W\)",
    ),
    "a word": (
        lambda: nn.Conv2d(3, 4, 3, padding="full"),
        "'same', 'valid' or numbers; got 'full'",
    ),
    "same, stride": (
        lambda: nn.Conv2d(3, 4, 5, padding="same", stride=2),
        r"stride \(2, 2\) cannot.*padding=\(2, 2\)",
    ),
    "negative padding": (lambda: nn.Conv2d(3, 4, 3, padding=-1), "0 or more; got -1"),
    "output padding": (
        lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, output_padding=2),
        "output_padding 2 must be below the stride 2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_cannot_be_are_refused_when_the_layer_is_made(case):
    make, words = REFUSED[case]
    with pytest.raises(OptionError, match=words) as error:
        make()
    assert str(error.value).startswith(("Conv2d:", "ConvTranspose2d:"))


UNFIT = {
    "kernel": (
        lambda: nn.Conv2d(3, 4, 9),
        r"Conv2d\(3 -> 4, kernel_size=9\) got shape \(2, 8, 9, 3\): a kernel of 9 reaches over 9 places, but H "
        r"has 8. Use a kernel of 8 or less, padding of 1 or more",
    ),
    "dilated kernel": (
        lambda: nn.Conv2d(3, 4, 3, dilation=6, padding=1),
        r"a kernel of 3 with dilation 6 reaches over 13 places, but H has 8 \+ 2 of padding",
    ),
    "channels": (
        lambda: nn.Conv2d(4, 4, 3),
        "must be 4 channels, and is 3. Give the layer 3 input channels",
    ),
    "channels first": (
        lambda: nn.Conv2d(8, 4, 3),
        r"Axis 1 has 8: channels are last here.*x.permute\(0, 2, 3, 1\)",
    ),
    "rank": (lambda: nn.Conv1d(3, 4, 3), r"the input is \(N, L, C\), channels last. It has 4 axes"),
    "one sample": (lambda: nn.Conv3d(3, 4, 3), r"add the batch axis: x.unsqueeze\(0\)"),
    "one channel": (lambda: nn.Conv3d(1, 4, 3), r"an axis: x.unsqueeze\(-1\)"),
    "nothing left": (
        lambda: nn.ConvTranspose2d(3, 4, 2, padding=5),
        "makes 9, and padding 5 at both ends leaves none. Use padding of 4 or less",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_inputs_that_do_not_fit_name_both_numbers_and_the_repair(case):
    make, words = UNFIT[case]
    with pytest.raises(ShapeError, match=words):
        make()(Tensor(IMAGES))


def test_an_error_inside_a_network_names_the_path_of_the_layer():
    net = nn.Sequential(nn.ReLU(), nn.Residual(nn.Sequential(nn.Conv2d(3, 3, 9))))
    with pytest.raises(
        ShapeError, match=r"^layer '1\.f\.0': Conv2d\(3 -> 3, kernel_size=9\) got shape"
    ):
        net(Tensor(IMAGES))


def test_functions_refuse_weights_and_biases_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"a weight of shape \(3, 4\)"):
        conv(IMAGES, np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="axis 1, a kernel size, is 0"):
        conv(IMAGES, np.zeros((1, 0, 3, 4)))
    with pytest.raises(
        ShapeError, match=r"conv2d got a bias of shape \(3,\); for 4 output channels"
    ):
        conv(IMAGES, np.zeros((1, 1, 3, 4)), np.zeros(3))
