"""Whole networks for images learn as PyTorch's do: the same weights after the same steps."""

import numpy as np
import pytest

import pellucid
import pellucid.nn as nn
from pellucid import optim
from pellucid.tensor.tensor import Tensor

torch = pytest.importorskip("torch")
from torch_images import data, first, load, same_buffers  # noqa: E402
from torch_layers import close  # noqa: E402


def lenet(m, **options):
    """LeNet-5's shape, with batch norm: LeCun et al. (1998), fig. 2."""
    dense = m.Linear(6 * 2 * 2, 7, **options)
    return m.Sequential(
        m.Conv2d(2, 4, 3, padding=1, **options),
        m.BatchNorm2d(4, **options),
        m.ReLU(),
        m.MaxPool2d(2),
        m.Conv2d(4, 6, 3, groups=2, bias=False, **options),
        m.Tanh(),
        m.AvgPool2d(2, ceil_mode=True),
        m.Flatten(),
        dense if m is not nn else nn.flatten_order(dense, inputs=(2, 2, 6)),
        m.BatchNorm1d(7, **options),
        m.Linear(7, 3, **options),
    )


def autoencoder(m, **options):
    """Down by strides and up again, to the size that it began with."""
    dense = m.Linear(5, 4 * 3 * 4, **options)
    return m.Sequential(
        m.Conv2d(2, 4, 3, stride=2, padding=1, **options),
        m.GroupNorm(2, 4, **options),
        m.ELU(),
        m.AdaptiveAvgPool2d(1),
        m.Flatten(),
        m.Linear(4, 5, **options),
        dense if m is not nn else nn.flatten_order(dense, outputs=(3, 4, 4)),
        m.Unflatten(1, (4, 3, 4) if m is not nn else (3, 4, 4)),
        m.Upsample(scale_factor=2, mode="bilinear"),
        m.ConvTranspose2d(4, 3, 3, stride=2, padding=1, **options),
        m.InstanceNorm2d(3, affine=True, **options),
    )


@pytest.mark.parametrize("build", [lenet, autoencoder])
def test_three_steps_of_training_equal_torchs(build):
    """Momentum and weight decay in a compiled step; then the same outputs in prediction."""
    torch.manual_seed(0)
    ours, theirs = build(nn, dtype="float64"), build(torch.nn, dtype=torch.float64)
    load(ours, theirs)
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    own = optim.SGD(ours.parameters(), **settings)
    their = torch.optim.SGD(theirs.parameters(), **settings)
    target = data((5, *build_shape(theirs)), seed=9)

    @pellucid.compile
    def step(x, target):
        loss = nn.mse_loss(ours(x), target)
        loss.backward()
        own.step()
        own.zero_grad()
        return loss

    for seed in range(3):
        x = data((5, 11, 13, 2), seed=seed)
        mine = step(Tensor(x), Tensor(target))
        their.zero_grad()
        goal = first(target).detach() if target.ndim == 4 else torch.tensor(target)
        loss = torch.nn.functional.mse_loss(theirs(first(x)), goal)
        loss.backward()
        their.step()
        close(mine, loss)
    state = ours.state_dict(layout="pytorch")
    for name, value in theirs.state_dict().items():
        close(state[name], value, 1e-10, what=name)
    same_buffers(ours, theirs)
    x = data((3, 11, 13, 2), seed=4)
    wanted = theirs.eval()(first(x)).detach().numpy()
    close(ours.eval()(Tensor(x)), np.moveaxis(wanted, 1, -1))


def build_shape(theirs) -> tuple[int, ...]:
    """Sizes of one output, channels last."""
    with torch.no_grad():
        shape = tuple(theirs.eval()(torch.zeros(1, 2, 11, 13, dtype=torch.float64)).shape[1:])
    theirs.train()
    return (*shape[1:], shape[0])
