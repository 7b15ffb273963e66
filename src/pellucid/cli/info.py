"""`pellucid info`: what is in a run folder."""

import json
from pathlib import Path

import click

from ..formats.model_json import read_json
from ..nn.module import Module
from ..train.run import METRICS, SavedModel, load_model
from .train import percent


def info(run: Path, as_json: bool) -> None:
    """Run the command; results go to standard output."""
    model = load_model(run)
    result = read_json(run / METRICS) if (run / METRICS).exists() else {}
    told = document(str(run), model, result)
    click.echo(json.dumps(told, indent=2) if as_json else words(told))


def document(run: str, model: SavedModel, result: dict) -> dict:
    """Everything there is to say, for --json."""
    return {
        "run": run,
        "weights_sha256": model.weights_sha256,
        "input": {"shape": list(model.shape), "shift": model.shift, "scale": model.scale},
        "classes": list(model.classes),
        "layers": [layer(i, child) for i, (_, child) in enumerate(model.network.children())],
        "n_parameters": model.network.n_parameters,
        "settings": model.settings,
        **{name: result[name] for name in ("epochs", "best_epoch", "metrics") if name in result},
    }


def layer(number: int, module: Module) -> dict:
    """One layer: its kind, the shapes of its parameters and how many numbers they hold."""
    return {
        "layer": number,
        "kind": repr(module).split("  ")[0],
        "shapes": {name: list(p.shape) for name, p in module.named_parameters()},
        "n_parameters": module.n_parameters,
    }


def words(told: dict) -> str:
    """The document for a person to read."""
    shape = " x ".join(map(str, told["input"]["shape"]))
    rows = [("layer", "", "shapes", "parameters")]
    for x in told["layers"]:
        shapes = ", ".join(f"{n} {' x '.join(map(str, s))}" for n, s in x["shapes"].items())
        count = f"{x['n_parameters']:,}" if x["n_parameters"] else ""
        rows.append((str(x["layer"]), x["kind"], shapes, count))
    rows.append(("all", "", "", f"{told['n_parameters']:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        told["run"],
        f"input   {shape} numbers, (raw - {told['input']['shift']:g}) / {told['input']['scale']:g}",
        f"output  {len(told['classes'])} classes: {', '.join(told['classes'])}",
        "",
        *(
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
            for a, b, c, d in rows
        ),
        "",
        "settings",
    ]
    for name, value in told["settings"].items():
        text = "-".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
        lines.append(f"  {name:<12}{text}")
    if "metrics" in told:
        lines += ["", f"results after {told['epochs']} epochs, weights of {told['best_epoch']}"]
        for name, m in told["metrics"].items():
            share = f"  accuracy {percent(m['accuracy'])}" if "accuracy" in m else ""
            lines.append(f"  {name:<12}loss {m['loss']:.4f}{share}  ({m['n']} rows)")
    return "\n".join([*lines, "", f"weights SHA-256 {told['weights_sha256']}"])
