"""Assemble: a part becomes a Program: a slot for each array, and the list of launches."""

import hashlib

from ..base import machine
from ..graph.node import Node
from ..program.program import Kernel as Code
from ..program.program import Launch, Program, Repeat, Slot
from .code import arrays_of, emit, summary, work
from .kernel import Kernel
from .part import Part
from .schedule import Carry, Group, Output, array_of

BARRIER_SECONDS = 0.6e-6  # two threads meet, and what one waits for the other
WAKE_SECONDS = 3e-6  # until a second thread takes part
FLOPS_PER_SECOND = 1e11  # one core, roughly
NEAR_BYTES_PER_SECOND, FAR_BYTES_PER_SECOND = 1e11, 2e10  # from the second cache, from memory


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
            flops, moved = work(kernel, sizes, lambda a: part.node(a).dtype.itemsize)
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


def assemble(part: Part, bits: int) -> Program:
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
