"""The gradient of a loop: one loop in the other direction, and after it one contraction for each weight.

    s[t+1] = f(s[t], x[t], w)     gives     ds[t], dx[t], dw[t] = vjp of f at step t to (ds[t+1], dy[t])

The reversed loop carries ds and stacks dx. It reads the xs, the carries and what was costly to compute (KEPT)
stacked; cheap work is done again. dw, a sum over the steps, is taken out of the loop where it is linear in
what the loop can stack: sum_t p[t]^T q[t] is one long contraction, and each step is spared a pass over dw.
Source: Werbos (1990), Backpropagation through time; the contraction after the loop: Appleyard et al. (2016),
Optimizing performance of recurrent neural networks on GPUs, section 3.2."""

from collections.abc import Callable, Sequence

from ..graph.infer import constant, make
from ..graph.loop import Loop, Scan, substitute, varying
from ..graph.node import Node, leaf, topological_order
from ..graph.ops import OPS

KEPT = frozenset(
    "contract reduce_sum reduce_max reduce_min argmax cumsum fold gather scatter_add scan".split()
)
# A value is stacked up to this many times what the loop reads and gives in a step: memory then grows with
# the data, not with what is between (attention's scores, block by block, are computed again instead).
ROOM = 8

# Sums over time commute with these, in all their inputs: sum_t op(f[t]) = op(sum_t f[t]).
LINEAR = frozenset("add sub neg cast reshape permute broadcast slice flip window fold pad".split())
Gradients = Callable[[Sequence[Node], Sequence[Node], Sequence[Node]], list[Node | None]]


def loop_gradients(
    taps: Sequence[Node], cotangents: dict[Node, Node], active: set[Node], gradients: Gradients
) -> list[Node | None]:
    """The cotangents of a loop's inputs, given those of its taps; None where no gradient flows.

    active     nodes outside that a gradient is wanted for
    gradients  differentiates the body"""
    loop, inputs = taps[0].params[0], taps[0].inputs
    wrt = _active_leaves(
        loop, taps, {x for x, i in zip(loop.leaves, inputs, strict=True) if i in active}
    )
    final: dict[Node, Node] = {}  # carry -> cotangent of its last value
    stacked: list[tuple[Node, Node, Node]] = []  # (node, the leaf of its cotangent, all of them)
    for tap in taps:
        if tap in cotangents:
            kind, what = tap.params[1]
            if kind == "final":
                final[loop.carries[what]] = cotangents[tap]
            else:
                stacked.append((what, leaf(what.shape, what.dtype), cotangents[tap]))
    after = dict(zip(loop.carries, loop.nexts, strict=True))
    down = {c: leaf(c.shape, c.dtype) for c in loop.carries if c in wrt}
    live = [c for c in down if c in final]  # carries that a cotangent reaches
    while True:
        outputs = [after[c] for c in live] + [node for node, _, _ in stacked]
        arriving = [down[c] for c in live] + [g for _, g, _ in stacked]
        parts = dict(zip(wrt, gradients(outputs, arriving, wrt), strict=True))
        more = [c for c in down if parts[c] is not None and c not in live]
        if not more:
            break
        live += more
    found = {x: g for x, g in parts.items() if g is not None}
    if not found:
        return [None] * len(inputs)

    room = ROOM * sum(x.size for x in {*loop.carries, *loop.xs, *(w for w, _, _ in stacked)})
    outer = dict(zip(loop.leaves, inputs, strict=True))
    rows = _read(loop, taps, list(found.values()), room)
    rows.update((g, all_of_them) for _, g, all_of_them in stacked)
    sums = _Sums(loop, outer, rows, topological_order(found.values()), room)
    weights = {x: g for x, g in found.items() if x in loop.consts}
    totals = {g: leaf(g.shape, g.dtype) for g in sums.terms(list(weights.values()))}
    carries = [
        (down[c], final.get(c, _zeros(c)), found[c] if c in found else _zeros(c)) for c in live
    ]
    carries += [(acc, _zeros(g), make("add", (acc, g))) for g, acc in totals.items()]
    scan = Scan(
        carries,
        rows.items(),
        [(x, outer[x]) for x in loop.consts],
        loop.length,
        not loop.reverse,
    )
    n = len(live)
    sums.done = {g: scan.final(n + i) for i, g in enumerate(totals)}
    sums.scan = scan
    out: list[Node | None] = []
    for x in loop.leaves:
        if x in live and x in wrt:
            out.append(scan.final(live.index(x)))
        elif x not in found:
            out.append(None)
        else:
            out.append(sums.of(found[x]) if x in loop.consts else scan.stack(found[x]))
    return out


def _zeros(x: Node) -> Node:
    return constant(0.0, x.dtype, x.shape)


def _active_leaves(loop: Loop, taps: Sequence[Node], active: set[Node]) -> list[Node]:
    """Leaves of the body by which a gradient can reach the active ones: a carry hands it on."""
    order = topological_order([*loop.nexts, *_nodes(taps)])
    while True:
        reached = set(active)
        for node in order:
            if node.dtype.kind == "f" and any(x in reached for x in node.inputs):
                reached.add(node)
        more = {
            c
            for c, after in zip(loop.carries, loop.nexts, strict=True)
            if after in reached and c.dtype.kind == "f"
        }
        if more <= active:
            return [x for x in loop.leaves if x in active and x.dtype.kind == "f"]
        active = active | more


def _nodes(taps: Sequence[Node]) -> list[Node]:
    return [what for kind, what in (tap.params[1] for tap in taps) if kind == "stack"]


def _read(loop: Loop, taps: Sequence[Node], roots: list[Node], room: int) -> dict[Node, Node]:
    """What the reversed loop reads of the forward one at step t: node of the body -> its values stacked.

    Where only one elementwise node reads a costly one, its result is stacked instead: h w + x + b, not h w."""
    inputs = taps[0].inputs
    forward = [*loop.nexts, *_nodes(taps)]
    own = set(topological_order(forward)) & varying(loop, forward)
    given = dict(zip(loop.xs, inputs[len(loop.carries) :], strict=False))
    costly = {x for x in own if x.op in KEPT and x.size <= room}
    free = {*given, *loop.carries, *_nodes(taps)}  # stacked already, or a carry
    while True:
        found = _readers(roots, costly.union(given, loop.carries))
        raised = {}
        for node in (x for x in found if x in costly and x not in free):
            (reader, *others) = found[node]
            same = (reader.size, reader.dtype) == (node.size, node.dtype)
            if not others and same and reader in own and OPS[reader.op].is_elementwise:
                raised[node] = reader
        if not raised:
            break
        costly = costly - raised.keys() | set(raised.values())
    return {
        x: given[x] if x in given else make("scan", inputs, (loop, ("stack", x))) for x in found
    }


def _readers(roots: list[Node], ends: set[Node]) -> dict[Node, list[Node]]:
    """The ends that the roots are computed from, and the nodes on the way that read each (a root: itself)."""
    found: dict[Node, list[Node]] = {}
    seen: set[Node] = set()
    stack = [(root, root) for root in roots]
    while stack:
        node, reader = stack.pop()
        if node in ends:
            readers = found.setdefault(node, [])
            if reader not in readers:
                readers.append(reader)
        elif node not in seen:
            seen.add(node)
            stack.extend((x, node) for x in node.inputs)
    return found


class _Sums:
    """Sums over all steps of nodes of the reversed body, as nodes outside.

    rows  node of the body -> its values stacked, for those that lie stacked already
    done  node -> its sum, for those that the loop adds up itself
    scan  the reversed loop"""

    def __init__(self, loop: Loop, outer: dict, rows: dict, order: list[Node], room: int):
        self.loop, self.outer, self.rows, self.room = loop, outer, rows, room
        self.done: dict[Node, Node] = {}
        self.scan: Scan | None = None
        self.changing = {x for x in order if x.op == "leaf" and x not in loop.consts} | set(rows)
        for node in order:
            if any(x in self.changing for x in node.inputs):
                self.changing.add(node)

    def _parts(self, f: Node) -> tuple[Node, ...]:
        """The nodes whose sums make that of f; none where f is summed as it is."""
        if f in self.rows or f not in self.changing:
            return ()
        if f.op in LINEAR and (f.op != "pad" or f.params[1] == 0) and f.inputs[0].dtype.kind == "f":
            return f.inputs
        if f.op in ("mul", "contract") or (f.op == "div" and f.inputs[1] not in self.changing):
            parts = tuple(x for x in f.inputs if x in self.changing)
            return parts if len(parts) == 1 else ()
        return ()

    def _is_joined(self, f: Node) -> bool:
        """Whether the sum of f is one operation on stacked values."""
        if f in self.rows or f.op not in ("contract", "reduce_sum"):
            return f in self.rows
        return sum(x.size for x in set(map(self._base, f.inputs)) - self.rows.keys()) <= self.room

    def _base(self, x: Node) -> Node:
        while x not in self.rows and x.op in _STACKED:
            (x,) = x.inputs
        return x

    def _order(self, roots: Sequence[Node]) -> list[Node]:
        """The roots and their parts, parts first."""
        out: dict[Node, None] = {}
        stack = [(r, False) for r in reversed(roots)]
        while stack:
            f, is_expanded = stack.pop()
            if f in out:
                continue
            if is_expanded:
                out[f] = None
            else:
                stack.append((f, True))
                stack.extend((x, False) for x in reversed(self._parts(f)))
        return list(out)

    def terms(self, roots: Sequence[Node]) -> list[Node]:
        """What the loop must add up itself."""
        return [f for f in self._order(roots) if not self._parts(f) and not self._is_joined(f)]

    def of(self, root: Node) -> Node:
        """The sum of a node over all steps."""
        sums: dict[Node, Node] = dict(self.done)
        for f in self._order([root]):
            if f in sums:
                continue
            parts = self._parts(f)
            if parts:
                inputs = [
                    sums[x] if x in parts else substitute([x], self.outer)[0] for x in f.inputs
                ]
                sums[f] = make(f.op, inputs, f.params)
            elif f in self.rows:
                sums[f] = make("reduce_sum", (self.rows[f],), ((0,),))
            elif f.op == "contract":
                t = 1 + max((*f.params[0], *f.params[1]), default=-1)
                a, b, out = f.params
                stacked = [self.stacked(x) for x in f.inputs]
                sums[f] = make("contract", stacked, ((t, *a), (t, *b), out))
            else:
                axes = (0, *(a + 1 for a in f.params[0]))
                sums[f] = make("reduce_sum", (self.stacked(f.inputs[0]),), (axes,))
        return sums[root]

    def stacked(self, x: Node) -> Node:
        """The values of a node at all steps: views are taken of what is stacked."""
        views = []
        while x not in self.rows and x.op in _STACKED:
            views.append(x)
            (x,) = x.inputs
        assert self.scan is not None
        out = self.rows[x] if x in self.rows else self.scan.stack(x)
        for view in reversed(views):
            out = make(view.op, (out,), _STACKED[view.op](out.shape[0], *view.params))
        return out


# A view of every step is this view of the stack.
_STACKED: dict[str, Callable[..., tuple]] = {
    "reshape": lambda n, shape: ((n, *shape),),
    "permute": lambda n, axes: ((0, *(a + 1 for a in axes)),),
    "slice": lambda n, starts, stops, steps: ((0, *starts), (n, *stops), (1, *steps)),
    "flip": lambda n, axes: (tuple(a + 1 for a in axes),),
    "pad": lambda n, widths, value: (((0, 0), *widths), value),
    "window": lambda n, axis, *rest: (axis + 1, *rest),
}
