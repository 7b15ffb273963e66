"""What a model is: modules with parameters, initial weights, losses.

module.py Module   init.py initial weights   linear.py   container.py Sequential, Flatten   activation.py
dropout.py   losses.py   neuron.py one neuron, explained   build.py layers to records and back"""

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
from .build import build, describe
from .container import Flatten, Sequential
from .dropout import Dropout
from .linear import Linear
from .losses import CrossEntropyLoss, MSELoss, cross_entropy, distance, loss, mse_loss
from .module import Module
from .neuron import Neuron

__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "GLU", "SELU", "CrossEntropyLoss", "Dropout", "Flatten", "Hardsigmoid",
    "Hardswish", "Hardtanh", "Identity", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss", "Mish",
    "Module", "Neuron", "PReLU", "ReLU", "ReLU6", "Sequential", "SiLU", "Sigmoid", "Softmax", "Softplus",
    "Step", "SwiGLU", "Tanh", "activation", "build", "cross_entropy", "describe", "distance", "init", "loss",
    "mse_loss", "step",
]  # fmt: skip
