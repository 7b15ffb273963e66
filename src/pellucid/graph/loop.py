"""Loop: the body of a `scan`, a graph of its own over leaves that stand for one step's values.

    carry = first
    for t in range(length):               # or from the last to the first
        carry = next(carry, x[t], const)

A scan node is a tap on a loop: Node("scan", (*first carries, *stacked xs, *consts), (loop, tap)).
    ("final", i)     the last value of carry i
    ("stack", node)  the value of any node of the body at every step, (length, *shape), that of step t at place t
All scan nodes of one loop on the same inputs are computed together, and what nobody taps is not computed.
Source: jax.lax.scan, whose body is also a graph of its own (Bradbury et al. 2018)."""

import itertools
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .infer import make, with_inputs
from .node import Node, intern, topological_order

Tap = tuple[str, Any]  # ("final", int) or ("stack", Node)


@dataclass(frozen=True, eq=False, repr=False)
class Loop:
    """Made by `Scan`: equal loops are one object, because their leaves are named by place.

    carries, xs, consts  leaves of the body: what a step begins with, entry t of the xs, what never changes
    nexts                nodes of the body: the carries as the next step begins
    reverse              t goes from length - 1 to 0"""

    carries: tuple[Node, ...]
    xs: tuple[Node, ...]
    consts: tuple[Node, ...]
    nexts: tuple[Node, ...]
    length: int
    reverse: bool
    number: int  # of its making: names the loop

    def __repr__(self) -> str:
        return f"loop{self.number}"

    @property
    def leaves(self) -> tuple[Node, ...]:
        """Leaves of the body, in the order of a scan node's inputs."""
        return self.carries + self.xs + self.consts

    @property
    def steps(self) -> range:
        """The values of t, in order."""
        order = range(self.length)
        return order[::-1] if self.reverse else order


_interned: "weakref.WeakValueDictionary[tuple, Loop]" = weakref.WeakValueDictionary()
_numbers = itertools.count()


class Scan:
    """A loop on its inputs; makes the taps.

    carries  (leaf, first value, value after a step) each
    xs       (leaf, stacked array) each
    consts   (leaf, value) each

    The leaves are those that the caller built the body on: any; `body` says what a node is called within."""

    def __init__(
        self,
        carries: Iterable[tuple[Node, Node, Node]],
        xs: Iterable[tuple[Node, Node]],
        consts: Iterable[tuple[Node, Node]],
        length: int,
        reverse: bool = False,
    ):
        carries, xs, consts = tuple(carries), tuple(xs), tuple(consts)
        self.inputs = tuple(row[1] for row in (*carries, *xs, *consts))
        self.named: dict[Node, Node] = {}
        own = []
        for kind, rows in (("carry", carries), ("x", xs), ("const", consts)):
            own.append(tuple(_name(row[0], f"{kind}{i}") for i, row in enumerate(rows)))
            self.named.update(zip((row[0] for row in rows), own[-1], strict=True))
        nexts = tuple(self.body([row[2] for row in carries]))
        for x in self.inputs[len(carries) : len(carries) + len(xs)]:
            assert x.shape[:1] == (length,), f"a loop of {length} steps over {x}"
        key = (*(tuple(map(id, part)) for part in (*own, nexts)), length, reverse)
        found = _interned.get(key)
        if found is None:
            found = Loop(own[0], own[1], own[2], nexts, length, reverse, next(_numbers))
            _interned[key] = found
        self.loop = found

    def body(self, nodes: Sequence[Node]) -> list[Node]:
        """What nodes over the caller's leaves are in the loop."""
        return substitute(nodes, self.named)

    def final(self, i: int) -> Node:
        """Carry i after the last step."""
        return make("scan", self.inputs, (self.loop, ("final", i)))

    def stack(self, node: Node) -> Node:
        """The values of a node, given over the caller's leaves, at all steps."""
        return make("scan", self.inputs, (self.loop, ("stack", self.body([node])[0])))


def _name(leaf: Node, name: str) -> Node:
    return intern("leaf", (), (name, name), leaf.shape, leaf.dtype)


def substitute(roots: Sequence[Node], new: Mapping[Node, Node]) -> list[Node]:
    """The roots with other nodes in place of some; replacements are not looked into."""
    made = dict(new)
    stack = [(r, False) for r in reversed(roots)]
    while stack:
        node, is_expanded = stack.pop()
        if node in made:
            continue
        if not is_expanded:
            stack.append((node, True))
            stack.extend((x, False) for x in reversed(node.inputs) if x not in made)
            continue
        made[node] = with_inputs(node, tuple(made[x] for x in node.inputs))
    return [made[r] for r in roots]


def taps_by_loop(order: Iterable[Node]) -> dict[tuple, list[Node]]:
    """(inputs, loop) -> the scan nodes of it, in order."""
    out: dict[tuple, list[Node]] = {}
    for node in order:
        if node.op == "scan":
            out.setdefault((node.inputs, node.params[0]), []).append(node)
    return out


def varying(loop: Loop, roots: Iterable[Node]) -> set[Node]:
    """Nodes of the body whose values differ from step to step: those that read a carry or an x."""
    found = set(loop.carries + loop.xs)
    for node in topological_order(roots):
        if any(x in found for x in node.inputs):
            found.add(node)
    return found
