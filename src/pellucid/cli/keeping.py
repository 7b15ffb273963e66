"""`pellucid info`, `runs` and `pack`: the commands that look at what there is, with their options.

What a command does is in the file of its name, imported when it runs."""

import click

from .options import EXISTING, EXIT_CODES, a_run, as_json, of_reading


@click.command(epilog=EXIT_CODES)
@click.argument("what", type=EXISTING, metavar="RUN|DATA")
@of_reading
@as_json
def info(**options) -> None:
    """Print what is in a run: layers, shapes, parameter counts, settings and results; of a table's
    run also the mean and deviation of each column.

    Or what is in data, before anything is learned: of a table what each column is and why, what
    is missing, and which columns could be learned; of pictures, a text or a series likewise."""
    from .info import info
    from .progress import slowly

    with slowly(f"reading {options['what']}"):
        info(**options)


@click.command(epilog=EXIT_CODES)
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


@click.command(epilog=EXIT_CODES)
@a_run
@click.option("--out", type=EXISTING, help="File to write.  [default: RUN.pellucid]")
def pack(**options) -> None:
    """Put all of RUN that is needed to predict elsewhere into one file, RUN.pellucid.

    The file holds no code. It is used like a run: pellucid predict RUN.pellucid new.csv"""
    from .runs import pack_run

    pack_run(**options)
