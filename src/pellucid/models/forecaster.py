"""Forecaster: a stretch of a series in, the next values out.

A recurrent network reads the series; its last output goes through one linear layer. Beside it a linear path may lead
straight from the window to the forecast: an autoregression, which the network then only has to improve
(Lai et al. 2018, "Modeling long- and short-term temporal patterns with deep neural networks", section 3.6)."""

from typing import Any

import numpy as np

from .. import nn
from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..tensor.tensor import Tensor, as_tensor
from .char_rnn import CELLS
from .model import Model, chance, whole


class Forecaster(Model):
    """From a sequence to one vector.

    x           (B, T, n_features): each step's measurements, best with mean 0 and variance 1
    n_outputs   values to forecast: of the next step, or of several
    cell        'gru', 'lstm' or 'rnn'
    is_residual  forecasts the change from the last measurement: x[:, -1, :1] is added. The model then begins
                 near the persistence forecast, which is hard to beat on slow series
    window       T, where every stretch is as long; then the linear path is there. 0: none
    returns     (B, n_outputs)"""

    def __init__(
        self,
        n_features: int = 1,
        hidden_size: int = 64,
        num_layers: int = 1,
        n_outputs: int = 1,
        cell: str = "gru",
        dropout: float = 0.0,
        is_residual: bool = False,
        window: int = 0,
        dtype: Any = dtypes.float32,
    ):
        self.n_features, self.hidden_size, self.num_layers = whole(
            self, n_features=n_features, hidden_size=hidden_size, num_layers=num_layers
        )
        [self.n_outputs] = whole(self, n_outputs=n_outputs)
        [self.dropout] = chance(self, dropout=dropout)
        self.cell = nn.init.nearest(cell, CELLS, "cell of Forecaster")
        self.is_residual = bool(is_residual)
        [self.window] = whole(self, 0, window=window)
        between = dropout if num_layers > 1 else 0.0
        self.rnn = CELLS[cell](n_features, hidden_size, num_layers, dropout=between, dtype=dtype)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, n_outputs, init="torch", dtype=dtype)
        if window:
            self.linear = nn.Linear(window * n_features, n_outputs, init="torch", dtype=dtype)

    def begin_linear(self, x: np.ndarray, y: np.ndarray, ridge: float = 1e-2) -> None:
        """Begins as the autoregression that fits these rows best; the recurrent part begins at nothing.

        x, y, ridge  as fit_linear has them; y without the last measurement where is_residual"""
        self.fit_linear(x, y, ridge)
        _assign(self.head, np.zeros((self.head.in_features + 1, self.n_outputs)))

    def fit_linear(self, x: np.ndarray, y: np.ndarray, ridge: float = 1e-2) -> None:
        """The linear path becomes the autoregression that fits these rows best; the recurrent part stays.

        x  (N, T, n_features)     y  (N, n_outputs), what the linear path is to give
        ridge  times the sum of squared weights is added to that of squared errors: with fewer rows than weights
               there would be no best one"""
        if not self.window:
            raise OptionError("fit_linear needs the linear path: Forecaster(window=T).")
        rows, answers = _with_ones(x), np.asarray(y, np.float64).reshape(len(x), -1)
        penalty = ridge * np.eye(rows.shape[1])
        _assign(self.linear, np.linalg.solve(rows.T @ rows + penalty, rows.T @ answers))

    def linear_part(self, x: np.ndarray) -> np.ndarray:
        """(N, n_outputs) what the linear path gives for x (N, T, n_features), in float64."""
        assert self.linear.bias is not None
        weights = np.vstack([self.linear.weight.numpy(), self.linear.bias.numpy()])
        return _with_ones(x) @ weights

    def forward(self, x: Tensor) -> Tensor:
        x = as_tensor(x)
        if x.ndim != 3 or x.shape[2] != self.n_features:
            raise ShapeError(
                f"Forecaster got shape {tuple(x.shape)}: it needs (batch, steps, {self.n_features}). A single "
                "series of T values becomes (1, T, 1)."
            )
        if self.window and x.shape[1] != self.window:
            raise ShapeError(
                f"Forecaster(window={self.window}) got {x.shape[1]} steps. Give stretches of {self.window}, or use "
                f"window=0 for stretches of any length."
            )
        out, _ = self.rnn(x)
        change = self.head(self.drop(out[:, -1]))
        if self.window:
            change = change + self.linear(x.reshape(x.shape[0], -1))
        return x[:, -1, :1] + change if self.is_residual else change


def _with_ones(x: np.ndarray) -> np.ndarray:
    """(N, T * n_features + 1) rows of windows, and a 1 for the bias."""
    rows = np.asarray(x, np.float64).reshape(len(x), -1)
    return np.column_stack([rows, np.ones(len(rows))])


def _assign(layer: nn.Linear, values: np.ndarray) -> None:
    """Overwrites a layer's weight and bias by values (in + 1, out)."""
    assert layer.bias is not None
    for parameter, value in ((layer.weight, values[:-1]), (layer.bias, values[-1])):
        parameter.assign(Tensor(np.ascontiguousarray(value, parameter.dtype.numpy)))
