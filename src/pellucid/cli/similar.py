"""`pellucid similar`: which texts that a run learned from are most like a sentence."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import click

from ..train.similar import Neighbour, similar

MOST_SHARED = 6  # words that are named


def find_similar(run: Path, sentence: str, column: str | None, top: int, as_json: bool) -> None:
    """Run the command; results go to standard output."""
    found = similar(run, sentence, column, top)
    if as_json:
        rows = [{**asdict(n), "similarity": round(n.similarity, 6)} for n in found]
        click.echo(json.dumps({"run": str(run), "sentence": sentence, "similar": rows}, indent=2))
    else:
        click.echo("\n".join(line for n in found for line in words(n)))


def words(n: Neighbour) -> list[str]:
    """How similar, what the target says there and where; the text; what both have."""
    width = max(shutil.get_terminal_size((100, 24)).columns, 60)
    again = f", {n.count} rows" if n.count > 1 else ""
    text = " ".join(n.text.split())
    shared = ", ".join(n.shared[:MOST_SHARED]) or "no word: alike in length and signs"
    return [
        f"{n.similarity:.3f}  {n.answer}  ({n.place}{again})",
        f"       {text if len(text) <= width - 7 else text[: width - 11] + ' ...'}",
        f"       both: {shared}",
    ]
