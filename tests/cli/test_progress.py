"""Progress: times as people say them, and lines that do not flood a log."""

import pytest

from pellucid.cli.progress import Bar, Lines, Silent, duration, line, progress
from pellucid.train.events import EpochDone
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
