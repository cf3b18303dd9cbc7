"""ECO: an exponential for each frequency, at image sizes that the kernel divides and at all others."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from tests.layers.dense import dense_matrix, singular_values

from onelip.layers import ECOConv2d, InvertibleDownsampling2d, PeriodicSpectrumConv2d

IMAGES = [(1, 1), (2, 3), (5, 7), (8, 8), (16, 16), (6, 9)]


def test_matrices_are_scipys_exponentials() -> None:
    layer = ECOConv2d(3, 3, 3, padding=1, padding_mode="circular", dtype=torch.float64)
    spectrum = np.fft.fft2(layer.raw_weight.detach().roll((-1, -1), (2, 3)).numpy()).conj()
    found = np.fft.fft2(layer.weight.detach().roll((-1, -1), (2, 3)).numpy()).conj()
    for i in range(3):
        for j in range(3):
            v = spectrum[:, :, i, j]
            np.testing.assert_allclose(found[:, :, i, j], scipy.linalg.expm((v - v.conj().T) / 2), atol=1e-12)


@pytest.mark.parametrize("size", IMAGES)
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_orthogonal_on_every_image(kernel: int, size: tuple[int, int]) -> None:
    for inputs, outputs in ((2, 2), (1, 3), (3, 1)):
        if inputs * size[0] * size[1] > 300 and kernel != 3:
            continue
        layer = ECOConv2d(inputs, outputs, kernel, padding="same", padding_mode="circular", dtype=torch.float64)
        with torch.no_grad():
            layer.raw_weight.mul_(5)
        values = singular_values(layer, (inputs, *size))
        np.testing.assert_allclose(values.numpy(), 1, atol=1e-12)


def test_published_form_is_torchs_dilated_convolution() -> None:
    layer = ECOConv2d(2, 2, 3, padding=1, padding_mode="circular", dtype=torch.float64).eval()
    plain = torch.nn.Conv2d(2, 2, 3, padding="same", dilation=(2, 3), padding_mode="circular", dtype=torch.float64)
    plain.weight, plain.bias = torch.nn.Parameter(layer.weight), layer.bias
    x = torch.randn(1, 2, 6, 9, dtype=torch.float64)
    torch.testing.assert_close(layer(x), plain(x))


@pytest.mark.parametrize("stride", [2, 4, (1, 2)])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("groups", [1, 2])
def test_strided_layers_are_orthogonal(stride: int | tuple[int, int], kernel: int, groups: int) -> None:
    # Along an axis without a stride, an even kernel cannot keep the size with equal padding on both sides.
    size = kernel if isinstance(stride, int) else (kernel - 1 + kernel % 2, kernel)
    layer = ECOConv2d(2, 4, size, stride, (kernel - 1) // 2, 1, groups, padding_mode="circular")
    height, width = layer.stride
    assert layer(torch.zeros(1, 2, 8, 8)).shape == (1, 4, 8 // height, 8 // width)
    np.testing.assert_allclose(singular_values(layer, (2, 8, 8)).numpy(), 1, atol=1e-6)


def test_opposite_frequencies_may_differ() -> None:
    layer = ECOConv2d(2, 2, 3, padding=1, padding_mode="circular")
    kernel = layer.weight.detach()
    assert float((kernel - kernel.flip(2, 3)).abs().max()) > 0.01


@pytest.mark.parametrize(("inputs", "outputs", "kernel"), [(3, 3, 3), (2, 4, 4), (4, 2, (2, 3)), (1, 1, 3), (2, 2, 1)])
def test_assigned_weights_of_the_set_come_back(inputs: int, outputs: int, kernel: int | tuple[int, int]) -> None:
    source, layer = (
        ECOConv2d(inputs, outputs, kernel, padding="same", padding_mode="circular", dtype=torch.float64)
        for _ in range(2)
    )
    with torch.no_grad():
        source.raw_weight.mul_(9)
    layer.weight = source.weight.detach()
    torch.testing.assert_close(layer.weight, source.weight, rtol=0, atol=1e-9)


def test_assignment_is_the_nearest_kernel_of_the_set() -> None:
    layer = ECOConv2d(2, 2, 3, padding=1, padding_mode="circular", dtype=torch.float64)
    target = torch.randn_like(layer.weight)
    layer.weight = target
    nearest = float((layer.weight.detach() - target).norm())
    for seed in range(10):
        with torch.no_grad():
            noise = torch.randn(layer.raw_weight.shape, generator=torch.Generator().manual_seed(seed))
            other = ECOConv2d(2, 2, 3, padding=1, padding_mode="circular", dtype=torch.float64)
            other.raw_weight.copy_(layer.raw_weight + 0.05 * noise)
            assert nearest <= float((other.weight - target).norm()) + 1e-9


def test_plain_forms() -> None:
    assert isinstance(ECOConv2d(2, 2, 3, padding=1, padding_mode="circular").to_plain(), PeriodicSpectrumConv2d)
    strided = ECOConv2d(2, 8, 3, 2, 1, padding_mode="circular").to_plain()
    assert [type(m) for m in strided] == [InvertibleDownsampling2d, PeriodicSpectrumConv2d]


def test_bound_holds_for_every_image_size() -> None:
    layer = ECOConv2d(2, 2, 3, padding=1, padding_mode="circular")
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert 1 - 1e-6 <= bound.value <= 1 + 1e-6
    for size in IMAGES[:4]:
        assert float(torch.linalg.matrix_norm(dense_matrix(layer, (2, *size)), 2)) <= bound.value * (1 + 1e-12)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("stride", [1, 2, 3, (1, 2)])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (2, 1), (3, 2), (4, 1), ((1, 5), 1)])
def test_every_padding_has_torchs_size_and_norm_at_most_one(
    kernel: int | tuple[int, int], dilation: int, stride: int | tuple[int, int], mode: str
) -> None:
    reach = dilation * ((kernel if isinstance(kernel, int) else 1) - 1)
    for padding in range(reach // 2 + 1 if mode == "circular" else 4):
        for size in ((6, 12), (7, 8), (8, 11)):
            layer = ECOConv2d(2, 3, kernel, stride, padding, dilation, padding_mode=mode).eval()
            if mode == "circular" and padding and any(n % s for n, s in zip(size, layer.stride, strict=True)):
                continue
            if min(n + 2 * padding - reach for n in size) < 1:
                continue
            x = torch.randn(2, 2, *size)
            if mode == "zeros" or not padding:
                assert layer(x).shape == torch.nn.Conv2d(2, 3, kernel, stride, padding, dilation)(x).shape
            torch.testing.assert_close(layer.to_plain()(x), layer(x), rtol=0, atol=1e-6)
            if size == (6, 12):
                assert float(singular_values(layer, (2, *size))[0]) <= 1 + 1e-6


def test_zeros_meet_no_pixel_of_the_other_side() -> None:
    # With the image in the middle of zeros the layer is a section of the orthogonal map on the larger circle.
    layer = ECOConv2d(2, 2, 3, padding=1, bias=False, dtype=torch.float64)
    circle = ECOConv2d(2, 2, 3, padding=1, bias=False, padding_mode="circular", dtype=torch.float64)
    circle.load_state_dict(layer.state_dict())
    x = torch.randn(1, 2, 4, 7, dtype=torch.float64)
    expected = circle(torch.nn.functional.pad(x, (1, 1, 1, 1)))[..., 1:-1, 1:-1]
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"padding_mode": "reflect"}, "padding_mode='reflect' in ECOConv2d repeats pixels"),
        ({"padding": 2}, "padding=2 in ECOConv2d with padding_mode='circular' repeats pixels"),
        ({"stride": 0}, "stride=0 in ECOConv2d must be an integer of at least 1"),
    ],
)
def test_refusals(options: dict[str, object], match: str) -> None:
    arguments = {"kernel_size": 3, "padding": 1, "padding_mode": "circular", **options}
    with pytest.raises(ValueError, match=match):
        ECOConv2d(2, 2, **arguments)  # type: ignore[arg-type]


def test_images_that_the_stride_does_not_divide_are_refused() -> None:
    layer = ECOConv2d(2, 8, 3, 2, 1, padding_mode="circular")
    with pytest.raises(ValueError, match="image width 5 is not a multiple of stride 2 in ECOConv2d"):
        layer(torch.zeros(1, 2, 4, 5))
