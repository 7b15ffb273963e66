"""compile(fn): trace a function of tensors once per shapes and dtypes, then run one program.

The first call with new shapes runs fn on tensors without values and records what it makes of them. Every
stored tensor that it reads is state, read where it is; what it assigns is written there, after the step.
A later call looks up the program by the arguments' shapes and dtypes and runs it: nothing is traced."""

import functools
import inspect
import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from ..base import dtypes
from ..base.errors import OptionError, PellucidError, ShapeError, TraceError
from ..graph.node import Node, intern, leaf
from ..graph.show import show as show_graph
from ..program.graph import Graph
from ..runtime.buffers import aligned_copy
from . import engine
from .realize import rebuilt, walk
from .storage import RETURNED, Storage, Trace, active
from .tensor import Tensor, from_array, from_node, realize

P = ParamSpec("P")
R = TypeVar("R")

STAGES = ("graph", "kernels", "llvm", "program", "memory")
MANY_PROGRAMS = 16  # so many programs that differ in a Python value only: say so
_serials = itertools.count(1)

# Marks the place of a tensor in the structure of arguments and results.
_TENSOR = object()


def flatten(value: Any, found: list, is_tensor: Callable[[Any], bool]) -> Any:
    """The structure of nested tuples, lists and dicts, hashable, with tensors moved to `found`."""
    if is_tensor(value):
        found.append(value)
        return _TENSOR
    if isinstance(value, (tuple, list)):
        return (type(value), *[flatten(v, found, is_tensor) for v in value])
    if isinstance(value, dict):
        return (dict, tuple(value), *[flatten(v, found, is_tensor) for v in value.values()])
    return (None, type(value), value)


def unflatten(structure: Any, tensors: Any) -> Any:
    """The nested value again; `tensors` is an iterator."""
    if structure is _TENSOR:
        return next(tensors)
    kind = structure[0]
    if kind is None:
        return structure[2]
    if kind is dict:
        return {k: unflatten(s, tensors) for k, s in zip(structure[1], structure[2:], strict=True)}
    parts = [unflatten(s, tensors) for s in structure[1:]]
    return (
        kind(*parts) if hasattr(kind, "_fields") else kind(parts)
    )  # a namedtuple takes them one by one


def _is_array(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


@dataclass(eq=False)
class Step:
    """What tracing made: a program, its state, and the form of its result.

    state     arrays that live from call to call, in the graph's order; one tuple, always the same
    updated   storages that the program overwrites
    results   for each returned tensor: the number of the program's output, or of an argument that
              is returned as it came (numbers below zero: ~i)
    structure of the returned value"""

    graph: Graph
    executable: Any
    state: tuple[np.ndarray, ...]
    updated: tuple[Storage, ...]
    results: list[int]
    structure: Any
    is_single: bool
    is_plain: bool  # results are the program's outputs, one by one, in order

    def run(self, arrays: list[np.ndarray]) -> Any:
        for s in self.updated:
            if s.readers:
                s.release()
        outputs = self.executable.run(arrays, self.state)
        if self.is_single:
            return from_array(outputs[0], RETURNED)
        return self.finish(outputs, arrays)

    def run_many(self, n_steps: int, arrays: list[np.ndarray], start: int) -> Any:
        for s in self.updated:
            if s.readers:
                s.release()
        stepped = [True] * len(arrays)
        outputs = self.executable.run_many(n_steps, arrays, stepped, start, self.state)
        last = [x[(start + n_steps - 1) % len(x)] for x in arrays]
        return self.finish(outputs, last)

    def finish(self, outputs: Sequence[np.ndarray], arrays: list[np.ndarray]) -> Any:
        """The function's result from the program's outputs."""
        tensors = [
            from_array(outputs[i] if i >= 0 else aligned_copy(arrays[~i]), RETURNED)
            for i in self.results
        ]
        return unflatten(self.structure, iter(tensors))


class Compiled(Generic[P, R]):
    """A function that is traced once per shapes and dtypes; made by `compile`."""

    def __init__(self, fn: Callable[P, R]):
        self.fn = fn
        self.last: Step | None = None
        self._steps: dict[Any, Step] = {}  # by the whole structure of the arguments
        self._plain: dict[tuple, Step] = {}  # by (shape, dtype, ...) of plain positional arrays
        functools.update_wrapper(self, fn)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: one compiled function per object, kept on it where it can be."""
        if instance is None:
            return self
        bound: Compiled = Compiled(functools.partial(self.fn, instance))
        functools.update_wrapper(bound, self.fn)
        name = self.fn.__name__
        if hasattr(instance, "__dict__"):
            vars(instance)[name] = bound
        return bound

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        # The fast path: positional arrays of known shapes. Everything else takes the careful one.
        if not kwargs and not active.is_recording:
            arrays: list[np.ndarray] = []
            key: list = []
            for a in args:
                if type(a) is Tensor:
                    storage = a._storage
                    if storage is None or storage.is_state:
                        break
                    x = storage.array
                elif type(a) is np.ndarray and a.flags.c_contiguous:
                    x = a
                else:
                    break
                arrays.append(x)
                key.append(x.shape)
                key.append(x.dtype)
            else:
                step = self._plain.get(tuple(key))
                if step is not None:
                    self.last = step
                    return step.run(arrays)
        return self._careful(args, kwargs)

    def _careful(self, args: tuple, kwargs: dict) -> Any:
        if active.is_recording:  # inside another compiled function, or a scan: part of it
            return self.fn(*args, **kwargs)
        found: list = []
        structure = flatten((args, kwargs), found, _is_array)
        arrays, tensors = _arrays_of(found)
        step = self._step(structure, arrays, tuple(x.shape for x in arrays))
        if not kwargs and all(s is _TENSOR for s in structure[1][1:]):
            self._plain[_plain_key(arrays)] = step
        arrays = _not_shared(arrays, tensors, step)
        return step.run(arrays)

    def many(self, n_steps: int, *args: Any, start: int = 0, **kwargs: Any) -> R:
        """n steps in one native call. Every array argument has one more leading axis, of n_batches
        entries; step i uses entry (start + i) % n_batches. Returns the result of the last step."""
        if n_steps < 1:
            raise OptionError(f"many got n_steps = {n_steps}; it must be 1 or more.")
        if active.is_recording:
            raise TraceError(
                "many() cannot run inside another compiled function or a scan; call it outside."
            )
        found: list = []
        structure = flatten((args, kwargs), found, _is_array)
        arrays, tensors = _arrays_of(found)
        lengths = {x.shape[:1] for x in arrays}
        if len(lengths) > 1 or () in lengths or (0,) in lengths:
            shapes = ", ".join(str(x.shape) for x in arrays)
            raise ShapeError(
                f"many got arguments of shapes {shapes}: each needs one more leading axis than a "
                "single step has, all of one size: the batches, which the steps take in turn."
            )
        step = self._step(structure, arrays, tuple(x.shape[1:] for x in arrays))
        return step.run_many(n_steps, _not_shared(arrays, tensors, step), start)

    def _step(self, structure: Any, arrays: list[np.ndarray], shapes: tuple) -> Step:
        key = (structure, shapes, tuple(x.dtype for x in arrays))
        try:
            step = self._steps.get(key)
        except TypeError:
            raise OptionError(
                "an argument of a compiled function is neither a tensor nor hashable. Pass tensors, "
                "NumPy arrays, numbers, text, or tuples, lists and dicts of them."
            ) from None
        if step is None:
            step = self._trace(structure, arrays, shapes)
            self._steps[key] = step
            self._warn_if_many()
        self.last = step
        return step

    def _warn_if_many(self) -> None:
        n = len(self._steps)
        if n == MANY_PROGRAMS and len({(k[1], k[2]) for k in self._steps}) == 1:
            warnings.warn(
                f"{self.__name__} was compiled {n} times for other values of a Python argument. "  # type: ignore[attr-defined]
                "Pass numbers that change as tensors: they need no new program.",
                stacklevel=4,
            )

    # ---- tracing

    def _trace(self, structure: Any, arrays: list[np.ndarray], shapes: tuple) -> Step:
        names = _names(self.fn, structure, len(arrays))
        arguments = [
            leaf(shape, dtypes.of(x.dtype), name)
            for x, shape, name in zip(arrays, shapes, names, strict=True)
        ]
        trace = Trace(next(_serials))
        trace.arguments.update(arguments)
        active.stack.append(trace)
        try:
            args, kwargs = unflatten(structure, iter([from_node(x) for x in arguments]))
            result = self.fn(*args, **kwargs)
            returned: list = []
            result_structure = flatten(result, returned, _is_tensor)
            outputs = [t.node for t in returned]
        finally:
            active.stack.pop()
            for tensor, before in trace.grads.values():
                tensor.grad = before
        return _assembled(trace, arguments, outputs, result_structure)

    # ---- looking in

    def show(self, stage: str = "graph") -> None:
        """Print one stage of the last program: graph, kernels, llvm, program or memory."""
        print(self.text(stage))

    def text(self, stage: str = "graph") -> str:
        """What show prints."""
        if stage not in STAGES:
            raise OptionError(f"show got {stage!r}; the stages are {', '.join(STAGES)}.")
        if self.last is None:
            raise PellucidError("nothing to show yet: call the compiled function once.")
        graph = self.last.graph
        if stage == "graph":
            nodes = [*graph.outputs, *(node for _, node in graph.updates)]
            names = [leaf.params[1] for leaf, _ in graph.updates]
            updates = f"then {', '.join(names)} = the last {len(names)} of these" if names else ""
            return "\n".join(filter(None, (show_graph(nodes), updates)))
        program = getattr(self.last.executable, "program", None)
        if program is None:
            return f"{stage}: the reference engine runs the graph in NumPy, node by node; nothing is compiled."
        if stage == "program":
            return program.show()
        return getattr(program, f"show_{stage}")()


def compile(fn: Callable[P, R]) -> Compiled[P, R]:
    """Decorator: the function as one program per shapes and dtypes of its tensors.

    Tensors and NumPy arrays among the arguments (also in tuples, lists and dicts) are inputs; other
    values are part of the program. Stored tensors that fn reads are state; `t.assign(...)` overwrites
    them in place; random numbers are new on each call. Python's `if` on a traced value raises."""
    return Compiled(fn)


def _plain_key(arrays: list[np.ndarray]) -> tuple:
    key: list = []
    for x in arrays:
        key += (x.shape, x.dtype)
    return tuple(key)


def _arrays_of(found: list) -> tuple[list[np.ndarray], list[Tensor | None]]:
    """Arrays as an engine takes them: contiguous, aligned, in native byte order."""
    lazy = [t for t in found if isinstance(t, Tensor)]
    if lazy:
        realize(*lazy)
    arrays: list[np.ndarray] = []
    tensors: list[Tensor | None] = []
    for value in found:
        if isinstance(value, Tensor):
            arrays.append(value._storage.array)  # type: ignore[union-attr]
            tensors.append(value)
            continue
        dtypes.of(value.dtype)
        if not (value.flags.c_contiguous and value.flags.aligned and value.dtype.isnative):
            value = aligned_copy(value)
        arrays.append(value)
        tensors.append(None)
    return arrays, tensors


def _not_shared(arrays: list, tensors: list, step: Step) -> list[np.ndarray]:
    """An argument that the program also overwrites as state is read from a copy."""
    updated = {id(s) for s in step.updated}
    return [
        x.copy() if t is not None and id(t._storage) in updated else x
        for x, t in zip(arrays, tensors, strict=True)
    ]


def _names(fn: Callable, structure: Any, n: int) -> list[str]:
    """A name for each array argument: that of its parameter, with a number inside containers."""
    _, args, kwargs = structure
    try:
        parameters = list(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        parameters = []
    named = [
        (parameters[i] if i < len(parameters) else f"argument{i}", s)
        for i, s in enumerate(args[1:])
    ]
    named += list(zip(kwargs[1], kwargs[2:], strict=True))
    names: list[str] = []

    def add(name: str, s: Any) -> None:
        if s is _TENSOR:
            names.append(name)
        elif s[0] is not None:
            keys = s[1] if s[0] is dict else range(len(s) - 1)
            for k, inner in zip(keys, s[2:] if s[0] is dict else s[1:], strict=True):
                add(f"{name}.{k}", inner)

    for name, s in named:
        add(name, s)
    assert len(names) == n
    return names


def _name(storage: Storage, number: int) -> str:
    return storage.name or f"{'state' if storage.owner is None else 'parameter'}{number}"


def _assembled(trace: Trace, arguments: list[Node], outputs: list[Node], structure: Any) -> Step:
    """The Graph of what was traced, over leaves of its own: it keeps no tensor's expression alive."""
    updates = list(trace.updates.items())
    w = walk([*outputs, *(node for _, node in updates)])
    argument_number = {x: i for i, x in enumerate(arguments)}
    names = []
    n_states = 0
    for x, storage in zip(w.leaves, w.storages, strict=True):
        if storage is None:
            if x not in argument_number:
                raise TraceError(
                    "the compiled function uses a tensor that another trace made and that has no value. "
                    "Return it from there, or keep it with assign in a tensor made outside."
                )
            names.append(x.params[1])
        else:
            names.append(_name(storage, n_states))
            n_states += 1
    new = rebuilt(w, names)

    inputs = [
        new[w.number[x]]
        if x in w.number
        else intern("leaf", (), (-1 - len(w.leaves) - i, x.params[1]), x.shape, x.dtype)
        for i, x in enumerate(arguments)
    ]
    state_nodes = {
        s: new[w.number[x]] for x, s in zip(w.leaves, w.storages, strict=True) if s is not None
    }
    for i, (storage, node) in enumerate(updates):
        if storage not in state_nodes:  # written, never read
            uid = -1 - len(w.leaves) - len(arguments) - i
            name = _name(storage, len(state_nodes))
            state_nodes[storage] = intern("leaf", (), (uid, name), node.shape, node.dtype)

    input_at = {x: i for i, x in enumerate(inputs)}
    wanted: dict[Node, int] = {}
    results = []
    for x in outputs:
        made = new[w.number[x]]
        results.append(
            ~input_at[made] if made in input_at else wanted.setdefault(made, len(wanted))
        )
    changed = [
        (storage, new[w.number[node]])
        for storage, node in updates
        if new[w.number[node]] is not state_nodes[storage]
    ]
    graph = Graph(
        tuple(inputs),
        tuple(state_nodes.values()),
        tuple(wanted),
        tuple((state_nodes[s], node) for s, node in changed),
    )
    executable = engine.load(graph)
    for s, _ in changed:
        s.is_state = True
    is_plain = results == list(range(len(wanted)))
    return Step(
        graph,
        executable,
        tuple(s.array for s in state_nodes),
        tuple(s for s, _ in changed),
        results,
        structure,
        is_plain and structure is _TENSOR,
        is_plain,
    )
