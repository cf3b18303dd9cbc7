import pytest
import torch

from onelip.attacks.ball import distances
from onelip.attacks.neighbours import at_border, lattice


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_points_go_to_the_border_along_their_ray(norm):
    origin, point = torch.rand(4, 3).double(), torch.rand(4, 3).double()
    radius = torch.tensor([1e-3, 1.0, 1e6, 0.5], dtype=torch.float64)
    moved = at_border(point, origin, radius, norm)
    assert torch.allclose(distances(moved, origin, norm), radius, rtol=1e-9)
    cosine = torch.nn.functional.cosine_similarity(moved - origin, point - origin)
    assert torch.allclose(cosine, torch.ones(4).double())
    assert torch.equal(at_border(origin, origin, radius, norm), origin)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_lattice_is_made_of_neighbours(dtype):
    generator = torch.Generator().manual_seed(0)
    origin = torch.rand(2, 5).double()
    point = (origin + 0.1).to(dtype)
    direction = torch.randn(2, 5).double()
    found = lattice(point, origin, 0.1, direction, 90, generator)
    assert found.dtype == dtype
    assert len(torch.unique(found, dim=0)) > 60
    # The shares of the radius are within 1e-9 of 1, moves within 30 units in the last place.
    assert bool(((found.double() - point.double()).abs() <= 1e-9 + 40 * torch.finfo(dtype).eps).all())
    first = (found[0] - point).sign()
    assert torch.equal(first, direction.sign().to(dtype))


def test_a_ball_without_extent_is_searched_around_its_centre():
    origin = torch.rand(4).double()
    found = lattice(origin + 1, origin, 0.0, torch.ones(4), 9, torch.Generator().manual_seed(0))
    assert bool(((found - origin).abs() < 1e-14).all())
