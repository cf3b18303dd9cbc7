"""Starts for convolutions: near the top, and none where they do not apply."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.spectral import AffineMap, singular_values
from onelip.spectral.plane_waves import plane_waves


def quotients(operator: AffineMap) -> list[float]:
    waves = plane_waves(operator, torch.Generator().manual_seed(0))
    return (operator.apply(waves).norm(dim=1) / waves.norm(dim=1)).tolist()


@pytest.mark.parametrize(
    ("options", "shape", "least"),
    [
        ({}, (4, 24, 24), 0.99),
        ({"padding_mode": "circular"}, (4, 24, 24), 0.998),
        ({"groups": 2}, (4, 24, 20), 0.99),
        ({"dilation": 2, "padding": 2}, (4, 30, 24), 0.98),
        ({"stride": 2}, (4, 32, 24), 0.98),
        ({"padding": 0, "bias": False}, (4, 24, 24), 0.99),
    ],
)
def test_a_wave_is_near_the_top_singular_vector(options, shape, least):
    for seed in range(3):
        torch.manual_seed(seed)
        conv = nn.Conv2d(4, 6, 3, **{"padding": 1, **options})
        operator = AffineMap(conv, shape)
        # The slow reference: power iteration from a random start.
        x = torch.randn(1, operator.n_inputs)
        for _ in range(150):
            y = operator.apply(x / x.norm())
            x = operator.adjoint(y)
        assert max(quotients(operator)) >= least * float(y.norm())


def test_the_frequency_is_moved_off_the_grid():
    # cos(w t) has its peak at w, wherever the grid is.
    for angle in (0.3, 1.1, 2.0):
        conv = nn.Conv1d(1, 1, 7, padding=3, bias=False, padding_mode="zeros")
        conv.weight.data[0, 0] = torch.cos(angle * torch.arange(7.0)) * torch.hann_window(9)[1:-1]
        operator = AffineMap(conv, (1, 400))
        waves = plane_waves(operator, torch.Generator().manual_seed(0))
        spectrum = torch.fft.rfft(waves[:1], n=4000).abs()
        symbol = torch.fft.rfft(conv.weight.data[0], n=4000).abs()
        assert abs(int(spectrum.argmax()) - int(symbol.argmax())) * 2 * math.pi / 4000 < 0.03


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (2, 20, 20)),
        (nn.Conv2d(2, 2, 3, padding=1), (2, 8, 8)),
        (nn.ConvTranspose2d(2, 2, 3), (2, 20, 20)),
        (nn.Linear(20, 4), (300, 20)),
        (nn.Sequential(nn.Conv2d(2, 2, 3)), (2, 20, 20)),
        (layers.conv2d("aol", 2, 2, 3), (2, 20, 20)),
    ],
)
def test_no_waves_for_other_maps(module, shape):
    operator = AffineMap(module, shape)
    assert plane_waves(operator, torch.Generator()).shape == (0, operator.n_inputs)


def test_zero_kernels_and_one_tap():
    conv = nn.Conv2d(2, 3, 3, padding=1)
    nn.init.zeros_(conv.weight)
    assert singular_values(conv, (2, 20, 20)).values.item() == 0.0
    identity = nn.Conv2d(2, 2, 1, bias=False)
    nn.init.dirac_(identity.weight)
    assert singular_values(identity, (2, 20, 20), k=3).values.tolist() == pytest.approx([1.0] * 3)
    for module in (nn.Conv1d(2, 2, 5, padding=2), nn.Conv3d(1, 2, 3, padding=1, groups=1)):
        shape = (2, 300) if isinstance(module, nn.Conv1d) else (1, 7, 7, 7)
        assert singular_values(module, shape, tol=1e-3).converged
