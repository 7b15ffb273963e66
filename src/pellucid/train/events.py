"""What a training run says, one record a time; the command prints them, a page streams them."""

from dataclasses import dataclass, field

import numpy as np

from .metrics import Metrics


@dataclass(frozen=True)
class Started:
    """Before the first step. `epoch` and `step` are above 0 when an earlier run is continued."""

    n_parameters: int
    n_train: int
    n_validation: int
    n_steps: int  # in one epoch, the short last batch included
    epochs: int  # at most
    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class Progress:
    """After a slice of an epoch. Loss and accuracy are means over the epoch's rows so far."""

    epoch: int  # counted from 1
    epochs: int
    step: int  # of this epoch, counted from 1
    n_steps: int
    loss: float
    accuracy: float | None  # None for amounts
    steps_per_second: float
    seconds_left: float  # if all epochs are used


@dataclass(frozen=True)
class EpochDone:
    """After an epoch: training means over its steps, validation after it."""

    epoch: int
    epochs: int
    train: Metrics
    validation: Metrics | None
    is_best: bool
    steps_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Checkpointed:
    """The run can be continued from here after any accident."""

    path: str
    epoch: int
    step: int


@dataclass(frozen=True)
class Stopped:
    """Training has ended; the network holds the weights of best_epoch."""

    reason: str
    epochs: int  # done
    best_epoch: int
    history: tuple[EpochDone, ...] = field(default=(), repr=False)
    may_go_on: bool = False  # the time was over before the work was done


@dataclass(frozen=True)
class Finished:
    """The run folder is complete; `result` is the document that --json prints."""

    run: str
    result: dict = field(repr=False)


Event = Started | Progress | EpochDone | Checkpointed | Stopped | Finished


def history_array(history: list[EpochDone]) -> np.ndarray:
    """(epochs, 6 or more) what a checkpoint keeps of each epoch; NaN where there is no validation or no accuracy."""
    rows = []
    for e in history:
        v = e.validation or Metrics(np.nan, None, 0)
        numbers = [e.train.loss, e.train.accuracy, v.loss, v.accuracy]
        known = [np.nan if n is None else n for n in numbers]
        rows.append([*known, float(e.is_best), e.train.n, *e.train.others.values()])
    return np.array(rows, np.float64)


def history_events(
    array: np.ndarray, epochs: int, n_validation: int, names: tuple[str, ...] = ()
) -> list[EpochDone]:
    """The epochs of a checkpoint's array; names are those of further losses."""
    events = []
    for i, row in enumerate(array.tolist()):
        loss, accuracy, v_loss, v_accuracy, is_best, n, *others = row
        accuracy = None if np.isnan(accuracy) else accuracy
        train = Metrics(loss, accuracy, int(n), dict(zip(names, others, strict=True)))
        validation = None
        if not np.isnan(v_loss):
            validation = Metrics(v_loss, None if np.isnan(v_accuracy) else v_accuracy, n_validation)
        events.append(EpochDone(i + 1, epochs, train, validation, bool(is_best), 0.0, 0.0))
    return events
