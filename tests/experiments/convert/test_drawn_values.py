"""Random tags of settings files."""

from __future__ import annotations

import pytest

from onelip.experiments.convert.conversion import Drawn
from onelip.experiments.convert.drawn_values import choice, has_random, number_or_drawn
from onelip.experiments.convert.marked import read_marked
from onelip.experiments.errors import UserError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("!randint [0, 999]", Drawn("randint", (0, 999))),
        ("!randfloat [0.5, 2]", Drawn("uniform", (0.5, 2.0))),
        ("!randlog10 [-4, -1.5]", Drawn("loguniform", (0.0001, 0.0316228))),
        ("!choice [1, 2]", Drawn("choice", (1.0, 2.0))),
        ("!choice [1, 1.0]", 1.0),
    ],
)
def test_numbers(text, value):
    assert number_or_drawn(read_marked(text, "f"), "lr") == value


def test_randomness_is_found_at_any_depth():
    assert has_random(read_marked("a: [{b: !choice [1]}]", "f"))
    assert not has_random(read_marked("a: [{b: !layer X}]", "f"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("!randlog10 [-1, -4]", "f, line 1: lr=!randlog10 [-1, -4] must rise"),
        ("!randfloat 3", "f, line 1: lr=!randfloat 3 must have two numbers"),
        ("!choice []", "must have a list of values to choose from"),
        ("x", "f, line 1: lr=x must be a number"),
    ],
)
def test_what_does_not_fit_is_refused(text, sentence):
    with pytest.raises(UserError) as caught:
        number_or_drawn(read_marked(text, "f"), "lr")
    assert sentence in str(caught.value)


def test_names_are_drawn_by_choice_alone():
    assert choice(read_marked("!choice [a, b]", "f"), lambda item: item.value) == Drawn("choice", ("a", "b"))
    with pytest.raises(UserError, match="is no name; draw it by !choice"):
        choice(read_marked("!randint [0, 1]", "f"), lambda item: item.value)
