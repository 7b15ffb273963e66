"""The names in a run folder, and what an existing run says of itself: the settings that --resume continues."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..base.errors import FormatError, OptionError, RunError
from ..formats import model_json
from .recipe import Recipe, recipe
from .sources import OWN_SETTINGS

RUN, CHECKPOINT, MODEL, WEIGHTS, METRICS, SAMPLES, EVENTS = (
    "run.json", "checkpoint.safetensors", "model.json", "model.safetensors", "metrics.json", "samples",
    "tensorboard",
)  # fmt: skip
RUN_FORMAT, RUN_VERSION = "pellucid-run", 1


def stored_settings(folder: Path) -> tuple[dict, tuple[str, ...]]:
    """The settings that a run began with, and which of them a person gave.

    Raises RunError where there is no run, FormatError for a damaged one."""
    if not (folder / RUN).exists():
        raise RunError(f"{folder}: there is no run to continue. Start it without --resume.")
    found = model_json.read_json(folder / RUN)
    if (found.get("format"), found.get("version")) != (RUN_FORMAT, RUN_VERSION):
        raise FormatError(
            f"{folder / RUN}: field 'version' is {str(found.get('version'))[:40]} of {str(found.get('format'))[:40]}; "
            f"this pellucid goes on with version {RUN_VERSION} of {RUN_FORMAT}. Use a newer pellucid."
        )
    settings = found.get("recipe")
    if not isinstance(settings, dict) or not isinstance(settings.get("data"), str):
        raise FormatError(f"{folder / RUN}: field 'recipe' is missing. The file is damaged.")
    given = found.get("given")
    return settings, tuple(n for n in settings if isinstance(given, list) and n in given)


def resumed_recipe(folder: Path, data: str, given: Mapping[str, Any]) -> Recipe:
    """The recipe of an existing run from what a person says of it: `given` may leave out what the run has stored.

    Raises as stored_recipe does."""
    stored, _ = stored_settings(folder)
    given = {n: v for n, v in given.items() if v is not None}
    if Path(data).name != Path(stored["data"]).name:
        raise RunError(f"{folder}: this run learns from {stored['data']}, not from {data}.")
    own = {n: stored[n] for n in (*OWN_SETTINGS, "task") if n in stored and n not in given}
    asked = recipe(data, **own, **given)
    return stored_recipe(folder, dataclasses.replace(asked, given=tuple(given)))


MAY_CHANGE = ("epochs", "patience", "steps")  # when a run goes on


def stored_recipe(folder: Path, asked: Recipe) -> Recipe:
    """The recipe of an existing run; epochs and steps may be raised, anything else that was given must be equal."""
    settings, given = stored_settings(folder)
    try:
        found = recipe(**settings)
    except (TypeError, OptionError) as error:
        raise FormatError(
            f"{folder / RUN}: field 'recipe' cannot be used: {str(error).rstrip('.')}. The file is damaged, or of a "
            f"newer pellucid."
        ) from error
    if asked.data != found.data and Path(asked.data).name != Path(found.data).name:
        raise RunError(f"{folder}: this run learns from {found.data}, not from {asked.data}.")
    settings = {
        **settings,
        "data": asked.data,
    }  # a file may have moved; the checkpoint knows its rows
    wanted = asked.settings()
    for name in asked.given:
        had = found.settings().get(name)
        if name not in MAY_CHANGE and wanted[name] != had:
            raise RunError(
                f"{folder}: this run was started with {name} = {had}, not {wanted[name]}. "
                f"Leave --{name} out to continue it."
            )
    changed = {n: wanted[n] for n in MAY_CHANGE if n in asked.given}
    if "steps" in changed:
        changed["epochs"] = wanted["epochs"]
    for name in ("epochs", "steps"):
        had = getattr(found, name)
        if found.schedule != "constant" and changed.get(name, had) != had:
            planned = f"{found.epochs} epochs" if found.steps is None else f"{found.steps} steps"
            raise RunError(
                f"{folder}: the learning rate of this run follows a schedule over {planned}, which cannot become "
                f"{changed[name]} {name}. Leave --epochs and --steps out to continue it."
            )
    made = recipe(**{**settings, **changed})
    return dataclasses.replace(made, given=tuple(dict.fromkeys((*given, *asked.given))))


def free_folder(base: str | Path = "runs", name: str = "digits") -> Path:
    """runs/NAME-1, or the next number that does not exist."""
    number = 1
    while os.path.lexists(Path(base) / f"{name}-{number}"):
        number += 1
    return Path(base) / f"{name}-{number}"
