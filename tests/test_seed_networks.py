"""The networks that the explainers name, one test a row of table S: each learns what it is there for.

Data are made by rule, so that what is to be learned is known exactly; numbers are those of the rows."""

import math

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid import optim
from pellucid.data import Dataset, Series, Split, Text, load_series, split, split_series, split_text
from pellucid.models import (
    BERT,
    GPT,
    CharRNN,
    Forecaster,
    mask_words,
    masked_word_loss,
    stream,
)
from pellucid.tensor import functions as F
from pellucid.tensor import random
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor
from pellucid.tensor.trace import compile
from pellucid.train import baselines
from pellucid.train.evaluation import evaluate, predict
from pellucid.train.events import EpochDone
from pellucid.train.loop import Options, fit
from pellucid.train.networks import Adversaries
from pellucid.train.recipe import recipe
from pellucid.train.samples import Sampler


def train(network, data, parts, optimizer, **options):
    """All epochs of a run without early end."""
    events = fit(network, data, parts, optimizer, Options(**{"patience": None, **options}))
    return [e for e in events if isinstance(e, EpochDone)]


# F.1, F.2: convolutions


def shapes(n=600, side=12, seed=0):
    """Pictures of a square, a cross, a ring or a stripe, of any size and place, with grey noise."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:side, :side]
    images = rng.uniform(0, 0.3, (n, side, side))
    y = (np.arange(n) % 4).astype(np.int32)
    for i in range(n):
        r = rng.integers(2, 5)
        a, b = rng.integers(r, side - r, 2)
        u, v = np.abs(down - a), np.abs(across - b)
        inside = np.maximum(u, v) <= r
        drawn = [inside, inside & (np.minimum(u, v) == 0), inside & (np.maximum(u, v) == r),
                 inside & (u == 0)][y[i]]  # fmt: skip
        images[i][drawn] += 0.6
    x = images.astype(np.float32)[..., None]
    return Dataset("shapes", x, y, ("square", "cross", "ring", "stripe"), (side, side, 1))


def test_S_F1_a_cnn_tells_shapes_apart_wherever_they_are():
    data = shapes()
    parts = split(data, 0.0, 0.3)
    random.seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding="same"), nn.ReLU(), nn.GlobalMaxPool(), nn.Linear(16, 4),
    )  # fmt: skip
    train(network, data, parts, optim.AdamW(network.parameters(), lr=0.01), epochs=40)
    assert evaluate(network, data, parts.test).accuracy >= 0.98
    # The same shape somewhere else: the filters slide, the maximum forgets the place.
    moved = np.roll(data.x[parts.test], 2, axis=2)
    is_whole = (data.x[parts.test][:, :, -2:] < 0.4).all((1, 2, 3))  # nothing is cut at the border
    answers = predict(network, moved[is_whole]).argmax(1)
    assert np.mean(answers == data.y[parts.test][is_whole]) >= 0.95


def test_S_F2_a_filter_detects_edges():
    """Sobel's filter answers at a vertical edge only, with the sign of its direction."""
    edge = nn.Conv2d(1, 1, 3, padding="valid", bias=False)
    edge.weight.assign(np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)[..., None, None])
    image = np.zeros((1, 8, 8, 1), np.float32)
    image[:, :, 3:6] = 1  # a bright bar of columns 3 to 5
    answer = edge(Tensor(image)).numpy()[0, :, :, 0]
    # column j of the answer looks at columns j to j + 2 of the image
    assert answer[0].tolist() == [0, 4, 4, 0, -4, -4] and (answer == answer[0]).all()
    assert (
        edge(Tensor(image.swapaxes(1, 2))).numpy()[0, 0] == 0
    ).all()  # a horizontal one: nothing


# F.3 to F.6: recurrence


def test_S_F3_an_rnn_learns_a_sine():
    values = np.sin(2 * np.pi * np.arange(160) / 8)
    data = Series("sine", values, tuple(map(str, range(160))), 16)
    parts = split_series(data)
    random.seed(0)
    network = Forecaster(1, 16, 1, 1, "rnn")
    optimizer = optim.AdamW(network.parameters(), lr=0.01)
    train(network, data, parts, optimizer, epochs=60, batch_size=16, loss="mse")
    persistence = np.mean(np.diff(values)[-len(parts.test) :] ** 2)
    assert evaluate(network, data, parts.test, "mse").loss < 0.1 * persistence


class Adding(nn.Module):
    """Reads (B, T, 2, 1) pairs of a value and a mark; gives one number."""

    def __init__(self, kind):
        self.inside = Forecaster(2, 32, 1, 1, kind)

    def forward(self, x):
        return self.inside(x.reshape(*x.shape[:3]))


def adding_problem(n=4000, t=100, seed=0):
    """T values, two of them marked: the answer is the sum of the two (Hochreiter and Schmidhuber 1997)."""
    rng = np.random.default_rng(seed)
    values, marks = rng.uniform(size=(n, t)), np.zeros((n, t))
    marks[np.arange(n), rng.integers(0, t // 2, n)] = 1
    marks[np.arange(n), rng.integers(t // 2, t, n)] = 1
    x = np.stack([values, marks], -1).astype(np.float32)[..., None]
    return Dataset("adding", x, (values * marks).sum(1).astype(np.float32))


@pytest.mark.parametrize(("kind", "epochs"), [("gru", 6), ("lstm", 22), ("rnn", 6)])
def test_S_F4_F5_gates_remember_over_a_hundred_steps(kind, epochs):
    data = adding_problem()
    parts = split(data, 0.0, 0.2)
    random.seed(0)
    network = Adding(kind)
    optimizer = optim.Adam(network.parameters(), lr=0.01 if kind != "rnn" else 0.001)
    train(network, data, parts, optimizer, epochs=epochs, loss="mse")
    error = evaluate(network, data, parts.test, "mse").loss
    # Always answering 1 has the error 1/6 = 0.167, the variance of the sum of two even numbers.
    assert error < 0.02 if kind != "rnn" else error > 0.1


def gradient_at_each_step(kind, t=60):
    """Norm of the gradient of the last output with respect to the input at every step."""
    random.seed(0)
    layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind](8, 16)
    if kind == "lstm":  # the forget gate begins open (Gers et al. 2000; Jozefowicz et al. 2015)
        bias = layer.bias_ih_l0.numpy().copy()
        bias[16:32] += 4
        layer.bias_ih_l0.assign(bias)
    if kind == "gru":  # the update gate, which keeps the state, begins near 1
        bias = layer.bias_ih_l0.numpy().copy()
        bias[16:32] += 4
        layer.bias_ih_l0.assign(bias)
    x = Tensor.parameter(np.random.default_rng(0).normal(size=(4, t, 8)).astype(np.float32))
    out, _ = layer(x)
    g = grad(out[:, -1].sum(), [x])[0].numpy()
    return np.sqrt((g**2).sum((0, 2)))


def test_S_F6_gates_ease_vanishing_gradients():
    norms = {kind: gradient_at_each_step(kind) for kind in ("rnn", "lstm", "gru")}
    first_of_last = {kind: n[0] / n[-1] for kind, n in norms.items()}
    assert first_of_last["rnn"] < 1e-8
    assert first_of_last["lstm"] > 1e-3 and first_of_last["gru"] > 1e-3


# F.7, F.8: adversaries


def test_S_F7_adversaries_cover_a_ring_of_eight_gaussians():
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(8) / 8
    centres = 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    which = np.arange(1024) % 8
    x = (centres[which] + 0.05 * rng.normal(size=(1024, 2))).astype(np.float32)
    data = Dataset("ring", x, which.astype(np.int32), tuple("abcdefgh"))
    rows = np.arange(1024, dtype=np.int32)
    random.seed(1)
    generator = nn.Sequential(
        nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    )
    critic = nn.Sequential(
        nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
    )
    network = Adversaries(generator, critic, 8)
    optimizers = {
        name: optim.Adam(getattr(network, name).parameters(), lr=1e-3, betas=(0.5, 0.999))
        for name in ("critic", "generator")
    }
    train(network, data, Split(rows, rows[:0]), optimizers, epochs=400, batch_size=128, loss="gan")
    noise = np.random.default_rng(1).normal(size=(800, 8)).astype(np.float32)
    made = Sampler(network)(noise)
    apart = baselines.distances(made, centres.astype(np.float32))
    # A mode counts when 1 % of the samples lie within ten standard deviations of it.
    counts = np.bincount(apart.argmin(1)[apart.min(1) < 0.5], minlength=8)
    assert (counts >= 8).sum() >= 7, counts


def test_S_F8_made_pictures_are_told_from_copies():
    """A copy lies on its picture; a picture with another one's noise does not."""
    x = shapes(200).x
    rng = np.random.default_rng(0)
    new = x[:50] + rng.uniform(-0.2, 0.2, (50, 12, 12, 1)).astype(np.float32)
    nearest = baselines.distances(np.concatenate([x[:50], new]), x)
    assert (nearest[:50].min(1) < 1e-6).all() and (nearest[50:].min(1) > 0.5).all()
    assert (nearest.argmin(1) == np.tile(np.arange(50), 2)).all()


# F.9 to F.13: attention and language


def test_S_F9_attention_looks_at_all_places_and_never_ahead():
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 2, 3, 7, 5)).astype(np.float32)
    z = np.einsum("bhtd,bhsd->bhts", q.astype(np.float64), k) / math.sqrt(5)
    z[..., np.triu_indices(7, 1)[0], np.triu_indices(7, 1)[1]] = -np.inf
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    ours = nn.scaled_dot_product_attention(Tensor(q), Tensor(k), Tensor(v), is_causal=True).numpy()
    np.testing.assert_allclose(ours, p @ v, atol=1e-5)

    random.seed(0)
    model = GPT(9, 12, 16, 2, 2).eval()
    tokens = rng.integers(0, 9, (1, 12))
    changed = tokens.copy()
    changed[0, 8] = (changed[0, 8] + 1) % 9
    before, after = model(Tensor(tokens)).numpy(), model(Tensor(changed)).numpy()
    assert (before[0, :8] == after[0, :8]).all() and (before[0, 8] != after[0, 8]).any()


def rule_text(n=3000, seed=0):
    """Words of one letter repeated 2, 3 or 4 times: how long is said by the letter before the word."""
    rng = np.random.default_rng(seed)
    codes: list[int] = []
    while len(codes) < n:
        length = rng.integers(0, 3)
        codes += [int(length), *([3 + int(rng.integers(0, 3))] * (length + 2))]
    return Text("rule", np.array(codes[:n], np.int32), tuple("234abc"), 12)


def test_S_F10_I17_a_gpt_learns_to_write_by_the_rule():
    """What is left to chance is 2 log 3 nats a word of 4 characters on average: the entropy of the text."""
    data = rule_text()
    parts = split_text(data)
    random.seed(0)
    network = GPT(6, 12, 32, 2, 2, dropout=0.0, bias=False)
    train(network, data, parts, optim.AdamW(network.parameters(), lr=3e-3), epochs=25)
    score = evaluate(network, data, parts.test)
    single = baselines.unigram_loss(data.codes[:2400], data.codes[2700:], 6)
    double = baselines.bigram_loss(data.codes[:2400], data.codes[2700:], 6)
    entropy = 2 * math.log(3) / 4
    # The first places of a window do not show the rule yet: it stays above the entropy.
    assert entropy < score.loss < double - 0.2 < single
    assert math.exp(score.loss) < 2.2  # the perplexity
    # It writes by the rule: each word is as long as its figure says.
    steps = list(stream(network, [1, 3, 3, 3, 0], 7, temperature=0.0))
    first, second, figure = (s.token for s in steps[:3])
    assert first == second >= 3 and figure < 3  # '2' asks for two letters, then the next figure


def test_S_F11_a_bert_guesses_masked_symbols_from_both_sides():
    data = rule_text()
    places = np.arange(0, 2980, 12)[:, None] + np.arange(12)
    learned, new = data.codes[places[:200]], data.codes[places[200:]]
    mask = 6  # one more symbol than the text has
    random.seed(0)
    network = BERT(7, 32, 2, 2, 64, 12, dropout=0.0, pad_token_id=None)
    optimizer = optim.AdamW(network.parameters(), lr=2e-3)

    @compile
    def step(tokens, targets):
        loss = masked_word_loss(network(tokens), targets)
        optimizer.step(grad(loss, optimizer.parameters))

    for i in range(400):
        rows = learned[np.arange(i * 40, i * 40 + 40) % len(learned)]
        step(*mask_words(rows, mask, 6, seed=i))
    inputs, targets = mask_words(new, mask, 6, seed=10_000)
    is_hidden = inputs == mask
    targets = np.where(is_hidden, targets, -100)
    network.eval()
    loss = masked_word_loss(network(Tensor(inputs)), Tensor(targets)).item()
    single = baselines.unigram_loss(learned.ravel(), new[is_hidden], 6)
    assert loss < single - 0.3


def test_S_F12_the_next_characters_are_shown_with_their_probabilities():
    random.seed(0)
    model = CharRNN(6, 8, 8)
    (step,) = stream(model, [1, 3, 3], 1, temperature=0.7, top_k=3, n_candidates=6)
    scores = model.eval()(Tensor(np.array([[1, 3, 3]]))).numpy()[0, -1].astype(np.float64)
    p = np.exp(scores) / np.exp(scores).sum()
    for c in step.candidates:
        assert c.probability == pytest.approx(p[c.token], rel=1e-5)
    order = np.argsort(-p)
    assert [c.token for c in step.candidates] == order.tolist()
    sharper = p[order[:3]] ** (1 / 0.7)
    sharper /= sharper.sum()
    assert [c.chance for c in step.candidates] == pytest.approx([*sharper, 0, 0, 0], rel=1e-4)


def test_S_F13_symbols_that_are_used_alike_have_embeddings_that_lie_close():
    """d to g stand in the same places, and so do a to c: neighbours of a letter are of its kind."""
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, 3, 800), rng.integers(3, 7, 800)], 1).ravel()
    data = Text("pairs", codes.astype(np.int32), tuple("abcdefg"), 8)
    random.seed(0)
    network = CharRNN(7, 4, 16)
    optimizer = optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.1)
    train(network, data, split_text(data), optimizer, epochs=30)
    e = network.embedding.weight.numpy()
    apart = baselines.distances(e, e)
    np.fill_diagonal(apart, np.inf)
    kind = np.arange(7) >= 3
    assert (kind[apart.argmin(1)] == kind).all()


# G: practice


def test_S_G2_batch_norm_predicts_a_row_alone_as_in_any_batch():
    data = shapes(80)
    random.seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, 4)
    )
    before = network[1].running_mean.numpy().copy()
    rows = np.arange(80, dtype=np.int32)
    train(network, data, Split(rows, rows[:0]), optim.SGD(network.parameters(), lr=0.1), epochs=2)
    assert (network[1].running_mean.numpy() != before).any()  # training looked at its batches
    together = predict(network, data.x[:32])
    for i in (0, 7, 31):
        np.testing.assert_allclose(predict(network, data.x[i : i + 1])[0], together[i], rtol=1e-5)
    stored = network.state_dict()
    assert {"1.running_mean", "1.running_var", "1.num_batches_tracked"} <= set(stored)
    # In training the same row depends on its batch.
    network.train()
    alone = network(Tensor(data.x[:2])).numpy()[0]
    assert np.abs(alone - network(Tensor(data.x[:32])).numpy()[0]).max() > 1e-4


def test_S_G3_dropout_drops_half_in_training_and_nothing_in_prediction():
    layer = nn.Dropout(0.5)
    x = Tensor(np.ones((100, 100), np.float32))
    random.seed(0)
    y = layer(x).numpy()
    assert abs((y == 0).mean() - 0.5) <= 0.02 and set(np.unique(y)) == {0.0, 2.0}
    assert (layer.eval()(x).numpy() == 1).all()


def test_S_G3_dropout_narrows_the_gap_between_what_was_learned_and_what_is_new():
    """20 columns, of which 2 matter, and 60 rows: a wide network learns the noise of the rest by heart."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(460, 20)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] + rng.normal(size=460) > 0).astype(np.int32)
    data = Dataset("noisy", x, y, ("no", "yes"))
    rows = np.arange(460, dtype=np.int32)
    gaps = []
    scores = []
    for p in (0.0, 0.5):
        random.seed(0)
        network = nn.Sequential(
            nn.Dropout(p / 2), nn.Linear(20, 64), nn.ReLU(), nn.Dropout(p), nn.Linear(64, 2)
        )
        optimizer = optim.AdamW(network.parameters(), lr=0.005)
        train(network, data, Split(rows[:60], rows[:0]), optimizer, epochs=100, batch_size=20)
        learned, new = (evaluate(network, data, r).loss for r in (rows[:60], rows[60:]))
        gaps.append(new - learned)
        scores.append(new)
    assert gaps[1] < 0.7 * gaps[0] and scores[1] < scores[0]


RATES = {  # at the first step, in the middle, at the end of 200: parts of lr
    "constant": (1, 1, 1),
    "cosine": (0.1, 0.6, 0.1),  # a tenth of ten steps of warm-up; then from 1 to a tenth
    "linear": (1, 0.5, 0),
    "step": (1, 0.3, 0.09),
    "exponential": (1, 0.1, 0.01),
    "one-cycle": (0.04, 0.8, 0),
}


@pytest.mark.parametrize("name", RATES)
def test_S_G4_the_learning_rate_follows_its_schedule_which_is_drawn_before(name):
    made = recipe("digits", schedule=name, epochs=5, lr=0.01, net=(8,))
    data = made.dataset()
    parts = made.split(data)
    n = made.n_steps(parts)
    assert n == 5 * math.ceil(len(parts.train) / 32)
    rate = made.learning_rate(200)
    values = [rate if name == "constant" else rate.value(i) for i in (0, 100, 199)]
    assert [v / 0.01 for v in values] == pytest.approx(RATES[name], abs=0.04)
    # A person sees it before the first step, from the first bar to the last.
    (told,) = [d for d in made.decisions(data, parts) if d.name == "schedule"]
    bars = told.value.removeprefix(name).strip()
    assert (bars == "") == (name == "constant") and (not bars or "█" in bars)
    # And training walks along it.
    network = made.network(data)
    optimizer = made.make_optimizer(network, n)
    train(network, data, parts, optimizer, epochs=2, batch_size=32)
    expected = made.learning_rate(n)
    last = 0.01 if name == "constant" else expected.value(2 * n // 5 - 1)
    assert optimizer.lr == pytest.approx(last, rel=1e-6)


# I: digits, series and text


@pytest.mark.parametrize(("net", "least"), [(None, 0.97), ("cnn", 0.98)])
def test_S_I1_handwritten_digits(net, least):
    made = recipe("digits", net=net)
    data = made.dataset()
    parts = made.split(data)
    network = made.network(data)
    options = {"epochs": made.epochs, "batch_size": made.batch, "patience": made.patience}
    train(network, data, parts, made.make_optimizer(network), **options)
    assert evaluate(network, data, parts.test).accuracy >= least


def test_S_I14_a_series_is_cut_by_time_and_a_coin_is_not_foreseen():
    """A random walk: no network beats saying the last value again, and the report says so."""
    from pellucid.cli.results import warning

    rng = np.random.default_rng(0)
    data = Series("walk", np.cumsum(rng.choice([-1.0, 1.0], 400)), tuple(map(str, range(400))), 8)
    parts = split_series(data)
    assert parts.train.max() < parts.validation.min() <= parts.validation.max() < parts.test.min()
    random.seed(0)
    network = Forecaster(1, 8, 1, 1, "gru")
    train(network, data, parts, optim.AdamW(network.parameters(), lr=0.01), epochs=20, loss="mse")
    ours = evaluate(network, data, parts.test, "mse").loss
    persistence = float(np.mean(np.diff(data.values)[-len(parts.test) :] ** 2))
    assert ours > 0.95 * persistence
    (told,) = warning(max(ours, persistence), {"persistence": persistence})
    assert "not better than persistence" in told


def test_S_I15_temperatures_are_forecast_better_than_by_persistence_and_autoregression():
    data = load_series()
    parts = split_series(data)
    random.seed(0)
    network = Forecaster(1, 32, 1, 1, "gru")
    optimizer = optim.AdamW(network.parameters(), lr=5e-3)
    train(network, data, parts, optimizer, epochs=100, loss="mse", patience=30)
    rmse = math.sqrt(evaluate(network, data, parts.test, "mse").loss) * data.step
    places = [p + data.window for p in (parts.train, parts.validation, parts.test)]
    simple = baselines.autoregression(data.values, *places[:2], data.window)
    truth = data.values[places[2]]
    assert rmse < baselines.errors(simple.forecast(data.values, places[2]), truth).rmse
    assert rmse < 0.5 * baselines.errors(data.values[places[2] - 1], truth).rmse


def test_S_C_softmax_over_characters_sums_to_one():
    random.seed(0)
    model = GPT(11, 8, 16, 1, 2).eval()
    p = F.softmax(model(Tensor(np.arange(8)[None] % 11)), -1).numpy()
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-6)
