"""Progress of a training run on standard error: a live line on a terminal, else plain lines."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..train.events import EpochDone, Progress

SECONDS_BETWEEN_STEPS = (
    5.0  # a log gets a line from inside an epoch only when nothing came for so long
)
MEASURING = "measuring what was learned, beside simple methods (--no-baselines leaves them out)"
LONG = 1.0  # seconds without a word


def line(event: "EpochDone") -> str:
    """One epoch in words: the means over its training rows, then over the validation rows."""
    parts = [f"epoch {event.epoch:>{len(str(event.epochs))}}/{event.epochs}"]
    first = "critic" if event.train.others else "loss"  # of two networks each is named
    for name, metrics in ((first, event.train), ("validation", event.validation)):
        if metrics:
            share = "" if metrics.accuracy is None else f" {metrics.accuracy:6.1%}"
            parts.append(f"{name} {metrics.loss:.4f}{share}")
    for name, value in event.train.others.items():
        parts.append(f"{name.removesuffix('_loss')} {value:.4f}")
    if event.epoch > 1:  # the first one's time is mostly the compiler's
        parts.append(f"{event.steps_per_second:,.0f} steps/s")
        parts.append(f"at most {duration(event.seconds_left)} left")
    return "  ".join(parts)


def step_line(event: "Progress") -> str:
    """Where a long epoch is, in words: the means over its rows so far."""
    share = "" if event.accuracy is None else f" {event.accuracy:6.1%}"
    parts = [
        f"epoch {event.epoch:>{len(str(event.epochs))}}/{event.epochs}",
        f"step {event.step:>{len(str(event.n_steps))}}/{event.n_steps}",
        f"loss {event.loss:.4f}{share}",
        f"{event.steps_per_second:,.0f} steps/s",
        f"at most {duration(event.seconds_left)} left",
    ]
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """A time as people say it: 0.4 s, 12 s, 3 min 20 s."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{round(minutes / 60)} h"


class Silent:
    """Says nothing; also the interface of the two below."""

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        pass

    def show(self, event: "EpochDone") -> None:
        """After an epoch."""

    def show_step(self, event: "Progress") -> None:
        """From inside an epoch, many times a second."""

    def show_end(self) -> None:
        """After the last epoch: now it is measured, which can take longer than training."""


class Lines(Silent):
    """At most one line a second, and the last: a log that a file can hold."""

    def __init__(self, seconds_between: float = 1.0):
        self.seconds_between = seconds_between
        self.end = later(MEASURING, SECONDS_BETWEEN_STEPS)
        self.next_time = time.monotonic() + seconds_between
        self.pending: EpochDone | None = None

    def show_step(self, event: "Progress") -> None:
        # next_time lies seconds_between after the last line.
        if time.monotonic() >= self.next_time + SECONDS_BETWEEN_STEPS - self.seconds_between:
            self._put(step_line(event))

    def show(self, event: "EpochDone") -> None:
        self.pending = event
        if time.monotonic() >= self.next_time:
            self._print()

    def show_end(self) -> None:
        if self.pending:
            self._print()
        self.end.start()

    def __exit__(self, *error) -> None:
        self.end.cancel()
        if self.pending:
            self._print()

    def _print(self) -> None:
        assert self.pending
        self._put(line(self.pending))
        self.pending = None

    def _put(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        self.next_time = time.monotonic() + self.seconds_between


class Bar(Silent):
    """A bar that fills with the epochs, and the figures behind it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.progress = Progress(
            BarColumn(20), TextColumn("{task.description}"), console=Console(stderr=True)
        )
        self.task: Any = None
        self.text = ""

    def __enter__(self):
        self.progress.start()
        return self

    def __exit__(self, *error) -> None:
        if self.task is not None:
            self.progress.update(self.task, description=self.text)
        self.progress.stop()

    def show(self, event: "EpochDone") -> None:
        self._put(event.epoch, event.epochs, line(event))

    def show_step(self, event: "Progress") -> None:
        done = event.epoch - 1 + event.step / event.n_steps
        self._put(done, event.epochs, step_line(event))

    def show_end(self) -> None:
        if self.task is not None:
            self.progress.update(self.task, description=MEASURING)

    def _put(self, done: float, total: int, text: str) -> None:
        if self.task is None:
            self.task = self.progress.add_task("", total=total)
        self.text = text
        self.progress.update(self.task, completed=done, description=text)


def later(text: str, seconds: float = LONG) -> threading.Timer:
    """What says the text on standard error, so long after it is started, unless it is cancelled."""
    timer = threading.Timer(seconds, lambda: print(text, file=sys.stderr, flush=True))
    timer.daemon = True
    return timer


@contextmanager
def slowly(text: str, quiet: bool = False, seconds: float = LONG) -> Iterator[threading.Timer]:
    """On a terminal says what is being done, where it takes long."""
    timer = later(text, seconds)
    if sys.stderr.isatty() and not quiet:
        timer.start()
    try:
        yield timer
    finally:
        timer.cancel()


class Reading:
    """A line now and then while pictures are decoded: how many, and how long it will take."""

    def __init__(self, is_quiet: bool, seconds_between: float = 5.0):
        self.is_quiet, self.seconds_between = is_quiet, seconds_between
        self.began = self.last = time.monotonic()

    def __call__(self, done: int, n: int) -> None:
        now = time.monotonic()
        if self.is_quiet or now - self.last < self.seconds_between or done == n:
            return
        left = duration((now - self.began) * (n - done) / max(1, done))
        text = f"reading pictures: {done:,} of {n:,}, about {left} left"
        print(text, file=sys.stderr, flush=True)
        self.last = now


def progress(quiet: bool) -> Silent:
    """The right one for this standard error."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()
