"""What a model learns by: rules, the learning rate's course, and what stands around them.

optimizer.py the base   sgd.py   adam.py Adam, AdamW, NAdam   adaptive.py Adagrad, RMSprop   signs.py Lion
muon.py   clip.py   schedules.py   average.py averages of weights, sums of gradients, the range test"""

from .adam import Adam, AdamW, NAdam
from .adaptive import Adagrad, RMSprop
from .average import Accumulate, ExponentialAverage, range_test
from .clip import clip_grad_norm, clip_grad_value, global_norm
from .muon import Muon
from .optimizer import Optimizer
from .schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    InverseSqrt,
    Linear,
    MultiStep,
    OneCycle,
    OnPlateau,
    Polynomial,
    Schedule,
    StepDecay,
    WarmUp,
)
from .sgd import SGD
from .signs import Lion

__all__ = [
    "SCHEDULES", "SGD", "Accumulate", "Adagrad", "Adam", "AdamW", "Constant", "Cosine", "CosineRestarts",
    "Exponential", "ExponentialAverage", "InverseSqrt", "Linear", "Lion", "MultiStep", "Muon", "NAdam",
    "OnPlateau", "OneCycle", "Optimizer", "Polynomial", "RMSprop", "Schedule", "StepDecay", "WarmUp",
    "clip_grad_norm", "clip_grad_value", "global_norm", "range_test",
]  # fmt: skip
