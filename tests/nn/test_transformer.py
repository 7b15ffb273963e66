"""Transformer layers, stacks and the whole equal PyTorch's; generation with caches equals the whole."""

import warnings

import numpy as np
import pytest

import pellucid
import pellucid.nn as nn
from pellucid.base.errors import OptionError, ShapeError
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor, realize

torch = pytest.importorskip("torch")
from torch_layers import close, compare, load  # noqa: E402

# B batch, S source, T target, E features; 3 heads of 4
B, S, T, E, HEADS, WIDE = 2, 5, 4, 12, 3, 17


def normal(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def pair(name, *args, dtype="float64", **options):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(
        *args, batch_first=True, dtype=getattr(torch, dtype), **options
    )
    ours = getattr(nn, name)(*args, dtype=dtype, **options)
    for i, p in enumerate(theirs.parameters()):  # norms begin at 1 and 0: other numbers show more
        if p.ndim == 1:
            p.data += torch.tensor(normal(*p.shape, seed=i, dtype=dtype)) * 0.3
    load(ours, theirs)
    return ours, theirs


def encoder(dtype="float64", **options):
    return pair("TransformerEncoderLayer", E, HEADS, WIDE, 0.0, dtype=dtype, **options)


def decoder(dtype="float64", **options):
    return pair("TransformerDecoderLayer", E, HEADS, WIDE, 0.0, dtype=dtype, **options)


def call(layer, *x):
    return layer(*x)


FORMS = {
    "post": {},
    "pre": {"norm_first": True},
    "gelu": {"activation": "gelu"},
    "eps": {"layer_norm_eps": 0.1},
    "no_bias": {"bias": False},
}


@pytest.mark.parametrize("form", FORMS)
def test_encoder_layer_equals_torch(form):
    compare(*encoder(**FORMS[form]), [normal(B, S, E)], call, call)


@pytest.mark.parametrize("form", FORMS)
def test_decoder_layer_equals_torch(form):
    compare(*decoder(**FORMS[form]), [normal(B, T, E), normal(B, S, E, seed=1)], call, call)


def test_float32_equals_torch():
    compare(*encoder("float32"), [normal(B, S, E, dtype="float32")], call, call)
    arrays = [normal(B, T, E, dtype="float32"), normal(B, S, E, seed=1, dtype="float32")]
    compare(*decoder("float32", norm_first=True), arrays, call, call)


PADDING = np.array([[False] * S, [False] * 3 + [True] * 2])  # True: left out
MASK = np.triu(np.ones((S, S), bool), 2)


def test_masks_of_the_encoder_layer_equal_torch():
    compare(
        *encoder(),
        [normal(B, S, E)],
        lambda layer, x: layer(x, MASK, PADDING),
        lambda layer, x: layer(x, torch.tensor(MASK), torch.tensor(PADDING)),
    )


def test_masks_of_the_decoder_layer_equal_torch():
    target = np.array([[False] * T, [False] * 3 + [True]])
    cross = np.arange(S) > np.arange(T)[:, None] + 1
    causal = np.triu(np.ones((T, T), bool), 1)
    compare(
        *decoder(),
        [normal(B, T, E), normal(B, S, E, seed=1)],
        lambda layer, x, y: layer(x, y, None, cross, target, PADDING, tgt_is_causal=True),
        lambda layer, x, y: layer(
            x, y, *(torch.tensor(m) for m in (causal, cross, target, PADDING))
        ),
    )


@pytest.mark.parametrize("norm_first", [True, False])
def test_stacks_equal_torch(norm_first):
    torch.manual_seed(0)
    options = {"norm_first": norm_first}
    ours = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(E, HEADS, WIDE, 0.0, dtype="float64", **options),
        2,
        nn.LayerNorm(E, dtype="float64") if norm_first else None,
    )
    _, layer = encoder(**options)
    theirs = torch.nn.TransformerEncoder(
        layer,
        2,
        torch.nn.LayerNorm(E, dtype=torch.float64) if norm_first else None,
        enable_nested_tensor=False,
    )
    load(ours, theirs)
    compare(
        ours, theirs, [normal(B, S, E)],
        lambda m, x: m(x, is_causal=True),
        lambda m, x: m(x, torch.tensor(np.triu(np.ones((S, S), bool), 1))),
    )  # fmt: skip


@pytest.mark.parametrize("form", [{}, {"norm_first": True, "activation": "gelu", "bias": False}])
def test_the_whole_transformer_equals_torch(form):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's about a fast path that it will not take
        ours, theirs = pair("Transformer", E, HEADS, 2, 1, WIDE, 0.0, **form)
    causal = theirs.generate_square_subsequent_mask(T, dtype=torch.float64)
    np.testing.assert_array_equal(
        nn.Transformer.generate_square_subsequent_mask(T, "float64").numpy(), causal.numpy()
    )
    compare(
        ours, theirs, [normal(B, S, E), normal(B, T, E, seed=1)],
        lambda m, x, y: m(
            x, y, tgt_is_causal=True, src_key_padding_mask=PADDING, memory_key_padding_mask=PADDING
        ),
        lambda m, x, y: m(
            x, y, tgt_mask=causal, src_key_padding_mask=torch.tensor(PADDING),
            memory_key_padding_mask=torch.tensor(PADDING),
        ),
    )  # fmt: skip


def test_evaluation_is_the_training_without_dropout():
    ours, theirs = pair("TransformerEncoderLayer", E, HEADS, WIDE, 0.5)
    compare(ours.eval(), theirs.eval(), [normal(B, S, E)], call, call)
    x = Tensor(normal(B, S, E))
    ours.train()
    assert (ours(x).numpy() != ours(x).numpy()).any()


@pytest.mark.parametrize("norm_first", [True, False])
def test_with_all_dropped_only_the_residual_is_left(norm_first):
    ours, theirs = pair("TransformerDecoderLayer", E, HEADS, WIDE, 1.0, norm_first=norm_first)
    arrays = [normal(B, T, E), normal(B, S, E, seed=1)]
    y = ours(*map(Tensor, arrays))
    close(y, theirs(*map(torch.tensor, arrays)))
    assert (y.numpy() == arrays[0]).all() == norm_first


def test_second_derivatives_equal_torch():
    ours, theirs = encoder(norm_first=True, activation="gelu")
    a, b = Tensor.parameter(normal(1, 3, E)), torch.tensor(normal(1, 3, E), requires_grad=True)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        ga = grad((ours(a) ** 2).sum(), a)
        (gb,) = torch.autograd.grad((theirs(b) ** 2).sum(), b, create_graph=True)
        close(ga, gb)
        (gb * gb).sum().backward()
    named = dict(theirs.named_parameters())
    parameters = dict(ours.named_parameters())
    found = grad((ga * ga).sum(), [a, *parameters.values()])
    realize(*found)
    close(found[0], b.grad)
    for name, g in zip(parameters, found[1:], strict=True):
        wanted = named[name].grad
        wanted = np.zeros(named[name].shape) if wanted is None else wanted.numpy()
        close(g.numpy().T if g.ndim == 2 else g, np.ascontiguousarray(wanted), what=name)


def test_a_compiled_training_step_equals_torch():
    ours, theirs = encoder("float32", norm_first=True, activation="gelu")
    x = normal(B, S, E, dtype="float32")

    @pellucid.compile
    def step(x):
        y = ours(x, is_causal=True)
        return grad((y * y).sum(), list(ours.parameters()))

    found = step(Tensor(x))
    y = theirs(torch.tensor(x), torch.tensor(np.triu(np.ones((S, S), bool), 1)))
    (y * y).sum().backward()
    named = dict(theirs.named_parameters())
    for (name, _), g in zip(ours.named_parameters(), found, strict=True):
        wanted = named[name].grad.numpy()
        close(g.numpy().T if g.ndim == 2 else g, np.ascontiguousarray(wanted), what=name)


# ---- generation


@pytest.mark.parametrize("options", [{}, {"norm_first": True, "num_kv_heads": 1, "rotary": True}])
def test_one_step_at_a_time_equals_the_whole_encoder(options):
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(E, HEADS, WIDE, 0.0, dtype="float64", **options), 2
    )
    x = normal(B, 6, E)
    whole = model(Tensor(x), is_causal=True).numpy()
    caches = model.cache(B, 6)
    run = pellucid.compile(lambda x: model(x, cache=caches))
    found = [run(Tensor(x[:, :2])).numpy()]
    found += [run(Tensor(x[:, t : t + 1])).numpy() for t in range(2, 6)]
    close(np.concatenate(found, 1), whole)
    assert len(run._steps) == 2  # the prompt, and one program for every further step
    assert [c.room for c in caches] == [0, 0]


def test_one_step_at_a_time_equals_the_whole_decoder():
    model = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(E, HEADS, WIDE, 0.0, dtype="float64"), 2
    )
    x, memory = normal(B, 4, E), Tensor(normal(B, S, E, seed=1))
    whole = model(Tensor(x), memory, tgt_is_causal=True, memory_key_padding_mask=PADDING)
    caches = model.cache(B, 8)
    run = pellucid.compile(
        lambda x, memory: model(x, memory, memory_key_padding_mask=PADDING, cache=caches)
    )
    found = [run(Tensor(x[:, t : t + 1]), memory).numpy() for t in range(4)]
    close(np.concatenate(found, 1), whole.numpy())


def test_rotary_positions_are_those_of_the_target_only():
    """The order of the memory, whose places are not the target's, means nothing to a decoder layer."""
    layer = nn.TransformerDecoderLayer(E, HEADS, WIDE, 0.0, rotary=True, dtype="float64")
    x, memory = normal(B, T, E), normal(B, S, E, seed=1)
    y = layer(Tensor(x), Tensor(memory)).numpy()
    close(layer(Tensor(x), Tensor(memory[:, ::-1].copy())), y)
    other = layer(Tensor(x[:, ::-1].copy()), Tensor(memory)).numpy()[:, ::-1]
    assert np.abs(other - y).max() > 1e-3


# ---- names, forms, errors


def test_weights_are_stored_as_torch_stores_them():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = pair("Transformer", E, HEADS, 2, 2, WIDE, 0.0)
    state = ours.state_dict(layout="pytorch")
    assert set(state) == set(theirs.state_dict())
    assert all(np.array_equal(state[k], v.numpy()) for k, v in theirs.state_dict().items())


def test_layers_of_a_stack_begin_with_weights_of_their_own():
    layer = nn.TransformerEncoderLayer(E, HEADS, WIDE)
    stack = nn.TransformerEncoder(layer, 3)
    first, second, third = (m.linear1.weight.numpy() for m in stack.layers)
    np.testing.assert_array_equal(first, layer.linear1.weight.numpy())
    assert stack.layers[0].linear1.weight is not layer.linear1.weight
    assert (first != second).all() and (second != third).all()


def test_matrices_of_the_whole_begin_by_glorot():
    pellucid.random.seed(0)
    model = nn.Transformer(64, 4, 1, 1, 96)
    for name, p in model.named_parameters():
        if p.ndim == 2:
            bound = np.sqrt(6 / sum(p.shape))
            assert 0.98 * bound < np.abs(p.numpy()).max() <= bound, name


@pytest.mark.parametrize("kind", ["TransformerEncoderLayer", "TransformerDecoderLayer"])
def test_config_makes_the_same_layer(kind):
    layer = getattr(nn, kind)(12, 6, 7, 0.3, "silu", 1e-3, True, True, False, 2, True)
    again = type(layer)(**layer.config())
    assert again.config() == layer.config() and type(again.activation) is nn.SiLU
    shapes = {k: v.shape for k, v in layer.state_dict().items()}
    assert {k: v.shape for k, v in again.state_dict().items()} == shapes
    assert type(layer)(12, 6, activation=nn.GELU()).config()["activation"] == "gelu"


def test_config_of_the_whole_makes_the_same():
    model = nn.Transformer(12, 3, 2, 1, 7, 0.3, "gelu")
    again = nn.Transformer(**model.config())
    assert again.config() == model.config()
    assert list(again.state_dict()) == list(model.state_dict())


X = Tensor(np.zeros((B, S, E)))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.TransformerEncoderLayer(12, 5), OptionError, "5 heads .* 12"),
        (
            lambda: nn.TransformerEncoderLayer(E, HEADS, activation="gleu"),
            OptionError,
            "Did you mean",
        ),
        (lambda: nn.TransformerEncoderLayer(E, HEADS, activation=abs), OptionError, "neither"),
        (lambda: nn.TransformerEncoderLayer(E, HEADS, batch_first=False), OptionError, "permute"),
        (
            lambda: nn.TransformerEncoderLayer(E, HEADS)(X, None, np.ones((B, S), bool)),
            ShapeError,
            "self_attn.*leaves out all 5 keys of batch entry 0",
        ),
        (
            lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(E, HEADS), 2)(
                X, None, np.ones((B, S), bool)
            ),
            ShapeError,
            r"layer 'layers\.0\.self_attn'",
        ),
        (lambda: nn.TransformerEncoderLayer(8, 2)(X), ShapeError, r"\(2, 5, 12\).*8"),
        (
            lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(E, HEADS), 0),
            OptionError,
            "num_layers .* got 0",
        ),
        (
            lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(E, HEADS), 2)(X, cache=[]),
            ShapeError,
            "0 caches for 2 layers",
        ),
        (lambda: nn.Transformer(E, HEADS, 1, 1, 4)(X, X[:1]), ShapeError, "src has 2 .* tgt 1"),
        (lambda: nn.Transformer(8, 2, 1, 1, 4)(X, X), ShapeError, r"src .*\(2, 5, 12\).* 8"),
    ],
)
def test_errors_name_the_layer_the_numbers_and_the_fix(call, error, words):
    with pytest.raises(error, match=words):
        call()
