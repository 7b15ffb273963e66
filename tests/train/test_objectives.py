"""One step of each objective equals the same step written out by hand."""

import numpy as np
import pytest
import small_runs

import pellucid.nn as nn
from pellucid import optim
from pellucid.base.errors import DataError, NonFiniteError, OptionError, ShapeError
from pellucid.data import Series, Split, Text, split_text
from pellucid.tensor import random
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor
from pellucid.train.evaluation import evaluate
from pellucid.train.events import EpochDone
from pellucid.train.loop import Options, fit
from pellucid.train.networks import Adversaries
from pellucid.train.objectives import OBJECTIVES


class Bigram(nn.Module):
    """Scores of the next character from the one before alone: a table."""

    def __init__(self, n):
        self.table = Tensor.parameter(np.zeros((n, n), np.float32))

    def forward(self, x):
        return self.table[x]


def test_a_table_of_pairs_learns_the_frequencies_of_pairs():
    """Enough steps of plain descent on the whole text: the loss is that of the empirical pairs."""
    codes = np.array([0, 1, 0, 2, 0, 1, 1, 0, 2, 2, 0, 1, 0] * 30, np.int32)
    data = Text("text", codes, tuple("abc"), 12)
    rows = np.arange(0, len(data), 12, dtype=np.int32)
    network = Bigram(3)
    optimizer = optim.SGD(network.parameters(), lr=5.0)
    parts = Split(rows, rows[:0])
    seen = np.concatenate([codes[r : r + 13] for r in rows]).reshape(-1, 13)
    x, y = seen[:, :-1].ravel(), seen[:, 1:].ravel()

    class Still(Text):  # without the offset of an epoch: the same characters every time
        def order(self, rows, seed, epoch):
            return np.asarray(rows, np.int32)

    still = Still(data.name, data.codes, data.classes, data.window)
    list(fit(network, still, parts, optimizer, Options(epochs=300, batch_size=99, patience=None)))
    pairs = np.zeros((3, 3))
    np.add.at(pairs, (x, y), 1)
    chances = pairs / pairs.sum(1, keepdims=True)
    entropy = -np.log(chances[x, y]).mean()
    score = evaluate(network, still, rows)
    assert score.loss == pytest.approx(entropy, abs=2e-3) and score.n == len(x)
    assert score.accuracy == np.mean(chances[x].argmax(1) == y)


def test_a_window_counts_each_of_its_answers():
    data, parts = small_runs.text()
    network = Bigram(7)
    score = evaluate(network, data, parts.test)
    assert score.n == len(parts.test) * data.window
    assert score.loss == pytest.approx(np.log(7))  # a table of zeros: all the same chance


def test_amounts_of_a_series_are_compared_in_one_shape():
    data, parts = small_runs.series()

    class Persistence(nn.Module):
        def forward(self, x):
            return x[:, -1] * 0.0  # (B, 1): no change

    score = evaluate(Persistence(), data, parts.test, "mse")
    change = np.diff(data.values) / data.step
    expected = np.mean(change[parts.test + data.window - 1].astype(np.float32) ** 2)
    assert score.loss == pytest.approx(expected, rel=1e-6) and score.accuracy is None


# Adversaries


def pair(seed=0):
    """Linear adversaries over rows of two numbers, whose step is short to write out."""
    random.seed(seed)
    generator = nn.Sequential(nn.Linear(3, 2, init="glorot"))
    critic = nn.Sequential(nn.Linear(2, 1, init="glorot"))
    return Adversaries(generator, critic, 3)


def test_one_step_of_adversaries_equals_two_steps_written_out():
    x = Tensor(np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], np.float32))
    network, other = pair(), pair()
    optimizers = {
        name: optim.SGD(getattr(network, name).parameters(), lr=0.1)
        for name in ("critic", "generator")
    }
    random.seed(7)
    scores = OBJECTIVES["gan"].update(network, optimizers, x, Tensor(np.zeros(3, np.int32)))

    random.seed(7)
    noise = other.noise(3)
    critic, generator = list(other.critic.parameters()), list(other.generator.parameters())

    def softplus(z):
        return (1.0 + z.exp()).log()

    # First the critic: -log D(x) - log(1 - D(G(z))), where D = sigmoid(score).
    made = other.generator(noise).detach()
    real_scores, made_scores = other.critic(x), other.critic(made)
    loss = (softplus(-real_scores) + softplus(made_scores)).mean()
    # The gradient of a linear critic at any row is its weight: 0.5 / 2 times its squares are added.
    weight = critic[0]
    assert weight.size == 2
    penalised = loss + 0.25 * (weight * weight).sum()
    for p, g in zip(critic, grad(penalised, critic), strict=True):
        p.assign(p - 0.1 * g)
    # Then the generator, judged by the critic that has learned: -log D(G(z)).
    second = softplus(-other.critic(other.generator(noise))).mean()
    expected_second = second.item()
    for p, g in zip(generator, grad(second, generator), strict=True):
        p.assign(p - 0.1 * g)
    for (name, a), (_, b) in zip(network.named_parameters(), other.named_parameters(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-7, err_msg=name)
    assert scores.loss.item() / 3 == pytest.approx(loss.item(), rel=1e-5)
    assert scores.others[0].item() / 6 == pytest.approx(expected_second, rel=1e-5)
    right = (real_scores.numpy() > 0).sum() + (made_scores.numpy() <= 0).sum()
    assert scores.n_correct.item() == right


def test_adversaries_have_means_over_two_judgements_a_row_and_no_best_weights():
    _, events = small_runs.start("gan")
    done = [e for e in events if isinstance(e, EpochDone)]
    for e in done:
        assert e.validation is None and not e.is_best
        assert 0 <= e.train.accuracy <= 1 and e.train.others["generator_loss"] > 0
    # Untrained adversaries: the critic's scores are near 0, so -2 log(1/2) for each pair.
    assert done[0].train.loss == pytest.approx(np.log(2), abs=0.3)


def test_a_generator_that_makes_other_rows_and_a_missing_optimizer_are_named():
    network, data, parts, optimizers, _ = small_runs.make_gan()
    options = Options(loss="gan", patience=None)
    with pytest.raises(OptionError, match="needs an optimizer for each network"):
        fit(network, data, parts, optimizers["critic"], options)
    with pytest.raises(OptionError, match="got critic"):
        fit(network, data, parts, {"critic": optimizers["critic"]}, options)
    with pytest.raises(OptionError, match="takes one optimizer; got critic, generator"):
        fit(network.critic, data, parts, optimizers, Options())
    with pytest.raises(OptionError, match=r"Sequential has no \.generator"):
        fit(network.critic, data, parts, optimizers, options)
    small = Adversaries(nn.Sequential(nn.Linear(3, 64)), network.critic, 3)
    with pytest.raises(ShapeError, match=r"makes \(1, 64\); a row of digits has \(1, 8, 8, 1\)"):
        fit(small, data, parts, optimizers, options)
    wide = nn.Sequential(nn.Conv2d(1, 4, 4))
    with pytest.raises(ShapeError, match="the critic gives 100 scores for one row"):
        fit(Adversaries(network.generator, wide, 3), data, parts, optimizers, options)


# Networks that do not fit the data


def test_a_network_that_does_not_fit_a_text_or_a_series_is_named():
    data, parts = small_runs.text()
    o = optim.SGD([Tensor.parameter(np.zeros(1, np.float32))])
    words = r"gives \(1, 6, 5\) for a window of 6; 7 classes need \(1, 6, 7\)"
    with pytest.raises(ShapeError, match=words):
        fit(nn.Sequential(nn.Embedding(7, 5)), data, parts, o)
    with pytest.raises(DataError, match="the target holds classes"):
        fit(Bigram(7), data, parts, o, Options(loss="mse"))
    series, rows = small_runs.series()
    with pytest.raises(DataError, match="Use loss='mse'"):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(5, 1)), series, rows, o)
    with pytest.raises(ShapeError, match=r"gives \(1, 2\) for one row; an amount needs \(1, 1\)"):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), series, rows, o, Options(loss="mse"))


# Not a number, in networks that are no Sequential


@pytest.mark.parametrize("name", ["gpt", "lstm", "gru", "gan"])
def test_a_learning_rate_that_explodes_names_a_layer_or_a_parameter(name):
    make, batch = small_runs.RUNS[name]
    random.seed(0)
    network, data, parts, optimizers, loss = make()
    for optimizer in optimizers.values() if isinstance(optimizers, dict) else [optimizers]:
        optimizer.lr = 1e30
    options = Options(epochs=3, batch_size=batch, loss=loss, patience=None)
    with pytest.raises(NonFiniteError) as error:
        list(fit(network, data, parts, optimizers, options))
    words = str(error.value)
    assert "step" in words and "learning rate" in words and f"of {data.name}" in words
    assert "output of layer" in words or "values of '" in words or "in the loss of" in words, words
    assert all(np.isfinite(v).all() for v in network.state_dict().values())
    assert "forward" not in vars(network)  # what listened is gone


def test_a_series_of_one_window_and_a_text_of_one_batch_are_enough():
    codes = np.arange(40, dtype=np.int32) % 3
    data = Text("text", codes, tuple("abc"), 4)
    parts = split_text(data, 0.2, 0.2)
    network = Bigram(3)
    events = list(fit(network, data, parts, optim.SGD(network.parameters(), lr=1.0), Options(epochs=1)))  # fmt: skip
    assert events[1].train.n == len(parts.train) * 4
    values = np.array([1.0, 2.0, 4.0, 3.0, 5.0])
    one = Series("s", values, tuple("abcde"), 4)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    rows = Split(np.array([0]), np.array([], np.int32))
    list(fit(net, one, rows, optim.SGD(net.parameters()), Options(epochs=1, loss="mse")))
