"""safetensors files: what is written is read back, by others too; what is damaged is refused by name."""

import json

import numpy as np
import pytest

from pellucid.base.errors import FormatError
from pellucid.formats import safetensors


def sample():
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.normal(size=(3, 5)).astype(np.float32),
        "a.bias": rng.normal(size=5),
        "count": np.int64(7),
        "mask": np.array([True, False, True]),
        "bytes": np.arange(7, dtype=np.uint8),
        "rows": np.arange(4, dtype=np.int32).reshape(2, 2),
        "none": np.zeros((0, 3), np.float32),
    }


def raw(tensors=None, metadata=None):
    return b"".join(bytes(c) for c in safetensors.serialize(tensors or sample(), metadata))


def with_header(text: str | bytes, data: bytes = b"") -> bytes:
    text = text.encode() if isinstance(text, str) else text
    return len(text).to_bytes(8, "little") + text + data


def equal(a, b):
    return set(a) == set(b) and all(
        a[k].shape == np.shape(b[k])
        and a[k].dtype == np.asarray(b[k]).dtype
        and np.array_equal(a[k], b[k])
        for k in b
    )


def test_what_is_saved_is_loaded(tmp_path):
    safetensors.save(tmp_path / "m.safetensors", sample(), {"format": "pellucid"})
    tensors, metadata = safetensors.load(tmp_path / "m.safetensors")
    assert equal(tensors, sample()) and metadata == {"format": "pellucid"}


def test_the_reference_reads_ours_and_we_read_its(tmp_path):
    reference = pytest.importorskip("safetensors.numpy")
    safetensors.save(tmp_path / "ours", sample())
    assert equal(reference.load_file(tmp_path / "ours"), sample())
    reference.save_file({k: np.asarray(v) for k, v in sample().items()}, tmp_path / "theirs")
    assert equal(safetensors.load(tmp_path / "theirs")[0], sample())


def test_equal_tensors_give_equal_bytes_in_any_order():
    backwards = dict(reversed(list(sample().items())))
    assert raw() == raw(backwards)


def test_views_are_stored_by_value(tmp_path):
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    views = {"t": base.T, "s": base[::2, ::-1], "b": np.broadcast_to(base[0], (3, 6))}
    safetensors.save(tmp_path / "v", views)
    assert equal(safetensors.load(tmp_path / "v")[0], views)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "int8", "object", ">f4"])
def test_a_dtype_that_has_no_name_is_refused(dtype):
    with pytest.raises(FormatError, match="cannot be stored"):
        safetensors.serialize({"x": np.zeros(2, dtype)})


ENTRY = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
ATTACKS = {
    "empty file": (b"", "too few"),
    "cut length": (b"\x10\x00", "too few"),
    "length past the end": ((1000).to_bytes(8, "little") + b"{}", "header length"),
    "huge length": ((2**63).to_bytes(8, "little") + b"{}", "header length"),
    "space before": (with_header(" {}"), "does not begin"),
    "list": (with_header("[]"), "does not begin"),
    "not utf-8": (with_header(b'{"\xff":1}'), "not valid"),
    "not json": (with_header("{nope}"), "not valid"),
    "trailing text": (with_header("{} {}"), "not valid"),
    "duplicate key": (
        with_header('{"a":%s,"a":%s}' % (ENTRY, ENTRY), bytes(4)),
        "'a' occurs twice",
    ),
    "duplicate field": (with_header('{"a":{"dtype":"F32","dtype":"F32"}}'), "occurs twice"),
    "unknown field": (
        with_header('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', bytes(4)),
        "exactly",
    ),
    "missing field": (with_header('{"a":{"dtype":"F32","shape":[1]}}', bytes(4)), "exactly"),
    "entry is a number": (with_header('{"a":1}'), "exactly"),
    "unknown dtype": (with_header('{"a":%s}' % ENTRY.replace("F32", "Q8"), bytes(4)), "'dtype'"),
    "eighth precision": (
        with_header('{"a":%s}' % ENTRY.replace("F32", "F8_E4M3"), bytes(4)),
        "Convert the file to F32",
    ),
    "dtype is a list": (
        with_header('{"a":%s}' % ENTRY.replace('"F32"', "[]"), bytes(4)),
        "'dtype'",
    ),
    "negative size": (with_header('{"a":%s}' % ENTRY.replace("[1]", "[-1]"), bytes(4)), "'shape'"),
    "float size": (
        with_header('{"a":%s}' % ENTRY.replace("[1]", "[1.0]"), bytes(4)),
        "not an integer",
    ),
    "true as size": (with_header('{"a":%s}' % ENTRY.replace("[1]", "[true]"), bytes(4)), "'shape'"),
    "NaN as size": (
        with_header('{"a":%s}' % ENTRY.replace("[1]", "[NaN]"), bytes(4)),
        "not an integer",
    ),
    "long integer": (
        with_header('{"a":%s}' % ENTRY.replace("[1]", "[%s]" % ("9" * 5000)), bytes(4)),
        "too long",
    ),
    "size 2^60": (
        with_header('{"a":%s}' % ENTRY.replace("[1]", "[1152921504606846976]"), bytes(4)),
        "'shape'",
    ),
    # 2^32 * 2^32 * 4 wraps to 0 in 64 bits
    "product wraps": (
        with_header('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'),
        "needs 73786976294838206464 bytes",
    ),
    "petabytes": (
        with_header(
            '{"a":{"dtype":"F64","shape":[99999999999999],"data_offsets":[0,8]}}', bytes(8)
        ),
        "needs",
    ),
    "rank 17": (with_header('{"a":%s}' % ENTRY.replace("[1]", str([1] * 17)), bytes(4)), "'shape'"),
    "offsets backwards": (
        with_header('{"a":%s}' % ENTRY.replace("[0,4]", "[4,0]"), bytes(4)),
        "'data_offsets'",
    ),
    "three offsets": (
        with_header('{"a":%s}' % ENTRY.replace("[0,4]", "[0,4,4]"), bytes(4)),
        "'data_offsets'",
    ),
    "hole": (
        with_header('{"a":%s}' % ENTRY.replace("[0,4]", "[4,8]"), bytes(8)),
        "begins at 4, where 0",
    ),
    "overlap": (with_header('{"a":%s,"b":%s}' % (ENTRY, ENTRY), bytes(4)), "begins at 0, where 4"),
    "data left over": (with_header('{"a":%s}' % ENTRY, bytes(5)), "the file has 5"),
    "data missing": (with_header('{"a":%s}' % ENTRY, bytes(3)), "the file has 3"),
    "metadata number": (with_header('{"__metadata__":{"a":1}}'), "__metadata__"),
    "metadata list": (with_header('{"__metadata__":[]}'), "__metadata__"),
    "deep nesting": (with_header('{"a":' + "[" * 3000 + "]" * 3000 + "}"), "not valid|brackets"),
    "many brackets": (with_header('{"a":[' + ",".join(["[]"] * 200_000) + "]}"), "brackets"),
    "bool of 2": (
        with_header('{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}', b"\x02"),
        "neither 0 nor 1",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_named(name, tmp_path):
    data, words = ATTACKS[name]
    (tmp_path / "bad.safetensors").write_bytes(data)
    with pytest.raises(FormatError, match=words) as error:
        safetensors.load(tmp_path / "bad.safetensors")
    assert "bad.safetensors" in str(error.value) and len(str(error.value)) < 1000
    with pytest.raises(FormatError, match=words):
        safetensors.parse(data)


def test_mutated_files_are_refused_or_hold_tensors_that_fit(tmp_path):
    """4,000 mutants, most edits in the header: the strict reader never crashes, and whatever it accepts the
    reference accepts with the same values."""
    reference = pytest.importorskip("safetensors.numpy")
    rng = np.random.default_rng(44)
    original = raw(
        {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(3)}, {"k": "v"}
    )
    header = 8 + int.from_bytes(original[:8], "little")
    n_accepted = 0
    for _ in range(4000):
        data = bytearray(original)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(header if rng.random() < 0.8 else len(data)))
            match rng.integers(4):
                case 0:
                    data[at] = int(rng.integers(256))
                case 1:
                    data[at] ^= 1 << int(rng.integers(8))
                case 2:
                    del data[at]
                case 3:
                    data.insert(at, int(rng.choice(list(b'{}[]",:0123456789'))))
        try:
            ours, _ = safetensors.parse(bytes(data))
        except FormatError:
            continue
        n_accepted += 1
        theirs = reference.load(bytes(data))
        assert set(ours) == set(theirs)
        assert all(ours[k].tobytes() == theirs[k].tobytes() for k in ours)
    assert n_accepted > 20  # else the test would say nothing


def test_loading_imports_and_opens_nothing_else(tmp_path):
    """The names in a file are labels: path-like and dunder names load as plain keys."""
    names = {"../../etc/passwd": np.zeros(1), "__class__": np.ones(1), "os.system": np.ones(2)}
    safetensors.save(tmp_path / "n", names)
    assert equal(safetensors.load(tmp_path / "n")[0], names)


def test_header_is_aligned_for_direct_reading():
    data = raw()
    size = int.from_bytes(data[:8], "little")
    assert size % 8 == 0
    header = json.loads(data[8 : 8 + size])
    for entry in header.values():
        width = {"F64": 8, "I64": 8, "F32": 4, "I32": 4}.get(entry["dtype"], 1)
        assert entry["data_offsets"][0] % width == 0


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
@pytest.mark.parametrize("shape", [(2, 3), (6,), (0, 4)])
def test_half_precision_is_read_as_float32(dtype, shape, tmp_path):
    n = int(np.prod(shape))
    # 1, -2.5, infinity, the least positive number, 0.1 rounded to the format, -0
    bits = {"F16": [0x3C00, 0xC100, 0x7C00, 0x0001, 0x2E66, 0x8000],
            "BF16": [0x3F80, 0xC020, 0x7F80, 0x0001, 0x3DCD, 0x8000]}[dtype]  # fmt: skip
    values = {"F16": [1, -2.5, np.inf, 2.0**-24, 0.0999755859375, -0.0],
              "BF16": [1, -2.5, np.inf, 2.0**-133, 0.10009765625, -0.0]}[dtype]  # fmt: skip
    entry = f'{{"a":{{"dtype":"{dtype}","shape":{list(shape)},"data_offsets":[0,{2 * n}]}}}}'
    raw = with_header(entry, np.array(bits[:n], "<u2").tobytes())
    (tmp_path / "a.safetensors").write_bytes(raw)
    for arrays, _ in (safetensors.parse(raw), safetensors.load(tmp_path / "a.safetensors")):
        a = arrays["a"]
        assert a.dtype == np.float32 and a.shape == shape
        expected = np.array(values[:n], np.float32).reshape(shape)
        np.testing.assert_array_equal(a, expected)
        np.testing.assert_array_equal(np.signbit(a), np.signbit(expected))
        a[...] = 1  # its own memory


def test_half_precision_equals_torch(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    x = torch.randn(50, 7)
    save_file({"h": x.half(), "b": x.bfloat16()}, tmp_path / "t.safetensors")
    arrays, _ = safetensors.load(tmp_path / "t.safetensors")
    np.testing.assert_array_equal(arrays["h"], x.half().float().numpy())
    np.testing.assert_array_equal(arrays["b"], x.bfloat16().float().numpy())
