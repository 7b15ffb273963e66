"""A network on disk: model.safetensors has its weights, model.json what it is and what its numbers mean.

save_model writes both, load_model reads them, of a run folder or a packed run, as a SavedModel, which answers rows.
Everything in model.json is checked, and a wrong entry named; nothing in it is executed."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import FormatError, PellucidError, ShapeError
from ..data.patches import Patches
from ..data.picture_file import Preparation
from ..data.pictures import Pictures
from ..data.sequence import Scales, Series
from ..formats import model_json, safetensors
from ..models.build import build, describe
from ..nn.init import blank
from ..tensor.tensor import Tensor
from .balance import Alarm, decided
from .evaluation import predict
from .folder import MODEL, WEIGHTS
from .networks import OBJECTIVE_OF
from .pack import no_run, unpacked
from .tables import Table, preprocessing

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
    if not (folder / MODEL).exists():
        raise FormatError(no_run(folder))
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
        from ..data.target import Target

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
