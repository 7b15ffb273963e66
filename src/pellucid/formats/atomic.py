"""Files replaced whole: a reader sees the old content or the new, whenever the writer is killed.

write_atomic: a temporary file in the same folder, fsync, rename over the target, fsync of the folder.
Every call to the system goes through `Files`, so that a test can make call number k fail. What is written otherwise
is written inside `writing`, which says the same of a full disk."""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..base.errors import RunError

FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}  # disk, allowed size of a file, the user's share


class Files:
    """The system calls of a save, one method each."""

    def create(self, path: str, mode: int) -> int:
        return os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode
        )

    def write(self, fd: int, data: memoryview) -> int:
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def replace(self, source: str, target: str) -> None:
        os.replace(source, target)

    def fsync_folder(self, folder: str) -> None:
        if os.name == "nt":  # Windows has no handle of a folder to flush
            return
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, path: str) -> None:
        os.unlink(path)


FILES = Files()


def write_atomic(
    path: str | Path, chunks: Iterable[bytes | memoryview], files: Files = FILES
) -> None:
    """Replaces the content of `path` by the chunks, or leaves it as it was.

    The mode of a replaced file is kept; a new file is 0600 plus what the umask lets others read. A link stays one, and
    a device or a pipe (/dev/stdout, /dev/null) is written into, never replaced.
    Raises RunError, naming the file, on a full disk or a folder that cannot be written."""
    target = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with writing(path), open(path, "wb") as stream:
            stream.writelines(chunks)
        return
    temporary = f"{target}.{os.getpid()}-{boot_id()}.tmp"
    try:
        mode = stat.S_IMODE(os.stat(target).st_mode)
    except OSError:
        mode = 0o644
    created = False
    try:
        fd = files.create(temporary, mode)
        created = True
        try:
            if os.name != "nt":
                os.fchmod(fd, mode & ~_umask() if not os.path.exists(target) else mode)
            for chunk in chunks:
                view = memoryview(chunk).cast("B")
                while len(view):
                    view = view[files.write(fd, view) :]
            files.fsync(fd)
        finally:
            files.close(fd)
        files.replace(temporary, target)
        created = False
        files.fsync_folder(os.path.dirname(target))
    except OSError as error:
        raise unwritable(path, error, "What was there before is unchanged. ") from error
    finally:
        if created:
            # The first error is the one that matters; remove_dead_temporaries comes back for the file.
            with contextlib.suppress(OSError):
                files.remove(temporary)


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Raises RunError, naming the file, where writing inside fails: on a full disk, in a folder of someone else's."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: str | Path, error: OSError, what_is_kept: str = "") -> RunError:
    """The sentence about a file that the system did not let us write."""
    advice = "Free some space" if error.errno in FULL else "Allow it"
    if error.errno == errno.ENOENT:
        advice = "Make the folder first"
    return RunError(
        f"{path}: cannot be written: {error.strerror or error}. {what_is_kept}{advice} or choose another folder."
    )


def remove_dead_temporaries(folder: str | Path) -> list[str]:
    """Removes temporary files of writers that were killed; returns their names. Files of living writers stay."""
    removed = []
    pattern = re.compile(r"\.(\d{1,9})-([0-9a-f]{8})\.tmp$")
    for entry in os.scandir(folder):
        match = pattern.search(entry.name)
        if not match or not entry.is_file(follow_symlinks=False):
            continue
        if match[2] == boot_id() and _alive(int(match[1])) and int(match[1]) != os.getpid():
            continue
        os.unlink(entry.path)
        removed.append(entry.name)
    return sorted(removed)


def boot_id() -> str:
    """Eight hex digits that change when the machine starts: a process number means nothing after that."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(8)
    except OSError:
        return "00000000"


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # os.kill(pid, 0) would end the process there; leave its file
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
