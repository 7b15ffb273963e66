"""Record: a program as bytes and back: JSON, compressed. Data only: whoever reads it checks each field."""

import base64
import dataclasses
import json
import zlib
from typing import Any

from .program import Kernel, Launch, Program, Repeat, Slot

_PARTS: dict[str, type] = {"launch": Launch, "repeat": Repeat}


def to_bytes(program: Program) -> bytes:
    """The program, for `from_bytes`."""
    record = {
        "kernels": [dataclasses.astuple(k) for k in program.kernels],
        "launches": [
            ["repeat" if isinstance(x, Repeat) else "launch", *dataclasses.astuple(x)]
            for x in program.launches
        ],
        "slots": [dataclasses.astuple(s) for s in program.slots],
        "outputs": program.outputs,
        "input_bytes": program.input_bytes,
        "arena_bytes": program.arena_bytes,
        "scratch_bytes": program.scratch_bytes,
        "consts": [base64.b64encode(c).decode() for c in program.consts],
        "parallel": program.parallel,
    }
    return zlib.compress(json.dumps(record, separators=(",", ":")).encode(), 1)


def from_bytes(data: bytes) -> Program:
    """The program again. Raises ValueError or TypeError for bytes that are none."""
    try:
        record = json.loads(zlib.decompress(data))
        return Program(
            tuple(Kernel(*_tuples(k)) for k in record["kernels"]),
            tuple(_PARTS[kind](*_tuples(fields)) for kind, *fields in record["launches"]),
            tuple(Slot(*_tuples(s)) for s in record["slots"]),
            _tuples(record["outputs"]),
            _tuples(record["input_bytes"]),
            record["arena_bytes"],
            record["scratch_bytes"],
            tuple(base64.b64decode(c) for c in record["consts"]),
            record["parallel"],
        )
    except (zlib.error, KeyError, AssertionError) as error:
        raise ValueError(f"not a program: {error!r}") from error


def _tuples(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
