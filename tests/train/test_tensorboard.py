"""Event files: published check sums, a decoder of their own, and TensorBoard's reader where it is installed."""

import struct

import pytest

from pellucid.train.events import EpochDone
from pellucid.train.metrics import Metrics
from pellucid.train.tensorboard import EventFile, crc32c, event, record, scalars_of


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # RFC 3720, appendix B.4, and the usual check value
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_check_sums_are_the_published_ones(data, crc):
    assert crc32c(data) == crc


def epoch(n: int) -> EpochDone:
    train, validation = Metrics(0.5 / n, 0.75, 100), Metrics(0.25 * n, None, 10)
    return EpochDone(n, 9, train, validation, True, 120.0, 1.0)


def records(raw: bytes) -> list[bytes]:
    """The records of a file, their check sums recalculated."""
    found = []
    while raw:
        (n,) = struct.unpack("<Q", raw[:8])
        data = raw[12 : 12 + n]
        assert raw[: 16 + n] == record(data)
        found.append(data)
        raw = raw[16 + n :]
    return found


def fields(data: bytes) -> list[tuple[int, object]]:
    """A protocol buffer as (field, value)."""
    found = []

    def varint() -> int:
        nonlocal data
        n = shift = 0
        while True:
            byte, data = data[0], data[1:]
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    while data:
        key = varint()
        kind = key & 7
        if kind == 0:
            found.append((key >> 3, varint()))
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        value, data = data[:size], data[size:]
        if kind != 2:
            (value,) = struct.unpack("<d" if kind == 1 else "<f", value)
        found.append((key >> 3, value))
    return found


def test_a_file_holds_what_was_measured(tmp_path):
    file = EventFile(tmp_path)
    for n in (1, 2, 300):
        file.add(epoch(n))
    head, *events = records(file.path.read_bytes())
    assert (3, b"brain.Event:2") in fields(head)
    assert file.path.name.startswith("events.out.tfevents.")
    for n, data in zip((1, 2, 300), events, strict=True):
        (_, wall), (_, step), (_, summary) = fields(data)
        assert step == n and wall > 1.7e9
        values = {v[0][1].decode(): v[1][1] for v in (fields(x) for _, x in fields(summary))}
        assert values == pytest.approx(scalars_of(epoch(n)), rel=1e-6)
        assert set(values) == {
            "loss/train",
            "accuracy/train",
            "loss/validation",
            "steps_per_second",
        }


def test_two_files_of_one_folder_have_two_names(tmp_path):
    assert EventFile(tmp_path).path != EventFile(tmp_path).path


def test_tensorboard_reads_it(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    file = EventFile(tmp_path)
    for n in (1, 2):
        file.add(epoch(n))
    found = accumulator.EventAccumulator(str(tmp_path))
    found.Reload()
    assert [s.step for s in found.Scalars("loss/train")] == [1, 2]
    assert found.Scalars("loss/validation")[1].value == pytest.approx(0.5)


def test_an_event_byte_by_byte():
    # wall_time 1.0, step 2, one value: tag "a", 0.5
    expected = (
        b"\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x02\x2a\x0a\x0a\x08\x0a\x01a\x15\x00\x00\x00\x3f"
    )
    assert event(1.0, 2, {"a": 0.5}) == expected
