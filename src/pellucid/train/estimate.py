"""What a run will take, before it begins: time and memory, measured on a few of its steps.

The steps are those of the run itself, compiled and walked for a fraction of a second on a network of its own, which is
then thrown away. Memory is what the process has taken by then (Python, libraries, the data, parameters, moments of the
optimizer, the program's own buffers) and the copies of the weights that a run keeps: the best, and those of the start
of an epoch and of a checkpoint, each with the moments."""

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.dataset import Split
from .evaluation import in_mode
from .loop import Fit, Options

SECONDS = 0.4  # that steps are measured for, and the validation as long
LIBRARIES = 120 << 20  # bytes of Python and its libraries, where the system does not tell


@dataclass(frozen=True)
class Estimate:
    """seconds  of training alone, if no epoch is spared          n_steps  that were measured
    bytes    of the whole process at its largest; and of its parts: parameters, optimizer (what it keeps of each
             parameter), activations (what a step keeps between its parts, and shares), data (as it is stored)"""

    seconds: float
    n_steps: int
    bytes: int
    parameters: int
    optimizer: int
    activations: int
    data: int


def estimate(made: Any, data: Any, parts: Split) -> Estimate:
    """Of a recipe's run. The generator of random numbers is left as after any run."""
    network = made.network(data)
    options = Options(
        made.epochs, made.batch, made.patience or None, made.seed, made.loss(), steps=made.steps
    )
    optimizer = made.make_optimizer(network, made.n_steps(parts))
    fit = Fit(network, data, parts, optimizer, options)
    n_steps = made.n_steps(parts)
    n_full = len(fit.split.train) // fit.batch
    order = fit.rows_of_epoch(0)[: n_full * fit.batch]
    batches = np.ascontiguousarray(order).reshape(n_full, fit.batch)
    with in_mode(network, training=True):
        compiling = timed(lambda: fit.step.many(1, batches))
        each, measured = per_step(fit, batches)
    has_short = len(fit.split.train) % fit.batch > 0  # a program of its own
    seconds = compiling * (1 + has_short) + n_steps * each
    if len(fit.split.validation):
        rows = fit.split.validation
        few = rows[: fit.evaluator.batch]
        seconds += timed(lambda: fit.evaluator(few))
        took = timed(lambda: fit.evaluator(few))
        some = rows[: max(1, int(len(few) * SECONDS / max(took, 1e-9)))]
        judging = timed(lambda: fit.evaluator(some)) * len(rows) / len(some)
        seconds += judging * max(1, round(n_steps / fit.n_steps))
    parameters = sum(p.nbytes for p in network.state_dict().values())
    moments = sum(v.nbytes for v in fit.optimizer_state().values())
    kept = parameters + 2 * (2 * parameters + moments)
    # Data that lie on disk take no memory that is not given back.
    n_bytes = 0 if hasattr(data, "release") else sum(a.nbytes for a in data.arrays())
    own = parameters + moments + n_bytes
    return Estimate(
        seconds=seconds,
        n_steps=measured,
        bytes=(resident() or LIBRARIES + own) + kept,
        parameters=parameters,
        optimizer=moments,
        activations=arena(fit.step),
        data=n_bytes,
    )


def timed(what: Any) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def per_step(fit: Fit, batches: np.ndarray) -> tuple[float, int]:
    """(seconds of a step, steps that were measured): of the quickest walk, as others may use the machine."""
    n, measured, best = 1, 0, float("inf")
    end = time.perf_counter() + SECONDS
    while measured < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        fit.step.many(n, batches, start=measured % len(batches))
        took = time.perf_counter() - start
        best, measured = min(best, took / n), measured + n
        if took < SECONDS / 8:
            n = min(2 * n, len(batches))
    return best, measured


def arena(compiled: Any) -> int:
    """Bytes that a compiled function's program shares among its parts, by its memory plan; 0 where none is told."""
    program = getattr(getattr(compiled.last, "executable", None), "program", None)
    return int(getattr(program, "arena_bytes", 0))


def resident() -> int:
    """Bytes that the process has held at most so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # getrusage(2): kilobytes on Linux
