"""Equal graphs have equal digests, whatever their leaves are called inside; others differ."""

from pellucid.base import dtypes
from pellucid.graph.digest import digest
from pellucid.graph.infer import make
from pellucid.graph.loop import Scan
from pellucid.graph.node import leaf

F32 = dtypes.float32


def product(op="mul", name="x", shape=(2, 3)) -> str:
    x, y = leaf(shape, F32, name), leaf(shape, F32)
    return digest([x, y], [make(op, (x, make("exp", (y,))))])


def loop(length=4, reverse=False, op="add", tap="final") -> str:
    h, x, c = leaf((2,), F32), leaf((length, 2), F32), leaf((2,), F32)
    at, entry = leaf((2,), F32), leaf((2,), F32)
    after = make(op, (at, make("tanh", (entry,))))
    scan = Scan([(at, h, after)], [(entry, x)], [], length, reverse)
    return digest([h, x, c], [scan.final(0) if tap == "final" else scan.stack(after)])


def test_equal_graphs():
    assert product() == product() and loop() == loop()


def test_other_graphs():
    some = [
        product(), product("add"), product(name="z"), product(shape=(3, 2)), loop(), loop(5),
        loop(reverse=True), loop(op="mul"), loop(tap="stack"),
    ]  # fmt: skip
    assert len(set(some)) == len(some)


def test_the_order_of_leaves_counts():
    x, y = leaf((2,), F32), leaf((2,), F32)
    difference = make("sub", (x, y))
    assert digest([x, y], [difference]) != digest([y, x], [difference])
