"""Digest: one name for what a graph computes, equal in every process: the key under which its program is kept."""

import hashlib
from collections.abc import Mapping, Sequence

from .loop import Loop
from .node import Node, topological_order


def digest(leaves: Sequence[Node], roots: Sequence[Node]) -> str:
    """SHA-256 of the listing of `roots`; a leaf is named by its place among `leaves` and by its own name."""
    places = {n: f"{i} {n.params[1]!r}" for i, n in enumerate(leaves)}
    return _digest(places, roots, {})


def _digest(places: Mapping[Node, str], roots: Sequence[Node], loops: dict[tuple, str]) -> str:
    number: dict[Node, int] = {}
    found = hashlib.sha256()
    for n in topological_order(roots):
        if n.op == "leaf":
            params = places[n]
        elif n.op == "scan":
            params = _tap(n, loops)
        else:
            params = repr(n.params)
        inputs = [number[x] for x in n.inputs]
        number[n] = len(number)
        found.update(f"{n.op} {inputs} {params} {n.shape} {n.dtype.name}\n".encode())
    found.update(repr([number[r] for r in roots]).encode())
    return found.hexdigest()


def _tap(n: Node, loops: dict[tuple, str]) -> str:
    """A scan node's parameters: the loop by what its body computes."""
    loop, (kind, what) = n.params
    assert isinstance(loop, Loop)
    key = (loop, kind, what)
    if key not in loops:
        places = {x: repr(x.params) for x in loop.leaves}
        roots = [*loop.nexts, *([what] if kind == "stack" else [])]
        body = _digest(places, roots, loops)
        counts = (len(loop.carries), len(loop.xs), len(loop.consts))
        loops[key] = (
            f"{kind} {what if kind == 'final' else ''} {counts} {loop.length} {loop.reverse} {body}"
        )
    return loops[key]
