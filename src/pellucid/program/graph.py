"""Graph: what tensor hands to an engine: leaves, outputs, and the buffers that a step overwrites."""

from dataclasses import dataclass

from ..graph.node import Node


@dataclass(frozen=True)
class Graph:
    """One step of computation.

    inputs   leaves given anew on each call
    state    leaves whose arrays live from call to call
    outputs  nodes whose values the call returns
    updates  (state leaf, node) pairs: after the step, the leaf's array holds the node's value; every
             node reads the arrays as they were before the step"""

    inputs: tuple[Node, ...]
    state: tuple[Node, ...]
    outputs: tuple[Node, ...]
    updates: tuple[tuple[Node, Node], ...] = ()
