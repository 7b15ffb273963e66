"""A run folder: a recipe becomes a trained network on disk.

run.json                the recipe, written before the first step: what --resume continues
checkpoint.safetensors  the state of the run, replaced whole every few seconds
model.safetensors       the best weights          model.json  what network they belong to
metrics.json            the result and one row per epoch          report.html  the same for people
tensorboard/            the losses of every epoch, for TensorBoard
samples/epoch-0001.png  of a generator: the same noise after every epoch; of mended pictures the same patches
lock                    held while a process works here"""

import dataclasses
import hashlib
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import FormatError, OptionError, PellucidError, RunError, ShapeError
from ..data.dataset import Split
from ..data.patches import Patches
from ..data.picture_file import Preparation
from ..data.pictures import Pictures
from ..data.sequence import Scales, Series
from ..formats import model_json, safetensors
from ..formats.atomic import remove_dead_temporaries, write_atomic, writing
from ..models.build import build, describe
from ..models.samples import fixed_noise
from ..nn.init import blank
from ..tensor.tensor import Tensor
from .balance import Alarm, decide_alarm, decided, restore_shares
from .diagnose import overfitting_since
from .evaluation import predict
from .events import EpochDone, Event, Finished, Stopped
from .lock import RunLock
from .loop import Options, fit
from .measure import measure
from .networks import OBJECTIVE_OF
from .pack import unpacked
from .recipe import Recipe, recipe
from .report import write_report
from .samples import COLUMNS, ROWS, Mended, Sampler, sheet
from .sources import OWN_SETTINGS, data_sha256
from .tables import Table, preprocessing, told
from .tensorboard import EventFile

RUN, CHECKPOINT, MODEL, WEIGHTS, METRICS, SAMPLES, EVENTS = (
    "run.json", "checkpoint.safetensors", "model.json", "model.safetensors", "metrics.json", "samples",
    "tensorboard",
)  # fmt: skip
RUN_FORMAT, RUN_VERSION = "pellucid-run", 1
MAX_INPUT = 2**24  # numbers of one row: a damaged description must not take the machine's memory


@dataclass(frozen=True)
class SavedModel:
    """A network that was read from a run folder, and what its model.json says.

    task     classify, generate, continue, forecast, regress or enhance
    input    shape of one row as the network takes it; shift and scale of its numbers
    output   classes, or of a forecast the step (the network gives changes / step) and the unit
    encoder  of a table: how a file's cells become the network's numbers
    target   of a table, and of amounts: what its answers mean
    kinds    of its columns: number, text or date, as they were read
    preparation   of pictures: how a file becomes pixels (data/picture_file.py)
    rows_sha256   of the table that was learned from (Table.fingerprint)"""

    network: Any
    task: str
    shape: tuple[int, ...]
    shift: float
    scale: float
    classes: tuple[str, ...]
    step: float
    unit: str
    settings: dict
    weights_sha256: str
    encoder: Any = None
    target: Any = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    preparation: Any = None
    rows_sha256: str = ""
    alarm: Alarm | None = None

    @property
    def scales(self) -> Scales:
        """Of a series."""
        return Scales(self.shift, self.scale, self.step)

    def taken(self, x: np.ndarray) -> np.ndarray:
        """Rows that are scaled already, float32; images may be rows of pixels."""
        x = np.asarray(x, np.float32)
        return x.reshape(len(x), *self.shape) if len(self.shape) == 3 else x

    def scaled(self, raw: np.ndarray) -> np.ndarray:
        """Rows of numbers (N, F) in the raw scale of the data, as the network takes them."""
        x = np.asarray(raw, np.float32) - np.float32(self.shift)
        return self.taken(x / np.float32(self.scale))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(N, C) class probabilities for rows that are scaled already; images may be rows of pixels."""
        return predict(self.network, self.taken(x))

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """(N, ...) what the network gives for rows that are scaled already: amounts, in no unit yet."""
        return predict(self.network, x, probabilities=False)

    def answers(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """((N,) names of the likeliest classes, or of a rare one from its alarm on, (N, C) chances of all) for rows
        that are scaled already; of a table's amounts ((N,) float64 in their own unit, None)."""
        if self.task == "regress":
            return self.target.decode_amounts(self.outputs(x).reshape(-1)), None
        chances = self.predict(x)
        return np.array(self.classes, object)[decided(chances, self.alarm)], chances


class Samples:
    """A sheet of pictures after every epoch: of a generator from noise that stays the same, of pictures that are mended
    the same held-out patches; else nothing."""

    def __init__(self, made: Recipe, network: Any, folder: Path, data: Any, parts: Split):
        self.folder, self.draws = folder / SAMPLES, None
        if made.task == "generate":
            sampler = Sampler(network)
            noise = fixed_noise(ROWS * COLUMNS, network.latent, made.seed)
            self.draws = lambda: sheet(sampler(noise))
        elif isinstance(data, Patches):
            held_out = parts.validation if len(parts.validation) else parts.test
            rows = held_out[np.linspace(0, len(held_out) - 1, ROWS).astype(int)]
            mended = Mended(network, data.given[rows], data.clean[rows])
            self.draws = lambda: sheet(mended(), columns=3 * 2)
        if self.draws is not None:
            with writing(self.folder):
                self.folder.mkdir(exist_ok=True)
            remove_dead_temporaries(self.folder)

    def draw(self, epoch: int) -> None:
        """Writes the sheet of this epoch, whole or not at all."""
        if self.draws is not None:
            write_atomic(self.folder / f"epoch-{epoch:04}.png", [self.draws()])


def train_run(
    made: Recipe,
    folder: str | Path,
    resume: bool = False,
    checkpoint_seconds: float = 2.0,
    seconds: float | None = None,
) -> Iterator[Event]:
    """Trains by a recipe in a folder; yields the loop's events and at last Finished.

    resume   continues the run that the folder holds: the end has the same bits as without the break.
    seconds  of this call, after which it ends with what it has; a later call may go on from there
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
        data = made.dataset()
        known = data_sha256(made, data)
        parts = made.split(data)
        network = made.network(data)
        if not resume:
            # Only now: data that are refused leave nothing behind that would be in the way.
            stored = {"recipe": made.settings(), "given": list(made.given)}
            model_json.write_json(
                folder / RUN, {"format": RUN_FORMAT, "version": RUN_VERSION, **stored}
            )
        options = Options(
            epochs=made.epochs,
            batch_size=made.batch,
            patience=made.patience or None,
            seed=made.seed,
            loss=made.loss(),
            checkpoint=folder / CHECKPOINT,
            # A run that was killed before its first checkpoint begins again: the same bits.
            resume=resume and (folder / CHECKPOINT).exists(),
            checkpoint_seconds=checkpoint_seconds,
            steps=made.steps,
            seconds=seconds,
        )
        stopped, samples, plots = (
            None,
            Samples(made, network, folder, data, parts),
            EventFile(folder / EVENTS),
        )
        optimizer = made.make_optimizer(network, made.n_steps(parts))
        # closing: whatever ends this, the loop saves what was learned while the folder is still ours.
        with closing(fit(network, data, parts, optimizer, options)) as events:
            for event in events:
                if isinstance(event, Stopped):
                    stopped = event
                elif isinstance(event, EpochDone):
                    try:
                        samples.draw(event.epoch)
                    except KeyboardInterrupt:
                        # Once more: the checkpoint that is written now will say that this epoch is done.
                        samples.draw(event.epoch)
                        raise
                    finally:
                        plots.add(event)
                yield event
        assert stopped is not None
        kept, shape = network, data.shape
        if made.task == "generate":
            # The critic has done its work; the last checkpoint still has it.
            kept, shape = network.generator, (network.latent,)
        if isinstance(data, Pictures) and data.is_flat:
            shape = (data.n_features,)
        if isinstance(data, Table) and data.class_weights is not None:
            restore_shares(kept, data.class_weights)
        if made.row.finish is not None:
            made.row.finish(network, data, parts)
        # First the network: to measure it beside other methods can take longer than to train it.
        alarm = decide_alarm(kept, data, parts) if made.task == "classify" else None
        save_model(folder, kept, data, made.settings(), shape=shape, alarm=alarm)
        measured = measure(made, network, data, parts)
        result = {
            "run": str(folder),
            "seconds": round(time.perf_counter() - began, 3),
            "epochs": stopped.epochs,
            "best_epoch": stopped.best_epoch,
            "stopped": stopped.reason,
            "overfitting_since": overfitting_since(
                [e.train.loss for e in stopped.history if e.validation],
                [e.validation.loss for e in stopped.history if e.validation],
            ),
            "weights_sha256": weights_sha256(kept.state_dict()),
            "data_sha256": known,
            "n_parameters": kept.n_parameters,
            "settings": made.settings(),
            **measured,
            "decisions": [asdict(d) for d in made.decisions(data, parts)],
            **(told(data) if isinstance(data, Table) else {}),
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
        document = {**result, "history": history}
        model_json.write_json(folder / METRICS, document)
        write_report(folder, document)
        yield Finished(str(folder), result)


def save_model(
    folder: str | Path,
    network: Any,
    data: Any,
    settings: Mapping,
    layout: str = "pellucid",
    shape: tuple[int, ...] | None = None,
    alarm: Alarm | None = None,
) -> None:
    """model.safetensors, then model.json. layout='pytorch' stores the weights as PyTorch does.

    shape  of one row as the network takes it, where it is not that of the data
    alarm  from which probability on a rare class is the answer"""
    folder = Path(folder)
    metadata = {"format": "pt" if layout == "pytorch" else "pellucid"}
    safetensors.save(folder / WEIGHTS, network.state_dict(layout), metadata)
    scales = {name: float(getattr(data, name, default))
              for name, default in (("shift", 0.0), ("scale", 1.0))}  # fmt: skip
    answers = {"step": data.step, "unit": data.unit} if isinstance(data, Series) else {}
    description = {
        "layers": describe(network),
        "input": {"shape": list(shape or data.shape), **scales},
        "output": {
            "classes": list(data.classes),
            **answers,
            **({"alarm": {"class": alarm.rare, "from": alarm.threshold}} if alarm else {}),
        },
        "settings": dict(settings),
    }
    if isinstance(data, Table):
        description["preprocessing"] = preprocessing(data, settings["target"])
    elif isinstance(data, Patches):
        description["preprocessing"] = {"pictures": data.preparation.to_json()}
    elif isinstance(data, Pictures) and settings.get("task") != "generate":
        description["preprocessing"] = {
            "pictures": data.preparation.to_json(),
            "file": {"name": data.name, "rows": len(data), "sha256": data.fingerprint()},
            **({"answers": data.target.to_json()} if data.target is not None else {}),
        }
    model_json.save(folder / MODEL, description)


def load_weights(path: str | Path, layout: str | None = None) -> tuple[dict[str, np.ndarray], str]:
    """(arrays, their layout): as the file's metadata says ('pt' is PyTorch's), unless a layout is given."""
    arrays, metadata = safetensors.load(path)
    return arrays, layout or ("pytorch" if metadata.get("format") == "pt" else "pellucid")


def load_model(folder: str | Path) -> SavedModel:
    """Reads a run folder or a packed run. Raises FormatError naming the file and the field; executes nothing."""
    folder = Path(folder)
    if folder.is_file():
        with unpacked(folder) as inside:
            return load_model(inside)
    if not folder.is_dir():
        raise FormatError(f"{folder}: there is no such run folder or packed run.")
    if not (folder / MODEL).exists():
        unfinished = (folder / RUN).exists()
        advice = (
            "The run is not finished: continue it with --resume."
            if unfinished
            else "It is no run folder."
        )
        raise FormatError(f"{folder}: holds no model.json. {advice}")
    model = model_json.load(folder / MODEL)
    found = Fields(folder / MODEL, model)
    shape, classes = found.sizes("input", "shape"), found.names("output", "classes")
    task = model["settings"].get("task", "classify")
    if task not in OBJECTIVE_OF:
        raise FormatError(
            f"{folder / MODEL}: field 'settings.task' is {str(task)[:80]!r}; known: {', '.join(OBJECTIVE_OF)}."
        )
    arrays, layout = load_weights(folder / WEIGHTS)
    where = f"{folder / MODEL}: field 'layers'"
    try:
        if layout == "pellucid":
            network = build(model["layers"], arrays, where)
        else:
            # The names fit, the shapes do once they are turned; no more memory than the file has numbers.
            with blank(sum(a.size for a in arrays.values())):
                network = build(model["layers"], None, where)
            network.load_state_dict(arrays, layout=layout)
    except (FormatError, ShapeError) as error:
        raise FormatError(
            f"{folder}: model.json and model.safetensors do not fit: {error}"
        ) from error
    network.eval()
    check_outputs(folder / MODEL, network, task, shape, classes)
    encoder, target, kinds, preparation = found.preprocessing(shape)
    return SavedModel(
        network=network,
        task=task,
        shape=shape,
        shift=found.number("input", "shift", 0.0),
        scale=found.number("input", "scale", 1.0, is_divisor=True),
        classes=classes,
        step=found.number("output", "step", 1.0, is_divisor=True),
        unit=str(model["output"].get("unit", ""))[:20],
        settings=model["settings"],
        weights_sha256=weights_sha256(network.state_dict()),
        encoder=encoder,
        target=target,
        kinds=kinds,
        preparation=preparation,
        rows_sha256=found.rows_sha256(),
        alarm=found.alarm(classes),
    )


class Fields:
    """Entries of a description, checked; a wrong one is named."""

    def __init__(self, path: Path, model: Mapping):
        self.path, self.model = path, model

    def sizes(self, part: str, name: str) -> tuple[int, ...]:
        """A list of sizes."""
        value = self.model[part].get(name)
        if not isinstance(value, list) or not all(type(n) is int and 0 < n < 2**31 for n in value):
            raise FormatError(
                f"{self.path}: field '{part}.{name}' must be a list of sizes; got {str(value)[:80]}."
            )
        return tuple(value)

    def names(self, part: str, name: str) -> tuple[str, ...]:
        """A list of text."""
        value = self.model[part].get(name)
        if not isinstance(value, list) or not all(isinstance(c, str) for c in value):
            raise FormatError(f"{self.path}: field '{part}.{name}' must be a list of names.")
        return tuple(value)

    def number(self, part: str, name: str, default: float, is_divisor: bool = False) -> float:
        """A number of usable size; not 0 where something is divided by it."""
        value = self.model[part].get(name, default)
        if type(value) not in (int, float) or not abs(value) < 1e30 or (is_divisor and value == 0):
            raise FormatError(
                f"{self.path}: field '{part}.{name}' is {str(value)[:80]!r}, no usable number."
            )
        return float(value)

    def rows_sha256(self) -> str:
        """Of the rows that were learned from; empty where it is not known."""
        found = self.model.get("preprocessing")
        file = found.get("file") if isinstance(found, dict) else None
        return str(file.get("sha256", "")) if isinstance(file, dict) else ""

    def preprocessing(self, shape: tuple[int, ...]) -> tuple[Any, Any, dict[str, str], Any]:
        """(encoder, target, kinds of columns) of a table, preparation of pictures; (None, None, {}, None) where there
        is neither."""
        found = self.model.get("preprocessing")
        if found is None:
            return None, None, {}, None
        if isinstance(found, dict) and "pictures" in found:
            amounts = self.target(found["answers"]) if "answers" in found else None
            return None, amounts, {}, self.preparation(found["pictures"], shape)
        from ..data.encoder import Encoder
        from ..data.frame import KINDS

        if not isinstance(found, dict) or not all(
            isinstance(found.get(name), dict) for name in ("encoder", "answers", "kinds")
        ):
            raise FormatError(
                f"{self.path}: field 'preprocessing' must hold 'encoder', 'answers' and 'kinds'."
            )
        if not all(kind in KINDS for kind in map(str, found["kinds"].values())):
            raise FormatError(
                f"{self.path}: field 'preprocessing.kinds': there are {', '.join(KINDS)}."
            )
        try:
            encoder = Encoder.from_json(found["encoder"])
        except PellucidError as error:
            raise FormatError(f"{self.path}: field 'preprocessing': {error}") from error
        target = self.target(found["answers"])
        if shape != (len(encoder.names),):
            raise FormatError(
                f"{self.path}: field 'preprocessing' makes {len(encoder.names)} numbers of a row; 'input.shape' is "
                f"{list(shape)}."
            )
        return encoder, target, found["kinds"], None

    def target(self, found: Any) -> Any:
        """What the answers mean."""
        from ..data.encoder import Target

        try:
            return Target.from_json(found)
        except PellucidError as error:
            raise FormatError(f"{self.path}: field 'preprocessing': {error}") from error

    def alarm(self, classes: tuple[str, ...]) -> Alarm | None:
        """From which probability on a rare class is the answer; None where the likeliest is."""
        found = self.model["output"].get("alarm")
        if found is None:
            return None
        if (
            not isinstance(found, dict)
            or len(classes) != 2
            or found.get("class") not in (0, 1)
            or type(found.get("from")) not in (int, float)
            or not 0 <= found["from"] <= 1
        ):
            raise FormatError(
                f"{self.path}: field 'output.alarm' must be one of two classes and a probability."
            )
        return Alarm(int(found["class"]), float(found["from"]))

    def preparation(self, found: Any, shape: tuple[int, ...]) -> Any:
        """How a file becomes pixels, as many as the network takes."""
        try:
            preparation = Preparation.from_json(found)
        except PellucidError as error:
            raise FormatError(f"{self.path}: field 'preprocessing.pictures': {error}") from error
        if math.prod(shape) != math.prod(preparation.shape):
            raise FormatError(
                f"{self.path}: field 'preprocessing.pictures' makes {math.prod(preparation.shape)} numbers of a "
                f"picture; 'input.shape' is {list(shape)}."
            )
        return preparation


def check_outputs(
    path: Path, network: Any, task: str, shape: tuple[int, ...], classes: tuple[str, ...]
) -> None:
    """Raises FormatError unless the network takes the input that is described and answers as its task needs.

    Only shapes are looked at: nothing is computed."""
    if math.prod(shape) > MAX_INPUT:
        raise FormatError(
            f"{path}: field 'input.shape' is {list(shape)}: more than {MAX_INPUT:,} numbers a row."
        )
    row = np.zeros((1, *shape), np.int32 if task == "continue" else np.float32)
    x = row.reshape(1, -1) if len(shape) == 2 and task == "classify" else row
    try:
        given = tuple(network(Tensor(x)).shape)
    except (PellucidError, TypeError, ValueError) as error:
        raise FormatError(
            f"{path}: field 'input.shape' is {list(shape)}, which the network does not take: {error}"
        ) from error
    if classes and task in ("classify", "continue") and given[-1] != len(classes):
        raise FormatError(
            f"{path}: field 'output.classes' has {len(classes)} names; the network has {given[-1]} outputs."
        )
    expected = {
        "classify": len(given) == 2,
        "continue": len(given) == 3 and len(shape) == 1,
        "forecast": given in ((1,), (1, 1)) and len(shape) == 2,
        "generate": len(given) == 4 and len(shape) == 1,
        "regress": given == (1, 1),
        "enhance": given == (1, *shape),
    }
    if not expected[task]:
        raise FormatError(
            f"{path}: field 'settings.task' is {task!r}; the network gives {given} for one row of {shape}, which is no "
            f"answer to that."
        )


def weights_sha256(state: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        digest.update(f"{name} {array.dtype.name} {state[name].shape};".encode())
        digest.update(array)
    return digest.hexdigest()


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
