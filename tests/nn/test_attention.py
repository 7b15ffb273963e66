"""Attention, embeddings and positions equal PyTorch's or a direct computation; a cache equals the whole."""

import os

import numpy as np
import pytest

import pellucid
import pellucid.nn as nn
from pellucid.base.errors import DTypeError, IndexRangeError, OptionError, ShapeError
from pellucid.graph.node import topological_order
from pellucid.tensor import attention as core
from pellucid.tensor import functions as F
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor, realize

torch = pytest.importorskip("torch")
from torch_layers import close, compare, load  # noqa: E402

sdpa = torch.nn.functional.scaled_dot_product_attention

# B batch, H heads, T queries, S keys, D features of a head
B, H, T, S, D = 2, 3, 5, 7, 6


def normal(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def qkv(t=T, s=S, heads=H, kv_heads=H, dtype="float64", dv=D):
    return [
        normal(B, heads, t, D, seed=1, dtype=dtype),
        normal(B, kv_heads, s, D, seed=2, dtype=dtype),
        normal(B, kv_heads, s, dv, seed=3, dtype=dtype),
    ]


def check(arrays, ours, theirs):
    """Values, and gradients of queries, keys and values."""
    a = [Tensor.parameter(x) for x in arrays]
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    ya, yb = ours(*a), theirs(*b)
    w = normal(*yb.shape, seed=4, dtype=arrays[0].dtype)
    (yb * torch.tensor(w)).sum().backward()
    found = grad((ya * Tensor(w)).sum(), a)
    realize(ya, *found)  # one program
    close(ya, yb)
    for name, g, x in zip("qkv", found, b, strict=True):
        close(g, x.grad, what=name)


# rows and keys that are seen; no row is empty
SEEN = normal(T, S, seed=5) > 0
SEEN[:, 0] = True
MASKS = {
    "none": None,
    "bool": SEEN,
    "bool_of_keys": SEEN[1:2],
    "bool_of_heads": np.broadcast_to(SEEN, (1, H, T, S)) | (np.arange(H) == 1)[:, None, None],
    "float": normal(T, S, seed=6),
    "float_with_-inf": np.where(SEEN, normal(T, S, seed=6), -np.inf),
    "float_of_batch": normal(B, 1, 1, S, seed=6),
}


@pytest.mark.parametrize("mask", MASKS)
def test_masks_equal_torch(mask):
    m = MASKS[mask]
    check(
        qkv(),
        lambda q, k, v: core.attention(q, k, v, m),
        lambda q, k, v: sdpa(q, k, v, None if m is None else torch.tensor(m)),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("t", [1, 5, 17])
def test_causal_equals_torch(t, dtype):
    check(
        qkv(t, t, dtype=dtype, dv=4),
        lambda q, k, v: core.attention(q, k, v, causal=True),
        lambda q, k, v: sdpa(q, k, v, is_causal=True),
    )


@pytest.mark.parametrize("t", [3, 9])
def test_causal_with_another_number_of_keys_equals_torch(t):
    check(
        qkv(t),
        lambda q, k, v: nn.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3),
        lambda q, k, v: sdpa(q, k, v, is_causal=True, scale=0.3),
    )


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 2, 3])
def test_fewer_key_heads_equal_torch(kv_heads, causal):
    check(
        qkv(heads=6, kv_heads=kv_heads),
        lambda q, k, v: nn.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True),
        lambda q, k, v: sdpa(q, k, v, is_causal=causal, enable_gqa=True),
    )


def test_causal_and_a_mask_together():
    mask = np.array([True, False, True, True, False, True, True])
    both = np.tril(np.ones((T, S), bool)) & mask
    check(
        qkv(),
        lambda q, k, v: core.attention(q, k, v, mask, causal=True),
        lambda q, k, v: sdpa(q, k, v, torch.tensor(both)),
    )


def test_a_later_key_never_changes_an_earlier_query():
    q, k, v = qkv(S)
    first = core.attention(Tensor(q), Tensor(k), Tensor(v), causal=True).numpy()
    k[:, :, 4:], v[:, :, 4:] = 9.0, -9.0
    second = core.attention(Tensor(q), Tensor(k), Tensor(v), causal=True).numpy()
    np.testing.assert_array_equal(first[:, :, :4], second[:, :, :4])
    assert (first[:, :, 4:] != second[:, :, 4:]).all()


def test_large_scores_do_not_overflow():
    q, k, v = qkv()
    a = [Tensor.parameter(x) for x in (q * 100, k * 100, v)]  # exp overflows above 709
    y = core.attention(*a)
    close(y, sdpa(*(torch.tensor(x.numpy()) for x in a)))
    assert all(np.isfinite(g.numpy()).all() for g in grad((y * y).sum(), a))


@pytest.mark.parametrize("mask", ["bool", "float"])
def test_a_row_without_keys_gives_zeros_and_no_gradient_in_a_compiled_function(mask):
    seen = SEEN.copy()
    seen[2] = False
    mask = seen if mask == "bool" else np.where(seen, 0.0, -np.inf)

    @pellucid.compile
    def run(q, k, v, mask):
        y = core.attention(q, k, v, mask)
        return y, *grad((y * y).sum(), [q, k, v])

    arrays = qkv()
    found = [x.numpy() for x in run(*map(Tensor, arrays), Tensor(mask))]
    assert not found[0][:, :, 2].any()
    assert not found[1][:, :, 2].any()
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    rows = [0, 1, 3, 4]
    y = sdpa(b[0][:, :, rows], b[1], b[2], torch.tensor(seen[rows]))
    (y * y).sum().backward()
    close(found[0][:, :, rows], y)
    for g, x in zip(found[1:], b, strict=True):
        close(g, x.grad)


def test_second_derivatives_equal_torch():
    arrays = qkv()
    a = [Tensor.parameter(x) for x in arrays]
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    ya = core.attention(*a, causal=True)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yb = sdpa(*b, is_causal=True)
        ga = grad((ya * ya).sum(), a)
        gb = torch.autograd.grad((yb * yb).sum(), b, create_graph=True)
        found = grad(sum(((g * g).sum() for g in ga[1:]), (ga[0] * ga[0]).sum()), a)
        realize(*ga, *found)
        for x, y in zip(ga, gb, strict=True):
            close(x, y)
        sum((g * g).sum() for g in gb).backward()
    for x, y in zip(found, b, strict=True):
        close(x, y.grad)


# ---- by blocks of queries


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 32 queries from 100 scores on."""
    monkeypatch.setattr(core, "LIMIT", 100)
    monkeypatch.setattr(core, "BLOCK_SCORES", 100)


@pytest.mark.parametrize("form", ["plain", "causal", "mask", "mask_of_keys", "grouped"])
def test_blocks_of_queries_give_what_all_at_once_gives(form, small_blocks):
    t, s = 37, 19
    seen = normal(t, s, seed=7) > 0
    seen[:, 0] = True
    mask = {"mask": seen, "mask_of_keys": seen[3:4]}.get(form)
    check(
        qkv(t, s, heads=4, kv_heads=2 if form == "grouped" else 4, dv=3),
        lambda q, k, v: core.attention(q, k, v, mask, causal=form == "causal"),
        lambda q, k, v: sdpa(
            q, k, v, None if mask is None else torch.tensor(mask),
            is_causal=form == "causal", enable_gqa=True,
        ),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["LIMIT", "LIMIT_OF_ALL"])
def test_blocks_begin_above_either_limit(name, monkeypatch):
    monkeypatch.setattr(core, name, 40 * 40 * (1 if name == "LIMIT" else B * H))

    def is_by_blocks(t):
        y = core.attention(*map(Tensor, qkv(t, t)))
        return any(x.op == "scan" for x in topological_order([y.node]))

    assert not is_by_blocks(40) and is_by_blocks(41)


@pytest.mark.skipif(
    os.environ.get("PELLUCID_ENGINE") == "reference", reason="NumPy plans no memory"
)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_memory_grows_with_the_length_not_with_its_square(dropout):
    def arena(t):
        arrays = [normal(1, 1, t, 8, dtype="float32")] * 3

        @pellucid.compile
        def step(q, k, v):
            y = core.attention(q, k, v, causal=True, dropout=dropout)
            return grad((y * y).sum(), [q, k, v])

        step(*map(Tensor, arrays))
        return step.last.executable.program.arena_bytes

    short, long = arena(2048), arena(4096)
    # Blocks take the same room at every length. The rest are ten arrays (T, 8) at most: q, the output and
    # what comes back to it in blocks and whole, and the gradients.
    assert long - short <= 10 * 2048 * 8 * 4
    assert long < 4096 * 4096 * 4 / 10


def test_blocks_drop_the_share_of_weights_that_was_asked_for(small_blocks):
    pellucid.random.seed(0)
    n = 64
    q, k = Tensor(np.zeros((1, 4, n, 2))), Tensor(np.zeros((1, 4, n, 2)))
    v = Tensor(np.broadcast_to(np.eye(n), (1, 4, n, n)).copy())  # the output is the weights
    first = core.attention(q, k, v, dropout=0.25).numpy()
    second = core.attention(q, k, v, dropout=0.25).numpy()
    assert (first != second).any()
    assert (first[:, 0] != first[:, 1]).any() and (first[:, :, 0] != first[:, :, 20]).any()
    kept = first != 0
    assert (kept[:, :, :32] != kept[:, :, 32:]).any()  # blocks of 32 queries draw their own
    np.testing.assert_allclose(first[kept], 1 / n / 0.75, rtol=1e-12)
    # 16,384 draws: the standard deviation of the share is 0.0034
    assert abs(kept.mean() - 0.75) < 0.014


def test_the_backward_pass_of_blocks_drops_the_same_weights(small_blocks):
    pellucid.random.seed(0)
    n = 40
    q, k = Tensor(normal(1, 1, n, 2)), Tensor(normal(1, 1, n, 2, seed=1))
    v = Tensor.parameter(np.eye(n)[None, None])
    y = core.attention(q, k, v, dropout=0.5)
    # y is the matrix of weights after dropout: the gradient by v of sum(w * y) is y^T w.
    w = normal(1, 1, n, n, seed=2)
    g = grad((y * Tensor(w)).sum(), v)
    close(g, np.einsum("bhts,bhtd->bhsd", y.numpy(), w))


# ---- the layer


def layers(dtype="float64", embed=12, heads=3, **options):
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(
        embed, heads, batch_first=True, dtype=getattr(torch, dtype), **options
    )
    ours = nn.MultiheadAttention(embed, heads, dtype=dtype, **options)
    for name, p in theirs.named_parameters():  # biases begin at 0: give them something to do
        if p.ndim == 1:
            p.data = torch.tensor(normal(*p.shape, seed=len(name), dtype=dtype))
    load(ours, theirs)
    return ours, theirs


def test_biases_and_weights_begin_as_those_of_torch():
    pellucid.random.seed(0)
    ours = nn.MultiheadAttention(64, 4)
    assert not ours.in_proj_bias.numpy().any() and not ours.out_proj.bias.numpy().any()
    weight = ours.in_proj_weight.numpy()
    bound = np.sqrt(6 / (64 + 192))  # Glorot's, of the matrix for all three
    assert 0.98 * bound < np.abs(weight).max() <= bound
    assert 0.98 / 8 < np.abs(ours.out_proj.weight.numpy()).max() <= 1 / 8


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_self_attention_equals_torch_with_its_weights(dtype, bias, average):
    compare(
        *layers(dtype, bias=bias),
        [normal(B, T, 12, dtype=dtype)],
        lambda layer, x: layer(x, average_attn_weights=average),
        lambda layer, x: layer(x, x, x, average_attn_weights=average),
    )


@pytest.mark.parametrize("sizes", [{}, {"kdim": 5, "vdim": 4}, {"vdim": 5}])
@pytest.mark.parametrize("bias", [True, False])
def test_cross_attention_equals_torch(bias, sizes):
    arrays = [
        normal(B, T, 12),
        normal(B, S, sizes.get("kdim", 12), seed=1),
        normal(B, S, sizes.get("vdim", 12), seed=2),
    ]

    def call(layer, *x):
        return layer(*x)

    compare(*layers(bias=bias, **sizes), arrays, call, call)


def test_one_memory_for_keys_and_values_equals_torch():
    compare(
        *layers(),
        [normal(B, T, 12), normal(B, S, 12, seed=1)],
        lambda layer, x, y: layer(x, y),
        lambda layer, x, y: layer(x, y, y),
    )


def test_a_sequence_without_a_batch_equals_torch():
    padding = np.array([False, True, False, False, True])
    compare(
        *layers(),
        [normal(T, 12)],
        lambda layer, x: layer(x, key_padding_mask=padding),
        lambda layer, x: layer(x, x, x, key_padding_mask=torch.tensor(padding)),
    )


PADDING = np.array([[False] * S, [False] * 4 + [True] * 3])  # True: left out
LAYER_MASKS = {
    "padding": {"key_padding_mask": PADDING},
    "padding_numbers": {"key_padding_mask": np.where(PADDING, -2.0, 0.5)},
    "mask": {"attn_mask": ~SEEN},
    "mask_numbers": {"attn_mask": MASKS["float_with_-inf"]},
    "mask_of_heads": {"attn_mask": normal(B * H, T, S, seed=8)},
    "both": {"key_padding_mask": PADDING, "attn_mask": ~SEEN},
    "both_numbers": {
        "key_padding_mask": np.where(PADDING, -np.inf, 0.0),
        "attn_mask": MASKS["float"],
    },
}


@pytest.mark.parametrize("masks", LAYER_MASKS)
def test_masks_of_the_layer_equal_torch(masks):
    given = LAYER_MASKS[masks]
    compare(
        *layers(),
        [normal(B, T, 12), normal(B, S, 12, seed=1)],
        lambda layer, x, y: layer(x, y, y, **given),
        lambda layer, x, y: layer(x, y, y, **{k: torch.tensor(v) for k, v in given.items()}),
    )


def test_causal_of_the_layer_equals_a_mask_of_torch():
    above = np.triu(np.ones((T, T), bool), 1)
    compare(
        *layers(),
        [normal(B, T, 12)],
        lambda layer, x: layer(x, is_causal=True),
        lambda layer, x: layer(x, x, x, attn_mask=torch.tensor(above)),
    )


def test_padding_at_the_front_with_causal_asks_no_padded_query():
    """Query 0 is padding and sees only itself: it gets zeros, the others are as without it."""
    ours, _ = layers()
    x = normal(1, T, 12)
    padding = np.array([[True, False, False, False, False]])
    y, _ = ours(Tensor(x), key_padding_mask=padding, is_causal=True)
    without, _ = ours(Tensor(x[:, 1:]), is_causal=True)
    close(y.numpy()[:, 1:], without.numpy())
    close(y.numpy()[:, 0], ours.out_proj.bias.numpy()[None])


def test_fewer_key_heads_equal_the_layer_with_repeated_weights():
    ours = nn.MultiheadAttention(12, 6, num_kv_heads=2, dtype="float64")
    ours.in_proj_bias.assign(normal(20, seed=3))
    state = ours.state_dict()
    d, repeat = 2, 3
    q, k, v = np.split(state["in_proj_weight"], [12, 16], axis=1)
    bq, bk, bv = np.split(state["in_proj_bias"], [12, 16])

    def spread(a):
        parts = np.split(a, 2, axis=-1)
        return np.concatenate([p for p in parts for _ in range(repeat)], -1)

    assert k.shape == (12, 2 * d)
    _, theirs = layers(heads=6)
    weight = np.concatenate([q, spread(k), spread(v)], 1).T
    theirs.in_proj_weight.data = torch.tensor(np.ascontiguousarray(weight))
    theirs.in_proj_bias.data = torch.tensor(np.concatenate([bq, spread(bk), spread(bv)]))
    theirs.out_proj.weight.data = torch.tensor(state["out_proj.weight"].T.copy())
    theirs.out_proj.bias.data = torch.tensor(state["out_proj.bias"])
    x = normal(B, T, 12)
    for a, b in zip(ours(Tensor(x)), theirs(*[torch.tensor(x)] * 3), strict=True):
        close(a, b)


def test_dropout_of_weights_acts_in_training_only():
    pellucid.random.seed(0)
    ours, theirs = layers(dropout=1.0)
    compare(
        ours, theirs, [normal(B, T, 12)],
        lambda layer, x: layer(x), lambda layer, x: layer(x, x, x),
    )  # fmt: skip
    ours.eval(), theirs.eval()
    compare(
        ours, theirs, [normal(B, T, 12)],
        lambda layer, x: layer(x), lambda layer, x: layer(x, x, x),
    )  # fmt: skip


def test_the_weights_that_are_returned_are_those_that_were_used():
    pellucid.random.seed(0)
    ours = nn.MultiheadAttention(8, 1, dropout=0.5, dtype="float64")
    x = normal(1, 33, 8)
    y, weights = ours(Tensor(x))
    values = x @ ours.in_proj_weight.numpy()[:, 16:]
    used = weights.numpy() @ values @ ours.out_proj.weight.numpy()
    close(y, used)
    share = (weights.numpy() == 0).mean()
    assert abs(share - 0.5) < 0.06  # 1,089 draws: standard deviation 0.015


def test_no_weights_without_need():
    assert nn.MultiheadAttention(4, 2)(Tensor(normal(1, 3, 4)), need_weights=False)[1] is None


@pytest.mark.parametrize("options", [{}, {"kdim": 5, "vdim": 4}, {"bias": False}])
def test_weights_are_stored_as_torch_stores_them(options):
    ours, theirs = layers(**options)
    state = ours.state_dict(layout="pytorch")
    assert set(state) == set(theirs.state_dict())
    assert all(np.array_equal(state[k], v.numpy()) for k, v in theirs.state_dict().items())


def test_config_makes_the_same_layer():
    for layer in (
        nn.MultiheadAttention(12, 6, 0.5, False, 3, 4, 2),
        nn.MultiheadAttention(12, 6, rotary=True, max_len=9),
        nn.Embedding(5, 3, -1),
        nn.SinusoidalPositions(4, 9, 100.0),
        nn.LearnedPositions(3, 9, 0.5),
        nn.RotaryPositions(4, 9, 100.0, False),
    ):
        again = type(layer)(**layer.config())
        assert again.config() == layer.config()
        shapes = {k: v.shape for k, v in layer.state_dict().items()}
        assert {k: v.shape for k, v in again.state_dict().items()} == shapes


# ---- the cache


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 1}, {"rotary": True}])
def test_steps_with_a_cache_equal_the_whole(options, compiled):
    ours = nn.MultiheadAttention(12, 3, dtype="float64", **options)
    x = normal(B, 8, 12)
    whole, _ = ours(Tensor(x), is_causal=True)
    cache = ours.cache(B, 9)

    def step(x):
        return ours(x, need_weights=False, cache=cache)[0]

    run = pellucid.compile(step) if compiled else step
    # a prompt of three steps, one at a time, two at once
    found = [run(Tensor(x[:, a:b])).numpy() for a, b in ((0, 3), (3, 4), (4, 5), (5, 6), (6, 8))]
    close(np.concatenate(found, 1), whole.numpy())
    assert cache.room == 1
    if compiled:
        assert len(run._steps) == 3  # one program for each length
    cache.reset()
    close(run(Tensor(x[:, :3])), whole.numpy()[:, :3])


def test_a_cache_that_is_full_says_so():
    ours = nn.MultiheadAttention(4, 2)
    cache = ours.cache(1, 5)
    ours(Tensor(normal(1, 4, 4)), cache=cache)
    with pytest.raises(ShapeError, match="capacity of 5 steps and holds 4; 2 more"):
        ours(Tensor(normal(1, 2, 4)), cache=cache)
    with pytest.raises(ShapeError, match=r"\(1, 2, 5, 2\).*\(2, 2, 1, 2\)"):
        ours(Tensor(normal(2, 1, 4)), cache=cache)
    with pytest.raises(ShapeError, match="capacity of 5 steps; 6 more"):
        pellucid.compile(lambda x: ours(x, cache=cache)[0])(Tensor(normal(1, 6, 4)))


# ---- embeddings


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("padding", [None, 3, -1])
def test_embedding_equals_torch(padding, dtype):
    tokens = np.array([[3, 0, 10, 3], [7, 10, 1, 1]])
    theirs = torch.nn.Embedding(11, 5, padding, dtype=getattr(torch, dtype))
    ours = nn.Embedding(11, 5, padding, dtype=dtype)
    if padding is not None:
        assert not ours.weight.numpy()[padding].any()
    theirs.weight.data = torch.tensor(normal(11, 5, dtype=dtype))
    load(ours, theirs)
    y, z = ours(tokens), theirs(torch.tensor(tokens))
    close(y, z)
    w = normal(2, 4, 5, seed=1, dtype=dtype)
    (z * torch.tensor(w)).sum().backward()
    close(grad((y * Tensor(w)).sum(), ours.weight), theirs.weight.grad)


@pytest.mark.parametrize("freeze", [True, False])
def test_vectors_from_elsewhere_are_kept_and_learned_unless_frozen(freeze):
    rows = normal(7, 3)
    ours = nn.Embedding.from_pretrained(rows, freeze, padding_idx=2)
    theirs = torch.nn.Embedding.from_pretrained(torch.tensor(rows), freeze, padding_idx=2)
    tokens = np.array([6, 2, 2, 0])
    close(ours(tokens), theirs(torch.tensor(tokens)), 0)
    learned = [n for n, p in theirs.named_parameters() if p.requires_grad]
    assert [n for n, _ in ours.named_parameters()] == learned
    assert list(ours.state_dict()) == ["weight"]
    assert ours.config() == {"num_embeddings": 7, "embedding_dim": 3, "padding_idx": 2}


def test_weights_shared_with_the_output_layer_equal_torch():
    tokens = np.array([[3, 0, 10, 3]])

    class Tied(nn.Module):
        def __init__(self):
            self.embed = nn.Embedding(11, 5, dtype="float64")
            self.head = self.embed.as_linear()

    ours = Tied()
    assert [n for n, _ in ours.named_parameters()] == ["embed.weight"]
    y = ours.head(ours.embed(tokens).tanh())
    close(y, ours.embed.attend(ours.embed(tokens).tanh()).numpy(), 0)
    weight = torch.tensor(ours.embed.weight.numpy(), requires_grad=True)
    z = torch.nn.functional.embedding(torch.tensor(tokens), weight).tanh() @ weight.T
    close(y, z)
    (z * z).sum().backward()
    close(grad((y * y).sum(), ours.embed.weight), weight.grad)


# ---- positions


def test_sinusoidal_positions_are_the_formula():
    c, n, base = 6, 50, 10000.0
    table = np.zeros((n, c))
    for t in range(n):
        for i in range(c // 2):
            table[t, 2 * i] = np.sin(t / base ** (2 * i / c))
            table[t, 2 * i + 1] = np.cos(t / base ** (2 * i / c))
    layer = nn.SinusoidalPositions(c, n, dtype="float64")
    close(layer(Tensor(np.zeros((2, 9, c)))), np.stack([table[:9]] * 2), 1e-14)
    close(layer(Tensor(np.zeros((1, 9, c))), offset=41), table[None, 41:], 1e-14)
    assert not list(layer.named_parameters()) and not layer.state_dict()


@pytest.mark.parametrize("offset", [0, 4])
def test_learned_positions_add_their_rows(offset):
    layer = nn.LearnedPositions(3, 9, dtype="float64")
    x = normal(2, 5, 3)
    rows = layer.weight.numpy()[offset : offset + 5]
    y = layer(Tensor(x), offset)
    close(y, x + rows, 1e-15)
    g = grad((y * y).sum(), layer.weight).numpy()
    close(g[offset : offset + 5], 2 * (x + rows).sum(0))
    assert not np.delete(g, range(offset, offset + 5), 0).any()


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotary_positions_turn_complex_numbers(interleaved):
    d, t, offset = 8, 5, 3
    layer = nn.RotaryPositions(d, 16, interleaved=interleaved, dtype="float64")
    x = normal(2, 3, t, d)
    if interleaved:
        z = x[..., 0::2] + 1j * x[..., 1::2]
    else:
        z = x[..., : d // 2] + 1j * x[..., d // 2 :]
    angle = (np.arange(t) + offset)[:, None] * 10000.0 ** (-2 * np.arange(d // 2) / d)
    z = z * np.exp(1j * angle)
    if interleaved:
        wanted = np.stack([z.real, z.imag], -1).reshape(x.shape)
    else:
        wanted = np.concatenate([z.real, z.imag], -1)
    close(layer(Tensor(x), offset), wanted, 1e-14)


def test_rotary_scores_depend_on_the_distance_only():
    layer = nn.RotaryPositions(8, 64, dtype="float64")
    q, k = Tensor(normal(1, 1, 5, 8)), Tensor(normal(1, 1, 5, 8, seed=1))
    near = F.einsum("bhtd,bhsd->bhts", layer(q), layer(k))
    far = F.einsum("bhtd,bhsd->bhts", layer(q, 40), layer(k, 40))
    close(near, far.numpy())


@pytest.mark.parametrize("kind", ["SinusoidalPositions", "LearnedPositions", "RotaryPositions"])
def test_an_offset_inside_a_compiled_function_equals_a_number(kind):
    layer = getattr(nn, kind)(4, max_len=20, dtype="float64")
    x = normal(1, 3, 4)
    run = pellucid.compile(lambda x, n: layer(x, n))
    for n in (0, 7, 17):
        close(run(Tensor(x), Tensor(n)), layer(Tensor(x), n).numpy(), 1e-15)


# ---- what cannot be

X = Tensor(np.zeros((2, 5, 12)))
ELEVEN = nn.Embedding(11, 3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: nn.Embedding(11, 3)(np.array([[1, 2], [3, 11]])),
            IndexRangeError,
            r"Embedding\(11, 3\): the token 11 at position \[1, 1\].*vocabulary of 11.*0 to 10",
        ),
        (lambda: nn.Embedding(11, 3)(np.array([4, -1])), IndexRangeError, r"token -1 .* \[1\]"),
        (lambda: nn.Embedding(11, 3).check([4, 5, 99]), IndexRangeError, r"token 99 .* \[2\]"),
        (
            lambda: pellucid.compile(lambda: ELEVEN(np.array([[0, 12]])))(),
            IndexRangeError,
            r"token 12 .* \[0, 1\]",
        ),
        (lambda: nn.Embedding(11, 3)(np.zeros(3)), DTypeError, "float64.*astype"),
        (lambda: nn.Embedding(11, 3, padding_idx=11), OptionError, "from -11 to 10"),
        (lambda: nn.Embedding.from_pretrained(np.zeros(3)), ShapeError, r"float64 of shape \(3,\)"),
        (lambda: nn.Embedding(0, 3), OptionError, "num_embeddings .* got 0"),
        (lambda: nn.Embedding(11, 3).attend(X), ShapeError, r"\(2, 5, 12\).*must be 3"),
        (
            lambda: nn.LearnedPositions(12, 4)(X),
            ShapeError,
            r"LearnedPositions\(12, max_len=4\) got a sequence of 5 steps.* 4.*max_len=5",
        ),
        (lambda: nn.SinusoidalPositions(12, 6)(X, 2), ShapeError, "after 2 earlier .*max_len=7"),
        (lambda: nn.RotaryPositions(12, 4)(X), ShapeError, "5 steps.*for 4"),
        (lambda: nn.RotaryPositions(5), OptionError, "even.*got 5"),
        (lambda: nn.LearnedPositions(8, 9)(X), ShapeError, r"\(2, 5, 12\).*8"),
        (lambda: nn.MultiheadAttention(12, 5), OptionError, "5 heads must divide embed_dim 12"),
        (lambda: nn.MultiheadAttention(12, 6, num_kv_heads=4), OptionError, "must divide"),
        (lambda: nn.MultiheadAttention(12, 3, dropout=2), OptionError, "0 to 1; got 2"),
        (lambda: nn.MultiheadAttention(8, 2)(X), ShapeError, r"query .*\(2, 5, 12\).*8"),
        (
            lambda: nn.MultiheadAttention(12, 3)(X, X[:1]),
            ShapeError,
            r"\(2, 5, 12\).*\(1, 5, 12\).*one batch",
        ),
        (
            lambda: nn.MultiheadAttention(12, 3)(
                X, key_padding_mask=np.array([[False] * 5, [True] * 5])
            ),
            ShapeError,
            r"MultiheadAttention\(12, 3\): key_padding_mask leaves out all 5 keys of batch entry 1",
        ),
        (
            lambda: nn.MultiheadAttention(12, 3)(X, attn_mask=np.arange(5)[:, None] == [3] * 5),
            ShapeError,
            "query 3 of batch entry 0 may see none of the 5 keys",
        ),
        (
            lambda: nn.MultiheadAttention(12, 3)(
                X, X[:, :4], is_causal=True, key_padding_mask=PADDED
            ),
            ShapeError,
            "query 0 of batch entry 1 may see none of the 4 keys",
        ),
        (
            lambda: nn.MultiheadAttention(12, 3)(X, key_padding_mask=np.zeros((5, 2), bool)),
            ShapeError,
            r"\(5, 2\).*\(batch, keys\) = \(2, 5\)",
        ),
        (
            lambda: nn.MultiheadAttention(12, 3)(X, attn_mask=np.zeros((2, 5, 5), bool)),
            ShapeError,
            r"\(2, 5, 5\).*\(6, 5, 5\)",
        ),
        (
            lambda: nn.MultiheadAttention(12, 3)(X, attn_mask=np.zeros((5, 5), int)),
            DTypeError,
            "attn_mask is int64.*bool",
        ),
        (lambda: core.attention(*qkv(), np.zeros((T, S), bool)), ShapeError, "query 0 .* 7 keys"),
        (lambda: core.attention(*qkv(), np.zeros((T, T), bool)), ShapeError, r"\(2, 3, 5, 7\)"),
        (lambda: core.attention(*qkv(heads=4)), ShapeError, "3 key heads must divide 4"),
        (lambda: core.attention(X, X, X), ShapeError, "four axes"),
        (
            lambda: nn.scaled_dot_product_attention(*qkv(heads=6)),
            ShapeError,
            "6 query heads and 3 key heads.*enable_gqa",
        ),
    ],
)
def test_errors_name_the_layer_the_numbers_and_the_fix(call, error, words):
    with pytest.raises(error, match=words):
        call()


PADDED = np.array([[False] * 4, [True, True, False, False]])
