"""Work on arrays by several threads: NumPy and the cutter let go of Python's lock while they compute."""

import functools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..runtime.team import get_threads

T = TypeVar("T")
R = TypeVar("R")


def each(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The results of work(item), in order, by as many threads as programs run on; raises what the first failure raises.

    Items are worked on at the same time, so none may depend on another. `work` itself must not call `each`."""
    n_threads = get_threads()
    if n_threads == 1:
        return [work(item) for item in items]
    return list(_pool(os.getpid(), n_threads).map(work, items))


@functools.cache
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """One for each process: a forked child has not the threads of its parent."""
    return ThreadPoolExecutor(n_threads, "pellucid-data")
