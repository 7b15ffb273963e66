"""Which values the nodes of a graph stand for.

A Storage is an array that outlives programs: data, a parameter, a moment, or the result of an
expression that was read. A table says what is known about a node: it is the value in a Storage, or
(for a leaf that stops gradients) a name for another node. The table does not keep nodes alive, and
a Storage knows the nodes that stand for it: when a Storage is about to be overwritten while an
expression still reads the old value, that expression gets a copy first. So tensors keep value
semantics: what you wrote down is what you get, whenever you look."""

import contextlib
import itertools
import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import dtypes
from ..graph.node import Node, leaf
from ..runtime.buffers import aligned_copy

if TYPE_CHECKING:
    from collections.abc import Callable


DATA, RETURNED, CUT = 0, 1, 2
_births = itertools.count()


class Storage:
    """An array and the nodes that stand for its present value.

    array    C-contiguous, of one of the six dtypes; never replaced, only overwritten
    readers  what the table holds about those nodes: keys are ids of nodes that are alive
    owner    weak reference to the parameter Tensor that owns it, or None
    origin   DATA, or where its expression was lost: RETURNED by a compiled function, or CUT
    is_state whether a compiled function overwrites it
    name     what listings call it, if it has a name
    born     storages are numbered in the order of their making"""

    __slots__ = ("array", "born", "is_state", "name", "origin", "owner", "readers")
    array: np.ndarray
    readers: dict[int, "Known"]
    owner: "Callable[[], object] | None"

    def __init__(self, array: np.ndarray, origin: int = 0):
        self.array = array
        self.readers = _NO_READERS
        self.owner = None
        self.origin = origin
        self.name = ""
        self.is_state = False
        self.born = next(_births)

    def node(self) -> Node:
        """The leaf that stands for the present value; made when needed, gone when nobody reads it."""
        for known in self.readers.values():
            node = known()
            if node is not None and node.op == "leaf":
                return node
        node = leaf(self.array.shape, dtypes.BY_NAME[self.array.dtype.name])
        know(node, self)
        return node

    def release(self) -> None:
        """Call before overwriting: nodes that still stand for the present value get a copy of it."""
        if self.readers:
            frozen = Storage(aligned_copy(self.array))
            frozen.owner = self.owner  # gradients of old expressions still belong to the parameter
            frozen.readers, self.readers = self.readers, _NO_READERS
            for known in frozen.readers.values():
                known.source = frozen


_NO_READERS: dict[int, "Known"] = {}  # shared by all that have none; never written


class Known(weakref.ref):
    """A row of the table: weak reference to the node, and what it stands for.

    n_nodes, n_bytes  how much history a computed value keeps alive (realize.py bounds it)
    is_tracked        whether that history reaches a parameter"""

    __slots__ = ("is_tracked", "key", "n_bytes", "n_nodes", "source")
    key: int
    source: "Storage | Node"
    n_nodes: int
    n_bytes: int
    is_tracked: bool


_table: dict[int, Known] = {}  # id of a live node -> what it stands for
_dropped: list[object] = []
_is_dropping = False


def _forget(known: Known) -> None:
    """The node has died. Sources die in a loop: a chain of aliases would recurse through here."""
    global _is_dropping
    if _table.get(known.key) is known:
        del _table[known.key]
    source = known.source
    if isinstance(source, Storage):
        source.readers.pop(known.key, None)
    _dropped.append(source)
    del source, known.source
    if not _is_dropping:
        _is_dropping = True
        while _dropped:
            _dropped.pop()
        _is_dropping = False


def know(node: Node, source: "Storage | Node") -> Known:
    """Record that `node` stands for the value of `source`."""
    known = Known(node, _forget)
    known.key, known.source = id(node), source
    known.n_nodes = known.n_bytes = 0
    known.is_tracked = False
    old = _table.get(known.key)
    if old is not None and isinstance(old.source, Storage):
        old.source.readers.pop(known.key, None)
    _table[known.key] = known
    if isinstance(source, Storage):
        if source.readers is _NO_READERS:
            source.readers = {}
        source.readers[known.key] = known
    return known


def known(node: Node) -> Known | None:
    """What the node stands for, or None: an operation to be computed, or an argument of a trace."""
    return _table.get(id(node))


def stop_gradient(node: Node) -> Node:
    """A leaf with the value of `node`: gradients see a leaf and go no further."""
    alias = leaf(node.shape, node.dtype, "stop_gradient")
    know(alias, node)
    return alias


class Trace:
    """What a compiled function has done so far while it is traced (trace.py)."""

    def __init__(self, serial: int):
        self.serial = serial
        self.updates: dict[Storage, Node] = {}  # storage -> leaf that stands for its new value
        self.parameters: dict[Node, Storage] = {}  # those leaves again, to find gradients' owners
        self.arguments: set[Node] = set()
        self.grads: dict[int, tuple[Any, Any]] = {}  # id -> (tensor, its grad before the trace)


class _Active(threading.local):
    """The traces that run in this thread, innermost last: none, or one. False when there is none.

    n_loops  how many steps of a scan are being traced, one inside the other"""

    def __init__(self) -> None:
        self.stack: list[Trace] = []
        self.n_loops = 0

    def __bool__(self) -> bool:
        return bool(self.stack)

    @property
    def is_recording(self) -> bool:
        """Whether values may not be known: in a trace, or in the step of a scan."""
        return bool(self.stack) or self.n_loops > 0


active = _Active()


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """As if no function were being traced: for values that were written down before."""
    stack, active.stack = active.stack, []
    try:
        yield
    finally:
        active.stack = stack
