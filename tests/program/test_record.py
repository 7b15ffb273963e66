"""A program's record: the same program again, or a ValueError."""

import numpy as np
import pytest

import pellucid as pl
from pellucid.compiler.build import build
from pellucid.program import record
from pellucid.tensor import engine


def some_program():
    """A loop, a contraction, a state."""
    w = pl.Tensor.parameter(np.ones((3, 3), np.float32))

    @pl.compile
    def step(x):
        _, ys = pl.scan(lambda h, x: ((h @ w + x).tanh(),) * 2, x[0], x)
        loss = (ys * ys).sum()
        loss.backward()
        w.assign(w - 0.1 * w.grad)
        return loss

    step(np.ones((5, 2, 3), np.float32))
    return step.last.graph


def test_a_record_gives_the_same_program():
    program = build(some_program())
    again = record.from_bytes(record.to_bytes(program))
    assert again == program and again.sha256 == program.sha256


def test_what_is_no_record_is_a_value_error():
    whole = record.to_bytes(build(some_program()))
    for damaged in (b"", whole[:40], whole[:-1], b"{}", bytes(100)):
        with pytest.raises(ValueError):
            record.from_bytes(damaged)


def test_an_earlier_run_leaves_its_program(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PELLUCID_ENGINE", raising=False)
    graph = some_program()
    first = engine.load(graph)
    kept = list((tmp_path / "pellucid" / "kernels").glob("*.program"))
    assert kept
    monkeypatch.setattr("pellucid.compiler.build.build", lambda *a: pytest.fail("built again"))
    assert engine.load(graph).program == first.program
    for path in kept:
        path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(pytest.fail.Exception):
        engine.load(graph)
