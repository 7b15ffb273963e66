import gc
import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest

from pellucid.program.program import Launch, Program, Slot
from pellucid.runtime import executor, team
from pellucid.runtime.executor import Executable

from .kernels import FMA, MULTIPLY, chain, chain_reference, kernel

SCRATCH = 5000


def start(n: int):
    rng = np.random.default_rng(n)
    return rng.integers(-1000, 1000, n), rng.integers(-1000, 1000, n)


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("n", [1, 2, 17, 600])
def test_run_gives_new_outputs_and_overwrites_the_state(n, parallel):
    x, s = start(n)
    expected = chain_reference(s, x)
    (out,) = Executable(chain(n, parallel=parallel)).run([x], (s,))
    assert np.array_equal(out, expected) and np.array_equal(s, expected)
    assert out.dtype == np.int64 and out.base is not s


@pytest.mark.parametrize(
    "n", [3, 1000]
)  # a small output is copied, a large one is written in place
def test_outputs_of_two_calls_do_not_share_memory(n):
    x, s = start(n)
    run = Executable(chain(n)).run
    first = run([x], (s,))[0]
    kept = first.copy()
    second = run([x], (s,))[0]
    assert np.array_equal(first, kept) and not np.array_equal(first, second)


def test_other_arrays_are_noticed_from_call_to_call():
    n = 9
    one = Executable(chain(n))
    x, s = start(n)
    for k in range(40):
        mine, fresh = s.copy() + k, x + k
        expected = chain_reference(mine, fresh)
        given = (mine,) if k % 2 else [mine]
        assert np.array_equal(one.run([fresh], given)[0], expected)
        assert np.array_equal(mine, expected)
        del mine, fresh, given
        gc.collect()  # the next arrays may get the same addresses and identities


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("n_steps, first", [(1, 0), (1, 2), (7, 1), (100, 5)])
def test_run_many_cycles_the_stepped_inputs(n_steps, first, parallel):
    n = 19
    x, s = start(n)
    xs = np.stack([x, x * 2, x - 7])
    expected = s
    for i in range(n_steps):
        expected = chain_reference(expected, xs[(first + i) % 3])
    one = Executable(chain(n, parallel=parallel))
    (out,) = one.run_many(n_steps, [xs], [True], first, (s,))
    assert np.array_equal(out, expected) and np.array_equal(s, expected)
    one.run([x], (s,))  # and a single step reads its own input again
    assert np.array_equal(s, chain_reference(expected, x))


def test_run_many_without_stepped_inputs_repeats_the_same():
    x, s = start(5)
    expected = s
    for _ in range(4):
        expected = chain_reference(expected, x)
    Executable(chain(5)).run_many(4, [x], [False], 0, (s,))
    assert np.array_equal(s, expected)


def test_scratch_is_each_threads_own():
    # Task i fills the scratch with ones and stores its address: 4 threads, 4 places, not overlapping.
    address = kernel(
        "scratch_address",
        2,
        f"""  call void @llvm.memset.p0.i64(ptr %p0, i8 1, i64 {SCRATCH}, i1 false)
  %a = ptrtoint ptr %p0 to i64
  %a.p = getelementptr i64, ptr %p1, i64 %i
  store i64 %a, ptr %a.p""",
        "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)",
    )
    slots = (Slot("scratch", nbytes=SCRATCH), Slot("output", 0, nbytes=32))
    launches = (Launch(0, (0, 1), 4),)
    program = Program(
        (address,), launches, slots, (((4,), "int64"),), scratch_bytes=SCRATCH, parallel=True
    )
    one = Executable(program)
    for n_threads in (1, 2, 3, 4):
        team.set_threads(n_threads)
        places = sorted(set(one.run([])[0].tolist()))
        assert len(places) == n_threads and all(place % 64 == 0 for place in places)
        assert all(b - a >= SCRATCH for a, b in itertools.pairwise(places))


def test_constants_are_read():
    slots = (
        Slot("scratch"),
        Slot("input", 0, nbytes=16),
        Slot("const", 1, nbytes=16),
        Slot("output", 0, nbytes=16),
    )
    consts = (b"unused", np.array([2, 3, 5, 7], np.float32).tobytes())
    launches = (Launch(0, (1, 2, 3), 4),)
    program = Program((MULTIPLY,), launches, slots, (((4,), "float32"),), (16,), consts=consts)
    out = Executable(program).run([np.array([1, 10, 100, 1000], np.float32)])[0]
    assert out.tolist() == [2, 30, 500, 7000]


def test_outputs_of_every_kind_have_their_shape_and_dtype():
    shapes = [((), "float32"), ((0, 3), "float32"), ((2, 1, 3), "float32"), ((5000,), "float32")]
    slots = (
        Slot("scratch"),
        Slot("input", 0, nbytes=20000),
        *(Slot("output", i, nbytes=4 * int(np.prod(s))) for i, (s, _) in enumerate(shapes)),
    )
    launches = tuple(Launch(0, (1, 2 + i), int(np.prod(s))) for i, (s, _) in enumerate(shapes))
    x = np.arange(5000, dtype=np.float32)
    exact = (x.astype(np.float64) ** 2 + x).astype(np.float32)  # the float64 part is exact
    outs = Executable(Program((FMA,), launches, slots, tuple(shapes), (20000,))).run([x])
    for out, (shape, name) in zip(outs, shapes, strict=True):
        assert out.shape == shape and out.dtype == name and out.flags.c_contiguous
        assert np.array_equal(out.ravel(), exact[: out.size])


def test_a_program_without_launches_runs():
    slots = (Slot("scratch"), Slot("output", 0, nbytes=0))
    for parallel in (False, True):
        program = Program((), (), slots, (((0,), "int64"),), parallel=parallel)
        assert Executable(program).run([])[0].shape == (0,)


def test_arrays_that_a_kernel_would_read_past_are_refused():
    one = Executable(chain(8))
    x, s = start(8)
    fixed = s.copy()
    fixed.flags.writeable = False
    for inputs, state in (
        ([x[:7]], (s,)),
        ([np.stack([x, x])], (s,)),
        ([np.zeros(16, np.int64)[::2]], (s,)),
        ([], (s,)),
        ([x, x], (s,)),
        ([x], (s[:4],)),
        ([x], (fixed,)),
    ):
        with pytest.raises(ValueError):
            one.run(inputs, state)
    for wrong in (x.tolist(), np.float32(1), memoryview(x), None):
        with pytest.raises(TypeError):
            one.run([wrong], (s,))
        with pytest.raises(TypeError):
            one.run([x], (wrong,))
    with pytest.raises(ValueError):
        one.run_many(2, [x], [True], 0, (s,))
    with pytest.raises(ValueError):
        one.run_many(0, [x], [False], 0, (s,))
    assert np.array_equal(one.run([x], (s,))[0], chain_reference(start(8)[1], x))


def test_stepped_arrays_bound_once_are_not_taken_for_a_single_input():
    one = Executable(chain(8))
    x, s = start(8)
    xs = np.stack([x, x])
    one.run_many(2, [xs], [True], 0, (s,))
    with pytest.raises(ValueError):
        one.run([xs], (s,))


def test_the_plain_way_to_a_pointer_gives_the_same():
    array = np.arange(12).reshape(3, 4)
    for view in (array, array[1:], array[:0], np.zeros((), np.float32)):
        assert executor._pointer(view) == executor._slow_pointer(view)


def test_python_threads_that_call_at_once_take_turns():
    n = 50
    one = Executable(chain(n))
    other = Executable(chain(n, rounds=3))
    wrong = []

    def work(k: int) -> None:
        x, s = start(n)
        x = x + k
        expected = s
        for _ in range(150):
            mine, rounds = (one, 1) if k % 2 else (other, 3)
            expected = chain_reference(expected, x, rounds)
            if not np.array_equal(mine.run([x], (s,))[0], expected):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not any(thread.is_alive() for thread in threads)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_is_answered_within_half_a_second_at_a_whole_step():
    n = 64
    one = Executable(chain(n))
    x, s = np.zeros(n, np.int64), np.zeros(n, np.int64)
    sent = []

    def send() -> None:
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.3, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            one.run_many(10**12, [x], [False], 0, (s,))
    finally:
        timer.cancel()
    assert (
        time.perf_counter() - sent[0] < 0.5
    )  # the promise to the user; slices aim at a tenth of it
    assert len(set(s.tolist())) == 1  # every element has been through the same number of steps
    before = s.copy()
    one.run([x], (s,))
    assert np.array_equal(s, chain_reference(before, x))
