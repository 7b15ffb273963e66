"""Modules that hold or reshape: Sequential, Flatten."""

from collections.abc import Iterator

from ..tensor.tensor import Tensor
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


class Flatten(Module):
    """(B, ...) -> (B, the rest in one axis)."""

    def forward(self, x: Tensor) -> Tensor:
        n = 1
        for size in x.shape[1:]:
            n *= size
        return x.reshape((x.shape[0], n))

    def config(self) -> dict:
        return {}
