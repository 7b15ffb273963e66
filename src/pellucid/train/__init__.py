"""The training loop and what surrounds it.

recipe.py data -> network, loss, optimizer, with reasons   loop.py fit, evaluate, predict   events.py
metrics.py   checkpoint.py   diagnose.py where NaN began   lock.py   run.py a run folder"""

from .events import Checkpointed, EpochDone, Finished, Progress, Started, Stopped
from .loop import Options, evaluate, fit, predict
from .metrics import Metrics
from .recipe import Recipe
from .run import SavedModel, load_model, save_model, train_run

__all__ = [
    "Checkpointed",
    "EpochDone",
    "Finished",
    "Metrics",
    "Options",
    "Progress",
    "Recipe",
    "SavedModel",
    "Started",
    "Stopped",
    "evaluate",
    "fit",
    "load_model",
    "predict",
    "save_model",
    "train_run",
]
