"""Every model: learns a batch by heart, is rebuilt from its config and its folder, refuses what does not fit."""

import json

import numpy as np
import pytest

from pellucid import compile, grad, models, nn, optim
from pellucid.base.errors import (
    FormatError,
    IndexRangeError,
    OptionError,
    ShapeError,
)
from pellucid.models.build import KINDS, MODELS
from pellucid.nn.losses_gan import critic_loss, generator_loss
from pellucid.tensor import random
from pellucid.tensor.tensor import Tensor

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def tokens(below, *shape):
    return RNG.integers(0, below, shape)


def classes(model, x, y):
    scores = model(x)
    return nn.cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))


def amounts(model, x, y):
    return nn.mse_loss(model(x), y)


def each_members(model, x, y):
    scores = model(x)
    each = [nn.cross_entropy(scores[k], y) for k in range(scores.shape[0])]
    return sum(each[1:], each[0]) / len(each)


def own_loss(model, x, y):
    return model.loss(x)


def pairs(model, x, y):
    # The target, moved by one: after each token the next.
    scores = model(x, y[:, :-1])
    return nn.cross_entropy(scores.reshape(-1, scores.shape[-1]), y[:, 1:].reshape(-1))


def masked_words(model, x, y):
    return models.masked_word_loss(model(x), y)


def words_to_guess():
    text = tokens(9, 4, 7) + 2
    return models.mask_words(text, mask_token=1, vocab_size=11, seed=1, p=0.4)


# name -> (how it is made, a batch, its loss, learning rate)
CASES = {
    "MLP": (lambda: models.MLP((6, 16, 3)), (floats(8, 2, 3), tokens(3, 8)), classes, 3e-2),
    "Committee": (
        lambda: models.Committee((6, 16, 8, 3), 3), (floats(8, 6), tokens(3, 8)), each_members, 3e-2,
    ),
    "LeNet": (lambda: models.LeNet(1, 4, 12), (floats(6, 12, 12, 1), tokens(4, 6)), classes, 1e-2),
    "ResNet": (
        lambda: models.ResNet("basic", (1, 1), (4, 8), 3, 3, "small"),
        (floats(6, 7, 5, 3), tokens(3, 6)), classes, 2e-2,
    ),
    "ResNet-bottleneck": (
        lambda: models.ResNet("bottleneck", (1, 1), (8, 16), 3, 3, "large"),
        (floats(6, 17, 16, 3), tokens(3, 6)), classes, 2e-2,
    ),
    "UNet": (lambda: models.UNet(2, 3, (4, 6)), (floats(2, 4, 6, 2), tokens(3, 2, 4, 6)), classes, 2e-2),
    "CharRNN": (lambda: models.CharRNN(7, 5, 16), (tokens(7, 3, 6), tokens(7, 3, 6)), classes, 3e-2),
    "CharRNN-gru": (
        lambda: models.CharRNN(7, 5, 12, 2, "gru"), (tokens(7, 3, 6), tokens(7, 3, 6)), classes, 3e-2,
    ),
    "Forecaster": (
        lambda: models.Forecaster(2, 12, n_outputs=2), (floats(5, 7, 2), floats(5, 2)), amounts, 2e-2,
    ),
    "Seq2Seq": (
        lambda: models.Seq2Seq(8, 7, 16, 2, 1, 1, 32, 0.0, 16, padding=0),
        (tokens(7, 4, 5) + 1, tokens(6, 4, 6) + 1), pairs, 1e-2,
    ),
    "GPT": (
        lambda: models.GPT(9, 8, 16, 2, 2, dropout=0.0), (tokens(9, 3, 7), tokens(9, 3, 7)), classes, 1e-2,
    ),
    "GPT-nano": (
        lambda: models.GPT(9, 8, 16, 1, 2, 24, 0.0, bias=False, tied=False),
        (tokens(9, 3, 7), tokens(9, 3, 7)), classes, 1e-2,
    ),
    "BERT": (
        lambda: models.BERT(11, 16, 1, 2, 32, 8, dropout=0.0, pad_token_id=None), words_to_guess(),
        masked_words, 1e-2,
    ),
    "ViT": (
        lambda: models.ViT(8, 4, 3, 16, 1, 2, 32, 4), (floats(5, 8, 8, 3), tokens(4, 5)), classes, 1e-2,
    ),
    "Autoencoder": (
        lambda: models.Autoencoder((4, 3, 1), (16,), 6, "tanh"), (floats(4, 4, 3, 1), floats(1)), own_loss,
        2e-2,
    ),
}  # fmt: skip
GANS = {
    "DCGAN": lambda: models.DCGAN(8, 1, 6, 8),
    "WGAN_GP": lambda: models.WGAN_GP(8, 1, 6, 8, penalty=5.0),
}
OTHERS = {**GANS, "VAE": lambda: models.VAE((4, 3, 1), (16,), 3)}


def made(name):
    random.seed(1)
    return CASES[name][0]() if name in CASES else OTHERS[name]()


def an_input(name):
    if name in CASES:
        x, y = CASES[name][1]
        return (Tensor(x), Tensor(y)) if name == "Seq2Seq" else (Tensor(x),)
    return (
        (Tensor(floats(3, 6)),) if name in GANS else (Tensor(RNG.random((3, 4, 3, 1), np.float32)),)
    )


def outputs(found):
    return [t.numpy() for t in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parametrize("name", CASES)
def test_a_model_learns_a_batch_by_heart(name):
    _, (x, y), loss_of, lr = CASES[name]
    model = made(name)
    optimizer = optim.Adam(model.parameters(), lr=lr)

    @compile
    def step(x, y):
        loss = loss_of(model, x, y)
        optimizer.step(grad(loss, optimizer.parameters))
        return loss

    x, y = Tensor(x), Tensor(y)
    first = step(x, y).item()
    assert np.isfinite(first)
    for _ in range(250):
        last = step(x, y).item()
        if last < first / 10:
            return
    pytest.fail(f"{name}: the loss went from {first:.4f} to {last:.4f}, not below a tenth")


def test_a_vae_lowers_its_bound_and_makes_examples_near_the_data():
    model = made("VAE")
    x = Tensor(np.repeat(RNG.random((1, 4, 3, 1)) > 0.5, 16, 0).astype(np.float32))
    optimizer = optim.Adam(model.parameters(), lr=1e-2)

    @compile
    def step(x):
        loss = model.loss(x)
        optimizer.step(grad(loss, optimizer.parameters))
        return loss

    first = step(x).item()
    for _ in range(200):
        last = step(x).item()
    assert last < first / 10
    # All examples were the same one: what it draws from noise must be that.
    assert np.abs(model.eval().sample(5).numpy() - x.numpy()[:1]).max() < 0.2


def test_the_bound_of_a_vae_is_the_formula():
    model = made("VAE").eval()
    x = RNG.random((5, 4, 3, 1)).astype(np.float32)
    logits, mean, log_variance = outputs(model(Tensor(x)))
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    back = -(x * np.log(p) + (1 - x) * np.log(1 - p)).reshape(5, -1).sum(1)
    far = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)
    assert np.allclose(model.loss(Tensor(x)).item(), (back + far).mean(), rtol=1e-5)


def test_the_code_of_a_vae_is_drawn_in_training_and_the_mean_in_evaluation():
    model, x = made("VAE"), Tensor(RNG.random((3, 4, 3, 1), np.float32))
    first, second = model(x)[0].numpy(), model(x)[0].numpy()
    assert not np.array_equal(first, second)
    model.eval()
    assert np.array_equal(model(x)[0].numpy(), model.decode(model.encode(x)[0]).numpy())


@pytest.mark.parametrize("name", [*CASES, *OTHERS])
def test_a_model_is_rebuilt_from_json_and_from_its_folder(name, tmp_path):
    model = made(name).eval()
    config = json.loads(json.dumps(model.config()))
    again = type(model).from_config(config)
    assert again.config() == model.config()
    again.load_state_dict(model.state_dict())
    models.save(model, tmp_path)
    loaded = models.load(tmp_path)
    assert type(loaded) is type(model) and loaded.config() == model.config()
    inputs = an_input(name)
    want = outputs(model(*inputs))
    for other in (again.eval(), loaded):
        for a, b in zip(want, outputs(other(*inputs)), strict=True):
            assert np.array_equal(a, b)
    for k, v in model.state_dict().items():
        assert np.array_equal(loaded.state_dict()[k], v)


@pytest.mark.parametrize("name", [*CASES, *OTHERS])
def test_the_state_in_pytorchs_layout_comes_back(name):
    model, other = made(name), made(name)
    for p in other.parameters():
        p.assign(p * 0.0)
    other.load_state_dict(model.state_dict(layout="pytorch"), layout="pytorch")
    for k, v in model.state_dict().items():
        assert np.array_equal(other.state_dict()[k], v), k


def test_models_may_be_layers_of_a_sequential(tmp_path):
    net = nn.Sequential(models.MLP((4, 3)), nn.Sequential(models.MLP((3, 2)), nn.Softmax()))
    models.save(net, tmp_path)
    assert repr(models.load(tmp_path)) == repr(net)
    alone = nn.Sequential(models.MLP((4, 3)))
    models.save(alone, tmp_path)
    assert repr(models.load(tmp_path)) == repr(alone)


def test_every_model_has_a_row_and_a_case():
    public = {
        name for name in models.__all__
        if isinstance(getattr(models, name), type) and issubclass(getattr(models, name), models.Model)
    } - {"Model"}  # fmt: skip
    assert public == set(MODELS)
    assert {name.split("-")[0] for name in (*CASES, *OTHERS)} == public
    assert set(nn.build.__globals__["KINDS"]) < set(KINDS)


# ---- the two networks of a GAN


def test_a_dcgan_critic_learns_to_tell_and_the_generator_to_fool():
    gan = made("DCGAN")
    real = Tensor(np.tanh(floats(8, 8, 8, 1)))
    fake = Tensor(np.tanh(floats(8, 8, 8, 1)))
    optimizer = optim.Adam(gan.critic.parameters(), lr=2e-3)

    @compile
    def tell(real, fake):
        loss = critic_loss(gan.critic(real), gan.critic(fake))
        optimizer.step(grad(loss, optimizer.parameters))
        return loss

    first = tell(real, fake).item()
    for _ in range(150):
        last = tell(real, fake).item()
    assert last < first / 10
    other = optim.Adam(gan.generator.parameters(), lr=2e-3)
    noise = Tensor(floats(8, 6))

    @compile
    def fool(noise):
        loss = generator_loss(gan.critic(gan.generator(noise)))
        other.step(grad(loss, other.parameters))
        return loss

    first = fool(noise).item()
    for _ in range(150):
        last = fool(noise).item()
    assert last < first / 10


def test_one_step_of_a_dcgan_changes_each_network_by_its_own_loss():
    gan = made("DCGAN")
    g, c = (optim.SGD(net.parameters(), lr=0.1) for net in (gan.generator, gan.critic))
    before = gan.state_dict()
    step = compile(gan.step(g, c))
    losses = step(Tensor(np.tanh(floats(4, 8, 8, 1))))
    assert all(np.isfinite(x.item()) for x in losses)
    after = gan.state_dict()
    for part in ("generator", "critic"):
        moved = [
            k for k in before if k.startswith(part) and not np.array_equal(before[k], after[k])
        ]
        assert moved


def test_a_wasserstein_critic_measures_a_distance_with_a_slope_near_1():
    gan = made("WGAN_GP")
    real = np.tanh(floats(8, 8, 8, 1)) * 0.1 + 0.5
    optimizer = optim.Adam(gan.critic.parameters(), lr=2e-3, betas=(0.0, 0.9))
    learn = compile(gan.critic_step(optimizer))
    first = learn(Tensor(real)).item()
    for _ in range(100):
        last = learn(Tensor(real)).item()
    assert last < first - 1  # minus the distance: real images are 0.5 brighter at each of 64 pixels
    made_images = gan.generator(gan.noise(8)).detach()
    x = Tensor((real + made_images.numpy()) / 2)
    slope = grad(gan.critic(x).sum(), x).numpy()
    lengths = np.sqrt((slope**2).reshape(8, -1).sum(1))
    assert 0.5 < lengths.mean() < 1.5
    g = optim.Adam(gan.generator.parameters(), lr=2e-3)
    improve = compile(gan.generator_step(g, 8))
    first = improve().item()
    for _ in range(30):
        last = improve().item()
    assert last < first


# ---- what they are


def test_published_sizes_have_their_number_of_weights():
    # He et al. (2016), table 6; torchvision's and Hugging Face's model cards. Options of layers change nothing here.
    assert (
        models.resnet20().n_parameters == 272_474
    )  # 0.27 million; the 1x1 shortcuts are 2,752 of them
    with nn.init.blank():
        assert models.resnet18().n_parameters == 11_689_512
        assert models.resnet50().n_parameters == 25_557_032
        assert models.GPT().n_parameters == 124_439_808
        assert models.BERT().n_parameters == 109_514_298  # BertForMaskedLM of bert-base-uncased
        assert models.ViT().n_parameters == 86_567_656
        assert models.LeNet().n_parameters == 61_706


def test_a_gpt_never_looks_at_what_comes_later():
    model = made("GPT").eval()
    text = tokens(9, 1, 7)
    other = text.copy()
    other[0, 4] = (other[0, 4] + 1) % 9
    a, b = model(Tensor(text)).numpy(), model(Tensor(other)).numpy()
    assert np.array_equal(a[:, :4], b[:, :4]) and not np.allclose(a[:, 4:], b[:, 4:])


def test_a_gpt_with_memory_gives_the_scores_of_one_without():
    model = made("GPT").eval()
    text = tokens(9, 2, 7)
    want = model(Tensor(text)).numpy()
    memory = model.memory(2)
    parts = [model(Tensor(text[:, a:b]), memory).numpy() for a, b in ((0, 3), (3, 4), (4, 7))]
    assert np.allclose(np.concatenate(parts, 1), want, atol=1e-5)
    memory.rewind(3)
    assert np.allclose(model(Tensor(text[:, 3:]), memory).numpy(), want[:, 3:], atol=1e-5)


def test_a_char_rnn_with_memory_gives_the_scores_of_one_without():
    for name in ("CharRNN", "CharRNN-gru"):
        model = made(name).eval()
        text = tokens(7, 2, 6)
        want = model(Tensor(text)).numpy()
        memory = model.memory(2)
        parts = [model(Tensor(text[:, a:b]), memory).numpy() for a, b in ((0, 1), (1, 4), (4, 6))]
        assert np.allclose(np.concatenate(parts, 1), want, atol=1e-5)
        memory.reset()
        assert np.allclose(model(Tensor(text), memory).numpy(), want, atol=1e-5)


def test_padding_of_a_bert_changes_no_other_word():
    model = models.BERT(11, 16, 2, 2, 32, 8).eval()
    for p in model.parameters():
        if p.ndim == 2:
            p.assign(p * 10.0)  # initial weights are so small that words hardly see each other
    text = tokens(10, 1, 5) + 1
    want = model(Tensor(text)).numpy()
    padded = np.concatenate([text, np.zeros((1, 3), text.dtype)], 1)
    got = model(Tensor(padded), mask=Tensor(padded != 0)).numpy()
    assert np.allclose(got[:, :5], want, atol=1e-5)
    assert not np.allclose(model(Tensor(padded)).numpy()[:, :5], want, atol=1e-3)


def test_padding_of_a_source_changes_nothing():
    model = models.Seq2Seq(8, 7, 16, 2, 1, 1, 32, padding=0).eval()
    source, target = tokens(7, 1, 4) + 1, tokens(6, 1, 3) + 1
    want = model(Tensor(source), Tensor(target)).numpy()
    padded = np.concatenate([source, np.zeros((1, 2), source.dtype)], 1)
    assert np.allclose(model(Tensor(padded), Tensor(target)).numpy(), want, atol=1e-5)


def test_words_are_masked_as_the_paper_says():
    text = RNG.integers(5, 1000, (100, 200))
    text[:, 0] = 2
    inputs, targets = models.mask_words(text, 1, 1000, seed=7, special=(2,))
    guessed = targets != -100
    assert np.array_equal(targets[guessed], text[guessed]) and not guessed[:, 0].any()
    assert np.array_equal(inputs[~guessed], text[~guessed])
    # 19,900 places: a share's standard deviation is below 0.8 %
    assert abs(guessed[:, 1:].mean() - 0.15) < 0.01
    masked = inputs[guessed] == 1
    same = inputs[guessed] == text[guessed]
    assert abs(masked.mean() - 0.8) < 0.03 and abs(same.mean() - 0.1) < 0.03
    again = models.mask_words(text, 1, 1000, seed=7, special=(2,))
    assert np.array_equal(inputs, again[0]) and np.array_equal(targets, again[1])
    assert not np.array_equal(inputs, models.mask_words(text, 1, 1000, seed=8)[0])


def test_the_masked_word_loss_counts_guessed_places_only():
    scores = floats(2, 3, 5)
    targets = np.array([[-100, 2, -100], [4, -100, -100]])
    log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    want = -(log_p[0, 1, 2] + log_p[1, 0, 4]) / 2
    assert np.allclose(models.masked_word_loss(Tensor(scores), targets).item(), want, rtol=1e-5)


# ---- what they refuse


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: models.MLP((4,)), "MLP: sizes must be 2 or more whole numbers"),
        (lambda: models.MLP((4, 0)), "sizes must be"),
        (lambda: models.MLP((4, 3), "relus"), "Did you mean 'relu'"),
        (lambda: models.MLP((4, 3, 2), "step"), "would never learn"),
        (lambda: models.MLP((4, 3, 2), dropout=1.5), "dropout is the chance"),
        (lambda: models.LeNet(image_size=30), "image_size must be a multiple of 4"),
        (lambda: models.LeNet(pool="mean"), "pool of LeNet"),
        (lambda: models.ResNet("basic", (2, 2), (8,)), "2 stages, widths 1"),
        (lambda: models.ResNet("bottleneck", (1,), (6,)), "multiples of 4; got 6"),
        (lambda: models.ResNet("bottle"), "Did you mean 'bottleneck'"),
        (lambda: models.GPT(10, 8, 12, 2, 5), "n_head = 5 must divide n_embd = 12"),
        (lambda: models.GPT(10, 8, 12, 0, 2), "n_layer must be a whole number of 1 or more; got 0"),
        (lambda: models.BERT(10, 12, 1, 5, 8), "num_attention_heads = 5 must divide hidden_size = 12"),
        (lambda: models.BERT(10, 12, 1, 2, 8, next_sentence=True), "pooler=True"),
        (lambda: models.ViT(10, 4), "patch_size 4 must divide image_size 10. Use image_size=12"),
        (lambda: models.Seq2Seq(9, 7, padding=8), "padding 8 must be a token of both vocabularies, 0 to 6"),
        (lambda: models.CharRNN(5, cell="lstn"), "Did you mean 'lstm'"),
        (lambda: models.DCGAN(30), "image_size 30 must be 4 to 7 doubled"),
        (lambda: models.VAE((), code=0), "code must be|shape must be"),
    ],
)  # fmt: skip
def test_impossible_options_are_named(make, words):
    with pytest.raises(OptionError, match=words):
        make()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: models.UNet(1, 2, (4, 8))(Tensor(floats(1, 5, 4, 1))), ShapeError, "multiples of 2"),
        (lambda: models.ViT(8, 4, 3, 8, 1, 2, 8, 2)(Tensor(floats(1, 8, 9, 3))), ShapeError, "channels last"),
        (lambda: made("GPT")(Tensor(tokens(9, 1, 9))), ShapeError, "sequence of 9 steps.*8"),
        (lambda: made("GPT")(Tensor(np.array([[9]]))), IndexRangeError, "token 9"),
        (lambda: made("GPT").memory(1, 9), ShapeError, "9 tokens is longer than the 8 positions"),
        (lambda: made("BERT")(Tensor(np.array([[3]])), mask=Tensor(np.ones((2, 1)))), ShapeError, "mask has shape"),
        (lambda: made("Forecaster")(Tensor(floats(5, 7))), ShapeError, "batch, steps, 2"),
        (lambda: made("DCGAN")(Tensor(floats(2, 5))), ShapeError, r"\(batch, 6\)"),
        (lambda: made("VAE")(Tensor(floats(2, 5))), ShapeError, r"shape=\(5,\)"),
        (lambda: models.mask_words(np.full((1, 3), 2), 1, 5, 0, special=(2,)), ShapeError, "all 3 tokens are special"),
    ],
)  # fmt: skip
def test_impossible_inputs_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_folder_that_does_not_fit_is_named(tmp_path):
    model = models.MLP((4, 3))
    models.save(model, tmp_path)
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace("relu", "relux"))
    with pytest.raises(FormatError, match="MLP cannot have activation = 'relux'"):
        models.load(tmp_path)
    (tmp_path / "model.json").write_text(text.replace("4,", "5,"))
    with pytest.raises(
        FormatError, match=r"needs a weight 'layers.0.weight' of shape \(5, 3\); got \(4, 3\)"
    ):
        models.load(tmp_path)
    with pytest.raises(FormatError, match="holds no model"):
        models.load(tmp_path / "none")
