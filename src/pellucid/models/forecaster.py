"""Forecaster: a stretch of a series in, the next values out.

A recurrent network reads the series; its last output goes through one linear layer."""

from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import ShapeError
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
        dtype: Any = dtypes.float32,
    ):
        self.n_features, self.hidden_size, self.num_layers = whole(
            self, n_features=n_features, hidden_size=hidden_size, num_layers=num_layers
        )
        [self.n_outputs] = whole(self, n_outputs=n_outputs)
        [self.dropout] = chance(self, dropout=dropout)
        self.cell = nn.init.nearest(cell, CELLS, "cell of Forecaster")
        self.is_residual = bool(is_residual)
        between = dropout if num_layers > 1 else 0.0
        self.rnn = CELLS[cell](n_features, hidden_size, num_layers, dropout=between, dtype=dtype)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, n_outputs, init="torch", dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = as_tensor(x)
        if x.ndim != 3 or x.shape[2] != self.n_features:
            raise ShapeError(
                f"Forecaster got shape {tuple(x.shape)}: it needs (batch, steps, {self.n_features}). A single "
                "series of T values becomes (1, T, 1)."
            )
        out, _ = self.rnn(x)
        change = self.head(self.drop(out[:, -1]))
        return x[:, -1, :1] + change if self.is_residual else change
