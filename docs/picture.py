"""The README's pictures, taken of a real run: python docs/picture.py

Runs `pellucid train digits` as a person would and keeps what it prints as an SVG, and its curve."""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
# No web font: the picture must not need anything from elsewhere.
FRAME = """\
<svg class="{unique_id}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
<rect fill="#0c1117" width="100%" height="100%" rx="8"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""  # noqa: E501  (a template of an XML file)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "pellucid", "train", "digits", "--out", "runs/digits-1"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        shutil.copy(Path(folder) / "runs" / "digits-1" / "curve.png", HERE / "curve.png")
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(Text("$ pellucid train digits", style="bold green"))
    console.print(Text(done.stdout.rstrip()))
    svg = console.export_svg(code_format=FRAME, unique_id="run", title="")
    (HERE / "train-digits.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
