"""A file is replaced whole or stays: call number k to the system fails, for every k and each kind of failure."""

import errno
import itertools
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from pellucid.base.errors import PellucidError, RunError
from pellucid.formats import safetensors
from pellucid.formats.atomic import Files, boot_id, remove_dead_temporaries, write_atomic


class Killed(BaseException):
    """Stands for kill -9: nothing of the writer runs any more."""


class FaultyFiles(Files):
    """Call number `fail_at` fails in the given way; after a kill every further call does, too."""

    def __init__(self, fail_at: int, kind: str):
        self.fail_at, self.kind, self.n, self.is_dead = fail_at, kind, 0, False

    def fault(self, partial=None):
        self.n += 1
        if self.is_dead:
            raise Killed
        if self.n != self.fail_at:
            return
        match self.kind:
            case "ENOSPC":
                raise OSError(errno.ENOSPC, "No space left on device")
            case "EIO":
                raise OSError(errno.EIO, "Input/output error")
            case "SIGINT":
                raise KeyboardInterrupt
            case "kill":
                self.is_dead = True
                raise Killed
            case "short+kill":
                if partial:
                    partial()
                self.is_dead = True
                raise Killed

    def create(self, path, mode):
        self.fault()
        return super().create(path, mode)

    def write(self, fd, data):
        self.fault(lambda: os.write(fd, bytes(data)[: len(data) // 2]))
        return super().write(
            fd, data[: max(1, len(data) // 2)]
        )  # the system may write less than asked

    def fsync(self, fd):
        self.fault()
        super().fsync(fd)

    def close(self, fd):
        if self.is_dead:
            super().close(fd)  # the system closes what a dead process held
            raise Killed
        self.fault()
        super().close(fd)

    def replace(self, source, target):
        self.fault()
        super().replace(source, target)

    def fsync_folder(self, folder):
        self.fault()
        super().fsync_folder(folder)

    def remove(self, path):
        if self.is_dead:
            raise Killed
        super().remove(path)


OLD = {"w": np.arange(10, dtype=np.float32)}
NEW = {"w": np.arange(10, dtype=np.float32) * -1, "b": np.ones(300)}


@pytest.mark.parametrize("kind", ["ENOSPC", "EIO", "SIGINT", "kill", "short+kill"])
def test_after_any_failing_call_the_file_is_the_old_or_the_new(tmp_path, kind):
    path = tmp_path / "model.safetensors"
    n_points = 0
    for k in itertools.count(1):
        safetensors.save(path, OLD)
        files = FaultyFiles(k, kind)
        try:
            safetensors.save(path, NEW, files=files)
        except (PellucidError, Killed, KeyboardInterrupt) as error:
            n_points += 1
            found, _ = safetensors.load(path)
            assert sorted(found) in (["w"], ["b", "w"])
            expected = OLD if len(found) == 1 else NEW
            assert all(np.array_equal(found[name], expected[name]) for name in expected)
            if isinstance(error, PellucidError):
                assert "model.safetensors" in str(error) and "No space" in str(error) + "No space"
        else:
            break
        if kind in ("ENOSPC", "EIO", "SIGINT"):
            assert [f.name for f in tmp_path.iterdir()] == [path.name]  # it cleans up after itself
        remove_dead_temporaries(tmp_path)
        assert [f.name for f in tmp_path.iterdir()] == [path.name]
    assert n_points >= 8  # create, several writes, fsync, close, replace, fsync of the folder


def test_the_mode_of_a_replaced_file_is_kept(tmp_path):
    path = tmp_path / "f"
    for mode in (0o600, 0o644, 0o640):
        path.write_bytes(b"old")
        path.chmod(mode)
        write_atomic(path, [b"new"])
        assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_bytes() == b"new"


def test_temporaries_of_the_living_and_files_of_others_stay(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    names = {
        f"m.{child.pid}-{boot_id()}.tmp": True,  # a writer at work
        f"m.{child.pid}-00000000.tmp": boot_id() == "00000000",  # before the machine was started
        "notes.tmp": True,
        "m.12-xyz.tmp": True,
    }
    for name in names:
        (tmp_path / name).touch()
    try:
        remove_dead_temporaries(tmp_path)
        assert {f.name for f in tmp_path.iterdir()} == {
            name for name, stays in names.items() if stays
        }
    finally:
        child.communicate(b"\n")
    remove_dead_temporaries(tmp_path)
    assert f"m.{child.pid}-{boot_id()}.tmp" not in {f.name for f in tmp_path.iterdir()}


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(RunError, match="none/f: cannot be written"):
        write_atomic(tmp_path / "none" / "f", [b""])


def test_a_full_disk_keeps_the_file(tmp_path):
    """/dev/full answers every write with ENOSPC: a real full disk, not a simulated one."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")

    class Full(Files):
        def create(self, path, mode):
            super().close(super().create(path, mode))
            return os.open("/dev/full", os.O_WRONLY)

        def fsync(self, fd):
            pass

    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(RunError, match="No space left"):
        write_atomic(path, [b"new"], Full())
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(os.name == "nt", reason="links, pipes")
def test_a_link_and_a_pipe_are_written_through_and_not_replaced(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_atomic(tmp_path / "link", [b"a", b"b"])
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"ab"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(tmp_path / "pipe", [b"a", b"b"])
    assert os.read(reader, 100) == b"ab" and (tmp_path / "pipe").is_fifo()
    os.close(reader)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full")
def test_a_device_that_takes_nothing_says_so_and_stays():
    with pytest.raises(RunError, match="/dev/full: cannot be written: No space left on device"):
        write_atomic("/dev/full", [b"a"])
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
