"""--steps and --for: training ends there with the best it has, and goes on from there to the same bits."""

import re

import numpy as np
import pytest

from pellucid.base.errors import OptionError, RunError
from pellucid.cli.main import run as command
from pellucid.data import load_digits
from pellucid.data.split import split
from pellucid.nn import Linear, ReLU, Sequential
from pellucid.optim.adam import AdamW
from pellucid.tensor import random
from pellucid.train.events import EpochDone, Stopped
from pellucid.train.loop import Options, fit
from pellucid.train.recipe import recipe
from pellucid.train.run import train_run
from pellucid.train.saved import weights_sha256

DATA = load_digits()
PARTS = split(DATA, 0.15, 0.2, 0)
N_STEPS = -(-len(PARTS.train) // 32)  # of an epoch: 37


def trained(**options):
    """(the network, the events) of a small run on the digits."""
    random.seed(1)
    network = Sequential(Linear(64, 16), ReLU(), Linear(16, 10))
    optimizer = AdamW(network.parameters(), 2e-3)
    return network, list(fit(network, DATA, PARTS, optimizer, Options(**{"epochs": 9, **options})))


def bits(network) -> str:
    return weights_sha256(network.state_dict())


@pytest.mark.parametrize("slice_seconds", [1e-9, 10.0])
@pytest.mark.parametrize("steps", [1, N_STEPS, N_STEPS + 5, 2 * N_STEPS - 1])
def test_so_many_steps_are_made_however_they_are_cut(steps, slice_seconds, tmp_path):
    path = tmp_path / "c"
    network, events = trained(steps=steps, slice_seconds=slice_seconds, checkpoint=path)
    stopped = events[-1]
    assert isinstance(stopped, Stopped) and not stopped.may_go_on
    assert stopped.reason.startswith(f"all {steps} steps are done")
    seen = [e.train.n for e in stopped.history]
    left = steps % N_STEPS
    assert seen == [len(PARTS.train)] * (steps // N_STEPS) + ([32 * left] if left else [])
    best = min(stopped.history, key=lambda e: e.validation.loss)
    assert stopped.best_epoch == best.epoch
    # The optimizer has counted each step; the weights are those of the same steps in slices of one.
    again, _ = trained(steps=steps, slice_seconds=1e-9)
    assert bits(again) == bits(network)


def test_a_run_that_was_ended_by_steps_or_time_goes_on_to_the_same_bits(tmp_path):
    whole, expected = trained(epochs=3)
    path = tmp_path / "c"
    for limit in ({"steps": 17}, {"steps": 50}, {"seconds": 1e-6}):
        resume = path.exists()
        _, events = trained(**limit, checkpoint=path, resume=resume)
        assert isinstance(events[-1], Stopped)
    assert events[-1].may_go_on and "the time of 1e-06 s is over" in events[-1].reason
    network, events = trained(epochs=3, checkpoint=path, resume=True)
    assert bits(network) == bits(whole)
    assert [e.train for e in events[-1].history] == [e.train for e in expected[-1].history]


def test_the_part_of_an_epoch_is_judged_and_may_be_the_best():
    network, events = trained(steps=N_STEPS // 2)
    only = [e for e in events if isinstance(e, EpochDone)]
    assert len(only) == 1 and only[0].is_best and only[0].epoch == only[0].epochs == 1
    assert events[-1].best_epoch == 1 and "the weights of epoch 1, the best" in events[-1].reason
    # What was judged is what is kept.
    x, y = DATA.x[PARTS.validation], DATA.y[PARTS.validation]
    w = [p.numpy().astype(np.float64) for p in network.parameters()]
    scores = np.maximum(x @ w[0] + w[1], 0) @ w[2] + w[3]
    log_sum = np.log(np.exp(scores).sum(1))
    loss = float(np.mean(log_sum - scores[np.arange(len(y)), y]))
    assert only[0].validation.loss == pytest.approx(loss, rel=1e-5)


def test_the_time_ends_training():
    _, events = trained(epochs=10**6, patience=None, seconds=0.3)
    stopped = events[-1]
    assert stopped.may_go_on and 1 <= stopped.epochs < 10**6
    assert re.match(r"the time of 0.3 s is over; the weights of epoch \d+", stopped.reason)


def test_limits_of_nothing_are_refused():
    for limit in ({"steps": 0}, {"seconds": 0.0}, {"seconds": -1.0}):
        with pytest.raises(OptionError, match="must be above 0"):
            trained(**limit)


def test_a_schedule_is_planned_for_the_steps(tmp_path):
    made = recipe("digits", steps=100, schedule="linear", net=(8,))
    data = made.dataset()
    parts = made.split(data)
    assert made.epochs == made.n_steps(parts) == 100
    assert recipe("digits", steps=10**6, epochs=2).n_steps(parts) == 2 * N_STEPS
    names = [d.name for d in made.decisions(data, parts)]
    assert "steps" in names and "epochs" not in names
    *_, last = train_run(made, tmp_path / "a")
    assert last.result["stopped"].startswith("all 100 steps") and last.result["epochs"] == 3
    with pytest.raises(RunError, match="a schedule over 100 steps, which cannot become 200 epochs"):
        list(train_run(recipe("digits", steps=200), tmp_path / "a", resume=True))


def test_more_steps_may_be_asked_for(tmp_path):
    small = {"net": (8,), "patience": 0}
    *_, whole = train_run(recipe("digits", steps=70, **small), tmp_path / "a")
    list(train_run(recipe("digits", steps=20, **small), tmp_path / "b"))
    *_, more = train_run(recipe("digits", steps=70), tmp_path / "b", resume=True)
    assert more.result["weights_sha256"] == whole.result["weights_sha256"]


def test_the_command_says_why_it_ended_and_how_to_go_on(tmp_path, capsys):
    out = str(tmp_path / "a")
    settings = tmp_path / "s.toml"
    settings.write_text('for = "0.001s"\nnet = [8]\n')
    assert command(["train", "digits", "--out", out, "--settings", str(settings)]) == 0
    err = capsys.readouterr().err
    assert "Done: the time of 0.001 s is over; the weights of epoch 1" in err
    assert f"To go on: pellucid train digits --resume --out {out}" in err
    words = ["train", "digits", "--out", out, "--resume", "--epochs", "2", "--for", "1h"]
    assert command(words) == 0
    assert "Done: all 2 epochs are done" in capsys.readouterr().err
    assert command(["train", "digits", "--for", "soon"]) == 2
    assert "90s, 5m or 1h" in capsys.readouterr().err
