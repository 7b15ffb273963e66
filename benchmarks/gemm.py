"""Claim: the contraction kernel reaches >= 85 % of the multiply-add ceiling, packing included.

    python benchmarks/gemm.py [--threads 1,2]

Every line is a fresh process on the named number of cores. OpenBLAS (through NumPy) stands beside,
as it comes and forced to its AVX-512 kernels: it does not recognise every CPU, and that part of a
lead is luck."""

import argparse
import json
import os
import subprocess
import sys

SHAPES = [  # (M, N, K), a transposed, b transposed
    *(((n, n, n), False, False) for n in (256, 512, 1024, 2048)),
    ((128, 128, 784), False, False),
    ((2048, 768, 768), False, False),
    ((1024, 1024, 1024), True, False),
    ((1024, 1024, 1024), False, True),
    ((1024, 1024, 1024), True, True),
]


def name_of(shape, a_transposed, b_transposed) -> str:
    m, n, k = shape
    return f"{m}x{k}x{n}" + (" A'" if a_transposed else "") + (" B'" if b_transposed else "")


def measure(what: str, n_threads: int) -> None:
    """Print one JSON object: GFLOP/s by shape."""
    import numpy as np
    from machine import best_seconds, fma_peak

    if what == "peak":
        print(json.dumps({"peak": fma_peak(n_threads)}))
        return
    r = np.random.default_rng(0)
    rates = {}
    for shape, a_transposed, b_transposed in SHAPES:
        m, n, k = shape
        a = r.normal(size=(k, m) if a_transposed else (m, k)).astype(np.float32)
        b = r.normal(size=(n, k) if b_transposed else (k, n)).astype(np.float32)
        n_steps = max(1, int(1e8 / (m * n * k)))  # about 1 ms of work a call
        if what == "numpy":
            left, right = (a.T if a_transposed else a), (b.T if b_transposed else b)
            out = np.empty((m, n), np.float32)

            def call(left=left, right=right, out=out, n_steps=n_steps):
                for _ in range(n_steps):
                    np.matmul(left, right, out=out)
        else:
            import pellucid as pl

            @pl.compile
            def product(a, b, a_transposed=a_transposed, b_transposed=b_transposed):
                return (a.T if a_transposed else a) @ (b.T if b_transposed else b)

            stacked = pl.Tensor(a[None]), pl.Tensor(b[None])

            def call(product=product, stacked=stacked, n_steps=n_steps):
                product.many(n_steps, *stacked)

        seconds = best_seconds(call) / n_steps
        rates[name_of(shape, a_transposed, b_transposed)] = 2 * m * n * k / seconds / 1e9
    print(json.dumps(rates))


def child(what: str, n_threads: int, **env: str) -> dict[str, float]:
    cores = sorted(os.sched_getaffinity(0))[:n_threads]
    done = subprocess.run(
        [sys.executable, __file__, "--measure", what, "--threads", str(n_threads)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": str(n_threads), **env},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="1,2", help="numbers of threads, as in 1,2")
    parser.add_argument("--measure", choices=["peak", "pellucid", "numpy"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, int(arguments.threads))
        return
    for n_threads in map(int, arguments.threads.split(",")):
        peak = child("peak", n_threads)["peak"]
        ours = child("pellucid", n_threads)
        blas = child("numpy", n_threads)
        forced = child("numpy", n_threads, OPENBLAS_CORETYPE="SkylakeX")
        peak = max(peak, child("peak", n_threads)["peak"])  # before and after: clocks change
        print(f"{n_threads} thread(s), float32, GFLOP/s; multiply-add ceiling {peak:.0f}")
        print(f"{'shape':20}{'pellucid':>9}{'of peak':>9}{'OpenBLAS':>10}{'forced':>8}")
        for shape, rate in ours.items():
            print(f"{shape:20}{rate:9.0f}{rate / peak:9.0%}{blas[shape]:10.0f}{forced[shape]:8.0f}")


if __name__ == "__main__":
    main()
