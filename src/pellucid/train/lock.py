"""One process at a time in a run folder.

The system holds the lock for the process: it ends with it, also after kill -9, so no lock is ever
left over. The file stays; only the lock on it counts."""

import os
from pathlib import Path

from ..base.errors import RunError
from ..formats.atomic import FULL, unwritable


class RunLock:
    """`with RunLock(folder):` raises RunError, naming the folder, when another process works in it."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._fd: int | None = None

    def __enter__(self) -> "RunLock":
        path = self.folder / "lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        except OSError as error:
            advice = "Free some space, or choose" if error.errno in FULL else "Choose"
            raise RunError(
                f"{self.folder}: cannot be used as run folder: {error.strerror}. {advice} another with --out."
            ) from error
        try:
            _lock(fd)
        except OSError:
            holder = (
                os.pread(fd, 20, 0).decode("ascii", "replace").strip()
                if hasattr(os, "pread")
                else ""
            )
            os.close(fd)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise RunError(
                f"{self.folder}: {who} is using this run folder. Wait for it, or choose another with --out."
            ) from None
        try:
            os.ftruncate(fd, 0)
            os.write(fd, f"{os.getpid()}\n".encode())
        except OSError as error:
            os.close(fd)
            raise unwritable(path, error) from error
        self._fd = fd
        return self

    def __exit__(self, *error) -> None:
        if self._fd is not None:
            os.close(self._fd)  # closing releases
            self._fd = None


def _lock(fd: int) -> None:
    """Takes the lock or raises OSError at once."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
