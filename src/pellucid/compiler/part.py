"""Part: a graph on its way to a program: scheduled, as kernel records, with a place for each array.

The program is a part, and so is the body of each loop in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..graph.infer import make
from ..graph.loop import Loop
from ..graph.node import Node
from ..program.graph import Graph
from .code import arrays_of, stores_of
from .convolve import convolve
from .form import make_kernel
from .kernel import (
    Kernel,
    ScatterKernel,
)
from .legalize import legalize
from .memory import plan_arena
from .schedule import Carry, Group, Output, Schedule, array_of


@dataclass(eq=False)
class Part:
    """A scheduled graph, the program's or the body of a loop.

    rows     (level, what computes): kernels, and groups that are loops, in order
    loops    the bodies of those
    offsets  array (or group, for all of a body's arrays) -> its place in this part's memory
    nbytes   size of that memory"""

    graph: Graph
    schedule: Schedule
    levels: list[list[Group]]
    rows: list[tuple[int, Group, Kernel | None]] = field(default_factory=list)
    loops: dict[Group, "Part"] = field(default_factory=dict)
    offsets: dict[object, int] = field(default_factory=dict)
    nbytes: int = 0

    def node(self, array: object) -> Node:
        """A node of an array's shape and dtype."""
        if isinstance(array, Output):
            return self.schedule.outputs[array.number]
        node = array.leaf if isinstance(array, Carry) else array
        assert isinstance(node, Node)
        return node

    def all_kernels(self) -> list[tuple[Group, Kernel]]:
        """Those of the bodies too."""
        out = []
        for _, g, kernel in self.rows:
            out += [(g, kernel)] if kernel is not None else self.loops[g].all_kernels()
        return out


def schedule_part(
    graph: Graph, roots: Sequence[Node], fuse: bool, own: Sequence[Node] = ()
) -> Part:
    """The passes after tidy, up to the memory of what is neither given nor returned, and of states that
    are the part's `own`."""
    states = {s for s, _ in graph.updates}
    n = len(graph.outputs)
    # A state that receives another state's old value needs a value of its own.
    values = [
        make("cast", (v,), (v.dtype.name,)) if v in states and v is not s else v
        for (s, _), v in zip(graph.updates, roots[n:], strict=True)
    ]
    legal = legalize(convolve([*roots[:n], *values]))
    schedule = Schedule(graph, legal, fuse)
    part = Part(graph, schedule, schedule.run())
    # Arrays live from the level that writes them to the last one that reads them.
    life: dict[object, tuple[int, int]] = {}

    def use(array: object, at: int) -> None:
        first, _ = life.get(array, (at, at))
        life[array] = (first, at)

    def add(at: int, g: Group) -> None:
        kernel = make_kernel(g, schedule.stored)
        stores = stores_of(kernel)
        if any(part.node(s.array).size for s in stores) or isinstance(kernel, ScatterKernel):
            part.rows.append((at, g, kernel))
            for array in arrays_of(kernel):
                use(array, at)

    for at, level in enumerate(part.levels):
        inner = [g for g in level if g.kind == "scan"]
        for g in level:
            if g.kind != "scan":
                add(at, g)
        for g in inner:
            for first in _first_carries(g):
                add(at, first)
        for g in inner:
            part.loops[g] = _body(g, fuse)
            part.rows.append((at, g, None))
            n = len(g.root.params[0].carries)
            for array in (g, *g.members, *map(array_of, g.root.inputs[n:])):
                use(array, at)
    given = {*graph.inputs, *graph.state, *schedule.outputs}
    arrays = {
        a: span for a, span in life.items() if a not in given and not isinstance(a, (Output, Carry))
    }
    arrays.update((x, (0, len(part.levels))) for x in own)
    sizes = [
        part.loops[a].nbytes
        if isinstance(a, Group)
        else part.node(a).size * part.node(a).dtype.itemsize
        for a in arrays
    ]
    offsets, part.nbytes = plan_arena(
        [(nbytes, *span) for nbytes, span in zip(sizes, arrays.values(), strict=True)]
    )
    part.offsets = dict(zip(arrays, offsets, strict=True))
    return part


def _first_carries(g: Group) -> list[Group]:
    """Copies of the first carries into the arrays of a loop, those of one size together."""
    loop: Loop = g.root.params[0]
    copies: dict[int, Group] = {}
    for x, first in zip(loop.carries, g.root.inputs, strict=False):
        copy = copies.setdefault(x.size, Group("copy", []))
        if first not in copy.members:
            copy.members.append(first)
        copy.stores.setdefault(first, []).append(Carry(g.number, x))
    return list(copies.values())


def _body(g: Group, fuse: bool) -> Part:
    """The body of a loop: x and const leaves are its inputs, carries its state, the stacked nodes its outputs."""
    loop = g.root.params[0]
    taps = [tap.params[1] for tap in g.members]
    stacked = tuple(what for kind, what in taps if kind == "stack")
    last = {loop.carries[what] for kind, what in taps if kind == "final"}
    updates = tuple(zip(loop.carries, loop.nexts, strict=True))
    graph = Graph(loop.xs + loop.consts, loop.carries, stacked, updates)
    own = [c for c in loop.carries if c not in last]
    return schedule_part(graph, [*stacked, *loop.nexts], fuse, own)
