"""A run that is stopped, killed or refused its disk goes on and ends with the bits of one that was not."""

import dataclasses
import errno
import random as chance
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import pellucid.nn as nn
from pellucid import optim
from pellucid.base.errors import FormatError, NonFiniteError, RunError
from pellucid.data import load_digits, split
from pellucid.formats import safetensors
from pellucid.formats.atomic import Files
from pellucid.tensor import random
from pellucid.train import checkpoint as checkpoints
from pellucid.train.events import Checkpointed, EpochDone
from pellucid.train.lock import RunLock
from pellucid.train.loop import Fit, Options, fit

# As in `pellucid train`, with dropout, so that the random counter matters, and slices of one step.
SCRIPT = """
import hashlib, sys, time
import pellucid.nn as nn
from pellucid import optim
from pellucid.data import load_digits, split
from pellucid.tensor import random
from pellucid.train.loop import Options, fit
path, resume, pause = sys.argv[1], sys.argv[2] == "resume", float(sys.argv[3])
data = load_digits()
random.seed(0)
net = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 10))
options = Options(epochs=3, batch_size=64, checkpoint=path, resume=resume, checkpoint_seconds=0, slice_seconds=0)
for event in fit(net, data, split(data), optim.AdamW(net.parameters(), lr=0.01), options):
    print(type(event).__name__, flush=True)
    time.sleep(pause)
digest = hashlib.sha256()
for name, value in sorted(net.state_dict().items()):
    digest.update(value.tobytes())
print("sha", digest.hexdigest())
"""


def make(seed=0, dropout=0.2):
    random.seed(seed)
    net = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 10))
    return net, optim.AdamW(net.parameters(), lr=0.01)


def weights(net):
    return {k: v.tobytes() for k, v in net.state_dict().items()}


DATA = load_digits()
PARTS = split(DATA)


def uninterrupted(**changes):
    net, optimizer = make()
    events = list(
        fit(net, DATA, PARTS, optimizer, Options(**{"epochs": 3, "batch_size": 64, **changes}))
    )
    return net, events


@pytest.mark.parametrize("stop_after", [0, 1, 5, 21, 22, 23, 40])
def test_a_run_that_stops_after_any_event_resumes_to_the_same_bits(tmp_path, stop_after):
    whole, all_events = uninterrupted()
    options = Options(
        epochs=3, batch_size=64, checkpoint=tmp_path / "c", checkpoint_seconds=0, slice_seconds=0
    )
    net, optimizer = make()
    running = fit(net, DATA, PARTS, optimizer, options)
    for _ in range(stop_after + 1):
        next(running)
    running.close()
    net, optimizer = make(
        seed=99
    )  # other weights, other counter: all must come from the checkpoint
    events = list(fit(net, DATA, PARTS, optimizer, dataclasses.replace(options, resume=True)))
    assert weights(net) == weights(whole)
    # the history, too, is that of the whole run
    for a, b in zip(all_events[-1].history, events[-1].history, strict=True):
        assert (a.epoch, a.train, a.validation, a.is_best) == (
            b.epoch,
            b.train,
            b.validation,
            b.is_best,
        )


def test_kill_minus_9_at_random_moments_and_resume_gives_the_same_bits(tmp_path):
    whole, _ = uninterrupted()
    expected = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "a"), "new", "0"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[-1]
    import hashlib

    digest = hashlib.sha256(b"".join(v for _, v in sorted(weights(whole).items())))
    assert digest.hexdigest() == expected  # slicing and checkpoints change nothing
    moments = chance.Random(20)
    path, kills = tmp_path / "b", 0
    out = ""
    for _ in range(200):
        mode = "resume" if path.exists() else "new"
        child = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(path), mode, "0.05"],
            stdout=subprocess.PIPE,
            text=True,
        )
        child.stdout.readline()  # it has begun
        try:
            out, _ = child.communicate(timeout=moments.uniform(0.0, 0.25) if kills < 20 else 60)
            break
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            kills += 1
    assert out.split()[-1] == expected, f"{kills} kills"
    assert kills == 20


def test_ctrl_c_in_a_native_call_keeps_a_whole_checkpoint(tmp_path):
    whole, _ = uninterrupted()
    options = Options(epochs=3, batch_size=64, checkpoint=tmp_path / "c", slice_seconds=0)
    net, optimizer = make()
    running = Fit(net, DATA, PARTS, optimizer, options)
    calls, real = [], running.step

    class Interrupted:
        def many(self, *args, **kwargs):
            real.many(*args, **kwargs)  # the state has moved on,
            calls.append(1)
            if len(calls) == 30:
                raise KeyboardInterrupt  # but the position has not

        def __call__(self, *args):
            return real(*args)

    running.step = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        list(running.run())
    assert len(calls) == 30
    net, optimizer = make(seed=5)
    list(fit(net, DATA, PARTS, optimizer, dataclasses.replace(options, resume=True)))
    assert weights(net) == weights(whole)


def test_ctrl_c_in_the_validation_after_an_epoch_keeps_the_epoch(tmp_path):
    whole, _ = uninterrupted()
    options = Options(epochs=3, batch_size=64, checkpoint=tmp_path / "c")
    net, optimizer = make()
    running = Fit(net, DATA, PARTS, optimizer, options)
    real, calls = running.evaluator, []

    def interrupted(rows):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(rows)

    running.evaluator = interrupted
    with pytest.raises(KeyboardInterrupt):
        list(running.run())
    saved = checkpoints.load(tmp_path / "c")
    assert (saved.epoch, saved.step) == (1, running.n_steps)
    net, optimizer = make(seed=5)
    events = list(fit(net, DATA, PARTS, optimizer, dataclasses.replace(options, resume=True)))
    assert weights(net) == weights(whole) and len(events[-1].history) == 3


class FullDisk(Files):
    def write(self, fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def some_state(**changes):
    net, optimizer = make()
    running = Fit(net, DATA, PARTS, optimizer, Options(epochs=1, batch_size=64))
    return dataclasses.replace(running.state(), **changes)


def test_a_full_disk_keeps_the_previous_checkpoint_whole(tmp_path):
    state = some_state()
    checkpoints.save(tmp_path / "c", state)
    before = (tmp_path / "c").read_bytes()
    with pytest.raises(RunError, match="No space left"):
        checkpoints.save(tmp_path / "c", dataclasses.replace(state, epoch=5), FullDisk())
    assert (tmp_path / "c").read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["c"]


class ReadOnly(Files):
    def create(self, path, mode):
        raise OSError(errno.EROFS, "Read-only file system")


def test_a_read_only_folder_keeps_the_previous_checkpoint_whole(tmp_path):
    checkpoints.save(tmp_path / "c", some_state())
    with pytest.raises(RunError, match="cannot be written: Read-only"):
        checkpoints.save(tmp_path / "c", some_state(epoch=1), ReadOnly())
    assert checkpoints.load(tmp_path / "c").epoch == 0
    assert [f.name for f in tmp_path.iterdir()] == ["c"]


def test_every_field_of_a_checkpoint_survives(tmp_path):
    state = some_state(
        epoch=2, step=7, best_epoch=2, loss_sum=1.5, n_correct=3, n_answers=448, best_loss=0.25
    )
    state.history = np.arange(12.0).reshape(2, 6)
    state.best = dict(state.network)
    checkpoints.save(tmp_path / "c", state)
    found = checkpoints.load(tmp_path / "c")
    for field in dataclasses.fields(state):
        a, b = getattr(state, field.name), getattr(found, field.name)
        if isinstance(a, dict):
            assert set(a) == set(b)
            assert all(np.array_equal(a[k], b[k]) for k in a)
        else:
            assert np.array_equal(a, b), field.name


@pytest.mark.parametrize("group", ["network", "optimizer", "best"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_never_written(tmp_path, group, value):
    checkpoints.save(tmp_path / "c", some_state())
    before = (tmp_path / "c").read_bytes()
    bad = np.ones((3, 2), np.float32)
    bad[1, 1] = value
    with pytest.raises(NonFiniteError, match=f"{group} 'x' has 1 values"):
        checkpoints.save(tmp_path / "c", some_state(**{group: {"x": bad}}))
    assert (tmp_path / "c").read_bytes() == before


def test_other_data_or_settings_are_not_continued(tmp_path):
    options = Options(epochs=1, batch_size=64, checkpoint=tmp_path / "c", checkpoint_seconds=0)
    net, optimizer = make()
    list(fit(net, DATA, PARTS, optimizer, options))
    again = dataclasses.replace(options, resume=True, epochs=2)
    changed = dataclasses.replace(DATA, x=DATA.x + np.float32(1e-3))
    with pytest.raises(RunError, match="the data has changed"):
        list(fit(net, changed, PARTS, optimizer, again))
    with pytest.raises(RunError, match="the data has changed"):
        list(fit(net, DATA, split(DATA, seed=1), optimizer, again))
    with pytest.raises(RunError, match="batch_size = 64, now it is 32"):
        list(fit(net, DATA, PARTS, optimizer, dataclasses.replace(again, batch_size=32)))
    with pytest.raises(RunError, match="optimizer = 'AdamW', now it is 'SGD'"):
        list(fit(net, DATA, PARTS, optim.SGD(net.parameters()), again))
    with pytest.raises(RunError, match="no checkpoint to continue from"):
        list(
            fit(
                net,
                DATA,
                PARTS,
                optimizer,
                dataclasses.replace(again, checkpoint=tmp_path / "none"),
            )
        )
    events = list(fit(net, DATA, PARTS, optimizer, again))  # more epochs may be asked for
    assert [e.epoch for e in events if isinstance(e, EpochDone)] == [2]


def test_damaged_checkpoints_are_named(tmp_path):
    checkpoints.save(tmp_path / "c", some_state())
    tensors, metadata = safetensors.load(tmp_path / "c")

    def changed(name, value):
        new = {**tensors, name: value}
        if value is None:
            del new[name]
        safetensors.save(tmp_path / "bad", new, metadata)
        with pytest.raises(FormatError, match=name) as error:
            checkpoints.load(tmp_path / "bad")
        assert "bad" in str(error.value)

    changed("random", None)
    changed("random", np.zeros(3, np.int64))
    changed("position", np.zeros(3, np.int32))
    changed("position", np.array([-1, 0, 0]))
    changed("sums", None)
    changed("history", np.zeros((2, 5)))
    safetensors.save(tmp_path / "bad", tensors, {**metadata, "format": "other"})
    with pytest.raises(FormatError, match="'format' is 'other'"):
        checkpoints.load(tmp_path / "bad")
    (tmp_path / "bad").write_bytes((tmp_path / "c").read_bytes()[:-1])
    with pytest.raises(FormatError, match="bad"):
        checkpoints.load(tmp_path / "bad")


def test_checkpoints_are_spaced_by_time(tmp_path):
    net, optimizer = make()
    options = Options(epochs=3, batch_size=64, checkpoint=tmp_path / "c", checkpoint_seconds=1000)
    events = list(fit(net, DATA, PARTS, optimizer, options))
    assert sum(isinstance(e, Checkpointed) for e in events) == 1  # the last


HOLD = """
import sys, time
from pellucid.train.lock import RunLock
with RunLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_a_killed_one_leaves_no_lock(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "held\n"
        with (
            pytest.raises(RunError, match=f"process {child.pid} is using this run folder"),
            RunLock(tmp_path),
        ):
            pass
    finally:
        child.kill()
        child.communicate()
    with RunLock(tmp_path):
        pass


def test_a_lock_is_free_after_its_block(tmp_path):
    for _ in range(3):
        with RunLock(tmp_path / "new" / "folder"):
            time.sleep(0)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be used as run folder"), RunLock(tmp_path / "file"):
        pass
