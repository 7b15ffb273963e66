"""Imports point down: also those inside functions, where a cycle likes to hide."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "pellucid"

# Bottom to top. Folders of one floor are neighbours: they do not import each other.
FLOORS: list[set[str]] = [
    {"base"},
    {"graph"},
    {"transform", "program"},
    {"compiler", "runtime"},
    {"tensor"},
    {"nn", "optim", "data", "formats"},
    {"models"},
    {"train"},
    {"page", "estimators", "export"},
    {"cli"},
]
FLOOR = {folder: number for number, folders in enumerate(FLOORS) for folder in folders}

# Few doors to LLVM: kernels are written as text, so the library itself is needed in two places.
DOORS = {"llvmlite": {"base/machine.py", "runtime/jit.py"}}

FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def imports(file: Path) -> list[tuple[int, str]]:
    """Every (line, absolute dotted name) that the file imports, at any depth of nesting.

    `from a import b` counts as a.b, whether b is a module or a name in it."""
    folder = ("pellucid", *file.relative_to(PACKAGE).parent.parts)
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else ()
            parts = (*base, *(node.module.split(".") if node.module else ()))
            found += [(node.lineno, ".".join((*parts, alias.name))) for alias in node.names]
        elif isinstance(node, ast.Call) and called_name(node) in ("__import__", "import_module"):
            found.append((node.lineno, "<dynamic>"))
    return found


def called_name(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def own_folder(dotted: str) -> str | None:
    """The folder of pellucid that a dotted name lies in; None for other libraries."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "pellucid" and len(parts) > 1 else None


def test_every_folder_has_a_floor():
    folders = {f.relative_to(PACKAGE).parts[0] for f in FILES if f.parent != PACKAGE}
    assert folders <= set(FLOOR)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_point_down(file):
    if file.parent == PACKAGE:  # the index of public names, above all floors
        return
    here = file.relative_to(PACKAGE).parts[0]
    for line, dotted in imports(file):
        there = own_folder(dotted)
        if there is None or there == here or there == "__version__":
            continue
        assert there in FLOOR, f"{name_of(file)}:{line} imports {dotted}, which has no floor"
        assert FLOOR[there] < FLOOR[here], f"{name_of(file)}:{line} imports {dotted}: not below"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_import_is_hidden_from_the_reader(file):
    if file.parent == PACKAGE:
        return
    dynamic = [line for line, dotted in imports(file) if dotted == "<dynamic>"]
    assert not dynamic, f"{name_of(file)} imports by a computed name on lines {dynamic}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_llvm_is_imported_in_few_places(file):
    for line, dotted in imports(file):
        doors = DOORS.get(dotted.split(".")[0])
        assert doors is None or name_of(file) in doors, (
            f"{name_of(file)}:{line} imports {dotted}; only {', '.join(sorted(doors or ()))} may"
        )


@pytest.mark.parametrize("folder", sorted(FLOOR))
def test_files_of_a_folder_do_not_import_in_a_circle(folder):
    files = {".".join(f.relative_to(PACKAGE).with_suffix("").parts): f for f in FILES}
    edges = {}
    for name, file in files.items():
        if name.split(".")[0] == folder and not name.endswith("__init__"):
            targets = {dotted.removeprefix("pellucid.") for _, dotted in imports(file)}
            targets |= {t.rpartition(".")[0] for t in targets}
            edges[name] = {t for t in targets if t in files and t.split(".")[0] == folder}
    while edges:  # take away, again and again, the files that import none of those left
        free = [name for name, targets in edges.items() if not targets & set(edges)]
        assert free, f"these import each other in a circle: {sorted(edges)}"
        for name in free:
            del edges[name]


def test_a_hidden_import_is_seen(tmp_path, monkeypatch):
    bad = tmp_path / "graph" / "bad.py"
    bad.parent.mkdir()
    bad.write_text("def f():\n    from ..tensor import tensor\n")
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    with pytest.raises(AssertionError, match="not below"):
        test_imports_point_down(bad)
