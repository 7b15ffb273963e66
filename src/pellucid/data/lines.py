"""A text that is a list: names, words, places, one on each line, in no order that means anything.

Many lists are sorted, by letter or by how frequent things are. Cut by place, their last part would be of another kind
than the first; so the lines of a list are mixed before the text is cut."""

import re

import numpy as np

from .sequence import cut
from .shuffle import permutation

FEWEST = 100  # lines
MOST_WORDS = 3  # of an entry
LETTER = re.compile(r"[^\W\d_]")
SENTENCE_ENDS = (".", ",", ";", ":", "!", "?")


def is_list(text: str) -> bool:
    """Whether nearly all lines are entries: 1 to 3 words with a letter, no blank lines, no ends of sentences.

    Lines of verse and prose have more words, those of numbers no letters: their order means something."""
    lines = text.strip("\n").split("\n")
    if len(lines) < FEWEST or not all(map(str.strip, lines)):
        return False
    n_entries = sum(len(x.split()) <= MOST_WORDS and bool(LETTER.search(x)) for x in lines)
    n_ends = sum(x.rstrip().endswith(SENTENCE_ENDS) for x in lines)
    return n_entries >= 0.95 * len(lines) and n_ends <= 0.01 * len(lines)


def mixed_lines(text: str, validation: float, test: float, seed: int) -> str:
    """The same lines in another order, which the seed fixes; equal lines lie in the same part of the text.

    validation, test  the shares of the last parts, as split_text cuts them. Only the lines that equal the one into
                      which a cut falls may lie on both sides of it"""
    lines = text.strip("\n").split("\n")
    known: dict[str, int] = {}
    for line in lines:
        known[line] = known.get(line, 0) + 1
    different = list(known)
    different = [different[i] for i in permutation(len(different), seed, "split").tolist()]
    sizes = np.array([known[line] * (len(line) + 1) for line in different])
    begins = np.cumsum(sizes) - sizes
    part = np.searchsorted(cut(int(sizes.sum()), validation, test), begins, side="right")
    mixed: list[str] = []
    for p in range(3):
        own = [x for x, q in zip(different, part.tolist(), strict=True) if q == p]
        # A cut may fall into the copies of the last one: they come last, so that no other line crosses it.
        copies = [x for x in own[:-1] for _ in range(known[x])]
        mixed += [copies[i] for i in permutation(len(copies), seed, "split", 1 + p).tolist()]
        mixed += [x for x in own[-1:] for _ in range(known[x])]
    return "\n".join(mixed) + "\n"
