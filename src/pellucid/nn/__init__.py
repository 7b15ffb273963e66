"""What a model is: modules with parameters, initial weights, losses.

module.py Module   init.py initial weights   linear.py   container.py Sequential, Residual, Flatten, ..
activation.py   dropout.py   conv.py   pooling.py   upsample.py   norm.py   embedding.py   recurrent.py
positions.py   attention.py   transformer.py   losses.py
neuron.py one neuron, explained   build.py layers to records and back"""

from ..tensor.attention import scaled_dot_product_attention
from . import init
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
    activation,
    step,
)
from .attention import KVCache, MultiheadAttention
from .build import build, describe
from .container import Flatten, ModuleList, Parallel, Residual, Sequential, Unflatten
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from .embedding import Embedding, TiedLinear
from .linear import Linear
from .losses import CrossEntropyLoss, MSELoss, cross_entropy, distance, loss, mse_loss
from .module import Layout, Module, flatten_order
from .neuron import Neuron
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

__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "GLU", "GRU", "LSTM", "RNN", "SELU", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d",
    "AvgPool2d", "AvgPool3d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Conv1d", "Conv2d", "Conv3d",
    "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "CrossEntropyLoss", "Dropout", "Dropout1d",
    "Dropout2d", "Dropout3d", "Embedding", "Flatten", "GRUCell", "GlobalAvgPool", "GlobalMaxPool", "GroupNorm",
    "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    "KVCache", "LSTMCell", "LayerNorm", "Layout", "LeakyReLU", "LearnedPositions", "Linear", "LogSigmoid",
    "LogSoftmax", "MSELoss", "MaxPool1d", "MaxPool2d", "MaxPool3d", "Mish", "Module", "ModuleList",
    "MultiheadAttention", "Neuron", "PReLU", "Parallel", "RMSNorm", "RNNCell", "ReLU", "ReLU6", "Residual",
    "RotaryPositions", "Sequential", "SiLU", "Sigmoid", "SinusoidalPositions", "Softmax", "Softplus", "Step",
    "SwiGLU", "Tanh", "TiedLinear", "Transformer", "TransformerDecoder", "TransformerDecoderLayer",
    "TransformerEncoder", "TransformerEncoderLayer", "Unflatten", "Upsample", "activation", "build",
    "cross_entropy", "describe", "distance", "flatten_order", "init", "loss", "mse_loss",
    "scaled_dot_product_attention", "step",
]  # fmt: skip
