"""One small training run for each kind of network that the command line offers, for tests of the loop.

`python small_runs.py NAME PATH new|resume PAUSE` runs one with a checkpoint after every step, and prints the
SHA-256 of what it has learned: the process that tests kill."""

import hashlib
import sys
import time

import numpy as np

import pellucid.nn as nn
from pellucid import optim
from pellucid.data import Series, Split, Text, encode, load_digits, split_series, split_text
from pellucid.models import GPT, CharRNN, Forecaster
from pellucid.tensor import random
from pellucid.train.loop import Options, fit
from pellucid.train.networks import Adversaries


def text():
    """600 characters of 7 kinds that mostly follow a rule."""
    codes = (np.cumsum(np.arange(600) % 3 == 0) % 7).astype(np.int32)
    codes[::11] = 0
    data = Text("text", codes, tuple("abcdefg"), 6)
    return data, split_text(data, 0.1, 0.1)


def series():
    """90 values of a wave."""
    values = np.sin(np.arange(90) / 3) + np.arange(90) % 4 / 10
    data = Series("series", values, tuple(map(str, range(90))), 5, "", 0.1, 0.7, 0.4)
    return data, split_series(data, 0.1, 0.1)


def digits(n=48):
    """The first images; the last third of them to validate."""
    data = load_digits().images()
    rows = np.arange(n, dtype=np.int32)
    return data, Split(rows[: 2 * n // 3], rows[2 * n // 3 :])


def make_cnn():
    data, parts = digits()
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 10),
    )  # fmt: skip
    rate = optim.WarmUp(
        optim.Cosine(0.01, 6), 2
    )  # 9 steps in all; the last ones keep the last rate
    return network, data, parts, optim.AdamW(network.parameters(), lr=rate), "cross_entropy"


def make_lstm():
    data, parts = text()
    network = CharRNN(7, 5, 6, 1, "lstm", 0.2)
    return network, data, parts, optim.AdamW(network.parameters(), lr=0.01), "cross_entropy"


def make_list():
    """Windows whose last places are not answered."""
    lines = "".join("abcdef"[i % 5 : i % 5 + 1 + i % 3] + "\n" for i in range(200))
    data = Text("list", encode(lines, "\nabcdef", ""), tuple("\nabcdef"), 6, is_list=True)
    network = CharRNN(7, 5, 6, 1, "gru", 0.2)
    optimizer = optim.AdamW(network.parameters(), lr=0.01)
    return network, data, split_text(data, 0.1, 0.1), optimizer, "cross_entropy"


def make_gpt():
    data, parts = text()
    network = GPT(7, 6, 8, 1, 2, dropout=0.2, bias=False)
    return network, data, parts, optim.AdamW(network.parameters(), lr=0.01), "cross_entropy"


def make_gru():
    data, parts = series()
    network = Forecaster(1, 6, 1, 1, "gru", 0.2)
    return network, data, parts, optim.AdamW(network.parameters(), lr=0.01), "mse"


def make_gan():
    data, parts = digits(40)
    generator = nn.Sequential(
        nn.Unflatten(1, (1, 1, 3)), nn.ConvTranspose2d(3, 4, 4, bias=False), nn.BatchNorm2d(4),
        nn.ReLU(), nn.ConvTranspose2d(4, 1, 4, 2, padding=1), nn.Tanh(),
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Conv2d(1, 4, 4, 2, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4)
    )
    network = Adversaries(generator, critic, 3)
    optimizers = {
        name: optim.Adam(getattr(network, name).parameters(), lr=0.002, betas=(0.5, 0.999))
        for name in ("critic", "generator")
    }
    return network, data, Split(parts.train, parts.train[:0]), optimizers, "gan"


RUNS = {
    "cnn": (make_cnn, 12),
    "lstm": (make_lstm, 16),
    "list": (make_list, 16),
    "gpt": (make_gpt, 16),
    "gru": (make_gru, 16),
    "gan": (make_gan, 12),
}


def start(name, seed=0, **options):
    """(network, events) of a run; the initial weights follow from the seed."""
    make, batch = RUNS[name]
    random.seed(seed)
    network, data, parts, optimizer, loss = make()
    settings = {"epochs": 3, "batch_size": batch, "loss": loss, "patience": None, **options}
    return network, fit(network, data, parts, optimizer, Options(**settings))


def digest(network):
    """SHA-256 of every weight and running statistic."""
    state = network.state_dict()
    return hashlib.sha256(b"".join(state[n].tobytes() for n in sorted(state))).hexdigest()


if __name__ == "__main__":
    name, path, mode, pause = sys.argv[1:]
    network, events = start(
        name, checkpoint=path, resume=mode == "resume", checkpoint_seconds=0, slice_seconds=0
    )
    for event in events:
        print(type(event).__name__, flush=True)
        time.sleep(float(pause))
    print("sha", digest(network))
