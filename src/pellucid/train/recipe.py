"""From data to everything that training needs: network, loss, metric, optimizer, and a reason for each.

`recipe("digits", lr=0.01)` or `recipe("titanic.csv", target="Survived")` fills in what was not given;
`Recipe.decisions()` lists every value with its reason and the option that changes it, for a person to read and to
override. Data are rows of sources.py, networks and what suits them of networks.py, reasons are in decisions.py."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..base.errors import OptionError
from ..data.dataset import Split
from ..data.reading import is_workbook
from ..nn.init import nearest
from ..nn.module import Module
from ..optim.adam import Adam, AdamW, NAdam
from ..optim.adaptive import RMSprop
from ..optim.optimizer import Optimizer
from ..optim.schedules import Cosine, Exponential, Linear, OneCycle, Schedule, StepDecay, WarmUp
from ..optim.sgd import SGD
from ..optim.signs import Lion
from ..tensor import random
from .balance import CLASS_WEIGHTS
from .decisions import Decision, decisions
from .networks import NETWORKS, OBJECTIVE_OF, Network, networks_for
from .settings import check_settings
from .sources import DATA_SETS, OWN_SETTINGS, SOURCES, Source, source_of

HIDDEN_ACTIVATIONS = ("relu", "leaky_relu", "gelu", "sigmoid", "tanh")


@dataclass(frozen=True)
class Rule:
    """An optimizer by name: how it is made, and the learning rate and the weight decay (L2) that suit it."""

    make: Callable[..., Optimizer]
    lr: float
    why: str
    l2: float = 0.0


OPTIMIZERS: dict[str, Rule] = {
    "adamw": Rule(AdamW, 2e-3, "adapts each weight's step; rarely needs tuning", 1e-2),
    "adam": Rule(Adam, 2e-3, "as adamw, without weight decay"),
    "nadam": Rule(NAdam, 2e-3, "adam that looks one step ahead"),
    "rmsprop": Rule(RMSprop, 1e-3, "adapts each weight's step, no momentum"),
    "lion": Rule(Lion, 3e-4, "only the sign of a step counts"),
    "momentum": Rule(
        lambda p, lr, **o: SGD(p, lr, momentum=0.9, **o),
        5e-2,
        "gradient descent that keeps its direction",
    ),
    "sgd": Rule(SGD, 2e-1, "plain gradient descent: w_new = w_old - lr * gradient"),
}


def _cosine(lr: float, n: int) -> Schedule:
    warm_up = max(1, n // 20)
    return WarmUp(Cosine(lr, max(1, n - warm_up), lr / 10), warm_up)


# name -> (learning rate, steps in all) -> how the rate goes; None: it stays
SCHEDULES: dict[str, Callable[[float, int], Schedule] | None] = {
    "constant": None,
    "cosine": _cosine,
    "linear": lambda lr, n: Linear(lr, n),
    "step": lambda lr, n: StepDecay(lr, -(-n // 3), 0.3),
    "exponential": lambda lr, n: Exponential(lr, 0.01 ** (1 / n)),
    "one-cycle": lambda lr, n: OneCycle(lr, n),
}
WHY_SCHEDULE = {
    "constant": "early stopping ends the run; a schedule would have to know when",
    "cosine": "up over a twentieth of the steps, then down to a tenth along half a cosine",
    "linear": "down to nothing in a straight line",
    "step": "to three tenths after each third of the steps",
    "exponential": "a little smaller at each step, a hundredth at the end",
    "one-cycle": "up over three tenths of the steps, then down to almost nothing",
}


@dataclass(frozen=True)
class Recipe:
    """All settings of a run. The fields are stored with the model; equal fields give equal bits.

    baselines   False: compared with the simplest answer alone, which needs no scikit-learn and no time
    l2      how strongly weights are drawn to 0: weight_decay of the optimizer
    steps   that end the run, also within an epoch; without --epochs there are as many epochs as they need
    net     widths of hidden layers, or the name of a network (networks.py)
    members, width, layers, window, dropout, activation   None where the network has no such setting
    kind    of a file of one's own: table, text, series (sources.py); None for what the package carries
    target, columns, group   of a table: what is learned, uses of columns by name, whose rows stay together
    memory          bytes that a table may take; a larger one is streamed (streamed.py)
    class_weights   root or balanced: rows of a rare class count more (balance.py)
    time, horizon   of a series: the column that tells the order; how many steps ahead it is measured
    delimiter, encoding, header, missing, decimal, sheet   how it is read (data/reading.py)
    size, channels   of pictures: pixels of a side; 1 grey, 3 colour (data/images.py)
    background, strict   what shows through transparent places; whether a damaged picture ends the run
    augment  how pictures are varied while the network learns (data/augment.py)
    fault    that is mended in pictures: small, noise (data/patches.py)"""

    data: str
    task: str
    net: tuple[int, ...] | str
    optimizer: str
    lr: float
    batch: int
    epochs: int
    patience: int
    validation: float
    test: float
    seed: int = 0
    steps: int | None = None
    l2: float = 0.0
    schedule: str = "constant"
    activation: Any = None
    members: Any = None
    width: Any = None
    layers: Any = None
    window: Any = None
    dropout: Any = None
    kind: str | None = None
    target: str | None = None
    columns: Any = None
    group: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    class_weights: str | None = None
    time: str | None = None
    horizon: int | None = None
    memory: int | None = None
    header: bool | None = None
    missing: Any = None
    decimal: str | None = None
    sheet: str | None = None
    size: int | None = None
    channels: int | None = None
    background: int | None = None
    strict: bool | None = None
    augment: str | None = None
    fault: str | None = None
    baselines: bool | None = None
    given: tuple[str, ...] = ()
    lr_why: str = ""  # where the rate was found rather than given

    def settings(self) -> dict:
        """The fields for a JSON file; those that the network does not have are left out."""
        values = {
            k: v for k, v in asdict(self).items() if v is not None and k not in ("given", "lr_why")
        }
        return {**values, "net": self.net if isinstance(self.net, str) else list(self.net)}

    @property
    def network_name(self) -> str:
        """The row of networks.py."""
        return self.net if isinstance(self.net, str) else "mlp"

    @property
    def row(self) -> Network:
        """What the network's row says."""
        return networks_for(self.kind, self.task)[self.network_name]

    @property
    def source(self) -> Source:
        """Where the data come from."""
        return DATA_SETS[self.data] if self.kind is None else SOURCES[self.kind]

    def dataset(self) -> Any:
        """The data, as this network takes it."""
        return self.source.load(self)

    def split(self, data: Any) -> Split:
        """Its parts. Raises OptionError where nothing is left of what cannot be judged otherwise."""
        parts = self.source.split(data, self)
        if not len(parts.test) and self.kind not in ("table", "pictures"):
            raise OptionError(
                f"--test {self.test:g} leaves nothing of {self.data} to judge the network by. Give a part above 0, "
                f"such as --test 0.1."
            )
        return parts

    def network(self, data: Any) -> Any:
        """The network with its initial weights, which follow from the seed alone."""
        random.seed(self.seed)
        return self.row.make(self, data)

    def n_steps(self, parts: Split) -> int:
        """Steps in all: what a schedule is planned for."""
        n = self.epochs * -(-len(parts.train) // min(self.batch, len(parts.train)))
        return n if self.steps is None else min(n, self.steps)

    def learning_rate(self, n_steps: int) -> float | Schedule:
        """lr, or how it goes over the steps of all epochs."""
        plan = SCHEDULES[self.schedule]
        return self.lr if plan is None else plan(self.lr, n_steps)

    def make_optimizer(
        self, network: Module, n_steps: int = 1, lr: float | Schedule | None = None
    ) -> Optimizer | Mapping[str, Optimizer]:
        """The optimizer, or one for each network that learns; lr comes before that of the recipe."""
        rule = OPTIMIZERS[self.optimizer]
        lr = self.learning_rate(n_steps) if lr is None else lr
        options = self.row.optimizer if self.optimizer in ("adam", "adamw") else {}
        options = {**options, "weight_decay": self.l2}
        if self.task != "generate":
            return rule.make(network.parameters(), lr, **options)
        return {
            name: rule.make(getattr(network, name).parameters(), lr, **options)
            for name in ("critic", "generator")
        }

    def loss(self) -> str:
        """The row of objectives.py."""
        return OBJECTIVE_OF[self.task]

    def decisions(self, data: Any, parts: Split, each: bool = False) -> list[Decision]:
        """Every choice with its reason, in the order in which a person would ask.

        each  of a table one for every column, not one for every kind of columns"""
        rate = self.learning_rate(self.n_steps(parts))
        reasons = {
            "optimizer": OPTIMIZERS[self.optimizer].why,
            "schedule": WHY_SCHEDULE[self.schedule],
        }
        return decisions(self, data, parts, reasons, rate, each)


# What a person may set
SETTINGS = tuple(f.name for f in fields(Recipe) if f.name not in ("data", "given", "lr_why"))


def recipe(data: str = "digits", **given) -> Recipe:
    """The recipe for a data set or a file; None stands for 'not given'. Unknown names suggest the nearest.

    A file is looked at where a setting follows from it: the task of a table from its target, the batch from its rows.
    Raises OptionError for settings that do not fit, DataError for a file that cannot be learned from."""
    for name in given:
        nearest(name, SETTINGS, "setting")
    values = {name: value for name, value in given.items() if value is not None}
    check_settings(values)
    if "task" in values:
        nearest(values["task"], NETWORKS, "task")
    source, kind = source_of(data, values)
    if "sheet" in values and kind is not None and not is_workbook(data):
        raise OptionError(f"--sheet is for workbooks; {data} is none.")
    for name in OWN_SETTINGS:
        if name in values and name not in source.uses:
            what = WORDS.get(kind or "", data)
            raise OptionError(
                f"--{OPTION_OF.get(name, name).replace('_', '-')} is no setting of {what}."
            )
    if values.get("task", source.tasks[0]) not in source.tasks:
        raise OptionError(
            f"{data} cannot be used to {values['task']}; it can be used to {' and to '.join(source.tasks)}."
        )
    # A run that goes on has stored everything: its file need not be looked at to decide.
    is_stored = "kind" in values and "task" in values
    suited = {} if is_stored else source.defaults(data, values)
    if kind is not None:
        values["kind"] = kind
    task = values.setdefault("task", suited.get("task", source.tasks[0]))
    rows = networks_for(kind, task)
    name, values["net"] = _network(data, task, rows, values.get("net", suited.pop("net", None)))
    row = rows[name]
    for setting in ("members", "activation", "width", "layers", "window", "dropout"):
        if setting in values and setting not in row.uses:
            others = f"; it has {', '.join(f'--{u}' for u in row.uses)}" if row.uses else ""
            raise OptionError(f"--{setting} is no setting of the network {name}{others}.")
    if "steps" in values:
        values.setdefault("epochs", values["steps"])
    values = {**row.settings, **suited, **values}
    if "activation" in values:
        nearest(values["activation"], HIDDEN_ACTIVATIONS, "activation")
    rule = OPTIMIZERS[nearest(values.setdefault("optimizer", "adamw"), OPTIMIZERS, "optimizer")]
    nearest(values.get("schedule", Recipe.schedule), SCHEDULES, "schedule")
    values.setdefault("lr", row.lr.get(values["optimizer"], rule.lr))
    values.setdefault("l2", row.l2.get(values["optimizer"], rule.l2))
    if "class_weights" in values:
        nearest(values["class_weights"], CLASS_WEIGHTS, "kind of class weights")
        if task != "classify":
            raise OptionError("--class-weights is for classes; the target holds amounts.")
    return Recipe(data=data, **values, given=tuple(n for n in given if given[n] is not None))


WORDS = {"table": "a table", "text": "a text", "series": "a series", "pictures": "pictures",
         "picture_table": "a table of pictures"}  # fmt: skip
OPTION_OF = {
    "columns": "column",
    "class_weights": "class-weights",
}  # settings whose option has another name


def _network(data: str, task: str, rows: Mapping[str, Network], net: Any) -> tuple[str, Any]:
    """(the row's name, the setting) from what was asked for: a name, widths, or nothing."""
    if net is None:
        net = next(iter(rows))
    if isinstance(net, str):
        name = nearest(net, rows, f"network to {task} {data}")
        return name, rows[name].settings.get("net", name)
    if "mlp" not in rows:
        raise OptionError(
            f"net must be one of {', '.join(rows)} to {task} {data}; got the widths {'-'.join(map(str, net))}."
        )
    widths = tuple(net)
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise OptionError(f"net must be widths of 1 or more, like 128-64; got {width!r}.")
    return "mlp", widths
