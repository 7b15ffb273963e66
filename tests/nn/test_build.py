"""Layers to records and back: every layer has a row, values are checked, no record is more than its file."""

import inspect
import json

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid.base.errors import FormatError
from pellucid.nn.build import HOLDERS, KINDS, build, describe
from pellucid.tensor import random
from pellucid.tensor.tensor import Tensor

# Modules that are no layers: losses, and what a record cannot hold.
NOT_LAYERS = {"Module", "Neuron", "TiedLinear"}

# layer -> the shape of an input, where it takes one tensor
LAYERS: list[tuple[nn.Module, tuple[int, ...] | None]] = [
    *((kind(), (2, 4)) for kind in (
        nn.Identity, nn.Flatten, nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.LogSigmoid,
        nn.Tanh, nn.Hardsigmoid, nn.Hardswish,
    )),
    (nn.LeakyReLU(0.2), (2, 4)),
    (nn.PReLU(4, 0.1), (2, 4)),
    (nn.ELU(0.5), (2, 4)),
    (nn.GELU("tanh"), (2, 4)),
    (nn.Softplus(2.0, 10.0), (2, 4)),
    (nn.Hardtanh(-2.0, 0.5), (2, 4)),
    (nn.Softmax(1), (2, 4, 3)),
    (nn.LogSoftmax(1), (2, 4, 3)),
    (nn.GLU(1), (2, 4, 3)),
    (nn.SwiGLU(1), (2, 4, 3)),
    (nn.Step(0.5), (2, 4)),
    (nn.Dropout(0.25), (2, 4)),
    (nn.Dropout1d(0.25), (2, 4, 3)),
    (nn.Dropout2d(0.25), (2, 4, 4, 3)),
    (nn.Dropout3d(0.25), (2, 4, 4, 4, 3)),
    (nn.Linear(4, 3), (2, 4)),
    (nn.Linear(4, 3, bias=False), (2, 4)),
    (nn.Unflatten(1, (2, -1)), (2, 6)),
    (nn.Conv1d(2, 4, 3, 2, 1), (2, 7, 2)),
    (nn.Conv2d(2, 4, (3, 2), 1, "same", bias=False), (2, 5, 5, 2)),
    (nn.Conv2d(4, 4, 3, (2, 1), (1, 0), dilation=2, groups=2), (2, 9, 9, 4)),
    (nn.Conv3d(2, 3, 2), (2, 4, 3, 4, 2)),
    (nn.ConvTranspose1d(2, 4, 3, 2), (2, 5, 2)),
    (nn.ConvTranspose2d(2, 4, 3, 2, 1, output_padding=1, bias=False), (2, 4, 4, 2)),
    (nn.ConvTranspose3d(2, 4, 2, groups=2), (2, 3, 3, 3, 2)),
    (nn.MaxPool1d(2), (2, 6, 2)),
    (nn.MaxPool2d((3, 2), (2, 1), padding=1), (2, 7, 6, 2)),
    (nn.MaxPool3d(2), (2, 4, 4, 4, 2)),
    (nn.AvgPool1d(3, 1, ceil_mode=True), (2, 6, 2)),
    (nn.AvgPool2d(2, padding=1, count_include_pad=False), (2, 6, 6, 2)),
    (nn.AvgPool3d(2), (2, 4, 4, 4, 2)),
    (nn.AdaptiveAvgPool1d(3), (2, 7, 2)),
    (nn.AdaptiveAvgPool2d((3, None)), (2, 7, 5, 2)),
    (nn.AdaptiveAvgPool3d(2), (2, 4, 5, 4, 2)),
    (nn.AdaptiveMaxPool1d(3), (2, 7, 2)),
    (nn.AdaptiveMaxPool2d((3, 2)), (2, 7, 5, 2)),
    (nn.AdaptiveMaxPool3d(2), (2, 4, 5, 4, 2)),
    (nn.GlobalAvgPool(), (2, 4, 4, 3)),
    (nn.GlobalMaxPool(keepdims=True), (2, 4, 4, 3)),
    (nn.Upsample(scale_factor=2), (2, 3, 3, 2)),
    (nn.Upsample((5, 4), mode="bilinear", align_corners=True), (2, 3, 3, 2)),
    (nn.BatchNorm1d(3), (4, 3)),
    (nn.BatchNorm2d(3, 1e-3, 0.2, affine=False), (2, 4, 4, 3)),
    (nn.BatchNorm3d(3, momentum=None), (2, 2, 2, 2, 3)),
    (nn.InstanceNorm1d(3, affine=True), (2, 5, 3)),
    (nn.InstanceNorm2d(3), (2, 4, 4, 3)),
    (nn.InstanceNorm3d(3, track_running_stats=True), (2, 2, 3, 2, 3)),
    (nn.LayerNorm(4), (2, 4)),
    (nn.LayerNorm((4, 4), 1e-3, bias=False), (2, 4, 4)),
    (nn.RMSNorm((3, 3), elementwise_affine=False), (2, 3, 3)),
    (nn.GroupNorm(2, 4, affine=False), (2, 3, 3, 4)),
    (nn.Embedding(5, 3, padding_idx=0), None),
    (nn.RNN(2, 3, 2, "relu", dropout=0.1), (2, 4, 2)),
    (nn.LSTM(2, 3, 2, bias=False, bidirectional=True), (2, 4, 2)),
    (nn.GRU(2, 3), (2, 4, 2)),
    (nn.RNNCell(2, 3, nonlinearity="relu"), (4, 2)),
    (nn.LSTMCell(2, 3), (4, 2)),
    (nn.GRUCell(2, 3, bias=False), (4, 2)),
    (nn.LearnedPositions(4, 6), (2, 5, 4)),
    (nn.SinusoidalPositions(4, 6, 100.0), (2, 5, 4)),
    (nn.RotaryPositions(4, 6, interleaved=False), (2, 1, 5, 4)),
    (nn.MultiheadAttention(4, 2, bias=False, num_kv_heads=1, rotary=True, max_len=7), (2, 5, 4)),
    (nn.MultiheadAttention(4, 2, kdim=3, vdim=5), None),
    (nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", norm_first=True), (2, 3, 8)),
    (nn.TransformerDecoderLayer(8, 2, 16, bias=False), None),
    (nn.Transformer(8, 2, 1, 2, 16), None),
    (nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU())), (2, 4)),
    (nn.ModuleList([nn.Linear(4, 3), nn.Tanh()]), None),
    (nn.Residual(nn.Linear(4, 4)), (2, 4)),
    (nn.Residual(nn.Linear(4, 3), nn.Linear(4, 3, bias=False)), (2, 4)),
    (nn.Parallel(nn.Linear(4, 3), nn.Linear(4, 2), join="concat"), (2, 4)),
    (nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, nn.LayerNorm(8)), (2, 3, 8)),
    (nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2), None),
]  # fmt: skip


def name_of(case):
    layer = case[0] if isinstance(case, tuple) else case
    return type(layer).__name__


def is_layer(value):
    return inspect.isclass(value) and issubclass(value, nn.Module)


def test_every_public_layer_has_a_row():
    public = {name for name in nn.__all__ if is_layer(getattr(nn, name))} - NOT_LAYERS
    losses = {name for name in public if name.endswith("Loss")}
    assert public - losses == set(KINDS) | set(HOLDERS)
    assert {type(layer).__name__ for layer, _ in LAYERS} == set(KINDS) | set(HOLDERS)


def outputs(found):
    """All tensors of a result, in order."""
    if isinstance(found, Tensor):
        return [found.numpy()]
    return [a for part in found if part is not None for a in outputs(part)]


@pytest.mark.parametrize("case", LAYERS, ids=name_of)
def test_a_layer_is_rebuilt_from_its_record_and_weights(case):
    layer, shape = case
    layer.eval()
    network = nn.Sequential(layer)
    records = json.loads(json.dumps(describe(network)))
    before = random.get_state()
    again = build(records, network.state_dict()).eval()
    assert np.array_equal(before, random.get_state())  # nothing is drawn for weights that are given
    assert repr(again) == repr(network)
    state, stored = network.state_dict(), again.state_dict()
    assert list(state) == list(stored)
    for name in state:
        assert np.array_equal(state[name], stored[name]) and state[name].dtype == stored[name].dtype
    assert json.loads(json.dumps(describe(again))) == records
    if shape is not None:
        x = Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))
        for mine, theirs in zip(outputs(layer(x)), outputs(again.layers[0](x)), strict=True):
            assert np.array_equal(mine, theirs)


def test_weights_of_float64_stay_float64():
    network = nn.Sequential(nn.Linear(2, 3, dtype="float64"), nn.BatchNorm1d(3, dtype="float64"))
    again = build(describe(network), network.state_dict())
    assert again.layers[0].weight.dtype.name == again.layers[1].running_mean.dtype.name == "float64"


def test_without_weights_a_network_begins_anew():
    random.seed(3)
    first = build([{"kind": "Linear", "in_features": 3, "out_features": 2, "bias": True}])
    random.seed(3)
    assert np.array_equal(first.layers[0].weight.numpy(), nn.Linear(3, 2).weight.numpy())


def test_a_row_alone_is_a_sequential_and_a_holder_alone_is_itself():
    linear = {"kind": "Linear", "in_features": 3, "out_features": 2, "bias": True}
    assert repr(build([linear])).startswith("Sequential")
    residual = nn.Residual(nn.Linear(3, 3))
    assert type(build(describe(residual), residual.state_dict())) is nn.Residual
    inside = nn.Sequential(residual)
    assert repr(build(describe(inside), inside.state_dict())) == repr(inside)
    nested = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    assert repr(build(describe(nested), nested.state_dict())) == repr(nested)
    with pytest.raises(FormatError, match="is a layer, no network"):
        describe(nn.Linear(2, 2))


LINEAR = {"kind": "Linear", "in_features": 4, "out_features": 3, "bias": True}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"kind": "os.system"}, "entry 0: kind 'os.system' is unknown"),
        ({"kind": ["ReLU"]}, "is unknown"),
        ({"kind": "Neuron"}, "is unknown"),
        ({"kind": "ReLU", "x": 1}, "ReLU takes nothing; got x"),
        ({"kind": "Dropout"}, "Dropout takes p; got none"),
        ({"kind": "Dropout", "p": 2}, "cannot have p = '2'"),
        ({"kind": "Dropout", "p": True}, "cannot have p"),
        ({**LINEAR, "in_features": 10**12}, "cannot have in_features"),
        ({**LINEAR, "out_features": "3"}, "cannot have out_features"),
        # a small file that asks for 16 EiB is refused before any memory is taken
        ({**LINEAR, "in_features": 2**30, "out_features": 2**30}, "weights holds 15 numbers"),
        ({**LINEAR, "in_features": 2**15, "out_features": 2**15}, "more numbers than the file"),
        ({**LINEAR, "in_features": 3}, r"needs a weight '0.weight' of shape \(3, 3\); got \(4, 3\)"),
        ({"kind": "GELU", "approximate": "fast"}, "cannot have approximate"),
        ({"kind": "LeakyReLU", "negative_slope": 1e300}, "cannot have negative_slope"),
        ({"kind": "BatchNorm1d", "num_features": 2**30, "eps": 1e-5, "momentum": 0.1, "affine": True,
          "track_running_stats": True}, "weights holds 15 numbers"),
        ({"kind": "SinusoidalPositions", "dim": 2**16, "max_len": 2**16, "base": 1e4}, "positions of"),
        ({"kind": "GroupNorm", "num_groups": 3, "num_channels": 4, "eps": 1e-5, "affine": False},
         "GroupNorm cannot be made"),
        ({"kind": "Sequential", "layers": 3}, "must be a list"),
        ({"kind": "Sequential", "layers": [3]}, "must have a 'kind'"),
        ({"kind": "Sequential", "layers": [{"kind": "Dropout", "p": 7}]}, "Sequential.layers 0: Dropout"),
        ({"kind": "Residual", "f": None, "shortcut": None}, "must have a 'kind'"),
        ({"kind": "Parallel", "branches": [], "join": "sum", "axis": -1}, "Parallel cannot be made"),
        ({"kind": "TransformerEncoder", "layer": {"kind": "ReLU"}, "num_layers": 2, "norm": None},
         "TransformerEncoder cannot be made"),
        (3, "must have a 'kind'"),
    ],
)  # fmt: skip
def test_records_that_cannot_be_are_refused(record, words):
    weights = {"0.weight": np.zeros((4, 3), np.float32), "0.bias": np.zeros(3, np.float32)}
    with pytest.raises(FormatError, match=words):
        build([record], weights)


def test_records_inside_records_have_an_end():
    record = {"kind": "ReLU"}
    for _ in range(50):
        record = {"kind": "Sequential", "layers": [record]}
    with pytest.raises(FormatError, match="inside each other"):
        build([record])


def test_a_layer_of_the_users_own_cannot_be_described():
    class Mine(nn.Linear):
        pass

    with pytest.raises(FormatError, match="layer 0, Mine"):
        describe(nn.Sequential(Mine(2, 2)))
    with pytest.raises(FormatError, match=r"layer 1.layers.0, Mine"):
        describe(nn.Sequential(nn.ReLU(), nn.Sequential(Mine(2, 2))))
