"""What went wrong: where a number stopped being finite (the batch is run layer by layer, outside any compiled step),
and from which epoch on a network only learned by heart."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ..data.dataset import Learnable
from ..nn.module import Module
from ..tensor.storage import active
from ..tensor.tensor import Tensor
from .objectives import Objective, stored


def describe_non_finite(
    network: Module,
    data: Learnable,
    rows: np.ndarray,
    objective: Objective,
    is_loss_finite: bool,
    after: dict[str, np.ndarray],
) -> str:
    """A sentence that names the layer and the rows (or the parameter) where NaN or infinity begins.

    network  with the weights from before the failing step; after holds those from after it"""
    if is_loss_finite:
        parameter = next(n for n, v in after.items() if not np.isfinite(v).all())
        n_bad = int((~np.isfinite(after[parameter])).sum())
        return (
            f"the loss is finite, but the gradient is not: the update makes {n_bad} of {after[parameter].size} values "
            f"of {parameter!r}{_layer_of(network, parameter)} infinite or NaN, in the batch of "
            f"{_rows(rows, data.name)}."
        )
    x, y = data.batch(stored(data), Tensor(np.ascontiguousarray(rows)))
    with outputs(network) as seen:
        if objective.each is None:
            losses = objective.score(network, x, y).loss.numpy().reshape(1)
        else:
            losses = objective.each(network, x, y).numpy()
    for name, layer, value in seen:
        bad = ~np.isfinite(value)
        if not bad.any():
            continue
        begins = f"the loss is not finite. It begins in the output of layer {name or 'all'}, {_head(layer)}, for "
        if len(value) != len(rows):  # not a value for each row
            return f"{begins}the batch of {_rows(rows, data.name)}."
        is_bad = bad.reshape(len(rows), -1).any(1)
        return f"{begins}{_rows(rows[is_bad], data.name)} ({int(is_bad.sum())} of the {len(rows)} in the batch)."
    if len(losses) % len(rows):  # one loss for all
        return f"the loss is not finite, though every layer's output is, in the batch of {_rows(rows, data.name)}."
    finite = np.isfinite(losses).reshape(len(rows), -1).all(1)
    worst = (
        rows[~finite]
        if not finite.all()
        else rows[[int(np.argmax(losses)) * len(rows) // len(losses)]]
    )
    return (
        f"the loss is not finite, though every layer's output is: it begins in the loss of "
        f"{_rows(worst, data.name)}."
    )


LATER = 3  # epochs after the best one at least: fewer say nothing
RISE = 0.01  # of the validation loss, at least
NOISE = 2.5  # times what it goes up and down anyway


def overfitting_since(training: Sequence[float], validation: Sequence[float]) -> int | None:
    """The first epoch (from 1) after which the validation loss only rose while the training loss fell on.

    training, validation  the losses of all epochs
    None where it did not turn up, by more than it goes up and down anyway, or not for three epochs at least."""
    v, t = np.asarray(validation, np.float64), np.asarray(training, np.float64)
    if len(v) < LATER + 1 or not (np.isfinite(v).all() and np.isfinite(t).all()):
        return None
    # Of three epochs the mean: one alone may be lowest by chance.
    wide = np.concatenate([v[:1], v, v[-1:]])
    smooth = (wide[:-2] + wide[1:-1] + wide[2:]) / 3
    near = max(0, int(np.argmin(smooth)) - 1)
    best = near + int(np.argmin(v[near : near + 3]))
    after = v[best + 1 :]
    if len(after) < LATER:
        return None
    earlier, later = after[: len(after) // 2].mean(), after[len(after) // 2 :].mean()
    # The deviation of noise, by second differences: a trend is none.
    usual = float(np.median(np.abs(np.diff(v[best:], n=2)))) / (0.6745 * np.sqrt(6))
    is_up = later - v[best] > max(RISE * abs(v[best]), NOISE * usual)
    # The lowest of many lies low by chance; that it goes on rising does not come by chance.
    is_rising = later - earlier > NOISE * usual * np.sqrt(4 / len(after))
    return best + 2 if is_up and is_rising and t[best + 1 :].min() < t[best] else None


def overfitting(since: int) -> str:
    """What is said about it."""
    return (
        f"Overfitting since epoch {since}: from there on only the loss on the rows to learn falls. More rows, "
        f"--dropout or --l2 make the difference smaller."
    )


@contextmanager
def outputs(network: Module) -> Iterator[list[tuple[str, Module, np.ndarray]]]:
    """Inside the block, calls of modules are noted: (path, module, output), innermost first.

    What runs inside a loop over time is traced, not computed: the layer around it is noted instead."""
    seen: list[tuple[str, Module, np.ndarray]] = []

    def listening(path: str, module: Module):
        forward = module.forward

        def listen(*args, **kwargs):
            result = forward(*args, **kwargs)
            first = result[0] if isinstance(result, tuple) and result else result
            if isinstance(first, Tensor) and first.ndim and not active:
                seen.append((path, module, first.numpy()))
            return result

        return listen

    modules = list(network.modules())
    for path, module in modules:
        vars(module)["forward"] = listening(path, module)
    try:
        yield seen
    finally:
        for _, module in modules:
            vars(module).pop("forward", None)


def _layer_of(network: Module, parameter: str) -> str:
    path = parameter.rpartition(".")[0]
    for name, module in network.modules():
        if name and name == path:
            return f" (layer {name}, {_head(module)})"
    return ""


def _head(module: Module) -> str:
    return f"{type(module).__name__}({module.extra_repr()})"


def _rows(rows: np.ndarray, name: str) -> str:
    shown = ", ".join(str(int(r)) for r in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"row{'s' if len(rows) != 1 else ''} {shown}{more} of {name}"
