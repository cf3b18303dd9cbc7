import math
from dataclasses import replace

import pytest
import torch
from tests.certify.networks import around, rich, small, volumes
from torch import nn

from onelip.certify.executed import growth_of
from onelip.certify.export import freeze
from onelip.certify.forward import _BRANCHES, _RULES, OPERATIONS, evaluate
from onelip.certify.records import INPUT, Node
from onelip.certify.slopes import SLOPES, rounding_slope
from onelip.certify.values import TINY
from onelip.linalg import gamma


def operations(network):
    inner = (operations(node.branch) for node in network.nodes if node.branch is not None)
    return {node.op for node in network.nodes}.union(*inner)


def test_no_operation_is_missing():
    assert set(SLOPES) == set(OPERATIONS)
    tried = (operations(freeze(build(), (2, 6, 6)).network) for build in (small, rich, around, volumes))
    assert set().union(*tried) == set(OPERATIONS)


def local_error(node, inputs):
    """The error that one operation adds to exact inputs."""
    if node.op in _BRANCHES:
        return _BRANCHES[node.op](node, inputs[0], torch.zeros(len(inputs[0]), dtype=torch.float64))[1]
    return _RULES[node.op](node, inputs)[1]


@pytest.mark.parametrize("build", [small, rich, around, volumes])
def test_local_errors_grow_by_no_more_than_the_slope(build):
    network = freeze(build(), (2, 6, 6)).network
    growth = growth_of(network)
    generator = torch.Generator().manual_seed(0)
    values = {INPUT: torch.rand(4, 2, 6, 6, dtype=torch.float64, generator=generator)}
    evaluate(network, values[INPUT], lambda node, both: values.__setitem__(node.name, both[0]))
    # The slope is about k + 2 s instead of k, as the errors are.
    for node in growth.network.nodes:
        before = [values[name] for name in node.inputs]
        here = local_error(node, before)
        for size in (1e-3, 1.0, 1e4):
            moves = [size * torch.randn(x.shape, dtype=torch.float64, generator=generator) for x in before]
            there = local_error(node, [x + d for x, d in zip(before, moves, strict=True)])
            distance = sum(d.flatten(1).norm(dim=1) for d in moves)
            allowed = here + growth.slopes[node.name] * distance
            assert bool((there <= allowed * (1 + 1e-6) + 2 * TINY).all()), (node.op, size, there / allowed)


@pytest.mark.parametrize("build", [small, rich, around, volumes])
def test_slopes_are_not_much_larger_than_needed(build):
    network = freeze(build(), (2, 6, 6)).network
    growth = growth_of(network)
    for node in network.nodes:
        if node.branch is None and growth.slopes[node.name] > 0:
            assert growth.slopes[node.name] < 1e-7 * max(1.0, node.constant), node.op


def test_slope_of_a_dense_layer_by_hand():
    node = Node("w", "linear", (INPUT,), {}, {"weight": torch.tensor([[3.0, -4.0]])}, 5.0)
    # The root of the row sum 7 times the column sum 4, and one product more than there are.
    assert rounding_slope(node, (2,)) == pytest.approx(math.sqrt(28) * gamma(5), rel=1e-8)
    assert rounding_slope(replace(node, tensors={"weight": torch.zeros(3, 2)}), (2,)) == 0


def test_copied_pixels_are_counted():
    model = nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate")
    node = freeze(model, (1, 4, 4)).network.nodes[0]
    plain = replace(node, attributes=node.attributes | {"padding_mode": "zeros"})
    assert rounding_slope(node, (1, 4, 4)) == pytest.approx(3 * rounding_slope(plain, (1, 4, 4)))


def test_unknown_operations_have_no_slope():
    with pytest.raises(ValueError, match="does not know how the rounding of 'amplify' at 'n' grows"):
        rounding_slope(Node("n", "amplify", (INPUT,)), (2,))


def test_long_series_have_no_slope():
    attributes = {"coefficients": [1.0, 1.0], "norm": 1.0}
    weight = torch.zeros(1, 2**13 + 1, 1, 1)
    assert rounding_slope(Node("s", "skew_series2d", (INPUT,), attributes, {"weight": weight}), (1, 2, 2)) == math.inf


def test_functions_of_long_axes_have_no_slope():
    node = Node("s", "softmax", (INPUT,), {"axis": 0}, {}, 0.5)
    assert rounding_slope(node, (8,)) == pytest.approx(gamma(40) + gamma(32) / 2, rel=1e-8)
    assert rounding_slope(node, (2**20,)) == math.inf


def test_slopes_of_functions_and_sums_by_hand():
    assert rounding_slope(Node("g", "gelu", (INPUT,), {}, {}, 1.129), (8,)) == pytest.approx(gamma(16), rel=1e-8)
    assert rounding_slope(Node("t", "tanh", (INPUT,), {}, {}, 1.0), (8,)) == pytest.approx(gamma(9), rel=1e-8)
    index = torch.tensor([0.0, 2.0, 0.0, -1.0])
    put = Node("p", "put", (INPUT,), {"shape": [3]}, {"index": index}, math.sqrt(2))
    assert rounding_slope(put, (4,)) == pytest.approx(math.sqrt(2) * gamma(3), rel=1e-8)
    assert rounding_slope(replace(put, tensors={"index": -torch.ones(4)}), (4,)) == 0
