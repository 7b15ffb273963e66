"""--l2: the larger, the narrower the weights lie around 0, whatever the optimizer; its default is told."""

import numpy as np
import pytest

from pellucid.base.errors import OptionError
from pellucid.cli.main import run as command
from pellucid.train.loop import Options, fit
from pellucid.train.recipe import OPTIMIZERS, recipe

# Where the decay is a part of the gradient, steps are scaled by it: a little is much.
LARGE = {"adamw": 3.0, "lion": 10.0}


def weights(**given) -> np.ndarray:
    """All weights of a small network after two epochs on the digits."""
    made = recipe("digits", net=(16,), epochs=2, **given)
    data = made.dataset()
    network, parts = made.network(data), made.split(data)
    options = Options(2, made.batch, None, made.seed, made.loss())
    for _ in fit(network, data, parts, made.make_optimizer(network), options):
        pass
    return np.concatenate([p.numpy().ravel() for p in network.parameters() if p.ndim == 2])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_larger_l2_narrows_the_distribution_of_the_weights(optimizer):
    spread = [
        np.quantile(np.abs(weights(optimizer=optimizer, l2=l2)), 0.9)
        for l2 in (0.0, LARGE.get(optimizer, 0.03))
    ]
    assert spread[1] < 0.9 * spread[0]


def test_without_l2_the_optimizers_own_holds_and_is_told():
    made = recipe("digits")
    assert made.l2 == 0.01 and recipe("digits", optimizer="sgd").l2 == 0
    data = made.dataset()
    told = {d.name: d for d in made.decisions(data, made.split(data))}
    assert told["l2"].value == "0.01" and told["l2"].option == "--l2"
    # AdamW draws every weight by lr * l2 a step; 0 and 0.01 differ, the default and 0.01 do not.
    assert (weights() == weights(l2=0.01)).all() and (weights() != weights(l2=0.0)).any()
    assert recipe("digits", task="generate").l2 == 0


def test_what_is_no_rate_is_refused(capsys):
    for wrong in (-1.0, float("nan"), "much"):
        with pytest.raises(OptionError, match="l2 must be a number of 0 or more"):
            recipe("digits", l2=wrong)
    assert command(["train", "digits", "--l2", "-1"]) == 2
    assert "--l2" in capsys.readouterr().err
