from pathlib import Path

import pytest

from pellucid.base import machine
from pellucid.base.errors import OptionError


@pytest.fixture
def sixty_four_cores(monkeypatch):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = "0::/app/job\n"
V1 = "5:cpuset:/\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n"
CASES = [
    ({}, 64),  # nothing said
    ({"proc/self/cgroup": V2, "sys/fs/cgroup/app/job/cpu.max": "max 100000\n"}, 64),
    ({"proc/self/cgroup": V2, "sys/fs/cgroup/app/job/cpu.max": "250000 100000\n"}, 2),
    (
        {"proc/self/cgroup": V2, "sys/fs/cgroup/app/job/cpu.max": "50000 100000\n"},
        1,
    ),  # at least one
    (
        {
            "proc/self/cgroup": V2,
            "sys/fs/cgroup/app/job/cpu.max": "800000 100000\n",
            "sys/fs/cgroup/app/cpu.max": "300000 100000\n",  # the parent's is smaller
        },
        3,
    ),
    (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"},
        4,
    ),  # in a container
    (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
        },
        2,
    ),
    (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "500000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        5,
    ),
    (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        64,
    ),
    ({"proc/self/cgroup": "not a line of it\n0::/x\n", "sys/fs/cgroup/x/cpu.max": "junk"}, 64),
]


@pytest.mark.parametrize("files, cores", CASES)
def test_cores_are_cut_by_the_quota_of_the_control_group(tmp_path, sixty_four_cores, files, cores):
    assert machine.usable_cores(write(tmp_path, files)) == cores


def test_cores_are_cut_by_affinity(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert machine.usable_cores(tmp_path) == 1


def test_cache_sizes_are_plausible():
    l1, l2, l3 = machine.cache_bytes()
    assert 8 << 10 <= l1 <= l2 and l1 <= 1 << 20 and l3 >= 0


class TestTarget:
    @pytest.fixture(autouse=True)
    def _needs_llvm(self):
        pytest.importorskip("llvmlite")

    @pytest.mark.parametrize("level", machine.X86_LEVELS)
    def test_a_level_forces_its_vector_width(self, level):
        if not machine.target("").triple.startswith("x86_64"):
            pytest.skip("x86-64 only")
        try:
            made = machine.target(level)
        except OptionError as error:
            assert "lacks" in str(error)
            return
        assert made.cpu == level
        assert made.vector_bits == machine.X86_LEVELS[level][0]
        assert f'"prefer-vector-width"="{made.vector_bits}"' in made.attributes
        assert "fast" not in made.attributes

    def test_a_level_that_this_machine_lacks_is_an_error(self, monkeypatch):
        import llvmlite.binding as llvm

        monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: {"sse4.2": True})
        with pytest.raises(OptionError, match="PELLUCID_CPU=x86-64-v4"):
            machine.target("x86-64-v4")

    @pytest.mark.parametrize("cpu, bits", [("znver5", 512), ("haswell", 256), ("nehalem", 128)])
    def test_a_cpu_by_name_has_the_width_that_llvm_gives_it(self, cpu, bits):
        if not machine.target("").triple.startswith("x86_64"):
            pytest.skip("x86-64 only")
        assert machine.target(cpu).vector_bits == bits

    def test_this_machine_is_read_once(self):
        assert machine.read() is machine.read()
