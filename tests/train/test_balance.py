"""A rare class: what is decided, that chances stay those of the true shares, and what alarms cost."""

import json
import shutil
from typing import Any

import numpy as np
import pytest

from pellucid.base.errors import FormatError, OptionError
from pellucid.cli.main import run as command
from pellucid.cli.results import report_rows
from pellucid.data.dataset import Dataset, Split
from pellucid.models import Committee
from pellucid.nn import Linear, ReLU, Sequential
from pellucid.tensor import random
from pellucid.train.balance import (
    Alarm,
    alarms,
    best_threshold,
    class_weights,
    decide_alarm,
    decided,
    is_rare,
    restore_shares,
)
from pellucid.train.evaluation import predict
from pellucid.train.events import EpochDone, Finished
from pellucid.train.recipe import recipe
from pellucid.train.run import train_run
from pellucid.train.saved import load_model
from pellucid.train.scores import classification

SMALL: Any = {"net": (16,), "epochs": 12, "batch": 64, "class_weights": "root"}


@pytest.fixture(scope="module")
def fraud(tmp_path_factory):
    """2,000 rows, about 4 % of them fraud, which two of three numbers tell of."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2000, 3))
    y = rng.random(2000) < 1 / (1 + np.exp(5.5 - 2 * x[:, 0] - 1.5 * x[:, 1]))
    lines = [f"{a:.4f},{b:.4f},{c:.4f},{'fraud' if f else 'good'}"
             for (a, b, c), f in zip(x, y, strict=True)]  # fmt: skip
    path = tmp_path_factory.mktemp("fraud") / "cards.csv"
    path.write_text("\n".join(["a,b,c,kind", *lines]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def finished(fraud, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    return folder, trained(recipe(fraud, target="kind", **SMALL), folder)


def trained(made, folder, resume=False) -> dict:
    *_, last = train_run(made, folder, resume)
    assert isinstance(last, Finished)
    return last.result


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((950, 50), True),
        ((99, 901), True),
        ((100, 900), False),  # a tenth is not less than a tenth
        ((1000, 0), False),  # a class without rows
        ((900, 50, 50), False),  # of three classes each may be rare
    ],
)
def test_of_two_classes_one_may_be_rare(counts, expected):
    assert is_rare(np.array(counts)) is expected


def test_weights_are_those_that_balance_or_their_roots():
    y = np.array([0] * 90 + [1] * 10)
    # n / (C n_c), as scikit-learn's class_weight="balanced": 100 / (2 * 90) and 100 / (2 * 10)
    np.testing.assert_allclose(class_weights("balanced", y, 2), [100 / 180, 5.0])
    np.testing.assert_allclose(class_weights("root", y, 2), np.sqrt([100 / 180, 5.0]))
    assert class_weights("none", y, 2) is None and class_weights(None, y, 2) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential(Linear(4, 8), ReLU(), Linear(8, 3)),
        # Of several members each is restored, then their mean is taken.
        lambda: Committee((4, 8, 3), 1),
    ],
    ids=["mlp", "committee"],
)
def test_restored_chances_are_divided_by_the_weights(make):
    random.seed(3)
    network = make()
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    weights = np.array([0.5, 8.0, 2.0])
    expected = predict(network, x) / weights
    restore_shares(network, weights)
    # 1e-6: the bias and the softmax round to float32
    np.testing.assert_allclose(
        predict(network, x), expected / expected.sum(1, keepdims=True), rtol=2e-6, atol=1e-7
    )
    with pytest.raises(OptionError, match="a bias for each of the 2 classes"):
        restore_shares(network, np.array([1.0, 2.0]))


def test_alarms_are_counted_from_each_probability_on():
    p = np.array([0.95, 0.6, 0.55, 0.3, 0.2, 0.04, 0.004])
    y = np.array([1, 1, 0, 1, 0, 0, 1])
    found = alarms(p, y, ("no", "yes"), 1, best_threshold(p, y == 1))
    assert (found["class"], found["n"], found["n_class"]) == ("yes", 7, 4)
    counted = {r["threshold"]: (r["alarms"], r["right"]) for r in found["rows"]}
    # 0.75 raises the same alarm as 0.9, 0.05 those of 0.1 and 0.01 those of 0.02. F1 is highest with the first four:
    # 2 * 3 / (4 + 4); half way between 0.3 and 0.2
    assert counted == {0.9: (1, 1), 0.5: (3, 2), 0.25: (4, 3), 0.1: (5, 3), 0.02: (6, 3)}
    assert found["best"] == 0.25
    assert alarms(p, y, ("no", "yes"), 1, None)["best"] is None


def test_the_best_threshold_is_that_of_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    y = rng.random(300) < 0.1
    p = np.round(np.clip(0.1 + 0.3 * y + 0.2 * rng.normal(size=300), 0, 1), 2)
    found = best_threshold(p, y)
    best = max(sk.f1_score(y, p >= t) for t in np.unique(p))
    assert sk.f1_score(y, p >= found) == pytest.approx(best)


def test_the_area_of_the_rare_class_is_that_of_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    y = (rng.random(200) < 0.9).astype(int)  # the rare class is the first
    p = np.clip(0.2 + 0.6 * rng.random(200) * y, 0, 1)
    found = classification(np.stack([1 - p, p], 1), y, ("rare", "usual"))
    expected = sk.average_precision_score(y == 0, 1 - p)
    assert found["rare_pr_auc"] == pytest.approx(expected, rel=1e-12)


def test_chances_of_a_weighed_class_are_those_of_the_true_shares(fraud, finished):
    made = recipe(fraud, target="kind", **SMALL)
    assert made.settings()["class_weights"] == "root"
    data = made.dataset()
    parts = made.split(data)
    share = float(np.mean(data.y == 0))
    assert 0.02 < share < 0.08 and data.classes == ("fraud", "good")
    told = next(d for d in made.decisions(data, parts) if d.name == "balance")
    assert told.option == "--class-weights" and told.value.startswith("root ('fraud' ")
    folder, result = finished
    chances = load_model(folder).predict(data.x[parts.test])[:, 0]
    came = float(np.mean(data.y[parts.test] == 0))
    first, second = data.class_weights
    left_in = chances * first / (chances * first + (1 - chances) * second)
    # A small network after a few epochs; with the weights left in the mean chance is several times too high.
    assert 0.5 * came < chances.mean() < 2 * came and left_in.mean() > 3 * came
    # Every row counts once in what is measured: the loss is scikit-learn's log loss of these chances.
    sk = pytest.importorskip("sklearn.metrics")
    expected = sk.log_loss(data.y[parts.test] != 0, 1 - chances.astype(np.float64))
    assert result["metrics"]["test"]["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["root", "balanced"])
def test_weights_of_three_classes_are_those_of_scikit_learn(kind, tmp_path, capsys):
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2000, 3)).round(4)
    scores = np.stack([1.5 * x[:, 1] - 3.5, np.zeros(2000), x[:, 0] - 2.5], 1)
    y = (scores + rng.gumbel(size=(2000, 3))).argmax(1)  # 6 %, 83 %, 10 %
    names = ("fraud", "good", "late")
    lines = [f"{a},{b},{c},{names[k]}" for (a, b, c), k in zip(x, y, strict=True)]
    path = tmp_path / "cards.csv"
    path.write_text("\n".join(["a,b,c,kind", *lines]) + "\n")
    words = ["train", str(path), "--target", "kind", "--class-weights", kind, "--dry-run"]
    assert command(words) == 0
    assert f"balance     {kind} ('fraud' " in capsys.readouterr().err
    # No hidden layer and no L2: logistic regression, which has one solution.
    plain: Any = {"net": (), "l2": 0.0, "validation": 0.0, "patience": 0, "batch": 2000, "lr": 0.05}
    made = recipe(str(path), target="kind", class_weights=kind, epochs=300, **plain)
    trained(made, tmp_path / "run")
    data = made.dataset()
    train, test = data.parts.train, data.parts.test
    weights = len(train) / (3 * np.bincount(y[train]))  # "balanced"
    weights = weights if kind == "balanced" else np.sqrt(weights)
    peer = linear.LogisticRegression(C=1e9, class_weight=dict(enumerate(weights)), max_iter=1000)
    weighed = peer.fit(x[train], y[train]).predict_proba(x[test])
    expected = weighed / weights
    expected /= expected.sum(1, keepdims=True)
    found = load_model(tmp_path / "run").predict(data.x[test])
    # 300 steps come within 2e-4 of the solution; with the weights left in chances are up to 0.4 off.
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.abs(weighed - expected).max() > 0.2


def test_the_person_may_decide(fraud):
    for given in ({}, {"class_weights": "none"}):
        plain = recipe(fraud, target="kind", **given)
        data = plain.dataset()
        assert data.weights is None and data.class_weights is None
        told = next(d for d in plain.decisions(data, plain.split(data)) if d.name == "balance")
        assert told.value == "rows count the same" and told.is_given == bool(given)
    data = recipe(fraud, target="kind", class_weights="balanced").dataset()
    train = data.parts.train
    in_all = [data.weights[train][data.y[train] == c].sum() for c in (0, 1)]
    assert in_all[0] == pytest.approx(in_all[1])
    with pytest.raises(OptionError, match="for classes; the target holds amounts"):
        recipe(fraud, target="a", class_weights="balanced")
    with pytest.raises(OptionError, match="Did you mean 'balanced'"):
        recipe(fraud, target="kind", class_weights="balance")
    with pytest.raises(OptionError, match="--class-weights is no setting of digits"):
        recipe("digits", class_weights="balanced")


def test_a_weighed_run_that_goes_on_ends_with_the_same_bits(fraud, finished, tmp_path):
    running = train_run(recipe(fraud, target="kind", **SMALL), tmp_path / "b", checkpoint_seconds=0)
    for event in running:
        if isinstance(event, EpochDone) and event.epoch == 5:
            break
    running.close()
    last = trained(recipe(fraud, target="kind", **SMALL), tmp_path / "b", resume=True)
    assert last["weights_sha256"] == finished[1]["weights_sha256"]
    # And once more, of a finished run: the shares are brought back once, not twice.
    last = trained(recipe(fraud, target="kind", **SMALL), tmp_path / "b", resume=True)
    assert last["weights_sha256"] == finished[1]["weights_sha256"]


def test_alarms_are_shown_with_what_they_cost(fraud, finished):
    folder, result = finished
    lines = report_rows(result, str(folder))
    assert "PR AUC" in lines[1] and any("An alarm for 'fraud'" in line for line in lines)
    found = result["alarms"]
    data = recipe(fraud, target="kind", **SMALL).dataset()
    tested = data.parts.test
    chances = load_model(folder).predict(data.x[tested])[:, 0]
    assert found["rows"] and found["n_class"] == (data.y[tested] == 0).sum()
    for row in found["rows"]:
        raised = chances >= row["threshold"]
        assert (row["alarms"], row["right"]) == (raised.sum(), (data.y[tested][raised] == 0).sum())
    page = (folder / "report.html").read_text()
    assert "What an alarm costs" in page and "PR AUC of the rare class" in page
    assert json.loads((folder / "metrics.json").read_text())["alarms"] == found


def test_the_option_reaches_the_recipe(fraud, tmp_path, capsys):
    words = ["train", fraud, "--target", "kind", "--class-weights", "none", "--dry-run"]
    assert command(words) == 0
    assert "balance     rows count the same: as you said" in capsys.readouterr().err


def test_comparing_may_be_left_out(fraud, tmp_path, capsys):
    words = ["train", fraud, "--target", "kind", "--net", "4", "--epochs", "1", "--quiet"]
    assert command([*words, "--no-baselines", "--json", "--out", str(tmp_path / "a")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["baselines"]) == ["majority"] and result["settings"]["baselines"] is False
    assert (tmp_path / "a" / "report.html").exists()


def test_an_answer_is_the_rare_class_from_its_threshold_on(fraud, finished, tmp_path, capsys):
    folder, result = finished
    model, best = load_model(folder), result["alarms"]["best"]
    data = recipe(fraud, target="kind", **SMALL).dataset()
    parts = data.parts
    assert model.alarm == Alarm(0, best)
    # That with the highest F1 on the rows to validate, of all that there are.
    sk = pytest.importorskip("sklearn.metrics")
    chances = model.predict(data.x[parts.validation])[:, 0]
    y = data.y[parts.validation] == 0
    reached = sk.f1_score(y, chances >= best)
    assert reached == pytest.approx(max(sk.f1_score(y, chances >= t) for t in chances))
    names, chances = model.answers(data.x[parts.test])
    assert (names == np.where(chances[:, 0] >= best, "fraud", "good")).all()
    # The run's own table, `evaluate` and `predict` count the same answers.
    y = data.y[parts.test]
    counted = [[int(((y == i) & (names == n)).sum()) for n in model.classes] for i in (0, 1)]
    assert result["confusion"] == result["scores"]["confusion"] == counted
    assert result["metrics"]["test"]["accuracy"] == pytest.approx(np.trace(counted) / len(y))
    assert command(["evaluate", str(folder), fraud, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert command(["predict", str(folder), fraud, "--out", str(tmp_path / "a.csv")]) == 0
    rows = (tmp_path / "a.csv").read_text().splitlines()[1:]
    told = np.array(["fraud" in row for row in rows])
    assert np.array(scores["confusion"])[:, 0].sum() == told.sum()


def test_a_damaged_threshold_is_named(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    for wrong in ({"class": 2, "from": 0.5}, {"class": 0, "from": 2}, {"class": 0}, 3):
        model = json.loads(path.read_text())
        model["output"]["alarm"] = wrong
        path.write_text(json.dumps(model))
        with pytest.raises(FormatError, match=r"field 'output\.alarm'"):
            load_model(tmp_path / "m")


def test_too_few_rows_to_validate_choose_no_threshold():
    network, x = Sequential(Linear(1, 2)), np.zeros((100, 1), np.float32)
    y = np.array([0] * 96 + [1] * 4, np.int32)
    data, all_rows = Dataset("few", x, y, ("a", "b")), np.arange(100)
    assert decide_alarm(network, data, Split(all_rows, all_rows)) is None
    p = np.array([[0.9, 0.1], [0.4, 0.6]])
    assert decided(p, None).tolist() == [0, 1] and decided(p, Alarm(1, 0.1)).tolist() == [1, 1]
