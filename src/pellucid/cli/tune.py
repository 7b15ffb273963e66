"""`pellucid tune DATA --for 5m`: searches for better settings, ends with the command that trains with the best."""

import json
import math
import shlex
from collections.abc import Mapping
from typing import Any

import click

from ..train.tune import Try, tune
from .train import given_settings


def search(
    data: str,
    seconds: float | None,
    tries: int | None,
    as_json: bool,
    quiet: bool,
    **given,
) -> None:
    """Run the command; results go to standard output, each try to standard error."""
    given = {k: v for k, v in given_settings(given).items() if v is not None}
    found: list[Try] = []
    try:
        for t in tune(data, given, seconds, tries, given.get("seed", 0)):
            found.append(t)
            if not quiet:
                best = min(found, key=lambda t: t.loss)
                click.echo(line(t) + ("  best so far" if best is t and t.number else ""), err=True)
    except KeyboardInterrupt:
        if not found:
            raise
        click.echo("Stopped; what was found so far:", err=True)
    assert found
    best = min(found, key=lambda t: t.loss)
    again = command(data, {**given, **best.settings})
    if as_json:
        document = {"command": again, "best": told(best), "tries": [told(t) for t in found]}
        click.echo(json.dumps(document, indent=2))
        return
    first = found[0]
    gain = (
        "no better than the settings that were chosen without a search"
        if best is first
        else f"{first.loss:.4g} with the settings that were chosen without a search"
    )
    tried = f"{len(found)} tr{'y' if len(found) == 1 else 'ies'}"
    click.echo(f"Best validation loss of {tried}: {best.loss:.4g} ({gain}).\n{again}")


def told(t: Try) -> dict:
    """One try for --json, which has no infinity."""
    return {**vars(t), "loss": t.loss if math.isfinite(t.loss) else None}


def line(t: Try) -> str:
    """One try in a line."""
    settings = " ".join(f"{k}={shown(v)}" for k, v in t.settings.items()) or "as chosen"
    return f"{t.number:>3}  loss {t.loss:<8.4g} {t.epochs:>4} epochs {t.seconds:6.1f} s  {t.state:<7}  {settings}"


def shown(value: Any) -> str:
    """A setting as the command line takes it."""
    if isinstance(value, tuple):
        return "-".join(map(str, value)) or "none"
    return str(value)


def option(name: str, value: Any) -> list[str]:
    """The words that give this setting on the command line; what may be repeated is."""
    if name == "columns":
        return [word for column, use in value.items() for word in ("--column", f"{column}={use}")]
    if isinstance(value, list):
        return [word for v in value for word in (f"--{name}", str(v))]
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name.replace('_', '-')}", shown(value)]


def command(data: str, settings: Mapping[str, Any]) -> str:
    """The command that trains with these settings."""
    options = [word for name, value in settings.items() for word in option(name, value)]
    return shlex.join(["pellucid", "train", data, *options])
