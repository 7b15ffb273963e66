"""Ctrl-C, and SIGTERM, with which systems end a process: both end a command in the same way.

Python raises wherever it happens to be, and what is raised in a callback is printed and lost. So that a signal came is
remembered, and long work asks."""

import signal
import sys

_came: list[int] = []


def listen() -> None:
    """From now on both raise KeyboardInterrupt, and are remembered. A parent that had Ctrl-C ignored is obeyed."""

    def stop(number, frame):
        _came.append(number)
        raise KeyboardInterrupt

    def unraisable(what):
        if not issubclass(what.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(what)

    sys.unraisablehook = unraisable
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def has_come() -> bool:
    """Whether a signal has come: what went wrong since then may be its doing."""
    return bool(_came)


def ask() -> None:
    """Raises KeyboardInterrupt where a signal has come, and what it raised was lost."""
    if has_come():
        raise KeyboardInterrupt


def exit_code() -> int:
    """130 for Ctrl-C, 143 for SIGTERM, as a shell says it."""
    return 128 + (_came[-1] if _came else signal.SIGINT)
