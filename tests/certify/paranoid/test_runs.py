from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.certify.checker.test_verification import reseal
from tests.certify.networks import predictions
from tests.certify.paranoid.balls import step
from torch import nn

from onelip import layers as L
from onelip.certify import certify
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Graph
from onelip.certify.paranoid import confirm, runs
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.composition import compose, evaluate
from onelip.certify.paranoid.runs import SLOPES, least_slopes, prove_runs, shortened
from onelip.certify.paranoid.smooth import SMOOTH

RNG = np.random.default_rng(0)
FIRST, LAST = RNG.standard_normal((8, 4)), RNG.standard_normal((3, 8))
SIGMA = float(np.linalg.norm(FIRST, 2))


def network(middle):
    steps = (
        replace(step("linear", weight=FIRST), name="first", claimed=1e9),
        replace(middle, name="middle", inputs=("first",), claimed=1e9),
        replace(step("linear", weight=LAST), name="last", inputs=("middle",), claimed=1e9),
    )
    graph, shapes = Graph((4,), steps, "last"), {}
    evaluate(graph, exact(np.zeros((1, 4))), shapes)
    return graph, shapes


def row(h, mixed=False, nodes=("first", "middle", "last")):
    return [{"nodes": list(nodes), "mixed": mixed, "radii": [[float(v).hex() for v in np.broadcast_to(h, 8)]]}]


def jacobians(kind, count=400):
    """Of random regions: LAST D FIRST."""
    if kind == "relu":
        masks = (RNG.random((count, 8)) > 0.5)[:, :, None] * np.eye(8)
    else:
        masks = np.eye(8)[np.stack([RNG.permuted(np.arange(8).reshape(4, 2), axis=1).ravel() for _ in range(count)])]
    return LAST @ masks @ FIRST


@pytest.mark.parametrize(
    ("kind", "given", "h", "mixed"),
    [
        ("relu", step("relu"), SIGMA / 2**0.5 * 1.0001, False),
        ("relu", step("leaky_relu", {"slope": 0.0}), SIGMA, False),
        ("relu", step("prelu", slope=np.zeros(8)), SIGMA * np.linspace(0.8, 1.2, 8), False),
        ("pairs", step("group_sort", {"axis": 0, "group_size": 2}), SIGMA * 1.0001, False),
        ("pairs", step("group_sort", {"axis": 0, "group_size": 2}), SIGMA * 1.5, True),
    ],
)
def test_proofs_are_between_jacobians_and_the_product(kind, given, h, mixed):
    graph, shapes = network(given)
    (run,) = prove_runs(graph, shapes, row(h, mixed))
    found = jacobians(kind)
    assert np.linalg.norm(found, 2, (1, 2)).max() <= float(run.constant.upper())
    assert (run.source, run.end) == ("input", "last")
    differences = np.linalg.norm(found[:, :, None] - found[:, None], axis=-1).max(0)
    gaps = np.array([[float(v.upper()) for v in values] for values in run.gaps])
    assert (differences <= gaps).all()
    composed = compose(graph, shapes, 0.0)
    constants = shortened(graph, composed, [run])
    least = min(float(composed.cumulative["last"].upper()), float(run.constant.upper()))
    assert abs(float(constants["last"].upper()) - least) < 1e-12
    slopes = least_slopes(graph, exact(np.full((3, 3), 1e9)), [run], constants)
    assert slopes[0, 1] is not None
    assert abs(float(slopes[0, 1].upper()) - gaps[0, 1]) < 1e-12


def test_the_slopes_are_those_of_the_functions():
    x = np.linspace(-12, 12, 4001)
    for op, (low, high) in SLOPES.items():
        if op in SMOOTH and op != "clip":
            values = np.array([float(v.mid()) for v in SMOOTH[op](step(op), exact(x[None]))[0]])
            slopes = np.diff(values) / np.diff(x)
            assert float(low) - 1e-12 <= slopes.min() < float(low) + 0.01, op
            assert float(high) - 0.01 < slopes.max() <= float(high) + 1e-12, op


def test_numbers_that_prove_nothing_and_nonsense():
    graph, shapes = network(step("relu"))
    short = row(SIGMA, nodes=("first",)), row(SIGMA, nodes=("middle", "last")), row(SIGMA, nodes=("first", "last"))
    for claimed in (row(SIGMA * 0.1), row(0.0), row(np.inf), *short, row(SIGMA, nodes=("first", "middle", "middle"))):
        with pytest.raises(VerificationError):
            prove_runs(graph, shapes, claimed)
    graph, shapes = network(step("shift", value=np.ones(8)))
    with pytest.raises(VerificationError, match="do not fit"):
        prove_runs(graph, shapes, row(1.0))


def write(folder, norm="l2"):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(16, 24),
        L.MaxMin(),
        nn.Linear(24, 16),
        nn.ReLU(),
        nn.Linear(16, 8),
        nn.GELU(),
        nn.Linear(8, 4),
    )
    x = torch.rand(3, 1, 4, 4)
    certificate = certify(model.eval(), x, predictions(model, x), norm=norm)
    certificate.save(folder)
    return certificate


def test_tightened_certificates_are_confirmed(tmp_path, monkeypatch):
    certificate = write(tmp_path)
    assert certificate.bound.tightened.value < certificate.bound.value
    outcome = confirm(tmp_path)
    assert outcome.ok, str(outcome)
    assert "runs of dense steps as a whole" in str(outcome)
    lower = (certificate.bound.tightened.value * 0.9999).hex()
    reseal(tmp_path, lambda v: v["tightened"]["constant"].update(value=lower))
    assert "the tightened constant" in str(confirm(tmp_path))
    monkeypatch.setattr(runs, "LARGEST", 10)
    assert "too large for ball arithmetic" in str(confirm(tmp_path))
