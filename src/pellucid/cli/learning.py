"""`pellucid train`, `tune` and `curve`: the commands that learn, with their options.

What a command does is in the file of its name, imported when it runs."""

import click

from .options import (
    ACTIVATIONS,
    EXISTING,
    EXIT_CODES,
    SCHEDULES,
    Amount,
    Duration,
    OneOf,
    Rate,
    Whole,
    a_data_set,
    as_json,
    epochs,
    net,
    of_a_table,
    of_pictures,
    optimizer,
    seed,
    task,
    threads,
)


@click.command(epilog=EXIT_CODES)
@a_data_set
@of_a_table
@of_pictures
@click.option("--out", type=EXISTING, help="Run folder to write.  [default: runs/DATA-1, -2, ...]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option(
    "--settings", type=EXISTING, help="TOML file of these options; others come before it."
)
@task
@net("Neurons of each hidden layer ('none' for no hidden layer), or a kind of network.")
@click.option(
    "--activation", type=OneOf("an activation", ACTIVATIONS), help="Of the hidden layers."
)
@click.option("--width", type=Whole(1), help="Filters of a cnn, numbers a layer of others.")
@click.option("--layers", type=Whole(1), help="Layers of a gpt, lstm, gru, rnn or member.")
@click.option("--members", type=Whole(1), help="Networks of a committee.")
@click.option("--window", type=Whole(1), help="Characters or values seen at once.")
@click.option("--dropout", type=Amount(0, 1, below=True), help="Part that is dropped.")
@optimizer
@click.option(
    "--lr", type=Rate(), help="Learning rate; find: by a test on the rows to learn, into lr.png."
)
@click.option("--l2", type=Amount(), help="Weight decay: how strongly weights are drawn to 0.")
@click.option("--schedule", type=OneOf("a schedule", SCHEDULES), help="How the learning rate goes.")
@epochs("At most so many passes over the data.")
@click.option("--steps", type=Whole(1), help="At most so many steps, in place of epochs.")
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    help="End training after this time; what it has is kept, and --resume goes on.",
)
@click.option(
    "--patience",
    type=Whole(0),
    help="Epochs without a better validation loss that end the run; 0: never.",
)
@click.option("--batch", type=Whole(1), help="Rows in one step.")
@click.option("--validation", type=Amount(0, 1, below=True), help="Part to validate.")
@click.option("--test", type=Amount(0, 1, below=True), help="Part held out to test.")
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


@click.command(epilog=EXIT_CODES)
@a_data_set
@of_a_table
@of_pictures
@click.option("--for", "seconds", type=Duration(), help="How long to search.")
@click.option("--tries", type=Whole(1), help="How many settings to try at most.")
@task
@net("Only this network.  [default: searched for]")
@optimizer
@epochs("At most so many passes over the data in a try.")
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


@click.command(epilog=EXIT_CODES)
@a_data_set
@of_a_table
@of_pictures
@task
@net("Neurons of each hidden layer, or a kind of network.  [default: chosen]")
@epochs("At most so many passes over all rows; more over few.")
@click.option(
    "--repeats",
    type=Whole(1),
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
