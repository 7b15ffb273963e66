"""`pellucid sample`: what a network writes."""

import json
from pathlib import Path
from typing import Any

import click

from ..base.errors import OptionError
from ..data.sequence import encode
from ..models.generate import Step, stream
from ..train.saved import SavedModel, load_model
from .figures import percent

LENGTH, TEMPERATURE, TOP = 400, 0.8, 10


def sample(run: Path, as_json: bool, **options: Any) -> None:
    """Run the command; results go to standard output."""
    model = load_model(run)
    if model.task != "continue":
        ask = f"generate {run}" if model.task == "generate" else f"predict {run} FILE"
        raise OptionError(
            f"{run}: this network was trained to {model.task}; it writes no text. Use: pellucid {ask}"
        )
    told, words = continue_text(model, options)
    if as_json:
        head = {"run": str(run), "weights_sha256": model.weights_sha256, "seed": options["seed"]}
        click.echo(json.dumps({**head, **told}, indent=2))
    else:
        click.echo(words)


def beginning(model: SavedModel) -> str:
    """What is gone on from where nothing is said: the end of a line, or what else sets words apart."""
    return next((c for c in "\n " if c in model.classes), model.classes[0])


def continue_text(model: SavedModel, options: dict) -> tuple[dict, str]:
    """The prompt and what follows; or the chances of what may follow."""
    temperature = TEMPERATURE if options["temperature"] is None else options["temperature"]
    prompt = options["prompt"] or beginning(model)
    codes = encode(prompt, model.classes, "--prompt")
    length = 1 if options["probabilities"] else options["length"] or LENGTH
    steps = stream(
        model.network, codes.tolist(), length, temperature, options["top_k"], options["top_p"],
        options["seed"], n_candidates=TOP if options["probabilities"] else 0,
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
