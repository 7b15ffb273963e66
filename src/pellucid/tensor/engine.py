"""engine.load(graph) -> an executable: compiled by LLVM, or NumPy where LLVM is absent or not wanted.

Joins compiler and runtime, which do not know each other. PELLUCID_ENGINE=reference chooses NumPy."""

import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ..base import machine
from ..base.errors import OptionError
from ..graph import reference
from ..graph.digest import digest
from ..program import record
from ..program.graph import Graph

ENGINES = ("compiled", "reference")


class Executable(Protocol):
    """A graph that can be run."""

    def run(self, inputs: Sequence[np.ndarray], state: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One step: overwrites the state arrays, returns the outputs."""
        ...

    def run_many(
        self,
        n_steps: int,
        inputs: Sequence[np.ndarray],
        stepped: Sequence[bool],
        start: int,
        state: Sequence[np.ndarray],
    ) -> list[np.ndarray]:
        """n steps in one call; stepped inputs have one more leading axis, cycled from `start`."""
        ...


class ReferenceExecutable:
    """Runs a graph by the NumPy rows of graph/reference.py, node by node."""

    def __init__(self, graph: Graph):
        self.graph = graph

    def run(self, inputs: Sequence[np.ndarray], state: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One step. NumPy may answer with a view of an input: the outputs are copies then."""
        outputs = reference.evaluate(self.graph, list(inputs), list(state))
        return [
            y.copy()
            if not (y.flags.c_contiguous and y.flags.writeable)
            or any(np.may_share_memory(y, x) for x in inputs)
            else y
            for y in outputs
        ]

    def run_many(self, n_steps, inputs, stepped, start, state) -> list[np.ndarray]:
        """n steps, one after the other."""
        outputs: list[np.ndarray] = []
        for i in range(start, start + n_steps):
            outputs = self.run(
                [x[i % len(x)] if s else x for x, s in zip(inputs, stepped, strict=True)], state
            )
        return outputs


_told = False


def name() -> str:
    """The engine in use: 'compiled' or 'reference'. Raises OptionError for another PELLUCID_ENGINE."""
    global _told
    wanted = os.environ.get("PELLUCID_ENGINE", "compiled")
    if wanted not in ENGINES:
        raise OptionError(
            f"PELLUCID_ENGINE={wanted!r} is not an engine: use one of {', '.join(ENGINES)}."
        )
    if wanted == "compiled" and importlib.util.find_spec("llvmlite") is None:
        if not _told:
            print(
                "pellucid: llvmlite is not installed here, so NumPy computes (slower).",
                file=sys.stderr,
            )
            _told = True
        return "reference"
    return wanted


def load(graph: Graph, options=None) -> Executable:
    """An executable of this graph; options are the compiler's (compiler.build.Options)."""
    if name() == "reference":
        return ReferenceExecutable(graph)
    from ..runtime import executor  # LLVM is loaded when the first kernel is needed

    return executor.Executable(_program(graph, options))


def _program(graph: Graph, options):
    """The graph's program, from the cache on disk where an earlier run has left it: then the compiler is
    not even imported."""
    from ..runtime import cache

    roots = [*graph.outputs, *(x for pair in graph.updates for x in pair)]
    parts = (
        sources(),
        digest([*graph.inputs, *graph.state], roots),
        repr((len(graph.inputs), len(graph.outputs), options, machine.read())),
    )
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest() + ".program"
    kept = cache.read(name)
    if kept is not None:
        try:
            return record.from_bytes(kept)
        except (ValueError, TypeError):
            pass  # of another version, or damaged: built again
    from ..compiler import build

    program = build.build(graph, options or build.Options())
    cache.write(name, record.to_bytes(program))
    return program


@functools.cache
def sources() -> str:
    """Names the compiler that makes a program: a digest of its files, so that no change meets an old program."""
    found = hashlib.sha256()
    root = Path(__file__).parent.parent
    for folder in ("base", "graph", "transform", "program", "compiler"):
        for path in sorted((root / folder).glob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()
