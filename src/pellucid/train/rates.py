"""A learning rate by a range test: what the loss does while the rate rises from far too small to far too large.

Smith (2017), section 3.3: the rows to learn, in the batches of the run and from its initial weights, are learned from
once at rates that rise by a constant factor. A fifth of the rate at which the loss is lowest is taken. The network
that was used is thrown away: of the test only the rate remains.

Measured by the validation loss that training then reaches, beside the usual rate: digits with five optimizers, a cnn,
four public tables with adamw and sgd, a series. A fifth of the lowest point: 0.89 of the usual loss (geometric mean of
15, at worst 1.06). A tenth of it: 0.89, at worst 1.17; a tenth of the point of divergence: 0.95, at worst 1.8. The
steepest descent is where noise is: 1e-6 for a table of 2,000 rows, on which nothing is learned then."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..base.errors import NonFiniteError, OptionError
from ..data.dataset import Split, count_answers
from ..optim.schedules import Exponential
from .loop import Fit, Options

N_STEPS = 120
BELOW, ABOVE = 1e-3, 1e3  # times the optimizer's usual rate: where the test begins and ends
WINDOW = 9  # steps whose losses are averaged, in the middle the one that is looked at
PART = 5  # of the rate at which the loss is lowest
DIVERGED = 30.0  # times the first loss: what comes after says nothing


@dataclass(frozen=True)
class Found:
    """rate   that was chosen, of two digits            why   in words
    rates, losses   of each step of the test, up to where the loss diverged; losses are means over WINDOW steps"""

    rate: float
    why: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]


def find_rate(made: Any, data: Any, parts: Split) -> Found:
    """The rate for a recipe's optimizer, network and batches. Raises OptionError where no loss says anything."""
    if made.task == "generate":
        raise OptionError(
            "--lr find needs one loss that falls; two networks against each other have none."
        )
    network = made.network(data)
    low = made.lr * BELOW
    factor = (ABOVE / BELOW) ** (1 / (N_STEPS - 1))
    optimizer = made.make_optimizer(network, lr=Exponential(low, factor))
    options = Options(1, made.batch, None, made.seed, made.loss())
    fit = Fit(network, data, parts, optimizer, options)
    losses: list[float] = []
    network.train()
    before, epoch, order = 0.0, 0, np.zeros(0, np.int32)
    while len(losses) < N_STEPS:
        # Whole batches: the short one at the end would be louder than the others.
        if len(order) < fit.batch:
            order, epoch = fit.rows_of_epoch(epoch), epoch + 1
        rows, order = order[: fit.batch], order[fit.batch :]
        fit.step(np.ascontiguousarray(rows))
        loss = fit.sums.loss.item()
        each = (loss - before) / count_answers(data, rows)
        if not math.isfinite(each) or (losses and each > DIVERGED * max(losses[0], 1e-12)):
            break
        losses.append(each)
        before = loss
    return choose([low * factor**i for i in range(len(losses))], losses, made.lr)


def choose(rates: Sequence[float], losses: Sequence[float], usual: float) -> Found:
    """The rate that the curve of a range test tells.

    rates, losses  of the steps up to where the loss was no number or far too large
    usual          taken where the loss falls nowhere"""
    if not losses:
        raise NonFiniteError("--lr find: the loss is no number at the first step.")
    smooth = smoothed(losses)
    at = int(np.argmin(smooth))
    test = tuple(rates), tuple(smooth.tolist())
    if at == 0:
        return Found(
            usual, "a range test: the loss falls at no rate, so the usual one stays", *test
        )
    rate = float(f"{rates[at] / PART:.2g}")
    why = f"a range test: the loss is lowest while learning at {rates[at]:.2g}; a fifth of that is sure"
    return Found(rate, why, *test)


def smoothed(losses: Sequence[float]) -> np.ndarray:
    """(n,) means over the steps around each, over fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    i = np.arange(len(losses))
    half = np.minimum(WINDOW // 2, np.minimum(i, len(losses) - 1 - i))
    return (sums[i + half + 1] - sums[i - half]) / (2 * half + 1)


def with_rate(made: Any, found: Found) -> Any:
    """The recipe with the rate that was found."""
    return replace(made, lr=found.rate, lr_why=found.why)
