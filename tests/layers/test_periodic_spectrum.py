"""Convolutions with a repeating spectrum: the dilated convolution where it exists, by transforms elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.layers.dense import dense_matrix

from onelip.layers import PeriodicSpectrumConv2d
from onelip.layers.fourier import frequency_conv2d
from onelip.layers.periodic_spectrum import grid_index, grid_kernel, grid_spectrum, image_spectrum


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 3), (4, 5)])
def test_grid_spectrum_is_that_of_the_dense_matrix(kernel: tuple[int, int]) -> None:
    taps = torch.randn(3, 2, *kernel, dtype=torch.float64)
    spectrum = grid_spectrum(taps)
    torch.testing.assert_close(grid_kernel(spectrum), taps)
    # On an image as large as the kernel the dense matrix is block circulant, with these blocks.
    dense = np.linalg.svd(dense_matrix(PeriodicSpectrumConv2d(taps, None), (2, *kernel)).numpy())[1]
    blocks = np.linalg.svd(spectrum[:, :, 0].numpy())[1]
    np.testing.assert_allclose(np.sort(dense), np.sort(blocks.ravel()), atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", [(3, 4), (6, 8), (9, 4)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3), (3, 5)])
def test_dilated_convolution_and_transforms_agree(
    groups: int, size: tuple[int, int], dilation: tuple[int, int]
) -> None:
    kernel, bias = torch.randn(4, 4 // groups, 3, 4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    layer = PeriodicSpectrumConv2d(kernel, bias, dilation, groups)
    by_transforms = frequency_conv2d(x, image_spectrum(kernel, size, dilation, groups), bias)
    torch.testing.assert_close(layer(x), by_transforms)
    # Torch's own circular convolution with taps n / k pixels apart; it centres spread kernels of even size elsewhere.
    if dilation == (1, 1) and size[1] == 4:
        spread = (size[0] // 3, size[1] // 4)
        plain = torch.nn.Conv2d(4, 4, (3, 4), 1, "same", spread, groups, True, "circular", dtype=torch.float64)
        plain.weight, plain.bias = torch.nn.Parameter(kernel), torch.nn.Parameter(bias)
        torch.testing.assert_close(layer(x), plain(x))


@pytest.mark.parametrize("dilation", [1, 2, 5])
@pytest.mark.parametrize("period", [1, 2, 3, 4, 5])
def test_opposite_frequencies_have_opposite_places(period: int, dilation: int) -> None:
    for size in range(1, 13):
        index = grid_index(size, period, dilation, size)
        assert all((index[p] + index[-p % size]) % period == 0 for p in range(size))
        if size % period == 0:
            assert index == [dilation * p % period for p in range(size)]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 7), (8, 8), (6, 9)])
def test_bound_covers_every_image(size: tuple[int, int]) -> None:
    layer = PeriodicSpectrumConv2d(torch.randn(2, 3, 3, 3, dtype=torch.float64), None)
    norm = float(torch.linalg.matrix_norm(dense_matrix(layer, (3, *size)), 2))
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert norm <= bound.value * (1 + 1e-13)
    if size == (6, 9):
        assert bound.value <= norm * (1 + 1e-9)


def test_real_output_on_images_of_any_size() -> None:
    # The dense matrix commutes with shifts: it is a circular convolution.
    layer = PeriodicSpectrumConv2d(torch.randn(1, 1, 3, 3, dtype=torch.float64), None)
    x = torch.randn(1, 1, 8, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(x.roll((1, 2), (2, 3))), layer(x).roll((1, 2), (2, 3)))


def test_refusals() -> None:
    with pytest.raises(ValueError, match="groups=2 does not divide out_channels=3 in PeriodicSpectrumConv2d"):
        PeriodicSpectrumConv2d(torch.zeros(3, 2, 3, 3), None, groups=2)
