"""Numbers as people write them."""

import math
from collections.abc import Sequence


def rounded(value: float, digits: int = 4, sign: str = "") -> str:
    """So many digits that count, and all before the point: 2.051, 47,070, 1.2e-05; `sign` "+" shows that of all."""
    parted = "," if abs(value) >= 9999.5 else ""  # 1984 may be a year
    text = f"{value:{sign}{parted}.{digits}g}"
    return f"{value:{sign}{parted}.0f}" if "e+" in text and abs(value) < 1e15 else text


def rounded_column(values: Sequence[float], digits: int = 4) -> list[str]:
    """A column of numbers: each with the decimals that the largest has."""
    most = max(map(abs, values), default=0.0)
    if most and not 1e-4 <= most < 1e15:
        return [f"{v:.{digits - 1}e}" for v in values]
    decimals = max(0, digits - 1 - math.floor(math.log10(most or 1.0)))
    parted = "," if most >= 9999.5 else ""
    return [f"{v:{parted}.{decimals}f}" for v in values]
