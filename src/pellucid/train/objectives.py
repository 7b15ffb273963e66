"""What one step makes smaller: the table OBJECTIVES, the only place where tasks differ inside a program.

  cross_entropy   one class for each row, or for each place of a window (the next character)
  mse             one amount for each row, or several
  gan             two networks: one makes rows, the other tells them from real ones

A row says how a batch changes the parameters (`update`), what it scores without learning (`score`), and
what a network must give (`check`). Sums are kept over the answers of an epoch: loss, right answers, others.

Rows may have weights, w (B,) with mean 1 over the rows to learn. The loss of an epoch is then sum(w loss) / sum(w),
and a batch makes its part of it smaller, sum(w loss) / B: not divided by the batch's own sum of weights, in which a
batch of rows that hardly count would count as much as any other. Right answers are counted, not weighed.

B rows, C classes, T places"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import DataError, OptionError, ShapeError
from ..data.dataset import IGNORED, Learnable
from ..nn.losses import cross_entropy, mse_loss
from ..nn.losses_gan import critic_loss, generator_loss, r1_penalty
from ..nn.module import Module
from ..optim.optimizer import Optimizer
from ..tensor import functions as F
from ..tensor.gradient import grad
from ..tensor.tensor import Tensor, from_array

Optimizers = Mapping[str, Optimizer]
GAMMA = 0.5  # weight of the critic's penalty, as in benchmarks/accuracy/mnist_dcgan.py


@dataclass(frozen=True)
class Scores:
    """Sums over a batch, inside a program."""

    loss: Tensor  # of the answers' losses, each times the weight of its row
    n_correct: Tensor | None = None  # answers that are right; None for amounts
    others: tuple[Tensor, ...] = ()  # further losses, by the names of the objective


@dataclass(frozen=True)
class Objective:
    """A row of OBJECTIVES.

    each          (network, x, y) -> a loss for each answer; None when networks work against each other
    update, score (.., x, y, w): w what each row counts; None where all count the same
    optimizers    one name for each network that learns; "" when there is one
    has_accuracy  whether an answer is right or wrong
    has_best      whether a lower loss means a better network, so that the best weights can be kept
    n_judged      how many judgements the loss is a mean over, for each answer of the data
    others        names of further losses that are summed
    has_weights   whether rows may count more and less"""

    update: Callable[..., Scores]  # (network, optimizers, x, y, w=None)
    score: Callable[..., Scores]  # (network, x, y, w=None)
    check: Callable[[Module, Learnable, Tensor, Tensor], None]
    each: Callable[[Module, Tensor, Tensor], Tensor] | None = None
    optimizers: tuple[str, ...] = ("",)
    has_accuracy: bool = True
    has_best: bool = True
    n_judged: int = 1
    others: tuple[str, ...] = ()
    has_weights: bool = True


# One network, one loss for each answer


def class_losses(network: Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(a loss for each answer, the scores): logits (..., C) and labels (...,), in one axis of answers.

    Of a committee (K, B, C): the mean of its members' losses, and their mean scores."""
    out, labels = network(x), y.reshape((-1,))
    if not is_committee(out, y):
        logits = out.reshape((-1, out.shape[-1]))
        nothing = IGNORED if y.ndim > 1 else None  # only places of a window may be left out
        return cross_entropy(logits, labels, reduction="none", ignore_index=nothing), logits
    labels = labels.unsqueeze(0).broadcast_to(out.shape[:2])
    return cross_entropy(out, labels, reduction="none").mean(0), out.mean(0)


def amount_losses(network: Module, x: Tensor, y: Tensor) -> tuple[Tensor, None]:
    """(a loss for each answer, None): the output is brought to the target's shape, (B, 1) -> (B,).

    Of a committee (K, B, 1): the mean of its members' losses."""
    out = network(x)
    if not is_committee(out, y):
        return mse_loss(as_target(out, y), y, reduction="none").reshape((-1,)), None
    each = out.reshape((-1, y.size)) - y.reshape((1, -1))
    return (each * each).mean(0), None


def is_committee(out: Tensor, y: Tensor) -> bool:
    """Whether this is (K, B, C) for labels or amounts (B,): every member learns by a loss of its own.

    Nothing else is of this form: `check` has seen that in prediction the network gives (B, C)."""
    return out.ndim == y.ndim + 2 and out.shape[1] == y.shape[0]


def as_target(out: Tensor, y: Tensor) -> Tensor:
    """The network's output in the target's shape, where it only has axes of 1 more."""
    return out.reshape(y.shape) if out.size == y.size else out


def supervised(losses: Callable, check: Callable, has_accuracy: bool) -> Objective:
    """One network learns right answers by one loss; `losses` gives them for each answer, and logits or None."""

    def score(network: Module, x: Tensor, y: Tensor, w: Tensor | None = None) -> Scores:
        each, logits = losses(network, x, y)
        return Scores(weigh(each, w).sum(), None if logits is None else count_correct(logits, y))

    def update(
        network: Module, optimizers: Optimizers, x: Tensor, y: Tensor, w: Tensor | None = None
    ) -> Scores:
        scores = score(network, x, y, w)
        (optimizer,) = optimizers.values()
        optimizer.step(grad(scores.loss / y.size, optimizer.parameters))
        return scores

    def each(network: Module, x: Tensor, y: Tensor) -> Tensor:
        return losses(network, x, y)[0]

    return Objective(update, score, check, each, has_accuracy=has_accuracy)


def weigh(each: Tensor, w: Tensor | None) -> Tensor:
    """The losses (answers,) times the weights of their rows (B,); a row of a text has several answers."""
    if w is None:
        return each
    w = w.astype(each.dtype)
    if each.size == w.size:
        return each * w
    return each.reshape((w.size, each.size // w.size)) * w.unsqueeze(-1)


def count_correct(logits: Tensor, y: Tensor) -> Tensor:
    """How many answers have their true class's score highest."""
    labels = y.reshape((-1,))
    return (logits.argmax(-1).astype(labels.dtype) == labels).astype("int64").sum()


def check_classes(network: Module, data: Learnable, x: Tensor, y: Tensor) -> None:
    """Raises ShapeError unless the network gives a score for each class at each answer."""
    if not data.classes:
        raise DataError(
            f"{data.name}: cross-entropy needs classes; the target holds amounts. Use loss='mse'."
        )
    shape, expected = tuple(network(x).shape), (*y.shape, len(data.classes))
    if shape != expected:
        what = "one row" if y.size == 1 else f"a window of {y.size}"
        raise ShapeError(
            f"the network gives {shape} for {what}; {len(data.classes)} classes need {expected}. "
            f"Change the last layer's outputs."
        )


def check_amounts(network: Module, data: Learnable, x: Tensor, y: Tensor) -> None:
    """Raises ShapeError unless the network gives one amount for each answer."""
    if data.classes:
        # (B, C) scores against (B,) class numbers: an amount would be a number without meaning.
        raise DataError(f"{data.name}: the target holds classes. Use loss='cross_entropy'.")
    shape = tuple(network(x).shape)
    if shape not in (tuple(y.shape), (*y.shape, 1)):
        raise ShapeError(
            f"the network gives {shape} for one row; an amount needs {(*y.shape, 1)}. Change the last layer's "
            f"outputs."
        )


# Two networks against each other (Goodfellow et al. 2014)


def gan_update(network: Any, optimizers: Optimizers, x: Tensor, y: Tensor) -> Scores:
    """The critic learns to tell rows from made ones, then the generator to be taken for real by it.

    The critic is kept flat where the rows are (Mescheder et al. 2018), or it wins and the generator learns no more; the
    loss that is told is without that. Coverage of 6,000 digits of MNIST after 1,900 steps: 11.2 % without, 13.6 %."""
    generator, critic = optimizers["generator"], optimizers["critic"]
    made = network.generator(network.noise(x.shape[0]))
    # detach: what the critic learns from these pictures is not the generator's business.
    real_scores, made_scores = network.critic(x), network.critic(made.detach())
    loss = critic_loss(real_scores, made_scores)
    penalty = GAMMA / 2 * r1_penalty(network.critic, x)
    critic.step(grad(loss + penalty, critic.parameters))
    # The critic that has just learned judges again.
    other = generator_loss(network.critic(made))
    generator.step(grad(other, generator.parameters))
    return gan_scores(x.shape[0], real_scores, made_scores, loss, other)


def gan_score(network: Any, x: Tensor, y: Tensor) -> Scores:
    """The same losses without learning."""
    made = network.generator(network.noise(x.shape[0]))
    real_scores, made_scores = network.critic(x), network.critic(made)
    loss, other = critic_loss(real_scores, made_scores), generator_loss(made_scores)
    return gan_scores(x.shape[0], real_scores, made_scores, loss, other)


def gan_scores(n: int, real: Tensor, made: Tensor, loss: Tensor, other: Tensor) -> Scores:
    """Sums over 2 n judgements: the critic's loss and how often it is right; the generator's loss."""
    n_correct = (real > 0).astype("int64").sum() + (made <= 0).astype("int64").sum()
    return Scores(loss * n, n_correct, (other * (2 * n),))


def check_gan(network: Any, data: Learnable, x: Tensor, y: Tensor) -> None:
    """Raises unless there is a generator of such rows and a critic that gives one score for each."""
    for name in ("generator", "critic", "noise"):
        if not hasattr(network, name):
            raise OptionError(
                f"loss 'gan' needs a network with .generator, .critic and .noise(n); "
                f"{type(network).__name__} has no .{name}."
            )
    made = tuple(network.generator(network.noise(1)).shape)
    if made != tuple(x.shape):
        raise ShapeError(
            f"the generator makes {made}; a row of {data.name} has {tuple(x.shape)}. Change its last layer."
        )
    if (size := network.critic(x).size) != 1:
        raise ShapeError(f"the critic gives {size} scores for one row; it must give 1.")


OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": supervised(class_losses, check_classes, has_accuracy=True),
    "mse": supervised(amount_losses, check_amounts, has_accuracy=False),
    "gan": Objective(
        gan_update,
        gan_score,
        check_gan,
        optimizers=("critic", "generator"),
        has_best=False,
        n_judged=2,
        others=("generator_loss",),
        has_weights=False,
    ),
}


def stored(data: Learnable) -> tuple[Tensor, ...]:
    """The data's arrays as tensors that programs read in place.

    Those of data that can be released are parts of files: never copied, never written to."""
    if hasattr(data, "release"):
        return tuple(from_array(a) for a in data.arrays())
    return tuple(Tensor(np.ascontiguousarray(a)) for a in data.arrays())


def stored_weights(weights: np.ndarray | None, objective: Objective, loss: str) -> Tensor | None:
    """The rows' weights as a tensor that programs read in place. Raises OptionError where rows cannot have any."""
    if weights is None:
        return None
    if not objective.has_weights:
        raise OptionError(f"loss {loss!r} takes no weights of rows; leave them out.")
    return Tensor(np.ascontiguousarray(weights, np.float32))


def weights_in(stored: Tensor | None, rows: Tensor) -> tuple[Tensor, ...]:
    """Inside a program: the weights of these rows as a further argument, or no argument."""
    return () if stored is None else (F.take(stored, rows, axis=0),)
