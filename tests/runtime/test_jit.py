import ctypes
import dataclasses
import gc
import itertools
import os
import random
import re
import stat
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from pellucid.base import machine
from pellucid.base.machine import Machine
from pellucid.program.program import Kernel
from pellucid.runtime import cache, jit, team

from .kernels import FMA, MULTIPLY, affine, kernel

AARCH64 = Machine("aarch64-unknown-linux-gnu", "generic", "", 128, 4, 65536, 524288, 0)


def call(address: int, *arrays: np.ndarray) -> None:
    slots = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
    order = (ctypes.c_int32 * len(arrays))(*range(len(arrays)))
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2)(address)
    run(slots, order, 0, len(arrays[0]))


def check(one: Kernel, factor: int, term: int) -> None:
    x, y = np.arange(5), np.zeros(5, np.int64)
    call(jit.addresses([one])[one.name], x, y)
    assert y.tolist() == [factor * i + term for i in range(5)]


def test_a_second_process_loads_every_object_and_compiles_none(empty_cache, monkeypatch):
    kernels = [affine(2, k) for k in range(5)]
    before = jit.Stats.compiled
    jit.addresses(kernels)
    assert jit.Stats.compiled == before + 5

    monkeypatch.setattr(
        jit, "_linked", weakref.WeakValueDictionary()
    )  # what a new process would know
    loaded = jit.Stats.loaded
    jit.addresses(kernels)
    assert (jit.Stats.compiled, jit.Stats.loaded) == (before + 5, loaded + 5)


def test_damaged_entries_are_recompiled(empty_cache, monkeypatch):
    one = affine(3, 7)
    jit.addresses([one])
    (entry,) = empty_cache.glob("*.o")
    whole = entry.read_bytes()
    rng = random.Random(5)
    flipped = []
    for _ in range(60):
        bit = rng.randrange(8 * len(whole))
        flipped.append(
            whole[: bit // 8] + bytes([whole[bit // 8] ^ 1 << bit % 8]) + whole[bit // 8 + 1 :]
        )
    cut = [whole[: rng.randrange(len(whole))] for _ in range(20)]
    for damaged in [*flipped, *cut, b"", b"\0" * 32, whole + b"\0", whole[:32]]:
        entry.write_bytes(damaged)
        monkeypatch.setattr(jit, "_linked", weakref.WeakValueDictionary())
        before = jit.Stats.compiled
        check(one, 3, 7)
        assert jit.Stats.compiled == before + 1
        assert entry.read_bytes() == whole


def test_an_entry_under_another_entrys_name_is_recompiled(empty_cache, monkeypatch):
    one, other = affine(4, 1), affine(4, 2)
    jit.addresses([one, other])
    names = [jit.key_of(k.text, machine.read()) for k in (one, other)]
    (empty_cache / f"{names[0]}.o").replace(empty_cache / f"{names[1]}.o")
    monkeypatch.setattr(jit, "_linked", weakref.WeakValueDictionary())
    check(other, 4, 2)


def test_a_link_in_place_of_an_entry_is_not_followed(empty_cache, monkeypatch, tmp_path):
    one = affine(4, 3)
    jit.addresses([one])
    (entry,) = empty_cache.glob("*.o")
    elsewhere = tmp_path / "elsewhere"
    entry.replace(elsewhere)
    entry.symlink_to(elsewhere)
    monkeypatch.setattr(jit, "_linked", weakref.WeakValueDictionary())
    before = jit.Stats.compiled
    check(one, 4, 3)
    assert jit.Stats.compiled == before + 1


def test_the_cache_is_private(empty_cache):
    jit.addresses([affine(5, 5)])
    assert stat.S_IMODE(empty_cache.stat().st_mode) == 0o700
    assert {stat.S_IMODE(e.stat().st_mode) for e in empty_cache.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755])
def test_a_cache_that_others_reach_is_refused_in_one_line(empty_cache, capsys, mode):
    empty_cache.mkdir(parents=True)
    empty_cache.chmod(mode)
    check(affine(6, mode), 6, mode)
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1 and str(empty_cache) in warning and "chmod 700" in warning
    assert not list(empty_cache.iterdir())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX owners")
def test_a_cache_of_another_user_is_refused(empty_cache, capsys, monkeypatch):
    empty_cache.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    check(affine(6, 1), 6, 1)
    assert "belongs to another user" in capsys.readouterr().err


def test_a_cache_that_cannot_be_made_costs_a_warning_only(monkeypatch, tmp_path, capsys):
    (tmp_path / "pellucid").write_text("a file, where the directory would be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jit, "_linked", weakref.WeakValueDictionary())
    check(affine(6, 2), 6, 2)
    assert capsys.readouterr().err.count("\n") == 1


def test_the_cache_drops_what_was_unused_longest(empty_cache, monkeypatch):
    empty_cache.mkdir(parents=True, mode=0o700)
    for age in range(10):
        entry = empty_cache / f"{age}.o"
        entry.write_bytes(bytes(1000))
        os.utime(entry, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(cache, "CACHE_BYTES", 5000)
    monkeypatch.setattr(cache, "_writes", itertools.count(1))
    cache._trim(empty_cache)
    assert sorted(e.name for e in empty_cache.iterdir()) == ["0.o", "1.o", "2.o"]


def test_the_key_holds_all_that_the_code_depends_on():
    here = Machine("x86_64-unknown-linux-gnu", "haswell", "+avx2", 256, 2, 1, 1, 1)

    changed = [
        dataclasses.replace(here, **change)
        for change in ({"triple": "x"}, {"cpu": "x"}, {"features": ""}, {"vector_bits": 128})
    ]
    keys = {jit.key_of("text", m) for m in (here, *changed)} | {jit.key_of("other", here)}
    assert len(keys) == 6
    assert jit.key_of("text", dataclasses.replace(here, cores=64)) in keys


def test_one_name_with_two_texts_gives_two_functions(empty_cache):
    first, second = affine(7, 1), affine(7, 2)
    second = Kernel(first.name, second.text.replace(second.name, first.name))
    check(first, 7, 1)
    check(second, 7, 2)
    x, y, z = np.arange(3), np.zeros(3, np.int64), np.zeros(3, np.int64)
    units = [(k.text + "\n", (k.name,)) for k in (first, second)]
    for unit, out in zip(jit.link(units), (y, z), strict=True):
        call(unit[first.name], x, out)
    assert (y.tolist(), z.tolist()) == ([1, 8, 15], [2, 9, 16])


def test_a_symbol_that_does_not_exist_is_an_error_not_a_crash(empty_cache, monkeypatch):
    monkeypatch.setattr(jit, "ALLOWED", re.compile(".*"))
    broken = kernel(
        "broken", 1, "  call void @pellucid_nowhere()", "declare void @pellucid_nowhere()"
    )
    with pytest.raises(RuntimeError, match="ymbols"):
        jit.addresses([broken])
    check(affine(8, 1), 8, 1)  # the process goes on


@pytest.mark.parametrize("name", ["system", "expf", "llvm.exp.f32", "llvm.x86.rdtsc"])
def test_kernels_may_call_only_what_is_listed(empty_cache, name):
    with pytest.raises(AssertionError, match="ALLOWED"):
        jit.addresses([kernel("sly", 1, "", f"declare float @{name}(float)")])


def test_malformed_text_is_an_exception(empty_cache):
    with pytest.raises(RuntimeError):
        jit.addresses([Kernel("bad", "define void @bad( {")])


def test_no_pass_contracts_or_reorders_floating_point(empty_cache):
    # (1 + 2**-12)**2 - (1 + 2**-11): 2**-24 when fused, 0 when rounded twice.
    x = np.full(4, 1 + 2**-12, np.float32)
    text = """  %a.p = getelementptr float, ptr %p0, i64 %i
  %a = load float, ptr %a.p
  %m = fmul float %a, %a
  %s = fadd float %m, 0xBFF0020000000000
  %b.p = getelementptr float, ptr %p1, i64 %i
  store float %s, ptr %b.p"""
    one, out = kernel("rounded_twice", 2, text), np.ones(4, np.float32)
    call(jit.addresses([one])["rounded_twice"], x, out)
    assert out.tolist() == [0.0] * 4


@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_each_x86_level_gives_the_same_bits(empty_cache, level):
    if not machine.read().triple.startswith("x86_64"):
        pytest.skip("x86-64 only")
    try:
        on = machine.target(level)
    except machine.OptionError as error:
        pytest.skip(str(error))
    x = np.random.default_rng(3).standard_normal(100).astype(np.float32)
    here, there = np.zeros_like(x), np.zeros_like(x)
    call(jit.addresses([FMA])["fused"], x, here)
    call(jit.addresses([FMA], on)["fused"], x, there)
    assert np.array_equal(here.view(np.int32), there.view(np.int32))
    exact = x.astype(np.float64) ** 2 + x  # exact in float64 up to its own rounding
    assert np.abs(here - exact).max() <= 2**-24 * np.abs(exact).max()


def test_aarch64_code_is_generated_for_kernels_and_walker():
    text = jit.emit_assembly(FMA.text, AARCH64)
    assert "fmadd" in text
    walker = jit.emit_assembly(team.walker_text(AARCH64.triple), AARCH64)
    for name in ("walk_alone", "walk_team", "work", "stop", "pauses"):
        assert f"pellucid_{name}:" in walker
    assert "fpcr" in walker.lower()  # the floating-point mode is set there too
    assert "yield" in walker
    assert jit.emit_object(MULTIPLY.text, AARCH64)[:4] == b"\x7fELF"


COLD_START = """
import sys
from pellucid.runtime import jit
from tests_kernels import affine
found = jit.addresses([affine(9, k) for k in range(20)])
assert len(found) == 20
print(jit.Stats.compiled + jit.Stats.loaded)
"""


def test_processes_that_fill_one_cache_at_once_do_not_disturb_each_other(empty_cache):
    here = Path(__file__).parent
    code = COLD_START.replace("tests_kernels", "kernels")
    paths = os.pathsep.join([str(here), *filter(None, sys.path)])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        out, err = process.communicate(timeout=60)
        assert (out, err, process.returncode) == ("20\n", "", 0)
    assert len(list(empty_cache.glob("*.o"))) == 20
    assert not list(empty_cache.glob("*.tmp"))


def test_code_that_nobody_holds_leaves_memory():
    jit._recent.clear()
    code = jit.addresses([affine(31, 7)])
    (library,) = code.libraries
    gone = weakref.ref(library)
    del library
    jit._recent.clear()
    assert gone() is not None, "an executable's code stays"
    del code
    gc.collect()
    assert gone() is None
