"""Vector math: exp, log, tanh, erf, sin, cos, sqrt, floor as formulas of the IR, one lane or more.

`TABLE[name](b, x)` takes a float or double Val and returns one of the same type and width. Only IEEE
754's add, subtract, multiply, divide, square root, fma, floor, compare, select and bit operations are
written, no library call and no fast-math, so the bits do not depend on the width or the processor.
A NaN that we make is the positive quiet one (processors differ in the sign they would give it).

Method: reduce the argument, evaluate a minimax polynomial, undo the reduction (Muller, Elementary
Functions, 2016, chapters 3, 9 and 10). The coefficients come from tests/compiler/fit_vmath.py.
The ulp in each docstring are the largest error seen, rounded up; tests/compiler/test_vmath.py checks
them. Branches are selects: every lane pays for every path."""

import math
from collections.abc import Callable

from .emit import Builder, Val

# fmt: off
# --- coefficients, lowest power first; printed by tests/compiler/fit_vmath.py
EXP32 = (0.49999997, 0.166665435, 0.0416674986, 0.00836653262, 0.00138648693)
EXP64 = (
    0.5000000000000006, 0.16666666666666594, 0.04166666666657378, 0.008333333333386228,
    0.001388888893230864, 0.0001984126972718542, 2.4801504539395643e-05, 2.7557399536820497e-06,
    2.762628807124561e-07, 2.5056488418651e-08,
)
LOG32 = (
    0.333333313, -0.250008196, 0.200012431, -0.166234121, 0.142015427, -0.131595314,
    0.127624393, -0.0763693601,
)
LOG64 = (
    0.6666666666666734, 0.39999999999417163, 0.28571428741853966, 0.2222219862640477,
    0.18183561628716594, 0.15314118015386569, 0.14795288597906006,
)
SIN32 = (
    -0.1666666666662657, 0.008333333324396367, -0.00019841263354160397, 2.755525969843693e-06,
    -2.4754634664040814e-08,
)
COS32 = (
    0.04166666661553516, -0.001388888316490723, 2.4799373017166123e-05, -2.7198647982094537e-07,
)
SIN64 = (
    -0.16666666666666627, 0.008333333333321077, -0.0001984126982870716, 2.755731330184554e-06,
    -2.5050695980363635e-08, 1.5893141407079042e-10,
)
COS64 = (
    0.04166666666666658, -0.0013888888888871043, 2.4801587287606162e-05,
    -2.7557313821006944e-07, 2.0875652204305627e-09, -1.1356017047490581e-11,
)
TANH32 = (-0.333328754, 0.133190647, -0.0525644571, 0.0162319671)
TANH64 = (
    -0.33333333333333276, 0.13333333333322908, -0.053968253961623545, 0.02186948832493937,
    -0.008863231605218735, 0.003592081974468232, -0.0014554781024440479, 0.0005881780832385736,
    -0.0002327036503067776, 8.234481140699636e-05, -1.8895001472000064e-05,
)
ERF_NEAR32 = (
    0.128379166, -0.376126081, 0.112834148, -0.0268501155, 0.00519096106, -0.000817718043,
    9.67556407e-05, -6.3296834e-06,
)
ERF_FAR32 = (
    0.997689009, 0.0108722895, -0.023427356, 0.0300383922, -0.0245384034, 0.0120743634,
    -0.0021313678, -0.00143480522, 0.00115090481, -0.000339948136, 3.8760536e-05,
)
ERF_NEAR64 = (
    0.12837916709551256, -0.3761263890318345, 0.11283791670942231, -0.026866170642869745,
    0.005223977604476947, -0.0008548325861658007, 0.00012055291793176895,
    -1.4924681553566097e-05, 1.6446786560244422e-06, -1.6203885809428657e-07,
    1.3701248874379468e-08, -7.7625192759117e-10,
)
ERF_FAR64 = (
    1.8496055099332482, 2.638967514234783, 0.8431072563591503, 0.041561098029430595,
    -0.010033825218512914, 0.0019779014341013558, -0.0002373172297600003, -2.62943334103303e-05,
    2.7195421454324503e-05, -9.666791223956374e-06, 2.1275977978573038e-06,
    -2.0178664606132645e-07, -5.955534279392277e-08, 3.395967040020652e-08,
    -8.66539315957717e-09, 1.344184375961053e-09, -1.2187639459163757e-10,
    4.981506717490788e-12,
)
# fmt: on

LOG2E = 1.4426950408889634
TWO_OVER_PI = 0.6366197723675814
LN2 = 0.6931471805599453
LN2_32 = (0.693145751953125, 1.428606765330187e-06)
LN2_64 = (0.6931471805598903, 5.497923018708371e-14)
HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
SQRT_HALF_BITS = {"float": 0x3F3504F3, "double": 0x3FE6A09E667F3BCD}
# tanh: the far formula begins where tanh exceeds 1/2; from TANH_ONE on the result is 1.
TANH_BORDER = 0.5625
TANH_ONE = {"float": 9.5, "double": 19.5}
# erf: where the far formula begins, where it is centred (float: erf(centre) is a
# float to 0.001 ulp), and from where on the result is 1.
ERF_BORDER = {"float": 1.41796875, "double": 1.0}
ERF_CENTER = {"float": 2.15458984375, "double": 1.0}
ERF_ONE = {"float": 3.9375, "double": 5.9375}
CIRCULAR_MAX = 2.0**40

# Adding 1.5 * 2^(fraction bits) rounds to the nearest integer, ties to even, and leaves it in the low
# bits.
ROUND = {"float": 1.5 * 2.0**23, "double": 1.5 * 2.0**52}
EXP_RANGE = {"float": (89.0, -104.0, -80.0), "double": (710.0, -746.0, -700.0)}
FRACTION_BITS = {"float": 23, "double": 52}
ROUND_BITS = {"float": 0x4B400000, "double": 0x4338000000000000}
BIAS = {"float": 127, "double": 1023}
INTEGER = {"float": "i32", "double": "i64"}


# --- pieces
def polynomial(b: Builder, x: Val, coefficients: tuple[float, ...]) -> Val:
    """c0 + x (c1 + x (c2 + ...)), by Horner's rule."""
    *lower, top = coefficients
    y = b.like(top, x)
    for c in reversed(lower):
        y = b.fma(y, x, b.like(c, x))
    return y


def minimum(b: Builder, x: Val, limit: float) -> Val:
    """min(x, limit); NaN stays."""
    c = b.like(limit, x)
    return b.select(b.cmp("olt", c, x), c, x)


def maximum(b: Builder, x: Val, limit: float) -> Val:
    """max(x, limit); NaN stays."""
    c = b.like(limit, x)
    return b.select(b.cmp("ogt", c, x), c, x)


def bits(b: Builder, x: Val) -> Val:
    """The float's bits as an integer."""
    return b.convert("bitcast", x, INTEGER[x.type])


def power_of_two(b: Builder, n: Val, type_: str) -> Val:
    """2^n from the integer n + bias, in the exponent's range; what is above it is shifted out."""
    return b.convert("bitcast", b.bin("shl", n, b.like(FRACTION_BITS[type_], n)), type_)


def exp_reduced(b: Builder, x: Val, bias: int) -> tuple[Val, Val, Val]:
    """x = n ln 2 + r, |r| <= ln 2 / 2, e^r = 1 + r + r^2 q: (n + bias in an integer's low bits, r, q)."""
    high, low = LN2_32 if x.type == "float" else LN2_64
    magic = b.like(ROUND[x.type] + bias, x)
    shifted = b.fma(x, b.like(LOG2E, x), magic)
    n = b.fsub(shifted, magic)
    r = b.fma(n, b.like(-high, x), x)
    r = b.fma(n, b.like(-low, x), r)
    return bits(b, shifted), r, polynomial(b, r, EXP32 if x.type == "float" else EXP64)


# --- exp and its kin
def exp(b: Builder, x: Val) -> Val:
    """e^x.  float: 1 ulp.  double: 1 ulp.

    e^x = 2^n e^r. Above the largest finite result inf; below, subnormals rounded once, then 0. The
    scale is applied in two factors, since 2^n alone may be out of range: 2^(n-1) 2, or for small n
    2^(n+lift) 2^-lift."""
    # Above `largest` the scale's bits would wrap; the product has reached inf before that.
    largest, smallest, small = EXP_RANGE[x.type]
    lift = FRACTION_BITS[x.type] + 2
    clamped = maximum(b, x, smallest)
    n, r, q = exp_reduced(b, clamped, BIAS[x.type] - 1)
    y = b.fma(b.fma(r, q, b.like(1.0, x)), r, b.like(1.0, x))
    is_small = b.cmp("olt", x, b.like(small, x))
    n = b.select(is_small, b.bin("add", n, b.like(lift + 1, n)), n)
    y = b.fmul(y, power_of_two(b, n, x.type))
    y = b.fmul(y, b.select(is_small, b.like(2.0**-lift, x), b.like(2.0, x)))
    return b.select(b.cmp("ogt", x, b.like(largest, x)), b.like(math.inf, x), y)


def tanh(b: Builder, x: Val) -> Val:
    """(e^x - e^-x) / (e^x + e^-x).  float: 2 ulp.  double: 2 ulp.

    Near 0: x + x^3 P(x^2). Far: 1 - 2 / (e^(2|x|) + 1), where the quotient's error is small beside 1."""
    a = minimum(b, b.intrinsic("fabs", x), TANH_ONE[x.type])
    one = b.like(1.0, x)
    # 2a = n ln 2 + 2r. n is at most 57 and errors of e^(2a) fade as 4^-n: one rounded ln 2 is enough.
    magic = b.like(ROUND[x.type] + BIAS[x.type], x)
    shifted = b.fma(a, b.like(2 * LOG2E, x), magic)
    r = b.fma(b.fsub(shifted, magic), b.like(-LN2 / 2, x), a)
    # e^(2r) = 1 + 2r + (2r)^2 Q(2r); the powers of two go into the coefficients, exactly.
    q = EXP32 if x.type == "float" else EXP64
    power = polynomial(b, r, (1.0, 2.0, *(c * 2.0 ** (k + 2) for k, c in enumerate(q))))
    power_plus_one = b.fma(power, power_of_two(b, bits(b, shifted), x.type), one)
    far = b.fsub(one, b.fdiv(b.like(2.0, x), power_plus_one))
    z = b.fmul(a, a)
    near_coefficients = TANH32 if x.type == "float" else TANH64
    near = b.fma(b.fmul(z, polynomial(b, z, near_coefficients)), a, a)
    is_far = b.cmp("ogt", a, b.like(TANH_BORDER, x))  # NaN takes the near formula
    return b.intrinsic("copysign", b.select(is_far, far, near), x)


def erf(b: Builder, x: Val) -> Val:
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.  float: 2 ulp.  double: 1 ulp.

    Near 0: x + x P(x^2). Far, float: P(|x|); double: 1 - e^-P(|x|), P = -log erfc."""
    a = minimum(b, b.intrinsic("fabs", x), ERF_ONE[x.type])
    centred = b.fadd(a, b.like(-ERF_CENTER[x.type], x))
    if x.type == "float":
        far = polynomial(b, centred, ERF_FAR32)
    else:
        # Where the near formula is taken this may be anything.
        n, r, q = exp_reduced(b, b.fneg(polynomial(b, centred, ERF_FAR64)), BIAS["double"])
        tail = b.fma(b.fma(r, q, b.like(1.0, x)), r, b.like(1.0, x))
        far = b.fma(b.fneg(tail), power_of_two(b, n, "double"), b.like(1.0, x))
    near_coefficients = ERF_NEAR32 if x.type == "float" else ERF_NEAR64
    near = b.fma(polynomial(b, b.fmul(a, a), near_coefficients), a, a)
    is_far = b.cmp("ogt", a, b.like(ERF_BORDER[x.type], x))  # NaN takes the near formula
    return b.intrinsic("copysign", b.select(is_far, far, near), x)


# --- log
def log(b: Builder, x: Val) -> Val:
    """The natural logarithm.  float: 1 ulp.  double: 1 ulp.  log(+-0) = -inf; below 0 NaN.

    x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); log x = e ln 2 + log(1 + f). Subnormals are scaled
    first."""
    type_ = x.type
    lift = FRACTION_BITS[type_] + 2
    is_subnormal = b.cmp("olt", x, b.like(2.0 ** (1 - BIAS[type_]), x))
    scaled = b.select(is_subnormal, b.fmul(x, b.like(2.0**lift, x)), x)
    pattern = bits(b, scaled)
    shift = b.like(FRACTION_BITS[type_], pattern)
    exponent = b.bin("ashr", b.bin("sub", pattern, b.like(SQRT_HALF_BITS[type_], pattern)), shift)
    one_plus_f = b.convert("bitcast", b.bin("sub", pattern, b.bin("shl", exponent, shift)), type_)
    f = b.fadd(one_plus_f, b.like(-1.0, x))
    lifted = b.select(is_subnormal, b.like(lift, exponent), b.like(0, exponent))
    exponent = b.bin("sub", exponent, lifted)
    # Integer to float through the low bits of ROUND: AVX2 has no conversion from i64 to double.
    e = b.convert("bitcast", b.bin("add", exponent, b.like(ROUND_BITS[type_], exponent)), type_)
    e = b.fsub(e, b.like(ROUND[type_], x))
    y = _log32(b, f, e) if type_ == "float" else _log64(b, f, e)
    y = b.select(b.cmp("olt", x, b.like(math.inf, x)), y, x)  # inf and NaN stay
    y = b.select(b.cmp("oeq", x, b.like(0.0, x)), b.like(-math.inf, x), y)
    return b.select(b.cmp("olt", x, b.like(0.0, x)), b.like(math.nan, x), y)


def _log32(b: Builder, f: Val, e: Val) -> Val:
    """log(1 + f) + e ln 2, with log(1 + f) = f - f^2/2 + f^3 P(f)."""
    high, low = LN2_32
    rest = b.fma(polynomial(b, f, LOG32), f, b.like(-0.5, f))
    y = b.fma(b.fmul(f, f), rest, b.fmul(e, b.like(low, f)))
    return b.fma(e, b.like(high, f), b.fadd(f, y))


def _log64(b: Builder, f: Val, e: Val) -> Val:
    """log(1 + f) + e ln 2, with log(1 + f) = 2 atanh(s) = 2 s + s^3 P(s^2), s = f / (2 + f).

    2 s = f - (h - s h) with h = f^2/2: f is exact, only the smaller terms carry rounding errors."""
    high, low = LN2_64
    s = b.fdiv(f, b.fadd(f, b.like(2.0, f)))
    z = b.fmul(s, s)
    h = b.fmul(b.fmul(f, b.like(0.5, f)), f)
    tail = b.fma(s, b.fma(z, polynomial(b, z, LOG64), h), b.fmul(e, b.like(low, f)))
    return b.fma(e, b.like(high, f), b.fsub(f, b.fsub(h, tail)))


# --- sin and cos
def sin(b: Builder, x: Val) -> Val:
    """The sine of x radians.  float: 0.51 ulp for |x| <= 2^40.  double: 1 ulp for |x| <= 2^40.

    Beyond 2^40 the result is +-0, not the sine (that needs a table of 2/pi); inf and NaN give NaN."""
    return _circular(b, x, 0)


def cos(b: Builder, x: Val) -> Val:
    """The cosine of x radians.  float: 0.51 ulp for |x| <= 2^40.  double: 1 ulp for |x| <= 2^40.

    Beyond 2^40 the result is 1, not the cosine; inf and NaN give NaN."""
    return _circular(b, x, 1)


def _circular(b: Builder, x: Val, quarter_turns: int) -> Val:
    """sin(x + quarter_turns pi/2). The float version is computed in double and rounded once."""
    if x.type == "float":
        wide = _sin64(b, b.convert("fpext", x, "double"), quarter_turns, SIN32, COS32)
        return b.convert("fptrunc", wide, "float")
    return _sin64(b, x, quarter_turns, SIN64, COS64)


def _sin64(b: Builder, x: Val, quarter_turns: int, sin_coefficients, cos_coefficients) -> Val:
    """sin(x + quarter_turns pi/2), from x = n pi/2 + r + t, |r| <= pi/4, t below an ulp of r.

    n mod 4 picks sin r = r + r^3 S(r^2) or cos r = 1 - r^2/2 + r^4 C(r^2), and the sign. pi/2 has
    three parts (Cody and Waite, 1980). The first step is exact: where n is not 0, x and n * first are
    multiples of 2^-53, and their difference is below 1."""
    size = b.intrinsic("fabs", x)
    inside = b.cmp("ole", size, b.like(CIRCULAR_MAX, x))
    finite = b.cmp("olt", size, b.like(math.inf, x))
    x = b.select(inside, x, b.intrinsic("copysign", b.like(0.0, x), x))
    magic = b.like(ROUND["double"], x)
    shifted = b.fma(x, b.like(TWO_OVER_PI, x), magic)
    n = b.fsub(shifted, magic)
    first, second, third = HALF_PI
    exact = b.fma(n, b.like(-first, x), x)
    if sin_coefficients is SIN64:
        # n * second = product + error; exact - product = r + t (Knuth's two-sum).
        product = b.fmul(n, b.like(-second, x))
        error = b.fma(n, b.like(-second, x), b.fneg(product))
        r = b.fadd(exact, product)
        part = b.fsub(r, exact)
        t = b.fadd(b.fsub(exact, b.fsub(r, part)), b.fsub(product, part))
        t = b.fma(n, b.like(-third, x), b.fadd(t, error))
    else:
        r, t = b.fma(n, b.like(-second, x), exact), None
    z = b.fmul(r, r)
    cube = b.fmul(r, z)
    sine = b.fmul(cube, polynomial(b, z, sin_coefficients))
    cosine = b.fmul(b.fmul(z, z), polynomial(b, z, cos_coefficients))
    half = b.fmul(z, b.like(0.5, x))
    one = b.like(1.0, x)
    top = b.fsub(one, half)
    if t is not None:
        sine = b.fadd(sine, b.fma(b.fneg(half), t, t))
        cosine = b.fma(b.fneg(r), t, b.fadd(cosine, b.fsub(b.fsub(one, top), half)))
    sine, cosine = b.fadd(r, sine), b.fadd(top, cosine)
    turns = bits(b, shifted)
    turns = b.bin("add", turns, b.like(quarter_turns, turns))
    one_bit = b.like(1, turns)
    is_cosine = b.cmp("ne", b.bin("and", turns, one_bit), b.like(0, turns))
    y = b.select(is_cosine, cosine, sine)
    sign = b.bin("shl", b.bin("lshr", turns, one_bit), b.like(63, turns))
    y = b.convert("bitcast", b.bin("xor", bits(b, y), sign), "double")
    if quarter_turns == 0:
        y = b.select(b.cmp("oeq", x, b.like(0.0, x)), x, y)  # -0 keeps its sign
    return b.select(finite, y, b.like(math.nan, x))


# --- instructions of the processor
def sqrt(b: Builder, x: Val) -> Val:
    """The square root, correctly rounded: 0.5 ulp. Below 0, NaN; sqrt(-0) = -0."""
    # NaN goes in, not out: LLVM knows that sqrt gives a NaN below 0 and would drop an outer select.
    return b.intrinsic("sqrt", b.select(b.cmp("olt", x, b.like(0.0, x)), b.like(math.nan, x), x))


def floor(b: Builder, x: Val) -> Val:
    """The largest integer not above x, exact."""
    return b.intrinsic("floor", x)


TABLE: dict[str, Callable[[Builder, Val], Val]] = {
    "floor": floor,
    "sqrt": sqrt,
    "exp": exp,
    "tanh": tanh,
    "log": log,
    "erf": erf,
    "sin": sin,
    "cos": cos,
}
