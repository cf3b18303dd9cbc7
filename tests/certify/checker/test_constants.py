import numpy as np
import pytest

from onelip.certify.checker.activations import ACTIVATIONS
from onelip.certify.checker.constants import step_constant
from onelip.certify.checker.convolutions import AFFINE
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step
from onelip.certify.checker.operations import RULES


def step(op, claimed=1e9, arrays=None, **attributes):
    return Step("s", op, ("input",), attributes, arrays or {}, claimed, None)


def dense(rule, operation, shape):
    """Matrix of a linear operation, column by column."""
    basis = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return rule(operation, basis)[0].reshape(len(basis), -1).T


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1], [2, 0, 1, 3]])
@pytest.mark.parametrize("stride", [[1, 1], [2, 3]])
def test_padded_convolutions(mode, pads, stride):
    weight = np.random.default_rng(0).standard_normal((3, 2, 3, 3))
    options = {"stride": stride, "pads": pads, "dilation": [1, 1], "groups": 1, "padding_mode": mode}
    exact = np.linalg.norm(dense(AFFINE["conv2d"], step("conv2d", arrays={"weight": weight}, **options), (2, 5, 4)), 2)
    for share in (0.5, 0.999, 1.0):
        operation = step("conv2d", share * float(exact), {"weight": weight}, **options)
        assert step_constant(operation, (1, 2, 5, 4), 0.0) >= exact * (1 - 1e-12)


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize(("pads", "stride"), [([0, 0], [1]), ([1, 1], [2]), ([3, 0], [1])])
def test_padded_lines(mode, pads, stride):
    weight = np.random.default_rng(0).standard_normal((3, 2, 3))
    options = {"stride": stride, "pads": pads, "dilation": [1], "groups": 1, "padding_mode": mode}
    exact = np.linalg.norm(dense(AFFINE["conv1d"], step("conv1d", arrays={"weight": weight}, **options), (2, 5)), 2)
    for share in (0.5, 0.999, 1.0):
        operation = step("conv1d", share * float(exact), {"weight": weight}, **options)
        assert step_constant(operation, (1, 2, 5), 0.0) >= exact * (1 - 1e-12)


def test_a_residual_is_one_only_if_its_weight_is_below_one():
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    assert step_constant(step("gradient_residual1d", 1.0, {"weight": 0.999 * q}), (1, 6), 1e-9) <= 1 + 1e-9
    assert step_constant(step("gradient_residual1d", 1.0, {"weight": 1.5 * q}), (1, 6), 1e-9) >= 2 * 1.5**2 - 1


def test_by_hand():
    assert step_constant(step("scale", factor=-3.0), (1, 2), 0.0) == 3
    assert step_constant(step("leaky_relu", slope=-2.0), (1, 2), 0.0) == 2
    arrays = {"mean": np.zeros(2), "std": np.array([0.25, 2.0])}
    assert 4 <= step_constant(step("normalize", arrays=arrays), (1, 2), 0.0) <= 4 * (1 + 1e-15)
    arrays = {"mean": np.zeros(2), "variance": np.array([3.0, 15.0]), "weight": np.array([1.0, -8.0])}
    assert 2 <= step_constant(step("batch_norm", arrays=arrays, eps=1.0), (1, 2), 0.0) <= 2 * (1 + 1e-14)


@pytest.mark.parametrize("op", ["center", "channel_shuffle", "reshape", "permute", "pixel_shuffle", "slice"])
def test_rearrangements_are_one(op):
    assert op in RULES
    assert step_constant(step(op), (1, 2), 0.0) == 1


@pytest.mark.parametrize("op", sorted({*ACTIVATIONS} - {"leaky_relu", "prelu"}))
def test_activations_are_one(op):
    assert step_constant(step(op), (1, 2), 0.0) == 1


def test_slopes_above_one_count():
    assert step_constant(step("prelu", arrays={"slope": np.array([0.5, -3.0])}), (1, 2), 0.0) == 3
    assert step_constant(step("prelu", arrays={"slope": np.array([0.5])}), (1, 2), 0.0) == 1
    assert step_constant(step("leaky_relu", slope=-2.0), (1, 2), 0.0) == 2


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (step("teleport"), "op='teleport'"),
        (step("normalize", arrays={"mean": np.zeros(1), "std": np.zeros(1)}), "must be positive"),
        (step("normalize", arrays={"mean": np.zeros(1), "std": -np.ones(1)}), "must be positive"),
        (step("batch_norm", arrays={"mean": np.zeros(1), "variance": -np.ones(1)}, eps=0.5), "must be positive"),
    ],
)
def test_no_constant(operation, words):
    with pytest.raises(VerificationError, match=words):
        step_constant(operation, (1, 1), 0.0)


def test_a_transpose_that_wraps_too_far_is_refused():
    weight = {"weight": np.ones((1, 1, 3, 3))}
    options = {"stride": [1, 1], "dilation": [1, 1], "groups": 1}
    with pytest.raises(VerificationError, match="wrap more"):
        step_constant(step("circular_conv_transpose2d", 9.0, weight, pads=[2, 1, 1, 1], **options), (1, 1, 5, 5), 0.0)
    with pytest.raises(VerificationError, match="not the adjoint"):
        step_constant(step("circular_conv_transpose2d", 9.0, weight, pads=[1, 0, 1, 1], **options), (1, 1, 5, 5), 0.0)
