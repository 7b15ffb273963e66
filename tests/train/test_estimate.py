"""What --dry-run says of time and memory is near to what a run takes, and leaves nothing behind."""

import json
import subprocess
import sys

import numpy as np
import pytest

from pellucid.cli.main import run as command
from pellucid.cli.train import megabytes_of
from pellucid.tensor import random
from pellucid.train.estimate import arena, estimate
from pellucid.train.loop import Fit, Options
from pellucid.train.recipe import recipe

LARGE = "1024-1024"
PEAK = """
import resource, sys
from pellucid.train.recipe import recipe
from pellucid.train.run import train_run
from pellucid.train.events import Stopped
for event in train_run(recipe("digits", net=(1024, 1024), batch=256, epochs=2), sys.argv[1]):
    if isinstance(event, Stopped):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak if sys.platform == "darwin" else peak * 1024)
"""


def test_parameters_and_moments_are_counted():
    made = recipe("digits", net=(32,), batch=16)
    data = made.dataset()
    found = estimate(made, data, made.split(data))
    n = 64 * 32 + 32 + 32 * 10 + 10
    assert found.parameters == 4 * n
    # AdamW keeps two numbers for each parameter, and a step count.
    assert 8 * n <= found.optimizer <= 8 * n + 64
    assert found.data == data.x.nbytes + data.y.nbytes
    assert found.bytes > found.parameters + found.optimizer + found.activations + found.data
    assert found.seconds > 0 and found.n_steps >= 3


def test_activations_are_those_of_the_programs_plan():
    made = recipe("digits", net=(256,), batch=64)
    data = made.dataset()
    parts = made.split(data)
    network = made.network(data)
    fit = Fit(network, data, parts, made.make_optimizer(network), Options(batch_size=64))
    assert arena(fit.step) == 0  # nothing is compiled yet
    fit.step(np.ascontiguousarray(parts.train[:64]))
    # The hidden layer's activations are needed again going back.
    assert arena(fit.step) >= 64 * 256 * 4


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell the peak")
def test_the_memory_is_within_a_factor_of_2_of_what_a_run_takes(tmp_path):
    # Both in processes of their own: this one has held other things.
    run = [sys.executable, "-c", PEAK, str(tmp_path / "a")]
    dry = [sys.executable, "-m", "pellucid", "train", "digits", "--net", LARGE, "--batch", "256"]
    options = ["--epochs", "2", "--dry-run", "--json", "--quiet"]
    taken = int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    told = subprocess.run([*dry, *options], capture_output=True, text=True, check=True)
    found = json.loads(told.stdout)["estimate"]["bytes"]
    assert taken / 2 < found < 2 * taken


def test_a_run_has_the_same_bits_whether_it_was_estimated_before_or_not(tmp_path, capsys):
    def trained(name: str) -> str:
        words = ["train", "digits", "--net", "8", "--epochs", "1", "--json", "--quiet"]
        assert command([*words, "--out", str(tmp_path / name)]) == 0
        return json.loads(capsys.readouterr().out)["weights_sha256"]

    first = trained("a")
    assert command(["train", "digits", "--net", "8", "--dry-run"]) == 0
    told = capsys.readouterr()
    assert "time        about " in told.err and "memory      about " in told.err
    assert told.out == "" and sorted(p.name for p in tmp_path.iterdir()) == ["a"]
    random.seed(9)
    assert trained("b") == first


def test_every_kind_of_network_can_be_estimated(tmp_path):
    for settings in ({"data": "series"}, {"data": "digits", "task": "generate", "width": 2}):
        made = recipe(**settings)
        data = made.dataset()
        found = estimate(made, data, made.split(data))
        assert found.seconds > 0 and found.activations > 0


@pytest.mark.parametrize(
    ("n_bytes", "words"), [(68_900, "0.069"), (4_240_000, "4.2"), (1_159_000_000, "1,159")]
)
def test_bytes_in_words(n_bytes, words):
    assert megabytes_of(n_bytes) == words
