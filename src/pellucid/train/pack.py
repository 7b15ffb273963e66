"""NAME.pellucid: one file that holds all that is needed to predict from raw data elsewhere.

A zip file without compression of pellucid.json, which lists the others with their sizes and SHA-256, then of files
of a run folder (folder.py): the network, its weights, how raw values become its inputs, settings, metrics. No code.

Only a member that pellucid.json names is read; names are from a closed list, so nothing becomes a path."""

import difflib
import hashlib
import io
import json
import os
import shlex
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..base.errors import FormatError, PellucidError, RunError
from ..formats.atomic import write_atomic
from ..formats.model_json import MAX_BYTES, parse_json
from .tables import some

FORMAT, VERSION, SUFFIX = "pellucid-pack", 1, ".pellucid"
LIST = "pellucid.json"
NEEDED = ("model.json", "model.safetensors")
OTHERS = ("run.json", "metrics.json")
SHOWN = 5  # runs that are named where one does not exist
DAY = (1980, 1, 1, 0, 0, 0)  # the same run gives the same bytes


def pack(run: str | Path, out: str | Path | None = None) -> Path:
    """Writes the run folder as one file, RUN.pellucid beside it when `out` is left out; gives its path.

    Raises RunError where there is no such folder or no finished network in it, and for an `out` that exists."""
    run = Path(run)
    if run.suffix == SUFFIX and run.is_file():
        raise RunError(f"{run}: is packed already; copy it.")
    if not (run / NEEDED[0]).is_file():
        raise RunError(no_run(run))
    if not (run / NEEDED[1]).is_file():
        raise RunError(f"{run}: holds no {NEEDED[1]}; only a finished run can be packed.")
    path = Path(out) if out is not None else run.resolve().with_name(run.resolve().name + SUFFIX)
    if path.exists():
        raise RunError(f"{path}: exists already. Choose another name or remove it.")
    names = [*NEEDED, *(n for n in OTHERS if (run / n).is_file())]
    contents = {name: (run / name).read_bytes() for name in names}
    listed = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in contents.items()
    }
    head = {"format": FORMAT, "version": VERSION, "files": listed}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {LIST: json.dumps(head, indent=2).encode(), **contents}.items():
            archive.writestr(zipfile.ZipInfo(name, DAY), data)
    write_atomic(path, [file.getbuffer()])
    return path


def no_run(path: str | Path) -> str:
    """Why there is no network at a path, and what to do: of one that does not exist the nearest run that does."""
    path = Path(path)
    if path.is_file():
        return f"{path}: a file, and no packed run. Name a run folder, or what pellucid pack has made of one."
    if path.is_dir() and (path / OTHERS[0]).exists():
        return (
            f"{path}: holds no {NEEDED[0]}. The run is not finished; to go on with it: "
            f"pellucid train DATA --resume --out {shlex.quote(str(path))}"
        )
    if path.is_dir():
        inside = [str(run) for run in runs_in(path)]
        if not inside:
            return f"{path}: holds no {NEEDED[0]}. It is no run folder."
        return f"{path}: a folder of runs, no run. Name one of them: {some(inside, SHOWN)}"
    runs = list(dict.fromkeys((*runs_in(path.parent), *runs_in(Path("runs")))))
    by_name = {run.name: str(run) for run in reversed(runs)}
    close = difflib.get_close_matches(path.name, by_name, 1, cutoff=0.5)
    if close:
        advice = f"Did you mean {by_name[close[0]]!r}?"
    elif runs:
        advice = f"There are: {some([str(run) for run in runs], SHOWN)}"
    else:
        advice = "Make one with: pellucid train DATA"
    return f"{path}: there is no such run folder or packed run. {advice}"


def runs_in(folder: Path) -> list[Path]:
    """The run folders and packed runs right below a folder, by name; none where it cannot be read."""
    try:
        return [
            p
            for p in sorted(folder.iterdir())
            if p.suffix == SUFFIX or any((p / name).is_file() for name in (OTHERS[0], NEEDED[0]))
        ]
    except OSError:
        return []


@contextmanager
def unpacked(path: str | Path) -> Iterator[Path]:
    """The packed run as a folder, which is gone afterwards. Raises FormatError for a file that is not whole.

    Errors that name a file of that folder name the pack and its member instead."""
    path = Path(path)
    if not path.is_file() or not (path.suffix == SUFFIX or zipfile.is_zipfile(path)):
        raise FormatError(no_run(path))
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                for name, data in _members(path, archive):
                    (Path(folder) / name).write_bytes(data)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
            raise FormatError(
                f"{path}: no whole {SUFFIX} file: {error}. Use another copy, or pack the run again."
            ) from error
        try:
            yield Path(folder)
        except PellucidError as error:
            text = str(error).replace(f"{folder}{os.sep}", f"{path}, ").replace(folder, str(path))
            error.args = (text,)
            raise


@contextmanager
def opened(run: str | Path) -> Iterator[Path]:
    """The folder of a run, packed or not."""
    if not Path(run).is_file():
        yield Path(run)
        return
    with unpacked(run) as folder:
        yield folder


def _members(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each listed file, checked against the list."""
    found = archive.infolist()
    names = [i.filename for i in found]
    if len(set(names)) < len(names) or not set(names) <= {LIST, *NEEDED, *OTHERS}:
        odd = next((n for n in names if n not in (LIST, *NEEDED, *OTHERS)), "a name twice")
        raise FormatError(
            f"{path}: holds {odd[:80]!r}, which no {SUFFIX} file has. Use another copy."
        )
    size = path.stat().st_size
    by_name = {i.filename: i for i in found}
    for i in found:
        if i.compress_type != zipfile.ZIP_STORED or i.file_size > size:
            raise FormatError(
                f"{path}: {i.filename} is compressed; a {SUFFIX} file never is. Pack again."
            )
    if LIST not in by_name or by_name[LIST].file_size > MAX_BYTES:
        raise FormatError(f"{path}: holds no {LIST}. This is no {SUFFIX} file.")
    head = parse_json(archive.read(LIST), f"{path}, {LIST}")
    if head.get("format") != FORMAT:
        raise FormatError(f"{path}, {LIST}: field 'format' is not {FORMAT!r}.")
    if head.get("version") != VERSION:
        raise FormatError(
            f"{path}, {LIST}: field 'version' is {str(head.get('version'))[:40]}; this pellucid reads version "
            f"{VERSION}. Use a newer pellucid."
        )
    files = head.get("files")
    if not isinstance(files, dict) or set(files) != set(names) - {LIST}:
        raise FormatError(f"{path}, {LIST}: field 'files' does not list the files that are there.")
    for name in NEEDED:
        if name not in files:
            raise FormatError(f"{path}: {name} is missing. Use another copy, or pack again.")
    for name, entry in files.items():
        data = archive.read(name)
        wanted = entry.get("sha256") if isinstance(entry, dict) else None
        if hashlib.sha256(data).hexdigest() != wanted:
            raise FormatError(f"{path}: {name} is not what was packed (SHA-256). Use another copy.")
        yield name, data
