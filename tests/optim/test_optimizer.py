"""Optimizers: by hand, their state, and what they refuse."""

import numpy as np
import pytest

from pellucid import optim
from pellucid.base.errors import FormatError, OptionError, ShapeError
from pellucid.tensor.tensor import Tensor
from pellucid.tensor.trace import compile

MAKERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1),
    "adam": lambda p: optim.Adam(p, lr=0.1),
    "adamw": lambda p: optim.AdamW(p, lr=0.1),
}


def parameters():
    return [Tensor.parameter(np.array([1.0, -2.0, 3.0])), Tensor.parameter(np.array(0.5))]


def gradients(i):
    return [Tensor(np.array([1.0, 0.5, -1.0]) * (i + 1)), Tensor(np.array(-0.25 * i + 1))]


def test_the_first_adam_step_is_lr_whatever_the_gradient():
    """m / sqrt(v) is the sign at t = 1, so the step is lr (Kingma and Ba, section 2.1)."""
    p = Tensor.parameter(np.array([1.0, 1.0, 1.0]))
    optim.Adam([p], lr=0.01, eps=0.0).step([Tensor(np.array([1e-3, -5.0, 1e4]))])
    np.testing.assert_allclose(p.numpy(), [0.99, 1.01, 0.99], rtol=1e-14)


def test_momentum_by_hand():
    p = Tensor.parameter(np.array([1.0]))
    o = optim.SGD([p], lr=0.5, momentum=0.5)
    for expected in (0.5, -0.25, -1.125):  # v: 1, 1.5, 1.75
        o.step([Tensor(np.array([1.0]))])
        assert p.item() == expected


@pytest.mark.parametrize("name", MAKERS)
def test_a_restored_state_goes_on_with_the_same_bits(name):
    a = parameters()
    first = MAKERS[name](a)
    for i in range(3):
        first.step(gradients(i))
    saved, values = first.state_dict(), [p.numpy() for p in a]
    b = [Tensor.parameter(v) for v in values]
    second = MAKERS[name](b)
    second.load_state_dict(saved)
    for i in range(3, 6):
        first.step(gradients(i))
        second.step(gradients(i))
    assert all(np.array_equal(x.numpy(), y.numpy()) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", MAKERS)
def test_lr_can_be_changed_between_compiled_steps(name):
    p = parameters()
    o = MAKERS[name](p)

    @compile
    def step(a, b):
        o.step([a, b])

    g = [x.numpy() for x in gradients(0)]
    step(*g)
    before = [x.numpy() for x in p]
    o.lr = 0.0
    step(*g)
    assert all(np.array_equal(x.numpy(), y) for x, y in zip(p, before, strict=True))


def test_a_parameter_without_gradient_stays():
    p = parameters()
    optim.SGD(p, lr=1.0).step([Tensor(np.ones(3)), None])
    assert p[1].item() == 0.5 and p[0].numpy().tolist() == [0.0, -3.0, 2.0]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: optim.SGD([]), OptionError, "needs parameters"),
        (lambda: optim.SGD(parameters(), lr=-1), OptionError, "lr must be"),
        (lambda: optim.SGD(parameters(), lr=float("nan")), OptionError, "lr must be"),
        (lambda: optim.SGD(parameters(), lr="fast"), OptionError, "lr must be"),
        (lambda: optim.SGD(parameters(), nesterov=True), OptionError, "nesterov needs"),
        (lambda: optim.Adam(parameters(), betas=(1.0, 0.9)), OptionError, r"betas\[0\]"),
        (lambda: optim.Adam(parameters(), eps=-1), OptionError, "eps"),
        (lambda: optim.SGD([Tensor([1, 2])]), OptionError, "Tensor of floats"),
        (lambda: optim.SGD(parameters()).step(), ShapeError, "found no gradient"),
        (lambda: optim.SGD(parameters()).step([None]), ShapeError, "1 gradients for 2"),
        (
            lambda: optim.SGD(parameters()).step([Tensor(np.ones(2)), None]),
            ShapeError,
            "gradient 0 has shape",
        ),
        (
            lambda: optim.Adam(parameters()).load_state_dict({"lr": np.zeros(())}),
            FormatError,
            "another optimizer",
        ),
    ],
)
def test_misuse_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
