"""Transformer blocks: encoder and decoder layers, stacks of them, and both together.

Names, defaults and the order of operations are PyTorch's; sequences are (B, T, E). Vaswani et al. (2017);
norm_first is the pre-norm form of Xiong et al. (2020)."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.tensor import Tensor, as_tensor
from . import init as initial
from .activation import ACTIVATIONS, Activation
from .activation import activation as activation_named
from .attention import KVCache, MultiheadAttention
from .container import Sequential
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .norm import LayerNorm
from .recurrent import check_batch_first

# B batch, T length of the target, S length of the source, E d_model


class Block(Module):
    """Base of the two layers: what they have in common; not used alone."""

    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention
    _attentions: tuple[str, ...] = ("self_attn",)

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = True,
        norm_first: bool = False,
        bias: bool = True,
        num_kv_heads: int | None = None,
        rotary: bool = False,
        dtype: Any = dtypes.float32,
    ):
        kind = type(self).__name__
        check_batch_first(kind, batch_first)
        self._config = {
            "d_model": d_model,
            "nhead": nhead,
            "dim_feedforward": dim_feedforward,
            "dropout": dropout,
            "activation": _name_of(kind, activation),
            "layer_norm_eps": layer_norm_eps,
            "norm_first": bool(norm_first),
            "bias": bool(bias),
            "num_kv_heads": num_kv_heads,
            "rotary": bool(rotary),
        }
        self.norm_first = bool(norm_first)
        for name in self._attentions:
            own = name == "self_attn"  # places are those of the target: memory has others
            setattr(
                self,
                name,
                MultiheadAttention(
                    d_model, nhead, dropout, bias, None, None, num_kv_heads, rotary and own,
                    dtype=dtype,
                ),
            )  # fmt: skip
        self.linear1 = Linear(d_model, dim_feedforward, bias, init="torch", dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, init="torch", dtype=dtype)
        for i in range(len(self._attentions) + 1):
            setattr(
                self, f"norm{i + 1}", LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
            )
        for i in range(len(self._attentions) + 1):
            setattr(self, f"dropout{i + 1}", Dropout(dropout))
        self.activation = (
            activation_named(activation) if isinstance(activation, str) else activation
        )

    def cache(self, batch_size: int, capacity: int) -> KVCache:
        """An empty cache of the self-attention, for generation of up to `capacity` steps."""
        return self.self_attn.cache(batch_size, capacity)

    def _add(self, x: Tensor, number: int, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """x + branch(norm(x)), or norm(x + branch(x)); with the norm and dropout of this number."""
        norm, drop = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        if self.norm_first:
            return x + drop(branch(norm(x)))
        return norm(x + drop(branch(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return dict(self._config)

    def fresh(self) -> "Block":
        """Another layer of the same form, with initial weights of its own."""
        made: Any = type(self)  # both subclasses take what config() gives
        return made(**self._config, dtype=self.linear1.weight.dtype)

    def extra_repr(self) -> str:
        c = self._config
        order = "pre-norm" if self.norm_first else "post-norm"
        return f"{c['d_model']}, {c['nhead']} heads, {c['dim_feedforward']}, {c['activation']}, {order}"


class TransformerEncoderLayer(Block):
    """Self-attention, then a feed-forward network of two layers, each with a residual connection and a norm.

    d_model, nhead   features and attention heads
    dim_feedforward  width between linear1 and linear2
    dropout          on attention weights, inside the feed-forward network and on both branches
    activation       'relu', 'gelu' or another name of nn.ACTIVATIONS, or a module
    norm_first       norm before each branch, else after the sum
    num_kv_heads, rotary  as MultiheadAttention has them

    Parts: self_attn, linear1, dropout, linear2, norm1, norm2, dropout1, dropout2."""

    def forward(
        self,
        src: Tensor,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
        cache: KVCache | None = None,
    ) -> Tensor:
        """src (B, S, E) -> (B, S, E). Masks and cache as MultiheadAttention has them: True is left out."""

        def attention(x: Tensor) -> Tensor:
            y, _ = self.self_attn(
                x, None, None, src_key_padding_mask, False, src_mask, True, is_causal, cache
            )
            return y

        return self._add(self._add(src, 1, attention), 2, self._feed_forward)


class TransformerDecoderLayer(Block):
    """Self-attention, attention to the encoder's output, then a feed-forward network; each with a residual
    connection and a norm. Arguments as TransformerEncoderLayer.

    Parts: self_attn, multihead_attn, linear1, dropout, linear2, norm1 to norm3, dropout1 to dropout3."""

    _attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        cache: KVCache | None = None,
    ) -> Tensor:
        """tgt (B, T, E), memory (B, S, E), the encoder's output -> (B, T, E).

        Masks as MultiheadAttention has them: True is left out. cache: of the self-attention."""

        def own(x: Tensor) -> Tensor:
            y, _ = self.self_attn(
                x, None, None, tgt_key_padding_mask, False, tgt_mask, True, tgt_is_causal, cache
            )
            return y

        def cross(x: Tensor) -> Tensor:
            y, _ = self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, False, memory_mask, True, memory_is_causal
            )  # fmt: skip
            return y

        return self._add(self._add(self._add(tgt, 1, own), 2, cross), 3, self._feed_forward)


class Stack(Module):
    """Base of the encoder and decoder: layers of one form, one after the other; not used alone."""

    def __init__(self, layer: Block, num_layers: int, norm: Module | None):
        kind = type(self).__name__
        if isinstance(num_layers, bool) or not isinstance(num_layers, int) or num_layers < 1:
            raise OptionError(
                f"{kind}: num_layers must be a whole number of 1 or more; got {num_layers!r}."
            )
        # The first is a copy of the layer given, as in PyTorch; there all are, and begin with equal weights.
        self.layers = Sequential(
            copy.deepcopy(layer), *(layer.fresh() for _ in range(num_layers - 1))
        )
        self.norm = norm

    def cache(self, batch_size: int, capacity: int) -> list[KVCache]:
        """Empty caches, one for each layer, for generation of up to `capacity` steps."""
        return [layer.cache(batch_size, capacity) for layer in self.layers]  # type: ignore[attr-defined]

    def _caches(self, cache: Sequence[KVCache] | None) -> Sequence[KVCache | None]:
        if cache is None:
            return [None] * len(self.layers)
        if len(cache) != len(self.layers):
            raise ShapeError(
                f"{type(self).__name__}: {len(cache)} caches for {len(self.layers)} layers: there must be one for "
                "each. Make them with cache(batch_size, capacity)."
            )
        return cache


class TransformerEncoder(Stack):
    """num_layers layers of the form of encoder_layer, then `norm` if it is given.

    src  (B, S, E); masks go to every layer; cache: one for each layer, from cache(batch_size, capacity)"""

    def __init__(
        self, encoder_layer: TransformerEncoderLayer, num_layers: int, norm: Module | None = None
    ):
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: Tensor,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
        cache: Sequence[KVCache] | None = None,
    ) -> Tensor:
        for layer, own in zip(self.layers, self._caches(cache), strict=True):
            src = layer(src, mask, src_key_padding_mask, is_causal, own)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Stack):
    """num_layers layers of the form of decoder_layer, then `norm` if it is given.

    tgt (B, T, E), memory (B, S, E); masks go to every layer; cache: one for each layer"""

    def __init__(
        self, decoder_layer: TransformerDecoderLayer, num_layers: int, norm: Module | None = None
    ):
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        cache: Sequence[KVCache] | None = None,
    ) -> Tensor:
        for layer, own in zip(self.layers, self._caches(cache), strict=True):
            tgt = layer(
                tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
                tgt_is_causal, memory_is_causal, own,
            )  # fmt: skip
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """Encoder and decoder, each with a norm at its end. Vaswani et al. (2017), figure 1, without embeddings.

    src      (B, S, E) to the encoder
    tgt      (B, T, E) to the decoder, which also reads the encoder's output
    returns  (B, T, E)
    Defaults are the paper's base model. Matrices begin by Glorot's even form, as in PyTorch."""

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = True,
        norm_first: bool = False,
        bias: bool = True,
        dtype: Any = dtypes.float32,
    ):
        options = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
        )  # fmt: skip
        self.encoder = TransformerEncoder(
            TransformerEncoderLayer(*options, dtype=dtype),
            num_encoder_layers,
            LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype),
        )
        self.decoder = TransformerDecoder(
            TransformerDecoderLayer(*options, dtype=dtype),
            num_decoder_layers,
            LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype),
        )
        for p in self.parameters():
            if p.ndim > 1:
                p.assign(initial.xavier_uniform(p.shape, dtype=dtype))
        self.d_model, self.nhead = d_model, nhead
        self._config = {
            **self.encoder.layers[0].config(),
            "num_encoder_layers": num_encoder_layers,
            "num_decoder_layers": num_decoder_layers,
        }
        del self._config["num_kv_heads"], self._config["rotary"]

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool = False,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        src, tgt = as_tensor(src), as_tensor(tgt)
        for name, x in (("src", src), ("tgt", tgt)):
            if x.ndim != 3 or x.shape[2] != self.d_model:
                raise ShapeError(
                    f"Transformer({self.d_model}): {name} has shape {tuple(x.shape)}; it must be (batch, time, "
                    f"{self.d_model})."
                )
        if src.shape[0] != tgt.shape[0]:
            raise ShapeError(
                f"Transformer({self.d_model}): src has {src.shape[0]} sequences, tgt {tgt.shape[0]}: they must be "
                "pairs."
            )
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
            tgt_is_causal, memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(size: int, dtype: Any = dtypes.float32) -> Tensor:
        """(size, size) with 0 up to the diagonal and -inf above it. `is_causal=True` needs no such array."""
        return F.triu(F.full((size, size), -np.inf, dtype), 1)

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return dict(self._config)


def _name_of(kind: str, activation: str | Activation) -> str:
    """The name under which a module is found again; the first one of nn.ACTIVATIONS."""
    if isinstance(activation, str):
        return activation
    if isinstance(activation, Activation):
        for name, made in ACTIVATIONS.items():
            if type(activation) is made:
                return name
    raise OptionError(
        f"{kind}: activation {activation!r} is neither a name nor a module of nn.ACTIVATIONS; use 'relu' or 'gelu'."
    )
