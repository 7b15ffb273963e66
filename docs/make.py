"""Write what the documents say by running it: outputs in the tour, the lists of names and commands.

    python docs/make.py            rewrite the documents, samples too
    python docs/make.py --check    say what would change; exit 1 if anything would

In a Markdown file every ```python block is run, in order, in one namespace. What it prints must
stand in a ```text block right below it. A ```text sample block holds what one machine printed; it
is not compared."""

import contextlib
import difflib
import inspect
import io
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?P<shown>\n```text(?P<kind>[ \w]*)\n(?P<text>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
WALKS = ("tour.md", "models.md", "sklearn.md", "../README.md")


def walk(document: str, name: str, with_samples: bool) -> str:
    """The document with its outputs replaced by what its code prints now."""
    namespace: dict = {"__name__": "__main__"}

    def run(match: re.Match) -> str:
        line = document.count("\n", 0, match.start("code")) + 1
        code = compile("\n" * (line - 1) + match["code"], name, "exec")  # errors name the line
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        kind = match["kind"] or ""
        is_kept = kind.strip() == "sample" and not with_samples
        if is_kept or not (match["shown"] or printed.getvalue()):
            return match[0]
        text = tidy(printed.getvalue())
        return f"```python\n{match['code']}```\n\n```text{kind}\n{text}```\n"

    return BLOCK.sub(run, document)


def tidy(text: str) -> str:
    """Lines without trailing blanks, one newline at the end."""
    return "".join(line.rstrip() + "\n" for line in text.rstrip().split("\n"))


def public_names(module: ModuleType) -> dict[str, object]:
    """Name -> object of everything that the module offers, in alphabetical order."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return {name: getattr(module, name) for name in sorted(names, key=lambda n: (n.lower(), n))}


def summary(value: object) -> str:
    """What a name is, in its own words: the first sentence or line of its docstring."""
    if isinstance(value, ModuleType) or callable(value):
        first = (inspect.getdoc(value) or "").split("\n\n")[0]
        return " ".join(first.split())
    shown = ", ".join(map(str, value)) if isinstance(value, (dict, tuple)) else repr(value)
    return f"{type(value).__name__}: {shown}"


def cell(text: str) -> str:
    """Text for one cell of a table: one line, with no bar of its own."""
    return " ".join(text.split()).replace("|", "\\|")


def help_text(text: str) -> str:
    """A help text as Markdown: what click must not wrap is a block of code."""
    parts = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        textwrap.indent(part.removeprefix("\b\n"), "    ") if part.startswith("\b\n") else part
        for part in parts
    )


def reference() -> str:
    """The document that lists every command and every public name."""
    import click

    import pellucid
    from pellucid.cli.main import cli

    lines = [
        "# Commands and names",
        "",
        "Written by `docs/make.py` from the help texts and docstrings.",
        "",
        "## Commands",
        "",
    ]
    context = click.Context(cli, info_name="pellucid")
    for name, command in cli.commands.items():
        arguments = [p for p in command.params if isinstance(p, click.Argument)]
        usage = " ".join(["pellucid", name, *(a.make_metavar(context) for a in arguments)])
        lines += [f"### `{usage}`", ""]
        lines += [help_text(command.help or ""), "", "| option | |", "| --- | --- |"]
        for option in command.params:
            if isinstance(option, click.Option):
                flags, told = option.get_help_record(context) or ("", "")
                lines.append(f"| `{cell(flags)}` | {cell(told)} |")
        lines.append("")
    exit_codes = (cli.epilog or "").replace("\b\n", "").splitlines()
    lines += ["### Exit codes", "", *(f"    {line.strip()}" for line in exit_codes[1:]), ""]

    modules = {"pellucid": pellucid}
    for name, value in public_names(pellucid).items():
        if isinstance(value, ModuleType) and public_names(value):
            modules[f"pellucid.{name}"] = value
    for path, module in modules.items():
        lines += [f"## `{path}`", "", "| name | |", "| --- | --- |"]
        for name, value in public_names(module).items():
            lines.append(f"| `{name}` | {cell(summary(value))} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def names_in(text: str) -> str:
    """The headings and the first column of the tables: a missing name is a mistake, an explanation
    that was reworded since is not."""
    return "".join(f"{line}\n" for line in re.findall(r"^(#.*|\| `.*?` \|)", text, re.MULTILINE))


def documents(with_samples: bool) -> dict[Path, str]:
    """Every document that is written here, as it must be now."""
    made = {HERE / "reference.md": reference()}
    for name in WALKS:
        text = (HERE / name).read_text(encoding="utf-8")
        made[HERE / name] = walk(text, name, with_samples)
    return made


def main() -> int:
    is_check = "--check" in sys.argv
    changed = 0
    for path, text in documents(with_samples=not is_check).items():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if is_check and path.name == "reference.md":
            text, old = names_in(text), names_in(old)
        if text == old:
            continue
        changed += 1
        if is_check:
            names = (f"{path.name}, stored", f"{path.name}, now")
            print("\n".join(difflib.unified_diff(old.splitlines(), text.splitlines(), *names)))
        else:
            path.write_text(text, encoding="utf-8")
            print(f"{path.name} rewritten")
    return 1 if is_check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
