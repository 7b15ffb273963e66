"""makemore's transformer, in PyTorch, on the very parts of a list that `pellucid train LIST` has.

    python benchmarks/names_peer.py DATA/names/names.txt [--seeds 5] [--division ours makemore] [--steps 15000]

Karpathy's makemore gives about 1.92 nats a character for it on names.txt. Its settings: 4 layers, 4 heads, width 64,
AdamW with rate 5e-4 and weight decay 0.01, 32 lines a step, each line apart, looked at every 500 steps. Its division
is by chance: 1,000 lines to test, all others to learn, so that equal lines may lie on both sides.

  ours     as `pellucid train LIST --seed SEED`: a tenth to validate, a tenth to test, equal lines in one part
  makemore its own: 1,000 lines to test, none to validate

The figure is the mean over the characters of the lines to test, their ends included, of the weights that were best on
the lines to validate. Of makemore's division they were best on the lines to test, as there.
B lines of a batch, T places, C characters, D numbers of a place"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pellucid.data.lines import mixed_lines
from pellucid.data.sequence import cut

DIVISIONS = ("ours", "makemore")
END, IGNORED = 0, -1
EVERY = 500  # steps


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)), for x (B, T, D)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.qkv(self.norm_1(x)).split(x.shape[-1], -1)
        q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))


class Transformer(nn.Module):
    """(B, T) numbers of characters -> (B, T, C) scores of the next; initial weights are those of PyTorch."""

    def __init__(self, n_classes: int, places: int, width: int = 64, layers: int = 4):
        super().__init__()
        self.characters = nn.Embedding(n_classes, width)
        self.places = nn.Embedding(places, width)
        self.blocks = nn.Sequential(*(Block(width, heads=4) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, n_classes, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.characters(x) + self.places.weight[: x.shape[1]]
        return self.head(self.norm(self.blocks(x)))


def divided(file: Path, division: str, seed: int) -> list[list[str]]:
    """The lines to learn, to validate and to test."""
    text = file.read_text("utf-8")
    if division == "ours":
        text = mixed_lines(text, 0.1, 0.1, seed)
        lines = text.splitlines()
        # A line into which a cut falls lies in the part in which it ends.
        ends = np.cumsum([len(line) + 1 for line in lines])
        a, b = np.searchsorted(ends, cut(len(text), 0.1, 0.1), side="right")
    else:
        lines = text.splitlines()
        lines = [lines[i] for i in np.random.default_rng(seed).permutation(len(lines))]
        a = b = len(lines) - 1000
    return [lines[:a], lines[a:b], lines[b:]]


def arrays(lines: list[str], classes: list[str], places: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (N, T): the end sign and the characters; answers (N, T): the characters and the end sign."""
    number = {c: i + 1 for i, c in enumerate(classes)}
    x = torch.full((len(lines), places), END)
    y = torch.full((len(lines), places), IGNORED)
    for row, line in enumerate(lines):
        codes = [number[c] for c in line]
        x[row, 1 : len(codes) + 1] = torch.tensor(codes)
        y[row, : len(codes) + 1] = torch.tensor([*codes, END])
    return x, y


def mean_loss(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Nats a character over all lines."""
    with torch.no_grad():
        sums = [
            F.cross_entropy(network(a).flatten(0, 1), b.flatten(), ignore_index=IGNORED, reduction="sum").item()
            for a, b in zip(x.split(500), y.split(500), strict=True)
        ]  # fmt: skip
    return sum(sums) / int((y != IGNORED).sum())


def measure(file: Path, division: str, seed: int, steps: int) -> tuple[float, float, int]:
    """(nats a character on the lines to test, on those that chose the weights, the step of these)."""
    parts = divided(file, division, seed)
    classes = sorted(set("".join(map("".join, parts))))
    places = 1 + max(len(line) for part in parts for line in part)
    (x, y), validation, test = (arrays(p, classes, places) for p in parts)
    if not parts[1]:
        validation = test
    torch.manual_seed(seed)
    network = Transformer(len(classes) + 1, places)
    optimizer = torch.optim.AdamW(network.parameters(), 5e-4, (0.9, 0.99), weight_decay=0.01)
    found = math.nan, math.inf, 0
    for step in range(EVERY, steps + 1, EVERY):
        for rows in torch.randint(len(x), (EVERY, 32)):
            loss = F.cross_entropy(
                network(x[rows]).flatten(0, 1), y[rows].flatten(), ignore_index=IGNORED
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        judged = mean_loss(network, *validation)
        if judged < found[1]:
            found = mean_loss(network, *test), judged, step
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[5])
    parser.add_argument("--division", nargs="+", choices=DIVISIONS, default=list(DIVISIONS))
    parser.add_argument("--steps", type=int, default=15_000, help="of each run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| division | seed | test | validation | step of the best |")
    print("| --- | --- | --- | --- | --- |")
    for division in args.division:
        for seed in args.seeds:
            test, validation, step = measure(args.file, division, seed, args.steps)
            print(f"| {division} | {seed} | {test:.3f} | {validation:.3f} | {step:,} |", flush=True)


if __name__ == "__main__":
    main()
