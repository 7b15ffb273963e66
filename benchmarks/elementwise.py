"""Claim: fused elementwise work and reductions reach >= 80 % of copy bandwidth; exp, tanh and erf
are computed at one value or more per cycle and lane group.

    python benchmarks/elementwise.py [--mib 64]

One thread. Bytes are those that must move: every input read once, every output written once."""

import argparse
import os

import numpy as np
from machine import best_seconds, copy_bandwidth


def cycles_per_second() -> float:
    """The clock of the fastest core, as the operating system states it."""
    with open("/proc/cpuinfo") as f:
        mhz = [float(line.split(":")[1]) for line in f if line.startswith("cpu MHz")]
    return max(mhz) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=64, help="size of one array")
    mib = parser.parse_args().mib
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])

    import pellucid as pl

    n = mib * 2**20 // 4
    side = 4096
    r = np.random.default_rng(0)
    x, y, z = (pl.Tensor(r.normal(size=(n // side, side)).astype(np.float32)) for _ in range(3))
    small = pl.Tensor(r.normal(size=(16, 1024)).astype(np.float32))
    n_bytes = n // side * side * 4
    copy = copy_bandwidth(n_bytes)
    print(f"copy of {mib} MiB: {copy:.1f} GB/s")

    moving = [  # name, arrays moved, function, arguments
        ("x * y + z", 4, lambda x, y, z: x * y + z, (x, y, z)),
        ("relu(x + y)", 3, lambda x, y: pl.functions.relu(x + y), (x, y)),
        ("where(x < y, x, z)", 4, lambda x, y, z: pl.functions.where(x < y, x, z), (x, y, z)),
        ("sum of all", 1, lambda x: x.sum(), (x,)),
        ("sum over rows", 1, lambda x: x.sum(axis=0), (x,)),
        ("sum over columns", 1, lambda x: x.sum(axis=1), (x,)),
        ("max over columns", 1, lambda x: x.max(axis=1), (x,)),
        ("softmax of rows", 2, lambda x: pl.functions.softmax(x, axis=1), (x,)),
    ]
    for name, arrays, function, arguments in moving:
        out = pl.Tensor(function(*arguments).numpy())

        # Written in place, as copy's target is: a new array would cost its page faults.
        def step(*arguments, out=out, function=function):
            out.assign(function(*arguments))

        compiled = pl.compile(step)
        stacked = [pl.Tensor(a.numpy()[None]) for a in arguments]
        seconds = best_seconds(lambda f=compiled, s=stacked: f.many(1, *s))
        rate = arrays * n_bytes / seconds / 1e9
        print(f"{name:20}{rate:8.1f} GB/s {rate / copy:6.0%} of copy")

    hertz = cycles_per_second()
    stacked = pl.Tensor(small.numpy()[None])
    n_steps = 200
    for name in ("exp", "tanh", "erf", "log"):
        compiled = pl.compile(lambda x, name=name: getattr(x, name)().sum())
        seconds = best_seconds(lambda f=compiled: f.many(n_steps, stacked)) / n_steps
        rate = small.size / seconds
        print(f"{name:20}{rate / 1e9:8.2f} G values/s, {rate / hertz:5.2f} a cycle")


if __name__ == "__main__":
    main()
