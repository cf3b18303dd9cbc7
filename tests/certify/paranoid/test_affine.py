import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.certify.paranoid.balls import conv_step, middle, step

from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.affine import AFFINE
from onelip.certify.paranoid.balls import exact

RNG = np.random.default_rng(0)


def agree(found, expected):
    assert np.allclose(middle(found), np.asarray(expected), rtol=0, atol=1e-12)


def test_dense_layers():
    w, b, x = RNG.standard_normal((3, 4)), RNG.standard_normal(3), RNG.standard_normal((2, 5, 4))
    agree(AFFINE["linear"](step("linear", weight=w, bias=b), exact(x)), x @ w.T + b)
    residual = x - 2 * np.maximum(x @ w.T + b, 0) @ w
    agree(AFFINE["gradient_residual1d"](step("gradient_residual1d", weight=w, bias=b), exact(x)), residual)
    joint = RNG.standard_normal((3, 6))
    sandwich = 2 * np.maximum(x @ joint[:, 2:].T + b, 0) @ joint[:, :2]
    agree(AFFINE["sandwich1d"](step("sandwich1d", {"outputs": 2}, weight=joint, bias=b), exact(x)), sandwich)
    with pytest.raises(VerificationError, match="weight"):
        AFFINE["linear"](step("linear", weight=w), exact(x[..., :2]))


def test_convolutions():
    w, b, x = RNG.standard_normal((4, 2, 3)), RNG.standard_normal(4), RNG.standard_normal((1, 4, 7))
    one = {"stride": [2], "pads": [1, 2], "dilation": [1], "groups": 2, "padding_mode": "zeros"}
    tensors = [torch.from_numpy(t) for t in (x, w, b)]
    expected = F.conv1d(F.pad(tensors[0], (1, 2)), *tensors[1:], stride=2, groups=2)
    agree(AFFINE["conv1d"](step("conv1d", one, weight=w, bias=b), exact(x)), expected)

    w, x = RNG.standard_normal((4, 3, 3, 2)), RNG.standard_normal((1, 4, 3, 4))
    attributes = {"stride": [2, 3], "padding": [1, 0], "output_padding": [1, 2], "dilation": [2, 1], "groups": 2}
    geometry = {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2), "dilation": (2, 1), "groups": 2}
    expected = F.conv_transpose2d(torch.from_numpy(x), torch.from_numpy(w), **geometry)
    agree(AFFINE["conv_transpose2d"](step("conv_transpose2d", attributes, weight=w), exact(x)), expected)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_residuals_and_series(mode):
    w, x = 0.3 * RNG.standard_normal((4, 4, 3, 3)), RNG.standard_normal((2, 4, 5, 4))
    s = conv_step(w, pads=(1, 1, 2, 0), mode=mode)

    def convolve(t):
        padded = F.pad(t, (2, 0, 1, 1), mode="circular" if mode == "circular" else "constant")
        return F.conv2d(padded, torch.from_numpy(w))

    t = torch.from_numpy(x)
    leaf = t.clone().requires_grad_()
    (slope,) = torch.autograd.grad(convolve(leaf).relu().square().sum(), leaf)
    agree(AFFINE["gradient_residual2d"](s, exact(x)), t - slope)
    series = conv_step(w, pads=(1, 1, 2, 0), mode=mode, coefficients=[1.0, 0.5, 0.25])
    agree(AFFINE["skew_series2d"](series, exact(x)), t + 0.5 * convolve(t) + 0.25 * convolve(convolve(t)))


def test_residuals_need_an_adjoint():
    s = conv_step(np.ones((1, 1, 3, 3)), pads=(1, 1, 1, 1), mode="reflect")
    with pytest.raises(VerificationError, match="adjoint"):
        AFFINE["gradient_residual2d"](s, exact(np.ones((1, 1, 4, 4))))
    with pytest.raises(VerificationError, match="image size"):
        AFFINE["gradient_residual2d"](conv_step(np.ones((1, 1, 3, 3))), exact(np.ones((1, 1, 4, 4))))
