"""compiler/vmath.py: error in ulp against longer arithmetic, special values, and the same bits everywhere."""

import ctypes
import functools

import llvmlite.binding as llvm
import numpy as np
import pytest

from pellucid.compiler.emit import LANES, Builder, Val, function, i64
from pellucid.compiler.vmath import TABLE

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

SIZES = 100_000
DTYPES = {"float": np.float32, "double": np.float64}
CPUS = ("x86-64-v3", "x86-64-v4")
# Where a formula changes or a result leaves the range.
# fmt: off
CORNERS = [
    0, 1, np.pi / 2, np.pi / 4, 2**0.5, 0.5**0.5, 0.5625, 1.41796875, 3.9375, 5.9375, 9.5, 19.5, 1e6,
    80, 87.33655, 88.722839, 89, 103.97, 104, 700, 708.3964185, 709.782712893, 710, 745.1332, 746,
    2.0**40,
]
# fmt: on
KEPT = []  # an engine owns the machine code of its functions


def text(name: str, type_: str, width: int) -> str:
    """`f(x, y, n)`: y[i] = name(x[i]) for i < n, n a multiple of the width."""
    b = Builder(width)
    x, y = Val("%x", "ptr", 1), Val("%y", "ptr", 1)

    def body(i, carried):
        b.store(TABLE[name](b, b.load(b.gep(x, i, type_), type_, width)), b.gep(y, i, type_))
        return carried

    b.loop(i64(0), Val("%n", "i64", 1), width, [], body)
    attributes = '{ nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }'
    return function("f", b, "ptr %x, ptr %y, i64 %n") + f"attributes #0 = {attributes}\n"


@functools.cache
def kernel(name: str, type_: str, width: int = LANES, cpu: str = ""):
    """The compiled function as NumPy to NumPy."""
    if cpu == "x86-64-v4" and not llvm.get_host_cpu_features().get("avx512vl", False):
        pytest.skip("this processor has no AVX-512")
    cpu = cpu or llvm.get_host_cpu_name()
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, opt=3)
    module = llvm.parse_assembly(text(name, type_, width))
    module.verify()
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    KEPT.append(engine)
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    call = signature(engine.get_function_address("f"))

    def run(x: np.ndarray) -> np.ndarray:
        padded = np.zeros(-(-len(x) // LANES) * LANES, DTYPES[type_])
        padded[: len(x)] = x
        y = np.empty_like(padded)
        call(padded.ctypes.data, y.ctypes.data, len(padded))
        return y[: len(x)]

    return run


# --- the reference: the same function in a wider type
def erf(x: np.ndarray) -> np.ndarray:
    """2 / sqrt(pi) e^(-x^2) sum_k 2^k x^(2k+1) / (2k+1)!!, all terms of one sign (DLMF 7.6.2)."""
    x = np.clip(x, -6.5, 6.5)
    term = total = x
    for k in range(1, 220):
        term = term * (x * x) * 2 / (2 * k + 1)
        total = total + term
    pi = 4 * np.arctan(np.ones((), x.dtype))
    return total * np.exp(-x * x) * 2 / np.sqrt(pi)


REFERENCES = {"erf": erf} | {name: getattr(np, name) for name in TABLE if name != "erf"}


def expected(name: str, type_: str, x: np.ndarray) -> np.ndarray:
    """The reference's value, in float64 for float and long double for double."""
    with np.errstate(all="ignore"):
        return REFERENCES[name](x.astype(np.float64 if type_ == "float" else np.longdouble))


def ulps(y: np.ndarray, true: np.ndarray) -> np.ndarray:
    """|y - true| in units of the spacing of y's type at `true`; infinite where only one is finite or NaN."""
    with np.errstate(all="ignore"):
        rounded = true.astype(y.dtype)
        error = np.abs(y.astype(true.dtype) - true) / np.spacing(np.abs(rounded)).astype(true.dtype)
    special = ~np.isfinite(rounded)
    same = (y == rounded) | (np.isnan(y) & np.isnan(rounded))
    return np.where(special | ~np.isfinite(y), np.where(same, 0, np.inf), error).astype(np.float64)


def points(type_: str, low: float, high: float, seed: int = 7) -> np.ndarray:
    """Even over [low, high], then over all exponents and signs, then the neighbours of CORNERS."""
    dtype = DTYPES[type_]
    info, rng = np.finfo(dtype), np.random.default_rng(seed)
    size = info.bits // 8
    with np.errstate(all="ignore"):
        scattered = np.frombuffer(rng.bytes(SIZES * size), dtype)
        scattered = scattered[np.isfinite(scattered)]
        corners = np.array([*CORNERS, info.tiny, info.smallest_subnormal, info.max]).astype(dtype)
        around = corners.view(f"i{size}")[:, None] + np.arange(-40, 41)
        near = np.concatenate([np.abs(around).astype(f"i{size}").view(dtype).ravel(), corners])
    even = rng.uniform(low, high, SIZES).astype(dtype)
    small = (2.0 ** rng.uniform(-30, 3, SIZES)).astype(dtype)
    special = np.array([0.0, np.inf, np.nan], dtype)
    return np.concatenate([even, small, -small, scattered, near, -near, special, -special])


# name: (even range for float, for double, ulp for float, for double) - the docstrings' numbers
CASES = {
    "floor": ((-1e3, 1e3), (-1e3, 1e3), 0, 0),
    "sqrt": ((0, 10), (0, 10), 0.5, 0.5),
    "exp": ((-104, 89), (-746, 710), 1, 1),
    "tanh": ((-10, 10), (-20, 20), 2, 2),
    "log": ((0, 10), (0, 10), 1, 1),
    "erf": ((-4, 4), (-6, 6), 2, 1),
    "sin": ((-1e6, 1e6), (-1e6, 1e6), 0.51, 1),
    "cos": ((-1e6, 1e6), (-1e6, 1e6), 0.51, 1),
}
EACH = [(name, type_) for name in CASES for type_ in DTYPES]


def inputs(name: str, type_: str) -> np.ndarray:
    return points(type_, *CASES[name][type_ == "double"])


def test_every_function_has_a_case():
    assert CASES.keys() == TABLE.keys()


@pytest.mark.parametrize("name, type_", EACH)
def test_error_is_within_the_stated_ulp(name, type_):
    if type_ == "double" and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("long double is no longer than double here")
    x = inputs(name, type_)
    if name in ("sin", "cos"):
        x = x[~np.isfinite(x) | (np.abs(x) <= 2.0**40)]
    error = ulps(kernel(name, type_)(x), expected(name, type_, x))
    worst = np.argmax(error)
    stated = CASES[name][2 + (type_ == "double")]
    assert error[worst] <= stated, f"x = {x[worst]!r}: {error[worst]} ulp"


@pytest.mark.parametrize("name, type_", EACH)
def test_one_lane_and_sixteen_give_the_same_bits(name, type_):
    x = inputs(name, type_)
    assert kernel(name, type_, 1)(x).tobytes() == kernel(name, type_, LANES)(x).tobytes()


@pytest.mark.parametrize("name, type_", EACH)
def test_every_processor_gives_the_same_bits(name, type_):
    x = inputs(name, type_)
    narrow, wide = (kernel(name, type_, LANES, cpu)(x) for cpu in CPUS)
    assert narrow.tobytes() == wide.tobytes() == kernel(name, type_)(x).tobytes()


@pytest.mark.parametrize("type_", DTYPES)
@pytest.mark.parametrize("name", ["floor", "sqrt", "tanh", "erf", "sin"])
def test_zero_keeps_its_sign(name, type_):
    y = kernel(name, type_)(np.array([0.0, -0.0]))
    assert not y.any() and np.signbit(y).tolist() == [False, True]


@pytest.mark.parametrize("type_", DTYPES)
@pytest.mark.parametrize("name", ["sqrt", "log", "sin", "cos"])
def test_a_nan_that_we_make_is_positive(name, type_):
    y = kernel(name, type_)(np.array([-np.inf]))
    assert np.isnan(y).all() and not np.signbit(y).any()


@pytest.mark.parametrize("type_", DTYPES)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_huge_arguments_stay_within_one(name, type_):
    x = inputs(name, type_)
    y = kernel(name, type_)(x[np.isfinite(x)])
    assert (np.abs(y) <= 1).all()


def test_log_of_one_is_exactly_zero():
    for type_ in DTYPES:
        assert not kernel("log", type_)(np.ones(3)).any()


@pytest.mark.parametrize("name, type_", EACH)
def test_no_library_function_is_called(name, type_):
    for cpu in CPUS:
        machine = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, opt=3)
        assembly = machine.emit_assembly(llvm.parse_assembly(text(name, type_, LANES)))
        assert "call" not in assembly
