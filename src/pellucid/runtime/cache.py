"""The cache on disk: machine code and programs of earlier runs, in a directory that is the user's own.

What lies there is run as code: a directory that others could write to is not used. An entry is a digest
and its bytes; a damaged one counts as missing. The directory is cut to a cap, oldest use first."""

import contextlib
import functools
import hashlib
import itertools
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CACHE_BYTES = 256 << 20  # the directory is cut to three quarters of this when it grows past it

_writes = itertools.count(1)


def folder() -> Path | None:
    """The private directory; None, with one warning, where it cannot be trusted.

    Objects are run as code: who may write there could run theirs as this user."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return _checked_folder(base)


@functools.cache
def _checked_folder(base: str) -> Path | None:
    place = Path(base) / "pellucid" / "kernels"
    try:
        if not Path(base).is_absolute():
            raise OSError("is not an absolute path")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        for part in (place.parent, place):
            found = part.lstat()
            if not stat.S_ISDIR(found.st_mode):
                raise OSError(f"{part.name} is not a plain directory")
            if hasattr(os, "getuid"):  # Windows keeps the profile's directories private by itself
                if found.st_uid != os.getuid():
                    raise OSError(f"{part.name} belongs to another user")
                if stat.S_IMODE(found.st_mode) & 0o022:
                    raise OSError(f"others may write to {part.name}: chmod 700 it")
        if hasattr(os, "getuid") and stat.S_IMODE(place.lstat().st_mode) != 0o700:
            raise OSError("its mode must be 0700: chmod 700 it")
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise OSError("it cannot be written")
    except OSError as error:
        print(
            f"pellucid: kernels are not cached in {place}: {error.strerror or error}",
            file=sys.stderr,
        )
        return None
    return place


def _digest(name: str, payload: bytes) -> bytes:
    # With the name inside, an intact entry under another entry's name counts as damaged.
    return hashlib.sha256(name.encode() + payload).digest()


def read(name: str) -> bytes | None:
    """The entry's bytes; None where there is none, or a damaged one."""
    found = folder()
    if found is None:
        return None
    path = found / name
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            content = file.read()
    except OSError:
        return None
    digest, payload = content[:32], content[32:]
    if not payload or digest != _digest(name, payload):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the cap drops what was not used for longest
    return payload


def write(name: str, payload: bytes) -> None:
    """Keeps an entry, whole or not at all; where that fails, one warning."""
    found = folder()
    if found is None:
        return
    try:
        handle, temporary = tempfile.mkstemp(dir=found, suffix=".tmp")  # mode 0600
        try:
            with open(handle, "wb") as file:
                file.write(_digest(name, payload) + payload)
            os.replace(temporary, found / name)  # whole or not at all, also between two processes
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _trim(found)
    except OSError as error:
        why = error.strerror or error
        _warn_once(
            f"pellucid: a kernel could not be kept in {found}: {why}. The next run makes it again."
        )


@functools.cache
def _warn_once(message: str) -> None:
    print(message, file=sys.stderr)


def _trim(place: Path) -> None:
    """Cuts the directory to its cap, oldest use first; on the first write and every 64th."""
    if next(_writes) % 64 > 1:
        return
    entries = []
    for entry in _files(place):
        with contextlib.suppress(OSError):
            found = entry.stat(follow_symlinks=False)
            if entry.name.endswith(".tmp") and found.st_mtime > time.time() - 3600:
                continue  # perhaps another process is writing it
            entries.append((found.st_mtime, found.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    if total <= CACHE_BYTES:
        return
    for _, size, path in sorted(entries):
        with contextlib.suppress(OSError):
            os.unlink(path)
            total -= size
        if total <= CACHE_BYTES * 3 // 4:
            break


def _files(place: Path) -> Iterator[os.DirEntry]:
    with os.scandir(place) as found:
        yield from found
