"""matmul and einsum on nodes: everything becomes the primitive `contract`, which labels the axes.

A transposed operand is read through its labels, so no copy is made for x.T @ y. Batch axes of
size 1 stretch: their label is dropped from that operand. Integers and bool are multiplied and summed."""

import string

from ..base import dtypes
from ..base.errors import ShapeError
from ..graph.infer import constant, make
from ..graph.node import Node
from .elementwise import cast
from .shaping import permute, reshape

Labels = tuple[int, ...]


def contraction(op: str, a: Node, a_labels: Labels, b: Node, b_labels: Labels, out: Labels) -> Node:
    """sum over the labels that are not in `out`. Each label once per operand; sizes must agree
    already, except that 1 stretches."""
    a, b = _same_dtype(a, b)
    sizes: dict[int, int] = {}
    for x, labels in ((a, a_labels), (b, b_labels)):
        for d, label in zip(x.shape, labels, strict=True):
            if sizes.get(label, 1) == 1:
                sizes[label] = d
    a, a_labels = _without_stretched(a, a_labels, sizes)
    b, b_labels = _without_stretched(b, b_labels, sizes)
    a, a_labels = _summed(a, a_labels, {*b_labels, *out})
    b, b_labels = _summed(b, b_labels, {*a_labels, *out})
    a, a_labels = _unpermuted(a, a_labels)
    b, b_labels = _unpermuted(b, b_labels)
    present = {*a_labels, *b_labels}
    made = tuple(label for label in out if label in present)
    if a.dtype.kind == "f":
        y = make("contract", (a, b), (a_labels, b_labels, made))
    else:
        y = _multiply_and_sum(a, a_labels, b, b_labels, made)
    if made != out:  # labels of size 1 that both operands lost
        y = reshape(y, tuple(sizes[label] for label in out))
    return y


def _same_dtype(a: Node, b: Node) -> tuple[Node, Node]:
    dtype = dtypes.promote(a.dtype, b.dtype)
    return cast(a, dtype), cast(b, dtype)


def _without_stretched(x: Node, labels: Labels, sizes: dict[int, int]) -> tuple[Node, Labels]:
    """Axes of size 1 that the other operand stretches are dropped."""
    kept = [i for i, label in enumerate(labels) if x.shape[i] == sizes[label]]
    if len(kept) == len(labels):
        return x, labels
    return reshape(x, tuple(x.shape[i] for i in kept)), tuple(labels[i] for i in kept)


def _summed(x: Node, labels: Labels, needed: set[int]) -> tuple[Node, Labels]:
    """Axes that nobody else has are summed before the contraction."""
    axes = tuple(i for i, label in enumerate(labels) if label not in needed)
    if not axes:
        return x, labels
    return make("reduce_sum", (x,), (axes,)), tuple(n for n in labels if n in needed)


def _unpermuted(x: Node, labels: Labels) -> tuple[Node, Labels]:
    """A permuted operand is the operand itself with permuted labels."""
    while x.op == "permute":
        (axes,) = x.params
        labels = tuple(labels[axes.index(i)] for i in range(len(axes)))
        (x,) = x.inputs
    return x, labels


def _multiply_and_sum(a: Node, a_labels: Labels, b: Node, b_labels: Labels, out: Labels) -> Node:
    order = list(out) + sorted({*a_labels, *b_labels} - {*out})
    dtype = a.dtype
    if dtype.kind == "b":  # as NumPy: or of ands; counted in int64 and compared below
        a, b = cast(a, dtypes.int64), cast(b, dtypes.int64)
    sizes = dict(zip((*a_labels, *b_labels), (*a.shape, *b.shape), strict=True))
    shape = tuple(sizes[n] for n in order)

    def spread(x: Node, labels: Labels) -> Node:
        x = permute(x, sorted(range(len(labels)), key=lambda i: order.index(labels[i])))
        x = reshape(x, tuple(sizes[n] if n in labels else 1 for n in order))
        return x if x.shape == shape else make("broadcast", (x,), (shape,))

    y = make("mul", (spread(a, a_labels), spread(b, b_labels)))
    axes = tuple(range(len(out), len(order)))
    if axes:
        y = make("reduce_sum", (y,), (axes,))
    if dtype.kind == "b":
        y = make("lt", (constant(0, y.dtype, y.shape), y))
    return y


def matmul(a: Node, b: Node) -> Node:
    """a @ b as NumPy has it: vectors lose their axis again, leading axes are batches that stretch."""
    if not a.shape or not b.shape:
        raise ShapeError(
            f"matmul got shapes {a.shape} and {b.shape}: both need an axis. Use * for a number."
        )
    k, other = a.shape[-1], b.shape[0] if len(b.shape) == 1 else b.shape[-2]
    if k != other:
        raise ShapeError(_matmul_mismatch(a, b, k, other))
    a_batch, b_batch = a.shape[:-2], b.shape[:-2]
    n_batch = max(len(a_batch), len(b_batch))
    for i in range(1, min(len(a_batch), len(b_batch)) + 1):
        if a_batch[-i] != b_batch[-i] and 1 not in (a_batch[-i], b_batch[-i]):
            raise ShapeError(
                f"matmul got shapes {a.shape} and {b.shape}: their batch axes {a_batch} and {b_batch} "
                "must be equal or 1, counted from the end. Reshape or slice one of them."
            )
    # labels: batch axes 0..n-1 aligned right, then m, k, n
    m_label, k_label, n_label = n_batch, n_batch + 1, n_batch + 2
    a_labels = (*range(n_batch - len(a_batch), n_batch), m_label, k_label)
    b_labels = (*range(n_batch - len(b_batch), n_batch), k_label, n_label)
    out = (*range(n_batch), m_label, n_label)
    if len(a.shape) == 1:
        a_labels, out = (k_label,), tuple(n for n in out if n != m_label)
    if len(b.shape) == 1:
        b_labels, out = (k_label,), tuple(n for n in out if n != n_label)
    return contraction("matmul", a, a_labels, b, b_labels, out)


def _matmul_mismatch(a: Node, b: Node, k: int, other: int) -> str:
    place = "only axis" if len(b.shape) == 1 else "last axis but one"
    text = (
        f"matmul got shapes {a.shape} and {b.shape}: the last axis of the first ({k}) "
        f"must equal the {place} of the second ({other})."
    )
    if len(b.shape) >= 2 and b.shape[-1] == k:
        return f"{text} Transposing the second fits: .transpose(-1, -2)."
    if len(a.shape) >= 2 and a.shape[-2] == other:
        return f"{text} Transposing the first fits: .transpose(-1, -2)."
    return f"{text} Reshape or slice one of them."


# ---- einsum


def einsum(equation: str, operands: list[Node]) -> Node:
    """Einstein's summation: 'bij,bjk->bik', with '...' for batch axes and repeated letters for
    diagonals. Without '->', the letters that occur once, in the order of the alphabet."""
    terms, out_text = _parse(equation, operands)
    xs: list[tuple[Node, Labels]] = []
    n_dots = max(
        (
            len(x.shape) - len(t.replace("...", ""))
            for t, x in zip(terms, operands, strict=True)
            if "..." in t
        ),
        default=0,
    )
    for term, x in zip(terms, operands, strict=True):
        xs.append(_diagonals(x, _numbered(term, len(x.shape), n_dots)))
    out = _numbered(
        out_text, len(out_text.replace("...", "")) + n_dots * ("..." in out_text), n_dots
    )
    _check_sizes(equation, xs, operands)
    x, labels = xs[0]
    for i, (b, b_labels) in enumerate(xs[1:], 2):
        later = {n for _, rest in xs[i:] for n in rest} | {*out}
        needed = tuple(n for n in dict.fromkeys((*labels, *b_labels)) if n in later)
        kept = out if i == len(xs) else needed
        x, labels = contraction("einsum", x, labels, b, b_labels, kept), kept
    x, labels = _summed(x, labels, {*out}) if x.dtype.kind != "b" else (x, labels)
    return permute(x, [labels.index(n) for n in out])


def _parse(equation: str, operands: list[Node]) -> tuple[list[str], str]:
    text = equation.replace(" ", "")
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ShapeError(
            f"einsum {equation!r} names {len(terms)} operands and got {len(operands)}."
        )
    letters = left.replace(",", "").replace("...", "")
    strange = sorted(set(letters + out.replace("...", "")) - set(string.ascii_letters))
    if strange:
        raise ShapeError(
            f"einsum {equation!r}: {strange[0]!r} is not a letter, ',', '...' or '->'."
        )
    if not arrow:
        out = "..." * ("..." in left) + "".join(
            sorted(c for c in set(letters) if letters.count(c) == 1)
        )
    for c in out.replace("...", ""):
        if c not in letters or out.count(c) > 1:
            raise ShapeError(
                f"einsum {equation!r}: the result's letter {c!r} must occur in an operand, "
                "and once in the result."
            )
    for term, x in zip(terms, operands, strict=True):
        n = len(term.replace("...", ""))
        if n > len(x.shape) or (n < len(x.shape) and "..." not in term):
            raise ShapeError(
                f"einsum {equation!r}: {term!r} names {n} axes, its operand has shape {x.shape}."
            )
    if "..." in left and "..." not in out:
        raise ShapeError(f"einsum {equation!r}: write '...' in the result too.")
    return terms, out


def _numbered(term: str, rank: int, n_dots: int) -> Labels:
    """Letters as numbers from 100 on; the axes of '...' as 0..n_dots-1, aligned right."""
    before, dots, after = term.partition("...")
    n_here = rank - len(before) - len(after)
    middle = range(n_dots - n_here, n_dots) if dots else ()
    return (*(100 + ord(c) for c in before), *middle, *(100 + ord(c) for c in after))


def _diagonals(x: Node, labels: Labels) -> tuple[Node, Labels]:
    """A letter twice in one operand: the two axes become their diagonal."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            n = x.shape[i]
            if x.shape[j] != n:
                raise ShapeError(f"einsum: a repeated letter names sizes {n} and {x.shape[j]}.")
            rest = [a for a in range(len(labels)) if a not in (i, j)]
            x = reshape(permute(x, [i, j, *rest]), (n * n, *(x.shape[a] for a in rest)))
            places = make(
                "mul", (make("iota", (), ((n,), 0, "int64")), constant(n + 1, dtypes.int64, (n,)))
            )
            x = make("gather", (x, places))
            labels = (label, *(labels[a] for a in rest))
    return x, labels


def _check_sizes(equation: str, xs: list[tuple[Node, Labels]], operands: list[Node]) -> None:
    sizes: dict[int, int] = {}
    for x, labels in xs:
        for d, label in zip(x.shape, labels, strict=True):
            known = sizes.get(label, 1)
            if 1 not in (known, d) and known != d:
                name = repr(chr(label - 100)) if label >= 100 else "'...'"
                shapes = ", ".join(str(x.shape) for x in operands)
                raise ShapeError(
                    f"einsum {equation!r} got shapes {shapes}: {name} is {known} in one "
                    f"and {d} in another. Equal letters need equal sizes."
                )
            sizes[label] = d if known == 1 else known
