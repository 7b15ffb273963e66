"""Around an optimizer: a running average of the weights, and gradients added up over several batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..base.errors import FormatError, OptionError
from ..tensor import functions as F
from ..tensor.tensor import Tensor, assign
from .optimizer import Optimizer, Updates, check
from .schedules import Schedule


class ExponentialAverage:
    """average <- decay * average + (1 - decay) * weights, after each step: weights that predict better than
    the last ones. Polyak and Juditsky (1992); Tarvainen and Valpola (2017).

        average = optim.ExponentialAverage(model.parameters(), 0.999)
        ...optimizer.step(); average.update()          (also inside a compiled step)
        with average.applied(): evaluate(model)"""

    def __init__(self, parameters: Iterable[Tensor], decay: float = 0.999):
        check("decay", decay, 0.0, 1.0)
        self.parameters, self.decay = list(parameters), float(decay)
        if not self.parameters:
            raise OptionError("an average needs parameters; the network given has none.")
        self.averages = [Tensor(np.array(p.numpy(), order="C")) for p in self.parameters]

    def update(self) -> None:
        """Takes in the weights as they are now."""
        pairs = zip(self.averages, self.parameters, strict=True)
        assign(*((a, self.decay * a + (1.0 - self.decay) * p.detach()) for a, p in pairs))

    def swap(self) -> None:
        """Exchanges weights and averages."""
        weights = [np.array(p.numpy(), order="C") for p in self.parameters]
        averages = [np.array(a.numpy(), order="C") for a in self.averages]
        assign(*((p, Tensor(a)) for p, a in zip(self.parameters, averages, strict=True)))
        assign(*((a, Tensor(p)) for a, p in zip(self.averages, weights, strict=True)))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the network has the averages for weights."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the averages."""
        return {f"average.{i}": np.array(a.numpy(), order="C") for i, a in enumerate(self.averages)}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Overwrites the averages; names and shapes are checked first."""
        values = []
        for i, a in enumerate(self.averages):
            value = state.get(f"average.{i}")
            if value is None or np.shape(value) != tuple(a.shape):
                found = "nothing" if value is None else np.shape(value)
                raise FormatError(f"average.{i}: the stored shape is {found}, needed is {a.shape}.")
            values.append(Tensor(np.array(value, a.dtype.numpy, order="C")))
        assign(*zip(self.averages, values, strict=True))


class Accumulate:
    """An optimizer that steps once in `every` calls, with the mean of their gradients: a large batch in
    small pieces. Used like the optimizer itself, also inside a compiled step."""

    def __init__(self, optimizer: Optimizer, every: int):
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise OptionError(f"every must be a whole number of 1 or more; got {every!r}.")
        self.optimizer, self.every = optimizer, every
        self.parameters = optimizer.parameters
        self._calls = Tensor(np.asarray(0, np.int64))
        self._sums = [Tensor(np.zeros(p.shape, p.dtype.numpy)) for p in self.parameters]

    def step(self, grads: Sequence[Tensor | None] | None = None) -> None:
        """Adds the gradients up; at every `every`-th call the optimizer steps."""
        given = [p.grad for p in self.parameters] if grads is None else list(grads)
        sums = [
            None if g is None else s + g * (1.0 / self.every)
            for s, g in zip(self._sums, given, strict=True)
        ]
        calls = self._calls + 1
        is_full = calls == self.every
        pairs: Updates = [(self._calls, F.where(is_full, 0, calls))]
        for s, new in zip(self._sums, sums, strict=True):
            if new is not None:
                pairs.append((s, F.where(is_full, 0.0, new)))
        pairs += [(t, F.where(is_full, new, t)) for t, new in self.optimizer.updates(sums)]
        assign(*pairs)

    @property
    def schedule(self) -> Schedule | None:
        """What sets the optimizer's learning rate."""
        return self.optimizer.schedule

    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters; what was added up stays."""
        self.optimizer.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a step reads and overwrites besides the parameters, by name."""
        own = {"calls": self._calls} | {f"sum.{i}": s for i, s in enumerate(self._sums)}
        return {**self.optimizer.tensors(), **own}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all that a checkpoint needs besides the parameters."""
        return {name: np.array(t.numpy(), order="C") for name, t in self.tensors().items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Overwrites it; names and shapes are checked first."""
        own = {k: v for k, v in self.tensors().items() if k not in self.optimizer.tensors()}
        for name, tensor in own.items():
            if name not in state or np.shape(state[name]) != tuple(tensor.shape):
                raise FormatError(f"{name}: not stored in the shape {tensor.shape}.")
        self.optimizer.load_state_dict({k: v for k, v in state.items() if k not in own})
        assign(*((t, Tensor(np.array(state[n], t.dtype.numpy, order="C"))) for n, t in own.items()))

    @property
    def lr(self) -> float:
        """The optimizer's learning rate."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer.lr = value


def range_test(
    step: Any, optimizer: Any, low: float = 1e-6, high: float = 1.0, n_steps: int = 100
) -> tuple[np.ndarray, np.ndarray, float]:
    """Tries learning rates: (rates, losses, suggestion). Smith (2017), "Cyclical learning rates", section 3.3.

    step() makes one training step and returns its loss. The rate grows from low to high by equal factors
    and the test stops early where the loss is four times its best. The suggestion is the rate at which the
    smoothed loss falls fastest. The weights are used up: make the network anew afterwards."""
    check("low", low, 1e-30)
    check("high", high, low)
    rates, losses = np.geomspace(low, high, n_steps), []
    smooth, mean, best = [], 0.0, np.inf
    for i, rate in enumerate(rates):
        optimizer.lr = float(rate)
        loss = float(step())
        if not np.isfinite(loss):
            break
        losses.append(loss)
        mean = 0.9 * mean + 0.1 * loss
        smooth.append(mean / (1.0 - 0.9 ** (i + 1)))
        best = min(best, smooth[-1])
        if i > 10 and smooth[-1] > 4 * best:
            break
    if len(smooth) < 3:
        raise OptionError(f"the loss is not a number from rate {low:g} on; begin lower.")
    last = int(np.argmin(smooth)) + 1
    slope = np.gradient(np.asarray(smooth[: max(last, 3)]))
    return rates[: len(losses)], np.asarray(losses), float(rates[int(np.argmin(slope))])
