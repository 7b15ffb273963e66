"""A loop over time written out step by step: what `scan` means."""

from collections.abc import Callable
from typing import Any

from . import functions as F
from .tensor import Tensor


def _map(f: Callable, *trees: Any) -> Any:
    first = trees[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return f(*trees)
    if isinstance(first, dict):
        return {k: _map(f, *(t[k] for t in trees)) for k in first}
    return type(first)(_map(f, *parts) for parts in zip(*trees, strict=True))


def _leaves(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _map(found.append, tree)
    return found


def scan(step, carry, xs=None, *, length=None, reverse=False):
    """As pellucid.scan, unrolled."""
    n = length if length is not None else _leaves(xs)[0].shape[0]
    ys: list[Any] = [None] * n
    for t in reversed(range(n)) if reverse else range(n):
        carry, ys[t] = step(carry, _map(lambda x, t=t: x[t], xs))
    return carry, _map(lambda *parts: F.stack(parts), *ys)
