import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from onelip.attacks.ball import checked_balls, distances, project, random_in_ball, rescaled, row_norm, row_sum, steepest

SLACK = 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.01, 2.0))
def test_projection_is_in_ball_and_box(seed, radius):
    g = torch.Generator().manual_seed(seed)
    origin = torch.rand(5, 3, 4, generator=g)
    x = origin + 2 * torch.randn(5, 3, 4, generator=g)
    r = torch.full((5, 1, 1), radius)
    y = project(x, origin, r, (0.0, 1.0))
    assert bool((y >= 0).all() & (y <= 1).all())
    assert bool((row_norm(y - origin) <= r * (1 + SLACK)).all())


@pytest.mark.parametrize("seed", range(5))
def test_projection_is_the_nearest_point(seed):
    g = torch.Generator().manual_seed(seed)
    origin = torch.rand(1, 6, generator=g, dtype=torch.float64)
    x = origin + torch.randn(1, 6, generator=g, dtype=torch.float64)
    y = project(x, origin, torch.full((1, 1), 0.6, dtype=torch.float64), (0.0, 1.0))
    ball = {"type": "ineq", "fun": lambda p: 0.36 - ((p - origin.numpy()[0]) ** 2).sum()}
    best = minimize(
        lambda p: ((p - x.numpy()[0]) ** 2).sum(),
        origin.numpy()[0],
        bounds=[(0, 1)] * 6,
        constraints=[ball],
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    assert float(((y - x) ** 2).sum()) == pytest.approx(best.fun, rel=1e-5)


def test_points_inside_stay():
    origin = torch.full((2, 3), 0.5)
    x = origin + 0.1
    assert torch.equal(project(x, origin, torch.ones(2, 1), (0.0, 1.0)), x)


def test_random_points_fill_the_ball_uniformly():
    x = torch.zeros(20_000, 3)
    radius = torch.full((20_000, 1), 2.0)
    norms = row_norm(random_in_ball(x, radius, torch.Generator().manual_seed(0))).flatten()
    assert float(norms.max()) <= 2.0 * (1 + SLACK)
    # P(norm < r/2) = (1/2)^3; three standard errors of 20,000 draws.
    assert float((norms < 1.0).float().mean()) == pytest.approx(0.125, abs=3 * (0.125 * 0.875 / 20_000) ** 0.5)


NORMS = ["l2", "linf"]
NOWHERE = (-torch.inf, torch.inf)


def _lengths(offset, norm):
    return torch.linalg.vector_norm(offset.flatten(1), 2 if norm == "l2" else torch.inf, dim=1)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(1e-9, 2.0), st.sampled_from(NORMS), st.booleans())
def test_balls_hold_what_they_project_and_draw(seed, radius, norm, boxed):
    g = torch.Generator().manual_seed(seed)
    origin = torch.rand(5, 3, 4, generator=g)
    balls = checked_balls(origin, radius, norm, (0.0, 1.0) if boxed else NOWHERE)
    far = origin + 2 * torch.randn(5, 3, 4, generator=g)
    for point in (balls.project(far), balls.random(g)):
        assert not boxed or bool((point >= 0).all() & (point <= 1).all())
        assert bool((distances(point, origin, norm) <= radius * (1 + SLACK)).all())
        assert torch.equal(distances(point, origin, norm), _lengths(point.double() - origin.double(), norm))


@pytest.mark.parametrize("norm", NORMS)
def test_points_without_a_box_go_straight_to_the_sphere(norm):
    origin, far = torch.zeros(3, 4, dtype=torch.float64), 5 * torch.randn(3, 4, dtype=torch.float64)
    projected = checked_balls(origin, 0.5, norm, NOWHERE).project(far)
    nearest = 0.5 * far / far.norm(dim=1, keepdim=True) if norm == "l2" else far.clamp(-0.5, 0.5)
    assert torch.allclose(projected, nearest, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-320, 1e-160, 1.0, 1e300])
def test_steepest_steps_have_length_one_at_every_scale(scale):
    gradient = torch.tensor([[3.0, 0.0], [0.0, -4.0], [0.0, 0.0]], dtype=torch.float64) * scale
    for norm in NORMS:
        assert torch.allclose(steepest(gradient, norm), torch.tensor([[1.0, 0], [0, -1], [0, 0]]).double())
    assert torch.equal(steepest(torch.tensor([[torch.nan, 1.0], [torch.inf, 1.0]]), "l2"), torch.zeros(2, 2))


def test_choosing_balls_keeps_their_radii():
    balls = checked_balls(torch.zeros(3, 2), torch.tensor([1.0, 2.0, 3.0]), "linf", NOWHERE)
    assert balls[torch.tensor([2, 0])].radius.flatten().tolist() == [3.0, 1.0]


def test_gradients_are_rescaled_by_their_largest_entry():
    g = torch.tensor([[1e-40, -2e-40], [3e38, 1e38], [0.0, 0.0], [torch.nan, 1.0]])
    scaled = rescaled(g)
    assert torch.allclose(scaled, torch.tensor([[0.5, -1.0], [1.0, 1 / 3], [0.0, 0.0], [0.0, 0.0]]))
    assert row_sum(scaled).flatten().tolist() == pytest.approx([1.5, 4 / 3, 0.0, 0.0], rel=1e-5)


@pytest.mark.parametrize("box", [(0.0, 1.0), (0.0, torch.inf), NOWHERE])
def test_projection_reaches_the_border_of_ball_or_box(box):
    g = torch.Generator().manual_seed(0)
    origin = (torch.rand(50, 30, generator=g) * 1.4 - 0.2).clamp(0, 1)
    x = origin + torch.randn(50, 30, generator=g)
    radius = torch.linspace(0.02, 1.5, 50)[:, None]
    y = project(x, origin, radius, box)
    length = row_norm(y - origin)
    assert bool((length <= radius).all())
    assert bool((length >= radius * (1 - 1e-5)).all())


def test_where_the_box_ends_before_the_ball_the_corner_is_the_nearest_point():
    origin, x = torch.full((1, 4), 0.9), torch.full((1, 4), 5.0)
    assert torch.equal(project(x, origin, torch.full((1, 1), 3.0), (0.0, 1.0)), torch.ones(1, 4))


def test_gradients_of_any_size_have_their_direction():
    gradient = torch.tensor([[3.0, 4.0], [3e-30, 4e-30], [0.0, 0.0], [torch.nan, 1.0]])
    expected = torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0], [0.0, 0.0]])
    assert torch.allclose(steepest(gradient, "l2"), expected)
    assert torch.allclose(steepest(gradient[:1], "l2"), expected[:1])
