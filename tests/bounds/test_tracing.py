import pytest
import torch.nn.utils.parametrizations as P
from torch import nn

from onelip.bounds import lipschitz_bound, trace
from onelip.bounds.tracing import is_leaf
from onelip.layers import MaxMin, Sum


def test_leaves():
    assert is_leaf(MaxMin())
    assert is_leaf(nn.Conv2d(1, 1, 1))
    assert is_leaf(P.spectral_norm(nn.Linear(2, 2)))
    assert not is_leaf(nn.Sequential(nn.ReLU()))
    assert not is_leaf(Sum(nn.ReLU()))


def test_a_leaf_model_is_one_call():
    nodes = list(trace(nn.Linear(2, 2)).graph.nodes)
    assert [node.op for node in nodes] == ["placeholder", "call_module", "output"]


def test_the_graph_shares_the_modules():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert trace(model).root is model


def test_parametrised_weights_are_bounded_as_applied():
    layer = P.orthogonal(nn.Linear(4, 4))
    assert lipschitz_bound(layer, (4,)).value == pytest.approx(1, abs=1e-5)
