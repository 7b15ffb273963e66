"""Twenty cases of what a file to predict may look like: the right numbers, or an error that names the column.

The model is fitted on one table; each case changes that table as a person's second file would be changed."""

import json

import numpy as np
import pytest
from table_frames import column, frame

from pellucid.base.errors import DataError
from pellucid.data.columns import decide
from pellucid.data.encoder import Encoder, Oddities
from pellucid.data.frame import Frame
from pellucid.data.target import Target

N = 60
RNG = np.random.default_rng(0)
TRAINED = {
    "age": RNG.integers(18, 70, N).astype(float).tolist(),
    "city": (["Ulm", "Bonn", "Jena"] * N)[:N],
    "born": [np.datetime64("1990-01-01", "us") + np.timedelta64(int(d), "D") for d in RNG.integers(0, 9000, N)],
    "note": [f"came by train number {i} today" for i in range(N)],
    "plan": ([1, 2] * N)[:N],
    "y": (["no", "yes", "no"] * N)[:N],
}  # fmt: skip
TABLE = frame(TRAINED)
SCHEMA = decide(TABLE, "y", {"note": "text", "plan": "category"})
# As a run stores and reads it.
ENCODER = Encoder.from_json(
    json.loads(json.dumps(Encoder.fit(TABLE, SCHEMA, np.arange(N)).to_json()))
)
USED = TABLE.without(["y"])
EXPECTED = ENCODER.transform(TABLE)


def changed(**columns) -> Frame:
    """The table without the target and with these columns instead; None takes one away."""
    left = {k: v for k, v in {**TRAINED, **columns}.items() if v is not None and k != "y"}
    return frame(left, "new.csv")


def same(table: Frame, but: str | None = None) -> np.ndarray:
    """The features; all but those of `but` must be as in training."""
    x = ENCODER.transform(table)
    kept = np.ones(x.shape[1], bool)
    if but is not None:
        kept[ENCODER.groups[but]] = False
    np.testing.assert_array_equal(x[:, kept], EXPECTED[: len(x), kept])
    return x


def refused(table: Frame, *words: str) -> None:
    for use in (ENCODER.transform, ENCODER.report):
        with pytest.raises(DataError) as error:
            use(table)
        text = str(error.value)
        assert text.startswith("new.csv") and text.endswith(".") and "\n" not in text
        for word in words:
            assert word in text


def test_01_the_same_columns():
    same(USED)
    assert ENCODER.report(USED) == ()


def test_02_columns_in_another_order():
    same(Frame("new.csv", USED.columns[::-1]))
    same(Frame("new.csv", USED.columns[2:] + USED.columns[:2]))


def test_03_the_target_is_there_as_well():
    same(TABLE)
    assert ENCODER.report(TABLE) == ("ignored columns: 'y'",)


def test_04_surplus_columns_are_ignored_and_named():
    table = changed(**{f"extra{i}": [1.0] * N for i in range(12)})
    same(table)
    assert ENCODER.report(table)[0].endswith("'extra9' and 2 more")


def test_05_a_surplus_column_with_nonsense_does_no_harm():
    same(changed(junk=[None] * N, more=["=cmd()"] * N))


def test_06_a_missing_column_is_named():
    refused(
        changed(age=None), "needs the column 'age'", "There are: 'city', 'born', 'note', 'plan'"
    )


def test_07_several_missing_columns_are_named():
    refused(changed(age=None, city=None), "needs the columns 'age', 'city'")


def test_08_a_renamed_column_is_never_guessed():
    refused(changed(age=None, Age=TRAINED["age"]), "needs the column 'age'", "'Age'", "rename")


def test_09_a_name_with_a_blank_is_another_name():
    refused(changed(city=None, **{"city ": TRAINED["city"]}), "'city'", "'city '")


def test_10_numbers_written_as_text():
    same(changed(age=[str(v) for v in TRAINED["age"]]))


def test_11_some_cells_of_a_number_column_are_words():
    ages = [str(v) for v in TRAINED["age"]]
    ages[3] = "old"
    x = same(changed(age=ages), but="age")
    np.testing.assert_array_equal(np.delete(x, 3, 0), np.delete(EXPECTED, 3, 0))
    median = np.median(TRAINED["age"])
    score = (median - np.mean(TRAINED["age"])) / np.std(TRAINED["age"])
    assert x[3, 0] == pytest.approx(score, abs=1e-6)
    report = ENCODER.report(changed(age=ages))
    assert report[0] == "'age': 1 cell is no number ('old'), taken as missing"


def test_12_a_number_column_is_all_words():
    refused(changed(age=["old", "young"] * 30), "'age'", "'old' is not a number")


def test_12_words_in_a_part_of_a_table_are_missing_until_there_is_nothing_else():
    words, numbers = changed(age=["old", "young"] * 30), changed()
    found = Oddities(ENCODER)
    x = ENCODER.transform(words, is_part=True)
    assert np.isfinite(x).all()
    found.add(words)
    with pytest.raises(DataError, match="'old' is not a number, nor is any other cell"):
        found.notes()
    found.add(numbers)
    assert found.notes()[0] == "'age': 60 cells are no number ('old'), taken as missing"


def test_13_a_number_column_holds_dates():
    refused(changed(age=TRAINED["born"]), "'age'", "holds dates", "numbers")


def test_14_a_date_column_holds_numbers():
    refused(changed(born=[19900101.0] * N), "'born'", "holds numbers", "dates")


def test_15_dates_written_as_text():
    same(changed(born=[str(d)[:10] for d in TRAINED["born"]]))
    refused(changed(born=["1.2.1990"] * N), "'born'", "'1.2.1990' is not a date")


def test_16_categories_that_were_numbers_come_as_text():
    same(changed(plan=[str(v) for v in TRAINED["plan"]]))


def test_17_unseen_categories_are_counted_and_leave_the_rest_alone():
    cities = ["Rom" if i < 4 else c for i, c in enumerate(TRAINED["city"])]
    x = same(changed(city=cities), but="city")
    assert not x[:4, ENCODER.groups["city"]].any()
    np.testing.assert_array_equal(x[4:], EXPECTED[4:])
    assert ENCODER.report(changed(city=cities)) == (
        "'city': 4 with a category that is rare or new ('Rom'), taken as no level",
    )


def test_18_cells_are_missing_where_training_had_none():
    table = changed(age=[None] * N, city=[None] * N, born=[None] * N)
    x = ENCODER.transform(table)
    assert np.isfinite(x).all() and not x[:, ENCODER.groups["city"]].any()
    lines = ENCODER.report(table)
    assert lines[0].startswith("'age': 60 missing, filled with the median")
    assert lines[1] == "'city': 60 missing, taken as no level"
    assert lines[2] == "'born': 60 missing, taken as the mean date"


def test_19_one_row_and_no_rows():
    one = USED.take(np.array([7]))
    np.testing.assert_array_equal(ENCODER.transform(one), EXPECTED[7:8])
    assert ENCODER.transform(USED.take(np.zeros(0, int))).shape == (0, EXPECTED.shape[1])


def test_20_values_far_outside_the_training_range_stay_finite():
    for value in (1e308, -1e308, float("inf"), float("-inf"), 5e-324):
        x = same(changed(age=[value] * N), but="age")
        assert np.isfinite(x).all() and np.abs(x[:, 0]).max() <= 8


def test_21_rows_are_independent_of_each_other():
    order = np.random.default_rng(1).permutation(N)
    np.testing.assert_array_equal(ENCODER.transform(USED.take(order)), EXPECTED[order])


def test_22_answers_to_compare_with_may_hold_classes_that_were_never_learned():
    target = Target.fit(TABLE["y"], "classify", np.arange(N))
    y, usable = target.encode(column("y", ["yes", "maybe", None, "no", "Yes"]))
    assert target.classes == ("no", "yes")
    assert y[usable].tolist() == [1, 0] and usable.tolist() == [True, False, False, True, False]
