"""`pellucid chat`: a person types, the network goes on; what is typed and written stays its context."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ..base.errors import DataError, OptionError
from ..data.sequence import encode
from ..models.generate import Reader, stream
from ..train.saved import SavedModel, load_model
from .options import WRITING
from .sample import TEMPERATURE, TOP, table_of_chances

LENGTH = 200
PLAIN = ("probabilities", "settings", "new", "help", "quit")
HELP = """Type, and the network goes on; an empty line: it goes on by itself. Lines that begin with / are for pellucid:
  /temperature 0.5   below 1 more likely, above 1 more daring; 0 always the likeliest
  /top-k 5           draw from the 5 likeliest only; off: from all
  /top-p 0.9         draw from the fewest that together have this chance; off: from all
  /length 100        characters that it writes
  /probabilities     what may come next, with chances
  /settings          what is set now
  /new               forget what was said
  /help              this text
  /quit              the end; so is Ctrl-D
Two strokes begin a text that begins with one: //"""


class Conversation:
    """What was said so far, and how the network chooses.

    Each reply follows from the seed and its number; the first equals what `pellucid sample` writes."""

    def __init__(self, model: SavedModel, seed: int, settings: dict[str, Any]):
        self.model, self.seed, self.settings = model, seed, settings
        self.reader = Reader(model.network)
        self.text, self.n_replies = "", 0

    def hear(self, typed: str) -> None:
        """Takes what a person typed, on a line of its own; nothing of it where DataError names unknown characters."""
        known = self.model.classes
        text = ("\n" if self.text and "\n" in known else "") + typed
        encode(typed, known, "what you typed")
        self.text += text

    def context(self) -> Sequence[int]:
        """The last characters, as many as the network has learned to look back at."""
        if not self.text:
            raise DataError("there is nothing to go on from yet: type something.")
        return encode(self.text[-self.model.shape[0] :], self.model.classes, "the text").tolist()

    def reply(self) -> Iterator[str]:
        """The characters that the network writes, one by one."""
        chosen = dict(self.settings)
        length = chosen.pop("length")
        seed = self.seed + self.n_replies
        self.n_replies += 1
        for step in stream(
            self.reader, self.context(), length, **chosen, seed=seed, n_candidates=0
        ):
            character = self.model.classes[step.token]
            self.text += character
            yield character

    def candidates(self) -> list[str]:
        """The likeliest next characters, a line each."""
        chosen = {n: v for n, v in self.settings.items() if n != "length"}
        (step,) = stream(self.reader, self.context(), 1, **chosen, n_candidates=TOP)
        return table_of_chances(self.model, step)


def chat(run: Path, seed: int, length: int | None, **chosen: Any) -> None:
    """Run the command until the input ends: replies go to standard output, all else to standard error."""
    model = load_model(run)
    if model.task != "continue":
        raise OptionError(
            f"{run}: this network was trained to {model.task}; only one that learned a text can chat."
        )
    if chosen["temperature"] is None:
        chosen["temperature"] = TEMPERATURE
    talk = Conversation(model, seed, {**chosen, "length": length or LENGTH})
    is_person = sys.stdin.isatty()
    if is_person:
        with contextlib.suppress(ImportError):  # arrows and earlier lines, where the system has it
            import readline  # noqa: F401
        click.echo("Type, and the network goes on. /help says what else; Ctrl-D ends it.", err=True)
    while True:
        try:
            line = input("> " if is_person else "")
        except EOFError:
            break
        except UnicodeDecodeError as error:
            raise DataError(
                f"standard input: not UTF-8 text (byte {error.start}). Type or pipe UTF-8."
            ) from None
        try:
            if line.startswith("/") and not line.startswith("//"):
                if not obey(talk, line[1:]):
                    break
                continue
            if line:
                talk.hear(line.removeprefix("/") if line.startswith("//") else line)
            for character in talk.reply():
                click.echo(character, nl=False)
                sys.stdout.flush()
            click.echo()
        except (DataError, OptionError) as error:
            click.echo(f"pellucid: {error}", err=True)
    if is_person:
        click.echo()


def obey(talk: Conversation, order: str) -> bool:
    """Do what a line that began with / says; False ends the conversation. Raises OptionError for what is unknown."""
    name, _, value = order.strip().partition(" ")
    name, value = name.replace("_", "-"), value.strip()
    if name == "quit" and not value:
        return False
    if name in WRITING:
        talk.settings[name.replace("-", "_")] = setting(name, value)
    elif value and name in PLAIN:
        raise OptionError(f"/{name} takes nothing after it; got {value!r}.")
    elif name == "probabilities":
        click.echo("\n".join(talk.candidates()))
    elif name == "settings":
        for key, now in talk.settings.items():
            click.echo(f"{key.replace('_', '-'):12} {'off' if now is None else now}", err=True)
    elif name == "new":
        talk.text = ""
    elif name == "help":
        click.echo(HELP, err=True)
    else:
        raise OptionError(f"/{name} is unknown. /help lists what there is.")
    return True


def setting(name: str, value: str) -> Any:
    """A value as the command line's option of that name takes it."""
    if value == "off" and name in ("top-k", "top-p"):
        return None
    try:
        return WRITING[name].convert(value, None, None)
    except click.BadParameter as error:
        raise OptionError(f"/{name}: {error.message}") from None
