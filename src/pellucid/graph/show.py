"""A graph as text, one line per node, inputs before users:

%0 = leaf 'x'                            float32[2, 3]
%1 = reduce_sum(%0, axes=(1,))           float32[2]
return %1

The body of a loop follows the first line that taps it, indented."""

from collections.abc import Sequence

from .loop import Loop, taps_by_loop
from .node import Node, topological_order
from .ops import OPS


def show(nodes: Sequence[Node]) -> str:
    """The listing of everything that `nodes` need; they are the last line."""
    lines, names = _listing(nodes)
    return "\n".join([*lines, "return " + ", ".join(names)])


def _listing(nodes: Sequence[Node]) -> tuple[list[str], list[str]]:
    """The lines, and what they call `nodes`."""
    order = topological_order(nodes)
    number = {node: i for i, node in enumerate(order)}
    calls = [f"%{i} = {_call(node, number)}" for i, node in enumerate(order)]
    width = min(max(map(len, calls), default=0), 72)
    bodies = {taps[0]: taps for taps in taps_by_loop(order).values()}
    lines = []
    for call, node in zip(calls, order, strict=True):
        lines.append(f"{call:<{width}}  {node.dtype}{list(node.shape)}")
        if node in bodies:
            lines += _body(node.params[0], bodies[node], number)
    return lines, [f"%{number[n]}" for n in nodes]


def _body(loop: Loop, taps: list[Node], number: dict[Node, int]) -> list[str]:
    """The lines of a loop's body: what it computes, the next carries, and what goes to which tap."""
    stacked = {tap: tap.params[1][1] for tap in taps if tap.params[1][0] == "stack"}
    lines, names = _listing([*loop.nexts, *stacked.values()])
    n = len(loop.carries)
    ends = [f"carry{i} = {name}" for i, name in enumerate(names[:n])]
    ends += [f"%{number[tap]} = {name}" for tap, name in zip(stacked, names[n:], strict=True)]
    return ["    " + line for line in (*lines, "next " + ", ".join(ends))]


def _call(node: Node, number: dict[Node, int]) -> str:
    """`op(%inputs, name=param)`, without what the type at the end of the line says again."""
    if node.op == "leaf":
        uid, name = node.params
        return f"leaf {name!r}" if name else f"leaf #{uid}"
    if node.op == "const":
        return f"const {node.params[0]!r}"
    shown = [f"%{number[x]}" for x in node.inputs]
    if node.op == "contract":
        a, b, out = ("".join(chr(ord("a") + i) for i in labels) for labels in node.params)
        return f"contract({', '.join(shown)}, '{a},{b}->{out}')"
    if node.op == "scan":
        loop, (kind, what) = node.params
        times = f"{loop.length} times{' from the end' if loop.reverse else ''}"
        return f"scan({', '.join(shown)}, {times}, {f'final {what}' if kind == 'final' else kind})"
    for name, value in zip(OPS[node.op].params, node.params, strict=True):
        if name not in ("shape", "dtype"):
            shown.append(f"{name}={value!r}")
    return f"{node.op}({', '.join(shown)})"
