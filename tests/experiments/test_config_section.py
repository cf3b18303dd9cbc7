"""What sections are made of."""

import pytest
from pydantic import ValidationError

from onelip.experiments.config_section import NamedPart, Section, from_fraction, from_fractions, from_name


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("36/255", 36 / 255),
        ("3.6/255", 3.6 / 255),
        (" 1 / 4 ", 0.25),
        ("1/0", "1/0"),
        ("a/b", "a/b"),
        ("1/2/3", "1/2/3"),
        ("3", "3"),
        (2, 2),
    ],
)
def test_fractions_are_numbers_and_the_rest_stays(value, number):
    assert from_fraction(value) == number


def test_a_name_stands_for_a_mapping():
    assert from_name("sgd") == {"name": "sgd"}
    assert from_name({"name": "sgd"}) == {"name": "sgd"}


class Example(Section):
    """One key."""

    size: int = 1


def test_sections_take_known_keys_of_the_right_type_and_named_parts_any():
    with pytest.raises(ValidationError):
        Example.model_validate({"size": "1"})
    with pytest.raises(ValidationError):
        Example.model_validate({"sise": 1})
    assert NamedPart.model_validate({"name": "mlp", "width": 3}).options == {"width": 3}


def test_numbers_of_a_mapping_are_read_at_any_depth():
    ramp = {"start": "1/4", "end": {"at": "36/255"}, "shape": "linear", "until": 0.5}
    assert from_fractions(ramp) == {"start": 0.25, "end": {"at": 36 / 255}, "shape": "linear", "until": 0.5}
    assert from_fractions("3/4") == 0.75
