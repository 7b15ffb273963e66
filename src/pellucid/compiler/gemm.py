"""Gemm: LLVM text of the contraction C = epilogue(A @ B), the one kernel behind every matrix product.

Each element of C is one chain of fused multiply-adds over k, first to last, so neither tile sizes,
packing nor the number of threads can change a bit. A tile of C stays in registers while k runs
(outer products; Goto and van de Geijn 2008, section 4); it then goes through a small buffer in the
first cache, from where the epilogue takes it row by row.

m and k may be several loops each. A convolution is a contraction over windows of its input: the tile runs
along a row of the image, k over kernel rows, then kernel columns and channels, and no window is ever copied
(Georganas et al. 2018, "Anatomy of high-performance deep learning convolutions on SIMD architectures").

Sizes and blocks are tiling.py's."""

from .emit import BYTES, ELEMENT, LANES, Builder, Val, i64
from .kernel import GemmKernel, Load, Var, count, walk
from .loops import decode, lane_mask, store_all
from .tiling import Plan, is_dense, n_blocks, padded, rows_up, scratch_parts
from .values import Emitter

PREFETCH_BYTES = 256 << 10  # smaller arrays of the epilogue are in a cache anyway


class _Gemm:
    """Writes one contraction; the methods are the loops from outside in."""

    def __init__(self, b: Builder, kernel: GemmKernel, p: Plan, em: Emitter, scratch: Val):
        self.b, self.k, self.p, self.em = b, kernel, p, em
        self.type = ELEMENT[kernel.dtype.name]
        self.size = BYTES[self.type]
        self.m = kernel.m[-1]
        offset, self.scratch = 0, {}
        for name, n in scratch_parts(kernel, p).items():
            self.scratch[name] = b.gep(scratch, i64(offset), "i8")
            offset += n
        ai, bi = kernel.a.index, kernel.b.index
        self.a_m, self.b_n = ai.coefficient(self.m), bi.coefficient(kernel.n)
        # (loop, step in A, step in B) of k, outside in
        self.k_loops = [(v.extent, ai.coefficient(v), bi.coefficient(v)) for v in kernel.k]
        self.a_k, self.b_k = self.k_loops[-1][1:]
        self.inside = kernel.m[p.split : -1]
        self.is_cut = n_blocks(kernel, p) > 1
        self.micro: dict[str, str] = {}  # name -> text

    def at(self, pointer: Val, *terms: tuple[Val, int]) -> Val:
        """&pointer[sum of value * stride], constants folded."""
        b, total = self.b, None
        const = 0
        for v, stride in terms:
            if not v.name.startswith("%"):
                const += int(v.name) * stride
                continue
            if stride:
                x = v if stride == 1 else b.bin("mul", v, i64(stride))
                total = x if total is None else b.bin("add", total, x)
        if total is None:
            return b.gep(pointer, i64(const), self.type) if const else pointer
        return b.gep(pointer, b.bin("add", total, i64(const)) if const else total, self.type)

    def emit(self) -> None:
        """All tasks lo..hi-1."""
        b, k, p = self.b, self.k, self.p
        blocks_n, blocks_m = -(-k.n.extent // p.column_block), -(-self.m.extent // p.row_block)

        def task(t: Val, _):
            em = self.em
            em.enter()
            # Columns innermost: neighbours share the rows of A.
            jb = b.bin("urem", t, i64(blocks_n)) if blocks_n > 1 else i64(0)
            rest = b.bin("udiv", t, i64(blocks_n)) if blocks_n > 1 else t
            ib = b.bin("urem", rest, i64(blocks_m)) if blocks_m > 1 else i64(0)
            rest = b.bin("udiv", rest, i64(blocks_m)) if blocks_m > 1 else rest
            outer = tuple(v for v in (*k.batch, *k.m[: p.split]) if v.extent > 1)
            em.env.update({v: i64(0) for v in (*k.batch, *k.m)})
            em.env.update(decode(b, rest, outer))
            j0 = b.bin("mul", jb, i64(p.column_block)) if blocks_n > 1 else i64(0)
            i0 = b.bin("mul", ib, i64(p.row_block)) if blocks_m > 1 else i64(0)
            j1 = self.least(j0, p.column_block, k.n.extent)
            i1 = self.least(i0, p.row_block, self.m.extent)
            places = [(v, em.env[v]) for v in outer]
            a, bb = (
                self.at(
                    em.arrays[x.array],
                    (i64(1), x.index.const),
                    *((at, x.index.coefficient(v)) for v, at in places),
                )
                for x in (k.a, k.b)
            )
            self.k_blocks(a, bb, i0, i1, j0, j1)
            em.leave()
            return []

        b.loop(Val("%lo", "i64", 1), Val("%hi", "i64", 1), 1, [], task)

    def least(self, start: Val, step: int, limit: int) -> Val:
        """min(start + step, limit)."""
        if not start.name.startswith("%"):
            return i64(min(int(start.name) + step, limit))
        stop = self.b.bin("add", start, i64(step))
        if limit % step == 0:
            return stop
        return self.b.select(self.b.cmp("slt", stop, i64(limit)), stop, i64(limit))

    def k_blocks(self, a, bb, i0, i1, j0, j1) -> None:
        """All blocks of k in order; the last one is followed by the epilogue."""
        b, p = self.b, self.p
        extent = self.k_loops[p.k_axis][0]
        inner = self.k_loops[p.k_axis + 1 :]
        chunks = -(-extent // p.k_chunk)
        outer = tuple(Var(f"o{i}", n) for i, (n, _, _) in enumerate(self.k_loops[: p.k_axis]))
        blocks = (*outer, Var("chunk", chunks))
        n = count(blocks)

        def step(t: Val, size: int, first: bool, last: bool) -> None:
            """Block t of k, `size` of its outermost loop."""
            places = decode(b, t, blocks) if n > 1 else {}
            steps: list[tuple[int, ...]] = [x[1:] for x in self.k_loops[: p.k_axis]]
            steps.append(tuple(s * p.k_chunk for s in self.k_loops[p.k_axis][1:]))
            moves = [(places[v], s) for v, s in zip(blocks, steps, strict=True) if v in places]
            loops = [(size, *self.k_loops[p.k_axis][1:]), *inner]
            self.k_step(
                self.at(a, *((at, s[0]) for at, s in moves)),
                self.at(bb, *((at, s[1]) for at, s in moves)),
                (i0, i1, j0, j1),
                loops,
                first,
                last,
            )

        last_size = extent - (chunks - 1) * p.k_chunk
        if n == 1:
            step(i64(0), last_size, True, True)
            return
        self.clear(i0, i1, j0, j1)

        def middle(t: Val, _):
            step(t, p.k_chunk, False, False)
            return []

        assert last_size == p.k_chunk or not outer, "a chunk divides its loop"
        b.loop(i64(0), i64(n - 1), 1, [], middle)
        step(i64(n - 1), last_size, False, True)

    def clear(self, i0, i1, j0, j1) -> None:
        """Zeros in the partial sums."""
        b, n = self.b, scratch_parts(self.k, self.p)["tile"] // self.size
        zero = b.const(0.0, self.type)

        def block(i: Val, _):
            b.store(zero, self.at(self.scratch["tile"], (i, 1)))
            return []

        b.loop(i64(0), i64(n), LANES, [], block)

    def k_step(self, a, bb, place, loops, first: bool, last: bool) -> None:
        """One block of k: packs B, then walks the rows in blocks."""
        b, p = self.b, self.p
        i0, i1, j0, j1 = place
        kc = 1
        for n, _, _ in loops:
            kc *= n
        bb = self.at(bb, (j0, self.b_n))
        if p.pack_b:
            self.pack_b(bb, b.bin("sub", j1, j0), loops)
            bb = self.scratch["b"]
            loops = [
                (n, s, p.width * _product(loops[i + 1 :])) for i, (n, s, _) in enumerate(loops)
            ]
        if not p.pack_a:
            self.tiles(a, self.a_m, bb, i0, i0, i1, j0, j1, loops, first, last)
            return

        def rows(i: Val, _):
            stop = b.bin("add", i, i64(p.a_block))
            stop = b.select(b.cmp("slt", stop, i1), stop, i1)
            n = b.bin("sub", stop, i)
            source = self.at(a, (i, self.a_m))
            if self.a_k == 1:  # rows of kc neighbours
                self.copy(source, self.a_m, self.scratch["a"], padded(kc), n, i64(kc))
                a_m, a_k = padded(kc), 1
            else:  # for each k, neighbouring rows
                self.copy(source, self.a_k, self.scratch["a"], padded(p.a_block), i64(kc), n)
                a_m, a_k = 1, padded(p.a_block)
            packed = [(kc, a_k, loops[0][2])]
            self.tiles(
                self.scratch["a"], a_m, bb, i, i0, stop, j0, j1, packed, first, last, packed=True
            )
            return []

        b.loop(i0, i1, p.a_block, [], rows)

    def copy(
        self, source: Val, stride: int, target: Val, pitch: int, rows: Val, columns: Val
    ) -> None:
        """target[r * pitch + c] = source[r * stride + c]."""
        b = self.b

        def row(r: Val, _):
            s, t = self.at(source, (r, stride)), self.at(target, (r, pitch))
            whole = b.bin("and", columns, i64(-LANES))

            def block(c: Val, _):
                b.store(b.load(self.at(s, (c, 1)), self.type, LANES), self.at(t, (c, 1)))
                return []

            b.loop(i64(0), whole, LANES, [], block)

            def tail() -> None:
                mask = b.cmp("ult", b.lanes("i64"), b.splat(b.bin("sub", columns, whole)))
                v = b.masked_load(self.at(s, (whole, 1)), mask, self.type)
                b.store(v, self.at(t, (whole, 1)))  # the pitch leaves room for a whole vector

            b.when(b.cmp("slt", whole, columns), tail)
            return []

        b.loop(i64(0), rows, 1, [], row)

    def pack_b(self, source: Val, columns: Val, loops) -> None:
        """scratch b = panels of `width` columns, k rows each; columns past the end are zero."""
        b, width, kc = self.b, self.p.width, _product(loops)

        def panel(j: Val, _):
            target = self.at(self.scratch["b"], (j, kc))

            def walk_k(left_loops, at: Val, out: Val) -> None:
                if len(left_loops) == 1:
                    for v in range(self.p.vectors):
                        first = b.bin("add", j, i64(v * LANES)) if v else j
                        left = b.bin("sub", columns, first)
                        put = self.at(out, (i64(v * LANES), 1))
                        if self.p.transpose_b:
                            self.pack_transposed(
                                self.at(at, (first, self.b_n)), left, put, left_loops[0][0]
                            )
                        else:
                            self.pack_rows(
                                self.at(at, (first, self.b_n)), left, put, left_loops[0][0]
                            )
                    return
                (n, _, step), inner = left_loops[0], left_loops[1:]

                def inside(i: Val, _):
                    walk_k(
                        inner, self.at(at, (i, step)), self.at(out, (i, width * _product(inner)))
                    )
                    return []

                b.loop(i64(0), i64(n), 1, [], inside)

            walk_k(loops, source, target)
            return []

        b.loop(i64(0), columns, width, [], panel)

    def pack_rows(self, source: Val, left: Val, out: Val, kc: int) -> None:
        """One vector of columns, k after k."""
        b, width = self.b, self.p.width
        mask = b.cmp("slt", b.lanes("i64"), b.splat(left))
        if self.b_n != 1:
            offsets = b.bin("mul", b.lanes("i64"), b.const(self.b_n, "i64"))

        def row(k: Val, _):
            at = self.at(source, (k, self.b_k))
            if self.b_n == 1:
                v = b.masked_load(at, mask, self.type)
            else:
                v = b.masked_gather(b.gep(at, offsets, self.type), mask, self.type)
            b.store(v, self.at(out, (k, width)))
            return []

        b.loop(i64(0), i64(kc), 1, [], row)

    def pack_transposed(self, source: Val, left: Val, out: Val, kc: int) -> None:
        """B[k, n] lies at n * stride + k: squares of 16 x 16 are turned in registers."""
        b, width = self.b, self.p.width

        def square(k: Val, n_k: int) -> None:
            lanes = None if n_k == LANES else b.cmp("ult", b.lanes("i64"), b.const(n_k, "i64"))
            rows = []
            for r in range(LANES):
                at = self.at(source, (i64(r), self.b_n), (k, 1))
                inside = b.splat(b.cmp("slt", i64(r), left))
                rows.append(
                    b.masked_load(
                        at, inside if lanes is None else b.bin("and", inside, lanes), self.type
                    )
                )
            for i, v in enumerate(transpose(b, rows)[:n_k]):
                b.store(v, self.at(out, (k, width), (i64(i), width)))

        def whole(k: Val, _):
            square(k, LANES)
            return []

        b.loop(i64(0), i64(kc - kc % LANES), LANES, [], whole)
        if kc % LANES:
            square(i64(kc - kc % LANES), kc % LANES)

    def tiles(
        self, a, a_m: int, bb, i0, base, i1, j0, j1, loops, first, last, packed=False
    ) -> None:
        """All tiles of rows i0..i1 and columns j0..j1; `a` points at row 0 of A, or at row i0 where packed."""
        b, p, k, em = self.b, self.p, self.k, self.em
        kc = _product(loops)
        pitch = p.width
        if self.is_cut:
            pitch = -(-min(p.column_block, k.n.extent) // p.width) * p.width
        if is_dense(k, p):
            pitch = k.n.extent

        def columns(j: Val, _):
            jj = b.bin("sub", j, j0)
            panel = self.at(bb, (jj, kc)) if p.pack_b else self.at(bb, (jj, self.b_n))
            # Without packing, a ragged last panel is read under masks.
            ragged = not p.pack_b and k.n.extent % p.width != 0

            def nest(inside: tuple[Var, ...], source: Val, place: list) -> None:
                if not inside:
                    b.loop(i0, i1, p.rows, [], lambda i, _: rows(i, source, place))
                    return
                v = inside[0]

                def each(x: Val, _):
                    em.enter()
                    em.env[v] = x
                    step = count(inside[1:]) * rows_up(k, p) * pitch
                    at = self.at(source, (x, k.a.index.coefficient(v)))
                    nest(inside[1:], at, [*place, (x, step)])
                    em.leave()
                    return []

                b.loop(i64(0), i64(v.extent), 1, [], each)

            def rows(i: Val, source: Val, place: list) -> list:
                at = self.at(source, (b.bin("sub", i, i0) if packed else i, a_m))
                tile = self.scratch["tile"]
                if self.is_cut:
                    tile = self.at(tile, *place, (b.bin("sub", i, base), pitch), (jj, 1))
                if last:
                    self.prefetch(i, i1, j)
                self.tile(at, a_m, panel, tile, pitch, i, i1, j, loops, first, ragged)
                if last and is_dense(k, p):
                    self.dense_epilogue(tile, i, i1)
                elif last:
                    self.epilogue(tile, pitch, i, i1, j)
                return []

            nest(self.inside, a, [])
            return []

        b.loop(j0, j1, p.width, [], columns)

    def tile(self, a, a_m, panel, tile, pitch, i, i1, j, loops, first, ragged) -> None:
        """tile (+)= A rows @ panel, by a micro-kernel for the full height or one for what is left over."""
        b, p, m = self.b, self.p, self.m.extent
        heights = {min(p.rows, m)} | self.remainders()
        height = b.bin("sub", i1, i)

        def call(n: int):
            return lambda: self.call_micro(n, a, a_m, panel, tile, pitch, j, loops, first, ragged)

        if len(heights) == 1:
            call(heights.pop())()
            return
        full = max(heights)
        for n in sorted(heights):
            test = b.cmp("sge", height, i64(n)) if n == full else b.cmp("eq", height, i64(n))
            b.when(test, call(n))

    def remainders(self) -> set[int]:
        """Heights of the last tiles of the blocks."""
        p, m = self.p, self.m.extent
        out = set()
        for start in range(0, m, p.row_block):
            block = min(p.row_block, m - start)
            if p.pack_a:
                out |= {min(p.a_block, block - s) % p.rows for s in range(0, block, p.a_block)}
            else:
                out.add(block % p.rows)
        return out - {0}

    def call_micro(self, n, a, a_m, panel, tile, pitch, j, loops, first, ragged) -> None:
        loops = _joined(loops)
        walk_ = "_".join(f"{extent}x{x}x{y}" for extent, x, y in loops).replace("-", "m")
        name = f"KERNEL_micro_{n}_{a_m}_{walk_}_{pitch}_{int(first)}_{int(ragged)}".replace(
            "-", "m"
        )
        if name not in self.micro:
            columns = self.k.n.extent if ragged else 0
            self.micro[name] = micro_kernel(
                name, self.type, n, self.p.vectors, loops, a_m, pitch, first, columns
            )
        self.b.raw(f"call fastcc void @{name}({a}, {panel}, {tile}, {j})")

    def tile_end(self, i: Val, i1: Val) -> Val:
        """One past the last row of the tile that starts at row i."""
        stop = self.b.bin("add", i, i64(self.p.rows))
        return self.b.select(self.b.cmp("slt", stop, i1), stop, i1)

    def prefetch(self, i: Val, i1: Val, j: Val) -> None:
        """Asks for what the tile's epilogue will read and write, while the micro-kernel computes.

        A tile touches two or three cache lines of each row, rows far apart: a pattern that the
        processor's own prefetcher does not follow."""
        b, p, k, em = self.b, self.p, self.k, self.em
        places = {s.array: (s.index, s.value.dtype, 1) for s in k.stores}
        for v in walk([s.value for s in k.stores]):
            if isinstance(v, Load):
                places.setdefault(v.array, (v.index, v.dtype, 0))
        wanted = [
            (array, index, dtype.itemsize, write)
            for array, (index, dtype, write) in places.items()
            if em.sizes[array] * dtype.itemsize >= PREFETCH_BYTES
            and array not in em.stream
            and index.is_affine()
            and index.coefficient(k.n) == 1
        ]
        if not wanted:
            return
        stop = self.tile_end(i, i1)
        b.declares.add("declare void @llvm.prefetch.p0(ptr, i32 immarg, i32 immarg, i32 immarg)")

        def row(r: Val, _):
            em.enter()
            em.env[self.m], em.env[k.n] = r, j
            for array, index, itemsize, write in wanted:
                at = b.gep(em.arrays[array], em.index(index)[0], f"[{itemsize} x i8]")
                for line in range(0, p.width * itemsize, 64):
                    place = b.gep(at, i64(line), "i8")
                    b.raw(f"call void @llvm.prefetch.p0({place}, i32 {write}, i32 3, i32 1)")
            em.leave()
            return []

        b.loop(i, stop, 1, [], row)

    def dense_epilogue(self, tile: Val, i: Val, i1: Val) -> None:
        """Stores of one tile whose rows lie one behind the other."""
        b, k, em = self.b, self.k, self.em
        stop = self.tile_end(i, i1)
        count = b.bin("mul", b.bin("sub", stop, i), i64(k.n.extent))
        em.lane = k.n
        em.env[self.m] = i

        def vector(v: Val, mask: Val | None) -> None:
            em.enter()
            em.env[k.n], em.mask = v, mask
            em.refs["acc"] = b.load(self.at(tile, (v, 1)), self.type, LANES)
            store_all(em, k.stores)
            em.mask = None
            em.leave()

        def whole(v: Val, _):
            vector(v, None)
            return []

        full = b.bin("and", count, i64(-LANES))
        b.loop(i64(0), full, LANES, [], whole)
        left = b.bin("sub", count, full)

        def tail() -> None:
            vector(full, b.cmp("slt", b.lanes("i64"), b.splat(left)))

        b.when(b.cmp("sgt", left, i64(0)), tail)
        em.lane = None

    def epilogue(self, tile: Val, pitch: int, i: Val, i1: Val, j: Val) -> None:
        """Stores of one tile, row by row."""
        b, p, k, em = self.b, self.p, self.k, self.em
        stop = self.tile_end(i, i1)
        em.lane = k.n

        def row(r: Val, _):
            em.enter()
            em.env[self.m] = r
            local = b.bin("sub", r, i)

            def vector(v: Val, mask: Val | None) -> None:
                em.enter()
                em.env[k.n], em.mask = b.bin("add", j, v), mask
                em.refs["acc"] = b.load(self.at(tile, (local, pitch), (v, 1)), self.type, LANES)
                store_all(em, k.stores)
                em.mask = None
                em.leave()

            if k.n.extent % p.width == 0:
                for v in range(p.vectors):
                    vector(i64(v * LANES), None)
            else:
                left = b.bin("sub", i64(k.n.extent), j)
                for v in range(p.vectors):

                    def some(v=v):
                        at = i64(v * LANES)
                        mask = None
                        if k.n.extent % LANES:
                            mask = lane_mask(b, b.bin("add", j, at), k.n.extent)
                        vector(at, mask)

                    b.when(b.cmp("sgt", left, i64(v * LANES)), some)
            em.leave()
            return []

        b.loop(i, stop, 1, [], row)
        em.lane = None


def _product(loops) -> int:
    """Steps of nested loops (extent, step in A, step in B)."""
    n = 1
    for extent, _, _ in loops:
        n *= extent
    return n


def _joined(loops) -> list[tuple[int, int, int]]:
    """Neighbouring loops that are one in both operands joined."""
    out: list[tuple[int, int, int]] = []
    for n, x, y in loops:
        if n == 1 and len(loops) > 1:
            continue
        if out and out[-1][1] == n * x and out[-1][2] == n * y:
            out[-1] = (out[-1][0] * n, x, y)
        else:
            out.append((n, x, y))
    return out or [loops[-1]]


def micro_kernel(name, type_, rows, vectors, loops, a_m, pitch, first, n_columns) -> str:
    """tile[rows, vectors * 16] (+)= A[rows, k] @ panel[k, vectors * 16], all sums in registers.

    loops      of k, outside in: (extent, step in A, step in B)
    n_columns  0, or the number of columns of a B that is read in place and ends within the panel"""
    b = Builder(LANES)
    a, panel, tile, j = (
        Val("%a", "ptr", 1),
        Val("%b", "ptr", 1),
        Val("%t", "ptr", 1),
        Val("%j", "i64", 1),
    )

    def place(r: int, v: int) -> Val:
        return b.gep(tile, i64(r * pitch + v * LANES), type_)

    masks = (
        [lane_mask(b, b.bin("add", j, i64(v * LANES)), n_columns) for v in range(vectors)]
        if n_columns
        else None
    )
    zero = b.const(0.0, type_)
    start = [
        zero if first else b.load(place(r, v), type_, LANES)
        for r in range(rows)
        for v in range(vectors)
    ]
    extent, a_k, b_stride = loops[-1]
    unroll = extent if extent <= 8 else next(u for u in (4, 3, 2, 1) if extent % u == 0)

    def step(k: Val, a: Val, panel: Val, sums: list[Val]) -> list[Val]:
        sums = list(sums)
        a_row = b.gep(a, b.bin("mul", k, i64(a_k)), type_)
        b_row = b.gep(panel, b.bin("mul", k, i64(b_stride)), type_)
        for u in range(unroll):
            columns = []
            for v in range(vectors):
                at = b.gep(b_row, i64(u * b_stride + v * LANES), type_)
                columns.append(
                    b.masked_load(at, masks[v], type_) if masks else b.load(at, type_, LANES)
                )
            for r in range(rows):
                x = b.splat(b.load(b.gep(a_row, i64(u * a_k + r * a_m), type_), type_))
                for v in range(vectors):
                    sums[r * vectors + v] = b.fma(x, columns[v], sums[r * vectors + v])
        return sums

    def nest(left, a: Val, panel: Val, sums: list[Val]) -> list[Val]:
        if len(left) == 1:
            return b.loop(i64(0), i64(extent), unroll, sums, lambda k, c: step(k, a, panel, c))
        n, x, y = left[0]

        def inside(i: Val, carried: list[Val]) -> list[Val]:
            at_a = b.gep(a, b.bin("mul", i, i64(x)), type_)
            at_b = b.gep(panel, b.bin("mul", i, i64(y)), type_)
            return nest(left[1:], at_a, at_b, carried)

        return b.loop(i64(0), i64(n), 1, sums, inside)

    sums = nest(loops, a, panel, start)
    for r in range(rows):
        for v in range(vectors):
            b.store(sums[r * vectors + v], place(r, v))
    lines = "\n".join(b.lines)
    args = "ptr noalias %a, ptr noalias %b, ptr noalias %t, i64 %j"
    head = f"define internal fastcc void @{name}({args}) #0 {{\nentry:\n"
    return head + lines + "\n  ret void\n}\n" + "".join(d + "\n" for d in sorted(b.declares))


def transpose(b: Builder, rows: list[Val]) -> list[Val]:
    """Columns of a square of lanes, in log2(16) rounds of pairwise interleaving."""
    n = len(rows)
    half = n // 2
    low = ", ".join(f"i32 {i // 2 + (i % 2) * n}" for i in range(n))
    high = ", ".join(f"i32 {half + i // 2 + (i % 2) * n}" for i in range(n))
    # Interleaving row i with row i + n/2 is one round of a perfect shuffle; log2(n) rounds turn the square.
    steps = n.bit_length() - 1
    for _ in range(steps):
        out = []
        for i in range(half):
            x, y = rows[i], rows[i + half]
            for which in (low, high):
                out.append(b.let(f"shufflevector {x}, {y}, <{n} x i32> <{which}>", x.type, n))
        rows = out
    return rows


def emit_gemm(b: Builder, kernel: GemmKernel, p: Plan, em: Emitter, scratch: Val) -> dict[str, str]:
    """Writes the task loop into b; returns the text of the micro-kernels that it calls."""
    writer = _Gemm(b, kernel, p, em, scratch)
    writer.emit()
    return writer.micro
