"""BCOP: stride 1 alone, and the frozen ablation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.layers.dense import singular_values

from onelip.layers import BCOPConv2d


def test_projectors_have_half_the_rank() -> None:
    layer = BCOPConv2d(5, 7, (3, 2))
    assert layer.raw_weight.shape == (1, 7, 5)
    assert layer.raw_frames is not None
    assert layer.raw_frames.shape == (3, 1, 7, 3)
    assert BCOPConv2d(5, 7, 1).raw_frames is None


def test_winding_number_of_the_determinant() -> None:
    # Along an axis it is (k - 1)(n - floor(n / 2)) for every such kernel: the rank is what limits the class.
    n, k = 5, 3
    weight = BCOPConv2d(n, n, k, dtype=torch.float64).weight.detach().sum(-2)
    angles = torch.linspace(0, 2 * torch.pi, 400, dtype=torch.float64)
    phases = torch.exp(1j * angles[:, None] * torch.arange(k))
    symbols = torch.einsum("oit,at->aoi", weight.to(torch.complex128), phases)
    turns = torch.linalg.eigvals(symbols).prod(-1).angle().numpy()
    assert round(float(np.unwrap(turns)[-1] - turns[0]) / (2 * np.pi)) == (k - 1) * (n - n // 2)


def test_frozen_kernel_is_orthogonal_and_does_not_learn() -> None:
    layer = BCOPConv2d(4, 4, 3, padding=1, padding_mode="circular", frozen=True)
    assert [n for n, p in layer.named_parameters() if p.requires_grad] == ["bias"]
    layer(torch.randn(2, 4, 5, 5)).sum().backward()
    assert singular_values(layer, (4, 5, 5))[-1] >= 0.9999
    assert "frozen=True" in repr(layer)


def test_strides_are_refused() -> None:
    with pytest.raises(ValueError, match="stride=2 in BCOPConv2d must be 1; AOCConv2d has strides"):
        BCOPConv2d(4, 4, 3, 2)
    with pytest.raises(ValueError, match="frozen='no' in BCOPConv2d"):
        BCOPConv2d(4, 4, 3, frozen="no")
