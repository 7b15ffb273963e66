"""A run folder: a recipe becomes a trained network on disk.

run.json                the recipe, written first: what --resume continues
checkpoint.safetensors  the state of the run, replaced whole every few seconds
model.safetensors       the best weights          model.json  what network they belong to
metrics.json            the result and one row per epoch
lock                    held while a process works here"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import FormatError, RunError
from ..formats import model_json, safetensors
from ..formats.atomic import remove_dead_temporaries
from ..nn.build import build, describe
from ..nn.container import Sequential
from . import metrics as m
from .events import Event, Finished, Stopped
from .lock import RunLock
from .loop import Options, evaluate, fit, predict
from .recipe import Recipe, recipe

RUN, CHECKPOINT, MODEL, WEIGHTS, METRICS = (
    "run.json", "checkpoint.safetensors", "model.json", "model.safetensors", "metrics.json",
)  # fmt: skip


@dataclass(frozen=True)
class SavedModel:
    """A network that was read from a run folder, and what its model.json says."""

    network: Sequential
    shape: tuple[int, ...]
    shift: float
    scale: float
    classes: tuple[str, ...]
    settings: dict
    weights_sha256: str

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(N, C) class probabilities for rows that are scaled already."""
        return predict(self.network, x)


def train_run(
    made: Recipe, folder: str | Path, resume: bool = False, checkpoint_seconds: float = 2.0
) -> Iterator[Event]:
    """Trains by a recipe in a folder; yields the loop's events and at last Finished.

    resume   continues the run that the folder holds: the end has the same bits as without the break.
    Raises RunError for a folder that is in use, not writable, or holds a finished run already."""
    folder = Path(folder)
    began = time.perf_counter()
    with RunLock(folder):
        remove_dead_temporaries(folder)
        if resume:
            made = stored_recipe(folder, made)
        elif any((folder / name).exists() for name in (RUN, CHECKPOINT, WEIGHTS)):
            raise RunError(
                f"{folder}: holds a run already. To continue it use --resume; to start anew choose another --out."
            )
        else:
            model_json.write_json(
                folder / RUN, {"format": "pellucid-run", "version": 1, "recipe": made.settings()}
            )
        data = made.dataset()
        parts = made.split(data)
        network = made.network(data)
        options = Options(
            epochs=made.epochs,
            batch_size=made.batch,
            patience=made.patience,
            seed=made.seed,
            loss=made.loss(data),
            checkpoint=folder / CHECKPOINT,
            # A run that was killed before its first checkpoint begins again: the same bits.
            resume=resume and (folder / CHECKPOINT).exists(),
            checkpoint_seconds=checkpoint_seconds,
        )
        stopped = None
        for event in fit(network, data, parts, made.make_optimizer(network), options):
            if isinstance(event, Stopped):
                stopped = event
            yield event
        assert stopped is not None
        loss = made.loss(data)
        scores = {
            name: evaluate(network, data, rows, loss).as_dict()
            for name, rows in (
                ("train", parts.train),
                ("validation", parts.validation),
                ("test", parts.test),
            )
        }
        predicted = predict(network, data.x[parts.test]).argmax(1)
        majority, baseline = m.majority_baseline(data.y[parts.train], data.y[parts.test])
        table = m.confusion(data.y[parts.test], predicted, len(data.classes))
        save_model(folder, network, data, made.settings())
        result = {
            "run": str(folder),
            "seconds": round(time.perf_counter() - began, 3),
            "epochs": stopped.epochs,
            "best_epoch": stopped.best_epoch,
            "stopped": stopped.reason,
            "weights_sha256": weights_sha256(network.state_dict()),
            "n_parameters": network.n_parameters,
            "settings": made.settings(),
            "metrics": scores,
            "baseline": {"class": data.classes[majority], "accuracy": baseline},
            "confusion": table.tolist(),
            "classes": list(data.classes),
        }
        history = [
            {
                "epoch": e.epoch,
                "train": e.train.as_dict(),
                "validation": e.validation.as_dict() if e.validation else None,
                "is_best": e.is_best,
            }
            for e in stopped.history
        ]
        model_json.write_json(folder / METRICS, {**result, "history": history})
        yield Finished(str(folder), result)


def save_model(
    folder: str | Path, network: Sequential, data, settings: Mapping, layout: str = "pellucid"
) -> None:
    """model.safetensors, then model.json. layout='pytorch' stores Linear weights as (out, in)."""
    folder = Path(folder)
    metadata = {"format": "pt" if layout == "pytorch" else "pellucid"}
    safetensors.save(folder / WEIGHTS, network.state_dict(layout), metadata)
    description = {
        "layers": describe(network),
        "input": {"shape": list(data.shape), "shift": data.shift, "scale": data.scale},
        "output": {"classes": list(data.classes)},
        "settings": dict(settings),
    }
    model_json.save(folder / MODEL, description)


def load_weights(path: str | Path, layout: str | None = None) -> tuple[dict[str, np.ndarray], str]:
    """(arrays, their layout): as the file's metadata says ('pt' is PyTorch's), unless a layout is given."""
    arrays, metadata = safetensors.load(path)
    return arrays, layout or ("pytorch" if metadata.get("format") == "pt" else "pellucid")


def load_model(folder: str | Path) -> SavedModel:
    """Reads a run folder. Raises FormatError naming the file and the field; executes nothing."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FormatError(f"{folder}: there is no such run folder.")
    if not (folder / MODEL).exists():
        unfinished = (folder / RUN).exists()
        advice = (
            "The run is not finished: continue it with --resume."
            if unfinished
            else "It is no run folder."
        )
        raise FormatError(f"{folder}: holds no model.json. {advice}")
    model = model_json.load(folder / MODEL)
    where = f"{folder / MODEL}: field 'layers'"
    shape, shift, scale = (model["input"].get(k) for k in ("shape", "shift", "scale"))
    if not isinstance(shape, list) or not all(type(n) is int and 0 < n < 2**31 for n in shape):
        raise FormatError(
            f"{folder / MODEL}: field 'input.shape' must be a list of sizes; got {str(shape)[:80]}."
        )
    for name, number in (("shift", shift), ("scale", scale)):
        if (
            type(number) not in (int, float)
            or not abs(number) < 1e30
            or (name == "scale" and number == 0)
        ):
            raise FormatError(
                f"{folder / MODEL}: field 'input.{name}' is {str(number)[:80]!r}, no usable number."
            )
    classes = model["output"].get("classes")
    if not isinstance(classes, list) or not all(isinstance(c, str) for c in classes):
        raise FormatError(f"{folder / MODEL}: field 'output.classes' must be a list of names.")
    arrays, layout = load_weights(folder / WEIGHTS)
    if layout == "pytorch":
        arrays = {k: np.ascontiguousarray(v.T) if v.ndim == 2 else v for k, v in arrays.items()}
    try:
        network = build(model["layers"], arrays, where)
    except FormatError as error:
        raise FormatError(
            f"{folder}: model.json and model.safetensors do not fit: {error}"
        ) from error
    n_outputs = next(
        (x.out_features for x in reversed(network.layers) if hasattr(x, "out_features")), None
    )
    if classes and n_outputs != len(classes):
        raise FormatError(
            f"{folder / MODEL}: field 'output.classes' has {len(classes)} names; the network has {n_outputs} outputs."
        )
    return SavedModel(
        network.eval(), tuple(shape), float(shift), float(scale), tuple(classes), model["settings"],
        weights_sha256(network.state_dict()),
    )  # fmt: skip


def weights_sha256(state: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        digest.update(f"{name} {array.dtype.name} {state[name].shape};".encode())
        digest.update(array)
    return digest.hexdigest()


def stored_recipe(folder: Path, asked: Recipe) -> Recipe:
    """The recipe of an existing run; epochs may be raised, anything else that was given must be equal."""
    if not (folder / RUN).exists():
        raise RunError(f"{folder}: there is no run to continue. Start it without --resume.")
    settings = model_json.read_json(folder / RUN).get("recipe")
    if not isinstance(settings, dict):
        raise FormatError(f"{folder / RUN}: field 'recipe' is missing.")
    try:
        found = recipe(**settings)
    except TypeError as error:
        raise FormatError(f"{folder / RUN}: field 'recipe' cannot be used: {error}.") from error
    wanted = asked.settings()
    for name in asked.given:
        if name not in ("epochs", "patience") and wanted[name] != found.settings()[name]:
            raise RunError(
                f"{folder}: this run was started with {name} = {found.settings()[name]}, not {wanted[name]}. "
                f"Leave --{name} out to continue it."
            )
    changed = {n: wanted[n] for n in ("epochs", "patience") if n in asked.given}
    return recipe(**{**settings, **changed})


def free_folder(base: str | Path = "runs", name: str = "digits") -> Path:
    """runs/NAME-1, or the next number that does not exist."""
    number = 1
    while os.path.lexists(Path(base) / f"{name}-{number}"):
        number += 1
    return Path(base) / f"{name}-{number}"
