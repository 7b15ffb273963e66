"""Build: the passes from a Graph to a Program, in order. The only place that knows the order.

    simplify    (transform) shorter, same bits
    tidy        (transform) loops with small bodies
    convolve    sums of windows of contractions as convolutions
    legalize    contractions in canonical form, long reductions in chunks
    schedule    groups of nodes, by level
    lower       a group -> one kernel record, views folded into addresses
    emit        kernel record -> LLVM text, named by its own hash
    memory      arrays that do not live at once share the arena

A loop's body goes through the passes from convolve on as a graph of its own, and lies in the program as
launches between its start and a Repeat. `stages` returns what each pass produced, for `show`."""

from dataclasses import dataclass

from ..base import machine
from ..graph.node import Node
from ..graph.show import show as show_graph
from ..program.graph import Graph
from ..program.program import Program
from ..transform.loops import tidy
from ..transform.simplify import simplify
from .assemble import assemble
from .kernel import Kernel
from .part import schedule_part
from .schedule import Group


@dataclass(frozen=True)
class Options:
    """What the compiler may do; the defaults are what users get. Results do not depend on it.

    vector_bits  None: the machine's"""

    simplify: bool = True
    fuse: bool = True
    vector_bits: int | None = None


@dataclass
class Stages:
    """What each pass produced."""

    graph: list[Node]
    simplified: list[Node]
    groups: list[list[Group]]
    kernels: list[tuple[Group, Kernel]]
    program: Program


def build(graph: Graph, options: Options = Options()) -> Program:
    """The program that computes a graph."""
    return stages(graph, options).program


def stages(graph: Graph, options: Options = Options()) -> Stages:
    """All passes, keeping what they made."""
    roots = list(graph.outputs) + [v for _, v in graph.updates]
    simplified = tidy(simplify(roots), simplify) if options.simplify else tidy(roots, list)
    part = schedule_part(graph, simplified, options.fuse)
    bits = options.vector_bits or machine.read().vector_bits
    return Stages(roots, simplified, part.levels, part.all_kernels(), assemble(part, bits))


def show(graph: Graph, stage: str = "kernels", options: Options = Options()) -> str:
    """One stage as text: graph, simplified, kernels, llvm, program, memory."""
    made = stages(graph, options)
    if stage == "graph":
        return show_graph(made.graph)
    if stage == "simplified":
        return show_graph(made.simplified)
    views = {
        "kernels": made.program.show_kernels,
        "llvm": made.program.show_llvm,
        "program": made.program.show,
        "memory": made.program.show_memory,
    }
    return views[stage]()
