"""pellucid: a neural-network system that you can see through.

    import pellucid as pl

The map, bottom to top; a folder imports only what stands below it (tests/test_floors.py):

     8  cli                                  talks to a person
     6  train                                the loop, as a stream of events
     5½ models                               networks that people know by name
     5  nn | optim | data | formats          what a model is, learns by, reads, is stored as
     4  tensor                               what users write; joins compiler and runtime
     3  compiler | runtime                   graph -> Program        Program -> numbers
     2  transform | program                  graph -> graph          the record that floor 3 shares
     1  graph                                what is to be computed, and what it means
     0  base                                 dtypes, errors, machine facts

Public names are imported when first used, so that `pellucid --help` does not wait for NumPy."""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import data, formats, models, nn, optim, train
    from .base.dtypes import bool_, float32, float64, int32, int64, uint8
    from .base.errors import (
        DataError,
        DTypeError,
        FormatError,
        IndexRangeError,
        NonFiniteError,
        OptionError,
        PellucidError,
        RunError,
        ShapeError,
        TraceError,
    )
    from .tensor import Tensor, assign, compile, functions, grad, random, seed
    from .tensor.create import tensor
    from .tensor.scan import scan
    from .tensor.tensor import realize

__version__ = "0.1.0"

_ERRORS = (
    "DTypeError",
    "DataError",
    "FormatError",
    "IndexRangeError",
    "NonFiniteError",
    "OptionError",
    "PellucidError",
    "RunError",
    "ShapeError",
    "TraceError",
)

# Public name -> the module that has it; a folder of this package stands for itself.
_HOME = {
    **dict.fromkeys(("bool_", "uint8", "int32", "int64", "float32", "float64"), "base.dtypes"),
    **dict.fromkeys(_ERRORS, "base.errors"),
    **dict.fromkeys(
        ("Tensor", "assign", "compile", "grad", "realize", "scan", "seed", "tensor"), "tensor"
    ),
    "functions": "tensor.functions",
    "random": "tensor.random",
    **{name: name for name in ("data", "formats", "models", "nn", "optim", "train")},
}

__all__ = [
    "DTypeError",
    "DataError",
    "FormatError",
    "IndexRangeError",
    "NonFiniteError",
    "OptionError",
    "PellucidError",
    "RunError",
    "ShapeError",
    "Tensor",
    "TraceError",
    "assign",
    "bool_",
    "compile",
    "data",
    "float32",
    "float64",
    "formats",
    "functions",
    "grad",
    "int32",
    "int64",
    "models",
    "nn",
    "optim",
    "random",
    "realize",
    "scan",
    "seed",
    "tensor",
    "train",
    "uint8",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME[name]
    module = importlib.import_module(f".{home}", __name__)
    value = (
        module if home.rpartition(".")[2] == name and name != "tensor" else getattr(module, name)
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})


class _Package(types.ModuleType):
    # The import system sets a submodule as an attribute of its package. `tensor` is also a public
    # function, and `pellucid.tensor(...)` must be that function whatever was imported before.
    def __setattr__(self, name: str, value: Any) -> None:
        if not (name == "tensor" and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
