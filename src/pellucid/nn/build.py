"""Layers to records and back: the closed table of kinds that model.json may name.

A record is {"kind": ..., and the constructor's arguments}. Names from a file are looked up here only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..base.errors import FormatError
from .activation import GELU, Identity, LeakyReLU, ReLU, Sigmoid, Softmax, Step, Tanh
from .container import Flatten, Sequential
from .dropout import Dropout
from .linear import Linear
from .module import Module

MAX_FEATURES = 2**31


def _size(v: Any) -> bool:
    return type(v) is int and 1 <= v < MAX_FEATURES


def _number(v: Any) -> bool:
    return type(v) in (int, float) and abs(v) < 1e30


# kind -> (class, {argument: is this value possible?})
KINDS: dict[str, tuple[type[Module], dict[str, Callable[[Any], bool]]]] = {
    "Identity": (Identity, {}),
    "Flatten": (Flatten, {}),
    "ReLU": (ReLU, {}),
    "Sigmoid": (Sigmoid, {}),
    "Tanh": (Tanh, {}),
    "LeakyReLU": (LeakyReLU, {"negative_slope": _number}),
    "GELU": (GELU, {"approximate": lambda v: v in ("none", "tanh")}),
    "Softmax": (Softmax, {"axis": lambda v: type(v) is int and -8 <= v < 8}),
    "Step": (Step, {"threshold": _number}),
    "Dropout": (Dropout, {"p": lambda v: _number(v) and 0 <= v <= 1}),
    "Linear": (
        Linear,
        {"in_features": _size, "out_features": _size, "bias": lambda v: type(v) is bool},
    ),
}


def describe(network: Sequential) -> list[dict]:
    """The records of a Sequential's layers. Raises FormatError for a layer that has no row in KINDS."""
    records = []
    for i, layer in enumerate(network.layers):
        kind = type(layer).__name__
        if kind not in KINDS or type(layer) is not KINDS[kind][0]:
            raise FormatError(
                f"layer {i}, {kind}: a model file knows these kinds only: {', '.join(KINDS)}."
            )
        records.append({"kind": kind, **layer.config()})  # type: ignore[attr-defined]
    return records


def build(
    records: Sequence[Mapping],
    weights: Mapping[str, np.ndarray] | None = None,
    where: str = "layers",
) -> Sequential:
    """A network from its records; with `weights` it holds these: sizes are compared before any memory is taken."""
    layers = []
    for i, record in enumerate(records):
        kind = record.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise FormatError(
                f"{where}, entry {i}: kind {str(kind)[:80]!r} is unknown; known: {', '.join(KINDS)}."
            )
        made, fields = KINDS[kind]
        given = {k: v for k, v in record.items() if k != "kind"}
        if set(given) != set(fields):
            raise FormatError(
                f"{where}, entry {i}: {kind} takes {', '.join(fields) or 'nothing'}; got {', '.join(given) or 'none'}."
            )
        for name, possible in fields.items():
            if not possible(given[name]):
                raise FormatError(
                    f"{where}, entry {i}: {kind} cannot have {name} = {str(given[name])[:80]!r}."
                )
        if kind == "Linear" and weights is not None:
            stored = weights.get(f"{i}.weight")
            shape = (given["in_features"], given["out_features"])
            if stored is None or stored.shape != shape:
                found = "nothing" if stored is None else stored.shape
                raise FormatError(
                    f"{where}, entry {i}: Linear needs a weight '{i}.weight' of shape {shape}; got {found}."
                )
            given["init"] = "zeros"
            given["dtype"] = stored.dtype.name
        layers.append(made(**given))
    network = Sequential(*layers)
    if weights is not None:
        network.load_state_dict(weights)
    return network
