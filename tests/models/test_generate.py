"""Generation: with a memory the text is that without one; choices follow their rules; seeds decide."""

import numpy as np
import pytest

from pellucid import models
from pellucid.base.errors import IndexRangeError, OptionError, ShapeError
from pellucid.models.generate import Reader, _Draws, choose, generate, stream
from pellucid.tensor import random
from pellucid.tensor.tensor import Tensor

V = 11


def made(name):
    random.seed(5)
    if name == "gpt":
        model = models.GPT(V, 16, 12, 2, 3)
    else:
        model = models.CharRNN(V, 6, 10, 2, name)
    for p in model.parameters():
        if p.ndim == 2:
            p.assign(
                p * 8.0
            )  # initial scores are nearly equal: larger weights make choices that differ
    return model


@pytest.fixture(scope="module", params=["gpt", "lstm", "gru"])
def reader(request):
    return Reader(made(request.param))


def greedy_without_memory(model, prompt, n):
    """All scores again for each new token: the definition. What stands after the text is filling."""
    model.eval()
    text = list(prompt)
    for _ in range(n):
        filled = np.array([text + [0] * (16 - len(text))])
        scores = model(Tensor(filled)).numpy()[0, len(text) - 1]
        text.append(int(scores.argmax()))
    return text[len(prompt) :]


def test_greedy_writing_with_a_memory_is_that_without_one(reader):
    found = set()
    for prompt in ([3], [1, 4, 1, 5, 9], [7, 2]):
        want = greedy_without_memory(reader.model, prompt, 8)
        assert generate(reader, prompt, 8, temperature=0) == want
        found |= set(want)
    assert len(found) > 1


def test_the_shown_probabilities_are_the_models(reader):
    prompt = [2, 7, 1]
    steps = list(stream(reader, prompt, 4, temperature=0.7, seed=3, n_candidates=V))
    text = list(prompt)
    for step in steps:
        scores = reader.model.eval()(Tensor(np.array([text]))).numpy()[0, -1].astype(np.float64)
        p = np.exp(scores - scores.max())
        p /= p.sum()
        q = np.exp((scores - scores.max()) / 0.7)
        q /= q.sum()
        order = np.argsort(-p)
        assert [c.token for c in step.candidates] == list(order)
        # float32 scores by two ways: a cache and the whole text
        assert np.allclose([c.probability for c in step.candidates], p[order], atol=1e-5)
        assert np.allclose([c.chance for c in step.candidates], q[order], atol=1e-5)
        assert np.isclose(step.chance, q[step.token], atol=1e-5)
        assert np.isclose(step.probability, p[step.token], atol=1e-5)
        text.append(step.token)


def test_the_same_seed_writes_the_same_text_and_another_another(reader):
    first = generate(reader, [1, 2], 20, seed=1)
    assert first == generate(reader, [1, 2], 20, seed=1)
    assert first != generate(reader, [1, 2], 20, seed=2)
    # What is asked of the global generator in between does not matter.
    random.uniform(3).realize()
    assert first == generate(reader, [1, 2], 20, seed=1)


def test_dropout_is_off_and_the_mode_stays():
    model = models.GPT(V, 16, 12, 1, 3, dropout=0.5).train()
    assert generate(model, [1], 5, temperature=0) == generate(model, [1], 5, temperature=0)
    assert model.training


def test_several_texts_at_once_are_those_written_alone():
    model = made("gpt")
    prompts = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    together = generate(model, prompts, 6, temperature=0)
    assert together == [generate(model, list(p), 6, temperature=0) for p in prompts]
    drawn = generate(model, prompts[[0, 0]], 12, seed=3)
    assert drawn[0] == generate(model, prompts[0], 12, seed=3)
    assert drawn[0] != drawn[1]  # rows have numbers of their own


def test_a_text_ends_with_its_stop_token(reader):
    text = generate(reader, [1, 2], 30, seed=1)
    stop = text[4]
    assert generate(reader, [1, 2], 30, seed=1, stop={stop}) == text[: text.index(stop) + 1]
    pair = np.array([[1, 2], [3, 4]])
    whole = generate(reader.model, pair, 15, seed=1)
    ended = generate(reader.model, pair, 15, seed=1, stop={whole[0][2]})
    for got, want in zip(ended, whole, strict=True):
        cut = want.index(whole[0][2]) + 1 if whole[0][2] in want else 15
        assert got == want[:cut]


def test_a_text_may_be_longer_than_the_positions():
    model = made("gpt")
    text = generate(model, [1, 2, 3], 40, temperature=0)
    assert len(text) == 40
    # When 16 tokens are remembered the last 8 are read again: each token follows from those it can see.
    known, seen = [1, 2, 3], 3
    for token in text:
        assert token == greedy_without_memory(model, known[-seen:], 1)[0]
        known.append(token)
        seen = seen + 1 if seen < 16 else 8


def test_a_long_prompt_is_cut_to_what_the_model_can_see():
    model = made("gpt")
    prompt = list(np.random.default_rng(0).integers(0, V, 50))
    assert generate(model, prompt, 1, temperature=0) == greedy_without_memory(model, prompt[-8:], 1)


def test_prompts_of_many_lengths_share_few_programs():
    reader = Reader(made("gpt"))
    for n in range(1, 16):
        reader.reset()
        reader.feed(np.ones((1, n)))
    assert len(reader._read._steps) <= 5  # 1, 2, 4, 8 and 16 tokens


def test_training_a_model_changes_what_a_reader_writes():
    model = made("gpt")
    reader = Reader(model)
    before = reader.feed([[1]])
    for p in model.parameters():
        p.assign(p * 0.0)
    reader.reset()
    assert np.allclose(reader.feed([[1]]), -np.log(V)) and not np.allclose(before, -np.log(V))


# ---- choose: by hand

LOG_P = np.log([0.1, 0.4, 0.2, 0.3])  # in order: 1, 3, 2, 0


@pytest.mark.parametrize(
    ("options", "chances"),
    [
        ({}, [0.4, 0.3, 0.2, 0.1]),
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"temperature": 0.5}, np.array([0.16, 0.09, 0.04, 0.01]) / 0.3),
        ({"temperature": 2}, np.sqrt([0.4, 0.3, 0.2, 0.1]) / np.sqrt([0.4, 0.3, 0.2, 0.1]).sum()),
        ({"top_k": 1}, [1, 0, 0, 0]),
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_k": 9}, [0.4, 0.3, 0.2, 0.1]),
        ({"top_p": 0.3}, [1, 0, 0, 0]),
        ({"top_p": 0.5}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.75}, [4 / 9, 3 / 9, 2 / 9, 0]),
        ({"top_p": 1.0}, [0.4, 0.3, 0.2, 0.1]),
        ({"top_p": 0.75, "top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_p": 0.6, "temperature": 0.5}, [0.16 / 0.25, 0.09 / 0.25, 0, 0]),
    ],
)
def test_chances_are_those_of_the_rule(options, chances):
    step = choose(LOG_P, **options, n_candidates=4)
    assert [c.token for c in step.candidates] == [1, 3, 2, 0]
    assert np.allclose([c.chance for c in step.candidates], chances)
    assert np.allclose([c.probability for c in step.candidates], [0.4, 0.3, 0.2, 0.1])
    # a draw picks the token in whose stretch it falls
    ends = np.cumsum(chances)
    for draw in (0.0, 0.2, 0.41, 0.69, 0.71, 0.99, 1 - 2**-53):
        place = int((ends <= draw * ends[-1]).sum())
        assert choose(LOG_P, **options, draw=draw).token == [1, 3, 2, 0][min(place, 3)]


def test_equal_tokens_are_taken_in_their_order():
    assert choose(np.log(np.full(5, 0.2)), temperature=0).token == 0
    assert choose(np.log(np.full(5, 0.2)), top_k=2, draw=0.9).token == 1


def test_drawn_tokens_have_their_chances():
    draws = _Draws(0, 0)
    n = 20_000
    count = np.bincount([choose(LOG_P, draw=draws.next()).token for _ in range(n)], minlength=4)
    # four standard deviations of a share: 4 * sqrt(0.25 / 20,000)
    assert np.abs(count / n - np.exp(LOG_P)).max() < 0.0142


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": -1}, "temperature must be 0"),
        ({"temperature": float("nan")}, "temperature must be 0"),
        ({"top_k": 0}, "top_k must be a whole number of 1 or more"),
        ({"top_p": 0.0}, "top_p is a share"),
        ({"top_p": 1.5}, "top_p is a share"),
        ({"seed": -1}, "seed must be"),
        ({"max_new_tokens": -1}, "max_new_tokens must be 0 or more"),
    ],
)
def test_impossible_options_are_named(options, words):
    with pytest.raises(OptionError, match=words):
        generate(made("gpt"), [1], **{"max_new_tokens": 2, **options})


def test_a_prompt_must_be_there():
    model = made("gpt")
    with pytest.raises(ShapeError, match="one token or more"):
        generate(model, [], 3)
    with pytest.raises(ShapeError, match="one row of tokens"):
        list(stream(model, [[1, 2]], 3))
    with pytest.raises(ShapeError, match="Reader got tokens of shape"):
        Reader(model, 2).feed([[1, 2]])


def test_a_token_outside_the_vocabulary_is_named():
    for name in ("gpt", "lstm"):
        for wrong in (V, -1):
            with pytest.raises(
                IndexRangeError, match=f"the token {wrong} is not in .* 0 to {V - 1}"
            ):
                generate(made(name), [1, wrong], 3)


def test_a_target_is_written_from_its_source():
    random.seed(2)
    model = models.Seq2Seq(9, V, 16, 2, 1, 2, 32, max_len=12, padding=0)
    for p in model.parameters():
        if p.ndim == 2:
            p.assign(p * 1.5)
    sources = np.array([[1, 2, 3, 4], [5, 6, 0, 0]])
    start = np.array([[1], [1]])
    got = generate(model.writer(sources), start, 8, temperature=0)
    assert model.training
    model.eval()
    for source, row in zip(sources, got, strict=True):
        text = [1]
        for _ in range(8):
            scores = model(Tensor(source[None]), Tensor(np.array([text + [0] * (12 - len(text))])))
            text.append(int(scores.numpy()[0, len(text) - 1].argmax()))
        assert row == text[1:]
    assert got[0] != got[1]
    with pytest.raises(ShapeError, match="has read 2 sources, and 1 targets"):
        generate(model.writer(sources), [1], 2)
