"""Every kind of network goes on after any stop, and ends with the bits of a run that was not stopped."""

import random as chance
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import small_runs

from pellucid.formats import safetensors
from pellucid.tensor import engine
from pellucid.train.events import EpochDone

SCRIPT = Path(small_runs.__file__)
NAMES = sorted(small_runs.RUNS)


@cache
def whole(name):
    """(digest, events) of the run that nothing stops."""
    network, events = small_runs.start(name)
    return small_runs.digest(network), list(events), small_runs.digest(network)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_learns_and_its_history_has_every_epoch(name):
    before, events, after = whole(name)
    assert before != after
    history = [e for e in events if isinstance(e, EpochDone)]
    assert [e.epoch for e in history] == [1, 2, 3]
    if name != "gan":  # the losses of adversaries need not fall
        assert history[2].train.loss < history[0].train.loss


@pytest.mark.parametrize("stop_after", [1, 4])
@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_run_resumes_to_the_same_bits(name, stop_after, tmp_path):
    options = {"checkpoint": tmp_path / "c", "checkpoint_seconds": 0, "slice_seconds": 0}
    _, running = small_runs.start(name, **options)
    for _ in range(stop_after + 1):
        next(running)
    running.close()
    # Other weights, other random numbers: all must come from the checkpoint.
    network, events = small_runs.start(name, seed=99, resume=True, **options)
    events = list(events)
    _, all_events, expected = whole(name)
    assert small_runs.digest(network) == expected
    for a, b in zip(all_events[-1].history, events[-1].history, strict=True):
        assert (a.epoch, a.train, a.validation, a.is_best) == (
            b.epoch, b.train, b.validation, b.is_best
        )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
@pytest.mark.parametrize("name", NAMES)
def test_kill_minus_9_and_resume_gives_the_same_bits(name, tmp_path):
    moments = chance.Random(NAMES.index(name))
    path, out = tmp_path / "c", ""
    for kills in range(4):
        mode = "resume" if path.exists() else "new"
        command = [sys.executable, str(SCRIPT), name, str(path), mode, "0.02"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "Started\n"
        try:
            out, _ = child.communicate(timeout=moments.uniform(0.05, 0.3) if kills < 3 else 60)
            break
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate()
    assert kills > 0, "never killed: the run is too short for this test"
    assert out.split()[-1] == whole(name)[2]


def test_a_checkpoint_of_adversaries_holds_both_networks_and_both_optimizers(tmp_path):
    _, events = small_runs.start("gan", checkpoint=tmp_path / "c")
    list(events)
    tensors, _ = safetensors.load(tmp_path / "c")
    for name in ("critic", "generator"):
        assert any(key.startswith(f"network/{name}.") for key in tensors)
        assert f"optimizer/{name}.exp_avg.0" in tensors and f"optimizer/{name}.lr" in tensors
    assert tensors["others"].shape == (1,)  # the generator's loss
    assert tensors["history"].shape == (3, 7)


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_threads_changes_no_bit(name):
    if engine.name() != "compiled":
        pytest.skip("NumPy's own threads are not ours to set")
    from pellucid.runtime.team import get_threads, set_threads

    before = get_threads()
    found = {whole(name)[2]}
    try:
        for n in (1, 2, 3, 4):
            set_threads(n)
            network, events = small_runs.start(name)
            list(events)
            found.add(small_runs.digest(network))
    finally:
        set_threads(before)
    assert len(found) == 1


def test_slicing_and_epochs_visit_the_rows_in_the_same_order():
    for name in NAMES:
        network, events = small_runs.start(name, slice_seconds=0)
        list(events)
        assert small_runs.digest(network) == whole(name)[2], name
        assert np.isfinite([v.sum() for v in network.state_dict().values()]).all()
