"""Simple methods learn from the training rows alone, and say what they left out."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from pellucid.data.dataset import Split
from pellucid.train import baselines, scores


def parts(n: int, n_test: int) -> Split:
    rows = np.arange(n, dtype=np.int32)
    return Split(rows[: n - n_test], rows[:0], rows[n - n_test :])


def clouds(n: int = 300, n_classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows around a centre for each class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n).astype(np.int32)
    centres = rng.normal(size=(n_classes, 4)) * 3
    return (centres[y] + rng.normal(size=(n, 4))).astype(np.float32), y


def test_majority_by_hand():
    y = np.array([1, 1, 0, 1, 2, 0, 1, 1], np.int32)
    split = Split(np.arange(4), np.array([4]), np.array([5, 6, 7]))
    found = baselines.table_baselines(np.zeros((8, 2), np.float32), y, split, ["a", "b", "c"])
    # In training b comes 3 times of 4, a once; of the test rows 2 of 3 are b.
    assert next(iter(found)) == "majority"
    assert found["majority"]["accuracy"] == pytest.approx(2 / 3)
    assert found["majority"]["log_loss"] == pytest.approx(-(np.log(1 / 4) + 2 * np.log(3 / 4)) / 3)


def test_mean_by_hand():
    y = np.array([1.0, 3.0, 2.0, 6.0], np.float32)
    split = Split(np.arange(2), np.zeros(0, int), np.array([2, 3]))
    found = baselines.table_baselines(np.zeros((4, 1), np.float32), y, split, [])
    assert next(iter(found)) == "mean"
    assert found["mean"]["mae"] == 2.0 and found["mean"]["rmse"] == pytest.approx(8**0.5)


def test_methods_of_classes_give_what_scikit_learn_gives():
    pytest.importorskip("sklearn")
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    x, y = clouds()
    split = parts(300, 90)
    found = baselines.table_baselines(x, y, split, ["a", "b", "c"], seed=3)
    for name, model in (
        ("logistic regression", LogisticRegression(max_iter=500)),
        ("gradient boosting", HistGradientBoostingClassifier(random_state=3)),
    ):
        with baselines._threads():  # idle cores only: OpenMP waits by spinning
            model.fit(x[split.train], y[split.train])
        expected = scores.classification(
            model.predict_proba(x[split.test]), y[split.test], ["a", "b", "c"]
        )
        assert found[name] == scores.brief(expected)
        assert found[name]["accuracy"] > found["majority"]["accuracy"] + 0.2
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_methods_of_amounts_reach_the_rule_of_the_data_in_any_unit(unit):
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).astype(np.float32)
    y = (x @ [2.0, -1.0, 0.5] + 7 + 0.1 * rng.normal(size=400)) * unit
    found = baselines.table_baselines(x, y, parts(400, 100), [])
    # The noise of 0.1 is all that a straight line leaves.
    assert found["linear regression"]["rmse"] == pytest.approx(0.1 * unit, rel=0.3)
    assert 0.9 < found["gradient boosting"]["r2"] < found["linear regression"]["r2"]
    assert found["mean"]["r2"] < 0.05
    assert list(found) == ["mean", "linear regression", "gradient boosting"]


def test_test_rows_do_not_change_what_is_learned():
    pytest.importorskip("sklearn")
    x, y = clouds()
    whole = parts(300, 90)
    split = Split(whole.train, whole.validation, whole.test[:40])
    before = baselines.table_baselines(x, y, split, ["a", "b", "c"])
    x, y = x.copy(), y.copy()
    x[whole.test[40:]], y[whole.test[40:]] = 1e6, 0
    after = baselines.table_baselines(x, y, split, ["a", "b", "c"])
    assert before == after


def test_a_class_that_training_does_not_have_gets_no_chance():
    pytest.importorskip("sklearn")
    x, y = clouds(n_classes=2)
    y = y * 2  # classes 0 and 2 of three
    y[-1] = 1  # the middle one in the test rows alone
    found = baselines.table_baselines(x, y, parts(300, 90), ["a", "b", "c"])
    assert found["logistic regression"]["accuracy"] > 0.9
    assert found["logistic regression"]["log_loss"] > 36 / 90  # -log of 2e-16 for one row of 90


def test_one_class_and_no_rows_are_said_not_raised():
    x, y = clouds()
    found = baselines.table_baselines(x, np.zeros_like(y), parts(300, 90), ["a", "b"])
    assert found["majority"]["accuracy"] == 1
    assert found["logistic regression"] == {"skipped": "the training rows have one class"}
    none = baselines.table_baselines(x, y, parts(300, 0), ["a", "b", "c"])
    assert none["majority"] == {"skipped": "there are no test rows"}
    nothing = baselines.table_baselines(x, y, parts(300, 300), ["a", "b", "c"])
    assert all(s == {"skipped": "there are no training rows"} for s in nothing.values())


def test_a_method_that_would_be_slow_is_left_out_and_said():
    pytest.importorskip("sklearn")
    x, y = clouds(n_classes=3)
    many = [str(i) for i in range(baselines.BOOSTED // 4 + 1)]
    found = baselines.table_baselines(x, y, parts(300, 90), many)
    assert found["gradient boosting"] == {
        "skipped": f"it would be slow with 4 features for {len(many)} classes"
    }
    assert found["logistic regression"]["accuracy"] > 0.8
    wide = np.repeat(x, baselines.BOOSTED // 4 + 1, axis=1)
    found = baselines.table_baselines(wide, y + 0.5, parts(300, 90), [])
    assert "it would be slow with" in found["gradient boosting"]["skipped"]
    found = baselines.table_baselines(wide[:, :-4], y % 2, parts(300, 90), ["a", "b"])
    assert "accuracy" in found["gradient boosting"]  # two classes are told apart by one tree


def test_how_far_the_network_is_ahead_is_said_of_each_method():
    x, y = clouds()
    split = parts(300, 90)
    perfect = np.eye(3)[y[split.test]]
    found = baselines.table_baselines(x, y, split, ["a", "b", "c"], ours=perfect)
    low, high = found["majority"]["ahead_interval"]
    assert low < 1 - found["majority"]["accuracy"] < high and low > 0.4
    amounts = y + 0.5
    found = baselines.table_baselines(x, amounts, split, [], ours=amounts[split.test])
    low, high = found["mean"]["ahead_interval"]
    assert low < found["mean"]["rmse"] < high


def test_of_too_many_rows_some_are_drawn_and_that_is_said(monkeypatch):
    pytest.importorskip("sklearn")
    x, y = clouds()
    name = "logistic regression"
    cheap = dataclasses.replace(baselines.CLASS_METHODS[name], budget=100 * 4 * 3)
    monkeypatch.setitem(baselines.CLASS_METHODS, name, cheap)
    monkeypatch.setattr(baselines, "FEWEST", 10)
    found = baselines.table_baselines(x, y, parts(300, 90), ["a", "b", "c"])
    assert found[name]["note"] == "learned from 100 of 210 rows, drawn at random"
    assert "note" not in found["majority"]


def test_a_fit_that_does_not_end_says_so():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(300, 30)) * np.logspace(0, 5, 30)).astype(np.float32)
    y = (rng.random(300) < 0.5).astype(np.int32)
    found = baselines.table_baselines(x, y, parts(300, 100), ["a", "b"])
    assert found["logistic regression"]["note"] == "stopped after 500 steps"


def test_without_scikit_learn_the_simplest_remain(monkeypatch):
    monkeypatch.setattr(baselines, "_has_sklearn", lambda: False)
    x, y = clouds()
    assert list(baselines.table_baselines(x, y, parts(300, 90), ["a", "b", "c"])) == ["majority"]
    assert list(baselines.table_baselines(x, y + 0.5, parts(300, 90), [])) == ["mean"]


def test_importing_baselines_does_not_import_scikit_learn():
    import subprocess

    code = "import sys, pellucid.train.baselines; print('sklearn' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
