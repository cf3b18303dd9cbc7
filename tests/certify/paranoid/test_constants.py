from dataclasses import replace

import numpy as np
import pytest
from tests.certify.paranoid.balls import conv_step, step

from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.constants import step_constant
from onelip.certify.paranoid.errors import NotCoveredError

RNG = np.random.default_rng(0)


def constant(s, claimed, shape=(1, 4, 5, 5), slack=0.0):
    return step_constant(replace(s, claimed=claimed), shape, slack)


def test_stored_factors():
    assert constant(step("scale", {"factor": -2.5}), 1.0) == 2.5
    assert constant(step("leaky_relu", {"slope": -3.0}), 1.0) == 3
    assert constant(step("prelu", slope=[0.5, -0.25]), 1.0) == 1
    assert constant(step("normalize", std=[0.5, 0.25]), 1.0) == 4
    assert constant(step("maxmin", {"axis": 0}), 1.0) == 1
    scaled = step("batch_norm", {"eps": 0.25}, variance=[0.75, 3.75], weight=[1.0, -4.0])
    assert constant(scaled, 1.0) == 2


def test_nonsense_is_refused():
    for bad in (
        step("normalize", std=[0.0]),
        step("batch_norm", {"eps": -1.0}, variance=[1.0]),
        conv_step(np.ones((1, 1, 3, 3)), pads=(1,) * 4, mode="reflect", op="gradient_residual2d"),
        conv_step(np.ones((1, 1, 3, 3)), pads=(1,) * 4, mode="edge", op="skew_series2d", coefficients=[1, 1], norm=9),
    ):  # fmt: skip
        with pytest.raises(VerificationError, match="does not fit"):
            constant(bad, 1.0, (1, 1, 5, 5))
    with pytest.raises(NotCoveredError, match="op='amplify' of 'n' is not known"):
        constant(step("amplify"), 1.0)
    with pytest.raises(NotCoveredError, match="too large"):
        constant(step("linear", weight=np.broadcast_to(1.0, (2000, 2000))), 1.0)


def dense_derivatives(w, x_size, count=200):
    """Norms of I - 2 W^T D W for random D in {0, 1}."""
    w = w.reshape(len(w), -1)
    masks = RNG.integers(0, 2, (count, len(w)))
    return max(np.linalg.norm(np.eye(w.shape[1]) - 2 * w.T @ np.diag(m) @ w, 2) for m in masks)


def test_residual_and_sandwich_layers():
    w = RNG.standard_normal((3, 4))
    norm = float(np.linalg.norm(w, 2))
    true = max(1.0, 2 * norm**2 - 1)
    assert dense_derivatives(w, 4) <= true
    residual = step("gradient_residual1d", weight=w)
    assert constant(residual, true * 1.000001) <= true * 1.000001
    assert constant(residual, true * 0.999999) >= true
    assert constant(replace(residual, arrays={"weight": w / norm * 0.9}), 1.0) == 1
    sandwich = step("sandwich1d", {"outputs": 1}, weight=w)
    assert constant(sandwich, norm**2 * 1.000001) <= norm**2 * 1.000001
    assert constant(sandwich, norm**2 * 0.999999) >= norm**2


def test_the_slack_is_used_only_if_needed():
    w = np.diag([3.0, 1.0])[:, ::-1]
    norm = float(np.linalg.norm(w @ np.array([[1.0, 1], [0, 1]]), 2))
    linear = step("linear", weight=w @ np.array([[1.0, 1], [0, 1]]))
    assert constant(linear, norm * (1 + 1e-9), slack=1e-3) == norm * (1 + 1e-9)
    assert norm <= constant(linear, norm * (1 - 1e-4), slack=1e-3) <= norm * (1 + 1e-3)


def test_skew_series():
    kernel = 0.07 * RNG.standard_normal((3, 3, 3, 3))
    kernel = kernel - np.flip(kernel.swapaxes(0, 1), (2, 3))
    for mode in ("zeros", "circular"):
        plain = conv_step(kernel, pads=(1, 1, 1, 1), mode=mode)
        dense = _dense(plain, (1, 3, 4, 4))
        norm = float(np.linalg.norm(dense, 2))
        coefficients = [1.0, 1.0, 0.5, 1 / 6]
        series = replace(
            plain, op="skew_series2d", attributes=plain.attributes | {"coefficients": coefficients, "norm": norm * 1.01}
        )
        applied = sum(c * np.linalg.matrix_power(dense, k) for k, c in enumerate(coefficients))
        true = float(np.linalg.norm(applied, 2))
        found = constant(series, 10.0, (1, 3, 4, 4))
        assert true <= found.upper() <= true * 1.1
        other = replace(series, arrays={"weight": np.abs(kernel) / 4})
        assert constant(other, 10.0, (1, 3, 4, 4)) >= 1 + 1 / 6


def _dense(s, shape):
    from tests.certify.paranoid.balls import middle

    from onelip.certify.paranoid.taps import convolution

    return middle(convolution(s, shape).dense(0))
