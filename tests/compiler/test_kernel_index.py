"""Index arithmetic: views fold into addresses, and the folded address is the true one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pellucid.compiler.kernel import (
    Fetched,
    Index,
    Quot,
    Rem,
    Var,
    flatten,
    quotient,
    remainder,
    unflatten,
    var,
)


def value(x: Index, env: dict[Var, int]) -> int:
    """What an index is worth for given counters."""
    total = x.const
    for a, c in x.terms:
        if isinstance(a, Var):
            total += c * env[a]
        else:
            assert isinstance(a, Quot | Rem) and not isinstance(a, Fetched)
            inner = value(a.index, env)
            total += c * (inner // a.divisor if isinstance(a, Quot) else inner % a.divisor)
    return total


shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(shapes, st.randoms(use_true_random=False))
def test_unflatten_agrees_with_numpy(shape, random):
    n = int(np.prod(shape))
    i = Var("i", n)
    at = random.randrange(n)
    got = tuple(value(x, {i: at}) for x in unflatten(var(i), shape))
    assert got == tuple(int(k) for k in np.unravel_index(at, shape))


@given(shapes)
def test_flatten_undoes_unflatten(shape):
    i = Var("i", int(np.prod(shape)))
    assert flatten(unflatten(var(i), shape), shape) == var(i)


@given(shapes, shapes, st.randoms(use_true_random=False))
def test_reshape_through_another_shape_keeps_the_place(first, second, random):
    n = int(np.prod(first))
    m = int(np.prod(second))
    if n % m:
        return
    second = [n // m, *second]
    loops = [Var(f"v{k}", d) for k, d in enumerate(first)]
    place = flatten(unflatten(flatten([var(v) for v in loops], first), second), second)
    env = {v: random.randrange(v.extent) for v in loops}
    assert value(place, env) == int(np.ravel_multi_index([env[v] for v in loops], first))


@given(
    st.integers(0, 500),
    st.integers(1, 30),
    st.integers(1, 40),
    st.integers(0, 50),
    st.integers(1, 12),
)
def test_quotient_and_remainder_are_those_of_integers(at, divisor, extent, const, scale):
    v = Var("v", extent)
    x = var(v).scaled(scale) + const
    at %= extent
    env = {v: at}
    number = value(x, env)
    assert value(quotient(x, divisor), env) == number // divisor
    assert value(remainder(x, divisor), env) == number % divisor


def test_merging_two_axes_leaves_no_division():
    row, column = Var("row", 6), Var("column", 35)
    flat = var(row).scaled(35) + var(column)
    a, b, c = unflatten(flat, (6, 5, 7))
    assert a == var(row)
    assert flatten((a, b, c), (6, 5, 7)) == flat
