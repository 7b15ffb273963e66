import ctypes
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from pellucid.base.errors import OptionError
from pellucid.program.program import Launch, Program, Slot
from pellucid.runtime import jit, team
from pellucid.runtime.executor import Executable

from .kernels import MULTIPLY, chain, chain_reference, kernel, turn

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the team waits by POSIX threads")

X86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="reads MXCSR")


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4])
def test_a_hundred_thousand_launches_of_random_sizes_meet_at_their_barriers(n_threads):
    # Each task reads what its neighbour wrote in the launch before: a barrier that opens too
    # early, or a task done twice or never, changes the result.
    rng = np.random.default_rng(11)
    sizes = [int(n) for n in rng.integers(1, 40, 12)]
    width = max(sizes)
    kernels = tuple(turn(n) for n in sizes)
    slots = (Slot("scratch"), *(Slot("state", i, nbytes=8 * width) for i in range(2)))
    launches = []
    for i in range(200):
        k = int(rng.integers(len(sizes)))
        launches.append(Launch(k, (1, 2) if i % 2 == 0 else (2, 1), sizes[k]))
    program = Program(kernels, tuple(launches), slots, parallel=True)
    a, b = np.arange(width), np.arange(width) * 5
    expected = [a.copy(), b.copy()]
    # At most as many launches as keep the test short where threads outnumber cores.
    n_steps = 500 if n_threads <= 2 else 50
    team.set_threads(n_threads)
    one = Executable(program)
    for part in range(2):
        one.run_many(n_steps // 2, [], [], 0, (a, b))
        for _ in range(n_steps // 2):
            for i, launch in enumerate(launches):
                n = sizes[launch.kernel]
                expected[1 - i % 2][:n] = np.roll(expected[i % 2][:n], -1) * 3 + 1
        assert np.array_equal(a, expected[0]) and np.array_equal(b, expected[1]), part
        time.sleep(0.01)  # the workers are asleep at the second part's start


def test_a_yield_that_takes_long_ends_the_yielding():
    # A core given to another process comes back after milliseconds: then it is better to sleep.
    calls = []

    @ctypes.CFUNCTYPE(ctypes.c_int)
    def slow_yield():
        calls.append(time.sleep(0.005))
        return 0

    team.set_threads(2)
    one = Executable(chain(6))
    x, s = np.arange(6), np.arange(6)
    one.run([x], (s,))  # makes the team
    block = team.current()._block
    real = int(block[team.YIELD])
    block[team.CROWDED] = 0
    block[team.YIELD] = ctypes.cast(slow_yield, ctypes.c_void_p).value
    try:
        for _ in range(20):
            one.run([x], (s,))
            time.sleep(0.002)  # the worker waits for the next call
        n = len(calls)
        assert 1 <= n <= 2  # each thread may have been in one when the other learned it
        assert 0 < block[team.CROWDED] < team.WAITS_WITHOUT_YIELD
        for _ in range(20):
            one.run([x], (s,))
            time.sleep(0.001)
        assert len(calls) == n
    finally:
        block[team.YIELD] = real
        block[team.CROWDED] = 0


@pytest.mark.parametrize("n_threads", [2, 3])
def test_single_calls_with_pauses_of_every_length_wake_the_team(n_threads):
    # Pauses around the moment when a worker falls asleep: a lost wake-up would hang.
    team.set_threads(n_threads)
    n = 6
    one = Executable(chain(n))
    x, s = np.arange(n), np.arange(n)
    expected = s
    for k in range(1500):
        expected = chain_reference(expected, x)
        one.run([x], (s,))
        until = time.perf_counter() + (k % 50) * 4e-6
        while time.perf_counter() < until:
            pass
    assert np.array_equal(s, expected)


def test_an_idle_team_uses_no_processor_time():
    team.set_threads(2)
    one = Executable(chain(8))
    x, s = np.arange(8), np.arange(8)
    one.run([x], (s,))
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.01


def test_the_team_follows_set_threads():
    one = Executable(chain(8))
    x, s = np.arange(8), np.arange(8)
    for n_threads in (2, 4, 1, 3):
        team.set_threads(n_threads)
        one.run([x], (s,))
        running = [t for t in threading.enumerate() if t.name.startswith("pellucid-")]
        assert len(running) == n_threads - 1
        assert team.get_threads() == n_threads


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2", True, None])
def test_a_number_of_threads_that_cannot_be_is_an_error(bad):
    with pytest.raises(OptionError, match="whole number"):
        team.set_threads(bad)


@pytest.mark.parametrize("text, expected", [("3", 3), ("1", 1)])
def test_the_environment_sets_the_number_of_threads(monkeypatch, text, expected):
    monkeypatch.setattr(team, "_wanted", None)
    monkeypatch.setenv("PELLUCID_THREADS", text)
    assert team.get_threads() == expected


@pytest.mark.parametrize("text", ["0", "two", "-1", "1.5", "²"])
def test_a_wrong_number_of_threads_in_the_environment_is_named(monkeypatch, text):
    monkeypatch.setattr(team, "_wanted", None)
    monkeypatch.setenv("PELLUCID_THREADS", text)
    with pytest.raises(OptionError, match="PELLUCID_THREADS"):
        team.get_threads()
    monkeypatch.setattr(team, "_wanted", 1)


# --- floating-point mode


def mxcsr(value: int | None = None) -> int:
    """This thread's MXCSR; sets it first when a value is given."""
    text = """define void @pellucid_test_set(ptr %p) #0 {
  call void @llvm.x86.sse.ldmxcsr(ptr %p)
  ret void
}
define void @pellucid_test_get(ptr %p) #0 {
  call void @llvm.x86.sse.stmxcsr(ptr %p)
  ret void
}
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.x86.sse.stmxcsr(ptr)"""
    names = ("pellucid_test_set", "pellucid_test_get")
    (found,) = jit.link([(text, names)])
    put, get = (ctypes.CFUNCTYPE(None, ctypes.c_void_p)(found[name]) for name in names)
    word = ctypes.c_uint32(0 if value is None else value)
    if value is not None:
        put(ctypes.addressof(word))
    get(ctypes.addressof(word))
    return word.value


@X86
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("mode", [0x1F80, 0x6000 | 0x1F80])  # keep subnormals; round to zero
def test_the_callers_floating_point_mode_is_neither_used_nor_changed(mode, n_threads):
    n = 64
    slots = (
        Slot("scratch"),
        *(Slot("input", i, nbytes=4 * n) for i in range(2)),
        Slot("output", 0, nbytes=4 * n),
    )
    program = Program(
        (MULTIPLY,),
        (Launch(0, (1, 2, 3), n),),
        slots,
        (((n,), "float32"),),
        (4 * n, 4 * n),
        parallel=True,
    )
    team.set_threads(n_threads)
    one = Executable(program)
    tiny = np.full(n, 1e-38, np.float32)  # times 1e-2: subnormal
    small = np.full(n, 1e-2, np.float32)
    third = np.full(n, np.float32(1 / 3))  # times itself: rounds up
    expected = [np.zeros(n, np.float32), third * third]
    before = mxcsr()
    try:
        mxcsr(mode)  # before the team is made: its threads inherit it
        got = [one.run([tiny, small])[0], one.run([third, third])[0]]
        after = mxcsr()
    finally:
        mxcsr(before)
    assert after & ~0x3F == mode  # the low bits: what Python itself has computed
    for g, e in zip(got, expected, strict=True):
        assert np.array_equal(g, e)
    assert tiny[0] * small[0] != 0 and expected[1][0] != 0


@X86
def test_each_worker_has_the_teams_mode_while_it_works():
    # Task i stores the mode of the thread that does it.
    read = kernel(
        "read_mode",
        1,
        """  %p = getelementptr i32, ptr %p0, i64 %i
  call void @llvm.x86.sse.stmxcsr(ptr %p)""",
        "declare void @llvm.x86.sse.stmxcsr(ptr)",
    )
    slots = (Slot("scratch"), Slot("output", 0, nbytes=16))
    program = Program((read,), (Launch(0, (1,), 4),), slots, (((4,), "int32"),), parallel=True)
    team.set_threads(4)
    before = mxcsr()
    try:
        mxcsr(0xFFC0 & ~0x1F)
        modes = Executable(program).run([])[0]
    finally:
        mxcsr(before)
    assert [m & ~0x3F for m in modes.tolist()] == [0x9F80] * 4  # the low bits say what has happened


# --- fork and exit


def forked(work) -> int:
    """Exit code of a child that runs `work`; kills one that hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads is what is tested
        child = os.fork()
    if child == 0:
        try:
            code = 0 if work() else 3
        except BaseException:
            code = 4
        os._exit(code)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -9


def steps_are_right(one: Executable, rounds: int = 1) -> bool:
    x, s = np.arange(8), np.arange(8)
    expected = s
    for _ in range(20):
        expected = chain_reference(expected, x, rounds)
        one.run([x], (s,))
    return np.array_equal(s, expected)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
def test_a_child_forked_before_during_and_after_use_works():
    team.set_threads(2)
    one = Executable(chain(8))
    assert forked(lambda: steps_are_right(one)) == 0  # before its first use
    assert steps_are_right(one)
    assert forked(lambda: steps_are_right(one)) == 0  # after
    assert forked(lambda: steps_are_right(Executable(chain(8, 7)), 7)) == 0  # made in the child

    x, s = np.arange(8), np.arange(8)
    stop = threading.Event()

    def train() -> None:
        while not stop.is_set():
            one.run_many(20000, [x], [False], 0, (s,))

    busy = threading.Thread(target=train)
    busy.start()
    try:
        for _ in range(5):  # during
            assert forked(lambda: steps_are_right(one)) == 0
            assert forked(lambda: steps_are_right(Executable(chain(8)))) == 0
    finally:
        stop.set()
        busy.join(30)
    assert not busy.is_alive()
    assert steps_are_right(one)


@needs_fork
def test_a_child_of_a_child_works():
    team.set_threads(2)
    one = Executable(chain(8))
    assert steps_are_right(one)
    assert forked(lambda: steps_are_right(one) and forked(lambda: steps_are_right(one)) == 0) == 0


EXITS = {
    "at the end": ("", 0),
    "by sys.exit": ("sys.exit(7)", 7),
    "by an exception": ("raise KeyError('x')", 1),
    "while a daemon thread computes": (
        "import threading, time\n"
        "work = lambda: one.run_many(10**9, [x], [False], 0, (s,))\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.1)",
        0,
    ),
}


@pytest.mark.parametrize("how", EXITS)
def test_a_process_with_a_team_ends(how):
    last, code = EXITS[how]
    text = f"""import sys, numpy as np
from kernels import chain
from pellucid.runtime import team
from pellucid.runtime.executor import Executable
team.set_threads(3)
one = Executable(chain(8))
x, s = np.arange(8), np.arange(8)
one.run([x], (s,))
{last}"""
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == code, done.stderr
    assert ("KeyError" in done.stderr) == (how == "by an exception")
