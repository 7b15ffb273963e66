"""--lr find: the rate that a range test tells, and that nothing but the rate remains of the test."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from pellucid.base.errors import NonFiniteError, OptionError
from pellucid.cli.main import run as command
from pellucid.train.loop import Options, fit
from pellucid.train.rates import N_STEPS, WINDOW, choose, find_rate, smoothed
from pellucid.train.recipe import recipe

RATES = [10 ** (-6 + 6 * i / 119) for i in range(120)]  # 1e-6 to 1


def test_a_fifth_of_the_rate_with_the_lowest_loss_is_chosen():
    # A parabola over the logarithm of the rate with its lowest point at 0.01.
    losses = [1 + (math.log10(r) + 2) ** 2 for r in RATES]
    found = choose(RATES, losses, 1e-3)
    assert found.rate == pytest.approx(0.002, rel=0.06)  # steps of 1.12; two digits
    rng = np.random.default_rng(0)
    noisy = [loss * math.exp(0.1 * rng.normal()) for loss in losses]
    assert 0.0005 < choose(RATES, noisy, 1e-3).rate < 0.008


def test_where_the_loss_only_rises_the_usual_rate_stays():
    found = choose(RATES, [1 + r for r in RATES], 0.003)
    assert found.rate == 0.003 and "falls at no rate" in found.why
    with pytest.raises(NonFiniteError, match="no number at the first step"):
        choose([], [], 0.003)


def test_losses_are_averaged_around_each_step():
    losses = np.random.default_rng(1).random(40)
    ours, half = smoothed(losses.tolist()), WINDOW // 2
    inner = np.convolve(losses, np.ones(WINDOW) / WINDOW, "valid")
    np.testing.assert_allclose(ours[half:-half], inner, rtol=1e-12)
    assert ours[0] == pytest.approx(losses[0]) and ours[1] == pytest.approx(losses[:3].mean())


def reached(made) -> float:
    """The best validation loss of four epochs."""
    data = made.dataset()
    network, parts = made.network(data), made.split(data)
    options = Options(4, made.batch, None, made.seed, made.loss())
    events = list(fit(network, data, parts, made.make_optimizer(network), options))
    return min(e.validation.loss for e in events[-1].history)


def test_the_rate_of_real_digits_is_one_that_learns():
    given = {"net": (32,), "optimizer": "sgd"}
    made = recipe("digits", **given)
    data = made.dataset()
    found = find_rate(made, data, made.split(data))
    assert len(found.rates) == len(found.losses) <= N_STEPS
    ours = reached(recipe("digits", lr=found.rate, **given))
    for wrong in (found.rate / 100, min(found.rate * 30, 50)):
        try:
            assert ours < reached(recipe("digits", lr=wrong, **given))
        except NonFiniteError:
            assert wrong > found.rate


def test_of_the_test_only_the_rate_remains(tmp_path, capsys):
    def trained(name: str, lr: str) -> dict:
        words = ["train", "digits", "--net", "8", "--epochs", "1", "--json", "--lr", lr]
        assert command([*words, "--out", str(tmp_path / name)]) == 0
        return json.loads(capsys.readouterr().out)

    found = trained("a", "find")
    again = trained("b", f"{found['settings']['lr']:g}")
    assert again["weights_sha256"] == found["weights_sha256"]
    assert again["settings"] == found["settings"]
    told = next(d for d in found["decisions"] if d["name"] == "lr")
    assert "range test" in told["reason"] and not told["is_given"]
    with Image.open(tmp_path / "a" / "lr.png") as picture:
        assert picture.size == (960, 640)
    assert not (tmp_path / "b" / "lr.png").exists()
    words = ["train", "digits", "--resume", "--lr", "find", "--out", str(tmp_path / "a")]
    assert command(words) == 2
    assert "is for a new run" in capsys.readouterr().err


def test_a_file_of_settings_may_ask_for_it(tmp_path, capsys):
    settings = tmp_path / "s.toml"
    settings.write_text('lr = "find"\nnet = [8]\n')
    assert command(["train", "digits", "--settings", str(settings), "--dry-run"]) == 0
    assert "range test" in capsys.readouterr().err
    settings.write_text('lr = "fast"\n')
    assert command(["train", "digits", "--settings", str(settings)]) == 2
    assert "lr: 'fast' is no number above 0, nor 'find'." in capsys.readouterr().err
    assert command(["train", "digits", "--lr", "fast"]) == 2


def test_networks_without_one_loss_have_no_test():
    made = recipe("digits", task="generate")
    with pytest.raises(OptionError, match="needs one loss that falls"):
        find_rate(made, None, None)
