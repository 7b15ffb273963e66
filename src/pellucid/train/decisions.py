"""Every choice that was made for a person, with its reason and the option that changes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.figures import rounded
from ..data.dataset import Split
from ..data.patches import NOISE, Patches
from ..data.pictures import Pictures
from ..data.sequence import Series, Text
from ..optim.schedules import Schedule
from .balance import is_rare, rows_to_learn
from .networks import initialisation
from .tables import Table, some


@dataclass(frozen=True)
class Decision:
    """One choice: what, how much, why, and the option that changes it ('' when none does)."""

    name: str
    value: str
    reason: str
    option: str
    is_given: bool = False  # by the person, not chosen for them


BARS = 24  # of the curve of a schedule
Line = tuple[str, str, str, str]  # name, value, reason, option

WHY_LOSS = {
    "classify": "the target is a class: it punishes sure mistakes most",
    "continue": "the target is a character: its mean is nats a character, exp of it the perplexity",
    "forecast": "the target is an amount: large errors count most",
    "regress": "the target is an amount: large errors count most",
    "enhance": "every number of a picture is an amount: its mean is what PSNR is made of",
    "generate": "the critic tells real from made, the generator learns to be taken for real",
}

WHY_L2 = (
    "weights may become as large as they like",
    "weights that are not needed shrink, so that less is learned by heart",
)
FIELDS = {"class_weights": "balance"}  # settings whose line has another name

# What the settings of a network mean, where it has them.
WHY_SETTING = {
    "members": "how many networks learn beside each other",
    "activation": "fast, and its gradient does not vanish",
    "layers": "each one sees what the one before made of it",
    "window": "how far back the network looks at once",
    "dropout": "so many values are dropped in training, that none is relied on alone",
}

# network -> what its width counts
WIDTH = {
    "committee": "neurons of the first layer of each, the next has half of them",
    "cnn": "filters of the first layer",
    "dcgan": "filters of the finest layer",
}


def _setting(made: Any, name: str) -> Line:
    """A setting of this network, with what it means there."""
    value = getattr(made, name)
    if name == "width":
        what = WIDTH.get(made.network_name, "numbers that carry a thought from place to place")
        why = f"{what}; more learn more and take longer"
    elif name == "dropout" and not value:
        why = "nothing is dropped in training"
    else:
        why = WHY_SETTING[name]
    return name, str(value), why, name


def decisions(
    made: Any,
    data: Any,
    parts: Split,
    why: Mapping[str, str],
    rate: float | Schedule,
    each: bool = False,
) -> list[Decision]:
    """Of a Recipe, its data and their parts, in the order in which a person would ask.

    why   reasons of the optimizer and the schedule   rate  the learning rate, or how it goes
    each  one for every column of a table, not one for every kind of columns"""
    lines = [
        *(
            _table_lines(made, data, parts, each)
            if isinstance(data, Table)
            else _data_lines(data, parts, made.task)
        ),
        *_order_lines(made),
        ("net", made.row.shape(made, data), made.row.why, "net"),
        *(_setting(made, name) for name in made.row.uses),
    ]
    if made.activation is not None:
        equal = "keeps signals about equal through the layers"
        lines.append(("weights", initialisation(made.activation), equal, ""))
    usual = f"usual for {made.optimizer} on networks of this size"
    lines += [
        ("loss", made.loss().replace("_", "-"), WHY_LOSS[made.task], ""),
        ("optimizer", made.optimizer, why["optimizer"], "optimizer"),
        ("lr", f"{made.lr:g}", made.lr_why or usual, "lr"),
        ("l2", f"{made.l2:g}", WHY_L2[made.l2 > 0], "l2"),
        ("schedule", made.schedule + curve(rate, made.n_steps(parts)), why["schedule"], "schedule"),
        ("batch", str(made.batch), "small batches find better minima, larger ones are faster", "batch"),
        *_ends(made),
        ("seed", str(made.seed), "the same seed gives the same network, to the bit", "seed"),
    ]  # fmt: skip
    given = {FIELDS.get(name, name) for name in made.given}
    return [
        Decision(name, value, "as you said" if name in given else reason, f"--{o}" if o else "", name in given)
        for name, value, reason, o in lines
    ]  # fmt: skip


def curve(rate: float | Schedule, n_steps: int) -> str:
    """How the learning rate goes, as a row of bars, ' ▁▃█▇▅▃▁'; nothing when it stays."""
    if not isinstance(rate, Schedule):
        return ""
    values = [rate.value(int(i * (n_steps - 1) / (BARS - 1))) for i in range(BARS)]
    heights = "▁▂▃▄▅▆▇█"
    return " " + "".join(heights[min(7, int(8 * v / max(*values, 1e-30)))] for v in values)


def _order_lines(made: Any) -> list[Line]:
    """Of a series: why it is one, what tells its order, and how far ahead it is measured."""
    lines = []
    if made.kind == "series":
        option = "time" if "time" in made.given else "horizon"
        why = f"--{option} is for a series; without it a column of the table is learned"
        lines.append(("task", made.task, why, "task"))
        if made.time is None:
            why = "no column holds dates; the steps between them are taken as equal"
            lines.append(("time", "the order of the rows", why, "time"))
    if made.time is not None:
        why = "tells the order of the values; the parts follow each other in time, nothing is mixed"
        lines.append(("time", made.time, why, "time"))
    if made.horizon is not None:
        why = "each step further goes on from the forecasts before it"
        lines.append(("horizon", f"1 to {made.horizon} steps ahead", why, "horizon"))
    return lines


def _ends(made: Any) -> list[Line]:
    """How many steps and epochs there are, at most."""
    steps = [("steps", f"at most {made.steps:,}", "", "steps")] if made.steps is not None else []
    return steps if made.steps == made.epochs else [*steps, _epochs(made)]


def _epochs(made: Any) -> Line:
    if not made.patience:
        why = "the two networks improve together; no loss says when to stop"
        return ("epochs", str(made.epochs), why, "epochs")
    why = f"ends {made.patience} epochs after the best validation loss"
    return ("epochs", f"at most {made.epochs}", why, "epochs")


def _data_lines(data: Any, parts: Split, task: str) -> list[Line]:
    if isinstance(data, Patches):
        return _patch_lines(data, parts)
    where = "; ".join(filter(None, (data.source, data.licence)))
    counts = [len(p) for p in (parts.train, parts.validation, parts.test)]
    if isinstance(data, Text):
        kinds = len(data.classes)
        windows = f"windows of {data.window} characters: {_parts(counts)}"
        how = "whole lines of each are learned" if data.is_list else "cut by place"
        return [
            ("data", f"{len(data.codes):,} characters of {kinds} kinds", where, ""),
            ("characters", f"numbers 0 to {kinds - 1}", "each stands for a vector that is learned", ""),
            ("windows", windows, f"{how}; the last part is seen once, at the end", ""),
        ]  # fmt: skip
    if isinstance(data, Series):
        span = f"{data.times[0]} to {data.times[-1]}"
        values = f"{rounded(data.values.min(), 6)} to {rounded(data.values.max(), 6)} {data.unit}".rstrip()
        return [
            ("data", f"{len(data.values):,} values, {span}, {values}", where, ""),
            ("scale", f"(value - {rounded(data.shift)}) / {rounded(data.scale)}",
             "mean 0, deviation 1 over the part to learn; later parts are not looked at", ""),
            ("target", f"the next change / {rounded(data.step)}",
             "no change is the simplest forecast; the network learns what is better", ""),
            ("windows", _parts(counts), "cut by time; the last part is seen once, at the end", ""),
        ]  # fmt: skip
    if isinstance(data, Pictures):
        return _picture_lines(data, counts, task)
    n_classes = len(data.classes)
    shape = " x ".join(map(str, data.shape)) or str(data.n_features)
    target = f"{n_classes} classes" if n_classes else "amounts"
    why = "same share of each class; test rows are seen once, at the end"
    if task == "generate":
        why = "same share of each class; made pictures are compared with the test rows, at the end"
    return [
        ("data", f"{len(data):,} rows of {shape}, {target}", where, ""),
        ("scale", *_scale(data), ""),
        ("rows", _parts(counts), why, ""),
    ]


def _patch_lines(data: Patches, parts: Split) -> list[Line]:
    """Of pictures with a fault: what the fault is, and what patches are cut."""
    lines = [("data", f"{data.n_pictures:,} different pictures", data.source, "")]
    lines += [("reading", "repaired or decided", note.rstrip("."), "") for note in data.notes]
    lines += [(c.what, c.value, c.why, c.option) for c in data.choices]
    fault, why = {
        "small": ("small: halved in size, brought back by bicubic interpolation",
                  "what the network gives back is the detail of twice the size"),
        "noise": (f"noise: N(0, {NOISE:g}^2) added to every number of 0 to 255",
                  "as of a camera in little light; new at every step"),
    }[data.fault]  # fmt: skip
    lines.append(("fault", fault, why, "fault"))
    side = data.shape[0]
    cut = f"{len(data):,} of {side} x {side} pixels"
    lines.append(("patches", cut, "a batch is one array, though pictures have many sizes", ""))
    n = [len(np.unique(data.picture[p])) for p in (parts.train, parts.validation, parts.test)]
    why = "whole pictures, equal ones together; test pictures are seen once, at the end"
    return [*lines, ("pictures", _parts(n), why, "test")]


def _picture_lines(data: Pictures, counts: list[int], task: str) -> list[Line]:
    """Of pictures: what was decided when they were read, and what was left out."""
    size = " x ".join(map(str, data.shape))
    lines = [("data", f"{len(data):,} pictures, {size} numbers each", data.source, "")]
    lines += [("reading", "repaired or decided", note.rstrip("."), "") for note in data.notes]
    lines += [(c.what, c.value, c.why, c.option.removeprefix("--")) for c in data.choices]
    if data.classes:
        lines.append(("target", _classes(data), "the folder or label of each", ""))
    elif data.target is not None:
        amounts = data.target.decode_amounts(data.y)
        text = f"{data.target.name}: amounts from {rounded(amounts.min(), 6)} to {rounded(amounts.max(), 6)}"
        lines.append(("target", text, "what is learned", "target"))
    why = "the same share of each class, equal pictures stay together; test rows are seen once, at the end"
    if data.groups is not None:
        why = "the pictures of one group, and equal ones, stay together; test rows are seen once, at the end"
    if task == "generate":
        why = "equal pictures stay together; made pictures are compared with the test rows, at the end"
    if data.parts is not None:
        why = "the data came divided; test rows are seen once, at the end"
    return [*lines, ("rows", _parts(counts), why, "test")]


# use of a column -> what is made of it
WHY_USE = {
    "number": "mean 0, deviation 1 over the rows to learn",
    "category": "a number for each value, 1 where it is that one; rare and new ones together",
    "text": "its words are counted",
    "date": "its parts: year, month, day, weekday",
}


def _table_lines(made: Any, data: Table, parts: Split, each: bool) -> list[Line]:
    """Of a table: what it is, what each kind of column becomes, what was left out and found."""
    counts = [len(p) for p in (parts.train, parts.validation, parts.test)]
    n = len(data) + data.left_out
    lines = [("data", f"{n:,} rows of {len(data.frame.columns)} columns", data.source, "")]
    if data.streamed is not None:
        lines.append(("streamed", *data.streamed, "memory"))
    if data.left_out:
        why = f"they have no value of {made.target!r} (the first: {data.first_left_out})"
        lines.append(("left out", f"{data.left_out:,} rows", why, ""))
    lines += [("reading", "repaired or decided", note.rstrip("."), "") for note in data.frame.notes]
    what = f"{made.target}: {_classes(data)}" if data.classes else _amounts(made.target, data)
    lines += [("target", what, "what is learned", "target"), ("task", made.task, data.why, "task")]
    if each:
        lines += [("column", f"{f.name}: {f.use}", f.why, "column") for f in data.schema.features]
    by_use: dict[str, list[str]] = {}
    for f in () if each else data.schema.features:
        by_use.setdefault(f.use, []).append(f.name)
    for use, names in by_use.items():
        lines.append((PLURAL.get(use, use), some(names), WHY_USE.get(use, use), "column"))
    lines += [("dropped", *_dropped(d), "column") for d in data.schema.dropped]
    known = {d.name for d in data.schema.dropped}
    lines += [
        ("found", f.kind, f.text.rstrip("."), "")
        for f in data.findings
        if not f.columns or not known.issuperset(f.columns)
    ]
    n_numbers = f"{data.n_features:,} number{'' if data.n_features == 1 else 's'} a row"
    lines.append(("features", n_numbers, "what the network sees", ""))
    is_even = data.classes and data.streamed is None
    why = "the same share of each class" if is_even else "by chance"
    together = (
        f"rows of one {made.group!r} stay together" if made.group else "equal rows stay together"
    )
    lines += _balance(made, data, parts)
    lines.append(("rows", _parts(counts), f"{why}, {together}; test rows are seen once, at the end",
                  "test"))  # fmt: skip
    return lines


def _balance(made: Any, data: Table, parts: Split) -> list[Line]:
    """What is done about a rare class, or about classes that a person wants to be weighed."""
    if not data.classes:
        return []
    counts = rows_to_learn(data, parts)
    least = int(counts.argmin())
    share = f"{data.classes[least]!r} has {counts[least] / max(1, counts.sum()):.2%} of the rows to learn"
    if data.class_weights is not None:
        most = np.argsort(-data.class_weights, kind="stable")[:3]
        shown = ", ".join(f"{data.classes[c]!r} {data.class_weights[c]:.3g}" for c in most)
        why = f"{share}; the answers are brought back to the true shares"
        return [("balance", f"{made.class_weights} ({shown})", why, "class-weights")]
    if not is_rare(counts):
        return []
    why = f"{share}; weights find no more. From which probability on it is the answer is told by the rows to validate"
    return [("balance", "rows count the same", why, "class-weights")]


PLURAL = {"number": "numbers", "category": "categories", "text": "texts", "date": "dates"}


def _dropped(dropped: Any) -> tuple[str, str]:
    """(name, reason) of a column that is not learned from."""
    return dropped.name, dropped.why


def _classes(data: Any) -> str:
    """2 classes, No 5,174 rows, Yes 1,869."""
    known = getattr(data, "class_rows", None)
    counts = np.bincount(data.y, minlength=len(data.classes)) if known is None else known.sum(0)
    order = np.argsort(-counts, kind="stable")[:6]
    shown = ", ".join(f"{data.classes[i]!r} {counts[i]:,}" for i in order)
    more = f" and {len(counts) - 6} more" if len(counts) > 6 else ""
    return f"{len(counts)} classes ({shown}{more} rows)"


def _amounts(name: str, data: Any) -> str:
    """median_house_value: amounts from 14999 to 500001."""
    values = data.frame[name].values
    return f"{name}: amounts from {rounded(values.min(), 6)} to {rounded(values.max(), 6)}"


def _scale(data: Any) -> tuple[str, str]:
    if data.shift:
        low, high = data.shift - data.scale, data.shift + data.scale
        return f"{low:g}..{high:g} -> -1..1", "where the generator's tanh ends"
    return f"0..{data.scale:g} -> 0..1", "inputs near 1 suit the initial weights"


def _parts(counts: list[int]) -> str:
    names = ("learn", "validate", "test")
    return ", ".join(f"{n:,} to {name}" for n, name in zip(counts, names, strict=True) if n)
