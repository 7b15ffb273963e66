"""scan equals a Python loop: values, gradients to second order, whatever the length, nesting and structure."""

import numpy as np
import pytest

import pellucid as pl
from pellucid.base.errors import DTypeError, OptionError, ShapeError, TraceError
from pellucid.runtime import team
from pellucid.tensor import functions as F


@pytest.fixture
def compiled(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_ENGINE", "compiled")


def unrolled(step, carry, xs=None, *, length=None, reverse=False):
    """What scan means. xs: None, a tensor, or a tuple of tensors."""
    many = isinstance(xs, tuple)
    n = length if xs is None else len((xs[0] if many else xs).numpy())
    ys = [None] * n
    for t in reversed(range(n)) if reverse else range(n):
        x = None if xs is None else tuple(v[t] for v in xs) if many else xs[t]
        carry, ys[t] = step(carry, x)
    if isinstance(ys[0], tuple):
        return carry, tuple(F.stack(parts) for parts in zip(*ys, strict=True))
    return carry, None if ys[0] is None else F.stack(ys)


def parameter(seed: int, *shape: int, dtype=np.float64, scale: float = 0.5) -> pl.Tensor:
    values = np.random.default_rng(seed).standard_normal(shape) * scale
    return pl.Tensor(values.astype(dtype), requires_grad=True)


B, H = 3, 5  # batch, features of the state


def rnn(scan, x, h, w, b, reverse=False):
    def step(h, x):
        h = (x @ w + h @ w + b).tanh()
        return h, (h * 2, x.sum())

    last, (ys, sums) = scan(step, h, x, reverse=reverse)
    return (ys * ys).sum() + (last**3).sum() + sums.sum() * last.sum()


def backwards(scan, x, h, w, b):
    return rnn(scan, x, h, w, b, True)


def without_xs(scan, x, h, w, b):
    last, none = scan(lambda h, _: ((h @ w + b).tanh(), None), h, None, length=6)
    assert none is None
    return (last * last).sum()


def without_carry(scan, x, h, w, b):
    _, ys = scan(lambda c, x: (c, (x @ w + h).softmax(-1)), (), x)
    return (ys * ys).sum()


def nested(scan, x, h, w, b):
    def outer(h, x):
        def inner(h, x):
            h = (x * h + x @ w + b).tanh()
            return h, h @ w

        h, ys = scan(inner, h, x)
        last, zs = scan(inner, h * 0.5, ys, reverse=True)
        return last.sin(), (ys, zs.sum(), h)

    stacks = F.stack([x, x * 0.3])
    last, (ys, sums, hs) = scan(outer, h, stacks.permute(1, 0, 2, 3))
    return (last * last).sum() + (ys * ys).sum() * 1.5 + sums.sum() + (hs**3).sum()


def structures(scan, x, h, w, b):
    """Integers, a weight that is not contracted, detach, a tapped carry, several xs."""

    def step(carry, now):
        (h, n), (x, y) = carry, now
        h = (h * b + x @ w).tanh() * y.exp()
        n = n + 1
        return (h, n), (h.detach() * h, n, F.where(n > 2, h, h * b), carry[0])

    count = pl.Tensor(np.int64(0))
    (last, n), (a, ns, c, before) = scan(step, (h, count), (x, x * 0.1))
    total = (a * a).sum() + (c * c).sum() + (before**3).sum()
    return total + (n + ns.sum()).astype("float64") * last.sum()


def swapped(scan, x, h, w, b):
    def step(carry, x):
        old, new = carry
        return (new, old + x @ w), old

    (old, new), ys = scan(step, (h, h * 2), x)
    return (old * new).sum() + (ys * ys).sum()


def looked_up(scan, x, h, w, b):
    def step(h, token):
        h = (w[token] + h @ w.T).tanh()
        return h, h.max(-1)

    last, ys = scan(step, h, pl.Tensor(np.arange(4 * B).reshape(4, B) % H))
    return (last * last).sum() + (ys * ys).sum()


def unchanging(scan, x, h, w, b):
    last, (ws, squares, hs) = scan(lambda h, x: (h + 1.0, (w, w @ w, h * b)), h, x)
    return (last * last).sum() + (ws * ws).sum() + (squares**2).sum() + hs.sum()


LOOPS = [
    *((rnn, n) for n in (1, 2, 7)),
    (backwards, 3),
    (without_xs, 1),
    (without_carry, 3),
    (nested, 3),
    (structures, 4),
    (swapped, 3),
    (looked_up, 1),
    (unchanging, 2),
]


@pytest.mark.parametrize("engine", ["reference", "compiled"])
@pytest.mark.parametrize(("loop", "n"), LOOPS, ids=lambda v: getattr(v, "__name__", v))
def test_values_and_gradients_equal_those_of_the_loop_written_out(loop, n, engine, monkeypatch):
    if engine == "compiled":
        pytest.importorskip("llvmlite")
    values = parameter(0, n, B, H), parameter(1, B, H), parameter(2, H, H), parameter(3, H)

    def all_of(scan):
        y = loop(scan, *values)
        first = pl.grad(y, values)
        along = sum((g * g).sum() for g in first)
        results = [y, *first, *pl.grad(along, values)]
        pl.realize(*results)
        return [r.numpy() for r in results]

    monkeypatch.setenv("PELLUCID_ENGINE", "reference")
    want = all_of(unrolled)
    monkeypatch.setenv("PELLUCID_ENGINE", engine)
    for got, expected in zip(all_of(pl.scan), want, strict=True):
        # Sums over time are taken in another order: some roundings of the largest term.
        assert np.allclose(got, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


def test_second_gradient_equals_finite_differences():
    x, h, w, b = parameter(0, 4, B, H), parameter(1, B, H), parameter(2, H, H), parameter(3, H)

    def along(w):
        return sum((g * g).sum() for g in pl.grad(rnn(pl.scan, x, h, w, b), [x, h, b]))

    direction = np.random.default_rng(4).standard_normal((H, H))
    want = [along(pl.Tensor(w.numpy() + t * 1e-4 * direction)).item() for t in (-2, -1, 1, 2)]
    slope = (want[0] - 8 * want[1] + 8 * want[2] - want[3]) / 12e-4
    got = (pl.grad(along(w), w).numpy() * direction).sum()
    assert abs(got - slope) < 1e-8 * abs(slope)


def lstm(scan, x, state, w, b):
    """Gates i, f, g, o as PyTorch's; x (T, B, H), w (2 H, 4 H)."""

    def step(state, x):
        h, c = state
        gates = F.concat([x, h], -1) @ w + b
        i, f, g, o = (gates[:, k * H : (k + 1) * H] for k in range(4))
        c = F.sigmoid(f) * c + F.sigmoid(i) * g.tanh()
        h = F.sigmoid(o) * c.tanh()
        return (h, c), h

    return scan(step, state, x)


def test_lstm_equals_torch():
    torch = pytest.importorskip("torch")
    cell = torch.nn.LSTMCell(H, H, dtype=torch.float64)
    x, h, c = (parameter(i, *s) for i, s in enumerate([(6, B, H), (B, H), (B, H)]))
    weights = [p.detach().numpy() for p in cell.parameters()]
    w = pl.Tensor(np.concatenate([weights[0].T, weights[1].T]), requires_grad=True)
    b = pl.Tensor(weights[2] + weights[3], requires_grad=True)
    (h1, c1), ys = lstm(pl.scan, x, (h, c), w, b)
    got = pl.grad((ys * ys).sum() + (h1 * c1).sum(), [x, h, c, w, b])

    given = [torch.tensor(t.numpy(), requires_grad=True) for t in (x, h, c)]
    now, total = (given[1], given[2]), 0.0
    for t in range(6):
        now = cell(given[0][t], now)
        total = total + (now[0] * now[0]).sum()
    (total + (now[0] * now[1]).sum()).backward()
    ih, hh, bias, _ = (p.grad.numpy() for p in cell.parameters())
    want = [*(g.grad.numpy() for g in given), np.concatenate([ih.T, hh.T]), bias]
    for g, expected in zip(got, want, strict=True):
        assert np.allclose(g.numpy(), expected, rtol=1e-10, atol=1e-13)


def training(n: int):
    """A step of training an LSTM of n steps, and its arguments."""
    w, b = parameter(5, 2 * H, 4 * H, dtype=np.float32), parameter(6, 4 * H, dtype=np.float32)
    seen = pl.Tensor(np.zeros(H, np.float32))
    zero = pl.Tensor(np.zeros((B, H), np.float32))

    @pl.compile
    def step(x):
        (h, _), ys = lstm(pl.scan, x, (zero, zero), w, b)
        loss = (ys * ys).mean()
        gw, gb = pl.grad(loss, [w, b])
        pl.assign((w, w - gw), (b, b - gb), (seen, seen + h.sum(0)))
        return loss

    return step, parameter(7, n, B, H, dtype=np.float32), (w, b, seen)


def test_a_compiled_step_trains_and_many_steps_equal_single_ones(compiled):
    step, x, state = training(6)
    losses = [step(x).item() for _ in range(5)]
    assert losses == sorted(losses, reverse=True) and losses[4] < losses[0]
    again, x, others = training(6)
    assert again.many(5, x.numpy()[None]).item() == losses[4]
    for a, b in zip(state, others, strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


def test_two_thousand_steps_compile_to_the_kernels_of_twenty(compiled):
    loops = {}
    for n in (20, 2000):

        def total(h, n=n):
            w = pl.Tensor(np.eye(H, dtype=np.float32) * 0.5)
            return pl.scan(lambda h, _: ((h @ w).tanh() + 1, None), h, length=n)[0]

        f = pl.compile(total)
        h = f(np.ones((B, H), np.float32)).numpy()
        loops[n] = f.last.executable.program
    assert loops[20].kernels == loops[2000].kernels
    assert [len(p.launches) for p in loops.values()] == [len(loops[20].launches)] * 2
    # h = tanh(h / 2) + 1 contracts by half a step: 2,000 of them end at the fixed point.
    assert np.allclose(h, np.tanh(h / 2) + 1, rtol=1e-6)
    assert max(loops[2000].times) == 2000


def test_same_bits_on_any_number_of_threads(compiled):
    rng = np.random.default_rng(8)
    w = pl.Tensor((rng.standard_normal((64, 64)) / 8).astype(np.float32), requires_grad=True)

    @pl.compile
    def step(x):
        def outer(h, x):
            h, ys = pl.scan(lambda h, x: ((h @ w + x).tanh(),) * 2, h, x)
            return h, ys

        h, ys = pl.scan(outer, F.zeros((48, 64)), x)
        return h, ys, pl.grad((ys * ys).mean(), w)

    x = rng.standard_normal((3, 5, 48, 64)).astype(np.float32)
    before, found = team.get_threads(), []
    try:
        for n in (1, 2, 3, 4):
            team.set_threads(n)
            found.append([r.numpy() for r in step(x)])
    finally:
        team.set_threads(before)
    assert step.last.executable.program.parallel
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_the_body_is_run_once_and_keeps_its_structure():
    calls = []

    def step(carry, x):
        calls.append(x["b"].shape)
        (total, none), named = carry["s"], carry["n"]
        y = {"sum": total + x["a"], "pair": [x["b"], 3.0]}
        return {"s": (total + x["a"], none), "n": named}, y

    carry = {"s": (pl.Tensor(np.float64(1.0)), None), "n": np.zeros(2)}
    xs = {"a": pl.Tensor(np.arange(4.0)), "b": np.ones((4, 2))}
    last, ys = pl.scan(step, carry, xs)
    assert calls == [(2,)]
    assert last["s"][0].item() == 7 and last["s"][1] is None and last["n"].tolist() == [0, 0]
    assert ys["sum"].tolist() == [1, 2, 4, 7] and ys["pair"][1].tolist() == [3] * 4


H2 = np.zeros((B, 2), np.float32)
MISUSES = {
    "no length": (lambda: pl.scan(lambda c, x: (c, None), H2), OptionError, "give length"),
    "no steps": (lambda: pl.scan(lambda c, x: (c, x), H2, H2[:0]), ShapeError, "1 or more"),
    "a number": (lambda: pl.scan(lambda c, x: (c, x), H2, [np.array(1.0)]), ShapeError, r"xs\[0\]"),
    "two lengths": (
        lambda: pl.scan(lambda c, x: (c, None), H2, (H2, H2[:2])),
        ShapeError,
        r"xs\[1\] has 2 entries, xs\[0\] says 3",
    ),
    "length and xs": (lambda: pl.scan(lambda c, x: (c, x), H2, H2, length=4), ShapeError, "length says 4"),
    "no pair": (lambda: pl.scan(lambda c, x: c, H2, H2), OptionError, r"pair \(carry, y\)"),
    "other shape": (
        lambda: pl.scan(lambda c, x: ({"h": c["h"].sum()}, None), {"h": H2}, H2),
        ShapeError,
        r"carry\['h'\] begins as float32\[3, 2\], and step returns it as float32\[\]",
    ),
    "other dtype": (
        lambda: pl.scan(lambda c, x: (c + x, None), H2[0], H2.astype(np.float64)),
        DTypeError,
        r"use astype\(float32\)",
    ),
    "other structure": (lambda: pl.scan(lambda c, x: ((c, c), None), H2, H2), ShapeError, "same structure"),
    "assign": (lambda: pl.scan(lambda c, x: (STORED.assign(c), None), H2, H2), TraceError, "part of the carry"),
    "draw": (lambda: pl.scan(lambda c, x: (c + pl.random.normal(2), x), H2, H2), TraceError, "by xs"),
    "a value": (lambda: pl.scan(lambda c, x: (c, x) if x.sum() > 0 else (x, c), H2[0], H2), TraceError, "depends on x"),
}  # fmt: skip
STORED = pl.Tensor(H2)


@pytest.mark.parametrize("why", MISUSES)
def test_misuse_is_told(why):
    call, error, text = MISUSES[why]
    with pytest.raises(error, match=text):
        call()
    assert pl.random.normal(2).shape == (2,)  # nothing of the loop is left open
