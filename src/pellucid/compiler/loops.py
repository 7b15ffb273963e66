"""Loops: LLVM text of every kernel form but the contraction.

The order in which a sum is taken is part of its meaning and depends on the kernel's sizes alone:
along a row, element r goes to lane r % 16 of accumulator (r // 16) % 4 while whole groups of 64 last,
then of accumulator 0; accumulators and lanes are joined pairwise. Across columns it is first to last."""

from ..base import dtypes
from ..base.dtypes import DType
from .emit import ELEMENT, LANES, Builder, Val, i64
from .kernel import (
    ColumnKernel,
    Fetched,
    LoopKernel,
    ScatterKernel,
    SerialKernel,
    Stage,
    Store,
    Var,
    count,
    identity,
)
from .values import Emitter, extreme, register_type

CHUNK = 4096  # elements of a flat elementwise task: 16 KiB of float32, a third of the first cache
LONG_ROW = 256  # from here on four accumulators hide the latency of an addition


def prelude(b: Builder, arrays: list) -> dict:
    """Loads the pointer of each array from the slot table."""
    out = {}
    slots, argidx = Val("%slots", "ptr", 1), Val("%argidx", "ptr", 1)
    for i, array in enumerate(arrays):
        number = b.convert("sext", b.load(b.gep(argidx, i64(i), "i32"), "i32"), "i64")
        out[array] = b.load(b.gep(slots, number, "ptr"), "ptr")
    return out


def decode(b: Builder, task: Val, loops: tuple[Var, ...]) -> dict[Var, Val]:
    """The counters of nested loops at a flat position."""
    env: dict[Var, Val] = {}
    for v in reversed(loops[1:]):
        env[v] = b.bin("urem", task, i64(v.extent))
        task = b.bin("udiv", task, i64(v.extent))
    if loops:
        env[loops[0]] = task
    return env


def join(b: Builder, op: str, d: DType, x: Val, y: Val) -> Val:
    """One step of an accumulation."""
    if op == "sum":
        return b.bin("fadd" if d.kind == "f" else "add", x, y)
    return extreme(op)(b, d, x, y)


def join_lanes(b: Builder, op: str, d: DType, v: Val) -> Val:
    """One number from sixteen lanes: halves, pairwise."""
    if v.width == 1:
        return v
    while v.width > 2:
        half = v.width // 2
        low = ", ".join(f"i32 {i}" for i in range(half))
        high = ", ".join(f"i32 {i + half}" for i in range(half))
        pieces = [
            b.let(f"shufflevector {v}, {v.full} poison, <{half} x i32> <{which}>", v.type, half)
            for which in (low, high)
        ]
        v = join(b, op, d, pieces[0], pieces[1])
    ends = [b.let(f"extractelement {v}, i64 {i}", v.type, 1) for i in (0, 1)]
    return join(b, op, d, ends[0], ends[1])


class scalar:
    """Within it the emitter works on one lane, without a mask, in a scope of its own."""

    def __init__(self, em: Emitter):
        self.em = em

    def __enter__(self):
        em = self.em
        self.before = em.b.width, em.lane, em.mask
        em.b.width, em.lane, em.mask = 1, None, None
        em.enter()

    def __exit__(self, *exc):
        em = self.em
        em.leave()
        em.b.width, em.lane, em.mask = self.before


def lane_mask(b: Builder, base: Val, n: int) -> Val:
    """Which of the lanes base, base+1, ... lie below n."""
    limit = i64(n)
    if n % LANES == 1:
        # LLVM 22 makes of a truncation to i8, stored under a constant mask of one lane, a store of the
        # whole i32: three bytes too many. An empty asm (no instruction) keeps the mask from constancy.
        limit = b.let(f'call i64 asm "", "=r,0"(i64 {n})', "i64", 1)
    left = b.bin("sub", limit, base)
    return b.cmp("slt", b.lanes("i64"), b.splat(left))


def store_all(em: Emitter, stores: tuple[Store, ...]) -> None:
    """Evaluates every value before the first store: a store may overwrite what another reads."""
    values = [em.eval(s.value) for s in stores]
    for s, v in zip(stores, values, strict=True):
        em.store(s.array, s.index, v, s.value.dtype)


def emit_loop(b: Builder, kernel: LoopKernel, em: Emitter) -> None:
    """Tasks are rows; without rows, chunks of the flat loop."""
    inner = kernel.inner
    flat = is_flat(kernel)
    lo, hi = Val("%lo", "i64", 1), Val("%hi", "i64", 1)
    b.width = 1 if inner.extent == 1 else LANES
    if flat:
        start = b.bin("mul", lo, i64(CHUNK))
        stop = b.bin("mul", hi, i64(CHUNK))
        stop = b.select(b.cmp("slt", stop, i64(inner.extent)), stop, i64(inner.extent))
        em.env = {v: i64(0) for v in kernel.outer}
        _map(em, kernel.stages[0], inner, start, stop)
        return

    def row(task: Val, _):
        em.enter()
        em.env = decode(b, task, kernel.outer)
        for stage in kernel.stages:
            if stage.kind == "map":
                _map(em, stage, inner, i64(0), i64(inner.extent))
            elif stage.kind == "reduce":
                _reduce(em, stage, inner)
            else:
                with scalar(em):
                    for name, value in stage.rows:
                        em.refs[name] = em.eval(value)
                    store_all(em, stage.stores)
        em.leave()
        return []

    b.loop(lo, hi, 1, [], row)


def is_flat(kernel: LoopKernel) -> bool:
    """Whether tasks are chunks of one long loop."""
    return count(kernel.outer) == 1 and len(kernel.stages) == 1 and kernel.stages[0].kind == "map"


def n_tasks(kernel: LoopKernel) -> int:
    """How many tasks the launch has."""
    return -(-kernel.inner.extent // CHUNK) if is_flat(kernel) else count(kernel.outer)


def _map(em: Emitter, stage: Stage, inner: Var, start: Val, stop: Val) -> None:
    b = em.b

    def block(i: Val, _):
        em.enter()
        em.env[inner] = i
        store_all(em, stage.stores)
        em.leave()
        return []

    if b.width == 1:
        b.loop(start, stop, 1, [], block)
        return
    em.lane = inner
    # Starts are multiples of 16 (chunks are), so only the end of the whole loop can be ragged.
    whole = b.bin("and", stop, i64(-LANES))
    b.loop(start, whole, LANES, [], block)
    if inner.extent % LANES:
        ragged = b.cmp("slt", whole, stop)

        def tail() -> None:
            em.enter()
            em.env[inner] = whole
            em.mask = lane_mask(b, whole, inner.extent)
            store_all(em, stage.stores)
            em.mask = None
            em.leave()

        b.when(ragged, tail)
    em.lane = None


def _reduce(em: Emitter, stage: Stage, inner: Var) -> None:
    b, n = em.b, inner.extent
    kinds = [(a.op, a.value.dtype) for a in stage.accumulates]
    start = [b.const(identity(op, d), register_type(d)) for op, d in kinds]

    def step(i: Val, accumulators: list[Val], mask: Val | None = None) -> list[Val]:
        em.enter()
        em.env[inner] = i
        em.mask = mask
        out = []
        for a, (op, d), acc in zip(stage.accumulates, kinds, accumulators, strict=True):
            new = join(b, op, d, acc, em.eval(a.value))
            out.append(new if mask is None else b.select(mask, new, acc))
        store_all(em, stage.stores)
        em.mask = None
        em.leave()
        return out

    if b.width == 1:
        results = b.loop(i64(0), i64(n), 1, start, step)
    else:
        em.lane = inner
        whole, results = n - n % LANES, start
        done = 0
        if n >= LONG_ROW:
            done = n - n % (4 * LANES)

            def four(i: Val, carried: list[Val]) -> list[Val]:
                out = []
                for j in range(4):
                    at = b.bin("add", i, i64(j * LANES)) if j else i
                    out += step(at, carried[j * len(kinds) : (j + 1) * len(kinds)])
                return out

            groups = b.loop(i64(0), i64(done), 4 * LANES, start * 4, four)
            k = len(kinds)
            results = [
                join(
                    b,
                    op,
                    d,
                    join(b, op, d, groups[i], groups[k + i]),
                    join(b, op, d, groups[2 * k + i], groups[3 * k + i]),
                )
                for i, (op, d) in enumerate(kinds)
            ]
        if whole - done == LANES:
            results = step(i64(done), results)
        elif whole > done:
            results = b.loop(i64(done), i64(whole), LANES, results, step)
        if n % LANES:
            results = step(i64(whole), results, lane_mask(b, i64(whole), n))
        em.lane = None
        results = [join_lanes(b, op, d, v) for (op, d), v in zip(kinds, results, strict=True)]
    for a, v in zip(stage.accumulates, results, strict=True):
        em.refs[a.name] = v


def column_unroll(kernel: ColumnKernel) -> int:
    """How many vectors of columns one task holds."""
    return min(4, -(-kernel.lane.extent // LANES))


def emit_column(b: Builder, kernel: ColumnKernel, em: Emitter) -> None:
    """Tasks are blocks of columns; each walks all of `along` with its sums in registers."""
    unroll = column_unroll(kernel)
    n, size = kernel.lane.extent, unroll * LANES
    blocks = Var("block", -(-n // size))
    ragged = n % size != 0
    kinds = [(a.op, a.value.dtype) for a in kernel.accumulates]
    em.lane = kernel.lane

    def task(t: Val, _):
        em.enter()
        em.env = decode(b, t, kernel.outer + (blocks,))
        first = b.bin("mul", em.env[blocks], i64(size))
        bases = [b.bin("add", first, i64(u * LANES)) for u in range(unroll)]
        masks = [lane_mask(b, x, n) if ragged else None for x in bases]
        start = [b.const(identity(op, d), register_type(d)) for op, d in kinds] * unroll

        def nest(loops: tuple[Var, ...], carried: list[Val]) -> list[Val]:
            if loops:

                def inside(i: Val, c: list[Val]) -> list[Val]:
                    em.env[loops[0]] = i
                    return nest(loops[1:], c)

                return b.loop(i64(0), i64(loops[0].extent), 1, carried, inside)
            out = []
            for u in range(unroll):
                em.enter()
                em.env[kernel.lane], em.mask = bases[u], masks[u]
                for j, (a, (op, d)) in enumerate(zip(kernel.accumulates, kinds, strict=True)):
                    out.append(join(b, op, d, carried[u * len(kinds) + j], em.eval(a.value)))
                em.mask = None
                em.leave()
            return out

        sums = nest(kernel.along, start)
        for u in range(unroll):
            em.enter()
            em.env[kernel.lane], em.mask = bases[u], masks[u]
            for j, a in enumerate(kernel.accumulates):
                em.refs[a.name] = sums[u * len(kinds) + j]
            store_all(em, kernel.stores)
            em.mask = None
            em.leave()
        em.leave()
        return []

    b.loop(Val("%lo", "i64", 1), Val("%hi", "i64", 1), 1, [], task)


def column_tasks(kernel: ColumnKernel) -> int:
    """How many tasks the launch has."""
    return count(kernel.outer) * -(-kernel.lane.extent // (column_unroll(kernel) * LANES))


def emit_serial(b: Builder, kernel: SerialKernel, em: Emitter) -> None:
    """Tasks are rows; within one, element after element."""
    b.width = 1
    d = kernel.value.dtype

    def value_at(i: Val) -> Val:
        em.env[kernel.along] = i
        return em.eval(kernel.value)

    def row(t: Val, _):
        em.enter()
        em.env = decode(b, t, kernel.outer)
        if kernel.op == "cumsum":

            def add(i: Val, carried: list[Val]) -> list[Val]:
                em.enter()
                total = em.refs["acc"] = join(b, "sum", d, carried[0], value_at(i))
                store_all(em, kernel.stores)
                em.leave()
                return [total]

            b.loop(
                i64(0),
                i64(kernel.along.extent),
                1,
                [b.const(identity("sum", d), register_type(d))],
                add,
            )
        else:
            em.enter()
            first = value_at(i64(0))
            em.leave()

            def better(i: Val, carried: list[Val]) -> list[Val]:
                em.enter()
                best, at = carried
                v = value_at(i)
                if d.kind == "f":  # the first NaN wins, as in NumPy
                    wins = b.bin("and", b.cmp("ugt", v, best), b.cmp("ord", best, best))
                else:
                    wins = b.cmp("sgt" if d in (dtypes.int32, dtypes.int64) else "ugt", v, best)
                out = [b.select(wins, v, best), b.select(wins, i, at)]
                em.leave()
                return out

            em.refs["acc"] = b.loop(i64(1), i64(kernel.along.extent), 1, [first, i64(0)], better)[1]
            em.enter()
            store_all(em, kernel.stores)
            em.leave()
        em.leave()
        return []

    b.loop(Val("%lo", "i64", 1), Val("%hi", "i64", 1), 1, [], row)


def emit_scatter(b: Builder, kernel: ScatterKernel, em: Emitter) -> None:
    """Tasks are blocks of 16 columns; each clears its columns and then adds update after update."""
    columns = kernel.column.extent
    b.width = 1 if columns == 1 else LANES
    step = b.width
    type_ = ELEMENT[kernel.dtype.name]
    pointer = em.arrays[kernel.array]
    plus = "fadd" if kernel.dtype.kind == "f" else "add"

    def block(t: Val, _):
        em.enter()
        base = b.bin("mul", t, i64(step))
        mask = lane_mask(b, base, columns) if columns % step else None
        em.env = {kernel.column: base}
        em.lane = kernel.column if step > 1 else None

        def place(row: Val) -> Val:
            return b.gep(pointer, b.bin("add", b.bin("mul", row, i64(columns)), base), type_)

        def write(v: Val, at: Val) -> None:
            b.store(v, at) if mask is None else b.masked_store(v, at, mask)

        def clear(i: Val, _):
            write(b.const(identity("sum", kernel.dtype), type_), place(i))
            return []

        b.loop(i64(0), i64(kernel.rows), 1, [], clear)

        def update(i: Val, _):
            em.enter()
            em.env[kernel.updates] = i
            with scalar(em):
                row = em.atom(Fetched(kernel.index, kernel.rows))
            at = place(row)
            em.mask = mask
            v = em.eval(kernel.value)
            em.mask = None
            old = b.load(at, type_, step) if mask is None else b.masked_load(at, mask, type_)
            write(b.bin(plus, old, v), at)
            em.leave()
            return []

        b.loop(i64(0), i64(kernel.updates.extent), 1, [], update)
        em.leave()
        em.lane = None
        return []

    b.loop(Val("%lo", "i64", 1), Val("%hi", "i64", 1), 1, [], block)


def scatter_tasks(kernel: ScatterKernel) -> int:
    """How many tasks the launch has."""
    return kernel.column.extent if kernel.column.extent == 1 else -(-kernel.column.extent // LANES)
