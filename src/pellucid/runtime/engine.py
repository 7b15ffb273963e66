"""engine.load(graph) -> Executable: the compiled engine, or NumPy where LLVM is absent or not wanted."""

from collections.abc import Sequence

import numpy as np

from ..graph import reference
from ..program.graph import Graph


class ReferenceExecutable:
    """Runs a graph by the NumPy rows of graph/reference.py, node by node."""

    def __init__(self, graph: Graph):
        self.graph = graph

    def run(self, inputs: Sequence[np.ndarray], state: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One step; overwrites the state arrays and returns the outputs."""
        return reference.evaluate(self.graph, list(inputs), list(state))

    def run_many(self, n_steps, inputs, stepped, start, state) -> list[np.ndarray]:
        """n_steps steps; stepped inputs have one more leading axis that is cycled from `start`."""
        outputs: list[np.ndarray] = []
        for i in range(start, start + n_steps):
            outputs = self.run([x[i % len(x)] if s else x for x, s in zip(inputs, stepped, strict=True)], state)
        return outputs


def load(graph: Graph) -> ReferenceExecutable:
    """An executable of this graph."""
    return ReferenceExecutable(graph)
