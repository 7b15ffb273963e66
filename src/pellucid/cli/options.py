"""Values of options that answer a slip with the nearest right one."""

import difflib
import os
from collections.abc import Sequence

import click


class OneOf(click.ParamType):
    """One name of a list; for any other, the error names the nearest."""

    name = "name"

    def __init__(self, what: str, names: Sequence[str]):
        self.what = what
        self.names = tuple(names)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join(self.names)

    def convert(self, value, param, ctx):
        if value in self.names:
            return value
        near = difflib.get_close_matches(str(value).lower(), self.names, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}?" if near else "There are: " + ", ".join(self.names) + "."
        self.fail(f"{value!r} is not {self.what} that pellucid knows. {hint}", param, ctx)


class Data(OneOf):
    """The name of a data set, or a file of one's own; for neither, the error names the nearest of both."""

    name = "data"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join((*self.names, "FILE"))

    def convert(self, value, param, ctx):
        value = os.fspath(value)
        if value in self.names or os.path.exists(value):
            return value
        folder, name = os.path.split(value)
        if folder or os.path.splitext(name)[1]:
            there = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
            near = difflib.get_close_matches(name, there, n=1, cutoff=0.6)
            hint = f" Did you mean {os.path.join(folder, near[0])!r}?" if near else ""
            self.fail(f"{value!r}: there is no such file.{hint}", param, ctx)
        return super().convert(value, param, ctx)


class Named(click.ParamType):
    """COLUMN=USE, as in zip=category."""

    name = "column=use"

    def __init__(self, uses: Sequence[str]):
        self.uses = tuple(uses)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "COLUMN=" + "|".join(self.uses)

    def convert(self, value, param, ctx) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, sign, use = value.rpartition("=")
        if not sign or not name:
            self.fail(f"{value!r} is not COLUMN=USE, as in zip=category.", param, ctx)
        return name, OneOf("a use of a column", self.uses).convert(use, param, ctx)


class Layers(click.ParamType):
    """Widths of the hidden layers, as in 128-64; `none` for a network without any; or a network's name."""

    name = "widths"

    def __init__(self, names: Sequence[str] = ()):
        self.names = tuple(names)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join(("128-64", *self.names))

    def convert(self, value, param, ctx) -> tuple[int, ...] | str:
        if isinstance(value, tuple):
            return value
        if value == "none":
            return ()
        if value in self.names:
            return value
        if self.names and not any(c.isdigit() for c in value):
            return OneOf("a network", self.names).convert(value, param, ctx)
        try:
            widths = tuple(int(part) for part in value.split("-"))
        except ValueError:
            widths = (0,)
        if min(widths) < 1:
            self.fail(
                f"{value!r} is not a list of widths. Give the number of neurons of each hidden "
                "layer, first to last, joined by '-', as in 128-64; or none.",
                param,
                ctx,
            )
        return widths
