"""Memory of large results is used again only when nobody can see it any more."""

import numpy as np

import pellucid as pl


@pl.compile
def double(x):
    return x * 2


ONES = np.ones(4000, np.float32)


def array_of(t: pl.Tensor) -> np.ndarray:
    return t._storage.array


def test_a_result_that_is_held_keeps_its_values():
    first = double(ONES)
    second = double(ONES * 3)
    assert array_of(first)[0] == 2 and array_of(second)[0] == 6


def test_a_view_keeps_the_memory_below_it():
    result = double(ONES)
    view = array_of(result)[5:]
    shared = memoryview(array_of(double(ONES * 5)))
    del result
    double(ONES * 3)
    assert view[0] == 2 and shared[0] == 10


def test_memory_that_nobody_holds_is_used_again():
    result = double(ONES)
    address = array_of(result).__array_interface__["data"][0]
    del result
    again = double(ONES)
    assert array_of(again).__array_interface__["data"][0] == address
