"""The commands that use a run, with their options: its answers, what they rest on, and what it writes or draws.

What a command does is in the file of its name, imported when it runs."""

import click

from .options import EXISTING, EXIT_CODES, Whole, a_run, as_json, in_memory, of_writing, seed


@click.command(epilog=EXIT_CODES)
@a_run
@click.argument("files", type=EXISTING, nargs=-1, metavar="FILE...")
@click.option("--top", type=Whole(1), default=3, show_default=True, help="Classes to print.")
@click.option("--steps", type=Whole(1), default=1, show_default=True, help="Values to forecast.")
@click.option("--out", type=EXISTING, help="CSV to write the answers for a table to.")
@click.option("--keep", multiple=True, help="Column to copy to the answers. May be repeated.")
@in_memory
@as_json
def predict(**options) -> None:
    """Answer FILE with the network in RUN.

    \b
    pellucid predict RUN new.csv --out answers.csv   each row of a table
    pellucid predict RUN picture.png                 a picture, or a folder of them
    pellucid predict RUN values.csv --steps 12       what comes after a series; without FILE
                                                     after the one that was learned from
    pellucid predict RUN text.txt                    what may come after a text

    The columns of a table are found by name, in any order; the answers are a CSV with a line for
    each row: the target, and the probability of each class.

    To a network that has learned the digits of pellucid a picture shows one digit, dark on light
    or light on dark, of any size; a CSV file has one in each row: 64 numbers, 0 (no ink) to 16,
    and, where it is known, the digit."""
    from .predict import predict
    from .progress import slowly

    with slowly(f"answering {', '.join(map(str, options['files'])) or options['run']}"):
        predict(**options)


@click.command(epilog=EXIT_CODES)
@a_run
@click.argument("file", type=EXISTING, metavar="FILE")
@in_memory
@as_json
def evaluate(**options) -> None:
    """Measure the network in RUN on FILE, whose answers are known.

    A table has the column that was learned, a folder of pictures a folder for each class; a line of
    pixels ends with its class; of a series or a text each value or character is compared with what
    was expected before it came."""
    from .evaluate import evaluate
    from .progress import slowly

    with slowly(f"answering {options['file']}"):
        evaluate(**options)


@click.command(epilog=EXIT_CODES)
@a_run
@click.argument("file", type=EXISTING, metavar="FILE")
@click.option("--row", type=Whole(1), help="One row of the file.  [default: all, in the mean]")
@click.option("--class", "of", help="The class to explain.  [default: the likeliest of each row]")
@click.option("--top", type=Whole(1), default=10, show_default=True, help="Lines to print.")
@click.option("--attention", is_flag=True, help="Of a GPT, a PNG of who looks at whom.")
@click.option(
    "--out", type=EXISTING, help="PNG to write.  [default: FILE-explained.png, FILE-attention.png]"
)
@in_memory
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
    from .progress import slowly

    with slowly(f"explaining {options['file']}"):
        explain(**options)


@click.command(epilog=EXIT_CODES)
@a_run
@click.argument("sentence", metavar="SENTENCE")
@click.option("--column", help="Of texts, where RUN has learned from several.")
@click.option("--top", type=Whole(1), default=5, show_default=True, help="Texts to print.")
@as_json
def similar(**options) -> None:
    """Print the texts that RUN has learned from and that are most like SENTENCE.

    \b
    pellucid similar RUN "You have won a prize"

    With each its place in the file, which must still be there, what the target says of it, and the
    words that both have."""
    from .similar import find_similar

    find_similar(**options)


@click.command(epilog=EXIT_CODES)
@a_run
@click.option("--prompt", help="Text to go on from.  [default: a new line]")
@click.option("--length", type=Whole(1), help="Characters to write.  [default: 400]")
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
    from .progress import slowly
    from .sample import sample

    with slowly(f"writing with {options['run']}"):
        sample(**options)


@click.command(epilog=EXIT_CODES)
@a_run
@of_writing
@click.option("--length", type=Whole(1), help="Characters of each answer.  [default: 200]")
@seed(0)
def chat(**options) -> None:
    """Type, and the network in RUN, which has learned a text, goes on.

    It answers each line, and remembers as much of what was said as it can look back at. At the
    prompt /help lists what can be changed, as in /temperature 0.5, and /probabilities shows what
    may come next. Ctrl-D or /quit ends it. Standard input may be a file or a pipe."""
    from .chat import chat

    chat(**options)


@click.command(epilog=EXIT_CODES)
@a_run
@click.option("--n", type=Whole(1, 4096), default=16, show_default=True, help="Pictures to make.")
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
    from .progress import slowly

    with slowly(f"drawing with {options['run']}"):
        generate(**options)


@click.command(epilog=EXIT_CODES)
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


@click.command(epilog=EXIT_CODES)
@a_run
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=Whole(0, 65535),
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
