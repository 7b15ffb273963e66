"""scan: a loop over time whose body is recorded once, as one node of the graph (graph/loop.py)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base.errors import DTypeError, OptionError, PellucidError, ShapeError
from ..graph.infer import constant, make
from ..graph.loop import Scan
from ..graph.node import Node, intern, leaf
from .storage import active, known
from .tensor import Tensor, as_tensor, from_node
from .trace import _TENSOR, flatten, unflatten


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any = None,
    *,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """`carry, y = step(carry, x)` for each entry x of xs: (last carry, ys stacked along a new first axis).

    step     takes and gives what `carry` is, keeping every shape and dtype; it is run once, to be recorded
    carry    a tensor, None, or nested tuples, lists and dicts of them; so are xs and y
    xs       tensors (T, ...); None if a step reads nothing new
    length   T, where xs do not tell
    reverse  from entry T - 1 to entry 0; the y of entry t is at place t all the same

    Equal to a Python loop, but compiled once whatever T is. Tensors that step reads from outside are
    constants of the loop, with gradients. No assign and no random draw inside: carry the value on, draw before
    and give it by xs. Raises ShapeError where a carry changes its shape, DTypeError where it changes its dtype. As
    jax.lax.scan.

        def step(total, x):
            total = total + x
            return total, total
        last, sums = pellucid.scan(step, pellucid.tensor(0.0), pellucid.tensor([1.0, 2.0, 3.0]))
        # 6.0 and [1.0, 3.0, 6.0]"""
    firsts: list = []
    inputs: list = []
    carry_form = flatten(carry, firsts, _is_value)
    xs_form = flatten(xs, inputs, _is_array)
    firsts, inputs = [as_tensor(t) for t in firsts], [as_tensor(t) for t in inputs]
    n = _length(inputs, _paths(xs_form, "xs"), length)
    carries = [leaf(t.shape, t.dtype, "carry") for t in firsts]
    entries = [leaf(t.shape[1:], t.dtype, "x") for t in inputs]

    active.n_loops += 1
    try:
        result = step(
            unflatten(carry_form, map(from_node, carries)),
            unflatten(xs_form, map(from_node, entries)),
        )
        if not isinstance(result, tuple) or len(result) != 2:
            raise OptionError(
                f"scan: step must return a pair (carry, y), not {type(result).__name__}. "
                "Where there is nothing to stack, return (carry, None)."
            )
        after: list = []
        after_form = flatten(result[0], after, _is_value)
        ys: list = []
        ys_form = flatten(result[1], ys, _is_value)
        after, ys = [as_tensor(t) for t in after], [as_tensor(t) for t in ys]
        _check_carry(carry_form, firsts, after_form, after)
        nodes = [t.node for t in (*after, *ys)]
    finally:
        active.n_loops -= 1
    body, consts = _body(nodes, [*carries, *entries])
    loop = Scan(
        zip(carries, (t.node for t in firsts), body[: len(after)], strict=True),
        zip(entries, (t.node for t in inputs), strict=True),
        consts,
        n,
        reverse,
    )
    last = [from_node(loop.final(i)) for i in range(len(carries))]
    stacked = [from_node(loop.stack(y)) for y in body[len(after) :]]
    return unflatten(carry_form, iter(last)), unflatten(ys_form, iter(stacked))


def _is_array(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _is_value(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray, np.generic, bool, int, float))


def _paths(form: Any, name: str) -> list[str]:
    """What to call each tensor of a structure: carry[0]['h']."""
    if form is _TENSOR:
        return [name]
    if form[0] is None:
        return []
    keys = form[1] if form[0] is dict else range(len(form) - 1)
    parts = form[2:] if form[0] is dict else form[1:]
    return [p for k, s in zip(keys, parts, strict=True) for p in _paths(s, f"{name}[{k!r}]")]


def _length(xs: list[Tensor], names: list[str], length: int | None) -> int:
    for x, name in zip(xs, names, strict=True):
        if not x.shape:
            raise ShapeError(f"scan: {name} is one number; its first axis must be the steps.")
        if length is None:
            length = x.shape[0]
        if x.shape[0] != length:
            said = "length" if name == names[0] else names[0]
            raise ShapeError(
                f"scan: {name} has {x.shape[0]} entries, {said} says {length}: they must be equal."
            )
    if length is None:
        raise OptionError("scan without xs does not know how many steps to do: give length.")
    if length < 1:
        raise ShapeError(f"scan of {length} steps: it needs 1 or more.")
    return length


def _check_carry(form: Any, before: list[Tensor], after_form: Any, after: list[Tensor]) -> None:
    if after_form != form:
        got = ", ".join(_paths(after_form, "carry")) or "nothing"
        want = ", ".join(_paths(form, "carry")) or "nothing"
        raise ShapeError(
            f"scan: step returns a carry of {got}; it began with {want}. Return the same structure."
        )
    for a, b, name in zip(before, after, _paths(form, "carry"), strict=True):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            error: type[PellucidError] = ShapeError
            fix = "keep its shape"
            if a.shape == b.shape:
                error, fix = DTypeError, f"use astype({a.dtype})"
            raise error(
                f"scan: {name} begins as {a.dtype}{list(a.shape)}, and step returns it as "
                f"{b.dtype}{list(b.shape)}: a carry keeps shape and dtype. In step, {fix}; or begin with "
                f"{b.dtype}{list(b.shape)}."
            )


def _body(roots: Sequence[Node], own: Sequence[Node]) -> tuple[list[Node], list[tuple[Node, Node]]]:
    """The roots with new leaves for what does not depend on `own`, and those leaves' values outside.

    Constants and iota stay inside; detach() of something inside has a constant as surrogate."""
    order: dict[Node, tuple[Node, ...]] = {}  # node -> what it reads, in the order of computing
    stack: list[tuple[Node, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        node, is_expanded = stack.pop()
        if node in order:
            continue
        row = known(node) if node.op == "leaf" else None
        reads = (row.source,) if row is not None and isinstance(row.source, Node) else node.inputs
        if is_expanded or not reads:
            order[node] = reads
        else:
            stack.append((node, True))
            stack.extend((x, False) for x in reversed(reads))
    inside = set(own)
    pure = set()
    for node, reads in order.items():
        if any(x in inside for x in reads):
            inside.add(node)
        elif node.op in ("const", "iota") or (reads and all(x in pure for x in reads)):
            pure.add(node)
    consts: dict[Node, Node] = {}
    new = {x: x for x in own}

    def read(x: Node) -> Node:
        views = []  # inside, so that the gradient of a bias is summed over the batch there
        while x not in inside and x not in pure and x.op in ("reshape", "permute", "broadcast"):
            views.append(x)
            (x,) = x.inputs
        if x in inside:
            x = new[x]
        elif x not in pure:
            x = consts.setdefault(x, leaf(x.shape, x.dtype, "const"))
        for view in reversed(views):
            x = make(view.op, (x,), view.params)
        return x

    for node, reads in order.items():
        if node not in inside or node in new:
            continue
        if node.op == "leaf":
            new[node] = make("surrogate", (read(reads[0]), constant(0, node.dtype, node.shape)))
        else:
            inputs = tuple(read(x) for x in reads)
            new[node] = intern(node.op, inputs, node.params, node.shape, node.dtype)
    body = [read(r) for r in roots]
    return body, [(name, x) for x, name in consts.items()]
