"""Loops: bodies simplified, and what is the same at every step moved out of them.

    constants          an input that is one number everywhere becomes a constant of the body
    views              of a loop's constants go into the body, where they cost nothing
    invariant work     what depends on constants only is computed once, before the loop
    laid out           a constant that a contraction would read with strides along its lanes is copied once
    dropped            carries, xs and constants that no tap needs
    one step           is no loop

Every value keeps its bits: nothing is computed otherwise, only elsewhere."""

from collections.abc import Callable, Sequence

from ..graph.infer import is_constant, make
from ..graph.loop import Loop, Scan, substitute, taps_by_loop, varying
from ..graph.node import Node, leaf, topological_order
from ..graph.ops import VIEWS

PANEL = 32  # columns of a tile of most contractions
Pass = Callable[[Sequence[Node]], list[Node]]


def tidy(roots: Sequence[Node], simplify: Pass) -> list[Node]:
    """The same values; `simplify` is applied to the bodies."""
    order = topological_order(roots)
    loops = taps_by_loop(order)
    new: dict[Node, Node] = {}
    for node in order:
        if node in new:
            continue
        inputs = tuple(new[x] for x in node.inputs)
        if node.op == "scan":
            taps = loops[node.inputs, node.params[0]]
            new.update(zip(taps, _tidied(taps, inputs, simplify), strict=True))
        else:
            new.update(zip([node], substitute([node], new), strict=True))
    return [new[r] for r in roots]


def _tidied(taps: Sequence[Node], inputs: tuple[Node, ...], simplify: Pass) -> list[Node]:
    """What replaces the taps of one loop."""
    loop: Loop = taps[0].params[0]
    n, m = len(loop.carries), len(loop.carries + loop.xs)
    stacked = [what for kind, what in (tap.params[1] for tap in taps) if kind == "stack"]
    xs = dict(zip(loop.xs, inputs[n:m], strict=True))
    consts = dict(zip(loop.consts, inputs[m:], strict=True))
    if loop.length == 1:
        at = dict(zip(loop.carries, inputs[:n], strict=True)) | consts
        at.update((x, make("reshape", (value,), (x.shape,))) for x, value in xs.items())
        return _once(taps, substitute(tidy(simplify([*loop.nexts, *stacked]), simplify), at))
    inside = _inside(loop, xs, consts)
    body = tidy(simplify(substitute([*loop.nexts, *stacked], inside)), simplify)
    body, outside = _moved_out(loop, consts, body)
    after, values = body[:n], dict(zip(stacked, body[n:], strict=True))

    wanted = {loop.carries[i] for i in (w for k, w in (t.params[1] for t in taps) if k == "final")}
    while True:  # a carry that is needed needs what its next value reads
        roots = [
            *values.values(),
            *(v for c, v in zip(loop.carries, after, strict=True) if c in wanted),
        ]
        read = {x for x in topological_order(roots) if x.op == "leaf"}
        more = {c for c in loop.carries if c in read}
        if more <= wanted:
            break
        wanted |= more
    scan = Scan(
        [
            (c, first, v)
            for c, first, v in zip(loop.carries, inputs, after, strict=False)
            if c in wanted
        ],
        [(x, value) for x, value in xs.items() if x in read],
        [(x, value) for x, value in outside.items() if x in read],
        loop.length,
        loop.reverse,
    )
    places = {c: i for i, c in enumerate(c for c in loop.carries if c in wanted)}
    return [
        scan.final(places[loop.carries[what]]) if kind == "final" else scan.stack(values[what])
        for kind, what in (tap.params[1] for tap in taps)
    ]


def _once(taps: Sequence[Node], values: list[Node]) -> list[Node]:
    """The taps of a loop of one step: values are the next carries, then what is stacked."""
    rest = iter(values[len(taps[0].params[0].carries) :])
    return [
        values[what] if kind == "final" else make("reshape", (next(rest),), (tap.shape,))
        for tap, (kind, what) in ((tap, tap.params[1]) for tap in taps)
    ]


def _inside(loop: Loop, xs: dict[Node, Node], consts: dict[Node, Node]) -> dict[Node, Node]:
    """What leaves of the body become; xs and consts lose and get rows accordingly.

    Inputs that are equal become one, constants and views of constants go in."""
    inside: dict[Node, Node] = {}
    named: dict[Node, Node] = {}

    def const(value: Node) -> Node:
        if is_constant(value):
            return value
        if value.op in VIEWS:
            return make(value.op, (const(value.inputs[0]),), value.params)
        if value not in named:
            named[value] = leaf(value.shape, value.dtype, "const")
        return named[value]

    first: dict[Node, Node] = {}
    for x, value in list(xs.items()):
        entry = _same_entry(value)
        if entry is not None:
            inside[x] = const(entry)
        elif first.setdefault(value, x) is not x:
            inside[x] = first[value]
        if x in inside:
            del xs[x]
    for x, value in list(consts.items()):
        inside[x] = const(value)
        del consts[x]
    consts.update((name, value) for value, name in named.items())
    return inside


def _same_entry(value: Node) -> Node | None:
    """The entry of a stack whose entries are all equal, else None."""
    shape = value.shape[1:]
    if is_constant(value):
        while value.op != "const":
            (value,) = value.inputs
        return make("broadcast", (value,), (shape,)) if shape else value
    if value.op != "broadcast":
        return None
    (x,) = value.inputs
    if len(x.shape) == len(value.shape):
        if x.shape[0] != 1:
            return None
        x = make("reshape", (x,), (x.shape[1:],))
    return make("broadcast", (x,), (shape,)) if x.shape != shape else x


def _moved_out(
    loop: Loop, consts: dict[Node, Node], body: list[Node]
) -> tuple[list[Node], dict[Node, Node]]:
    """The body without invariant work, and its constants with their values outside."""
    order = topological_order(body)
    changing = varying(loop, body)
    reads = set(consts)  # nodes that read a constant
    for node in order:
        if any(x in reads for x in node.inputs):
            reads.add(node)
    consts = dict(consts)
    moved: dict[Node, Node] = {}

    def move(x: Node) -> Node:
        if x not in moved:
            name = moved[x] = leaf(x.shape, x.dtype, "const")
            consts[name] = substitute([x], consts)[0]
        return moved[x]

    def base(x: Node) -> Node:
        while x.op in VIEWS:
            (x,) = x.inputs
        return x

    new: dict[Node, Node] = {}
    for node in [*(x for x in order if x in changing), *body]:
        for x in node.inputs if node in changing else (node,):
            if x in reads and x not in changing:
                start = base(x)
                if start.op != "leaf":
                    move(start)
                elif node.op == "scan" and x.op != "leaf":
                    move(x)  # it would be copied at every step
    for node in order:
        if node in moved:
            new[node] = moved[node]
            continue
        labels = _laid_out(node, reads - changing) if node.op == "contract" else None
        if labels is None:
            new.update(zip([node], substitute([node], new), strict=True))
            continue
        side, wanted = labels
        own = node.params[side]
        x = make("permute", (node.inputs[side],), (tuple(own.index(i) for i in wanted),))
        inputs, params = [new[i] for i in node.inputs], list(node.params)
        if _is_wide(x):
            x, wanted, params[2] = _in_panels(x, wanted, node.params)
        inputs[side], params[side] = move(substitute([x], moved)[0]), wanted
        new[node] = make("reshape", (make("contract", inputs, params),), (node.shape,))
    return [new[r] for r in body], consts


def _laid_out(node: Node, fixed: set[Node]) -> tuple[int, tuple[int, ...]] | None:
    """(operand, its labels) where a fixed operand would be read with strides along the lanes."""
    a, b, out = node.params
    own = [[i for i in out if i not in other] for other in (b, a)]
    last = out[-1] if out and not (out[-1] in a and out[-1] in b) else None
    last = last if last is not None else next((o[-1] for o in own[::-1] if o), None)
    if last is None:
        return None
    side = 0 if last in own[0] else 1
    labels = node.params[side]
    x = node.inputs[side]
    if x not in fixed or (labels[-1] == last and not (out[-1] == last and _is_wide(x))):
        return None
    return side, (*(i for i in labels if i != last), last)


def _is_wide(x: Node) -> bool:
    """Whether rows lie so far apart that a contraction's columns fall into few sets of the first cache."""
    n = x.shape[-1]
    return n % PANEL == 0 and n * x.dtype.itemsize >= 2048 and x.size >= 64 * n


def _in_panels(x: Node, labels: tuple[int, ...], params: tuple):
    """The operand in panels of columns, (panel, ..., column), its labels and those of the result."""
    *rest, last = labels
    n = x.shape[-1]
    x = make("reshape", (x,), ((*x.shape[:-1], n // PANEL, PANEL),))
    rank = len(x.shape)
    x = make("permute", (x,), ((rank - 2, *range(rank - 2), rank - 1),))
    panel = max(i for part in params for i in part) + 1
    out = tuple(j for i in params[2] for j in ((panel, last) if i == last else (i,)))
    return x, (panel, *rest, last), out
