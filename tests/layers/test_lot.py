"""LOT: the factor against SVD, bad starts, train as eval, and where the convolution is an isometry."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.layers.dense import singular_values
from torch import Tensor

from onelip.layers import LOTConv2d, LOTLinear
from onelip.layers.lot import lot_factor, polar_by_eigenvectors
from onelip.linalg import polar_express


def conditioned(batch: int, m: int, n: int, condition: float, dtype: torch.dtype) -> Tensor:
    """Matrices with singular values from 1 down to 1 / condition."""
    u, _, vh = torch.linalg.svd(torch.randn(batch, m, n, dtype=torch.complex128), full_matrices=False)
    values = torch.logspace(0, -float(torch.log10(torch.tensor(condition))), min(m, n), dtype=torch.float64)
    return ((u * values) @ vh).to(dtype)


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (1, 1), (1, 5)])
def test_factor_is_the_inverse_root_of_the_gram_matrix_times_v(shape: tuple[int, int]) -> None:
    v = conditioned(3, *shape, 100.0, torch.complex128)
    # The definition, on the smaller side: with eigenvectors of the Gram matrix.
    tall = v if shape[0] >= shape[1] else v.mH
    values, vectors = torch.linalg.eigh(tall.mH @ tall)
    expected = tall @ (vectors * values.rsqrt()[:, None].to(vectors.dtype)) @ vectors.mH
    expected = expected if shape[0] >= shape[1] else expected.mH
    torch.testing.assert_close(lot_factor(v), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("shape", [(8, 8), (12, 5), (140, 140)])
def test_condition_up_to_1e3_in_single_precision(shape: tuple[int, int], scale: float) -> None:
    v = (scale * conditioned(2, *shape, 1e3, torch.complex64)).requires_grad_()
    q = lot_factor(v)
    values = torch.linalg.svdvals(q.detach().to(torch.complex128))
    assert float((values - 1).abs().max()) < 1e-5
    q.real.sum().backward()
    assert v.grad is not None
    assert bool(torch.isfinite(torch.view_as_real(v.grad)).all())


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (1, 1)])
@pytest.mark.parametrize("start", ["random", "equal", "ill"])
def test_gradient(shape: tuple[int, int], start: str) -> None:
    # Equal singular values, where eigenvectors have no derivative, included.
    v = torch.linalg.qr(torch.randn(2, max(shape), min(shape), dtype=torch.complex128)).Q
    v = v if shape[0] >= shape[1] else v.mH
    v = {"random": torch.randn_like(v), "equal": 3 * v, "ill": conditioned(2, *shape, 1e2, torch.complex128)}[start]
    assert torch.autograd.gradcheck(lot_factor, (v.contiguous().requires_grad_(),), eps=1e-7, atol=1e-4)


def test_both_ways_agree() -> None:
    v = conditioned(3, 7, 4, 1e3, torch.complex128).requires_grad_()
    weights = torch.randn(3, 7, 4, dtype=torch.complex128)
    ways = [f(v) for f in (polar_by_eigenvectors, lambda x: polar_express(x, max_steps=16).matrix)]
    torch.testing.assert_close(*ways, rtol=0, atol=1e-9)
    gradients = [torch.autograd.grad((weights * q).real.sum(), v)[0] for q in ways]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_rank_deficient_starts(rank: int) -> None:
    v = (
        torch.randn(5, 6, rank, dtype=torch.complex64) @ torch.randn(5, rank, 4, dtype=torch.complex64)
    ).requires_grad_()
    for f in (lot_factor, lambda x: polar_express(x, max_steps=16).matrix):
        q = f(v)
        assert float(torch.linalg.svdvals(q.detach().to(torch.complex128)).max()) <= 1 + 1e-5
        (gradient,) = torch.autograd.grad(q.imag.sum(), v)
        assert bool(torch.isfinite(torch.view_as_real(gradient)).all())
        assert rank or not bool(q.any())


@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 1)])
@pytest.mark.parametrize("image", [(4, 6), (5, 7), (2, 2)])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (3, 6), (6, 3)])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_isometry_in_training_and_eval(
    inputs: int, outputs: int, image: tuple[int, int], kernel: tuple[int, int]
) -> None:
    layer = LOTConv2d(inputs, outputs, kernel, padding="same", padding_mode="circular")
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn_like(layer.raw_weight))
        spectra = [layer.train(mode).spectrum(image) for mode in (True, False)]
    # Frequencies of random kernels may be near singular, where single precision decides how far a step goes.
    torch.testing.assert_close(spectra[0], spectra[1], rtol=0, atol=1e-4)
    layer(torch.randn(1, inputs, *image))
    values = singular_values(layer, (inputs, *image))
    assert float((values - 1).abs().max()) < 1e-5


def test_identity_start() -> None:
    layer = LOTConv2d(4, 4, 3, padding=1, groups=2, padding_mode="circular")
    x = torch.randn(2, 4, 5, 6)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "outputs", "options", "orthogonal"),
    [
        (2, 8, {"kernel_size": 3, "padding": 1, "stride": 2}, True),
        (2, 8, {"kernel_size": 2, "stride": 2}, True),
        (4, 4, {"kernel_size": 1, "stride": 2}, True),
        (2, 8, {"kernel_size": 1, "stride": 2}, False),
        (2, 8, {"kernel_size": 3, "padding": 2, "stride": 2, "dilation": 2}, False),
        (3, 3, {"kernel_size": 3, "padding": 1, "padding_mode": "zeros"}, False),
    ],
)
def test_claim(inputs: int, outputs: int, options: dict[str, Any], orthogonal: bool) -> None:
    layer = LOTConv2d(inputs, outputs, **{"padding_mode": "circular", **options}, dtype=torch.float64)
    layer(torch.randn(1, inputs, 4, 6, dtype=torch.float64))
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn_like(layer.raw_weight))
    values = singular_values(layer, (inputs, 4, 6))
    assert layer.orthogonal == orthogonal
    assert float(values.max()) <= 1 + 1e-10
    assert (float(values.min()) > 1 - 1e-6) == orthogonal


def test_dense_is_the_polar_factor() -> None:
    layer = LOTLinear(5, 8, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn_like(layer.raw_weight))
    u, _, vh = torch.linalg.svd(layer.raw_weight.detach(), full_matrices=False)
    torch.testing.assert_close(layer.weight.detach(), u @ vh, rtol=0, atol=1e-10)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinite_kernels_give_nan_and_no_error(bad: float) -> None:
    v = torch.randn(2, 3, 3, dtype=torch.complex64)
    v[0, 1, 2] = bad
    q = lot_factor(v)
    assert bool(torch.view_as_real(q[0]).isnan().any())
    assert bool(torch.view_as_real(q[1]).isfinite().all())
