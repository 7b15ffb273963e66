"""A model file is data: no loader can reach pickle, eval or an import by name; loading only reads."""

import ast
import subprocess
import sys
from pathlib import Path

import pellucid.formats

PACKAGE = Path(pellucid.formats.__file__).parent.parent
FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "_pickle"}
# Folders that read files of others
READERS = ("formats", "data", "nn", "optim", "models", "train", "cli")


def test_no_reader_imports_pickle_or_calls_eval():
    for folder in READERS:
        for file in sorted((PACKAGE / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    assert not {a.name.split(".")[0] for a in node.names} & FORBIDDEN, file
                elif isinstance(node, ast.ImportFrom):
                    assert (node.module or "").split(".")[0] not in FORBIDDEN, file
                elif isinstance(node, ast.Call):
                    called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                    if isinstance(node.func, ast.Attribute) and called == "eval":
                        continue  # network.eval(): the mode, not the builtin
                    assert called not in ("eval", "exec", "__import__", "import_module"), file
                    if (
                        called == "load"
                        and getattr(getattr(node.func, "value", None), "id", "") == "np"
                    ):
                        assert any(
                            k.arg == "allow_pickle" and k.value.value is False
                            for k in node.keywords
                        ), file


AUDIT = """
import sys
from pathlib import Path
import numpy as np
from pellucid.base.errors import PellucidError
from pellucid.data import load_digits
from pellucid.formats import safetensors
from pellucid.train import checkpoint
from pellucid.train.recipe import recipe
from pellucid.train.saved import load_model, save_model
folder = Path(sys.argv[1])
network = recipe("digits", net=(4,)).network(load_digits())
save_model(folder, network, load_digits(), {})
load_model(folder)
original = {name: (folder / name).read_bytes() for name in ("model.json", "model.safetensors")}
seen = []
def hook(event, args):
    if seen is None:
        return
    if event in ("import", "exec", "compile", "subprocess.Popen", "os.system", "os.exec", "socket.__new__",
                 "ctypes.dlopen", "os.rename", "os.remove", "os.mkdir", "pickle.find_class"):
        seen.append((event, str(args)[:100]))
    if event == "open" and isinstance(args[1], str) and any(c in args[1] for c in "wax+"):
        seen.append((event, str(args)[:100]))
rng = np.random.default_rng(0)
mutants = []
for name, data in original.items():
    for _ in range(150):
        new = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            new[int(rng.integers(len(new)) if name == "model.json" else rng.integers(300))] = int(rng.integers(256))
        mutants.append((name, bytes(new)))
n_refused = 0
paths = {name: folder / name for name in original}
events = []
sys.addaudithook(hook)
for name, data in mutants:
    written, seen = seen, None
    paths[name].write_bytes(data)
    seen = written
    try:
        load_model(folder)
    except PellucidError:
        n_refused += 1
    written, seen = seen, None
    paths[name].write_bytes(original[name])
    seen = written
found, seen = seen, None
assert not found, found[:3]
print(n_refused)
"""


def test_loading_good_and_damaged_models_imports_starts_and_writes_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", AUDIT, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 150
