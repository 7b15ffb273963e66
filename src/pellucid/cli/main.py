"""`pellucid`: its commands, and what is said of their errors.

Results go to standard output, progress and errors to standard error. Only click is imported before
a command runs, so that `pellucid --help` answers at once."""

import sys
from collections.abc import Sequence

import click

from .. import __version__
from ..base.errors import OptionError, PellucidError
from . import stopping
from .keeping import info, pack, runs
from .learning import curve, train, tune
from .options import EXIT_CODES
from .using import chat, enhance, evaluate, explain, generate, predict, sample, serve, similar


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="pellucid", message="%(prog)s %(version)s")
def cli() -> None:
    """Neural networks that you can see through.

    \b
    pellucid train digits                     learn real handwritten digits
    pellucid train digits --net cnn           the same with convolutions
    pellucid train digits --task generate     learn to make new ones
    pellucid train text                       learn to write from a book
    pellucid train series                     learn to forecast temperatures
    pellucid train FILE.csv --target COLUMN   learn a column of your own table
    pellucid predict RUN image.png            what does the network see?
    pellucid predict RUN new.csv --out answers.csv
    pellucid sample RUN --prompt "Alice "     what does it write?
    pellucid generate RUN --n 16              what does it draw?
    pellucid chat RUN                         type, and it goes on
    pellucid info RUN                         what is in it?
    pellucid info FILE                        what is in your data, before you train?
    """


for command in (
    *(train, tune, curve),
    *(predict, evaluate, explain, similar, sample, chat, generate, enhance, serve),
    *(info, runs, pack),
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code (see EXIT_CODES)."""
    stopping.listen()
    sys.exit(run(arguments))


def interrupt_in(error: BaseException | None) -> BaseException | None:
    """The Ctrl-C that this error was made of, by click, by Python or by a library that wraps what it meets."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def stopped(stop: BaseException) -> int:
    """Says so; the exit code."""
    click.echo(f"pellucid: {str(stop) or 'stopped.'}", err=True)
    return stopping.exit_code()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. A user's mistake prints its message, no traceback."""
    try:
        return cli.main(arguments, prog_name="pellucid", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        return stopped(interrupt_in(error) or error)
    except PellucidError as error:
        click.echo(f"pellucid: {error}", err=True)
        return 2 if isinstance(error, OptionError) else 1
    except BrokenPipeError:
        # The reader of our output has gone (`pellucid info RUN | head -1`); nobody is left to tell.
        sys.stdout = None
        return 1
    except OSError as error:
        # A disk that is full, or gone, where no file of ours is written: a temporary one, or what we print into.
        where = f"{error.filename}: " if error.filename else ""
        told = f"{where}{error.strerror or error}. Repair that and try again."
        click.echo(f"pellucid: {told}", err=True)
        return 1
    except Exception as error:
        stop = interrupt_in(error)
        if stop or stopping.has_come():  # a library in C, being imported, makes another error of it
            return stopped(stop or KeyboardInterrupt())
        raise
