import numpy as np
import pytest
import torch
from tests.certify.checker.test_verification import reseal
from tests.certify.networks import predictions, samples
from tests.certify.paranoid.balls import conv_step, middle, step
from torch import nn

from onelip import layers as L
from onelip.certify import certify
from onelip.certify.checker.network import Graph
from onelip.certify.paranoid import confirm
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.composition import compose, evaluate
from onelip.certify.paranoid.errors import NotCoveredError
from onelip.certify.paranoid.linf import linf_constants
from onelip.certify.paranoid.operations import OPERATIONS

RNG = np.random.default_rng(0)

LINEAR = [
    (step("linear", weight=RNG.standard_normal((3, 4))), (2, 4)),
    (step("center", {"axes": [0, 1]}), (2, 3)),
    (
        step("matrices", {"axes": [1, 0]}, matrix0=RNG.standard_normal((2, 4)), matrix1=RNG.standard_normal((3, 2))),
        (2, 4),
    ),
    (step("put", {"shape": [2]}, index=[0, 1, 0, 0]), (4,)),
    (conv_step(RNG.standard_normal((3, 2, 3, 2)), (2, 1), (1, 0, 1, 1)), (2, 4, 3)),
    (conv_step(RNG.standard_normal((2, 2, 2, 2)), pads=(1, 0, 0, 1), mode="circular"), (2, 4, 3)),
]


@pytest.mark.parametrize(("given", "shape"), LINEAR, ids=[s.op for s, _ in LINEAR])
def test_the_constant_of_a_linear_map_is_its_largest_row_sum(given, shape):
    basis = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    rows = middle(OPERATIONS[given.op](given, exact(basis))).reshape(len(basis), -1).T
    assert abs(float(constant_of(given, shape).mid()) - np.abs(rows).sum(1).max()) < 1e-12


def constant_of(given, shape):
    graph, shapes = Graph(shape, (given,), "n"), {}
    evaluate(graph, exact(np.zeros((1, *shape))), shapes)
    return linf_constants(graph, shapes, compose(graph, shapes, 0.0))["n"]


def test_the_logarithm_of_softmax_moves_by_twice_as_much():
    given = step("log_softmax", {"axis": 0})
    x = np.array([[0.0, 40.0, 0.0]])
    moved = middle(OPERATIONS["log_softmax"](given, exact(x + 1e-3 * np.array([1, -1, 1]))))
    assert 1.999 < np.abs(moved - middle(OPERATIONS["log_softmax"](given, exact(x)))).max() / 1e-3 < 2.001
    assert constant_of(given, (3,)) == 2


def test_what_has_no_rule_is_named():
    with pytest.raises(NotCoveredError, match="op='gradient_residual1d' of 'n' has no l_inf constant"):
        constant_of(step("gradient_residual1d", weight=0.1 * np.ones((2, 3))), (3,))


def convolutional():
    torch.manual_seed(0)
    return nn.Sequential(
        L.Normalize([0.5, 0.4], [0.5, 0.25]), nn.Conv2d(2, 4, 3, padding=1, stride=2), L.MaxMin(),
        L.ConcatResidual(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")), nn.Flatten(), nn.Linear(36, 4),
    ).eval()  # fmt: skip


def test_certificates_in_the_maximum_norm_are_confirmed(tmp_path):
    model, x = convolutional(), samples(n=3)
    certificate = certify(model, x, predictions(model, x), norm="linf")
    certificate.save(tmp_path)
    assert certificate.radii.max() > 0
    outcome = confirm(tmp_path)
    assert outcome.ok, str(outcome)
    assert "in linf" in str(outcome)
    reseal(tmp_path, samples=lambda v: v["class_radii"].__imul__(1 + 1e-5))
    assert "a radius of sample 0" in str(confirm(tmp_path))
