"""Random graphs of 5 to 50 nodes over all primitives; one seed gives one graph."""

import math

import numpy as np
from cases import MAX_SIZE, Maker, _broadcast, _flip, _pad, _permute, _reshape, _slice

from pellucid.graph.infer import constant, make
from pellucid.graph.node import Node
from pellucid.graph.ops import FLOAT, OPS

MOVES = (_permute, _flip, _reshape, _slice, _pad, _broadcast)
ELEMENTWISE = tuple(
    op for op in OPS.values() if op.is_elementwise and op.name not in ("cast", "where")
)


def random_graph(
    seed: int, without: tuple[str, ...] = ()
) -> tuple[list[Node], dict[Node, np.ndarray]]:
    """Outputs, and the arrays of the leaves. Ops named in `without` do not occur."""
    rng = np.random.default_rng(seed)
    m = Maker(lambda low, high: int(rng.integers(low, high, endpoint=True)), move=False)
    # One or two shapes and dtypes for the leaves, so that nodes often fit together.
    shapes = [m.shape(max_rank=4, min_size=m.integer(0, 1)) for _ in range(m.integer(1, 2))]
    kinds = [m.dtype("bif") for _ in range(2)] + [m.dtype(FLOAT) for _ in range(2)]
    pool = [m.leaf(m.pick(shapes), m.pick(kinds)) for _ in range(m.integer(1, 4))]
    for _ in range(m.integer(5, 50)):
        node = _grow(m, pool)
        if node is not None and node.op not in without and node.size <= 4 * MAX_SIZE:
            pool.append(node)
    used = {x for node in pool for x in node.inputs}
    outputs = [node for node in pool if node not in used or m.chance(10)]
    return outputs, m.arrays


def _like(m: Maker, x: Node, pool: list[Node]) -> Node:
    """A node of the shape and dtype of x: one of the pool, made to fit if need be."""
    fits = [y for y in pool if (y.shape, y.dtype) == (x.shape, x.dtype)]
    if fits and m.chance(60):
        return m.pick(fits)
    if m.chance(40):
        return constant(
            m.pick((0, 1)) if x.dtype.kind == "b" else m.pick((0, 1, 2, 3)), x.dtype, x.shape
        )
    y = m.pick(pool)
    if y.dtype is not x.dtype:
        y = make("cast", (y,), (x.dtype.name,))
    if y.shape == x.shape:
        return y
    tail = y.shape[max(len(y.shape) - len(x.shape), 0) :]
    pairs = zip(tail[::-1], x.shape[::-1], strict=False)
    if len(tail) == len(y.shape) and all(d in (1, e) for d, e in pairs):
        return make("broadcast", (y,), (x.shape,))
    if y.size == x.size:
        return make("reshape", (y,), (x.shape,))
    axes = tuple(range(len(y.shape)))
    if y.dtype.kind == "b" or y.size == 0:
        return m.leaf(x.shape, x.dtype)
    return make("broadcast", (make("reduce_sum", (y,), (axes,)),), (x.shape,))


def _grow(m: Maker, pool: list[Node]) -> Node | None:
    x = m.pick(pool[-6:] if m.chance(60) else pool)
    rank = len(x.shape)
    match m.integer(0, 13):
        case 0 | 1 | 2 | 3 | 4 | 5:
            row = m.pick(ELEMENTWISE)
            if x.dtype.kind not in row.takes:
                x = make("cast", (x,), ("float32" if row.takes != "b" else "bool",))
            return make(row.name, [x, *(_like(m, x, pool) for _ in range(row.arity - 1))])
        case 6:
            return make("cast", (x,), (m.dtype("bif").name,))
        case 7:
            condition = _like(
                m, make("cast", (x,), ("bool",)), [*pool, make("cast", (x,), ("bool",))]
            )
            return make("where", (condition, x, _like(m, x, pool)))
        case 8 | 9:
            return m.pick(MOVES)(m, x)
        case 10:
            op = m.pick(("reduce_sum", "reduce_max", "reduce_min", "argmax", "cumsum"))
            if x.dtype.kind not in OPS[op].takes or 0 in x.shape or not rank:
                return None
            one = m.pick(range(rank))
            return make(op, (x,), (one if op in ("argmax", "cumsum") else m.subset(range(rank)),))
        case 11:
            if not rank:
                return None
            axis = m.pick(range(rank))
            return make("concat", (x, _like(m, x, pool)), (axis,))
        case 12:
            if not rank or not x.shape[0] or x.dtype.kind == "b":
                return None
            if m.chance(50):
                return make("gather", (x, m.index((m.integer(1, 9),), x.shape[0])))
            n = m.integer(1, 9)
            return make("scatter_add", (m.index(x.shape[:1], n), x), (n,))
    if x.dtype.kind != "f" or not 1 <= rank <= 4:
        return None
    return _matmul(m, x)


def _matmul(m: Maker, x: Node) -> Node:
    """x with a new leaf over its last axis; the other axes are batch or rows."""
    rank = len(x.shape)
    columns = m.pick((1, 3, 16, 17))
    n_batch = m.integer(0, rank - 1)
    batch = tuple(range(n_batch))
    y = m.leaf((*x.shape[:n_batch], x.shape[-1], columns), x.dtype)
    if math.prod(x.shape[:-1]) * columns > 4 * MAX_SIZE:
        return make("exp", (x,))
    labels = (tuple(range(rank)), (*batch, rank - 1, rank), (*range(rank - 1), rank))
    return make("contract", (x, y), labels)
