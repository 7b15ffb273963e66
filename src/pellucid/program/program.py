"""Program: what the compiler gives and the runtime walks: plain data, to be printed and hashed.

A kernel is `define void @name(ptr %slots, ptr %argidx, i64 %lo, i64 %hi)`: `slots` is a table of
pointers, `argidx` an array of i32 that says which of them are this launch's arguments, and the call
does tasks lo..hi-1. Kernels therefore depend on what they compute, not on where: two layers of one
shape share one kernel. Slot 0 is always the running thread's own scratch memory."""

import functools
import hashlib
from dataclasses import dataclass

SLOT_KINDS = ("scratch", "input", "state", "output", "arena", "const", "counter")


@dataclass(frozen=True)
class Kernel:
    """One piece of machine code, as LLVM text.

    text     one `define ... #0` called `name`, and its declares; runtime/jit.py adds what #0 is
    summary  what it computes, in readable one-liners
    flops    floating-point operations of all its tasks together
    bytes    memory that all its tasks together read and write at least"""

    name: str
    text: str
    summary: str = ""
    flops: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Launch:
    """A kernel (its number in the program) on some slots; its tasks are independent of each other.

    barrier  whether all tasks must be done before the next launch may start"""

    kernel: int
    args: tuple[int, ...]
    n_tasks: int
    barrier: bool = True


@dataclass(frozen=True)
class Repeat:
    """Stands in the list of launches at the end of a loop: back to launch `start`, until it ran n times.

    The launch before it has a barrier. Each thread counts for itself and moves its own copies of the pointers;
    when the loop ends, they are what they were.

    counter  slot that counts; no pointer
    moves    (slot, bytes) that a pointer moves by after each time"""

    start: int
    n: int
    counter: int
    moves: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Slot:
    """A pointer that kernels read and write through, or a counter of a loop.

    index   which input, state, output or const it is
    offset  bytes from the start of that, or of the arena
    nbytes  how much may be touched"""

    kind: str
    index: int = 0
    offset: int = 0
    nbytes: int = 0
    label: str = ""


@dataclass(frozen=True)
class Program:
    """Kernels, and the list of launches (and ends of loops) that a team of threads walks in step.

    outputs        (shape, dtype name) of each output
    input_bytes    size of each input, of one step
    scratch_bytes  per thread
    parallel       whether more than one thread pays"""

    kernels: tuple[Kernel, ...]
    launches: tuple[Launch | Repeat, ...]
    slots: tuple[Slot, ...]
    outputs: tuple[tuple[tuple[int, ...], str], ...] = ()
    input_bytes: tuple[int, ...] = ()
    arena_bytes: int = 0
    scratch_bytes: int = 0
    consts: tuple[bytes, ...] = ()
    parallel: bool = False

    def __post_init__(self) -> None:
        assert self.slots and self.slots[0].kind == "scratch", "slot 0 is the scratch"
        for slot in self.slots:
            assert slot.kind in SLOT_KINDS, slot
            if slot.kind == "arena":
                assert slot.offset >= 0 and slot.offset + slot.nbytes <= self.arena_bytes, slot
        for i, launch in enumerate(self.launches):
            if isinstance(launch, Repeat):
                assert 0 <= launch.start < i and launch.n >= 1, launch
                assert all(0 < slot < len(self.slots) for slot, _ in launch.moves), launch
                assert self.slots[launch.counter].kind == "counter", launch
                continue
            assert 0 <= launch.kernel < len(self.kernels) and launch.n_tasks >= 0, launch
            assert all(0 <= a < len(self.slots) for a in launch.args), launch

    @functools.cached_property
    def sha256(self) -> str:
        """A name for what is computed and how: equal programs have equal digests."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    @functools.cached_property
    def times(self) -> tuple[int, ...]:
        """How often each launch runs in a step."""
        times = [1] * len(self.launches)
        for end, launch in enumerate(self.launches):
            if isinstance(launch, Repeat):
                for i in range(launch.start, end):
                    times[i] *= launch.n
        return tuple(times)

    def _counts(self) -> list[int]:
        """How often each kernel runs in a step."""
        counts = [0] * len(self.kernels)
        for launch, times in zip(self.launches, self.times, strict=True):
            if isinstance(launch, Launch):
                counts[launch.kernel] += times
        return counts

    def show(self) -> str:
        """The launches in order, one line each, below one line of totals; those of a loop indented."""
        runs = list(zip(self.kernels, self._counts(), strict=True))
        flops = sum(kernel.flops * n for kernel, n in runs)
        moved = sum(kernel.bytes * n for kernel, n in runs)
        lines = [
            f"program {self.sha256[:12]}: {len(self.launches)} launches of {len(self.kernels)} "
            f"kernels, {flops:,} flop and {_size(moved)} moved a step, "
            f"{'several threads' if self.parallel else 'one thread'}"
        ]
        names = [kernel.name for kernel in self.kernels]
        width = max(map(len, names), default=0)
        starts = [launch.start for launch in self.launches if isinstance(launch, Repeat)]
        depth = 0
        for i, launch in enumerate(self.launches):
            if isinstance(launch, Repeat):
                depth -= 1
                moves = ", ".join(f"{self._slot_name(s)} by {n}" for s, n in launch.moves)
                lines.append(f"{i:4} {'  ' * depth}{launch.n} times from {launch.start}: {moves}")
                continue
            depth += starts.count(i)
            kernel = self.kernels[launch.kernel]
            args = " ".join(self._slot_name(a) for a in launch.args)
            wait = "|" if launch.barrier else " "
            does = "; ".join(kernel.summary.splitlines())
            lines.append(
                f"{i:4} {'  ' * depth}{kernel.name:{width}} x{launch.n_tasks:<5}{wait} {args}   {does}".rstrip()
            )
        return "\n".join(lines)

    def show_kernels(self) -> str:
        """What each kernel computes, and how often it is launched."""
        blocks = []
        for kernel, count in zip(self.kernels, self._counts(), strict=True):
            head = f"{kernel.name}: {count} x {kernel.flops:,} flop, {_size(kernel.bytes)}"
            blocks.append(
                "\n".join([head, *("    " + line for line in kernel.summary.splitlines())])
            )
        return "\n".join(blocks)

    def show_llvm(self) -> str:
        """The kernels' LLVM text."""
        return "\n\n".join(f"; {kernel.name}\n{kernel.text.strip()}" for kernel in self.kernels)

    def show_memory(self) -> str:
        """The memory plan: every slot, its place and the launches that it lives through."""
        used: dict[int, list[int]] = {}
        for i, launch in enumerate(self.launches):
            for a in launch.args if isinstance(launch, Launch) else (launch.counter,):
                used.setdefault(a, []).append(i)
        lines = [
            f"arena {_size(self.arena_bytes)}, scratch {_size(self.scratch_bytes)} a thread, "
            f"constants {_size(sum(map(len, self.consts)))}"
        ]
        for number, slot in enumerate(self.slots):
            place = f"@{slot.offset}" if slot.kind == "arena" else f"#{slot.index}"
            if slot.kind != "arena" and slot.offset:
                place += f"@{slot.offset}"
            at = used.get(number)
            life = f"launches {at[0]}..{at[-1]}" if at else ""
            size = _size(slot.nbytes)
            lines.append(
                f"{number:4} {slot.kind:7} {place:>10} {size:>10}  {life:16} {slot.label}".rstrip()
            )
        return "\n".join(lines)

    def _slot_name(self, number: int) -> str:
        return self.slots[number].label or f"{self.slots[number].kind}{number}"


def _size(n_bytes: int) -> str:
    if n_bytes < 1 << 10:
        return f"{n_bytes} B"
    if n_bytes < 1 << 20:
        return f"{n_bytes / (1 << 10):.1f} KiB"
    return f"{n_bytes / (1 << 20):.1f} MiB"
