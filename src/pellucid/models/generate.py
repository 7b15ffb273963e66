"""Generation: a language model writes token after token, and shows with what probability.

Greedy, or drawn at a temperature from the k likeliest tokens, or from the fewest whose probabilities sum to p.
The model keeps what it has read (keys and values, or a recurrent state), so each new token costs one step of
one compiled program. Top-k: Fan et al. (2018); top-p (nucleus): Holtzman et al. (2020).

B sequences that are written at once, V tokens of the vocabulary"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..base.errors import IndexRangeError, OptionError, ShapeError
from ..tensor import functions as F
from ..tensor.tensor import Tensor
from ..tensor.trace import compile


class LanguageModel(Protocol):
    """What can be written with: models.GPT and models.CharRNN, or a model of your own.

    memory(B)  what keeps the tokens so far, with reset() and `capacity` (None: no limit)
    model(tokens, memory)  scores (B, T, V) of what follows each token; the tokens are remembered
    vocab_size  V, where it has one: tokens are checked against it"""

    training: bool

    def memory(self, batch_size: int) -> Any: ...
    def eval(self) -> Any: ...
    def train(self, mode: bool = True) -> Any: ...
    def __call__(self, tokens: Any, memory: Any) -> Tensor: ...


@dataclass(frozen=True)
class Candidate:
    """One token that might have come.

    probability  what the model says, at temperature 1
    chance       with what chance it was drawn, after temperature, top_k and top_p; greedy: 1 or 0"""

    token: int
    probability: float
    chance: float


@dataclass(frozen=True)
class Step:
    """One written token, and the likeliest candidates for its place, best first."""

    token: int
    probability: float
    chance: float
    candidates: tuple[Candidate, ...]


class Reader:
    """A model and its memory: feed() reads tokens and gives the scores of what may follow.

    Its programs are compiled once for each number of sequences; make one Reader and use it again."""

    def __init__(self, model: LanguageModel, batch_size: int = 1):
        self.model, self.batch_size = model, batch_size
        self.memory = model.memory(batch_size)
        self.tokens: list[np.ndarray] = []  # (B,) each: all that was read

        def read(tokens: Tensor, last: Tensor) -> Tensor:
            scores = model(tokens, self.memory)
            # The last real token's; what follows it is filling.
            return F.log_softmax(F.take(scores, last, 1).astype("float64"))

        self._read: Any = compile(read)

    def reset(self) -> None:
        """Forget everything."""
        self.memory.reset()
        self.tokens = []

    def feed(self, tokens: Any) -> np.ndarray:
        """Reads (B, T) tokens; log probabilities of the next one, (B, V) float64.

        When the memory is full the model reads the last half of the text again, and forgets what was before."""
        tokens = np.asarray(tokens, np.int64)
        if tokens.ndim != 2 or len(tokens) != self.batch_size or not tokens.shape[1]:
            raise ShapeError(
                f"Reader got tokens of shape {tokens.shape}: it needs ({self.batch_size}, T), T 1 or more."
            )
        self._check_vocabulary(tokens)
        self.tokens += list(tokens.T)
        capacity = self.memory.capacity
        was_training = self.model.training
        self.model.eval()
        try:
            if capacity is not None and len(self.tokens) > capacity:
                self.memory.reset()
                kept = self.tokens[-max(1, capacity // 2) :]
                # What it had read so far counts as forgotten too, or the next token would be one too many.
                self.tokens = list(kept)
                tokens = np.stack(kept, 1)
            return self._feed(tokens, len(self.tokens) - tokens.shape[1])
        finally:
            self.model.train(was_training)

    def _check_vocabulary(self, tokens: np.ndarray) -> None:
        # A compiled function cannot look at its tokens: it would take the nearest one without a word.
        n = getattr(self.model, "vocab_size", None)
        if n is not None and (tokens.min() < 0 or tokens.max() >= n):
            wrong = tokens[(tokens < 0) | (tokens >= n)][0]
            raise IndexRangeError(
                f"the token {wrong} is not in the model's vocabulary: it must be from 0 to {n - 1}. Encode the text "
                "with the vocabulary that the model was trained with."
            )

    def _feed(self, tokens: np.ndarray, n_before: int) -> np.ndarray:
        n = tokens.shape[1]
        rewind = getattr(self.memory, "rewind", None)
        if n == 1 or rewind is None:  # a state cannot go back: one by one
            for i in range(n):
                found = self._read(tokens[:, i : i + 1], _LAST)
            return found.numpy()
        # Filled up to a power of two, so that texts of all lengths share few programs. A causal model never
        # looks at what comes later, and rewinding forgets the filling.
        size = min(1 << (n - 1).bit_length(), self.memory.capacity - n_before)
        filled = np.zeros((len(tokens), size), np.int64)
        filled[:, :n] = tokens
        found = self._read(filled, np.asarray(n - 1)).numpy()
        rewind(n_before + n)
        return found


_LAST = np.asarray(0)


def stream(
    model: LanguageModel | Reader,
    prompt: Sequence[int],
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    stop: Collection[int] = (),
    n_candidates: int = 5,
) -> Iterator[Step]:
    """Writes on from the prompt, one Step at a time, as it is made.

    model         a language model, or a Reader of one (whose programs are then used again)
    prompt        token numbers, one or more
    temperature   0: always the likeliest token (greedy); below 1 surer, above 1 more varied
    top_k         draw from the k likeliest tokens only
    top_p         draw from the fewest likeliest tokens whose probabilities sum to p or more
    seed          the same seed gives the same text
    stop          tokens that end the text; the one that came is the last Step
    n_candidates  how many candidates a Step shows"""
    reader = model if isinstance(model, Reader) else Reader(model)
    tokens = np.asarray(prompt, np.int64)
    if tokens.ndim != 1:
        raise ShapeError(
            f"stream got a prompt of shape {tokens.shape}: it needs one row of tokens. For several use generate."
        )
    for steps in _write(
        reader, tokens[None], max_new_tokens, temperature, top_k, top_p, seed, stop, n_candidates
    ):
        if steps[0] is not None:
            yield steps[0]


def generate(
    model: LanguageModel | Reader,
    prompt: Any,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    stop: Collection[int] = (),
) -> list:
    """The new tokens: a list of numbers for a prompt (T,), a list of such lists for prompts (B, T).

    Arguments as stream. Row i is drawn with the numbers of (seed, i), whatever the other rows are."""
    tokens = np.asarray(prompt, np.int64)
    if tokens.ndim not in (1, 2):
        raise ShapeError(
            f"generate got a prompt of shape {tokens.shape}: it needs (T,), or (B, T) for B texts at once."
        )
    rows = tokens if tokens.ndim == 2 else tokens[None]
    reader = model if isinstance(model, Reader) else Reader(model, len(rows))
    found: list[list[int]] = [[] for _ in rows]
    for steps in _write(reader, rows, max_new_tokens, temperature, top_k, top_p, seed, stop, 0):
        for row, step in zip(found, steps, strict=True):
            if step is not None:
                row.append(step.token)
    return found[0] if tokens.ndim == 1 else found


def _write(
    reader: Reader,
    prompt: np.ndarray,
    n: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
    stop: Collection[int],
    n_candidates: int,
) -> Iterator[list[Step | None]]:
    """For each new token the step of every sequence; None where it has ended."""
    if prompt.size == 0:
        raise ShapeError("generation needs a prompt of one token or more: what should it continue?")
    if n < 0:
        raise OptionError(f"max_new_tokens must be 0 or more; got {n!r}.")
    _check(temperature, top_k, top_p)
    draws = [_Draws(seed, i) for i in range(len(prompt))]
    ended = [False] * len(prompt)
    reader.reset()
    now = prompt
    for i in range(n):
        log_p = reader.feed(now)
        steps: list[Step | None] = []
        for row, draw in enumerate(draws):
            if ended[row]:
                steps.append(None)
                continue
            step = choose(log_p[row], temperature, top_k, top_p, draw.next(), n_candidates)
            ended[row] = step.token in stop
            steps.append(step)
        yield steps
        if all(ended) or i == n - 1:
            return
        # A text that has ended goes on in the program; nobody looks at it.
        now = np.array([[0 if s is None else s.token] for s in steps], np.int64)


def choose(
    log_probabilities: np.ndarray,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    draw: float = 0.0,
    n_candidates: int = 5,
) -> Step:
    """One token from log probabilities (V,).

    draw  an even number from 0 to below 1, which decides. Ties go to the token with the lower number"""
    _check(temperature, top_k, top_p)
    log_p = np.asarray(log_probabilities, np.float64)
    # The likeliest first; -log_p keeps the lower number first where two are equal.
    order = np.argsort(-log_p, kind="stable")
    if temperature == 0:
        chances = np.zeros(len(order))
        chances[0] = 1.0
    else:
        scaled = log_p[order] / temperature
        chances = np.exp(scaled - scaled[0])
        total = np.cumsum(chances)
        chances, total = chances / total[-1], total / total[-1]
        n = len(order) if top_k is None else min(top_k, len(order))
        if top_p is not None:
            # All tokens before which less than p is covered, at least one.
            n = min(n, 1 + int(np.searchsorted(total, top_p, side="left")))
        chances[n:] = 0.0
        chances /= np.cumsum(chances)[-1]
    covered = np.cumsum(chances)
    place = int(np.searchsorted(covered, draw * covered[-1], side="right"))
    place = min(place, int(np.flatnonzero(chances)[-1]))
    shown = tuple(
        Candidate(int(t), float(np.exp(log_p[t])), float(c))
        for t, c in zip(order[:n_candidates], chances[:n_candidates], strict=True)
    )
    token = int(order[place])
    return Step(token, float(np.exp(log_p[token])), float(chances[place]), shown)


class _Draws:
    """Even numbers that follow from (seed, row): Philox's raw words, the same in every version of NumPy."""

    def __init__(self, seed: int, row: int):
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise OptionError(f"seed must be a whole number, 0 or more; got {seed!r}.")
        self._bits = np.random.Philox(key=np.array([int(seed) % 2**64, row], np.uint64))

    def next(self) -> float:
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53


def _check(temperature: float, top_k: int | None, top_p: float | None) -> None:
    if isinstance(temperature, bool) or not 0 <= temperature < float("inf"):
        raise OptionError(
            f"temperature must be 0 (always the likeliest) or more, like 0.8; got {temperature!r}."
        )
    if top_k is not None and (isinstance(top_k, bool) or top_k != int(top_k) or top_k < 1):
        raise OptionError(f"top_k must be a whole number of 1 or more; got {top_k!r}.")
    if top_p is not None and not 0 < top_p <= 1:
        raise OptionError(
            f"top_p is a share of the probability, above 0 and up to 1; got {top_p!r}."
        )
