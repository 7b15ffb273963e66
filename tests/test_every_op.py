"""Every primitive has its row in every table; a failure names the missing ones."""

import pytest
from cases import CASES, DIFFERENTIABLE, NOT_DIFFERENTIABLE

from pellucid.compiler import lower, values
from pellucid.graph.infer import RULES
from pellucid.graph.ops import OPS
from pellucid.graph.reference import REFERENCE
from pellucid.transform.vjp import VJP

TABLES = {
    "graph.infer.RULES": RULES,
    "graph.reference.REFERENCE": REFERENCE,
    "transform.vjp.VJP": VJP,
    "tests.cases.CASES": CASES,
    "tests.cases.DIFFERENTIABLE and NOT_DIFFERENTIABLE": {**DIFFERENTIABLE, **NOT_DIFFERENTIABLE},
}


@pytest.mark.parametrize("table", TABLES)
def test_every_primitive_has_a_row(table):
    missing, unknown = sorted(OPS.keys() - TABLES[table]), sorted(TABLES[table].keys() - OPS.keys())
    assert not missing, f"{table} has no row for {missing}"
    assert not unknown, f"{table} has rows for {unknown}, which graph.ops.OPS does not"


def test_an_op_is_differentiable_or_says_why_not():
    assert not DIFFERENTIABLE.keys() & NOT_DIFFERENTIABLE.keys()
    assert all(NOT_DIFFERENTIABLE.values())


def test_every_row_says_what_the_op_computes():
    for name, row in OPS.items():
        assert row.name == name and row.meaning, name


def test_every_elementwise_and_movement_op_has_a_code_row():
    # reduce, index and contract have kernel forms of their own; tests/compiler/test_every_primitive.py
    # compiles and runs all of them.
    elementwise = {op.name for op in OPS.values() if op.is_elementwise}
    movement = {op.name for op in OPS.values() if op.kind == "movement"}
    assert elementwise == set(lower.ELEMENTWISE) and movement == set(lower.MOVEMENT)
    assert sorted(elementwise - values.APPLY.keys()) == ["cast"], "values.APPLY; cast is convert"
