"""grad: derivatives as tensors, which can be differentiated again. Tensor.backward is the other face."""

from collections.abc import Sequence
from typing import Any

from ..base.errors import DTypeError, PellucidError
from ..graph.infer import constant, make
from ..graph.node import Node, topological_order
from ..transform.gradient import gradients
from .storage import CUT, Storage, known
from .tensor import Tensor, cotangent_of, from_node, owner_of


def grad(output: Tensor, wrt: Tensor | Sequence[Tensor], gradient: Tensor | None = None) -> Any:
    """d output / d tensor, for one tensor or a list of them; can be differentiated again.

    output    one number, unless the cotangent `gradient`, of its shape, is given
    returns   a tensor of the shape of each wrt; zeros where output does not depend on it"""
    listed = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    for i, t in enumerate(listed):
        if not isinstance(t, Tensor) or t.dtype.kind != "f":
            what = t.dtype if isinstance(t, Tensor) else type(t).__name__
            raise DTypeError(
                f"grad: wrt[{i}] is {what}; it must be a tensor of float32 or float64."
            )
    start = cotangent_of(output, gradient, "grad")
    order = topological_order([output.node])
    leaves = [x for x in order if x.op == "leaf"]
    nodes: list[list[Node]] = []
    for t in listed:
        own = [t.node]
        if t.requires_grad:  # a parameter stands for all its leaves: before and after an update
            own += [x for x in leaves if x is not own[0] and owner_of(x) is t]
        nodes.append(own)
    flat = [x for own in nodes for x in own]
    found = dict(zip(flat, gradients([output.node], [start], flat), strict=True))
    results = []
    for i, (t, own) in enumerate(zip(listed, nodes, strict=True)):
        parts = [g for x in own if (g := found[x]) is not None]
        _check_history(leaves, t, i, bool(parts))
        if parts:
            total = parts[0]
            for part in parts[1:]:
                total = make("add", (total, part))
        else:
            total = constant(0.0, t.dtype, t.shape)
        results.append(from_node(total))
    return results[0] if isinstance(wrt, Tensor) else results


def _check_history(leaves: list[Node], t: Tensor, i: int, is_reached: bool) -> None:
    """A value whose expression is gone may have come from t: then the gradient would be wrong."""
    if is_reached and t.requires_grad:
        return
    for x in leaves:
        row = known(x)
        s = row.source if row is not None else None
        if not isinstance(s, Storage) or s is t._storage or not s.origin:
            continue
        if (s.origin == CUT or not is_reached) and (t._storage is None or t._storage.born < s.born):
            reason = (
                "has a long history that was dropped when its value was read"
                if s.origin == CUT
                else "came out of a compiled function, without its expression"
            )
            raise PellucidError(
                f"grad: the output depends on a value of shape {s.array.shape} that {reason}, so "
                f"its gradient by wrt[{i}] is not known. Take the gradient before the value is read "
                "(or inside the compiled function), or give wrt requires_grad=True at the start."
            )
