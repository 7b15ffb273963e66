"""Weights of others: safetensors files and the folders of Hugging Face, into our models and back, bit for bit.

A folder holds config.json and model.safetensors, or several files named by model.safetensors.index.json.
How entries are named and laid out: layouts.py. Nothing pickled is read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..base.errors import FormatError, PellucidError
from ..formats import model_json, safetensors
from ..nn.init import blank, nearest
from . import layouts
from .layouts import Layout
from .model import Model

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
SHOWN = 20  # so many entries of each kind are listed in an error
SPARE = 8  # a model so many times larger than its file is made, to say what is missing

Arrays = dict[str, np.ndarray]


class Pretrained(Model):
    """Base of the models whose weights others publish."""

    @classmethod
    def from_file(cls, path: str | Path, **changed: Any) -> Self:
        """The model in a folder of Hugging Face's form, or in a safetensors file.

        config.json gives the arguments; without one they come from the shapes of the weights, and what
        shapes do not tell (the heads: 64 features each) is the usual. `changed` replaces arguments.
        Raises FormatError that lists every entry that is missing, surplus or of another shape at once."""
        path = Path(path)
        arrays, config = read(path)
        layout = form_of(cls.__name__, arrays, path)
        arrays = _canonical(layout, arrays)
        guessed = _infer(layout, arrays)
        if config is not None and layout.read is not None:
            _check_type(layout, config, path)
            arguments = layout.read(config)
            for name in ("pooler", "next_sentence"):  # heads are in the file or not
                if name in (guessed or {}):
                    arguments[name] = guessed[name]  # type: ignore[index]
        elif guessed is not None:
            arguments = guessed
        else:
            raise FormatError(
                f"{path}: the shapes of its entries do not tell which {cls.__name__} it is: it lacks some of "
                f"them, or {CONFIG}. Make the model yourself and use load_file, which lists what does not fit."
            )
        try:
            # A config.json may ask for more than there is memory for: far beyond its weights is refused.
            with blank(SPARE * sum(a.size for a in arrays.values()) + 2**16):
                model = cls(**{**arguments, **changed})
        except (PellucidError, TypeError, ValueError) as error:
            raise FormatError(f"{path}: its {cls.__name__} cannot be made: {error}") from error
        _load(model, layout, arrays, path)
        return model.eval()

    def load_file(self, path: str | Path) -> None:
        """Overwrites all weights with those of such a file. Errors as from_file; then nothing is changed."""
        path = Path(path)
        arrays, _ = read(path)
        layout = form_of(type(self).__name__, arrays, path)
        _load(self, layout, _canonical(layout, arrays), path)

    def save_file(self, path: str | Path, form: str | None = None) -> None:
        """Writes the weights as others name and lay them out; the folder is made where it is not there.

        path  a folder gets model.safetensors and config.json; a name that ends in .safetensors is the
              one file
        form  a row of layouts.LAYOUTS: 'gpt2', 'bert', 'vit', 'resnet' or 'torchvision'"""
        path, forms = Path(path), layouts.forms_of(type(self).__name__)
        form = next(iter(forms)) if form is None else form
        layout = forms[nearest(form, forms, f"form of {type(self).__name__}")]
        is_file = path.suffix == ".safetensors"
        config = layout.write(self.config()) if layout.write and not is_file else None
        arrays: Arrays = {}
        states = {way: self.state_dict(way) for way in ("pellucid", "pytorch")}
        for ours, theirs, as_is in _names(self, layout):
            array = states["pellucid" if as_is else "pytorch"][ours]
            shape = _stored_shape(layout, theirs[0], array.shape)
            parts = np.split(array, len(theirs)) if len(theirs) > 1 else [array.reshape(shape)]
            arrays |= dict(zip(theirs, parts, strict=True))
        if not is_file:
            path.mkdir(parents=True, exist_ok=True)
        safetensors.save(path if is_file else path / WEIGHTS, arrays, {"format": "pt"})
        if config is not None:
            model_json.write_json(path / CONFIG, config)


def read(path: Path) -> tuple[Arrays, dict | None]:
    """(all arrays, config.json or None) of a folder or a safetensors file."""
    if not path.is_dir():
        if path.suffix in (".bin", ".pt", ".pth", ".ckpt"):
            raise FormatError(
                f"{path}: such files are pickled: reading one runs code that it holds. Ask for a safetensors file; "
                "most models have both."
            )
        return safetensors.load(path)[0], None
    config = model_json.read_json(path / CONFIG) if (path / CONFIG).exists() else None
    if (path / WEIGHTS).exists():
        return safetensors.load(path / WEIGHTS)[0], config
    if (path / INDEX).exists():
        return _read_parts(path), config
    others = sorted(p.name for p in path.iterdir() if p.suffix in (".bin", ".pt", ".pth"))
    also = (
        f" It has {others[0]}, which is pickled and is not read: ask for safetensors."
        if others
        else ""
    )
    raise FormatError(f"{path}: holds no {WEIGHTS}.{also}")


def _read_parts(folder: Path) -> Arrays:
    """The arrays of a model in several files."""
    listed = model_json.read_json(folder / INDEX).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(v, str) for v in listed.values()):
        raise FormatError(
            f"{folder / INDEX}: field 'weight_map' must say which file has each entry."
        )
    found: Arrays = {}
    for name in sorted(set(listed.values())):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise FormatError(
                f"{folder / INDEX}: {name[:80]!r} is no name of a safetensors file in this folder."
            )
        found |= safetensors.load(folder / name)[0]
    return found


def form_of(model: str, arrays: Mapping[str, np.ndarray], path: Path) -> Layout:
    """The form of the file; FormatError when it holds another family than `model`."""
    layout = layouts.recognise(arrays)
    if layout is not None and layout.model == model:
        return layout
    marks = " or ".join(repr(form.mark) for form in layouts.forms_of(model).values())
    if layout is not None:
        raise FormatError(
            f"{path}: holds {layout.title}, no {model}. Use models.{layout.model}.from_file."
        )
    some = ", ".join(sorted(arrays)[:5]) or "nothing"
    raise FormatError(
        f"{path}: holds no {model} that we know: it must have {marks}; it has {len(arrays)} entries: {some} ..."
    )


def _canonical(layout: Layout, arrays: Arrays) -> Arrays:
    """Entries under today's names, without those that are no weights or repeat a tied one."""
    found = {}
    for name, array in arrays.items():
        now = layout.canonical(name)
        if now is not None:
            found[now] = array
    for name, original in (layout.copies or {}).items():
        if name in found and original in found and np.array_equal(found[name], found[original]):
            del found[name]
    return found


def _infer(layout: Layout, arrays: Arrays) -> dict | None:
    try:
        return layout.infer({name: a.shape for name, a in arrays.items()})
    except (KeyError, ValueError, IndexError):  # an entry is missing, or has another number of axes
        return None


def _check_type(layout: Layout, config: Mapping[str, Any], path: Path) -> None:
    found = config.get("model_type", layout.model_type)
    if found != layout.model_type:
        raise FormatError(
            f"{path / CONFIG}: field 'model_type' is {found!r}; the weights are {layout.title}, whose type is "
            f"{layout.model_type!r}."
        )


def _names(model: Model, layout: Layout) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """(our name, their names, whether their axes are ours) of all that the model holds."""
    for name, _ in (*model.named_parameters(), *model.named_buffers()):
        yield name, *layout.theirs(name)


def _stored_shape(layout: Layout, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Their shape of one array: ViT's positions have a leading axis of 1."""
    return (1, *shape) if name in layout.leading else shape


def _load(model: Model, layout: Layout, arrays: Arrays, path: Path) -> None:
    shapes = model.shapes("pytorch")
    own_shapes = model.shapes()
    state: dict[str, Arrays] = {"pellucid": {}, "pytorch": {}}
    missing, unfit, wanted = [], [], set()
    for ours, theirs, as_is in _names(model, layout):
        shape = (own_shapes if as_is else shapes)[ours]
        n = len(theirs)
        needed = (shape[0] // n, *shape[1:]) if n > 1 else _stored_shape(layout, theirs[0], shape)
        parts = []
        for name in theirs:
            wanted.add(name)
            if name not in arrays:
                missing.append(f"{name} {list(needed)}")
            elif arrays[name].shape != needed:
                unfit.append(
                    f"{name}: {list(arrays[name].shape)} in the file, {list(needed)} in the model"
                )
            else:
                parts.append(arrays[name])
        if len(parts) == n:
            array = np.concatenate(parts) if n > 1 else parts[0].reshape(shape)
            state["pellucid" if as_is else "pytorch"][ours] = array
    surplus = [f"{name} {list(a.shape)}" for name, a in arrays.items() if name not in wanted]
    if missing or surplus or unfit:
        raise FormatError(_report(model, layout, arrays, path, missing, surplus, unfit))
    for way, some in state.items():
        model.load_state_dict(some, strict=False, layout=way)


def _report(
    model: Model,
    layout: Layout,
    arrays: Arrays,
    path: Path,
    missing: list[str],
    surplus: list[str],
    unfit: list[str],
) -> str:
    """One message with everything that does not fit, and the model that would."""
    lines = [f"{path}: does not fit this {layout.model}; nothing was changed."]
    for title, entries in (
        ("missing in the file", missing),
        ("in the file, not in the model", surplus),
        ("of another shape", unfit),
    ):
        if entries:
            more = f", and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
            lines.append(f"{len(entries)} {title}: {'; '.join(entries[:SHOWN])}{more}")
    guessed = _infer(layout, arrays)
    if guessed is None:
        lines.append("The file is not whole, so its shapes do not tell which model would fit.")
        return "\n".join(lines)
    mine = model.config()
    told = [k for k in guessed if k not in ("n_head", "num_attention_heads")]
    if all(guessed[k] == mine[k] for k in told):
        lines.append(
            "Its other shapes are those of this model: the file is damaged or not whole. Use another copy."
        )
        return "\n".join(lines)
    heads = next((k for k in guessed if k not in told), None)
    if heads:
        width = next(guessed[k] for k in ("n_embd", "hidden_size") if k in guessed)
        if width % mine[heads] == 0:
            guessed[heads] = mine[heads]
    arguments = ", ".join(f"{k}={v!r}" for k, v in guessed.items())
    note = f" (the shapes do not tell {heads})" if heads else ""
    lines.append(f"These shapes fit models.{layout.model}({arguments}){note}.")
    return "\n".join(lines)
