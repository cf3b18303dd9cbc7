"""Radii found by bisection are proved, and about the largest that are."""

import pytest
import torch
from tests.certify.relaxation.dense import frozen
from torch import nn

import onelip
from onelip import layers as L
from onelip.certify import LARGEST_RADIUS, relaxed_margins, relaxed_radii


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_linear_network_has_its_exact_distance(norm):
    torch.manual_seed(0)
    model = nn.Linear(4, 3).double()
    x = torch.rand(10, 4, dtype=torch.float64)
    logits = model(x).detach()
    labels = logits.argmax(1)
    labels[0] = (labels[0] + 1) % 3
    found = relaxed_radii(frozen(model, (4,)), x, labels, norm=norm, constants=False, steps=12)
    rows = model.weight[labels][:, None] - model.weight
    lengths = rows.norm(dim=2) if norm == "l2" else rows.abs().sum(2)
    distances = (logits.gather(1, labels[:, None]) - logits) / lengths
    distances[torch.arange(10), labels] = torch.inf
    exact = distances.amin(1).detach()
    assert found[0] == 0
    assert bool((found[1:] <= exact[1:]).all())
    assert bool((found[1:] >= exact[1:] * (1 - 2**-11)).all())


@pytest.mark.parametrize("method", ["crown", "kw", "crown-ibp", "ibp"])
def test_radii_are_proved_and_twice_as_much_is_not(method):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
    network, x = frozen(model, (3,)), torch.rand(12, 3)
    labels = model(x).argmax(1)
    found = relaxed_radii(network, x, labels, method=method)
    assert bool((found > 0).all())
    assert bool((relaxed_margins(network, x, labels, found, method=method).amin(1) > 0).all())
    assert bool((relaxed_margins(network, x, labels, 2 * found, method=method).amin(1) <= 0).all())


def test_with_constants_not_less_than_the_certificate():
    torch.manual_seed(0)
    model = nn.Sequential(L.BjorckLinear(8, 16), L.MaxMin(), L.BjorckLinear(16, 16), L.MaxMin(), nn.Linear(16, 3))
    x = torch.rand(30, 8)
    labels = model.eval()(x).argmax(1)
    certificate = onelip.certify(model, x, labels)
    by_constant = torch.from_numpy(certificate.radii)
    found = relaxed_radii(certificate.network, x, labels)
    assert bool((found >= by_constant * (1 - 2**-7)).all())
    # The last layer is not orthogonal, so that the constant is loose, and relaxation is not.
    assert bool((found > 1.05 * by_constant).any())


def test_a_class_that_never_loses_has_the_largest_radius():
    model = nn.Linear(2, 2)
    model.weight.data.zero_()
    model.bias.data.copy_(torch.tensor([1.0, 0.0]))
    found = relaxed_radii(frozen(model, (2,)), torch.rand(2, 2), torch.tensor([0, 1]))
    assert found.tolist() == [LARGEST_RADIUS, 0.0]


def test_steps_are_checked():
    with pytest.raises(ValueError, match="steps=0"):
        relaxed_radii(frozen(nn.Linear(2, 2), (2,)), torch.rand(1, 2), torch.tensor([0]), steps=0)
