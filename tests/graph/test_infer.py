"""Shapes and dtypes of results, and what a user reads when they do not fit."""

import pytest

from pellucid.base import dtypes
from pellucid.base.errors import DTypeError, IndexRangeError, ShapeError
from pellucid.graph.infer import constant, is_constant, make
from pellucid.graph.node import leaf

F32, F64, I64, BOOL = dtypes.float32, dtypes.float64, dtypes.int64, dtypes.bool_


def x(*shape, dtype=F32):
    return leaf(shape, dtype)


RESULTS = [
    (make("add", (x(2, 3), x(2, 3))), (2, 3), F32),
    (make("lt", (x(2), x(2))), (2,), BOOL),
    (make("cast", (x(2),), ("int64",)), (2,), I64),
    (make("where", (x(2, dtype=BOOL), x(2), x(2))), (2,), F32),
    (make("reduce_sum", (x(2, 3, 5),), ((0, 2),)), (3,), F32),
    (make("reduce_max", (x(2, 0, 5),), ((0,),)), (0, 5), F32),
    (make("argmax", (x(2, 3, 5),), (1,)), (2, 5), I64),
    (make("cumsum", (x(2, 3),), (1,)), (2, 3), F32),
    (make("reshape", (x(2, 6),), ((3, 4),)), (3, 4), F32),
    (make("permute", (x(2, 3, 5),), ((2, 0, 1),)), (5, 2, 3), F32),
    (make("broadcast", (x(3, 1),), ((2, 3, 4),)), (2, 3, 4), F32),
    (make("broadcast", (x(1),), ((0,),)), (0,), F32),
    (make("pad", (x(2, 3),), (((1, 0), (2, 3)), 0)), (3, 8), F32),
    (make("slice", (x(10, 7),), ((1, 7), (9, 7), (3, 2))), (3, 0), F32),
    (make("concat", (x(2, 3), x(2, 0), x(2, 5)), (1,)), (2, 8), F32),
    (make("gather", (x(7, 3), x(2, 5, dtype=I64))), (2, 5, 3), F32),
    (make("gather", (x(0, 3), x(0, dtype=I64))), (0, 3), F32),
    (make("scatter_add", (x(2, 5, dtype=I64), x(2, 5, 3)), (7,)), (7, 3), F32),
    (make("contract", (x(2, 3, 4), x(2, 4, 5)), ("bik", "bkj", "jib")), (5, 3, 2), F32),
    (make("contract", (x(), x()), ((), (), ())), (), F32),
    (make("iota", (), ((2, 3), 1, "int32")), (2, 3), dtypes.int32),
    (make("random", (x(2, dtype=I64),), ((3, 4),)), (3, 4), F32),
]


@pytest.mark.parametrize(("node", "shape", "dtype"), RESULTS, ids=lambda v: getattr(v, "op", ""))
def test_result_has_the_shape_and_dtype_of_the_table(node, shape, dtype):
    assert (node.shape, node.dtype) == (shape, dtype)


MISTAKES = [
    (("add", (x(2, 3), x(3, 2))), ShapeError, r"add got shapes \(2, 3\) and \(3, 2\)"),
    (("add", (x(2), x(2, dtype=F64))), DTypeError, "float32, float64: they must be equal.*astype"),
    (("exp", (x(2, dtype=I64),)), DTypeError, "int64, it takes float32 or float64"),
    (("add", (x(2, dtype=BOOL), x(2, dtype=BOOL))), DTypeError, "bool, it takes integers or"),
    (("reduce_sum", (x(2, dtype=BOOL),), ((0,),)), DTypeError, "bool"),
    (("where", (x(2), x(2), x(2))), DTypeError, "condition of float32; it must be bool"),
    (("reshape", (x(2, 3),), ((4,),)), ShapeError, r"\(2, 3\) with 6 elements; \(4,\) needs 4"),
    (("reshape", (x(2, 3),), ((-1,),)), ShapeError, "0 or more"),
    (("permute", (x(2, 3),), ((0, 0),)), IndexRangeError, r"axes \(0, 0\) for shape \(2, 3\)"),
    (("broadcast", (x(2, 3),), ((3, 3),)), ShapeError, r"\(2, 3\), which does not fit \(3, 3\)"),
    (("broadcast", (x(2, 3),), ((3,),)), ShapeError, "does not fit"),
    (("broadcast", (x(1),), ((2**50,),)), ShapeError, "more than 2"),
    (("pad", (x(2),), (((0, -1),), 0)), ShapeError, "before, after"),
    (("slice", (x(4),), ((1,), (5,), (1,))), IndexRangeError, "1:5:1 on axis 0 .*stop <= 4"),
    (("slice", (x(4),), ((1,), (3,), (0,))), IndexRangeError, "step > 0"),
    (("flip", (x(2, 3),), ((2,),)), IndexRangeError, r"axis 2, but shape \(2, 3\) has axes 0 to 1"),
    (("concat", (x(2, 3), x(3, 3)), (1,)), ShapeError, r"\(2, 3\), \(3, 3\): the other axes"),
    (("reduce_max", (x(2, 0),), ((1,),)), ShapeError, "axis 1 of shape .* is empty"),
    (("argmax", (x(0),), (0,)), ShapeError, "empty"),
    (("reduce_sum", (x(2),), ((0, 0),)), IndexRangeError, "each axis may occur once"),
    (("gather", (x(3), x(2))), DTypeError, "index of float32; it must be int32 or int64"),
    (("gather", (x(0), x(2, dtype=I64))), IndexRangeError, "2 indices into an axis of size 0"),
    (("gather", (x(), x(2, dtype=I64))), ShapeError, "without axes"),
    (("scatter_add", (x(2, dtype=I64), x(3)), (4,)), ShapeError, "must begin with the axes"),
    (("contract", (x(2, 3), x(4, 5)), ("ik", "kj", "ij")), ShapeError, "sizes 3 and 4"),
    (("contract", (x(2, 3), x(3)), ("ik", "k", "")), ShapeError, "occurs once only"),
    (("contract", (x(2, 2), x(2)), ("ii", "i", "")), ShapeError, "once in an operand"),
    (("contract", (x(2, dtype=I64), x(2, dtype=I64)), ("i", "i", "")), DTypeError, "int64"),
    (
        ("const", (), (300, "uint8")),
        DTypeError,
        "300 for uint8, which holds whole numbers 0 to 255",
    ),
    (("const", (), (0.5, "int32")), DTypeError, "0.5 for int32"),
    (("random", (x(3, dtype=I64),), ((2,),)), ShapeError, r"int64\[3\]; it must be int64\[2\]"),
]


@pytest.mark.parametrize(("call", "error", "says"), MISTAKES)
def test_a_mistake_is_named_with_what_was_given_and_needed(call, error, says):
    with pytest.raises(error, match=says):
        make(*call)


def test_constant_is_recognised_through_shape_changes():
    c = constant(2.5, F32, (2, 3))
    assert is_constant(c) and is_constant(make("reshape", (c,), ((6,),)))
    assert not is_constant(make("exp", (c,)))
