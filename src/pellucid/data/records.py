"""Records of plain fields to JSON and back, strictly: a field that is missing, unknown or of another type is named."""

import math
import types
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from itertools import pairwise
from typing import Any, cast, get_args, get_type_hints

from ..base.errors import FormatError


def plain(record: Any) -> dict:
    """The fields, tuples as lists."""
    values = ((f.name, getattr(record, f.name)) for f in fields(record))
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values}


def outline(value: object, form: str, version: int, keys: set[str]) -> dict:
    """The fields besides format and version, which must be these."""
    if not isinstance(value, dict):
        raise FormatError(f"{form}: must be an object; got {str(value)[:40]!r}.")
    if value.get("format") != form:
        raise FormatError(f"field 'format' is {value.get('format')!r}; needed is {form!r}.")
    if type(value.get("version")) is not int or value["version"] != version:
        raise FormatError(
            f"{form}: version {value.get('version')!r}; this pellucid reads version {version}. Use a newer pellucid."
        )
    rest = {k: v for k, v in value.items() if k not in ("format", "version")}
    _same_keys(rest, keys, form)
    return rest


def _same_keys(value: Mapping, keys: set[str], where: str) -> None:
    for name in sorted(map(str, set(value) ^ keys)):
        raise FormatError(
            f"{where}: the field {name!r} is {'missing' if name in keys else 'unknown'}."
        )


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def made(kind: Any, value: dict, where: str) -> Any:
    """A record of this kind from JSON, every field of its own type."""
    hints = _hints(kind)
    _same_keys(value, set(hints), where)
    return kind(
        **{name: _typed(value[name], hint, f"{where}, {name}") for name, hint in hints.items()}
    )


def _typed(value: object, hint: Any, where: str) -> Any:
    if isinstance(hint, types.GenericAlias):  # tuple[of, ...], a list in JSON
        if not isinstance(value, list):
            raise FormatError(f"{where}: must be a list; got {str(value)[:40]!r}.")
        return tuple(_typed(v, get_args(hint)[0], where) for v in value)
    if hint is float and type(value) is int:
        value = float(value) if abs(value) < 2**1000 else value
    if type(value) is not hint or (hint is float and not math.isfinite(cast(float, value))):
        raise FormatError(f"{where}: must be a {hint.__name__}; got {str(value)[:40]!r}.")
    return value


def require(is_so: bool, name: str, field: str) -> None:
    """Raises FormatError naming a column and a field that cannot be."""
    if not is_so:
        raise FormatError(f"column {name!r}: its {field} cannot be.")


def ascending(values: tuple[float, ...]) -> bool:
    """Whether each is larger than the one before."""
    return all(a < b for a, b in pairwise(values))
