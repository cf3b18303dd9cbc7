"""Norms of the gradient of a scalar function."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from onelip import layers
from onelip.pictures import GradientNorms, gradient_norms
from onelip.pictures.canvas import new_figure


def test_they_are_those_of_a_linear_map_and_its_constant():
    model = nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.36, 0.0, -0.48]]))
    found = gradient_norms(model, torch.randn(7, 3), batch_size=3)
    assert found.values == pytest.approx(np.full(7, 0.6), rel=1e-7)
    assert found.bound.proved
    assert 0.6 * (1 - 1e-7) <= found.bound.value <= 0.6 * (1 + 1e-6)


def test_they_follow_the_points_and_never_exceed_what_is_proved():
    model = nn.Sequential(layers.BjorckLinear(2, 16), layers.MaxMin(), layers.BjorckLinear(16, 1))
    points = torch.randn(50, 2)
    found = gradient_norms(model, points)
    plain = layers.to_plain(model).double()
    step = 1e-6
    moved = [points.double() + step * torch.eye(2).double()[k] for k in range(2)]
    with torch.no_grad():
        slopes = torch.stack([(plain(x) - plain(points.double()))[:, 0] / step for x in moved], 1)
    assert found.values == pytest.approx(slopes.norm(dim=1).numpy(), abs=1e-5)
    assert found.values.max() <= found.bound.value
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_quantiles_are_shares_of_the_points():
    found = gradient_norms(nn.Linear(2, 1), torch.zeros(1, 2))
    spread = GradientNorms(np.linspace(0, 1, 101), found.bound)
    assert spread.quantiles(0, 0.25, 1) == pytest.approx((0.0, 0.25, 1.0))


def test_the_histogram_has_all_points_and_both_lines(tmp_path):
    spread = GradientNorms(np.array([0.25, 0.5, 0.5, 1.0]), gradient_norms(nn.Linear(2, 1), torch.zeros(1, 2)).bound)
    figure = new_figure(3, 3)
    axes = figure.add_subplot()
    spread.draw(axes)
    (stairs,) = axes.patches
    assert stairs.get_data().values.sum() == pytest.approx(100.0)
    constant, middle = (line.get_xdata()[0] for line in axes.lines)
    assert (constant, middle) == (spread.bound.value, 0.5)
    spread.plot(tmp_path / "g.png")
    with Image.open(tmp_path / "g.png") as picture:
        assert picture.size == (960, 760)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"points of shape \(0, 2\)"):
        gradient_norms(nn.Linear(2, 1), torch.zeros(0, 2))
    with pytest.raises(ValueError, match=r"model in gradient_norms gives outputs of shape \(3, 2\) for 3 points"):
        gradient_norms(nn.Linear(2, 2), torch.zeros(3, 2))
