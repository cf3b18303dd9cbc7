import numpy as np
import pytest
import torch
import torch.nn.functional as F

from onelip.certify.checker.convolutions import AFFINE
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step
from onelip.layers import GradientResidual2d

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 6, 5))
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def run(op, weight, bias=None, x=X, **attributes):
    arrays = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return AFFINE[op](Step("s", op, ("input",), attributes, arrays, 1.0, None), x)


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (2, 1, 2), (1, 2, 4), (2, 2, 1)])
def test_conv2d(mode, stride, dilation, groups):
    weight, bias = RNG.standard_normal((8, 4 // groups, 3, 2)), RNG.standard_normal(8)
    options = {"stride": [stride, 1], "dilation": [dilation, 1], "groups": groups}
    y, error = run("conv2d", weight, bias, pads=[2, 1, 0, 1], padding_mode=mode, **options)
    padded = F.pad(torch.from_numpy(X), (0, 1, 2, 1), mode="constant" if mode == "zeros" else mode)
    expected = F.conv2d(padded, torch.from_numpy(weight), torch.from_numpy(bias), (stride, 1), 0, (dilation, 1), groups)
    assert np.allclose(y, expected, **CLOSE)
    distance = np.linalg.norm((y - expected.numpy()).reshape(3, -1), axis=1)
    assert (distance <= 2 * error).all()
    assert (error < 1e-11).all()


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (2, 1, 2), (2, 2, 4)])
def test_conv1d(mode, stride, dilation, groups):
    weight, bias = RNG.standard_normal((8, 4 // groups, 3)), RNG.standard_normal(8)
    x = X[:, :, 0]
    options = {"stride": [stride], "dilation": [dilation], "groups": groups, "pads": [2, 1], "padding_mode": mode}
    y, error = run("conv1d", weight, bias, x=x, **options)
    padded = F.pad(torch.from_numpy(x), (2, 1), mode="constant" if mode == "zeros" else mode)
    expected = F.conv1d(padded, torch.from_numpy(weight), torch.from_numpy(bias), stride, 0, dilation, groups)
    assert np.allclose(y, expected, **CLOSE)
    assert (np.linalg.norm((y - expected.numpy()).reshape(3, -1), axis=1) <= 2 * error).all()
    with pytest.raises(VerificationError, match="does not fit"):
        run("conv1d", weight[:, :, None], bias, x=x, **options)


def test_circular_padding_may_go_round_more_than_once():
    weight = RNG.standard_normal((2, 4, 7, 3))
    options = {"stride": [1, 1], "dilation": [5, 1], "groups": 1, "pads": [15, 15, 1, 1], "padding_mode": "circular"}
    y = run("conv2d", weight, **options)[0]
    rows = np.take(X, np.arange(-15, 21), axis=2, mode="wrap")
    image = torch.from_numpy(np.take(rows, np.arange(-1, 6), axis=3, mode="wrap"))
    assert np.allclose(y, F.conv2d(image, torch.from_numpy(weight), dilation=(5, 1)), **CLOSE)


@pytest.mark.parametrize(("stride", "padding", "output_padding", "dilation", "groups"), [
    (1, 0, 0, 1, 1), (2, 1, 1, 1, 2), (3, 1, 0, 2, 4),
])  # fmt: skip
def test_conv_transpose2d(stride, padding, output_padding, dilation, groups):
    weight, bias = RNG.standard_normal((4, 2, 3, 2)), RNG.standard_normal(2 * groups)
    numbers = (stride, padding, output_padding, dilation)
    names = ("stride", "padding", "output_padding", "dilation")
    options = {name: [n, n] for name, n in zip(names, numbers, strict=True)}
    y, error = run("conv_transpose2d", weight, bias, groups=groups, **options)
    expected = F.conv_transpose2d(
        torch.from_numpy(X), torch.from_numpy(weight), torch.from_numpy(bias), stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip
    assert np.allclose(y, expected, **CLOSE)
    assert (error > 0).all()


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_conv3d(mode):
    x, weight, bias = RNG.standard_normal((2, 4, 5, 4, 6)), RNG.standard_normal((6, 2, 2, 3, 1)), RNG.standard_normal(6)
    options = {"stride": [1, 2, 1], "dilation": [2, 1, 1], "groups": 2, "pads": [1, 2, 0, 1, 3, 0]}
    y, error = run("conv3d", weight, bias, x=x, padding_mode=mode, **options)
    padded = F.pad(torch.from_numpy(x), (3, 0, 0, 1, 1, 2), mode="constant" if mode == "zeros" else mode)
    expected = F.conv3d(padded, torch.from_numpy(weight), torch.from_numpy(bias), (1, 2, 1), 0, (2, 1, 1), 2)
    assert np.allclose(y, expected, **CLOSE)
    assert (np.linalg.norm((y - expected.numpy()).reshape(2, -1), axis=1) <= 2 * error).all()


def test_transposed_lines_and_volumes():
    x, weight = RNG.standard_normal((2, 4, 5)), RNG.standard_normal((4, 3, 3))
    y, _ = run("conv_transpose1d", weight, x=x, stride=[2], dilation=[2], padding=[1], output_padding=[1], groups=2)
    line = F.conv_transpose1d(torch.from_numpy(x), torch.from_numpy(weight), None, 2, 1, 1, 2, 2)
    assert np.allclose(y, line, **CLOSE)
    x, weight = RNG.standard_normal((2, 4, 3, 2, 3)), RNG.standard_normal((4, 3, 2, 1, 3))
    options = {
        "stride": [2, 1, 1],
        "dilation": [1, 1, 2],
        "padding": [0, 0, 1],
        "output_padding": [1, 0, 0],
        "groups": 1,
    }
    y, error = run("conv_transpose3d", weight, x=x, **options)
    volume = F.conv_transpose3d(
        torch.from_numpy(x), torch.from_numpy(weight), None, (2, 1, 1), (0, 0, 1), (1, 0, 0), 1, (1, 1, 2)
    )
    assert np.allclose(y, volume, **CLOSE)
    assert (error > 0).all()


def test_the_circular_transpose_is_an_adjoint():
    weight = RNG.standard_normal((4, 3, 3, 2))
    geometry = {"stride": [2, 1], "pads": [1, 1, 0, 1], "dilation": [1, 1], "groups": 1}
    z = RNG.standard_normal((3, 3, 12, 5))
    forward = run("conv2d", weight, x=z, padding_mode="circular", **geometry)[0]
    adjoint = run("circular_conv_transpose2d", weight, x=X, **geometry)[0]
    assert float((forward * X).sum()) == pytest.approx(float((z * adjoint).sum()), rel=1e-12)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_gradient_residual(mode):
    weight, bias = 0.1 * RNG.standard_normal((6, 2, 3, 2)), RNG.standard_normal(6)
    layer = GradientResidual2d(torch.from_numpy(weight), torch.from_numpy(bias), mode, 1, 2)
    y, _ = run(
        "gradient_residual2d", weight, bias, pads=[1, 1, 0, 1], dilation=[1, 1], groups=2, padding_mode=mode
    )  # fmt: skip
    with torch.no_grad():
        assert np.allclose(y, layer(torch.from_numpy(X)), **CLOSE)


def test_dense():
    weight, bias = RNG.standard_normal((7, 5)), RNG.standard_normal(7)
    assert np.allclose(run("linear", weight, bias)[0], X @ weight.T + bias, **CLOSE)
    by_hand = X - 2 * np.maximum(X @ weight.T + bias, 0) @ weight
    assert np.allclose(run("gradient_residual1d", weight, bias)[0], by_hand, **CLOSE)


@pytest.mark.parametrize(
    ("weight", "bias", "attributes"),
    [
        (np.ones((2, 3, 1, 1)), None, {}),
        (np.ones((2, 4, 9, 1)), None, {}),
        (np.ones((2, 4, 1, 1)), np.ones(1), {}),
        (np.ones((2, 4, 1, 1)), None, {"groups": 3}),
        (np.ones((2, 4, 1, 1)), None, {"padding_mode": "wild"}),
        (np.ones((2, 4, 1, 1)), None, {"pads": [6, 0, 0, 0], "padding_mode": "reflect"}),
    ],
)
def test_what_does_not_fit_is_refused(weight, bias, attributes):
    options = {"stride": [1, 1], "dilation": [1, 1], "groups": 1, "pads": [0, 0, 0, 0], "padding_mode": "zeros"}
    with pytest.raises(VerificationError, match="does not fit"):
        run("conv2d", weight, bias, **(options | attributes))
