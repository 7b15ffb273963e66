"""What a setting of a recipe may be, wherever it comes from: the command line, a TOML file, a program, a run folder."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from ..base.errors import OptionError

# setting -> the least whole number
WHOLE = {
    **dict.fromkeys(
        ("epochs", "steps", "batch", "members", "width", "layers", "window", "size", "channels", "memory", "horizon"), 1
    ),
    **dict.fromkeys(("patience", "seed", "background"), 0),
}  # fmt: skip
SHARES = ("validation", "test", "dropout")  # 0 to below 1
WORDS = (
    "data", "task", "kind", "target", "group", "class_weights", "time", "optimizer", "schedule", "activation",
    "delimiter", "encoding", "decimal", "sheet", "augment", "fault", "for",
)  # fmt: skip
FLAGS = ("header", "strict", "baselines")


def check_settings(values: Mapping[str, Any], where: str = "") -> None:
    """Raises OptionError, `where` before its sentence, for a setting that is of another kind or out of range."""
    for name, value in values.items():
        needed = _needed(name, value)
        if needed and value is not None:
            raise OptionError(f"{where}{name} = {value!r} cannot be used: {name} must be {needed}.")


def _needed(name: str, value: Any) -> str:
    """What the setting must be, where the value is not; or nothing."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if name in WHOLE:
        is_right = is_number and isinstance(value, Integral) and int(value) >= WHOLE[name]
        return "" if is_right else f"a whole number of {WHOLE[name]} or more"
    if name in SHARES:
        return "" if is_number and 0 <= value < 1 else "a number from 0 to below 1"
    if name == "lr":
        return "" if is_number and 0 < value < float("inf") else "a number above 0"
    if name == "l2":
        return "" if is_number and 0 <= value < float("inf") else "a number of 0 or more"
    if name in WORDS:
        return "" if isinstance(value, str) else "text"
    if name in FLAGS:
        return "" if isinstance(value, bool) else "true or false"
    if name == "columns":
        return "" if isinstance(value, Mapping) else "a table of uses by the names of columns"
    if name == "missing":
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        return "" if is_list and all(isinstance(v, str) for v in value) else "a list of marks"
    if name == "net":
        is_list = isinstance(value, Sequence) and all(
            isinstance(v, Integral) and not isinstance(v, bool) and int(v) >= 1 for v in value
        )
        return (
            ""
            if isinstance(value, str) or is_list
            else "a name, or widths of 1 or more, like 128-64"
        )
    return ""
