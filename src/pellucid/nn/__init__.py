"""What a model is: modules with parameters, initial weights, losses.

module.py Module   init.py initial weights   linear.py   container.py Sequential, Flatten   activation.py
dropout.py   embedding.py   recurrent.py   positions.py   attention.py   transformer.py   losses.py
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
from .container import Flatten, Sequential
from .dropout import Dropout
from .embedding import Embedding, TiedLinear
from .linear import Linear
from .losses import CrossEntropyLoss, MSELoss, cross_entropy, distance, loss, mse_loss
from .module import Module
from .neuron import Neuron
from .positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from .transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "GLU", "GRU", "LSTM", "RNN", "SELU", "CrossEntropyLoss", "Dropout",
    "Embedding", "Flatten", "GRUCell", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "KVCache",
    "LSTMCell", "LeakyReLU", "LearnedPositions", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss", "Mish",
    "Module", "MultiheadAttention", "Neuron", "PReLU", "RNNCell", "ReLU", "ReLU6", "RotaryPositions",
    "Sequential", "SiLU", "Sigmoid", "SinusoidalPositions", "Softmax", "Softplus", "Step", "SwiGLU", "Tanh",
    "TiedLinear", "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer", "activation", "build", "cross_entropy", "describe", "distance", "init", "loss",
    "mse_loss", "scaled_dot_product_attention", "step",
]  # fmt: skip
