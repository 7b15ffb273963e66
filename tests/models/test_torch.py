"""Models as PyTorch would build them, with the same weights: the same outputs and gradients.

Weights go over by name, state_dict(layout="pytorch"), so each network here says what that layout means."""

import itertools
import math

import numpy as np
import pytest

from pellucid import grad, models
from pellucid.tensor import random
from pellucid.tensor.tensor import Tensor, realize

torch = pytest.importorskip("torch")
T = torch.nn


class Named(T.Module):
    """Parts under our names, and a function of them."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self._forward = forward

    def forward(self, *x):
        return self._forward(self, *x)


def mlp(sizes, activation):
    layers = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        if i:
            layers.append(activation())
        layers.append(T.Linear(a, b))
    return Named(lambda s, x: s.layers(x.flatten(1)), layers=T.Sequential(*layers))


def lenet():
    act = T.ReLU
    features = T.Sequential(
        T.Conv2d(1, 6, 5, padding=2),
        act(),
        T.MaxPool2d(2),
        T.Conv2d(6, 16, 5),
        act(),
        T.MaxPool2d(2),
    )
    classifier = T.Sequential(
        T.Flatten(), T.Linear(16 * 4, 120), act(), T.Linear(120, 84), act(), T.Linear(84, 3)
    )
    return Named(lambda s, x: s.classifier(s.features(x)), features=features, classifier=classifier)


def residual(n_in, n_out, stride, bottleneck):
    bn = T.BatchNorm2d
    parts = {}
    n = n_out // 4 if bottleneck else n_out
    sizes = (
        ((n_in, n, 1, 1), (n, n, 3, stride), (n, n_out, 1, 1))
        if bottleneck
        else ((n_in, n, 3, stride), (n, n, 3, 1))
    )
    for i, (a, b, k, s) in enumerate(sizes):
        parts[f"conv{i + 1}"] = T.Conv2d(a, b, k, s, k // 2, bias=False)
        parts[f"bn{i + 1}"] = bn(b)
    if n_in != n_out or stride != 1:
        parts["downsample"] = T.Sequential(T.Conv2d(n_in, n_out, 1, stride, bias=False), bn(n_out))

    def forward(m, x):
        y = x
        for i in range(len(sizes)):
            y = getattr(m, f"bn{i + 1}")(getattr(m, f"conv{i + 1}")(y))
            if i + 1 < len(sizes):
                y = y.relu()
        return (y + (m.downsample(x) if hasattr(m, "downsample") else x)).relu()

    return Named(forward, **parts)


def resnet(bottleneck, depths, widths, n_in, n_out, large):
    n = widths[0] // (4 if bottleneck else 1)
    parts = {
        "conv1": T.Conv2d(n_in, n, 7, 2, 3, bias=False)
        if large
        else T.Conv2d(n_in, n, 3, 1, 1, bias=False),
        "bn1": T.BatchNorm2d(n),
    }
    for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        blocks = []
        for j in range(depth):
            blocks.append(residual(n, width, 2 if i and not j else 1, bottleneck))
            n = width
        parts[f"layer{i + 1}"] = T.Sequential(*blocks)
    parts["fc"] = T.Linear(n, n_out)

    def forward(m, x):
        x = m.bn1(m.conv1(x)).relu()
        if large:
            x = T.functional.max_pool2d(x, 3, 2, 1)
        for i in range(len(depths)):
            x = getattr(m, f"layer{i + 1}")(x)
        return m.fc(x.mean((2, 3)))

    return Named(forward, **parts)


def unet():
    def double(a, b):
        return T.Sequential(
            T.Conv2d(a, b, 3, padding=1, bias=False), T.BatchNorm2d(b), T.ReLU(),
            T.Conv2d(b, b, 3, padding=1, bias=False), T.BatchNorm2d(b), T.ReLU(),
        )  # fmt: skip

    def forward(m, x):
        a = m.down[0](x)
        b = m.down[1](T.functional.max_pool2d(a, 2))
        c = m.down[2](T.functional.max_pool2d(b, 2))
        b = m.merge[0](torch.cat([b, m.up[0](c)], 1))
        a = m.merge[1](torch.cat([a, m.up[1](b)], 1))
        return m.head(a)

    return Named(
        forward,
        down=T.Sequential(double(2, 4), double(4, 5), double(5, 6)),
        up=T.Sequential(T.ConvTranspose2d(6, 5, 2, 2), T.ConvTranspose2d(5, 4, 2, 2)),
        merge=T.Sequential(double(10, 5), double(8, 4)),
        head=T.Conv2d(4, 3, 1),
    )


def char_rnn(cell, layers):
    return Named(
        lambda m, x: m.head(m.rnn(m.embedding(x))[0]),
        embedding=T.Embedding(7, 5),
        rnn=cell(5, 6, layers, batch_first=True),
        head=T.Linear(6, 7),
    )


def forecaster():
    return Named(
        lambda m, x: x[:, -1, :1] + m.head(m.rnn(x)[0][:, -1]),
        rnn=T.GRU(3, 6, batch_first=True),
        head=T.Linear(6, 2),
    )


def seq2seq():
    place = torch.arange(12.0).double()[:, None] * 10000 ** (-torch.arange(0, 16, 2).double() / 16)
    table = torch.stack([place.sin(), place.cos()], -1).reshape(12, 16)

    def embed(layer, tokens):
        return layer(tokens) * math.sqrt(16) + table[: tokens.shape[1]]

    def forward(m, source, target):
        hidden = source == 0
        y = m.transformer(
            embed(m.source, source), embed(m.target, target),
            tgt_mask=torch.ones(target.shape[1], target.shape[1]).triu(1).bool(),
            src_key_padding_mask=hidden, memory_key_padding_mask=hidden,
        )  # fmt: skip
        return m.head(y)

    return Named(
        forward,
        source=T.Embedding(8, 16, 0),
        target=T.Embedding(7, 16, 0),
        transformer=T.Transformer(16, 2, 1, 2, 24, 0.0, batch_first=True, norm_first=True),
        head=T.Linear(16, 7),
    )


def generator():
    layers = T.Sequential(
        T.ConvTranspose2d(5, 8, 4, bias=False), T.BatchNorm2d(8), T.ReLU(),
        T.ConvTranspose2d(8, 4, 4, 2, 1, bias=False), T.BatchNorm2d(4), T.ReLU(),
        T.ConvTranspose2d(4, 2, 4, 2, 1), T.Tanh(),
    )  # fmt: skip
    return Named(lambda m, z: m.layers(z[:, :, None, None]), layers=layers)


def critic():
    layers = T.Sequential(
        T.Conv2d(2, 4, 4, 2, 1), T.LeakyReLU(0.2),
        T.Conv2d(4, 8, 4, 2, 1, bias=False), T.BatchNorm2d(8), T.LeakyReLU(0.2),
        T.Conv2d(8, 1, 4),
    )  # fmt: skip
    return Named(lambda m, x: m.layers(x).reshape(len(x)), layers=layers)


def vae():
    return Named(
        lambda m, x: m.decoder(m.encoder(x)[:, :3]).reshape(x.shape),
        encoder=mlp((8, 6, 6), T.ReLU),
        decoder=mlp((3, 6, 8), T.ReLU),
    )


RNG = np.random.default_rng(0)


def images(n, h, w, c):
    return (RNG.normal(size=(n, h, w, c)),)


# name -> (our model, theirs, inputs; images have their channels last)
CASES = {
    "MLP": (
        lambda d: models.MLP((6, 5, 4, 3), "tanh", dtype=d), lambda: mlp((6, 5, 4, 3), T.Tanh),
        (RNG.normal(size=(3, 6)),),
    ),
    "LeNet": (lambda d: models.LeNet(1, 3, 16, "relu", "max", dtype=d), lenet, images(2, 16, 16, 1)),
    "ResNet": (
        lambda d: models.ResNet("basic", (2, 1), (4, 6), 2, 3, "small", dtype=d),
        lambda: resnet(False, (2, 1), (4, 6), 2, 3, False), images(3, 7, 9, 2),
    ),
    "ResNet-bottleneck": (
        lambda d: models.ResNet("bottleneck", (1, 2), (8, 12), 3, 4, "large", dtype=d),
        lambda: resnet(True, (1, 2), (8, 12), 3, 4, True), images(2, 21, 18, 3),
    ),
    "UNet": (lambda d: models.UNet(2, 3, (4, 5, 6), dtype=d), unet, images(2, 4, 8, 2)),
    "CharRNN-lstm": (
        lambda d: models.CharRNN(7, 5, 6, 2, "lstm", dtype=d), lambda: char_rnn(T.LSTM, 2),
        (RNG.integers(0, 7, (2, 5)),),
    ),
    "CharRNN-gru": (
        lambda d: models.CharRNN(7, 5, 6, 1, "gru", dtype=d), lambda: char_rnn(T.GRU, 1),
        (RNG.integers(0, 7, (2, 5)),),
    ),
    "Forecaster": (
        lambda d: models.Forecaster(3, 6, n_outputs=2, is_residual=True, dtype=d), forecaster,
        (RNG.normal(size=(2, 5, 3)),),
    ),
    "Seq2Seq": (
        lambda d: models.Seq2Seq(8, 7, 16, 2, 1, 2, 24, 0.0, 12, padding=0, dtype=d), seq2seq,
        (np.array([[1, 2, 3, 0, 0], [4, 5, 6, 7, 1]]), np.array([[1, 2, 3, 4], [5, 6, 1, 2]])),
    ),
    "DCGAN-generator": (
        lambda d: models.DCGAN(16, 2, 5, 4, dtype=d).generator, generator, (RNG.normal(size=(3, 5)),),
    ),
    "DCGAN-critic": (lambda d: models.DCGAN(16, 2, 5, 4, dtype=d).critic, critic, images(3, 16, 16, 2)),
}  # fmt: skip


def theirs_of(array, dtype):
    x = torch.tensor(array)
    if array.dtype.kind == "i":
        return x
    x = x.to(dtype)
    return x.permute(0, 3, 1, 2) if array.ndim == 4 else x


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("is_training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_are_pytorchs(name, is_training):
    make, make_theirs, inputs = CASES[name]
    random.seed(1)
    ours, theirs = make("float64").train(is_training), make_theirs().double().train(is_training)
    for p in ours.parameters():
        p.assign(
            p + Tensor(RNG.normal(size=p.shape) * 0.1)
        )  # norms begin at 1 and 0: make them differ
    state = {k: torch.tensor(v) for k, v in ours.state_dict(layout="pytorch").items()}
    theirs.load_state_dict(state)
    want = theirs(*(theirs_of(x, torch.float64) for x in inputs))
    if want.ndim == 4:
        want = want.permute(0, 2, 3, 1)
    # Outputs are weighed with different numbers, so that no gradient cancels in a norm.
    weights = RNG.normal(size=want.shape)
    named = dict(ours.named_parameters())
    got = ours(*(Tensor(x) for x in inputs))
    grads = grad((got * Tensor(weights)).sum(), list(named.values()))
    realize(got, *grads)  # one program
    assert np.allclose(got.numpy(), want.detach().numpy(), rtol=1e-10, atol=1e-12)
    (want * torch.tensor(weights)).sum().backward()
    for p, g in zip(named.values(), grads, strict=True):
        p.assign(g)  # gradients go through the same change of layout
    mine = ours.state_dict(layout="pytorch")
    for key, p in theirs.named_parameters():
        scale = max(1.0, float(p.grad.abs().max()))
        # Sums of some hundred float64 products in another order
        assert np.allclose(mine[key], p.grad.numpy(), rtol=1e-9, atol=1e-10 * scale), key
    for key, buffer in theirs.named_buffers():
        assert np.allclose(mine[key], buffer.numpy(), rtol=1e-10), key


def test_a_vae_in_evaluation_is_pytorchs():
    random.seed(1)
    ours, theirs = models.VAE((2, 4), (6,), 3, dtype="float64").eval(), vae().double()
    theirs.load_state_dict(
        {k: torch.tensor(v) for k, v in ours.state_dict(layout="pytorch").items()}
    )
    x = RNG.random((3, 2, 4))
    want = theirs(torch.tensor(x)).detach().numpy()
    assert np.allclose(ours(Tensor(x))[0].numpy(), want, rtol=1e-10)
