"""Boxes are rounded outward."""

from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.certify.relaxation.intervals import Interval, around

finite = st.floats(-1e200, 1e200)


def _column(value):
    return torch.tensor([[value]], dtype=torch.float64)


@given(centre=finite, radius=st.floats(0, 1e200))
def test_a_box_around_a_point_holds_the_exact_ends(centre, radius):
    box = around(_column(centre), _column(radius))
    assert Fraction(box.lower.item()) <= Fraction(centre) - Fraction(radius)
    assert Fraction(box.upper.item()) >= Fraction(centre) + Fraction(radius)


@given(ends=st.tuples(finite, finite))
def test_centre_and_radius_hold_both_ends(ends):
    low, high = sorted(ends)
    box = Interval(_column(low), _column(high))
    centre, radius = Fraction(box.centre.item()), Fraction(box.radius.item())
    assert centre - radius <= Fraction(low) <= Fraction(high) <= centre + radius
    assert box.size.item() == max(abs(low), abs(high))


def test_the_tighter_end_counts_and_nan_does_not():
    nan = torch.nan
    a = Interval(torch.tensor([0.0, 0.0, 0.0]), torch.tensor([1.0, 1.0, 1.0]))
    b = Interval(torch.tensor([0.5, -1.0, nan]), torch.tensor([2.0, 0.5, nan]))
    both = a.intersect(b)
    assert both.lower.tolist() == [0.5, 0.0, 0.0]
    assert both.upper.tolist() == [1.0, 0.5, 1.0]
