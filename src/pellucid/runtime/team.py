"""The thread team: a program's launches walked in step by native threads, Python waiting outside.

Takes a Call (launches, slot table, steps), gives it to `walk`, emitted here as LLVM text. Each
thread copies the slot table, puts its own scratch into slot 0, points the stepped inputs at the
step's entry, and then does its share of each launch: tasks n*t/T .. n*(t+1)/T - 1. At the end of a loop it
moves the pointers of its own table and goes back, without meeting the others. A barrier is an
atomic counter and a phase, a cache line apart. Whoever waits spins briefly, then yields, then
sleeps on a condition variable: beside a busy process a spinning thread would keep the core that the
late thread needs (oneTBB #190, xgboost #7653).

Workers are Python daemon threads inside one native call, without the GIL. They never outlive their
work: at exit they are stopped and joined, and a forked child starts a team of its own when it first
needs one."""

import atexit
import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base import machine
from ..base.errors import OptionError

_code: list[Any] = []  # jit.Code

LINE = 16  # words of 8 bytes: two cache lines, because the prefetcher fetches lines in pairs

# Words of the team's block. Those that threads write sit apart from each other.
EPOCH = 0 * LINE  # counts calls; a new value wakes the workers; negative: stop
ARRIVED = 1 * LINE  # threads that reached the barrier
PHASE = 2 * LINE  # counts barriers; a new value opens it
SLEEPERS = 3 * LINE  # threads that are (about to be) asleep
CROWDED = 4 * LINE  # waits that will not yield, because other processes want the cores
CALL = 5 * LINE  # what to walk, and what never changes:
(
    THREADS, SPINS, YIELDS_WORK, YIELDS_BARRIER, MUTEX, COND, LOCK, UNLOCK, WAIT, BROADCAST, YIELD, CLOCK,
) = range(CALL + 1, CALL + 13)  # fmt: skip
BLOCK_WORDS = 6 * LINE

# Words of a call. A launch is four words: address, argument numbers, tasks, barrier. With address 0 it is
# the end of a loop: the second word points to the counter's slot, the number of times, the launch to go back
# to, the number of moves, then pairs: slot, bytes from one time to the next.
(
    N_LAUNCHES,
    LAUNCHES,
    N_SLOTS,
    SLOTS,
    N_STEPS,
    START,
    N_BATCHES,
    N_STEPPED,
    STEPPED,  # pairs: slot, bytes from one entry to the next
    AREAS,  # per thread: its slot table, then its scratch
    AREA_BYTES,
    SCRATCH_OFFSET,
) = range(12)
CALL_WORDS = 12
LAUNCH_WORDS = 4
LOOP_WORDS = 4

# A wait spins for a moment, then yields its core some hundred times (about 0.25 us each), then
# sleeps (waking takes 10 to 130 us). Yielding early matters where the scheduler has put two threads
# on one core: both stay runnable, so that they alternate quickly and the load balancer sees that
# one should move. With spins of 60 us and no yields a step beside a busy process took 8 times as
# long, with these numbers 2.7 times, on two cores.
SPIN_SECONDS = 2e-6
YIELDS_BETWEEN_CALLS = 300
YIELDS_AT_BARRIER = 300

# A core that is given to another process stays with it for milliseconds, where a thread that sleeps is put back
# soon after it is woken. So one yield that took long ends the yielding, of this wait and of many after it: beside
# two busy processes on two cores a step of the benchmark's `gru` took 440 ms with every wait yielding, 9 ms so.
LONG_YIELD_NANOSECONDS = 2_000_000  # shorter ones are the machine's own interruptions
WAITS_WITHOUT_YIELD = 2_000


def walker_text(triple: str) -> str:
    """The team's native side. Exports walk_alone, walk_team, work and pauses."""
    if triple.startswith(("x86_64", "i686", "amd64")):
        # MXCSR 0x9F80: round to nearest, exceptions masked, subnormal results become zero. With them the
        # moments of a unit that no longer learns never reach zero, and each step of arithmetic on
        # them costs a hundred others: the benchmark's `tabular` row took 23 us a step instead of
        # 6.6 once its loss was small. The mode is per thread, and any library built with
        # -ffast-math may have changed it.
        floating = """
  %before = alloca i32, align 4
  %wanted = alloca i32, align 4
  call void @llvm.x86.sse.stmxcsr(ptr %before)
  store i32 40832, ptr %wanted
  call void @llvm.x86.sse.ldmxcsr(ptr %wanted)"""
        restore = "  call void @llvm.x86.sse.ldmxcsr(ptr %before)"
        pause = "call void @llvm.x86.sse2.pause()"
        declares = """declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.x86.sse2.pause()"""
    elif triple.startswith(("aarch64", "arm64")):
        floating = """
  %before = call i64 @llvm.aarch64.get.fpcr()
  call void @llvm.aarch64.set.fpcr(i64 16777216)"""  # FZ, the same
        restore = "  call void @llvm.aarch64.set.fpcr(i64 %before)"
        pause = "call void @llvm.aarch64.hint(i32 1)"
        declares = """declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
declare void @llvm.aarch64.hint(i32)"""
    else:
        floating, restore, pause, declares = "", "", 'fence syncscope("singlethread") seq_cst', ""

    def field(name: str, base: str, word: int) -> str:
        return f"""  %{name}.p = getelementptr i64, ptr %{base}, i64 {word}
  %{name} = load i64, ptr %{name}.p
"""

    def pointer(name: str, base: str, word: int) -> str:
        return field(name, base, word).replace("load i64", "load ptr")

    return f"""; Sleeps until the word is no longer `old`. The sleeper announces itself before it
; looks again, and who changes the word looks for sleepers after it: one sees the other (Dekker).
define internal void @doze(ptr %team, ptr %word, i64 %old) #0 {{
{pointer("mutex", "team", MUTEX)}{pointer("cond", "team", COND)}\
{pointer("lock", "team", LOCK)}\
{pointer("unlock", "team", UNLOCK)}{pointer("wait", "team", WAIT)}
  %sleepers = getelementptr i64, ptr %team, i64 {SLEEPERS}
  call i32 %lock(ptr %mutex)
  atomicrmw add ptr %sleepers, i64 1 seq_cst
  br label %look
look:
  %now = load atomic i64, ptr %word seq_cst, align 8
  %same = icmp eq i64 %now, %old
  br i1 %same, label %rest, label %up
rest:
  call i32 %wait(ptr %cond, ptr %mutex)
  br label %look
up:
  atomicrmw sub ptr %sleepers, i64 1 seq_cst
  call i32 %unlock(ptr %mutex)
  ret void
}}

; After a word was changed (seq_cst): wakes all sleepers, if there are any.
define internal void @wake(ptr %team) #0 {{
  %sleepers = getelementptr i64, ptr %team, i64 {SLEEPERS}
  %n = load atomic i64, ptr %sleepers seq_cst, align 8
  %any = icmp ne i64 %n, 0
  br i1 %any, label %ring, label %done
ring:
{pointer("mutex", "team", MUTEX)}{pointer("cond", "team", COND)}\
{pointer("lock", "team", LOCK)}\
{pointer("unlock", "team", UNLOCK)}{pointer("broadcast", "team", BROADCAST)}
  call i32 %lock(ptr %mutex)
  call i32 %broadcast(ptr %cond)
  call i32 %unlock(ptr %mutex)
  br label %done
done:
  ret void
}}

; Nanoseconds of a clock that only goes forward.
define internal i64 @now(ptr %team) #0 {{
{pointer("clock", "team", CLOCK)}
  %time = alloca [2 x i64], align 8
  call i32 %clock(i32 {getattr(time, "CLOCK_MONOTONIC", 0)}, ptr %time)
  %seconds = load i64, ptr %time
  %rest.p = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %rest.p
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %rest
  ret i64 %sum
}}

; Waits until the word is no longer `old`, gives its new value.
define internal i64 @await(ptr %team, ptr %word, i64 %old, i64 %most) #0 {{
entry:
{field("spins", "team", SPINS)}{pointer("yield", "team", YIELD)}
  %crowded = getelementptr i64, ptr %team, i64 {CROWDED}
  %crowd = load atomic i64, ptr %crowded monotonic, align 8
  %alone = icmp eq i64 %crowd, 0
  %yields = select i1 %alone, i64 %most, i64 0
  br label %look
look:
  %left = phi i64 [%spins, %entry], [%less, %spin]
  %now = load atomic i64, ptr %word acquire, align 8
  %same = icmp eq i64 %now, %old
  br i1 %same, label %still, label %changed
still:
  %less = sub i64 %left, 1
  %out = icmp slt i64 %less, 0
  br i1 %out, label %polite, label %spin
spin:
  {pause}
  br label %look
changed:
  ret i64 %now
polite:
  br i1 %alone, label %begin, label %fewer
fewer:
  ; Threads may overwrite each other's count: it need not be exact.
  %crowd1 = sub i64 %crowd, 1
  store atomic i64 %crowd1, ptr %crowded monotonic, align 8
  br label %begin
begin:
  %since = call i64 @now(ptr %team)
  br label %again
again:
  %before = phi i64 [%since, %begin], [%after, %short]
  %left2 = phi i64 [%yields, %begin], [%less2, %short]
  %now2 = load atomic i64, ptr %word acquire, align 8
  %same2 = icmp eq i64 %now2, %old
  br i1 %same2, label %still2, label %changed2
still2:
  %less2 = sub i64 %left2, 1
  %out2 = icmp slt i64 %less2, 0
  br i1 %out2, label %tired, label %give
give:
  call i32 %yield()
  %after = call i64 @now(ptr %team)
  %took = sub i64 %after, %before
  %long = icmp sgt i64 %took, {LONG_YIELD_NANOSECONDS}
  br i1 %long, label %given, label %short
short:
  br label %again
given:
  store atomic i64 {WAITS_WITHOUT_YIELD}, ptr %crowded monotonic, align 8
  br label %tired
changed2:
  ret i64 %now2
tired:
  call void @doze(ptr %team, ptr %word, i64 %old)
  %late = load atomic i64, ptr %word acquire, align 8
  ret i64 %late
}}

define internal void @barrier(ptr %team, i64 %threads) #0 {{
  %arrived = getelementptr i64, ptr %team, i64 {ARRIVED}
  %phase = getelementptr i64, ptr %team, i64 {PHASE}
  %old = load atomic i64, ptr %phase acquire, align 8
  %before = atomicrmw add ptr %arrived, i64 1 acq_rel
  %n = add i64 %before, 1
  %last = icmp eq i64 %n, %threads
  br i1 %last, label %open, label %stay
open:
  store atomic i64 0, ptr %arrived monotonic, align 8
  atomicrmw add ptr %phase, i64 1 seq_cst
  call void @wake(ptr %team)
  ret void
stay:
{field("yields", "team", YIELDS_BARRIER)}
  call i64 @await(ptr %team, ptr %phase, i64 %old, i64 %yields)
  ret void
}}

; Thread t of `threads` walks the whole call.
define internal void @walk(ptr %team, ptr %call, i64 %t, i64 %threads) #0 {{
entry:{floating}
{field("n_launches", "call", N_LAUNCHES)}{pointer("launches", "call", LAUNCHES)}\
{field("n_slots", "call", N_SLOTS)}{pointer("slots", "call", SLOTS)}\
{field("n_steps", "call", N_STEPS)}{field("start", "call", START)}\
{field("n_batches", "call", N_BATCHES)}\
{field("n_stepped", "call", N_STEPPED)}{pointer("stepped", "call", STEPPED)}\
{pointer("areas", "call", AREAS)}{field("area_bytes", "call", AREA_BYTES)}\
{field("scratch_offset", "call", SCRATCH_OFFSET)}
  %skip = mul i64 %t, %area_bytes
  %area = getelementptr i8, ptr %areas, i64 %skip
  %table_bytes = shl i64 %n_slots, 3
  call void @llvm.memcpy.p0.p0.i64(ptr %area, ptr %slots, i64 %table_bytes, i1 false)
  %scratch = getelementptr i8, ptr %area, i64 %scratch_offset
  store ptr %scratch, ptr %area
  %shared = icmp ne i64 %threads, 1
  %t1 = add i64 %t, 1
  br label %steps
steps:
  %step = phi i64 [0, %entry], [%step1, %step_done]
  %batch = phi i64 [%start, %entry], [%batch2, %step_done]
  %more_steps = icmp slt i64 %step, %n_steps
  br i1 %more_steps, label %inputs, label %end
inputs:
  %i = phi i64 [0, %steps], [%i1, %input]
  %more_inputs = icmp slt i64 %i, %n_stepped
  br i1 %more_inputs, label %input, label %loop
input:
  %pair = shl i64 %i, 1
  %slot.p = getelementptr i64, ptr %stepped, i64 %pair
  %slot = load i64, ptr %slot.p
  %stride.p = getelementptr i64, ptr %slot.p, i64 1
  %stride = load i64, ptr %stride.p
  %base.p = getelementptr ptr, ptr %slots, i64 %slot
  %base = load ptr, ptr %base.p
  %ahead = mul i64 %batch, %stride
  %entry.p = getelementptr i8, ptr %base, i64 %ahead
  %mine.p = getelementptr ptr, ptr %area, i64 %slot
  store ptr %entry.p, ptr %mine.p
  %i1 = add i64 %i, 1
  br label %inputs
loop:
  %k = phi i64 [0, %inputs], [%k1, %next], [%back, %again], [%k1.l, %over]
  %more = icmp slt i64 %k, %n_launches
  br i1 %more, label %launch, label %step_done
launch:
  %place = mul i64 %k, {LAUNCH_WORDS}
  %kernel.p = getelementptr i64, ptr %launches, i64 %place
  %kernel = load ptr, ptr %kernel.p
  %is_loop = icmp eq ptr %kernel, null
  br i1 %is_loop, label %repeat, label %kernel_launch
kernel_launch:
{pointer("args", "kernel.p", 1)}{field("n_tasks", "kernel.p", 2)}
  br i1 %shared, label %share, label %run
share:
  %lo.n = mul i64 %n_tasks, %t
  %lo.t = udiv i64 %lo.n, %threads
  %hi.n = mul i64 %n_tasks, %t1
  %hi.t = udiv i64 %hi.n, %threads
  br label %run
run:
  %lo = phi i64 [0, %kernel_launch], [%lo.t, %share]
  %hi = phi i64 [%n_tasks, %kernel_launch], [%hi.t, %share]
  %some = icmp ult i64 %lo, %hi
  br i1 %some, label %go, label %gone
go:
  call void %kernel(ptr %area, ptr %args, i64 %lo, i64 %hi)
  br label %gone
gone:
{field("wanted_barrier", "kernel.p", 3)}
  %has_barrier = icmp ne i64 %wanted_barrier, 0
  %stop_here = and i1 %has_barrier, %shared
  br i1 %stop_here, label %meet, label %next
meet:
  call void @barrier(ptr %team, i64 %threads)
  br label %next
next:
  %k1 = add i64 %k, 1
  br label %loop
repeat:
{pointer("record", "kernel.p", 1)}\
{field("counter", "record", 0)}{field("times", "record", 1)}\
{field("back", "record", 2)}{field("n_moves", "record", 3)}
  %count.p = getelementptr i64, ptr %area, i64 %counter
  %count = load i64, ptr %count.p
  %count1 = add i64 %count, 1
  %goes_on = icmp slt i64 %count1, %times
  %restored = sub i64 1, %times
  %factor = select i1 %goes_on, i64 1, i64 %restored
  %count2 = select i1 %goes_on, i64 %count1, i64 0
  store i64 %count2, ptr %count.p
  br label %moves
moves:
  %j = phi i64 [0, %repeat], [%j1, %move]
  %more_moves = icmp slt i64 %j, %n_moves
  br i1 %more_moves, label %move, label %moved
move:
  %pair.n = shl i64 %j, 1
  %move.n = add i64 %pair.n, {LOOP_WORDS}
  %moved_slot.p = getelementptr i64, ptr %record, i64 %move.n
  %moved_slot = load i64, ptr %moved_slot.p
  %by.p = getelementptr i64, ptr %moved_slot.p, i64 1
  %by = load i64, ptr %by.p
  %by.all = mul i64 %by, %factor
  %own.p = getelementptr ptr, ptr %area, i64 %moved_slot
  %own = load ptr, ptr %own.p
  %own1 = getelementptr i8, ptr %own, i64 %by.all
  store ptr %own1, ptr %own.p
  %j1 = add i64 %j, 1
  br label %moves
moved:
  br i1 %goes_on, label %again, label %over
again:
  br label %loop
over:
  %k1.l = add i64 %k, 1
  br label %loop
step_done:
  %step1 = add i64 %step, 1
  %batch1 = add i64 %batch, 1
  %wraps = icmp sge i64 %batch1, %n_batches
  %batch2 = select i1 %wraps, i64 0, i64 %batch1
  br label %steps
end:
{restore}
  ret void
}}

define void @pellucid_walk_alone(ptr %call) #0 {{
  call void @walk(ptr null, ptr %call, i64 0, i64 1)
  ret void
}}

; The caller is thread 0. The last launch of a step has a barrier: all are done when it returns.
define void @pellucid_walk_team(ptr %team, ptr %call) #0 {{
  %call.p = getelementptr i64, ptr %team, i64 {CALL}
  store ptr %call, ptr %call.p
{field("threads", "team", THREADS)}
  %epoch = getelementptr i64, ptr %team, i64 {EPOCH}
  atomicrmw add ptr %epoch, i64 1 seq_cst
  call void @wake(ptr %team)
  call void @walk(ptr %team, ptr %call, i64 0, i64 %threads)
  ret void
}}

; A worker's whole life: `seen` is the epoch at which the team was made.
define void @pellucid_work(ptr %team, i64 %t, i64 %seen) #0 {{
entry:
{field("threads", "team", THREADS)}
{field("yields", "team", YIELDS_WORK)}
  %epoch = getelementptr i64, ptr %team, i64 {EPOCH}
  %call.p = getelementptr i64, ptr %team, i64 {CALL}
  br label %idle
idle:
  %old = phi i64 [%seen, %entry], [%now, %busy]
  %now = call i64 @await(ptr %team, ptr %epoch, i64 %old, i64 %yields)
  %stopped = icmp slt i64 %now, 0
  br i1 %stopped, label %end, label %busy
busy:
  %call = load ptr, ptr %call.p
  call void @walk(ptr %team, ptr %call, i64 %t, i64 %threads)
  br label %idle
end:
  ret void
}}

; Ends all workers.
define void @pellucid_stop(ptr %team) #0 {{
  %epoch = getelementptr i64, ptr %team, i64 {EPOCH}
  store atomic i64 -1, ptr %epoch seq_cst, align 8
  call void @wake(ptr %team)
  ret void
}}

; n pauses, to learn how long one takes.
define void @pellucid_pauses(i64 %n) #0 {{
entry:
  br label %loop
loop:
  %i = phi i64 [%n, %entry], [%less, %loop]
  {pause}
  %less = sub i64 %i, 1
  %more = icmp sgt i64 %less, 0
  br i1 %more, label %loop, label %end
end:
  ret void
}}

declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
{declares}
"""


# --- Python's side


@dataclass(frozen=True)
class Native:
    """The emitted functions; all release the GIL."""

    walk_alone: Callable[..., None]
    walk_team: Callable[..., None]
    work: Callable[..., None]
    stop: Callable[..., None]
    pauses: Callable[..., None]


@functools.cache
def native() -> Native:
    """The walker, compiled for this machine or read from the object cache."""
    from . import jit  # llvmlite, which get_threads does without

    text = walker_text(machine.read().triple)
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    signatures = {
        "walk_alone": (pointer,),
        "walk_team": (pointer, pointer),
        "work": (pointer, integer, integer),
        "stop": (pointer,),
        "pauses": (integer,),
    }
    (found,) = jit.link([(text, tuple(f"pellucid_{name}" for name in signatures))])
    _code.append(found)  # for good: workers are inside it
    return Native(
        **{
            name: ctypes.CFUNCTYPE(None, *types)(found[f"pellucid_{name}"])
            for name, types in signatures.items()
        }
    )


class Team:
    """n threads: the caller and n - 1 workers."""

    def __init__(self, n_threads: int):
        self.n_threads = n_threads
        self._memory = np.zeros(BLOCK_WORDS + LINE, np.int64)
        skip = -self._memory.ctypes.data % (8 * LINE) // 8
        self._block = self._memory[skip : skip + BLOCK_WORDS]
        self.pointer = ctypes.c_void_p(self._block.ctypes.data)
        self._sync = np.zeros(
            32, np.int64
        )  # a pthread mutex and, 128 bytes on, a condition variable
        block, process = self._block, ctypes.CDLL(None)
        mutex = self._sync.ctypes.data
        process.pthread_mutex_init(ctypes.c_void_p(mutex), None)
        process.pthread_cond_init(ctypes.c_void_p(mutex + 128), None)
        block[THREADS] = n_threads
        block[SPINS] = _spins(n_threads)
        block[YIELDS_WORK], block[YIELDS_BARRIER] = YIELDS_BETWEEN_CALLS, YIELDS_AT_BARRIER
        block[MUTEX], block[COND] = mutex, mutex + 128
        for word, name in (
            (LOCK, "pthread_mutex_lock"),
            (UNLOCK, "pthread_mutex_unlock"),
            (WAIT, "pthread_cond_wait"),
            (BROADCAST, "pthread_cond_broadcast"),
            (YIELD, "sched_yield"),
            (CLOCK, "clock_gettime"),
        ):
            block[word] = ctypes.cast(getattr(process, name), ctypes.c_void_p).value or 0
        work = native().work
        self._workers = [
            threading.Thread(
                target=work, args=(self.pointer, t, 0), name=f"pellucid-{t}", daemon=True
            )
            for t in range(1, n_threads)
        ]
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Ends the workers; only while no call runs."""
        native().stop(self.pointer)
        for worker in self._workers:
            worker.join()


def _spins(n_threads: int) -> int:
    if n_threads > machine.usable_cores():
        return 0  # the thread that is waited for needs this core
    pauses, n, best = native().pauses, 500, 1.0
    for _ in range(5):
        started = time.perf_counter()
        pauses(n)
        best = min(best, time.perf_counter() - started)
    return int(SPIN_SECONDS / best * n)


# The one team of this process. `lock` is held while it walks: two Python threads take turns.
lock = threading.Lock()
_team: Team | None = None
_wanted: int | None = None


def get_threads() -> int:
    """Threads that a parallel program runs on."""
    global _wanted
    if _wanted is None:
        text = os.environ.get("PELLUCID_THREADS", "")
        if text and not (text.isascii() and text.isdecimal() and int(text) > 0):
            raise OptionError(
                f"PELLUCID_THREADS={text!r} must be a whole number from 1 on, or unset."
            )
        _wanted = (int(text) if text else machine.usable_cores()) if os.name == "posix" else 1
    return _wanted


def set_threads(n_threads: int) -> None:
    """Runs parallel programs on n threads from now on. Results do not depend on it."""
    global _wanted
    if not isinstance(n_threads, int) or isinstance(n_threads, bool) or n_threads < 1:
        raise OptionError(f"threads={n_threads!r} must be a whole number from 1 on.")
    with lock:
        _wanted = n_threads if os.name == "posix" else 1  # the team waits by POSIX threads
        if _team is not None and _team.n_threads != n_threads:
            _release()


def current() -> Team:
    """The team, made when first needed; the caller holds `lock`."""
    global _team
    if _team is None:
        _team = Team(get_threads())
    return _team


def _release() -> None:
    global _team
    if _team is not None:
        _team.stop()
        _team = None


def _at_exit() -> None:
    # A call that another (daemon) thread still runs is left alone: its memory outlives the
    # interpreter.
    if lock.acquire(timeout=1.0):
        try:
            _release()
        finally:
            lock.release()


_kept: list[Team] = []  # a parent's team: its memory stays, its threads are not in this process


def _in_child() -> None:
    global lock, _team
    lock = threading.Lock()  # it may have been held by a thread that this process does not have
    if _team is not None:
        _kept.append(_team)
        _team = None


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
