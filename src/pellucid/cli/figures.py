"""Shares as percent, scores, and cells below each other."""

from collections.abc import Collection, Sequence

from ..base.figures import rounded
from ..train import report_parts


def percent(share: float) -> str:
    """0.9812 as '98.1 %'; what is not quite all is not shown as all."""
    return report_parts.percent(share).replace("\u00a0", " ")


def amount(score: str, value: float) -> str:
    """'96.1 %' or '2.19'."""
    return percent(value) if score == "accuracy" else rounded(value)


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """A line for each row, its cells below each other, in some columns at the right end of their room.

    What stands last in its line needs no room."""
    widths = [
        max((len(row[i]) for row in rows if i in right or any(row[i + 1 :])), default=0)
        for i in range(len(rows[0]))
    ]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
