"""GPT: a Transformer that reads text from left to right and scores what comes next, in GPT-2's layout.

Learned positions, norms before each branch, one linear layer for queries, keys and values, GELU in its tanh
form, an output layer that shares the embedding's weight. Names are those of GPT-2's files (pretrained.py).
Radford et al. (2019), Language models are unsupervised multitask learners; sizes as nanoGPT has them."""

import math
from collections.abc import Sequence
from typing import Any

from .. import nn
from ..base import dtypes
from ..base.errors import ShapeError
from ..nn import init as initial
from ..tensor import functions as F
from ..tensor.attention import attention, attention_weights
from ..tensor.tensor import Tensor, as_tensor
from .model import Stack, chance, divides, normal_weights, whole
from .pretrained import Pretrained

# B batch, T time, E n_embd, H heads, D = E / H features of a head


class Attention(nn.Module):
    """Causal self-attention; queries, keys and values come from one linear layer, c_attn."""

    def __init__(self, width: int, n_head: int, dropout: float, bias: bool, dtype: Any):
        self.n_head, self.dropout = n_head, dropout
        self.c_attn = nn.Linear(width, 3 * width, bias, dtype=dtype)
        self.c_proj = nn.Linear(width, width, bias, dtype=dtype)
        self.resid_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: nn.KVCache | None = None) -> Tensor:
        B, T, E = x.shape
        q, k, v = self._heads(x)
        before: int | Tensor = 0
        if cache is not None:
            k, v, before = cache.append(k, v)
        dropout = self.dropout if self.training else 0.0
        y = attention(q, k, v, causal=True, dropout=dropout, offset=before)
        return self.resid_dropout(self.c_proj(y.permute(0, 2, 1, 3).reshape(B, T, E)))

    def weights(self, x: Tensor) -> Tensor:
        """(B, H, T, T) how much each place takes of itself and of each before it; rows sum to 1."""
        q, k, _ = self._heads(x)
        return attention_weights(q, k, causal=True)

    def _heads(self, x: Tensor) -> list[Tensor]:
        """Queries, keys and values, (B, H, T, D) each."""
        B, T, E = x.shape
        return [
            part.reshape(B, T, self.n_head, E // self.n_head).permute(0, 2, 1, 3)
            for part in F.split(self.c_attn(x), E, -1)
        ]


class FeedForward(nn.Module):
    """Two linear layers with GELU between, on each place alone."""

    def __init__(self, width: int, inner: int, dropout: float, bias: bool, dtype: Any):
        self.c_fc = nn.Linear(width, inner, bias, dtype=dtype)
        self.c_proj = nn.Linear(inner, width, bias, dtype=dtype)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.c_proj(F.gelu(self.c_fc(x), "tanh")))


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(
        self,
        width: int,
        n_head: int,
        inner: int,
        dropout: float,
        bias: bool,
        eps: float,
        dtype: Any,
    ):
        self.ln_1 = nn.LayerNorm(width, eps, bias=bias, dtype=dtype)
        self.attn = Attention(width, n_head, dropout, bias, dtype)
        self.ln_2 = nn.LayerNorm(width, eps, bias=bias, dtype=dtype)
        self.mlp = FeedForward(width, inner, dropout, bias, dtype)

    def forward(self, x: Tensor, cache: nn.KVCache | None = None) -> Tensor:
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


class Memory:
    """Keys and values of the tokens so far, one cache for each layer; `capacity` tokens at most."""

    def __init__(self, caches: Sequence[nn.KVCache]):
        self.caches = caches
        self.capacity: int | None = caches[0].capacity

    def reset(self) -> None:
        """Forget everything."""
        self.rewind(0)

    def rewind(self, n_tokens: int) -> None:
        """Keep the first n_tokens only."""
        for cache in self.caches:
            cache.position.assign(n_tokens)


class GPT(Pretrained):
    """Scores of the next token at every place.

    tokens       (B, T) integers below vocab_size, T at most n_positions
    memory       what memory() gave: earlier tokens are read there, the new ones are added
    n_positions  the longest text that it can look at
    n_embd, n_layer, n_head  width, blocks, attention heads
    n_inner      width inside the feed-forward network; 4 * n_embd when left out
    bias         whether linear layers and norms have one (nanoGPT: False)
    tied         whether the output layer is the embedding's weight
    returns      (B, T, vocab_size) scores

    Defaults are GPT-2's smallest, 124 million weights. They begin N(0, 0.02^2); the two layers that end in
    the residual stream 1 / sqrt(2 n_layer) of that."""

    def __init__(
        self,
        vocab_size: int = 50257,
        n_positions: int = 1024,
        n_embd: int = 768,
        n_layer: int = 12,
        n_head: int = 12,
        n_inner: int | None = None,
        dropout: float = 0.1,
        bias: bool = True,
        tied: bool = True,
        eps: float = 1e-5,
        dtype: Any = dtypes.float32,
    ):
        self.vocab_size, self.n_positions, self.n_embd = whole(
            self, vocab_size=vocab_size, n_positions=n_positions, n_embd=n_embd
        )
        self.n_layer, self.n_head = whole(self, n_layer=n_layer, n_head=n_head)
        [self.n_inner] = whole(self, n_inner=4 * n_embd if n_inner is None else n_inner)
        [self.dropout] = chance(self, dropout=dropout)
        divides(self, "n_head", "n_embd")
        self.bias, self.tied, self.eps = bool(bias), bool(tied), float(eps)
        self.wte = nn.Embedding(vocab_size, n_embd, dtype=dtype)
        self.wpe = nn.LearnedPositions(n_embd, n_positions, dtype=dtype)
        self.drop = nn.Dropout(dropout)
        self.h = Stack(
            *[
                Block(n_embd, n_head, self.n_inner, dropout, bias, eps, dtype)
                for _ in range(n_layer)
            ]
        )
        self.ln_f = nn.LayerNorm(n_embd, eps, bias=bias, dtype=dtype)
        if not tied:
            self.lm_head = nn.Linear(n_embd, vocab_size, bias=False, dtype=dtype)
        normal_weights(self, 0.02)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                std = 0.02 / math.sqrt(2 * n_layer)
                p.assign(Tensor(initial.normal(p.shape, std, p.dtype)))

    def memory(self, batch_size: int = 1, capacity: int | None = None) -> Memory:
        """An empty memory for generation, for n_positions tokens or `capacity`."""
        size = self.n_embd // self.n_head
        n = self.n_positions if capacity is None else capacity
        if n > self.n_positions:
            raise ShapeError(
                f"GPT: a memory of {n} tokens is longer than the {self.n_positions} positions it has learned. "
                f"Use capacity={self.n_positions} or less."
            )
        dtype = self.wte.weight.dtype
        return Memory([nn.KVCache(batch_size, self.n_head, n, size, dtype) for _ in self.h])

    def forward(self, tokens: Tensor, memory: Memory | None = None) -> Tensor:
        tokens = as_tensor(tokens)
        if memory is None:
            x = self.h(self.drop(self.wpe(self.wte(tokens))))
        else:
            # A copy: the caches move their positions on below.
            before = memory.caches[0].position + 0
            x = self.drop(self.wpe(self.wte(tokens), before))
            x = self.h(x, each=memory.caches)
        x = self.ln_f(x)
        return self.wte.attend(x) if self.tied else self.lm_head(x)

    def attention_maps(self, tokens: Tensor) -> list[Tensor]:
        """Of each block (B, H, T, T): how much each place takes of itself and of each before it, in prediction."""
        x, found = self.drop(self.wpe(self.wte(as_tensor(tokens)))), []
        block: Any
        for block in self.h:
            found.append(block.attn.weights(block.ln_1(x)))
            x = block(x)
        return found
