"""Distances in closed form, against quantiles, integrals and exact distances of samples."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from onelip.transport import (
    Gaussian,
    Mixture,
    PointMasses,
    Samples,
    SphericalShells,
    Translated,
    discrete_wasserstein1,
    exact_wasserstein1,
    sample_generator,
)
from onelip.transport.exact import as_finite, resolved, translation

THREE = [[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]]
NUMBERS = st.floats(-5, 5)
POSITIVE = st.floats(0.1, 4)


@given(NUMBERS, POSITIVE, NUMBERS, POSITIVE)
def test_gaussians_on_the_line_are_apart_by_the_area_between_their_distribution_functions(m, s, k, t):
    x = np.linspace(-40, 40, 20_001)
    expected = integrate.trapezoid(np.abs(stats.norm.cdf(x, m, s) - stats.norm.cdf(x, k, t)), x)
    # The trapezoids are wrong by h^2 / 12 times the change of the slope, at most 1 / s + 1 / t, and h at a kink.
    assert exact_wasserstein1(Gaussian(m, s), Gaussian(k, t)) == pytest.approx(expected, abs=1e-4)


def test_gaussians_that_differ_in_one_coordinate_are_those_of_the_line():
    wide = exact_wasserstein1(Gaussian([1.0, 7.0], [2.0, 3.0]), Gaussian([2.0, 7.0], [5.0, 3.0]))
    assert wide == exact_wasserstein1(Gaussian(1.0, 2.0), Gaussian(2.0, 5.0))
    assert exact_wasserstein1(Gaussian([0.0, 0.0], [1.0, 2.0]), Gaussian([3.0, 4.0], [1.0, 2.0])) == 5
    with pytest.raises(ValueError, match="Gaussians that differ in several standard deviations"):
        exact_wasserstein1(Gaussian([0.0, 0.0]), Gaussian([0.0, 1.0], [2.0, 2.0]))


@pytest.mark.parametrize("centers", [[[1.0, 2.0, 3.0]], THREE, [*THREE, [0.0, 5.0]]])
def test_concentric_shells_are_apart_by_the_difference_of_their_radii(centers):
    p, q = SphericalShells(centers, 0.25), SphericalShells(list(reversed(centers)), 1.0)
    assert exact_wasserstein1(p, q) == exact_wasserstein1(q, p) == 0.75


def test_of_touching_spheres_the_stated_distance_is_what_samples_come_to():
    # With as many samples around each centre, so that no mass has to change centres.
    generator = sample_generator(0, 0)
    around = [torch.cat([SphericalShells([center], r)(100, generator) for center in THREE]) for r in (0.2, 1.0)]
    found = discrete_wasserstein1(*around).value
    assert 0.8 <= found <= 0.85


def test_beyond_the_condition_the_difference_of_radii_is_too_large_and_refused():
    p, q = SphericalShells(THREE, 0.1), SphericalShells(THREE, 2.0)
    generator = sample_generator(0, 0)
    apart = [torch.cat([SphericalShells([c], r)(150, generator) for c in THREE]) for r in (0.1, 2.0)]
    assert discrete_wasserstein1(*apart).value < 1.9 - 0.2
    with pytest.raises(
        ValueError, match=r"radius=2.0 of SphericalShells is more than half the least distance 2 of two"
    ):
        exact_wasserstein1(p, q)
    assert exact_wasserstein1(SphericalShells(THREE, 0.5), SphericalShells(THREE, 1.0)) == 0.5


def test_shells_around_different_centres_are_refused():
    with pytest.raises(ValueError, match="around different centres"):
        exact_wasserstein1(SphericalShells([[0.0, 0.0]], 1.0), SphericalShells([[1.0, 0.0]], 2.0))


def test_shells_on_the_line_are_points():
    p, q = SphericalShells([[0.0], [1.0]], 3.0), SphericalShells([[0.5]], 1.0)
    expected = stats.wasserstein_distance([-3, 3, -2, 4], [-0.5, 1.5])
    assert exact_wasserstein1(p, q) == pytest.approx(expected, abs=1e-12)
    assert exact_wasserstein1(SphericalShells([[0.0]], 3.0), SphericalShells([[0.0]], 1.0)) == 2
    crossed = SphericalShells([[0.0], [1.0]], 3.0), SphericalShells([[0.0], [1.0]], 1.0)
    expected = stats.wasserstein_distance([-3, 3, -2, 4], [-1, 1, 0, 2])
    assert exact_wasserstein1(*crossed) == pytest.approx(expected, abs=1e-12)
    image = SphericalShells([[0.5]], 1.0, empty_dim=3, grid=(2, 2))
    assert as_finite(image).points.shape == (2, 1, 2, 2)


BASES = [
    Gaussian([1.0, 2.0], [3.0, 4.0]),
    SphericalShells(THREE, 5.0),
    SphericalShells([[0.5]], 1.0, empty_dim=1),
    PointMasses([[0.0, 1.0], [2.0, 3.0]], [1, 2]),
    Samples(torch.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]])),
    Mixture([Gaussian([0.0, 0.0]), PointMasses([[1.0, 1.0]])]),
]


@pytest.mark.parametrize("base", BASES, ids=lambda base: type(base).__name__)
def test_translations_are_as_long_as_their_vectors(base):
    once, back = Translated(base, [3.0, 4.0]), Translated(base, [-3.0, -4.0])
    twice = Translated(Translated(base, [1.0, 1.0]), [2.0, 3.0])
    assert exact_wasserstein1(base, once) == exact_wasserstein1(once, base) == 5
    assert exact_wasserstein1(once, back) == 10
    assert exact_wasserstein1(once, twice) == exact_wasserstein1(base, base) == 0
    if not isinstance(base, PointMasses):
        assert translation(resolved(base), resolved(once)) == (3.0, 4.0)
    x, y = (d(7, sample_generator(0, 0)) for d in (once, resolved(once)))
    torch.testing.assert_close(x, y)


def test_finite_sets_are_exact():
    p, q = PointMasses([[0.0], [4.0]], [1, 3]), Samples(torch.tensor([[1.0], [2.0]]))
    expected = stats.wasserstein_distance([0, 4], [1, 2], [1, 3], [1, 1])
    assert exact_wasserstein1(p, q) == pytest.approx(expected, abs=1e-12)


def test_what_is_not_known_is_refused():
    with pytest.raises(ValueError, match="the distance of Gaussian and PointMasses is not known in closed form"):
        exact_wasserstein1(Gaussian(0.0), PointMasses([[0.0]]))
    with pytest.raises(ValueError, match=r"samples of shapes \(1,\) and \(2,\) have no distance"):
        exact_wasserstein1(Gaussian(0.0), Gaussian([0.0, 1.0]))
    with pytest.raises(ValueError, match="the distance of function and Gaussian is not known"):
        exact_wasserstein1(lambda n, g: torch.rand(n, 1, generator=g), Gaussian(0.0))


def test_equal_gaussians_and_far_ones():
    assert exact_wasserstein1(Gaussian(1.0), Gaussian(1.0)) == 0
    assert exact_wasserstein1(Gaussian(0.0, 1.0), Gaussian(0.0, 3.0)) == pytest.approx(2 * math.sqrt(2 / math.pi))
    assert np.isclose(exact_wasserstein1(Gaussian(-1e6, 1.0), Gaussian(1e6, 1.0 + 1e-9)), 2e6)
