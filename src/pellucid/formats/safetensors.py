"""safetensors files: named arrays and nothing else.

Layout: 8 bytes length of the header (little endian), the header (JSON: name -> dtype, shape,
data_offsets; `__metadata__` -> strings), then the bytes of all arrays without gaps
(github.com/huggingface/safetensors, README). Our reader is stricter than the reference, which accepts a
duplicate key, a space before the header and unknown keys: two readers must never see two models in one file.

Names are labels: nothing in a file becomes a path, an import or an attribute."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..base.errors import FormatError
from .atomic import FILES, Files, write_atomic

MAX_HEADER = 16 * 2**20
MAX_RANK = 16
MAX_DIMENSION = 2**48
# name in the file -> the dtype of NumPy that its bytes are
DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I32": "int32",
    "I64": "int64",
    "F32": "float32",
    "F64": "float64",
}
NAMES = {numpy: name for name, numpy in DTYPES.items()}
# Half precision is only read: every value is also a float32. A bfloat16 is the upper half of one.
HALVES = {"F16": "float16", "BF16": "uint16"}
OTHER_DTYPES = ("I8", "I16", "U16", "U32", "U64", "F8_E4M3", "F8_E5M2")


def save(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
    files: Files = FILES,
) -> None:
    """Writes the arrays whole or not at all (atomic.py). The same arrays give the same bytes."""
    write_atomic(path, serialize(tensors, metadata), files)


def serialize(
    tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> list[memoryview | bytes]:
    """The file as a list of chunks: header first, then each array. Wider items come first, so that all are aligned."""
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    # ascontiguousarray turns shape () into (1,); the shape that counts is the given one
    shapes = {name: np.shape(array) for name, array in tensors.items()}
    for name, array in arrays.items():
        if array.dtype.name not in NAMES or not array.dtype.isnative:
            raise FormatError(
                f"tensor {name!r}: dtype {array.dtype} cannot be stored; these can: {', '.join(NAMES)}."
            )
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header: dict = {}
    if metadata:
        header["__metadata__"] = {str(k): str(v) for k, v in sorted(metadata.items())}
    offset = 0
    for name in order:
        if name == "__metadata__":
            raise FormatError(
                "a tensor cannot be named '__metadata__': that key holds the file's own notes."
            )
        end = offset + arrays[name].nbytes
        header[name] = {
            "dtype": NAMES[arrays[name].dtype.name],
            "shape": list(shapes[name]),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the data begins on a multiple of 8, as the format asks
    chunks: list[memoryview | bytes] = [len(text).to_bytes(8, "little"), text]
    for name in order:
        if arrays[name].size:
            chunks.append(memoryview(arrays[name].reshape(-1)).cast("B"))
    return chunks


def load(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays by name, metadata); half precision (F16, BF16) as float32.

    Raises FormatError that names the file and the field that is wrong."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
            header_size = _header_size(start, size, str(path))
            header = file.read(header_size)
            entries, metadata = _read_header(header, size - 8 - header_size, str(path))
            arrays = {}
            for name, (dtype, shape, begin, end) in sorted(
                entries.items(), key=lambda item: item[1][2]
            ):
                array = np.empty(shape, dtype)
                if (
                    end > begin
                    and file.readinto(memoryview(array.reshape(-1)).cast("B")) != end - begin
                ):
                    raise FormatError(
                        f"{path}: the file ends inside tensor {name!r}. It is damaged; use another copy."
                    )
                arrays[name] = _widened(array)
    except FileNotFoundError:
        raise FormatError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}.") from error
    _check_bools(arrays, str(path))
    return {name: arrays[name] for name in entries}, metadata


def parse(data: bytes, path: str = "<bytes>") -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """`load` for bytes in memory."""
    header_size = _header_size(data[:8], len(data), path)
    body = 8 + header_size
    entries, metadata = _read_header(data[8:body], len(data) - body, path)
    arrays = {
        name: _widened(np.frombuffer(data, dtype, math.prod(shape), body + begin).reshape(shape))
        if math.prod(shape)
        else _widened(np.empty(shape, dtype))
        for name, (dtype, shape, begin, _) in entries.items()
    }
    _check_bools(arrays, path)
    return arrays, metadata


def _widened(array: np.ndarray) -> np.ndarray:
    """An array of our own, half precision as float32."""
    if array.dtype == np.uint16:
        wide = array.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array if array.flags.writeable else array.copy()


def _header_size(start: bytes, size: int, path: str) -> int:
    if size < 8 or len(start) < 8:
        raise FormatError(
            f"{path}: {size} bytes are too few for a safetensors file (at least 10). It is cut off."
        )
    header_size = int.from_bytes(start, "little")
    if not 2 <= header_size <= min(MAX_HEADER, size - 8):
        raise FormatError(
            f"{path}: field 'header length' says {header_size} bytes; the file has {size - 8} after it, and at most "
            f"{MAX_HEADER} are read. It is cut off or no safetensors file."
        )
    return header_size


def _read_header(raw: bytes, n_data: int, path: str) -> tuple[dict, dict[str, str]]:
    """name -> (dtype, shape, begin, end), every field checked against the bytes that are really there."""
    if raw[:1] != b"{":
        raise FormatError(
            f"{path}: the header does not begin with '{{'. This is no safetensors file."
        )
    # An entry has three brackets in at least 50 bytes; a header of brackets alone would cost memory.
    if raw.count(b"[") + raw.count(b"{") > len(raw) // 16 + 4096:
        raise FormatError(f"{path}: the header is mostly brackets. This is no safetensors file.")
    try:
        text = raw.decode("utf-8")
        # a decimal point, NaN or a long integer is refused before a number is made of it
        header = json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_short_integer,
        )
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{path}: the header is not valid: {error}. The file is damaged."
        ) from error
    if not isinstance(header, dict):
        raise FormatError(f"{path}: the header is not a JSON object.")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise FormatError(f"{path}: field '__metadata__' must hold strings only.")
    entries = {name: _entry(name, entry, path) for name, entry in header.items()}
    position = 0
    for name, (_, _, begin, end) in sorted(
        entries.items(), key=lambda item: (item[1][2], item[1][3])
    ):
        if begin != position:
            raise FormatError(
                f"{path}: tensor {name!r}, field 'data_offsets': begins at {begin}, where {position} was expected; "
                f"the tensors must follow each other without gaps or overlaps."
            )
        position = end
    if position != n_data:
        raise FormatError(
            f"{path}: the tensors need {position} bytes of data; the file has {n_data}. It is damaged."
        )
    return entries, metadata


def _entry(name: str, entry, path: str) -> tuple[np.dtype, tuple[int, ...], int, int]:
    where = f"{path}: tensor {name!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        keys = ", ".join(map(repr, entry)) if isinstance(entry, dict) else repr(entry)
        raise FormatError(
            f"{where}: must have exactly dtype, shape and data_offsets; it has {keys[:200]}."
        )
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES | HALVES:
        known = dtype in OTHER_DTYPES if isinstance(dtype, str) else False
        advice = "Convert the file to F32 first." if known else "The file is damaged."
        raise FormatError(
            f"{where}, field 'dtype': {dtype!r} is not one of {', '.join(DTYPES | HALVES)}. {advice}"
        )
    if not _is_integers(shape, MAX_DIMENSION) or len(shape) > MAX_RANK:
        raise FormatError(
            f"{where}, field 'shape': {str(shape)[:200]} must be at most {MAX_RANK} integers of 0 to {MAX_DIMENSION}."
        )
    if not _is_integers(offsets, 2**63) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise FormatError(
            f"{where}, field 'data_offsets': {str(offsets)[:200]} must be two integers, begin <= end."
        )
    numpy_dtype = np.dtype((DTYPES | HALVES)[dtype])
    n_bytes = math.prod(shape) * numpy_dtype.itemsize  # Python integers: no overflow
    if offsets[1] - offsets[0] != n_bytes:
        raise FormatError(
            f"{where}: shape {shape} of {dtype} needs {n_bytes} bytes; field 'data_offsets' gives "
            f"{offsets[1] - offsets[0]}."
        )
    return numpy_dtype, tuple(shape), offsets[0], offsets[1]


def _is_integers(value, limit: int) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < limit for v in value)


def _check_bools(arrays: Mapping[str, np.ndarray], path: str) -> None:
    """A bool that is neither 0 nor 1 makes NumPy's answers contradict each other."""
    for name, array in arrays.items():
        if array.dtype == bool and array.size and array.view(np.uint8).max() > 1:
            raise FormatError(
                f"{path}: tensor {name!r}: a BOOL is neither 0 nor 1. The file is damaged."
            )


def _no_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} occurs twice")
    return found


def _refuse_number(text: str):
    raise ValueError(f"{text[:40]} is not an integer")


def _short_integer(text: str) -> int:
    if len(text) > 19:
        raise ValueError(f"an integer of {len(text)} digits is too long")
    return int(text)
