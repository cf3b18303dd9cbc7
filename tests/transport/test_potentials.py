"""Best potentials: 1-Lipschitz, and attaining the distance."""

import pytest
import torch

from onelip.transport import (
    Gaussian,
    PointMasses,
    Samples,
    SphericalShells,
    Translated,
    exact_wasserstein1,
    optimal_potential,
    sample_generator,
)

TWO = [[-2.0, 0.0], [2.0, 0.0]]
SET = Samples(torch.randn(8, 1, 2, 2))
PAIRS = {
    "shells": (SphericalShells(TWO, 0.5), SphericalShells(TWO, 2.0)),
    "shells in images": (SphericalShells([[0.0, 0.0]], 2.0, 2, (2, 2)), SphericalShells([[0.0, 0.0]], 0.5, 2, (2, 2))),
    "line": (SphericalShells([[0.0]], 0.5), SphericalShells([[0.0]], 2.0)),
    "means": (Gaussian([0.0, 1.0]), Gaussian([3.0, 5.0])),
    "wide": (Gaussian([0.0, 1.0], [1.0, 4.0]), Gaussian([0.0, 1.5], [1.0, 1.0])),
    "narrow": (Gaussian(0.5, 0.5), Gaussian(0.0, 2.0)),
    "points": (PointMasses([[0.0, 0.0], [1.0, 0.0]], [1, 2]), PointMasses([[0.0, 1.0], [5.0, 0.0]])),
    "moved": (SET, Translated(SET, [1.0, 0.0, 2.0, 2.0])),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_potential_attains_the_distance(name):
    p, q = PAIRS[name]
    f = optimal_potential(p, q)
    n = 40_000
    x, y = f(p(n, sample_generator(0, 0))), f(q(n, sample_generator(0, 1)))
    error = float((x.var() / n + y.var() / n).sqrt())
    assert float(x.mean() - y.mean()) == pytest.approx(exact_wasserstein1(p, q), abs=5 * error + 1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_no_two_values_are_further_apart_than_their_points(name):
    p, q = PAIRS[name]
    z = torch.cat([p(60, sample_generator(0, 0)), q(60, sample_generator(0, 1))])
    values = optimal_potential(p, q)(z + 0.1 * torch.randn(z.shape))
    z = z.double().flatten(1)
    noisy = torch.cat([z, z + 0.1])
    f = optimal_potential(p, q)(noisy.view(-1, *p.shape))
    far = torch.cdist(noisy, noisy, compute_mode="donot_use_mm_for_euclid_dist")
    assert ((f[:, None] - f).abs() - far).max() < 1e-12
    assert values.shape == (120,)
    assert values.dtype == torch.float64


def test_equal_distributions_have_a_constant_one():
    assert optimal_potential(Gaussian(0.0), Gaussian(0.0))(torch.rand(4, 1)).unique().tolist() == [0.0]


def test_what_is_not_known_is_refused():
    with pytest.raises(ValueError, match="the best potential of Gaussian and PointMasses is not known"):
        optimal_potential(Gaussian(0.0), PointMasses([[0.0]]))
    with pytest.raises(ValueError, match="the best potential of Gaussians that differ in several"):
        optimal_potential(Gaussian([0.0, 0.0]), Gaussian([0.0, 1.0], [2.0, 2.0]))
    with pytest.raises(ValueError, match="is more than half the least distance"):
        optimal_potential(SphericalShells(TWO, 0.5), SphericalShells(TWO, 3.0))
