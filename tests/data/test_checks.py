"""What is found in a table before training is what was put there; splits keep together what belongs together."""

import hashlib

import numpy as np
import pytest
from table_frames import frame

from pellucid.base.errors import DataError
from pellucid.data import Split, load_digits, split
from pellucid.data.checks import KINDS, check
from pellucid.data.columns import decide, decide_task
from pellucid.data.split import same_rows, split_table

N = 400


def rng():
    return np.random.default_rng(0)


def findings(columns: dict, target="y", parts=None, **given):
    table = frame(columns)
    schema = decide(table, target, given)
    if parts is None:
        labels = np.unique(table[target].values, return_inverse=True)[1]
        labels = labels if decide_task(table, target)[0] == "classify" else None
        parts = split_table(table, [f.name for f in schema.features], labels)
    found = check(table, schema, parts)
    assert [KINDS.index(f.kind) for f in found] == sorted(KINDS.index(f.kind) for f in found)
    return found


def of(found, kind):
    return [f for f in found if f.kind == kind]


def noisy(a):
    return (a + np.random.default_rng(1).normal(0, 1, len(a)) > 0).astype(int)


# Leaks


def test_a_column_that_gives_the_class_away_is_named():
    a = rng().normal(0, 1, N)
    y = noisy(a)
    found = findings({"a": a, "copy": [f"code {v}" for v in y], "y": y})
    (leak,) = of(found, "leak")
    assert leak.columns == ("copy",) and leak.text.startswith(
        "'copy' gives 'y' away: alone it is right in 120 of 120"
    )


def test_a_number_that_gives_the_class_away_is_named():
    a = rng().normal(0, 1, N)
    y = noisy(a)
    assert [
        f.columns for f in of(findings({"a": a, "b": y * 10 + rng().random(N), "y": y}), "leak")
    ] == [("b",)]


def test_a_column_known_only_for_one_class_gives_it_away():
    a = rng().normal(0, 1, N)
    y = noisy(a)
    lifeboat = [float(i % 7) if v else None for i, v in enumerate(y)]
    assert [f.columns for f in of(findings({"a": a, "boat": lifeboat, "y": y}), "leak")] == [
        ("boat",)
    ]


def test_an_amount_in_another_unit_is_a_leak_and_a_good_predictor_is_not():
    a = rng().normal(0, 1, N)
    y = 3 * a + np.random.default_rng(1).normal(0, 0.5, N)
    found = findings({"a": a, "y in cents": y * 100 + 7, "steps": np.round(y * 1000), "y": y})
    assert [f.columns[0] for f in of(found, "leak")] == ["y in cents", "steps"]
    assert "100.00 % of its variation" in of(found, "leak")[0].text


def test_a_rare_class_is_no_reason_to_cry_leak():
    """Always the common class is right in 99.5 % of the rows, whatever the column says."""
    y = np.zeros(2000, int)
    y[:10] = 1
    assert not of(findings({"a": rng().normal(0, 1, 2000), "b": ["p", "q"] * 1000, "y": y}), "leak")


def test_the_only_column_is_no_leak():
    y = np.arange(N) % 2
    assert not of(findings({"a": y * 2.5, "y": y}), "leak")


# Columns and cells


def test_what_is_left_out_is_said_with_its_reason():
    a = rng().normal(0, 1, N)
    found = findings({"row": list(range(N)), "same": ["x"] * N, "a": a, "y": noisy(a)})
    assert [(f.kind, f.text) for f in found] == [
        ("identifier", "'row' is left out: counts the rows from 0."),
        ("constant", "'same' is left out: every value is 'x'."),
    ]


def test_repaired_cells_are_counted_and_the_first_is_shown():
    a = rng().normal(0, 1, N)
    cells = [f"{v:.2f}" for v in a]
    cells[10], cells[20] = "n.a.", "?"
    b = a.copy()
    b[7] = np.inf
    found = of(findings({"a": cells, "b": b, "y": noisy(a)}), "repaired")
    assert [(f.columns, f.rows) for f in found] == [(("a",), 2), (("b",), 1)]
    assert (
        found[0].text == "'a': 2 cells are no number and taken as missing (t.csv, line 12: 'n.a.')."
    )
    assert (
        found[1].text == "'b': 1 cell is infinite and taken as beyond all others (t.csv, line 9)."
    )


def test_rows_without_target_are_counted():
    table = frame({"a": rng().normal(0, 1, 50), "y": [None, "p", "q", None, "p"] * 10})
    schema = decide(table, "y")
    known = np.flatnonzero(~table["y"].missing).astype(np.int32)
    (found,) = of(check(table, schema, Split(known[:20], known[20:25], known[25:])), "target")
    assert found.rows == 20
    assert (
        found.text
        == "20 of 50 rows have no 'y' and cannot be learned from (the first: t.csv, line 2)."
    )


def test_single_and_rare_classes_are_said():
    names = ["common"] * 370 + ["rare"] * 29 + ["once"]
    rare, once = "'rare' has 29 rows for 370", "class 'once' of 'y' has one row"
    found = of(findings({"a": rng().normal(0, 1, N), "y": names}), "class")
    assert found[0].text.startswith(once) and len(found) == 1
    names = ["common"] * 390 + ["rare"] * 10
    (found,) = of(findings({"a": rng().normal(0, 1, N), "y": names}), "class")
    assert (
        "'rare' has 10 rows for 390 of 'common': always guessing 'common' is right in 97.50 %"
        in found.text
    )
    assert rare not in found.text


# Duplicates


def test_copies_across_a_given_split_are_counted():
    a = rng().normal(0, 1, 100)
    table = {"a": np.r_[a, a[:30]], "b": [0.5, 1.5] * 65, "y": np.arange(130) % 2}
    rows = np.arange(130, dtype=np.int32)
    (found,) = of(findings(table, parts=Split(rows[:100], rows[100:115], rows[115:])), "duplicates")
    assert found.rows == 30 and "30 of 30 held-out rows are also learned from" in found.text


def test_equal_rows_with_other_classes_limit_every_model():
    a = rng().normal(0, 1, 100)
    table = {"a": np.r_[a, a, a], "y": [0] * 100 + [0] * 100 + [1] * 40 + [0] * 60}
    (found,) = of(findings(table), "contradiction")
    # 40 of 300 rows are outvoted by two equal ones
    assert found.rows == 40 and "more than 86.7 %" in found.text


# Splits of tables


def parts_of(parts):
    return [p.tolist() for p in (parts.train, parts.validation, parts.test)]


@pytest.mark.parametrize("seed", range(5))
def test_equal_rows_lie_in_one_part_whatever_their_target(seed):
    key = np.random.default_rng(seed).integers(0, 60, 300)
    table = frame({"a": key, "b": [f"{k % 7}" for k in key]})
    parts = split_table(table, ["a", "b"], np.arange(300) % 3, seed=seed)
    sides = [set(key[p]) for p in parts_of(parts)]
    assert sum(map(len, sides)) == len(set(key))
    assert sorted(np.concatenate(parts_of(parts)).tolist()) == list(range(300))
    # half a unit of five rows in each of three classes
    assert abs(len(parts.test) - 45) <= 8 and abs(len(parts.validation) - 45) <= 8


def test_rows_of_one_group_lie_in_one_part_with_their_copies():
    who = [f"person {i % 40}" for i in range(200)]
    a = rng().normal(0, 1, 200)
    a[1] = a[0]  # persons 0 and 1 share a row: they stay together
    parts = split_table(frame({"a": a, "who": who}), ["a"], None, group="who")
    part = {row: p for p, rows in enumerate(parts_of(parts)) for row in rows}
    for person in set(who):
        assert len({part[i] for i in range(200) if who[i] == person}) == 1
    assert part[0] == part[1]
    assert [len(p) for p in parts_of(parts)] == [140, 30, 30]


def test_rows_without_a_group_are_their_own():
    parts = split_table(frame({"a": rng().normal(0, 1, 100), "g": [None] * 100}), ["a"], group="g")
    assert [len(p) for p in parts_of(parts)] == [70, 15, 15]


@pytest.mark.parametrize(
    "counts", [[50, 50], [300, 30, 3], [2] * 50, [3] * 100, [1] * 20 + [80], [97, 3]]
)
def test_every_class_has_its_share_of_each_part(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    table = frame({"a": rng().normal(0, 1, len(labels))})
    parts = split_table(table, ["a"], labels)
    assert (np.bincount(labels[parts.train], minlength=len(counts)) >= 1).all()
    n = len(labels)
    n_single = counts.count(1)
    for part in (parts.validation, parts.test):
        assert abs(len(part) - 0.15 * n) <= 1.5 + 0.15 * n_single
        for c, count in enumerate(counts):
            assert abs((labels[part] == c).sum() - 0.15 * count) <= 1.5


def test_a_table_split_follows_from_the_seed():
    table = frame({"a": rng().normal(0, 1, 100)})
    labels = np.arange(100) % 2
    first, again, other = (parts_of(split_table(table, ["a"], labels, seed=s)) for s in (1, 1, 2))
    assert first == again and first != other


def test_shares_of_nothing_and_too_much():
    table = frame({"a": rng().normal(0, 1, 100)})
    assert [len(p) for p in parts_of(split_table(table, ["a"], None, 0.2, 0))] == [80, 20, 0]
    for shares in ((0.5, 0.5), (-0.1, 0.1), (1, 0)):
        with pytest.raises(DataError, match="leave rows for training"):
            split_table(table, ["a"], None, *shares)
    with pytest.raises(DataError, match=r"t\.csv: 4 rows; at least 5"):
        split_table(frame({"a": [1.0, 2, 3, 4]}), ["a"])


def test_equal_rows_are_told_by_every_kind_of_cell():
    day = np.datetime64("2024-01-01", "us")
    table = frame({
        "n": [1.0, 1.0, 2.0, None, None, 0.0, -0.0],
        "t": ["a", "a", "a", "b", "b", None, None],
        "d": [day, day, day, None, None, day, day],
    })  # fmt: skip
    assert same_rows(table, ["n", "t", "d"]).tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert same_rows(table, ["d"]).tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert same_rows(table, []).tolist() == list(range(7))
    zero = frame({"n": [0.0, None], "t": ["", None]})  # what stands under a mark is no value
    assert same_rows(zero, ["n"]).tolist() == [0, 1] and same_rows(zero, ["t"]).tolist() == [0, 1]


def test_the_split_of_data_sets_is_as_it_was():
    """Runs on the packaged data give the same bits in every version: these rows were written down once."""
    parts = split(load_digits())
    assert [len(p) for p in parts_of(parts)] == [1259, 269, 269]
    rows = b"".join(p.tobytes() for p in (parts.train, parts.validation, parts.test))
    assert hashlib.sha256(rows).hexdigest()[:16] == "edb6e0366f8adf3b"
