"""Tables come in as they are, from every kind of file and from memory; what goes out is safe in a spreadsheet."""

import csv
import datetime
import gzip
import io
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from pellucid.base.errors import DataError, OptionError, RunError
from pellucid.data.duck import connect
from pellucid.data.reading import frame_of, is_table, read_table, write_csv

DATA = Path(os.environ.get("PELLUCID_DATA", "."))


def values(column):
    return [None if m else v for v, m in zip(column.values.tolist(), column.missing, strict=True)]


def cells(frame):
    return {c.name: values(c) for c in frame.columns}


def test_names_say_which_files_are_tables():
    tables = "a.csv b.TSV c.tab d.data e.parquet f.pq g.xlsx h.jsonl i.ndjson j.json k.npy l.npz m.csv.gz"
    assert all(map(is_table, tables.split()))
    assert not any(
        map(is_table, ["a.txt", "a.png", "a", "folder.d", "b.gz", "c.zip", "model.pellucid"])
    )


# ---- The real tables, beside pandas ----

REAL = [
    ("titanic/titanic.csv", {}),
    ("telco_churn/Telco-Customer-Churn.csv", {"na_values": [" "]}),
    ("california_housing/housing.csv", {}),
    ("abalone/abalone_h.csv", {}),
    ("abalone/abalone.csv", {"header": None}),
    ("travel_insurance/TravelInsurancePrediction.csv", {}),
    ("airline_passengers/airline-passengers.csv", {}),
    ("daily_min_temperatures/daily-min-temperatures.csv", {}),
    ("sunspots/monthly-sunspots.csv", {}),
    ("sms_spam/sms.tsv", {"sep": "\t", "header": None, "quoting": csv.QUOTE_NONE}),
]


@pytest.mark.parametrize(("file", "options"), REAL, ids=[f for f, _ in REAL])
def test_real_tables_are_read_as_pandas_reads_them(file, options):
    pd = pytest.importorskip("pandas")
    path = DATA / file
    if not path.exists():
        pytest.skip("set PELLUCID_DATA to the folder of the data sets")
    frame = read_table(path)
    theirs = pd.read_csv(path, **options)
    assert len(frame) == len(theirs) and len(frame.columns) == theirs.shape[1]
    if "header" not in options and not theirs.columns[0].startswith("Unnamed"):
        assert frame.names == tuple(theirs.columns)
    for column, name in zip(frame.columns, theirs.columns, strict=True):
        other = theirs[name]
        assert np.array_equal(column.missing, other.isna().to_numpy()), column.name
        known = ~column.missing
        if column.kind == "number":
            # pandas' own parser may be off by one rounding
            np.testing.assert_array_max_ulp(column.values[known], other[known].to_numpy(float), 1)
        elif column.kind == "date":
            assert np.array_equal(
                column.values[known], pd.to_datetime(other)[known].to_numpy("M8[us]")
            )
        else:
            assert column.values[known].tolist() == other[known].str.strip().tolist()


# ---- Files ----


def test_a_gzipped_table_is_unpacked_and_a_cut_one_refused(tmp_path):
    packed = gzip.compress(b"a,b\n1,x\n" * 1)
    (tmp_path / "t.csv.gz").write_bytes(packed)
    (tmp_path / "named_wrongly.csv").write_bytes(packed)
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-6])
    assert cells(read_table(tmp_path / "t.csv.gz")) == {"a": [1], "b": ["x"]}
    assert cells(read_table(tmp_path / "named_wrongly.csv")) == {"a": [1], "b": ["x"]}
    with pytest.raises(DataError, match=r"cut\.csv\.gz: the gzipped file is cut"):
        read_table(tmp_path / "cut.csv.gz")


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="a folder"):
        read_table(tmp_path)


def test_a_large_file_is_the_same_however_it_is_cut(tmp_path):
    pl = pytest.importorskip("polars")
    chance = np.random.default_rng(3)
    n = 60_000
    told = {
        "whole": chance.integers(-(10**6), 10**6, n),
        "float": chance.normal(size=n) * 10.0 ** chance.integers(-30, 30, n),
        "word": chance.choice(["red", "green", 'say "x"', "a,b", "two\nlines", ""], n),
        "zip": [f"{i:05d}" for i in chance.integers(0, 99999, n)],
        "long": chance.integers(2**60, 2**62, n),
        "few": [float(v) if v > 0.2 else None for v in chance.random(n).round(3)],
        "day": np.datetime64("2000-01-01") + chance.integers(0, 9999, n),
    }
    path = tmp_path / "large [1]*.csv"  # a name with wildcards
    pl.DataFrame(told).write_csv(path)
    assert path.stat().st_size > 1 << 21
    frame = read_table(path)
    kinds = {c.name: c.kind for c in frame.columns}
    texts = {"word": "text", "zip": "text", "long": "text", "day": "date"}
    assert kinds == {name: texts.get(name, "number") for name in told}
    assert np.array_equal(frame["whole"].values, told["whole"])
    assert np.array_equal(frame["float"].values, told["float"])
    assert frame["word"].values.tolist() == told["word"].tolist()
    assert frame["zip"].values.tolist() == told["zip"]
    assert frame["long"].values.tolist() == [str(v) for v in told["long"]]
    assert values(frame["few"]) == told["few"]
    assert np.array_equal(frame["day"].values, told["day"])
    n_ends = np.array([w.count("\n") for w in told["word"]])
    assert np.array_equal(
        frame.lines, 2 + np.arange(n) + np.concatenate([[0], np.cumsum(n_ends)[:-1]])
    )


def test_parquet_keeps_its_types(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "t[0].parquet"
    day = datetime.datetime(2020, 1, 31, 12, 30)
    pd.DataFrame(
        {
            "a": [1, 2, 3],
            "f": [0.5, None, 2.5],
            "t": ["x", None, "007"],
            "b": [True, False, True],
            "d": pd.to_datetime([day, None, day]),
            "z": pd.to_datetime([day, day, None]).tz_localize("Asia/Tokyo"),
            "large": [2**60 + 1, 5, 7],
            "c": pd.Categorical(["p", "q", None]),
            "list": [[1], [2], [3]],
        }
    ).to_parquet(path)
    frame = read_table(path)
    utc = day - datetime.timedelta(hours=9)
    assert cells(frame) == {
        "a": [1, 2, 3],
        "f": [0.5, None, 2.5],
        "t": ["x", None, "007"],
        "b": ["true", "false", "true"],
        "d": [day, None, day],
        "z": [utc, utc, None],
        "large": [str(2**60 + 1), "5", "7"],
        "c": ["p", "q", None],
    }
    assert "column 'list'" in frame.notes[0] and "left out" in frame.notes[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_table(path)


def test_a_workbook_is_read_as_its_cells_show(tmp_path):
    pytest.importorskip("fastexcel")
    xlsxwriter = pytest.importorskip("xlsxwriter")
    path = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("first")
        dated = book.add_format({"num_format": "yyyy-mm-dd"})
        for column, name in enumerate(["n", "word", "code", "day", "flag"]):
            sheet.write_string(1, column + 1, name)
        for row, (n, word, code, flag) in enumerate(
            [(1, "x", "007", True), (2.25, "", "08", False)]
        ):
            sheet.write_number(row + 2, 1, n)
            sheet.write_string(row + 2, 2, word)
            sheet.write_string(row + 2, 3, code)
            sheet.write_datetime(row + 2, 4, datetime.datetime(2020, 1, row + 1), dated)
            sheet.write_boolean(row + 2, 5, flag)
        book.add_worksheet("second").write_row(0, 0, ["a"])
    frame = read_table(path)
    assert cells(frame) == {
        "n": [1, 2.25],
        "word": ["x", None],
        "code": ["007", "08"],
        "day": [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2)],
        "flag": ["true", "false"],
    }
    assert frame.lines.tolist() == [3, 4] and "'first'" in frame.notes[0]
    with pytest.raises(OptionError, match=r"no sheet 'third'\. There are: first, second"):
        read_table(path, sheet="third")
    with pytest.raises(DataError, match="no rows"):
        read_table(path, sheet="second")
    path.write_bytes(b"PK no workbook")
    with pytest.raises(DataError, match="cannot be read as a workbook"):
        read_table(path)


def test_json_lines_are_rows(tmp_path):
    path = tmp_path / "t.jsonl"
    rows = [
        {"n": 1, "word": "x", "flag": True, "code": "007", "large": 2**60, "deep": {"a": 1}},
        {"word": None, "n": 2.5, "day": "2020-01-31"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    frame = read_table(path)
    assert cells(frame) == {
        "n": [1, 2.5],
        "word": ["x", None],
        "flag": ["true", None],
        "code": ["007", None],
        "large": [str(2**60), None],
        "day": [None, datetime.datetime(2020, 1, 31)],
    }
    assert frame.lines.tolist() == [1, 2] and "'deep'" in frame.notes[0]
    (tmp_path / "t.json").write_text(json.dumps(rows, indent=1))
    assert cells(read_table(tmp_path / "t.json")) == cells(frame)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1}\n{"a": 2\n', "line 2, column .*: no JSON"),
        ('{"a": 1}\n[2]\n', "line 2: .*no object"),
        ('{"a": 1, "a": 2}', "line 1: the key 'a' comes twice"),
        ('{"a": 1e400}', "line 1: 1e400 is beyond"),
        ('{"a": ' + "[" * 100_000, "line 1: no JSON"),
        ("", "no rows"),
        ("[]", "no rows"),
        ('{"a": 1}\n{"a": "x"}\n' + '{"a": 1}\n' * 30, "line 2, column 'a': 'x' is not a number"),
    ],
)
def test_json_that_cannot_be_read_names_its_line(tmp_path, text, words):
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as error:
        read_table(path)
    assert "t.jsonl" in str(error.value)


def test_numpy_files_are_read_without_code(tmp_path):
    x = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "xy.npz", x=x, y=np.array(["a", "b", "c"]))
    np.save(tmp_path / "fields.npy", np.array([(1, "p"), (2, "q")], [("n", "i4"), ("w", "U3")]))
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    assert cells(read_table(tmp_path / "x.npy")) == {"column_1": [0, 2, 4], "column_2": [1, 3, 5]}
    assert cells(read_table(tmp_path / "xy.npz")) == {
        "x_1": [0, 2, 4],
        "x_2": [1, 3, 5],
        "y": ["a", "b", "c"],
    }
    assert cells(read_table(tmp_path / "fields.npy")) == {"n": [1, 2], "w": ["p", "q"]}
    whole = (tmp_path / "xy.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "uneven.npz", x=x, y=np.zeros(2))
    for name, words in {
        "pickle.npy": "runs code",
        "cut.npz": "runs code",
        "uneven.npz": "different lengths: 'x_1' 3, 'x_2' 3, 'y' 2",
    }.items():
        with pytest.raises(DataError, match=words):
            read_table(tmp_path / name)


# ---- In memory ----

DAY = datetime.datetime(2020, 1, 31, 12)
TOLD = {
    "n": [1.5, None, 3.0],
    "whole": [1, 2, 3],
    "word": ["x", None, "007"],
    "flag": [True, False, True],
    "day": [DAY, None, DAY],
}
SEEN = {**TOLD, "flag": ["true", "false", "true"]}


def test_frames_of_any_library_are_the_same():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    for table in (
        TOLD,
        pd.DataFrame(TOLD),
        pl.DataFrame(TOLD),
        pa.table(TOLD),
        pd.DataFrame(TOLD).convert_dtypes(),
    ):
        frame = frame_of(table)
        assert cells(frame) == SEEN, type(table)
        assert [c.kind for c in frame.columns] == ["number", "number", "text", "text", "date"]
        assert frame_of(frame) is frame and frame.place(2) == "data, row 2"


def test_columns_of_odd_types_are_read_or_named():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    table = pd.DataFrame(
        {
            0: pd.array([1, None], "Int64"),
            "large": [2**60, 1],
            "cat": pd.Categorical(["a", None]),
            "decimal": [Decimal("1.25"), None],
            "mixed": [1, "x"],
            "zone": pd.to_datetime(["2020-01-01", None]).tz_localize("Asia/Tokyo"),
            "span": pd.to_timedelta([90, None], "s"),
        }
    )
    frame = frame_of(table)
    assert cells(frame) == {
        "0": [1, None],
        "large": [str(2**60), "1"],
        "cat": ["a", None],
        "decimal": [1.25, None],
        "mixed": ["1", "x"],
        "zone": [datetime.datetime(2019, 12, 31, 15), None],
        "span": [90, None],
    }
    assert len(frame.notes) == 3  # the large numbers, the mixed cells, the seconds
    frame = frame_of(
        pl.DataFrame(
            {"a": [1, None], "l": [[1], [2]], "e": pl.Series(["x", "y"], dtype=pl.Categorical)}
        )
    )
    assert cells(frame) == {"a": [1, None], "e": ["x", "y"]} and "'l'" in frame.notes[0]
    array = frame_of(np.array([[1, 2], [3, 4]], np.float32))
    assert cells(array) == {"column_1": [1, 3], "column_2": [2, 4]}
    masked = frame_of(
        {"a": np.ma.masked_array([1, 2], [False, True]), "b": np.array([b"x", b"\xc3\xa9"])}
    )
    assert cells(masked) == {"a": [1, None], "b": ["x", "é"]}
    for wrong, words in [
        ({"a": [1, 2], "b": [1]}, "different lengths"),
        ({"a": [1, [2]]}, "row 1, column 'a'"),
        ({"a": 5}, "one value"),
        ({"a": np.zeros((1, 1, 1))}, "one axis"),
        ({"a": np.array([1j])}, "complex"),
        ({}, "no columns"),
        (np.zeros(3), "two axes"),
        ([1, 2], "list is no table"),
        (pl.LazyFrame({"a": [1]}), "LazyFrame is no table"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a"),
    ]:
        with pytest.raises(DataError, match=words):
            frame_of(wrong)


def test_reading_loads_no_large_library_until_it_is_needed():
    program = (
        "import sys, pellucid.data.reading\n"
        "print({'duckdb', 'narwhals', 'pandas', 'polars', 'fastexcel', 'llvmlite'} & set(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "set()"


# ---- Writing ----

EXECUTED = [
    "=1+1",
    "=cmd|'/C calc'!A0",
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "+cmd|' /C calc'!A0",
    "-1+1",
    "-2+3+cmd|' /C calc'!D2",
    "@SUM(1,1)",
    "@x",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "  @SUM(A1)",
    "\u00a0=1",
    "\ufeff=1",
    "＝1+1",
    "＋1+1",
    "－1+1",
    "＠SUM",
    "|calc",
    "=",
    "-",
    "+",
    "@",
    "--5",
    "-5-5",
    "+49 30 1234",
    "-inf",
    '="x"',
    "-1,5",
]
HARMLESS = [
    "-5",
    "+5",
    "-1.5e-3",
    "5",
    "x",
    "a=b",
    "x-y",
    "me@home",
    "1+1",
    "",
    "'quoted'",
    "é",
    "-.5",
    "two\nlines",
]


def written(names, columns, **options):
    stream = io.StringIO(newline="")
    write_csv(stream, names, columns, **options)
    return list(csv.reader(io.StringIO(stream.getvalue(), newline="")))


@pytest.mark.parametrize("text", EXECUTED)
def test_text_that_a_spreadsheet_would_execute_is_written_behind_an_apostrophe(text):
    assert written([text], [[text, "x"]]) == [["'" + text], ["'" + text], ["x"]]
    assert written([text], [[text]], raw=True) == [[text], [text]]


def test_other_text_and_numbers_are_written_as_they_are():
    assert len(EXECUTED) >= 30
    rows = written(["name", "text"], [HARMLESS, HARMLESS])
    assert rows[1:] == [[t, t] for t in HARMLESS]
    float32 = np.array([0.1, np.nan, -3e38], np.float32)
    columns = [
        np.array([0.1, np.nan, -1e300]),
        float32,
        np.array([1, -2, 2**62]),
        np.array(["2020-01-31", "NaT", "2020-01-31T12:30"], "M8[us]"),
        [np.float32(0.1), None, -5],
        np.array(["x", None, "-y"], object),
    ]
    assert written(list("abcdef"), columns)[1:] == [
        ["0.1", "0.1", "1", "2020-01-31", "0.1", "x"],
        ["", "", "-2", "", "", ""],
        ["-1e+300", "-3e+38", str(2**62), "2020-01-31T12:30:00.000000", "-5", "'-y"],
    ]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.csv"
    write_csv(path, ["a"], [["é", "x,y"]])
    assert path.read_bytes() == 'a\né\n"x,y"\n'.encode()

    class Broken:
        def __str__(self):
            raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="No space left"):
        write_csv(path, ["a"], [[Broken()]])
    assert path.read_bytes() == 'a\né\n"x,y"\n'.encode() and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(RunError, match="cannot be written"):
        write_csv(tmp_path / "none" / "out.csv", ["a"], [["x"]])
    with pytest.raises(DataError, match="2 names, and columns of 1, 2 values"):
        write_csv(path, ["a", "b"], [[1], [1, 2]])


def test_large_regular_files_are_cut_by_machine_code(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("cut in Python")

    monkeypatch.setattr("pellucid.data.delimited.Table.rows", refuse)
    for body in (
        b"1,2.5,x\n",
        b'-0.5,,"x, y"\r\n',
        b'007,NA,"two\nlines"\n',
        b"1;2,5;x\n",
        b"5\t6\tx y\n",
    ):
        path = tmp_path / "t.csv"
        mark = b"\t" if b"\t" in body else b";" if b";" in body else b","
        end = b"\r\n" if body.endswith(b"\r\n") else b"\n"
        path.write_bytes(mark.join([b"a", b"b", b"c"]) + end + body * 300_000)
        frame = read_table(path)
        assert len(frame) == 300_000
        assert frame["a"].kind == ("text" if body.startswith(b"007") else "number")


@pytest.mark.skipif(os.name == "nt", reason="a timer's signal")
def test_ctrl_c_in_duckdb_stays_ctrl_c():
    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
        with pytest.raises(KeyboardInterrupt), connect() as connection:
            long = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(500) b"
            connection.execute(long).fetchall()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(os.name == "nt", reason="links, pipes")
def test_a_link_and_a_pipe_are_written_through_and_not_replaced(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "file.csv")
    write_csv(tmp_path / "link.csv", ["a"], [[1]])
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "file.csv").read_text() == "a\n1\n"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_csv(tmp_path / "pipe", ["a"], [[1]])
    assert os.read(reader, 100) == b"a\n1\n" and (tmp_path / "pipe").is_fifo()
    os.close(reader)
