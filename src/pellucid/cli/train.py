"""`pellucid train`: says what it decided, shows progress, prints the result, draws the curve."""

import json
import math
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
import numpy as np

from ..base.errors import OptionError, RunError
from ..data.dataset import Split
from ..formats.atomic import write_atomic
from ..train.diagnose import overfitting
from ..train.estimate import Estimate, estimate
from ..train.events import EpochDone, Finished, Progress, Stopped
from ..train.metrics import confusion_text
from ..train.rates import Found, find_rate, with_rate
from ..train.recipe import Decision, Recipe, recipe
from ..train.run import RUN, free_folder, resumed_recipe, train_run
from ..train.settings import check_settings
from .curve import Panel, draw
from .options import FIND, Duration
from .progress import duration, progress

CURVE, FORECAST, RATES = "curve.png", "forecast.png", "lr.png"
LABEL = 12  # columns of a decision's name


def train(
    data: str,
    out: Path | None,
    resume: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    why: bool = False,
    dry_run: bool = False,
    settings: Path | None = None,
    seconds: float | None = None,
    **given,
) -> None:
    """Run the command; results go to standard output."""
    name = Path(data).stem
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
            seconds = Duration().convert(limit, None, None)
    is_lr_wanted = given.get("lr") == FIND
    if is_lr_wanted:
        if resume:
            raise OptionError("--lr find is for a new run; the one that goes on has its rate.")
        del given["lr"]
    made = resumed_recipe(folder, data, given) if resume else recipe(data, **given)
    if threads is not None:
        from ..runtime.team import set_threads

        set_threads(threads)
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
            told = {"decisions": [vars(d) for d in decisions], "estimate": vars(found)}
            click.echo(json.dumps(told, indent=2))
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
    except KeyboardInterrupt as stop:
        if (folder / RUN).exists():
            raise type(stop)(f"stopped; what was learned is saved. To go on: {again}") from None
        raise
    except RunError as error:
        if isinstance(error.__cause__, OSError) and (folder / RUN).exists():  # a full disk
            raise RunError(f"{error} To go on after that: {again}") from error
        raise
    if not quiet:
        more = f" To go on: {again}" if stopped.may_go_on else ""
        click.echo(f"Done: {stopped.reason}.{more}", err=True)
    click.echo(json.dumps(finished.result, indent=2) if as_json else report(finished))


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
    for name in ("data", "given", "kind"):
        if name in found:
            raise OptionError(f"{path}: {name!r} is no setting. DATA stands on the command line.")
    is_found = found.get("lr") == FIND
    check_settings({n: v for n, v in found.items() if n != "lr" or not is_found}, f"{path}: ")
    if isinstance(found.get("net"), list):
        found["net"] = tuple(found["net"])
    return found


def expected(made: Recipe, parts: Split, found: Estimate, limit: float | None) -> list[Decision]:
    """Time and memory that training will take, as lines of the decisions."""
    seconds = min(found.seconds, limit or found.seconds)
    megabytes = ", ".join(
        f"{n / 1e6:.2g} {name}"
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
            f"{found.n_steps:,} were tried; comparing with simple methods comes after that",
            "",
        ),
        Decision(
            "memory",
            f"about {found.bytes / 1e6:.0f} MB",
            f"in MB {megabytes}; the rest are Python, its libraries, and copies to go on from",
            "",
        ),
    ]


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
            elif isinstance(event, Progress):
                display.show_step(event)
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


def report(finished: Finished) -> str:
    """The result in words, beside what needs no network, and where it is."""
    result = finished.result
    kept = (
        f"the weights of epoch {result['best_epoch']} are in {finished.run}"
        if result["best_epoch"]
        else f"the network is in {finished.run}"
    )
    early = " (early stopping)" if str(result.get("stopped")).startswith("early stopping") else ""
    task = result["settings"].get("task", "classify")
    is_table = result["settings"].get("kind") == "table"
    shown = report_rows if task == "classify" and "scores" in result else REPORTS[task]
    if "scores" in result and not result["scores"]["n"]:
        shown = report_untested
    lines = [
        *shown(result, finished.run),
        "",
        *([overfitting(since)] if (since := result.get("overfitting_since")) else []),
        f"{result['epochs']} epochs in {result['seconds']:.1f} s{early}; {kept}",
    ]
    if sys.stdout.isatty():
        lines.append(f"Next: {NEXT['regress' if is_table else task].format(finished.run)}")
    return "\n".join(lines)


def report_classes(result: dict, run: str) -> list[str]:
    """Accuracy beside the baseline, and the confusion table."""
    test, baseline = result["metrics"]["test"], result["baseline"]
    table = np.array(result["confusion"])
    return [
        f"Held-out accuracy {percent(test['accuracy'])}: {int(np.trace(table))} of {test['n']} right. "
        f"Always answering {baseline['class']!r} would get {percent(baseline['accuracy'])}.",
        "",
        confusion_text(table, result["classes"]),
    ]


def report_text(result: dict, run: str) -> list[str]:
    """Loss and perplexity beside those of counting."""
    test, baseline = result["metrics"]["test"], result["baseline"]
    lines = [
        f"Held-out text: {test['loss']:.3f} nats a character, perplexity {test['perplexity']:.2f}; "
        f"{percent(test['accuracy'])} of {test['n']:,} next characters right.",
        f"Counting characters: {baseline['unigram']['loss']:.3f}, perplexity "
        f"{baseline['unigram']['perplexity']:.2f}. Counting pairs: {baseline['bigram']['loss']:.3f}, "
        f"perplexity {baseline['bigram']['perplexity']:.2f}.",
    ]
    return lines + warning(test["loss"], {k: v["loss"] for k, v in baseline.items()})


def report_series(result: dict, run: str) -> list[str]:
    """Errors one step ahead beside persistence and an autoregression."""
    unit, ours, baseline = result["unit"], result["forecast"], result["baseline"]
    order = baseline["autoregression"]["order"]
    rows = [
        ("this network", ours),
        ("the last value again", baseline["persistence"]),
        (f"autoregression of {order} values", baseline["autoregression"]),
    ]
    width = max(len(name) for name, _ in rows)
    test = result["metrics"]["test"]
    lines = [
        f"One step ahead over the last {test['n']} values, in {unit or 'the unit of the series'}:",
        f"{'':{width}}  {'MAE':>8}  {'RMSE':>8}",
        *(f"{name:{width}}  {e['mae']:8.3f}  {e['rmse']:8.3f}" for name, e in rows),
        "",
        "Mean absolute error further ahead, from forecasts of forecasts:",
        "steps  " + "  ".join(name for name, _ in rows),
        *(
            f"{e['steps']:5}  " + "  ".join(
                f"{e[key]:{len(name)}.3f}"
                for key, (name, _) in zip(("forecast", "persistence", "autoregression"), rows, strict=True)
            )
            for e in result["mae_ahead"]
        ),
    ]  # fmt: skip
    lines += warning(ours["rmse"], {name: e["rmse"] for name, e in rows[1:]})
    ahead = result["mae_ahead"]
    worse = [str(e["steps"]) for e in ahead if e["forecast"] >= e["persistence"]]
    if worse:
        at = f"{worse[0]} to {worse[-1]}" if len(worse) > 3 else ", ".join(worse)
        lines.append(
            f"Warning: {len(worse)} of {len(ahead)} times further ahead (steps {at}) not better than the last value."
        )
    return lines


def report_amounts(result: dict, run: str) -> list[str]:
    """Errors in the target's unit, beside always answering the mean and other simple methods."""
    ours = result["scores"]
    rows = [("this network", ours), *usable(result["baselines"]).items()]
    width = max(len(name) for name, _ in rows)
    low, high = ours["rmse_interval"] or (ours["rmse"], ours["rmse"])
    lines = [
        f"{result['settings']['target']} of {ours['n']:,} held-out rows, in its own unit:",
        f"{'':{width}}  {'RMSE':>10}  {'MAE':>10}  {'R2':>6}",
        *(
            f"{n:{width}}  {e['rmse']:10.5g}  {e['mae']:10.5g}  {share(e['r2'])}".rstrip()
            for n, e in rows
        ),
        f"The network's RMSE on other such rows: {low:.5g} to {high:.5g}, with 95 % confidence.",
    ]
    return lines + warning(ours["rmse"], {n: e["rmse"] for n, e in rows[1:]})


def report_untested(result: dict, run: str) -> list[str]:
    """Where no rows were held out."""
    return ["No rows were held out to test: nothing is known about rows it has not seen (--test)."]


def share(value: float | None) -> str:
    """R2 or an AUC in a column of six; nothing where there is none."""
    return "" if value is None else f"{value:6.3f}"


def usable(baselines: dict) -> dict:
    """Those that could be used."""
    return {name: b for name, b in baselines.items() if "skipped" not in b}


def report_rows(result: dict, run: str) -> list[str]:
    """Classes of a table's rows: accuracy and more beside simple methods, each class, and what is mistaken."""
    ours = result["scores"]
    rows = [("this network", ours), *usable(result["baselines"]).items()]
    width = max(len(name) for name, _ in rows)
    low, high = ours["accuracy_interval"]
    rare = result.get("alarms")
    lines = [
        f"{result['settings'].get('target', 'Classes')} of {ours['n']:,} held-out rows:",
        f"{'':{width}}  {'accuracy':>8}  {'macro F1':>8}  {'AUC':>6}  {'log loss':>8}"
        + ("  PR AUC" if rare else ""),
        *(
            f"{n:{width}}  {percent(e['accuracy']):>8}  {e['macro_f1']:8.3f}  {share(e['roc_auc']):>6}  "
            f"{e['log_loss']:8.4f}" + (f"  {share(e['rare_pr_auc']):>6}" if rare else "")
            for n, e in rows
        ),
        f"The network's accuracy on other such rows: {percent(low)} to {percent(high)}, with 95 % confidence.",
        "",
        *per_class(ours["per_class"]),
        *screened(ours.get("screening")),
    ]
    if len(result["classes"]) <= 20:
        lines += ["", confusion_text(np.array(result["confusion"]), result["classes"])]
    key = "accuracy"
    if rare:
        # Who never raises an alarm is right nearly always.
        key = "rare_pr_auc"
        lines += ["", *alarm_table(rare)]
    better = {n: -e[key] for n, e in rows[1:] if e[key] is not None}
    return lines + (warning(-ours[key], better) if ours[key] is not None else [])


def alarm_table(found: dict) -> list[str]:
    """What an alarm for the rare class would cost, from each probability on."""
    name, n_class = found["class"][:30], found["n_class"]
    lines = [
        f"An alarm for {name!r} ({n_class:,} of {found['n']:,} rows) where its probability is at least:",
        f"{'probability':>11}  {'alarms':>8}  {'right':>16}  {'found':>16}",
    ]
    for row in found["rows"]:
        right = (
            f"{row['right']:,} ({percent(row['right'] / row['alarms'])})" if row["alarms"] else "-"
        )
        of_all = f"{percent(row['right'] / n_class)} of {n_class:,}" if n_class else "-"
        mark = "  best F1 on the rows to validate" if row["threshold"] == found["best"] else ""
        lines.append(
            f"{row['threshold']:11.3g}  {row['alarms']:8,}  {right:>16}  {of_all:>16}{mark}"
        )
    return lines


def screened(found: dict | None) -> list[str]:
    """Sensitivity and specificity of two classes, with the positive one named."""
    if found is None:
        return []
    words = []
    for name in ("sensitivity", "specificity"):
        if found[name] is not None:
            low, high = found[f"{name}_interval"]
            words.append(f"{name} {percent(found[name])} ({percent(low)} to {percent(high)})")
    return (
        [f"With {found['positive']!r} as the positive class: {', '.join(words)}."] if words else []
    )


def per_class(scores: Sequence[dict], most: int = 20) -> list[str]:
    """Precision, recall and F1 of each class, a line each."""
    width = max(len("class"), *(len(c["class"][:30]) for c in scores))
    lines = [f"{'class':{width}}  {'precision':>9}  {'recall':>6}  {'F1':>5}  {'rows':>6}"]
    for c in scores[:most]:
        numbers = [f"{c[name] or 0:.3f}" for name in ("precision", "recall", "f1")]
        lines.append(
            f"{c['class'][:30]:{width}}  {numbers[0]:>9}  {numbers[1]:>6}  {numbers[2]:>5}  {c['support']:6,}"
        )
    return lines + ([f"and {len(scores) - most} more"] if len(scores) > most else [])


def report_pictures(result: dict, run: str) -> list[str]:
    """How far made pictures are from real ones, and whether all classes appear."""
    made, baseline = result["pictures"], result["baseline"]
    per_class = list(zip(result["classes"], made["per_class"], strict=True))
    missing = [c for c, n in per_class if not n]
    appear = "all classes appear" if not missing else f"never: {', '.join(missing)}"
    counts = ", ".join(f"{c}: {n}" for c, n in per_class)
    rows = [
        ("made pictures", made),
        ("held-out real pictures", baseline["real"]),
        ("pixels mixed from several", baseline["mixed_pixels"]),
    ]
    width = max(len(name) for name, _ in rows)
    return [
        f"{made['n']} made pictures among real ones. Precision: how many lie as near to a picture that was",
        "learned from as these lie to each other. Coverage: how many held-out ones have a made one as near.",
        f"{'':{width}}  {'precision':>9}  {'coverage':>8}",
        *(
            f"{name:{width}}  {percent(e['precision']):>9}  {percent(e['coverage']):>8}"
            for name, e in rows
        ),
        f"Copies of a picture that was learned from: {percent(made['copies'])}.",
        *([f"Nearest to a {counts}: {appear}."] if per_class else []),
    ]


def report_enhanced(result: dict, run: str) -> list[str]:
    """PSNR beside doing nothing and bicubic interpolation."""
    ours, beside = result["enhanced"], result["baseline"]
    nothing, simple = {
        "small": ("every pixel four times", "bicubic interpolation"),
        "noise": ("doing nothing", "halved and brought back (bicubic)"),
    }[ours["fault"]]
    rows = [("this network", ours), (nothing, beside["nothing"]), (simple, beside["bicubic"])]
    width = max(len(name) for name, _ in rows)
    lines = [
        f"{ours['n']:,} held-out pictures, mended of {ours['fault']!r}; PSNR in decibels, more is better:",
        *(f"{name:{width}}  {e['psnr']:6.2f}" for name, e in rows),
    ]
    return lines + warning(-ours["psnr"], {n: -e["psnr"] for n, e in rows[1:]})


def warning(ours: float, others: dict[str, float]) -> list[str]:
    """A line that names what the network does not beat; nothing when it beats all."""
    better = [name for name, value in others.items() if ours >= value]
    return [f"Warning: not better than {' and '.join(better)}."] if better else []


REPORTS = {
    "classify": report_classes,
    "continue": report_text,
    "forecast": report_series,
    "generate": report_pictures,
    "regress": report_amounts,
    "enhance": report_enhanced,
}
NEXT = {
    "classify": "pellucid predict {} image.png",
    "continue": 'pellucid sample {} --prompt "Alice "',
    "forecast": "pellucid predict {} --steps 12",
    "generate": "pellucid generate {} --n 16",
    "regress": "pellucid predict {} new.csv --out answers.csv",
    "enhance": "pellucid enhance {} picture.png --out better.png",
}


def percent(share: float) -> str:
    """0.9812 as '98.1 %'."""
    return f"{100 * share:.1f} %"
