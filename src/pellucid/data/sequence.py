"""Sequences seen through windows: characters of a text, values of a series.

A window is never stored: a row is a place in the sequence, and the program gathers the T values from there.
Parts for training are cut by place, never shuffled: what comes later is not known to what was before.
N characters or values, T places of a window, B windows of a batch, C characters of the vocabulary"""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..base.errors import DataError, OptionError
from ..tensor import functions as F
from ..tensor.create import arange
from ..tensor.tensor import Tensor
from .dataset import IGNORED, Split
from .shuffle import permutation

CHUNK = 1 << 20  # characters that are looked up together


@dataclass(frozen=True, eq=False)
class Text:
    """A text as the numbers of its characters; row i asks for what follows each character of a window.

    codes    (N,) int32, numbers of characters
    classes  the C characters, in the order of their numbers: the vocabulary
    window   T, the characters that the network sees at once
    row i    x = codes[i : i + T], y = codes[i + 1 : i + T + 1], for i from 0 to N - T - 1
    is_list  whether each line is an entry of its own: windows then begin with the end of a line, so that no entry is
             read from its middle on, and what comes after the last whole line of a window is IGNORED in y"""

    name: str
    codes: np.ndarray
    classes: tuple[str, ...]
    window: int
    source: str = ""
    licence: str = ""
    is_list: bool = False

    def __post_init__(self):
        check_window(self.name, self.window, len(self.codes), "characters")
        if len(self.classes) < 2:
            raise DataError(
                f"{self.name}: the text has only one kind of character. There is nothing to learn."
            )

    def __len__(self) -> int:
        return len(self.codes) - self.window

    @property
    def n_answers(self) -> int:
        return self.window

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.window,)

    @functools.cached_property
    def last_end(self) -> np.ndarray:
        """(N,) of each place the last end of a line there or before, -1 where there is none."""
        places = np.arange(len(self.codes), dtype=np.int32)
        ends = self.codes == self.classes.index("\n")
        return np.maximum.accumulate(np.where(ends, places, -1))

    @functools.cached_property
    def answers(self) -> np.ndarray:
        """(rows,) int32 of a list, how many places of each row have an answer: up to its last end of a line, or all."""
        n = self.last_end[self.window :] - np.arange(len(self), dtype=np.int32)
        return np.where(n > 0, n, self.window).astype(np.int32)

    def count(self, rows: np.ndarray) -> int:
        """How many answers these rows have."""
        return int(self.answers[rows].sum()) if self.is_list else len(rows) * self.n_answers

    def arrays(self) -> tuple[np.ndarray, ...]:
        """The codes; of a list also how many places of each row have an answer."""
        codes = np.ascontiguousarray(self.codes, np.int32)
        return (codes, self.answers) if self.is_list else (codes,)

    def batch(self, stored: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) characters and the (B, T) that follow each."""
        codes, *answers = stored
        # One gather of T + 1 places: the answers are the inputs, one place on.
        places = rows.reshape((*rows.shape, 1)) + arange(self.window + 1, dtype=rows.dtype)
        seen = F.take(codes, places, axis=0)
        x, y = seen[:, :-1], seen[:, 1:]
        if answers:
            n = F.take(answers[0], rows, axis=0).unsqueeze(-1)
            y = F.where(arange(self.window, dtype=n.dtype) < n, y, IGNORED)
        return x, y

    def order(self, rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """The windows shuffled, all moved by an offset of 0 to T - 1 that is new in each epoch.

        So an epoch predicts each character about once, and in time from every place of a window. Of a list each is
        moved back to the end of a line, every other one to the character after it, where there is one in the window
        before: a text to be continued begins either way."""
        rows = np.asarray(rows, np.int32)
        room = len(self) - 1 - int(rows.max(initial=0))
        offset = int(permutation(self.window, seed, "offset", epoch)[0])
        moved = rows[permutation(len(rows), seed, "epoch", epoch)] + np.int32(min(offset, room))
        if not self.is_list:
            return moved
        ends = self.last_end[moved]
        is_near = ends >= np.maximum(moved - self.window, rows.min())
        begins = np.minimum(ends + np.arange(len(ends), dtype=np.int32) % 2, moved)
        return np.where(is_near, begins, moved)

    def rows_between(self, low: int, high: int) -> np.ndarray:
        """The rows of the windows that follow each other from place `low` on and end before place `high`.

        No character is answered twice. Of a list they begin with ends of lines, after the first that lies there."""
        t = self.window
        if not self.is_list:
            return (low + t * np.arange(max(0, (high - low - 1) // t))).astype(np.int32)
        ends = np.flatnonzero(self.last_end[low:high] >= low)
        rows, i = [], low + int(ends[0]) if len(ends) else high
        while i + t < high:
            rows.append(i)
            i += int(self.answers[i])
        return np.array(rows, np.int32)

    def fingerprint(self) -> str:
        """SHA-256 of characters, vocabulary and window."""
        head = repr((self.codes.shape, self.classes, self.window, self.is_list)).encode()
        return hashlib.sha256(
            head + np.ascontiguousarray(self.codes, np.int32).tobytes()
        ).hexdigest()


@dataclass(frozen=True)
class Scales:
    """How the values of a series become what a network takes, and its outputs values again."""

    shift: float = 0.0
    scale: float = 1.0
    step: float = 1.0

    def inputs(self, values: np.ndarray) -> np.ndarray:
        """(values - shift) / scale: float32, with one more axis for the feature."""
        return ((np.asarray(values) - self.shift) / self.scale).astype(np.float32)[..., None]

    def forecast(self, last: np.ndarray, output: np.ndarray) -> np.ndarray:
        """The next value, in the series' unit: the last one and output * step."""
        return np.asarray(last, np.float64) + np.asarray(output, np.float64) * self.step


@dataclass(frozen=True, eq=False)
class Series:
    """Values that follow each other in time; row i asks for the one after T of them.

    values   (N,) float64, in their own unit
    times    N names of their times, in order
    window   T, the values that the network sees
    shift, scale   x = (value - shift) / scale
    step     y = (next value - last value) / step: the network learns the change from the last value
    row i    x = values i to i + T - 1, y from value i + T, for i from 0 to N - T - 1"""

    name: str
    values: np.ndarray
    times: tuple[str, ...]
    window: int
    unit: str = ""
    shift: float = 0.0
    scale: float = 1.0
    step: float = 1.0
    source: str = ""
    licence: str = ""

    classes = ()

    def __post_init__(self):
        check_window(self.name, self.window, len(self.values), "values")
        if len(self.times) != len(self.values):
            raise DataError(
                f"{self.name}: {len(self.values)} values need as many times; got {len(self.times)}."
            )
        check_values(self.name, self.values, self.times)

    def __len__(self) -> int:
        return len(self.values) - self.window

    @property
    def n_answers(self) -> int:
        return 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.window, 1)

    @property
    def scales(self) -> Scales:
        """shift, scale and step."""
        return Scales(self.shift, self.scale, self.step)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Scaled values (N, 1), and scaled changes (N,) from the value before (0 for the first)."""
        change = np.diff(self.values, prepend=self.values[:1]) / self.step
        return self.scales.inputs(self.values), change.astype(np.float32)

    def batch(self, stored: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, 1) scaled values and the (B,) scaled change that follows."""
        x, change = stored
        places = rows.reshape((*rows.shape, 1)) + arange(self.window, dtype=rows.dtype)
        return F.take(x, places, axis=0), F.take(change, rows + self.window, axis=0)

    def order(self, rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
        """The windows shuffled, as (seed, epoch) say."""
        rows = np.asarray(rows, np.int32)
        return rows[permutation(len(rows), seed, "epoch", epoch)]

    def fingerprint(self) -> str:
        """SHA-256 of values, window and scales."""
        head = repr((self.window, self.shift, self.scale, self.step)).encode()
        return hashlib.sha256(
            head + np.ascontiguousarray(self.values, np.float64).tobytes()
        ).hexdigest()


def encode(text: str, classes: Sequence[str], what: str) -> np.ndarray:
    """(N,) int32 numbers of the characters. Raises DataError for one that is not in the vocabulary."""
    numbers = {c: i for i, c in enumerate(classes)}
    found = set(text)
    unknown = sorted(found - numbers.keys())
    if unknown:
        place = min(text.index(c) for c in unknown)
        others = [c for c in unknown if c != text[place]]
        raise DataError(
            f"{what}, character {place + 1}: {text[place]!r} is not among the {len(classes)} characters that "
            f"the network has learned{_some(others)}. It knows: {''.join(c for c in classes if c > ' ')}"
        )
    number_of = np.zeros(1 + max(map(ord, found), default=0), np.int32)
    for c in found:
        number_of[ord(c)] = numbers[c]
    codes = np.empty(len(text), np.int32)
    for start in range(0, len(text), CHUNK):
        part = text[start : start + CHUNK]
        points = np.frombuffer(part.encode("utf-32-le", "surrogatepass"), np.uint32)
        codes[start : start + len(part)] = number_of[points]
    return codes


def decode(codes: np.ndarray, classes: Sequence[str]) -> str:
    """The characters of these numbers."""
    return "".join(classes[i] for i in np.asarray(codes).tolist())


def cut(n: int, validation: float, test: float) -> tuple[int, int]:
    """Where the validation part and the test part of n things begin: the last `test` share is the test."""
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise DataError(
            f"validation {validation:g} and test {test:g} must be 0 or more and leave a part for training "
            f"(their sum must be below 1)."
        )
    n_test, n_validation = int(n * test + 0.5), int(n * validation + 0.5)
    return n - n_test - n_validation, n - n_test


def split_text(data: Text, validation: float = 0.1, test: float = 0.1) -> Split:
    """The first characters to learn, the next to validate, the last to test: windows side by side.

    No window reaches into another part. Training windows leave room for the offset of `Text.order`."""
    n, t = len(data.codes), data.window
    a, b = cut(n, validation, test)
    parts = Split(data.rows_between(0, a - t + 1), data.rows_between(a, b), data.rows_between(b, n))
    for name, rows, share in (
        ("training", parts.train, 1),
        ("validation", parts.validation, validation),
        ("test", parts.test, test),
    ):
        if share and not len(rows):
            raise DataError(
                f"{data.name}: {n:,} characters leave no window of {t} for the {name} part. "
                f"Use a longer text or a shorter --window."
            )
    return parts


def split_series(data: Series, validation: float = 0.15, test: float = 0.2) -> Split:
    """By time: the last values are the test, those before them the validation.

    A window may begin in an earlier part: what was before is known when a value is forecast."""
    a, b = cut(len(data.values), validation, test)
    t = data.window
    if a - t < 1:
        raise DataError(
            f"{data.name}: the training part has {a} values; a window of {t} and the value after it need "
            f"{t + 1}. Use a shorter --window."
        )
    rows = np.arange(len(data.values) - t, dtype=np.int32)
    return Split(rows[: a - t], rows[a - t : b - t], rows[b - t :])


def check_window(name: str, window: int, n: int, what: str) -> None:
    """Raises unless 1 <= window < n."""
    if isinstance(window, bool) or not isinstance(window, (int, np.integer)) or window < 1:
        raise OptionError(f"window must be a whole number of 1 or more; got {window!r}.")
    if n <= window:
        raise DataError(
            f"{name}: {n:,} {what} are too few for a window of {window}: it needs {window + 1} or more."
        )


def check_values(name: str, values: np.ndarray, times: Sequence[str]) -> None:
    """Raises DataError for values that cannot be learned from: names the first bad one."""
    finite = np.isfinite(values)
    if not finite.all():
        i = int(np.argmin(finite))
        raise DataError(
            f"{name}, {times[i]}: {values[i]} is not a finite number ({int((~finite).sum())} such values). "
            f"Fill or remove them before training."
        )
    if (values == values[0]).all():
        raise DataError(f"{name}: every value is {values[0]:g}. There is nothing to forecast.")


def _some(unknown: Sequence[str]) -> str:
    if not unknown:
        return ""
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    return (
        f" (nor {'is' if len(unknown) == 1 else 'are'} {', '.join(map(repr, unknown[:5]))}{more})"
    )
