"""A run that is killed, refused its disk or interrupted at any moment goes on to the bits of one that was not.

Here each kind of data meets a few moments; PELLUCID_KILLS=50 kills runs of each at 50 random moments and at every call
that writes, each as a process of its own."""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter

import faults
import numpy as np
import pytest

from pellucid.base.errors import FormatError
from pellucid.cli.runs import find
from pellucid.train import checkpoint as checkpoints
from pellucid.train.folder import CHECKPOINT, METRICS, RUN, WEIGHTS
from pellucid.train.saved import load_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork, kill -9")
ASKED = int(os.environ.get("PELLUCID_KILLS", "0"))


# Small data of each kind, and the settings of a short run


def table(folder):
    """120 rows with missing cells, categories and dates."""
    rng = random.Random(1)
    lines = ["age,city,when,kind"]
    for i in range(120):
        age = f"{3 * (i % 3) + rng.gauss(0, 1):.3f}" if i % 11 else ""
        city = rng.choice(("Paris", "Rome", "Oslo"))
        lines.append(f"{age},{city},2020-{1 + i % 12:02}-{1 + i % 28:02},{'abc'[i % 3]}")
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return ["t.csv", "--target", "kind", "--net", "8", "--epochs", "3"]


def text(folder):
    """A rhyme, 30 times."""
    (folder / "r.txt").write_text("Round and round the garden\nlike a teddy bear;\n" * 30)
    small = ["--width", "8", "--layers", "1", "--window", "16", "--batch", "64"]
    return ["r.txt", *small, "--epochs", "2"]


def entries(folder):
    """A list: windows of whole lines, whose last places have no answer."""
    lines = [a + b for a in ("an", "be", "cor", "dori") for b in ("na", "lla", "a", "is", "etta")]
    (folder / "n.txt").write_text("\n".join(lines * 20) + "\n")
    return ["n.txt", "--width", "8", "--window", "16", "--batch", "64", "--epochs", "2"]


def series(folder):
    """120 days of a wave."""
    days = np.arange("2020-01-01", "2020-04-30", dtype="M8[D]")
    lines = [f"{day},{10 + 5 * np.sin(i / 3):.3f}" for i, day in enumerate(days)]
    (folder / "s.csv").write_text("\n".join(["day,temp", *lines]) + "\n")
    return ["s.csv", "--task", "forecast", "--width", "4", "--window", "6", "--epochs", "3"]


def pictures(folder):
    """20 pictures of bars and 20 of beams."""
    from PIL import Image

    rng = np.random.default_rng(5)
    for kind in ("bar", "beam"):
        (folder / "shapes" / kind).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 60, (8, 8)).astype(np.uint8)
            at = int(rng.integers(1, 6))
            (pixels.T if kind == "bar" else pixels)[at : at + 2] = 250
            Image.fromarray(pixels).save(folder / "shapes" / kind / f"{i}.png")
    return ["shapes", "--width", "2", "--epochs", "3", "--batch", "8"]


def digits(folder):
    """The digits that the package carries."""
    return ["digits", "--net", "cnn", "--width", "2", "--epochs", "2", "--batch", "256"]


def generate(folder):
    """A sheet of pictures after every epoch, and two networks."""
    return ["digits", "--task", "generate", "--width", "2", "--epochs", "2", "--batch", "256"]


def enhance(folder):
    """Noisy pictures, to be freed of it."""
    from PIL import Image

    rng = np.random.default_rng(6)
    (folder / "scenes").mkdir()
    for i in range(12):
        soft = rng.integers(0, 255, (5, 5, 3)).astype(np.uint8)
        Image.fromarray(soft).resize((32, 32)).save(folder / "scenes" / f"{i}.png")
    small = ["--fault", "noise", "--width", "2", "--epochs", "2"]
    return ["scenes", "--task", "enhance", *small]


def streamed(folder):
    """400,000 rows, larger than the memory that is given, so that they are learned from where they lie on disk."""
    rng = np.random.default_rng(7)
    with open(folder / "long.csv", "w") as file:
        file.write("a,b,c,word,kind\n")
        for _ in range(20):
            x = rng.normal(size=(20_000, 3)).round(4).tolist()
            w, y = rng.integers(0, 50, 20_000), rng.integers(0, 2, 20_000)
            file.writelines(
                f"{a},{b},{c},word{n},{'xy'[k]}\n" for (a, b, c), n, k in zip(x, w, y, strict=True)
            )
    small = ["--memory", "64MB", "--net", "4", "--epochs", "1", "--batch", "4096"]
    return ["long.csv", "--target", "kind", *small]


# The last two take long.
KINDS = {f.__name__: f for f in (table, digits, text, entries, series, pictures, generate)}
ALL_KINDS = KINDS | ({f.__name__: f for f in (enhance, streamed)} if ASKED else {})
SOME = ("table", "digits", "series", "pictures", "generate") if ASKED else ("table", "generate")


class Whole:
    """The run of a kind that nothing stops: what it has learned and measured, and how long it took."""

    def __init__(self, processes, kind):
        self.processes, self.kind = processes, kind
        self.folder = processes.folder
        self.arguments = ["train", *ALL_KINDS[kind](self.folder)]
        out = self.folder / f"run-{kind}-whole"
        for _ in range(2):  # the first may have compiled; the second says how long one takes
            shutil.rmtree(out, ignore_errors=True)
            began = time.monotonic()
            code, told = self.run(["--out", out], ("list", 0))
            self.seconds = time.monotonic() - began
            assert code == 0, told
        self.calls = [tuple(c) for c in json.loads(told.splitlines()[-1])]
        self.found, self.files = results(out), files(out)

    def run(self, more, fault=None):
        """(exit code, all that was printed) of this run with further options."""
        return self.processes.run([*self.arguments, "--quiet", *more], fault)

    def own_processes(self, is_plain=False):
        """(what starts the processes that are stopped, how long a whole one takes): forked, or when asked for not."""
        if not ASKED:
            return self.processes, self.seconds
        processes = faults.Processes(self.folder, is_forked=False, is_plain=is_plain)
        began = time.monotonic()
        code, _ = processes.run([*self.arguments, "--dry-run", "--quiet"])
        load = time.monotonic() - began
        assert code == 0
        return processes, self.seconds + load

    def goes_on(self, out) -> None:
        """What a stop has left is read, and the run goes on to the end of the whole one."""
        check_readable(out)
        again = ["--out", out, "--resume"]
        if not (out / RUN).exists():
            code, told = self.run(again)
            assert code == 1 and "there is no run to continue" in told
            again.remove("--resume")
        code, told = self.run(again)
        assert code == 0, told
        assert results(out) == self.found
        assert files(out) == self.files


def results(out):
    """All that a finished run says of itself but its name and its time."""
    found = json.loads((out / METRICS).read_text())
    return {k: v for k, v in found.items() if k not in ("run", "seconds")}


def files(out):
    """Names of the files in a run folder; of TensorBoard's there may be several."""
    names = (str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    return {"tfevents" if "tfevents" in name else name for name in names}


def check_readable(out) -> None:
    """Whatever is in a stopped run's folder can be read; what is not there yet is said in a sentence."""
    assert not [run for run in find(out.parent) if run["state"].startswith("damaged")]
    if (out / CHECKPOINT).exists():
        checkpoints.load(out / CHECKPOINT)
    try:
        load_model(out)
    except FormatError as error:
        assert not (out / RUN).exists() or "--resume" in str(error)


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    """kind -> its Whole, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("kills")
    made = {}
    with faults.Processes(folder) as processes:

        def whole(kind):
            if kind not in made:
                made[kind] = Whole(processes, kind)
            return made[kind]

        yield whole


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_run_that_is_killed_at_a_random_moment_goes_on_to_the_same_end(kind, wholes):
    whole = wholes(kind)
    processes, seconds = whole.own_processes()
    moments = random.Random(list(ALL_KINDS).index(kind))
    kills, states = 0, Counter()
    for i in range(2 * ASKED + 10):
        out = whole.folder / f"run-{kind}-{i}"
        process = processes.start([*whole.arguments, "--quiet", "--out", out])
        time.sleep(moments.uniform(0, seconds))
        process.send(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            kills += 1
        else:
            seconds *= 0.9  # it had ended: the machine is less busy than at the whole run
        states[newest(out)] += 1
        whole.goes_on(out)
        shutil.rmtree(out, ignore_errors=True)
        if kills == (ASKED or 1):
            break
    assert kills == (ASKED or 1)
    print(f"{kind}: {kills} killed, all went on; found there: {dict(states)}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", SOME[:3] if ASKED else SOME[:1])
def test_a_signal_at_a_random_moment_is_answered_and_the_run_goes_on_to_the_same_end(
    kind, number, wholes
):
    whole = wholes(kind)
    processes, seconds = whole.own_processes(is_plain=True)
    moments = random.Random(int(number) + len(kind))
    stops, codes, longest = 0, Counter(), 0.0
    for i in range(2 * ASKED + 10):
        out = whole.folder / f"run-{kind}-{number}-{i}"
        process = processes.start([*whole.arguments, "--quiet", "--out", out])
        time.sleep(moments.uniform(0, seconds))
        process.send(number)
        began = time.monotonic()
        code = process.wait()
        longest = max(longest, time.monotonic() - began)
        codes[code] += 1
        told = processes.output.read_text()
        if code == 0:
            seconds *= 0.9
            continue
        stops += 1
        # -number: CPython's own way out, from a library's import or before ours has begun; a shell says the same.
        assert code in (128 + number, -number), told
        if code > 0:
            assert "pellucid: stopped" in told and "Traceback" not in told, told
            assert ("--resume" in told) == (out / RUN).exists(), told
        whole.goes_on(out)
        shutil.rmtree(out, ignore_errors=True)
        if stops == (ASKED or 1):
            break
    assert stops == (ASKED or 1)
    print(f"{kind}, {number.name}: {stops} stopped, all went on, {dict(codes)}, {longest:.2f} s")


def newest(out):
    """How far a stopped run came: the last of its files."""
    return next((n for n in (METRICS, WEIGHTS, CHECKPOINT, RUN) if (out / n).exists()), "nothing")


def points(whole, calls):
    """Numbers of calls to meet with a fault: the middle one of each (call, file), or two of these."""
    of = {}
    for n, call in enumerate(whole.calls, 1):
        if call[0] in calls:
            of.setdefault(call, []).append(n)
    middle = sorted(numbers[len(numbers) // 2] for numbers in of.values())
    print(f"{whole.kind}: {len(middle)} different calls that write")
    return middle if ASKED else sorted(random.Random(len(calls)).sample(middle, 2))


EVERY = ("open", "write", "fsync", "close", "replace", "folder", "mkdir", "unlink")


def test_the_run_writes_each_of_its_files_through_calls_that_can_be_met(wholes):
    written = {file for call, file in wholes("table").calls if call in ("write", "replace")}
    assert written >= {n for n in wholes("table").files if n != "tfevents"}


@pytest.mark.parametrize("kind", SOME)
def test_a_run_that_is_killed_in_a_call_goes_on_to_the_same_end(kind, wholes):
    whole = wholes(kind)
    for n in points(whole, EVERY):
        name = whole.calls[n - 1]
        out = whole.folder / f"run-{kind}-at-{n}"
        code, told = whole.run(["--out", out], ("torn" if name[0] == "write" else "kill", n))
        assert code == -signal.SIGKILL, (n, name, told)
        whole.goes_on(out)
        shutil.rmtree(out)


def test_a_sheet_of_samples_that_was_being_written_is_no_longer_there_after_the_run(wholes):
    whole, out = wholes("generate"), wholes("generate").folder / "run-generate-sheet"
    n = 1 + whole.calls.index(("fsync", "epoch-0001.png"))
    whole.run(["--out", out], ("kill", n))
    assert [p.suffix for p in (out / "samples").iterdir()] == [".tmp"]
    whole.goes_on(out)


@pytest.mark.parametrize("kind", SOME)
def test_a_full_disk_ends_a_run_with_a_sentence_and_it_goes_on_when_there_is_space(kind, wholes):
    whole = wholes(kind)
    for n in points(whole, ("open", "write", "fsync", "mkdir")):
        name = whole.calls[n - 1]
        out = whole.folder / f"run-{kind}-full-{n}"
        code, told = whole.run(["--out", out], ("ENOSPC", n))
        told, _, calls = told.rstrip().rpartition("\n")
        assert calls.startswith("[[") and code == 1, (n, name, told)
        assert "Traceback" not in told and len(told.splitlines()) == 1, (n, name, told)
        assert "No space left on device" in told and str(out) in told, (n, name, told)
        assert "space" in told.split("device")[1], (n, name, told)  # what to do
        assert ("--resume" in told) == (out / RUN).exists(), (n, name, told)
        assert not list(out.rglob("*.tmp"))
        whole.goes_on(out)
        shutil.rmtree(out)


@pytest.mark.parametrize("kind", SOME)
def test_ctrl_c_in_a_call_is_answered_and_the_run_goes_on_to_the_same_end(kind, wholes):
    whole = wholes(kind)
    for n in points(whole, EVERY):
        name = whole.calls[n - 1]
        out = whole.folder / f"run-{kind}-stopped-{n}"
        code, told = whole.run(["--out", out], ("SIGINT", n))
        assert code == 130 and "Traceback" not in told, (n, name, told)
        assert "topped" in told, (n, name, told)
        whole.goes_on(out)
        shutil.rmtree(out)
