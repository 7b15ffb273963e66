"""Event files that TensorBoard reads: one scalar a line of its plots, a record for each epoch.

A file is a sequence of records: length (8 bytes, little endian), masked CRC-32C of these, the data, masked CRC-32C of
the data (TensorFlow, core/lib/io/record_writer.cc). The data are protocol buffers (core/util/event.proto): an Event has
wall_time (1, double), step (2, int64), file_version (3) or summary (5); a Summary has values (1), each with a tag
(1) and simple_value (2, float). So little of both formats is needed that no library is."""

import functools
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from ..formats.atomic import writing
from .events import EpochDone

POLYNOMIAL = 0x82F63B78  # of CRC-32C (Castagnoli), bits reversed
MASK = 0xA282EAD8


@functools.cache
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


def crc32c(data: bytes) -> int:
    """CRC-32C, RFC 3720, appendix B.4."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """One record of the file."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    """A field of bytes."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def event(wall_time: float, step: int, scalars: Mapping[str, float]) -> bytes:
    """An Event with the scalars of one step."""
    values = b"".join(
        _field(1, _field(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        for tag, value in scalars.items()
    )
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + _varint(step) + _field(5, values)


def scalars_of(done: EpochDone) -> dict[str, float]:
    """What an epoch has measured, by the names of its plots: loss/train, accuracy/validation, ..."""
    found: dict[str, float] = {}
    for part, metrics in (("train", done.train), ("validation", done.validation)):
        if metrics is None:
            continue
        named = {"loss": metrics.loss, "accuracy": metrics.accuracy, **metrics.others}
        found |= {f"{name}/{part}": float(v) for name, v in named.items() if v is not None}
    return found | {"steps_per_second": float(done.steps_per_second)}


class EventFile:
    """A file that grows by a record an epoch. A run that goes on begins a further file: TensorBoard joins them."""

    def __init__(self, folder: str | Path):
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{time.time_ns() % 10**9:09}.{os.getpid()}"
        self.path = Path(folder) / name
        with writing(self.path):
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_bytes(
                record(b"\x09" + struct.pack("<d", now) + _field(3, b"brain.Event:2"))
            )

    def add(self, done: EpochDone) -> None:
        """Writes the figures of an epoch."""
        with writing(self.path), open(self.path, "ab") as file:
            file.write(record(event(time.time(), done.epoch, scalars_of(done))))
