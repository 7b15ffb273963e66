"""Twenty training steps from the same weights end at PyTorch's weights."""

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid import optim
from pellucid.tensor.gradient import grad
from pellucid.tensor.tensor import Tensor
from pellucid.tensor.trace import compile

torch = pytest.importorskip("torch")

RULES = {
    "sgd": (optim.SGD, "SGD", {"lr": 0.05}),
    "sgd_decay": (optim.SGD, "SGD", {"lr": 0.05, "weight_decay": 0.02}),
    "momentum": (optim.SGD, "SGD", {"lr": 0.02, "momentum": 0.9}),
    "momentum_decay": (optim.SGD, "SGD", {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.02}),
    "dampening": (optim.SGD, "SGD", {"lr": 0.02, "momentum": 0.9, "dampening": 0.3}),
    "nesterov": (
        optim.SGD,
        "SGD",
        {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ),
    "adam": (optim.Adam, "Adam", {"lr": 0.01}),
    "adam_decay": (
        optim.Adam,
        "Adam",
        {"lr": 0.01, "weight_decay": 0.02, "betas": (0.8, 0.99), "eps": 1e-6},
    ),
    "adamw": (optim.AdamW, "AdamW", {"lr": 0.01}),
    "adamw_decay": (optim.AdamW, "AdamW", {"lr": 0.01, "weight_decay": 0.3}),
    "amsgrad": (optim.Adam, "Adam", {"lr": 0.03, "amsgrad": True, "betas": (0.9, 0.9)}),
    "adagrad": (optim.Adagrad, "Adagrad", {"lr": 0.05}),
    "adagrad_all": (
        optim.Adagrad,
        "Adagrad",
        {"lr": 0.05, "lr_decay": 0.1, "weight_decay": 0.02, "initial_accumulator_value": 0.1},
    ),
    "rmsprop": (optim.RMSprop, "RMSprop", {"lr": 0.01, "weight_decay": 0.01}),
    "rmsprop_momentum": (optim.RMSprop, "RMSprop", {"lr": 0.003, "momentum": 0.9, "alpha": 0.9}),
    "rmsprop_centered": (optim.RMSprop, "RMSprop", {"lr": 0.003, "centered": True, "eps": 1e-3}),
    "nadam": (optim.NAdam, "NAdam", {"lr": 0.01}),
    "nadam_decay": (
        optim.NAdam,
        "NAdam",
        {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True, "momentum_decay": 0.02},
    ),
    "nadam_l2": (optim.NAdam, "NAdam", {"lr": 0.01, "weight_decay": 0.1}),
}
ACTIVATIONS = {
    "relu": (nn.ReLU, "ReLU"),
    "leaky_relu": (nn.LeakyReLU, "LeakyReLU"),
    "gelu": (nn.GELU, "GELU"),
    "sigmoid": (nn.Sigmoid, "Sigmoid"),
    "tanh": (nn.Tanh, "Tanh"),
}


def both(dtype, activation="tanh", n_outputs=4):
    """The same network here and there."""
    ours_f, theirs_f = ACTIVATIONS[activation]
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(7, 16), getattr(torch.nn, theirs_f)(), torch.nn.Linear(16, n_outputs)
    ).to(getattr(torch, dtype))
    ours = nn.Sequential(
        nn.Linear(7, 16, dtype=dtype), ours_f(), nn.Linear(16, n_outputs, dtype=dtype)
    )
    ours.load_state_dict(
        {k: v.detach().numpy() for k, v in theirs.state_dict().items()}, layout="pytorch"
    )
    return ours, theirs


def batches(dtype, n_outputs, is_classes):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 9, 7)).astype(dtype)
    y = (
        rng.integers(0, n_outputs, (20, 9))
        if is_classes
        else rng.normal(size=(20, 9, n_outputs)).astype(dtype)
    )
    return x, y


def relative(ours, theirs):
    """The largest difference over the largest weight of each tensor."""
    return max(
        np.abs(ours[k] - v.numpy()).max() / max(np.abs(v.numpy()).max(), 1e-30)
        for k, v in theirs.items()
    )


def train(ours, theirs, ours_step, loss, x, y):
    """20 steps of both; the last losses."""
    for xi, yi in zip(x, y, strict=True):
        a = ours_step(xi, yi)
        theirs[1].zero_grad()
        b = loss(theirs[0](torch.tensor(xi)), torch.tensor(yi))
        b.backward()
        theirs[1].step()
    return float(a.item()), b.item()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
def test_20_steps_equal_torch(rule, dtype):
    make, name, settings = RULES[rule]
    ours, theirs = both(dtype)
    optimizer = make(ours.parameters(), **settings)

    @compile
    def step(x, y):
        loss = nn.cross_entropy(ours(x), y)
        optimizer.step(grad(loss, optimizer.parameters))
        return loss

    x, y = batches(dtype, 4, True)
    other = getattr(torch.optim, name)(theirs.parameters(), **settings)
    a, b = train(ours, (theirs, other), step, torch.nn.functional.cross_entropy, x, y)
    # PyTorch keeps NAdam's product of momenta in float32 for every dtype.
    tolerance = {"float32": 1e-5, "float64": 1e-9 if name == "NAdam" else 1e-12}[dtype]
    assert abs(a - b) <= tolerance * abs(b)
    assert relative(ours.state_dict("pytorch"), theirs.state_dict()) <= tolerance


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_20_steps_of_each_activation_and_loss_equal_torch(activation, loss, dtype):
    ours, theirs = both(dtype, activation)
    optimizer = optim.SGD(ours.parameters(), lr=0.05)
    ours_loss, theirs_loss = {
        "cross_entropy": (nn.cross_entropy, torch.nn.functional.cross_entropy),
        "mse": (nn.mse_loss, torch.nn.functional.mse_loss),
    }[loss]

    @compile
    def step(x, y):
        value = ours_loss(ours(x), y)
        optimizer.step(grad(value, optimizer.parameters))
        return value

    x, y = batches(dtype, 4, loss == "cross_entropy")
    other = torch.optim.SGD(theirs.parameters(), lr=0.05)
    train(ours, (theirs, other), step, theirs_loss, x, y)
    assert (
        relative(ours.state_dict("pytorch"), theirs.state_dict())
        <= {"float32": 1e-5, "float64": 1e-12}[dtype]
    )


def test_backward_and_step_without_compile_equal_torch():
    ours, theirs = both("float64")
    optimizer = optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
    other = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    x, y = batches("float64", 4, True)

    def step(xi, yi):
        optimizer.zero_grad()
        loss = nn.cross_entropy(ours(Tensor(xi)), Tensor(yi))
        loss.backward()
        optimizer.step()
        return loss

    train(ours, (theirs, other), step, torch.nn.functional.cross_entropy, x[:5], y[:5])
    assert relative(ours.state_dict("pytorch"), theirs.state_dict()) <= 1e-12
