"""Values stay in the balls and boxes that are claimed."""

import pytest
import torch
from tests.certify.networks import samples, small
from tests.certify.relaxation.dense import frozen, points_of_ball

from onelip.certify.forward import evaluate_nodes
from onelip.certify.records import INPUT
from onelip.certify.relaxation.program import rewrite
from onelip.certify.relaxation.region import beginnings, make_region, values_at


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("constants", [True, False])
def test_values_of_a_ball_stay_in_the_balls_and_boxes(norm, constants):
    network = frozen(small(), (2, 6, 6))
    program = rewrite(network)
    x = samples(n=3).double()
    radius = torch.tensor([0.01, 0.1, 1.0], dtype=torch.float64)
    region = make_region(program, values_at(program, x), radius, norm, constants)
    # The unit ball, scaled for each sample.
    points = x[:, None] + radius.reshape(3, 1, 1, 1, 1) * (points_of_ball(x, 1.0, norm, 50) - x[:, None])
    box = region.input_box()
    assert bool(((points >= box.lower[:, None]) & (points <= box.upper[:, None])).all())
    values = {name: y.unflatten(0, (3, 50)) for name, (y, _) in evaluate_nodes(network, points.flatten(0, 1)).items()}
    seen = 0
    for step in program.steps:
        found, reach = region.box(step), region.reach(step.name)
        if step.name in values and found is not None:
            y = values[step.name]
            assert bool(((y >= found.lower[:, None] - 1e-12) & (y <= found.upper[:, None] + 1e-12)).all()), step.name
            seen += 1
        if step.name in values and reach is not None:
            moved = (values[step.name] - region.values[step.name][0][:, None]).flatten(2).norm(dim=2)
            assert bool((moved <= reach[:, None] + 1e-12).all()), step.name
    assert seen == (len(network.nodes) if constants else 2)
    assert bool((region.reach(INPUT) >= radius).all())


def test_only_obvious_operations_begin_a_network():
    network = frozen(small(), (2, 6, 6))
    assert beginnings(rewrite(network)) == {INPUT, network.nodes[0].name}


def test_difference_of_halves_moves_at_most_root_two_times_as_far():
    program = rewrite(frozen(small(), (2, 6, 6)))
    region = make_region(program, values_at(program, samples(n=1).double()), torch.ones(1).double(), "l2", True)
    ((difference, source),) = program.differences.items()
    ratio = region.spread[difference] / region.spread[source]
    assert ratio.item() == pytest.approx(2**0.5)
    step = next(s for s in program.steps if s.name == difference)
    value = region.values[difference][0]
    assert torch.equal(value, step.maps[0].apply(region.values[source][0]))
