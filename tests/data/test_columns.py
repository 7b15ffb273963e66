"""Every column of a table gets the use that a person would give it, and a reason."""

import csv

import numpy as np
import pytest
from table_frames import column, data_file, frame

from pellucid.base.errors import DataError, FormatError, OptionError
from pellucid.data.columns import (
    Schema,
    as_dates,
    as_texts,
    candidates,
    decide,
    decide_task,
    shown,
    use_of,
)

N = 100
RNG = np.random.default_rng(0)


def days(n):
    return list(np.datetime64("2020-01-01", "us") + np.arange(n) * np.timedelta64(1, "D"))


# name, values, use, a word of the reason
USES = [
    ("age", RNG.normal(40, 10, N).tolist(), "number", "numbers of"),
    ("level", ([1, 2, 3, 4] * N)[:N], "number", "1 to 4"),
    ("age", [None, 3.5] * 50, "category", "3.5 or missing"),
    ("gone", [None] * N, "constant", "every value is missing"),
    ("same", [7] * N, "constant", "every value is 7"),
    ("same", ["x"] * N, "constant", "every value is 'x'"),
    ("vip", ["yes"] * 10 + [None] * 90, "category", "'yes' or missing"),
    ("row", list(range(N)), "identifier", "counts the rows from 0"),
    ("row", list(range(1, N + 1)), "identifier", "counts the rows from 1"),
    ("year", list(range(1901, 1901 + N)), "number", "1901"),
    ("PassengerId", RNG.permutation(N).tolist(), "identifier", "every value is different"),
    ("user_id", (list(range(60)) * 2)[:N], "identifier", "60 different values"),
    ("shop_id", ([1, 2, 3] * N)[:N], "category", "3 different values"),
    ("paid", RNG.permutation(N).tolist(), "number", "numbers of"),
    ("sex", (["f", "m"] * N)[:N], "category", "2 different values"),
    ("city", [f"c{i % 30}" for i in range(N)], "category", "30 different values"),
    ("code", [f"A{i:05d}" for i in range(N)], "identifier", "every value is different"),
    ("cabin", [f"B{i % 20}" if i < 25 else None for i in range(N)], "category", "75 are missing"),
    ("zip", [f"0{i:04d}" for i in range(N)], "identifier", "every value is different"),
    ("note", [f"this is remark number {i}" for i in range(N)], "text", "5.0 words"),
    ("total", [str(i * 1.5) for i in range(N)], "number", "every cell is a number"),
    ("total", [str(i * 1.5) for i in range(N - 1)] + ["n/a"], "number", "1 of 100 cells is no number ('n/a'"),
    ("total", [str(i % 9) if i % 3 else "unknown" for i in range(N)], "category", "different values"),
    ("when", days(N), "date", "2020-01-01 to 2020-04-09"),
    ("when", days(1) * N, "constant", "2020-01-01"),
]  # fmt: skip


@pytest.mark.parametrize("name, values, use, word", USES)
def test_each_kind_of_column_gets_its_use_and_a_reason(name, values, use, word):
    found, why = use_of(column(name, values))
    assert found == use, why
    assert word in why


def test_what_a_person_says_goes_before_every_rule():
    table = frame({"zip": [10115.0, 20095.0] * 20, "n": list(range(40)), "y": [0, 1] * 20})
    schema = decide(table, "y", {"zip": "category", "n": "number"})
    assert [(f.name, f.use, f.why) for f in schema.features] == [
        ("zip", "category", "as you said"),
        ("n", "number", "as you said"),
    ]
    assert decide(table, "y", {"zip": "identifier", "n": "number"}).dropped[0].name == "zip"


def test_unknown_columns_and_uses_suggest_the_nearest():
    table = frame({"age": [1.0, 2.0], "y": ["a", "b"]})
    with pytest.raises(OptionError, match=r"no column 'agee'; did you mean 'age'\?"):
        decide(table, "y", {"agee": "number"})
    with pytest.raises(OptionError, match=r"'numbr' is no use; did you mean 'number'\?"):
        decide(table, "y", {"age": "numbr"})
    with pytest.raises(DataError, match=r"no column 'Y'.*There are: age, y"):
        decide(table, "Y")
    with pytest.raises(DataError, match="'a' is not a number"):
        decide(table, "age", {"y": "number"})
    with pytest.raises(DataError, match="'a' is not a date"):
        decide(table, "age", {"y": "date"})


def test_a_row_number_is_learned_from_when_it_is_all_there_is():
    schema = decide(frame({"x": list(range(50)), "y": [2.0 * i for i in range(50)]}), "y")
    assert [(f.name, f.use) for f in schema.features] == [("x", "number")]
    assert "all there is" in schema.features[0].why


def test_a_table_with_nothing_to_learn_from_is_refused_with_the_reasons():
    with pytest.raises(DataError, match=r"no column is left.*'same': every value is 3") as error:
        decide(frame({"same": [3] * 20, "y": [0, 1] * 10}), "y")
    assert str(error.value).count("\n") == 0


TASKS = [
    ([0, 1] * 50, "classify", "two values, 0 and 1"),
    (["yes", "no", "no", "yes"], "classify", "2 different names"),
    ([i % 10 for i in range(100)], "classify", "whole numbers of 10 kinds, 0 to 9"),
    ([i % 28 + 1 for i in range(1000)], "regress", "28 kinds"),
    ([1, 2, 3, 4, 5], "regress", "amounts"),
    ([100 * (i % 5) for i in range(100)], "regress", "amounts"),
    (np.linspace(0, 1, 50).tolist(), "regress", "amounts of 50 kinds"),
    ([str(i / 7) for i in range(100)], "regress", "amounts of 100 kinds"),
    (["1", "2"] * 30 + ["unknown"], "classify", "3 different names"),
    ([str(i / 7) for i in range(100)] + ["n/a"], "regress", "amounts of 100 kinds"),
    ([1.0, None, 2.0, float("inf"), 2.5], "regress", "amounts of 3 kinds"),
]


@pytest.mark.parametrize("values, task, word", TASKS)
def test_the_task_follows_from_the_target(values, task, word):
    found, why = decide_task(frame({"y": values}), "y")
    assert found == task and word in why


REFUSED = [
    ([None] * 9, "no value in any row"),
    ([4] * 9, "is '4' in every row"),
    (["a", "a", None], "is 'a' in every row"),
    (days(9), "holds dates"),
    ([f"id{i}" for i in range(50)], "an identifier cannot be learned"),
]


@pytest.mark.parametrize("values, words", REFUSED)
def test_targets_that_cannot_be_learned_are_refused(values, words):
    with pytest.raises(DataError, match=words) as error:
        decide_task(frame({"y": values}), "y")
    assert "t.csv" in str(error.value) and "\n" not in str(error.value)


def test_candidates_are_ranked_by_name_then_place():
    table = frame({
        "id": list(range(40)), "a": [1.5, 2.5] * 20, "Survived": [0, 1] * 20, "same": [1] * 40,
        "text": [f"some words of row {i}" for i in range(40)], "last": [1.0, 2.0, 3.0, 4.0] * 10,
    })  # fmt: skip
    assert candidates(table) == ("Survived", "last", "a")


def test_numbers_are_named_as_a_person_writes_them():
    assert [shown(v) for v in (3.0, -0.0, 0.1, 1e300, 2.5e-10)] == [
        "3",
        "0",
        "0.1",
        "1e+300",
        "2.5e-10",
    ]
    cells = column("a", [1.0, None, 2.5])
    assert as_texts(cells) == ["1", None, "2.5"]


def test_dates_are_read_from_iso_text_alone():
    found = as_dates("t.csv", column("d", ["2024-01-31", None, "2024-01-31 12:30"]))
    assert found[0] == np.datetime64("2024-01-31", "us") and np.isnat(found[1])
    assert found[2] == np.datetime64("2024-01-31T12:30", "us")
    with pytest.raises(DataError, match=r"t.csv, column 'd': '31.1.2024' is not a date"):
        as_dates("t.csv", column("d", ["31.1.2024"]))


def test_a_schema_goes_through_json_and_refuses_anything_else():
    schema = decide(frame({"a": [1.5, 2.5] * 9, "b": [1] * 18, "y": [0, 1] * 9}), "y")
    value = schema.to_json()
    assert Schema.from_json(value) == schema
    for broken in (
        None, [], {}, {**value, "more": 1}, {**value, "target": 3}, {**value, "features": [["a"]]},
        {**value, "features": [["a", "nonsense", "why"]]}, {**value, "dropped": "none"},
    ):  # fmt: skip
        with pytest.raises(FormatError):
            Schema.from_json(broken)


def test_real_tables_are_understood():
    path = data_file("titanic/titanic.csv")
    if path is None:
        pytest.skip("the data sets are not here")
    with open(path, newline="") as file:
        head, *rows = csv.reader(file)
    cells = {n: [r[i] or None for r in rows] for i, n in enumerate(head)}
    for name in ("PassengerId", "Survived", "Pclass", "Age", "SibSp", "Parch", "Fare"):
        cells[name] = [None if v is None else float(v) for v in cells[name]]
    table = frame(cells, "titanic.csv")
    schema = decide(table, "Survived")
    assert {f.name: f.use for f in schema.features} == {
        "Pclass": "number", "Name": "text", "Sex": "category", "Age": "number", "SibSp": "number",
        "Parch": "number", "Fare": "number", "Cabin": "category", "Embarked": "category",
    }  # fmt: skip
    assert [f.name for f in schema.dropped] == ["PassengerId", "Ticket"]
    assert candidates(table)[0] == "Survived"
    assert decide_task(table, "Survived")[0] == "classify"
