"""Build: the passes from a Graph to a Program, in order. The only place that knows the order.

    simplify    (transform) shorter, same bits
    tidy        (transform) loops with small bodies
    convolve    sums of windows of contractions as convolutions
    legalize    contractions in canonical form, long reductions in chunks
    schedule    groups of nodes, by level
    lower       a group -> one kernel record, views folded into addresses
    emit        kernel record -> LLVM text, named by its own hash
    memory      arrays that do not live at once share the arena

A loop's body goes through the passes from convolve on as a graph of its own, and lies in the program as
launches between its start and a Repeat. `stages` returns what each pass produced, for `show`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..base import machine
from ..graph.infer import make
from ..graph.loop import Loop
from ..graph.node import Node
from ..graph.show import show as show_graph
from ..program.graph import Graph
from ..program.program import Kernel as Code
from ..program.program import Launch, Program, Repeat, Slot
from ..transform.loops import tidy
from ..transform.simplify import simplify
from . import gemm, loops
from .convolve import convolve
from .emit import Builder, Val, function
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
    value_text,
    var,
    walk,
)
from .legalize import legalize, size
from .lower import Lowering
from .memory import plan_arena
from .schedule import HEAVY, Carry, Group, Output, Schedule, array_of
from .values import COST, Emitter

BARRIER_SECONDS = 0.6e-6  # two threads meet, and what one waits for the other
WAKE_SECONDS = 3e-6  # until a second thread takes part
ROWS = 16  # enough for several threads
FLOPS_PER_SECOND = 1e11  # one core, roughly
NEAR_BYTES_PER_SECOND, FAR_BYTES_PER_SECOND = 1e11, 2e10  # from the second cache, from memory


@dataclass(frozen=True)
class Options:
    """What the compiler may do; the defaults are what users get. Results do not depend on it.

    vector_bits  None: the machine's"""

    simplify: bool = True
    fuse: bool = True
    vector_bits: int | None = None


@dataclass
class Stages:
    """What each pass produced."""

    graph: list[Node]
    simplified: list[Node]
    groups: list[list[Group]]
    kernels: list[tuple[Group, Kernel]]
    program: Program


def build(graph: Graph, options: Options = Options()) -> Program:
    """The program that computes a graph."""
    return stages(graph, options).program


def stages(graph: Graph, options: Options = Options()) -> Stages:
    """All passes, keeping what they made."""
    roots = list(graph.outputs) + [v for _, v in graph.updates]
    simplified = tidy(simplify(roots), simplify) if options.simplify else tidy(roots, list)
    part = _part(graph, simplified, options)
    bits = options.vector_bits or machine.read().vector_bits
    return Stages(roots, simplified, part.levels, part.all_kernels(), _assemble(part, bits))


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


def _part(graph: Graph, roots: Sequence[Node], options: Options, own: Sequence[Node] = ()) -> Part:
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
    schedule = Schedule(graph, legal, options.fuse)
    part = Part(graph, schedule, schedule.run())
    # Arrays live from the level that writes them to the last one that reads them.
    life: dict[object, tuple[int, int]] = {}

    def use(array: object, at: int) -> None:
        first, _ = life.get(array, (at, at))
        life[array] = (first, at)

    def add(at: int, g: Group) -> None:
        kernel = make_kernel(g, schedule.stored)
        stores = _stores(kernel)
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
            part.loops[g] = _body(g, options)
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


def _body(g: Group, options: Options) -> Part:
    """The body of a loop: x and const leaves are its inputs, carries its state, the stacked nodes its outputs."""
    loop = g.root.params[0]
    taps = [tap.params[1] for tap in g.members]
    stacked = tuple(what for kind, what in taps if kind == "stack")
    last = {loop.carries[what] for kind, what in taps if kind == "final"}
    updates = tuple(zip(loop.carries, loop.nexts, strict=True))
    graph = Graph(loop.xs + loop.consts, loop.carries, stacked, updates)
    own = [c for c in loop.carries if c not in last]
    return _part(graph, [*stacked, *loop.nexts], options, own)


# --- lower
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


# --- emit
def _values(kernel: Kernel) -> list[Value]:
    """The roots of a kernel's values, in the order of its arguments."""
    if isinstance(kernel, LoopKernel):
        out: list[Value] = []
        for s in kernel.stages:
            out += (
                [a.value for a in s.accumulates]
                + [v for _, v in s.rows]
                + [x.value for x in s.stores]
            )
        return out
    if isinstance(kernel, ColumnKernel):
        return [a.value for a in kernel.accumulates] + [s.value for s in kernel.stores]
    if isinstance(kernel, GemmKernel):
        return [kernel.a, kernel.b] + [s.value for s in kernel.stores]
    if isinstance(kernel, SerialKernel):
        return [kernel.value]
    return [kernel.index, kernel.value]


def _stores(kernel: Kernel) -> list[Store]:
    if isinstance(kernel, LoopKernel):
        return [x for s in kernel.stages for x in s.stores]
    return [] if isinstance(kernel, ScatterKernel) else list(kernel.stores)


def arrays_of(kernel: Kernel) -> list[object]:
    """What the kernel reads and writes, each once: its arguments."""
    found: dict[object, None] = {}
    for v in _values(kernel):
        for x in reversed(walk([v])):
            if isinstance(x, Load):
                found.setdefault(x.array)
    for s in _stores(kernel):
        found.setdefault(s.array)
    if isinstance(kernel, ScatterKernel):
        found.setdefault(kernel.array)
    return list(found)


def emit(kernel: Kernel, sizes: dict, vector_bits: int) -> tuple[str, int, int]:
    """(LLVM text with KERNEL for the name, number of tasks, scratch bytes of a thread)."""
    b = Builder()
    pointers = loops.prelude(b, arrays_of(kernel))
    em = Emitter(b, pointers, sizes)
    extra: dict[str, str] = {}
    scratch = 0
    if isinstance(kernel, LoopKernel):
        loops.emit_loop(b, kernel, em)
        tasks = loops.n_tasks(kernel)
    elif isinstance(kernel, ColumnKernel):
        loops.emit_column(b, kernel, em)
        tasks = loops.column_tasks(kernel)
    elif isinstance(kernel, GemmKernel):
        p = gemm.plan(kernel, vector_bits)
        place = b.load(Val("%slots", "ptr", 1), "ptr")
        extra = gemm.emit_gemm(b, kernel, p, em, place)
        tasks, scratch = gemm.n_tasks(kernel, p), gemm.scratch_bytes(kernel, p)
    elif isinstance(kernel, SerialKernel):
        loops.emit_serial(b, kernel, em)
        tasks = loops.count(kernel.outer)
    else:
        loops.emit_scatter(b, kernel, em)
        tasks = loops.scatter_tasks(kernel)
    text = "".join(extra.values()) + function("KERNEL", b)
    lines = text.splitlines()
    declares = sorted({line for line in lines if line.startswith("declare ")})
    body = [line for line in lines if not line.startswith("declare ")]
    if any("!nontemporal" in line for line in body):
        declares.append("!0 = !{i32 1}")
    return "\n".join(body + declares) + "\n", tasks, scratch


def _cost(values: list[Value]) -> int:
    return sum(
        COST.get(getattr(v, "op", ""), 1) for v in walk(values) if not isinstance(v, Load | Ref)
    )


def _work(kernel: Kernel, sizes: dict, itemsize) -> tuple[int, int]:
    """(operations, bytes moved) of a kernel, roughly."""
    moved = sum(sizes[a] * itemsize(a) for a in arrays_of(kernel))
    if isinstance(kernel, LoopKernel):
        per = sum(
            _cost([a.value for a in s.accumulates] + [x.value for x in s.stores])
            for s in kernel.stages
        )
        return per * loops.count(kernel.outer) * kernel.inner.extent, moved
    if isinstance(kernel, ColumnKernel):
        n = loops.count(kernel.outer) * kernel.lane.extent
        each = _cost([a.value for a in kernel.accumulates]) + 1
        return n * (
            each * loops.count(kernel.along) + _cost([s.value for s in kernel.stores])
        ), moved
    if isinstance(kernel, GemmKernel):
        n = loops.count((*kernel.batch, *kernel.m, kernel.n))
        return n * (2 * loops.count(kernel.k) + _cost([s.value for s in kernel.stores])), moved
    if isinstance(kernel, SerialKernel):
        return loops.count(kernel.outer) * kernel.along.extent * (_cost([kernel.value]) + 2), moved
    return kernel.updates.extent * kernel.column.extent * (_cost([kernel.value]) + 1), moved


def summary(kernel: Kernel, names) -> str:
    """What a kernel does, in lines that a person reads."""

    def text(v: Value) -> str:
        return value_text(v, names)

    def put(s: Store) -> str:
        return f"{names(s.array)}[{s.index}] = {text(s.value)}"

    if isinstance(kernel, LoopKernel):
        out = [f"for {v.name} < {v.extent}:" for v in kernel.outer if v.extent > 1]
        for s in kernel.stages:
            if s.kind != "row":
                out.append(f"  for {kernel.inner.name} < {kernel.inner.extent}:")
            out += [f"    {a.name} {a.op}= {text(a.value)}" for a in s.accumulates]
            out += [f"    {name} = {text(v)}" for name, v in s.rows] + [
                f"    {put(x)}" for x in s.stores
            ]
        return "\n".join(out)
    if isinstance(kernel, ColumnKernel):
        loops_ = ", ".join(
            f"{v.name} < {v.extent}"
            for v in (*kernel.outer, kernel.lane, *kernel.along)
            if v.extent > 1
        )
        return "\n".join(
            [f"for {loops_}:"]
            + [f"    {a.name} {a.op}= {text(a.value)}" for a in kernel.accumulates]
            + [f"  {put(s)}" for s in kernel.stores]
        )
    if isinstance(kernel, GemmKernel):
        k = kernel
        batch, m, depth = (
            "·".join(str(v.extent) for v in loops_) or "1" for loops_ in (k.batch, k.m, k.k)
        )
        head = f"gemm {batch} x [{m}, {depth}] @ [{depth}, {k.n.extent}]: "
        return "\n".join(
            [head + f"acc += {text(k.a)} * {text(k.b)}"] + [f"  {put(s)}" for s in k.stores]
        )
    if isinstance(kernel, SerialKernel):
        return "\n".join(
            [f"{kernel.op} over {kernel.along.extent} of {text(kernel.value)}"]
            + [f"  {put(s)}" for s in kernel.stores]
        )
    return f"{names(kernel.array)}[{text(kernel.index)}] += {text(kernel.value)} for u < {kernel.updates.extent}"


# --- program
class _Assembly:
    """Slots and launches: places of all arrays first, then what runs on them."""

    def __init__(self, part: Part, bits: int):
        self.bits = bits
        self.slots: list[Slot] = [Slot("scratch")]
        self.places: dict[Part, dict[object, int]] = {}  # part -> array -> slot
        self.moves: dict[Group, list[tuple[int, int]]] = {}  # loop -> pointers that it moves
        self.kernels: list[Code] = []
        self.number: dict[str, int] = {}
        self.launches: list[Launch | Repeat] = []
        self.scratch = 0
        self.seconds = 0.0
        self.n_barriers = 0

        place: dict[object, int] = {}
        graph = part.graph
        for kind, name, nodes in (("input", "in", graph.inputs), ("state", "state", graph.state)):
            for i, x in enumerate(nodes):
                place[x] = self.slot(kind, i, 0, _nbytes(x), x.params[1] or f"{name}{i}")
        for i, (key, n) in enumerate(_results(part, place)):
            place[key] = self.slot("output", i, 0, _nbytes(n), f"out{i}")
        given = sum(slot.nbytes for slot in self.slots)
        near = part.nbytes + given < machine.read().l2_bytes * 3 // 4
        self.speed = NEAR_BYTES_PER_SECOND if near else FAR_BYTES_PER_SECOND
        self.place(part, place, 0, [])
        self.launch(part, 1)

    def slot(self, kind: str, index: int, offset: int, nbytes: int, label: str) -> int:
        self.slots.append(Slot(kind, index, offset, nbytes, label))
        return len(self.slots) - 1

    def place(self, part: Part, place: dict[object, int], base: int, around: list[list]) -> None:
        """Slots of a part's own arrays, which begin at `base`, and of its loops.

        around  the moves of the loops that this part lies in"""
        self.places[part] = place
        for number, (array, offset) in enumerate(part.offsets.items()):
            if isinstance(array, Node):
                label = array.params[1] if array.op == "leaf" else f"t{number}"
                place[array] = self.slot("arena", 0, base + offset, _nbytes(array), label)
        for g, body in part.loops.items():
            self.place_loop(place, g, body, base + part.offsets[g], around)

    def place_loop(
        self, outer: dict[object, int], g: Group, body: Part, base: int, around: list[list]
    ) -> None:
        loop, moves = g.root.params[0], self.moves.setdefault(g, [])
        inner: dict[object, int] = {}

        def entry(array: Node, x: Node, label: str) -> int:
            """A slot that walks along a stacked array."""
            whole, step = outer[array], _nbytes(x)
            s, skipped = self.slots[whole], step * loop.steps[0]
            new = self.slot(s.kind, s.index, s.offset + skipped, step, label)
            for other in around:
                other += [(new, by) for slot, by in other if slot == whole]
            moves.append((new, -step if loop.reverse else step))
            return new

        arrays = [array_of(x) for x in g.root.inputs[len(loop.carries) :]]
        for x, array in zip(loop.xs, arrays, strict=False):
            inner[x] = entry(array, x, f"{self.slots[outer[array]].label}[t]")
        for x, array in zip(loop.consts, arrays[len(loop.xs) :], strict=True):
            inner[x] = outer[array]
        for tap in g.members:
            kind, what = tap.params[1]
            if kind == "final":
                inner[loop.carries[what]] = outer[tap]
        stacks = [tap for tap in g.members if tap.params[1][0] == "stack"]
        for tap, (key, n) in zip(stacks, _results(body, inner), strict=True):
            inner[key] = entry(tap, n, f"{self.slots[outer[tap]].label}[t]")
        self.place(body, inner, base, [*around, moves])
        outer.update((Carry(g.number, c), inner[c]) for c in loop.carries)

    def launch(self, part: Part, times: int) -> None:
        """The launches of a part that runs so many times."""
        for number, (at, g, kernel) in enumerate(part.rows):
            if kernel is not None:
                following = part.rows[number + 1] if number + 1 < len(part.rows) else (-1, g, None)
                self.launch_kernel(part, kernel, following[0] != at or following[2] is None, times)
                continue
            start, loop = len(self.launches), g.root.params[0]
            self.launch(part.loops[g], times * loop.length)
            if len(self.launches) > start:
                counter = self.slot("counter", 0, 0, 8, "count")
                self.launches.append(Repeat(start, loop.length, counter, tuple(self.moves[g])))

    def launch_kernel(self, part: Part, kernel: Kernel, barrier: bool, times: int) -> None:
        place, arrays = self.places[part], arrays_of(kernel)
        sizes = {a: part.node(a).size for a in arrays}
        text, tasks, need = emit(kernel, sizes, self.bits)
        self.scratch = max(self.scratch, need)
        name = "k" + hashlib.sha256(text.encode()).hexdigest()[:20]
        if name not in self.number:
            flops, moved = _work(kernel, sizes, lambda a: part.node(a).dtype.itemsize)
            does = summary(kernel, lambda a: self.slots[place[a]].label)
            self.number[name] = len(self.kernels)
            self.kernels.append(Code(name, text.replace("KERNEL", name), does, flops, moved))
        code = self.kernels[self.number[name]]
        self.seconds += times * max(code.flops / FLOPS_PER_SECOND, code.bytes / self.speed)
        self.n_barriers += times * barrier
        args = tuple(place[a] for a in arrays)
        self.launches.append(Launch(self.number[name], args, tasks, barrier))


def _nbytes(x: Node) -> int:
    return x.size * x.dtype.itemsize


def _results(part: Part, place: dict[object, int]) -> list[tuple[object, Node]]:
    """The outputs, and the key of the array of each: its own where it is computed once, for this."""
    out: list[tuple[object, Node]] = []
    taken = set(place)
    for i, n in enumerate(part.schedule.outputs):
        out.append((Output(i) if n.op in ("leaf", "const") or n in taken else n, n))
        taken.add(n)
    return out


def _assemble(part: Part, bits: int) -> Program:
    made = _Assembly(part, bits)
    return Program(
        tuple(made.kernels),
        tuple(made.launches),
        tuple(made.slots),
        tuple((n.shape, n.dtype.name) for n in part.schedule.outputs),
        tuple(map(_nbytes, part.graph.inputs)),
        part.nbytes,
        made.scratch,
        (),
        made.seconds / 2 > WAKE_SECONDS + BARRIER_SECONDS * (made.n_barriers + 1),
    )


def show(graph: Graph, stage: str = "kernels", options: Options = Options()) -> str:
    """One stage as text: graph, simplified, kernels, llvm, program, memory."""
    made = stages(graph, options)
    if stage == "graph":
        return show_graph(made.graph)
    if stage == "simplified":
        return show_graph(made.simplified)
    views = {
        "kernels": made.program.show_kernels,
        "llvm": made.program.show_llvm,
        "program": made.program.show,
        "memory": made.program.show_memory,
    }
    return views[stage]()
