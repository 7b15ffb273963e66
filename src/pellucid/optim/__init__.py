"""What a model learns by: sgd.py (momentum, Nesterov), adam.py (Adam, AdamW); optimizer.py the base."""

from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
