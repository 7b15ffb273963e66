"""Groups, clipping, L1, Lion, Muon, averages, accumulation and the range test, against formulas and PyTorch."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.base.errors import FormatError, OptionError


def problem(dtype="float64", seed=0):
    """Two parameters, and gradients for ten steps."""
    rng = np.random.default_rng(seed)
    w, b = rng.normal(size=(6, 4)).astype(dtype), rng.normal(size=4).astype(dtype)
    grads = [(rng.normal(size=w.shape), rng.normal(size=b.shape)) for _ in range(10)]
    return w, b, grads


def run(make, dtype="float64", n=10):
    """The two parameters after n steps of the optimizer that `make` gives for them."""
    w, b, grads = problem(dtype)
    params = [pl.Tensor.parameter(w), pl.Tensor.parameter(b)]
    optimizer = make(params)
    step = pl.compile(lambda *g: optimizer.step(g))
    for g in grads[:n]:
        step(*(x.astype(dtype) for x in g))
    return [p.numpy() for p in params]


def test_lion_by_its_formula():
    w, b, grads = problem()
    want = []
    for p, gs in ((w, [g[0] for g in grads]), (b, [g[1] for g in grads])):
        p, m = p.copy(), np.zeros_like(p)
        for g in gs:
            p -= 0.01 * 0.3 * p
            p -= 0.01 * np.sign(0.9 * m + 0.1 * g)
            m = 0.99 * m + 0.01 * g
        want.append(p)
    got = run(lambda ps: optim.Lion(ps, lr=0.01, weight_decay=0.3))
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


def test_muon_makes_its_step_orthogonal():
    """Singular values of the step lie about 1 whatever the gradient's are; Newton-Schulz by NumPy."""
    rng = np.random.default_rng(0)
    for shape in ((6, 4), (4, 6), (5, 5)):
        g = rng.normal(size=shape) * np.logspace(0, -2, shape[1])
        x = g / np.linalg.norm(g)
        flipped = shape[0] > shape[1]
        x = x.T if flipped else x
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        want = x.T if flipped else x
        got = optim.muon.orthogonal(pl.Tensor(g)).numpy()
        np.testing.assert_allclose(got, want, rtol=1e-10)
        values = np.linalg.svd(got, compute_uv=False)
        assert values.min() > 0.3 and values.max() < 1.3


@pytest.mark.parametrize("rule", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_equals_torch_for_matrices(rule, nesterov):
    """PyTorch computes the orthogonal step in bfloat16: three digits."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = rng.normal(size=(12, 8))
    ours = pl.Tensor.parameter(start.T.astype(np.float32))  # stored (in, out)
    theirs = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
    a = optim.Muon([ours], lr=0.02, weight_decay=0.1, adjust_lr_fn=rule, nesterov=nesterov)
    b = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn=rule, nesterov=nesterov)
    for _ in range(10):
        g = rng.normal(size=start.shape).astype(np.float32)
        a.step([pl.Tensor(np.ascontiguousarray(g.T))])
        theirs.grad = torch.tensor(g)
        b.step()
    moved = np.abs(theirs.detach().numpy() - start).max()
    assert np.abs(ours.numpy().T - theirs.detach().numpy()).max() < 0.02 * moved


def test_muon_gives_what_is_no_matrix_to_adamw():
    got = run(lambda ps: optim.Muon(ps, lr=0.02, adam_lr=0.004, weight_decay=0.1))
    want = run(lambda ps: optim.AdamW(ps, lr=0.004, betas=(0.9, 0.95), weight_decay=0.1))
    np.testing.assert_allclose(got[1], want[1], rtol=1e-12)
    assert np.abs(got[0] - want[0]).max() > 1e-3


def test_groups_have_their_own_options():
    """Decay for the matrix only, and a tenth of the rate for the bias: two optimizers say the same."""
    got = run(
        lambda ps: optim.AdamW(
            [{"params": [ps[0]], "weight_decay": 0.5}, {"params": ps[1], "lr": 1e-3}],
            lr=1e-2,
            weight_decay=0.0,
        )
    )
    w, b, grads = problem()
    first, second = pl.Tensor.parameter(w), pl.Tensor.parameter(b)
    one = optim.AdamW([first], lr=1e-2, weight_decay=0.5)
    two = optim.AdamW([second], lr=1e-3, weight_decay=0.0)
    for g, h in grads:
        one.step([pl.Tensor(g)])
        two.step([pl.Tensor(h)])
    np.testing.assert_allclose(got[0], first.numpy(), rtol=1e-12)
    np.testing.assert_allclose(got[1], second.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"lr": 1.0}], "'params'"),
        ([{"params": [], "momentun": 1}], "momentun"),
        ([{"params": []}], "needs parameters"),
        ([{"params": [pl.Tensor.parameter(np.ones(2))], "lr": -1}], "group 0: lr"),
    ],
)
def test_groups_that_do_not_fit(groups, message):
    with pytest.raises(OptionError, match=message):
        optim.SGD(groups, lr=0.1)


def test_a_parameter_is_in_one_group():
    p = pl.Tensor.parameter(np.ones(2))
    with pytest.raises(OptionError, match="two groups"):
        optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1)


def test_clipping_equals_torch():
    torch = pytest.importorskip("torch")
    _, _, grads = problem()
    for scale in (0.01, 1.0):
        ours = [pl.Tensor(g * scale) for g in grads[0]]
        theirs = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in grads[0]]
        for p, g in zip(theirs, grads[0], strict=True):
            p.grad = torch.tensor(g * scale)
        clipped, norm = optim.clip_grad_norm(ours, 0.5)
        want = torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        assert norm.item() == pytest.approx(want.item(), rel=1e-12)
        for x, p in zip(clipped, theirs, strict=True):
            np.testing.assert_allclose(x.numpy(), p.grad.numpy(), rtol=1e-12)
    cut = optim.clip_grad_value([pl.Tensor(np.array([-3.0, 0.2, 9.0]))], 0.5)[0]
    assert cut.numpy().tolist() == [-0.5, 0.2, 0.5]


def test_an_optimizer_clips_and_draws_to_zero():
    w, b, grads = problem()
    got = run(lambda ps: optim.SGD(ps, lr=0.1, clip_norm=1.0, l1=0.2), n=1)
    total = np.sqrt(sum((g**2).sum() for g in grads[0]))
    for x, p, g in zip(got, (w, b), grads[0], strict=True):
        want = p - 0.1 * (g / (total + 1e-6) + 0.2 * np.sign(p))
        np.testing.assert_allclose(x, want, rtol=1e-12)


def test_the_average_of_weights():
    p = pl.Tensor.parameter(np.array([1.0, 2.0]))
    average = optim.ExponentialAverage([p], 0.9)
    want = p.numpy().copy()

    @pl.compile
    def step(x):
        p.assign(p + x)
        average.update()

    for _ in range(5):
        step(np.ones(2))
        want = 0.9 * want + 0.1 * p.numpy()
    with average.applied():
        np.testing.assert_allclose(p.numpy(), want, rtol=1e-15)
    np.testing.assert_allclose(p.numpy(), [6.0, 7.0])
    again = optim.ExponentialAverage([p], 0.9)
    again.load_state_dict(average.state_dict())
    np.testing.assert_array_equal(again.averages[0].numpy(), average.averages[0].numpy())
    with pytest.raises(FormatError, match=r"average\.0"):
        again.load_state_dict({"average.0": np.ones(3)})


@pytest.mark.parametrize("compiled", [True, False])
def test_accumulated_gradients_are_one_large_batch(compiled):
    w, b, grads = problem()
    ours = [pl.Tensor.parameter(w), pl.Tensor.parameter(b)]
    small = optim.Accumulate(optim.Adam(ours, lr=0.01), 5)
    step = pl.compile(lambda *g: small.step(g)) if compiled else lambda *g: small.step(g)
    for g in grads:
        step(*map(pl.Tensor, g))
    theirs = [pl.Tensor.parameter(w), pl.Tensor.parameter(b)]
    large = optim.Adam(theirs, lr=0.01)
    for i in (0, 5):
        large.step([pl.Tensor(np.mean([g[j] for g in grads[i : i + 5]], 0)) for j in (0, 1)])
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-12)


def test_accumulation_resumes_between_two_steps():
    w, b, grads = problem()
    whole = [pl.Tensor.parameter(w), pl.Tensor.parameter(b)]
    one = optim.Accumulate(optim.Adam(whole, lr=0.01), 4)
    for g in grads:
        one.step([pl.Tensor(x) for x in g])
    halves = [pl.Tensor.parameter(w), pl.Tensor.parameter(b)]
    two = optim.Accumulate(optim.Adam(halves, lr=0.01), 4)
    for g in grads[:6]:
        two.step([pl.Tensor(x) for x in g])
    rest = [pl.Tensor.parameter(p.numpy()) for p in halves]
    three = optim.Accumulate(optim.Adam(rest, lr=0.01), 4)
    three.load_state_dict(two.state_dict())
    for g in grads[6:]:
        three.step([pl.Tensor(x) for x in g])
    for x, y in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_the_range_test_finds_a_rate_that_learns():
    pl.seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8)).astype(np.float32)
    y = (x @ rng.normal(size=(8, 1)) + 0.1).astype(np.float32)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @pl.compile
    def step(x, y):
        loss = nn.mse_loss(model(x), y)
        optimizer.step(pl.grad(loss, optimizer.parameters))
        return loss

    rates, losses, suggestion = optim.range_test(lambda: step(x, y), optimizer, 1e-5, 10.0, 80)
    assert len(rates) == len(losses) and 1e-3 < suggestion < 2.0
    assert losses.min() < 0.7 * losses[0]
