"""Which networks there are for a task, and the settings that suit each: one row a network, with reasons.

  classify  one class of several        mlp (hidden layers of neurons), cnn (filters that slide over an image)
  regress   an amount                   mlp
            of a table's rows           committee (several networks beside each other), mlp
  enhance   the same picture without faults   cnn
  generate  new rows like the real ones dcgan (a generator and a critic, both convolutional)
  continue  the next character          gpt (attention), lstm, gru, rnn (recurrence)
  forecast  the next value of a series  gru, lstm, rnn

A row's settings are defaults; a person's own come before them. `width` and `layers` mean what the row says.
Tables and pictures of a person's own have rows of their own (TABLES, PICTURES)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..models.char_rnn import CharRNN
from ..models.committee import Committee
from ..models.dcgan import DCGAN
from ..models.forecaster import Forecaster
from ..models.gpt import GPT
from ..nn.activation import LeakyReLU, ReLU, Tanh, activation
from ..nn.container import Flatten, Residual, Sequential, Unflatten
from ..nn.conv import Conv2d, ConvTranspose2d
from ..nn.dropout import Dropout
from ..nn.linear import Linear
from ..nn.module import Module
from ..nn.norm import BatchNorm2d
from ..nn.pooling import AdaptiveMaxPool2d, MaxPool2d
from ..tensor import random
from ..tensor.tensor import Tensor
from .evaluation import predict


@dataclass(frozen=True)
class Network:
    """How one network is made, and what suits it.

    make      (settings, data) -> the network with its initial weights
    shape     (settings, data) -> its sizes in few words, as 64-128-64-10
    settings  defaults for what a person did not say
    uses      which settings of a network it has (others are refused)
    lr, l2    learning rate and weight decay by optimizer, where the usual ones do not suit
    optimizer further settings of adam and adamw
    finish    (network, data, parts): what is done with the best weights at the end, nothing where it is None"""

    make: Callable[[Any, Any], Module]
    shape: Callable[[Any, Any], str]
    why: str
    settings: Mapping[str, Any]
    uses: tuple[str, ...]
    lr: Mapping[str, float] = field(default_factory=dict)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    finish: Callable[[Any, Any, Any], None] | None = None
    l2: Mapping[str, float] = field(default_factory=dict)


def initialisation(name: str) -> str:
    """The scheme of initial weights that suits a hidden activation (nn/init.py)."""
    return "glorot" if name in ("sigmoid", "tanh") else "he"


# classify


def make_mlp(s: Any, data: Any) -> Sequential:
    """Hidden layers of neurons, each with an activation, and one score for each class."""
    scheme = initialisation(s.activation)
    layers: list[Module] = []
    width = data.n_features
    for n in s.net:
        layers += [Linear(width, n, init=scheme), activation(s.activation)]
        width = n
    return Sequential(*layers, Linear(width, len(data.classes) or 1, init="glorot"))


def mlp_shape(s: Any, data: Any) -> str:
    """64-128-64-10."""
    hidden = "-".join(map(str, s.net)) or "none"
    return f"{data.n_features}-{hidden}-{len(data.classes) or 1}"


def make_table_mlp(s: Any, data: Any) -> Sequential:
    """As make_mlp, with dropout after each hidden layer."""
    scheme = initialisation(s.activation)
    layers: list[Module] = []
    width = data.n_features
    for n in s.net:
        layers += [Linear(width, n, init=scheme), activation(s.activation), Dropout(s.dropout)]
        width = n
    return Sequential(*layers, Linear(width, len(data.classes) or 1, init="glorot"))


def committee_sizes(s: Any, data: Any) -> tuple[int, ...]:
    """Features, hidden layers of which each has half of the one before, classes or 1 for an amount."""
    hidden = (max(1, s.width // 2**i) for i in range(s.layers))
    return (data.n_features, *hidden, len(data.classes) or 1)


def make_committee(s: Any, data: Any) -> Committee:
    """Several small networks; the mean of their answers."""
    answers = "chances" if data.classes else "amounts"
    scheme = initialisation(s.activation)
    return Committee(
        committee_sizes(s, data), s.members, s.activation, s.dropout, answers, scheme
    )  # fmt: skip


def committee_shape(s: Any, data: Any) -> str:
    """16 times 96-64-32-2."""
    return f"{s.members} times {'-'.join(map(str, committee_sizes(s, data)))}"


def make_cnn(s: Any, data: Any) -> Sequential:
    """Two convolutions, the largest of each 2 x 2 places, one linear layer. LeCun et al. (1998) in small."""
    height, width, channels = data.shape
    return Sequential(
        Conv2d(channels, s.width, 3, padding="same"),
        ReLU(),
        Conv2d(s.width, 2 * s.width, 3, padding="same"),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dropout(s.dropout),
        Linear(2 * s.width * (height // 2) * (width // 2), len(data.classes), init="glorot"),
    )


def cnn_shape(s: Any, data: Any) -> str:
    """8x8, 16 filters, 32 filters, pool, 10."""
    image = "x".join(map(str, data.shape[:2]))
    return f"{image}, {s.width} filters of 3x3, {2 * s.width} filters, pool 2, {len(data.classes)}"


def make_picture_cnn(s: Any, data: Any) -> Sequential:
    """Blocks of two convolutions, each normed, and a pooling that halves the side, until it is 8 or less.

    Simonyan and Zisserman (2015), with batch norm; the filters double with each block. In pictures that are varied by
    moving them a thing may be anywhere: of each filter only the largest answer counts, not its place (Oquab et al.
    2015). 900 shapes of any place: 100 % after 8 epochs, 42 % with places; centred digits need the places."""
    height, width, channels = data.shape
    layers: list[Module] = []
    filters = s.width
    for _ in range(n_blocks(data.shape)):
        for _ in range(2):
            layers += [
                Conv2d(channels, filters, 3, padding="same", bias=False),
                BatchNorm2d(filters),
                ReLU(),
            ]
            channels = filters
        if min(height, width) >= 2:
            layers.append(MaxPool2d(2))
            height, width = height // 2, width // 2
        filters *= 2
    if data.augmentation is not None:
        layers.append(AdaptiveMaxPool2d(1))
        height = width = 1
    return Sequential(
        *layers,
        Flatten(),
        Dropout(s.dropout),
        Linear(channels * height * width, len(data.classes) or 1, init="glorot"),
    )


def n_blocks(shape: tuple[int, ...]) -> int:
    """Halvings that bring the shorter side to 8 or less, 1 at least."""
    side, n = min(shape[:2]) // 2, 1
    while side > 8:
        side, n = side // 2, n + 1
    return n


def picture_cnn_shape(s: Any, data: Any) -> str:
    """28x28x1, 2 blocks of two convolutions with 16, 32 filters, 10."""
    n = n_blocks(data.shape)
    filters = ", ".join(str(s.width * 2**i) for i in range(n))
    blocks = "1 block" if n == 1 else f"{n} blocks"
    size = "x".join(map(str, data.shape))
    largest = "" if data.augmentation is None else ", the largest of each"
    ends = f"{filters} filters{largest}, {len(data.classes) or 1}"
    return f"{size}, {blocks} of two convolutions with {ends}"


# enhance


def make_enhancer(s: Any, data: Any) -> Residual:
    """Convolutions that find what is to be added to a picture; at first nothing. For pictures of any size.

    Zhang et al. (2017, DnCNN), without its batch norm: with few layers it learns as well, and knows no batch."""
    channels, layers = data.shape[2], []
    for i in range(s.layers - 1):
        layers += [Conv2d(s.width if i else channels, s.width, 3, padding="same"), ReLU()]
    return Residual(Sequential(*layers, Conv2d(s.width, channels, 3, padding="same", init="zeros")))


def enhancer_shape(s: Any, data: Any) -> str:
    """5 convolutions of 3x3 with 32 filters, whose answer is added to the picture."""
    return f"{s.layers} convolutions of 3x3 with {s.width} filters, whose answer is added to the picture"


# generate


class Adversaries(Module):
    """Two networks that learn against each other: a generator makes pictures, a critic judges them.

    latent  how many numbers of noise make a picture; forward(noise) gives the generator's pictures"""

    def __init__(self, generator: Sequential, critic: Sequential, latent: int):
        self.generator, self.critic, self.latent = generator, critic, latent

    def noise(self, n: int) -> Tensor:
        """(n, latent) from N(0, 1), by the global generator of random numbers."""
        return random.normal(n, self.latent)

    def forward(self, noise: Tensor) -> Tensor:
        return self.generator(noise)


def make_dcgan(s: Any, data: Any) -> Adversaries:
    """Both of convolutions with batch norm, after Radford et al. (2016), for images of 8 x 8.

    Their networks for larger images double the side at every layer (models/dcgan.py); 8 x 8 would leave them too
    few layers, so between doublings stands a convolution that keeps the side."""
    side, w = data.shape[0], s.width
    small = side // 2

    def normed(*layers: Module, n: int, after: Module) -> list[Module]:
        return [*layers, BatchNorm2d(n), after]

    generator = Sequential(
        Unflatten(1, (1, 1, LATENT)),
        *normed(ConvTranspose2d(LATENT, 4 * w, small, bias=False), n=4 * w, after=ReLU()),
        *normed(Conv2d(4 * w, 2 * w, 3, padding=1, bias=False), n=2 * w, after=ReLU()),
        *normed(ConvTranspose2d(2 * w, w, 4, 2, padding=1, bias=False), n=w, after=ReLU()),
        Conv2d(w, data.shape[2], 3, padding=1),
        Tanh(),
    )
    critic = Sequential(
        Conv2d(data.shape[2], w, 3, padding=1),
        LeakyReLU(0.2),
        *normed(Conv2d(w, 2 * w, 4, 2, padding=1, bias=False), n=2 * w, after=LeakyReLU(0.2)),
        *normed(Conv2d(2 * w, 4 * w, 3, padding=1, bias=False), n=4 * w, after=LeakyReLU(0.2)),
        Conv2d(4 * w, 1, small),
    )
    return Adversaries(generator, critic, LATENT)


def make_picture_dcgan(s: Any, data: Any) -> Adversaries:
    """Both networks of models/dcgan.py, whose layers double the side; of 8 x 8, too few for them, as make_dcgan."""
    side, _, channels = data.shape
    if side == 8:
        return make_dcgan(s, data)
    both = DCGAN(side, channels, LATENT, s.width)
    generator = Sequential(Unflatten(1, (1, 1, LATENT)), *both.generator.layers)
    return Adversaries(generator, Sequential(*both.critic.layers), LATENT)


def dcgan_shape(s: Any, data: Any) -> str:
    """64 numbers to 8x8, 8x8 to a score."""
    image = "x".join(map(str, data.shape[:2]))
    return f"{LATENT} numbers of noise to {image}, {image} to a score, {s.width} filters"


# continue


def make_gpt(s: Any, data: Any) -> GPT:
    """Blocks of causal attention over the window. Radford et al. (2019)."""
    return GPT(
        len(data.classes), s.window, s.width, s.layers, n_heads(s.width), dropout=s.dropout, bias=False
    )  # fmt: skip


def gpt_shape(s: Any, data: Any) -> str:
    """GPT of 4 layers, 4 heads, width 128, 70 characters."""
    heads = n_heads(s.width)
    return (
        f"GPT of {s.layers} layers, {heads} heads, width {s.width}, {len(data.classes)} characters"
    )


def n_heads(width: int) -> int:
    """Heads of 32 numbers each, or more where the width asks for it."""
    return max(d for d in range(1, max(1, width // 32) + 1) if width % d == 0)


def make_char_rnn(s: Any, data: Any) -> CharRNN:
    """An embedding, recurrent layers, a score for each character."""
    return CharRNN(len(data.classes), min(64, s.width), s.width, s.layers, s.net, s.dropout)


def char_rnn_shape(s: Any, data: Any) -> str:
    """70-64-256-70."""
    return (
        f"{s.net.upper()} of {s.layers} layer{'s' if s.layers > 1 else ''}, width {s.width}, "
        f"{len(data.classes)} characters"
    )


# forecast


def make_forecaster(s: Any, data: Any) -> Forecaster:
    """Recurrent layers over the window, one number from the last state, beside an autoregression.

    The autoregression is fitted to the rows to learn, so that training begins where it is: a network that has
    to find it by itself needs more steps than a short series pays for."""
    network = Forecaster(1, s.width, s.layers, 1, s.net, s.dropout, window=data.window)
    network.begin_linear(*windows(data, s.split(data).train))
    return network


def windows(data: Any, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """(N, T, 1) scaled values and the (N,) scaled changes that follow, of these rows of a Series."""
    values, changes = data.arrays()
    rows = np.asarray(rows)
    return values[rows[:, None] + np.arange(data.window)], changes[rows + data.window]


def finish_forecaster(network: Forecaster, data: Any, parts: Any) -> None:
    """The autoregression is fitted anew, now to the validation part too: the latest values tell most of what comes.

    RMSE of daily_min_temperatures: 2.211 -> 2.204; the network's part stays as it was."""
    x, y = windows(data, np.concatenate([parts.train, parts.validation]))
    rest = predict(network, x, probabilities=False) - network.linear_part(x)
    network.fit_linear(x, y[:, None] - rest)


def forecaster_shape(s: Any, data: Any) -> str:
    """24 values, GRU of 1 layer, width 32, beside an autoregression, 1 number."""
    layers = f"{s.layers} layer{'s' if s.layers > 1 else ''}"
    return f"{data.window} values, {s.net.upper()} of {layers}, width {s.width}, beside an autoregression, 1 number"


LATENT = 64  # numbers of noise that become a picture

RECURRENCE = {
    "gru": "gates decide what a state keeps; fewer weights than an LSTM, often as good",
    "lstm": "a cell with gates remembers over long stretches",
    "rnn": "the plain form: one state, no gates; it forgets soon",
}

TEXT = {"batch": 32, "validation": 0.1, "test": 0.1, "window": 64}
SERIES = {"schedule": "cosine", "batch": 32, "epochs": 200, "patience": 30, "validation": 0.15, "test": 0.2,
          "window": 24, "width": 32, "layers": 1, "dropout": 0.0}  # fmt: skip
SEQUENCE_USES = ("window", "width", "layers", "dropout")

TABLE = Network(
    make_table_mlp,
    mlp_shape,
    "two hidden layers learn which columns matter together",
    # Measured on five public tables of 891 to 20,640 rows: a rate that falls beats one that stays.
    {"net": (256, 128), "batch": 32, "epochs": 60, "patience": 20, "validation": 0.15, "test": 0.2,
     "activation": "relu", "dropout": 0.2, "schedule": "cosine"},
    ("activation", "dropout"),
    {"adamw": 1e-3, "adam": 1e-3},
)  # fmt: skip
# For tables that are not large (tables.py). Chosen on seeds 0 to 4 of the five sets of benchmarks/own_data.py and on
# six that are hard to learn (a checkerboard, spirals, ..): beside one network of 256-128 it is never worse; log loss of
# titanic 0.434 -> 0.411, RMSE of california_housing 47.9k -> 46.8k, of friedman1 with 2,000 rows 1.44 -> 1.05.
COMMITTEE = Network(
    make_committee,
    committee_shape,
    "small networks that learn beside each other err differently: their mean errs less than each",
    {"members": 16, "width": 64, "layers": 2, "batch": 32, "epochs": 60, "patience": 20, "validation": 0.15,
     "test": 0.2, "activation": "gelu", "dropout": 0.1, "schedule": "cosine"},
    ("members", "width", "layers", "activation", "dropout"),
    {"adamw": 2e-3, "adam": 2e-3},
    l2={"adamw": 0.3},
)  # fmt: skip
# task -> networks for rows of a table
# Amounts: a smooth activation gives smooth answers. RMSE of california_housing, two seeds: 48.7k with relu, 47.9k.
TABLES: dict[str, dict[str, Network]] = {
    "classify": {"mlp": TABLE, "committee": COMMITTEE},
    "regress": {
        "mlp": replace(TABLE, settings={**TABLE.settings, "activation": "gelu"}),
        "committee": replace(COMMITTEE, l2={"adamw": 0.1}),
    },
}

DCGAN_ROW = Network(
    make_dcgan,
    dcgan_shape,
    "a generator and a critic, both of convolutions, learn against each other",
    {"batch": 64, "epochs": 200, "patience": 0, "validation": 0.0, "test": 0.2,
     "width": 16, "optimizer": "adam"},
    ("width",),
    {"adam": 1e-3, "adamw": 1e-3},
    # No momentum, as Mescheder et al. (2018) with their penalty. Coverage of the digits 89 %, with 0.5 and half the
    # rate 84 %; of 6,000 digits of MNIST 15.9 %, 13.6 %.
    {"betas": (0.0, 0.999)},
)  # fmt: skip
PICTURE_CNN = Network(
    make_picture_cnn,
    picture_cnn_shape,
    "filters that slide over the picture find a shape wherever it is",
    {"batch": 64, "epochs": 20, "patience": 8, "validation": 0.15, "test": 0.2,
     "width": 16, "dropout": 0.25, "schedule": "cosine"},
    ("width", "dropout"),
)  # fmt: skip
ENHANCER = Network(
    make_enhancer,
    enhancer_shape,
    "each pixel is mended from those around it, in pictures of any size",
    {"batch": 16, "epochs": 20, "patience": 6, "validation": 0.15, "test": 0.2,
     "width": 32, "layers": 5, "schedule": "cosine"},
    ("width", "layers"),
    {"adamw": 1e-3, "adam": 1e-3},
)  # fmt: skip
# task -> networks for pictures of one's own
PICTURES: dict[str, dict[str, Network]] = {
    "classify": {"cnn": PICTURE_CNN, "mlp": TABLE},
    "regress": {"cnn": PICTURE_CNN, "mlp": TABLES["regress"]["mlp"]},
    "generate": {"dcgan": replace(DCGAN_ROW, make=make_picture_dcgan)},
    "enhance": {"cnn": ENHANCER},
}

# The first network of a task is the usual one.
NETWORKS: dict[str, dict[str, Network]] = {
    "classify": {
        "mlp": Network(
            make_mlp,
            mlp_shape,
            "two hidden layers learn strokes, then digits",
            {"net": (128, 64), "batch": 32, "epochs": 100, "patience": 20, "validation": 0.15,
             "test": 0.2, "activation": "relu"},
            ("activation",),
        ),
        "cnn": Network(
            make_cnn,
            cnn_shape,
            "filters that slide over the image find a stroke wherever it is",
            {"batch": 32, "epochs": 60, "patience": 15, "validation": 0.15, "test": 0.2,
             "width": 16, "dropout": 0.25},
            ("width", "dropout"),
        ),
    },
    "generate": {
        "dcgan": DCGAN_ROW,
    },
    "continue": {
        "gpt": Network(
            make_gpt,
            gpt_shape,
            "attention: each character looks at all before it in the window",
            # Small batches: measured on this text, 8 windows learn in 4 epochs what 32 learn in 8.
            {**TEXT, "batch": 8, "epochs": 20, "patience": 3, "width": 128, "layers": 4,
             "dropout": 0.1, "schedule": "cosine"},
            SEQUENCE_USES,
            {"adamw": 2e-3, "adam": 2e-3},
        ),
        **{
            kind: Network(
                make_char_rnn,
                char_rnn_shape,
                why,
                {**TEXT, "epochs": 25, "patience": 3, "width": 256, "layers": 1, "dropout": 0.1},
                SEQUENCE_USES,
                {"adamw": 3e-3, "adam": 3e-3},
            )
            for kind, why in RECURRENCE.items()
        },
    },
    "forecast": {
        kind: Network(make_forecaster, forecaster_shape, why, SERIES, SEQUENCE_USES,
                      {"adamw": 3e-4, "adam": 3e-4}, finish=finish_forecaster)
        for kind, why in RECURRENCE.items()
    },
    "regress": TABLES["regress"],
    "enhance": PICTURES["enhance"],
}  # fmt: skip


OF_KIND = {"table": TABLES, "pictures": PICTURES, "picture_table": PICTURES}


def networks_for(kind: str | None, task: str) -> Mapping[str, Network]:
    """The networks that learn a task from data of this kind (sources.py; None: what the package carries)."""
    return OF_KIND.get(kind or "", NETWORKS)[task]


OBJECTIVE_OF = {
    "classify": "cross_entropy",
    "generate": "gan",
    "continue": "cross_entropy",
    "forecast": "mse",
    "regress": "mse",
    "enhance": "mse",
}
