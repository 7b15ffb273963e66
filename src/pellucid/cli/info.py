"""`pellucid info`: what is in a run folder, or in data (columns.py)."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ..base.errors import OptionError
from ..base.figures import rounded
from ..formats.model_json import read_json
from ..nn.module import Module
from ..train.folder import METRICS, MODEL, RUN
from ..train.pack import opened
from ..train.saved import SavedModel, load_model
from . import columns
from .figures import aligned, percent

SHOWN = ("epochs", "best_epoch", "metrics", "baseline", "forecast", "unit", "pictures", "scores")


def info(what: Path, as_json: bool, **reading: Any) -> None:
    """Run the command; results go to standard output. `reading` says how a table is read, as train's options."""
    given = {
        name: list(v) if name == "missing" else v
        for name, v in reading.items()
        if v not in (None, ())
    }
    if is_run(what):
        if given:
            raise OptionError(f"{what}: a run; --{next(iter(given))} is for tables.")
        told = of_run(what)
        shown = words
    else:
        told = columns.document(str(what), given)
        shown = columns.words
    click.echo(json.dumps(told, indent=2) if as_json else shown(told))


def is_run(path: Path) -> bool:
    """Whether this is a run folder, finished or not, or a packed run."""
    if path.is_dir():
        return any((path / name).exists() for name in (RUN, MODEL))
    return path.suffix == ".pellucid"


def of_run(run: Path) -> dict:
    """What a run holds. Raises FormatError for a damaged one."""
    with opened(run) as folder:
        model = load_model(folder)
        result = read_json(folder / METRICS) if (folder / METRICS).exists() else {}
    return document(str(run), model, result)


def document(run: str, model: SavedModel, result: dict) -> dict:
    """Everything there is to say, for --json."""
    return {
        "run": run,
        "task": model.task,
        "weights_sha256": model.weights_sha256,
        "input": {"shape": list(model.shape), "shift": model.shift, "scale": model.scale},
        "classes": list(model.classes),
        "layers": [layer(path, module) for path, module in leaves(model.network)],
        "n_parameters": model.network.n_parameters,
        **(
            {} if model.encoder is None else {"columns": normalisation(model.encoder, model.target)}
        ),
        "settings": model.settings,
        **{name: result[name] for name in SHOWN if name in result},
    }


def leaves(network: Module) -> Iterator[tuple[str, Module]]:
    """(path, module) of everything that holds no further modules, and of what holds parameters of its own."""
    for path, module in network.modules():
        if not list(module.children()):
            yield path, module


def layer(path: str, module: Module) -> dict:
    """One layer: its kind, the shapes of its parameters and how many numbers they hold."""
    return {
        "layer": int(path) if path.isdigit() else path,
        "kind": repr(module).split("  ")[0],
        "shapes": {name: list(p.shape) for name, p in module.named_parameters()},
        "n_parameters": module.n_parameters,
    }


def scaled(into: dict) -> str:
    """What is made of raw numbers before they go in."""
    return f", (raw - {rounded(into['shift'], 6)}) / {rounded(into['scale'], 6)}"


def of_numbers(told: dict) -> list[str]:
    """Input and output of a network that tells classes apart."""
    shape = " x ".join(map(str, told["input"]["shape"]))
    numbers = "number" if shape == "1" else "numbers"
    return [
        f"input   {shape} {numbers}" + ("" if "columns" in told else scaled(told["input"])),
        f"output  {len(told['classes'])} classes: {', '.join(told['classes'])}",
    ]


def of_text(told: dict) -> list[str]:
    """Of one that writes."""
    shown = "".join(c for c in told["classes"] if c.isprintable())
    return [
        f"input   up to {told['input']['shape'][0]} characters of {len(told['classes'])} kinds: {shown}",
        "output  the chance of each to come next",
    ]


def of_series(told: dict) -> list[str]:
    """Of one that forecasts."""
    into = told["input"]
    return [
        f"input   {into['shape'][0]} values{scaled(into)}",
        "output  the change to the next value",
    ]


def of_noise(told: dict) -> list[str]:
    """Of one that makes pictures."""
    return [f"input   {told['input']['shape'][0]} numbers of noise", "output  a picture"]


def of_rows(told: dict) -> list[str]:
    """Of one that estimates amounts."""
    shape = told["input"]["shape"]
    what = f"{shape[0]} numbers of a row" if len(shape) == 1 else " x ".join(map(str, shape))
    return [f"input   {what}", "output  an amount"]


def of_patches(told: dict) -> list[str]:
    """Of one that mends pictures."""
    kind = "grey" if told["input"]["shape"][2] == 1 else "in colour"
    return [f"input   a picture {kind}, of any size", "output  the same picture, mended"]


INPUTS = {
    "classify": of_numbers,
    "continue": of_text,
    "forecast": of_series,
    "generate": of_noise,
    "regress": of_rows,
    "enhance": of_patches,
}


def normalisation(encoder: Any, target: Any) -> list[dict]:
    """How each column of a run's table becomes numbers, and its target; stored with the run, undone in answers."""
    told = []
    for code in encoder.codes:
        row: dict[str, Any] = {"column": code.name, "use": code.kind, "numbers": len(code.names())}
        if code.kind == "number":
            row |= {"of": SHAPES[code.shape], "mean": code.center, "deviation": code.scale,
                    "missing": code.fill}  # fmt: skip
        elif code.kind == "date":
            row |= {"of": "the year", "mean": code.center, "deviation": code.scale}
        told.append(row)
    if target is not None and target.task == "regress":
        told.append({"column": target.name, "use": "target", "numbers": 1, "of": SHAPES["plain"],
                     "mean": target.shift, "deviation": target.scale})  # fmt: skip
    return told


SHAPES = {"plain": "the value", "log": "its logarithm", "rank": "its rank"}


def words_of_normalisation(rows: Sequence[dict]) -> list[str]:
    """A line for each column: mean and deviation that were taken out, and what stands for a missing value."""
    lines = []
    for r in rows:
        said = f"{r['numbers']:,} number{'' if r['numbers'] == 1 else 's'}"
        if "mean" in r:
            said = f"of {r['of']}: mean {rounded(r['mean'], 6)}, deviation {rounded(r['deviation'], 6)}"
        if "missing" in r:
            said += f"; missing: {rounded(r['missing'], 6)}"
        lines.append((f"  {r['column'][:30]}", r["use"], said))
    return ["columns, as the network takes them: (number - mean) / deviation", *aligned(lines)]


def words(told: dict) -> str:
    """The document for a person to read."""
    rows = [("layer", "", "shapes", "parameters")]
    for x in told["layers"]:
        shapes = ", ".join(f"{n} {' x '.join(map(str, s))}" for n, s in x["shapes"].items())
        count = f"{x['n_parameters']:,}" if x["n_parameters"] else ""
        rows.append((str(x["layer"]), x["kind"], shapes, count))
    rows.append(("all", "", "", f"{told['n_parameters']:,}"))
    lines = [
        told["run"],
        *INPUTS[told["task"]](told),
        "",
        *aligned(rows, right=(3,)),
        "",
        *([*words_of_normalisation(told["columns"]), ""] if "columns" in told else []),
        "settings",
    ]
    width = max(map(len, told["settings"]), default=0)
    for name, value in told["settings"].items():
        text = "-".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
        lines.append(f"  {name:<{width}}  {text}")
    if told.get("metrics"):
        n = told["epochs"]
        lines += [
            "",
            f"results after {n} epoch{'' if n == 1 else 's'}, weights of epoch {told['best_epoch']}",
        ]
        for name, m in told["metrics"].items():
            share = f"  accuracy {percent(m['accuracy'])}" if "accuracy" in m else ""
            share += f"  perplexity {m['perplexity']:.2f}" if "perplexity" in m else ""
            what = "characters" if told["task"] == "continue" else "rows"
            lines.append(f"  {name:<12}loss {m['loss']:.4f}{share}  ({m['n']} {what})")
    return "\n".join([*lines, "", f"weights SHA-256 {told['weights_sha256']}"])
