"""`pellucid`: the commands and their options. What a command does is in the file of its name.

Results go to standard output, progress and errors to standard error. Only click is imported before
a command runs, so that `pellucid --help` answers at once."""

import sys
from collections.abc import Sequence

import click

from .. import __version__
from ..base.errors import OptionError, PellucidError
from . import stopping
from .options import (
    ACTIVATIONS,
    EXISTING,
    NETWORKS,
    SCHEDULES,
    Duration,
    Layers,
    OneOf,
    Rate,
    Size,
    a_data_set,
    a_run,
    as_json,
    of_a_table,
    of_pictures,
    of_reading,
    of_writing,
    optimizer,
    seed,
    task,
    threads,
)

EXIT_CODES = """\b
Exit codes:
  0    done
  1    it could not be done; the message says why and what to do
  2    the command line was not understood
  130  stopped by Ctrl-C; what was learned is saved
  143  the same after SIGTERM, with which systems end a process"""


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


@cli.command(epilog=EXIT_CODES)
@a_data_set
@of_a_table
@of_pictures
@click.option("--out", type=EXISTING, help="Run folder to write.  [default: runs/DATA-1, -2, ...]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option(
    "--settings", type=EXISTING, help="TOML file of these options; others come before it."
)
@task
@click.option(
    "--net",
    type=Layers(NETWORKS),
    help="Neurons of each hidden layer ('none' for no hidden layer), or a kind of network.",
)
@click.option(
    "--activation", type=OneOf("an activation", ACTIVATIONS), help="Of the hidden layers."
)
@click.option(
    "--width", type=click.IntRange(1), help="Filters of a cnn, numbers a layer of others."
)
@click.option("--layers", type=click.IntRange(1), help="Layers of a gpt, lstm, gru, rnn or member.")
@click.option("--members", type=click.IntRange(1), help="Networks of a committee.")
@click.option("--window", type=click.IntRange(1), help="Characters or values seen at once.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), help="Part that is dropped.")
@optimizer
@click.option(
    "--lr", type=Rate(), help="Learning rate; find: by a test on the rows to learn, into lr.png."
)
@click.option(
    "--l2", type=click.FloatRange(0), help="Weight decay: how strongly weights are drawn to 0."
)
@click.option("--schedule", type=OneOf("a schedule", SCHEDULES), help="How the learning rate goes.")
@click.option("--epochs", type=click.IntRange(1), help="At most so many passes over the data.")
@click.option("--steps", type=click.IntRange(1), help="At most so many steps, in place of epochs.")
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    help="End training after this time; what it has is kept, and --resume goes on.",
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    help="Epochs without a better validation loss that end the run; 0: never.",
)
@click.option("--batch", type=click.IntRange(1), help="Rows in one step.")
@click.option("--validation", type=click.FloatRange(0, 1, max_open=True), help="Part to validate.")
@click.option("--test", type=click.FloatRange(0, 1, max_open=True), help="Part held out to test.")
@seed()
@threads
@as_json
@click.option("--quiet", is_flag=True, help="No decisions and no progress on standard error.")
@click.option(
    "--baselines/--no-baselines",
    default=None,
    help="Whether to compare with methods of scikit-learn, which takes time.  [default: yes]",
)
@click.option("--why", is_flag=True, help="Tell what was decided about each column, and why.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Tell what would be done, and how long and how much memory it would take; then stop.",
)
def train(**options) -> None:
    """Train a network on DATA and save it in a run folder.

    \b
    digits  1,797 handwritten digits: tell them apart, or --task generate: make new ones
    text    "Alice's Adventures in Wonderland": write on, character by character
    series  temperature of the sea off Peru, month by month: forecast the next
    animals 98 animals, a small table: which ones are elephants

    \b
    or a file of your own:
    FILE.csv --target COLUMN                   tell classes apart, or estimate amounts
    FILE.csv --target COLUMN --task forecast   values that follow each other in time
    FILE.txt                                   write on, character by character
    FOLDER                                     pictures, a folder for each class; or idx files
    FOLDER --task generate                     make new pictures like these
    FOLDER --task enhance                      double pictures in size, or free them of noise
    FILE.csv --target COLUMN                   pictures, where a column has the paths of their files

    Every choice that is left open is made for you, and printed. Training stops when the loss on
    the validation rows no longer falls, and keeps the best weights. A run folder holds
    model.safetensors and model.json (the network), metrics.json, curve.png, report.html (all of
    it, to open in a browser) and tensorboard/; of made pictures also samples/, a sheet for each
    epoch, and of forecasts forecast.png."""
    from .train import train

    train(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@click.argument("files", type=EXISTING, nargs=-1, metavar="FILE...")
@click.option(
    "--top", type=click.IntRange(1), default=3, show_default=True, help="Classes to print."
)
@click.option(
    "--steps", type=click.IntRange(1), default=1, show_default=True, help="Values to forecast."
)
@click.option("--out", type=EXISTING, help="CSV to write the answers for a table to.")
@click.option("--keep", multiple=True, help="Column to copy to the answers. May be repeated.")
@click.option(
    "--memory",
    type=Size(),
    help="What a table may take; a larger one is answered piece by piece.  [default: half of what is free]",
)
@as_json
def predict(**options) -> None:
    """Print what the network in RUN sees in image.png, in each row of data.csv, or after the
    values of series.csv.

    A picture shows one digit, dark on light or light on dark, of any size. A CSV file has one
    picture per row: 64 numbers, 0 (no ink) to 16; a 65th column is taken for the true class.

    For a forecast a CSV file has one value a line, in its last column; without a file the series
    that the network has learned goes on. For a text, which characters may come next after a file.

    For a table a file has the columns that were learned from, in any order; the answers are a CSV
    with a line for each row: the target, and the probability of each class."""
    from .predict import predict

    predict(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@click.option("--prompt", help="Text to go on from.  [default: a new line]")
@click.option("--length", type=click.IntRange(1), help="Characters to write.  [default: 400]")
@of_writing
@click.option(
    "--probabilities", is_flag=True, help="Print what may come next, with chances, and stop."
)
@seed(default=0)
@as_json
def sample(**options) -> None:
    """Let the network in RUN write text.

    \b
    pellucid sample RUN --prompt "Alice said" --temperature 0.5
    pellucid sample RUN --prompt "Alice sai" --probabilities"""
    from .sample import sample

    sample(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@click.argument("file", type=EXISTING, metavar="FILE")
@click.option(
    "--out",
    type=EXISTING,
    help="Picture to write: .png, .jpg, .bmp or .webp.  [default: FILE-better.png]",
)
@as_json
def enhance(**options) -> None:
    """Mend the picture in FILE: by what RUN has learned, in twice its size, or free of noise.

    \b
    pellucid train photos/ --task enhance
    pellucid enhance RUN picture.png --out better.png"""
    from .enhance import enhance

    enhance(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@click.option(
    "--n", type=click.IntRange(1, 4096), default=16, show_default=True, help="Pictures to make."
)
@click.option(
    "--out", type=EXISTING, help="HTML or PNG to write.  [default: RUN/samples/seed-SEED.html]"
)
@seed(default=0)
@as_json
def generate(**options) -> None:
    """Let the network in RUN make new pictures.

    \b
    pellucid generate RUN --n 16 --out gallery.html
    pellucid generate RUN --n 16 --out gallery.png

    Each stands beside the nearest picture that was learned from, so that one sees what is new and
    what is a copy."""
    from .generate import generate

    generate(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@of_writing
@click.option("--length", type=click.IntRange(1), help="Characters of each answer.  [default: 200]")
@seed(0)
def chat(**options) -> None:
    """Type, and the network in RUN, which has learned a text, goes on.

    It answers each line, and remembers as much of what was said as it can look back at. At the
    prompt /help lists what can be changed, as in /temperature 0.5, and /probabilities shows what
    may come next. Ctrl-D or /quit ends it. Standard input may be a file or a pipe."""
    from .chat import chat

    chat(**options)


@cli.command(epilog=EXIT_CODES)
@click.argument("what", type=EXISTING, metavar="RUN|DATA")
@of_reading
@as_json
def info(**options) -> None:
    """Print what is in a run: layers, shapes, parameter counts, settings and results; of a table's
    run also the mean and deviation of each column.

    Or what is in data, before anything is learned: of a table what each column is and why, what
    is missing, and which columns could be learned; of pictures, a text or a series likewise."""
    from .info import info

    info(**options)


@cli.command(epilog=EXIT_CODES)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--in", "folder", type=EXISTING, default="runs", show_default=True, help="Where the runs are."
)
@click.option("--compare", is_flag=True, help="Only what differs between them, side by side.")
@click.option("--delete", is_flag=True, help="Delete the named runs, after a question.")
@click.option("--yes", is_flag=True, help="Delete without a question.")
@click.option("--html", type=EXISTING, help="Page to write: how the best score moved, run by run.")
@as_json
def runs(**options) -> None:
    """List runs with their scores, the best of each data marked, and how the best score moved;
    compare or delete some.

    \b
    pellucid runs
    pellucid runs digits-1 digits-2 --compare
    pellucid runs digits-1 --delete"""
    from .runs import runs

    runs(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@click.option("--out", type=EXISTING, help="File to write.  [default: RUN.pellucid]")
def pack(**options) -> None:
    """Put all of RUN that is needed to predict elsewhere into one file, RUN.pellucid.

    The file holds no code. It is used like a run: pellucid predict RUN.pellucid new.csv"""
    from .runs import pack_run

    pack_run(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0: any free one.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    help="A further name under which clients ask. May be repeated.",
)
@click.option(
    "--token",
    envvar="PELLUCID_TOKEN",
    help="Secret that clients give.  [default: a new one, printed]",
)
def serve(**options) -> None:
    """Answer over HTTP what predict answers: JSON in, JSON out.

    \b
    curl http://127.0.0.1:8000/predict -H "Authorization: Bearer TOKEN" \\
         -H "Content-Type: application/json" -d '{"rows": [{"age": 30, "sex": "female"}]}'

    The address that is printed shows a page with an example for this network."""
    from .serve import serve

    serve(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@click.argument("file", type=EXISTING, metavar="FILE")
@click.option(
    "--row", type=click.IntRange(1), help="One row of the file.  [default: all, in the mean]"
)
@click.option("--class", "of", help="The class to explain.  [default: the likeliest of each row]")
@click.option(
    "--top", type=click.IntRange(1), default=10, show_default=True, help="Lines to print."
)
@click.option("--attention", is_flag=True, help="Of a GPT, a PNG of who looks at whom.")
@click.option(
    "--out", type=EXISTING, help="PNG to write.  [default: FILE-explained.png, FILE-attention.png]"
)
@as_json
def explain(**options) -> None:
    """Print which columns of FILE, words of its texts, or pixels of a picture the network's answers
    rest on; of a text or series what the next character or value rests on.

    \b
    pellucid explain RUN new.csv               the mean over its rows
    pellucid explain RUN new.csv --row 3       one answer, what spoke for and against it
    pellucid explain RUN image.png
    pellucid explain RUN text.txt --attention

    By integrated gradients: the parts sum to the difference between this answer and that for the
    average row, an empty picture, the mean of all characters, or a past that never changed."""
    from .explain import explain

    explain(**options)


@cli.command(epilog=EXIT_CODES)
@a_data_set
@of_a_table
@of_pictures
@click.option("--for", "seconds", type=Duration(), help="How long to search.")
@click.option("--tries", type=click.IntRange(1), help="How many settings to try at most.")
@task
@click.option("--net", type=Layers(NETWORKS), help="Only this network.  [default: searched for]")
@optimizer
@click.option(
    "--epochs", type=click.IntRange(1), help="At most so many passes over the data in a try."
)
@seed()
@threads
@as_json
@click.option("--quiet", is_flag=True, help="No progress on standard error.")
def tune(**options) -> None:
    """Search for better settings; ends with the command that trains with the best.

    Tries are judged by the validation rows; the test rows stay unseen. Needs Optuna:
    pip install 'pellucid[tune]'"""
    from .tune import search

    search(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@click.argument("sentence", metavar="SENTENCE")
@click.option("--column", help="Of texts, where RUN has learned from several.")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Texts to print.")
@as_json
def similar(**options) -> None:
    """Print the texts that RUN has learned from and that are most like SENTENCE.

    \b
    pellucid similar RUN "You have won a prize"

    With each its place in the file, which must still be there, what the target says of it, and the
    words that both have."""
    from .similar import find_similar

    find_similar(**options)


@cli.command(epilog=EXIT_CODES)
@a_data_set
@of_a_table
@of_pictures
@task
@click.option(
    "--net",
    type=Layers(NETWORKS),
    help="Neurons of each hidden layer, or a kind of network.  [default: chosen]",
)
@click.option(
    "--epochs", type=click.IntRange(1), help="At most so many passes over all rows; more over few."
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How often each size is learned, from other rows and first weights.",
)
@click.option("--out", type=EXISTING, help="PNG to write.  [default: DATA-curve.png]")
@seed()
@threads
@as_json
@click.option("--quiet", is_flag=True, help="No progress on standard error.")
def curve(**options) -> None:
    """Would more data help? Learn DATA from a tenth of its rows, a fifth and so on up to all, and
    print the score on the same test rows for each size.

    Ends with a sentence: what doubling the rows has brought, against how much chance brings."""
    from .growth import curve

    curve(**options)


@cli.command(epilog=EXIT_CODES)
@a_run
@click.argument("file", type=EXISTING, metavar="FILE")
@as_json
def evaluate(**options) -> None:
    """Measure the network in RUN on FILE, whose answers are known.

    A table has the column that was learned; a line of pixels ends with its class; of a series or a
    text each value or character is compared with what was expected before it came."""
    from .evaluate import evaluate

    evaluate(**options)


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
        if stop := interrupt_in(error):
            return stopped(stop)
        raise
