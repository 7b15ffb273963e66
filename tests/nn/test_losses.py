"""Losses equal PyTorch's in values and gradients, with every option; classes last."""

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid.base.errors import IndexRangeError, OptionError, ShapeError
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor
from pellucid.tensor.trace import compile

torch = pytest.importorskip("torch")
T = torch.nn.functional

# Sums of at most 200 terms of size 10, each rounded a few times.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
REDUCTIONS = ["mean", "sum", "none"]
rng = np.random.default_rng(0)


def equal(ours, theirs, dtype):
    theirs = theirs.detach().numpy()
    limit = TOLERANCE[dtype]
    largest = max(1.0, np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0))
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=limit, atol=limit * largest)


def check(ours, theirs, *inputs, dtype):
    """The value, and the gradient of each input, of the loss (weighted, where it is not one number)."""
    a = [Tensor.parameter(x.astype(dtype)) for x in inputs]
    b = [torch.tensor(x.astype(dtype), requires_grad=True) for x in inputs]
    ya, yb = ours(*a), theirs(*b)
    equal(ya, yb, dtype)
    w = np.random.default_rng(1).normal(size=tuple(yb.shape)).astype(dtype)
    da = grad((ya * Tensor(w)).sum(), a)
    db = torch.autograd.grad((yb * torch.tensor(w)).sum(), b)
    for x, y in zip(da, db, strict=True):
        equal(x, y, dtype)


def last(loss):
    """PyTorch's loss of classes at axis 1, for classes at the last."""
    return lambda x, *rest, **options: loss(
        x.movedim(-1, 1) if x.ndim > 2 else x,
        *[r.movedim(-1, 1) if r.ndim == x.ndim > 2 else r for r in rest],
        **options,
    )


each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_case = pytest.mark.parametrize(
    ("dtype", "reduction"), [("float32", "mean"), *[("float64", r) for r in REDUCTIONS]]
)

# name -> (ours, PyTorch's) of (predicted, target, reduction), for amounts
AMOUNTS = {
    "mse": (nn.MSELoss, torch.nn.MSELoss, {}),
    "l1": (nn.L1Loss, torch.nn.L1Loss, {}),
    "smooth_l1": (nn.SmoothL1Loss, torch.nn.SmoothL1Loss, {}),
    "smooth_l1_beta": (nn.SmoothL1Loss, torch.nn.SmoothL1Loss, {"beta": 0.3}),
    "smooth_l1_0": (nn.SmoothL1Loss, torch.nn.SmoothL1Loss, {"beta": 0.0}),
    "huber": (nn.HuberLoss, torch.nn.HuberLoss, {}),
    "huber_delta": (nn.HuberLoss, torch.nn.HuberLoss, {"delta": 2.5}),
}


@each_case
@pytest.mark.parametrize("name", AMOUNTS)
def test_losses_of_amounts_equal_torch(name, reduction, dtype):
    ours, theirs, options = AMOUNTS[name]
    x, y = rng.normal(size=(2, 5, 7)) * 2
    y[0, 0] = x[0, 0]  # no error: the gradient of |d| at 0 is 0
    ours, theirs = ours(reduction=reduction, **options), theirs(reduction=reduction, **options)
    check(ours, theirs, x.astype("float32"), y.astype("float32"), dtype=dtype)


@each_case
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(
    ("shape", "ignored"), [((1, 17), None), ((5, 17), 2), ((2, 3, 17), -100), ((2, 3, 2, 5), None)]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_equals_torch(weighted, shape, ignored, smoothing, reduction, dtype):
    labels = rng.integers(0, shape[-1], shape[:-1])
    labels.reshape(-1)[0] = 3
    if ignored is not None and labels.size > 1:
        labels.reshape(-1)[-1] = ignored
    weight = rng.uniform(0.5, 2, shape[-1]).astype(dtype)
    other = -100 if ignored is None else ignored
    options = {"reduction": reduction, "label_smoothing": smoothing}
    ours = nn.CrossEntropyLoss(Tensor(weight) if weighted else None, ignored, **options)
    theirs = torch.nn.CrossEntropyLoss(
        torch.tensor(weight) if weighted else None, ignore_index=other, **options
    )
    check(
        lambda x: ours(x, Tensor(labels)),
        lambda x: last(theirs)(x, torch.tensor(labels)),
        rng.normal(size=shape) * 4,
        dtype=dtype,
    )


@each_case
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_soft_targets_equals_torch(weighted, smoothing, reduction, dtype):
    target = rng.dirichlet(np.ones(6), (2, 3))
    weight = rng.uniform(0.5, 2, 6).astype(dtype)
    options = {"reduction": reduction, "label_smoothing": smoothing}
    ours = nn.CrossEntropyLoss(Tensor(weight) if weighted else None, **options)
    theirs = torch.nn.CrossEntropyLoss(torch.tensor(weight) if weighted else None, **options)
    check(ours, last(theirs), rng.normal(size=(2, 3, 6)), target, dtype=dtype)


def test_a_single_example_needs_no_batch():
    logits = np.array([1.0, 2.0, 0.5])
    value = nn.cross_entropy(Tensor(logits), Tensor(np.array(1))).item()
    assert value == pytest.approx(np.log(np.exp(logits).sum()) - 2.0, rel=1e-14)


def test_cross_entropy_is_finite_for_any_finite_logits():
    logits = Tensor.parameter(np.array([[1e30, -1e30], [0.0, 8e37]], np.float32))
    value = nn.cross_entropy(logits, Tensor([0, 1]))
    assert value.item() == 0 and np.isfinite(grad(value, logits).numpy()).all()


@each_case
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [None, 1])
def test_nll_equals_torch(ignored, weighted, reduction, dtype):
    labels = np.array([[0, 1, 4], [2, 2, 3]])
    weight = rng.uniform(0.5, 2, 5).astype(dtype)
    ours = nn.NLLLoss(Tensor(weight) if weighted else None, ignored, reduction)
    theirs = torch.nn.NLLLoss(
        torch.tensor(weight) if weighted else None,
        ignore_index=-100 if ignored is None else ignored,
        reduction=reduction,
    )
    x = np.log(rng.dirichlet(np.ones(5), (2, 3)))
    check(
        lambda x: ours(x, Tensor(labels)),
        lambda x: last(theirs)(x, torch.tensor(labels)),
        x,
        dtype=dtype,
    )


@each_case
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy_equals_torch(weighted, reduction, dtype):
    p, y = rng.uniform(0.01, 0.99, (2, 4, 7))
    weight = rng.uniform(0.5, 2, 7).astype(dtype) if weighted else None
    ours = nn.BCELoss(None if weight is None else Tensor(weight), reduction)
    theirs = torch.nn.BCELoss(None if weight is None else torch.tensor(weight), reduction=reduction)
    check(ours, lambda p, y: theirs(p, y), p, y, dtype=dtype)


@each_dtype
def test_a_certain_and_wrong_probability_costs_100(dtype):
    p, y = np.array([0.0, 1.0, 0.0, 1.0], dtype), np.array([1.0, 0.0, 0.0, 1.0], dtype)
    a = Tensor.parameter(p)
    value = nn.binary_cross_entropy(a, Tensor(y), "none")
    assert (
        value.tolist()
        == T.binary_cross_entropy(torch.tensor(p), torch.tensor(y), reduction="none").tolist()
        == [100, 100, 0, 0]
    )
    assert np.isfinite(grad(value.sum(), a).numpy()).all()


@each_case
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pos_weighted", [False, True])
def test_binary_cross_entropy_with_logits_equals_torch(pos_weighted, weighted, reduction, dtype):
    x, y = rng.normal(size=(4, 7)) * 4, rng.uniform(size=(4, 7))
    x[0, :4] = [0, 90, -90, 1000]
    weight, pos = rng.uniform(0.5, 3, (2, 7)).astype(dtype)
    options = [(weighted, "weight", weight), (pos_weighted, "pos_weight", pos)]
    ours = nn.BCEWithLogitsLoss(reduction=reduction, **{n: Tensor(v) for on, n, v in options if on})
    theirs = torch.nn.BCEWithLogitsLoss(
        reduction=reduction, **{n: torch.tensor(v) for on, n, v in options if on}
    )
    check(ours, theirs, x, y, dtype=dtype)


@each_dtype
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_kl_div_equals_torch(log_target, reduction, dtype):
    q, p = rng.dirichlet(np.ones(6), (2, 4))
    ours, theirs = (
        nn.KLDivLoss(reduction, log_target),
        torch.nn.KLDivLoss(reduction=reduction, log_target=log_target),
    )
    check(ours, theirs, np.log(q), np.log(p) if log_target else p, dtype=dtype)


def test_a_target_of_0_adds_nothing_to_kl():
    q = np.log([[0.5, 0.5]])
    value = nn.kl_div(Tensor(q), Tensor(np.array([[0.0, 1.0]])), "sum")
    assert value.item() == pytest.approx(np.log(2), rel=1e-14)


SIGNS = np.array([1, -1, -1, 1, 1, -1, 1, -1])


@each_case
@pytest.mark.parametrize("margin", [0.5, 1.0])
def test_losses_of_margins_equal_torch(margin, reduction, dtype):
    a, b = rng.normal(size=(2, 8)) * 2
    a[1] = margin  # exactly at the margin
    y = (Tensor(SIGNS), torch.tensor(SIGNS))
    options = {"margin": margin, "reduction": reduction}
    ours, theirs = nn.HingeEmbeddingLoss(**options), torch.nn.HingeEmbeddingLoss(**options)
    check(lambda x: ours(x, y[0]), lambda x: theirs(x, y[1]), a, dtype=dtype)
    ours, theirs = nn.MarginRankingLoss(**options), torch.nn.MarginRankingLoss(**options)
    check(lambda x, z: ours(x, z, y[0]), lambda x, z: theirs(x, z, y[1]), a, b, dtype=dtype)
    # PyTorch's ranking loss against a second of 0 is the plain hinge.
    ours = nn.HingeLoss(**options)
    check(lambda x: ours(x, y[0]), lambda x: theirs(x, torch.zeros_like(x), y[1]), a, dtype=dtype)
    rows = rng.normal(size=(2, 8, 5))
    ours, theirs = nn.CosineEmbeddingLoss(**options), torch.nn.CosineEmbeddingLoss(**options)
    check(lambda x, z: ours(x, z, y[0]), lambda x, z: theirs(x, z, y[1]), *rows, dtype=dtype)


@each_case
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_multi_margin_equals_torch(weighted, p, reduction, dtype):
    labels = np.array([0, 4, 2])
    weight = rng.uniform(0.5, 2, 5).astype(dtype)
    options = {"p": p, "margin": 0.7, "reduction": reduction}
    ours = nn.MultiMarginLoss(weight=Tensor(weight) if weighted else None, **options)
    theirs = torch.nn.MultiMarginLoss(weight=torch.tensor(weight) if weighted else None, **options)
    check(
        lambda x: ours(x, Tensor(labels)),
        lambda x: theirs(x, torch.tensor(labels)),
        rng.normal(size=(3, 5)),
        dtype=dtype,
    )


@each_case
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_triplet_margin_equals_torch(p, swap, reduction, dtype):
    options = {"margin": 0.8, "p": p, "swap": swap, "reduction": reduction}
    ours, theirs = nn.TripletMarginLoss(**options), torch.nn.TripletMarginLoss(**options)
    check(ours, theirs, *rng.normal(size=(3, 6, 5)), dtype=dtype)


@each_dtype
@pytest.mark.parametrize("axis", [0, -1])
def test_cosine_similarity_and_distance_equal_torch(axis, dtype):
    a, b = rng.normal(size=(2, 4, 5))
    a[0] = 0.0
    if axis == -1:  # a row of zeros has no direction
        check(
            lambda x, y: nn.cosine_similarity(x, y, axis)[1:],
            lambda x, y: T.cosine_similarity(x, y, axis)[1:],
            a,
            b,
            dtype=dtype,
        )
        assert nn.cosine_similarity(Tensor(a), Tensor(b))[0].item() == 0
    else:
        check(
            lambda x, y: nn.cosine_similarity(x, y, axis),
            lambda x, y: T.cosine_similarity(x, y, axis),
            a,
            b,
            dtype=dtype,
        )
    check(nn.pairwise_distance, T.pairwise_distance, a, b, dtype=dtype)


# ---- adversaries


@pytest.mark.parametrize(
    "kind", ["non_saturating", "minimax", "least_squares", "wasserstein", "hinge"]
)
def test_gan_losses_are_their_papers_formulas(kind):
    real, fake = torch.tensor(rng.normal(size=(2, 9, 1)) * 3)
    p, q = torch.sigmoid(real), torch.sigmoid(fake)
    critic = {
        "non_saturating": -(p.log() + (1 - q).log()),
        "minimax": -(p.log() + (1 - q).log()),
        "least_squares": 0.5 * (real - 1) ** 2 + 0.5 * fake**2,
        "wasserstein": fake - real,
        "hinge": (1 - real).clamp(0) + (1 + fake).clamp(0),
    }[kind].mean()
    generator = {
        "non_saturating": -q.log(),
        "minimax": (1 - q).log(),
        "least_squares": 0.5 * (fake - 1) ** 2,
        "wasserstein": -fake,
        "hinge": -fake,
    }[kind].mean()
    a, b = Tensor(real.numpy()), Tensor(fake.numpy())
    assert nn.critic_loss(a, b, kind).item() == pytest.approx(critic.item(), rel=1e-12)
    assert nn.generator_loss(b, kind).item() == pytest.approx(generator.item(), rel=1e-12)


@each_dtype
@pytest.mark.parametrize("compiled", [False, True])
def test_gradient_penalty_and_its_gradient_equal_torch(compiled, dtype):
    w1, w2 = rng.normal(size=(6, 8)) * 0.5, rng.normal(size=(8, 1)) * 0.5
    real, fake, mix = rng.normal(size=(5, 6)), rng.normal(size=(5, 6)), rng.uniform(size=5)
    a = [Tensor.parameter(w.astype(dtype)) for w in (w1, w2)]

    def ours(real, fake, mix):
        penalty = nn.gradient_penalty(lambda x: (x @ a[0]).tanh() @ a[1], real, fake, mix)
        return penalty, *grad(penalty, a)

    b = [torch.tensor(w.astype(dtype), requires_grad=True) for w in (w1, w2)]
    r, f, m = (torch.tensor(v.astype(dtype)) for v in (real, fake, mix))
    x = (m[:, None] * r + (1 - m[:, None]) * f).requires_grad_()
    (slope,) = torch.autograd.grad((torch.tanh(x @ b[0]) @ b[1]).sum(), x, create_graph=True)
    penalty = ((slope.norm(dim=1) - 1) ** 2).mean()
    expected = penalty, *torch.autograd.grad(penalty, b)
    arrays = [Tensor(v.astype(dtype)) for v in (real, fake, mix)]
    for x, y in zip((compile(ours) if compiled else ours)(*arrays), expected, strict=True):
        equal(x, y, dtype)


def test_the_penalty_through_a_convolution_equals_torch():
    """Gradients of gradients: of the penalty by the kernel of the critic that it is taken of."""
    kernel, w = rng.normal(size=(3, 3, 2, 4)) * 0.4, rng.normal(size=(4, 1))
    real, fake, mix = (
        rng.normal(size=(3, 5, 5, 2)),
        rng.normal(size=(3, 5, 5, 2)),
        rng.uniform(size=3),
    )
    conv = nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False, dtype="float64")
    conv.weight.assign(Tensor(kernel))
    out = Tensor.parameter(w)

    def ours(real, fake, mix):
        critic = lambda x: nn.LeakyReLU(0.2)(conv(x)).tanh().mean((1, 2)) @ out  # noqa: E731
        penalty = nn.gradient_penalty(critic, real, fake, mix)
        return penalty, *grad(penalty, [conv.weight, out])

    b, u = (torch.tensor(v, requires_grad=True) for v in (kernel, w))
    r, f, m = (torch.tensor(v) for v in (real, fake, mix))
    m = m[:, None, None, None]
    x = (m * r + (1 - m) * f).requires_grad_()
    y = T.conv2d(x.permute(0, 3, 1, 2), b.permute(3, 2, 0, 1), stride=2, padding=1)
    y = torch.tanh(T.leaky_relu(y, 0.2)).mean((2, 3)) @ u
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    expected = penalty, *torch.autograd.grad(penalty, (b, u))
    for a, e in zip(compile(ours)(real, fake, mix), expected, strict=True):
        equal(a, e, "float64")


@each_dtype
@pytest.mark.parametrize("compiled", [False, True])
def test_r1_penalty_through_a_convolution_equals_torch(compiled, dtype):
    kernel, w = (
        v.astype(dtype) for v in (rng.normal(size=(3, 3, 2, 4)) * 0.4, rng.normal(size=(4, 1)))
    )
    real = rng.normal(size=(3, 5, 5, 2)).astype(dtype)
    conv = nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False, dtype=dtype)
    conv.weight.assign(Tensor(kernel))
    out = Tensor.parameter(w)

    def ours(real):
        penalty = nn.r1_penalty(lambda x: conv(x).tanh().mean((1, 2)) @ out, real)
        return penalty, *grad(penalty, [conv.weight, out])

    b, u = (torch.tensor(v, requires_grad=True) for v in (kernel, w))
    x = torch.tensor(real, requires_grad=True)
    y = T.conv2d(x.permute(0, 3, 1, 2), b.permute(3, 2, 0, 1), stride=2, padding=1)
    (slope,) = torch.autograd.grad((torch.tanh(y).mean((2, 3)) @ u).sum(), x, create_graph=True)
    penalty = slope.flatten(1).norm(dim=1).square().mean()
    expected = penalty, *torch.autograd.grad(penalty, (b, u))
    for a, e in zip((compile(ours) if compiled else ours)(Tensor(real)), expected, strict=True):
        equal(a, e, dtype)


def test_the_penalty_of_a_flat_critic_is_1_and_has_finite_gradients():
    w = Tensor.parameter(np.zeros((3, 1)))
    x = Tensor(rng.normal(size=(4, 3)))
    penalty = nn.gradient_penalty(lambda x: x @ w, x, x)
    assert penalty.item() == 1.0 and np.isfinite(grad(penalty, w).numpy()).all()


@each_case
def test_gaussian_kl_equals_torch(reduction, dtype):
    def theirs(m, v):
        n = torch.distributions.Normal
        kl = torch.distributions.kl_divergence(n(m, (v / 2).exp()), n(0.0, 1.0)).sum(-1)
        return {"mean": kl.mean(), "sum": kl.sum(), "none": kl}[reduction]

    check(
        lambda m, v: nn.gaussian_kl(m, v, reduction),
        theirs,
        *rng.normal(size=(2, 4, 7)),
        dtype=dtype,
    )


# ---- sequences


def ctc_case(batch=4, time=12, n_classes=6, n_labels=5):
    labels = rng.integers(1, n_classes, (batch, n_labels))
    labels[0, :3] = 2  # repeats need a blank between them
    return rng.normal(size=(batch, time, n_classes)) * 2, labels


@each_case
@pytest.mark.parametrize("blank", [0, 5])
@pytest.mark.parametrize("compiled", [False, True])
def test_ctc_equals_torch(compiled, blank, reduction, dtype):
    logits, labels = ctc_case()
    labels = labels - 1 if blank == 5 else labels
    n_input, n_target = np.array([12, 10, 7, 12]), np.array([5, 3, 1, 0])
    ours = nn.CTCLoss(blank, reduction)
    theirs = torch.nn.CTCLoss(blank, reduction)

    def loss(x):
        def value(x):
            return ours(x.log_softmax(-1), Tensor(labels), Tensor(n_input), Tensor(n_target))

        return value(x)

    def other(x):
        x = torch.log_softmax(x, -1).transpose(0, 1)
        return theirs(x, *(torch.tensor(v) for v in (labels, n_input, n_target)))

    if not compiled:
        check(loss, other, logits, dtype=dtype)
        return

    @compile
    def both(x):
        value = loss(x).sum()
        return value, grad(value, x)

    b = torch.tensor(logits.astype(dtype), requires_grad=True)
    expected = other(b).sum()
    value, slope = both(logits.astype(dtype))
    equal(value, expected, dtype)
    equal(slope, torch.autograd.grad(expected, b)[0], dtype)


def test_ctc_sums_all_paths_by_hand():
    """T = 3, labels 'a': aaa, aa-, a--, -aa, --a, -a-; every step has P(a) = 0.6 and P(blank) = 0.4."""
    x = np.log(np.tile([0.4, 0.6], (1, 3, 1)))
    a, b = 0.6, 0.4
    paths = a**3 + 2 * a * a * b + 3 * a * b * b
    value = nn.ctc_loss(Tensor(x), Tensor([[1]]), Tensor([3]), Tensor([1]), reduction="sum")
    assert value.item() == pytest.approx(-np.log(paths), rel=1e-13)


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_an_input_too_short_is_infinite_or_0(zero_infinity):
    logits, labels = ctc_case()
    n_input, n_target = np.array([4, 12, 3, 1]), np.array([3, 5, 4, 1])  # 2 2 2 needs 5 steps
    a = Tensor.parameter(logits)
    ours = nn.CTCLoss(0, "none", zero_infinity)(
        a.log_softmax(-1), Tensor(labels), Tensor(n_input), Tensor(n_target)
    )
    b = torch.tensor(logits, requires_grad=True)
    theirs = torch.nn.CTCLoss(0, "none", zero_infinity)(
        torch.log_softmax(b, -1).transpose(0, 1),
        *(torch.tensor(v) for v in (labels, n_input, n_target)),
    )
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-10)
    assert np.isinf(ours.numpy()).tolist() == [not zero_infinity, False, not zero_infinity, False]
    if zero_infinity:
        (slope,) = torch.autograd.grad(theirs.sum(), b)
        np.testing.assert_allclose(grad(ours.sum(), a).numpy(), slope.numpy(), atol=1e-10)


@pytest.mark.parametrize("n_labels", [0, 1])
@pytest.mark.parametrize("time", [1, 2])
def test_ctc_of_the_smallest_sizes_equals_torch(time, n_labels):
    logits = rng.normal(size=(2, time, 3))
    labels = np.ones((2, n_labels), np.int64)
    lengths = np.full(2, time), np.full(2, n_labels)
    ours = nn.ctc_loss(
        Tensor(logits).log_softmax(-1), Tensor(labels), *map(Tensor, lengths), reduction="none"
    )
    theirs = T.ctc_loss(
        torch.log_softmax(torch.tensor(logits), -1).transpose(0, 1),
        torch.tensor(labels),
        *map(torch.tensor, lengths),
        reduction="none",
    )
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10)


# ---- names and errors


@pytest.mark.parametrize("name", ["mae", "huber", "nll", "binary-cross-entropy", "mse", "log_loss"])
def test_losses_have_names(name):
    assert callable(nn.loss(name))


def labels_of(*values):
    return Tensor(np.array(values))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: nn.cross_entropy(Tensor(np.zeros((3, 4))), labels_of(0, 4, 1)),
            IndexRangeError,
            "target 4 in row 1 is outside 0..3: the logits have 4 classes",
        ),
        (
            lambda: nn.cross_entropy(Tensor(np.zeros((1, 3, 4))), labels_of([0, 1, -100])),
            IndexRangeError,
            r"target -100 in row \(0, 2\).*give ignore_index=-100",
        ),
        (
            lambda: nn.nll_loss(Tensor(np.zeros((2, 3))), labels_of(0, 3)),
            IndexRangeError,
            "nll_loss: target 3 in row 1",
        ),
        (
            lambda: nn.cross_entropy(Tensor(np.zeros((3, 4))), labels_of(0, 1)),
            ShapeError,
            r"\(3, 4\) and targets \(2,\)",
        ),
        (
            lambda: nn.cross_entropy(
                Tensor(np.zeros((3, 4))), labels_of(0, 1, 2), weight=Tensor(np.ones(3))
            ),
            ShapeError,
            r"weight has shape \(3,\); needed is \(4,\)",
        ),
        (
            lambda: nn.cross_entropy(Tensor(np.zeros((1, 4))), labels_of(0), label_smoothing=1.5),
            OptionError,
            "label_smoothing is a part of 1",
        ),
        (
            lambda: nn.BCEWithLogitsLoss()(Tensor(np.zeros((3, 1))), Tensor(np.zeros(3))),
            ShapeError,
            "reshape one of them",
        ),
        (lambda: nn.HuberLoss(delta=0)(labels_of(1.0), labels_of(1.0)), OptionError, "delta must"),
        (lambda: nn.KLDivLoss("average"), OptionError, "reduction 'average'"),
        (lambda: nn.critic_loss(labels_of(1.0), labels_of(1.0), "wasserstain"), OptionError, "Did"),
        (
            lambda: nn.gradient_penalty(lambda x: x, labels_of(1.0), labels_of(1.0, 2.0)),
            ShapeError,
            "one made example beside each real one",
        ),
        (lambda: nn.r1_penalty(lambda x: x, labels_of(1.0)[0]), ShapeError, "examples"),
        (
            lambda: nn.cosine_embedding_loss(*[Tensor(np.ones((2, 3)))] * 2, labels_of(1)),
            ShapeError,
            "one 1 or -1 for each row",
        ),
        (
            lambda: nn.ctc_loss(
                Tensor(np.zeros((2, 3, 4))), labels_of([1], [4]), labels_of(3, 3), labels_of(1, 1)
            ),
            IndexRangeError,
            "target 4 in row 1, place 0.*there are 4 classes",
        ),
        (
            lambda: nn.ctc_loss(
                Tensor(np.zeros((2, 3, 4))), labels_of([1], [2]), labels_of(3, 5), labels_of(1, 1)
            ),
            IndexRangeError,
            "input_lengths has 5 in row 1",
        ),
        (
            lambda: nn.ctc_loss(
                Tensor(np.zeros((2, 3, 4))), labels_of(1, 2), labels_of(3, 3), labels_of(1, 1)
            ),
            ShapeError,
            r"needed are \(2, S\)",
        ),
    ],
)
def test_misuse_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
