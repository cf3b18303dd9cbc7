"""Adaptive SOC: a kernel that is the polynomial of a skew operator, of the published size, and really orthogonal."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from tests.layers.dense import dense_matrix, singular_values, train

from onelip.layers import AdaptiveSOCConv2d, AdaptiveSOCConvTranspose2d, CircularConv2d
from onelip.layers.adaptive_soc import polynomial_kernel
from onelip.linalg import transpose
from onelip.linalg.unit_polynomial import unit_polynomial


def test_kernel_has_the_published_size_and_the_output_torchs() -> None:
    for kernel, size in ((1, 1), (3, 7), (5, 13), ((3, 1), (7, 1))):
        layer = AdaptiveSOCConv2d(2, 2, kernel, padding="same", padding_mode="circular")
        assert layer.weight.shape[2:] == (size if isinstance(size, tuple) else (size, size))
    assert AdaptiveSOCConv2d(2, 8, 4, stride=2, padding=1).weight.shape == (8, 2, 8, 8)
    for arguments in ({"stride": 2, "padding": 1}, {"padding": "valid"}, {"padding": 2, "dilation": 2}):
        ours, theirs = AdaptiveSOCConv2d(3, 4, 3, **arguments), torch.nn.Conv2d(3, 4, 3, **arguments)
        x = torch.zeros(2, 3, 7, 9)
        assert ours(x).shape == theirs(x).shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_weight_that_is_there_is_not_fitted_again(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = AdaptiveSOCConv2d(16, 16, 3, padding=1, dtype=dtype)
    kept = layer.raw_weight.detach().clone()
    monkeypatch.setattr(layer, "_descended", None)
    layer.weight = layer.weight.detach().clone()
    assert torch.equal(layer.raw_weight, kept)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_layer_is_the_polynomial_of_its_generator(mode: str) -> None:
    layer = AdaptiveSOCConv2d(2, 2, 3, padding=1, padding_mode=mode, dtype=torch.float64)
    skew = layer._plan.skew(layer.raw_weight.detach())
    generator = torch.nn.Conv2d(2, 2, 3, padding=1, padding_mode=mode, bias=False, dtype=torch.float64)
    generator.weight = torch.nn.Parameter(skew)
    basis = torch.eye(72, dtype=torch.float64).view(72, 2, 6, 6)
    a = generator(basis).detach().flatten(1).T
    assert torch.equal(a, -a.T)
    assert float(torch.linalg.matrix_norm(a, 2)) <= 1
    power, expected = torch.eye(72, dtype=torch.float64), torch.zeros(72, 72, dtype=torch.float64)
    for coefficient in layer._plan.coefficients:
        expected, power = expected + coefficient * power, power @ a
    if mode == "circular":
        torch.testing.assert_close(dense_matrix(layer, (2, 6, 6)), expected)
        # And so the exponential of a skew matrix, but for the deviation.
        rotation = scipy.linalg.polar(expected.numpy())[0]
        log = scipy.linalg.logm(rotation)
        assert np.abs(log + log.T).max() <= 1e-10
        assert np.abs(rotation - expected.numpy()).max() <= 5e-5
    else:
        assert float(singular_values(layer, (2, 6, 6))[0]) <= 1


@pytest.mark.parametrize("n_terms", [2, 3, 4, 6])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e3])
def test_orthogonal_from_every_raw_weight(n_terms: int, scale: float) -> None:
    layer = AdaptiveSOCConv2d(3, 3, 3, padding=1, padding_mode="circular", n_terms=n_terms)
    with torch.no_grad():
        layer.raw_weight.mul_(scale)
    values = singular_values(layer, (3, 5, 6))
    assert float(values[0]) <= 1
    assert float(values[-1]) >= 1 - 6e-5
    assert layer.lipschitz_bound().value <= 1 + 1e-6


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 4), (4, 1), (2, 8), (4, 4), (8, 2)])
@pytest.mark.parametrize("stride", [2, 4])
def test_strided_layers_are_orthogonal(kernel: int, inputs: int, outputs: int, stride: int) -> None:
    if kernel < stride and outputs > inputs * kernel**2:
        with pytest.raises(ValueError, match=r"kernel_size=.* is smaller than stride="):
            AdaptiveSOCConv2d(inputs, outputs, kernel, stride)
        return
    padding = max(0, (kernel - 1) // 2)
    layer = AdaptiveSOCConv2d(inputs, outputs, kernel, stride, padding, padding_mode="circular")
    values = singular_values(layer, (inputs, 8, 8))
    assert float(values[0]) <= 1 + 1e-6
    if 8 // stride == layer(torch.zeros(1, inputs, 8, 8)).shape[-1]:
        assert float(values[-1]) >= 1 - 1e-4


@pytest.mark.parametrize(("stride", "dilation"), [(2, 2), (4, 2), ((2, 4), (2, 3))])
def test_stride_and_dilation_with_a_common_divisor_give_a_co_isometry(stride: int, dilation: int) -> None:
    layer = AdaptiveSOCConv2d(4, 3, 3, stride, dilation, dilation, padding_mode="circular")
    values = singular_values(layer, (4, 8, 8))
    assert 1 - 6e-5 <= float(values[-1]) <= float(values[0]) <= 1 + 1e-6


def test_stays_orthogonal_in_training_and_learns() -> None:
    layer = AdaptiveSOCConv2d(4, 4, 3, padding=1, padding_mode="circular")
    before = layer.weight.detach().clone()
    train(layer, torch.randn(8, 4, 6, 6), 30, 0.05, retract=True)
    assert float((layer.weight.detach() - before).abs().max()) > 0.05
    values = singular_values(layer, (4, 6, 6))
    assert 1 - 6e-5 <= float(values[-1]) <= float(values[0]) <= 1


@pytest.mark.parametrize("groups", [2, 4])
def test_groups_act_apart_and_may_widen(groups: int) -> None:
    layer = AdaptiveSOCConv2d(4, 8, 3, padding=1, groups=groups, padding_mode="circular")
    matrix = dense_matrix(layer, (4, 4, 4)).reshape(groups, -1, groups, 64 // groups)
    for i in range(groups):
        for j in range(groups):
            assert bool(matrix[i, :, j].any()) == (i == j)
    assert float(singular_values(layer, (4, 4, 4))[-1]) >= 1 - 6e-5


def test_images_smaller_than_the_padding() -> None:
    layer = AdaptiveSOCConv2d(2, 2, 5, padding=2, padding_mode="circular")
    assert isinstance(layer.to_plain(), CircularConv2d)
    for size in ((1, 1), (2, 3), (3, 1), (5, 4)):
        values = singular_values(layer, (2, *size))
        assert 1 - 6e-5 <= float(values[-1]) <= float(values[0]) <= 1


def test_transposed_is_the_adjoint() -> None:
    down = AdaptiveSOCConv2d(2, 6, 4, 2, 1, padding_mode="circular", bias=False)
    up = AdaptiveSOCConvTranspose2d(6, 2, 4, 2, 1, padding_mode="circular", bias=False)
    up.load_state_dict(down.state_dict())
    assert torch.equal(up.eval().weight, down.eval().weight)
    torch.testing.assert_close(dense_matrix(up, (6, 3, 4)), dense_matrix(down, (2, 6, 8)).T)


def test_polynomial_of_a_kernel() -> None:
    kernel = torch.randn(4, 2, 3, 3, dtype=torch.float64)
    coefficients = (0.5, -1.0, 2.0)
    found = polynomial_kernel(kernel, coefficients, groups=2)
    x = torch.randn(1, 4, 12, 12, dtype=torch.float64)

    def conv(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(x, kernel, groups=2)

    expected = 0.5 * x[..., 2:-2, 2:-2] - conv(x, kernel)[..., 1:-1, 1:-1] + 2 * conv(conv(x, kernel), kernel)
    torch.testing.assert_close(conv(x, found), expected)


def test_assigning_keeps_weights_of_the_set() -> None:
    for arguments in ({}, {"groups": 2}, {"n_terms": 4}):
        source, layer = (AdaptiveSOCConv2d(4, 4, 3, padding=1, dtype=torch.float64, **arguments) for _ in range(2))
        layer.weight = source.weight.detach()
        torch.testing.assert_close(layer.weight, source.weight, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_terms": 1}, "n_terms=1 in AdaptiveSOCConv2d must be from 2"),
        ({"n_terms": 13}, "n_terms=13 in AdaptiveSOCConv2d"),
        ({"n_terms": 2.0}, "n_terms=2.0 in AdaptiveSOCConv2d must be an integer"),
        ({"stride": 2, "dilation": 2}, r"dilation=\(2, 2\) in AdaptiveSOCConv2d has a common divisor"),
    ],
)
def test_refusals(options: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        AdaptiveSOCConv2d(4, 8, 3, **options)  # type: ignore[arg-type]


def test_skew_part_is_skew_in_every_group() -> None:
    layer = AdaptiveSOCConv2d(4, 4, 3, groups=2)
    skew = layer._plan.skew(layer.raw_weight.detach())
    assert torch.equal(skew, -transpose(skew, 2))
    assert layer._plan.coefficients[0] == pytest.approx(unit_polynomial(3, 4e-5)[0], abs=1e-5)
