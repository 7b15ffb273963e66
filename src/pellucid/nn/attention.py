"""MultiheadAttention, and the cache of keys and values that generation keeps."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import DTypeError, OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.attention import (
    attend,
    check_dropout,
    check_rows,
    known_values,
)
from ..tensor.create import is_tracing
from ..tensor.tensor import Tensor, as_tensor
from . import init as initial
from .linear import Linear
from .module import Module
from .positions import RotaryPositions
from .recurrent import check_batch_first

# B batch, H query heads, G key heads, T queries, S keys, E embed_dim, D = E / H features of a head


class KVCache:
    """Keys and values of the steps so far, in buffers of a fixed size: each new step is the same program.

    keys, values  (B, G, capacity, D); rows from `position` on are not used yet
    position      () int64, how many steps they hold

    `append` writes at the position and moves it on; in a compiled function that happens whenever it runs,
    where the position is not known beforehand: ask `room` before."""

    def __init__(
        self,
        batch_size: int,
        num_kv_heads: int,
        capacity: int,
        head_dim: int,
        dtype: Any = dtypes.float32,
    ):
        self.capacity = capacity
        shape = (batch_size, num_kv_heads, capacity, head_dim)
        self.keys = Tensor(np.zeros(shape, dtypes.of(dtype).numpy))
        self.values = Tensor(np.zeros(shape, dtypes.of(dtype).numpy))
        self.position = Tensor(np.zeros((), np.int64))

    @property
    def room(self) -> int:
        """How many steps still fit."""
        return self.capacity - int(self.position.item())

    def reset(self) -> None:
        """Begin again with an empty cache."""
        self.position.assign(0)

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All keys and values after writing (B, G, T, D) at the position, and the position before."""
        full = self.keys.shape
        if keys.shape[:2] != full[:2] or keys.shape[3] != full[3]:
            raise ShapeError(
                f"the cache holds (batch, heads, capacity, features) = {tuple(full)}, the new keys are "
                f"{tuple(keys.shape)}: all but the third size must be equal. Make a cache for this batch."
            )
        n = keys.shape[2]
        if n > (self.capacity if is_tracing() else self.room):
            have = "" if is_tracing() else f" and holds {self.capacity - self.room}"
            raise ShapeError(
                f"the cache has a capacity of {self.capacity} steps{have}; {n} more do not fit. Make it larger, "
                "or reset() it."
            )
        # A copy: the counter is overwritten below, an expression keeps the value before.
        start = self.position + 0
        places = F.arange(self.capacity)
        is_new = ((places >= start) & (places < start + n)).reshape(1, 1, self.capacity, 1)
        kept = []
        for buffer, new in ((self.keys, keys), (self.values, values)):
            if n > 1:
                new = F.take(new, (places - start).clip(0, n - 1), 2)
            kept.append(F.where(is_new, new.astype(buffer.dtype), buffer))
            buffer.assign(kept[-1])
        self.position.assign(start + n)
        return kept[0], kept[1], start


class MultiheadAttention(Module):
    """Several attentions side by side, each over its own part of the features.

    embed_dim     E, features of queries and output
    num_heads     H, divides E
    dropout       chance that an attention weight is zeroed, in training
    bias          whether the four projections have one
    kdim, vdim    features of keys and values, E when left out
    num_kv_heads  G key heads, each for H / G query heads (Ainslie et al. 2023); H when left out
    rotary        whether queries and keys are turned by RotaryPositions, up to max_len places

    in_proj_weight (E, E + 2 G D), in_proj_bias (E + 2 G D,): queries, keys, values side by side; with kdim or
    vdim q_proj_weight (E, E), k_proj_weight (kdim, G D), v_proj_weight (vdim, G D). out_proj a Linear.
    Vaswani et al. (2017), section 3.2.2. Masks mean what they mean in PyTorch's layer: True is left out."""

    layouts: Mapping = {
        "in_proj_weight": (1, 0),
        "q_proj_weight": (1, 0),
        "k_proj_weight": (1, 0),
        "v_proj_weight": (1, 0),
    }
    q_proj_weight: Tensor
    k_proj_weight: Tensor
    v_proj_weight: Tensor

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        num_kv_heads: int | None = None,
        rotary: bool = False,
        max_len: int = 4096,
        batch_first: bool = True,
        dtype: Any = dtypes.float32,
    ):
        kind = "MultiheadAttention"
        check_batch_first(kind, batch_first)
        check_dropout(kind, dropout)
        given = {
            "embed_dim": embed_dim,
            "num_heads": num_heads,
            "kdim": embed_dim if kdim is None else kdim,
            "vdim": embed_dim if vdim is None else vdim,
            "num_kv_heads": num_heads if num_kv_heads is None else num_kv_heads,
        }
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise OptionError(
                    f"{kind}: {name} must be a whole number of 1 or more; got {value!r}."
                )
        self.embed_dim, self.num_heads = int(embed_dim), int(num_heads)
        self.kdim, self.vdim = int(given["kdim"]), int(given["vdim"])
        self.num_kv_heads = int(given["num_kv_heads"])
        if embed_dim % num_heads:
            raise OptionError(
                f"{kind}: {num_heads} heads must divide embed_dim {embed_dim}; use "
                f"{_nearest_divisor(self.embed_dim, self.num_heads)} heads, or embed_dim "
                f"{-(-self.embed_dim // self.num_heads) * self.num_heads}."
            )
        if num_heads % self.num_kv_heads:
            raise OptionError(
                f"{kind}: num_kv_heads {self.num_kv_heads} must divide num_heads {num_heads}; use "
                f"{_nearest_divisor(self.num_heads, self.num_kv_heads)}."
            )
        self.head_dim = self.embed_dim // self.num_heads
        self.dropout, self.bias = float(dropout), bool(bias)
        e, g = self.embed_dim, self.num_kv_heads * self.head_dim
        if self.kdim == self.vdim == e:
            self.in_proj_weight = Tensor.parameter(initial.torch_attention((e, e + 2 * g), dtype))
        else:
            for name, size, n in (("q", e, e), ("k", self.kdim, g), ("v", self.vdim, g)):
                weight = initial.torch_attention((size, n), dtype)
                setattr(self, f"{name}_proj_weight", Tensor.parameter(weight))
        if self.bias:
            self.in_proj_bias = Tensor.parameter(initial.zeros((e + 2 * g,), dtype))
        self.out_proj = Linear(e, e, self.bias, init="torch", dtype=dtype)
        if self.out_proj.bias is not None:
            self.out_proj.bias.assign(0.0)
        self.rotary = RotaryPositions(self.head_dim, max_len, dtype=dtype) if rotary else None

    def cache(self, batch_size: int, capacity: int) -> KVCache:
        """An empty cache for generation of up to `capacity` steps."""
        dtype = self.out_proj.weight.dtype
        return KVCache(batch_size, self.num_kv_heads, capacity, self.head_dim, dtype)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        cache: KVCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """(output, weights).

        query             (B, T, E), or (T, E) without a batch
        key, value        (B, S, kdim), (B, S, vdim); the query when left out; value: the key
        key_padding_mask  (B, S) bool, True: nobody sees this key; or numbers added to its scores
        attn_mask         (T, S), (B * H, T, S) as PyTorch has it, or (B or 1, H or 1, T, S); bool, True: this
                          query does not see this key; or numbers added to the scores
        need_weights      whether to return the weights: nothing is computed before they are looked at.
                          Above 1,024 x 1,024 scores a head those are the weights before dropout
        average_attn_weights  the mean of all heads (B, T, S), else each (B, H, T, S)
        is_causal         query i sees keys 0 to i
        cache             earlier keys and values: the new ones are appended, and each step sees all up to
                          itself; key_padding_mask then has the capacity's size

        A query that may see no key is a ShapeError where the masks are known, and gives zeros (before
        out_proj) in a compiled function. Queries that are padding themselves are not asked."""
        query = as_tensor(query)
        key = query if key is None else as_tensor(key)
        value = key if value is None else as_tensor(value)
        is_single = query.ndim == 2
        if is_single:
            query, key, value = (
                (query.unsqueeze(0),) * 3
                if key is query and value is query
                else (x.unsqueeze(0) for x in (query, key, value))
            )
            if key_padding_mask is not None:
                key_padding_mask = as_tensor(key_padding_mask).unsqueeze(0)
        self._check_input(query, key, value)
        q, k, v = self._projected(query, key, value)
        offset: int | Tensor = 0
        if cache is not None:
            start: int | Tensor = cache.position + 0 if is_tracing() else int(cache.position.item())
            if self.rotary is not None:
                q, k = self.rotary(q, start), self.rotary(k, start)
            k, v, offset = cache.append(k, v)
            is_causal = True
        elif self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)
        is_self = key is query
        mask = self._mask(q, k, key_padding_mask, attn_mask, is_causal, offset, is_self)
        p = self.dropout if self.training else 0.0
        out, weights = attend(q, k, v, mask, is_causal, None, p, offset, need_weights)
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        b, h, t, d = out.shape
        y = self.out_proj(out.permute(0, 2, 1, 3).reshape(b, t, h * d))
        if is_single:
            return y[0], None if weights is None else weights[0]
        return y, weights

    # ---- its parts

    def _projected(
        self, query: Tensor, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, D), keys and values (B, G, S, D)."""
        e, g = self.embed_dim, self.num_kv_heads * self.head_dim
        bias = self.in_proj_bias if self.bias else None
        if self.kdim == self.vdim == e:
            weight = self.in_proj_weight
            if key is query and value is query:
                y = query @ weight
                parts = F.split(y if bias is None else y + bias, [e, g, g], -1)
                return self._heads(parts[0]), self._heads(parts[1]), self._heads(parts[2])
            weights = F.split(weight, [e, g, g], -1)
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        made = [x @ w for x, w in zip((query, key, value), weights, strict=True)]
        if bias is not None:
            made = [y + b for y, b in zip(made, F.split(bias, [e, g, g], 0), strict=True)]
        return self._heads(made[0]), self._heads(made[1]), self._heads(made[2])

    def _heads(self, x: Tensor) -> Tensor:
        b, t, n = x.shape
        return x.reshape(b, t, n // self.head_dim, self.head_dim).permute(0, 2, 1, 3)

    def _mask(
        self,
        q: Tensor,
        k: Tensor,
        key_padding_mask: Any,
        attn_mask: Any,
        is_causal: bool,
        offset: int | Tensor,
        is_self: bool,
    ) -> Tensor | None:
        """Both masks as one, in the form of attention(): bool with True for what may be seen, or numbers."""
        b, h, t, _ = q.shape
        s = k.shape[2]
        padding, known = None, None
        if key_padding_mask is not None:
            known = known_values(key_padding_mask)
            padding = self._visible("key_padding_mask", key_padding_mask, q.dtype)
            if padding.shape != (b, s):
                raise ShapeError(
                    f"{self._title}: key_padding_mask has shape {tuple(padding.shape)}; it must be (batch, keys) = "
                    f"({b}, {s})."
                )
            padding = padding.reshape(b, 1, 1, s)
        own = None
        if attn_mask is not None:
            own = self._visible("attn_mask", attn_mask, q.dtype)
            possible = {(t, s): (1, 1, t, s), (b * h, t, s): (b, h, t, s)}
            full = possible.get(own.shape, own.shape)
            if len(full) != 4 or any(
                m not in (1, d) for m, d in zip(full, (b, h, t, s), strict=True)
            ):
                raise ShapeError(
                    f"{self._title}: attn_mask has shape {tuple(own.shape)}; it must be (queries, keys) = ({t}, {s}), "
                    f"(batch * heads, queries, keys) = ({b * h}, {t}, {s}), or four axes that stretch to "
                    f"{(b, h, t, s)}."
                )
            own = own.reshape(full)
        mask = _both(padding, own)
        if known is not None:
            known = known if known.dtype == bool else known == -np.inf
            blind = known.all(1)
            if s and blind.any():
                raise ShapeError(
                    f"{self._title}: key_padding_mask leaves out all {s} keys of batch entry "
                    f"{int(np.flatnonzero(blind)[0])} ({int(blind.sum())} of {b} entries): nothing is left to attend "
                    "to. Keep one key of each entry (False), or take the entry out of the batch."
                )
        ignored = known if is_self and t == s else None
        check_rows(self._title, mask, t, s, is_causal, offset, ignored)
        return mask

    def _visible(self, name: str, mask: Any, dtype: dtypes.DType) -> Tensor:
        mask = as_tensor(mask)
        if mask.dtype.kind == "i":
            raise DTypeError(
                f"{self._title}: {name} is {mask.dtype}; it must be bool (True: left out) or floats that are added "
                "to the scores. Use astype(bool)."
            )
        return ~mask if mask.dtype.kind == "b" else mask.astype(dtype)

    def _check_input(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        for name, x, size in (
            ("query", query, self.embed_dim),
            ("key", key, self.kdim),
            ("value", value, self.vdim),
        ):
            if x.ndim != 3 or x.shape[2] != size:
                raise ShapeError(
                    f"{self._title}: {name} has shape {tuple(x.shape)}; it must be (batch, time, {size})."
                    + (
                        f" For {x.shape[-1]} features make it with that size."
                        if x.ndim == 3
                        else ""
                    )
                )
        if key.shape[:2] != value.shape[:2] or key.shape[0] != query.shape[0]:
            raise ShapeError(
                f"{self._title}: query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}: all "
                "need one batch size, key and value one length."
            )

    @property
    def _title(self) -> str:
        return f"MultiheadAttention({self.embed_dim}, {self.num_heads})"

    def config(self) -> dict:
        """Constructor arguments, as model.json stores them."""
        return {
            "embed_dim": self.embed_dim,
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "bias": self.bias,
            "kdim": self.kdim,
            "vdim": self.vdim,
            "num_kv_heads": self.num_kv_heads,
            "rotary": self.rotary is not None,
            "max_len": 4096 if self.rotary is None else self.rotary.max_len,
        }

    def extra_repr(self) -> str:
        fewer = self.num_kv_heads < self.num_heads
        return (
            f"{self.embed_dim}, {self.num_heads} heads"
            + (f", {self.num_kv_heads} key heads" if fewer else "")
            + ("" if self.bias else ", no bias")
            + (f", dropout {self.dropout:g}" if self.dropout else "")
        )


def _both(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Two masks as one: bool where both are, else numbers, with -inf where a bool forbids."""
    if a is None or b is None:
        return b if a is None else a
    if a.dtype.kind == "b" and b.dtype.kind == "b":
        return a & b
    if a.dtype.kind == "b":
        return F.where(a, b, -np.inf)
    return F.where(b, a, -np.inf) if b.dtype.kind == "b" else a + b


def _nearest_divisor(n: int, wanted: int) -> int:
    return min((d for d in range(1, n + 1) if n % d == 0), key=lambda d: abs(d - wanted))
