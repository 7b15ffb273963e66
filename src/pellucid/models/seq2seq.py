"""Seq2Seq: one sequence in, another out: the Transformer as it was first described.

Vaswani et al. (2017), Attention is all you need, figure 1"""

import math
from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..tensor.tensor import Tensor, as_tensor
from .gpt import Memory
from .model import Model, chance, divides, whole

# B batch, S source length, T target length, E d_model


class Seq2Seq(Model):
    """Scores of the next target token at every place, from the source and the target so far.

    source      (B, S) integers below source_vocab
    target      (B, T) integers below target_vocab: what was said so far, beginning with a start token
    padding     the token that fills up short sequences; nobody looks at it
    norm_first  norms before each branch: learns without a warm-up. The paper's come after
    max_len     longest source or target
    returns     (B, T, target_vocab) scores

    Embeddings are multiplied by sqrt(d_model) and begin N(0, 1 / d_model), so that they are as large as
    the sinusoidal positions (section 3.4). The output layer has its own weights."""

    def __init__(
        self,
        source_vocab: int,
        target_vocab: int,
        d_model: int = 128,
        nhead: int = 4,
        num_encoder_layers: int = 2,
        num_decoder_layers: int = 2,
        dim_feedforward: int = 512,
        dropout: float = 0.1,
        max_len: int = 512,
        padding: int | None = None,
        norm_first: bool = True,
        dtype: Any = dtypes.float32,
    ):
        self.source_vocab, self.target_vocab, self.d_model = whole(
            self, source_vocab=source_vocab, target_vocab=target_vocab, d_model=d_model
        )
        self.nhead, self.num_encoder_layers = whole(
            self, nhead=nhead, num_encoder_layers=num_encoder_layers
        )
        self.num_decoder_layers, self.dim_feedforward = whole(
            self, num_decoder_layers=num_decoder_layers, dim_feedforward=dim_feedforward
        )
        [self.max_len] = whole(self, max_len=max_len)
        [self.dropout] = chance(self, dropout=dropout)
        divides(self, "nhead", "d_model")
        if padding is not None and not 0 <= padding < min(source_vocab, target_vocab):
            raise OptionError(
                f"Seq2Seq: padding {padding!r} must be a token of both vocabularies, 0 to "
                f"{min(source_vocab, target_vocab) - 1}."
            )
        self.padding, self.norm_first = padding, bool(norm_first)
        self.source = nn.Embedding(source_vocab, d_model, padding, dtype=dtype)
        self.target = nn.Embedding(target_vocab, d_model, padding, dtype=dtype)
        for table in (self.source, self.target):
            table.weight.assign(table.weight / math.sqrt(d_model))
        self.positions = nn.SinusoidalPositions(d_model, max_len, dtype=dtype)
        self.drop = nn.Dropout(dropout)
        self.transformer = nn.Transformer(
            d_model, nhead, num_encoder_layers, num_decoder_layers, dim_feedforward, dropout,
            norm_first=norm_first, dtype=dtype,
        )  # fmt: skip
        self.head = nn.Linear(d_model, target_vocab, init="torch", dtype=dtype)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor | None]:
        """(what the encoder makes of the source (B, S, E), which of it is padding (B, S))."""
        source = as_tensor(source)
        hidden = None if self.padding is None else source == self.padding
        x = self._embedded(self.source, source)
        return self.transformer.encoder(x, None, hidden), hidden

    def decode(
        self,
        target: Tensor,
        encoded: Tensor,
        hidden: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """Scores (B, T, target_vocab) from what encode() gave; memory: of the target tokens before."""
        target = as_tensor(target)
        # A copy: the caches move their positions on below.
        before = 0 if memory is None else memory.caches[0].position + 0
        # Padding at the target's end needs no mask: a causal place never sees what comes after it.
        x = self.transformer.decoder(
            self._embedded(self.target, target, before),
            encoded,
            memory_key_padding_mask=hidden,
            tgt_is_causal=True,
            cache=None if memory is None else memory.caches,
        )
        return self.head(x)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.decode(target, *self.encode(source))

    def writer(self, source: Tensor) -> "Writer":
        """What generate.py writes a target with: generate(model.writer(source), start, n)."""
        return Writer(self, source)

    def _embedded(self, table: nn.Embedding, tokens: Tensor, before: int | Tensor = 0) -> Tensor:
        return self.drop(self.positions(table(tokens) * math.sqrt(self.d_model), before))


class Writer:
    """A Seq2Seq that has read its source and writes the target: a language model for generate.py.

    source  (B, S): one for each sequence that is written"""

    def __init__(self, model: Seq2Seq, source: Tensor):
        self.model, self.vocab_size = model, model.target_vocab
        was_training = model.training
        model.eval()
        self.encoded, self.hidden = model.encode(source)
        self.encoded.realize()
        model.train(was_training)

    @property
    def training(self) -> bool:
        """The model's mode."""
        return self.model.training

    def eval(self) -> Seq2Seq:
        """Puts the model in evaluation mode."""
        return self.model.eval()

    def train(self, mode: bool = True) -> Seq2Seq:
        """Puts the model in this mode."""
        return self.model.train(mode)

    def memory(self, batch_size: int) -> Memory:
        """An empty memory of the target, for max_len tokens."""
        if batch_size != self.encoded.shape[0]:
            raise ShapeError(
                f"Seq2Seq has read {self.encoded.shape[0]} sources, and {batch_size} targets are to be written: give "
                "one start for each source."
            )
        return Memory(self.model.transformer.decoder.cache(batch_size, self.model.max_len))

    def __call__(self, tokens: Tensor, memory: Memory) -> Tensor:
        return self.model.decode(tokens, self.encoded, self.hidden, memory)
