"""Form: a group of nodes as one kernel record, views folded into addresses."""

from collections.abc import Sequence

from ..graph.node import Node
from .kernel import (
    OPERATION,
    Accumulate,
    ColumnKernel,
    GemmKernel,
    Index,
    Kernel,
    Load,
    LoopKernel,
    Quot,
    Ref,
    Rem,
    ScatterKernel,
    SerialKernel,
    Stage,
    Store,
    Value,
    Var,
    flatten,
    unflatten,
    var,
    walk,
)
from .legalize import size
from .lower import Lowering
from .schedule import HEAVY, Group, Schedule

ROWS = 16  # enough for several threads


def make_kernel(g: Group, stored: set[Node]) -> Kernel:
    """The kernel record of a group."""
    if g.kind == "gemm":
        return _gemm(g, stored)
    if g.kind == "row":
        return _row(g, stored)
    if g.kind == "column":
        return _column(g, stored)
    if g.kind == "serial":
        return _serial(g, stored)
    if g.kind == "scatter":
        return _scatter(g, stored)
    return _map(g, stored)


def _members(g: Group, low: Lowering, flat: Index, first: int = 0) -> tuple[Store, ...]:
    """Stores of the elementwise members, each computed at `flat`."""
    out = []
    for m in g.members[first:]:
        if m in g.joined:
            out += _parts(g, m, low, flat)
            continue
        value = (
            low.at_flat(m, flat) if g.kind == "copy" else low.computed(m, unflatten(flat, m.shape))
        )
        if g.kind != "copy":
            low.local[m] = (flat, value)
        out += [Store(array, flat, value) for array in g.stores[m]]
    return tuple(out)


def _parts(g: Group, m: Node, low: Lowering, flat: Index) -> list[Store]:
    """Stores of a joined concatenation: element `flat` of each part, at its place."""
    axis, start, out = m.params[0], 0, []
    for x in m.inputs:
        place = list(unflatten(flat, x.shape))
        place[axis] = place[axis] + start
        start += x.shape[axis]
        value = low.at_flat(x, flat)
        out += [Store(array, flatten(place, m.shape), value) for array in g.stores[m]]
    return out


def _divides(index: Index, lane: Var) -> bool:
    """Whether an address divides the lane's counter."""
    return any(
        isinstance(a, Quot | Rem) and any(t == lane for t, _ in a.index.terms)
        for a, _ in index.terms
    )


def _clean(stores: Sequence[Store], lane: Var) -> bool:
    """Whether no address divides the lane's counter: every load is a vector, a scalar or a plain stride."""
    places = [v.index for v in walk([s.value for s in stores]) if isinstance(v, Load)]
    return not any(_divides(x, lane) for x in (*places, *(s.index for s in stores)))


def _map(g: Group, stored: set[Node]) -> LoopKernel:
    """One loop where addresses allow, else rows of the last axis, else one loop with divisions."""
    shape = g.root.inputs[0].shape if g.root in g.joined else g.root.shape
    total = size(shape)
    flat = Var("i", total)
    stores = _members(g, Lowering(stored, {}), var(flat))
    if _clean(stores, flat) or not shape:
        return LoopKernel((), flat, (Stage("map", stores),))
    found = None
    if g.joined:  # at least the run of a part must be one loop
        run = Schedule.run_length(next(iter(g.joined)))
        shape = (total // run, run)
    for split in range(1, len(shape)):  # the longest rows of which there are enough
        inner_size = size(shape[split:])
        if inner_size < 8 and (split > 1 or inner_size < 4):
            break
        row, inner = Var("row", total // max(inner_size, 1)), Var("i", inner_size)
        attempt = _members(g, Lowering(stored, {}), var(row).scaled(inner_size) + var(inner))
        if _clean(attempt, inner):
            found = LoopKernel((row,), inner, (Stage("map", attempt),))
            if row.extent >= ROWS:
                break
        elif g.joined:
            found = LoopKernel((row,), inner, (Stage("map", attempt),))
    if found is not None:
        return found
    return LoopKernel((), flat, (Stage("map", stores),))


def _refs(value: Value) -> set[str]:
    return {v.name for v in walk([value]) if isinstance(v, Ref)}


def _row(g: Group, stored: set[Node]) -> LoopKernel:
    """Alternately: values of the row, and a walk along it. A member's level is the number of walks before it."""
    row, inner = Var("row", g.rows), Var("i", g.length)
    r, c = var(row), var(inner)
    full = r.scaled(g.length) + c
    low = Lowering(stored, {})
    level_of: dict[str, int] = {}
    row_parts: dict[int, list[tuple[str, Value]]] = {}
    row_stores: dict[int, list[Store]] = {}
    walks: dict[int, list[Store]] = {}
    sums: dict[int, list[Accumulate]] = {}
    late_row: list[Store] = []
    late_full: list[Store] = []

    def level(value: Value) -> int:
        return max((level_of[name] for name in _refs(value)), default=0)

    for number, m in enumerate(g.members):
        if m.op in HEAVY:
            value = Schedule.reduced_value(m, r, c, low)
            at, name = level(value), f"s{number}"
            sums.setdefault(at, []).append(Accumulate(name, OPERATION[m.op], value))
            level_of[name] = at + 1
            low.local[m] = (r, Ref(name, m.dtype))
            for array in g.stores[m]:
                row_stores.setdefault(at + 1, []).append(Store(array, r, Ref(name, m.dtype)))
        elif Schedule.is_row_member(m, g.rows, g.length):
            value = low.computed(m, unflatten(r, m.shape))
            at, name = level(value), f"r{number}"
            row_parts.setdefault(at, []).append((name, value))
            level_of[name] = at
            low.local[m] = (r, Ref(name, m.dtype))
            for array in g.stores[m]:
                is_state = array is not m
                (late_row if is_state else row_stores.setdefault(at, [])).append(
                    Store(array, r, Ref(name, m.dtype))
                )
        else:
            value = low.computed(m, unflatten(full, m.shape))
            low.local[m] = (full, value)
            at = level(value)
            for array in g.stores[m]:
                is_state = array is not m
                (late_full if is_state else walks.setdefault(at, [])).append(
                    Store(array, full, value)
                )
    top = max([*row_parts, *row_stores, *walks, *sums, *(level(s.value) for s in late_full), 0])
    stages: list[Stage] = []
    if late_full:  # states are overwritten when everything has been read
        top += top in sums
        walks.setdefault(top, []).extend(late_full)
    for at in range(top + 1):
        if at in row_parts or at in row_stores:
            stages.append(
                Stage("row", tuple(row_stores.get(at, ())), (), tuple(row_parts.get(at, ())))
            )
        if at in sums:
            stages.append(Stage("reduce", tuple(walks.get(at, ())), tuple(sums[at])))
        elif at in walks:
            stages.append(Stage("map", tuple(walks[at])))
    if late_row:
        stages.append(Stage("row", tuple(late_row)))
    return LoopKernel((row,), inner, tuple(stages))


def _column(g: Group, stored: set[Node]) -> ColumnKernel:
    """Reductions of one shape over leading axes, side by side, then elementwise work on their results."""
    sums = [m for m in g.members if m.op in HEAVY]
    x, axes = g.root.inputs[0], g.root.params[0]
    lane_size = size(x.shape[max(axes) + 1 :])
    outer, lane = Var("outer", g.root.size // max(lane_size, 1)), Var("j", lane_size)
    along = tuple(Var(f"k{a}", x.shape[a]) for a in axes)
    flat = var(outer).scaled(lane_size) + var(lane)
    kept = iter(unflatten(flat, g.root.shape))
    inside = iter(along)
    place = tuple(var(next(inside)) if a in axes else next(kept) for a in range(len(x.shape)))
    low = Lowering(stored, {})
    values = [low.at(m.inputs[0], place) for m in sums]
    names = ["acc"] if len(sums) == 1 else [f"acc{i}" for i in range(len(sums))]
    stores: tuple[Store, ...] = ()
    for name, m in zip(names, sums, strict=True):
        acc = Ref(name, m.dtype)
        low.local[m] = (flat, acc)
        stores += tuple(Store(array, flat, acc) for array in g.stores[m])
    stores += _members(g, low, flat, len(sums))
    accumulates = tuple(
        Accumulate(name, OPERATION[m.op], value)
        for name, m, value in zip(names, sums, values, strict=True)
    )
    return ColumnKernel((outer,), lane, along, accumulates, stores)


def _gemm(g: Group, stored: set[Node]) -> GemmKernel:
    """Labels become loops; neighbours that lie as one axis in all arrays become one loop."""
    root = g.root
    (a, b), labels = root.inputs, root.params
    low = Lowering(stored, {})
    size_of = dict(zip(labels[0] + labels[1], a.shape + b.shape, strict=True))
    single = {x: Var(f"axis{x}", d) for x, d in size_of.items()}

    def steps(index: Index) -> dict[int, int]:
        return {x: index.coefficient(v) for x, v in single.items()}

    def load(x: Node, own: tuple[int, ...], at: dict[int, Index]) -> Load:
        value = low.at(x, tuple(at[i] for i in own))
        assert isinstance(value, Load) and value.index.is_affine()
        return value

    at = {x: var(v) for x, v in single.items()}
    in_a, in_b = (steps(load(x, own, at).index) for x, own in ((a, labels[0]), (b, labels[1])))
    in_out = steps(flatten([at[x] for x in labels[2]], root.shape))
    kinds: dict[str, list[list[int]]] = {"b": [], "m": [], "n": [], "k": []}
    for x in (*labels[2], *(x for x in labels[1] if x not in labels[2])):
        if size_of[x] == 1 and x != labels[2][-1]:
            continue
        kind = "k" if x not in labels[2] else "nmb"[(x in labels[0]) * (1 + (x in labels[1]))]
        groups = kinds[kind]
        arrays = {"b": (in_a, in_b, in_out), "m": (in_a, in_out), "n": (in_b, in_out)}
        if groups and all(
            s[groups[-1][-1]] == s[x] * size_of[x] for s in arrays.get(kind, (in_a, in_b))
        ):
            groups[-1].append(x)
        else:
            groups.append([x])
    loops_of: dict[str, list[Var]] = {kind: [] for kind in kinds}
    at = {x: Index() for x in size_of}
    for kind, groups in kinds.items():
        for number, group in enumerate(groups):
            name = kind if len(groups) == 1 else f"{kind}{number}"
            v = Var(name, size([size_of[x] for x in group]))
            loops_of[kind].append(v)
            at.update(zip(group, unflatten(var(v), [size_of[x] for x in group]), strict=True))
    *outer, n = loops_of["n"]
    flat = flatten([at[x] for x in labels[2]], root.shape)
    acc = Ref("acc", root.dtype)
    low.local[root] = (flat, acc)
    return GemmKernel(
        (*loops_of["b"], *outer),
        tuple(loops_of["m"]) or (Var("m", 1),),
        n,
        tuple(loops_of["k"]) or (Var("k", 1),),
        load(a, labels[0], at),
        load(b, labels[1], at),
        root.dtype,
        tuple(Store(array, flat, acc) for array in g.stores[root]) + _members(g, low, flat, 1),
    )


def _serial(g: Group, stored: set[Node]) -> SerialKernel:
    node, x = g.root, g.root.inputs[0]
    axis = node.params[0]
    outer = tuple(Var(f"a{i}", d) for i, d in enumerate(x.shape) if i != axis)
    along = Var("k", x.shape[axis])
    rest = [var(v) for v in outer]
    place = (*rest[:axis], var(along), *rest[axis:])
    acc = Ref("acc", node.dtype)
    at = flatten(place, x.shape) if node.op == "cumsum" else flatten(tuple(rest), node.shape)
    stores = tuple(Store(array, at, acc) for array in g.stores[node])
    return SerialKernel(node.op, outer, along, Lowering(stored).at(x, place), stores)


def _scatter(g: Group, stored: set[Node]) -> ScatterKernel:
    node = g.root
    index, updates = node.inputs
    columns = size(node.shape[1:])
    u, j = Var("u", index.size), Var("j", columns)
    low = Lowering(stored)
    value = low.at_flat(updates, var(u).scaled(columns) + var(j))
    return ScatterKernel(u, j, node.shape[0], low.at_flat(index, var(u)), value, node, node.dtype)
