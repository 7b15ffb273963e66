"""Tiling: the sizes of one contraction: its tile, its tasks, its blocks, and what is packed.

Blocking: a task is a batch, a place in the outer loops of m, and a block of columns (and, for tall C, of
rows). B is packed once per task into panels of the tile's width when it does not lie that way already or lies
far apart; A is copied in blocks when its rows are far apart. k is cut where a panel would leave the second
cache; the partial sums then wait in a buffer of the task, still in the same chain."""

from dataclasses import dataclass

from .emit import LANES
from .kernel import GemmKernel, Guard, Var, count, own_indices, walk

A_BYTES = 192 << 10  # of A copied at a time: a part of the second cache
PANEL_BYTES = 64 << 10  # of B that a tile walks over, from the second cache
NEAR_BYTES = 1 << 20  # an operand up to here stays in the second cache where it lies
COLUMN_BLOCK = 512
TALL = 2048  # rows of one task
TASKS = 16  # so many keep several threads busy to the end
TILE_BYTES = 512 << 10  # partial sums of one task


@dataclass(frozen=True)
class Plan:
    """Sizes of one contraction, decided from its shape, strides and the machine's registers.

    rows, vectors  of a tile, 16 lanes each vector
    split          how many of the loops of m choose the task; the others run inside it
    row_block      rows (of the last loop of m) of one task
    k_axis, k_chunk  a block of k: this many of that loop, and all of the loops inside it"""

    rows: int
    vectors: int
    split: int
    column_block: int
    row_block: int
    k_axis: int
    k_chunk: int
    pack_b: bool
    transpose_b: bool
    pack_a: bool
    a_block: int

    @property
    def width(self) -> int:
        """Columns of a tile."""
        return self.vectors * LANES


def tile_shape(m: int, n: int, itemsize: int, vector_bits: int) -> tuple[int, int]:
    """(rows, vectors) of the tile that wastes least: counts multiply-adds and loads of all tiles, in cycles."""
    registers = 32 if vector_bits == 512 else 16
    per_vector = max(1, LANES * itemsize * 8 // vector_bits)  # machine vectors per 16 lanes
    best: tuple[float, int, int] | None = None
    columns = -(-n // LANES)
    for vectors in range(1, min(8, columns) + 1):
        for rows in range(1, min(14, m) + 1):
            need = rows * vectors * per_vector + vectors * per_vector + 1
            if need > registers and (rows, vectors) != (1, 1):
                continue
            tiles_m, tiles_n = -(-m // rows), -(-columns // vectors)
            fma = rows * vectors * per_vector / 2
            loads = (rows + vectors * per_vector) / 2
            # 4: latency of one multiply-add; 1.5: what each step of k costs beside (measured: large
            # tiles win over small ones that fit better).
            cost = tiles_m * tiles_n * (max(fma, loads, 4.0) + 1.5)
            if (
                best is None
                or cost < best[0] * 0.999
                or (cost < best[0] * 1.001 and rows * vectors > best[1] * best[2])
            ):
                best = (cost, rows, vectors)
    assert best is not None
    rows = -(-m // -(-m // best[1]))  # even tiles: 64 rows in 13s, not 14, 14, 14, 14, 8
    return rows, best[2]


def plan(kernel: GemmKernel, vector_bits: int) -> Plan:
    """Tile, blocks and packing of a contraction."""
    m, n = kernel.m[-1].extent, kernel.n.extent
    size, k = kernel.dtype.itemsize, count(kernel.k)
    rows, vectors = tile_shape(m, n, size, vector_bits)
    width = vectors * LANES
    b_n, b_k = (kernel.b.index.coefficient(v) for v in (kernel.n, kernel.k[-1]))
    a_m, a_k = (kernel.a.index.coefficient(v) for v in (kernel.m[-1], kernel.k[-1]))
    row_tiles = -(-m // rows)
    strided = b_n != 1 and n > 1
    far = abs(b_k) * size >= 1024 and k * n * size > NEAR_BYTES and row_tiles >= 6
    pack_b = strided or far
    panels = -(-n // width)
    is_plain = len(kernel.m) == len(kernel.k) == 1
    stride = max(abs(a_m) if a_k == 1 else abs(a_k), 1) * size
    # Rows 2 KiB apart, or a multiple of it, fall into few cache sets; far ones each into a page of
    # their own. A small matrix lies in the second cache all the same.
    apart = stride >= 2048 and m * k * size > NEAR_BYTES
    pack_a = (
        is_plain
        and apart
        and m >= 2 * rows
        and k >= 64
        and panels * row_tiles >= 16
        and min(abs(a_m), abs(a_k)) == 1
    )
    k_axis, k_chunk = k_block(kernel.k, PANEL_BYTES // (width * size))
    is_cut = count(kernel.k[:k_axis]) * kernel.k[k_axis].extent > k_chunk
    split = 0
    while split < len(kernel.m) - 1 and (
        count(kernel.batch) * count(kernel.m[:split]) < TASKS
        or (is_cut and count(kernel.m[split:]) * min(n, COLUMN_BLOCK) * size > TILE_BYTES)
    ):
        split += 1
    outer = count(kernel.batch) * count(kernel.m[:split])
    block, row_tiles_block = grid(panels, row_tiles, width, rows, outer, pack_a or pack_b)
    row_block = min(m, row_tiles_block * rows)
    if split < len(kernel.m) - 1:
        row_block = m
    kc = k_chunk * count(kernel.k[k_axis + 1 :])
    a_block = max(rows, A_BYTES // (kc * size) // rows * rows)
    return Plan(
        rows,
        vectors,
        split,
        block * width,
        row_block,
        k_axis,
        k_chunk,
        pack_b,
        strided and b_k == 1,
        pack_a,
        a_block,
    )


def k_block(k: tuple[Var, ...], depth: int) -> tuple[int, int]:
    """(axis, chunk): about `depth` steps of k; a chunk divides its axis unless it is the first one."""
    inner = 1
    for axis in range(len(k) - 1, -1, -1):
        n = k[axis].extent
        if inner * n <= depth + depth // 2:
            inner *= n
            continue
        if axis == 0:
            chunk = -(-n // max(1, -(-n * inner // depth)))
            return 0, min(n, -(-chunk // 8) * 8)  # the innermost loop is unrolled
        return axis, next(
            d for d in range(n, 0, -1) if n % d == 0 and (d * inner <= 2 * depth or d == 1)
        )
    return 0, k[0].extent


def grid(
    panels: int, row_tiles: int, width: int, rows: int, batch: int, packed: bool
) -> tuple[int, int]:
    """(panels, tiles of rows) of one task.

    What is packed should be used often: large blocks, four or more. Otherwise at least eight. Few tasks
    come in an even number, for two threads to share."""
    wanted = 4 if packed else 8
    columns = max(1, -(-panels * width // COLUMN_BLOCK))
    heights = max(1, -(-row_tiles * rows // TALL))
    while batch * columns * heights < 24 and (
        batch * columns * heights < wanted or batch * columns * heights % 2
    ):
        if columns >= panels and heights >= row_tiles:
            break
        wide, tall = -(-panels // columns) * width, -(-row_tiles // heights) * rows
        if heights >= row_tiles or (columns < panels and (not packed or wide >= tall)):
            columns = next(
                c
                for c in range(columns + 1, panels + 1)
                if c == panels or -(-panels // c) < wide // width
            )
        else:
            heights = next(
                h
                for h in range(heights + 1, row_tiles + 1)
                if h == row_tiles or -(-row_tiles // h) < tall // rows
            )
    return -(-panels // columns), -(-row_tiles // heights)


def n_tasks(kernel: GemmKernel, p: Plan) -> int:
    """Batches times places in the outer loops of m times blocks of rows times blocks of columns."""
    return (
        count(kernel.batch)
        * count(kernel.m[: p.split])
        * -(-kernel.m[-1].extent // p.row_block)
        * -(-kernel.n.extent // p.column_block)
    )


def padded(n: int) -> int:
    return (
        n + LANES
    )  # a row that is not a multiple of 4 KiB long: neighbours fall into different cache sets


def scratch_bytes(kernel: GemmKernel, p: Plan) -> int:
    """What one thread needs beside the operands."""
    return sum(scratch_parts(kernel, p).values())


def n_blocks(kernel: GemmKernel, p: Plan) -> int:
    """In how many blocks k is walked."""
    return count(kernel.k[: p.k_axis]) * -(-kernel.k[p.k_axis].extent // p.k_chunk)


def steps_of(kernel: GemmKernel, p: Plan) -> int:
    """Steps of k in a whole block."""
    return p.k_chunk * count(kernel.k[p.k_axis + 1 :])


def scratch_parts(kernel: GemmKernel, p: Plan) -> dict[str, int]:
    size = kernel.dtype.itemsize
    columns = -(-min(p.column_block, kernel.n.extent) // p.width) * p.width
    kc = steps_of(kernel, p)
    parts = {"tile": p.rows * p.width * size}
    if n_blocks(kernel, p) > 1:
        parts["tile"] = count(kernel.m[p.split : -1]) * rows_up(kernel, p) * columns * size
    if p.pack_b:
        parts["b"] = kc * columns * size
    if p.pack_a:
        parts["a"] = max(p.a_block * padded(kc), kc * padded(p.a_block)) * size
    return {name: -(-n // 64) * 64 for name, n in parts.items()}


def rows_up(kernel: GemmKernel, p: Plan) -> int:
    return -(-min(p.row_block, kernel.m[-1].extent) // p.rows) * p.rows


def is_dense(kernel: GemmKernel, p: Plan) -> bool:
    """Whether rows of C, narrower than the lanes, may be taken as one run of elements.

    The micro-kernel then writes its rows one over the end of the other, and the epilogue, which reads
    and writes only at its own element or where all elements agree, goes along them sixteen at a time."""
    n, m = kernel.n.extent, kernel.m[-1]
    if not 1 < n < LANES or m.extent < 2 or n_blocks(kernel, p) > 1:
        return False
    values = walk([s.value for s in kernel.stores])
    if any(isinstance(v, Guard) for v in values):
        return False
    places = [x for v in values for x in own_indices(v)] + [s.index for s in kernel.stores]
    return all(x.is_affine() and x.coefficient(m) == n * x.coefficient(kernel.n) for x in places)
