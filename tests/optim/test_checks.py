"""Refusals name argument, value and class."""

import pytest

from onelip.optim.checks import check_betas, check_choice, check_count, check_positive


def test_what_is_right_passes():
    check_positive("A", lr=0.1)
    check_positive("A", zero=True, decay=0.0)
    check_betas("A", (0.0, 0.99))
    check_count("A", k=1)
    check_choice("A", "mode", "one", ("one", "two"))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_rates_are_positive_and_finite(value):
    with pytest.raises(ValueError, match=f"lr={value} in A must be positive and finite"):
        check_positive("A", lr=value)


@pytest.mark.parametrize("value", [1.0, -0.1, float("nan")])
def test_decays_are_below_one(value):
    with pytest.raises(ValueError, match="betas="):
        check_betas("A", (0.5, value))


@pytest.mark.parametrize("value", [0, 2.0, True])
def test_counts_are_integers(value):
    with pytest.raises(ValueError, match=f"k={value}"):
        check_count("A", k=value)


def test_unknown_names_get_the_nearest():
    with pytest.raises(ValueError, match=r"mode='polr' in A.*polar"):
        check_choice("A", "mode", "polr", ("polar", "exponential"))
