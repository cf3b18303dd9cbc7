from dataclasses import replace

import numpy as np
from flint import arb
from tests.certify.paranoid.balls import conv_step, step

from onelip.certify.checker.network import Graph
from onelip.certify.paranoid.heads import find_head

W = np.random.default_rng(0).standard_normal((4, 6))
CONSTANTS = {"input": arb(3), "n": arb(7), "s": arb(7), "r": arb(7)}


def test_a_linear_head_uses_the_distances_of_its_rows():
    linear = step("linear", weight=W)
    kept = replace(step("slice", {"axis": 0, "start": 1, "stop": 4}), name="s", inputs=("n",))
    shapes = {"input": (1, 6), "n": (1, 4), "s": (1, 3)}
    for graph, rows in ((Graph((6,), (linear,), "n"), W), (Graph((6,), (linear, kept), "s"), W[1:4])):
        head = find_head(graph, shapes, CONSTANTS, len(rows))
        assert (head.kind, head.node) == ("linear", "n")
        for i in range(len(rows)):
            for j in range(len(rows)):
                assert abs(float(head.slopes[i, j].mid()) - 3 * np.linalg.norm(rows[i] - rows[j])) < 1e-12
        sums = find_head(graph, shapes, CONSTANTS, len(rows), sums=True).slopes
        assert abs(float(sums[0, 1].mid()) - 3 * np.abs(rows[0] - rows[1]).sum()) < 1e-12


def test_a_convolution_that_sees_everything_is_a_linear_head():
    kernel = W.reshape(4, 1, 2, 3)
    flat = replace(step("reshape", {"shape": [4]}), name="r", inputs=("n",))
    graph = Graph((1, 2, 3), (conv_step(kernel), flat), "r")
    shapes = {"input": (1, 1, 2, 3), "n": (1, 4, 1, 1), "r": (1, 4)}
    assert find_head(graph, shapes, CONSTANTS, 4).kind == "linear"
    padded = Graph((1, 2, 3), (conv_step(kernel, pads=(1, 0, 0, 0)), flat), "r")
    assert find_head(padded, shapes, CONSTANTS, 4).kind == "global"


def test_other_heads_use_the_root_of_two():
    graph = Graph((4,), (step("maxmin", {"axis": 0}),), "n")
    head = find_head(graph, {"input": (1, 4), "n": (1, 4)}, CONSTANTS, 4)
    assert (head.kind, head.node) == ("global", "n")
    assert (head.slopes[0, 1] ** 2).overlaps(arb(2) * 49)
    assert head.slopes[1, 1] == 0
    assert find_head(graph, {"input": (1, 4), "n": (1, 4)}, CONSTANTS, 4, sums=True).slopes[0, 1] == 14
    assert find_head(Graph((4,), (), "input"), {"input": (1, 4)}, CONSTANTS, 4).constant == 3
