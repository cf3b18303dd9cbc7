"""Uniform distributions on spheres."""

import pytest
import torch

from onelip.transport import SphericalShells, sample_generator

CENTERS = [[-2.0, 0.0], [0.0, 1.0], [2.0, 0.0]]


def _samples(shells, n=6000):
    return shells(n, sample_generator(0, 0))


def test_every_sample_is_on_the_sphere_of_one_centre_and_centres_are_equally_likely():
    x = _samples(SphericalShells(CENTERS, 0.5))
    distances = torch.cdist(x, torch.tensor(CENTERS).double(), compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distances.min(dim=1)
    assert nearest.values.sub(0.5).abs().max() < 1e-14
    # Five standard deviations of a binomial with 6000 trials.
    assert torch.bincount(nearest.indices).sub(2000).abs().max() < 183


def test_directions_are_uniform():
    x = _samples(SphericalShells([[0.0, 0.0, 0.0]], 2.0))
    # On a sphere of radius r the coordinates have mean 0, variance r^2 / 3, and are uniform on [-r, r] in 3-D.
    assert x.mean(0).abs().max() < 5 * (4 / 3 / 6000) ** 0.5
    assert (x.T @ x / 6000 - 4 / 3 * torch.eye(3).double()).abs().max() < 0.1
    shares = torch.histc(x[:, 0], 4, -2, 2) / 6000
    assert shares.sub(0.25).abs().max() < 5 * (0.25 * 0.75 / 6000) ** 0.5


def test_on_the_line_it_is_two_points():
    x = _samples(SphericalShells([[3.0]], 2.0))
    assert x.unique().tolist() == [1.0, 5.0]
    assert abs(float((x == 5).double().mean()) - 0.5) < 5 * 0.5 / 6000**0.5


def test_empty_coordinates_and_the_shape_of_images():
    x = _samples(SphericalShells(CENTERS, 1.0, empty_dim=4, grid=(2, 3)), 50)
    assert x.shape == (50, 1, 2, 3)
    assert x.flatten(1)[:, 2:].abs().max() == 0
    assert x.flatten(1)[:, :2].equal(_samples(SphericalShells(CENTERS, 1.0), 50))
    assert SphericalShells(CENTERS, 1.0, empty_dim=4).shape == (6,)


def test_they_are_values():
    assert SphericalShells(CENTERS, 1.0) == SphericalShells(torch.tensor(CENTERS), 1.0)
    assert len({SphericalShells(CENTERS, 1.0), SphericalShells(CENTERS, 1.0), SphericalShells(CENTERS, 2.0)}) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, "radius=0.0 in SphericalShells must be positive"),
        ({"centers": [0.0]}, r"centers in SphericalShells has shape \(1,\)"),
        ({"centers": [[0.0], [0.0]]}, "has a centre twice"),
        ({"empty_dim": -1}, "empty_dim=-1 in SphericalShells must be an integer >= 0"),
        ({"grid": (2, 2)}, r"grid=\(2, 2\) in SphericalShells must be \(H, W\) with H \* W = 2 coordinates"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SphericalShells(**{"centers": CENTERS, "radius": 1.0} | arguments)
