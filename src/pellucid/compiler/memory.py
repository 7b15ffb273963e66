"""Memory: places in one arena for arrays that come and go.

Greedy by size (Pisarchyk and Lee 2020, "Efficient memory management for deep neural net inference",
section 5.2): the largest array first, each at the lowest offset where nothing that lives at the same time
lies. Offsets are multiples of a cache line."""

from collections.abc import Sequence

LINE = 64


def plan_arena(arrays: Sequence[tuple[int, int, int]]) -> tuple[list[int], int]:
    """(offsets, size of the arena) for arrays given as (bytes, first level, last level).

    Two arrays overlap in time when they share a level."""
    offsets = [0] * len(arrays)
    placed: list[int] = []
    top = 0
    for i in sorted(range(len(arrays)), key=lambda i: (-arrays[i][0], i)):
        nbytes, first, last = arrays[i]
        busy = sorted(
            (offsets[j], offsets[j] + arrays[j][0])
            for j in placed
            if arrays[j][1] <= last and first <= arrays[j][2]
        )
        at = 0
        for begin, end in busy:
            if at + nbytes <= begin:
                break
            at = max(at, -(-end // LINE) * LINE)
        offsets[i] = at
        placed.append(i)
        top = max(top, at + nbytes)
    return offsets, top
