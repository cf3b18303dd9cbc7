import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.certify import LARGEST_RADIUS, certified_radii, class_radii, pair_norms, pair_slopes
from onelip.certify.radius import SHAVE

ZERO = torch.zeros(1, dtype=torch.float64)


def radius(logits, label=0, error=0.0, constant=1.0, slopes=None):
    z = torch.tensor([logits], dtype=torch.float64)
    slopes = pair_slopes(constant, len(logits)) if slopes is None else slopes
    return float(certified_radii(z, ZERO + error, torch.tensor([label]), slopes)[0])


def test_by_hand():
    assert radius([2.0, 1.0, 0.0]) == pytest.approx(SHAVE / math.sqrt(2), rel=1e-12)
    assert radius([2.0, 1.0, 0.0], constant=4.0) == pytest.approx(SHAVE / math.sqrt(32), rel=1e-12)
    assert radius([2.0, 1.0, 0.0], error=0.1) == pytest.approx(SHAVE * 0.6 / math.sqrt(2), rel=1e-12)
    assert radius([2.0, 1.0, 0.0], label=1) == 0
    slopes = torch.tensor([[0.0, 1.0, 10.0], [1.0, 0.0, 1.0], [10.0, 1.0, 0.0]], dtype=torch.float64)
    assert radius([2.0, 1.0, 0.0], slopes=slopes) == pytest.approx(0.2 * SHAVE, rel=1e-12)


def test_each_class_has_a_radius_of_its_own():
    z = torch.tensor([[3.0, 1.0, 0.0], [0.0, 1.0, -1.0]], dtype=torch.float64)
    radii = class_radii(z, torch.zeros(2), torch.tensor([0, 0]), pair_slopes(2.0, 3))
    expected = torch.tensor(
        [[LARGEST_RADIUS, 1 / math.sqrt(2), 1.5 / math.sqrt(2)], [LARGEST_RADIUS, 0.0, 0.5 / math.sqrt(2)]]
    )
    torch.testing.assert_close(radii, expected.double(), rtol=3e-6, atol=0)
    assert torch.equal(
        radii.min(1).values, certified_radii(z, torch.zeros(2), torch.tensor([0, 0]), pair_slopes(2.0, 3))
    )


@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_pair_slopes_by_hand(seed, constant):
    rows = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    exact = (rows[:, None] - rows).norm(dim=-1) * constant
    slopes = pair_slopes(constant, 4, rows)
    assert bool((slopes >= exact).all())
    torch.testing.assert_close(slopes, exact, rtol=1e-13, atol=0)
    torch.testing.assert_close(pair_slopes(constant, 2)[0, 1].item(), constant * math.sqrt(2), rtol=1e-13, atol=0)
    assert not pair_slopes(0.0, 4, rows).any()


@pytest.mark.parametrize("logits", [[1.0, 1.0], [math.nan, 0.0], [math.inf, 0.0], [0.0, -math.inf], [-1.0, 0.0]])
def test_nothing_to_certify(logits):
    assert radius(logits) == 0


@pytest.mark.parametrize(("error", "constant"), [(math.inf, 1.0), (math.nan, 1.0), (0.0, math.inf), (1.0, 1.0)])
def test_broken_bounds_certify_nothing(error, constant):
    assert radius([2.0, 0.0], error=error, constant=constant) == 0


def test_infinite_radii_are_capped():
    assert radius([1.0, 0.0], constant=0.0) == LARGEST_RADIUS
    assert radius([1.0, 0.0], slopes=torch.zeros(2, 2, dtype=torch.float64)) == LARGEST_RADIUS
    assert radius([1.0, 1.0], slopes=torch.zeros(2, 2, dtype=torch.float64)) == 0


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_never_above_the_exact_radius(margin, constant):
    assert radius([margin, 0.0], constant=constant) * constant * math.sqrt(2) <= margin


@given(st.integers(-300, 300))
def test_pair_norms_are_upper_bounds_at_any_scale(exponent):
    w = torch.randn(4, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(exponent + 300))
    exact = torch.cdist(w, w, compute_mode="donot_use_mm_for_euclid_dist")
    norms = pair_norms(w * 2.0**exponent) / 2.0**exponent
    off = ~torch.eye(4, dtype=torch.bool)
    assert bool((norms[off] >= exact[off]).all())
    torch.testing.assert_close(norms, exact, rtol=1e-13, atol=0)


def test_pair_norms_of_equal_rows_are_exactly_zero():
    w = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0 + 2.0**-40]], dtype=torch.float64)
    norms = pair_norms(w)
    assert float(norms[0, 1]) == 0
    assert float(norms[0, 2]) >= 2.0**-40
    assert not pair_norms(torch.zeros(3, 2)).any()
