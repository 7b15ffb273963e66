"""gallery.html: new pictures, each beside the nearest one that was learned from, on one page for people.

One file that needs nothing else, as report.html: the pictures are in it, nothing is loaded or run."""

import base64
from typing import Any

import numpy as np

from .charts import Markup, data, offline_page, tag
from .samples import Nearest, png

SIDE = 128  # pixels of a shown picture, about

STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(17.5rem,1fr));gap:1.2rem}
figure{margin:0}
img{width:8rem;height:8rem;object-fit:contain;image-rendering:pixelated;margin-right:.4rem;background:#8883}
figcaption{font-size:.9rem;overflow-wrap:anywhere}
.copy figcaption{font-weight:600}
"""


def gallery(pictures: np.ndarray, found: Nearest | None, known: Any, name: str) -> str:
    """The HTML. pictures (N, H, W, K) from -1 to 1; found: their nearest among the pictures of `known`, where those
    are there."""
    said = [f"{len(pictures)} new pictures of {name}."]
    if found is None:
        said.append("The pictures that it has learned from are not there to compare.")
    else:
        said.append(
            f"On the right of each the nearest picture that was learned from, and how far it is: the root of the "
            f"summed squares of the differences of their pixels, from 0 to 1. Usual between different real pictures: "
            f"{found.usual:.2f}. {copies(found)}"
        )
    figures = [
        _figure(picture, i, found, known) for i, picture in enumerate(np.clip(pictures, -1, 1))
    ]
    return offline_page(
        f"Pictures by {name}", STYLE, tag("p", " ".join(said)), tag("main", *figures)
    )


def copies(found: Nearest) -> str:
    """How many are copies, in words."""
    n = int(found.is_copy.sum())
    if not n:
        return "None is a copy."
    which = ", ".join(str(i + 1) for i in np.flatnonzero(found.is_copy)[:20])
    return f"{n} {'are copies' if n > 1 else 'is a copy'}: {which}."


def name_of(known: Any, row: int) -> str:
    """The file of a picture, or its class and row."""
    if getattr(known, "paths", ()):
        return str(known.paths[row])
    label = known.classes[int(known.y[row])] if known.classes else "row"
    return f"{label}, row {row + 1}"


def _figure(picture: np.ndarray, i: int, found: Nearest | None, known: Any) -> Markup:
    images = [_image(picture, f"new picture {i + 1}")]
    caption: list[Any] = [f"{i + 1}"]
    is_copy = False
    if found is not None:
        row, is_copy = int(found.rows[i]), bool(found.is_copy[i])
        near = name_of(known, row)
        images.append(_image(known.x[row : row + 1][0], near))
        caption = [f"{i + 1}: {found.distances[i]:.2f} from ", data(near, 40)]
        if is_copy:
            caption.append(": a copy")
    return tag("figure", *images, tag("figcaption", *caption), class_="copy" if is_copy else None)


def _image(picture: np.ndarray, alt: str) -> Markup:
    k = max(1, round(SIDE / picture.shape[0]))
    pixels = np.round((picture + 1) * 127.5).astype(np.uint8).repeat(k, 0).repeat(k, 1)
    text = base64.b64encode(png(pixels)).decode()
    return tag("img", src=f"data:image/png;base64,{text}", alt=alt)
