"""Progress: times as people say them, and lines that do not flood a log."""

import sys

import pytest

from pellucid.cli.progress import (
    MEASURING,
    SECONDS_BETWEEN_STEPS,
    Bar,
    Lines,
    Reading,
    Silent,
    duration,
    later,
    line,
    progress,
    slowly,
    step_line,
)
from pellucid.data.decoding import heard
from pellucid.data.images import read_image_folder
from pellucid.train.events import EpochDone, Progress
from pellucid.train.metrics import Metrics


def done(epoch: int) -> EpochDone:
    return EpochDone(epoch, 200, Metrics(0.5, 0.875, 80), Metrics(0.25, 0.9, 20), True, 5000.0, 3.0)


def test_an_epoch_in_words():
    assert line(done(7)) == (
        "epoch   7/200  loss 0.5000  87.5%  validation 0.2500  90.0%  "
        "5,000 steps/s  at most 3.0 s left"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (12.4, "12 s"), (200, "3 min"), (7200, "2 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_log_gets_every_epoch_of_a_slow_run(capsys):
    with Lines(seconds_between=0) as lines:
        for number in (1, 2, 3):
            lines.show(done(number))
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_log_gets_the_last_epoch_of_a_short_run(capsys):
    with Lines(seconds_between=100) as lines:
        for number in range(1, 51):
            lines.show(done(number))
    err = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in err] == ["50/200"]


def test_a_terminal_gets_a_bar_and_quiet_gets_nothing(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert type(progress(quiet=False)) is Bar
    assert type(progress(quiet=True)) is Silent


def test_the_bar_ends_on_the_last_epoch(capsys):
    with Bar() as bar:
        for number in (1, 2, 200):
            bar.show(done(number))
    assert "epoch 200/200" in capsys.readouterr().err


def inside(epoch: int, step: int) -> Progress:
    return Progress(epoch, 20, step, 231, 2.5, 0.3, 12.0, 200.0)


def test_a_step_in_words():
    assert step_line(inside(3, 40)) == (
        "epoch  3/20  step  40/231  loss 2.5000  30.0%  12 steps/s  at most 3 min left"
    )


def test_two_networks_are_named():
    both = EpochDone(1, 9, Metrics(0.5, 0.75, 8, {"generator_loss": 1.5}), None, False, 9.0, 1.0)
    assert line(both) == "epoch 1/9  critic 0.5000  75.0%  generator 1.5000"


def test_a_log_gets_a_line_from_a_long_epoch_when_nothing_else_came(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with Lines(seconds_between=1.0) as lines:
        for step in range(1, 111):  # a tenth of a second each: eleven seconds
            now[0] += 0.1
            lines.show_step(inside(1, step))
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2 and SECONDS_BETWEEN_STEPS == 5
    assert "step  50/231" in err[0] or "step  51/231" in err[0]


def test_the_bar_moves_inside_an_epoch(capsys):
    with Bar() as bar:
        bar.show_step(inside(3, 77))
        assert bar.progress.tasks[0].completed == pytest.approx(2 + 1 / 3)
        bar.show(done(3))
    assert "epoch   3/200" in capsys.readouterr().err


def test_what_takes_long_after_the_last_epoch_is_said(capsys):
    with Lines(seconds_between=1000) as lines:
        lines.show(done(200))
        lines.end = later(MEASURING, 0.0)
        lines.show_end()
        lines.end.join()
    epoch, measuring = capsys.readouterr().err.splitlines()
    assert epoch.startswith("epoch 200/200") and measuring == MEASURING
    with Lines() as lines:  # and not what is soon done
        lines.show_end()
    assert capsys.readouterr().err == ""
    with Bar() as bar:
        bar.show(done(200))
        bar.show_end()
        assert bar.progress.tasks[0].description == MEASURING
    assert bar.progress.tasks[0].description.startswith("epoch 200/200")


def test_a_terminal_is_told_what_takes_long(capsys, monkeypatch):
    with slowly("reading all of it", seconds=0.0):
        pass
    assert capsys.readouterr().err == ""  # a log is not
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with slowly("reading all of it", seconds=0.0) as timer:
        timer.join()
    assert capsys.readouterr().err == "reading all of it\n"
    with slowly("reading all of it", quiet=True, seconds=0.0):
        pass
    with slowly("soon done"):
        pass
    assert capsys.readouterr().err == ""


def test_reading_of_pictures_is_told_now_and_then(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("pellucid.cli.progress.time.monotonic", lambda: now[0])
    told = Reading(is_quiet=False)
    for seconds, done in ((1, 10), (5, 50), (6, 60), (10, 100), (19, 190), (20, 200)):
        now[0] = float(seconds)
        told(done, 200)
    # Ten a second: 150 left take 15 s, 100 take 10, 10 take 1; at the end there is nothing more to say.
    assert capsys.readouterr().err.splitlines() == [
        "reading pictures: 50 of 200, about 15 s left",
        "reading pictures: 100 of 200, about 10 s left",
        "reading pictures: 190 of 200, about 1.0 s left",
    ]
    quiet = Reading(is_quiet=True)
    now[0] = 100.0
    quiet(1, 2)
    assert capsys.readouterr().err == ""


def test_who_listens_hears_of_every_picture(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for i in range(4):
            Image.new("L", (8, 8), i * 9).save(tmp_path / kind / f"{i}.png")
    heard_of = []
    with heard(lambda done, n: heard_of.append((done, n))):
        read_image_folder(tmp_path)
    assert heard_of[-1] == (8, 8)
    read_image_folder(tmp_path)
    assert heard_of.count((8, 8)) == 1
