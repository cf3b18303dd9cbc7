"""Lowering of symbols, against dense singular values at each frequency and the nearest kernel."""

import pytest
import torch
from torch import nn

from onelip.spectral.clip_fourier import Symbol, symbol_of
from onelip.spectral.low_rank_projection import project_kernels
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
    done = project_kernels([kernel], symbol, [bound])[0]
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
    done = project_kernels([kernel], symbol, [float(tops(kernel, symbol).max())])[0]
    assert done.n_steps == 0
    assert done.kernel is kernel


def test_kernels_of_one_tap_are_cut_as_matrices():
    kernel = torch.diag_embed(torch.tensor([3.0, 1.5, 0.5]))[None, :, :, None]
    symbol = symbol_of(nn.Conv2d(3, 3, 1), (3, 4, 4))
    expected = torch.diag_embed(torch.tensor([2.0, 1.5, 0.5]))[None, :, :, None]
    torch.testing.assert_close(project_kernels([kernel], symbol, [2.0])[0].kernel, expected)
    assert project_kernels([kernel], symbol, [3.0])[0].kernel is kernel


@pytest.mark.parametrize("shape", [(2, 40, 30), (2, 30, 40)])
def test_matrices_lose_what_is_above_and_nothing_else(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, s, vh = torch.linalg.svd(matrices.double(), full_matrices=False)
    expected = (u * s.clamp(max=4.0)[:, None, :]) @ vh
    found = project_kernels([matrices[..., None]], CASES["square"][1], [4.0])[0]
    assert found.n_steps == 1
    torch.testing.assert_close(found.kernel[..., 0].double(), expected, rtol=0, atol=3e-7)


@pytest.mark.parametrize("case", CASES)
def test_several_kernels_side_by_side_are_as_each_alone(case):
    kernel, symbol = CASES[case]
    below = kernel / float(tops(kernel, symbol).max())
    kernels, bounds = [kernel, below, 0.5 * kernel, 2 * kernel], [0.5, 1.0, 0.4, 0.6]
    together = project_kernels(kernels, symbol, bounds)
    assert together[1].kernel is below
    assert min(done.n_steps for done in (together[0], *together[2:])) > 0
    for given, bound, done in zip(kernels, bounds, together, strict=True):
        alone = project_kernels([given], symbol, [bound])[0]
        assert tops(done.kernel, symbol).max() <= bound * 1.01
        assert done.before == pytest.approx(alone.before, rel=1e-3)
        # Where one of them has its block widened, the others follow more as well.
        assert (done.kernel - alone.kernel).norm() <= 0.05 * (alone.kernel - given).norm()


def test_a_kernel_just_below_is_measured_as_it_is_while_another_moves():
    kernel, symbol = CASES["square"]
    just_below = kernel / float(tops(kernel, symbol).max()) * 1.004
    together = project_kernels([kernel, just_below], symbol, [0.5, 1.0], tol=5e-3)
    assert together[1].kernel is just_below
    assert together[1].after == pytest.approx(1.004, rel=1e-5)


def test_kernels_of_other_shapes_are_filled_up():
    kernel, symbol = CASES["wide"]
    smaller = [kernel[:, :9], kernel[:, :, :3], kernel[:, :1, :1]]
    for given, done in zip(smaller, project_kernels([*smaller, kernel], symbol, [1.0] * 4), strict=False):
        alone = project_kernels([given], symbol, [1.0])[0]
        assert done.kernel.shape == given.shape
        assert tops(done.kernel, symbol).max() <= 1.01
        assert done.before == pytest.approx(float(tops(given, symbol).max()), rel=2e-3)
        assert (done.kernel - alone.kernel).norm() <= 0.05 * (alone.kernel - given).norm()


def test_a_matrix_is_measured_to_a_ten_thousandth():
    for shape in ((3, 40, 30), (1, 5, 60), (1, 200, 200)):
        matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        exact = float(torch.linalg.matrix_norm(matrices, 2).max())
        for scale in (1e-150, 1.0, 1e150):
            found = project_kernels([scale * matrices[..., None]], CASES["square"][1], [1e200])[0]
            assert exact * scale * (1 - 1e-12) <= found.before <= exact * scale * (1 + 1e-4)


@pytest.mark.parametrize("rank", [0, 1, 5, 31])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_directions_may_be_missing(rank, dtype):
    conv = nn.Conv2d(64, 64, 3, padding=1, dtype=dtype)
    symbol = symbol_of(conv, (64, 5, 5))
    generator = torch.Generator().manual_seed(0)
    factors = [torch.randn(shape, generator=generator, dtype=dtype) for shape in ((64, rank), (rank, 64 * 9))]
    kernel = 0.1 * (factors[0] @ factors[1]).view(1, 64, 64, 9)
    exact = float(tops(kernel, symbol).max())
    done = project_kernels([kernel], symbol, [1.0])[0]
    assert done.before == pytest.approx(exact, rel=5e-3)
    assert tops(done.kernel, symbol).max() <= 1.01


def test_matrices_that_a_device_gives_up_are_decomposed_elsewhere(monkeypatch):
    kernel, symbol = CASES["square"]
    single = Symbol(symbol.waves.to(torch.complex64), symbol.counts.float())
    expected = project_kernels([kernel.float()], single, [0.5])[0]
    original, n_refused = torch.linalg.eigh, 0

    def eigh(matrices):
        nonlocal n_refused
        if matrices.dtype == torch.complex64:
            n_refused += 1
            raise torch.linalg.LinAlgError
        return original(matrices)

    monkeypatch.setattr(torch.linalg, "eigh", eigh)
    found = project_kernels([kernel.float()], single, [0.5])[0]
    assert n_refused > 0
    assert found.n_steps == expected.n_steps
    torch.testing.assert_close(found.kernel, expected.kernel, rtol=1e-3, atol=1e-4)
