"""Progress: times as people say them, and lines that do not flood a log."""

import pytest

from pellucid.cli.progress import Epoch, Lines, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (12.4, "12 s"), (200, "3 min"), (7200, "2 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_log_gets_the_first_and_the_last_epoch_of_a_short_run(capsys):
    with Lines(seconds_between=100) as lines:
        for number in range(1, 51):
            lines.show(Epoch(number, 200, 1 / number, 0.9, 5000.0, 3.0))
    err = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in err] == ["1/200", "50/200"]
