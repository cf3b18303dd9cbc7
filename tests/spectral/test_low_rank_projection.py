"""Lowering of symbols, against dense singular values at each frequency and the nearest kernel."""

import pytest
import torch
from torch import nn

from onelip.spectral.clip_fourier import symbol_of
from onelip.spectral.low_rank_projection import project_kernel
from onelip.spectral.nearest import Factors, nearest


def drawn(in_channels, out_channels, size, **options):
    torch.manual_seed(0)
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False, dtype=torch.float64, **options)
    kernel = conv.weight.detach().unflatten(0, (conv.groups, -1)).flatten(3)
    return 3 * kernel, symbol_of(conv, (in_channels, size, size))


def tops(kernel, symbol):
    return torch.linalg.matrix_norm(symbol.apply(kernel), 2) / symbol.counts.sqrt()


CASES = {
    "square": drawn(6, 6, 8),
    "strided": drawn(5, 7, 8, stride=2),
    "grouped": drawn(6, 4, 7, groups=2),
    "wide": drawn(36, 34, 3),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bound", [0.5, 1.0])
def test_no_matrix_is_above_and_the_move_is_small(case, bound):
    kernel, symbol = CASES[case]
    done = project_kernel(kernel, symbol, bound)
    assert done.before == pytest.approx(float(tops(kernel, symbol).max()), rel=1e-2)
    assert done.n_steps > 0
    assert tops(done.kernel, symbol).max() <= bound * 1.01

    def pull(factors: Factors):
        return symbol.adjoint(factors.full)

    limits = bound * symbol.counts.sqrt().expand(len(kernel), -1)
    best = nearest(kernel, symbol.apply, pull, limits, step=1 / symbol.square_norm, tol=1e-3)
    # The nearest kernel is no nearer than that.
    assert (done.kernel - kernel).norm() <= 1.1 * best.least_distance


@pytest.mark.parametrize("case", CASES)
def test_what_is_below_stays_bit_for_bit(case):
    kernel, symbol = CASES[case]
    done = project_kernel(kernel, symbol, float(tops(kernel, symbol).max()))
    assert done.n_steps == 0
    assert done.kernel is kernel


def test_kernels_of_one_tap_are_cut_as_matrices():
    kernel = torch.diag_embed(torch.tensor([3.0, 1.5, 0.5]))[None, :, :, None]
    symbol = symbol_of(nn.Conv2d(3, 3, 1), (3, 4, 4))
    expected = torch.diag_embed(torch.tensor([2.0, 1.5, 0.5]))[None, :, :, None]
    torch.testing.assert_close(project_kernel(kernel, symbol, 2.0).kernel, expected)
    assert project_kernel(kernel, symbol, 3.0).kernel is kernel
