"""Forty hard tables: each is encoded to the right finite numbers, or refused with one plain sentence.

A case is a function that makes the table and says what must come out; it runs by its name."""

from types import SimpleNamespace

import numpy as np
import pytest
from table_frames import frame

from pellucid.base.errors import DataError
from pellucid.data.checks import check
from pellucid.data.columns import decide, decide_task
from pellucid.data.encoder import Encoder
from pellucid.data.split import same_rows, split_table
from pellucid.data.target import Target


def learn(columns: dict, target="y", group=None, **given):
    """The whole way of a table to numbers, as a run goes it."""
    table = frame(columns)
    task = decide_task(table, target)[0]
    everything = np.arange(len(table))
    _, usable = Target.fit(table[target], task, everything).encode(table[target])
    kept = table.take(np.flatnonzero(usable))
    schema = decide(kept, target, given)
    labels = None
    if task == "classify":
        labels, _ = Target.fit(kept[target], task, np.arange(len(kept))).encode(kept[target])
    names = [f.name for f in schema.features]
    parts = split_table(kept, names, labels, group=group)
    encoder = Encoder.fit(kept, schema, parts.train)
    answers = Target.fit(kept[target], task, parts.train)
    x = encoder.transform(kept)
    y, known = answers.encode(kept[target])
    whole = np.sort(np.concatenate([parts.train, parts.validation, parts.test]))
    assert whole.tolist() == list(range(len(kept)))  # every row once
    assert x.dtype == np.float32 and np.isfinite(x).all() and np.isfinite(y).all()
    assert Encoder.from_json(encoder.to_json()) == encoder
    findings = check(kept, schema, parts)
    texts = [f.text for f in findings] + [f.text for f in check(table, schema, parts)]
    assert all(t.endswith(".") and "\n" not in t for t in texts)
    return SimpleNamespace(
        task=task, x=x, y=y, known=known, parts=parts, schema=schema, encoder=encoder, target=answers,
        findings=findings, kept=kept, n_left_out=len(table) - len(kept), all_findings=texts,
    )  # fmt: skip


def refused(words: str, columns: dict, **given):
    with pytest.raises(DataError, match=words) as error:
        learn(columns, **given)
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 400


def kinds(made) -> list[str]:
    return [f.kind for f in made.findings]


N = 200
CASES = []


def case(make):
    CASES.append(make)
    return make


def rng():
    return np.random.default_rng(0)


def table(**columns) -> dict:
    """A usual table with these columns besides."""
    a = rng().normal(0, 1, N)
    return {"a": a, **columns, "y": (a > 0).astype(int)}


@case
def constant_number():
    made = learn(table(c=[3.5] * N))
    assert made.x.shape[1] == 1 and "constant" in kinds(made)


@case
def constant_text():
    assert [f.name for f in learn(table(c=["same"] * N)).schema.dropped] == ["c"]


@case
def constant_in_the_training_rows_alone():
    made = learn(table(c=[0.0] * N))
    encoder = Encoder.fit(made.kept, decide(made.kept, "y", {"c": "number"}), made.parts.train)
    other = frame({"a": [0.0], "c": [7.0]})
    assert np.isfinite(encoder.transform(other)).all()


@case
def near_constant_with_one_other_value():
    made = learn(table(c=[1.0] * (N - 1) + [2.0]))
    assert np.abs(made.x).max() <= 8


@case
def near_constant_around_1e30():
    made = learn(table(c=1e30 * (1 + 1e-12 * rng().normal(0, 1, N))))
    scores = made.x[made.parts.train, made.encoder.groups["c"].start]
    assert abs(scores.mean()) < 1e-4 and abs(scores.std() - 1) < 1e-3


@case
def near_constant_around_1e_30():
    made = learn(table(c=1e-30 * (1 + 1e-12 * rng().normal(0, 1, N))))
    assert abs(made.x[made.parts.train, made.encoder.groups["c"].start].std() - 1) < 1e-3


@case
def scale_of_1e30():
    made, plain = (
        learn(table(c=rng().normal(5, 1, N) * 1e30)),
        learn(table(c=rng().normal(5, 1, N))),
    )
    np.testing.assert_allclose(made.x, plain.x, atol=1e-5)


@case
def scale_of_1e_30():
    made, plain = (
        learn(table(c=rng().normal(5, 1, N) * 1e-30)),
        learn(table(c=rng().normal(5, 1, N))),
    )
    np.testing.assert_allclose(made.x, plain.x, atol=1e-5)


@case
def scales_of_1e_30_to_1e30_in_one_column():
    made = learn(table(c=10 ** rng().uniform(-30, 30, N)))
    scores = made.x[:, made.encoder.groups["c"].start]
    assert len(np.unique(scores)) > N / 2  # the order of the values is still to be seen


@case
def smallest_and_largest_doubles():
    made = learn(table(c=[5e-324, -5e-324, 1.7e308, -1.7e308] * (N // 4)))
    assert np.abs(made.x).max() <= 8


@case
def denormal_numbers():
    made = learn(table(c=rng().integers(1, 100, N) * 5e-324))
    assert made.x[:, made.encoder.groups["c"].start].std() > 0.5


@case
def all_missing_column():
    made = learn(table(c=[None] * N))
    assert made.schema.dropped[0].why == "every value is missing"


@case
def missing_in_all_training_rows():
    made = learn(table(c=[1.0, 2.0] * (N // 2)))
    train = frame(table(c=[None] * N))
    encoder = Encoder.fit(train, made.schema, np.arange(N))
    assert np.isfinite(encoder.transform(made.kept)).all()


@case
def nearly_all_missing():
    made = learn(table(c=[None] * (N - 3) + [1.0, 2.0, 3.0]))
    assert "c is missing" in made.encoder.names


@case
def inf_in_a_column():
    made = learn(table(c=[float("inf"), float("-inf")] + list(range(2, N))))
    assert "repaired" in kinds(made)
    scores = made.x[:2, made.encoder.groups["c"].start]
    assert scores[0] >= made.x[2:, 1].max() and scores[1] <= made.x[2:, 1].min()


@case
def only_inf_in_a_column():
    learn(table(c=[float("inf")] * 100 + [float("-inf")] * 100))


@case
def nan_that_is_not_marked_missing():
    made = learn(table(c=[float("nan")] * 20 + list(range(N - 20))))
    assert made.x[:20, made.encoder.groups["c"].stop - 1].tolist() == [1] * 20


@case
def inf_in_the_target():
    made = learn(
        {"a": rng().normal(0, 1, N), "y": [float("inf")] * 3 + rng().normal(0, 1, N - 3).tolist()}
    )
    assert made.n_left_out == 3


@case
def one_class():
    refused("is '1' in every row", {"a": list(rng().normal(0, 1, 50)), "y": [1] * 50})


@case
def one_amount():
    refused("is '0.5' in every row", {"a": list(rng().normal(0, 1, 50)), "y": [0.5] * 50})


@case
def class_with_one_row():
    made = learn({"a": rng().normal(0, 1, N), "y": ["x", "z"] * 99 + ["x", "rare"]})
    assert N - 1 in made.parts.train and made.target.classes == ("rare", "x", "z")
    assert "one row" in next(f.text for f in made.findings if f.kind == "class")


@case
def every_class_with_two_rows():
    names = [f"k{i // 2}" for i in range(60)]
    made = learn({"a": rng().normal(0, 1, 60), "y": names})
    assert (
        len(made.target.classes) == 30 and len(made.parts.test) == 9
    )  # 15 % of 60, over all classes
    assert made.known.all()


@case
def imbalance_of_1_to_10000():
    y = [0] * 100_000 + [1] * 10
    made = learn({"a": rng().normal(0, 1, len(y)), "y": y})
    counts = [
        int(made.y[p].sum()) for p in (made.parts.train, made.parts.validation, made.parts.test)
    ]
    assert sum(counts) == 10 and min(counts) >= 1
    assert any("recall" in f.text for f in made.findings)


@case
def imbalance_with_one_positive():
    y = [0] * 10_000 + [1]
    made = learn({"a": rng().normal(0, 1, len(y)), "y": y})
    assert 10_000 in made.parts.train


@case
def a_hundred_thousand_categories():
    n = 120_000
    codes = rng().integers(0, 100_000, n)
    values = [f"shop{c}" if i % 2 else "main" for i, c in enumerate(codes)]
    made = learn(
        {"a": rng().normal(0, 1, n), "c": values, "y": (np.arange(n) % 2).tolist()}, c="category"
    )
    assert made.x.shape[1] <= 130 and "c = main" in made.encoder.names


@case
def a_hundred_thousand_different_names():
    n = 100_000
    made = learn(
        {
            "a": rng().normal(0, 1, n),
            "c": [f"n{i}" for i in range(n)],
            "y": (np.arange(n) % 2).tolist(),
        }
    )
    assert [f.name for f in made.schema.dropped] == ["c"] and made.x.shape[1] < 60


@case
def too_many_classes():
    names = [f"n{i // 2}" for i in range(4000)]
    refused("2,000 different names", {"a": rng().normal(0, 1, 4000).tolist(), "y": names})


@case
def identifier_as_target():
    refused("identifier", {"a": rng().normal(0, 1, N).tolist(), "y": [f"id-{i}" for i in range(N)]})


@case
def unseen_category_at_predict():
    made = learn(table(c=["u", "v"] * (N // 2)))
    x = made.encoder.transform(frame({"a": [0.0], "c": ["w"]}))
    assert x[0, made.encoder.groups["c"]].tolist() == [0, 0]
    assert "'w'" in " ".join(made.encoder.report(frame({"a": [0.0], "c": ["w"]})))


@case
def target_missing_in_a_tenth_of_the_rows():
    a = rng().normal(0, 1, N)
    made = learn({"a": a, "y": [None if i % 10 == 0 else int(a[i] > 0) for i in range(N)]})
    assert made.n_left_out == N // 10 and len(made.x) == N - N // 10
    assert any(t.startswith("20 of 200 rows have no 'y'") for t in made.all_findings)
    np.testing.assert_array_equal(made.kept["a"].values, a[np.arange(N) % 10 != 0])


@case
def target_missing_in_all_rows():
    refused("no value in any row", {"a": rng().normal(0, 1, 50).tolist(), "y": [None] * 50})


@case
def text_in_a_number_column_late_in_the_file():
    values = [f"{v:.3f}" for v in rng().normal(0, 1, 5000)]
    values[4990] = "twelve"
    made = learn({"a": values, "b": rng().normal(0, 1, 5000), "y": [i % 2 for i in range(5000)]})
    assert [(f.name, f.use) for f in made.schema.features] == [("a", "number"), ("b", "number")]
    found = next(f for f in made.findings if f.kind == "repaired")
    assert found.rows == 1 and "line 4992: 'twelve'" in found.text
    scores = made.x[:, 0]
    kept = [float(v) for v in values if v != "twelve"]
    assert np.corrcoef(np.delete(scores, 4990), kept)[0, 1] > 0.99


@case
def number_in_a_text_column_late_in_the_file():
    made = learn(table(c=["u", "v"] * 99 + ["1", "2"]))
    assert made.schema.use("c") == "category"


@case
def duplicate_rows_across_the_split():
    a = rng().normal(0, 1, 60).tolist()
    made = learn({"a": a * 3, "b": ["p", "q"] * 90, "y": [i % 2 for i in range(60)] * 3})
    unit = same_rows(made.kept, ["a", "b"])
    sides = [
        set(unit[p].tolist()) for p in (made.parts.train, made.parts.validation, made.parts.test)
    ]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert [f.rows for f in made.findings if f.kind == "duplicates"] == [120]


@case
def rows_equal_but_for_the_row_number():
    a = rng().normal(0, 1, 50).tolist() * 2
    made = learn({"row": list(range(100)), "a": a, "y": [0, 1] * 50})
    held = set(np.array(a)[np.concatenate([made.parts.validation, made.parts.test])])
    assert not held & set(np.array(a)[made.parts.train])


@case
def few_different_rows_repeated_often():
    a, b = np.array([0, 0, 1, 1] * 50), np.array([0, 1] * 100)
    made = learn({"a": a, "b": b, "y": a ^ b})
    assert len(set(zip(a[made.parts.train], b[made.parts.train], strict=True))) == 4
    assert "few different rows" in next(f.text for f in made.findings if f.kind == "duplicates")


@case
def all_rows_equal_in_groups():
    refused(
        "only 1 groups of 'g'",
        {"a": rng().normal(0, 1, 50).tolist(), "g": ["x"] * 50, "y": [0, 1] * 25},
        group="g",
    )


@case
def four_rows():
    refused("4 rows; at least 5", {"a": [1.5, 2.5, 3.0, 4.0], "y": ["p", "q", "p", "q"]})


@case
def one_row():
    refused("in every row", {"a": [1.0], "y": ["p"]})


@case
def no_rows():
    refused("no value in any row", {"a": [], "y": []})


@case
def five_rows():
    made = learn({"a": [1.5, 2.5, 3.0, 4.0, 7.0], "y": ["p", "q", "p", "q", "p"]})
    assert [len(p) for p in (made.parts.train, made.parts.validation, made.parts.test)] == [3, 1, 1]


@case
def target_alone():
    refused("no column is left", {"y": [0, 1] * 30})


@case
def two_columns_that_are_equal():
    a = rng().normal(0, 1, N)
    made = learn(table(b=a, c=a))
    np.testing.assert_array_equal(made.x[:, 0], made.x[:, 1])


@case
def a_thousand_columns():
    values = rng().normal(0, 1, (60, 1000))
    made = learn({**{f"c{i}": values[:, i] for i in range(1000)}, "y": [0, 1] * 30})
    assert made.x.shape == (60, 1000)


def test_there_are_forty_hard_tables_or_more():
    assert len({make.__name__ for make in CASES}) == len(CASES) >= 40


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_hard_table_is_encoded_right_or_refused_in_one_sentence(make):
    make()


def cells_of(made: np.random.Generator, n: int) -> list:
    """A column of any kind, with anything in it."""
    kind = made.integers(0, 7)
    numbers = made.normal(0, 1, n) * 10.0 ** made.integers(-300, 300)
    cells: list = [
        numbers.tolist,
        lambda: made.integers(-3, 4, n).astype(float).tolist(),
        lambda: np.where(made.random(n) < 0.3, np.inf, numbers).tolist(),
        lambda: [f"k{i}" for i in made.integers(0, int(made.integers(1, 40)), n)],
        lambda: [" ".join(f"w{j}" for j in made.integers(0, 50, 6)) for _ in range(n)],
        lambda: list(np.datetime64(0, "us") + made.integers(-(10**16), 10**16, n) * np.timedelta64(1, "us")),
        lambda: [str(v) if made.random() < 0.97 else "?" for v in numbers],
    ][kind]()  # fmt: skip
    share = made.choice([0.0, 0.0, 0.2, 1.0])
    return [None if made.random() < share else c for c in cells]


@pytest.mark.parametrize("seed", range(80))
def test_any_table_is_encoded_or_refused_in_one_sentence(seed):
    made = np.random.default_rng(seed)
    n = int(made.choice([3, 5, 17, 60, 300]))
    table = {f"c{i}": cells_of(made, n) for i in range(int(made.integers(1, 6)))}
    try:
        learn({**table, "y": cells_of(made, n)})
    except DataError as error:
        assert "\n" not in str(error) and str(error).endswith(".")
