"""Weights of rows: 0 is an absent row, k is k copies, and the loss is sum(w loss) / sum(w)."""

import dataclasses

import numpy as np
import pytest
import small_runs

import pellucid.nn as nn
from pellucid import optim
from pellucid.base.errors import DataError, OptionError, RunError
from pellucid.data import Dataset, Split, permutation
from pellucid.data.weights import balanced
from pellucid.tensor import random
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor
from pellucid.train.evaluation import evaluate
from pellucid.train.events import EpochDone, Started
from pellucid.train.loop import Options, fit


def table(weights=None, n=24, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return Dataset(
        "table", x, (np.arange(n) % 3).astype(np.int32), ("a", "b", "c"), weights=weights
    )


def amounts(weights=None, n=24, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return Dataset("amounts", x, rng.normal(size=n).astype(np.float32), weights=weights)


def train(data, rows=None, validation=(), batch=1000, epochs=5, loss=None, lr=0.1, **options):
    """(the weights after training, the events)"""
    random.seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, len(data.classes) or 1))
    rows = np.arange(len(data), dtype=np.int32) if rows is None else np.asarray(rows, np.int32)
    parts = Split(rows, np.asarray(validation, np.int32))
    loss = loss or ("cross_entropy" if data.classes else "mse")
    chosen = Options(epochs=epochs, batch_size=batch, loss=loss, **options)
    events = list(fit(network, data, parts, optim.SGD(network.parameters(), lr=lr), chosen))
    return network.state_dict(), events


def same_bits(a, b):
    return all(a[k].tobytes() == b[k].tobytes() for k in a)


def test_a_weighted_step_equals_the_step_written_out_in_numpy():
    """Logistic regression from zeros, in batches of 4: each step is sum(w loss) / (4 mean(w)) of its rows."""
    w = np.random.default_rng(0).uniform(0.1, 5.0, 10)
    data = table(w, n=10)
    network = nn.Sequential(nn.Linear(4, 3, init="zeros"))
    rows = np.arange(10, dtype=np.int32)
    optimizer = optim.SGD(network.parameters(), lr=0.1)
    events = list(
        fit(network, data, Split(rows, rows[:0]), optimizer, Options(epochs=2, batch_size=4))
    )
    k, b = np.zeros((4, 3)), np.zeros(3)
    for epoch in range(2):
        order, total = permutation(10, 0, "epoch", epoch), 0.0
        for batch in (order[:4], order[4:8], order[8:]):
            x, y, relative = data.x[batch].astype(np.float64), data.y[batch], w[batch] / w.mean()
            z = x @ k + b
            p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
            total += -(w[batch] * np.log(p[np.arange(len(batch)), y])).sum()
            d = (p - np.eye(3)[y]) * relative[:, None] / len(batch)
            k, b = k - 0.1 * x.T @ d, b - 0.1 * d.sum(0)
        done = [e for e in events if isinstance(e, EpochDone)][epoch]
        assert done.train.loss == pytest.approx(total / w.sum(), rel=1e-6) and done.train.n == 10
    np.testing.assert_allclose(network[0].weight.numpy(), k, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(network[0].bias.numpy(), b, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("make", [table, amounts])
@pytest.mark.parametrize("batch", [5, 1000])
def test_a_row_of_weight_0_is_an_absent_row_to_the_bit(make, batch):
    w = np.ones(24)
    w[[2, 3, 17]] = 0
    absent, _ = train(make(), np.flatnonzero(w), batch=batch)
    weightless, events = train(make(w), batch=batch)
    assert same_bits(absent, weightless)
    started = events[0]
    assert isinstance(started, Started) and started.n_train == 21


@pytest.mark.parametrize("make", [table, amounts])
def test_a_weight_of_k_is_k_copies_of_the_row(make):
    """In one batch of all rows, where both are the same sum: only its roundings differ."""
    w = np.random.default_rng(1).integers(0, 5, 24)
    copies, theirs = train(make(), np.repeat(np.arange(24), w), epochs=20)
    weighted, ours = train(make(w), epochs=20)
    for name in copies:
        np.testing.assert_allclose(weighted[name], copies[name], rtol=1e-4, atol=2e-6)
    assert ours[-2].train.loss == pytest.approx(theirs[-2].train.loss, rel=1e-5)


def test_class_weights_as_row_weights_are_those_of_the_loss():
    """cross_entropy's own `weight` has PyTorch's meaning: the mean is divided by what was counted."""
    labels = np.array([0] * 14 + [1] * 7 + [2] * 3, np.int32)
    each_class = balanced(labels, 3)
    data = dataclasses.replace(table(), y=labels, weights=each_class[labels])
    found, _ = train(data, epochs=1)
    random.seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    weight = Tensor(each_class.astype(np.float32))
    loss = nn.cross_entropy(network(Tensor(data.x)), Tensor(labels), weight=weight)
    optimizer = optim.SGD(network.parameters(), lr=0.1)
    optimizer.step(grad(loss, optimizer.parameters))
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-7)


def test_weights_count_in_the_validation_that_chooses_the_best_epoch():
    w = np.concatenate([np.ones(16), [0, 3, 1, 2, 1, 0.5, 0, 4]])
    rows, held_out = np.arange(16), np.arange(16, 24)
    _, events = train(table(w), rows, held_out, lr=0.5, patience=None)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    best = min(e.validation.loss for e in events if isinstance(e, EpochDone))
    network.load_state_dict(train(table(w), rows, held_out, lr=0.5, patience=None)[0])
    z = network(Tensor(table().x)).numpy().astype(np.float64)
    losses = np.log(np.exp(z).sum(1)) - z[np.arange(24), table().y]
    expected = np.average(losses[held_out], weights=w[held_out])
    assert best == pytest.approx(expected, rel=1e-5)
    assert events[-2].validation.n == 6


@pytest.mark.parametrize("scale", [3.0, 1e-30, 1e300])
def test_only_the_proportions_of_weights_count(scale):
    plain, _ = train(table(), batch=5)
    equal, _ = train(table(np.full(24, scale)), batch=5)
    assert same_bits(plain, equal)
    w = np.random.default_rng(0).uniform(0.5, 2.0, 24)
    one, _ = train(table(w), batch=5)
    other, _ = train(table(w * scale), batch=5)
    for name in one:
        np.testing.assert_allclose(other[name], one[name], rtol=1e-4, atol=1e-6)


def test_a_batch_of_rows_that_hardly_count_hardly_changes_anything():
    """The limit of small weights is weight 0, in batches too."""
    data = table(np.where(np.arange(24) < 12, 1.0, 1e-9))

    class InOrder(Dataset):
        def order(self, rows, seed, epoch):
            return np.asarray(rows, np.int32)

    def in_order(d):
        return InOrder(**{f.name: getattr(d, f.name) for f in dataclasses.fields(d)})

    # The mean weight is 1/2: a row that counts counts double in the mean over 24.
    without, _ = train(in_order(table()), np.arange(12), batch=1, epochs=1, lr=0.02)
    faint, _ = train(in_order(data), batch=1, epochs=1, lr=0.01)
    for name in without:
        np.testing.assert_allclose(faint[name], without[name], rtol=1e-5, atol=1e-7)


def test_a_window_of_a_text_weighs_all_its_answers():
    data, parts = small_runs.text()

    class Bigram(nn.Module):
        def __init__(self):
            self.table = Tensor.parameter(
                np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
            )

        def forward(self, x):
            return self.table[x]

    network, rows = Bigram(), parts.test
    w = np.zeros(len(data))
    w[rows] = np.random.default_rng(0).uniform(0.0, 3.0, len(rows))
    each = [evaluate(network, data, rows[i : i + 1]).loss for i in range(len(rows))]
    object.__setattr__(data, "weights", w)
    score = evaluate(network, data, rows)
    assert score.loss == pytest.approx(np.average(each, weights=w[rows]), rel=1e-5)


def test_a_run_with_weights_resumes_to_the_same_bits_and_only_with_them(tmp_path):
    w = np.random.default_rng(0).uniform(0.1, 2.0, 24)
    whole, _ = train(table(w), batch=5, epochs=6)
    path = tmp_path / "checkpoint"
    train(table(w), batch=5, epochs=3, checkpoint=path)
    resumed, _ = train(table(w), batch=5, epochs=6, checkpoint=path, resume=True)
    assert same_bits(whole, resumed)
    with pytest.raises(RunError):
        train(table(), batch=5, epochs=6, checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones(23), r"24 rows need 24 weights, one each; got weights of shape \(23,\)"),
        (np.array([1.0] * 20 + [-1, 1, 1, 1]), r"row 20: the weight -1\.0 is not"),
        (np.array([1.0] * 20 + [1, np.nan, np.inf, 1]), r"row 21: the weight nan .*2 such"),
        (np.array(["1"] * 24), "weights must be numbers"),
    ],
)
def test_impossible_weights_are_refused(weights, words):
    with pytest.raises(DataError, match=words):
        table(weights)


def test_rows_that_all_count_nothing_are_refused():
    with pytest.raises(DataError, match="every row to train on has weight 0"):
        train(table(np.zeros(24)))
    w = np.where(np.arange(24) < 16, 1.0, 0.0)
    with pytest.raises(DataError, match="every row to validate on has weight 0"):
        train(table(w), np.arange(16), np.arange(16, 24))
    network = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(DataError, match="every row to be judged has weight 0"):
        evaluate(network, table(w), np.arange(16, 24))


def test_adversaries_take_no_weights():
    network, data, parts, optimizers, _ = small_runs.make_gan()
    weighted = dataclasses.replace(data, weights=np.arange(1.0, len(data) + 1))
    with pytest.raises(OptionError, match="loss 'gan' takes no weights"):
        list(fit(network, weighted, parts, optimizers, Options(loss="gan")))
