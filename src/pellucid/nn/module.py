"""Module: an ordinary object that holds parameters, buffers and other modules as attributes.

Parameters are Tensors that require a gradient; other Tensors are buffers (stored, not learned).
Names are the attribute paths, '0.weight', as in PyTorch. Attributes that begin with '_' are private:
they are neither stored nor trained."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from ..base import dtypes
from ..base.errors import FormatError, ShapeError
from ..tensor.tensor import Tensor, assign


class Module:
    """Base of all layers. A subclass sets its attributes in __init__ and defines `forward`."""

    training = True
    # Names of own parameters that PyTorch stores transposed: Linear's weight is (in, out) here, (out, in) there.
    transposed: tuple[str, ...] = ()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, x)")

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    # What it holds

    def children(self) -> Iterator[tuple[str, "Module"]]:
        """(attribute, module) of every module directly inside, in the order of assignment."""
        for name, value in vars(self).items():
            if isinstance(value, Module) and not name.startswith("_"):
                yield name, value

    def modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """(path, module) of this module and every one inside; the path of this one is the prefix."""
        yield prefix, self
        for name, child in self.children():
            yield from child.modules(f"{prefix}.{name}" if prefix else name)

    def _named_tensors(self) -> Iterator[tuple[str, Tensor, bool]]:
        """(path, tensor, stored transposed by PyTorch), each tensor once even when it is shared."""
        seen: set[int] = set()
        for path, module in self.modules():
            for name, value in vars(module).items():
                if isinstance(value, Tensor) and not name.startswith("_") and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value, name in module.transposed

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """(path, tensor) of everything that is learned."""
        return ((name, tensor) for name, tensor, _ in self._named_tensors() if tensor.requires_grad)

    def parameters(self) -> Iterator[Tensor]:
        """Everything that is learned."""
        return (tensor for _, tensor in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """(path, tensor) of everything that is stored but not learned."""
        return (
            (name, tensor) for name, tensor, _ in self._named_tensors() if not tensor.requires_grad
        )

    @property
    def n_parameters(self) -> int:
        """How many numbers are learned."""
        return sum(p.size for p in self.parameters())

    # Modes

    def train(self, mode: bool = True) -> Self:
        """Training mode: dropout drops. Returns itself."""
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Prediction mode: dropout passes everything. Returns itself."""
        return self.train(False)

    # State

    def state_dict(self, layout: str = "pellucid") -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers by name; layout 'pytorch' transposes weights to (out, in)."""
        _check_layout(layout)
        return {
            name: np.array(
                tensor.numpy().T if turned and layout == "pytorch" else tensor.numpy(), order="C"
            )
            for name, tensor, turned in self._named_tensors()
        }

    def load_state_dict(
        self, state: Mapping[str, np.ndarray], strict: bool = True, layout: str = "pellucid"
    ) -> None:
        """Overwrites parameters and buffers. All names and shapes are checked before anything is changed.

        strict   every name must be here and there; otherwise what is missing keeps its value"""
        _check_layout(layout)
        own = {name: (tensor, turned) for name, tensor, turned in self._named_tensors()}
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if strict and (missing or unknown):
            raise FormatError(
                f"the weights do not belong to this network: missing {_some(missing)}, not in the network "
                f"{_some(unknown)}. To load what fits use strict=False."
            )
        values = {}
        for name, (tensor, turned) in own.items():
            if name not in state:
                continue
            value = np.asarray(state[name])
            if turned and layout == "pytorch":
                value = value.T
            if value.shape != tensor.shape:
                hint = ""
                if turned and value.T.shape == tensor.shape:
                    hint = " These are the transposed sizes: PyTorch's files need layout='pytorch'."
                raise ShapeError(
                    f"{name}: the stored shape is {value.shape}, the network's {tensor.shape}.{hint}"
                )
            if value.dtype.kind != np.dtype(tensor.dtype.name).kind:
                raise FormatError(
                    f"{name}: the stored dtype is {value.dtype}, the network's {tensor.dtype}."
                )
            values[name] = np.array(value, dtypes.of(tensor.dtype).numpy, order="C")
        assign(*((own[name][0], Tensor(value)) for name, value in values.items()))

    # For people

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr."""
        return ""

    def __repr__(self) -> str:
        children = list(self.children())
        own = sum(
            t.size for n, t in vars(self).items() if isinstance(t, Tensor) and not n.startswith("_")
        )
        head = f"{type(self).__name__}({self.extra_repr()})"
        if not children:
            return f"{head}  {own:,} parameters" if own else head
        width = max(len(name) for name, _ in children)
        lines = [f"{type(self).__name__}({self.extra_repr()}  # {self.n_parameters:,} parameters"]
        for name, child in children:
            first, *rest = repr(child).split("\n")
            lines += [f"  ({name:>{width}}) {first}", *(f"  {line}" for line in rest)]
        return "\n".join([*lines, ")"])


def _check_layout(layout: str) -> None:
    if layout not in ("pellucid", "pytorch"):
        raise FormatError(
            f"layout {layout!r} is unknown: 'pellucid' stores weights (in, out), 'pytorch' (out, in)."
        )


def _some(names: list[str]) -> str:
    if not names:
        return "nothing"
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
