"""Schedule: which nodes share a kernel, and why.

In: a legal graph. Out: groups in an order that respects every read and write. The rules:

1. stored     a node gets an array when it is a result, comes from a contraction or reduction, feeds a
              contraction, or would be costly to compute again for a second reader; a mask of random
              numbers is drawn again by each reader
2. grouped    each stored node starts a group; movement and cheap elementwise work is folded into readers
3. epilogue   an elementwise group that reads another group's result at the same place joins it
4. columns    reductions of the same columns join
5. rows       reductions along rows and elementwise work on the same rows join: the row stays in cache
6. in place   a state array is overwritten by the group that computes its new value, after every
              other reader; where that would be circular, through a copy at the end
7. dropped    a node that only its own group reads is never stored"""

from dataclasses import dataclass, field

from ..graph.infer import is_constant
from ..graph.node import Node, topological_order
from ..graph.ops import VIEWS
from ..program.graph import Graph
from .emit import LANES
from .kernel import Index, Load, Value, Var, unflatten, var, walk
from .legalize import is_row_reduction, size
from .lower import ELEMENTWISE, MOVEMENT, Lowering
from .values import COST

HEAVY = frozenset("reduce_sum reduce_max reduce_min argmax cumsum contract scatter_add".split())
INLINE_LIMIT = 48  # operations folded into one value
AGAIN_COST = 32  # the same for a large array that needs one other to be read
FAR_BYTES = 4 << 20  # larger arrays have left the caches when they are read again
KEEP_COST = 4  # a value read twice is computed twice below this many operations
ROWS_AT_LEAST = 4  # below, a row group would not keep several threads busy
SMALL = 8192  # elements that one thread may as well do alone


@dataclass(eq=False)
class Group:
    """Nodes that one kernel computes.

    kind     map | row | column | gemm | serial | scatter | copy | scan: all taps of a loop, whose body is a
             graph with a schedule of its own
    members  inputs first
    rows, length   of a row group
    stores   member -> the arrays that receive it
    joined   members that are concatenations of equal parts: part after part is stored in one walk over a part
    number   order of making: groups that could run in any order run in this one"""

    kind: str
    members: list[Node]
    rows: int = 1
    length: int = 1
    stores: dict[Node, list[object]] = field(default_factory=dict)
    number: int = 0
    joined: set[Node] = field(default_factory=set)

    @property
    def root(self) -> Node:
        """The first member: the contraction or reduction, if there is one."""
        return self.members[0]


def array_of(x: Node) -> Node:
    """The node in whose array, element by element, an input of a loop lies."""
    while x.op == "reshape":
        (x,) = x.inputs
    return x


@dataclass(frozen=True)
class Output:
    """The array of output `number`, where that is not simply a node's own."""

    number: int


@dataclass(frozen=True)
class Carry:
    """The array of a loop's carry, in the schedule around the loop. group: the loop's number there."""

    group: int
    leaf: Node


class Schedule:
    """Builds the groups of one graph."""

    def __init__(self, graph: Graph, roots: list[Node], fuse: bool = True):
        self.graph = graph
        self.outputs = roots[: len(graph.outputs)]
        self.targets = [
            (s, v) for (s, _), v in zip(graph.updates, roots[len(graph.outputs) :], strict=True)
        ]
        self.order = topological_order(roots)
        self.position = {n: i for i, n in enumerate(self.order)}
        self.fuse = fuse
        self.users: dict[Node, list[Node]] = {n: [] for n in self.order}
        for n in self.order:
            for x in n.inputs:
                self.users[x].append(n)
        self.stored: set[Node] = set()
        self._reads: dict[Node, frozenset[Node]] = {}
        self.groups: list[Group] = []
        self.home: dict[Node, Group] = {}
        self.loops: dict[tuple, Group] = {}  # (inputs, loop) -> its taps
        self.before: dict[Group, set[Group]] = {}
        self.after: dict[Group, set[Group]] = {}

    def run(self) -> list[list[Group]]:
        """Groups by level: those of one level are independent of each other."""
        self.choose_stored()
        for n in self.order:
            if n in self.stored:
                self.start_group(n)
        self.connect()
        if self.fuse:
            self.merge_groups()
        self.assign_stores()
        return self.levels()

    # --- 1. what is stored
    def choose_stored(self) -> None:
        results = set(self.outputs) | {v for _, v in self.targets}
        weight: dict[Node, int] = {}  # operations folded into one element, this node's own included
        drawn: set[Node] = (
            set()
        )  # masks: random numbers and what is made of them and constants alone
        for n in self.order:
            if n.op in ("leaf", "const"):
                weight[n] = 0
                continue
            if n.op == "random" or (
                n.op in ELEMENTWISE | MOVEMENT
                and any(x in drawn for x in n.inputs)
                and all(x in drawn or is_constant(x) for x in n.inputs)
            ):
                drawn.add(n)
                weight[n] = 0
                if n in results:
                    self.stored.add(n)
                continue
            own = COST.get(n.op, 1 if n.op in ELEMENTWISE else 0)
            folded = own + sum(weight[x] for x in n.inputs)
            if n.op in ("concat", "gather", "pad"):
                folded += 2
            keep = (
                n in results
                or n.op in HEAVY
                or n.op == "scan"
                or (n.op not in MOVEMENT and folded > INLINE_LIMIT)
            )
            keep = keep or (not self.fuse and n.op not in VIEWS)
            if not keep and n.op not in MOVEMENT and n.op != "iota" and self.n_readers(n) > 1:
                keep = folded >= (AGAIN_COST if self.is_cheap_to_read(n) else KEEP_COST)
            if keep:
                self.stored.add(n)
            weight[n] = 0 if keep else folded
        for n in self.order:
            if n.op == "contract":
                a, b = n.inputs
                if a.op == "permute" and a.inputs[0].op not in VIEWS:  # legalize has turned it
                    self.stored.add(a)
                else:
                    self.store_operand(a)
                self.store_operand(b)
                self.store_weights(a, b)
            elif n.op == "scan":  # first carries are copied, wherever they come from
                self.stored.update(array_of(x) for x in n.inputs[len(n.params[0].carries) :])
        # A constant or a leaf is never computed; where it is a result, a copy group stores it.
        self.stored = {n for n in self.stored if n.op not in ("leaf", "const")}

    def is_cheap_to_read(self, n: Node) -> bool:
        """Whether a large array can be computed again from one that is read in its place: memory is slower
        than a few dozen operations."""
        nbytes = n.size * n.dtype.itemsize
        if nbytes < FAR_BYTES:
            return False
        large = [x for x in self.sources(n) if x.size * x.dtype.itemsize * 8 >= nbytes]
        return len(large) <= 1

    def sources(self, n: Node) -> frozenset[Node]:
        """Leaves and nodes stored so far that computing n reads."""
        found: set[Node] = set()
        seen: set[Node] = set()
        stack = list(n.inputs)
        while stack:
            x = stack.pop()
            if x in seen:
                continue
            seen.add(x)
            if x.op == "leaf" or x in self.stored:
                found.add(x)
            else:
                stack.extend(x.inputs)
        return frozenset(found)

    def n_readers(self, n: Node) -> int:
        """Readers of a node, those of its views included."""
        total, stack = 0, [n]
        while stack and total < 2:
            for u in self.users[stack.pop()]:
                if u.op in MOVEMENT and u.op != "concat":
                    stack.append(u)
                else:
                    total += 1
        return total

    def store_operand(self, x: Node) -> None:
        """A contraction reads arrays: views of them where the view is affine, else the operand itself."""
        base = x
        while base.op in VIEWS and base not in self.stored:
            base = base.inputs[0]
        if base.op not in ("leaf", "const"):
            self.stored.add(base)
        loops = tuple(var(Var(f"axis{i}", d)) for i, d in enumerate(x.shape))
        value = Lowering(self.stored).at(x, loops)
        if not (isinstance(value, Load) and value.index.is_affine()):
            self.stored.add(x)

    def store_weights(self, a: Node, b: Node) -> None:
        """The weights of a convolution by its input's gradient lie across the lanes: each task would turn
        them for itself, so they are turned once."""
        x = a
        while x.op in VIEWS and x.op != "window" and x not in self.stored:
            x = x.inputs[0]
        if x.op != "window" or x in self.stored or b in self.stored or b.size > a.size:
            return
        loops = tuple(Var(f"axis{i}", d) for i, d in enumerate(b.shape))
        value = Lowering(self.stored).at(b, tuple(map(var, loops)))
        assert isinstance(value, Load)
        if b.shape[-1] > 1 and value.index.coefficient(loops[-1]) != 1:
            self.stored.add(b)

    # --- 2. groups and their edges
    def start_group(self, n: Node) -> None:
        if n.op == "scan" and (n.inputs, n.params[0]) in self.loops:
            g = self.home[n] = self.loops[n.inputs, n.params[0]]
            g.members.append(n)
            return
        g = Group("map", [n])
        if n.op == "contract":
            g.kind = "gemm"
        elif n.op in ("argmax", "cumsum"):
            g.kind = "serial"
        elif n.op == "scatter_add":
            g.kind = "scatter"
        elif n.op == "scan":
            g.kind = "scan"
            self.loops[n.inputs, n.params[0]] = g
        elif n.op in HEAVY:
            x = n.inputs[0]
            row = is_row_reduction(x.shape, n.params[0])
            g.kind, g.rows, g.length = (
                ("row", n.size, size([x.shape[a] for a in n.params[0]]))
                if row
                else ("column", 1, 1)
            )
        elif self.is_joined(n):
            g.joined.add(n)
        self.add_group(g)
        self.home[n] = g

    def is_joined(self, n: Node) -> bool:
        """Whether n concatenates equal parts, long enough to be walked at once, each stored in its place."""
        return (
            n.op == "concat"
            and 2 <= len(n.inputs) <= 8
            and len({x.shape for x in n.inputs}) == 1
            and self.run_length(n) >= LANES
            and all(v is not n for _, v in self.targets)
        )

    @staticmethod
    def run_length(n: Node) -> int:
        """Neighbouring elements of one part of a concatenation."""
        return size(n.inputs[0].shape[n.params[0] :])

    @staticmethod
    def lanes_of(g: Group) -> int:
        """A length that the loop of the lanes divides, in a group whose root fixes that loop."""
        if g.kind == "column":
            return size(g.root.inputs[0].shape[max(g.root.params[0]) + 1 :])
        n, (a_labels, _, out) = 1, g.root.params
        for label, d in zip(reversed(out), reversed(g.root.shape), strict=True):
            if label in a_labels:
                break
            n *= d
        return n

    def domain(self, g: Group, n: Node) -> int:
        """How many elements of n the group walks over: of a joined concatenation, those of a part."""
        return n.inputs[0].size if n in g.joined else n.size

    def add_group(self, g: Group) -> None:
        g.number = len(self.groups)
        self.groups.append(g)
        self.before[g], self.after[g] = set(), set()

    def reads(self, n: Node) -> frozenset[Node]:
        """`sources`, kept: what is stored is settled by now."""
        found = self._reads.get(n)
        if found is None:
            found = self._reads[n] = self.sources(n)
        return found

    def connect(self) -> None:
        """Edges: what must run before what. A state's old value is read before it is overwritten."""
        readers: dict[Node, list[Group]] = {}
        for g in list(self.groups):
            for n in g.members:
                for x in self.reads(n):
                    if x.op == "leaf":
                        readers.setdefault(x, []).append(g)
                    elif self.home[x] is not g:
                        self.edge(self.home[x], g)
        self.in_place: dict[Node, list[Node]] = {}  # value -> states that its group overwrites
        self.copies: list[Group] = []
        copied = []
        for s, v in self.targets:
            if v is s:
                continue
            host = self.home.get(v)
            others = [g for g in readers.get(s, ()) if g is not host]
            direct = host is not None and not any(self.reaches(host, g) for g in others)
            direct = direct and host is not None and host.kind not in ("scan", "scatter")
            if direct and host is not None and s in self.reads_of(host):
                direct = host.kind in ("map", "column") and all(
                    self.same_place(host, n, s) for n in host.members
                )
            if direct and host is not None:
                self.in_place.setdefault(v, []).append(s)
                for g in others:
                    self.edge(g, host)
            else:
                copied.append((s, v))
        writers: list[tuple[Group, Node]] = []
        for s, v in copied:
            c = Group("copy", [v])
            c.stores = {v: [s]}
            self.add_copy(c)
            if v in self.home:
                self.edge(self.home[v], c)
            writers.append((c, s))
            if v.op == "leaf":
                readers.setdefault(v, []).append(c)
        for c, s in writers:
            for g in readers.get(s, ()):
                if g is not c:
                    assert not self.reaches(c, g), "two states that swap their arrays need a third"
                    self.edge(g, c)
        named: set[Node] = set()
        for i, n in enumerate(self.outputs):
            if n.op in ("leaf", "const") or n in named:
                c = Group("copy", [n])
                c.stores = {n: [Output(i)]}
                self.add_copy(c)
                if n in self.home:
                    self.edge(self.home[n], c)
                for s, v in self.targets:  # an output reads the state as it was
                    if n is s and v is not s:
                        for w in self.writers_of(s):
                            self.edge(c, w)
            named.add(n)

    def writers_of(self, s: Node) -> list[Group]:
        """Groups that overwrite a state."""
        out = [self.home[v] for v, states in self.in_place.items() if s in states]
        return out + [c for c in self.copies for arrays in c.stores.values() if s in arrays]

    def add_copy(self, c: Group) -> None:
        self.add_group(c)
        self.copies.append(c)

    def edge(self, first: Group, second: Group) -> None:
        if first is not second:
            self.after[first].add(second)
            self.before[second].add(first)

    def reaches(self, a: Group, b: Group, skip_direct: bool = False) -> bool:
        """Whether b must run after a; skip_direct: by way of a third group."""
        stack = [g for g in self.after[a] if not (skip_direct and g is b)]
        seen = set(stack)
        while stack:
            g = stack.pop()
            if g is b:
                return True
            for h in self.after[g]:
                if h not in seen:
                    seen.add(h)
                    stack.append(h)
        return False

    def reads_of(self, g: Group) -> set[Node]:
        return {x for n in g.members for x in self.reads(n)}

    # --- 3, 4. joining groups
    def loads(self, n: Node, flat: Index) -> list[Load]:
        """What computing element `flat` of n reads, n's own array aside."""
        low = Lowering(self.stored)
        value = low.computed(n, unflatten(flat, n.shape))
        return [v for v in walk([value]) if isinstance(v, Load)]

    def same_place(self, g: Group, n: Node, array: Node) -> bool:
        """Whether n (elementwise, in g) reads `array` only at the place that it computes."""
        if n.op in HEAVY:
            return g.kind == "column" and array not in self.reads(n)
        i = var(Var("i", n.size))
        return all(v.index == i for v in self.loads(n, i) if v.array is array)

    def merge_groups(self) -> None:
        """Joins groups in the order of their nodes, each to the latest producer that can take it."""
        for n in self.order:
            g = self.home.get(n)
            if g is None or n is not g.members[0] or g.kind not in ("map", "row", "column"):
                continue
            producers = {self.home[x] for x in self.reads_of(g) if x in self.home} - {g}
            candidates = sorted(producers, key=lambda p: -max(self.position[m] for m in p.members))
            if g.kind == "map":
                near = [
                    h
                    for h in self.groups
                    if h.kind == "map"
                    and h is not g
                    and h not in producers
                    and self.domain(h, h.members[0]) == self.domain(g, n)
                    and self.position[h.members[0]] < self.position[n]
                    and (n.size <= SMALL or self.reads_of(h) & self.reads_of(g))
                ]
                candidates += near[-4:]
            elif g.kind == "column":  # a second reduction of the same columns
                candidates = [
                    h
                    for h in self.groups
                    if h.kind == "column"
                    and h is not g
                    and (h.root.inputs[0].shape, h.root.params) == (n.inputs[0].shape, n.params)
                    and self.position[h.root] < self.position[n]
                    and self.reads_of(h) & self.reads_of(g)
                ]
            elif n.op in HEAVY:  # a second reduction of the same rows
                candidates += [
                    h
                    for h in self.groups
                    if h.kind == "row"
                    and h is not g
                    and h not in producers
                    and (h.rows, h.length) == (g.rows, g.length)
                    and self.position[h.members[0]] < self.position[n]
                    and self.reads_of(h) & self.reads_of(g)
                ]
            for p in candidates:
                if self.try_merge(p, g):
                    break

    def try_merge(self, p: Group, g: Group) -> bool:
        """Joins g to p if the result is one legal kernel."""
        if len(p.members) + len(g.members) > 24 or p.kind in ("serial", "scatter", "copy", "scan"):
            return False
        if self.reaches(p, g, skip_direct=True) or self.reaches(g, p):
            return False
        kind, rows, length = p.kind, p.rows, p.length
        if g.kind == "column" and p.kind != "column":
            return False
        if g.kind == "row":
            if p.kind == "row" and (p.rows, p.length) != (g.rows, g.length):
                return False
            if p.kind not in ("row", "map") or (
                p.kind == "map" and p.root.size != g.rows * g.length
            ):
                return False
            if p.joined:
                return False
            kind, rows, length = "row", g.rows, g.length
        if kind == "row" and not (rows >= ROWS_AT_LEAST or rows * length <= SMALL):
            return False
        runs = {self.run_length(m) for m in p.joined | g.joined}
        if runs and (kind == "row" or len(runs) > 1):
            return False
        if kind in ("gemm", "column") and any(r % self.lanes_of(p) for r in runs):
            return False
        members = sorted(p.members + g.members, key=self.position.__getitem__)
        root_size = rows * length if kind == "row" else self.domain(p, p.root)
        if any(
            self.domain(g, m) not in (root_size, rows if kind == "row" else root_size)
            for m in g.members
            if m.op not in HEAVY
        ):
            return False
        states = {s for m in members for s in self.in_place.get(m, ())}
        if not all(self.fits(m, kind, rows, length, set(members), states) for m in members):
            return False
        p.kind, p.rows, p.length = kind, rows, length
        if kind in ("gemm", "column"):
            members.sort(key=lambda m: m.op not in HEAVY)
        p.members = members
        p.joined |= g.joined
        for m in g.members:
            self.home[m] = p
        for h in self.before.pop(g):
            self.after[h].discard(g)
            self.edge(h, p)
        for h in self.after.pop(g):
            self.before[h].discard(g)
            self.edge(p, h)
        self.groups.remove(g)
        return True

    def fits(
        self, m: Node, kind: str, rows: int, length: int, members: set[Node], states: set[Node]
    ) -> bool:
        """Whether m, in this group, reads other members and the states it overwrites at its own place only."""
        watched = (members | states) - {m}
        if not watched & self.reads(m):
            return True
        if kind != "row":
            if m.op in HEAVY:
                return False
            parts = m.inputs if self.is_joined(m) else ()
            i = var(Var("i", parts[0].size if parts else m.size))
            low = Lowering(self.stored)
            found = walk([low.at_flat(x, i) for x in parts]) if parts else self.loads(m, i)
            return all(v.index == i for v in found if isinstance(v, Load) and v.array in watched)
        r, c = var(Var("row", rows)), var(Var("along", length))
        full = r.scaled(length) + c
        if m.op in HEAVY:
            value = self.reduced_value(m, r, c, Lowering(self.stored))
            found = [v for v in walk([value]) if isinstance(v, Load)]
            place = full
        else:
            place = (
                full if m.size == rows * length and not self.is_row_member(m, rows, length) else r
            )
            found = self.loads(m, place)
        for v in found:
            if v.array in watched:
                assert isinstance(v.array, Node)
                per_row = v.array.size == rows and (
                    v.array.op in HEAVY or v.array.size != rows * length
                )
                if v.index != (r if per_row else full) or (
                    place == r and not per_row and length > 1
                ):
                    return False
        return True

    @staticmethod
    def is_row_member(m: Node, rows: int, length: int) -> bool:
        """Whether a member of a row group has one value a row."""
        return m.size == rows and (length > 1 or m.op in HEAVY)

    @staticmethod
    def reduced_value(m: Node, r: Index, c: Index, low: Lowering) -> Value:
        """The element `c` of those that row `r` of a reduction joins."""
        x, axes = m.inputs[0], m.params[0]
        along = unflatten(c, [x.shape[a] for a in axes])
        kept = unflatten(r, m.shape)
        inside, outside = iter(along), iter(kept)
        return low.at(
            x, tuple(next(inside) if a in axes else next(outside) for a in range(len(x.shape)))
        )

    # --- 5, 6. where values go
    def assign_stores(self) -> None:
        outside: set[Node] = set()
        for g in self.groups:
            members = set() if g.kind == "copy" else set(g.members)
            for n in g.members:
                if g.kind == "copy":
                    outside.add(n)
                else:
                    outside |= {x for x in self.reads(n) if x not in members}
        results = set(self.outputs)
        for g in self.groups:
            if g.kind == "copy":
                continue
            for n in g.members:
                arrays: list[object] = list(self.in_place.get(n, ()))
                if (
                    n in outside
                    or n in results
                    or g.kind in ("scatter", "scan")
                    or (not arrays and len(g.members) == 1)
                ):
                    arrays.insert(0, n)
                g.stores[n] = arrays

    def levels(self) -> list[list[Group]]:
        """Longest distance from the start; ties keep the order of the graph."""
        level: dict[Group, int] = {}
        waiting = {g: len(self.before[g]) for g in self.groups}
        ready = [g for g in self.groups if not waiting[g]]
        out: list[list[Group]] = []
        done = 0
        while ready:
            following = []
            out.append(ready)
            for g in ready:
                level[g] = len(out)
                done += 1
                for h in self.after[g]:
                    waiting[h] -= 1
                    if not waiting[h]:
                        following.append(h)
            ready = sorted(following, key=lambda g: g.number)
        assert done == len(self.groups), "the groups wait for each other"
        return out
