"""RNN, LSTM and GRU and their cells equal PyTorch's, whole batches and sequences of different lengths."""

import os

import numpy as np
import pytest

import pellucid
import pellucid.nn as nn
from pellucid.base.errors import DTypeError, IndexRangeError, OptionError, ShapeError
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor, realize

torch = pytest.importorskip("torch")
from torch_layers import close, compare, flat, load  # noqa: E402

KINDS = {
    "RNN": {},
    "RNN_relu": {"nonlinearity": "relu"},
    "LSTM": {},
    "GRU": {},
}
# F, H, T: odd, and one above a vector of 16
F, H, T, B = 5, 17, 4, 3


def pair(kind, dtype="float64", features=F, hidden=H, **options):
    name = kind.partition("_")[0]
    options = KINDS[kind] | options
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(
        features, hidden, batch_first=True, dtype=getattr(torch, dtype), **options
    )
    ours = getattr(nn, name)(features, hidden, dtype=dtype, **options)
    load(ours, theirs)
    return ours, theirs


def inputs(kind, dtype="float64", rows=1, batch=B, time=T, hidden=H):
    """x and the first state: h, and c for LSTM."""
    rng = np.random.default_rng(1)
    states = [rng.normal(size=(rows, batch, hidden)) for _ in range(1 + (kind == "LSTM"))]
    return [v.astype(dtype) for v in (rng.normal(size=(batch, time, F)), *states)]


def call(layer, x, *state, **options):
    if not state:
        return layer(x, **options)
    return layer(x, state if len(state) > 1 else state[0], **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_layer_equals_torch_with_gradients_of_state(kind, dtype):
    compare(*pair(kind, dtype), inputs(kind, dtype), call, call)


@pytest.mark.parametrize(
    ("layers", "bidirectional", "bias"),
    [(1, False, False), (1, True, True), (2, False, True), (2, True, False), (3, True, True)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_equals_torch(kind, layers, bidirectional, bias):
    ours, theirs = pair(kind, num_layers=layers, bidirectional=bidirectional, bias=bias)
    rows = layers * (2 if bidirectional else 1)
    compare(ours, theirs, inputs(kind, rows=rows, time=3, batch=2), call, call)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_state_is_zero_when_left_out(kind):
    compare(*pair(kind), inputs(kind)[:1], call, call)


@pytest.mark.parametrize("time", [1, 2, 17])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_any_number_of_steps_equals_torch(kind, time):
    compare(*pair(kind), inputs(kind, time=time, batch=1), call, call)


def packed(lengths, time):
    """The call of PyTorch with packed sequences."""

    def run(layer, x, *state):
        p = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
        )
        y, last = call(layer, p, *state)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=time)
        return y, last

    return run


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_lengths_are_the_packed_sequences_of_torch(kind, bidirectional):
    ours, theirs = pair(kind, num_layers=2, bidirectional=bidirectional)
    lengths = [2, 4, 1]
    arrays = inputs(kind, rows=4 if bidirectional else 2)
    compare(
        ours, theirs, arrays,
        lambda layer, *a: call(layer, *a, lengths=np.array(lengths)), packed(lengths, T),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_mask_says_the_same_as_lengths(kind):
    ours, theirs = pair(kind, bidirectional=True)
    lengths = [4, 1, 3]
    mask = np.arange(T) < np.array(lengths)[:, None]
    compare(
        ours, theirs, inputs(kind, rows=2),
        lambda layer, *a: call(layer, *a, mask=mask), packed(lengths, T),
    )  # fmt: skip


def test_a_sequence_without_a_real_step_keeps_its_first_state():
    ours, _ = pair("LSTM")
    x, h, c = inputs("LSTM")
    y, (last_h, last_c) = ours(Tensor(x), (Tensor(h), Tensor(c)), lengths=[0, 4, 2])
    assert not y.numpy()[0].any()
    np.testing.assert_array_equal(last_h.numpy()[0, 0], h[0, 0])
    np.testing.assert_array_equal(last_c.numpy()[0, 0], c[0, 0])


def test_what_lies_beyond_the_end_changes_nothing():
    ours, _ = pair("GRU", bidirectional=True)
    x = inputs("GRU")[0]
    other = x.copy()
    other[1, 2:] = 1e3
    for a, b in zip(
        flat(ours(Tensor(x), lengths=[4, 2, 3])),
        flat(ours(Tensor(other), lengths=[4, 2, 3])),
        strict=True,
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_one_sequence_without_a_batch_equals_torch(kind):
    ours, theirs = pair(kind, num_layers=2)
    arrays = [a[:, 0] if i else a[0] for i, a in enumerate(inputs(kind, rows=2))]
    compare(ours, theirs, arrays, call, call)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_the_final_state_continues_the_sequence(kind):
    ours, _ = pair(kind, num_layers=2)
    x = Tensor(inputs(kind)[0])
    whole, end = ours(x)
    first, state = ours(x[:, :2])
    rest, last = ours(x[:, 2:], state)
    close(np.concatenate([first.numpy(), rest.numpy()], 1), whole.numpy())
    for a, b in zip(flat(last), flat(end), strict=True):
        close(a, b.numpy())


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_second_derivatives_equal_torch(kind):
    """The derivative of |dy/dx|^2 by x, the first state and the weights."""
    ours, theirs = pair(kind, hidden=3)
    arrays = inputs(kind, hidden=3, time=3, batch=2)
    a = [Tensor.parameter(v) for v in arrays]
    b = [torch.tensor(v, requires_grad=True) for v in arrays]
    weights = [p for _, p in ours.named_parameters()]
    ya, _ = call(ours, *a)
    yb, _ = call(theirs, *b)
    ga = grad((ya * ya).sum(), a[0])
    (gb,) = torch.autograd.grad((yb * yb).sum(), b[0], create_graph=True)
    close(ga, gb)
    found = grad((ga * ga).sum(), [*a, *weights])
    (gb * gb).sum().backward()
    realize(*found)
    reference = [*b, *(p for _, p in theirs.named_parameters())]
    for x, y in zip(found, reference, strict=True):
        wanted = y.grad.numpy()
        close(x.numpy().T if x.ndim == 2 else x, np.ascontiguousarray(wanted))


def test_a_compiled_training_step_equals_torch():
    ours, theirs = pair("LSTM", "float32", num_layers=2)
    x = inputs("LSTM", "float32")[0]

    @pellucid.compile
    def step(x):
        y, _ = ours(x)
        return grad((y * y).sum(), list(ours.parameters()))

    found = step(Tensor(x))
    y, _ = theirs(torch.tensor(x))
    (y * y).sum().backward()
    for (name, _), g in zip(ours.named_parameters(), found, strict=True):
        wanted = dict(theirs.named_parameters())[name].grad.numpy()
        close(g.numpy().T if g.ndim == 2 else g, np.ascontiguousarray(wanted), what=name)


@pytest.mark.skipif(
    os.environ.get("PELLUCID_ENGINE") == "reference", reason="NumPy compiles nothing"
)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_long_sequence_is_no_longer_program(kind):
    ours = getattr(nn, kind)(3, 4)

    @pellucid.compile
    def step(x):
        y, _ = ours(x)
        return grad((y * y).sum(), list(ours.parameters()))

    counts = []
    for time in (20, 2000):
        step(Tensor(np.zeros((2, time, 3), np.float32)))
        program = step.last.executable.program
        counts.append((len(program.kernels), len(program.launches)))
    # Sums over 2,000 steps are cut in chunks, which are added up by one more kernel for each.
    assert counts[1][0] - counts[0][0] <= 4 and counts[1][1] - counts[0][1] <= 8, counts


def test_lengths_may_be_an_argument_of_a_compiled_function():
    ours, theirs = pair("GRU", num_layers=2, bidirectional=True)
    x = inputs("GRU")[0]
    run = pellucid.compile(lambda x, lengths: ours(x, lengths=lengths))
    for lengths in ([4, 1, 2], [1, 3, 4]):
        found = flat(run(Tensor(x), Tensor(np.array(lengths))))
        wanted = flat(packed(lengths, T)(theirs, torch.tensor(x)))
        for a, b in zip(found, wanted, strict=True):
            close(a, b)
    assert len(run._steps) == 1


def test_dropout_between_layers_zeroes_what_the_next_layer_reads_in_training_only():
    pellucid.random.seed(0)
    ours, theirs = pair("RNN", num_layers=2, dropout=1.0)
    x = inputs("RNN")[0]
    theirs.train()
    compare(ours, theirs, [x], call, call)  # p = 1 has no chance in it
    ours.eval(), theirs.eval()
    compare(ours, theirs, [x], call, call)


def test_dropout_is_new_in_each_call_and_keeps_the_mean():
    pellucid.random.seed(3)
    ours = nn.RNN(1, 64, 2, nonlinearity="relu", dropout=0.25, dtype="float64")
    ours.load_state_dict(
        {k: np.full_like(v, 0.01) if "l0" in k else v * 0 for k, v in ours.state_dict().items()}
    )
    ours.weight_ih_l1.assign(np.eye(64))
    x = Tensor(np.ones((50, 1, 1)))
    first, second = ours(x)[0].numpy(), ours(x)[0].numpy()
    assert (first != second).any()
    plain = ours.eval()(x)[0].numpy()
    kept = first != 0
    np.testing.assert_allclose(first[kept], (plain / 0.75)[kept], rtol=1e-12)
    # 3,200 draws: the standard deviation of the share is 0.0077
    assert abs(kept.mean() - 0.75) < 0.03


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_cells_equal_torch(kind, bias, dtype):
    name = kind.partition("_")[0] + "Cell"
    theirs = getattr(torch.nn, name)(F, H, bias=bias, dtype=getattr(torch, dtype), **KINDS[kind])
    ours = getattr(nn, name)(F, H, bias=bias, dtype=dtype, **KINDS[kind])
    load(ours, theirs)
    arrays = [a[0] if i else a[:, 0] for i, a in enumerate(inputs(kind, dtype))]
    compare(ours, theirs, arrays, call, call)
    compare(ours, theirs, arrays[:1], call, call)  # the state left out
    compare(ours, theirs, [a[0] for a in arrays], call, call)  # no batch


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_weights_are_stored_as_torch_stores_them(kind):
    ours, theirs = pair(kind, num_layers=2, bidirectional=True)
    state = ours.state_dict(layout="pytorch")
    assert list(state) == list(theirs.state_dict())
    assert all(np.array_equal(state[k], v.numpy()) for k, v in theirs.state_dict().items())


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_config_makes_the_same_layer(kind):
    ours = getattr(nn, kind)(3, 4, 2, bias=False, dropout=0.5, bidirectional=True)
    again = type(ours)(**ours.config())
    assert again.config() == ours.config()
    shapes = {k: v.shape for k, v in ours.state_dict().items()}
    assert {k: v.shape for k, v in again.state_dict().items()} == shapes
    cell = getattr(nn, kind + "Cell")(3, 4, bias=False)
    assert type(cell)(**cell.config()).config() == cell.config()


def test_weights_begin_even_between_one_over_the_root_of_the_size():
    pellucid.random.seed(0)
    values = np.concatenate([v.ravel() for v in nn.LSTM(50, 25).state_dict().values()])
    assert np.abs(values).max() <= 1 / 5
    # Variance of the even distribution, bound^2 / 3; 7,700 draws: 1 % standard deviation.
    assert abs(values.var() - 0.04 / 3) < 0.05 * 0.04 / 3


# ---- what cannot be

X = Tensor(np.zeros((2, 5, 3)))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.LSTM(6, 4)(X), ShapeError, r"LSTM\(6 -> 4\).*\(2, 5, 3\).*LSTM\(3, 4\)"),
        (lambda: nn.RNN(3, 4)(X[:, :0]), ShapeError, "no step"),
        (lambda: nn.GRU(3, 4)(X, np.zeros((1, 2, 5))), ShapeError, r"\(1, 2, 5\).*\(1, 2, 4\)"),
        (lambda: nn.GRU(3, 4)(X, np.zeros((2, 4))), ShapeError, r"\(2, 4\).*\(1, 2, 4\)"),
        (lambda: nn.LSTM(3, 4)(X, np.zeros((1, 2, 4))), ShapeError, r"pair \(h, c\)"),
        (
            lambda: nn.LSTM(3, 4, 2)(X, (np.zeros((2, 2, 4)), np.zeros((1, 2, 4)))),
            ShapeError,
            r"state c has shape \(1, 2, 4\).*\(2, 2, 4\)",
        ),
        (
            lambda: nn.RNN(3, 4)(X, lengths=[5, 6]),
            IndexRangeError,
            "sequence 1 has the length 6.*from 0 to 5",
        ),
        (lambda: nn.RNN(3, 4)(X, lengths=[5]), ShapeError, r"each of the 2 sequences"),
        (
            lambda: nn.RNN(3, 4)(X, lengths=[5, 5], mask=np.ones((2, 5), bool)),
            OptionError,
            "lengths and mask",
        ),
        (
            lambda: nn.RNN(3, 4)(X, mask=np.ones((5, 2), bool)),
            ShapeError,
            r"\(5, 2\).*\(2, 5\)",
        ),
        (lambda: nn.RNN(3, 4)(X, mask=np.ones((2, 5))), DTypeError, "astype"),
        (lambda: nn.RNN(3, 4, nonlinearity="tanhh"), OptionError, "Did you mean 'tanh'"),
        (lambda: nn.GRU(0, 4), OptionError, "input_size .* got 0"),
        (lambda: nn.LSTM(3, 4, dropout=1.5, num_layers=2), OptionError, "0 to 1; got 1.5"),
        (lambda: nn.LSTM(3, 4, batch_first=False), OptionError, "permute"),
        (lambda: nn.LSTMCell(4, 4)(X[0]), ShapeError, r"LSTMCell\(3, 4\)"),
        (
            lambda: nn.LSTMCell(3, 4)(X[0], (np.zeros((5, 4)), np.zeros((3, 4)))),
            ShapeError,
            r"state c .*\(3, 4\).*\(5, 4\)",
        ),
    ],
)
def test_errors_name_the_layer_the_numbers_and_the_fix(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_dropout_with_one_layer_warns_that_it_does_nothing():
    with pytest.warns(UserWarning, match="one layer"):
        nn.GRU(3, 4, dropout=0.5)
