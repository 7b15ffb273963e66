"""Optimizer: parameters, their gradients, and a rule that overwrites the parameters.

A rule is graph code: inside a compiled step it becomes part of the program, and its moments are
buffers that the program overwrites in place. Argument names and update order follow PyTorch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..base.errors import FormatError, OptionError, ShapeError
from ..tensor.tensor import Tensor, assign

Updates = list[tuple[Tensor, Any]]


class Optimizer:
    """Base of all. A subclass lists its buffers with `_buffer` and defines `_update`.

    lr is a stored scalar: setting it between steps changes compiled steps too."""

    def __init__(self, parameters: Iterable[Tensor], lr: float):
        self.parameters = list(parameters)
        if not self.parameters:
            raise OptionError("an optimizer needs parameters; the network given has none.")
        for i, p in enumerate(self.parameters):
            if not isinstance(p, Tensor) or p.dtype.kind != "f":
                raise OptionError(f"parameter {i} must be a Tensor of floats; got {p!r}.")
        check("lr", lr, 0.0)
        self._state: dict[str, Tensor] = {}
        self._lr = self._scalar("lr", float(lr))

    # The rule

    def step(self, grads: Sequence[Tensor | None] | None = None) -> None:
        """Overwrites every parameter once. grads are the parameters' `.grad` when left out; a
        parameter without gradient stays."""
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
        pairs = self._begin_step()
        for i, (p, g) in enumerate(zip(self.parameters, given, strict=True)):
            if g is not None:
                pairs += self._update(i, p, g)
        assign(*pairs)  # all at once: one program also where nothing is compiled

    def _begin_step(self) -> Updates:
        """What a step does once, before the parameters."""
        return []

    def _update(self, i: int, p: Tensor, g: Tensor) -> Updates:
        """(tensor, its new value) for parameter i and its buffers."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters."""
        for p in self.parameters:
            p.grad = None

    # State

    @property
    def lr(self) -> float:
        """The learning rate: the size of a step."""
        return self._lr.item()

    @lr.setter
    def lr(self, value: float) -> None:
        check("lr", value, 0.0)
        self._lr.assign(Tensor(np.float64(value)))

    def _scalar(self, name: str, value: float) -> Tensor:
        """A stored float64 number: exact enough for beta^t, cast where a parameter meets it."""
        self._state[name] = Tensor(np.asarray(value, np.float64))
        return self._state[name]

    def _buffer(self, name: str) -> list[Tensor]:
        """Zeros of each parameter's shape and dtype."""
        made = []
        for i, p in enumerate(self.parameters):
            made.append(Tensor(np.zeros(p.shape, p.dtype.numpy)))
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
