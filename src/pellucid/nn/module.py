"""Module: an ordinary object that holds parameters, buffers and other modules as attributes.

Parameters are Tensors that require a gradient; other Tensors are buffers (stored, not learned).
Names are the attribute paths, '0.weight', as in PyTorch. Attributes that begin with '_' are private:
they are neither stored nor trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np

from ..base import dtypes
from ..base.errors import FormatError, PellucidError, ShapeError
from ..tensor.tensor import Tensor, assign


@dataclass(frozen=True)
class Layout:
    """How PyTorch stores a parameter: theirs = ours.reshape(split).transpose(axes), reshaped to their rank.

    axes   the order of the axes there
    split  sizes that ours is seen with first, where one axis here holds several that change places
    merge  how many axes, one after the other, become each axis there; one each when left out"""

    axes: tuple[int, ...]
    split: tuple[int, ...] | None = None
    merge: tuple[int, ...] | None = None

    def to_pytorch(self, ours: np.ndarray) -> np.ndarray:
        """The array that PyTorch would store."""
        theirs = (ours if self.split is None else ours.reshape(self.split)).transpose(self.axes)
        return theirs if self.merge is None else theirs.reshape(self._merged(theirs.shape))

    def shape_there(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of our array `shape` in PyTorch."""
        order = tuple((self.split or shape)[a] for a in self.axes)
        return order if self.merge is None else self._merged(order)

    def from_pytorch(self, theirs: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """PyTorch's array in our `shape`; shape_there(shape) says what it must be."""
        split = self.split or shape
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return theirs.reshape([split[a] for a in self.axes]).transpose(back).reshape(shape)

    def _merged(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        found, at = [], 0
        for n in self.merge or ():
            found.append(prod(sizes[at : at + n]))
            at += n
        return tuple(found)


class Module:
    """Base of all layers. A subclass sets its attributes in __init__ and defines `forward`."""

    training = True
    # Own parameters that PyTorch stores with other axes: theirs = ours.transpose(axes). Linear's weight
    # is (in, out) here, (out, in) there: {"weight": (1, 0)}. A Layout says what no permutation can.
    layouts: Mapping[str, tuple[int, ...] | Layout] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, x)")

    def __call__(self, *args, **kwargs):
        try:
            return self.forward(*args, **kwargs)
        except PellucidError as error:
            self._locate(error)
            raise

    def _locate(self, error: PellucidError) -> None:
        """Adds to the message which layer failed: its path from the outermost module, which is passed last."""
        if len(error.args) != 1 or not isinstance(error.args[0], str):
            return
        # (the module that raised or passed on, path below it, what is said at the end)
        inner, path, text = getattr(error, "_layer", (None, "", ""))
        if inner is None:
            text = error.args[0]
            if not text.startswith(type(self).__name__):
                text = f"{type(self).__name__}({self.extra_repr()}): {text}"
        elif inner is not self:
            name = next((name for name, child in self.modules() if child is inner), None)
            if name is None:  # a private attribute holds it: what is known stays
                return
            path = f"{name}.{path}" if path else name
        error.args = (f"layer '{path}': {text}" if path else text,)
        error._layer = (self, path, text)  # type: ignore[attr-defined]

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

    def _named_tensors(self) -> Iterator[tuple[str, Tensor, Layout | None]]:
        """(path, tensor, how PyTorch stores it), each tensor once even when it is shared."""
        seen: set[int] = set()
        for path, module in self.modules():
            for name, value in vars(module).items():
                if isinstance(value, Tensor) and not name.startswith("_") and id(value) not in seen:
                    seen.add(id(value))
                    layout = module.layouts.get(name)
                    if isinstance(layout, tuple):
                        layout = Layout(layout)
                    yield (f"{path}.{name}" if path else name), value, layout

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
        """Copies of all parameters and buffers by name; layout 'pytorch' has weights as PyTorch stores them."""
        _check_layout(layout)
        return {
            name: np.array(
                tensor.numpy()
                if there is None or layout == "pellucid"
                else there.to_pytorch(tensor.numpy()),
                order="C",
            )
            for name, tensor, there in self._named_tensors()
        }

    def load_state_dict(
        self, state: Mapping[str, np.ndarray], strict: bool = True, layout: str = "pellucid"
    ) -> None:
        """Overwrites parameters and buffers. All names and shapes are checked before anything is changed.

        strict   every name must be here and there; otherwise what is missing keeps its value
        layout   'pytorch' for arrays as PyTorch stores them

        Raises FormatError or ShapeError that lists every entry that does not fit."""
        _check_layout(layout)
        own = {name: (tensor, there) for name, tensor, there in self._named_tensors()}
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if strict and (missing or unknown):
            raise FormatError(
                f"the weights do not belong to this network: missing {_some(missing)}, not in the network "
                f"{_some(unknown)}. To load what fits use strict=False."
            )
        values, unfit = {}, []
        for name, (tensor, there) in own.items():
            if name not in state:
                continue
            value = np.asarray(state[name])
            is_theirs = there is not None and layout == "pytorch"
            needed = there.shape_there(tensor.shape) if there and is_theirs else tensor.shape
            if value.shape != needed:
                hint = ""
                if there and not is_theirs and value.shape == there.shape_there(tensor.shape):
                    hint = " These are PyTorch's axes: PyTorch's files need layout='pytorch'."
                unfit.append(
                    f"{name}: the stored shape is {value.shape}, the network's {needed}.{hint}"
                )
                continue
            if value.dtype.kind != np.dtype(tensor.dtype.name).kind:
                raise FormatError(
                    f"{name}: the stored dtype is {value.dtype}, the network's {tensor.dtype}."
                )
            if there and is_theirs:
                value = there.from_pytorch(value, tensor.shape)
            values[name] = np.array(value, dtypes.of(tensor.dtype).numpy, order="C")
        if unfit:
            more = f"\n... and {len(unfit) - 20} more" if len(unfit) > 20 else ""
            raise ShapeError("\n".join(unfit[:20]) + more)
        assign(*((own[name][0], Tensor(value)) for name, value in values.items()))

    # For people

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr."""
        return ""

    def __repr__(self) -> str:
        children = list(self.children())
        own = sum(
            t.size
            for n, t in vars(self).items()
            if isinstance(t, Tensor) and t.requires_grad and not n.startswith("_")
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


def flatten_order(
    layer: Module, inputs: tuple[int, ...] | None = None, outputs: tuple[int, ...] | None = None
) -> Module:
    """Tells a Linear that its rows or columns are an image's values; returns the layer.

    inputs   (H, W, C) or (L, C): sizes before the Flatten that feeds the layer
    outputs  the same, where an Unflatten follows

    PyTorch flattens (C, H, W), so its weights have these rows in another order. state_dict and
    load_state_dict with layout='pytorch' put them right. Raises ShapeError when sizes do not multiply
    to the layer's."""
    weight, bias = layer.weight, layer.bias  # type: ignore[attr-defined]
    sides = []
    for name, sizes, n in (
        ("inputs", inputs, weight.shape[0]),
        ("outputs", outputs, weight.shape[1]),
    ):
        sizes = (n,) if sizes is None else tuple(sizes)
        if prod(sizes) != n:
            raise ShapeError(
                f"flatten_order: {name} {sizes} are {prod(sizes)} values, but the layer has {n}. "
                f"Give the sizes of one sample, channels last."
            )
        sides.append(sizes)
    rows, columns = sides
    n, m = len(rows), len(columns)
    # Channels first on each side; (out, in) there.
    axes = (n + m - 1, *range(n, n + m - 1), n - 1, *range(n - 1))
    layouts: dict[str, tuple[int, ...] | Layout] = {
        "weight": Layout(axes, (*rows, *columns), (m, n))
    }
    if bias is not None and m > 1:
        layouts["bias"] = Layout((m - 1, *range(m - 1)), columns, (m,))
    layer.layouts = layouts
    return layer


def _check_layout(layout: str) -> None:
    if layout not in ("pellucid", "pytorch"):
        raise FormatError(
            f"layout {layout!r} is unknown: 'pellucid' stores weights (in, out), 'pytorch' (out, in)."
        )


def _some(names: list[str]) -> str:
    if not names:
        return "nothing"
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
