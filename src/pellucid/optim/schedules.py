"""Schedules: the learning rate as a function of the number of steps made, counted from 0.

    optim.Adam(parameters, lr=optim.WarmUp(optim.Cosine(1e-3, 2000), 100))

A schedule is one formula, read twice: by the program (`at`, on a stored step counter, so that thousands of
compiled steps need no Python) and by people (`value`, for a plot). What comes after the last planned step
keeps the last rate. Formulas are those of torch.optim.lr_scheduler, which counts the same way."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.errors import OptionError
from ..tensor import functions as F
from ..tensor.tensor import Tensor


class Schedule:
    """Base: `formula(t, xp)` gives the rate at step t with the functions of xp, NumPy or pellucid's."""

    def formula(self, t: Any, xp: Any) -> Any:
        raise NotImplementedError

    def at(self, step: Tensor) -> Tensor:
        """The rate at a stored step counter (float64), as graph code."""
        rate = self.formula(step, F)
        return rate if isinstance(rate, Tensor) else F.full((), float(rate), dtype="float64")

    def value(self, step: int) -> float:
        """The rate at a step."""
        return float(self.formula(np.float64(step), np))

    def values(self, n_steps: int) -> np.ndarray:
        """The rates of the first n steps, for a plot."""
        return np.array([self.value(i) for i in range(n_steps)])

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({options})"


def _positive(name: str, value: float, least: float = 0.0) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < least:
        raise OptionError(f"{name} must be a number of {least:g} or more; got {value!r}.")
    return float(value)


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(f"{name} must be a whole number of steps, 1 or more; got {value!r}.")
    return value


class Constant(Schedule):
    """lr."""

    def __init__(self, lr: float):
        self.lr = _positive("lr", lr)

    def formula(self, t, xp):
        return xp.minimum(t * 0.0 + self.lr, self.lr)


class StepDecay(Schedule):
    """lr * gamma^floor(t / step_size)."""

    def __init__(self, lr: float, step_size: int, gamma: float = 0.1):
        self.lr, self.step_size = _positive("lr", lr), _count("step_size", step_size)
        self.gamma = _positive("gamma", gamma)

    def formula(self, t, xp):
        return self.lr * _power(self.gamma, xp.floor(t / self.step_size), xp)


class MultiStep(Schedule):
    """lr * gamma^(number of milestones reached)."""

    def __init__(self, lr: float, milestones: Sequence[int], gamma: float = 0.1):
        self.lr, self.gamma = _positive("lr", lr), _positive("gamma", gamma)
        self.milestones = tuple(sorted(_count("a milestone", m) for m in milestones))

    def formula(self, t, xp):
        rate = t * 0.0 + self.lr
        for m in self.milestones:
            rate = xp.where(t >= m, rate * self.gamma, rate)
        return rate


class Exponential(Schedule):
    """lr * gamma^t."""

    def __init__(self, lr: float, gamma: float):
        self.lr, self.gamma = _positive("lr", lr), _positive("gamma", gamma)

    def formula(self, t, xp):
        return self.lr * _power(self.gamma, t, xp)


class Linear(Schedule):
    """lr times a factor that goes from start to end in a straight line over n_steps."""

    def __init__(self, lr: float, n_steps: int, start: float = 1.0, end: float = 0.0):
        self.lr, self.n_steps = _positive("lr", lr), _count("n_steps", n_steps)
        self.start, self.end = _positive("start", start), _positive("end", end)

    def formula(self, t, xp):
        return self.lr * (self.start + (self.end - self.start) * _share(t, self.n_steps, xp))


class Polynomial(Schedule):
    """lr * (1 - t / n_steps)^power."""

    def __init__(self, lr: float, n_steps: int, power: float = 1.0):
        self.lr, self.n_steps = _positive("lr", lr), _count("n_steps", n_steps)
        self.power = _positive("power", power)

    def formula(self, t, xp):
        left = 1.0 - _share(t, self.n_steps, xp)
        safe = xp.maximum(left, 1e-300)  # 0 has no logarithm
        return xp.where(left > 0.0, self.lr * xp.exp(self.power * xp.log(safe)), 0.0)


class Cosine(Schedule):
    """From lr down to `minimum` along half a cosine over n_steps. Loshchilov and Hutter (2017), equation 5."""

    def __init__(self, lr: float, n_steps: int, minimum: float = 0.0):
        self.lr, self.n_steps = _positive("lr", lr), _count("n_steps", n_steps)
        self.minimum = _positive("minimum", minimum)

    def formula(self, t, xp):
        return _half_cosine(self.lr, self.minimum, _share(t, self.n_steps, xp), xp)


class CosineRestarts(Schedule):
    """Cosine again and again: `first` steps, then `factor` times as many, and so on. The same paper, section 3."""

    def __init__(self, lr: float, first: int, factor: int = 1, minimum: float = 0.0):
        self.lr, self.first, self.factor = (
            _positive("lr", lr),
            _count("first", first),
            _count("factor", factor),
        )
        self.minimum = _positive("minimum", minimum)

    def formula(self, t, xp):
        if self.factor == 1:
            share = t / self.first - xp.floor(t / self.first)
        else:  # cycle n begins after first * (factor^n - 1) / (factor - 1) steps
            grown = t * (self.factor - 1.0) / self.first + 1.0
            n = xp.floor(xp.log(grown) / math.log(self.factor) + 1e-12)
            length = self.first * _power(self.factor, n, xp)
            begun = self.first * (_power(self.factor, n, xp) - 1.0) / (self.factor - 1.0)
            share = xp.floor(t - begun + 0.5) / length
        return _half_cosine(self.lr, self.minimum, share, xp)


class OneCycle(Schedule):
    """Up to lr, then down to almost nothing: cosines from lr / div_factor over the first pct_start of the
    steps, then to lr / div_factor / final_div_factor. Smith and Topin (2019); the numbers as PyTorch's."""

    def __init__(
        self,
        lr: float,
        n_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ):
        self.lr, self.n_steps = _positive("lr", lr), _count("n_steps", n_steps)
        self.pct_start = _positive("pct_start", pct_start)
        if self.pct_start >= 1:
            raise OptionError(f"pct_start is a share of the steps, below 1; got {pct_start!r}.")
        self.div_factor = _positive("div_factor", div_factor, 1.0)
        self.final_div_factor = _positive("final_div_factor", final_div_factor, 1.0)

    def formula(self, t, xp):
        low = self.lr / self.div_factor
        peak = self.pct_start * self.n_steps - 1.0
        down = max(self.n_steps - 1.0 - peak, 1e-9)
        rising = _half_cosine(low, self.lr, xp.minimum(t / max(peak, 1e-9), 1.0), xp)
        share = xp.minimum(xp.maximum((t - peak) / down, 0.0), 1.0)
        falling = _half_cosine(self.lr, low / self.final_div_factor, share, xp)
        return xp.where(t <= peak, rising, falling)


class InverseSqrt(Schedule):
    """Linearly up to lr over warm_up steps, then lr * sqrt(warm_up / t). Vaswani et al. (2017), section 5.3,
    with lr for its peak; step t here is their t + 1."""

    def __init__(self, lr: float, warm_up: int):
        self.lr, self.warm_up = _positive("lr", lr), _count("warm_up", warm_up)

    def formula(self, t, xp):
        n = t + 1.0
        return self.lr * xp.minimum(n / self.warm_up, xp.sqrt(self.warm_up / n))


class WarmUp(Schedule):
    """From lr / n_steps linearly up to what `schedule` begins with over n_steps, then that schedule."""

    def __init__(self, schedule: Schedule, n_steps: int):
        if not isinstance(schedule, Schedule):
            raise OptionError(
                f"WarmUp takes a schedule, like Cosine(1e-3, 1000); got {schedule!r}."
            )
        self.schedule, self.n_steps = schedule, _count("n_steps", n_steps)

    def formula(self, t, xp):
        later = self.schedule.formula(xp.maximum(t - self.n_steps, 0.0), xp)
        return later * xp.minimum((t + 1.0) / self.n_steps, 1.0)


class OnPlateau:
    """Multiplies the optimizer's lr by `factor` when a metric has not improved for more than `patience` calls.

    mode       'min' or 'max': which is better
    threshold  an improvement is one by this share of the best value
    cooldown   calls that are not counted after a change

    Not a function of the step: call step(metric) once per epoch. As PyTorch's ReduceLROnPlateau."""

    def __init__(
        self,
        optimizer: Any,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        if mode not in ("min", "max"):
            raise OptionError(f"mode must be 'min' or 'max'; got {mode!r}.")
        if not 0.0 < factor < 1.0:
            raise OptionError(f"factor must lie between 0 and 1; got {factor!r}.")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.cooldown, self.min_lr = threshold, cooldown, min_lr
        self.best = math.inf if mode == "min" else -math.inf
        self.n_bad, self.n_cooling = 0, 0

    def step(self, metric: float) -> bool:
        """Takes the newest value of the metric; whether lr was lowered."""
        metric = float(metric)
        edge = self.best * (1 - self.threshold if self.mode == "min" else 1 + self.threshold)
        if metric < edge if self.mode == "min" else metric > edge:
            self.best, self.n_bad = metric, 0
        else:
            self.n_bad += 1
        if self.n_cooling > 0:
            self.n_cooling, self.n_bad = self.n_cooling - 1, 0
        if self.n_bad <= self.patience:
            return False
        self.n_bad, self.n_cooling = 0, self.cooldown
        old = self.optimizer.lr
        new = max(old * self.factor, self.min_lr)
        if old - new <= 1e-8:
            return False
        self.optimizer.lr = new
        return True

    def state_dict(self) -> dict[str, float]:
        """What it remembers, for a checkpoint."""
        return {"best": self.best, "n_bad": self.n_bad, "n_cooling": self.n_cooling}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Remembers it again."""
        self.best = float(state["best"])
        self.n_bad, self.n_cooling = int(state["n_bad"]), int(state["n_cooling"])


def _power(base: float, exponent: Any, xp: Any) -> Any:
    """base^exponent for a base of 0 or more."""
    if base == 0.0:
        return xp.where(exponent == 0.0, 1.0, 0.0)
    return xp.exp(exponent * math.log(base))


def _share(t: Any, n_steps: int, xp: Any) -> Any:
    return xp.minimum(t / n_steps, 1.0)


def _half_cosine(start: float, end: float, share: Any, xp: Any) -> Any:
    return end + (start - end) * (1.0 + xp.cos(math.pi * share)) / 2.0


# the word on a command line -> schedule
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "multistep": MultiStep,
    "exponential": Exponential,
    "linear": Linear,
    "polynomial": Polynomial,
    "cosine": Cosine,
    "restarts": CosineRestarts,
    "one-cycle": OneCycle,
    "inverse-sqrt": InverseSqrt,
    "warm-up": WarmUp,
}
