"""Each proof of a symbol's top eigenvalue, on its own."""

from __future__ import annotations

import pytest
import torch

from onelip.linalg.convolution.kernels import autocorrelation
from onelip.linalg.convolution.symbol import Symbol


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


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (4, 6, 3, 3), (3, 5, 2, 4), (5, 5, 1, 1)])
def test_every_eigenvalue_is_in_the_residual_interval(shape: tuple[int, int, int, int]) -> None:
    symbol = _symbol(*shape)
    low, high = symbol.residual_interval()
    assert low <= -_top(Symbol(-symbol.taps), 64) * (1 - 1e-13)
    assert high == symbol.residual_bound() >= _top(symbol, 64)


def test_second_derivatives_are_bounded() -> None:
    symbol = _symbol(3, 4, 3, 2)
    lags = torch.arange(-2, 3).double()[:, None].square(), torch.arange(-1, 2).double().square()
    for bound, squares in zip(symbol._curvature(), lags, strict=True):
        bent = max(_top(Symbol(sign * symbol.taps * squares), 64) for sign in (1, -1))
        assert bent <= bound <= 20 * bent


def test_ceiling_is_returned_where_nothing_can_be_below() -> None:
    symbol = _symbol(3, 4, 3, 2)
    top = _top(symbol, 256)
    assert symbol.frequency_bound(0.0, False, top * (1 - 1e-3)) == top * (1 - 1e-3)
