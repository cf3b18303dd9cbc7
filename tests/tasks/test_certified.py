"""The certified count against closed forms."""

import pytest
import torch
from torch import nn

from onelip import models
from onelip.bounds import lipschitz_bound
from onelip.layers import ChannelKeep, Join
from onelip.tasks.certified import CertifiedCount, linear_head


@pytest.mark.parametrize(("radius", "certified"), [(0.29, 2), (0.31, 1), (0.59, 1), (0.61, 0)])
def test_a_linear_classifier_is_certified_up_to_its_distance_from_the_boundary(radius, certified):
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    # The boundary is 3 x = 4 y; the distance of (x, y) from it is |3 x - 4 y| / 5.
    points = torch.tensor([[1.0, 0.0], [0.5, 0.0], [0.0, 1.0], [0.2, 0.15]])
    count = CertifiedCount(model, radius)
    count.add(points, model(points).detach(), torch.zeros(4, dtype=torch.int64))
    assert count.fraction() == certified / 4


def test_batches_add_up_and_the_whole_constant_counts_where_there_is_no_dense_head():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU())
    with torch.no_grad():
        model[0].weight.copy_(2.0 * torch.eye(2))
    # Margins 2, 3 and -2 over the constant 2 and root 2 give radii 0.71, 1.06 and none.
    count = CertifiedCount(model, 0.8)
    for margin in (1.0, 1.5, -1.0):
        x = torch.tensor([[margin, 0.0]])
        count.add(x, torch.tensor([[2 * margin, 0.0]]), torch.tensor([0]))
    assert count.fraction() == pytest.approx(1 / 3)


def test_the_head_of_nested_networks_is_found_with_the_constant_before_it():
    network = models.build("mlp", input_shape=(1, 4, 4), n_classes=3, layer="plain", mean=(0.5,), widths=[8])
    constant, rows = linear_head(network, lipschitz_bound(network, (1, 4, 4)))
    assert torch.equal(rows, network.network.head.weight)
    weight = network.network.dense1.weight.detach().double()
    assert constant == pytest.approx(torch.linalg.matrix_norm(weight, 2).item(), rel=1e-4)


def test_only_the_rows_of_kept_classes_count():
    network = nn.Sequential(nn.Linear(4, 6), ChannelKeep(2))
    _, rows = linear_head(network, lipschitz_bound(network, (4,)))
    assert torch.equal(rows, network[0].weight[:2])


@pytest.mark.parametrize("network", [nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 2)])
def test_other_ends_have_no_linear_head(network):
    assert linear_head(network, lipschitz_bound(network, (2,))) is None


@pytest.mark.parametrize(("radius", "certified"), [(0.41, 2), (0.44, 1), (0.85, 1), (0.86, 0)])
def test_in_l_inf_distances_are_those_to_the_boundary(radius, certified):
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    # The boundary is 3 x = 4 y; the l_inf distance of (x, y) from it is |3 x - 4 y| / 7.
    points = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    count = CertifiedCount(model, radius, "linf")
    count.add(points, model(points).detach(), torch.zeros(3, dtype=torch.int64))
    assert count.fraction() == certified / 3


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_separate_logits_count_by_their_own_constants(norm):
    rows = [nn.Linear(2, 1, bias=False) for _ in range(2)]
    model = nn.Sequential(nn.Flatten(), Join(*rows))
    with torch.no_grad():
        for row, weight in zip(rows, ([1.0, 0.0], [0.0, 2.0]), strict=True):
            row.weight.copy_(torch.tensor([weight]))
    # The margin changes at most by 1 + 2 times the distance.
    for radius, expected in ((0.33, 1.0), (0.34, 0.0)):
        count = CertifiedCount(model, radius, norm)
        count.add(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
        assert count.fraction() == expected
