"""A graph as text, one line per node, inputs before users:

%0 = leaf 'x'                            float32[2, 3]
%1 = reduce_sum(%0, axes=(1,))           float32[2]
return %1"""

from collections.abc import Sequence

from .node import Node, topological_order
from .ops import OPS


def show(nodes: Sequence[Node]) -> str:
    """The listing of everything that `nodes` need; they are the last line."""
    order = topological_order(nodes)
    number = {node: i for i, node in enumerate(order)}
    calls = [f"%{i} = {_call(node, number)}" for i, node in enumerate(order)]
    width = min(max(map(len, calls), default=0), 72)
    lines = [
        f"{call:<{width}}  {node.dtype}{list(node.shape)}"
        for call, node in zip(calls, order, strict=True)
    ]
    lines.append("return " + ", ".join(f"%{number[n]}" for n in nodes))
    return "\n".join(lines)


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
    for name, value in zip(OPS[node.op].params, node.params, strict=True):
        if name not in ("shape", "dtype"):
            shown.append(f"{name}={value!r}")
    return f"{node.op}({', '.join(shown)})"
