"""Search for better settings of a recipe: many short runs, judged by the validation rows alone.

Optuna proposes (tree-structured Parzen estimators, Bergstra et al. 2011) and ends runs that fall behind the median
of the others. The first try is the recipe itself, so that the result is never worse on these rows. Test rows are not
looked at: the winner is trained anew and tested by `pellucid train`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..base.errors import NonFiniteError, OptionError
from .events import EpochDone, Progress
from .loop import Options, fit
from .recipe import Recipe, recipe

PATIENCE = 10  # epochs: a try is to tell quickly
WIDTHS = (32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Try:
    """One finished or ended run of the search.

    settings  what differs from the recipe   loss  the best on the validation rows; infinite where it failed
    epochs    that were trained   state  done, ended (behind the others), failed or stopped (the time was over)"""

    number: int
    settings: dict[str, Any]
    loss: float
    epochs: int
    seconds: float
    state: str


def tune(
    data: str, given: dict[str, Any], seconds: float | None, n_tries: int | None, seed: int = 0
) -> Iterator[Try]:
    """Tries until the time or the number of tries is used up; yields each.

    given  settings of the recipe, which stay as they are. Raises OptionError without Optuna or without an end."""
    try:
        import optuna
    except ImportError:
        raise OptionError(
            "tune needs Optuna, which is not installed. Install it with: pip install 'pellucid[tune]'"
        ) from None
    if seconds is None and n_tries is None:
        raise OptionError("say how long: --for 5m, or --tries 20.")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = recipe(data, **given)
    if made.task == "generate":
        raise OptionError("tune needs a loss on validation rows; networks that generate have none.")
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3),
    )
    end = None if seconds is None else time.monotonic() + seconds
    number = 0
    while (n_tries is None or number < n_tries) and (end is None or time.monotonic() < end):
        trial = study.ask()
        settings = propose(trial, made) if number else {}
        yield run_try(study, trial, number, data, {**given, **settings}, settings, end)
        number += 1


def propose(trial: Any, made: Recipe) -> dict[str, Any]:
    """Settings for one try, around those of the recipe; what a person gave is left alone."""
    free = {"lr", "l2", "batch", "net", "dropout", "width", "layers", "schedule"} - set(made.given)
    found: dict[str, Any] = {}
    if "lr" in free:
        found["lr"] = round_to_3(trial.suggest_float("lr", made.lr / 10, made.lr * 5, log=True))
    if "l2" in free and made.optimizer == "adamw":
        found["l2"] = round_to_3(trial.suggest_float("l2", 1e-3, 1.0, log=True))
    if "batch" in free:
        sizes = {made.batch // 4, made.batch // 2, made.batch, 2 * made.batch, 4 * made.batch}
        found["batch"] = trial.suggest_categorical("batch", sorted(s for s in sizes if s >= 4))
    if "net" in free and made.network_name == "mlp":
        depth = trial.suggest_int("depth", 1, 3)
        width = trial.suggest_categorical("units", WIDTHS)
        found["net"] = tuple(max(8, width // 2**i) for i in range(depth))
    if "dropout" in free and "dropout" in made.row.uses:
        found["dropout"] = round(trial.suggest_float("dropout", 0.0, 0.5), 2)
    if "width" in free and made.width:
        found["width"] = made.width * trial.suggest_categorical("times", (1, 2, 3)) // 2 or 1
    if "layers" in free and made.layers:
        found["layers"] = trial.suggest_int("layers", 1, made.layers + 1)
    if "schedule" in free:
        found["schedule"] = trial.suggest_categorical("schedule", ("constant", "cosine"))
    return found


def round_to_3(x: float) -> float:
    """Three significant digits: what a person would type."""
    return float(f"{x:.3g}")


def run_try(
    study: Any, trial: Any, number: int, data: str, given: dict, settings: dict, end: float | None
) -> Try:
    """Trains once; tells the study how it went."""
    from optuna.trial import TrialState

    began, best, epochs, state = time.perf_counter(), float("inf"), 0, "done"
    try:
        made = recipe(data, **given)
        rows = made.dataset()
        parts = made.split(rows)
        if not len(parts.validation):
            raise OptionError("tune needs validation rows; leave --validation out or above 0.")
        network = made.network(rows)
        patience = min(PATIENCE, made.patience) if made.patience else None
        options = Options(made.epochs, made.batch, patience, made.seed, made.loss())
        optimizer = made.make_optimizer(network, made.n_steps(parts))
        for event in fit(network, rows, parts, optimizer, options):
            if isinstance(event, EpochDone) and event.validation is not None:
                epochs, best = event.epoch, min(best, event.validation.loss)
                trial.report(event.validation.loss, event.epoch)
                if number and trial.should_prune():
                    state = "ended"
                    break
            is_late = end is not None and time.monotonic() > end
            if is_late and isinstance(event, EpochDone | Progress):
                state = "stopped"
                break
    except NonFiniteError:
        state = "failed"
    finished = {"done": TrialState.COMPLETE, "failed": TrialState.FAIL}.get(
        state, TrialState.PRUNED
    )
    if finished is TrialState.COMPLETE:
        study.tell(trial, best)
    else:
        study.tell(trial, state=finished)
    return Try(number, settings, best, epochs, time.perf_counter() - began, state)
