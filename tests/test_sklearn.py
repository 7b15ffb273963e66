"""The estimators keep scikit-learn's contract, and learn at least as well as its network."""

import os
import pickle
import subprocess
import sys
import unittest
import warnings
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.base.errors import DataError, NonFiniteError, OptionError
from pellucid.tensor import random

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn", "1.6")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import (  # noqa: E402
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    make_classification,
)
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.metrics import f1_score, make_scorer  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_score,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from pellucid.sklearn import PellucidClassifier, PellucidRegressor  # noqa: E402

SMALL = {"net": (16,), "epochs": 30, "random_state": 0}


@parametrize_with_checks([PellucidClassifier(**SMALL), PellucidRegressor(**SMALL)])
def test_every_check_of_scikit_learn_passes(estimator, check):
    try:
        check(estimator)
    except unittest.SkipTest as skipped:  # a check that is skipped says nothing
        pytest.fail(f"skipped: {skipped}")


# As good as scikit-learn's own network


def theirs(make, **options):
    return make_pipeline(StandardScaler(), make(random_state=0, **options))


def test_iris_and_breast_cancer_are_learned_as_well_as_by_scikit_learns_network():
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    for load in (load_iris, load_breast_cancer):
        x, y = load(return_X_y=True)
        ours = cross_val_score(PellucidClassifier(random_state=0), x, y, cv=folds).mean()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = cross_val_score(theirs(MLPClassifier, max_iter=300), x, y, cv=folds).mean()
        assert ours >= other - 0.015, (load.__name__, ours, other)


def test_digits_are_learned_as_well_as_by_scikit_learns_network():
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, train_size=500, random_state=0, stratify=y)
    ours = PellucidClassifier(random_state=0, epochs=60).fit(x, y).score(x_test, y_test)
    other = theirs(MLPClassifier, max_iter=300).fit(x, y).score(x_test, y_test)
    assert ours >= other - 0.01 and ours > 0.94, (ours, other)


def test_diabetes_is_learned_better_than_by_scikit_learns_network():
    x, y = load_diabetes(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, random_state=0)
    ours = PellucidRegressor(random_state=0).fit(x, y).score(x_test, y_test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = theirs(MLPRegressor, max_iter=300).fit(x, y).score(x_test, y_test)
    assert ours >= other and ours > 0.2, (ours, other)


# Weights


def table(n=80, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    score = x @ [1.0, -2.0, 0.5, 0.0, 0.0] + rng.normal(size=n)
    return x, score


@pytest.mark.parametrize("validation", [0.0, 0.25])
@pytest.mark.parametrize("batch", [8, 1000])
@pytest.mark.parametrize("make", [PellucidClassifier, PellucidRegressor])
def test_weights_are_copies_and_the_order_is_nothing_to_the_bit(make, batch, validation):
    x, y = table()
    y = y > 0 if make is PellucidClassifier else y
    w = np.random.default_rng(1).integers(0, 4, len(x))
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(len(x)), w))
    options = {"net": (8,), "epochs": 6, "batch": batch, "validation": validation, "dropout": 0.2}
    weighted = make(random_state=0, **options).fit(x, y, sample_weight=w)
    copied = make(random_state=0, **options).fit(x[rows], y[rows])
    for name, value in weighted.network_.state_dict().items():
        assert value.tobytes() == copied.network_.state_dict()[name].tobytes(), name
    assert weighted.loss_curve_ == copied.loss_curve_
    other = make(random_state=0, **options).fit(x, y)
    assert other.loss_curve_ != copied.loss_curve_


def test_balanced_classes_give_the_weighted_logistic_regression():
    x, y = make_classification(
        300, 4, n_informative=3, n_redundant=0, weights=[0.85], flip_y=0.2, random_state=0
    )
    plain = LogisticRegression(C=1e9).fit(x, y)
    expected = LogisticRegression(C=1e9, class_weight="balanced").fit(x, y)
    options = {"net": (), "weight_decay": 0.0, "lr": 0.05, "batch": 300, "epochs": 400}
    ours = PellucidClassifier(random_state=0, class_weight="balanced", patience=None, **options)
    ours.fit(x, y)
    np.testing.assert_allclose(ours.predict_proba(x), expected.predict_proba(x), atol=0.01)
    assert np.abs(plain.predict_proba(x) - expected.predict_proba(x)).max() > 0.2
    n = np.bincount(y)
    named = clone(ours).set_params(class_weight={0: 150 / n[0], 1: 150 / n[1]}).fit(x, y)
    np.testing.assert_allclose(named.predict_proba(x), ours.predict_proba(x), atol=1e-5)


def test_without_hidden_layers_it_is_weighted_least_squares():
    x, y = table()
    w = np.random.default_rng(0).uniform(0.0, 2.0, len(x))
    expected = LinearRegression().fit(1e3 * x + 7, 50 * y - 300, w)
    options = {"net": (), "weight_decay": 0.0, "lr": 0.05, "batch": 1000, "epochs": 400}
    ours = PellucidRegressor(random_state=0, patience=None, **options)
    ours.fit(1e3 * x + 7, 50 * y - 300, w)
    np.testing.assert_allclose(ours.predict(1e3 * x + 7), expected.predict(1e3 * x + 7), atol=0.05)
    # The unit of the losses is that of y, squared.
    residual = np.average((expected.predict(1e3 * x + 7) - 50 * y + 300) ** 2, weights=w)
    assert ours.loss_curve_[-1] == pytest.approx(residual, rel=1e-3)


# What goes in and out


def test_data_frames_give_names_and_classes_keep_their_type():
    iris = load_iris(as_frame=True)
    x, y = iris.data, iris.target.map(dict(enumerate(iris.target_names)))
    model = PellucidClassifier(net=16, epochs=60, random_state=0).fit(x, y)
    assert model.feature_names_in_.tolist() == list(x.columns) and model.n_features_in_ == 4
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert set(model.predict(x)) == set(iris.target_names) and model.score(x, y) > 0.9
    chances = model.predict_proba(x)
    assert chances.shape == (150, 3) and np.allclose(chances.sum(1), 1.0, atol=1e-12)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(x)), chances, rtol=1e-12)
    assert (model.predict(x) == model.classes_[chances.argmax(1)]).all()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(x[x.columns[::-1]])
    with pytest.raises(NotFittedError):
        clone(model).predict(x)


def test_curves_tell_of_every_epoch():
    x, y = table(200)
    model = PellucidClassifier(
        net=8, epochs=50, patience=3, validation=0.3, lr=0.05, random_state=0
    )
    model.fit(x, y > 0)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_loss_curve_) < 50
    assert model.best_epoch_ == int(np.argmin(model.validation_loss_curve_)) + 1
    assert model.n_iter_ == model.best_epoch_ + 3
    alone = model.set_params(validation=0.0, epochs=4).fit(x, y > 0)
    assert alone.n_iter_ == 4 and alone.validation_loss_curve_ == []


def test_grid_search_over_a_pipeline():
    x, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), PellucidClassifier(epochs=40, random_state=0))
    grid = {"pellucidclassifier__net": [(), (8,)], "pellucidclassifier__lr": [1e-6, 1e-2]}
    found = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(x, y)
    assert found.best_params_["pellucidclassifier__lr"] == 1e-2 and found.best_score_ > 0.9
    assert found.predict(x).shape == (150,)


def test_a_threshold_is_tuned_for_a_rare_class():
    x, number = make_classification(
        3000, 4, n_informative=4, n_redundant=0, weights=[0.95], random_state=0
    )
    y = np.array(["usual", "rare"])[number]
    train, test = np.arange(2000), np.arange(2000, 3000)
    score = make_scorer(f1_score, pos_label="rare")
    model = PellucidClassifier(net=16, epochs=20, random_state=0)
    tuned = TunedThresholdClassifierCV(model, scoring=score, cv=3).fit(x[train], y[train])
    rare = model.fit(x[train], y[train]).predict_proba(x[test])[:, 0]
    # refitted on all rows with the same seed: the same probabilities, to the bit
    assert (tuned.predict_proba(x[test])[:, 0] == rare).all()
    answers = np.where(rare >= tuned.best_threshold_, "rare", "usual")
    assert (tuned.predict(x[test]) == answers).all()
    assert 0 < tuned.best_threshold_ < 0.5
    assert score(tuned, x[test], y[test]) > score(model, x[test], y[test]) + 0.1


def test_threads_of_joblib_train_side_by_side_to_the_same_bits():
    from joblib import Parallel, delayed, parallel_backend

    x, y = table(400)
    model = PellucidClassifier(net=16, epochs=10, batch=16, random_state=0, dropout=0.3)

    def chances():
        return clone(model).fit(x, y > 0).predict_proba(x)

    alone = chances()
    with parallel_backend("threading", n_jobs=4):
        together = Parallel()(delayed(chances)() for _ in range(6))
    assert all(np.array_equal(alone, found) for found in together)


@pytest.mark.parametrize("make", [PellucidClassifier, PellucidRegressor])
def test_a_pickled_model_predicts_the_same_bits_elsewhere(make, tmp_path):
    x, y = table()
    y = y > 0 if make is PellucidClassifier else y
    model = make(**SMALL).fit(x, y)
    (tmp_path / "model").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "x.npy", x)
    method = "predict_proba" if make is PellucidClassifier else "predict"
    code = (
        "import pickle, sys, numpy as np; model = pickle.load(open(sys.argv[1], 'rb'));"
        f"np.save(sys.argv[3], model.{method}(np.load(sys.argv[2])))"
    )
    paths = [str(tmp_path / n) for n in ("model", "x.npy", "found.npy")]
    done = run(code, *paths)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(paths[2]), getattr(model, method)(x))
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(model))))
    assert np.array_equal(getattr(again, method)(x), getattr(model, method)(x))
    assert not hasattr(pickle.loads(pickle.dumps(make())), "network_")


def test_columns_of_any_scale_are_learned_alike():
    x, y = table()
    expected = PellucidClassifier(**SMALL).fit(x, y > 0).predict_proba(x)
    for scale in (1e-30, 1e30, 1e200):
        found = PellucidClassifier(**SMALL).fit(x * scale, y > 0).predict_proba(x * scale)
        # Another scale is another order of rows: the same network up to the path that led there.
        assert np.abs(found - expected).max() < 0.25
        assert (found.argmax(1) == expected.argmax(1)).mean() > 0.9
    constant = np.column_stack([x, np.full(len(x), 1e17), np.zeros(len(x))])
    model = PellucidClassifier(**SMALL).fit(constant, y > 0)
    assert model.score(constant, y > 0) > 0.8
    far = constant.copy()
    far[:, 0] = 1e300
    assert np.isfinite(model.predict_proba(far)).all()


def test_amounts_of_any_scale_are_learned_alike():
    x, y = table()
    expected = PellucidRegressor(**SMALL).fit(x, y).predict(x)
    for scale in (2.0**-900, 2.0**900):
        found = PellucidRegressor(**SMALL).fit(x, y * scale).predict(x) / scale
        assert np.corrcoef(found, expected)[0, 1] > 0.99
    same = PellucidRegressor(**SMALL).fit(x, np.full(len(x), 5.0))
    assert (same.predict(x) == 5.0).all()


def test_a_polars_frame_gives_names_too():
    pl = pytest.importorskip("polars")
    x, y = table()
    frame = pl.DataFrame(x, schema=list("abcde"))
    model = PellucidClassifier(**SMALL).fit(frame, y > 0)
    assert model.feature_names_in_.tolist() == list("abcde")
    assert np.array_equal(model.predict_proba(frame.to_pandas()), model.predict_proba(frame))


def test_weights_are_routed_through_cross_validation():
    import sklearn

    x, y = table()
    w = (np.arange(80) % 4 > 0).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        model = PellucidClassifier(**SMALL).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        routed = cross_val_score(model, x, y > 0, cv=[(np.arange(60), np.arange(60, 80))],
                                 params={"sample_weight": w})  # fmt: skip
    kept = np.flatnonzero(w[:60])
    alone = clone(model).fit(x[kept], y[kept] > 0)
    assert routed[0] == pytest.approx(alone.score(x[60:], y[60:] > 0, w[60:]))


def test_the_users_random_numbers_stay_as_they_were():
    x, y = table()
    random.seed(5)
    random.normal(3)
    before = random.get_state()
    PellucidClassifier(**SMALL).fit(x, y > 0).predict(x)
    assert (random.get_state() == before).all()
    np.random.seed(0)
    one = PellucidRegressor(net=4, epochs=2).fit(x, y).predict(x)
    two = PellucidRegressor(net=4, epochs=2).fit(x, y).predict(x)
    assert not np.array_equal(one, two)  # random_state=None: NumPy's own generator goes on


# Refused


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"net": (8, 0)}, "net must be a whole number of 1 or more; got 0"),
        ({"net": "mlp"}, "net must be widths"),
        ({"activation": "rellu"}, "Did you mean 'relu'"),
        ({"dropout": 1.0}, "dropout must be a number of 0 or more and below 1"),
        ({"validation": -0.1}, "validation must be"),
        ({"optimizer": "adamv"}, "Did you mean 'adam"),
        ({"optimizer": "sgd", "weight_decay": 0.1}, "weight_decay is a setting of adamw and adam"),
        ({"lr": float("nan")}, "lr must be"),
        ({"batch": 0}, "batch must be"),
        ({"epochs": 1.5}, "epochs must be a whole number"),
        ({"patience": -1}, "patience must be"),
        ({"class_weight": "equal"}, "class_weight must be None, 'balanced'"),
        ({"class_weight": {2: 1.0}}, r"names the class 2, which y does not have: 0, 1"),
        ({"class_weight": {1: -1.0}}, r"class_weight\[1\] must be"),
    ],
)
def test_impossible_settings_are_refused_in_fit(settings, words):
    x, y = table()
    model = PellucidClassifier(**{**SMALL, **settings})
    with pytest.raises(OptionError, match=words):
        model.fit(x, (y > 0).astype(int))


def test_impossible_rows_and_weights_are_refused():
    x, y = table()
    labels = (y > 0).astype(int)
    with pytest.raises(OptionError, match=r"row 3 has -1\.0"):
        PellucidClassifier(**SMALL).fit(x, labels, np.where(np.arange(80) == 3, -1.0, 1.0))
    with pytest.raises(ValueError, match=r"zero|weight 0"):
        PellucidClassifier(**SMALL).fit(x, labels, np.zeros(80))
    with pytest.raises(DataError, match="y has 1 class, '1'"):
        PellucidClassifier(**SMALL).fit(x, labels, labels)
    with pytest.raises(NonFiniteError, match="learning rate"):
        PellucidRegressor(**SMALL, optimizer="sgd", lr=1e30).fit(x, y)


def run(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(Path(pellucid.__file__).parents[1])}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_scikit_learn_is_asked_for_only_by_its_own_module():
    code = (
        "import sys, pellucid, pellucid.train, pellucid.cli.main; pellucid.train.fit; pellucid.nn.Linear;"
        "assert 'sklearn' not in sys.modules; sys.modules['sklearn.base'] = None; import pellucid.sklearn"
    )
    done = run(code)
    assert "pip install 'pellucid[sklearn]'" in done.stderr, done.stderr
    assert "AssertionError" not in done.stderr
