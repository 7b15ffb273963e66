"""Prints the coefficients in compiler/vmath.py: weighted minimax polynomials, by Remez exchange.

    python3 tests/compiler/fit_vmath.py            (needs mpmath; the program itself does not)

Each row of FITS says: find the polynomial P with the smallest largest error
|weight(x) * (target(x) - P(variable(x)))|, x in [low, high]. The weight turns the polynomial's error
into the function's relative error, printed in ulp with the coefficients as printed."""

import struct

from mpmath import (
    atanh,
    cos,
    erf,
    erfc,
    expm1,
    log,
    log1p,
    lu_solve,
    matrix,
    mp,
    mpf,
    pi,
    polyval,
    sin,
    sqrt,
    tanh,
)

mp.dps = 60
# The reduced arguments of exp, sin and cos: a rounded quotient may step a little over the tie.
R = log(2) / 2 * mpf("1.0001")
Q = pi / 4 * mpf("1.01")
TINY = mpf(10) ** -9
NEAR, TANH_NEAR, ONE32, ONE64 = (mpf(v) for v in ("1.41796875", "0.5625", "3.9375", "5.9375"))
CENTER32 = mpf(
    "2.15458984375"
)  # erf(CENTER32) is a float to 0.001 ulp: it is the far polynomial's c0


def itself(x):
    return x


def square(x):
    return x**2


# name: (float type, degree, low, high, variable, target, weight)
# fmt: off
FITS = {
    "EXP32": ("float", 4, -R, R, itself,
              lambda x: (expm1(x) - x) / x**2, lambda x: x**2 / expm1(x)),
    "EXP64": ("double", 9, -R, R, itself,
              lambda x: (expm1(x) - x) / x**2, lambda x: x**2 / expm1(x)),
    "LOG32": ("float", 7, sqrt(0.5) - 1, sqrt(2) - 1, itself,
              lambda x: (log1p(x) - x + x**2 / 2) / x**3, lambda x: x**3 / log1p(x)),
    "LOG64": ("double", 6, TINY, 3 - 2 * sqrt(2), square,
              lambda s: (2 * atanh(s) / s - 2) / s**2, lambda s: s**3 / (2 * atanh(s))),
    "SIN32": ("double", 4, TINY, Q, square,
              lambda x: (sin(x) - x) / x**3, lambda x: x**3 / sin(x)),
    "COS32": ("double", 3, TINY, Q, square,
              lambda x: (cos(x) - 1 + x**2 / 2) / x**4, lambda x: x**4 / cos(x)),
    "SIN64": ("double", 5, TINY, Q, square,
              lambda x: (sin(x) - x) / x**3, lambda x: x**3 / sin(x)),
    "COS64": ("double", 5, TINY, Q, square,
              lambda x: (cos(x) - 1 + x**2 / 2) / x**4, lambda x: x**4 / cos(x)),
    "TANH32": ("float", 3, TINY, TANH_NEAR, square,
               lambda x: (tanh(x) - x) / x**3, lambda x: x**3 / tanh(x)),
    "TANH64": ("double", 10, TINY, TANH_NEAR, square,
               lambda x: (tanh(x) - x) / x**3, lambda x: x**3 / tanh(x)),
    "ERF_NEAR32": ("float", 7, TINY, NEAR, square,
                   lambda x: erf(x) / x - 1, lambda x: x / erf(x)),
    "ERF_FAR32": ("float", 10, NEAR, ONE32, lambda x: x - CENTER32, erf, lambda x: 1 / erf(x)),
    "ERF_NEAR64": ("double", 11, TINY, mpf(1), square,
                   lambda x: erf(x) / x - 1, lambda x: x / erf(x)),
    "ERF_FAR64": ("double", 17, mpf(1), ONE64, lambda x: x - 1,
                  lambda x: -log(erfc(x)), lambda x: erfc(x) / erf(x)),
}
# fmt: on


def remez(us, ts, ws, degree):
    """The minimax polynomial, lowest power first, for targets ts and weights ws at the points us."""
    n, count = degree + 2, len(us)
    at = [int((i + 0.5) * count / n) for i in range(n)]
    for _ in range(30):
        rows = [[ws[i] * us[i] ** k for k in range(n - 1)] + [(-1) ** j] for j, i in enumerate(at)]
        solved = lu_solve(matrix(rows), matrix([ws[i] * ts[i] for i in at]))
        c, level = [solved[k] for k in range(n - 1)], abs(solved[n - 1])
        errors = [w * (t - polyval(c[::-1], u)) for u, t, w in zip(us, ts, ws, strict=True)]
        # One extreme per run of equal sign; of a longer list the n with the larger ends.
        peaks = []
        for i, e in enumerate(errors):
            if peaks and (errors[peaks[-1]] > 0) == (e > 0):
                peaks[-1] = i if abs(e) > abs(errors[peaks[-1]]) else peaks[-1]
            else:
                peaks.append(i)
        while len(peaks) > n:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        if len(peaks) < n or max(map(abs, errors)) < level * mpf("1.001"):
            break
        at = peaks
    return c


def rounded(value, kind):
    """value as the nearest float or double."""
    if kind == "float":
        return struct.unpack("<f", struct.pack("<f", float(value)))[0]
    return float(value)


def fit(kind, degree, low, high, variable, target, weight):
    """The coefficients as floats, and the largest weighted error with them.

    Each rounding is made up for, in least squares, by the coefficients that are not yet rounded."""
    count = 24 * (degree + 2)
    # Chebyshev-spaced samples: the error's extremes crowd at the ends.
    xs = [low + (high - low) * (1 - cos(pi * (i + mpf("0.5")) / count)) / 2 for i in range(count)]
    us, ts, ws = [variable(x) for x in xs], [target(x) for x in xs], [abs(weight(x)) for x in xs]
    c = remez(us, ts, ws, degree)
    moments = [sum(w**2 * u**k for u, w in zip(us, ws, strict=True)) for k in range(2 * degree + 1)]
    for k in range(degree + 1):
        change, c[k] = rounded(c[k], kind) - c[k], rounded(c[k], kind)
        higher = range(k + 1, degree + 1)
        if higher:
            gram = matrix([[moments[i + j] for j in higher] for i in higher])
            answer = lu_solve(gram, matrix([-change * moments[k + i] for i in higher]))
            for i in higher:
                c[i] += answer[i - k - 1]
    return c, max(w * abs(t - polyval(c[::-1], u)) for u, t, w in zip(us, ts, ws, strict=True))


def split(value, *bits):
    """value as a sum of floats with the given numbers of bits, the last one rounded like any double."""
    parts = []
    for n in bits:
        shift = mpf(2) ** (n - 1 - int(mp.floor(log(abs(value), 2))))
        part = mp.nint(value * shift) / shift
        parts.append(float(part))
        value -= part
    return parts


def main():
    for name, row in FITS.items():
        c, error = fit(*row)
        kind = row[0]
        ulp = mpf(2) ** (-24 if kind == "float" else -53)
        shown = [f"{a:.9g}" if kind == "float" else repr(a) for a in c]
        print(f"# {name}: error {float(error / ulp):.3g} ulp\n{name} = ({', '.join(shown)})")
    print("LOG2E =", float(1 / log(2)), "  TWO_OVER_PI =", float(2 / pi))
    print("LN2_32 =", split(log(2), 15, 24), "  LN2_64 =", split(log(2), 42, 53))
    print("HALF_PI =", split(pi / 2, 53, 53, 53))


if __name__ == "__main__":
    main()
