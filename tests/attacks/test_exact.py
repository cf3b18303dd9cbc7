from fractions import Fraction

import pytest
import torch
from tests.certify.networks import rich, samples
from torch import nn

from onelip import layers as L
from onelip.attacks.exact import ExactNetwork, NotExactlyComputableError, dense_matrix, is_inside
from onelip.certify.export import freeze
from onelip.certify.forward import evaluate
from onelip.certify.records import Node

TINY = torch.tensor([1e-200], dtype=torch.float64)


def networks():
    torch.manual_seed(0)
    return {
        "dense": (nn.Sequential(nn.Linear(6, 9), L.MaxMin(), nn.Linear(9, 4), nn.LeakyReLU(0.1)), (6,)),
        "images": (
            nn.Sequential(
                L.Normalize([0.5, 0.4], [0.5, 0.25]),
                nn.Conv2d(2, 4, 3, padding=2, stride=2, dilation=2),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular", groups=2),
                L.GradientResidual2d(0.3 * torch.randn(8, 4, 3, 3), torch.randn(8)),
                L.GradientResidual2d(0.3 * torch.randn(5, 4, 3, 3), torch.randn(5), padding_mode="circular"),
                nn.Flatten(),
                L.GradientResidual1d(0.3 * torch.randn(5, 36), torch.randn(5)),
                nn.Linear(36, 3),
            ).eval(),
            (2, 6, 6),
        ),
    }


@pytest.mark.parametrize("name", ["dense", "images"])
def test_logits_agree_with_float64_within_its_bound(name):
    model, shape = networks()[name]
    network = freeze(model, shape).network
    x = samples(shape, 2).double()
    computed, errors = evaluate(network, x)
    for i in range(2):
        exact = ExactNetwork(network).logits(x[i])
        off = sum((Fraction(float(a)) - Fraction(b)) ** 2 for a, b in zip(exact, computed[i].tolist(), strict=True))
        assert off <= Fraction(float(errors[i])) ** 2


def fractions(model, point):
    """Textbook evaluation of linear layers and ReLU in rational arithmetic."""
    values = [Fraction(v) for v in point.tolist()]
    for layer in model:
        if isinstance(layer, nn.ReLU):
            values = [max(v, Fraction(0)) for v in values]
            continue
        rows, bias = layer.weight.tolist(), layer.bias.tolist()
        values = [
            sum((Fraction(w) * v for w, v in zip(row, values, strict=True)), Fraction(b))
            for row, b in zip(rows, bias, strict=True)
        ]
    return values


@pytest.mark.parametrize("scale", [1.0, 1e150, 1e-320])
def test_margins_have_the_sign_of_the_rational_ones(scale):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        model[0].weight *= scale
        model[0].bias[0] = 2.0**70
    network = ExactNetwork(freeze(model, (5,)).network)
    for point in torch.rand(3, 5, dtype=torch.float64):
        z = fractions(model, point)
        for label in range(3):
            lead = z[label] - max(v for j, v in enumerate(z) if j != label)
            found = network.margin(point, label)
            assert (found > 0, found < 0) == (lead > 0, lead < 0)
            if abs(lead) > 1e-300:
                assert found == pytest.approx(float(lead), rel=1e-15)


def test_what_float64_cancels_is_kept():
    model = nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1e30, 1.0, -1e30], [0.0, 0.0, 0.0]]))
    network = freeze(model, (3,)).network
    point = torch.full((3,), 0.5, dtype=torch.float64)
    assert ExactNetwork(network).margin(point, 0) == 0.5
    assert ExactNetwork(network).margin(point, 1) == -0.5


def test_tiny_margins_keep_their_sign_and_ties_are_ties():
    model = nn.Linear(1, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1e-200], [0.0]], dtype=torch.float64))
    network = ExactNetwork(freeze(model, (1,)).network)
    assert network.margin(TINY, 0) == 5e-324
    assert network.margin(TINY, 1) == -5e-324
    assert network.margin(torch.tensor([0.0], dtype=torch.float64), 0) == 0


def test_other_operations_and_kernels_that_wrap_are_refused():
    with pytest.raises(NotExactlyComputableError, match="is not computed exactly"):
        ExactNetwork(freeze(rich(), (2, 6, 6)).network)
    circular = {"stride": [1, 1], "pads": [2, 2, 2, 2], "dilation": [1, 1], "groups": 1, "padding_mode": "circular"}
    node = Node("conv", "conv2d", ("input",), circular, {"weight": torch.ones(1, 1, 5, 5)})
    with pytest.raises(ValueError, match="meets a pixel twice"):
        dense_matrix(node, (1, 4, 4))
    assert dense_matrix(node, (1, 5, 5))[0].shape == (25, 25)
    with pytest.raises(ValueError, match="too many for a dense matrix"):
        dense_matrix(Node("relu", "relu", ("input",)), (3000,))


def test_distances_are_compared_without_rounding():
    origin = torch.tensor([0.0, 0.0], dtype=torch.float64)
    point = torch.tensor([3.0, 4.0], dtype=torch.float64)
    below = float(torch.nextafter(torch.tensor(5.0).double(), origin[0]))
    assert is_inside(point, origin, 5.0, "l2")
    assert not is_inside(point, origin, below, "l2")
    assert is_inside(point, origin, 4.0, "linf")
    assert not is_inside(point, origin, 3.9, "linf")
    assert is_inside(origin, origin, 0.0, "l2")
    # Squares that underflow.
    assert not is_inside(torch.tensor([1e-200, 0.0], dtype=torch.float64), origin, 1e-201, "l2")
    assert not is_inside(torch.full((2,), 5e-324, dtype=torch.float64), origin, 5e-324, "l2")
