"""A person's table as data: which rows go where, what is left out, what is stored; and runs that go on."""

import json
import shutil

import numpy as np
import pytest

from pellucid.base.errors import DataError, FormatError, OptionError, PellucidError
from pellucid.data.reading import read_table
from pellucid.formats.model_json import read_json
from pellucid.train.evaluation import predict
from pellucid.train.events import EpochDone
from pellucid.train.recipe import recipe
from pellucid.train.run import train_run
from pellucid.train.saved import load_model
from pellucid.train.tables import batch_for

SMALL = {"net": (8,), "epochs": 4, "batch": 16}
COMMITTEE = {"members": 3, "width": 8, "epochs": 4, "batch": 16}


@pytest.fixture
def flowers(tmp_path):
    """90 rows: two numbers and a colour that give the kind away; row 4 has no kind, two rows no width."""
    rng = np.random.default_rng(7)
    lines = ["length,width,colour,kind,weight"]
    for i in range(90):
        kind = ("rose", "tulip", "daisy")[i % 3]
        length, width = 3 * (i % 3) + rng.normal(), rng.normal()
        colour = ("red", "blue")[int(rng.integers(2))]
        shown = "" if i in (10, 20) else f"{width:.4f}"
        name = "" if i == 3 else kind
        lines.append(f"{length:.4f},{shown},{colour},{name},{2 * length - width + 5:.4f}")
    path = tmp_path / "flowers.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


# Parts


def test_equal_rows_and_rows_of_a_group_never_lie_on_both_sides(tmp_path):
    rng = np.random.default_rng(3)
    rows = [f"{a},{who},{b:.3f},{y}" for a, who, b, y in zip(
        rng.integers(0, 60, 300), rng.integers(0, 25, 300), rng.normal(size=300), rng.integers(0, 2, 300),
        strict=True)]  # fmt: skip
    rows += rows[:100]
    path = tmp_path / "visits.csv"
    path.write_text("\n".join(["a,who,b,y", *rows]) + "\n")
    for group in (None, "who"):
        data = recipe(str(path), target="y", group=group).dataset()
        key = np.array(
            [
                rows[i].rsplit(",", 1)[0] if group is None else rows[i].split(",")[1]
                for i in range(400)
            ]
        )
        sides = [set(key[p].tolist()) for p in vars(data.parts).values()]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert sorted(np.concatenate(list(vars(data.parts).values())).tolist()) == list(range(400))


def test_a_column_that_counts_the_rows_is_left_out_where_rows_have_no_target_too(flowers):
    lines = flowers.read_text().splitlines()
    numbered = [f"number,{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:], 1))]
    flowers.write_text("\n".join(numbered) + "\n")
    data = recipe(str(flowers), target="kind").dataset()
    assert data.left_out == 1
    assert [d.name for d in data.schema.dropped] == ["number"]
    assert "number" not in data.encoder.groups


@pytest.mark.parametrize(
    ("n", "batch"), [(10, 32), (900, 32), (7_000, 64), (20_000, 256), (10**6, 512)]
)
def test_larger_tables_have_larger_batches(n, batch):
    assert batch_for(n) == batch


# What is decided


def test_classes_and_amounts_follow_from_the_target(flowers):
    made = recipe(str(flowers), target="kind")
    data = made.dataset()
    assert (made.task, made.kind, made.loss()) == ("classify", "table", "cross_entropy")
    assert data.classes == ("daisy", "rose", "tulip") and data.left_out == 1 and len(data) == 89
    amounts = recipe(str(flowers), target="weight")
    assert (amounts.task, amounts.loss()) == ("regress", "mse")
    data = amounts.dataset()
    y = data.y[data.parts.train]
    # Standard scores over the training rows; float32 sums of 59 numbers.
    assert abs(y.mean()) < 1e-5 and y.std() == pytest.approx(1, abs=1e-5)


def test_statistics_come_from_the_training_rows_alone(flowers, tmp_path):
    made = recipe(str(flowers), target="kind")
    data = made.dataset()
    tested = set(data.frame.lines[data.parts.test].tolist())
    lines = flowers.read_text().splitlines()
    changed = [
        "999,999," + line.split(",", 2)[2] if i + 1 in tested else line
        for i, line in enumerate(lines)
    ]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(changed) + "\n")
    again = recipe(str(other), target="kind").dataset()
    # Equal rows stay together, so rows that became equal may have moved: these did not.
    assert (
        set(again.frame.lines[again.parts.train].tolist())
        <= set(data.frame.lines[data.parts.train].tolist()) | tested
    )
    if (again.parts.train == data.parts.train).all():
        assert again.encoder.to_json() == data.encoder.to_json()


def test_every_decision_is_told(flowers):
    made = recipe(str(flowers), target="kind", columns={"colour": "identifier"})
    data = made.dataset()
    told = made.decisions(data, data.parts)
    lines = {d.name: f"{d.value} {d.reason}" for d in told}
    assert "90 rows of 5 columns" in lines["data"]
    assert "1 rows" in lines["left out"] and "'kind'" in lines["left out"]
    assert "3 classes" in lines["target"] and "colour" in lines["dropped"]
    assert "length, width, weight" in lines["numbers"]
    each = [d.value for d in made.decisions(data, data.parts, each=True) if d.name == "column"]
    assert [v.split(":")[0] for v in each] == ["length", "width", "weight"]


# What is refused


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({}, OptionError, "--target is missing.*Likely: .*kind"),
        ({"target": "knid"}, OptionError, "Did you mean 'kind'"),
        ({"target": "kind", "group": "lenght"}, OptionError, "Did you mean 'length'"),
        ({"target": "kind", "columns": {"with": "number"}}, OptionError, "Did you mean 'width'"),
        ({"target": "kind", "task": "regress"}, DataError, "amounts are numbers.*--task classify"),
        ({"target": "kind", "task": "generate"}, OptionError, "cannot be used to generate"),
        ({"target": "kind", "window": 3}, OptionError, "no setting of the network committee"),
    ],
)
def test_settings_that_do_not_fit_are_named(given, error, text, flowers):
    with pytest.raises(error, match=text):
        recipe(str(flowers), **given).dataset()


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "no rows"),
        ([f"{i},a" if i % 2 else f"{i},b" for i in range(5)], "5 of 5 rows"),
        ([f"{i / 3},a" for i in range(30)], "'a' in every row|every row has"),
        ([f"{i / 3}," for i in range(30)], "no value|constant|0 of 30"),
        ([f"1,{'ab'[i % 2]}" for i in range(30)], "no column is left"),
        ([f"{i / 3},name{i}" for i in range(30)], "identifier|different"),
    ],
)
def test_tables_that_teach_nothing_are_refused(rows, text, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(["x,y", *rows]) + "\n")
    with pytest.raises(DataError, match=text) as caught:
        recipe(str(path), target="y").dataset()
    assert "bad.csv" in str(caught.value)


# Runs


@pytest.mark.parametrize("settings", [SMALL, COMMITTEE], ids=["mlp", "committee"])
@pytest.mark.parametrize("target", ["kind", "weight"])
def test_a_broken_run_goes_on_to_the_same_bits(target, settings, flowers, tmp_path):
    made = recipe(str(flowers), target=target, **settings)
    whole = list(train_run(made, tmp_path / "whole"))[-1].result
    running = train_run(made, tmp_path / "cut", checkpoint_seconds=0)
    for event in running:
        if isinstance(event, EpochDone) and event.epoch == 2:
            break
    running.close()
    again = list(train_run(recipe(str(flowers), target=target), tmp_path / "cut", resume=True))
    assert again[0].epoch == 2
    assert again[-1].result["weights_sha256"] == whole["weights_sha256"]
    assert again[-1].result["scores"] == whole["scores"]


def test_a_run_does_not_go_on_with_other_rows(flowers, tmp_path):
    made = recipe(str(flowers), target="kind", **SMALL)
    running = train_run(made, tmp_path / "run", checkpoint_seconds=0)
    for event in running:
        if isinstance(event, EpochDone):
            break
    running.close()
    text = flowers.read_text()
    flowers.write_text(text.replace("red", "pink"))
    # The numbers are the same; what they stand for is not.
    with pytest.raises(PellucidError, match="data"):
        list(train_run(recipe(str(flowers), target="kind"), tmp_path / "run", resume=True))


@pytest.mark.parametrize("settings", [SMALL, COMMITTEE], ids=["mlp", "committee"])
@pytest.mark.parametrize("target", ["kind", "weight"])
def test_a_run_folder_alone_answers_to_raw_rows_elsewhere(target, settings, flowers, tmp_path):
    made = recipe(str(flowers), target=target, **settings)
    result = list(train_run(made, tmp_path / "run"))[-1].result
    data = made.dataset()
    shutil.move(tmp_path / "run", tmp_path / "moved")
    model = load_model(tmp_path / "moved")
    raw = read_table(flowers)
    x = model.encoder.transform(raw.without([target]))
    kept = ~raw[target].missing
    assert (x[kept] == data.x).all()
    outputs = predict(model.network, x[kept], probabilities=target == "kind")
    tested = data.parts.test
    if target == "kind":
        right = outputs[tested].argmax(1) == data.y[tested]
        assert result["scores"]["accuracy"] == right.mean() == result["metrics"]["test"]["accuracy"]
    else:
        amounts = model.target.decode_amounts(outputs.reshape(-1))
        truth = raw["weight"].values
        rmse = float(np.sqrt(((amounts - truth)[tested] ** 2).mean()))
        # The target is stored as float32 scores: 7 digits.
        assert result["scores"]["rmse"] == pytest.approx(rmse, rel=1e-4)
        assert truth.min() - 9 < amounts.min() < amounts.max() < truth.max() + 9
    stored = read_json(tmp_path / "moved" / "model.json")["preprocessing"]
    assert stored["target"] == target and stored["file"]["rows"] == 90
    assert stored["kinds"]["colour"] == "text"


def test_damaged_preprocessing_is_named(flowers, tmp_path):
    list(train_run(recipe(str(flowers), target="kind", **SMALL), tmp_path / "run"))
    path = tmp_path / "run" / "model.json"
    model = json.loads(path.read_text())

    def damaged(text, **changes):
        path.write_text(
            json.dumps({**model, "preprocessing": {**model["preprocessing"], **changes}})
        )
        with pytest.raises(FormatError, match=text):
            load_model(tmp_path / "run")

    damaged("preprocessing", encoder=3)
    damaged("preprocessing", encoder={"format": "other"})
    damaged("preprocessing", answers={})
    damaged("preprocessing.kinds", kinds={"length": "sound"})
    fewer = {**model["preprocessing"]["encoder"], "columns": []}
    damaged("makes 0 numbers of a row", encoder=fewer)


# The network: a committee for tables that are not large, one network of the widths that a person gives


def test_a_table_is_learned_by_a_committee_and_given_widths_are_one_network(flowers):
    made = recipe(str(flowers), target="kind")
    assert made.network_name == "committee" and made.l2 == 0.3 and made.lr == 2e-3
    data = made.dataset()
    assert made.row.shape(made, data) == f"16 times {data.n_features}-64-32-3"
    one = recipe(str(flowers), target="kind", net=(12,))
    assert one.members is None and one.row.shape(one, data) == f"{data.n_features}-12-3"
    small = recipe(str(flowers), target="kind", members=3, width=10, layers=1)
    assert small.row.shape(small, data) == f"3 times {data.n_features}-10-3"


def test_a_large_table_is_learned_by_one_network(flowers, monkeypatch):
    monkeypatch.setattr("pellucid.train.tables.COMMITTEE_ROWS", 20)
    assert recipe(str(flowers), target="kind").net == (256, 128)
