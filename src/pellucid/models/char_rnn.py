"""CharRNN: the next symbol of a text, from a recurrent network that reads symbol by symbol.

Karpathy (2015), The unreasonable effectiveness of recurrent neural networks; Graves (2013)"""

from typing import Any

import numpy as np

from .. import nn
from ..base import dtypes
from ..tensor.tensor import Tensor, as_tensor, assign
from .model import Model, chance, whole

CELLS: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class State:
    """What a recurrent network remembers of the symbols so far, in stored tensors (L, B, H)."""

    def __init__(self, n_parts: int, shape: tuple[int, ...], dtype: Any):
        self.parts = [Tensor(np.zeros(shape, dtypes.of(dtype).numpy)) for _ in range(n_parts)]
        self.capacity: int | None = None  # no limit

    def reset(self) -> None:
        """Forget everything."""
        assign(*((p, p * 0) for p in self.parts))

    def read(self) -> Any:
        """In the form that a recurrent layer takes."""
        return tuple(self.parts) if len(self.parts) > 1 else self.parts[0]

    def write(self, state: Any) -> None:
        """Remember what the layer gave."""
        parts = state if isinstance(state, tuple) else (state,)
        assign(*zip(self.parts, parts, strict=True))


class CharRNN(Model):
    """Embedding, recurrent layers, and at every place a score for each symbol that may come next.

    tokens   (B, T) integers below vocab_size
    cell     'lstm', 'gru' or 'rnn'
    dropout  between recurrent layers and before the output, in training
    memory   what memory() gave: the state before the first token is read there and overwritten
    returns  (B, T, vocab_size) scores"""

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int = 64,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: str = "lstm",
        dropout: float = 0.0,
        dtype: Any = dtypes.float32,
    ):
        self.vocab_size, self.embed_dim, self.hidden_size = whole(
            self, vocab_size=vocab_size, embed_dim=embed_dim, hidden_size=hidden_size
        )
        [self.num_layers] = whole(self, num_layers=num_layers)
        [self.dropout] = chance(self, dropout=dropout)
        self.cell = nn.init.nearest(cell, CELLS, "cell of CharRNN")
        between = dropout if num_layers > 1 else 0.0
        self.embedding = nn.Embedding(vocab_size, embed_dim, dtype=dtype)
        self.rnn = CELLS[cell](embed_dim, hidden_size, num_layers, dropout=between, dtype=dtype)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, vocab_size, init="torch", dtype=dtype)

    def memory(self, batch_size: int = 1) -> State:
        """An empty state, for generation symbol by symbol."""
        shape = (self.num_layers, batch_size, self.hidden_size)
        return State(2 if self.cell == "lstm" else 1, shape, self.head.weight.dtype)

    def forward(self, tokens: Tensor, memory: State | None = None) -> Tensor:
        x = self.embedding(as_tensor(tokens))
        out, state = self.rnn(x, None if memory is None else memory.read())
        if memory is not None:
            memory.write(state)
        return self.head(self.drop(out))
