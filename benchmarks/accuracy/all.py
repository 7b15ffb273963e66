"""Runs every script of this folder with several seeds; prints their lines, then a table of them in Markdown.

python benchmarks/accuracy/all.py DATA --seeds 0 1 2 [--only mnist_mlp gaussians] [--pictures docs]"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LINE = re.compile(
    r"\w+ seed \d+: (?P<figure>.*) \(bar (?P<bar>.*)\): (?P<verdict>[\w ]+), (?P<seconds>\d+) s"
)

# script -> its further arguments; JUDGE and PICTURE become files
SCRIPTS = {
    "mnist_mlp": [],
    "mnist_sigmoid": [],
    "mnist_cnn": ["--save", "JUDGE"],
    "shakespeare": [],
    "names": [],
    "adding": ["--picture", "PICTURE.svg"],
    "forecast": [],
    "mnist_dcgan": ["JUDGE", "--picture", "PICTURE.png"],
    "gaussians": [],
    "masked_words": [],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of the first seed")
    parser.add_argument("--judge", type=Path, help="weights that mnist_cnn.py saved")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    found: dict[tuple[str, int], re.Match] = {}
    with tempfile.TemporaryDirectory() as folder:
        judge = args.judge or Path(folder) / "judge.safetensors"
        for seed in args.seeds:
            pictures = args.pictures if args.pictures and seed == args.seeds[0] else Path(folder)
            for name in args.only:
                command = [sys.executable, HERE / f"{name}.py", args.data]
                for part in SCRIPTS[name]:
                    part = part.replace("PICTURE", str(pictures / name))
                    command.append(str(judge) if part == "JUDGE" else part)
                command += ["--seed", str(seed), *(["--quick"] if args.quick else [])]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                line = done.stdout.strip()
                print(line, flush=True)
                found[name, seed] = LINE.fullmatch(line)
    seeds = " | ".join(f"seed {seed}" for seed in args.seeds)
    print(
        f"\n| script | bar | {seeds} | seconds |\n| --- | --- |{' --- |' * (len(args.seeds) + 1)}"
    )
    for name in args.only:
        lines = [found[name, seed] for seed in args.seeds]
        cells = " | ".join(line["figure"] for line in lines)
        print(f"| `{name}.py` | {lines[0]['bar']} | {cells} | {lines[0]['seconds']} |")


if __name__ == "__main__":
    main()
