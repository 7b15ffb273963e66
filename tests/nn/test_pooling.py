"""Pooling and upsampling equal PyTorch's, and refuse what cannot be."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pellucid.nn as nn
from pellucid.base.errors import OptionError, ShapeError
from pellucid.tensor import convolution as C
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor

torch = pytest.importorskip("torch")
from torch_images import compare, data, first, last  # noqa: E402
from torch_layers import close  # noqa: E402

PLACES = {1: (11,), 2: (7, 9), 3: (5, 6, 7)}
SHORT = ("plain", "3, stride 2", "divides", "odd", "doubles")


def cases(table):
    """Every row for images, a few for sequences and volumes: one code serves all."""
    return [(case, d) for case in table for d in (1, 2, 3) if d == 2 or case in SHORT]


MAX = {
    "plain": (2, {}),
    "1": (1, {}),
    "3, stride 2": (3, {"stride": 2, "padding": 1}),
    "stride above the kernel": (2, {"stride": 3}),
    "dilation": (2, {"dilation": 3, "stride": 1, "padding": 1}),
    "ceil": (2, {"ceil_mode": True}),
    "ceil, padding": (3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    "ceil, large stride": (2, {"stride": 5, "padding": 1, "ceil_mode": True}),
}


@pytest.mark.parametrize(("case", "d"), cases(MAX))
def test_max_pool_equals_torch(case, d):
    kernel, options = MAX[case]
    name = f"MaxPool{d}d"
    theirs = getattr(torch.nn, name)(kernel, **options)
    compare(getattr(nn, name)(kernel, **options), theirs, data((2, *PLACES[d], 3)))


MEAN = {
    "plain": (2, {}),
    "3, stride 2": (3, {"stride": 2, "padding": 1}),
    "real values only": (3, {"stride": 2, "padding": 1, "count_include_pad": False}),
    "ceil": (2, {"ceil_mode": True}),
    "ceil, padding": (3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    "ceil, real values only": (
        3,
        {"stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    ),
    "ceil, large stride": (2, {"stride": 5, "padding": 1, "ceil_mode": True}),
}


@pytest.mark.parametrize(("case", "d"), cases(MEAN))
def test_avg_pool_equals_torch(case, d):
    kernel, options = MEAN[case]
    name = f"AvgPool{d}d"
    theirs = getattr(torch.nn, name)(kernel, **options)
    compare(getattr(nn, name)(kernel, **options), theirs, data((2, *PLACES[d], 3)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pools_take_options_for_each_axis(dtype):
    options = {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)}
    x = data((2, 7, 9, 17), dtype)
    compare(nn.MaxPool2d(**options), torch.nn.MaxPool2d(**options), x)
    compare(nn.AvgPool2d(**options), torch.nn.AvgPool2d(**options), x)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_windows_of_any_size_equal_torch(draw):
    def number(low, high, what):
        return draw.draw(st.integers(low, high), label=what)

    n, k, s, m = number(1, 9, "n"), number(1, 5, "kernel"), number(1, 6, "stride"), 1
    p, ceil = number(0, k // 2, "padding"), draw.draw(st.booleans(), label="ceil")
    is_max, is_included = (draw.draw(st.booleans(), label=w) for w in ("max", "include"))
    if is_max:
        m = number(1, 2, "dilation")
    assume(n + 2 * p >= m * (k - 1) + 1)
    x = data((2, n, 3))
    if is_max:
        ours = C.max_pool(Tensor(x), k, s, p, m, ceil)
        theirs = torch.nn.functional.max_pool1d(first(x), k, s, p, m, ceil)
    else:
        ours = C.avg_pool(Tensor(x), k, s, p, ceil, is_included)
        theirs = torch.nn.functional.avg_pool1d(first(x), k, s, p, ceil, is_included)
    close(ours, last(theirs))


def test_the_first_of_equal_largest_values_takes_the_gradient():
    """By hand: 1 1 | 0 2, windows of 2; as in PyTorch."""
    x = Tensor.parameter(np.array([1.0, 1, 0, 2]).reshape(1, 4, 1))
    (g,) = grad(C.max_pool(x, 2).sum(), [x])
    assert g.numpy().reshape(-1).tolist() == [1, 0, 0, 1]


def test_max_pool_of_negative_values_never_sees_its_padding():
    x = -np.ones((1, 3, 3, 1))
    assert np.array_equal(C.max_pool(x, 3, 1, 1).numpy(), x)


ADAPTIVE = {
    "one": 1,
    "divides": 3,  # of 9; 7 -> 3 does not
    "odd": 4,
    "prime": 5,
    "grows": 13,
    "for each": (2, 3),
    "kept": (None, 4),
}


@pytest.mark.parametrize("kind", ["Avg", "Max"])
@pytest.mark.parametrize(("case", "d"), cases(ADAPTIVE))
def test_adaptive_pool_equals_torch(case, d, kind):
    name = f"Adaptive{kind}Pool{d}d"
    theirs = getattr(torch.nn, name)(ADAPTIVE[case])
    ours = getattr(nn, name)(ADAPTIVE[case])
    x = data((2, *PLACES[d], 3))
    if case == "grows" and kind == "Max":  # bins overlap: rows and columns share their largest
        close(ours(Tensor(x)), last(theirs(first(x))))
        return
    compare(ours, theirs, x)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 12), st.integers(1, 12))
def test_any_number_of_bins_equals_torch(n, m):
    x = data((2, n, 3))
    for ours, theirs in (
        (C.adaptive_avg_pool, torch.nn.functional.adaptive_avg_pool1d),
        (C.adaptive_max_pool, torch.nn.functional.adaptive_max_pool1d),
    ):
        close(ours(Tensor(x), m), last(theirs(first(x), m)))


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 5, 4, 3), (2, 5, 4, 3, 2), (0, 3, 3, 2)])
def test_global_pools_reduce_all_places(shape):
    x = data(shape)
    axes = tuple(range(1, len(shape) - 1))
    np.testing.assert_allclose(nn.GlobalAvgPool()(Tensor(x)).numpy(), x.mean(axes), rtol=1e-12)
    assert np.array_equal(nn.GlobalMaxPool()(Tensor(x)).numpy(), x.max(axes))
    assert nn.GlobalMaxPool(keepdims=True)(Tensor(x)).shape == x.max(axes, keepdims=True).shape


def test_global_pools_have_the_gradients_of_adaptive_pools_to_one():
    x = data((2, 7, 9, 3))
    for ours, theirs in (
        (nn.GlobalAvgPool(True), torch.nn.AdaptiveAvgPool2d(1)),
        (nn.GlobalMaxPool(True), torch.nn.AdaptiveMaxPool2d(1)),
    ):
        compare(ours, theirs, x)


# ---- upsampling

SIZES = {
    "doubles": {"scale_factor": 2},
    "triples": {"scale_factor": 3.0},
    "fraction": {"scale_factor": 1.7},
    "shrinks": {"scale_factor": 0.6},
    "odd": {"size": 13},
    "smaller": {"size": 3},
    "one": {"size": 1},
    "as it is": {"scale_factor": 1},
    "nearly as it is": {"scale_factor": 1.05},
}


@pytest.mark.parametrize("mode", ["nearest", "linear", "linear, corners"])
@pytest.mark.parametrize(("case", "d"), cases(SIZES))
def test_upsampling_equals_torch(case, d, mode):
    options = {"mode": mode} | SIZES[case]
    if mode != "nearest":
        options["mode"] = ("linear", "bilinear", "trilinear")[d - 1]
        options["align_corners"] = mode != "linear"
    compare(nn.Upsample(**options), torch.nn.Upsample(**options), data((2, *PLACES[d], 3)))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_upsampling_equals_torch_in_float32_and_for_each_axis(mode):
    x = data((2, 7, 9, 3), "float32")
    for options in ({"size": (11, 5)}, {"scale_factor": (2, 1.5)}, {"scale_factor": 5}):
        ours, theirs = (m.Upsample(mode=mode, **options) for m in (nn, torch.nn))
        compare(ours, theirs, x)


@pytest.mark.parametrize("factor", [2, 41, 49, 61.0])
def test_whole_factors_repeat_exactly(factor):
    """Also those (41, ..) whose float32 reciprocal makes PyTorch repeat a value once too often."""
    x = data((1, 5, 1))
    ours = C.upsample(x, scale_factor=factor).numpy()
    assert np.array_equal(ours, np.repeat(x, int(factor), 1))


# ---- records and refusals

LAYERS = [
    nn.MaxPool2d((3, 2), 1, (1, 0), 2, True), nn.AvgPool1d(3, padding=1, count_include_pad=False),
    nn.AdaptiveAvgPool2d((None, 3)), nn.AdaptiveMaxPool1d(2), nn.GlobalAvgPool(True), nn.GlobalMaxPool(),
    nn.Upsample((3, 4), mode="bilinear", align_corners=True), nn.Upsample(scale_factor=2),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_a_layer_is_built_again_from_its_config(layer):
    again = type(layer)(**layer.config())
    assert again.config() == layer.config() and repr(again) == repr(layer)


REFUSED = {
    "stride 0": (lambda: nn.MaxPool2d(2, 0), "stride must be whole numbers of 1 or more; got 0"),
    "padding": (
        lambda: nn.AvgPool2d(3, padding=2),
        "padding 2 is more than half of the 3 places .* Use padding of 1 or less",
    ),
    "bins": (lambda: nn.AdaptiveAvgPool2d(0), "1 or more, None .* got 0"),
    "bins of three axes": (lambda: nn.AdaptiveMaxPool2d((1, 2, 3)), "or 2 of these"),
    "both": (lambda: nn.Upsample(3, 2), "size or scale_factor, one of them"),
    "neither": (lambda: nn.Upsample(), "size or scale_factor"),
    "corners": (
        lambda: nn.Upsample(3, align_corners=True),
        "align_corners is for the linear modes",
    ),
    "mode": (lambda: nn.Upsample(3, mode="bilinaer"), "Did you mean 'bilinear'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_cannot_be_are_refused(case):
    make, words = REFUSED[case]
    with pytest.raises(OptionError, match=words):
        make()


IMAGES = np.zeros((2, 5, 6, 3), np.float32)
UNFIT = {
    "kernel": (
        nn.MaxPool2d(6),
        r"MaxPool2d\(kernel_size=6\) got shape \(2, 5, 6, 3\): a kernel of 6 reaches over 6 places, but H has 5",
    ),
    "rank": (nn.AvgPool1d(2), r"the input is \(N, L, C\), channels last. It has 4 axes"),
    "one sample": (nn.AdaptiveAvgPool3d(2), r"add the batch axis: x.unsqueeze\(0\)"),
    "scale": (nn.Upsample(scale_factor=0.1), r"leaves the sizes \(0, 0\)"),
    "mode": (nn.Upsample(3, mode="linear"), "mode may be 'nearest' or 'bilinear'; got 'linear'"),
    "factors": (nn.Upsample(scale_factor=(1, 2, 3)), "a number above 0, or 2 of them"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_inputs_that_do_not_fit_name_both_numbers_and_the_repair(case):
    layer, words = UNFIT[case]
    with pytest.raises((ShapeError, OptionError), match=words):
        layer(Tensor(IMAGES))


@pytest.mark.parametrize("layer", [nn.GlobalMaxPool(), nn.AdaptiveAvgPool2d(1)], ids=repr)
def test_nothing_cannot_be_pooled(layer):
    with pytest.raises(ShapeError, match=r"shape \(2, 0, 6, 3\)"):
        layer(Tensor(IMAGES[:, :0]))
