"""Where a number stopped being finite: the batch is run layer by layer, outside any compiled step."""

from collections.abc import Callable, Iterator

import numpy as np

from ..data.dataset import Dataset
from ..nn.container import Sequential
from ..nn.module import Module
from ..tensor.tensor import Tensor


def describe_non_finite(
    network: Module,
    data: Dataset,
    rows: np.ndarray,
    loss_of: Callable,
    is_loss_finite: bool,
    after: dict[str, np.ndarray],
) -> str:
    """A sentence that names the layer and the rows (or the parameter) where NaN or infinity begins.

    network  with the weights from before the failing step; after holds those from after it"""
    if is_loss_finite:
        parameter = next(n for n, v in after.items() if not np.isfinite(v).all())
        n_bad = int((~np.isfinite(after[parameter])).sum())
        return (
            f"the loss is finite, but the gradient is not: the update makes {n_bad} of {after[parameter].size} values "
            f"of {parameter!r}{_layer_of(network, parameter)} infinite or NaN, in the batch of "
            f"{_rows(rows, data.name)}."
        )
    x = Tensor(np.ascontiguousarray(data.x[rows], np.float32))
    out = x
    for name, layer, out in _outputs(network, x):
        finite = np.isfinite(out.numpy()).reshape(len(rows), -1).all(1)
        if not finite.all():
            return (
                f"the loss is not finite. It begins in the output of layer {name}, {_head(layer)}, for "
                f"{_rows(rows[~finite], data.name)} ({int((~finite).sum())} of the {len(rows)} in the batch)."
            )
    target = Tensor(np.ascontiguousarray(data.y[rows]))
    if target.dtype.kind == "f":
        out = out.reshape(target.shape)
    losses = loss_of(out, target, reduction="none").numpy()
    finite = np.isfinite(losses)
    worst = rows[~finite] if not finite.all() else rows[[int(np.argmax(losses))]]
    return (
        f"the loss is not finite, though every layer's output is: it begins in the loss of "
        f"{_rows(worst, data.name)}."
    )


def _outputs(network: Module, x: Tensor) -> Iterator[tuple[str, Module, Tensor]]:
    if isinstance(network, Sequential):
        yield from network.forward(x, trace=True)[1]
    else:
        yield "all", network, network(x)


def _layer_of(network: Module, parameter: str) -> str:
    path = parameter.rpartition(".")[0]
    for name, module in network.modules():
        if name and name == path:
            return f" (layer {name}, {_head(module)})"
    return ""


def _head(module: Module) -> str:
    return f"{type(module).__name__}({module.extra_repr()})"


def _rows(rows: np.ndarray, name: str) -> str:
    shown = ", ".join(str(int(r)) for r in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"row{'s' if len(rows) != 1 else ''} {shown}{more} of {name}"
