"""scikit-learn estimators over pellucid's training loop: PellucidClassifier and PellucidRegressor.

    from pellucid.sklearn import PellucidClassifier
    PellucidClassifier(random_state=0).fit(X, y).predict_proba(X)

They are committees of small networks for tables of numbers, as `pellucid train` makes them, and go where estimators
go: pipelines, grid searches, clone, pickle. Columns are standardised inside, and so is an amount to be predicted.

Equal rows are one row that counts more, and the rows are put in an order that their values fix (data/weights.py).
So a weight of 0 is an absent row and a weight of k is k copies, to the bit, in batches and with rows held out, whatever
the order of the rows; and no copy of a row that is learned is among those held out.

N rows, F features, C classes"""

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "pellucid.sklearn needs scikit-learn 1.6 or newer: pip install 'pellucid[sklearn]'"
    ) from error

from .base.errors import DataError, NonFiniteError, OptionError
from .data.dataset import Dataset, Split
from .data.split import split
from .data.weights import balanced, merged, visits
from .models.build import build, describe
from .models.committee import Committee
from .nn.init import nearest
from .nn.module import Module
from .tensor import functions as F
from .tensor import random
from .tensor.trace import compile
from .train.events import EpochDone, Stopped
from .train.loop import Options, fit
from .train.networks import initialisation
from .train.recipe import HIDDEN_ACTIVATIONS, OPTIMIZERS

__all__ = ["PellucidClassifier", "PellucidRegressor"]

FARTHEST = 1e6  # deviations from the mean; beyond, a value is taken for this
PREDICTION_ROWS = (16, 64, 256, 1024, 4096)  # a batch is filled up to one of these: few programs

# Tracing and the generator of random numbers are one for the process: threads (of joblib) take turns.
_turn = threading.RLock()


class _Estimator(BaseEstimator):
    """What both have: settings, preparation, training, pickling."""

    def __init__(
        self,
        net: Iterable[int] | int = (64, 32),
        *,
        members: int = 8,
        activation: str = "gelu",
        dropout: float = 0.0,
        optimizer: str = "adamw",
        lr: float | None = None,
        weight_decay: float | None = None,
        batch: int | None = None,
        epochs: int = 100,
        patience: int | None = 20,
        validation: float | None = None,
        standardize: bool = True,
        random_state: Any = None,
    ):
        self.net = net
        self.members = members
        self.activation = activation
        self.dropout = dropout
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch = batch
        self.epochs = epochs
        self.patience = patience
        self.validation = validation
        self.standardize = standardize
        self.random_state = random_state

    # Fitting

    def _fit(
        self, x: np.ndarray, y: np.ndarray, counts: np.ndarray, classes: tuple[str, ...], loss: str
    ) -> Self:
        """x (M, F) distinct rows in their order, y (M,) as the loss takes them, counts (M,) what each row counts."""
        with _turn:
            return self._fit_alone(x, y, counts, classes, loss)

    def _fit_alone(
        self, x: np.ndarray, y: np.ndarray, counts: np.ndarray, classes: tuple[str, ...], loss: str
    ) -> Self:
        n_visits = visits(counts)
        settings = _settings(self, int(n_visits.sum()))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        before = random.get_state()
        random.seed(seed)
        try:
            network = _network(settings, x.shape[1], classes)
            rows = split(Dataset("X", x, y, classes), settings.validation, 0.0, seed)
            class_weights = self._class_weights(y, counts)
            if class_weights is not None:
                counts = counts * class_weights[y]
            data = Dataset("X", x, y, classes, weights=counts / n_visits)
            parts = Split(*(np.repeat(r, n_visits[r]) for r in (rows.train, rows.validation)))
            options = Options(
                epochs=settings.epochs,
                batch_size=settings.batch,
                patience=settings.patience,
                seed=seed,
                loss=loss,
            )
            history: list[EpochDone] = []
            for event in fit(network, data, parts, settings.make_optimizer(network), options):
                if isinstance(event, EpochDone):
                    history.append(event)
                elif isinstance(event, Stopped):
                    self.best_epoch_ = event.best_epoch
        finally:
            random.set_state(before)
        self.n_iter_ = len(history)
        self.loss_curve_ = [e.train.loss for e in history]
        self.validation_loss_curve_ = [e.validation.loss for e in history if e.validation]
        self.network_ = network.eval()
        self._predictor = _Predictor(network, probabilities=bool(classes))
        return self

    def _class_weights(self, y: np.ndarray, counts: np.ndarray) -> np.ndarray | None:
        """(C,) what the rows of each class count; None where all the same."""
        return None

    def _distinct(self, X: Any, y: np.ndarray, sample_weight: Any) -> tuple[np.ndarray, ...]:
        """(x (M, F) standardised, the numbers of these rows (M,), what each counts (M,)); keeps the columns' scale."""
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
            if (weights < 0).any():
                raise OptionError(
                    f"sample_weight: row {int(np.argmax(weights < 0))} has {weights.min()}; a weight is 0 or more."
                )
            if not weights.any():
                raise OptionError(
                    "sample_weight: every row has weight 0; there is nothing to learn from."
                )
        rows, counts = merged(X, y, weights)
        x = X[rows]
        self._shift, self._scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
        if self.standardize:
            self._shift, self._scale = _scale_of(x, counts)
        return _scaled(x, self._shift, self._scale), rows, counts

    # Predicting

    def _outputs(self, X: Any) -> np.ndarray:
        """(N, C) probabilities or (N, 1) standardised amounts."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        x = _scaled(X, self._shift, self._scale)
        with _turn:
            return self._predictor(x)

    # Stored as numbers and names: programs and tensors belong to a process

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())
        network = state.pop("network_", None)
        if network is not None:
            state["network_"] = (describe(network), network.state_dict())
            state["_predictor"] = self._predictor.probabilities
        return state

    def __setstate__(self, state: dict) -> None:
        state = dict(state)
        if "network_" in state:
            layers, weights = state["network_"]
            network = build(layers, weights, "the pickled network").eval()
            state["network_"] = network
            state["_predictor"] = _Predictor(network, state["_predictor"])
        super().__setstate__(state)


class PellucidClassifier(ClassifierMixin, _Estimator):
    """A network that tells classes apart, as a scikit-learn classifier.

    net           widths of the hidden layers: (64, 32), or one number; () for logistic regression
    members       so many such networks learn beside each other (models/committee.py); the answer is their mean
    activation    gelu, relu, leaky_relu, sigmoid or tanh, after every hidden layer
    dropout       part of the hidden values that is dropped in training, 0 up to 1
    optimizer     adamw, adam, nadam, rmsprop, lion, momentum, sgd
    lr            learning rate; None: the usual one of the optimizer
    weight_decay  of adamw and adam; None: for adamw sqrt(500 / rows), at most 1, for adam 0
    batch         rows of a step; None: 32, down to 8 where there are fewer than 512 rows
    epochs        at most so many passes over the rows
    patience      ends so many epochs after the best loss, whose weights are kept; None: never
    validation    part of the rows that is held out to judge that loss; 0: the training rows judge; None: 0.1 of
                  1,000 rows or more, else 0
    standardize   whether columns are brought to mean 0 and deviation 1 inside
    random_state  an int gives the same network, to the bit
    class_weight  None, 'balanced', or {class: what its rows count}

    After fit: classes_ (C,), n_features_in_, feature_names_in_, n_iter_ (epochs done), best_epoch_, loss_curve_ and
    validation_loss_curve_ (the mean cross-entropy of each epoch), network_ (the Module, on standardised columns)."""

    def __init__(
        self,
        net: Iterable[int] | int = (64, 32),
        *,
        members: int = 8,
        activation: str = "gelu",
        dropout: float = 0.0,
        optimizer: str = "adamw",
        lr: float | None = None,
        weight_decay: float | None = None,
        batch: int | None = None,
        epochs: int = 100,
        patience: int | None = 20,
        validation: float | None = None,
        standardize: bool = True,
        random_state: Any = None,
        class_weight: Any = None,
    ):
        super().__init__(
            net,
            members=members,
            activation=activation,
            dropout=dropout,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            batch=batch,
            epochs=epochs,
            patience=patience,
            validation=validation,
            standardize=standardize,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learns from X (N, F), numbers or a data frame of numbers, and y (N,), class names or numbers.

        sample_weight  (N,) what each row counts, 0 or more
        Raises ValueError for data or settings that cannot be used, NonFiniteError when learning diverges."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        x, rows, counts = self._distinct(X, labels, sample_weight)
        names = tuple(map(str, self.classes_))
        if len(found := np.unique(labels[rows])) < 2:
            raise DataError(
                f"y has 1 class, {names[found[0]]!r}, in rows that count. A classifier needs rows of at least two."
            )
        return self._fit(x, labels[rows].astype(np.int32), counts, names, "cross_entropy")

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, C) the probability of each class, in the order of classes_."""
        chances = self._outputs(X).astype(np.float64)
        return chances / chances.sum(1, keepdims=True)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """(N, C) the logarithms of predict_proba; that of 0 is minus infinity."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """(N,) the likeliest class of each row."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(1)]

    def _class_weights(self, y: np.ndarray, counts: np.ndarray) -> np.ndarray | None:
        given = self.class_weight
        if given is None:
            return None
        if isinstance(given, str) and given == "balanced":
            return balanced(y, len(self.classes_), counts)
        if not isinstance(given, Mapping):
            raise OptionError(
                f"class_weight must be None, 'balanced' or {{class: weight}}; got {given!r}."
            )
        known = self.classes_.tolist()
        for name, weight in given.items():
            if name not in known:
                raise OptionError(
                    f"class_weight names the class {name!r}, which y does not have: {', '.join(map(str, known))}."
                )
            _number(f"class_weight[{name!r}]", weight, 0.0)
        return np.array([float(given.get(name, 1.0)) for name in known])


class PellucidRegressor(RegressorMixin, _Estimator):
    """A network that predicts an amount by least squares, as a scikit-learn regressor.

    The settings are those of PellucidClassifier, without class_weight; net=() is linear regression. The amounts are
    brought to mean 0 and deviation 1 inside.

    After fit: n_features_in_, feature_names_in_, n_iter_ (epochs done), best_epoch_, loss_curve_ and
    validation_loss_curve_ (the mean squared error of each epoch, in y's unit squared), network_ (the Module, on
    standardised columns)."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learns from X (N, F), numbers or a data frame of numbers, and y (N,), amounts.

        sample_weight  (N,) what each row counts, 0 or more
        Raises ValueError for data or settings that cannot be used, NonFiniteError when learning diverges."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], y_numeric=True)
        y = np.asarray(y, np.float64)
        x, rows, counts = self._distinct(X, y, sample_weight)
        (self._y_shift,), (self._y_scale,) = _scale_of(y[rows, None], counts)
        target = ((y[rows] - self._y_shift) / self._y_scale).astype(np.float32)
        if not target.any():  # one amount for all: that is the answer, whatever the network says
            self._y_scale = np.float64(0.0)
        self._fit(x, target, counts, (), "mse")
        unit = float(
            self._y_scale
        )  # twice a factor: its square may be beyond float64, which then says inf
        self.loss_curve_ = [loss * unit * unit for loss in self.loss_curve_]
        self.validation_loss_curve_ = [loss * unit * unit for loss in self.validation_loss_curve_]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(N,) the amount of each row."""
        outputs = self._outputs(X)
        return outputs[:, 0].astype(np.float64) * self._y_scale + self._y_shift


# Settings


def _settings(e: Any, n: int) -> SimpleNamespace:
    """The settings of an estimator for n rows, checked and in one form. Raises OptionError.

    What is None depends on n. Few rows need many small steps and a strong pull to small weights, and are too few to
    hold some out; measured on iris, wine, breast cancer, digits, diabetes and friedman1 of 600 to 20,000 rows."""
    validation = (0.1 if n >= 1000 else 0.0) if e.validation is None else e.validation
    batch = int(min(32, max(8, n // 16))) if e.batch is None else e.batch
    widths = (e.net,) if isinstance(e.net, (int, np.integer)) else e.net
    if isinstance(widths, str) or not isinstance(widths, Iterable):
        raise OptionError(f"net must be widths of hidden layers, like (128, 64); got {e.net!r}.")
    net = tuple(_whole("net", n, 1) for n in widths)
    _number("dropout", e.dropout, 0.0, 1.0)
    validation = _number("validation", validation, 0.0, 1.0)
    nearest(e.activation, HIDDEN_ACTIVATIONS, "activation")
    rule = OPTIMIZERS[nearest(e.optimizer, OPTIMIZERS, "optimizer")]
    lr = rule.lr if e.lr is None else _number("lr", e.lr, 0.0)
    options = {}
    if e.weight_decay is None:
        if e.optimizer == "adamw":
            options["weight_decay"] = min(1.0, math.sqrt(500 / n))
    else:
        if e.optimizer not in ("adam", "adamw"):
            raise OptionError(f"weight_decay is a setting of adamw and adam, not of {e.optimizer}.")
        options["weight_decay"] = _number("weight_decay", e.weight_decay, 0.0)
    return SimpleNamespace(
        net=net,
        members=_whole("members", e.members, 1),
        activation=e.activation,
        dropout=float(e.dropout),
        validation=validation,
        batch=_whole("batch", batch, 1),
        epochs=_whole("epochs", e.epochs, 1),
        patience=None if e.patience is None else _whole("patience", e.patience, 0),
        make_optimizer=lambda network: rule.make(network.parameters(), lr, **options),
    )


def _whole(name: str, value: Any, low: int) -> int:
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not is_whole or value < low:
        raise OptionError(f"{name} must be a whole number of {low} or more; got {value!r}.")
    return int(value)


def _number(name: str, value: Any, low: float, below: float = math.inf) -> float:
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(
        value, bool
    )
    if not is_number or not low <= value < below:
        limits = f"{low:g} or more" + ("" if below == math.inf else f" and below {below:g}")
        raise OptionError(f"{name} must be a number of {limits}; got {value!r}.")
    return float(value)


def _network(s: SimpleNamespace, n_features: int, classes: Sequence[str]) -> Committee:
    """Members of linear layers, each but the last with an activation and dropout."""
    return Committee(
        (n_features, *s.net, len(classes) or 1),
        s.members if s.net else 1,  # without hidden layers all would learn the same
        s.activation,
        s.dropout,
        "chances" if classes else "amounts",
        initialisation(s.activation),
    )


# Columns


def _scale_of(x: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(shift (F,), scale (F,)): the mean and the deviation of each column of x (M, F); float64.

    A constant column has its value for shift, and its size or 1 for scale. Columns are first divided by their
    largest value, so that no square overflows or vanishes."""
    x = np.asarray(x, np.float64)
    largest = np.abs(x).max(0)
    unit = np.where(largest > 0, largest, 1.0)
    share = counts / counts.max()
    share = share / share.sum()
    parts = x / unit
    mean = share @ parts
    deviation = np.sqrt(share @ (parts - mean) ** 2)
    is_constant = (x == x[0]).all(0)
    # The mean is known to a few roundings, and so is what deviates from it.
    deviation = np.where(is_constant | (deviation < 1e-15), 1.0, deviation)
    return np.where(is_constant, x[0], mean * unit), deviation * unit


def _scaled(x: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(x - shift) / scale as float32, at most a million deviations away."""
    found = np.empty(x.shape, np.float32)
    n = PREDICTION_ROWS[-1]  # at once, so that the steps meet in the cache
    with np.errstate(over="ignore"):
        for start in range(0, len(x), n):
            z = np.subtract(x[start : start + n], shift)
            z /= scale
            found[start : start + n] = np.clip(z, -FARTHEST, FARTHEST, out=z)
    return found


class _Predictor:
    """A network's outputs for rows; its programs are compiled once."""

    def __init__(self, network: Module, probabilities: bool):
        self.probabilities = probabilities

        @compile
        def forward(batch):
            out = network(batch)
            return F.softmax(out, -1) if probabilities else out

        self.forward = forward

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, C) for x (N, F). A row's outputs are the same bits in any batch."""
        parts = []
        for start in range(0, len(x), PREDICTION_ROWS[-1]):
            rows = x[start : start + PREDICTION_ROWS[-1]]
            size = next(n for n in PREDICTION_ROWS if n >= len(rows))
            batch = rows
            if size > len(rows):
                batch = np.zeros((size, x.shape[1]), np.float32)
                batch[: len(rows)] = rows
            parts.append(self.forward(batch).numpy()[: len(rows)])
        outputs = np.concatenate(parts)
        if not np.isfinite(outputs).all():
            row = int(np.argmin(np.isfinite(outputs).all(1)))
            raise NonFiniteError(
                f"predict: the network's output for row {row} is not finite, though its weights are. Its values are "
                f"far from those that were learned from."
            )
        return outputs
