"""What each primitive means, in plain NumPy: the oracle of the tests, and the engine without LLVM.

REFERENCE[op](*arrays, *params) gives an array; `evaluate` runs a whole Graph."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from .loop import Loop, Tap, taps_by_loop
from .node import Node, topological_order

Array = np.ndarray


class Step(Protocol):
    """What is read of program.graph.Graph, which lives one floor up."""

    @property
    def inputs(self) -> tuple[Node, ...]: ...
    @property
    def state(self) -> tuple[Node, ...]: ...
    @property
    def outputs(self) -> tuple[Node, ...]: ...
    @property
    def updates(self) -> tuple[tuple[Node, Node], ...]: ...


def evaluate(graph: Step, inputs: Sequence[Array], state: Sequence[Array]) -> list[Array]:
    """The values of graph.outputs; graph.updates are written into the arrays of `state`.

    inputs, state  one array for each leaf of graph.inputs, graph.state

    All values are computed before any array of `state` changes; outputs never alias one."""
    updated = [node for _, node in graph.updates]
    leaves = dict(zip((*graph.inputs, *graph.state), (*inputs, *state), strict=True))
    values = compute([*graph.outputs, *updated], leaves)
    # An output or update that is a view of a state array would change with the copies below.
    values = [v.copy() if any(np.may_share_memory(v, s) for s in state) else v for v in values]
    n = len(graph.outputs)
    for (leaf, _), value in zip(graph.updates, values[n:], strict=True):
        np.copyto(leaves[leaf], value)
    return values[:n]


def compute(roots: Sequence[Node], leaves: dict[Node, Array]) -> list[Array]:
    """The arrays of `roots`, given those of the leaves; a value is dropped after its last use."""
    order = topological_order(roots)
    n_uses: dict[Node, int] = dict.fromkeys(roots, 1)  # a root is used by the caller: kept
    for node in order:
        for x in node.inputs:
            n_uses[x] = n_uses.get(x, 0) + 1
    values: dict[Node, Array] = {}
    loops = taps_by_loop(order)
    with np.errstate(all="ignore"):
        for node in order:
            if node.op == "leaf":
                assert node in leaves, f"no array was given for {node}"
                value = leaves[node]
            elif node.op == "scan":  # with the first of its taps a loop gives all
                if node not in values:
                    taps = loops[node.inputs, node.params[0]]
                    arrays = [values[x] for x in node.inputs]
                    found = run_loop(node.params[0], arrays, [x.params[1] for x in taps])
                    values.update(zip(taps, found, strict=True))
                value = values[node]
            else:
                value = np.asarray(
                    REFERENCE[node.op](*(values[x] for x in node.inputs), *node.params)
                )
            assert value.shape == node.shape and value.dtype == node.dtype.numpy, (
                node,
                value.shape,
                value.dtype,
            )
            values[node] = value
            for x in node.inputs:
                n_uses[x] -= 1
                if not n_uses[x]:
                    values.pop(x, None)
    return [values[r] for r in roots]


# ---- meanings that NumPy has no one word for

_erf = np.frompyfunc(math.erf, 1, 1)


def _leaf(uid, name) -> Array:
    raise AssertionError("a leaf's value is given, not computed")


def _iota(shape, axis, dtype) -> Array:
    index = np.arange(shape[axis]).astype(dtype)
    return np.broadcast_to(
        index.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape
    )


def threefry2x32(key: tuple, counter: tuple, n_rounds: int = 20) -> tuple[Array, Array]:
    """Threefry-2x32 of Salmon et al. (2011), section 3.3, on arrays of uint32 (words wrap)."""
    rotations = (13, 15, 26, 6, 17, 29, 16, 24)  # their table 1
    k0, k1 = (np.asarray(k, np.uint32) for k in key)
    schedule = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = (np.asarray(c, np.uint32) for c in counter)
    x0, x1 = x0 + k0, x1 + k1
    for i in range(n_rounds):
        r = np.uint32(rotations[i % 8])
        x0 = x0 + x1
        x1 = ((x1 << r) | (x1 >> (np.uint32(32) - r))) ^ x0
        if i % 4 == 3:
            j = i // 4 + 1
            x0 = x0 + schedule[j % 3]
            x1 = x1 + schedule[(j + 1) % 3] + np.uint32(j)
    return x0, x1


def _random(key: Array, shape) -> Array:
    seed, counter = key.astype(np.uint64)
    low = np.uint64(0xFFFFFFFF)
    drawn = np.empty(math.prod(shape), np.float32)
    for start in range(0, len(drawn), 1 << 14):  # which stay in the cache
        part = drawn[start : start + (1 << 14)]
        index = (np.uint64(start) + np.arange(len(part), dtype=np.uint64)) & low
        word, _ = threefry2x32((seed & low, seed >> np.uint64(32)), (index, counter & low))
        part[:] = (word >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
    return drawn.reshape(shape)


def _cast(x: Array, dtype) -> Array:
    to = np.dtype(dtype)
    if to.kind in "iu" and x.dtype.kind == "f":
        limits = np.iinfo(to)
        whole = np.trunc(np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf))
        # Compared, not clipped: 2**63 - 1 is no float, so clipping to it would give 2**63.
        inside = (whole >= float(limits.min)) & (whole < float(limits.max) + 1)
        outside = np.where(whole < 0, limits.min, limits.max).astype(to)
        return np.where(inside, np.where(inside, whole, 0).astype(to), outside)
    return x.astype(to)


def _slice(x: Array, starts, stops, steps) -> Array:
    return x[tuple(map(slice, starts, stops, steps))]


def _clamped(index: Array, n: int) -> Array:
    return np.clip(index, 0, max(n - 1, 0))


def _gather(x: Array, index: Array) -> Array:
    return x[_clamped(index, x.shape[0])]


def _scatter_add(index: Array, updates: Array, n: int) -> Array:
    out = np.zeros((n, *updates.shape[index.ndim :]), updates.dtype)
    np.add.at(
        out, _clamped(index, n), updates
    )  # unbuffered: in row-major order of index, as the table says
    return out


def _contract(a: Array, b: Array, a_labels, b_labels, out_labels) -> Array:
    """As one batched matrix product, (batch, M, K) @ (batch, K, N), its axes then put in order."""
    batch = [i for i in out_labels if i in a_labels and i in b_labels]
    m = [i for i in out_labels if i not in b_labels]
    n = [i for i in out_labels if i not in a_labels]
    k = [i for i in a_labels if i not in out_labels]
    size = {
        **dict(zip(a_labels, a.shape, strict=True)),
        **dict(zip(b_labels, b.shape, strict=True)),
    }

    def matrices(x: Array, labels, rows, columns) -> Array:
        x = x.transpose([labels.index(i) for i in (*batch, *rows, *columns)])
        return x.reshape(
            [size[i] for i in batch] + [math.prod(size[i] for i in g) for g in (rows, columns)]
        )

    product = matrices(a, a_labels, m, k) @ matrices(b, b_labels, k, n)
    order = (*batch, *m, *n)
    return product.reshape([size[i] for i in order]).transpose([order.index(i) for i in out_labels])


def _window(x: Array, axis, size, stride, dilation) -> Array:
    reach = dilation * (size - 1) + 1
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis)[..., ::dilation]
    view = view[(slice(None),) * axis + (slice(None, None, stride),)]
    return np.moveaxis(view, -1, axis + 1)


def _fold(x: Array, axis, length, stride, dilation) -> Array:
    n, size = x.shape[axis : axis + 2]
    x = np.moveaxis(x, (axis, axis + 1), (0, 1))
    out = np.zeros((length, *x.shape[2:]), x.dtype)
    for j in range(size):
        out[j * dilation : j * dilation + (n - 1) * stride + 1 : stride] += x[:, j]
    return np.moveaxis(out, 0, axis)


def run_loop(loop: Loop, arrays: Sequence[Array], taps: Sequence[Tap]) -> list[Array]:
    """The taps of a loop, its inputs given: Python's own loop over the body."""
    n, m = len(loop.carries), len(loop.carries + loop.xs)
    carries, xs = list(arrays[:n]), arrays[n:m]
    consts = dict(zip(loop.consts, arrays[m:], strict=True))
    stacked = [node for kind, node in taps if kind == "stack"]
    out = {node: np.empty((loop.length, *node.shape), node.dtype.numpy) for node in stacked}
    for t in loop.steps:
        now = dict(zip(loop.carries + loop.xs, (*carries, *(x[t] for x in xs)), strict=True))
        values = compute([*loop.nexts, *stacked], {**consts, **now})
        carries = values[:n]
        for node, value in zip(stacked, values[n:], strict=True):
            out[node][t] = value
    return [carries[what] if kind == "final" else out[what] for kind, what in taps]


# Rows in the order of ops.OPS.
REFERENCE: dict[str, Callable[..., Array]] = {
    "leaf": _leaf,
    "const": lambda value, dtype: np.asarray(value, dtype),
    "iota": _iota,
    "random": _random,
    "neg": np.negative,
    "floor": lambda x: np.floor(x) if x.dtype.kind == "f" else x,
    "logical_not": np.logical_not,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "erf": lambda x: np.asarray(_erf(x.astype(np.float64)), np.float64).astype(x.dtype),
    "cast": _cast,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.mod,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "eq": np.equal,
    "lt": np.less,
    "le": np.less_equal,
    "where": np.where,
    "surrogate": lambda a, b: a,
    "reshape": np.reshape,
    "permute": np.transpose,
    "broadcast": np.broadcast_to,
    "pad": lambda x, widths, value: np.pad(x, widths, constant_values=value) if widths else x,
    "slice": _slice,
    "flip": np.flip,
    "concat": lambda *arrays_axis: np.concatenate(arrays_axis[:-1], arrays_axis[-1]),
    "window": _window,
    "fold": _fold,
    # Contiguous first: NumPy's order of summation follows the strides, which are no part of a value.
    "reduce_sum": lambda x, axes: (
        np.sum(np.asarray(x, order="C"), axes, dtype=x.dtype) if axes else x
    ),
    "reduce_max": np.max,
    "reduce_min": np.min,
    "argmax": lambda x, axis: np.asarray(np.argmax(x, axis), np.int64),
    "cumsum": lambda x, axis: np.cumsum(x, axis, dtype=x.dtype),
    "gather": _gather,
    "scatter_add": _scatter_add,
    "contract": _contract,
    "scan": lambda *arrays_loop_tap: run_loop(
        arrays_loop_tap[-2], arrays_loop_tap[:-2], arrays_loop_tap[-1:]
    )[0],
}
