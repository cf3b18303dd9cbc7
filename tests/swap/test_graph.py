"""What a network's graph tells about its activations, sums and functions."""

import pytest
import torch
import torch.nn.functional as F
from tests.swap.networks import Block, ResNet, chain
from torch import nn

from onelip.swap.graph import Site, remarks, sites, traced


class Calls(nn.Module):
    """A network given by its forward function."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.weight = nn.Parameter(torch.eye(2))
        self.function = function

    def forward(self, x):
        return self.function(self, x)


class DependsOnValues(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def found(function, activation="maxmin"):
    model = Calls(function)
    return [(entry.kind, entry.problem) for entry in remarks(traced(model), model, activation)]


def test_channels_are_those_of_the_module_before():
    model = chain()
    found = sites(traced(model), (nn.ReLU,))
    relus = [m for m in model.modules() if isinstance(m, nn.ReLU)]
    assert [found[id(m)] for m in relus] == [[Site(8, 1)], [Site(12, 1)], [Site(16, -1)]]


def test_channels_are_found_through_sums_and_normalisation():
    block = Block(4, 8, 2)
    assert sites(traced(block), (nn.ReLU,))[id(block.relu)] == [Site(8, 1), Site(8, 1)]


def test_channels_that_the_graph_does_not_tell_are_none():
    model = nn.Sequential(nn.Flatten(), nn.ReLU())
    assert sites(traced(model), (nn.ReLU,))[id(model[1])] == [Site(None, 1)]


@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        (lambda m, x: x + m.conv(x), "add", "1 + L"),
        (lambda m, x: torch.add(x, m.conv(x)), "add", "1 + L"),
        (lambda m, x: x.add(m.conv(x)), "add", "1 + L"),
        (lambda m, x: torch.cat([x, m.conv(x)], 1), "cat", "sqrt"),
        (lambda m, x: F.relu(x), "relu", "called as a function"),
        (lambda m, x: x.relu(), "relu", "called as a function"),
        (lambda m, x: F.linear(x, m.weight), "linear", "not constrained"),
    ],
)
def test_operations_of_a_forward_method_are_listed(function, kind, words):
    ((name, problem),) = found(function)
    assert name == kind
    assert words in problem


@pytest.mark.parametrize("function", [lambda m, x: m.conv(x) + 1, lambda m, x: x + m.weight, lambda m, x: m.conv(x)])
def test_harmless_operations_are_not(function):
    assert found(function) == []


def test_functions_are_no_matter_if_activations_stay():
    assert found(lambda m, x: F.relu(x), activation=None) == []


def test_a_network_that_cannot_be_traced_is_said_to_be_so():
    model = DependsOnValues()
    assert traced(model) is None
    assert sites(None, (nn.ReLU,)) == {}
    (entry,) = remarks(None, model, "maxmin")
    assert (entry.kind, "torch.fx cannot trace" in entry.problem) == ("DependsOnValues", True)


def test_a_residual_network_adds_once_for_each_block():
    model = ResNet()
    assert [entry.kind for entry in remarks(traced(model), model, None)] == ["add", "add"]
