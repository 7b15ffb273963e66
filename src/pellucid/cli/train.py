"""`pellucid train`: says what it decided, shows progress, prints the result, draws the curve."""

import json
import math
import os
import shlex
import shutil
import textwrap
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from ..base.errors import OptionError, RunError
from ..data.dataset import Split
from ..data.decoding import heard
from ..formats.atomic import write_atomic
from ..nn.init import nearest
from ..train.estimate import Estimate, estimate
from ..train.events import EpochDone, Finished, Progress, Stopped
from ..train.folder import RUN, free_folder, resumed_recipe
from ..train.rates import Found, find_rate, with_rate
from ..train.recipe import SETTINGS, Decision, Recipe, recipe
from ..train.run import train_run
from ..train.settings import check_settings
from . import stopping
from .curve import Panel, draw
from .options import FIND, Amount
from .progress import Reading, duration, progress, slowly
from .results import report

CURVE, FORECAST, RATES = "curve.png", "forecast.png", "lr.png"
OF_THE_COMMAND = ("data", "out", "resume", "settings", "threads", "quiet", "why", "dry_run")
NAMED = {"for": "seconds"}  # options whose setting has another name
LABEL = 12  # columns of a decision's name


def train(
    data: str,
    out: Path | None,
    resume: bool,
    as_json: bool,
    quiet: bool,
    why: bool = False,
    dry_run: bool = False,
    settings: Path | None = None,
    seconds: float | None = None,
    **given,
) -> None:
    """Run the command; results go to standard output."""
    name = name_of(data)
    if resume and out is None:
        raise OptionError(
            f"--resume needs the run to go on with, as in --resume --out runs/{name}-1."
        )
    folder = out or free_folder(name=name)
    given = given_settings(given)
    if settings is not None:
        # What the command line says comes before what the file says.
        given = {**read_settings(settings), **{n: v for n, v in given.items() if v is not None}}
        if (limit := given.pop("for", None)) is not None and seconds is None:
            seconds = limit
    is_lr_wanted = given.get("lr") == FIND
    if is_lr_wanted:
        if resume:
            raise OptionError("--lr find is for a new run; the one that goes on has its rate.")
        del given["lr"]
    with slowly(f"reading {data}", quiet), heard(Reading(quiet)):
        made = resumed_recipe(folder, data, given) if resume else recipe(data, **given)
        if made.kind in ("pictures", "picture_table"):
            made.dataset()  # kept for what comes: what takes long is told here
    test = None
    if is_lr_wanted:
        rows = made.dataset()
        test = find_rate(made, rows, made.split(rows))
        made = with_rate(made, test)
    if dry_run or not quiet:
        rows = made.dataset()
        parts = made.split(rows)
        decisions = made.decisions(rows, parts, why)
    if dry_run:
        found = estimate(made, rows, parts)
        decisions += expected(made, parts, found, seconds)
        if as_json:
            document = {"decisions": [vars(d) for d in decisions], "estimate": vars(found)}
            click.echo(json.dumps(document, indent=2))
    if not quiet:
        tell(decisions)
    if dry_run:
        return
    again = shlex.join(["pellucid", "train", data, "--resume", "--out", str(folder)])
    try:
        stopped, finished = follow(train_run(made, folder, resume, seconds=seconds), quiet)
        write_atomic(folder / CURVE, [curve(stopped.history, stopped.best_epoch)])
        if test is not None:
            write_atomic(folder / RATES, [rate_picture(test)])
        if made.task == "forecast":
            write_atomic(folder / FORECAST, [forecast_picture(finished.result)])
    except KeyboardInterrupt:
        if (folder / RUN).exists():
            told = f"stopped; what was learned is saved. To go on: {again}"
            raise KeyboardInterrupt(told) from None
        raise
    except RunError as error:
        if isinstance(error.__cause__, OSError) and (folder / RUN).exists():  # a full disk
            raise RunError(f"{error} To go on after that: {again}") from error
        raise
    if not quiet:
        more = f" To go on: {again}" if stopped.may_go_on else ""
        click.echo(f"Done: {stopped.reason}.{more}", err=True)
    click.echo(json.dumps(finished.result, indent=2) if as_json else report(finished))


def name_of(data: str) -> str:
    """What a run of these data is called: the file or folder, also where it is given as a dot."""
    return Path(os.path.abspath(data)).stem


def given_settings(options: dict) -> dict:
    """Options of the command line as settings of a recipe: what may be repeated is not given when it is empty."""
    return {
        **options,
        "columns": dict(options.get("columns") or ()) or None,
        "missing": list(options.get("missing") or ()) or None,
        "strict": options.get("strict") or None,
    }


def read_settings(path: Path) -> dict:
    """The settings in a TOML file: names as of the options, `columns` a table of uses.

    Raises OptionError naming the file and what is wrong."""
    import tomllib

    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(f"{path}: no TOML: {error}.") from error
    for name, value in found.items():
        if name in OF_THE_COMMAND:
            raise OptionError(f"{path}: {name!r} is no setting. Give it on the command line.")
        if name != "columns" and isinstance(value, dict) and not value.keys().isdisjoint(SETTINGS):
            raise OptionError(
                f"{path}: [{name}] is no setting. Write what it holds outside of [{name}], at the top of the file."
            )
        nearest(name, (*(n for n in SETTINGS if n != "kind"), "for"), f"{path}: the setting")
    limit = {"for": found["for"]} if "for" in found else {}
    found = {name: read_word(path, name, value) for name, value in found.items()}
    is_found = found.get("lr") == FIND
    checked = {**found, **limit}
    check_settings({n: v for n, v in checked.items() if n != "lr" or not is_found}, f"{path}: ")
    if isinstance(found.get("net"), list):
        found["net"] = tuple(found["net"])
    return found


def read_word(path: Path, name: str, value: Any) -> Any:
    """A setting in text as the command line takes it: '64-32', '2GB'; others as they are. Raises OptionError."""
    types = {p.name: p.type for p in click.get_current_context().command.params}
    try:
        if name == "columns" and isinstance(value, dict):
            words = (f"{column}={use}" for column, use in value.items())
            return dict(types[name].convert(word, None, None) for word in words)
        kind = types[NAMED.get(name, name)]
        if isinstance(value, str) and not isinstance(kind, Amount | click.types.BoolParamType):
            return kind.convert(value, None, None)
    except click.BadParameter as error:
        raise OptionError(f"{path}: {name}: {error.message}") from error
    return value


def expected(made: Recipe, parts: Split, found: Estimate, limit: float | None) -> list[Decision]:
    """Time and memory that training will take, as lines of the decisions."""
    seconds = min(found.seconds, limit or found.seconds)
    megabytes = ", ".join(
        f"{megabytes_of(n)} {name}"
        for name, n in (
            ("parameters", found.parameters),
            ("optimizer", found.optimizer),
            ("activations", found.activations),
            ("data", found.data),
        )
    )
    return [
        Decision(
            "time",
            f"about {duration(seconds)} for {made.n_steps(parts):,} steps at most",
            f"as fast as {found.n_steps:,} that were tried; comparing with simple methods comes after that",
            "",
        ),
        Decision(
            "memory",
            f"about {megabytes_of(found.bytes)} MB",
            f"in MB {megabytes}; the rest are Python, its libraries, and copies to go on from",
            "",
        ),
    ]


def megabytes_of(n_bytes: int) -> str:
    """0.069, 4.2, 1,159: two digits, or all before the point."""
    megabytes = n_bytes / 1e6
    return f"{megabytes:,.0f}" if megabytes >= 10 else f"{megabytes:.2g}"


def tell(decisions: Sequence[Decision]) -> None:
    """Every choice on standard error: what, why, and the option that changes it."""
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 100)
    for d in decisions:
        how = f" ({d.option})" if d.option and not d.is_given else ""
        text = f"{d.name:<{LABEL}}{d.value}: {d.reason}{how}"
        indent = " " * LABEL
        click.echo(textwrap.fill(text, width, subsequent_indent=indent), err=True)
    click.echo(err=True)


def follow(events, quiet: bool) -> tuple[Stopped, Finished]:
    """Show the events of a run as they come; returns its last two."""
    stopped, finished = None, None
    # closing: an interrupt that arrives out here still lets the run save what was learned.
    with closing(events), progress(quiet) as display:
        for event in events:
            stopping.ask()
            if isinstance(event, EpochDone):
                display.show(event)
            elif isinstance(event, Progress):
                display.show_step(event)
            elif isinstance(event, Stopped):
                stopped = event
                display.show_end()
            elif isinstance(event, Finished):
                finished = event
    assert stopped and finished
    return stopped, finished


def curve(history: Sequence[EpochDone], best_epoch: int) -> bytes:
    """The run's learning curve as a PNG."""
    parts = {
        "training": [e.train for e in history],
        "validation": [e.validation for e in history if e.validation],
    }
    others = tuple(history[0].train.others) if history else ()
    if others:  # two networks against each other, and no validation
        parts = {"critic": parts["training"]}
    loss = {name: [m.loss for m in metrics] for name, metrics in parts.items()}
    for name in others:
        loss[name.removesuffix("_loss")] = [e.train.others[name] for e in history]
    mark = best_epoch or None
    panels = [Panel("Loss", loss, mark=mark)]
    if history and history[0].train.accuracy is not None:
        accuracy = {name: [m.accuracy or 0.0 for m in ms] for name, ms in parts.items()}
        panels.append(Panel("Accuracy", accuracy, mark=mark, limits=(0.0, 1.0)))
    return draw(panels)


def forecast_picture(result: dict) -> bytes:
    """What came and what the network expected one step before, over the held-out part, as a PNG."""
    test = result["test"]
    series = {"truth": test["truth"], "forecast": test["forecast"]}
    both = [*test["truth"], *test["forecast"]]
    across = f"{test['times'][0]} to {test['times'][-1]}, one step ahead"
    limits = (min(both), max(both))
    unit = result["unit"] or "value"
    last = result["stretch"]
    none = [math.nan] * len(last["past"])
    ahead = {"truth": [*last["past"], *last["truth"]], "forecast": [*none, *last["forecast"]]}
    values = [v for s in ahead.values() for v in s if not math.isnan(v)]
    to = f"{last['times'][0]} to {last['times'][-1]}, {len(last['forecast'])} steps ahead"
    return draw([
        Panel(unit, series, limits=limits, across=across),
        Panel(unit, ahead, limits=(min(values), max(values)), across=to),
    ])  # fmt: skip


def rate_picture(test: Found) -> bytes:
    """The loss at each rate of a range test, and the rate that was chosen, as a PNG."""
    at = [math.log10(rate) for rate in test.rates]
    chosen = math.log10(test.rate)
    there = test.losses[min(range(len(at)), key=lambda i: abs(at[i] - chosen))]
    limits = (0.0, 2 * max(test.losses[0], 1e-9))
    across = f"learning rate, as a power of 10; {test.rate:g} is chosen"
    shown = [min(loss, limits[1]) for loss in test.losses]
    title, dots = "Loss while the rate rises", [(chosen, there)]
    panel = Panel(title, {"loss": shown}, None, limits, across, at, dots)
    return draw([panel])
