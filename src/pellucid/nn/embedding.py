"""Embedding: a learned vector for each token."""

from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import DTypeError, IndexRangeError, OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.attention import known_values
from ..tensor.tensor import Tensor, as_tensor
from . import init as initial
from .module import Module


class Embedding(Module):
    """The row of `weight` that a token names. Bengio et al. (2003).

    tokens       (..) integers in [0, num_embeddings)
    weight       (num_embeddings, embedding_dim), as PyTorch's; begins N(0, 1)
    padding_idx  a token whose row begins at 0 and gets no gradient; negative: from the end
    returns      (.., embedding_dim)

    A token outside the vocabulary is an IndexRangeError. A compiled function cannot look at its tokens: it
    takes the nearest row, so call `check(tokens)` on data before it goes in."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: Any = dtypes.float32,
    ):
        for name, value in (("num_embeddings", num_embeddings), ("embedding_dim", embedding_dim)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise OptionError(
                    f"Embedding: {name} must be a whole number of 1 or more; got {value!r}."
                )
        self.num_embeddings, self.embedding_dim = int(num_embeddings), int(embedding_dim)
        rows = initial.torch_embedding((self.num_embeddings, self.embedding_dim), dtype)
        self.padding_idx = None
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise OptionError(
                    f"Embedding: padding_idx {padding_idx} is outside of {num_embeddings} tokens: it must be "
                    f"from {-num_embeddings} to {num_embeddings - 1}."
                )
            self.padding_idx = int(padding_idx) % self.num_embeddings
            rows[self.padding_idx] = 0
        self.weight = Tensor.parameter(rows)

    @classmethod
    def from_pretrained(
        cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None
    ) -> "Embedding":
        """A layer with these vectors (num_embeddings, embedding_dim); freeze: they are stored, not learned."""
        values = as_tensor(embeddings)
        if values.ndim != 2 or values.dtype.kind != "f":
            raise ShapeError(
                f"Embedding.from_pretrained got {values.dtype} of shape {tuple(values.shape)}: it needs floats "
                "(num_embeddings, embedding_dim), one row for each token."
            )
        n, dim = values.shape
        layer = cls(n, dim, padding_idx, values.dtype)
        layer.weight.assign(values)
        layer.weight.requires_grad = not freeze
        return layer

    def forward(self, tokens: Tensor) -> Tensor:
        given, tokens = tokens, as_tensor(tokens)
        if tokens.dtype.kind != "i":
            raise DTypeError(
                f"{self._title} got tokens of {tokens.dtype}: they must be integers. Use astype(int64)."
            )
        self.check(given)  # an array is known even while a function is traced
        rows = F.take(self.weight, tokens, 0)
        if self.padding_idx is None:
            return rows
        is_padding = (tokens == self.padding_idx).unsqueeze(-1)
        return F.where(is_padding, rows.detach(), rows)

    def check(self, tokens: Any) -> None:
        """IndexRangeError when a token is not in the vocabulary: names it, its place and the size.

        Does nothing while a function is traced, where tokens have no values yet."""
        values = known_values(tokens)
        if values is None or not values.size:
            return
        outside = (values < 0) | (values >= self.num_embeddings)
        if outside.any():
            place = tuple(int(i) for i in np.argwhere(outside)[0])
            highest = int(values.max())
            advice = (
                "Tokens count from 0."
                if values.min() < 0
                else f"For it use Embedding({highest + 1}, {self.embedding_dim}), or encode the text with the "
                "vocabulary of this network."
            )
            raise IndexRangeError(
                f"{self._title}: the token {values[place]} at position [{', '.join(map(str, place))}] is not in "
                f"the vocabulary of {self.num_embeddings}: it must be from 0 to {self.num_embeddings - 1}; "
                f"{int(outside.sum())} of {values.size} tokens are outside. {advice}"
            )

    def attend(self, x: Tensor) -> Tensor:
        """Scores of all tokens, x @ weight^T: (.., embedding_dim) -> (.., num_embeddings). The output layer
        with tied weights of Press and Wolf (2017)."""
        return _scores(self._title, x, self.weight)

    def as_linear(self) -> "TiedLinear":
        """A layer without bias that shares this weight: stored and trained once."""
        return TiedLinear(self.weight)

    @property
    def _title(self) -> str:
        return f"Embedding({self.num_embeddings}, {self.embedding_dim})"

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "padding_idx": self.padding_idx,
        }

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx {self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class TiedLinear(Module):
    """x @ weight^T with the weight (out, in) of an Embedding, which stays the owner's."""

    def __init__(self, weight: Tensor):
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        n_out, n_in = self.weight.shape
        return _scores(f"TiedLinear({n_in} -> {n_out})", x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]} -> {self.weight.shape[0]}, tied"


def _scores(title: str, x: Tensor, weight: Tensor) -> Tensor:
    if x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"{title} got shape {tuple(x.shape)} to score its tokens: the last axis must be {weight.shape[1]}."
        )
    return x @ weight.mT
