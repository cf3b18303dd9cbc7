import pytest
import torch
from tests.certify.networks import around, rich, small
from torch import nn

from onelip import layers as L
from onelip.certify import CertificationError, certify
from onelip.certify.export import freeze
from onelip.certify.limits import beyond_limits
from onelip.certify.records import Network, Node


@pytest.mark.parametrize(("network", "shape"), [(small, (2, 6, 6)), (rich, (2, 6, 6)), (around, (2, 6, 6))])
def test_ordinary_networks_are_within_limits(network, shape):
    assert beyond_limits(freeze(L.to_plain(network()), shape).network) is None


def test_a_width_times_a_factor_that_would_hide_an_underflow_is_refused():
    model = nn.Sequential(nn.CELU(1e300), nn.Flatten(), nn.Linear(4, 2)).double()
    with pytest.raises(CertificationError, match=r"width=1e\+300 .* too extreme"):
        certify(model, torch.rand(1, 4), torch.tensor([0]))


def node(op, attributes=None, tensors=None, branch=None):
    return Node("n", op, ("input",), attributes or {}, tensors or {}, 1.0, branch)


@pytest.mark.parametrize(
    "extreme",
    [
        node("soft_huber", {"delta": 1e308}),
        node("skew_series2d", {"norm": 1e9}),
        node("matrices", {"axes": [0]}, {"matrix0": torch.full((1, 1), 1e300, dtype=torch.float64)}),
        node("elu", {"width": 1e-300, "alpha": 1.0, "scale": 1.0}),
    ],
    ids=lambda n: n.op,
)
def test_extreme_numbers_are_named_also_inside_of_branches(extreme):
    inner = Network((1,), (extreme,), "n")
    outer = Network((2,), (node("concat_residual", branch=inner),), "n")
    assert "at 'n'" in beyond_limits(inner)
    assert beyond_limits(outer) == beyond_limits(inner)
