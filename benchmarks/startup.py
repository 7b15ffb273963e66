"""Claim: small to install, quick to start: import, --help, first training step, memory, size.

    python benchmarks/startup.py [--repeat 5]

Every figure is of a fresh process; the best of the repeats stands beside the bar it must meet."""

import argparse
import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MLP = """
import resource, sys, time
t = time.perf_counter()
import numpy as np
from pellucid import Tensor, compile, nn, optim
imported = time.perf_counter()
model = nn.Sequential(
    nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
)
opt = optim.Adam(model.parameters(), lr=1e-3)
@compile
def train(x, y):
    loss = nn.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss
r = np.random.default_rng(0)
x = Tensor(r.normal(size=(64, 784)).astype(np.float32))
y = Tensor(r.integers(0, 10, 64))
train(x, y).item()
first = time.perf_counter() - imported
for _ in range(20):
    train(x, y).item()
with open("/proc/self/status") as status:
    peak = next(int(l.split()[1]) / 1024 for l in status if l.startswith("VmHWM"))
print(first, peak)
"""


def run(code: list[str], cache: str) -> tuple[float, str]:
    """Seconds and standard output of one fresh process."""
    start = time.perf_counter()
    done = subprocess.run(
        code,
        env={**os.environ, "XDG_CACHE_HOME": cache},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return time.perf_counter() - start, done.stdout


def installed_mb() -> float:
    """Size of pellucid and everything that it requires, as files on disk, in MB."""
    importlib.metadata.distribution("pellucid")  # raises when it is not installed
    seen: set[str] = set()
    todo = ["pellucid"]
    total = 0
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # excluded by its marker on this platform
        for file in distribution.files or []:
            path = Path(str(distribution.locate_file(file)))
            total += path.stat().st_size if path.is_file() else 0
        for requirement in distribution.requires or []:
            if "extra ==" not in requirement:
                todo.append(re.match(r"[\w.-]+", requirement)[0])
    return total / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    python = sys.executable
    rows: list[tuple[str, float, float, str]] = []
    with tempfile.TemporaryDirectory() as cache:
        bare = min(run([python, "-c", "pass"], cache)[0] for _ in range(repeat))
        numpy = min(run([python, "-c", "import numpy"], cache)[0] for _ in range(repeat))
        print(f"for comparison: python {bare * 1e3:.0f} ms, python with numpy {numpy * 1e3:.0f} ms")
        first = min(run([python, "-c", "import pellucid"], cache)[0] for _ in range(repeat))
        rows.append(("import pellucid", (first - bare) * 1e3, 150, "ms"))
        names = "import pellucid; pellucid.Tensor, pellucid.nn, pellucid.optim"
        loaded = min(run([python, "-c", names], cache)[0] for _ in range(repeat))
        rows.append(("import pellucid, Tensor, nn, optim", (loaded - bare) * 1e3, 150, "ms"))
        command = [python, "-c", "from pellucid.cli.main import main; main(['--help'])"]
        rows.append(
            ("pellucid --help", min(run(command, cache)[0] for _ in range(repeat)) * 1e3, 100, "ms")
        )
        warm_runs = []
        cold_runs = []
        for _ in range(max(2, repeat // 2)):
            with tempfile.TemporaryDirectory() as empty:
                cold_runs.append([float(v) for v in run([python, "-c", MLP], empty)[1].split()])
                warm_runs.append([float(v) for v in run([python, "-c", MLP], empty)[1].split()])
        rows.append(("first step, empty cache", min(r[0] for r in cold_runs), 1.0, "s"))
        rows.append(("first step, with cache", min(r[0] for r in warm_runs), 0.25, "s"))
        rows.append(("peak memory, empty cache", min(r[1] for r in cold_runs), 150, "MiB"))
        rows.append(("peak memory, with cache", min(r[1] for r in warm_runs), 150, "MiB"))
    try:
        rows.append(("installed, with all it requires", installed_mb(), 400, "MB"))
    except importlib.metadata.PackageNotFoundError:
        print("installed size: not measured, because pellucid runs from its source here")
    for name, value, bar, unit in rows:
        verdict = "met" if value <= bar else "NOT MET"
        print(f"{name:34} {value:8.3g} {unit:4} bar {bar:g} {unit}: {verdict}")


if __name__ == "__main__":
    main()
