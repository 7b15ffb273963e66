"""The training loop and what surrounds it.

recipe.py data -> network, loss, optimizer; networks.py its rows, decisions.py its reasons
balance.py a rare class   rates.py a learning rate by a test   estimate.py what a run will take   tune.py a search
setup.py what a run begins with   loop.py fit   objectives.py what a step makes smaller
evaluation.py   events.py   checkpoint.py   lock.py
measure.py what a network is worth, beside baselines.py   metrics.py   samples.py   diagnose.py where NaN began
scores.py with intervals of resampling.py   report.py a run on one page, of report_tasks.py, report_parts.py, charts.py
run.py a run   folder.py its folder, and what goes on in it   saved.py a network on disk   pack.py in one file"""

from .evaluation import evaluate, predict
from .events import Checkpointed, EpochDone, Finished, Progress, Started, Stopped
from .loop import Options, fit
from .metrics import Metrics
from .recipe import Recipe
from .run import train_run
from .saved import SavedModel, load_model, save_model

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
