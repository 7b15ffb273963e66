"""fit, evaluate, predict: every row once an epoch, the same bits from the same seed, trouble named."""

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid import optim
from pellucid.base.errors import DataError, NonFiniteError, OptionError, ShapeError
from pellucid.data import Dataset, Split, Text, encode, load_digits, split
from pellucid.tensor import engine, random
from pellucid.tensor import functions as F
from pellucid.tensor.tensor import Tensor
from pellucid.train.evaluation import Slices, evaluate, predict
from pellucid.train.events import EpochDone, Progress, Started, Stopped
from pellucid.train.loop import Options, fit


def table(n=37, n_features=5, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features)).astype(np.float32)
    return Dataset("table", x, np.arange(n, dtype=np.int32) % n_classes, tuple("abc"[:n_classes]))


def network(n_features=5, n_outputs=3, dropout=0.0, seed=0):
    random.seed(seed)
    extra = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.Linear(n_features, 8), nn.ReLU(), *extra, nn.Linear(8, n_outputs))


def all_rows(n):
    rows = np.arange(n, dtype=np.int32)
    return Split(rows, rows[:0])


def weights(net):
    return {k: v.tobytes() for k, v in net.state_dict().items()}


def train(options=None, dropout=0.0, data=None, parts=None, make=optim.AdamW, lr=0.01):
    data = data or table()
    parts = parts or split(data, 0.2, 0.2)
    net = network(data.n_features, len(data.classes), dropout)
    events = list(
        fit(
            net,
            data,
            parts,
            make(net.parameters(), lr=lr),
            options or Options(epochs=4, batch_size=4),
        )
    )
    return net, events


def test_the_loss_of_a_list_is_the_mean_over_what_is_answered():
    """A network that scores each character by the one before it, beside sums over pairs of characters."""
    lines = "ada\nbea\ncora\ndea\n" * 12
    classes = tuple(sorted(set(lines)))
    data = Text("names", encode(lines, classes, ""), classes, 9, is_list=True)
    random.seed(3)
    net = nn.Sequential(nn.Embedding(len(classes), len(classes)))
    rows = data.rows_between(0, len(lines))
    scores = net[0].weight.numpy().astype(np.float64)
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    n = data.count(rows)
    first = data.codes[rows[0] : rows[0] + n + 1]
    expected = -log_p[first[:-1], first[1:]].mean()
    found = evaluate(net, data, rows)
    assert found.n == n and found.loss == pytest.approx(expected, rel=1e-6)
    right = scores.argmax(1)[first[:-1]] == first[1:]
    assert found.accuracy == pytest.approx(right.mean(), rel=1e-12)
    # And while it learns: with a rate of next to nothing an epoch's loss is that of its windows.
    fitting = fit(
        net,
        data,
        Split(rows, rows),
        optim.SGD(net.parameters(), lr=1e-30),
        Options(epochs=1, batch_size=4),
    )
    (epoch,) = [e for e in fitting if isinstance(e, EpochDone)]
    order = data.order(rows, 0, 0)
    pairs = np.concatenate([np.arange(r, r + data.answers[r]) for r in order.tolist()])
    assert epoch.train.n == len(pairs) and epoch.validation.n == n
    assert epoch.train.loss == pytest.approx(
        -log_p[data.codes[pairs], data.codes[pairs + 1]].mean(), rel=1e-6
    )


def test_an_epoch_equals_a_loop_written_out_in_numpy():
    """Plain SGD on logistic regression, 10 rows in batches of 4: the last batch has 2 rows."""
    data = table(10)
    net = nn.Sequential(nn.Linear(5, 3, init="zeros", dtype="float32"))
    fitting = fit(
        net,
        data,
        all_rows(10),
        optim.SGD(net.parameters(), lr=0.1),
        Options(epochs=2, batch_size=4),
    )
    events = list(fitting)
    from pellucid.data import permutation

    w, b = np.zeros((5, 3)), np.zeros(3)
    for epoch in range(2):
        total = 0.0
        order = permutation(10, 0, "epoch", epoch)
        for rows in (order[:4], order[4:8], order[8:]):
            x, y = data.x[rows].astype(np.float64), data.y[rows]
            z = x @ w + b
            p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
            total += -np.log(p[np.arange(len(rows)), y]).sum()
            d = (p - np.eye(3)[y]) / len(rows)
            w, b = w - 0.1 * x.T @ d, b - 0.1 * d.sum(0)
        done = [e for e in events if isinstance(e, EpochDone)][epoch]
        assert done.train.loss == pytest.approx(total / 10, rel=1e-6) and done.train.n == 10
    np.testing.assert_allclose(net[0].weight.numpy(), w, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(net[0].bias.numpy(), b, rtol=2e-5, atol=1e-7)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    a, _ = train(Options(epochs=3, batch_size=4), dropout=0.3)
    b, _ = train(Options(epochs=3, batch_size=4), dropout=0.3)
    c, _ = train(Options(epochs=3, batch_size=4, seed=1), dropout=0.3)
    assert weights(a) == weights(b) != weights(c)


def test_slicing_an_epoch_does_not_change_the_bits():
    one_by_one, events = train(Options(epochs=3, batch_size=3, slice_seconds=0.0), dropout=0.3)
    at_once, _ = train(Options(epochs=3, batch_size=3, slice_seconds=100.0), dropout=0.3)
    assert weights(one_by_one) == weights(at_once)
    assert sum(isinstance(e, Progress) for e in events) == 3 * (-(-23 // 3) - 1)


def test_slices_aim_at_their_time_and_skip_the_first_call():
    slices = Slices(0.05)
    slices.took(1, 3.0)  # compiled
    assert slices.n == 1
    slices.took(1, 0.001)
    assert slices.n == 4  # at most four times more: one fast call proves little
    for _ in range(5):
        slices.took(slices.n, slices.n * 0.001)
    assert slices.n == 50
    slices.took(50, 5.0)
    assert slices.n == 1


@pytest.mark.parametrize("batch", [1, 7, 22, 23, 1000])
def test_any_batch_size_uses_every_row_once(batch):
    _, events = train(Options(epochs=2, batch_size=batch, patience=None))
    started = events[0]
    assert isinstance(started, Started) and started.n_train == 23
    assert started.n_steps == -(-23 // min(batch, 23))
    assert [e.train.n for e in events if isinstance(e, EpochDone)] == [23, 23]


def test_without_patience_all_epochs_are_done_and_the_best_weights_kept():
    data = table()
    parts = split(data, 0.3, 0.0)
    net = network()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    events = list(fit(net, data, parts, optimizer, Options(epochs=30, batch_size=4, patience=None)))
    losses = [e.validation.loss for e in events if isinstance(e, EpochDone)]
    stopped = events[-1]
    assert (
        isinstance(stopped, Stopped) and stopped.epochs == 30 and "all 30 epochs" in stopped.reason
    )
    assert stopped.best_epoch == int(np.argmin(losses)) + 1 < 30
    assert evaluate(net, data, parts.validation).loss == min(losses)


def test_evaluate_equals_numpy_in_batches_of_any_size():
    from pellucid.train.evaluation import Evaluator

    data = table(41)
    net = network()
    z = net(Tensor(data.x)).numpy().astype(np.float64)
    losses = np.log(np.exp(z).sum(1)) - z[np.arange(41), data.y]
    for batch in (1, 7, 41, 512):
        found = Evaluator(net, data, "cross_entropy", batch)(np.arange(41))
        assert found.loss == pytest.approx(losses.mean(), rel=1e-6) and found.n == 41
        assert found.accuracy == (z.argmax(1) == data.y).mean()


def test_prediction_of_one_row_equals_the_same_row_in_any_batch():
    data = load_digits()
    random.seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Dropout(0.5), nn.Linear(32, 10))
    together = predict(net, data.x[:600])
    for rows in (slice(0, 1), slice(3, 20), slice(511, 530)):
        if engine.name() == "compiled":
            assert np.array_equal(predict(net, data.x[rows]), together[rows])
        else:  # NumPy's BLAS sums in an order that depends on the batch
            np.testing.assert_allclose(
                predict(net, data.x[rows]), together[rows], rtol=1e-5, atol=1e-7
            )
    assert net.training  # the mode is what it was


def test_amounts_are_learned_by_mean_squared_error():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2)).astype(np.float32)
    data = Dataset("amounts", x, (x @ [2.0, -1.0] + 3).astype(np.float32))
    net = nn.Sequential(nn.Linear(2, 1))
    options = Options(epochs=60, batch_size=16, loss="mse", patience=None)
    events = list(fit(net, data, all_rows(64), optim.SGD(net.parameters(), lr=0.1), options))
    assert events[-2].train.accuracy is None and events[-2].train.loss < 1e-6
    np.testing.assert_allclose(net[0].weight.numpy()[:, 0], [2, -1], atol=1e-3)


# Not a number


def test_a_learning_rate_that_explodes_names_step_layer_and_rows():
    data = load_digits()
    parts = split(data)
    random.seed(0)
    net = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    fitting = fit(net, data, parts, optim.SGD(net.parameters(), lr=1e30), Options(batch_size=32))
    with pytest.raises(NonFiniteError) as error:
        list(fitting)
    words = str(error.value)
    assert (
        "step 2 (epoch 1, step 2 of 40)" in words
        and "layer" in words
        and "Linear(16 -> 10)" in words
    )
    assert "rows" in words and "of digits" in words and "1e+30" in words and "1e+29" in words
    assert all(np.isfinite(v).all() for v in net.state_dict().values())


def test_an_activation_that_breaks_on_one_row_names_that_row():
    data = table(20)
    data.x[13, 0] = -3.0  # the only row below -2.5
    data.x[:13, 0] = np.maximum(data.x[:13, 0], -2.4)
    data.x[14:, 0] = np.maximum(data.x[14:, 0], -2.4)

    class Root(nn.Module):
        def forward(self, x):
            return F.where(x[:, :1] < -2.5, (x - 100.0).sqrt(), x)  # the root of a negative number

    net = nn.Sequential(Root(), nn.Linear(5, 3))
    fitting = fit(
        net,
        data,
        all_rows(20),
        optim.SGD(net.parameters(), lr=0.1),
        Options(batch_size=20, epochs=2),
    )
    with pytest.raises(
        NonFiniteError, match=r"output of layer 0, Root\(\), for row 13 of table \(1 of the 20"
    ):
        list(fitting)


def test_a_gradient_that_is_not_finite_names_the_parameter():
    """sqrt at 0: the loss is finite, its slope is not."""

    class Flat(nn.Module):
        def __init__(self):
            self.w = Tensor.parameter(np.zeros(3, np.float32))

        def forward(self, x):
            return x[:, :3] * 0.0 + (self.w * self.w).sqrt()

    net = nn.Sequential(nn.Linear(5, 5), Flat())
    fitting = fit(
        net, table(8), all_rows(8), optim.SGD(net.parameters(), lr=0.1), Options(batch_size=8)
    )
    with pytest.raises(
        NonFiniteError, match=r"the gradient is not: .* 3 of 3 values of '1.w' \(layer 1, Flat"
    ):
        list(fitting)
    assert np.isfinite(net[1].w.numpy()).all()


# Refused before the first step


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"epochs": 0}, OptionError, "epochs must be"),
        ({"batch_size": 0}, OptionError, "batch_size must be"),
        ({"batch_size": 2.5}, OptionError, "batch_size must be"),
        ({"seed": -1}, OptionError, "seed must be"),
        ({"seed": 2**32}, OptionError, "seed must be below"),
        ({"patience": -1}, OptionError, "patience"),
        ({"loss": "mes"}, OptionError, "loss 'mes' is unknown"),
        ({"resume": True}, OptionError, "checkpoint"),
    ],
)
def test_impossible_options_are_refused(options, error, words):
    net = network()
    with pytest.raises(error, match=words):
        list(fit(net, table(), all_rows(37), optim.SGD(net.parameters()), Options(**options)))


def test_impossible_data_is_refused():
    net = network()
    o = optim.SGD(net.parameters())
    none = np.zeros(0, np.int32)
    with pytest.raises(DataError, match="no rows to train on"):
        list(fit(net, table(), Split(none, none), o))
    with pytest.raises(DataError, match=r"outside 0\.\.36"):
        list(fit(net, table(), Split(np.array([37]), none), o))
    amounts = Dataset("a", np.ones((3, 5), np.float32), np.ones(3, np.float32))
    with pytest.raises(DataError, match="Use loss='mse'"):
        list(fit(net, amounts, all_rows(3), o))
    with pytest.raises(DataError, match="row 1, column 2: nan"):
        x = np.zeros((2, 5))
        x[1, 2] = np.nan
        predict(net, x)


def test_a_network_with_another_number_of_outputs_is_named():
    net = network(n_outputs=2)  # three classes
    with pytest.raises(ShapeError, match=r"gives \(1, 2\) for one row; 3 classes need \(1, 3\)"):
        list(fit(net, table(), all_rows(37), optim.SGD(net.parameters())))
