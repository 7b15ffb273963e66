"""matmul, einsum and tensordot give what NumPy gives, whatever is stretched or transposed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pellucid as pl
from pellucid.base.errors import ShapeError
from pellucid.tensor import functions as F


def values(shape, dtype="float64", seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


@given(hnp.mutually_broadcastable_shapes(signature="(m?,k),(k,n?)->(m?,n?)", max_dims=2, min_side=0, max_side=3),
       st.sampled_from(["float32", "float64", "int64", "bool"]))  # fmt: skip
def test_matmul(found, dtype):
    a, b = (values(s, dtype, i) for i, s in enumerate(found.input_shapes))
    y = pl.Tensor(a) @ pl.Tensor(b)
    assert y.shape == found.result_shape
    assert y.dtype.name == dtype
    assert np.array_equal(y.numpy(), a @ b)  # small integers: exact in every dtype


EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("ij,ij->", [(2, 3), (2, 3)]),
    ("ij->ji", [(2, 3)]),
    ("ii->i", [(3, 3)]), ("ii", [(3, 3)]), ("iij->j", [(2, 2, 3)]), ("i,j->ij", [(2,), (3,)]),
    ("ij->", [(2, 3)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]), ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
    ("i...,i...->...", [(2, 3), (2, 3)]), ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ("ijk,jil->kl", [(2, 3, 4), (3, 2, 5)]),
    ("ij,kj->ijk", [(2, 3), (4, 3)]), ("i,i,i->i", [(3,), (3,), (3,)]),
    ("ij,k->ik", [(2, 3), (4,)]), ("ij,ij->ij", [(1, 3), (2, 3)]),
    ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]), ("...i->...", [(2, 3)]),
    (" i j , j -> i ", [(2, 3), (3,)]),
    ("ij,jk->ik", [(2, 0), (0, 3)]), (",i->i", [(), (3,)]),
]  # fmt: skip


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_einsum(equation, shapes, dtype):
    arrays = [values(s, dtype, i) for i, s in enumerate(shapes)]
    y = F.einsum(equation, *map(pl.Tensor, arrays))
    expected = np.einsum(equation.replace(" ", ""), *arrays)
    assert y.shape == expected.shape
    assert np.array_equal(y.numpy(), expected)


@pytest.mark.parametrize(("equation", "shapes"), [e for e in EQUATIONS if len(e[1]) == 2])
def test_gradient_of_einsum(equation, shapes):
    torch = pytest.importorskip("torch")
    arrays = [values(s, seed=i) for i, s in enumerate(shapes)]
    ours = [pl.Tensor(a) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    torch.einsum(equation, *theirs).square().sum().backward()
    found = pl.grad(F.einsum(equation, *ours).square().sum(), ours)
    for mine, other in zip(found, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.grad.numpy(), rtol=1e-12)


def test_transposed_operands_are_read_through_their_labels():
    a, b = F.zeros((3, 2)), F.zeros((5, 3))
    node = (a.T @ b.T).node
    assert node.op == "contract"
    assert [x.op for x in node.inputs] == ["broadcast", "broadcast"]  # no permute in between
    x = values((2, 3, 4))
    assert np.array_equal((pl.Tensor(x).mT @ pl.Tensor(x)).numpy(), x.transpose(0, 2, 1) @ x)


@pytest.mark.parametrize("axes", [0, 1, 2, ((0,), (1,)), ((1, 0), (0, 1)), ((-1,), (0,))])
def test_tensordot(axes):
    a, b = values((3, 3)), values((3, 3), seed=1)
    assert np.array_equal(
        F.tensordot(pl.Tensor(a), pl.Tensor(b), axes).numpy(), np.tensordot(a, b, axes)
    )


def test_outer_vecdot_dot():
    a, b = values((3,)), values((3,), seed=1)
    assert np.array_equal(F.outer(pl.Tensor(a), pl.Tensor(b)).numpy(), np.outer(a, b))
    assert (
        F.vecdot(pl.Tensor(a), pl.Tensor(b)).item()
        == F.dot(pl.Tensor(a), pl.Tensor(b)).item()
        == a @ b
    )


@pytest.mark.parametrize(
    ("equation", "shapes", "text"),
    [
        ("ij,jk->ik", [(2, 3)], "names 2 operands and got 1"),
        ("ij->i", [(2, 3, 4)], "names 2 axes, its operand has shape"),
        ("i1->i", [(2, 3)], "'1' is not a letter"),
        ("ii->i", [(2, 3)], "repeated letter names sizes 2 and 3"),
        ("...i->i", [(2, 3)], "write '...' in the result"),
    ],
)
def test_einsum_errors(equation, shapes, text):
    with pytest.raises(ShapeError, match=text):
        F.einsum(equation, *(F.zeros(s) for s in shapes))
