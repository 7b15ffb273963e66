"""Masked words of tinyshakespeare by a small BERT: fewer nats than the frequencies of words give.

Devlin et al. (2019), section 3.1: 15 % of the places are guessed; of these 80 % show the mask, 10 % another word,
10 % the word itself. Words seen fewer than five times are one word, which is never guessed."""

import math
import re
from collections import Counter

import numpy as np
from common import Run

from pellucid import compile, grad, nn, optim
from pellucid import functions as F
from pellucid.models import BERT

LENGTH, SIZE, N_GUESSED, PEAK, N_WARM = 64, 32, 10, 1e-3, 500
RARE, MASK, FIRST_WORD = 0, 1, 2


def masked(
    rng: np.random.Generator, ids: np.ndarray, n_words: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs (.., T), the places to guess (.., N_GUESSED) and the words that stood there, from ids (.., T)."""
    order = rng.random(ids.shape) + (ids == RARE)  # rare words come last
    places = np.sort(order.argsort(-1)[..., :N_GUESSED], -1)
    words = np.take_along_axis(ids, places, -1)
    way = rng.random(places.shape)
    other = rng.integers(FIRST_WORD, n_words, places.shape)
    shown = np.where(way < 0.8, MASK, np.where(way < 0.9, other, words))
    x = ids.copy()
    np.put_along_axis(x, places, shown.astype(ids.dtype), -1)
    return x, places.astype(np.int32), words


def main() -> None:
    run = Run(__doc__, ("--steps", {"type": int, "default": 4000}))
    text = (run.data / "tinyshakespeare" / "input.txt").read_text("utf-8").lower()
    words = re.findall(r"[a-z]+(?:'[a-z]+)*|[^\sa-z]", text)
    cut = len(words) * 9 // 10
    frequencies = Counter(words[:cut])
    vocabulary = sorted(w for w, n in frequencies.items() if n >= 5)
    number = {w: i + FIRST_WORD for i, w in enumerate(vocabulary)}
    ids = np.array([number.get(w, RARE) for w in words], np.int32)
    learned, held = ids[:cut], ids[cut:]
    n_words = len(vocabulary) + FIRST_WORD

    model = BERT(
        n_words,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=LENGTH,
        pad_token_id=None,
    )
    parameters = list(model.parameters())
    n_steps = 20 if run.quick else run.args.steps
    opt = optim.AdamW(
        parameters,
        lr=optim.WarmUp(optim.Cosine(PEAK, max(1, n_steps - N_WARM)), N_WARM),
        betas=(0.9, 0.98),
        weight_decay=0.01,
        clip_norm=1.0,
    )

    def loss_of(x, places, words):
        # Only the places that are guessed get scores: each is a row of the vocabulary's size.
        rows = places + LENGTH * F.arange(len(x), dtype=places.dtype).reshape((-1, 1))
        encoded = F.take(model.encode(x).reshape((-1, 128)), rows.reshape((-1,)), axis=0)
        return nn.cross_entropy(model.head(encoded, model.words), words.reshape((-1,)))

    @compile
    def step(x, places, words):
        loss = loss_of(x, places, words)
        opt.step(grad(loss, parameters))
        return loss

    each = 20
    for done in range(0, n_steps, each):
        at = run.rng.integers(0, len(learned) - LENGTH + 1, (each, SIZE, 1)) + np.arange(LENGTH)
        loss = step.many(each, *masked(run.rng, learned[at], n_words))
        if done % 500 == 0:
            run.log(f"step {done + each} of {n_steps}: {loss.item():.3f} nats")

    model.eval()
    n = len(held) // LENGTH // SIZE * SIZE
    rng = np.random.default_rng(10_000 + run.seed)
    x, places, words = masked(rng, held[: n * LENGTH].reshape(n, LENGTH), n_words)
    evaluate = compile(loss_of)
    parts = [slice(i, i + SIZE) for i in range(0, n, SIZE)]
    found = np.mean([evaluate(x[p], places[p], words[p]).item() for p in parts])
    # The baseline knows how often each word occurs; what may be guessed sums to 1, one added to each count.
    counts = np.bincount(learned, minlength=n_words)[FIRST_WORD:] + 1
    baseline = float(-np.log(counts / counts.sum())[words - FIRST_WORD].mean())
    figure = f"{found:.3f} nats a word ({math.exp(found):.0f} words), frequencies {baseline:.3f}"
    run.result(figure, found < baseline, "below the frequencies")


if __name__ == "__main__":
    main()
