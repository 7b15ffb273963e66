"""Layers to records and back: the closed table of kinds that model.json may name.

A record is {"kind": ..., and the constructor's arguments}, which may hold further records. Names from a file
are looked up in the table only, values are checked before a layer is made, and no layer is made whose
weights are not in the file. What stands above nn adds its rows: pellucid.models gives a longer table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..base.errors import FormatError, PellucidError
from . import init as initial
from .activation import (
    ACTIVATIONS,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Step,
    SwiGLU,
    Tanh,
)
from .attention import MultiheadAttention
from .container import Flatten, ModuleList, Parallel, Residual, Sequential, Unflatten
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from .embedding import Embedding
from .linear import Linear
from .module import Module
from .norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    RMSNorm,
)
from .pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from .positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from .transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from .upsample import Upsample

Check = Callable[[Any], bool]
Kind = tuple[type[Module], dict[str, Check]]

MAX_FEATURES = 2**31
MAX_LAYERS = 4096
MAX_DEPTH = 16  # records inside records
MAX_TABLE = 2**26  # numbers in a table of positions that is computed, not stored
# A size is at most so large, or as the number of stored weights: nothing wider can have weights in the file.
ALWAYS_POSSIBLE = 2**16
SPARE = 4  # a Transformer asks for its initial weights more than once


# ---- is this value possible?


def is_size(v: Any) -> bool:
    """A whole number, 1 or more."""
    return type(v) is int and 1 <= v < MAX_FEATURES


def is_count(v: Any) -> bool:
    """A whole number, 1 or more, of layers or heads: not very large."""
    return type(v) is int and 1 <= v <= MAX_LAYERS


def is_number(v: Any) -> bool:
    """A finite number of usual size."""
    return type(v) in (int, float) and abs(v) < 1e30


def is_flag(v: Any) -> bool:
    """true or false."""
    return type(v) is bool


def is_chance(v: Any) -> bool:
    """A number from 0 to 1."""
    return is_number(v) and 0 <= v <= 1


def is_positive(v: Any) -> bool:
    """A number above 0."""
    return is_number(v) and v > 0


def is_axis(v: Any) -> bool:
    """An axis, counted from the front or the end."""
    return type(v) is int and -8 <= v < 8


def is_sizes(v: Any) -> bool:
    """A size, or a short list of them."""
    return is_size(v) or (isinstance(v, list) and 1 <= len(v) <= 64 and all(map(is_size, v)))


def is_offsets(v: Any) -> bool:
    """0 or a size, or a short list of these."""
    values = v if isinstance(v, list) else [v]
    return 1 <= len(values) <= 8 and all((n == 0 and type(n) is int) or is_size(n) for n in values)


def is_padding(v: Any) -> bool:
    """What a convolution takes as padding."""
    return v in ("same", "valid") if isinstance(v, str) else is_offsets(v)


def is_token(v: Any) -> bool:
    """A whole number, 0 or more."""
    return type(v) is int and 0 <= v < MAX_FEATURES


def one_of(*words: str) -> Check:
    """One of these words."""
    return lambda v: isinstance(v, str) and v in words


def optional(check: Check) -> Check:
    """null, or what the check takes."""
    return lambda v: v is None or check(v)


def _is_output_size(v: Any) -> bool:
    values = v if isinstance(v, list) else [v]
    return 1 <= len(values) <= 8 and all(n is None or is_size(n) for n in values)


def _is_scale(v: Any) -> bool:
    values = v if isinstance(v, list) else [v]
    return 1 <= len(values) <= 8 and all(map(is_positive, values))


def _is_split(v: Any) -> bool:
    return isinstance(v, list) and 1 <= len(v) <= 8 and all(n == -1 or is_size(n) for n in v)


is_activation = one_of(*ACTIVATIONS)

# ---- the table


def _for_each(kinds: Sequence[type[Module]], fields: dict[str, Check]) -> dict[str, Kind]:
    return {kind.__name__: (kind, fields) for kind in kinds}


_CONV: dict[str, Check] = {
    "in_channels": is_size, "out_channels": is_size, "kernel_size": is_sizes, "stride": is_sizes,
    "padding": is_padding, "dilation": is_sizes, "groups": is_size, "bias": is_flag,
}  # fmt: skip
_POOL: dict[str, Check] = {
    "kernel_size": is_sizes, "stride": is_sizes, "padding": is_offsets, "ceil_mode": is_flag,
}  # fmt: skip
_BATCH: dict[str, Check] = {
    "num_features": is_size, "eps": is_number, "momentum": optional(is_number), "affine": is_flag,
    "track_running_stats": is_flag,
}  # fmt: skip
_RECURRENT: dict[str, Check] = {
    "input_size": is_size, "hidden_size": is_size, "num_layers": is_count, "bias": is_flag,
    "dropout": is_chance, "bidirectional": is_flag,
}  # fmt: skip
_CELL: dict[str, Check] = {"input_size": is_size, "hidden_size": is_size, "bias": is_flag}
_BLOCK: dict[str, Check] = {
    "d_model": is_size, "nhead": is_count, "dim_feedforward": is_size, "dropout": is_chance,
    "activation": is_activation, "layer_norm_eps": is_number, "norm_first": is_flag, "bias": is_flag,
}  # fmt: skip
_GROUPED: dict[str, Check] = {"num_kv_heads": optional(is_count), "rotary": is_flag}
_NONLINEARITY: dict[str, Check] = {"nonlinearity": one_of("tanh", "relu")}

# kind -> (class, {argument: is this value possible?})
KINDS: dict[str, Kind] = {
    **_for_each(
        (
            Identity, Flatten, ReLU, ReLU6, SELU, SiLU, Mish, Sigmoid, LogSigmoid, Tanh, Hardsigmoid,
            Hardswish,
        ),
        {},
    ),
    "LeakyReLU": (LeakyReLU, {"negative_slope": is_number}),
    "PReLU": (PReLU, {"num_parameters": is_size, "init": is_number}),
    "ELU": (ELU, {"alpha": is_number}),
    "GELU": (GELU, {"approximate": one_of("none", "tanh")}),
    "Softplus": (Softplus, {"beta": is_number, "threshold": is_number}),
    "Hardtanh": (Hardtanh, {"min_val": is_number, "max_val": is_number}),
    **_for_each((Softmax, LogSoftmax, GLU, SwiGLU), {"axis": is_axis}),
    "Step": (Step, {"threshold": is_number}),
    **_for_each((Dropout, Dropout1d, Dropout2d, Dropout3d), {"p": is_chance}),
    "Linear": (Linear, {"in_features": is_size, "out_features": is_size, "bias": is_flag}),
    "Unflatten": (Unflatten, {"axis": is_axis, "unflattened_size": _is_split}),
    **_for_each((Conv1d, Conv2d, Conv3d), _CONV),
    **_for_each(
        (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d),
        {**_CONV, "padding": is_offsets, "output_padding": is_offsets},
    ),
    **_for_each((MaxPool1d, MaxPool2d, MaxPool3d), {**_POOL, "dilation": is_sizes}),
    **_for_each((AvgPool1d, AvgPool2d, AvgPool3d), {**_POOL, "count_include_pad": is_flag}),
    **_for_each(
        (
            AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d,
            AdaptiveMaxPool3d,
        ),
        {"output_size": _is_output_size},
    ),
    **_for_each((GlobalAvgPool, GlobalMaxPool), {"keepdims": is_flag}),
    "Upsample": (
        Upsample,
        {
            "size": optional(is_sizes), "scale_factor": optional(_is_scale),
            "mode": lambda v: isinstance(v, str), "align_corners": optional(is_flag),
        },
    ),
    **_for_each(
        (BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d), _BATCH
    ),
    "LayerNorm": (
        LayerNorm,
        {
            "normalized_shape": is_sizes, "eps": is_number, "elementwise_affine": is_flag, "bias": is_flag,
        },
    ),
    "RMSNorm": (
        RMSNorm,
        {"normalized_shape": is_sizes, "eps": optional(is_number), "elementwise_affine": is_flag},
    ),
    "GroupNorm": (
        GroupNorm,
        {"num_groups": is_size, "num_channels": is_size, "eps": is_number, "affine": is_flag},
    ),
    "Embedding": (
        Embedding,
        {"num_embeddings": is_size, "embedding_dim": is_size, "padding_idx": optional(is_token)},
    ),
    "RNN": (RNN, {**_RECURRENT, **_NONLINEARITY}),
    **_for_each((LSTM, GRU), _RECURRENT),
    "RNNCell": (RNNCell, {**_CELL, **_NONLINEARITY}),
    **_for_each((LSTMCell, GRUCell), _CELL),
    "LearnedPositions": (
        LearnedPositions, {"dim": is_size, "max_len": is_size, "std": is_number},
    ),
    "SinusoidalPositions": (
        SinusoidalPositions, {"dim": is_size, "max_len": is_size, "base": is_positive},
    ),
    "RotaryPositions": (
        RotaryPositions,
        {"dim": is_size, "max_len": is_size, "base": is_positive, "interleaved": is_flag},
    ),
    "MultiheadAttention": (
        MultiheadAttention,
        {
            "embed_dim": is_size, "num_heads": is_count, "dropout": is_chance, "bias": is_flag,
            "kdim": optional(is_size), "vdim": optional(is_size), "num_kv_heads": optional(is_count),
            "rotary": is_flag, "max_len": is_size,
        },
    ),
    **_for_each((TransformerEncoderLayer, TransformerDecoderLayer), {**_BLOCK, **_GROUPED}),
    "Transformer": (
        Transformer,
        {**_BLOCK, "num_encoder_layers": is_count, "num_decoder_layers": is_count},
    ),
}  # fmt: skip

# kind -> (class, how a module's record is filled, how it is made of its filled record). A value that is a
# module, None or a list of modules becomes records.
Holder = tuple[type[Module], Callable[[Any], dict], Callable[[dict], Module]]
HOLDERS: dict[str, Holder] = {
    "Sequential": (
        Sequential,
        lambda m: {"layers": m.layers},
        lambda r: Sequential(*r["layers"]),
    ),
    "ModuleList": (ModuleList, lambda m: {"layers": list(m)}, lambda r: ModuleList(r["layers"])),
    "Residual": (
        Residual,
        lambda m: {"f": m.f, "shortcut": m.shortcut},
        lambda r: Residual(r["f"], r["shortcut"]),
    ),
    "Parallel": (
        Parallel,
        lambda m: {"branches": m.branches, "join": m.join, "axis": m.axis},
        lambda r: Parallel(*r["branches"], join=r["join"], axis=r["axis"]),
    ),
    "TransformerEncoder": (
        TransformerEncoder,
        lambda m: {"layer": m.layers[0], "num_layers": len(m.layers), "norm": m.norm},
        lambda r: TransformerEncoder(r["layer"], r["num_layers"], r["norm"]),
    ),
    "TransformerDecoder": (
        TransformerDecoder,
        lambda m: {"layer": m.layers[0], "num_layers": len(m.layers), "norm": m.norm},
        lambda r: TransformerDecoder(r["layer"], r["num_layers"], r["norm"]),
    ),
}
# What a holder's record has besides records
HOLDER_FIELDS: dict[str, dict[str, Check]] = {
    "Parallel": {"join": one_of("sum", "concat"), "axis": is_axis},
    "TransformerEncoder": {"num_layers": is_count},
    "TransformerDecoder": {"num_layers": is_count},
}
# Each holder's records: one, one or null, or a list
HOLDER_RECORDS: dict[str, dict[str, str]] = {
    "Sequential": {"layers": "list"},
    "ModuleList": {"layers": "list"},
    "Residual": {"f": "one", "shortcut": "optional"},
    "Parallel": {"branches": "list"},
    "TransformerEncoder": {"layer": "one", "norm": "optional"},
    "TransformerDecoder": {"layer": "one", "norm": "optional"},
}


def describe(network: Module, kinds: Mapping[str, Kind] = KINDS) -> list[dict]:
    """The records of a network: of each layer of a Sequential, or one for a module that is whole by itself.

    Raises FormatError for a layer that has no row in the table."""
    if type(network) is Sequential and not _is_whole_alone(network, kinds):
        return [_record(layer, kinds, str(i)) for i, layer in enumerate(network.layers)]
    record = _record(network, kinds, "")
    if not _is_whole(record, kinds):
        raise FormatError(
            f"{type(network).__name__} is a layer, no network: put it into a Sequential to store it."
        )
    return [record]


def build(
    records: Sequence[Mapping],
    weights: Mapping[str, np.ndarray] | None = None,
    where: str = "layers",
    kinds: Mapping[str, Kind] = KINDS,
) -> Any:
    """A network from its records: a Sequential of them, or the one that is whole by itself.

    With `weights` it holds these: sizes are compared before any memory is taken. Raises FormatError that
    names the entry."""
    found = list(records)
    total = None if weights is None else sum(a.size for a in weights.values())
    is_alone = len(found) == 1 and isinstance(found[0], Mapping) and _is_whole(found[0], kinds)
    layers = []
    for i, record in enumerate(found):
        prefix = "" if is_alone else f"{i}."
        dtype = _dtype(weights, prefix)
        maker = _Maker(kinds, total, dtype)
        try:
            if weights is None:
                layers.append(maker.make(record, f"{where}, entry {i}"))
                continue
            with initial.blank(SPARE * (total or 0) + ALWAYS_POSSIBLE):
                layers.append(maker.make(record, f"{where}, entry {i}"))
        except FormatError as error:
            if "entry" in str(error):
                raise
            raise FormatError(f"{where}, entry {i}: {error}") from error
        _check_stored(layers[-1], weights, prefix, f"{where}, entry {i}")
    network = layers[0] if is_alone else Sequential(*layers)
    if weights is not None:
        network.load_state_dict(weights)
    return network


def _is_whole(record: Mapping, kinds: Mapping[str, Kind]) -> bool:
    """Whether a record that stands alone is the network itself: a model, or something that holds layers."""
    kind = record.get("kind")
    return isinstance(kind, str) and (kind in HOLDERS or (kind in kinds and kind not in KINDS))


def _is_whole_alone(network: Sequential, kinds: Mapping[str, Kind]) -> bool:
    """A Sequential around one whole network, whose record alone would stand for what is inside."""
    return len(network) == 1 and _is_whole({"kind": type(network.layers[0]).__name__}, kinds)


def _record(layer: Module, kinds: Mapping[str, Kind], path: str) -> dict:
    kind = type(layer).__name__
    if kind in HOLDERS and type(layer) is HOLDERS[kind][0]:
        record: dict = {"kind": kind}
        for name, value in HOLDERS[kind][1](layer).items():
            inner = f"{path}.{name}" if path else name
            if isinstance(value, list):
                value = [_record(v, kinds, f"{inner}.{i}") for i, v in enumerate(value)]
            elif isinstance(value, Module):
                value = _record(value, kinds, inner)
            record[name] = value
        return record
    if kind not in kinds or type(layer) is not kinds[kind][0]:
        known = ", ".join((*kinds, *HOLDERS))
        raise FormatError(
            f"layer {path or kind}, {kind}: a model file knows these kinds only: {known}."
        )
    return {"kind": kind, **layer.config()}  # type: ignore[attr-defined]


class _Maker:
    """Makes modules of records; `total` is how many numbers the file of weights holds."""

    def __init__(self, kinds: Mapping[str, Kind], total: int | None, dtype: str | None):
        self.kinds, self.total, self.dtype = kinds, total, dtype

    def make(self, record: Any, where: str, depth: int = 0) -> Module:
        if depth > MAX_DEPTH:
            raise FormatError(f"{where}: more than {MAX_DEPTH} records inside each other.")
        if not isinstance(record, Mapping):
            raise FormatError(f"{where}: must have a 'kind'; got {str(record)[:80]!r}.")
        kind = record.get("kind")
        if not isinstance(kind, str) or not (kind in self.kinds or kind in HOLDERS):
            known = ", ".join((*self.kinds, *HOLDERS))
            raise FormatError(f"{where}: kind {str(kind)[:80]!r} is unknown; known: {known}.")
        given = {k: v for k, v in record.items() if k != "kind"}
        if kind in HOLDERS:
            return self._holder(kind, given, where, depth)
        made, fields = self.kinds[kind]
        self._check(kind, given, fields, where)
        extra = {"dtype": self.dtype} if self.dtype is not None and _takes_dtype(made) else {}
        return self._made(lambda: made(**given, **extra), kind, where)

    def _holder(self, kind: str, given: dict, where: str, depth: int) -> Module:
        records, fields = HOLDER_RECORDS[kind], HOLDER_FIELDS.get(kind, {})
        self._check(kind, given, {**dict.fromkeys(records, _anything), **fields}, where)
        filled = {name: given[name] for name in fields}
        for name, form in records.items():
            value, place = given[name], f"{where}, {kind}.{name}"
            if form == "list":
                if not isinstance(value, list) or len(value) > MAX_LAYERS:
                    raise FormatError(f"{place}: must be a list of at most {MAX_LAYERS} records.")
                filled[name] = [
                    self.make(v, f"{place} {i}", depth + 1) for i, v in enumerate(value)
                ]
            elif value is None and form == "optional":
                filled[name] = None
            else:
                filled[name] = self.make(value, place, depth + 1)
        return self._made(lambda: HOLDERS[kind][2](filled), kind, where)

    def _made(self, make: Callable[[], Module], kind: str, where: str) -> Module:
        try:
            return make()
        except FormatError:
            raise
        except (PellucidError, ArithmeticError, AttributeError, MemoryError, TypeError) as error:
            # Values that are possible each, but not together: channels that groups do not divide.
            raise FormatError(f"{where}: {kind} cannot be made: {error}") from error

    def _check(self, kind: str, given: dict, fields: Mapping[str, Check], where: str) -> None:
        if set(given) != set(fields):
            raise FormatError(
                f"{where}: {kind} takes {', '.join(fields) or 'nothing'}; got {', '.join(given) or 'none'}."
            )
        for name, value in given.items():
            if not fields[name](value):
                raise FormatError(f"{where}: {kind} cannot have {name} = {str(value)[:80]!r}.")
            if fields[name] is not _anything and not self._is_stored(value):
                raise FormatError(
                    f"{where}: {kind} cannot have {name} = {value}: the file of weights holds {self.total} numbers "
                    "in all."
                )
        if given.get("dim", 0) * given.get("max_len", 0) > max(MAX_TABLE, self.total or 0):
            raise FormatError(
                f"{where}: {kind} cannot have {given['max_len']} positions of {given['dim']} numbers."
            )

    def _is_stored(self, value: Any) -> bool:
        """Whether the file of weights is large enough for a size; numbers that are no sizes are small."""
        if isinstance(value, list):
            return all(map(self._is_stored, value))
        limit = max(ALWAYS_POSSIBLE, self.total) if self.total is not None else MAX_FEATURES
        return type(value) is not int or value <= limit


def _anything(v: Any) -> bool:
    return True


def _takes_dtype(made: type[Module]) -> bool:
    code = getattr(made.__init__, "__code__", None)
    return code is not None and "dtype" in code.co_varnames[: code.co_argcount]


def _dtype(weights: Mapping[str, np.ndarray] | None, prefix: str) -> str | None:
    """float64 when the entry's weights are."""
    for name, array in (weights or {}).items():
        if name.startswith(prefix) and array.dtype == np.float64:
            return "float64"
    return None


def _check_stored(
    layer: Module, weights: Mapping[str, np.ndarray], prefix: str, where: str
) -> None:
    for name, tensor in (*layer.named_parameters(), *layer.named_buffers()):
        stored = weights.get(prefix + name)
        if stored is None or stored.shape != tuple(tensor.shape):
            found = "nothing" if stored is None else stored.shape
            raise FormatError(
                f"{where}: {type(layer).__name__} needs a weight '{prefix}{name}' of shape {tuple(tensor.shape)}; got "
                f"{found}."
            )
