"""Work on arrays by several threads: the same results whatever their number."""

import threading

import numpy as np
import pytest

from pellucid.base.errors import DataError
from pellucid.data.columns import decide
from pellucid.data.encoder import Encoder
from pellucid.data.parallel import each
from pellucid.data.reading import read_table
from pellucid.runtime.team import get_threads, set_threads


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = get_threads()
    set_threads(request.param)
    yield request.param
    set_threads(before)


def test_results_come_in_order_and_the_first_failure_is_raised(threads):
    met = threading.Barrier(threads, timeout=10)  # nobody goes on before all of them are here

    def work(n: int) -> int:
        if n < threads:
            met.wait()
        return n * n

    assert each(work, range(30)) == [n * n for n in range(30)]

    def fail(n: int) -> None:
        if n > 3:
            raise DataError(f"number {n}")

    with pytest.raises(DataError, match="number 4"):
        each(fail, range(30))


def test_a_table_is_read_and_encoded_to_the_same_bits(threads, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "t.csv"
    with path.open("w") as file:
        file.write("a,b,c,d,e\n")
        for i, (x, y) in enumerate(rng.normal(size=(30_000, 2))):
            day = f"20{i % 30:02}-{1 + i % 12:02}-11"
            file.write(f"{x:.4f},{'' if i % 9 == 0 else y},k{i % 40},{day},{i % 7}\n")
    frame = read_table(path)
    encoder = Encoder.fit(frame, decide(frame, "e"), np.arange(0, 30_000, 2))
    found = encoder.transform(frame)
    set_threads(1)
    one = read_table(path)
    for column, other in zip(frame.columns, one.columns, strict=True):
        assert (column.values == other.values).all() and (column.missing == other.missing).all()
    assert Encoder.fit(one, decide(one, "e"), np.arange(0, 30_000, 2)) == encoder
    assert encoder.transform(one).tobytes() == found.tobytes()
