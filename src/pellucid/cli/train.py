"""`pellucid train`: says what it decided, shows progress, prints the result, draws the curve."""

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
import numpy as np

from ..base.errors import OptionError
from ..formats.atomic import write_atomic
from ..train.events import EpochDone, Finished, Stopped
from ..train.metrics import confusion_text
from ..train.recipe import Decision, recipe
from ..train.run import RUN, free_folder, stored_recipe, train_run
from .curve import Panel, draw
from .progress import progress

CURVE = "curve.png"
LABEL = 12  # columns of a decision's name


def train(
    data: str,
    out: Path | None,
    resume: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    **given,
) -> None:
    """Run the command; results go to standard output."""
    if resume and out is None:
        raise OptionError(
            "--resume needs the run to go on with, as in --resume --out runs/digits-1."
        )
    folder = out or free_folder(name=data)
    made = recipe(data, **given)
    if resume:
        made = stored_recipe(folder, made)
    if threads is not None:
        from ..runtime.team import set_threads

        set_threads(threads)
    if not quiet:
        rows = made.dataset()
        tell(made.decisions(rows, made.split(rows)))
    try:
        stopped, finished = follow(train_run(made, folder, resume), quiet)
    except KeyboardInterrupt:
        if (folder / RUN).exists():
            again = f"pellucid train {data} --resume --out {folder}"
            click.echo(f"Stopped; what was learned is saved. To go on: {again}", err=True)
        else:
            click.echo("Stopped before the run began.", err=True)
        raise click.exceptions.Exit(130) from None
    write_atomic(folder / CURVE, [curve(stopped.history, stopped.best_epoch)])
    if not quiet:
        click.echo(f"Done: {stopped.reason}.", err=True)
    click.echo(json.dumps(finished.result, indent=2) if as_json else report(finished))


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
            if isinstance(event, EpochDone):
                display.show(event)
            elif isinstance(event, Stopped):
                stopped = event
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
    loss = {name: [m.loss for m in metrics] for name, metrics in parts.items()}
    panels = [Panel("Loss", loss, mark=best_epoch)]
    if history and history[0].train.accuracy is not None:
        accuracy = {name: [m.accuracy or 0.0 for m in ms] for name, ms in parts.items()}
        panels.append(Panel("Accuracy", accuracy, mark=best_epoch, limits=(0.0, 1.0)))
    return draw(panels)


def report(finished: Finished) -> str:
    """The result in words: accuracy beside the baseline, the confusion table, where it is."""
    result = finished.result
    test, baseline = result["metrics"]["test"], result["baseline"]
    table = np.array(result["confusion"])
    n_right = int(np.trace(table))
    lines = [
        f"Held-out accuracy {percent(test['accuracy'])}: {n_right} of {test['n']} right. "
        f"Always answering {baseline['class']!r} would get {percent(baseline['accuracy'])}.",
        "",
        confusion_text(table, result["classes"]),
        "",
        f"{result['epochs']} epochs in {result['seconds']:.1f} s; the weights of epoch "
        f"{result['best_epoch']} are in {finished.run}",
    ]
    if sys.stdout.isatty():
        lines.append(f"Next: pellucid predict {finished.run} image.png")
    return "\n".join(lines)


def percent(share: float) -> str:
    """0.9812 as '98.1 %'."""
    return f"{100 * share:.1f} %"
