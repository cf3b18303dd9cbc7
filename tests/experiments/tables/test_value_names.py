"""Names of numbers."""

import pytest

from onelip.experiments import UserError
from onelip.experiments.tables.grid import PERCENT
from onelip.experiments.tables.value_names import goal_of, known_value, unit_of

KNOWN = ("accuracy", "certified@0.141176", "certified@0.25", "attacked-pgd-linf@0.00784314", "lipschitz_bound")


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("certified@36/255", "certified@0.141176"), (" certified@0.14117647", "certified@0.141176"),
        ("certified@0.250", "certified@0.25"), ("attacked-pgd-linf@2/255", "attacked-pgd-linf@0.00784314"),
        ("accuracy", "accuracy"),
    ],
)  # fmt: skip
def test_radii_as_people_write_them(name, stored):
    assert known_value(name, KNOWN) == stored


@pytest.mark.parametrize(
    ("name", "near"),
    [("certfied@36/255", "certified"), ("acuracy", "accuracy")],
)
def test_unknown_names(name, near):
    with pytest.raises(UserError, match=f"value {name.partition('@')[0]!r} is unknown; did you mean '{near}'"):
        known_value(name, KNOWN)


def test_a_radius_that_was_not_certified_is_unknown():
    for name in ("certified@37/255", "certified@x", "certified"):
        with pytest.raises(
            UserError, match=f"value='{name}' is of no run; there are certified@0.141176, certified@0.25"
        ):
            known_value(name, KNOWN)


@pytest.mark.parametrize(
    ("name", "goal", "percent"),
    [
        ("accuracy", "max", True), ("val_certified_accuracy", "max", True), ("certified@0.1", "max", True),
        ("attacked@0.1", "max", True), ("relaxed@0.1", "max", True), ("never_changed-cw-l2", "max", True),
        ("lower_bound", "max", False), ("train_seconds", "min", False), ("frechet_sq", "min", False),
        ("val_loss", "min", False), ("n_parameters", "min", False), ("lipschitz_bound", "", False),
        ("objective", "", False), ("epochs", "", False),
    ],
)  # fmt: skip
def test_goals_and_units(name, goal, percent):
    assert goal_of(name) == goal
    assert (unit_of(name) == PERCENT) is percent
