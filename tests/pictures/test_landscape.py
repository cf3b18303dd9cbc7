"""Critics on the line and in the plane."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from onelip.models import build
from onelip.pictures import critic_curve, critic_surface
from onelip.transport import Gaussian, Mixture, SphericalShells, absolute_value

PLANE = SphericalShells([[0.0, 0.0]], 0.5), SphericalShells([[0.0, 0.0]], 1.0)


class Cone(nn.Module):
    """-c |x| of the first coordinate, by an absolute value, c times too steep."""

    def __init__(self, n, steepness=2.0):
        super().__init__()
        self.first = nn.Linear(n, 1, bias=False)
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(n)[:1] * -steepness)

    def forward(self, x):
        return -torch.abs(self.first(x))


def test_on_the_line_the_best_critic_lies_on_the_best_potential():
    problem = absolute_value()
    curve = critic_curve(Cone(1), problem.p, problem.q, n_samples=40, resolution=101)
    assert curve.positions.shape == curve.critic.shape == curve.dual.shape == (101,)
    assert curve.critic == pytest.approx(curve.dual, abs=1e-6)
    assert curve.dual_of == "the distributions"
    assert curve.constant == pytest.approx(2.0)
    assert curve.positions[0] == pytest.approx(-1.24, abs=1e-6)
    assert set(curve.samples_q) == {-1.0, 1.0}
    assert np.abs(curve.samples_p) == pytest.approx(np.full(40, 1e-7))


def test_where_the_best_potential_is_unknown_that_of_the_samples_is_taken():
    p, q = Mixture([Gaussian(-2.0, 0.3), Gaussian(2.0, 0.3)]), Gaussian(0.0)
    curve = critic_curve(Cone(1), p, q, n_samples=30)
    assert curve.dual_of == "these samples"
    slopes = np.abs(np.diff(curve.dual) / np.diff(curve.positions))
    assert slopes.max() <= 1 + 1e-9
    gain = np.interp(curve.samples_p, curve.positions, curve.dual).mean()
    assert gain > np.interp(curve.samples_q, curve.positions, curve.dual).mean() + 0.5


def test_in_the_plane_values_slopes_and_axes_are_where_they_belong():
    surface = critic_surface(Cone(2), *PLANE, n_samples=50, resolution=41)
    assert surface.critic.shape == surface.dual.shape == surface.gradient_norm.shape == (41, 41)
    x, y = np.meshgrid(surface.x, surface.y)
    offset = surface.critic + np.abs(x)
    assert offset == pytest.approx(np.full((41, 41), offset[0, 0]), abs=1e-6)
    offset = surface.dual + np.hypot(x, y)
    assert offset == pytest.approx(np.full((41, 41), offset[0, 0]), abs=1e-9)
    away = np.abs(x) > 1e-9
    assert surface.gradient_norm[away] == pytest.approx(np.ones(away.sum()), abs=1e-6)
    assert (surface.gradient_norm <= 1).all()
    assert surface.samples_p.shape == (50, 2)
    assert np.hypot(*surface.samples_q.T) == pytest.approx(np.ones(50))


def test_the_slope_of_a_network_is_at_most_one_everywhere():
    critic = build("mlp", input_shape=(1, 1, 2), n_classes=1, layer="bjorck", widths=[8, 8])
    surface = critic_surface(critic, *PLANE, resolution=31)
    assert 0.1 < surface.gradient_norm.max() <= 1 + 1e-12
    assert all(p.grad is None for p in critic.parameters())


def test_both_are_drawn_and_the_same_numbers_give_the_same_bytes(tmp_path):
    problem = absolute_value()
    curve = critic_curve(Cone(1), problem.p, problem.q, n_samples=20, resolution=50)
    curve.plot(tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size == (1280, 760)
    first = (tmp_path / "curve.png").read_bytes()
    curve.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes() == first
    critic_surface(Cone(2), *PLANE, n_samples=20, resolution=21).plot(tmp_path / "surface.png")
    with Image.open(tmp_path / "surface.png") as picture:
        assert picture.size[0] == 1920
        assert len(set(picture.convert("L").get_flattened_data())) > 50


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"samples of shape \(2,\) have no landscape here; it must be \(1,\)"):
        critic_curve(Cone(2), *PLANE)
    with pytest.raises(ValueError, match=r"samples of shape \(1,\) have no landscape here; it must be \(2,\)"):
        critic_surface(Cone(1), Gaussian(0.0), Gaussian(1.0))
    with pytest.raises(ValueError, match="resolution=1 in a landscape must be an integer >= 2"):
        critic_surface(Cone(2), *PLANE, resolution=1)
    with pytest.raises(ValueError, match=r"constant=0\.0 in the critic of a landscape must be positive"):
        critic_surface(Cone(2, 0.0), *PLANE)
