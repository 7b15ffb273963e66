"""Malformed delimited files: the right values in the right columns, or an error that says where. Never a shifted
column, never a silently dropped row.

Each file is written out here with the cells that a person sees in it. Both ways of cutting are held to it: our own,
and machine code's for large files (large=0 makes every file large)."""

import csv
import io
import os
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed_files import BAD, GOOD

from pellucid.base.errors import DataError, OptionError
from pellucid.data.delimited import LARGE, read_delimited


def values(column):
    return [None if m else v for v, m in zip(column.values.tolist(), column.missing, strict=True)]


@pytest.mark.parametrize("large", [LARGE, 0], ids=["python", "machine code"])
@pytest.mark.parametrize("name", GOOD)
def test_cells_that_can_be_read_rightly_are(name, large):
    data, wanted, note = GOOD[name]
    frame = read_delimited(data, "t.csv", large=large)
    assert frame.names == tuple(wanted)
    for column in frame.columns:
        expected = [v.item() if isinstance(v, np.datetime64) else v for v in wanted[column.name]]
        assert values(column) == expected, column.name
    assert note in " ".join(frame.notes)
    assert len(frame.lines) == len(frame)


@pytest.mark.parametrize("large", [LARGE, 0], ids=["python", "machine code"])
@pytest.mark.parametrize("name", BAD)
def test_cells_that_cannot_are_named_with_their_place(name, large):
    data, words = BAD[name]
    with pytest.raises(DataError, match=words) as error:
        read_delimited(data, "t.csv", large=large)
    assert str(error.value).startswith("t.csv")


def test_there_are_sixty_files_and_more():
    assert len(GOOD) + len(BAD) >= 100


def test_lines_are_those_of_the_file():
    data = b'# note\n\na,b\n1,"x\ny"\n\n2,z\n'
    frame = read_delimited(data, "t.csv")
    assert frame.lines.tolist() == [4, 7] and frame.place(1) == "t.csv, line 7"
    body = b'a,b\n1,"x\ny"\n2,z\n3,w\n'
    assert read_delimited(body, "t.csv", large=0).lines.tolist() == [2, 4, 5]


def test_a_hundred_thousand_columns_keep_their_order():
    names = [f"c{i}" for i in range(100_000)]
    rows = [[str(i * k) for i in range(100_000)] for k in (1, 2)]
    data = "\n".join(",".join(row) for row in (names, *rows)).encode()
    frame = read_delimited(data, "t.csv")
    assert frame.names == tuple(names)
    assert [c.values[1] for c in frame.columns] == [2.0 * i for i in range(100_000)]


def test_what_a_person_says_comes_before_what_is_found_out():
    data = b"1;2,5\n03;x\n"
    frame = read_delimited(data, "t.csv", header=False, delimiter=";", missing=["x"], decimal=",")
    assert values(frame["column_1"]) == ["1", "03"] and values(frame["column_2"]) == [2.5, None]
    frame = read_delimited(b"a,b\n1,2\n", "t.csv", header=False)
    assert values(frame["column_1"]) == ["a", "1"]
    frame = read_delimited(b"1,2\n3,4\n", "t.csv", header=True)
    assert frame.names == ("1", "2") and values(frame["1"]) == [3]
    frame = read_delimited(
        b"a,b\n1,NA\n", "t.csv", missing=["-"], kinds={"a": "text", "c": "number"}
    )
    assert values(frame["a"]) == ["1"] and values(frame["b"]) == ["NA"]
    frame = read_delimited(b"a;b\n1,234;x\n", "t.csv", decimal=".")
    assert values(frame["a"]) == [1234]
    with pytest.raises(DataError, match="line 3, column 'a': 'x' is not a number"):
        read_delimited(b"a,b\n1,2\nx,3\n", "t.csv", kinds={"a": "number"})
    with pytest.raises(DataError, match="line 2, column 'a': 'x' is not a date"):
        read_delimited(b"a,b\nx,2\n", "t.csv", kinds={"a": "date"})
    with pytest.raises(DataError, match="line 2: not ascii"):
        read_delimited("a,b\né,1\n".encode(), "t.csv", encoding="ascii")
    assert read_delimited(b"a\tb\n1\t2\n", "t.csv", delimiter="tab").names == ("a", "b")
    for wrong in ({"delimiter": ",,"}, {"delimiter": '"'}, {"encoding": "none"}, {"decimal": "x"}):
        with pytest.raises(OptionError):
            read_delimited(data, "t.csv", **wrong)
    with pytest.raises(OptionError, match="no kind 'amount'"):
        read_delimited(b"a,b\n1,2\n", "t.csv", kinds={"a": "amount"})


# ---- A second parser: Python's csv module on the same bytes ----


def by_csv_module(text: str, delimiter: str) -> list[list[str]]:
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    return [row for row in reader if row]


def check_against_csv_module(text: str, delimiter: str, large: int, header: bool) -> bool:
    """Whether the file was accepted; then every cell is as the csv module has it, and no row is missing."""
    try:
        frame = read_delimited(
            text.encode(), "t.csv", delimiter=delimiter, header=header, missing=[], large=large,
        )  # fmt: skip
    except DataError as error:
        assert str(error).startswith("t.csv"), error
        return False
    rows = by_csv_module(text, delimiter)
    # A line of one cell above a table of more is its title: said, and left out.
    titles = sum(int(n.split()[0]) for n in frame.notes if "above the table left out" in n)
    assert all(len(row) == 1 for row in rows[:titles]), text
    rows = rows[titles + header :]
    if len(frame.columns) == 1:  # there a blank line is a row, which the csv module leaves out
        kept = np.flatnonzero(~frame.columns[0].missing)
        rows = [row for row in rows if row[0].strip()]
        frame = frame.take(kept)
    else:
        rows = [row for row in rows if len(row) > 1 or row[0].strip()]
    assert len(frame) == len(rows), text
    for j, column in enumerate(frame.columns):
        for value, missing, row in zip(column.values, column.missing, rows, strict=True):
            cell = row[j].strip()
            assert missing == (cell == ""), (text, cell)
            if not missing and column.kind == "text":
                assert value == cell, text
            elif not missing and column.kind == "number":
                assert value == float(cell.replace(",", "")) or cell[-1:] in "%$", (text, cell)
    return True


WORDS = [
    "",
    "1",
    "2.5",
    "-3",
    "x",
    "x y",
    "NA",
    "007",
    "1e5",
    'q"q',
    "a,b",
    "a;b",
    "l\nl",
    "é",
    " z ",
    "inf",
]
CELLS = st.sampled_from(WORDS) | st.text(alphabet='ab1.,;" \n\r#-', max_size=6)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(CELLS, min_size=width, max_size=width), min_size=2, max_size=5
        )
    ),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_what_the_csv_module_writes_is_read_as_it_was(rows, delimiter, end, always_quote):
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if always_quote else csv.QUOTE_MINIMAL
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    text = out.getvalue()
    if text.startswith(("#", "\ufeff", "sep=")) or "#" in text:
        return  # a comment to us, a row to the csv module
    for large in (LARGE, 0):
        check_against_csv_module(text, delimiter, large, header=False)


SEEDS = [
    "a,b,c\n1,2.5,x\n3,4.5,y\n5,6.5,z\n",
    'a,b,c\n1,"x, y",2\n3,"z ""w""",4\n5,"l\nl",6\n',
    "a,b\r\n01,x\r\n2,y\r\n3,z\r\n",
]

MUTANTS = int(os.environ.get("PELLUCID_MUTANTS", "3000"))  # 20000 for the whole bar


@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_files_are_read_as_the_csv_module_reads_them_or_refused(seed):
    chance = random.Random(seed)
    n_accepted = 0
    for _ in range(MUTANTS // len(SEEDS)):
        text = list(seed)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            change = chance.random()
            if change < 0.4:
                text[at] = chance.choice('",;\n\r 1x.')
            elif change < 0.7:
                del text[at]
            else:
                text.insert(at, chance.choice('",\n\r 1x'))
        mutant = "".join(text)
        try:
            accepted = check_against_csv_module(mutant, ",", chance.choice([LARGE, 0]), True)
        except csv.Error:
            continue  # stricter than we are: a carriage return, blanks around quotes
        n_accepted += accepted
    assert n_accepted > MUTANTS // len(SEEDS) // 5  # many are still tables


def test_few_different_cells_are_the_same_whoever_cuts_them():
    cells = [
        "it's",
        "a ''b''",
        "é",
        " x ",
        "x",
        "NA",
        "",
        "-",
        '"q ""r"""',
        '"two\nlines"',
        "😀",
        "%s {0}",
    ]
    rng = random.Random(4)
    rows = [f"{rng.choice(cells)},{rng.choice(cells[3:8])},{i}" for i in range(400)]
    data = ("a,b,n\n" + "\n".join(rows) + "\n").encode()
    ours, by_code = (read_delimited(data, "t.csv", large=large) for large in (LARGE, 0))
    for column in ours.columns:
        other = by_code[column.name]
        assert values(column) == values(other), column.name
        # The words that come first stand first, as by Python's own dictionary.
        if column.kind == "text":
            codes, texts = other.coded
            assert codes[0] == 0 and (np.diff(np.unique(codes, return_index=True)[1]) > 0).all()
            assert [texts[c] for c in codes] == other.values.tolist()
    assert set(by_code["a"].values) >= {"it's", "a ''b''", "é", "x", 'q "r"', "two\nlines", "😀"}
    assert ours.notes == by_code.notes
