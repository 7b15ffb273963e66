"""model.json: what a network is, as data: its layers, its input and its output.

    {"format": "pellucid-model", "version": 1,
     "layers": [{"kind": "Linear", "in_features": 64, "out_features": 128, "bias": true}, {"kind": "ReLU"}, ...],
     "input": {"shape": [8, 8], "shift": 0.0, "scale": 16.0}, "output": {"classes": ["0", "1", ...]},
     "settings": {...}}

Layer kinds are names of a closed table (nn/build.py); nothing in the file is looked up or executed."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ..base.errors import FormatError
from .atomic import FILES, Files, write_atomic

FORMAT = "pellucid-model"
VERSION = 1
MAX_BYTES = 16 * 2**20


def save(path: str | Path, model: Mapping, files: Files = FILES) -> None:
    """Writes the description, atomically; `format` and `version` are added."""
    write_json(path, {"format": FORMAT, "version": VERSION, **model}, files)


def load(path: str | Path) -> dict:
    """The description, its outline checked. Raises FormatError naming the file and the field."""
    model = read_json(path)
    if model.get("format") != FORMAT:
        raise FormatError(
            f"{path}: field 'format' is {model.get('format')!r}; a model has {FORMAT!r}."
        )
    if model.get("version") != VERSION:
        raise FormatError(
            f"{path}: field 'version' is {model.get('version')!r}; this pellucid reads version {VERSION}. "
            f"Use a newer pellucid."
        )
    for name, kind in (("layers", list), ("input", dict), ("output", dict), ("settings", dict)):
        if not isinstance(model.get(name), kind):
            raise FormatError(
                f"{path}: field {name!r} must be a {kind.__name__}; got {str(model.get(name))[:80]!r}."
            )
    for i, layer in enumerate(model["layers"]):
        if not isinstance(layer, dict) or not isinstance(layer.get("kind"), str):
            raise FormatError(
                f"{path}: field 'layers', entry {i}: must have a 'kind'; got {str(layer)[:80]!r}."
            )
    return model


def write_json(path: str | Path, value: Mapping, files: Files = FILES) -> None:
    """Writes one JSON document, atomically, for people to read."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, [text.encode()], files)


def read_json(path: str | Path) -> dict:
    """One JSON object, of bounded size and without repeated keys."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise FormatError(
                    f"{path}: larger than {MAX_BYTES} bytes. This is no description of ours."
                )
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise FormatError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}.") from error
    return parse_json(raw, path)


def parse_json(raw: bytes, where: str | Path) -> dict:
    """One JSON object in UTF-8, without repeated keys, NaN or infinity. Raises FormatError that names `where`."""
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where}: not valid JSON: {error}. The file is damaged.") from error
    if not isinstance(value, dict):
        raise FormatError(f"{where}: must hold one JSON object.")
    return value


def _no_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(text: str):
    raise ValueError(f"{text} is not a number that JSON has")
