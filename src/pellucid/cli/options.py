"""What options take, answering a slip with the nearest right one, and the options that commands share."""

import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import click

from ..base.errors import OptionError

EXIT_CODES = """\b
Exit codes:
  0    done
  1    it could not be done; the message says why and what to do
  2    the command line was not understood
  130  stopped by Ctrl-C; what was learned is saved
  143  the same after SIGTERM, with which systems end a process"""

# The names of train/recipe.py, which is too slow to import for a help page; a test compares them.
DATA_SETS = ("digits", "text", "series", "animals")
TASKS = ("classify", "generate", "continue", "forecast", "regress", "enhance")
NETWORKS = ("mlp", "committee", "cnn", "dcgan", "gpt", "lstm", "gru", "rnn")
ACTIVATIONS = ("relu", "leaky_relu", "gelu", "sigmoid", "tanh")
OPTIMIZERS = ("adamw", "adam", "nadam", "rmsprop", "lion", "momentum", "sgd")
SCHEDULES = ("constant", "cosine", "linear", "step", "exponential", "one-cycle")
CLASS_WEIGHTS = ("none", "root", "balanced")

FAULTS = ("small", "noise")

# What a column of a table can be (data/columns.py); an identifier is left out.
USES = ("number", "category", "text", "date", "identifier", "picture")

EXISTING = click.Path(path_type=Path)


class OneOf(click.ParamType):
    """One name of a list; for any other, the error names the nearest."""

    name = "name"

    def __init__(self, what: str, names: Sequence[str]):
        self.what = what
        self.names = tuple(names)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join(self.names)

    def convert(self, value, param, ctx):
        if value in self.names:
            return value
        near = difflib.get_close_matches(str(value).lower(), self.names, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}?" if near else "There are: " + ", ".join(self.names) + "."
        self.fail(f"{value!r} is not {self.what} that pellucid knows. {hint}", param, ctx)


def near_file(path: str) -> str:
    """' Did you mean ...?' of a file that does not exist: what is nearest beside it, or nothing; of an address how to
    get what is there."""
    if re.match(r"[a-z]+:/+\w", path):
        return f" This is an address; get what is there first, as with: curl -LO {path}"
    folder, name = os.path.split(path)
    there = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
    near = difflib.get_close_matches(name, there, n=1, cutoff=0.6)
    return f" Did you mean {os.path.join(folder, near[0])!r}?" if near else ""


def check_out(out: Path | None, files: Iterable[Path], use: str, result: str) -> None:
    """Raises OptionError where --out is one of the files that the command reads: what is in it would be lost."""
    if out is not None and any(out.exists() and f.exists() and out.samefile(f) for f in files):
        raise OptionError(f"--out {out} is what is {use}. Give the {result} another name.")


class Data(OneOf):
    """The name of a data set, or a file of one's own; for neither, the error names the nearest of both."""

    name = "data"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join((*self.names, "FILE"))

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        command = ctx.command_path if ctx else "pellucid train"
        return (
            f"Name a file or a folder of your own, as in {command} titanic.csv --target Survived, or one that comes "
            f"with pellucid: {', '.join(self.names)}."
        )

    def convert(self, value, param, ctx):
        value = os.fspath(value)
        if value in self.names or os.path.exists(value):
            return value
        folder, name = os.path.split(value)
        if folder or os.path.splitext(name)[1]:
            self.fail(f"{value!r}: there is no such file.{near_file(value)}", param, ctx)
        return super().convert(value, param, ctx)


class Amount(click.ParamType):
    """A number within its ends, which the error says in words."""

    name = "number"
    of: ClassVar[type] = float

    def __init__(
        self, least: float = 0, most: float | None = None, above: bool = False, below: bool = False
    ):
        """above, below  whether it must not be the least, or the most, itself"""
        self.least, self.most = least, math.inf if most is None else most
        self.above, self.below = above, below
        if most is None:
            self.ends = f"above {least:g}" if above else f"of {least:g} or more"
        elif above:
            self.ends = f"above {least:g}, at most {most:g}"
        else:
            self.ends = f"from {least:g} to {'below ' if below else ''}{most:.12g}"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "X" if self.most == math.inf else f"{self.least:g}..{self.most:g}"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            number = self.of(value)
            is_end = (self.above and number == self.least) or (self.below and number == self.most)
            if self.least <= number <= self.most and number != math.inf and not is_end:
                return number
        except ValueError:
            pass
        self.fail(f"{value!r} is no {self.name} {self.ends}.", param, ctx)


class Whole(Amount):
    """A number without decimals."""

    name = "whole number"
    of: ClassVar[type] = int

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return super().get_metavar(param, ctx) if self.most < 10**6 else "N"


class Named(click.ParamType):
    """COLUMN=USE, as in zip=category."""

    name = "column=use"

    def __init__(self, uses: Sequence[str]):
        self.uses = tuple(uses)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "COLUMN=" + "|".join(self.uses)

    def convert(self, value, param, ctx) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, sign, use = value.rpartition("=")
        if not sign or not name:
            self.fail(f"{value!r} is not COLUMN=USE, as in zip=category.", param, ctx)
        return name, OneOf("a use of a column", self.uses).convert(use, param, ctx)


class Duration(click.ParamType):
    """A time like 90s, 5m or 1.5h, as seconds."""

    name = "time"
    units: ClassVar[dict[str, float]] = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "90s|5m|1h"

    def convert(self, value, param, ctx) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip().lower())
        if not found or float(found[1]) <= 0:
            self.fail(f"{value!r} is no time. Give one like 90s, 5m or 1h.", param, ctx)
        return float(found[1]) * self.units[found[2]]


class Size(click.ParamType):
    """An amount of memory in bytes, as 200MB, 1.5GB or 64MiB."""

    name = "size"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "200MB"

    def convert(self, value, param, ctx) -> int:
        if isinstance(value, int):
            return value
        units = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
                 "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}  # fmt: skip
        number, unit = value.strip().lower(), ""
        while number and not number[-1].isdigit():
            number, unit = number[:-1], number[-1] + unit
        try:
            return int(float(number) * units[unit.strip()])
        except (ValueError, KeyError, OverflowError):
            self.fail(
                f"{value!r} is no amount of memory. Give one such as 200MB or 1.5GB.", param, ctx
            )


FIND = "find"


class Rate(click.ParamType):
    """A number above 0, or `find`."""

    name = "rate"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "X|find"

    def convert(self, value, param, ctx) -> float | str:
        if value == FIND:
            return FIND
        try:
            return Amount(0, above=True).convert(value, param, ctx)
        except click.BadParameter as error:
            self.fail(f"{error.message.rstrip('.')}, nor {FIND!r}.", param, ctx)


class Layers(click.ParamType):
    """Widths of the hidden layers, as in 128-64; `none` for a network without any; or a network's name."""

    name = "widths"

    def __init__(self, names: Sequence[str] = ()):
        self.names = tuple(names)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join(("128-64", *self.names))

    def convert(self, value, param, ctx) -> tuple[int, ...] | str:
        if isinstance(value, tuple):
            return value
        if value == "none":
            return ()
        if value in self.names:
            return value
        if self.names and not any(c.isdigit() for c in value):
            return OneOf("a network", self.names).convert(value, param, ctx)
        try:
            widths = tuple(int(part) for part in value.split("-"))
        except ValueError:
            widths = (0,)
        if min(widths) < 1:
            self.fail(
                f"{value!r} is not a list of widths. Give the number of neurons of each hidden "
                "layer, first to last, joined by '-', as in 128-64; or none.",
                param,
                ctx,
            )
        return widths


# What several commands have

a_run = click.argument("run", type=EXISTING, metavar="RUN")
a_data_set = click.argument("data", type=Data("a data set", DATA_SETS), metavar="DATA")
in_memory = click.option(
    "--memory",
    type=Size(),
    help="What a table may take; a larger one is read piece by piece.  [default: half of what is free]",
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON document."
)


def use_threads(ctx: click.Context, param: click.Parameter, n_threads: int | None) -> None:
    """Sets what --threads asks for, before the command runs."""
    if n_threads is not None and not ctx.resilient_parsing:
        from ..runtime.team import set_threads

        set_threads(n_threads)


threads = click.option(
    "--threads",
    type=Whole(1),
    callback=use_threads,
    expose_value=False,
    help="Cores to use; the result is the same.",
)
target = click.option("--target", help="Column of your table to learn, or to forecast.")
task = click.option(
    "--task", type=OneOf("a task", TASKS), help="What to learn, where DATA allows several."
)
optimizer = click.option(
    "--optimizer", type=OneOf("an optimizer", OPTIMIZERS), help="The rule of learning."
)


def seed(default: int | None = None) -> Callable[[Any], Any]:
    """--seed, with the default that a command without a stored one needs."""
    return click.option(
        "--seed",
        type=Whole(0, 2**32 - 1),
        default=default,
        show_default=default is not None,
        help="Fixes every random choice.",
    )


def net(told: str) -> Callable[[Any], Any]:
    """--net, with what it means to this command."""
    return click.option("--net", type=Layers(NETWORKS), help=told)


def epochs(told: str) -> Callable[[Any], Any]:
    """--epochs, with what it means to this command."""
    return click.option("--epochs", type=Whole(1), help=told)


def all_of(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one, in this order."""

    def give(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return give


# How a network that writes chooses; `chat` takes them at its prompt, too
WRITING: dict[str, click.ParamType] = {
    "temperature": Amount(),
    "top-k": Whole(1),
    "top-p": Amount(0, 1, above=True),
    "length": Whole(1),
}
of_writing = all_of(
    click.option(
        "--temperature",
        type=WRITING["temperature"],
        help="Below 1 more likely, above 1 more daring; 0 always the likeliest.  [default: 0.8]",
    ),
    click.option("--top-k", type=WRITING["top-k"], help="Draw from the k likeliest only."),
    click.option(
        "--top-p",
        type=WRITING["top-p"],
        help="Draw from the fewest that together have this chance.",
    ),
)


# How a table is read
of_reading = all_of(
    click.option("--delimiter", help="Between the cells of a table.  [default: found in the file]"),
    click.option("--encoding", help="Of a table's text.  [default: found in the file]"),
    click.option("--header/--no-header", default=None, help="Whether the first line has names."),
    click.option("--missing", multiple=True, help="A mark of missing cells. May be repeated."),
    click.option("--decimal", type=OneOf("a decimal mark", (".", ",")), help="Of its numbers."),
    click.option(
        "--memory",
        type=Size(),
        help="What data may take; rows of a larger table, pixels of more pictures lie on disk.  [default: half of "
        "what is free]",
    ),
    click.option("--sheet", help="Of a workbook.  [default: the first]"),
)
# And what its columns are, how it is divided
of_a_table = all_of(
    target,
    click.option(
        "--time", help="Column of dates or numbers that tells the order: the table is a series."
    ),
    click.option(
        "--horizon",
        type=Whole(1),
        help="Steps ahead at which forecasts are measured: the table is a series.",
    ),
    click.option(
        "--column",
        "columns",
        type=Named(USES),
        multiple=True,
        help="What a column is, where the choice made for you is wrong. May be repeated.",
    ),
    click.option("--group", help="Column whose rows of equal value stay in one part."),
    click.option(
        "--class-weights",
        type=OneOf("a kind of class weights", CLASS_WEIGHTS),
        help="Whether rows of a rare class count more.  [default: none]",
    ),
    of_reading,
)


# How pictures are read and varied
of_pictures = all_of(
    click.option("--size", type=Whole(1), help="Pixels of a side that pictures are brought to."),
    click.option("--channels", type=Whole(1, 3), help="Of pictures: 1 grey, 3 colour."),
    click.option(
        "--background",
        type=Whole(0, 255),
        help="What shows through transparent places of pictures: 0 black to 255 white.",
    ),
    click.option("--strict", is_flag=True, help="Stop where a picture is damaged or missing."),
    click.option(
        "--augment",
        metavar="none|flip,shift,brightness",
        help="How pictures are varied while the network learns; joined by commas.",
    ),
    click.option(
        "--fault",
        type=OneOf("a fault", FAULTS),
        help="What is mended in pictures: halved size, or noise.  [default: small]",
    ),
)
