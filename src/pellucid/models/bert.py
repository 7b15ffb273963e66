"""BERT: a Transformer that reads in both directions, trained to guess words that were masked.

Norms after each branch, learned positions, an embedding for each of two segments. Devlin et al. (2019),
BERT: Pre-training of deep bidirectional Transformers; the layout of its files is in pretrained.py."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.tensor import Tensor, as_tensor
from .model import Stack, chance, divides, normal_weights, whole
from .pretrained import Pretrained

# B batch, T time, E hidden_size, V vocab_size

IGNORED = -100  # the label of a place that is not guessed


class MaskedWordHead(nn.Module):
    """Scores of all words at every place: a linear layer, GELU, a norm, then the embedding's weight."""

    def __init__(self, width: int, vocab_size: int, eps: float, dtype: Any):
        self.dense = nn.Linear(width, width, dtype=dtype)
        self.norm = nn.LayerNorm(width, eps, dtype=dtype)
        self.bias = Tensor.parameter(nn.init.zeros((vocab_size,), dtype))

    def forward(self, x: Tensor, words: nn.Embedding) -> Tensor:
        return words.attend(self.norm(F.gelu(self.dense(x)))) + self.bias


class BERT(Pretrained):
    """Scores of the word at every place, from all words around it.

    tokens       (B, T) integers below vocab_size, T at most max_position_embeddings
    token_types  (B, T) segment of each token, 0 or 1; all 0 when left out
    mask         (B, T) True (or 1) at real tokens, False at padding; all real when left out
    pooler       whether there is a layer that sums up the first token, see pooled()
    next_sentence  whether there is a head that tells if the second segment follows the first
    returns      (B, T, vocab_size) scores

    Defaults are BERT base, 110 million weights, which begin N(0, 0.02^2)."""

    def __init__(
        self,
        vocab_size: int = 30522,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        dropout: float = 0.1,
        eps: float = 1e-12,
        pad_token_id: int | None = 0,
        pooler: bool = False,
        next_sentence: bool = False,
        dtype: Any = dtypes.float32,
    ):
        self.vocab_size, self.hidden_size = whole(
            self, vocab_size=vocab_size, hidden_size=hidden_size
        )
        self.num_hidden_layers, self.num_attention_heads = whole(
            self, num_hidden_layers=num_hidden_layers, num_attention_heads=num_attention_heads
        )
        self.intermediate_size, self.type_vocab_size = whole(
            self, intermediate_size=intermediate_size, type_vocab_size=type_vocab_size
        )
        [self.max_position_embeddings] = whole(
            self, max_position_embeddings=max_position_embeddings
        )
        [self.dropout] = chance(self, dropout=dropout)
        divides(self, "num_attention_heads", "hidden_size")
        if next_sentence and not pooler:
            raise OptionError("BERT: next_sentence reads what the pooler gives. Use pooler=True.")
        self.eps, self.pad_token_id = float(eps), pad_token_id
        self.pooler, self.next_sentence = bool(pooler), bool(next_sentence)
        n = hidden_size
        self.words = nn.Embedding(vocab_size, n, pad_token_id, dtype=dtype)
        self.positions = nn.LearnedPositions(n, max_position_embeddings, dtype=dtype)
        self.types = nn.Embedding(type_vocab_size, n, dtype=dtype)
        self.norm = nn.LayerNorm(n, eps, dtype=dtype)
        self.drop = nn.Dropout(dropout)
        self.layers = Stack(
            *[
                nn.TransformerEncoderLayer(
                    n, num_attention_heads, intermediate_size, dropout, "gelu", eps, dtype=dtype
                )
                for _ in range(num_hidden_layers)
            ]
        )
        if pooler:
            self.pool = nn.Linear(n, n, dtype=dtype)
        if next_sentence:
            self.follows = nn.Linear(n, 2, dtype=dtype)
        self.head = MaskedWordHead(n, vocab_size, eps, dtype)
        normal_weights(self, 0.02)

    def encode(self, tokens: Tensor, token_types: Any = None, mask: Any = None) -> Tensor:
        """A vector for every token, from all tokens of its sequence: (B, T, E)."""
        tokens = as_tensor(tokens)
        types = F.zeros(tokens.shape, tokens.dtype) if token_types is None else token_types
        hidden = None
        if mask is not None:
            mask = as_tensor(mask)
            if mask.shape != tokens.shape:
                raise ShapeError(
                    f"BERT: mask has shape {tuple(mask.shape)}, tokens {tuple(tokens.shape)}; they must be equal: "
                    "True at real tokens, False at padding."
                )
            hidden = mask == 0 if mask.dtype.kind != "b" else ~mask
        x = self.positions(self.words(tokens) + self.types(types))
        return self.layers(self.drop(self.norm(x)), src_key_padding_mask=hidden)

    def pooled(self, encoded: Tensor) -> Tensor:
        """The first token's vector after a layer with tanh, (B, E): what tasks about whole texts read."""
        if not self.pooler:
            raise OptionError("BERT was made without a pooler. Use pooler=True.")
        return self.pool(encoded[:, 0]).tanh()

    def forward(self, tokens: Tensor, token_types: Any = None, mask: Any = None) -> Tensor:
        return self.head(self.encode(tokens, token_types, mask), self.words)


def masked_word_loss(scores: Tensor, targets: Any) -> Tensor:
    """Mean cross-entropy at the places that are guessed, in nats.

    scores   (B, T, V)
    targets  (B, T) the words that stood there; -100 at places that are not guessed"""
    v = scores.shape[-1]
    return nn.cross_entropy(
        scores.reshape(-1, v), as_tensor(targets).reshape(-1), ignore_index=IGNORED
    )


def mask_words(
    tokens: Any,
    mask_token: int,
    vocab_size: int,
    seed: int,
    p: float = 0.15,
    special: Sequence[int] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of the masked-word task: (B, T) each.

    Of all places with a token that is not special, a share p is guessed: 80 % of these are replaced by
    mask_token, 10 % by a random word, 10 % stay. Targets are -100 elsewhere. If chance picks no place, one
    is taken, so that the loss is a number. The same seed gives the same places. Section 3.1."""
    tokens = np.asarray(tokens)
    if not 0 < p <= 1:
        raise OptionError(
            f"mask_words: p is the share that is guessed, above 0 and up to 1; got {p!r}."
        )
    possible = ~np.isin(tokens, list(special))
    if not possible.any():
        raise ShapeError(
            f"mask_words: all {tokens.size} tokens are special ones: there is nothing to guess."
        )
    # Philox's raw words are the same in every version of NumPy; 53 bits make an even number below 1.
    raw = np.random.Philox(seed).random_raw(3 * tokens.size).reshape(3, *tokens.shape)
    picked, how, word = (raw >> np.uint64(11)) * 2.0**-53
    chosen = possible & (picked < p)
    if not chosen.any():
        chosen = picked == picked[possible].min()
    targets = np.where(chosen, tokens, IGNORED)
    inputs = np.where(chosen & (how < 0.8), mask_token, tokens)
    inputs = np.where(chosen & (how >= 0.9), (word * vocab_size).astype(tokens.dtype), inputs)
    return inputs.astype(tokens.dtype), targets.astype(np.int64)
