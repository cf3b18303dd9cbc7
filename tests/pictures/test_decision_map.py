"""Maps of scalar functions of the plane."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from onelip import layers
from onelip.pictures import decision_map, grid_points
from onelip.pictures.canvas import new_figure

LOW, HIGH = (-1.0, 0.0), (1.0, 4.0)


@pytest.fixture
def slope() -> nn.Linear:
    """f = 0.6 x - 0.8 y + 1, of constant 1 up to rounding."""
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.6, -0.8]]))
        model.bias.fill_(1.0)
    return model


def test_rows_go_up_and_columns_to_the_right(slope):
    found = decision_map(slope, LOW, HIGH, resolution=5)
    assert found.x.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert found.y.tolist() == [0, 1, 2, 3, 4]
    expected = 0.6 * found.x[None, :] - 0.8 * found.y[:, None] + 1
    assert found.values == pytest.approx(expected, abs=1e-6)
    grid = grid_points(LOW, HIGH, 5)
    assert grid[:6].tolist() == [[-1, 0], [-0.5, 0], [0, 0], [0.5, 0], [1, 0], [-1, 1]]


def test_radii_are_distances_to_the_line_and_0_on_its_wrong_side(slope):
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 5.0], [1.0, 2.0]])
    found = decision_map(slope, LOW, HIGH, points=points, inside=torch.tensor([True, False, False, True]), resolution=2)
    assert found.bound.proved
    assert found.radii == pytest.approx([1.0, 0.0, 3.0, 0.0], abs=1e-6)


def test_the_constant_is_of_the_plain_form_and_the_model_is_left_alone():
    model = nn.Sequential(layers.BjorckLinear(2, 8), layers.MaxMin(), layers.BjorckLinear(8, 1))
    found = decision_map(model, LOW, HIGH, resolution=3)
    with torch.no_grad():
        expected = layers.to_plain(model).double()(grid_points(LOW, HIGH, 3))
    assert np.array_equal(found.values.reshape(-1), expected[:, 0].numpy())
    steepest = np.abs(np.diff(found.values) / np.diff(found.x)).max()
    assert steepest <= found.bound.value <= 1 + 1e-5
    assert model.training


def test_a_difference_is_taken_point_by_point(slope):
    grid = grid_points(LOW, HIGH, 4)
    found = decision_map(slope, LOW, HIGH, resolution=4).difference(grid[:, 0])
    assert found.wanted == pytest.approx(np.tile(found.x, (4, 1)))
    assert found.values == pytest.approx(-0.4 * found.x[None, :] - 0.8 * found.y[:, None] + 1, abs=1e-6)


def test_the_picture_has_the_zero_set_where_it_is(slope, tmp_path):
    outline = grid_points(LOW, HIGH, 21)[:, 0]
    points, inside = torch.tensor([[0.0, 0.5], [0.5, 3.5]]), torch.tensor([True, False])
    found = decision_map(
        slope, LOW, HIGH, points=points, inside=inside, levels=(-0.5, 9.0, 0.5), outline=outline, resolution=21
    )
    axes = new_figure(4, 4).add_subplot()
    found.draw(axes)
    filled, levels, zero, wanted, *_ = axes.collections
    assert levels.levels.tolist() == [-0.5, 0.5], "a level that is not attained is left out"
    line = np.concatenate([path.vertices for path in zero.get_paths()])
    assert line @ [0.6, -0.8] == pytest.approx(-1, abs=1e-5)
    assert np.concatenate([path.vertices for path in wanted.get_paths()])[:, 0] == pytest.approx(0, abs=1e-6)
    assert 0 in filled.levels
    assert [circle.radius for circle in axes.patches] == pytest.approx(found.radii)
    assert axes.get_xlabel().splitlines() == [
        "bold: f = 0; dashed: f = -0.5, 0.5, 9",
        "green: what was wanted; circles: |f| / constant",
    ]
    found.plot(tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as picture:
        assert picture.size == (1200, 960)


def test_many_levels_are_named_by_their_ends(slope):
    axes = new_figure(4, 4).add_subplot()
    decision_map(slope, LOW, HIGH, levels=(-1, -0.5, 0, 0.5, 1), resolution=3).draw(axes)
    assert axes.get_xlabel() == "bold: f = 0; dashed: f = -1 to 1"


def test_a_difference_says_how_large_it_is(slope):
    axes = new_figure(4, 4).add_subplot()
    decision_map(slope, LOW, HIGH, resolution=3).difference(torch.zeros(9)).draw(axes)
    assert axes.get_xlabel() == "from -2.8 to 1.6; green: what was wanted"


def test_what_cannot_be_is_refused(slope):
    with pytest.raises(ValueError, match=r"points=\(3, 2\) and inside=None in decision_map"):
        decision_map(slope, LOW, HIGH, points=torch.zeros(3, 2))
    with pytest.raises(ValueError, match="outline has 3 values in decision_map; the grid has 16 points"):
        decision_map(slope, LOW, HIGH, outline=torch.zeros(3), resolution=4)
    with pytest.raises(ValueError, match="resolution=1 in grid_points"):
        decision_map(slope, LOW, HIGH, resolution=1)
    with pytest.raises(ValueError, match="it must have one output"):
        decision_map(nn.Linear(2, 2), LOW, HIGH, resolution=3)
    with pytest.raises(ValueError, match="wanted has 4 values in difference; the grid has 9 points"):
        decision_map(slope, LOW, HIGH, resolution=3).difference(torch.zeros(4))
