"""Machine code that cuts tables: beside Python's csv module, float() and dict."""

import csv
import io
import struct
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")
from pellucid.base.machine import Machine
from pellucid.data import cut_numbers, cut_rows, cut_texts, cutter
from pellucid.data.cutter import Codes, Numbers, Text
from pellucid.data.dialect import Dialect
from pellucid.runtime import jit


def cut(
    data: bytes, width: int, chunk: int = cutter.CHUNK, eol: bytes = b"\n", quotes: bool = True
):
    """(lines, rows of cells) of all columns as texts; None where the data are not regular."""
    text = Text(data, 0, eol, width, Dialect(",", quotes))
    text._make_room(chunk)
    most = data.count(b"\n") + 1
    columns = [Codes(text, i, most) for i in range(width)]
    lines = text.cut(columns)
    if lines is None:
        return None
    cells = [c.cells(f"c{i}", len(lines)) for i, c in enumerate(columns)]
    every = np.arange(len(lines))
    return lines.tolist(), list(zip(*(c.texts(every) for c in cells), strict=True))


CELL = st.text(st.sampled_from('abé😀"\n,; 12'), max_size=40)


@settings(deadline=None)  # the code is linked at first use
@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=40),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    eol=st.sampled_from(["\n", "\r\n"]),
    ends=st.booleans(),
)
def test_cells_are_those_that_python_writes(rows, quoting, eol, ends):
    """Chunks of 64 bytes: cells, rows and quoted ends of lines lie across them."""
    rows = [tuple(c.replace("\n", eol).strip() for c in row) for row in rows]
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator=eol).writerows(rows)
    data = out.getvalue().removesuffix("" if ends else eol).encode()
    lines, line = [], 0
    for row in rows:
        lines.append(line)
        line += 1 + sum(c.count("\n") for c in row)
    for chunk in (64, cutter.CHUNK):
        assert cut(data, 3, chunk, eol.encode()) == (lines, rows)


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\nc\n",
        b"a,b\nc,d,e\n",
        b"a,b\n\nc,d\n",
        b"a,b\n\n",
        b'a,"b\nc,d\n',
        b'a,b"\nc,d"\n',
        b'a,"b"c\n',
        b'a,"b" \n',
        b'a, "b"\n',
        b'"a"",b\n',
        b'"a""b,c\nd,"e"\n',
    ],
)
@pytest.mark.parametrize("before", [0, 1, 15, 16, 40])
def test_what_is_not_regular_is_left_alone(data, before):
    """Wherever it stands within a block of 64 bytes and a chunk."""
    assert cut(b"x,y\n" * before + data, 2) is None
    assert cut(b"x,y\n" * before + data + b"x,y\n" * 100, 2, 64) is None


def test_quote_marks_are_plain_where_there_is_no_quoting():
    assert cut(b'a",b\n"c,d"\n', 2, quotes=False) == ([0, 1], [('a"', "b"), ('"c', 'd"')])


def numbers(texts: list[str], marks=("", "NA")) -> Numbers:
    data = "".join(f"x,{t}\n" for t in texts).encode()
    text = Text(data, 0, b"\n", 2, Dialect(","))
    column = Numbers(text, 1, len(texts), frozenset(marks))
    assert text.cut([column]) is not None
    return column


def written(rng, n: int) -> list[str]:
    """Decimals of all kinds: short and long, large and small, and those half-way between two doubles."""
    out = []
    for i in range(n):
        word = int(rng.integers(0, 2**62))
        value = struct.unpack("<d", struct.pack("<Q", word))[0]
        small = float(rng.normal())
        half = (Decimal(small) + Decimal(float(np.nextafter(small, np.inf)))) / 2
        out += [
            repr(value), repr(small), f"{half:.17e}", f"{small:.{i % 17}f}", f"{-word % 10 ** (1 + i % 15)}",
            f"{word % 10**9}.{word % 10 ** (i % 9)}", f"{word}e{i % 600 - 320}", f".{word % 10**7}", f"{word % 999}.",
        ]  # fmt: skip
    return [t for t in out if abs(float(t)) < 2**53]


def test_numbers_are_the_nearest_doubles(monkeypatch):
    texts = written(np.random.default_rng(0), 4000)
    found = numbers(texts)
    want = np.array([float(t) for t in texts])
    assert found.are_plain and not found.missing.any()
    assert (found.values.view(np.uint64) == want.view(np.uint64)).all()
    # By machine code alone, but for one in a hundred.
    monkeypatch.setattr(Text, "cell", lambda *_: "")
    assert numbers(texts).missing.mean() < 0.01


def test_what_is_written_otherwise_is_looked_at_by_python():
    found = numbers(["1", "", "NA", " 2 ", "+3", "-0", "12345678901234567890e-10", "4"])
    assert found.values.tolist() == [1, 0, 0, 2, 3, 0, 1234567890.1234567, 4]
    assert np.signbit(found.values[5])
    assert found.missing.tolist() == [False, True, True, *[False] * 5]
    assert (found.are_plain, found.n_marks, found.first_mark) == (True, 1, 2)


@pytest.mark.parametrize(
    "cell",
    "007 -01 00 1_0 1e 1e+ e5 . - -. 1..2 1.2.3 --1 +-1 0x1 1e5.0 inf nan 1e999 9007199254740993 x ٣".split(),
)
def test_what_is_no_plain_number_makes_a_column_text(cell):
    assert not numbers(["1", cell, "2"]).are_plain


def test_a_decimal_point_is_seen():
    assert numbers(["1", "2.0"]).points[0] and not numbers(["1", "2"]).points[0]
    assert numbers(["1", "+2.5"]).points[0]


def test_codes_follow_the_order_in_which_texts_come():
    """More different texts than the first table has room for, some equal in their first eight bytes."""
    rng = np.random.default_rng(0)
    texts = [f"{'same prefix ' * (i % 3)}{v}" for i, v in enumerate(rng.integers(0, 9000, 30_000))]
    data = "".join(f"{t},x\n" for t in texts).encode()
    text = Text(data, 0, b"\n", 2, Dialect(","))
    column = Codes(text, 0, len(texts))
    text.cut([column])
    found = column.cells("c", len(texts))
    assert found.distinct == list(dict.fromkeys(texts)) and len(found.distinct) > 10_000
    assert [found.distinct[i] for i in found.codes] == texts


def test_a_row_longer_than_a_chunk():
    long = "y" * 1000
    assert cut(f"a,{long}\nb,c\n".encode(), 2, 64) == ([0, 1], [("a", long), ("b", "c")])


def test_an_endless_row_is_not_regular(monkeypatch):
    monkeypatch.setattr(cutter, "LONGEST", 1 << 12)
    assert cut(b'"' + b"x,\n" * 10_000, 2, 64) is None


def test_the_code_is_made_for_aarch64_too():
    on = Machine("aarch64-unknown-linux-gnu", "generic", "", 128, 4, 65536, 524288, 0)
    for part in (cut_rows, cut_numbers, cut_texts):
        head = jit.emit_object(part.TEXT, on)[:20]
        assert head[:4] == b"\x7fELF" and int.from_bytes(head[18:], "little") == 183  # EM_AARCH64


def test_without_llvm_a_large_file_is_read_by_python(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1.5,x\n" * 60_000)
    program = (
        "import sys; sys.modules['llvmlite'] = None\n"
        "from pellucid.data.reading import read_table\n"
        f"frame = read_table({str(path)!r})\n"
        "print(len(frame), frame['a'].values.sum(), frame['b'].values[-1])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert out.stdout.split() == ["60000", "90000.0", "x"], out.stderr
