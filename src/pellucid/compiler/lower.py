"""Lower: the value of a node at a place, as a Value. Movement becomes index arithmetic and disappears."""

from collections.abc import Collection

from ..base import dtypes
from ..graph.node import Node
from ..graph.ops import OPS
from .kernel import (
    Apply,
    Const,
    Fetched,
    FromIndex,
    Guard,
    Index,
    Load,
    Quot,
    Random,
    Value,
    flatten,
    unflatten,
)

ELEMENTWISE = frozenset(op.name for op in OPS.values() if op.is_elementwise)
MOVEMENT = frozenset(op.name for op in OPS.values() if op.kind == "movement")


class Lowering:
    """Values at places of one kernel.

    stored   nodes whose arrays can be read
    local    nodes that the kernel itself computes: node -> (its flat index there, the value)"""

    def __init__(
        self, stored: Collection[Node], local: dict[Node, tuple[Index, Value]] | None = None
    ):
        self.stored = stored
        self.local = local if local is not None else {}
        self._memo: dict[tuple, Value] = {}

    def at_flat(self, node: Node, flat: Index) -> Value:
        """The value at a row-major position."""
        return self.at(node, unflatten(flat, node.shape))

    def at(self, node: Node, place: tuple[Index, ...]) -> Value:
        """The value at an index tuple."""
        key = (node, place)
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = self._at(node, place)
        return found

    def _at(self, node: Node, place: tuple[Index, ...]) -> Value:
        op = node.op
        if node in self.local:
            flat = flatten(place, node.shape)
            own, value = self.local[node]
            if flat == own:
                return value
        if op == "leaf" or node in self.stored:
            return Load(node, flatten(place, node.shape), node.dtype)
        return self.computed(node, place)

    def computed(self, node: Node, place: tuple[Index, ...]) -> Value:
        """The value from the node's inputs, also where the node itself is stored."""
        op, inputs = node.op, node.inputs
        if op == "leaf":
            return Load(node, flatten(place, node.shape), node.dtype)
        if op in ELEMENTWISE:
            return Apply(op, tuple(self.at(x, place) for x in inputs), node.dtype)
        if op == "const":
            return Const(node.params[0], node.dtype)
        if op == "iota":
            return FromIndex(place[node.params[1]], node.dtype)
        if op == "random":
            key = inputs[0]
            return Random(
                self.at(key, (Index(0),)),
                self.at(key, (Index(1),)),
                flatten(place, node.shape),
                node.dtype,
            )
        if op == "gather":
            x, index = inputs
            rank = len(index.shape)
            row = self.at(index, place[:rank])
            if x.shape[0] == 1:
                first = Index()
            elif isinstance(row, Const):
                first = Index(min(max(int(row.value), 0), x.shape[0] - 1))
            elif isinstance(row, FromIndex) and row.index.bounds()[1] < x.shape[0]:
                first = row.index
            else:
                first = Index(0, ((Fetched(row, x.shape[0]), 1),))
            return self.at(x, (first, *place[rank:]))
        if op == "fold":
            return self._folded(node, place)
        return self._moved(node, place)

    def _folded(self, node: Node, place: tuple[Index, ...]) -> Value:
        """The sum of the windows that reach a place, in the order of their elements. Stride 1."""
        (x,), (axis, _, stride, dilation) = node.inputs, node.params
        assert stride == 1, "legalize splits a fold with strides into its phases"
        n, size = x.shape[axis : axis + 2]
        zero: Value = Const(0, node.dtype)
        total = None
        for j in range(size):
            i = place[axis] + -j * dilation
            inside = self.at(x, (*place[:axis], i, Index(j), *place[axis + 1 :]))
            part: Value = Guard((_plain(i, 0, n),), inside, zero, node.dtype)
            total = part if total is None else Apply("add", (total, part), node.dtype)
        assert total is not None
        return total

    def _moved(self, node: Node, place: tuple[Index, ...]) -> Value:
        op, x = node.op, node.inputs[0]
        if op == "reshape":
            return self.at(x, unflatten(flatten(place, node.shape), x.shape))
        if op == "permute":
            axes = node.params[0]
            return self.at(x, tuple(place[axes.index(i)] for i in range(len(axes))))
        if op == "broadcast":
            skipped = len(node.shape) - len(x.shape)
            return self.at(
                x, tuple(Index() if d == 1 else place[skipped + i] for i, d in enumerate(x.shape))
            )
        if op == "slice":
            starts, _, steps = node.params
            return self.at(
                x, tuple(i.scaled(k) + s for i, s, k in zip(place, starts, steps, strict=True))
            )
        if op == "flip":
            axes = node.params[0]
            return self.at(
                x,
                tuple(
                    i.scaled(-1) + (x.shape[a] - 1) if a in axes else i for a, i in enumerate(place)
                ),
            )
        if op == "window":
            axis, _, stride, dilation = node.params
            at = place[axis].scaled(stride) + place[axis + 1].scaled(dilation)
            return self.at(x, (*place[:axis], at, *place[axis + 2 :]))
        if op == "pad":
            widths, fill = node.params
            outside = Const(fill, node.dtype)
            if x.size == 0:
                return outside
            tests = tuple(
                (i, lo, lo + d)
                for i, (lo, hi), d in zip(place, widths, x.shape, strict=True)
                if lo or hi
            )
            return Guard(
                tuple(_plain(*t) for t in tests),
                self.at(x, tuple(i + -lo for i, (lo, _) in zip(place, widths, strict=True))),
                outside,
                node.dtype,
            )
        assert op == "concat", f"no lowering for {op}"
        axis, end = node.params[0], node.shape[node.params[0]]
        value: Value = Const(False if node.dtype is dtypes.bool_ else 0, node.dtype)
        for part in reversed(node.inputs):
            end -= part.shape[axis]
            if part.size == 0:
                continue
            inner = place[:axis] + (place[axis] + -end,) + place[axis + 1 :]
            value = Guard(
                ((place[axis], end, end + part.shape[axis]),),
                self.at(part, inner),
                value,
                node.dtype,
            )
        return value


def _plain(index: Index, lo: int, hi: int) -> tuple[Index, int, int]:
    """The condition lo <= index < hi without a division, where the index is nothing but one."""
    while index.const == 0 and len(index.terms) == 1:
        ((atom, step),) = index.terms
        if not isinstance(atom, Quot) or step != 1:
            break
        index, lo, hi = atom.index, lo * atom.divisor, hi * atom.divisor
    return index, lo, hi
