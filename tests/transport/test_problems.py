"""The problems with known answers."""

import pytest
import torch

from onelip.transport import (
    absolute_value,
    exact_wasserstein1,
    high_dimensional_cone,
    optimal_potential,
    sample_generator,
    three_cones,
)


@pytest.mark.parametrize(
    ("problem", "shape"),
    [
        (absolute_value(), (1,)),
        (three_cones(), (2,)),
        (high_dimensional_cone(), (128,)),
        (high_dimensional_cone(5), (5,)),
    ],
)
def test_the_stated_distance_is_that_of_theory_and_the_potential_attains_it(problem, shape):
    assert problem.p.shape == problem.q.shape == shape
    assert problem.exact == pytest.approx(1 - 1e-7, abs=1e-14)
    assert exact_wasserstein1(problem.p, problem.q) == pytest.approx(problem.exact, abs=1e-12)
    potential = optimal_potential(problem.p, problem.q)
    x, y = (d(500, sample_generator(0, 0)) for d in (problem.p, problem.q))
    assert float(potential(x).mean() - potential(y).mean()) == pytest.approx(problem.exact, abs=1e-12)


def test_no_dimension_is_refused():
    with pytest.raises(ValueError, match="dim=0 in high_dimensional_cone"):
        high_dimensional_cone(0)


def test_the_circles_of_the_three_cones_touch():
    y = three_cones().q(2000, sample_generator(0, 0))
    assert float(y[:, 0].min()) < -2.99
    assert float(torch.cdist(y, torch.tensor([[1.0, 0.0]]).double()).min()) < 0.05
