"""A text from a file, or the one that the package carries: "Alice's Adventures in Wonderland" by Lewis Carroll (1865).

alice.txt.gz holds 148,394 characters of 70 kinds, all ASCII; quotes open with ` and close with '. The copy is
that of the Canterbury corpus (alice29.txt) without the line about its edition. The work is in the public domain:
its author died in 1898."""

import gzip
from pathlib import Path
from shlex import quote

from ..base.errors import DataError
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


def read_text(file: str | Path) -> str:
    """A text file in UTF-8, line ends as one character. Raises DataError naming the file."""
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file.") from None
    except UnicodeDecodeError as error:
        known = "UTF-16" if error.object[:2] in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
        raise DataError(
            f"{file}: not UTF-8 text (byte {error.start}). Save it in UTF-8, as with: iconv -f {known} -t UTF-8 "
            f"{quote(str(file))} > utf8.txt"
        ) from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}.") from error
