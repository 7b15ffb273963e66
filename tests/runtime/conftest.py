import weakref

import pytest

pytest.importorskip("llvmlite")

from pellucid.runtime import jit, team


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache directory of this test's own, and a process that has linked nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jit, "_linked", weakref.WeakValueDictionary())
    return tmp_path / "pellucid" / "kernels"


@pytest.fixture(autouse=True)
def restored_threads():
    """The number of threads is the process's: each test leaves it as it was."""
    before = team.get_threads()
    yield
    team.set_threads(before)
