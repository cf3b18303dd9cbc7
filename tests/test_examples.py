"""The examples: shapes against dense samples of their boundaries, and every script from arguments to picture."""

import math
import re

import numpy as np
import pytest
import torch
from examples import hinge_kr, one_class, signed_distance
from examples.scalar_network import certified_radii, scalar_network, value_and_gradient
from examples.shapes import SHAPES, Shape
from PIL import Image
from torch import nn

AREAS = {
    "circle": math.pi,
    "box": 2.4 * 1.4,
    "union": math.pi * (0.6**2 + 0.4**2) + 1.2 * 1.3,
    "star": 5 * 1.2 * 0.55 * math.sin(math.pi / 5),
}


def _anywhere(n: int) -> torch.Tensor:
    return 4 * torch.rand(n, 2, dtype=torch.float64) - 2


@pytest.mark.parametrize("name", SHAPES)
def test_distances_are_those_of_the_nearest_point_of_the_boundary(name):
    points, shape, spacing = _anywhere(300), SHAPES[name], 2e-3
    nearest = torch.cdist(points, shape.boundary(spacing)).amin(1)
    distance = shape.distance(points).abs()
    assert bool((distance <= nearest + 1e-12).all())
    assert bool((nearest <= distance + spacing / 2).all())


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_negative_has_the_area_of_the_shape(name):
    side = (torch.arange(400, dtype=torch.float64) + 0.5) / 100 - 2
    grid = torch.cartesian_prod(side, side)
    area = float((SHAPES[name].distance(grid) < 0).sum()) * 1e-4
    assert area == pytest.approx(AREAS[name], abs=0.02)


def test_neighbours_on_a_boundary_are_no_further_apart_than_was_said():
    for name in ("circle", "box", "star"):
        boundary = SHAPES[name].boundary(0.013)
        gaps = (boundary - boundary.roll(1, 0)).norm(dim=1)
        assert 0.012 < float(gaps.max()) <= 0.013 + 1e-12
        assert float(SHAPES[name].distance(boundary).abs().max()) < 1e-12


def test_a_gradient_can_be_differentiated_with_respect_to_the_weights():
    model = scalar_network(widths=(8,)).double()
    points = _anywhere(5)
    values, gradient = value_and_gradient(model, points, again=True)
    assert torch.allclose(values, model(points)[:, 0])
    gradient.square().sum().backward()
    raw = model[0].raw_weight
    step = 1e-6 * torch.randn_like(raw)
    slopes = []
    for sign in (1, -1):
        with torch.no_grad():
            raw.add_(sign * step)
        slopes.append(value_and_gradient(model, points)[1].square().sum())
        with torch.no_grad():
            raw.sub_(sign * step)
    assert float((slopes[0] - slopes[1]) / 2) == pytest.approx(float((raw.grad * step).sum()), rel=1e-4, abs=1e-12)


def test_certified_radii_are_values_over_the_constant_and_0_on_the_wrong_side():
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 4.0]]))
        model.bias.zero_()
    points = torch.tensor([[1.0, 0.0], [0.0, -1.0], [1.0, 1.0]])
    radii = certified_radii(model, points, torch.tensor([True, False, False]))
    assert radii == pytest.approx([0.6, 0.8, 0.0], rel=1e-5)
    assert (radii <= [0.6, 0.8, 0.0]).all()


@pytest.mark.parametrize("name", hinge_kr.PROBLEMS)
def test_problems_have_both_classes_within_the_square(name):
    points, inside = hinge_kr.PROBLEMS[name](2000, torch.Generator().manual_seed(0))
    assert points.shape == (2000, 2)
    assert 0.45 < float(inside.double().mean()) < 0.55
    assert float((points.abs().amax(1) < 2).double().mean()) > 0.99
    again, _ = hinge_kr.PROBLEMS[name](2000, torch.Generator().manual_seed(0))
    assert torch.equal(points, again)


def test_two_classes_are_separated(tmp_path, capsys):
    hinge_kr.main(["--problems", "circles", "--steps", "60", "--out", str(tmp_path / "a.png")])
    header, row, where = capsys.readouterr().out.splitlines()
    assert header.startswith("problem")
    accuracy, constant = re.match(r"circles +([\d.]+)% +([\d.]+)", row).groups()
    assert float(accuracy) > 90
    assert float(constant) <= 1.00001
    assert where == f"picture in {tmp_path / 'a.png'}"
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (760, 1240)


def test_newtons_steps_go_to_the_level_set():
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.5, 0.0]]))
    points = one_class.adversarial(model, 200, -0.25, 30, torch.Generator().manual_seed(0))
    assert points[:, 0].numpy() == pytest.approx(np.full(200, -0.5), abs=1e-3)
    uniform = one_class.adversarial(model, 200, -0.25, 0, torch.Generator().manual_seed(0))
    assert torch.equal(points[:, 1], uniform[:, 1])
    kept = one_class.adversarial(model, 50, 5.0, 30, torch.Generator().manual_seed(0))
    assert float(kept.abs().max()) <= 2


def test_areas_under_curves():
    values, inside = torch.tensor([3.0, 1.0, 2.0, 0.0]), torch.tensor([True, True, False, False])
    assert one_class.area_under_curve(values[inside], values[~inside]) == 0.75
    assert one_class.worst_area(values, inside, 0.25) == 0.75
    assert one_class.worst_area(values, inside, 0.5) == 0.5
    assert one_class.worst_area(values, inside, 2.0) == 0.0


def test_one_class_is_learned_against_both_kinds_of_points(tmp_path, capsys):
    one_class.main(["--steps", "60", "--batch", "96", "--out", str(tmp_path / "a.png")])
    table = capsys.readouterr().out
    for area in re.search(r"area under the ROC curve +([\d.]+) +([\d.]+)", table).groups():
        assert float(area) > 0.8
    assert (tmp_path / "a.png").stat().st_size > 50_000


def test_what_is_said_to_be_free_is_free_whatever_was_learned():
    shape = Shape(discs=((0.3, -0.2, 0.8),))
    torch.manual_seed(0)
    bound = signed_distance.guarantee(scalar_network(widths=(16,)), shape)
    # A network that was not trained is far from 0 on the boundary, and knows nothing near it.
    assert bound.excess > 0.1
    points = _anywhere(2000)
    assert bool((bound.free(points) <= shape.distance(points).abs()).all())


def test_a_ray_goes_through_a_boundary_if_steps_are_too_long():
    class Exact(nn.Module):
        def forward(self, x):
            return 3 * SHAPES["circle"].distance(x)[:, None]

    crossed, _ = signed_distance.trace(signed_distance.Guarantee(Exact(), 1.0, 0.0), SHAPES["circle"], 50, 0)
    assert crossed > 0
    crossed, steps = signed_distance.trace(signed_distance.Guarantee(Exact(), 3.0, 1e-6), SHAPES["circle"], 50, 0)
    assert crossed == 0
    assert steps > 1


def test_signed_distances_are_learned_by_both_losses(tmp_path, capsys):
    signed_distance.main(["--shape", "circle", "--steps", "60", "--batch", "64", "--out", str(tmp_path / "a.png")])
    table = capsys.readouterr().out
    regression, eikonal = map(float, re.search(r"mean \|f - distance\| +([\d.]+) +([\d.]+)", table).groups())
    # A function that is 0 everywhere is off by 0.62.
    assert regression < 0.2
    assert eikonal < 0.5
    assert re.search(r"went through the boundary +0 +0\n", table)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (2340, 1320)
