"""Rewritten networks compute what the frozen ones do."""

import pytest
import torch
from tests.certify.networks import samples, small
from tests.certify.relaxation.dense import frozen, points_of_ball
from torch import nn

from onelip import layers as L
from onelip.certify.forward import evaluate, evaluate_nodes
from onelip.certify.relaxation import UnrelaxableOperation
from onelip.certify.relaxation.backward import Enclosures
from onelip.certify.relaxation.program import relaxable_operations, rewrite
from onelip.certify.relaxation.region import make_region, values_at


def _activations():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 9), L.MaxMin(), nn.Linear(9, 8), L.GroupSort(2), nn.Linear(8, 8), L.Abs(), nn.Linear(8, 8),
        nn.LeakyReLU(0.2), nn.Linear(8, 8), nn.PReLU(), nn.Linear(8, 8), L.BetaAbs(0.4), nn.Linear(8, 8), L.Maxout(2),
        L.GradientResidual1d(0.3 * torch.randn(5, 4), torch.randn(5)),
        L.Sandwich1d(0.3 * torch.randn(7, 10), torch.randn(7), outputs=6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip
    model[9].weight.data.fill_(1.7)
    return frozen(model, (6,))


def _images():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        L.GroupSort(2),
        L.GradientResidual2d(0.1 * torch.randn(8, 4, 3, 2), torch.randn(8), padding_mode="circular"),
        L.GradientResidual2d(0.1 * torch.randn(8, 2, 3, 3), torch.randn(8), groups=2),
        L.Sum(nn.Identity(), nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())),
        nn.MaxPool2d(3, 2, 1),
        L.MaxMin(),
        nn.Flatten(),
        nn.Linear(36, 3),
    )
    return frozen(model, (2, 6, 6))


class Largest(nn.Module):
    """Maxima along other axes than the last two."""

    def forward(self, x):
        return torch.cat(
            [x.amax(1).flatten(1), x.amax((1, 2)), x.amax((1, 2, 3), keepdim=True).flatten(1), -x.amin(2).flatten(1)],
            -1,
        )


def _volumes():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv3d(2, 2, 2, padding=1),
        nn.MaxPool3d(2, 1),
        nn.Flatten(2),
        nn.MaxPool1d(3, 2),
        nn.ReplicationPad1d(1),
        nn.Linear(10, 12),
        nn.Unflatten(2, (3, 4)),
        nn.AdaptiveAvgPool2d((2, 3)),
        Largest(),
        nn.Linear(16, 3),
    )
    return frozen(model, (2, 3, 3, 2))


NETWORKS = {
    "activations": _activations,
    "images": _images,
    "volumes": _volumes,
    "small": lambda: frozen(small(), (2, 6, 6)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_at_radius_0_boxes_and_functionals_are_the_value(name):
    network = NETWORKS[name]()
    program = rewrite(network)
    x = samples(network.input_shape, 4).double()
    output, errors = evaluate(network, x)
    region = make_region(program, values_at(program, x), torch.zeros(4, dtype=torch.float64), "l2", False)
    for method in ("ibp", "crown"):
        found = Enclosures(program, region, method, "adaptive", False)
        found.enclose()
        box = found.boxes[program.output]
        assert bool((box.lower <= output + errors[:, None]).all() & (box.upper >= output - errors[:, None]).all())
        assert torch.allclose(box.lower, box.upper, atol=1e-9)
        rows = torch.eye(output.shape[1], dtype=torch.float64)[None]
        assert torch.allclose(found.lower_bounds(program.output, rows), output, rtol=0, atol=1e-9)


@pytest.mark.parametrize("radius", [0.02, 0.5])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_point_of_the_ball_leaves_the_boxes_or_is_below_a_functional(name, radius):
    network = NETWORKS[name]()
    program = rewrite(network)
    x = samples(network.input_shape, 2).double()
    size = torch.full((2,), radius, dtype=torch.float64)
    region = make_region(program, values_at(program, x), size, "l2", False)
    found = Enclosures(program, region, "crown", "adaptive", False)
    found.enclose()
    rows = torch.randn(1, 5, *program.output_shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    bounds = found.lower_bounds(program.output, rows)
    for points in points_of_ball(x, radius, "l2", 40).unbind(1):
        values = evaluate_nodes(network, points)
        for step in program.steps:
            if step.name in values:
                y, box = values[step.name][0], found.boxes[step.name]
                assert bool(((y >= box.lower - 1e-9) & (y <= box.upper + 1e-9)).all()), step.name
        output = values[network.output][0]
        assert bool(((output[:, None] * rows).flatten(2).sum(2) >= bounds - 1e-9).all())


def test_every_operation_with_a_rewriting_is_rewritten_here_or_as_an_affine_map():
    used = {node.op for make in NETWORKS.values() for node in make().nodes}
    rewritings = {
        "abs", "beta_abs", "concat_residual", "gradient_residual1d", "gradient_residual2d", "group_sort", "leaky_relu",
        "max_windows", "maxmin", "maxout", "prelu", "relu", "sandwich1d",
    }  # fmt: skip
    assert rewritings <= used
    assert rewritings <= set(relaxable_operations())


def test_shape_and_size():
    program = rewrite(NETWORKS["images"]())
    assert program.output_shape == (3,)
    assert program.largest == 8 * 36


def test_single_numbers_without_an_axis_are_refused():
    class Number(nn.Module):
        def forward(self, x):
            return x.amax(1).unsqueeze(1) * 2

    with pytest.raises(UnrelaxableOperation, match="a number without an axis"):
        rewrite(frozen(Number(), (4,)))


@pytest.mark.parametrize("layer", [L.HouseHolder(4), L.GroupSort(4), L.SoftHuber(0.1)])
def test_other_activations_are_refused_by_name(layer):
    network = frozen(nn.Sequential(nn.Linear(4, 4), layer, nn.Linear(4, 2)), (4,))
    with pytest.raises(UnrelaxableOperation, match=r"of node '\S+' has no linear relaxation; use one of abs"):
        rewrite(network)
