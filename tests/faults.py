"""`pellucid train` in processes that are killed, interrupted or refused their disk, for the tests of that.

`python faults.py` is a server: it imports the command line once, and forks a process for each line of JSON that it is
sent, {"arguments": [...], "cwd", "fault": [kind, n] or null, "output"}: it prints the process number, then the status.
`python faults.py '{...}'` is one such process, not forked: it begins as a person's does.

A fault meets call number n of those that write in the run folder (open, write, fsync, close, rename, ...):
  kill     the process ends before the call, as by kill -9        torn     after half of a write
  ENOSPC   it fails, and each later one, as on a full disk        SIGINT   the process gets Ctrl-C during it
  list     nothing happens: at the end the calls are printed, as (call, file)
Checkpoints are written after every slice of an epoch, and a slice is short: many calls in a small run."""

import builtins
import errno
import importlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pellucid

# `python -m pellucid`, and Ctrl-C reaches it also where its parent runs in the background and ignores it.
PLAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from pellucid.__main__ import main
main()
"""
FOLDER_WORD = f"{os.sep}run-"  # a run folder's name begins so: its calls are counted


class Fault:
    """Counts the calls that write, and does what was asked at one of them."""

    def __init__(self, kind: str, n: int):
        self.kind, self.n = kind, n
        self.calls: list[tuple[str, str]] = []  # (call, name of the file)
        self.files: dict[int, str] = {}  # those in the run folder, by descriptor

    def meet(self, name, path, call, *arguments, **options):
        """The call itself, or what happens instead."""
        # Of a temporary file the name that it will have.
        self.calls.append((name, os.path.basename(path).partition(".tfevents")[0]))
        if path.endswith(".tmp"):
            self.calls[-1] = (name, os.path.basename(path).rsplit(".", 2)[0])
        at = len(self.calls)
        if at == self.n or (at > self.n and self.kind == "ENOSPC"):
            if self.kind == "ENOSPC" and name in ("open", "write", "mkdir", "fsync"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.kind == "SIGINT":
                os.kill(os.getpid(), signal.SIGINT)
            if self.kind == "torn" and name == "write":
                descriptor, data = arguments
                call(descriptor, memoryview(data)[: len(data) // 2])
            if self.kind in ("kill", "torn"):
                os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)

    def install(self) -> None:
        """Puts itself in the place of the functions that write."""
        real = {
            name: getattr(os, name)
            for name in ("open", "write", "fsync", "close", "replace", "mkdir", "unlink")
        }

        def is_ours(path) -> bool:
            return isinstance(path, (str, Path)) and FOLDER_WORD in os.path.abspath(path)

        def opened(path, flags, *rest, **options):
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not is_ours(path) or not (writes or os.path.isdir(path)):
                return real["open"](path, flags, *rest, **options)
            name = "open" if writes else "folder"
            found = self.meet(name, str(path), real["open"], path, flags, *rest, **options)
            self.files[found] = str(path)
            return found

        def on_file(name):
            def called(descriptor, *rest):
                if descriptor not in self.files:
                    return real[name](descriptor, *rest)
                path = self.files[descriptor]
                if name == "close":
                    del self.files[descriptor]
                return self.meet(name, path, real[name], descriptor, *rest)

            return called

        def on_path(name):
            def called(path, *rest, **options):
                if not is_ours(path):
                    return real[name](path, *rest, **options)
                return self.meet(name, str(path), real[name], path, *rest, **options)

            return called

        class Appended(io.FileIO):
            """A file that is opened without os.open: TensorBoard's."""

            def write(file, data):
                def call(_, part):
                    return super(Appended, file).write(part)

                return self.meet("write", str(file.name), call, None, data)

        real_open = io.open

        def plain(path, mode="r", *rest, **options):
            if mode in ("ab", "wb") and is_ours(path):
                return self.meet("open", str(path), lambda: io.BufferedWriter(Appended(path, mode)))
            return real_open(path, mode, *rest, **options)

        os.open = opened
        io.open = builtins.open = plain
        for name in ("write", "fsync", "close"):
            setattr(os, name, on_file(name))
        for name in ("replace", "mkdir", "unlink"):
            setattr(os, name, on_path(name))


def prepare() -> None:
    """Imports what a run uses, and asks for checkpoints at every opportunity."""
    import functools

    import pellucid.cli.train as command
    from pellucid.train import loop, run

    command.train_run = functools.partial(run.train_run, checkpoint_seconds=0)
    run.Options = functools.partial(loop.Options, slice_seconds=0)


def warm_up() -> None:
    """Imports what is only imported when it is used, and compiles a little: each forked process finds it done."""
    import contextlib
    import tempfile

    import pellucid.cli.main as command

    for name in ("duckdb", "PIL.Image", "sklearn.ensemble", "sklearn.linear_model"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        out = ["--net", "4", "--epochs", "1", "--quiet", "--out", f"{folder}/run"]
        command.run(["train", "digits", *out])


def work(order: dict):
    """Never returns: the command line, with its exit code."""
    import pellucid.cli.main as command

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["cwd"])
    if order.get("output"):
        found = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(found, 1)
        os.dup2(found, 2)
        os.close(found)
    fault = Fault(*order["fault"]) if order.get("fault") else None
    if fault:
        fault.install()
    try:
        command.main(order["arguments"])
    except SystemExit as end:
        code = end.code
    if fault:
        print(json.dumps(fault.calls), flush=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """Forks a process for each line of standard input; waits for it when the next line comes: `wait`."""
    child = 0
    for line in sys.stdin:
        if line == "wait\n":  # until then its number is nobody else's
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        child = os.fork()
        if not child:
            work(json.loads(line))
        print(child, flush=True)


class Processes:
    """Runs of the command line in `folder`: forked from a server (quick), or each from nothing.

    is_plain   not forked, and without faults: `python -m pellucid`, its checkpoints two seconds apart"""

    def __init__(self, folder: Path, is_forked: bool = True, is_plain: bool = False):
        self.folder, self.is_forked, self.is_plain = folder, is_forked, is_plain
        self.output = folder / "output.txt"
        # The package that is tested here, also from another folder.
        path = str(Path(pellucid.__file__).parents[1])
        threads = {"PELLUCID_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.environment = {**os.environ, "PYTHONPATH": path, **threads}
        self.server: subprocess.Popen | None = None

    def __enter__(self) -> "Processes":
        if self.is_forked:
            self.server = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self.environment,
            )
        return self

    def __exit__(self, *error) -> None:
        if self.server:
            self.server.communicate(timeout=60)

    def start(self, arguments, fault=None) -> "Process":
        """One process. `fault`: (kind, n)."""
        order = {
            "arguments": list(map(str, arguments)),
            "cwd": str(self.folder),
            "fault": fault,
            "output": str(self.output),
        }
        return Process(self, order)

    def run(self, arguments, fault=None) -> tuple[int, str]:
        """(exit code, all that was printed) of a process that nobody stops from outside."""
        code = self.start(arguments, fault).wait()
        return code, self.output.read_text(encoding="utf-8")


class Process:
    """One of them; -9 is the code of one that was killed."""

    def __init__(self, processes: Processes, order: dict):
        self.server = processes.server
        if self.server:
            self.server.stdin.write(json.dumps(order) + "\n")
            self.server.stdin.flush()
            self.pid = int(self.server.stdout.readline())
            return
        command = [__file__, json.dumps(order)]
        if processes.is_plain:
            command = ["-c", PLAIN, *order["arguments"]]
        with open(processes.output, "w", encoding="utf-8") as output:
            self.own = subprocess.Popen(
                [sys.executable, *command],
                env=processes.environment,
                cwd=processes.folder,
                stdout=output,
                stderr=output,
            )
        self.pid = self.own.pid

    def send(self, number: int) -> None:
        """A signal; one that has ended does not mind."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code."""
        if not self.server:
            return self.own.wait(timeout=300)
        self.server.stdin.write("wait\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


if __name__ == "__main__":
    prepare()
    if len(sys.argv) > 1:
        work(json.loads(sys.argv[1]))
    warm_up()
    serve()
