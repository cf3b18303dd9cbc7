import math
from dataclasses import replace

import numpy as np
import pytest
from tests.certify.checker.test_evaluation import graph, step
from tests.certify.networks import around, rich, small, volumes

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import BRANCHES, apply_step, measure
from onelip.certify.checker.executed import KNOWN, execute
from onelip.certify.checker.network import INPUT, read_graph
from onelip.certify.checker.operations import exact
from onelip.certify.executed import MARGIN, growth_of
from onelip.certify.export import freeze
from onelip.certify.forward import OPERATIONS
from onelip.certify.records import named_tensors, to_json

UNIT = 2.0**-53


def constants(network, prefix=""):
    found = {}
    for node in network.nodes:
        found[prefix + node.name] = node.constant.hex()
        if node.branch is not None:
            found |= constants(node.branch, f"{prefix}{node.name}/")
    return found


def measured(model):
    network = freeze(model, (2, 6, 6)).network
    arrays = {name: tensor.numpy() for name, tensor in named_tensors(network)}
    return measure(read_graph(to_json(network), arrays, constants(network)), 1e-8)


def test_no_operation_is_missing():
    assert set(OPERATIONS) == KNOWN


@pytest.mark.parametrize("build", [small, rich, around, volumes])
def test_local_errors_grow_by_no_more_than_the_slope(build):
    plain = measured(build())
    executed = execute(plain)
    generator = np.random.default_rng(0)
    values = {INPUT: exact(generator.random((4, 2, 6, 6)))}
    for part in executed.measured.graph.steps:
        before = [values[name][0] for name in part.inputs]
        values[part.name] = apply_step(executed.measured, part, [exact(x) for x in before])
        for size in (1e-3, 1.0, 1e4):
            moves = [size * generator.standard_normal(x.shape) for x in before]
            there = apply_step(executed.measured, part, [exact(x + d) for x, d in zip(before, moves, strict=True)])[1]
            distance = sum(np.sqrt((d.reshape(4, -1) ** 2).sum(1)) for d in moves)
            allowed = values[part.name][1] + executed.slopes[part.name] * distance
            assert (there <= allowed * (1 + 1e-6) + 2.0**-499).all(), (part.op, size)


@pytest.mark.parametrize("build", [small, rich, around, volumes])
def test_growth_is_about_that_of_the_prover(build):
    model = build()
    theirs = growth_of(freeze(model, (2, 6, 6)).network).value
    assert theirs / 30 < execute(measured(model)).value <= theirs * MARGIN


def test_by_hand():
    network = measure(
        graph(step("a", "scale", [INPUT], 3.0, factor=3.0), step("b", "scale", ["a"], 0.5, factor=0.5)), 0
    )
    executed = execute(network)
    assert executed.value == pytest.approx(6 * UNIT, rel=1e-6)
    assert executed.measured.own["a"] == pytest.approx(3 + 12 * UNIT, abs=1e-8)


def test_unknown_operations_and_numbers_out_of_range():
    network = measure(graph(step("a", "relu", [INPUT])), 0)
    strange = replace(network.graph.steps[0], op="amplify")
    with pytest.raises(VerificationError, match="op='amplify' of 'a' has no growth"):
        execute(replace(network, graph=graph(strange)))
    for weight in (2.0**201, 1e60):
        layers = [step(n, "linear", [b], weight, {"weight": weight * np.eye(2)}) for n, b in (("a", INPUT), ("b", "a"))]
        assert execute(measure(graph(*layers), 1e-9)).value == math.inf
    for tiny in (
        step("n", "normalize", [INPUT], 1e70, {"mean": np.zeros(2), "std": np.full(2, 1e-70)}),
        step("n", "divide", [INPUT], 1e70, {"value": np.full(1, 1e-70)}),
        step("n", "softplus", [INPUT], 1.0, beta=-1e-70, threshold=20.0),
        step("n", "matrices", [INPUT], 1e62, {"matrix0": 2.0**200 * np.eye(2, dtype=np.float64)}, axes=[0]),
    ):
        large = tiny.op == "matrices"
        assert (execute(measure(graph(tiny), 1e-9)).value == math.inf) is not large
    broad = step("n", "matrices", [INPUT], 1e62, {"matrix0": np.full((2, 2), 2.0**200)}, axes=[0])
    assert execute(measure(graph(broad), 1e-9)).value == math.inf


def test_branches_have_a_growth_of_their_own():
    executed = execute(measured(rich()))
    assert executed.branches
    assert set(BRANCHES) >= {executed.measured.graph.step(name).op for name in executed.branches}
    for name, branch in executed.branches.items():
        assert 0 < branch.value <= executed.slopes[name]
