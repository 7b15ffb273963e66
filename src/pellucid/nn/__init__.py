"""What a model is: modules with parameters, initial weights, losses.

module.py Module   init.py initial weights   linear.py   container.py Sequential, Flatten   activation.py
dropout.py   losses.py   neuron.py one neuron, explained   build.py layers to records and back"""

from . import init
from .activation import (
    ACTIVATIONS,
    GELU,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Step,
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
    "ACTIVATIONS", "GELU", "CrossEntropyLoss", "Dropout", "Flatten", "Identity", "LeakyReLU", "Linear", "MSELoss",
    "Module", "Neuron", "ReLU", "Sequential", "Sigmoid", "Softmax", "Step", "Tanh", "activation", "build",
    "cross_entropy", "describe", "distance", "init", "loss", "mse_loss", "step",
]  # fmt: skip
