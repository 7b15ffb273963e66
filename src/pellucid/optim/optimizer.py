"""Optimizer: parameters, their gradients, and a rule that overwrites the parameters.

A rule is graph code: inside a compiled step it becomes part of the program, and its moments are
buffers that the program overwrites in place. Argument names and update order follow PyTorch."""

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from ..base.errors import FormatError, OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.tensor import Tensor, assign
from .clip import clip_grad_norm, clip_grad_value
from .schedules import Schedule

Updates = list[tuple[Tensor, Any]]


class Optimizer:
    """Base of all. A subclass lists its buffers with `_buffer` and defines `_update`.

    parameters  tensors, or groups: dicts with "params" and what differs for them, "lr" or an option of the rule
    lr          a number, or a Schedule, which then sets it at each step, also within compiled steps.
                A stored scalar: setting it between steps changes compiled steps too
    clip_norm   gradients are shrunk until their norm over all parameters is no larger
    clip_value  each gradient is cut to -clip_value .. clip_value
    l1          l1 * sign(p) is added to the gradient: draws weights to exactly 0 (L2 is weight_decay)"""

    # option of the rule that a group may set -> (least value, below)
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: "float | Schedule",
        clip_norm: float | None = None,
        clip_value: float | None = None,
        l1: float = 0.0,
        **options: Any,
    ):
        self.schedule = lr if isinstance(lr, Schedule) else None
        start = lr.value(0) if isinstance(lr, Schedule) else lr
        check("lr", start, 0.0)
        for name, value in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if value is not None:
                check(name, value, 0.0)
        check("l1", l1, 0.0)
        self.clip_norm, self.clip_value, self.l1 = clip_norm, clip_value, float(l1)
        self.parameters, self._options = _grouped(parameters, start, options, self.limits)
        self._state: dict[str, Tensor] = {}
        self._lr = self._scalar("lr", float(start))
        self._rate = self._lr  # what the step that is being made uses
        if self.schedule is not None:
            self._steps = self._scalar("steps", 0.0)

    # The rule

    def step(self, grads: Sequence[Tensor | None] | None = None) -> None:
        """Overwrites every parameter once. grads are the parameters' `.grad` when left out; a
        parameter without gradient stays."""
        assign(*self.updates(grads))  # all at once: one program also where nothing is compiled

    def updates(self, grads: Sequence[Tensor | None] | None = None) -> Updates:
        """(tensor, its new value) for everything that a step overwrites."""
        given = [p.grad for p in self.parameters] if grads is None else list(grads)
        if len(given) != len(self.parameters):
            raise ShapeError(
                f"step() got {len(given)} gradients for {len(self.parameters)} parameters."
            )
        if all(g is None for g in given):
            raise ShapeError("step() found no gradient. Call loss.backward() first, or give grads.")
        for i, (p, g) in enumerate(zip(self.parameters, given, strict=True)):
            if g is not None and tuple(g.shape) != tuple(p.shape):
                raise ShapeError(
                    f"gradient {i} has shape {tuple(g.shape)}, its parameter {tuple(p.shape)}."
                )
        if self.clip_value is not None:
            given = clip_grad_value(given, self.clip_value)
        if self.clip_norm is not None:
            given, _ = clip_grad_norm(given, self.clip_norm)
        pairs: Updates = []
        if self.schedule is not None:
            self._rate = self.schedule.at(self._steps)
            pairs += [(self._lr, self._rate), (self._steps, self._steps + 1.0)]
        pairs += self._begin_step()
        for i, (p, g) in enumerate(zip(self.parameters, given, strict=True)):
            if g is not None:
                if self.l1:
                    g = g + self.l1 * F.sign(p)
                pairs += self._update(i, p, g, self._options[i])
        self._rate = self._lr
        return pairs

    def _rate_of(self, o: SimpleNamespace, p: Tensor) -> Tensor:
        """The learning rate of a parameter, in its dtype."""
        rate = self._rate if o.lr_scale == 1.0 else self._rate * o.lr_scale
        return rate.astype(p.dtype)

    def _begin_step(self) -> Updates:
        """What a step does once, before the parameters."""
        return []

    def _update(self, i: int, p: Tensor, g: Tensor, o: SimpleNamespace) -> Updates:
        """(tensor, its new value) for parameter i and its buffers; o are the options of its group."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters."""
        for p in self.parameters:
            p.grad = None

    # State

    @property
    def lr(self) -> float:
        """The learning rate: the size of a step. Of several groups, the one that groups without their own have."""
        return self._lr.item()

    @lr.setter
    def lr(self, value: float) -> None:
        check("lr", value, 0.0)
        if self.schedule is not None:
            raise OptionError(
                "lr follows a schedule; give a number instead of the schedule to set it."
            )
        self._lr.assign(Tensor(np.float64(value)))

    def _scalar(self, name: str, value: float) -> Tensor:
        """A stored float64 number: exact enough for beta^t, cast where a parameter meets it."""
        self._state[name] = Tensor(np.asarray(value, np.float64))
        return self._state[name]

    def _buffer(self, name: str, value: float = 0.0) -> list[Tensor]:
        """`value` in each parameter's shape and dtype."""
        made = []
        for i, p in enumerate(self.parameters):
            made.append(Tensor(np.full(p.shape, value, p.dtype.numpy)))
            self._state[f"{name}.{i}"] = made[-1]
        return made

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a step reads and overwrites besides the parameters, by name."""
        return dict(self._state)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of lr and all buffers by name: with the parameters, all that a checkpoint needs."""
        return {name: np.array(tensor.numpy(), order="C") for name, tensor in self._state.items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Overwrites lr and all buffers; names and shapes are checked first."""
        if set(state) != set(self._state):
            odd = sorted(set(state) ^ set(self._state))
            raise FormatError(
                f"this state belongs to another optimizer than {type(self).__name__}: "
                f"{', '.join(odd[:5])} {'differs' if len(odd) == 1 else 'differ'}."
            )
        for name, tensor in self._state.items():
            if np.shape(state[name]) != tuple(tensor.shape):
                raise FormatError(
                    f"{name}: the stored shape is {np.shape(state[name])}, needed is {tensor.shape}."
                )
        assign(
            *(
                (t, Tensor(np.array(state[n], t.dtype.numpy, order="C")))
                for n, t in self._state.items()
            )
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(lr={self.lr:g}, {sum(p.size for p in self.parameters):,} parameters)"


def _grouped(parameters: Iterable[Any], lr: float, options: dict, limits: Mapping):
    """All parameters, and for each the options of its group."""
    listed = list(parameters)
    if not listed:
        raise OptionError("an optimizer needs parameters; the network given has none.")
    groups = listed if isinstance(listed[0], dict) else [{"params": listed}]
    flat: list[Tensor] = []
    found: list[SimpleNamespace] = []
    for number, group in enumerate(groups):
        where = f"group {number}" if groups is listed else "the optimizer"
        if not isinstance(group, dict) or "params" not in group:
            raise OptionError(f"{where} must be a dict with 'params'; got {type(group).__name__}.")
        own = {k: v for k, v in group.items() if k not in ("params", "lr")}
        unknown = sorted(set(own) - set(options))
        if unknown:
            raise OptionError(
                f"{where}: {unknown[0]!r} is no option of this optimizer: lr, {', '.join(options)}."
            )
        rate = group.get("lr", lr)
        check(f"{where}: lr", rate, 0.0)
        if rate != lr and lr == 0.0:
            raise OptionError(
                f"{where} has lr {rate:g}, a multiple of the optimizer's, which is 0."
            )
        merged = {**options, **own}
        for name, (low, below) in limits.items():
            values = merged[name] if isinstance(merged[name], tuple) else (merged[name],)
            for i, value in enumerate(values):
                label = f"{name}[{i}]" if isinstance(merged[name], tuple) else name
                check(label, value, low, below)
        scale = 1.0 if rate == lr else rate / lr
        members = (
            [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        )
        for p in members:
            if not isinstance(p, Tensor) or p.dtype.kind != "f":
                raise OptionError(f"parameter {len(flat)} must be a Tensor of floats; got {p!r}.")
            if any(p is q for q in flat):
                raise OptionError(f"parameter {len(flat)} is in two groups; it can be in one.")
            flat.append(p)
            found.append(SimpleNamespace(lr_scale=scale, **merged))
    if not flat:
        raise OptionError("an optimizer needs parameters; the groups given have none.")
    return flat, found


def check(name: str, value: Any, low: float, below: float = float("inf")) -> None:
    """Raises OptionError unless low <= value < below."""
    is_number = isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(
        value, bool
    )
    if not is_number or not low <= value < below:
        limits = (
            f"{low:g} or more" if below == float("inf") else f"at least {low:g} and below {below:g}"
        )
        raise OptionError(f"{name} must be a number, {limits}; got {value!r}.")
