"""What counts as a list, and how its lines are mixed."""

from collections import Counter
from itertools import pairwise

import pytest

from pellucid.data.lines import is_list, mixed_lines
from pellucid.data.sequence import cut
from pellucid.data.text import read_alice
from pellucid.train.recipe import recipe

ENDS = (
    "na",
    "lla",
    "a",
    "is",
    "ia",
    "ona",
    "en",
    "o",
    "us",
    "etta",
    "in",
    "ard",
    "wen",
    "ith",
    "ra",
    "mir",
)
NAMES = [a + b for a in ("an", "be", "cor", "dor", "el", "fi", "gus") for b in ENDS]


def test_names_and_places_are_a_list():
    assert is_list("\n".join(NAMES)) and is_list("\n".join(NAMES) + "\n")
    assert is_list("\n".join(f"New {n} City" for n in NAMES))


@pytest.mark.parametrize(
    "text",
    [
        read_alice(),
        "\n".join(NAMES[:20]),  # too few to say
        "\n".join(str(i * 0.25) for i in range(300)),  # a series
        "\n".join(f"{n}." for n in NAMES),  # sentences
        "\n\n".join(NAMES),  # paragraphs
        "\n".join(f"the {a} and the {b}" for a, b in pairwise(NAMES)),  # verse
        "",
    ],
    ids=["prose", "few", "numbers", "sentences", "paragraphs", "verse", "nothing"],
)
def test_where_the_order_may_mean_something_it_is_no_list(text):
    assert not is_list(text)


def test_mixed_lines_are_the_same_lines_in_an_order_that_the_seed_fixes():
    text = "\n".join(NAMES) + "\n"
    mixed = mixed_lines(text, 0.1, 0.1, 1)
    assert sorted(mixed.split("\n")) == sorted(text.split("\n")) and mixed != text
    assert mixed == mixed_lines(text, 0.1, 0.1, 1) != mixed_lines(text, 0.1, 0.1, 2)
    assert len(mixed) == len(text)


def test_equal_lines_lie_in_one_part():
    text = "\n".join(NAMES * 3) + "\n"
    mixed = mixed_lines(text, 0.1, 0.1, 4)
    a, b = cut(len(mixed), 0.1, 0.1)
    parts = [Counter(p.split("\n")[1:-1]) for p in (mixed[:a], mixed[a:b], mixed[b:])]
    # Beside the name that a cut falls into, no name is in two parts.
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert len(parts[one].keys() & parts[other].keys()) <= 1
    # Nor do its copies follow each other: they would teach to repeat.
    lines = mixed.split("\n")
    assert sum(x == y for x, y in pairwise(lines)) < 0.1 * len(lines)


def test_a_list_of_ones_own_is_mixed_and_that_is_told(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES))
    data = recipe(str(path), seed=3).dataset()
    text = "".join(data.classes[i] for i in data.codes)
    assert text == mixed_lines("\n".join(NAMES), 0.1, 0.1, 3)
    assert "its lines are mixed" in data.source and data.is_list
    verse = tmp_path / "verse.txt"
    verse.write_text(read_alice()[:3000])
    data = recipe(str(verse)).dataset()
    assert "mixed" not in data.source and not data.is_list


def test_a_list_is_learned_by_an_lstm_unless_another_network_is_named(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES))
    made = recipe(str(path), width=32)
    assert (made.net, made.dropout, made.batch, made.width) == ("lstm", 0.5, 16, 32)
    assert recipe(str(path), dropout=0.1).dropout == 0.1
    gpt = recipe(str(path), net="gpt")
    assert (gpt.net, gpt.dropout, gpt.batch) == ("gpt", 0.1, 8)
