import math
from dataclasses import replace

import numpy as np
import pytest
from tests.certify.checker.test_evaluation import W, graph, step
from tests.certify.checker.test_executed import measured
from tests.certify.networks import around, rich, small, volumes

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import find_head, measure
from onelip.certify.checker.linf import linf_constants


def test_joins_by_hand():
    network = measure(
        graph(
            step("w", "linear", ["input"], 2.0, {"weight": W}),
            step("s", "add", ["w", "input"], 3.0),
            step("c", "concatenate", ["s", "w"], 13**0.5, axis=0),
            step("h", "householder", ["c"], 1.0, {"angle": np.zeros(2)}, axis=0),
        ),
        1e-9,
    )
    constants = linf_constants(network)
    assert [constants[n] for n in "wsc"] == pytest.approx([2, 3, 3])
    assert constants["h"] == pytest.approx(3 * math.sqrt(2))


def test_heads_have_l1_distances():
    network = measure(graph(step("w", "linear", ["input"], 2.0, {"weight": W})), 1e-9)
    head = find_head(network, 2, linf_constants(network))
    assert head.slopes[0, 1] == pytest.approx(3)
    assert head.slopes[0, 1] >= 3
    network = measure(graph(step("w", "linear", ["input"], 2.0, {"weight": W}), step("o", "relu", ["w"])), 1e-9)
    assert find_head(network, 2, linf_constants(network)).slopes[0, 1] == pytest.approx(4)


@pytest.mark.parametrize("build", [small, around, volumes])
def test_constants_are_those_of_the_prover(build):
    model = build()
    network = measured(model)
    mine = linf_constants(network)[network.graph.output]
    assert mine == pytest.approx(lipschitz_bound(model, (2, 6, 6), norm="linf").value, rel=1e-9)


def test_operations_without_a_rule_are_refused_on_both_sides():
    with pytest.raises(VerificationError, match=r"op='gradient_residual2d' of '\w+' has no l_inf constant"):
        linf_constants(measured(rich()))
    with pytest.raises(UnknownLipschitzConstant, match=r"GradientResidual2d at '15' .*constants in l_inf"):
        lipschitz_bound(rich(), (2, 6, 6), norm="linf")


def test_branches():
    inner = graph(step("w", "linear", ["input"], 2.0, {"weight": np.array([[2.0]])}), shape=(1,))
    network = measure(graph(step("r", "concat_residual", ["input"], 2.0, branch=inner)), 1e-9)
    assert linf_constants(network)["r"] == pytest.approx(2)
    square = graph(step("w", "linear", ["input"], 2.0, {"weight": 2 * np.eye(2)}))
    network = measure(graph(step("r", "l2_norm_residual", ["input"], 2.0, branch=square)), 1e-9)
    assert linf_constants(network)["r"] == pytest.approx(2.5**0.5)
    assert linf_constants(replace(network, own={}))["r"] == pytest.approx(2.5**0.5)


def test_largest_of_two_and_sums_by_hand():
    index = np.array([0.0, 2.0, 0.0, -1.0])
    network = measure(
        graph(
            step("w", "linear", ["input"], 2.0, {"weight": W}),
            step("m", "maximum", ["w", "input"], 5**0.5),
            step("p", "put", ["m"], 2.0, {"index": index[: W.shape[0]]}, shape=[3]),
            step("d", "divide", ["p"], 4.0, {"value": np.array([-0.25])}),
            step("l", "log_softmax", ["d"], 2.0, axis=0),
        ),
        1e-9,
    )
    assert [linf_constants(network)[n] for n in "wmpdl"] == pytest.approx([2, 2, 2, 8, 16])
    twice = measure(graph(step("p", "put", ["input"], 1.5, {"index": np.zeros(2)}, shape=[3])), 1e-9)
    assert linf_constants(twice)["p"] == 2


def test_windows():
    windows = {"rows": [[0, 2], [1, 4]], "columns": [[0, 4]], "row_scales": [1.0, -0.5], "column_scales": [2.0]}
    network = measure(graph(step("w", "window_norm", ["input"], 100.0, **windows), shape=(1, 4, 4)), 1e-9)
    assert linf_constants(network)["w"] == pytest.approx(2 * 2 * math.sqrt(2))
