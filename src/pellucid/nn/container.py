"""Modules that hold or reshape: Sequential, ModuleList, Residual, Parallel, Flatten, Unflatten."""

from collections.abc import Iterable, Iterator, Sequence
from math import prod

from ..base.errors import OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.shaping import one_axis
from ..tensor.tensor import Tensor
from .init import nearest
from .module import Module


class Sequential(Module):
    """Layers in a row: each takes what the one before gives."""

    def __init__(self, *layers: Module):
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    @property
    def layers(self) -> list[Module]:
        """The layers in order."""
        return [layer for _, layer in self.children()]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __getitem__(self, index):
        found = self.layers[index]
        return Sequential(*found) if isinstance(index, slice) else found

    def forward(self, x: Tensor, trace: bool = False):
        """The last layer's output; with trace=True also [(name, layer, output)] of every layer, in order."""
        steps = []
        for name, layer in self.children():
            x = layer(x)
            if trace:
                steps.append((name, layer, x))
        return (x, steps) if trace else x


class ModuleList(Module):
    """Modules in a list, for a `forward` of your own: a plain list would hide their parameters.

    Names are the places, '0', '1', ... It has no forward."""

    def __init__(self, modules: Iterable[Module] = ()):
        self.extend(modules)

    def append(self, module: Module) -> "ModuleList":
        """One more at the end. Returns itself."""
        if not isinstance(module, Module):
            raise OptionError(
                f"ModuleList holds modules; got {type(module).__name__}. Wrap a function in a Module."
            )
        setattr(self, str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> "ModuleList":
        """Several more at the end. Returns itself."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.children())

    def __getitem__(self, index):
        found = list(self)[index]
        return ModuleList(found) if isinstance(index, slice) else found


class Residual(Module):
    """f(x) + shortcut(x): f learns what is to be added to x. He et al. (2015), eq. 1 and 2.

    f         a module whose output has the shape of x
    shortcut  a module for x where it has not, as a 1x1 convolution; None: x itself"""

    def __init__(self, f: Module, shortcut: Module | None = None):
        self.f, self.shortcut = f, shortcut

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.shortcut is None else self.shortcut(x)
        y = self.f(x)
        if y.shape != short.shape:
            kept = "x" if self.shortcut is None else "the shortcut"
            raise ShapeError(
                f"Residual: f gives shape {y.shape} and {kept} {short.shape}: they are added, so they must be "
                f"equal. Give shortcut a module that makes {y.shape} from {x.shape}, as a 1x1 convolution "
                f"with f's stride."
            )
        return y + short


class Parallel(Module):
    """Branches that all read x; their outputs are added or put side by side. Szegedy et al. (2014), fig. 2.

    join   'sum' (equal shapes), or 'concat' along `axis`
    axis   the last one, the channels, when left out

    Branches are named by their places, '0', '1', ..."""

    def __init__(self, *branches: Module, join: str = "sum", axis: int = -1):
        if not branches:
            raise OptionError("Parallel: give at least one branch.")
        for i, branch in enumerate(branches):
            setattr(self, str(i), branch)
        self.join, self.axis = nearest(join, ("sum", "concat"), "join"), int(axis)

    @property
    def branches(self) -> list[Module]:
        """The branches in order."""
        return [branch for _, branch in self.children()]

    def forward(self, x: Tensor) -> Tensor:
        outputs = [branch(x) for branch in self.branches]
        if self.join == "concat":
            return F.concat(outputs, self.axis)
        total = outputs[0]
        for i, y in enumerate(outputs[1:], 1):
            if y.shape != total.shape:
                raise ShapeError(
                    f"Parallel: branch 0 gives shape {total.shape} and branch {i} {y.shape}: to be added they must "
                    f"be equal. Change one, or use join='concat'."
                )
            total = total + y
        return total

    def extra_repr(self) -> str:
        return self.join + (f" along axis {self.axis}" if self.join == "concat" else "")


class Flatten(Module):
    """(B, ...) -> (B, the rest in one axis).

    Images are (H, W, C) here: a Linear after it that has PyTorch's weights needs nn.flatten_order."""

    def forward(self, x: Tensor) -> Tensor:
        n = 1
        for size in x.shape[1:]:
            n *= size
        return x.reshape((x.shape[0], n))

    def config(self) -> dict:
        return {}


class Unflatten(Module):
    """One axis becomes several: Unflatten(1, (7, 7, 64)) makes images (B, 7, 7, 64) of (B, 3136).

    axis              which one
    unflattened_size  the sizes, which multiply to the axis's; one may be -1: what is left"""

    def __init__(self, axis: int, unflattened_size: Sequence[int]):
        sizes = tuple(unflattened_size)
        if not sizes or sizes.count(-1) > 1 or any(type(n) is not int or n < -1 for n in sizes):
            raise OptionError(
                f"Unflatten: unflattened_size must be whole numbers, at most one of them -1; got "
                f"{unflattened_size!r}."
            )
        self.axis, self.unflattened_size = int(axis), sizes

    def forward(self, x: Tensor) -> Tensor:
        axis = one_axis("Unflatten", self.axis, x.ndim, x.shape)
        sizes, n = self.unflattened_size, x.shape[axis]
        rest = prod(v for v in sizes if v != -1)
        if -1 in sizes and rest and n % rest == 0:
            sizes = tuple(n // rest if v == -1 else v for v in sizes)
        if prod(sizes) != n:
            raise ShapeError(
                f"Unflatten({self.axis}, {self.unflattened_size}) got shape {x.shape}: the sizes make "
                f"{rest} values, and axis {axis} has {n}. Use sizes that multiply to {n}."
            )
        return x.reshape((*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {"axis": self.axis, "unflattened_size": list(self.unflattened_size)}

    def extra_repr(self) -> str:
        return f"{self.axis}, {self.unflattened_size}"
