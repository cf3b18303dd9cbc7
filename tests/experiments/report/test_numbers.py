"""Text that never claims more than the number behind it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelip.experiments.report.numbers import (
    MISSING,
    NARROW_SPACE,
    duration_text,
    lower_text,
    plain_text,
    shape_text,
    share_text,
    upper_text,
)

positive = st.floats(0.0, 1e5)


def share_value(text: str) -> Decimal:
    return Decimal(text.removesuffix(f"{NARROW_SPACE}%")) / 100


@given(positive)
def test_bounds_are_rounded_outward_by_less_than_one_digit(value):
    exact = Decimal(value)
    assert exact <= Decimal(upper_text(value)) <= exact + Decimal("1e-7")
    assert exact - Decimal("1e-3") <= Decimal(lower_text(value)) <= exact


def test_a_constant_just_above_one_is_not_shown_as_one():
    assert upper_text(1.0) == "1.0000000"
    assert upper_text(1.0 + 2**-52) == "1.0000001"
    assert lower_text(0.4999999) == "0.499"


@pytest.mark.parametrize(("value", "text"), [(float("inf"), "inf"), (2.5e6, "2,500,000"), (1e6 + 0.5, "1,000,001")])
def test_large_bounds(value, text):
    assert upper_text(value) == text


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_guaranteed_shares_are_rounded_down_and_whole_per_cents_stay_whole(fraction):
    hits, total = fraction
    shown = share_value(share_text(hits / total, guaranteed=True))
    assert shown <= Decimal(hits) / Decimal(total) < shown + Decimal("0.0001") + Decimal("1e-15")
    if 100 * hits % total == 0:
        assert shown == Decimal(hits) / Decimal(total)


def test_shares():
    assert share_text(0.99996) == f"100.00{NARROW_SPACE}%"
    assert share_text(0.99996, guaranteed=True) == f"99.99{NARROW_SPACE}%"
    assert share_text(0.29, guaranteed=True) == f"29.00{NARROW_SPACE}%"
    assert share_text(None) == share_text(float("nan")) == MISSING


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.23, "4.2 s"),
        (59.96, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7620.0, "2 h 07 min"),
        (None, MISSING),
    ],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_plain_numbers_and_shapes():
    assert plain_text(36 / 255) == "0.1412"
    assert shape_text((3, 32, 32)) == "3\N{MULTIPLICATION SIGN}32\N{MULTIPLICATION SIGN}32"
    assert shape_text(()) == "scalar"
