"""Files that are larger than memory: cut anywhere they are the same table, and each row has its place."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed_files import BAD, GOOD

from pellucid.base.errors import DataError, RunError
from pellucid.base.machine import available_memory
from pellucid.data import pieces, row_file
from pellucid.data.frame import Column, Frame
from pellucid.data.parts import parts_of, row_hashes
from pellucid.data.reading import read_table
from pellucid.data.row_file import RowWriter, nearby_order
from pellucid.data.survey import survey

# ---- Pieces ----


def whole(found):
    """(columns, lines, notes) of a survey's pieces, put together."""
    repairs = {}
    frames = list(found.frames(repairs))
    columns = {}
    for name in frames[0].names:
        parts = [f[name] for f in frames]
        values = np.concatenate([c.values for c in parts])
        columns[name] = (parts[0].kind, values, np.concatenate([c.missing for c in parts]))
    notes = [*found.notes, *(note for r in repairs.values() for note in r.notes())]
    return columns, np.concatenate([f.lines for f in frames]), sorted(notes)


def assert_same(found, frame):
    columns, lines, notes = whole(found)
    assert tuple(columns) == frame.names and found.n == len(frame)
    for column in frame.columns:
        kind, values, missing = columns[column.name]
        assert kind == column.kind, column.name
        np.testing.assert_array_equal(missing, column.missing, column.name)
        np.testing.assert_array_equal(values[~missing], column.values[~column.missing], column.name)
        sampled = found.sample[column.name]
        np.testing.assert_array_equal(sampled.missing, column.missing[found.rows])
        here = ~sampled.missing
        np.testing.assert_array_equal(sampled.values[here], column.values[found.rows][here])
    np.testing.assert_array_equal(lines, frame.lines)
    assert notes == sorted(frame.notes)


# Without a mark of its encoding a file that is not UTF-8 must be known to its end; one column is nothing to learn.
NEEDS_ALL = {
    "Latin-1",
    "Windows-1252 quotes",
    "UTF-16 without its mark",
    "two encodings",
    "no encoding",
}


@pytest.mark.parametrize("size", [1, 16, 10**6])
@pytest.mark.parametrize("name", sorted(set(GOOD) - NEEDS_ALL))
def test_a_file_that_is_cut_anywhere_is_the_same_table(name, size, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(GOOD[name][0])
    frame = read_table(path)
    if len(frame.names) == 1 and b"," not in GOOD[name][0]:
        with pytest.raises(DataError, match="one column"):
            survey(path, size, 10)
    else:
        assert_same(survey(path, size, 10), frame)


@pytest.mark.parametrize("size", [1, 16, 10**6])
@pytest.mark.parametrize("name", sorted(set(BAD) - NEEDS_ALL))
def test_what_is_refused_is_refused_in_pieces_with_its_place(name, size, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(BAD[name][0])
    with pytest.raises(DataError, match=BAD[name][1] + "|one column"):
        found = survey(path, size, 10)
        list(found.frames({}))


@pytest.mark.parametrize("name", sorted(NEEDS_ALL - {"UTF-16 without its mark"}))
def test_bytes_that_are_not_utf_8_are_named_with_their_line(name, tmp_path):
    path = tmp_path / "t.csv"
    data = {**GOOD, **BAD}[name][0]
    path.write_bytes(data)
    line = 1 + next(i for i, row in enumerate(data.split(b"\n")) if not is_utf8(row))
    with pytest.raises(DataError, match=f"line {line}: byte .*--encoding"):
        survey(path, 16, 10)


def is_utf8(row):
    try:
        row.decode()
        return True
    except UnicodeDecodeError:
        return False


# Cells that mean something else beside others: decimals, thousands, days and months, marks, identifiers.
POOL = ["1", "12", "1.5", "0.5", "1.234", "1,5", "1,234", "1.234,5", "1,234.5", "12 %", "5%", "$3", "007", "x", "NA",
        "", "-", "2020-01-31", "2020-02-30", "01/02/2020", "31/01/2020", "01/31/2020", "3.4.2020", "2020-01-31T10:00Z",
        "inf", "12345678901234567890", "two words", "n/a"]  # fmt: skip
COLUMN = st.sampled_from(POOL) | st.sampled_from(POOL[:3])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(COLUMN, COLUMN), min_size=1, max_size=30),
    st.integers(1, 60),
    st.sampled_from([";", "|"]),
    st.integers(1, 30),
)
def test_kinds_are_decided_over_all_pieces_as_over_the_whole(tmp_path_factory, rows, size, mark, n):
    path = tmp_path_factory.getbasetemp() / "kinds.csv"
    # Some rows come often, so that a stray word is one among many.
    rows = [rows[0]] * n + rows
    path.write_text(f"a{mark}b\n" + "".join(f"{a}{mark}{b}\n" for a, b in rows))
    try:
        frame = read_table(path, header=True, delimiter=mark)
    except DataError as error:
        with pytest.raises(DataError, match=re.escape(str(error))):
            survey(path, size, 10, header=True, delimiter=mark)
        return
    assert_same(survey(path, size, 10, header=True, delimiter=mark), frame)


def test_numbers_that_machine_code_cuts_are_joined_with_those_that_it_does_not(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(pieces, "ENOUGH", 0)
    path = tmp_path / "t.csv"
    rng = np.random.default_rng(1)
    lines = [f"{i},{v:.3f},{w},{i % 3},{i}.5" for i, (v, w) in enumerate(rng.normal(size=(900, 2)))]
    for i in range(500, 900, 40):  # from here on the first and the fourth are text
        lines[i] = f"x{i},NA,?,c{i},1e300"
    lines[700] = '8,1,2,"q ""r""",-1e20'
    path.write_text("\n".join(["a,b,c,d,e", *lines]) + "\n")
    missing = read_table(path)
    assert [c.kind for c in missing.columns] == ["text", "number", "number", "text", "number"]
    assert_same(survey(path, 999, 50), missing)


def test_a_gzipped_file_and_one_of_a_named_encoding_are_cut_as_others(tmp_path):
    import gzip

    text = "stra\u00dfe;y\n" + "".join(f"h\u00fctte {i};{i},5\n" for i in range(500))
    latin, packed = tmp_path / "l.csv", tmp_path / "p.csv.gz"
    latin.write_bytes(text.encode("cp1252"))
    packed.write_bytes(gzip.compress(text.encode("utf-16")))
    assert_same(survey(latin, 100, 20, encoding="cp1252"), read_table(latin, encoding="cp1252"))
    assert_same(survey(packed, 100, 20), read_table(packed))
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"p\.csv\.gz: the file is cut"):
        survey(packed, 100, 20)


def test_the_sample_does_not_depend_on_the_pieces(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{i},w{i}\n" for i in range(5000)))
    found = [survey(path, size, 300) for size in (64, 5000, 10**6)]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].rows, other.rows)
    rows = found[0].rows
    assert len(rows) == 300 and (found[0].sample["a"].values == rows).all()
    # By chance: as many in each tenth, but for what 300 draws vary.
    assert np.histogram(rows, 10, (0, 5000))[0].min() >= 15


def test_an_open_quote_does_not_take_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LONGEST", 5000)
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"x\n' + "2,y\n" * 20_000)
    with pytest.raises(DataError, match="line 2, column 2: a quote mark opens"):
        survey(path, 1000, 10)


# ---- Parts ----


def frame_of(n, seed=0):
    rng = np.random.default_rng(seed)
    words = np.array([f"w{i}" for i in rng.integers(0, 50, n)], object)
    return Frame("t", (
        Column("a", "number", rng.integers(0, 200, n).astype(float), rng.random(n) < 0.05),
        Column("w", "text", words, np.zeros(n, bool)),
    ))  # fmt: skip


def test_equal_rows_have_equal_hashes_wherever_they_stand():
    frame = frame_of(4000)
    hashes = row_hashes(frame, ["a", "w"])
    order = np.random.default_rng(1).permutation(4000)
    for rows in (order, order[:7]):
        np.testing.assert_array_equal(row_hashes(frame.take(rows), ["a", "w"]), hashes[rows])
    cells = [
        (None if m else a, w)
        for a, m, w in zip(frame["a"].values, frame["a"].missing, frame["w"].values, strict=True)
    ]
    assert len(set(hashes.tolist())) == len(set(cells))


def test_each_part_gets_its_share_and_a_group_stays_together():
    frame = frame_of(20_000)
    hashes = np.random.default_rng(2).integers(0, 2**63, 20_000).astype(np.uint64)
    part = parts_of(hashes, None, 0.15, 0.2, 0)
    # 4 deviations of a share of 20,000 rows: 4 sqrt(0.2 0.8 / 20000) = 0.011
    np.testing.assert_allclose(np.bincount(part) / 20_000, [0.65, 0.15, 0.2], atol=0.0115)
    assert (part != parts_of(hashes, None, 0.15, 0.2, 1)).mean() > 0.3
    grouped = parts_of(hashes, frame["w"], 0.15, 0.2, 0)
    assert all(len(set(grouped[frame["w"].values == w])) == 1 for w in set(frame["w"].values))
    assert len(set(grouped)) == 3


# ---- Rows on disk ----


def test_rows_come_back_once_each_in_their_part_and_by_chance(monkeypatch):
    monkeypatch.setattr(row_file, "CHUNK", 7)
    rng = np.random.default_rng(0)
    x, part = rng.normal(size=(5000, 3)).astype(np.float32), rng.integers(0, 3, 5000)
    y = rng.integers(0, 4, 5000).astype(np.int32)
    with RowWriter(3, 5000, 9000, seed=1) as writer:
        for start in range(0, 5000, 123):
            at = slice(start, start + 123)
            writer.add(x[at], y[at], part[at])
        assert writer.n_buckets > 10 and len(writer.starts) > 10
        found = writer.finished(np.array([3, 2, 1, 0], np.int32))
    split = found.split()
    for p, rows in enumerate((split.train, split.validation, split.test)):
        mine = np.flatnonzero(part == p)
        assert found.counts[p] == len(mine) == len(rows)
        order = np.argsort(x[mine, 0])
        back = np.argsort(found.x[rows, 0])
        np.testing.assert_array_equal(found.x[rows][back], x[mine][order])
        np.testing.assert_array_equal(found.y[rows][back], 3 - y[mine][order])
        np.testing.assert_array_equal(found.classes[p], np.bincount(3 - y[mine], minlength=4))
        # Their places before say nothing of those now: 4 / sqrt(1,600) = 0.1
        ranks = np.empty(len(mine))
        ranks[back] = order
        assert abs(np.corrcoef(ranks, np.arange(len(mine)))[0, 1]) < 0.1
    before = found.x.copy()
    found.release()
    np.testing.assert_array_equal(found.x, before)


def test_an_epoch_visits_each_row_once_and_few_places_at_a_time():
    block = 64
    rows = np.arange(100, 100 + 20 * block + 17, dtype=np.int32)
    orders = []
    for epoch in (0, 1):
        out = np.empty(len(rows), np.int32)
        nearby_order(rows, 3, epoch, block, 4, out)
        np.testing.assert_array_equal(np.sort(out), rows)
        for start in range(0, 20 * block, 4 * block):
            blocks = (out[start : start + 3 * block] - 100) // block
            assert len(set(blocks.tolist())) <= 5
        orders.append(out)
    assert (orders[0] != orders[1]).mean() > 0.9


def test_a_disk_that_is_too_small_is_named_before_anything_is_read(monkeypatch):
    small = SimpleNamespace(free=10**5)
    monkeypatch.setattr(row_file.shutil, "disk_usage", lambda folder: small)
    with pytest.raises(
        RunError, match=r"needs 1.76 MB of disk for a while, and 100 kB are free.*TMPDIR"
    ):
        RowWriter(10, 20_000, 10**6, 0)


def test_memory_is_what_the_control_group_leaves(tmp_path):
    files = {
        "proc/meminfo": "MemTotal: 100 kB\nMemAvailable: 50 kB\n",
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/memory.max": "40000\n",
        "sys/fs/cgroup/a/memory.current": "10000\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/b/memory.current": "5000\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == 30_000
    (tmp_path / "sys/fs/cgroup/a/memory.max").write_text("max\n")
    assert available_memory(tmp_path) == 50 * 1024
