"""`pellucid generate`: new pictures, each beside the nearest picture that was learned from."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..base.errors import OptionError, PellucidError
from ..formats.atomic import write_atomic
from ..models.samples import fixed_noise
from ..train.folder import SAMPLES
from ..train.gallery import copies, gallery, name_of
from ..train.recipe import recipe
from ..train.samples import COLUMNS, Nearest, Sampler, nearest, sheet
from ..train.saved import SavedModel, load_model


def generate(run: Path, n: int, out: Path | None, seed: int, as_json: bool) -> None:
    """Run the command; results go to standard output."""
    model = load_model(run)
    if model.task != "generate":
        ask = "sample" if model.task == "continue" else "predict"
        raise OptionError(
            f"{run}: this network was trained to {model.task}; it makes no pictures. "
            f"Use: pellucid {ask} {run}"
        )
    packed = Path(f"{run.stem}-seed-{seed}.html")  # a packed run has no folder of its own
    path = out or (packed if run.is_file() else run / SAMPLES / f"seed-{seed}.html")
    if path.suffix.lower() not in (".html", ".png"):
        raise OptionError(f"--out {path}: a gallery is written as .html or .png.")
    pictures = Sampler(model.network)(fixed_noise(n, model.shape[0], seed))
    found, known = compared(model, pictures)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".html":
        write_atomic(path, [gallery(pictures, found, known, run.stem).encode()])
    else:
        write_atomic(path, [in_pairs(pictures, found, known)])
    told: dict[str, Any] = {"n": n, "file": str(path)}
    words = [f"{n} pictures are in {path}"]
    if found is not None:
        told["usual_distance"] = found.usual
        told["pictures"] = [
            {"nearest": name_of(known, int(row)), "distance": float(d), "is_copy": bool(c)}
            for row, d, c in zip(found.rows, found.distances, found.is_copy, strict=True)
        ]
        middle = float(np.median(found.distances))
        words.append(
            f"Distance to the nearest picture that was learned from: {found.distances.min():.2f} to "
            f"{found.distances.max():.2f}, in the middle {middle:.2f}; usual between different real pictures: "
            f"{found.usual:.2f}. {copies(found)}"
        )
    if as_json:
        head = {"run": str(run), "weights_sha256": model.weights_sha256, "seed": seed}
        click.echo(json.dumps({**head, **told}, indent=2))
    else:
        click.echo("\n".join(words))


def compared(model: SavedModel, pictures: np.ndarray) -> tuple[Nearest | None, Any]:
    """(the nearest pictures, the data), or (None, None) where the data are gone or are others: that is said."""
    try:
        made = recipe(**model.settings)
        data = made.dataset()
        if data.x[:1].shape[1:] != pictures.shape[1:]:
            raise OptionError(f"{made.data}: its pictures have another size now.")
        return nearest(pictures, data, made.split(data)), data
    except (PellucidError, TypeError) as error:
        click.echo(f"The nearest pictures are not shown: {error}", err=True)
        return None, None


def in_pairs(pictures: np.ndarray, found: Nearest | None, known: Any) -> bytes:
    """A PNG: each picture, and on its right the nearest one that was learned from."""
    if found is None:
        return sheet(pictures, min(len(pictures), COLUMNS))
    real = np.concatenate([known.x[r : r + 1] for r in found.rows.tolist()])
    both = np.stack([pictures, real], 1).reshape(-1, *pictures.shape[1:])
    return sheet(both, min(len(both), COLUMNS))
