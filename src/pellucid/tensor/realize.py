"""Expressions become values: nodes -> Graph -> Executable -> arrays, with programs reused by structure.

A graph is flattened once, in a loop, from the wanted nodes down to values that are known. Leaves
are numbered in the order of that walk, so that the same expression over other data has the same
key and meets the program that was made for it. Every walk here is iterative: depth does not matter."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..base.errors import TraceError
from ..graph.node import Node, intern
from ..program.graph import Graph
from ..runtime.buffers import aligned_copy
from . import engine
from .storage import CUT, DATA, Storage, know, known

# Eager programs are kept, the least recently used goes first. A program holds memory: its arena, and the
# arrays of its last call.
MAX_PROGRAMS = 512
MAX_PROGRAM_BYTES = 256 * 2**20
# A computed value keeps the expression it came from, so that a gradient can still be asked for. Without
# a parameter in it, that history is cut where it holds more than this:
MAX_HISTORY_NODES = 10_000
MAX_HISTORY_BYTES = 64 * 2**20


@dataclass
class Walk:
    """A graph, flattened: what an engine and a cache need.

    order     nodes to compute, inputs before users, aliases resolved away
    leaves    nodes that stand for known values or for arguments, in order of first use
    storages  the Storage of each leaf, or None for an argument of a trace
    number    node -> its number: leaves and operations are counted together, in order of the walk"""

    order: list[Node]
    leaves: list[Node]
    storages: list[Storage | None]
    number: dict[Node, int]


def source_of(node: Node) -> Node:
    """The node behind aliases (leaves that stop gradients)."""
    row = known(node)
    while row is not None and isinstance(row.source, Node):
        node = row.source
        row = known(node)
    return node


def walk(roots: Sequence[Node]) -> Walk:
    """From the roots down to known values. Two leaves of one Storage are one leaf."""
    w = Walk([], [], [], {})
    by_storage: dict[Storage, int] = {}
    stack: list[tuple[Node, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        node, is_expanded = stack.pop()
        number = w.number
        if node in number:
            continue
        row = known(node)
        if is_expanded:
            if row is not None:  # an alias: its target is numbered now
                number[node] = number[row.source]  # type: ignore[index]
            else:
                number[node] = len(w.leaves) + len(w.order)
                w.order.append(node)
            continue
        if row is not None and isinstance(row.source, Storage):
            at = by_storage.get(row.source)
            if at is None:
                at = by_storage[row.source] = len(w.leaves) + len(w.order)
                w.leaves.append(node)
                w.storages.append(row.source)
            number[node] = at
        elif row is not None:
            stack.append((node, True))
            stack.append((row.source, False))  # type: ignore[arg-type]
        elif node.op == "leaf":
            number[node] = len(w.leaves) + len(w.order)
            w.leaves.append(node)
            w.storages.append(None)
        else:
            stack.append((node, True))
            for x in reversed(node.inputs):
                if x not in number:
                    stack.append((x, False))
    return w


def structure(w: Walk, roots: Sequence[Node]) -> tuple:
    """A key that is equal for equal graphs over other leaves."""
    number = w.number
    # repr where numbers occur: 1, 1.0 and True hash alike, and so do 0.0 and -0.0.
    rows = tuple(
        (
            x.op,
            repr(x.params) if x.op in ("const", "pad") else x.params,
            *[number[i] for i in x.inputs],
        )
        for x in w.order
    )
    leaves = tuple((number[x], x.shape, x.dtype) for x in w.leaves)
    return rows, leaves, tuple(number[r] for r in roots)


def rebuilt(w: Walk, names: Sequence[str] | None = None) -> dict[int, Node]:
    """The same graph over fresh leaves, by number: it keeps no value alive, and equal leaves of equal
    graphs are equal nodes."""
    new: dict[int, Node] = {}
    for i, x in enumerate(w.leaves):
        # A node that was realised before is a leaf here, whatever its op is.
        name = names[i] if names else x.params[1] if x.op == "leaf" else ""
        # Numbers below zero: never those of graph.node.leaf.
        new[w.number[x]] = intern("leaf", (), (-1 - i, name), x.shape, x.dtype)
    for x in w.order:
        inputs = tuple(new[w.number[i]] for i in x.inputs)
        new[w.number[x]] = intern(x.op, inputs, x.params, x.shape, x.dtype)
    return new


class Programs:
    """Eager programs by structure, within bounds."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple, tuple[engine.Executable, int]] = OrderedDict()
        self.n_bytes = 0

    def get(self, key: tuple) -> engine.Executable | None:
        """The program of this structure, if it is kept."""
        found = self.kept.get(key)
        if found is None:
            return None
        self.kept.move_to_end(key)
        return found[0]

    def keep(self, key: tuple, program: engine.Executable, graph: Graph) -> None:
        """Keep one more; older ones go."""
        n_bytes = getattr(getattr(program, "program", None), "arena_bytes", 0)
        n_bytes += sum(x.size * x.dtype.itemsize for x in (*graph.inputs, *graph.outputs))
        self.kept[key] = program, n_bytes
        self.n_bytes += n_bytes
        while len(self.kept) > MAX_PROGRAMS or self.n_bytes > MAX_PROGRAM_BYTES:
            _, (_, freed) = self.kept.popitem(last=False)
            self.n_bytes -= freed


_programs = Programs()


def compute(roots: Sequence[Node]) -> tuple[list[np.ndarray], Walk]:
    """The values of the nodes, as new arrays that nobody else holds, and the walk that found them."""
    w = walk(roots)
    given: dict[int, Storage] = {}
    for leaf, storage in zip(w.leaves, w.storages, strict=True):
        if storage is None:
            raise TraceError(_UNKNOWN.format(leaf.params[1] or "an argument"))
        given[w.number[leaf]] = storage
    wanted = {w.number[r]: r for r in roots if w.number[r] not in given}
    arrays: dict[int, np.ndarray] = {}
    if wanted:
        outputs = list(wanted.values())
        key = (os.environ.get("PELLUCID_ENGINE"), structure(w, outputs))
        program = _programs.get(key)
        if program is None:
            new = rebuilt(w)
            leaves = tuple(new[w.number[x]] for x in w.leaves)
            graph = Graph(leaves, (), tuple(new[n] for n in wanted))
            program = engine.load(graph)
            _programs.keep(key, program, graph)
        inputs = [s.array for s in given.values()]
        results = program.run(inputs, [])
        arrays = dict(zip(wanted, results, strict=True))
    values = [
        arrays[w.number[r]] if w.number[r] in arrays else aligned_copy(given[w.number[r]].array)
        for r in roots
    ]
    return values, w


_UNKNOWN = (
    "a value was asked for while a compiled function or a scan is being traced, and it depends on {}: it is "
    "only known when the function runs. Python's if, while, int(), float(), print of values and NumPy "
    "cannot look at it. Use where(condition, a, b) instead of if, return the tensor and look at it "
    "outside, or leave this function uncompiled."
)


@dataclass(frozen=True)
class History:
    """What computed values keep alive through their expressions."""

    n_nodes: int
    n_bytes: int
    is_tracked: bool

    @property
    def is_kept(self) -> bool:
        """Bounded, or wanted for the gradient of a parameter."""
        return self.is_tracked or (
            self.n_nodes <= MAX_HISTORY_NODES and self.n_bytes <= MAX_HISTORY_BYTES
        )


def history(w: Walk) -> History:
    """The size of the expressions that were walked, with the histories of the values they start from."""
    n_nodes, n_bytes, is_tracked = len(w.order), 0, False
    for x, storage in zip(w.leaves, w.storages, strict=True):
        row = known(x)
        if row is None or storage is None:
            continue
        is_parameter = storage.owner is not None and storage.owner() is not None
        is_tracked |= is_parameter or row.is_tracked
        n_nodes += 1 + row.n_nodes
        # Data is mostly held by the user anyway, computed values only by the history.
        n_bytes += (storage.array.nbytes >> (4 if x.op == "leaf" else 0)) + row.n_bytes
    return History(n_nodes, n_bytes, is_tracked)


def realize_nodes(nodes: Sequence[Node]) -> list[tuple[Storage, bool]]:
    """The Storage of each node, and whether its expression is kept for gradients. One program
    computes them all; the table learns the values, so that nothing is computed twice."""
    out: dict[Node, tuple[Storage, bool]] = {}
    pending: list[Node] = []
    for node in dict.fromkeys(nodes):
        row = known(source_of(node))
        if row is not None and row() is node:
            assert isinstance(row.source, Storage)
            if node.op == "leaf":  # somebody's data, which its owner may overwrite: a copy
                out[node] = Storage(aligned_copy(row.source.array)), node.dtype.kind == "f"
            else:
                past = History(row.n_nodes, row.n_bytes, row.is_tracked)
                out[node] = row.source, past.is_kept
        else:
            pending.append(node)
    if pending:
        arrays, w = compute(pending)
        past = history(w)
        for node, array in zip(pending, arrays, strict=True):
            is_kept = node.op != "leaf" and node.dtype.kind == "f" and past.is_kept
            has_history = node.op not in ("leaf", "const", "iota", "broadcast")
            lost = node.dtype.kind == "f" and has_history and not is_kept
            storage = Storage(array, CUT if lost else DATA)
            row = know(node, storage)
            row.n_nodes, row.n_bytes, row.is_tracked = past.n_nodes, past.n_bytes, past.is_tracked
            out[node] = storage, is_kept
    return [out[n] for n in nodes]
