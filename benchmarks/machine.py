"""What this machine can do at most: multiply-adds per second, and bytes copied per second.

The two ceilings that the other benchmarks hold pellucid against, measured in the same process."""

import ctypes
import threading
import time
from collections.abc import Callable

import llvmlite.binding as llvm
import numpy as np

N_ACCUMULATORS = 24  # independent chains: more than latency x units of any CPU that we know
LANES = 16


def _fma_loop() -> str:
    """LLVM IR of `void peak(i64 n, ptr p)`: n rounds of independent multiply-adds."""
    v = f"<{LANES} x float>"
    k = range(N_ACCUMULATORS)
    lines = [
        f"declare {v} @llvm.fma.v{LANES}f32({v}, {v}, {v})",
        "define void @peak(i64 %n, ptr %p) #0 {",
        "entry:",
        f"  %a = load {v}, ptr %p, align 4",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [0, %entry], [%i1, %loop]",
        *(f"  %c{j} = phi {v} [zeroinitializer, %entry], [%d{j}, %loop]" for j in k),
        *(f"  %d{j} = call {v} @llvm.fma.v{LANES}f32({v} %a, {v} %a, {v} %c{j})" for j in k),
        "  %i1 = add i64 %i, 1",
        "  %done = icmp eq i64 %i1, %n",
        "  br i1 %done, label %out, label %loop",
        "out:",
        f"  %s0 = fadd {v} %d0, %d0",
        *(f"  %s{j} = fadd {v} %s{j - 1}, %d{j}" for j in k if j),
        f"  store {v} %s{N_ACCUMULATORS - 1}, ptr %p, align 4",
        "  ret void",
        "}",
        'attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }',
    ]
    return "\n".join(lines)


def fma_peak(n_threads: int = 1, repeat: int = 5) -> float:
    """GFLOP/s in float32: the best of `repeat` runs, all threads together."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        jit=True,
    )
    jit = llvm.create_lljit_compiler(target)
    library = llvm.JITLibraryBuilder().add_ir(_fma_loop()).export_symbol("peak").link(jit, "peak")
    run = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(library["peak"])
    n = 5_000_000
    best = 0.0
    for _ in range(repeat):
        rates = [0.0] * n_threads

        def one(k: int, rates: list[float] = rates) -> None:
            data = np.full(LANES, 1e-3, np.float32)
            start = time.perf_counter()
            run(n, data.ctypes.data)
            rates[k] = 2 * LANES * N_ACCUMULATORS * n / (time.perf_counter() - start) / 1e9

        threads = [threading.Thread(target=one, args=(k,)) for k in range(n_threads)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        best = max(best, sum(rates))
    return best


def best_seconds(call: Callable[[], object], at_least: float = 0.5) -> float:
    """Wall time of the fastest call, of five or more over at least `at_least` seconds.

    The fastest, because other processes only ever add time."""
    call()
    best = float("inf")
    n_calls, until = 0, time.perf_counter() + at_least
    while n_calls < 5 or time.perf_counter() < until:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        n_calls += 1
    return best


def copy_bandwidth(n_bytes: int) -> float:
    """GB/s, read and written bytes together, of one thread that copies n_bytes (NumPy's memcpy)."""
    source, target = np.ones(n_bytes // 8), np.empty(n_bytes // 8)
    return 2 * n_bytes / best_seconds(lambda: np.copyto(target, source)) / 1e9
