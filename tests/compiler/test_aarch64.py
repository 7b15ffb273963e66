"""AArch64 code gives the bits of x86-64: programs cross-compiled, linked, and run under QEMU.

A small C driver links a program's kernels and the walker; the program's tables and arrays come to
it in one file and go back in another. Without QEMU or the cross compiler, only the objects are made.
A NaN must be a NaN, but its sign is the processor's: 0 / 0 is negative on x86, positive on AArch64."""

import dataclasses
import math
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, Maker
from random_graphs import random_graph

pytest.importorskip("llvmlite")
import pellucid as pl
from pellucid import nn, optim
from pellucid.base import dtypes
from pellucid.base.machine import Machine
from pellucid.compiler.build import Options, build
from pellucid.graph.infer import make
from pellucid.graph.node import Node, leaf
from pellucid.program.graph import Graph
from pellucid.program.program import Program, Repeat
from pellucid.runtime import jit, team
from pellucid.runtime.executor import Executable

ON = Machine("aarch64-unknown-linux-gnu", "generic", "", 128, 4, 65536, 524288, 0)
WITH_SVE = dataclasses.replace(ON, cpu="neoverse-v2")  # LLVM may choose other instructions there
NARROW = Options(vector_bits=128)  # NEON's registers
QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
GCC = shutil.which("aarch64-linux-gnu-gcc")
needs_qemu = pytest.mark.skipif(
    not (QEMU and GCC),
    reason="needs qemu-aarch64 and aarch64-linux-gnu-gcc (Debian: qemu-user, gcc-aarch64-linux-gnu)",
)

# The file is a row of 64-bit words: the header, then for each slot its array (-1: a counter) and offset,
# for each launch its kernel (-1: the end of a loop), tasks, barrier and arguments, for each array its
# size; then the arrays.
DRIVER = """
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern void *const kernels[];
void pellucid_walk_alone(void *call);
void pellucid_walk_team(void *team, void *call);
void pellucid_work(void *team, int64_t thread, int64_t seen);
void pellucid_stop(void *team);

static int64_t call[CALL_WORDS], *word;
static _Alignas(128) int64_t team[BLOCK_WORDS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static char *room(int64_t n) {
    char *p = aligned_alloc(4096, (n + 4096) / 4096 * 4096);
    if (!p) abort();
    return p;
}

static void *worker(void *t) {
    pellucid_work(team, (int64_t)t, 0);
    return NULL;
}

int main(int argc, char **argv) {
    FILE *f = fopen(argv[1], "rb");
    if (argc != 3 || !f) return 2;
    fseek(f, 0, SEEK_END);
    int64_t n_bytes = ftell(f);
    rewind(f);
    word = (int64_t *)room(n_bytes);
    if (fread(word, 1, n_bytes, f) != (size_t)n_bytes) return 2;
    fclose(f);

    int64_t n_threads = *word++, n_steps = *word++, scratch_bytes = *word++;
    int64_t n_slots = *word++, n_launches = *word++, n_arrays = *word++, n_results = *word++;
    int64_t *slots = word, *launches = (int64_t *)room(8 * LAUNCH_WORDS * n_launches);
    word += 2 * n_slots;
    for (int64_t i = 0; i < n_launches; i++) {
        int64_t *row = launches + LAUNCH_WORDS * i;
        int64_t kernel = *word++;
        row[2] = *word++, row[3] = *word++;
        int64_t n_args = *word++;
        if (kernel < 0) { // the end of a loop
            row[1] = (int64_t)word, word += n_args;
            continue;
        }
        row[0] = (int64_t)kernels[kernel];
        int32_t *args = (int32_t *)room(4 * n_args);
        row[1] = (int64_t)args;
        for (int64_t k = 0; k < n_args; k++) args[k] = (int32_t)*word++;
    }
    int64_t *sizes = word;
    char *source = (char *)(word + n_arrays), **arrays = (char **)room(8 * n_arrays);
    for (int64_t i = 0; i < n_arrays; i++) {
        arrays[i] = room(sizes[i]);
        memcpy(arrays[i], source, sizes[i]);
        source += sizes[i];
    }
    char **table = (char **)room(8 * n_slots);
    for (int64_t i = 1; i < n_slots; i++)
        table[i] = slots[2 * i] < 0 ? NULL : arrays[slots[2 * i]] + slots[2 * i + 1];

    int64_t offset = (8 * n_slots + 127) / 128 * 128;
    int64_t area_bytes = (offset + scratch_bytes + 4095) / 4096 * 4096;
    call[N_LAUNCHES] = n_launches, call[LAUNCHES] = (int64_t)launches;
    call[N_SLOTS] = n_slots, call[SLOTS] = (int64_t)table;
    call[N_STEPS] = n_steps, call[N_BATCHES] = 1;
    call[AREAS] = (int64_t)room(n_threads * area_bytes), call[AREA_BYTES] = area_bytes;
    call[SCRATCH_OFFSET] = offset;
    if (n_threads == 1) {
        pellucid_walk_alone(call);
    } else {
        pthread_t threads[16];
        team[THREADS] = n_threads, team[SPINS] = 10;
        team[YIELDS_WORK] = team[YIELDS_BARRIER] = 10;
        team[MUTEX] = (int64_t)&mutex, team[COND] = (int64_t)&condition;
        team[LOCK] = (int64_t)pthread_mutex_lock, team[UNLOCK] = (int64_t)pthread_mutex_unlock;
        team[WAIT] = (int64_t)pthread_cond_wait, team[YIELD] = (int64_t)sched_yield;
        team[BROADCAST] = (int64_t)pthread_cond_broadcast, team[CLOCK] = (int64_t)clock_gettime;
        for (int64_t t = 1; t < n_threads; t++)
            if (pthread_create(threads + t, NULL, worker, (void *)t)) return 3;
        pellucid_walk_team(team, call);
        pellucid_stop(team);
        for (int64_t t = 1; t < n_threads; t++) pthread_join(threads[t], NULL);
    }

    f = fopen(argv[2], "wb");
    for (int64_t i = 0; i < n_results; i++)
        if (fwrite(arrays[i], 1, sizes[i], f) != (size_t)sizes[i]) return 2;
    return fclose(f);
}
"""
WORDS = """CALL_WORDS LAUNCH_WORDS N_LAUNCHES LAUNCHES N_SLOTS SLOTS N_STEPS N_BATCHES AREAS AREA_BYTES
SCRATCH_OFFSET BLOCK_WORDS THREADS SPINS YIELDS_WORK YIELDS_BARRIER MUTEX COND LOCK UNLOCK WAIT
BROADCAST YIELD CLOCK""".split()

Arrays = Sequence[np.ndarray]


def objects(program: Program, folder: Path, on: Machine = ON) -> list[Path]:
    """AArch64 objects of the program's kernels and of the walker."""
    texts = [(k.name, k.text) for k in program.kernels]
    texts.append(("walker", team.walker_text(on.triple)))
    made = [folder / f"{name}.o" for name, _ in texts]
    for path, (_, text) in zip(made, texts, strict=True):
        path.write_bytes(jit.emit_object(text, on))
    return made


def run_there(
    program: Program,
    inputs: Arrays,
    state: Arrays,
    folder: Path,
    n_steps: int = 1,
    n_threads: int = 1,
    on: Machine = ON,
) -> list[np.ndarray]:
    """The states and then the outputs after n steps of a program on AArch64."""
    results = [x.copy() for x in state]
    results += [np.zeros(shape, dtype) for shape, dtype in program.outputs]
    arrays = [*results, *inputs, *(np.frombuffer(c, np.uint8) for c in program.consts)]
    arena, first = len(arrays), {"state": 0, "output": len(state), "input": len(results)}
    first["const"] = first["input"] + len(inputs)
    first |= {"counter": -1, "scratch": -1}
    places = [
        (arena if s.kind == "arena" else first[s.kind] + s.index, s.offset) for s in program.slots
    ]
    arrays.append(np.full(program.arena_bytes, 0xFF, np.uint8))  # NaNs, if read before written
    head = [n_threads, n_steps, program.scratch_bytes, len(program.slots), len(program.launches)]
    head += [len(arrays), len(results), *(x for place in places for x in place)]
    for i, launch in enumerate(program.launches):
        if isinstance(launch, Repeat):
            moves = [x for move in launch.moves for x in move]
            loop = [launch.counter, launch.n, launch.start, len(launch.moves), *moves]
            head += [-1, 0, 0, len(loop), *loop]
            continue
        barrier = launch.barrier or i == len(program.launches) - 1
        head += [launch.kernel, launch.n_tasks, barrier, len(launch.args), *launch.args]
    head += [x.nbytes for x in arrays]
    words = np.array(head, np.int64)
    (folder / "given").write_bytes(b"".join(x.tobytes() for x in (words, *arrays)))

    names = [k.name for k in program.kernels]
    declared = "".join(f"void {name}(void);\n" for name in names)
    listed = ", ".join(f"(void *){name}" for name in names)
    defines = "".join(f"#define {word} {getattr(team, word)}\n" for word in WORDS)
    source = f"{declared}void *const kernels[] = {{{listed}}};\n{defines}{DRIVER}"
    (folder / "driver.c").write_text(source)
    made = objects(program, folder, on)
    assert GCC and QEMU
    build_command = [GCC, "-static", "-pthread", "-o", "driver", "driver.c", *map(str, made), "-lm"]
    subprocess.run(build_command, cwd=folder, check=True, timeout=60)
    subprocess.run([QEMU, "./driver", "given", "results"], cwd=folder, check=True, timeout=60)

    data, found = (folder / "results").read_bytes(), []
    for x in results:
        found.append(np.frombuffer(data, x.dtype, x.size).reshape(x.shape))
        data = data[x.nbytes :]
    assert not data
    return found


def run_here(program: Program, inputs: Arrays, state: Arrays, n_steps: int = 1) -> list[np.ndarray]:
    """The same on this machine."""
    states = tuple(x.copy() for x in state)
    outputs = Executable(program).run_many(n_steps, inputs, [False] * len(inputs), 0, states)
    return [*states, *outputs]


def different(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where the bits differ, one NaN being as good as another."""
    if a.dtype.kind != "f":
        return np.flatnonzero(a != b)
    bits = f"u{a.itemsize}"
    return np.flatnonzero((a.view(bits) != b.view(bits)) & ~(np.isnan(a) & np.isnan(b)))


def training_step() -> tuple[Graph, list[np.ndarray], tuple[np.ndarray, ...]]:
    """A step of Adam with dropout: graph, inputs, state."""
    pl.seed(7)
    layers = (nn.Linear(20, 33), nn.ReLU(), nn.Dropout(0.3), nn.Linear(33, 33), nn.GELU())
    model = nn.Sequential(*layers, nn.Linear(33, 17), nn.Tanh(), nn.Linear(17, 10))
    optimizer = optim.Adam(model.parameters(), lr=1e-2)

    @pl.compile
    def step(x, y):
        loss = nn.cross_entropy(model(x), y)
        optimizer.step(pl.grad(loss, model.parameters()))
        return loss, model[0].weight.exp().sum(axis=0)

    random = np.random.default_rng(0)
    x = random.standard_normal((17, 20)).astype(np.float32)
    y = np.arange(17, dtype=np.int32) % 10
    step(x, y)
    return step.last.graph, [x, y], step.last.state


def primitives(seeds: range) -> tuple[Graph, list[np.ndarray]]:
    """One program of every primitive, some cases of each: special values and layouts among them."""
    outputs: list[Node] = []
    arrays: dict[Node, np.ndarray] = {}
    for number, case in enumerate(CASES.values()):
        for seed in seeds:
            rng = np.random.default_rng((number, seed))
            m = Maker(lambda low, high, rng=rng: int(rng.integers(low, high, endpoint=True)))
            outputs.append(m.moved(case(m)))
            arrays.update(m.arrays)
    return Graph(tuple(arrays), (), tuple(outputs)), list(arrays.values())


def large() -> tuple[Graph, list[np.ndarray]]:
    """Sums in chunks, packed products in blocks, and a result written past the caches."""
    random = np.random.default_rng(3)
    arrays: dict[Node, np.ndarray] = {}

    def x(dtype: str, *shape: int) -> Node:
        node = leaf(shape, dtypes.of(dtype), f"x{len(arrays)}")
        arrays[node] = random.standard_normal(shape).astype(dtype)
        return node

    outputs = [make("neg", (x("float32", 2_100_003),))]
    for d in ("float32", "float64"):
        outputs += [
            make("contract", (x(d, 131, 1031), x(d, 1031, 67)), ((0, 1), (1, 2), (0, 2))),
            make("contract", (x(d, 517, 131), x(d, 67, 517)), ((1, 0), (2, 1), (0, 2))),
            make("reduce_sum", (x(d, 100_003),), ((0,),)),
            make("reduce_sum", (x(d, 7_001, 3),), ((0,),)),
        ]
    return Graph(tuple(arrays), (), tuple(outputs)), list(arrays.values())


UNARY = "exp log tanh erf sin cos sqrt floor".split()
BINARY = "add sub mul div floordiv mod maximum minimum".split()


def functions(dtype: str, n: int) -> tuple[Graph, list[np.ndarray]]:
    """Every function of floats on n values of all magnitudes and special ones."""
    d, random = dtypes.of(dtype), np.random.default_rng(n)
    x, y = leaf((n,), d, "x"), leaf((n,), d, "y")
    # Random bits are numbers of every exponent; the others lie where the functions are curved.
    anything = random.integers(0, 2 ** (8 * d.itemsize) - 1, n, f"u{d.itemsize}", endpoint=True)
    a = np.where(random.random(n) < 0.5, anything.view(dtype), random.normal(0, 4, n)).astype(dtype)
    b = np.where(random.random(n) < 0.3, anything[::-1].view(dtype), random.normal(0, 4, n))
    special = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 2.0**40, 2.0**31, -(2.0**63)]
    pairs = np.array([(p, q) for p in special for q in special])
    a[: len(pairs)], b[: len(pairs)] = pairs.T
    for values in (a, b):  # subnormal inputs: AArch64's mode takes them for zero, x86's does not
        values[np.abs(values) < np.finfo(dtype).tiny] = 0
    nodes = [make(op, (x,)) for op in UNARY] + [make(op, (x, y)) for op in BINARY]
    nodes += [make("cast", (x,), (other.name,)) for other in dtypes.ORDER if other is not d]
    nodes += [make(op, (x, y)) for op in ("eq", "lt", "le")]
    return Graph((x, y), (), tuple(nodes)), [a, b.astype(dtype)]


def integer_casts(n: int) -> tuple[Graph, list[np.ndarray]]:
    """Casts of integers of all lengths: where rounding twice, by way of float64, would show."""
    random = np.random.default_rng(n)
    long = random.integers(-(2**63), 2**63 - 1, n, np.int64) >> random.integers(0, 63, n)
    # Halfway between two floats once rounded to float64: 25 leading bits, then far below a one.
    close = (2**62 + (2 * random.integers(0, 2**22, n) + 1) * 2**38) * random.choice([-1, 1], n)
    arrays = [long, close + random.integers(-3, 4, n), long.astype(np.int32), long.astype(np.uint8)]
    leaves = [leaf((n,), dtypes.of(a.dtype.name), "x") for a in arrays]
    nodes = [make("cast", (x,), (to,)) for x in leaves for to in ("float32", "float64")]
    return Graph(tuple(leaves), (), tuple(nodes)), arrays


def test_every_kernel_of_a_training_step_becomes_an_aarch64_object(tmp_path):
    graph, _, _ = training_step()
    for path in objects(build(graph, NARROW), tmp_path):
        head = path.read_bytes()[:20]
        assert head[:4] == b"\x7fELF" and int.from_bytes(head[18:], "little") == 183  # EM_AARCH64


@needs_qemu
@pytest.mark.parametrize("n_threads", [1, 3])
def test_training_steps_leave_the_same_bytes(n_threads, tmp_path):
    graph, inputs, state = training_step()
    program = build(graph, NARROW)
    there = run_there(program, inputs, state, tmp_path, n_steps=5, n_threads=n_threads)
    for here in (program, build(graph)):
        want = run_here(here, inputs, state, n_steps=5)
        assert [x.tobytes() for x in there] == [x.tobytes() for x in want]
    assert not all(np.array_equal(x, y) for x, y in zip(there, state, strict=False))


@needs_qemu
@pytest.mark.parametrize("on", [ON, WITH_SVE], ids=lambda on: on.cpu)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_of_floats_give_the_same_bits(dtype, on, tmp_path):
    assert_same(*functions(dtype, 4099), tmp_path, on)


@needs_qemu
def test_integers_become_the_same_floats(tmp_path):
    assert_same(*integer_casts(1031), tmp_path)


@needs_qemu
def test_large_arrays_give_the_same_bits(tmp_path):
    graph, inputs = large()
    texts = [kernel.text for kernel in build(graph, NARROW).kernels]
    assert any("stnp" in jit.emit_assembly(text, ON) for text in texts if "nontemporal" in text)
    assert_same(graph, inputs, tmp_path)


@needs_qemu
def test_every_primitive_gives_the_same_bits(tmp_path):
    assert_same(*primitives(range(3)), tmp_path)


@needs_qemu
def test_random_graphs_give_the_same_bits(tmp_path):
    outputs: list[Node] = []
    arrays: dict[Node, np.ndarray] = {}
    for seed in range(12):
        nodes, given = random_graph(seed)
        outputs += nodes
        arrays.update(given)
    assert_same(Graph(tuple(arrays), (), tuple(outputs)), list(arrays.values()), tmp_path)


def assert_same(graph: Graph, inputs: Arrays, folder: Path, on: Machine = ON) -> None:
    pairs = zip(inputs, graph.inputs, strict=True)
    inputs = [np.ascontiguousarray(a).reshape(x.shape) for a, x in pairs]
    program = build(graph, NARROW)
    there = run_there(program, inputs, (), folder, on=on)
    for here in (program, build(graph)):
        for node, got, want in zip(graph.outputs, there, run_here(here, inputs, ()), strict=True):
            at = different(got, want)[:3]
            assert not at.size, (
                f"{node.op} of {[(x.op, x.dtype.name) for x in node.inputs]} at {at}: "
                f"AArch64 {got.ravel()[at]}, here {want.ravel()[at]}"
            )
