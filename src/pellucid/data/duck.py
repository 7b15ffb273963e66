"""DuckDB, which reads Parquet and what Excel's reader gives: one engine for each process."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

from ..runtime.team import get_threads


@contextlib.contextmanager
def connect(memory: int | None = None) -> Iterator[Any]:
    """DuckDB in memory: as many threads as we may use, nothing loaded from elsewhere or shown in the terminal.

    The connection is one of several to the same engine, which takes 15 ms to begin. Ctrl-C within stays Ctrl-C.

    memory  bytes that it may take: an engine of its own with one thread, as each needs room for what it reads; it gives
            them back at the end"""
    engine = _engine(os.getpid(), get_threads()) if memory is None else _begun(1, memory)
    with engine if memory else contextlib.nullcontext(), engine.cursor() as connection:
        try:
            yield connection
        except RuntimeError as error:
            if str(error) == "Query interrupted":  # what DuckDB makes of it
                raise KeyboardInterrupt from None
            raise


@functools.cache
def _engine(process: int, n_threads: int):
    """One for each process: a forked child must not use its parent's."""
    return _begun(n_threads)


def _begun(n_threads: int, memory: int | None = None):
    """A new one."""
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": n_threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            **({"memory_limit": f"{memory}B"} if memory else {}),
        },
    )
    connection.execute("SET enable_progress_bar = false")
    return connection
