"""Code: a kernel record as LLVM text, as work to be done, and as lines that a person reads."""

from . import gemm, loops, tiling
from .emit import LANES, Builder, Val, function, i64
from .kernel import (
    ColumnKernel,
    GemmKernel,
    Kernel,
    Load,
    LoopKernel,
    Ref,
    ScatterKernel,
    SerialKernel,
    Store,
    Value,
    Var,
    count,
    value_text,
    walk,
)
from .memory import LINE
from .values import COST, Emitter

STREAM_BYTES = 8 << 20  # larger results go past the caches: they would not be found there again


def values_of(kernel: Kernel) -> list[Value]:
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


def stores_of(kernel: Kernel) -> list[Store]:
    if isinstance(kernel, LoopKernel):
        return [x for s in kernel.stages for x in s.stores]
    return [] if isinstance(kernel, ScatterKernel) else list(kernel.stores)


def arrays_of(kernel: Kernel) -> list[object]:
    """What the kernel reads and writes, each once: its arguments."""
    found: dict[object, None] = {}
    for v in values_of(kernel):
        for x in reversed(walk([v])):
            if isinstance(x, Load):
                found.setdefault(x.array)
    for s in stores_of(kernel):
        found.setdefault(s.array)
    if isinstance(kernel, ScatterKernel):
        found.setdefault(kernel.array)
    return list(found)


def bypass_caches(em: Emitter, kernel: Kernel) -> None:
    """Has large results stored past the caches, where they lie on cache lines.

    A plain store reads the line first, so that a copy moves three bytes for two; and a result of this size is
    no longer in a cache when it is read."""
    b, read = em.b, {x.array for x in walk(values_of(kernel)) if isinstance(x, Load)}
    if isinstance(kernel, GemmKernel):
        lane: Var = kernel.n
    elif isinstance(kernel, LoopKernel) and kernel.inner.extent > 1:
        lane = kernel.inner
    else:
        return

    def is_streamed(s: Store) -> bool:
        """Whether each vector of it fills one line, if the array begins with one."""
        others = [s.index.const, *(c for a, c in s.index.terms if a != lane)]
        return (
            s.array not in read
            and em.sizes[s.array] * s.value.dtype.itemsize >= STREAM_BYTES
            and s.value.dtype.itemsize * LANES == LINE
            and s.index.is_affine()
            and s.index.coefficient(lane) == 1
            and not any(c % LANES for c in others)
        )

    for s in filter(is_streamed, stores_of(kernel)):
        address = b.convert("ptrtoint", em.arrays[s.array], "i64")
        low = b.bin("and", address, i64(LINE - 1))
        em.stream[s.array] = b.cmp("eq", low, i64(0)), b.cmp("ne", low, i64(0))


def emit(kernel: Kernel, sizes: dict, vector_bits: int) -> tuple[str, int, int]:
    """(LLVM text with KERNEL for the name, number of tasks, scratch bytes of a thread)."""
    b = Builder()
    pointers = loops.prelude(b, arrays_of(kernel))
    em = Emitter(b, pointers, sizes)
    bypass_caches(em, kernel)
    extra: dict[str, str] = {}
    scratch = 0
    if isinstance(kernel, LoopKernel):
        loops.emit_loop(b, kernel, em)
        tasks = loops.n_tasks(kernel)
    elif isinstance(kernel, ColumnKernel):
        loops.emit_column(b, kernel, em)
        tasks = loops.column_tasks(kernel)
    elif isinstance(kernel, GemmKernel):
        p = tiling.plan(kernel, vector_bits)
        place = b.load(Val("%slots", "ptr", 1), "ptr")
        extra = gemm.emit_gemm(b, kernel, p, em, place)
        tasks, scratch = tiling.n_tasks(kernel, p), tiling.scratch_bytes(kernel, p)
    elif isinstance(kernel, SerialKernel):
        loops.emit_serial(b, kernel, em)
        tasks = count(kernel.outer)
    else:
        loops.emit_scatter(b, kernel, em)
        tasks = loops.scatter_tasks(kernel)
    if em.stream:
        b.raw("fence seq_cst")  # such stores are not ordered with others
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


def work(kernel: Kernel, sizes: dict, itemsize) -> tuple[int, int]:
    """(operations, bytes moved) of a kernel, roughly."""
    moved = sum(sizes[a] * itemsize(a) for a in arrays_of(kernel))
    if isinstance(kernel, LoopKernel):
        per = sum(
            _cost([a.value for a in s.accumulates] + [x.value for x in s.stores])
            for s in kernel.stages
        )
        return per * count(kernel.outer) * kernel.inner.extent, moved
    if isinstance(kernel, ColumnKernel):
        n = count(kernel.outer) * kernel.lane.extent
        each = _cost([a.value for a in kernel.accumulates]) + 1
        return n * (each * count(kernel.along) + _cost([s.value for s in kernel.stores])), moved
    if isinstance(kernel, GemmKernel):
        n = count((*kernel.batch, *kernel.m, kernel.n))
        return n * (2 * count(kernel.k) + _cost([s.value for s in kernel.stores])), moved
    if isinstance(kernel, SerialKernel):
        return count(kernel.outer) * kernel.along.extent * (_cost([kernel.value]) + 2), moved
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
