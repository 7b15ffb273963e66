"""From data to everything that training needs: network, loss, metric, optimizer, and a reason for each.

`recipe("digits", lr=0.01)` fills in what was not given; `Recipe.decisions()` lists every value with its
reason and the option that changes it, for a person to read and to override."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

from ..base.errors import OptionError
from ..data.dataset import Dataset, Split
from ..data.digits import load_digits
from ..data.split import split
from ..nn.activation import activation
from ..nn.container import Sequential
from ..nn.init import nearest
from ..nn.linear import Linear
from ..optim.adam import Adam, AdamW
from ..optim.optimizer import Optimizer
from ..optim.sgd import SGD
from ..tensor import random

DATA_SETS: dict[str, Callable[[], Dataset]] = {"digits": load_digits}
HIDDEN_ACTIVATIONS = ("relu", "leaky_relu", "gelu", "sigmoid", "tanh")


@dataclass(frozen=True)
class Rule:
    """An optimizer by name: how it is made and the learning rate that suits it."""

    make: Callable[..., Optimizer]
    lr: float
    why: str


OPTIMIZERS: dict[str, Rule] = {
    "adamw": Rule(
        lambda p, lr: AdamW(p, lr, weight_decay=1e-2),
        2e-3,
        "adapts each weight's step; rarely needs tuning",
    ),
    "adam": Rule(lambda p, lr: Adam(p, lr), 2e-3, "as adamw, without weight decay"),
    "momentum": Rule(
        lambda p, lr: SGD(p, lr, momentum=0.9), 5e-2, "gradient descent that keeps its direction"
    ),
    "sgd": Rule(
        lambda p, lr: SGD(p, lr), 2e-1, "plain gradient descent: w_new = w_old - lr * gradient"
    ),
}


@dataclass(frozen=True)
class Decision:
    """One choice: what, how much, why, and the option that changes it ('' when none does)."""

    name: str
    value: str
    reason: str
    option: str
    is_given: bool = False  # by the person, not chosen for them


@dataclass(frozen=True)
class Recipe:
    """All settings of a run. The fields are stored with the model; equal fields give equal bits."""

    data: str = "digits"
    net: tuple[int, ...] = (128, 64)
    activation: str = "relu"
    optimizer: str = "adamw"
    lr: float = 2e-3
    batch: int = 32
    epochs: int = 100
    patience: int = 20
    validation: float = 0.15
    test: float = 0.2
    seed: int = 0
    given: tuple[str, ...] = ()

    def settings(self) -> dict:
        """The fields for a JSON file."""
        values = asdict(self)
        del values["given"]
        return {**values, "net": list(self.net)}

    def dataset(self) -> Dataset:
        return DATA_SETS[self.data]()

    def split(self, data: Dataset) -> Split:
        return split(data, self.validation, self.test, self.seed)

    def network(self, data: Dataset) -> Sequential:
        """The network with its initial weights, which follow from the seed alone."""
        random.seed(self.seed)
        scheme = initialisation(self.activation)
        layers, width = [], data.n_features
        for n in self.net:
            layers += [Linear(width, n, init=scheme), activation(self.activation)]
            width = n
        n_outputs = len(data.classes) or 1
        return Sequential(*layers, Linear(width, n_outputs, init="glorot"))

    def make_optimizer(self, network: Sequential) -> Optimizer:
        return OPTIMIZERS[self.optimizer].make(network.parameters(), self.lr)

    def loss(self, data: Dataset) -> str:
        return "cross_entropy" if data.classes else "mse"

    def decisions(self, data: Dataset, parts: Split) -> list[Decision]:
        """Every choice with its reason, in the order in which a person would ask."""
        n, n_classes = len(data), len(data.classes)
        shape = " x ".join(map(str, data.shape)) or str(data.n_features)
        rows = f"{len(parts.train):,} to learn, {len(parts.validation):,} to validate, {len(parts.test):,} to test"
        hidden = "-".join(map(str, self.net)) or "none"
        target = f"{n_classes} classes" if n_classes else "amounts"
        loss = self.loss(data)
        why_loss = (
            "the target is a class: it punishes sure mistakes most"
            if n_classes
            else "the target is an amount"
        )
        lines = [
            ("data", f"{n:,} rows of {shape}, {target}", f"{data.source}; {data.licence}", ""),
            ("scale", f"0..{data.scale:g} -> 0..1", "inputs near 1 suit the initial weights", ""),
            ("rows", rows, "same share of each class; test rows are seen once, at the end", ""),
            (
                "net",
                f"{data.n_features}-{hidden}-{n_classes or 1}",
                "two hidden layers learn strokes, then digits",
                "net",
            ),
            ("activation", self.activation, "fast, and its gradient does not vanish", "activation"),
            (
                "weights",
                initialisation(self.activation),
                "keeps signals about equal through the layers",
                "",
            ),
            ("loss", loss.replace("_", "-"), why_loss, ""),
            ("optimizer", self.optimizer, OPTIMIZERS[self.optimizer].why, "optimizer"),
            ("lr", f"{self.lr:g}", f"usual for {self.optimizer} on networks of this size", "lr"),
            (
                "batch",
                str(self.batch),
                "small batches find better minima, larger ones are faster",
                "batch",
            ),
            (
                "epochs",
                f"at most {self.epochs}",
                f"ends {self.patience} epochs after the best validation loss",
                "epochs",
            ),
            ("seed", str(self.seed), "the same seed gives the same network, to the bit", "seed"),
        ]
        return [
            Decision(
                name,
                value,
                "as you said" if name in self.given else why,
                f"--{o}" if o else "",
                name in self.given,
            )
            for name, value, why, o in lines
        ]


def initialisation(name: str) -> str:
    """The scheme that suits a hidden activation (init.py)."""
    return "glorot" if name in ("sigmoid", "tanh") else "he"


def recipe(data: str = "digits", **given) -> Recipe:
    """The recipe for a data set; None stands for 'not given'. Unknown names suggest the nearest."""
    nearest(data, DATA_SETS, "data set")
    known = [f.name for f in fields(Recipe) if f.name not in ("data", "given")]
    for name in given:
        nearest(name, known, "setting")
    values = {name: value for name, value in given.items() if value is not None}
    if "net" in values:
        values["net"] = tuple(values["net"])
        for width in values["net"]:
            if isinstance(width, bool) or not isinstance(width, int) or width < 1:
                raise OptionError(f"net must be widths of 1 or more, like 128-64; got {width!r}.")
    nearest(values.get("activation", "relu"), HIDDEN_ACTIVATIONS, "activation")
    rule = OPTIMIZERS[nearest(values.get("optimizer", Recipe.optimizer), OPTIMIZERS, "optimizer")]
    values.setdefault("lr", rule.lr)
    return Recipe(data=data, **values, given=tuple(n for n in given if given[n] is not None))
