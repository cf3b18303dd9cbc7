"""Each proof of a symbol's top eigenvalue, on its own."""

from __future__ import annotations

import math

import pytest
import torch

from onelip.linalg.convolution.kernels import autocorrelation
from onelip.linalg.convolution.symbol import _FEWEST, Symbol, _grid, _tables


def _symbol(*shape: int) -> Symbol:
    return Symbol(autocorrelation(torch.randn(shape, dtype=torch.float64), side="out")[None])


def _top(symbol: Symbol, n: int) -> float:
    # Through the FFT of the taps with the middle one moved to the origin.
    _, c, _, h, w = symbol.taps.shape
    image = torch.zeros(c, c, n, n, dtype=torch.float64)
    for i in range(h):
        for j in range(w):
            image[:, :, (i - h // 2) % n, (j - w // 2) % n] += symbol.taps[0, :, :, i, j]
    return float(torch.linalg.eigvalsh(torch.fft.fft2(image).permute(2, 3, 0, 1)).max())


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (4, 6, 3, 3), (3, 5, 2, 4), (5, 5, 1, 1), (2, 2, 1, 7)])
def test_every_proof_is_above_the_top_eigenvalue(shape: tuple[int, int, int, int]) -> None:
    symbol = _symbol(*shape)
    top = _top(symbol, 64)
    proofs = [symbol.residual_bound(), symbol.row_sum_bound()]
    proofs += [symbol.frequency_bound(0.0, near) for near in (False, True)]
    assert min(proofs) >= top * (1 - 1e-13)
    assert symbol.center <= top


def test_proofs_leave_the_taps_alone() -> None:
    for shape in ((3, 4, 1, 1), (3, 4, 3, 3)):
        symbol = _symbol(*shape)
        before = symbol.taps.clone()
        symbol.residual_bound()
        symbol.row_sum_bound()
        symbol.frequency_bound(0.0, True)
        assert torch.equal(symbol.taps, before)


def test_row_sums_reach_the_perron_root() -> None:
    taps = torch.rand(1, 6, 6, 1, 1, dtype=torch.float64)
    taps = taps + taps.transpose(1, 2)
    root = float(torch.linalg.eigvalsh(taps[0, :, :, 0, 0]).max())
    assert root * (1 - 1e-14) <= Symbol(taps).row_sum_bound() <= root * (1 + 1e-10)


@pytest.mark.parametrize("per_degree", [_FEWEST, 8, 24])
def test_worst_polynomial_between_grid_points(per_degree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # 1 + cos(L (w - pi / n)) peaks half way between two grid points, where the Ehlich-Zeller factor is attained.
    degree = 3
    n = per_degree * degree
    monkeypatch.setattr(Symbol, "_counts", lambda self, near: (1, n))
    peak = math.pi / n
    taps = torch.zeros(1, 2, 2, 1, 2 * degree + 1, dtype=torch.float64)
    taps[0, :, :, 0, degree] = torch.eye(2)
    # exp(-i L peak) / 2 as a real 2x2 block: the embedding of complex numbers in rotations.
    c, s = math.cos(degree * peak) / 2, math.sin(degree * peak) / 2
    block = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    taps[0, :, :, 0, -1], taps[0, :, :, 0, 0] = block, block.mT
    for near in (False, True):
        assert 2.0 - 1e-14 <= Symbol(taps).frequency_bound(0.0, near) <= 2.0 / math.cos(math.pi / per_degree) + 1e-9


@pytest.mark.parametrize("counts", [(4, 6), (5, 7), (3, 8)])
def test_grid_holds_one_of_each_pair_of_frequencies(counts: tuple[int, int]) -> None:
    cos, sin = _tables((1, 1), counts)
    held = {tuple(row) for row in torch.cat([cos, sin], dim=1).round(decimals=9).add(0.0).tolist()}
    mirrored = {tuple(row) for row in torch.cat([cos, -sin], dim=1).round(decimals=9).add(0.0).tolist()}
    assert len(held) == len(cos)
    assert len(held | mirrored) == counts[0] * counts[1]
    # Only frequencies that are their own mirror image may be in both.
    assert len(held & mirrored) == (2 - counts[0] % 2) * (2 - counts[1] % 2)


def test_grid_matrices_are_those_of_the_fft() -> None:
    symbol = _symbol(4, 3, 3, 2)
    n = (8, 6)
    matrices = torch.cat(list(_grid(symbol.taps, n)))
    image = torch.zeros(4, 4, *n, dtype=torch.float64)
    for i in range(5):
        for j in range(3):
            image[:, :, (i - 2) % n[0], (j - 1) % n[1]] += symbol.taps[0, :, :, i, j]
    expected = torch.linalg.eigvalsh(torch.fft.fft2(image).permute(2, 3, 0, 1).flatten(0, 1))
    for values in torch.linalg.eigvalsh(matrices):
        assert float((expected - values).abs().amax(-1).min()) < 1e-12
