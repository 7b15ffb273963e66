"""A setting of another kind or out of range is refused in a sentence, wherever it comes from."""

from dataclasses import fields

import numpy as np
import pytest

from pellucid.base.errors import OptionError
from pellucid.train import settings
from pellucid.train.recipe import Recipe, recipe
from pellucid.train.settings import check_settings


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("epochs", [1, np.int64(7)], [0, -1, 1.5, "3", True]),
        ("seed", [0, 2**32 - 1], [-1, 0.5]),
        ("patience", [0, 5], [-1]),
        ("lr", [1e-9, 2], [0, -1.0, float("nan"), float("inf"), "0.1"]),
        ("validation", [0, 0.5], [1, -0.1, float("nan"), "0.2"]),
        ("l2", [0, 0.01], [-1, "0"]),
        ("target", ["kind"], [3, ["kind"]]),
        ("header", [True, False], [1, "yes"]),
        ("missing", [["-"], ("-", "?")], ["-", [1]]),
        ("columns", [{"zip": "category"}], [["zip"]]),
        ("net", ["cnn", (8, 4), []], [3, [0], [8.0], [True]]),
    ],
)
def test_a_setting_is_used_or_refused_with_what_it_must_be(name, right, wrong):
    for value in right:
        check_settings({name: value})
    for value in wrong:
        with pytest.raises(OptionError, match=rf"here: {name} = .* cannot be used: {name} must be"):
            check_settings({name: value}, "here: ")
        with pytest.raises(OptionError, match=f"^{name} = "):
            recipe("digits", **{name: value})


def test_every_field_of_a_recipe_is_known():
    known = {*settings.WHOLE, *settings.SHARES, *settings.WORDS, *settings.FLAGS}
    known |= {"lr", "l2", "net", "columns", "missing"}
    known |= {"given", "lr_why"}  # told, not set
    assert known >= {f.name for f in fields(Recipe)}
