"""Attention: each query takes a weighted mean of the values, softmax(scale * Q K^T + mask) V.

Takes queries (B, H, T, D), keys (B, G, S, D) and values (B, G, S, Dv), gives (B, H, T, Dv). With G < H
each key head serves H / G query heads (Ainslie et al. 2023, GQA). Scores of a short sequence are one
contraction; a long one is walked in blocks of queries, so that memory grows with T, not with T * S.
Source: Vaswani et al. (2017), section 3.2.1."""

import math
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import DTypeError, OptionError, ShapeError
from ..graph.infer import make
from . import functions as F
from . import random
from .create import is_tracing
from .scan import scan
from .tensor import Tensor, as_tensor, from_node

# B batch, H query heads, G key heads, T queries, S keys, D features of a head

LIMIT = 1024 * 1024  # scores of one head: above this many, blocks of queries
LIMIT_OF_ALL = 32 * LIMIT  # of all heads: 128 MiB that the backward pass would keep
BLOCK_SCORES = 256 * 1024  # scores of one head in a block: they stay in the second cache
BLOCK_SCORES_OF_ALL = 4 * 1024 * 1024
SMALLEST_BLOCK = 32


def attention(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    offset: int | Tensor = 0,
) -> Tensor:
    """softmax(scale * q k^T + mask) v.

    q        (B, H, T, D)
    k, v     (B, G, S, D) and (B, G, S, Dv); G divides H
    mask     bool, True where a query may see a key, or numbers that are added to the scores; of a shape
             that stretches to (B, H, T, S)
    causal   query i sees the keys 0 to i + offset only
    scale    1 / sqrt(D) when left out
    dropout  chance that a weight is zeroed (in training; the kept ones grow by 1 / (1 - dropout))
    offset   place of the first query among the keys, when earlier ones come from a cache
    returns  (B, H, T, Dv). A query that may see nothing gets zeros; where that is known before the program
             runs (the mask has its values and no function is being traced) it is a ShapeError."""
    q, k, v = as_tensor(q), as_tensor(k), as_tensor(v)
    check_shapes("attention", q, k, v)
    check_dropout("attention", dropout)
    mask = mask_of("attention", mask, q, k)
    check_rows("attention", mask, q.shape[2], k.shape[2], causal, offset)
    return attend(q, k, v, mask, causal, scale, dropout, offset)[0]


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    offset: int | Tensor = 0,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """attention() of what has been checked already (the mask has four axes), and its weights (B, H, T, S).

    The weights cost nothing until they are looked at. Dropout is in them, except above LIMIT, where the
    blocks draw it on their own."""
    t, s = q.shape[2], k.shape[2]
    scale = 1.0 / math.sqrt(q.shape[3]) if scale is None else float(scale)
    if q.size == 0 or k.size == 0 or v.size == 0:
        out = F.zeros((*q.shape[:3], v.shape[3]), q.dtype)
        return out, F.zeros((*q.shape[:3], s), q.dtype) if need_weights else None
    is_long = t * s > LIMIT or q.shape[0] * q.shape[1] * t * s > LIMIT_OF_ALL
    if is_long and t > SMALLEST_BLOCK:
        weights = attention_weights(q, k, mask, causal, scale, offset) if need_weights else None
        return _by_blocks(q, k, v, mask, causal, scale, dropout, offset), weights
    e, total = _exponentials(q, k, mask, causal, scale, offset)
    e = dropped(e, dropout)
    return _mean(e, total, v), e / total if need_weights else None


def attention_weights(
    q: Any,
    k: Any,
    mask: Any = None,
    causal: bool = False,
    scale: float | None = None,
    offset: int | Tensor = 0,
) -> Tensor:
    """How much each query takes of each key, (B, H, T, S): rows sum to 1. Arguments as attention()."""
    q, k = as_tensor(q), as_tensor(k)
    check_shapes("attention_weights", q, k, k)
    scale = 1.0 / math.sqrt(q.shape[3]) if scale is None else float(scale)
    if q.size == 0 or k.size == 0:
        return F.zeros((*q.shape[:3], k.shape[2]), q.dtype)
    mask = mask_of("attention_weights", mask, q, k)
    e, total = _exponentials(q, k, mask, causal, scale, offset)
    return e / total


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """attention() under PyTorch's names. enable_gqa allows fewer key heads than query heads."""
    query, key = as_tensor(query), as_tensor(key)
    heads, kv_heads = query.shape[1:2], key.shape[1:2]
    if not enable_gqa and heads != kv_heads and query.ndim == key.ndim == 4:
        raise ShapeError(
            f"scaled_dot_product_attention got {heads[0]} query heads and {kv_heads[0]} key heads: they must "
            "be equal. For key heads that serve several query heads use enable_gqa=True."
        )
    return attention(query, key, value, attn_mask, is_causal, scale, dropout_p)


# ---- the two forms


def _scores(q: Tensor, k: Tensor) -> Tensor:
    b, h, t, d = q.shape
    g = k.shape[1]
    if g == h:
        return F.einsum("bhtd,bhsd->bhts", q, k)
    grouped = q.reshape(b, g, h // g, t, d)
    return F.einsum("bgrtd,bgsd->bgrts", grouped, k).reshape(b, h, t, k.shape[2])


def _mean(e: Tensor, total: Tensor, v: Tensor) -> Tensor:
    """(B, H, T, S) weights times `total` (B, H, T, 1), of (B, G, S, D) values: (B, H, T, D).

    It lies in memory as (B, T, H, D): what comes next joins the heads, and need not copy. Divided after
    the contraction: D quotients a row instead of S, and only one array of scores for the backward pass."""
    b, h, t, s = e.shape
    g, d = v.shape[1], v.shape[3]
    if g == h:
        y = F.einsum("bhts,bhsd->bthd", e, v)
    else:
        grouped = e.reshape(b, g, h // g, t, s)
        y = F.einsum("bgrts,bgsd->btgrd", grouped, v).reshape(b, t, h, d)
    return (y / total.permute(0, 2, 1, 3)).permute(0, 2, 1, 3)


def _exponentials(
    q: Tensor, k: Tensor, mask: Tensor | None, causal: bool, scale: float, offset: int | Tensor
) -> tuple[Tensor, Tensor]:
    """exp(scores - the row's largest) and their sum: the weights are the quotient."""
    scores = _scores(q, k) * scale
    if causal:
        shape = (q.shape[2], k.shape[2])
        rows, columns = (from_node(make("iota", (), (shape, i, "int32"))) for i in (0, 1))
        if isinstance(offset, Tensor):
            rows = rows + offset.astype(dtypes.int32)
        elif offset:
            rows = rows + offset
        scores = F.where(columns <= rows, scores, -math.inf)
    if mask is not None:
        scores = F.where(mask, scores, -math.inf) if mask.dtype.kind == "b" else scores + mask
    highest = scores.max(-1, keepdims=True).detach()
    if mask is None:  # a causal row sees key 0 at least
        e = (scores - highest).exp()
        return e, e.sum(-1, keepdims=True)
    e = (scores - F.where(highest == -math.inf, 0.0, highest)).exp()
    total = e.sum(-1, keepdims=True)
    return e, F.where(total == 0.0, 1.0, total)  # nothing seen: 0 / 1


def _by_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    scale: float,
    dropout: float,
    offset: int | Tensor,
) -> Tensor:
    """As the short form, one block of queries after the other.

    A dropout mask is drawn from a key of its block: the backward pass draws it again."""
    b, h, t, d = q.shape
    s, dv = k.shape[2], v.shape[3]
    most = min(BLOCK_SCORES // s, BLOCK_SCORES_OF_ALL // (b * h * s), t)
    size = max(SMALLEST_BLOCK, most // 16 * 16)
    n = -(-t // size)
    more = n * size - t
    blocks = F.pad(q, [(0, 0), (0, 0), (0, more), (0, 0)]).reshape(b, h, n, size, d)
    xs: dict[str, Tensor] = {
        "q": blocks.permute(2, 0, 1, 3, 4),
        "first": F.arange(0, n * size, size) + offset,
    }
    if mask is not None and mask.shape[2] > 1:
        widths = [(0, 0), (0, 0), (0, more), (0, 0)]
        rows = F.pad(mask, widths, 1 if mask.dtype.kind == "b" else 0)
        rows = rows.reshape(*mask.shape[:2], n, size, mask.shape[3])
        xs["mask"] = rows.permute(2, 0, 1, 3, 4)
    if dropout:
        xs["key"] = random.randint(0, 2**24, n, 2)

    def step(carry: Any, x: dict[str, Tensor]) -> tuple[Any, Tensor]:
        e, total = _exponentials(x["q"], k, x.get("mask", mask), causal, scale, x["first"])
        if dropout:
            keep = from_node(make("random", (x["key"].node,), (e.shape,))) >= dropout
            e = _kept(e, keep, dropout)
        return carry, _mean(e, total, v).permute(0, 2, 1, 3)

    _, out = scan(step, (), xs)  # (n, B, size, H, Dv)
    joined = out.permute(1, 0, 2, 3, 4).reshape(b, n * size, h, dv)
    return joined[:, :t].permute(0, 2, 1, 3)


# ---- dropout


def dropped(x: Tensor, p: float) -> Tensor:
    """Each value zeroed with chance p, the kept ones divided by 1 - p."""
    return x if p == 0.0 else _kept(x, random.uniform(x.shape) >= p, p)


def _kept(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return x * 0.0 if p == 1.0 else F.where(keep, x * (1.0 / (1.0 - p)), 0.0)


# ---- what must fit


def check_dropout(name: str, p: Any) -> None:
    """OptionError unless p is a chance."""
    if isinstance(p, bool) or not 0.0 <= p <= 1.0:
        raise OptionError(
            f"{name}: dropout is the chance that a value is zeroed, 0 to 1; got {p!r}."
        )


def check_shapes(name: str, q: Tensor, k: Tensor, v: Tensor) -> None:
    """ShapeError unless q (B, H, T, D), k (B, G, S, D), v (B, G, S, Dv) belong together."""
    shapes = f"{name} got q {q.shape}, k {k.shape}, v {v.shape}"
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ShapeError(
            f"{shapes}: each needs four axes, (batch, heads, length, features). Split the features of "
            "(batch, length, features) into heads first, or use nn.MultiheadAttention."
        )
    if q.shape[0] != k.shape[0] or k.shape[:3] != v.shape[:3]:
        raise ShapeError(
            f"{shapes}: the batch must be equal, and k and v must have the same heads and length."
        )
    if q.shape[3] != k.shape[3]:
        raise ShapeError(
            f"{shapes}: q has {q.shape[3]} features a head, k {k.shape[3]}: they must be equal."
        )
    if k.shape[1] == 0 or q.shape[1] % k.shape[1]:
        raise ShapeError(f"{shapes}: {k.shape[1]} key heads must divide {q.shape[1]} query heads.")


def mask_of(name: str, mask: Any, q: Tensor, k: Tensor) -> Tensor | None:
    """The mask with four axes, bool or in the dtype of q."""
    if mask is None:
        return None
    mask = as_tensor(mask)
    full = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    shape = (1,) * (4 - mask.ndim) + mask.shape
    if len(shape) != 4 or any(m not in (1, d) for m, d in zip(shape, full, strict=True)):
        raise ShapeError(
            f"{name} got a mask of shape {mask.shape}: it must stretch to (batch, heads, queries, keys) = "
            f"{full}. Give sizes that are equal or 1, counted from the end."
        )
    if mask.dtype.kind == "i":
        raise DTypeError(
            f"{name} got a mask of {mask.dtype}: it must be bool (True: may be seen) or floats that are "
            "added to the scores. Use astype(bool)."
        )
    return (mask if mask.dtype.kind == "b" else mask.astype(q.dtype)).reshape(shape)


def known_values(x: Any) -> np.ndarray | None:
    """The values of a tensor where they can be looked at now; None while a function is traced."""
    if isinstance(x, Tensor):
        return None if is_tracing() else x.numpy()
    return None if x is None else np.asarray(x)


def blind_rows(
    mask: np.ndarray, n_queries: int, n_keys: int, causal: bool, offset: int
) -> np.ndarray:
    """Which queries of a mask (.., T or 1, S or 1) may see no key: bool (.., T)."""
    seen = mask if mask.dtype == bool else mask != -np.inf
    seen = np.broadcast_to(seen, (*seen.shape[:-1], n_keys))
    first = np.where(seen.any(-1), seen.argmax(-1), n_keys)  # the first key that may be seen
    last = np.arange(n_queries) + offset if causal else np.full(n_queries, n_keys - 1)
    return first > np.minimum(last, n_keys - 1)


def check_rows(
    name: str,
    mask: Tensor | None,
    n_queries: int,
    n_keys: int,
    causal: bool,
    offset: int | Tensor,
    ignored: np.ndarray | None = None,
) -> None:
    """ShapeError when a query is known to see no key.

    ignored  bool (B, T): queries that are padding themselves, whose answer nobody reads"""
    values = known_values(mask)
    if values is None or n_keys == 0 or n_queries == 0:
        return
    place = int(offset.item()) if isinstance(offset, Tensor) else offset
    blind = blind_rows(values, n_queries, n_keys, causal, place)
    if ignored is not None:
        blind = blind & ~ignored[:, None, :]
    if blind.any():
        entry, _, row = (int(i) for i in np.argwhere(blind)[0])
        raise ShapeError(
            f"{name}: query {row} of batch entry {entry} may see none of the {n_keys} keys"
            f"{' (causal, with the mask)' if causal else ''}, so its weights cannot sum to 1; "
            f"{int(blind.any(1).sum())} such rows. Leave one key visible in every row, or take the row out."
        )
