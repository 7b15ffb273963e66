"""CTC: the loss of a sequence of labels whose places in time are not known.

Connectionist temporal classification, Graves et al. (2006): the probability of the labels is the sum over
all paths that become them when repeats are merged and blanks removed; the forward algorithm adds the paths
step by step, here in logarithms, as one `scan` over time.

B batch, T time, C classes, S labels, L = 2 S + 1 states: the labels with blanks around them"""

import numpy as np

from ..base.errors import IndexRangeError, OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.create import arange
from ..tensor.scan import scan
from ..tensor.storage import active
from ..tensor.tensor import Tensor
from .init import nearest
from .losses import REDUCTIONS, Loss, as_tensor

# The logarithm of no probability: finite, so that differences and gradients are numbers; far below any
# sum of logarithms, and the sums of it in a long sequence stay inside float32.
IMPOSSIBLE = -1e30


def ctc_loss(
    log_probabilities: Tensor,
    targets: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log P(targets | log_probabilities) over all alignments.

    log_probabilities  (B, T, C), as log_softmax gives them; batch first, where PyTorch has (T, B, C)
    targets            (B, S) integers in [0, C), none of them the blank; beyond target_lengths anything
    input_lengths      (B,) how many of the T steps are real
    target_lengths     (B,) how many of the S labels are real
    blank              the class of no label
    reduction          mean: of each loss divided by its number of labels; sum; none: (B,)
    zero_infinity      an input too short for its labels counts 0 instead of infinity

    Through log_softmax the gradients are PyTorch's, but that of an infinite loss is 0, not NaN."""
    x, labels = as_tensor(log_probabilities), as_tensor(targets)
    n_input, n_target = as_tensor(input_lengths), as_tensor(target_lengths)
    _check(x, labels, n_input, n_target, blank)
    nearest(reduction, REDUCTIONS, "reduction")
    batch, time, _ = x.shape
    n_labels = labels.shape[1]
    n_states = 2 * n_labels + 1

    # Classes of the states: blank, label, blank, .., label, blank.
    blanks = F.full((batch, n_labels), blank, labels.dtype)
    states = F.stack([blanks, labels], -1).reshape(batch, 2 * n_labels)
    states = F.concat([states, F.full((batch, 1), blank, labels.dtype)], 1)
    # A path may leave out the blank between two labels that differ.
    state = arange(n_states, dtype="int64")
    two_before = states[:, :-2].pad([(0, 0), (2, 0)], blank) if n_labels else states
    may_skip = (states != blank) & (states != two_before) & (state >= 2)

    # The scores of the states at every step: a product with 0 and 1, whose gradient is another one.
    place = F.one_hot(states, x.shape[2], x.dtype)  # (B, L, C)
    scores = F.einsum("btc,blc->tbl", F.maximum(x, IMPOSSIBLE), place)
    first = F.where(state < 2, scores[0], IMPOSSIBLE)
    is_real = (arange(time, dtype="int64").reshape(time, 1) < n_input).unsqueeze(-1)  # (T, B, 1)

    def step(alpha, entry):
        score, keeps_on = entry
        one = alpha[:, :-1].pad([(0, 0), (1, 0)], IMPOSSIBLE)
        two = alpha[:, :-2].pad([(0, 0), (2, 0)], IMPOSSIBLE) if n_labels else one
        two = F.where(may_skip, two, IMPOSSIBLE)
        new = _log_sum(alpha, one, two) + score
        return F.where(keeps_on, new, alpha), None

    alpha = first if time == 1 else scan(step, first, (scores[1:], is_real[1:]))[0]
    # The last blank or the last label.
    last = (2 * n_target.astype("int64")).unsqueeze(-1)
    is_end = (state == last) | (state == last - 1)
    losses = -_log_sum_over(F.where(is_end, alpha, IMPOSSIBLE))
    losses = F.where(n_input > 0, losses, F.where(n_target > 0, -IMPOSSIBLE, 0.0))
    # Half of it: rounding and a few real logarithms do not matter.
    losses = F.where(losses > -0.5 * IMPOSSIBLE, 0.0 if zero_infinity else float("inf"), losses)
    if reduction == "mean":
        return (losses / F.maximum(n_target, 1).astype(x.dtype)).mean()
    return losses.sum() if reduction == "sum" else losses


def _log_sum(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """log(exp(a) + exp(b) + exp(c))."""
    m = F.maximum(F.maximum(a, b), c).detach()
    return m + ((a - m).exp() + (b - m).exp() + (c - m).exp()).log()


def _log_sum_over(a: Tensor) -> Tensor:
    m = a.max(-1, keepdims=True).detach()
    return m.squeeze(-1) + (a - m).exp().sum(-1).log()


def _check(x: Tensor, labels: Tensor, n_input: Tensor, n_target: Tensor, blank: int) -> None:
    """Shapes always; numbers where they are known."""
    if x.ndim != 3 or 0 in x.shape:
        raise ShapeError(
            f"ctc_loss: log_probabilities have shape {tuple(x.shape)}; needed are (B, T, C), batch first and "
            f"none of them 0. PyTorch's (T, B, C) becomes that by .permute(1, 0, 2)."
        )
    batch, time, n_classes = x.shape
    if labels.ndim != 2 or labels.shape[0] != batch:
        raise ShapeError(
            f"ctc_loss: targets have shape {tuple(labels.shape)}; needed are ({batch}, S): a row of labels for "
            f"each of the {batch} inputs, filled up to the longest."
        )
    for name, lengths in (("input_lengths", n_input), ("target_lengths", n_target)):
        if tuple(lengths.shape) != (batch,) or lengths.dtype.kind != "i":
            raise ShapeError(
                f"ctc_loss: {name} are {lengths.dtype}{list(lengths.shape)}; needed are ({batch},) integers, "
                f"one for each input."
            )
    if labels.dtype.kind != "i":
        raise IndexRangeError(f"ctc_loss: targets must be integers; got {labels.dtype}.")
    if isinstance(blank, bool) or not 0 <= blank < n_classes:
        raise OptionError(f"ctc_loss: blank is a class, 0 to {n_classes - 1}; got {blank!r}.")
    known = [
        None if active or t._storage is None else t._storage.array for t in (n_input, n_target)
    ]
    for name, values, most in zip(
        ("input_lengths", "target_lengths"), known, (time, labels.shape[1]), strict=True
    ):
        if values is not None and ((values < 0) | (values > most)).any():
            row = int(np.argmax((values < 0) | (values > most)))
            raise IndexRangeError(
                f"ctc_loss: {name} has {values[row]} in row {row}; it must be from 0 to {most}."
            )
    if known[1] is None or labels._storage is None or not labels.size:
        return
    values = labels._storage.array
    outside = (values < 0) | (values >= n_classes) | (values == blank)
    outside &= np.arange(labels.shape[1]) < known[1][:, None]
    if outside.any():
        row, place = divmod(int(np.argmax(outside)), values.shape[1])
        raise IndexRangeError(
            f"ctc_loss: target {values[row, place]} in row {row}, place {place}: a label is a class from 0 to "
            f"{n_classes - 1} that is not the blank, {blank}; there are {n_classes} classes."
        )


class CTCLoss(Loss):
    """ctc_loss as a module."""

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        super().__init__(reduction)
        self.blank, self.zero_infinity = int(blank), bool(zero_infinity)

    def forward(self, log_probabilities, targets, input_lengths, target_lengths):
        return ctc_loss(
            log_probabilities,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )
