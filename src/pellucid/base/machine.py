"""Facts about this machine: what code is made for, the cores it may use, its caches.

`read()` gives one frozen Machine, read once per process and passed on as a value; `usable_cores()`
needs no LLVM. PELLUCID_CPU changes what code is generated for: 'x86-64-v2', 'x86-64-v3',
'x86-64-v4' (vectors of 128, 256, 512 bits), or a CPU's name as LLVM spells it; unset means this
machine."""

import functools
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from .errors import OptionError

# Level of the x86-64 psABI -> vector bits, and the features (LLVM's names) that tell it from the
# one below.
X86_LEVELS = {
    "x86-64-v2": (128, ("sse4.2", "ssse3", "popcnt")),
    "x86-64-v3": (256, ("avx2", "fma", "bmi2", "f16c")),
    "x86-64-v4": (512, ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")),
}


@dataclass(frozen=True)
class Machine:
    """What the compiler and the code generator need to know.

    triple, cpu, features   as LLVM spells them
    vector_bits             128, 256 or 512: the widest registers that code may use
    cores                   cores that this process may really use
    l1_bytes ...            data caches seen by one core; l3 may be shared"""

    triple: str
    cpu: str
    features: str
    vector_bits: int
    cores: int
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int

    @property
    def attributes(self) -> str:
        """Function attributes without which LLVM narrows 512-bit vectors on most CPUs."""
        bits = self.vector_bits
        return f'nounwind "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'


@functools.cache
def read() -> Machine:
    """The machine that this process runs on, or that PELLUCID_CPU asks for. Needs llvmlite."""
    return target(os.environ.get("PELLUCID_CPU", ""))


def target(cpu: str) -> Machine:
    """The Machine for one value of PELLUCID_CPU; '' is this machine.

    Raises OptionError for a level that this machine cannot run."""
    import llvmlite.binding as llvm  # 40 ms: not before code is generated

    triple = llvm.get_default_triple()
    host_features = llvm.get_host_cpu_features()
    l1, l2, l3 = cache_bytes()
    if cpu in X86_LEVELS:
        bits, _ = X86_LEVELS[cpu]
        missing = [f for f in _needed(cpu) if not host_features.get(f)]
        if missing:
            raise OptionError(
                f"PELLUCID_CPU={cpu} needs {', '.join(missing)}; this machine lacks that. Unset it."
            )
        features = ""
    elif cpu:
        bits, features = _named_cpu_bits(triple, cpu), ""
    else:
        cpu, features = llvm.get_host_cpu_name(), host_features.flatten()
        bits = _vector_bits(host_features)
    return Machine(triple, cpu, features, bits, usable_cores(), l1, l2, l3)


def _needed(level: str) -> list[str]:
    levels = list(X86_LEVELS)
    return [f for name in levels[: levels.index(level) + 1] for f in X86_LEVELS[name][1]]


def _vector_bits(features) -> int:
    if all(features.get(f) for f in X86_LEVELS["x86-64-v4"][1]):
        return 512
    return 256 if features.get("avx2") and features.get("fma") else 128


def _named_cpu_bits(triple: str, cpu: str) -> int:
    """Vector bits of a CPU that LLVM knows by name, read off the registers that it chooses."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu)
    text = """define void @f(ptr %p) "prefer-vector-width"="512" {
  %x = load <16 x float>, ptr %p
  %y = call <16 x float> @llvm.fma.v16f32(<16 x float> %x, <16 x float> %x, <16 x float> %x)
  store <16 x float> %y, ptr %p
  ret void
}
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)"""
    assembly = machine.emit_assembly(llvm.parse_assembly(text))
    return 512 if "%zmm" in assembly else 256 if "%ymm" in assembly else 128


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process may really use: its affinity, cut by the quota of its control group.

    A container limited to two cores sees all of the host's; a team sized to those would spin
    against itself (dmlc/xgboost#7653: 28 s instead of 0.3 s). `root` is where proc and sys are
    found."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _cgroup_quota(root)
    return max(1, cores if quota is None else min(cores, int(quota)))


def _cgroup_quota(root: Path) -> float | None:
    """The smallest CPU quota, in cores, of this process's control group and its parents."""
    quotas = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        if line.count(":") < 2:
            continue
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:  # version 2: one file "MAX PERIOD", MAX may be "max"
            mount = root / "sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controllers
            if not mount.exists():
                mount = root / "sys/fs/cgroup/cpu"
        else:
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(parts) + 1):
            group = mount.joinpath(*parts[:depth])
            words = _text(group / "cpu.max").split()
            if not words:
                words = [
                    _text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")
                ]
            if len(words) == 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]):
                quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory that this process may still take: what the system has free or can free, cut by the limits of its
    control group; None where the system does not say."""
    known = []
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            known.append(int(line.split()[1]) * 1024)
    if not known and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for line in _text(root / "proc/self/cgroup").splitlines():
        if line.count(":") < 2:
            continue
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            mount, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            mount = root / "sys/fs/cgroup/memory"
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(parts) + 1):
            group = mount.joinpath(*parts[:depth])
            most, used = (_text(group / name).strip() for name in (limit, usage))
            if most.isdecimal() and used.isdecimal():
                known.append(max(0, int(most) - int(used)))
    return min(known, default=None)


def cache_bytes() -> tuple[int, int, int]:
    """Data caches of levels 1, 2, 3 of one core; common sizes where the system says nothing."""
    sizes = {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}
    if platform.system() == "Linux":
        for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
            level, kind, size = (_text(index / name).strip() for name in ("level", "type", "size"))
            if (
                kind != "Instruction"
                and level in "123"
                and size[:-1].isdecimal()
                and size[-1] in "KM"
            ):
                sizes[int(level)] = int(size[:-1]) << {"K": 10, "M": 20}[size[-1]]
    return sizes[1], sizes[2], sizes[3]


def _text(path: Path) -> str:
    """The file's text; '' where it cannot be read (another system, a hidden mount)."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
