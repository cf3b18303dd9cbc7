import numpy as np
import pytest

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import count_steps, evaluate, find_head, measure
from onelip.certify.checker.network import Graph, Step

W = np.array([[1.0, 0.0], [0.0, 2.0]])


def step(name, op, inputs, claimed=1.0, arrays=None, branch=None, **attributes):
    return Step(name, op, tuple(inputs), attributes, arrays or {}, claimed, branch)


def graph(*steps, shape=(2,)):
    return Graph(shape, steps, steps[-1].name)


def test_constants_compose_along_the_graph():
    measured = measure(
        graph(
            step("w", "linear", ["input"], 2.0, {"weight": W}),
            step("s", "add", ["w", "input"], 3.0),
            step("c", "concatenate", ["s", "w"], 3.61, axis=0),
        ),
        1e-9,
    )
    assert measured.cumulative["w"] == pytest.approx(2)
    assert measured.cumulative["s"] == pytest.approx(3)
    assert measured.cumulative["c"] == pytest.approx(13**0.5)
    assert measured.shapes["c"] == (4,)


def test_a_claim_below_the_truth_is_refused():
    with pytest.raises(VerificationError, match=r"claimed constant 1.99 of add 's' could not be proved"):
        measure(graph(step("s", "add", ["input", "input"], 1.99)), 1e-9)
    with pytest.raises(VerificationError, match=r"claimed constant 1.99 of linear 'w' could not be proved"):
        measure(graph(step("w", "linear", ["input"], 1.99, {"weight": W})), 1e-9)


def test_branches():
    inner = graph(step("w", "linear", ["input"], 2.0, {"weight": np.array([[2.0]])}), shape=(1,))
    both = graph(step("r", "concat_residual", ["input"], 2.0, branch=inner))
    measured = measure(both, 1e-9)
    assert count_steps(both) == 2
    assert evaluate(measured, np.array([[3.0, 4.0]]))[0].tolist() == [[3, 8]]
    assert measured.cumulative["r"] == pytest.approx(2)
    square = graph(step("w", "linear", ["input"], 2.0, {"weight": 2 * np.eye(2)}))
    measured = measure(graph(step("r", "l2_norm_residual", ["input"], 2.0, branch=square)), 1e-9)
    assert measured.cumulative["r"] == pytest.approx(2.5**0.5)
    assert evaluate(measured, np.array([[1.0, 0.0]]))[0] == pytest.approx(np.array([[2.5**0.5, 0]]))
    with pytest.raises(VerificationError, match="lacks its branch"):
        measure(graph(step("r", "concat_residual", ["input"], 2.0)), 0.0)


def test_the_error_bound_carries_over():
    measured = measure(graph(step("w", "linear", ["input"], 2.0, {"weight": W}), step("o", "relu", ["w"])), 1e-9)
    _, error = evaluate(measured, np.array([[1e8, 1.0]]))
    assert 1e-8 < error[0] < 1e-6


def test_pairs_of_rows_enter_the_head():
    measured = measure(graph(step("w", "linear", ["input"], 2.0, {"weight": W})), 1e-9)
    head = find_head(measured, 2)
    assert (head.kind, head.node) == ("linear", "w")
    assert head.slopes[0, 1] == pytest.approx(5**0.5)
    assert head.slopes[0, 1] >= 5**0.5
    assert head.slopes[0, 0] == 0
    measured = measure(graph(step("w", "linear", ["input"], 2.0, {"weight": W}), step("o", "relu", ["w"])), 1e-9)
    assert find_head(measured, 2).slopes[0, 1] == pytest.approx(2 * 2**0.5)


def test_each_step_of_a_branch_contributes_its_slack():
    # Two dense steps, each proved with its whole slack: the branch exceeds its claim by more than one of them.
    weight = np.random.default_rng(0).standard_normal((6, 6))
    norm = float(np.linalg.norm(weight, 2))
    dense = [
        Step(name, "linear", (before,), {}, {"weight": weight}, norm * (1 - 0.9e-7), None)
        for name, before in (("a", "input"), ("b", "a"))
    ]
    inner = Graph((6,), tuple(dense), "b")
    claimed = max(1.0, dense[0].claimed ** 2)
    outer = Graph((12,), (Step("r", "concat_residual", ("input",), {}, {}, claimed, inner),), "r")
    assert claimed * (1 + 1e-7) < measure(outer, 1e-7).cumulative["r"] <= claimed * (1 + 3e-7)
