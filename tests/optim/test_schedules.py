"""Schedules: PyTorch's rates at each of 200 steps, and the same rates inside a compiled program."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim
from pellucid.base.errors import OptionError

N = 200
OURS = {
    "constant": optim.Constant(0.1),
    "step": optim.StepDecay(0.1, 30, 0.5),
    "multistep": optim.MultiStep(0.1, [20, 90, 91], 0.3),
    "exponential": optim.Exponential(0.1, 0.97),
    "linear": optim.Linear(0.1, 60, 1.0, 0.25),
    "polynomial": optim.Polynomial(0.1, 150, 2.5),
    "cosine": optim.Cosine(0.1, N, 0.01),
    "restarts": optim.CosineRestarts(0.1, 30),
    "growing_restarts": optim.CosineRestarts(0.1, 13, 2, 0.001),
    "tripling_restarts": optim.CosineRestarts(0.1, 7, 3),
    "one_cycle": optim.OneCycle(0.1, N),
    "one_cycle_early": optim.OneCycle(0.1, N, 0.1, 10.0, 100.0),
}
COMPOSED = {
    "inverse_sqrt": optim.InverseSqrt(0.1, 40),
    "warm_cosine": optim.WarmUp(optim.Cosine(0.1, 150, 0.01), 50),
}


def torch_rates(name, torch):
    """The same schedule of torch.optim.lr_scheduler, stepped 200 times."""
    s = torch.optim.lr_scheduler
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    make = {
        "constant": lambda o: s.ConstantLR(o, 1.0, 5),
        "step": lambda o: s.StepLR(o, 30, 0.5),
        "multistep": lambda o: s.MultiStepLR(o, [20, 90, 91], 0.3),
        "exponential": lambda o: s.ExponentialLR(o, 0.97),
        "linear": lambda o: s.LinearLR(o, 1.0, 0.25, 60),
        "polynomial": lambda o: s.PolynomialLR(o, 150, 2.5),
        "cosine": lambda o: s.CosineAnnealingLR(o, N, 0.01),
        "restarts": lambda o: s.CosineAnnealingWarmRestarts(o, 30),
        "growing_restarts": lambda o: s.CosineAnnealingWarmRestarts(o, 13, 2, 0.001),
        "tripling_restarts": lambda o: s.CosineAnnealingWarmRestarts(o, 7, 3),
        "one_cycle": lambda o: s.OneCycleLR(o, 0.1, N, cycle_momentum=False),
        "one_cycle_early": lambda o: s.OneCycleLR(
            o, 0.1, N, pct_start=0.1, div_factor=10.0, final_div_factor=100.0, cycle_momentum=False
        ),
    }[name](optimizer)
    rates = []
    for _ in range(N):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        make.step() if len(rates) < N else None
    return rates


@pytest.mark.parametrize("name", OURS)
def test_rates_equal_torch(name):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(
        OURS[name].values(N), torch_rates(name, torch), rtol=1e-9, atol=1e-12
    )


def test_composed_schedules_by_hand():
    rate = COMPOSED["inverse_sqrt"]
    assert rate.value(0) == pytest.approx(0.1 / 40) and rate.value(39) == pytest.approx(0.1)
    assert rate.value(159) == pytest.approx(0.05)
    rate = COMPOSED["warm_cosine"]
    assert rate.value(0) == pytest.approx(0.002) and rate.value(24) == pytest.approx(0.05)
    assert rate.value(50) == pytest.approx(0.1) and rate.value(125) == pytest.approx(0.055)
    assert rate.value(200) == rate.value(900) == pytest.approx(0.01)


@pytest.mark.parametrize("name", [*OURS, *COMPOSED])
def test_a_compiled_run_of_steps_follows_the_schedule(name):
    """sum of rates: gradient 1, SGD; 200 steps in two native calls, the lr shown is the last one used."""
    schedule = {**OURS, **COMPOSED}[name]
    p = pl.Tensor.parameter(np.zeros(1))
    optimizer = optim.SGD([p], lr=schedule)
    step = pl.compile(lambda g: optimizer.step([g]))
    ones = np.ones((1, 1))
    step.many(70, ones)
    assert optimizer.lr == pytest.approx(schedule.value(69), rel=1e-12, abs=1e-15)
    saved = optimizer.state_dict()
    again = optim.SGD([p], lr=schedule)
    again.load_state_dict(saved)
    step = pl.compile(lambda g: again.step([g]))
    step.many(N - 70, ones)
    assert -p.item() == pytest.approx(schedule.values(N).sum(), rel=1e-11)


def test_the_rate_of_a_schedule_is_not_set_by_hand():
    optimizer = optim.SGD([pl.Tensor.parameter(np.zeros(1))], lr=optim.Cosine(0.1, 10))
    with pytest.raises(OptionError, match="follows a schedule"):
        optimizer.lr = 0.2


def test_on_plateau_equals_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for mode, cooldown in (("min", 0), ("max", 2)):
        ours = optim.SGD([pl.Tensor.parameter(np.zeros(1))], lr=0.1)
        theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        options = {"mode": mode, "factor": 0.5, "patience": 3, "cooldown": cooldown, "min_lr": 1e-3}
        a = optim.OnPlateau(ours, **options)
        b = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
        for i in range(80):
            metric = 1 / (1 + i % 23) + 0.1 * rng.random()
            a.step(metric)
            b.step(metric)
            assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12)
            restored = optim.OnPlateau(ours, **options)
            restored.load_state_dict(a.state_dict())
            a = restored


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.Cosine(0.1, 0),
        lambda: optim.Cosine(-0.1, 10),
        lambda: optim.StepDecay(0.1, 2.5),
        lambda: optim.OneCycle(0.1, 10, pct_start=1.0),
        lambda: optim.WarmUp(0.1, 5),
        lambda: optim.OnPlateau(None, mode="less"),
    ],
)
def test_impossible_options_are_refused(make):
    with pytest.raises(OptionError):
        make()
