"""`pellucid sample`: what a network writes, or the pictures that it makes."""

import json
from pathlib import Path
from typing import Any

import click

from ..base.errors import OptionError
from ..data.sequence import encode
from ..formats.atomic import write_atomic
from ..models.generate import Step, stream
from ..models.samples import fixed_noise
from ..train.run import SAMPLES, SavedModel, load_model
from ..train.samples import COLUMNS, ROWS, Sampler, sheet
from .train import percent

LENGTH, TEMPERATURE, TOP = 400, 0.8, 10
TEXT_OPTIONS = ("prompt", "length", "temperature", "top_k", "top_p", "probabilities")
PICTURE_OPTIONS = ("n", "out")


def sample(run: Path, seed: int, as_json: bool, **options: Any) -> None:
    """Run the command; results go to standard output."""
    model = load_model(run)
    if model.task not in ("continue", "generate"):
        raise OptionError(
            f"{run}: this network was trained to {model.task}; it makes nothing new. "
            f"Ask it with: pellucid predict {run}"
        )
    is_text = model.task == "continue"
    for name in PICTURE_OPTIONS if is_text else TEXT_OPTIONS:
        if options[name] not in (None, False):
            what = "writes text" if is_text else "makes pictures"
            option = name.replace("_", "-")
            raise OptionError(f"{run}: --{option} does not go with a network that {what}.")
    told, words = (continue_text if is_text else make_pictures)(model, run, seed, options)
    if as_json:
        head = {"run": str(run), "weights_sha256": model.weights_sha256, "seed": seed}
        click.echo(json.dumps({**head, **told}, indent=2))
    else:
        click.echo(words)


def continue_text(model: SavedModel, run: Path, seed: int, options: dict) -> tuple[dict, str]:
    """The prompt and what follows; or the chances of what may follow."""
    temperature = TEMPERATURE if options["temperature"] is None else options["temperature"]
    prompt = options["prompt"] or "\n"
    codes = encode(prompt, model.classes, "--prompt")
    length = 1 if options["probabilities"] else options["length"] or LENGTH
    steps = stream(
        model.network, codes.tolist(), length, temperature, options["top_k"], options["top_p"],
        seed, n_candidates=TOP if options["probabilities"] else 0,
    )  # fmt: skip
    if options["probabilities"]:
        (step,) = steps
        shown = [
            {"character": c, "probability": round(p, 6), "chance": round(q, 6)}
            for c, p, q in candidates(model, step)
        ]
        return {"prompt": prompt, "next": shown}, "\n".join(table_of_chances(model, step))
    text = "".join(model.classes[step.token] for step in steps)
    return {"prompt": prompt, "text": text}, prompt.lstrip("\n") + text


def candidates(model: SavedModel, step: Step) -> list[tuple[str, float, float]]:
    """(character, probability, chance of being drawn) of what may come next, the likeliest first."""
    return [(model.classes[c.token], c.probability, c.chance) for c in step.candidates]


def table_of_chances(model: SavedModel, step: Step) -> list[str]:
    """The candidates for a person to read, a line each."""
    return [
        "  next  probability  chance of being drawn",
        *(f"{c!r:>6}  {percent(p):>11}  {percent(q):>7}" for c, p, q in candidates(model, step)),
    ]


def make_pictures(model: SavedModel, run: Path, seed: int, options: dict) -> tuple[dict, str]:
    """A sheet of pictures as a PNG."""
    n = options["n"] or ROWS * COLUMNS
    packed = Path(f"{run.stem}-seed-{seed}.png")  # a packed run has no folder of its own
    path = options["out"] or (packed if run.is_file() else run / SAMPLES / f"seed-{seed}.png")
    pictures = Sampler(model.network)(fixed_noise(n, model.shape[0], seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, [sheet(pictures, min(n, COLUMNS))])
    return {"n": n, "file": str(path)}, f"{n} pictures are in {path}"
