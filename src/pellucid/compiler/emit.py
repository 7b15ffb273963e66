"""Emit: a small writer of LLVM IR text, in straight SSA form, 16 virtual lanes wide.

A `Builder` writes one function. Every method returns a `Val` (its SSA name and its element type); a
value is a scalar where `width` is 1 and a vector of `LANES` otherwise, so the same formulas serve
both and give the same bits. Element types are LLVM's: i1 i8 i32 i64 float double ptr.
Fused multiply-add is explicit (`fma`); no fast-math flag is ever written."""

import struct
from typing import NamedTuple

LANES = 16
ELEMENT = {
    "bool": "i8",
    "uint8": "i8",
    "int32": "i32",
    "int64": "i64",
    "float32": "float",
    "float64": "double",
}
BYTES = {"i1": 1, "i8": 1, "i32": 4, "i64": 8, "float": 4, "double": 8, "ptr": 8}


class Val(NamedTuple):
    """An SSA value: its text, its element type, its number of lanes (1 or LANES)."""

    name: str
    type: str
    width: int

    @property
    def full(self) -> str:
        """The LLVM type, e.g. `<16 x float>`."""
        return self.type if self.width == 1 else f"<{self.width} x {self.type}>"

    def __str__(self) -> str:
        return f"{self.full} {self.name}"


def suffix(v: Val) -> str:
    """The mangled type that an intrinsic's name ends in: f32, v16f64, i64 ..."""
    base = {"float": "f32", "double": "f64"}.get(v.type, v.type)
    return base if v.width == 1 else f"v{v.width}{base}"


def literal(value, type_: str) -> str:
    """A constant of an element type as LLVM reads it: floats by their bits, exactly."""
    if type_ == "double":
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    if type_ == "float":
        single = struct.unpack("<f", struct.pack("<f", value))[0]
        return f"0x{struct.unpack('<Q', struct.pack('<d', single))[0]:016X}"
    if type_ == "i1":
        return "true" if value else "false"
    return str(int(value))


class Builder:
    """Writes the body of one function."""

    def __init__(self, width: int = LANES):
        self.width = width
        self.lines: list[str] = []
        self.declares: set[str] = set()
        self.block = "entry"
        self._n = 0

    def fresh(self, hint: str = "v") -> str:
        """A new SSA or block name."""
        self._n += 1
        return f"{hint}{self._n}"

    def raw(self, line: str) -> None:
        """One instruction without a result."""
        self.lines.append("  " + line)

    def let(self, text: str, type_: str, width: int) -> Val:
        """`%new = text`."""
        name = "%" + self.fresh()
        self.lines.append(f"  {name} = {text}")
        return Val(name, type_, width)

    def label(self, name: str) -> None:
        """Starts block `name`."""
        self.lines.append(f"{name}:")
        self.block = name

    # --- constants and lane changes
    def const(self, value, type_: str, width: int | None = None) -> Val:
        """A constant in every lane."""
        w = self.width if width is None else width
        text = literal(value, type_)
        if w == 1:
            return Val(text, type_, 1)
        return Val(f"splat ({type_} {text})", type_, w)

    def like(self, value, v: Val) -> Val:
        """A constant of v's type and width."""
        return self.const(value, v.type, v.width)

    def splat(self, v: Val, width: int | None = None) -> Val:
        """The scalar v in every lane."""
        w = self.width if width is None else width
        if v.width == w:
            return v
        if not v.name.startswith("%"):
            return Val(f"splat ({v.type} {v.name})", v.type, w)
        one = self.let(f"insertelement <{w} x {v.type}> poison, {v}, i64 0", v.type, w)
        return self.let(
            f"shufflevector {one}, <{w} x {v.type}> poison, <{w} x i32> zeroinitializer", v.type, w
        )

    def lanes(self, type_: str = "i64") -> Val:
        """0, 1, ... in the lanes."""
        if self.width == 1:
            return Val("0", type_, 1)
        return Val(
            "<" + ", ".join(f"{type_} {i}" for i in range(self.width)) + ">", type_, self.width
        )

    # --- arithmetic: op is LLVM's word
    def bin(self, op: str, a: Val, b: Val) -> Val:
        """fadd fsub fmul fdiv add sub mul sdiv srem and or xor shl lshr ashr ..."""
        return self.let(f"{op} {a}, {b.name}", a.type, a.width)

    def fadd(self, a: Val, b: Val) -> Val:
        return self.bin("fadd", a, b)

    def fsub(self, a: Val, b: Val) -> Val:
        return self.bin("fsub", a, b)

    def fmul(self, a: Val, b: Val) -> Val:
        return self.bin("fmul", a, b)

    def fdiv(self, a: Val, b: Val) -> Val:
        return self.bin("fdiv", a, b)

    def fma(self, a: Val, b: Val, c: Val) -> Val:
        """a * b + c with one rounding."""
        return self.intrinsic("fma", a, b, c)

    def fneg(self, a: Val) -> Val:
        return self.let(f"fneg {a}", a.type, a.width)

    def cmp(self, op: str, a: Val, b: Val) -> Val:
        """'olt', 'ueq' ... for floats, 'slt', 'eq' ... for integers; an i1."""
        kind = "fcmp" if a.type in ("float", "double") else "icmp"
        return self.let(f"{kind} {op} {a}, {b.name}", "i1", a.width)

    def select(self, c: Val, a: Val, b: Val) -> Val:
        return self.let(f"select {c}, {a}, {b}", a.type, a.width)

    def intrinsic(self, name: str, *args: Val) -> Val:
        """llvm.NAME of arguments and result of one type."""
        a = args[0]
        self.declares.add(
            f"declare {a.full} @llvm.{name}.{suffix(a)}({', '.join(x.full for x in args)})"
        )
        return self.let(
            f"call {a.full} @llvm.{name}.{suffix(a)}({', '.join(map(str, args))})", a.type, a.width
        )

    def convert(self, op: str, v: Val, type_: str) -> Val:
        """sitofp fptosi sext zext trunc fpext fptrunc bitcast uitofp ..."""
        to = type_ if v.width == 1 else f"<{v.width} x {type_}>"
        return self.let(f"{op} {v} to {to}", type_, v.width)

    # --- memory
    def gep(self, pointer: Val, index: Val, type_: str) -> Val:
        """&pointer[index]; a vector of addresses where the index is a vector."""
        return self.let(
            f"getelementptr {type_}, {pointer}, {index}", "ptr", max(pointer.width, index.width)
        )

    def load(self, pointer: Val, type_: str, width: int = 1) -> Val:
        """`width` neighbouring elements."""
        full = type_ if width == 1 else f"<{width} x {type_}>"
        return self.let(f"load {full}, {pointer}, align {BYTES[type_]}", type_, width)

    def store(self, v: Val, pointer: Val) -> None:
        self.raw(f"store {v}, {pointer}, align {BYTES[v.type]}")

    def masked_load(self, pointer: Val, mask: Val, type_: str) -> Val:
        """Neighbouring elements where mask; zero elsewhere."""
        full = f"<{mask.width} x {type_}>"
        sfx = suffix(Val("", type_, mask.width))
        self.declares.add(
            f"declare {full} @llvm.masked.load.{sfx}.p0(ptr, i32, {mask.full}, {full})"
        )
        return self.let(
            f"call {full} @llvm.masked.load.{sfx}.p0({pointer}, i32 {BYTES[type_]}, {mask}, {full} zeroinitializer)",
            type_,
            mask.width,
        )

    def masked_store(self, v: Val, pointer: Val, mask: Val) -> None:
        self.declares.add(
            f"declare void @llvm.masked.store.{suffix(v)}.p0({v.full}, ptr, i32, {mask.full})"
        )
        self.raw(
            f"call void @llvm.masked.store.{suffix(v)}.p0({v}, {pointer}, i32 {BYTES[v.type]}, {mask})"
        )

    def masked_gather(self, pointers: Val, mask: Val, type_: str) -> Val:
        """One element per address where mask; zero elsewhere."""
        full = f"<{mask.width} x {type_}>"
        sfx = suffix(Val("", type_, mask.width))
        self.declares.add(
            f"declare {full} @llvm.masked.gather.{sfx}.v{mask.width}p0({pointers.full}, i32, {mask.full}, {full})"
        )
        return self.let(
            f"call {full} @llvm.masked.gather.{sfx}.v{mask.width}p0({pointers}, i32 {BYTES[type_]}, {mask}, "
            f"{full} zeroinitializer)",
            type_,
            mask.width,
        )

    def masked_scatter(self, v: Val, pointers: Val, mask: Val) -> None:
        self.declares.add(
            f"declare void @llvm.masked.scatter.{suffix(v)}.v{v.width}p0({v.full}, {pointers.full}, i32, {mask.full})"
        )
        self.raw(
            f"call void @llvm.masked.scatter.{suffix(v)}.v{v.width}p0({v}, {pointers}, i32 {BYTES[v.type]}, {mask})"
        )

    # --- control: a counted loop; carried values are phis
    def loop(self, start: Val, stop: Val, step: int, carried: list[Val], body) -> list[Val]:
        """for i = start; i < stop; i += step: carried = body(i, carried). Returns the last carried values.

        start, stop  scalar i64; the loop may run zero times."""
        pre, head, inside, done = (
            self.block,
            self.fresh("head"),
            self.fresh("body"),
            self.fresh("done"),
        )
        self.raw(f"br label %{head}")
        self.label(head)
        i = Val("%" + self.fresh("i"), "i64", 1)
        phis = [Val("%" + self.fresh("c"), c.type, c.width) for c in carried]
        at = len(self.lines)
        more = self.cmp("slt", i, stop)
        self.raw(f"br {more}, label %{inside}, label %{done}")
        self.label(inside)
        after = body(i, phis)
        following = self.bin("add", i, Val(str(step), "i64", 1))
        latch = self.block
        self.raw(f"br label %{head}")
        header = [f"  {i.name} = phi i64 [ {start.name}, %{pre} ], [ {following.name}, %{latch} ]"]
        header += [
            f"  {p.name} = phi {p.full} [ {c.name}, %{pre} ], [ {a.name}, %{latch} ]"
            for p, c, a in zip(phis, carried, after, strict=True)
        ]
        self.lines[at:at] = header
        self.label(done)
        return phis

    def when(self, condition: Val, body) -> None:
        """if condition: body()."""
        inside, done = self.fresh("then"), self.fresh("fi")
        self.raw(f"br {condition}, label %{inside}, label %{done}")
        self.label(inside)
        body()
        self.raw(f"br label %{done}")
        self.label(done)


def i64(n: int) -> Val:
    """The integer constant n."""
    return Val(str(n), "i64", 1)


def function(
    name: str,
    b: Builder,
    args: str = "ptr %slots, ptr %argidx, i64 %lo, i64 %hi",
    linkage: str = "",
) -> str:
    """The function's text, `define void @name(args) #0`, and after it the declarations it needs."""
    body = "\n".join(b.lines)
    head = f"define {linkage}void @{name}({args}) #0 {{\nentry:\n"
    return head + body + "\n  ret void\n}\n" + "".join(d + "\n" for d in sorted(b.declares))
