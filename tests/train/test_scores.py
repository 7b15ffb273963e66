"""Scores are those of scikit-learn, where it is installed, and of a calculation by hand."""

import json
import math

import numpy as np
import pytest

from pellucid.base.errors import DataError, IndexRangeError, ShapeError
from pellucid.train import scores


def drawn(n: int, n_classes: int, seed: int, steps: int | None = None):
    """(probabilities, labels) that have to do with each other; `steps` rounds scores, so that many tie."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, n_classes)) * 2
    labels = np.array([rng.choice(n_classes, p=np.exp(r) / np.exp(r).sum()) for r in logits])
    logits += rng.normal(size=logits.shape)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    if steps:
        p[:, 1:] = np.floor(p[:, 1:] * steps) / steps
        p[:, 0] = 1 - p[:, 1:].sum(1)
    return p, labels


def names(n: int) -> list[str]:
    return [f"c{i}" for i in range(n)]


@pytest.mark.parametrize("steps", [None, 4], ids=["all differ", "ties"])
@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_scores_of_classes_are_those_of_scikit_learn(n_classes, steps):
    sk = pytest.importorskip("sklearn.metrics")
    p, y = drawn(331, n_classes, seed=n_classes, steps=steps)
    ours = scores.classification(p, y, names(n_classes))
    answers = p.argmax(1)
    precision, recall, f1, support = sk.precision_recall_fscore_support(y, answers, zero_division=0)
    found = {k: [c[k] for c in ours["per_class"]] for k in ("precision", "recall", "f1", "support")}
    np.testing.assert_allclose(found["precision"], precision, rtol=1e-12)
    np.testing.assert_allclose(found["recall"], recall, rtol=1e-12)
    np.testing.assert_allclose(found["f1"], f1, rtol=1e-12)
    assert found["support"] == support.tolist()
    assert ours["accuracy"] == sk.accuracy_score(y, answers)
    assert ours["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, answers))
    assert ours["macro_f1"] == pytest.approx(sk.f1_score(y, answers, average="macro"))
    assert ours["log_loss"] == pytest.approx(sk.log_loss(y, p), rel=1e-12)
    assert ours["confusion"] == sk.confusion_matrix(y, answers).tolist()
    asked = p[:, 1] if n_classes == 2 else p
    assert ours["roc_auc"] == pytest.approx(
        sk.roc_auc_score(y, asked, multi_class="ovr"), rel=1e-12
    )
    each = [sk.average_precision_score(y == c, p[:, c]) for c in range(n_classes)]
    np.testing.assert_allclose([c["pr_auc"] for c in ours["per_class"]], each, rtol=1e-12)
    areas = [sk.roc_auc_score(y == c, p[:, c]) for c in range(n_classes)]
    np.testing.assert_allclose([c["roc_auc"] for c in ours["per_class"]], areas, rtol=1e-12)
    expected = each[1] if n_classes == 2 else np.mean(each)
    assert ours["pr_auc"] == pytest.approx(expected, rel=1e-12)


def test_curves_pass_through_the_points_of_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    p, y = drawn(97, 2, seed=5, steps=8)
    ours = scores.classification(p, y, names(2))["curves"]
    false, found, _ = sk.roc_curve(y, p[:, 1], drop_intermediate=False)
    np.testing.assert_allclose(ours["roc"][0]["x"], false, atol=5e-6)  # stored with five digits
    np.testing.assert_allclose(ours["roc"][0]["y"], found, atol=5e-6)
    precision, recall, _ = sk.precision_recall_curve(y, p[:, 1])
    np.testing.assert_allclose(ours["pr"][0]["x"][1:], recall[::-1][1:], atol=5e-6)
    np.testing.assert_allclose(ours["pr"][0]["y"][1:], precision[::-1][1:], atol=5e-6)


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_area():
    p, y = drawn(5000, 2, seed=1)
    found = scores.classification(p, y, names(2))
    roc = found["curves"]["roc"][0]
    assert len(roc["x"]) <= scores.POINTS and (roc["x"][0], roc["y"][0]) == (0, 0)
    assert (roc["x"][-1], roc["y"][-1]) == (1, 1)
    # 200 points along a length of 2: a cut corner is a triangle of at most 0.01^2 / 2 each.
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(found["roc_auc"], abs=1e-3)


@pytest.mark.parametrize("steps", [None, 10], ids=["all differ", "on the edges"])
def test_calibration_has_the_bins_of_scikit_learn(steps):
    sk = pytest.importorskip("sklearn.calibration")
    p, y = drawn(400, 2, seed=2, steps=steps)
    ours = scores.classification(p, y, names(2))["calibration"]
    share, expected = sk.calibration_curve(y, p[:, 1], n_bins=10)
    np.testing.assert_allclose([b["share"] for b in ours["bins"]], share, rtol=1e-12)
    np.testing.assert_allclose([b["expected"] for b in ours["bins"]], expected, rtol=1e-12)
    assert sum(b["n"] for b in ours["bins"]) == 400


def test_calibration_error_by_hand():
    # Sure 0.9 and right 1 of 2: 0.4 apart; sure 0.6 and right 2 of 2: 0.4 apart; 0.55: right 0 of 1.
    p = np.array([[0.9, 0.05, 0.05]] * 2 + [[0.2, 0.6, 0.2]] * 2 + [[0.55, 0.3, 0.15]])
    found = scores.classification(p, np.array([0, 1, 1, 1, 2]), names(3))["calibration"]
    assert [b["n"] for b in found["bins"]] == [3, 2]  # 0.55 and 0.6 lie in (0.5, 0.6]
    # bin 0.5-0.6: sure (0.55 + 0.6 + 0.6) / 3, right 2/3; bin 0.8-0.9: sure 0.9, right 1/2
    expected = (3 * abs(1.75 / 3 - 2 / 3) + 2 * 0.4) / 5
    assert found["of"] == "answer" and found["ece"] == pytest.approx(expected)


def test_wilson_intervals_by_the_book():
    # Newcombe (1998), table I, method 3 (score): 81/263, 15/148, 0/20, 1/29
    for n_right, n, expected in (
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ):
        assert scores.wilson(n_right, n) == pytest.approx(expected, abs=5e-5)
    assert scores.wilson(20, 20) == pytest.approx([1 - 0.1611, 1.0], abs=5e-5)
    assert scores.wilson(0, 0) is None


def test_a_class_that_no_test_row_has_is_said_to_be_unknown_and_left_out_of_means():
    p = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3], [0.7, 0.2, 0.1]])
    y = np.array([0, 1, 1, 0])
    found = scores.classification(p, y, ["a", "b", "never"])
    never = found["per_class"][2]
    assert never == {"class": "never", "precision": 0.0, "recall": None, "f1": 0.0, "support": 0,
                     "roc_auc": None, "pr_auc": None}  # fmt: skip
    sk = pytest.importorskip("sklearn.metrics")
    assert found["macro_f1"] == pytest.approx(
        sk.f1_score(y, p.argmax(1), average="macro", zero_division=0)
    )
    auc = [sk.roc_auc_score(y == c, p[:, c]) for c in (0, 1)]
    assert found["roc_auc"] == pytest.approx(np.mean(auc))
    assert [c["class"] for c in found["curves"]["roc"]] == ["a", "b"]


def test_a_class_that_is_neither_there_nor_answered_has_no_score():
    p = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    found = scores.classification(p, np.array([0, 1]), names(3))
    assert found["macro_f1"] == 1.0 and found["per_class"][2]["f1"] is None


@pytest.mark.parametrize("shape", [(5, 1), (5, 2)])
def test_test_rows_of_one_class_alone(shape):
    p = np.zeros(shape)
    p[:, 0] = 1
    found = scores.classification(p, np.zeros(5, np.int32), names(shape[1]))
    assert found["accuracy"] == 1 and found["roc_auc"] is None and found["log_loss"] == 0
    assert found["accuracy_interval"][0] == pytest.approx(0.5655, abs=5e-5)  # Wilson, 5 of 5
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_no_rows_give_no_scores(n_classes):
    found = scores.classification(np.zeros((0, n_classes)), np.zeros(0, np.int32), names(n_classes))
    for name in ("accuracy", "accuracy_interval", "macro_f1", "log_loss", "roc_auc", "pr_auc"):
        assert found[name] is None
    assert found["n"] == 0
    assert found["calibration"]["bins"] == [] and found["calibration"]["ece"] is None
    json.dumps(found, allow_nan=False)
    assert scores.regression(np.zeros(0), np.zeros(0))["rmse"] is None


def test_sure_and_wrong_costs_what_the_precision_of_the_numbers_allows():
    sk = pytest.importorskip("sklearn.metrics")
    for dtype in (np.float32, np.float64):
        p = np.array([[1, 0], [0.5, 0.5]], dtype)
        y = np.array([1, 0])
        ours = scores.classification(p, y, names(2))["log_loss"]
        assert ours == pytest.approx(sk.log_loss(y, p), rel=1e-6)  # sklearn counts in float32
        assert ours == pytest.approx((-math.log(np.finfo(dtype).eps) + math.log(2)) / 2)


def test_of_many_classes_the_frequent_mistakes_are_named_instead_of_the_table():
    n = 100
    p = np.full((7, n), 0.0)
    p[range(7), [3, 3, 3, 5, 5, 9, 9]] = 1
    found = scores.classification(p, np.array([4, 4, 3, 6, 5, 9, 9]), names(n))
    assert found["confusion"] is None and found["curves"] == {"roc": [], "pr": []}
    assert found["mistakes"] == [
        {"true": "c4", "answered": "c3", "n": 2},
        {"true": "c6", "answered": "c5", "n": 1},
    ]


def test_of_very_many_classes_the_frequent_ones_are_listed():
    n = scores.LISTED + 500
    y = np.array([n - 1, n - 1, 3, n - 2])
    p = np.zeros((4, n))
    p[range(4), y] = 1
    found = scores.classification(p, y, names(n))
    listed = {c["class"]: c["support"] for c in found["per_class"]}
    assert len(listed) == scores.LISTED and listed[f"c{n - 1}"] == 2 and listed[f"c{n - 2}"] == 1
    assert found["macro_f1"] == 1 and found["roc_auc"] is None


@pytest.mark.parametrize(
    ("p", "y", "error", "says"),
    [
        (np.ones((2, 3)) / 3, [0, 1], ShapeError, r"shape \(rows, 2\); got \(2, 3\)"),
        (np.ones((2, 2)) / 2, [0], ShapeError, "2 rows .* need 2 labels"),
        (np.ones((2, 2)) / 2, [0, 2], IndexRangeError, "Row 1: label 2 is outside 0..1"),
        (np.ones((2, 2)) / 2, [0, -1], IndexRangeError, "Row 1: label -1"),
        (np.ones((2, 2)) / 2, [0.0, 1.0], DataError, "integers; got float64"),
        (np.array([[0.5, 0.5], [np.nan, 1]]), [0, 1], DataError, r"Row 1: \[nan, 1.0\]"),
        (np.array([[2.0, -1.0], [0, 1]]), [0, 1], DataError, "Row 0: .* sum 1"),
        (np.array([[0.5, 0.5], [0.1, 0.1]]), [0, 1], DataError, "Row 1"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(p, y, error, says):
    with pytest.raises(error, match=says):
        scores.classification(p, np.array(y), ["a", "b"])


@pytest.mark.parametrize("n", [2, 57, 5003])
@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1.0, 1e30, 1e200])
def test_scores_of_amounts_are_those_of_scikit_learn(n, unit):
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(n)
    truth = rng.normal(3, 2, n)
    predicted = truth + rng.normal(0.3, 1, n)
    ours = scores.regression(predicted * unit, truth * unit)
    for name, expected in (
        ("rmse", sk.root_mean_squared_error(truth, predicted) * unit),
        ("mae", sk.mean_absolute_error(truth, predicted) * unit),
        ("median_absolute_error", sk.median_absolute_error(truth, predicted) * unit),
        ("bias", np.mean(predicted - truth) * unit),
        ("r2", sk.r2_score(truth, predicted)),
    ):
        assert ours[name] == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("n", [300, 20_000])
def test_intervals_of_amounts_are_as_wide_as_the_theory_says(n):
    rng = np.random.default_rng(0)
    truth, noise = rng.normal(size=n) * 5, rng.normal(size=n)
    found = scores.regression(truth + noise, truth)
    # Of normal errors RMSE spreads by sigma / sqrt(2 n), MAE by sigma sqrt((1 - 2 / pi) / n).
    for name, spread in (("rmse", 1 / (2 * n) ** 0.5), ("mae", ((1 - 2 / math.pi) / n) ** 0.5)):
        low, high = found[f"{name}_interval"]
        assert low < found[name] < high
        # 1,000 resamples: the width of a 95 % interval is known to some 5 %; the drawn noise adds as much.
        assert high - low == pytest.approx(2 * scores.Z * spread, rel=0.2)
    low, high = found["r2_interval"]
    assert low < found["r2"] < high < 1
    assert found == scores.regression(truth + noise, truth)  # the same seed, the same interval


@pytest.mark.parametrize("value", [0.0, 0.1, 1e300])
def test_amounts_that_are_all_equal_have_no_r2(value):
    truth = np.full(1001, value)
    found = scores.regression(truth * 0.5, truth)
    assert found["r2"] is None and found["r2_interval"] is None
    assert found["mae"] == pytest.approx(value / 2)
    json.dumps(found, allow_nan=False)


def test_one_row_has_errors_but_no_r2():
    found = scores.regression(np.array([2.0]), np.array([5.0]))
    assert (found["rmse"], found["mae"], found["bias"], found["r2"]) == (3, 3, -3, None)


def test_a_scatter_holds_pairs_that_were_given_and_not_too_many():
    truth = np.arange(5000.0)
    dots = scores.regression(truth * 2, truth)["scatter"]
    assert len(dots["truth"]) == scores.DOTS == len(set(dots["truth"]))
    np.testing.assert_allclose(dots["predicted"], np.array(dots["truth"]) * 2)


def test_amounts_that_cannot_be_compared_are_refused():
    with pytest.raises(ShapeError, match=r"got \(2,\) and \(3,\)"):
        scores.regression(np.zeros(2), np.zeros(3))
    with pytest.raises(DataError, match="Row 1: the prediction is nan"):
        scores.regression(np.array([0, np.nan]), np.zeros(2))


def right(is_right: np.ndarray) -> np.ndarray:
    """Probabilities of two classes whose answer is class 0, the truth, where it is right."""
    return np.where(is_right[:, None], [0.9, 0.1], [0.2, 0.8])


def test_being_ahead_on_the_same_rows_by_the_book():
    # Agresti, Categorical Data Analysis, 10.1: 794 and 150, 86 and 570 of 1,600 approve; -0.04 +- 1.96 * 0.0095
    first = np.repeat([True, True, False, False], [794, 150, 86, 570])
    second = np.repeat([True, False, True, False], [794, 150, 86, 570])
    truth = np.zeros(1600, np.int32)
    # Agresti and Min add half a row to each cell: of 1,600 that is below the third digit.
    found = scores.ahead(right(second), right(first), truth)
    assert found == pytest.approx([-0.04 - 1.96 * 0.0095, -0.04 + 1.96 * 0.0095], abs=3e-4)
    assert scores.ahead(right(first), right(second), truth) == pytest.approx([-found[1], -found[0]])


def test_the_interval_of_being_ahead_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n, n_held, tries = 60, 0, 500
    for _ in range(tries):
        kind = rng.choice(4, n, p=[0.6, 0.2, 0.1, 0.1])  # both right, ours, theirs, none
        low, high = scores.ahead(
            right(kind <= 1), right((kind == 0) | (kind == 2)), np.zeros(n, int)
        )
        n_held += low <= 0.1 <= high
    assert 0.92 < n_held / tries < 0.98  # 500 tries of 95 % spread by 1 %


def test_being_ahead_of_oneself_is_nothing():
    is_right = np.array([True, False, True])
    low, high = scores.ahead(right(is_right), right(is_right), np.zeros(3, int))
    assert low < 0 < high and low == -high
    x = np.array([1.0, 2.0, 4.0])
    assert scores.ahead(x, x, np.zeros(3)) == [0, 0]
    assert scores.ahead(np.zeros(0), np.zeros(0), np.zeros(0)) is None


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_being_ahead_in_rmse_is_as_wide_as_the_theory_says(unit):
    rng = np.random.default_rng(1)
    n = 3000
    truth, shared = rng.normal(size=n) * 5, rng.normal(size=n)
    ours, theirs = truth + shared, truth + shared + 0.5 * rng.normal(size=n)
    low, high = (v / unit for v in scores.ahead(ours * unit, theirs * unit, truth * unit))
    a, b = (ours - truth) ** 2, (theirs - truth) ** 2
    # The delta method: each row moves the difference of the roots by this much.
    each = b / (2 * b.mean() ** 0.5) - a / (2 * a.mean() ** 0.5)
    mean, half = b.mean() ** 0.5 - a.mean() ** 0.5, scores.Z * each.std() / n**0.5
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.15 * half)
    assert low > 0


def test_a_brief_keeps_the_figures_and_drops_the_tables():
    p, y = drawn(50, 3, seed=0)
    short = scores.brief(scores.classification(p, y, names(3)))
    assert {"accuracy", "accuracy_interval", "macro_f1", "log_loss", "roc_auc", "n"} <= set(short)
    assert not {"confusion", "curves", "per_class", "classes", "calibration"} & set(short)


def test_of_two_classes_one_is_the_finding():
    # 8 ill, of whom 6 are found; 12 healthy, of whom 10 are left alone. 'healthy' says that there is nothing to find.
    truth, answers = np.repeat([0, 1], [8, 12]), np.repeat([0, 1, 0, 1], [6, 2, 2, 10])
    p = np.where(answers[:, None] == [0, 1], 0.9, 0.1)
    found = scores.classification(p, truth, ["effusion", "healthy"])["screening"]
    assert found["positive"] == "effusion"
    assert (found["sensitivity"], found["specificity"]) == (6 / 8, 10 / 12)
    assert found["sensitivity_interval"] == scores.wilson(6, 8)
    assert found["specificity_interval"] == scores.wilson(10, 12)
    swapped = scores.classification(p, truth, ["no", "yes"])["screening"]
    assert swapped["positive"] == "yes" and swapped["sensitivity"] == 10 / 12
    assert scores.classification(np.eye(3), np.arange(3), names(3))["screening"] is None


@pytest.mark.parametrize(
    ("classes", "positive"),
    [(("cat", "not cat"), "cat"), (("No", "Yes"), "Yes"), (("0", "1"), "1"), (("a", "b"), "b"),
     (("malignant", "normal"), "malignant"), (("benign", "malignant"), "malignant"),
     (("ja", "nein"), "ja"), (("oui", "Non"), "oui"), (("nej", "ja"), "ja"), (("sim", "não"), "sim"),
     (("krank", "gesund"), "krank"), (("да", "нет"), "да"), (("True", "false"), "True")],
)  # fmt: skip
def test_a_name_that_says_none_is_not_the_finding(classes, positive):
    assert classes[scores.positive(classes)] == positive
