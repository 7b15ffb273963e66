"""The text that the package carries: Lewis Carroll, "Alice's Adventures in Wonderland" (1865), whole.

alice.txt.gz holds 148,394 characters of 70 kinds, all ASCII; quotes open with ` and close with '. The copy is
that of the Canterbury corpus (alice29.txt) without the line about its edition. The work is in the public domain:
its author died in 1898."""

import gzip
from pathlib import Path

from .sequence import Text, encode

SOURCE = "Lewis Carroll, Alice's Adventures in Wonderland (1865)"
LICENCE = "public domain"


def read_alice() -> str:
    """The whole text."""
    with gzip.open(Path(__file__).with_name("alice.txt.gz"), "rt", encoding="ascii") as file:
        return file.read()


def load_text(window: int = 64) -> Text:
    """The text as 148,394 character numbers, seen through windows of so many characters."""
    text = read_alice()
    classes = tuple(sorted(set(text)))
    return Text("text", encode(text, classes, "text"), classes, window, SOURCE, LICENCE)
