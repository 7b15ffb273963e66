"""What a run begins with: its options, and everything that is looked at before the first step."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import DataError, OptionError
from ..data.dataset import Learnable, Split, weights_of
from ..nn.init import nearest
from ..nn.module import Module
from ..optim.optimizer import Optimizer
from ..tensor import random
from ..tensor.tensor import Tensor
from .evaluation import SLICE_SECONDS, in_mode
from .objectives import OBJECTIVES, Objective


@dataclass(frozen=True)
class Options:
    """How to train. `patience` epochs without a better validation loss end the run; None: never.

    steps    that end the run, counted from its beginning, also within an epoch; None: only epochs do
    seconds  of this call after which the run ends, also within an epoch; None: never. Where that is depends on the
             machine; what is computed up to there does not, and a run that is resumed goes on from there"""

    epochs: int = 100
    batch_size: int = 32
    patience: int | None = 20
    seed: int = 0
    loss: str = "cross_entropy"
    checkpoint: str | Path | None = None
    resume: bool = False
    checkpoint_seconds: float = 2.0  # at most so often; 0: after every slice
    slice_seconds: float = SLICE_SECONDS
    steps: int | None = None
    seconds: float | None = None


def prefix(name: str) -> str:
    """What stands before the state names of an optimizer; nothing when there is only one."""
    return f"{name}." if name else ""


def named_optimizers(
    given: Optimizer | Mapping[str, Optimizer], objective: Objective, loss: str
) -> dict[str, Optimizer]:
    """The optimizers by the objective's names. Raises OptionError for missing and unknown names."""
    found = {"": given} if isinstance(given, Optimizer) else dict(given)
    if set(found) != set(objective.optimizers):
        if objective.optimizers == ("",):
            raise OptionError(
                f"loss {loss!r} takes one optimizer; got {', '.join(found) or 'none'}."
            )
        raise OptionError(
            f"loss {loss!r} needs an optimizer for each network, {{{', '.join(map(repr, objective.optimizers))}}}; "
            f"got {'one for all' if '' in found else ', '.join(found) or 'none'}."
        )
    return {name: found[name] for name in objective.optimizers}


def check_options(o: Options, data: Learnable, split: Split) -> None:
    """Raises for what cannot be trained, before anything is compiled."""
    for name, value, low in (
        ("epochs", o.epochs, 1),
        ("batch_size", o.batch_size, 1),
        ("seed", o.seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
            raise OptionError(f"{name} must be a whole number of {low} or more; got {value!r}.")
    if o.seed >= 2**32:
        raise OptionError(f"seed must be below {2**32}; got {o.seed}.")
    for name, limit in (("steps", o.steps), ("seconds", o.seconds)):
        if limit is not None and not limit > 0:
            raise OptionError(f"{name} must be above 0; got {limit}.")
    if o.patience is not None and o.patience < 0:
        raise OptionError(f"patience must be 0 or more epochs; got {o.patience}.")
    nearest(o.loss, OBJECTIVES, "loss")
    if not len(split.train):
        raise DataError(f"{data.name}: there are no rows to train on.")
    for name, rows in (
        ("training", split.train),
        ("validation", split.validation),
        ("test", split.test),
    ):
        if len(rows) and not (np.min(rows) >= 0 and np.max(rows) < len(data)):
            raise DataError(f"{data.name}: a {name} row number is outside 0..{len(data) - 1}.")


def weighed(data: Learnable, split: Split) -> tuple[Split, np.ndarray | None]:
    """The split without the rows of weight 0, and the weights (N,) with mean 1 over the rows to learn.

    None where all the rows count the same, so that equal weights give the bits of no weights."""
    weights = weights_of(data)
    if weights is None:
        return split, None
    parts = [np.asarray(p, np.int32) for p in (split.train, split.validation)]
    train, validation = (p[weights[p] > 0] for p in parts)
    if not len(train):
        raise DataError(f"{data.name}: every row to train on has weight 0.")
    if len(parts[1]) and not len(validation):
        raise DataError(f"{data.name}: every row to validate on has weight 0.")
    split = Split(train, validation, split.test)
    used = weights[np.concatenate([train, validation])]
    if (used == used[0]).all():
        return split, None
    # First by the largest: a sum of weights near the end of float64 would overflow.
    weights = weights / used.max()
    return split, (weights / np.mean(weights[train])).astype(np.float32)


def check_network(
    network: Module, data: Learnable, objective: Objective, arrays: tuple[Tensor, ...]
) -> None:
    """Raises ShapeError unless the network takes a row and gives what the objective needs.

    Only shapes are looked at: nothing is computed, and the random counter stays."""
    before = random.get_state()
    with in_mode(network, training=False):
        objective.check(network, data, *data.batch(arrays, Tensor(np.zeros(1, np.int32))))
    random.set_state(before)
