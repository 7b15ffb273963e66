"""Normalisation layers equal PyTorch's in training and prediction, and refuse what cannot be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
import pellucid.nn as nn
from pellucid.base.errors import OptionError, ShapeError
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor

torch = pytest.importorskip("torch")
from torch_images import compare, data, first, last, load, same_buffers  # noqa: E402
from torch_layers import close  # noqa: E402

PLACES = {0: (), 1: (11,), 2: (7, 9), 3: (3, 4, 5)}


def pair(name, *args, dtype="float64", **options):
    """Both layers with the same weights, which are not 1 and 0."""
    theirs = getattr(torch.nn, name)(*args, dtype=getattr(torch, dtype), **options)
    ours = getattr(nn, name)(*args, dtype=dtype, **options)
    rng = np.random.default_rng(5)
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.tensor(rng.normal(size=tuple(p.shape))))
    load(ours, theirs)
    return ours, theirs


def batch(shape, dtype="float64", seed=0):
    """Values whose mean is far from 0, each channel's in another place."""
    return (data(shape, dtype, seed) * 2 + np.arange(shape[-1]) - 3).astype(dtype)


RUNNING = {
    "plain": {},
    "eps": {"eps": 0.1},
    "momentum": {"momentum": 0.3},
    "mean of all": {"momentum": None},
    "no parameters": {"affine": False},
    "affine": {"affine": True},
    "no memory": {"track_running_stats": False},
    "memory": {"track_running_stats": True},
}


@pytest.mark.parametrize("case", RUNNING)
@pytest.mark.parametrize("name", ["BatchNorm2d", "InstanceNorm2d"])
def test_running_norms_equal_torch_in_training_and_prediction(name, case):
    """Two batches, so that the running statistics hold old and new; then prediction with them."""
    if name == "InstanceNorm2d" and case == "mean of all":
        with pytest.raises(OptionError, match="0 to 1; got None"):
            nn.InstanceNorm2d(5, momentum=None)
        return
    ours, theirs = pair(name, 5, **RUNNING[case])
    for seed in (0, 1):
        compare(ours, theirs, batch((3, *PLACES[2], 5), seed=seed))
    ours.eval()
    theirs.eval()
    compare(ours, theirs, batch((2, 5, 4, 5), seed=2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("kind", "d"),
    [*(("Batch", d) for d in (0, 1, 2, 3)), *(("Instance", d) for d in (1, 2, 3))],
)
def test_running_norms_of_all_ranks_equal_torch(kind, d, dtype):
    name = f"{kind}Norm{max(1, d)}d"
    ours, theirs = pair(name, 17, affine=True, track_running_stats=True, dtype=dtype)
    x = batch((4, *PLACES[d], 17), dtype)
    compare(ours, theirs, x)
    compare(ours.eval(), theirs.eval(), x)


@pytest.mark.parametrize(
    ("shape", "sizes", "options"),
    [
        ((4, 17), 17, {}),
        ((2, 5, 7), 7, {"eps": 0.1}),
        ((2, 5, 7), (5, 7), {}),
        ((3, 5, 4, 2), (5, 4, 2), {"bias": False}),
        ((4, 17), 17, {"elementwise_affine": False}),
        ((9,), 9, {}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layer_norm_equals_torch(shape, sizes, options, dtype):
    ours, theirs = pair("LayerNorm", sizes, dtype=dtype, **options)
    same_axes(ours, theirs, batch(shape, dtype))


@pytest.mark.parametrize(
    ("shape", "sizes", "options"),
    [
        ((4, 17), 17, {}),
        ((2, 5, 7), 7, {"eps": 0.1}),
        ((2, 5, 7), (5, 7), {}),
        ((4, 17), 17, {"elementwise_affine": False}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rms_norm_equals_torch(shape, sizes, options, dtype):
    ours, theirs = pair("RMSNorm", sizes, dtype=dtype, **options)
    same_axes(ours, theirs, batch(shape, dtype))


def test_a_row_of_one_value_becomes_the_bias():
    layer = nn.LayerNorm(1)
    layer.bias.assign(Tensor([3.0]))
    assert layer(Tensor(np.array([[7.1], [-2.3]], np.float32))).tolist() == [[3.0], [3.0]]


def same_axes(ours, theirs, x):
    """As compare, for layers whose axes are in PyTorch's order."""
    a, b = Tensor.parameter(x), torch.tensor(x, requires_grad=True)
    ya, yb = ours(a), theirs(b)
    close(ya, yb)
    w = data(x.shape, x.dtype.name, 3)
    named = dict(ours.named_parameters())
    found = grad((ya * Tensor(w)).sum(), [a, *named.values()])
    (yb * torch.tensor(w)).sum().backward()
    # where the output does not depend on x, PyTorch's gradient is its rounding error
    close(found[0], b.grad, tolerance=1e-5 if x.dtype == np.float32 else 1e-10)
    for (name, p), g in zip(theirs.named_parameters(), found[1:], strict=True):
        close(g, p.grad, what=name)


@pytest.mark.parametrize(
    ("groups", "d"), [(1, 0), (2, 0), (1, 1), (6, 1), (1, 2), (2, 2), (6, 2), (3, 3)]
)
def test_group_norm_equals_torch(groups, d):
    ours, theirs = pair("GroupNorm", groups, 6)
    compare(ours, theirs, batch((3, *PLACES[d], 6)))


@pytest.mark.parametrize("options", [{"eps": 0.1}, {"affine": False}])
def test_group_norm_takes_its_options_and_float32(options):
    ours, theirs = pair("GroupNorm", 3, 6, dtype="float32", **options)
    compare(ours, theirs, batch((3, 5, 4, 6), "float32"))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=3), st.integers(1, 4))
def test_batch_norm_of_any_shape_equals_torch(sizes, channels):
    if np.prod(sizes) < 2:
        return
    d = len(sizes) - 1
    ours, theirs = pair(f"BatchNorm{d}d", channels)
    compare(ours, theirs, batch((*sizes, channels)))


SECOND = {"BatchNorm2d": (3,), "InstanceNorm2d": (3,), "GroupNorm": (3, 3)}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_equal_torch(name):
    ours, theirs = pair(name, *SECOND[name], affine=True)
    x = batch((2, 4, 3, 3))
    a, b = Tensor.parameter(x), first(x)
    w = data(x.shape, seed=1)
    (ga,) = grad((ours(a).tanh() * Tensor(w)).sum(), [a])
    found = grad((ga * ga).sum(), [a, ours.weight])
    (gb,) = torch.autograd.grad(
        (theirs(b).tanh() * first(w).detach()).sum(), [b], create_graph=True
    )
    wanted = torch.autograd.grad((gb * gb).sum(), [b, theirs.weight])
    close(ga, last(gb))
    close(found[0], last(wanted[0]))
    close(found[1], wanted[1])


def test_a_large_mean_does_not_cancel():
    """Values 1,000,000 + N(0, 1) in float32: x itself is rounded to 1/16, nothing is lost besides."""
    x = (data((4000, 3)) + 1e6).astype(np.float32)
    exact = x.astype(np.float64)
    wanted = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5)
    # float32 sums of 4,000 values of about 1: relative error 4,000 · 6e-8 at the worst
    np.testing.assert_allclose(nn.BatchNorm1d(3)(Tensor(x)).numpy(), wanted, atol=2e-4)
    rows = np.ascontiguousarray(x.T)
    # here the mean of the row itself is rounded to 1/16 before it is subtracted
    got = nn.LayerNorm(4000)(Tensor(rows)).numpy()
    np.testing.assert_allclose(got - got.mean(1, keepdims=True), wanted.T, atol=5e-3)


def test_a_channel_without_variance_stays_finite():
    x = Tensor.parameter(np.full((4, 5, 3), 7.0, np.float32))
    y = nn.BatchNorm1d(3)(x)
    (g,) = grad((y * Tensor(data((4, 5, 3), "float32"))).sum(), [x])
    assert not y.numpy().any() and np.isfinite(g.numpy()).all()


def test_running_statistics_are_state_of_a_compiled_step():
    """Three compiled steps leave what three plain ones leave, and what PyTorch has."""
    plain, traced = nn.BatchNorm1d(4, dtype="float64"), nn.BatchNorm1d(4, dtype="float64")
    theirs = torch.nn.BatchNorm1d(4, dtype=torch.float64)
    step = pellucid.compile(lambda x: traced(x))
    for seed in range(3):
        x = batch((6, 4), seed=seed)
        plain(Tensor(x))
        step(Tensor(x))
        theirs(torch.tensor(x))
    assert traced.num_batches_tracked.item() == 3
    same_buffers(plain, theirs)
    same_buffers(traced, theirs)


def test_gradients_do_not_flow_through_what_is_remembered():
    """Training and prediction in one compiled step: the second depends on the first as on a constant."""
    layer = nn.BatchNorm1d(3)

    @pellucid.compile
    def both(x, other):
        layer.train()(x)
        return grad(layer.eval()(other).sum(), x)

    x, other = (Tensor(batch((6, 3), "float32", seed)) for seed in (0, 1))
    assert not both(x, other).numpy().any()
    assert layer.running_mean.numpy().all()


def test_prediction_changes_no_state_and_a_sample_does_not_depend_on_its_batch():
    layer = nn.BatchNorm2d(3)
    layer(Tensor(batch((4, 5, 5, 3), "float32")))
    layer.eval()
    before = layer.state_dict()
    x = batch((4, 5, 5, 3), "float32", 1)
    whole, one = layer(Tensor(x)).numpy(), layer(Tensor(x[1:2])).numpy()
    assert np.array_equal(whole[1:2], one)
    assert all(np.array_equal(v, before[k]) for k, v in layer.state_dict().items())


LAYERS = [
    nn.BatchNorm1d(3), nn.BatchNorm2d(3, 1e-3, None, False), nn.InstanceNorm2d(3, affine=True),
    nn.LayerNorm((2, 3), 1e-3, bias=False), nn.LayerNorm(4, elementwise_affine=False), nn.RMSNorm(3),
    nn.RMSNorm(3, 1e-3, False), nn.GroupNorm(2, 4, 1e-3, False),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_a_layer_is_built_again_from_its_config(layer):
    again = type(layer)(**layer.config())
    assert again.config() == layer.config() and repr(again) == repr(layer)
    assert list(again.state_dict()) == list(layer.state_dict())


REFUSED = {
    "groups": (
        lambda: nn.GroupNorm(4, 6),
        "4 groups do not divide 6 channels. num_groups may be 1, 2, 3, 6",
    ),
    "features": (lambda: nn.BatchNorm1d(0), "num_features must be whole numbers of 1 or more"),
    "momentum": (lambda: nn.BatchNorm1d(3, momentum=2), "0 to 1, or None .* got 2"),
    "eps": (lambda: nn.LayerNorm(3, eps=-1), "0 or more, as 1e-5; got -1"),
    "no axes": (lambda: nn.RMSNorm(()), "names no axis"),
    "half": (lambda: nn.LayerNorm(2.5), "got 2.5"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_cannot_be_are_refused(case):
    make, words = REFUSED[case]
    with pytest.raises(OptionError, match=words):
        make()


UNFIT = {
    "batch of one": (
        nn.BatchNorm1d(3),
        (1, 3),
        r"BatchNorm1d\(3\) got shape \(1, 3\): values of each channel: 1, and a variance needs 2. Use batches of 2",
    ),
    "one pixel": (nn.BatchNorm2d(3), (1, 1, 1, 3), "values of each channel: 1"),
    "one place": (nn.InstanceNorm1d(3), (4, 1, 3), "a sample has 1 places"),
    "features": (nn.BatchNorm1d(3), (4, 5), r"must be 3 features. For 5 use BatchNorm1d\(5\)"),
    "channels first": (
        nn.BatchNorm2d(3),
        (4, 3, 5, 5),
        r"Axis 1 has 3: channels are last here.*permute\(0, 2, 3, 1\)",
    ),
    "rank": (nn.BatchNorm2d(3), (4, 5, 3), r"the input is \(N, H, W, C\)"),
    "flat": (nn.InstanceNorm2d(3), (4, 3), r"the input is \(N, H, W, C\)"),
    "last axis": (
        nn.LayerNorm(8),
        (2, 5),
        r"LayerNorm\(8\) got shape \(2, 5\): its last axis must be 8. For 5 features use LayerNorm\(5\)",
    ),
    "last axes": (nn.LayerNorm((3, 8)), (2, 5, 8), r"its last 2 axes must be \(3, 8\)"),
    "rms": (nn.RMSNorm(8), (2, 5), r"RMSNorm\(8\) got shape"),
    "group": (nn.GroupNorm(2, 4), (2, 5, 5, 3), "must be 4 channels, and is 3"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_inputs_that_do_not_fit_name_both_numbers_and_the_repair(case):
    layer, shape, words = UNFIT[case]
    with pytest.raises(ShapeError, match=words):
        layer(Tensor(np.zeros(shape, np.float32)))


def test_one_value_is_normalised_in_prediction():
    assert nn.BatchNorm1d(3).eval()(Tensor(np.ones((1, 3), np.float32))).shape == (1, 3)
