"""BRO: the reflector against its definition, its eigenvalues, bad starts, cut and strided forms, the nearest weight."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.layers.dense import dense_matrix, singular_values

from onelip.layers import BROConv2d, BROLinear
from onelip.layers.bro import block_reflector


@pytest.mark.parametrize(("m", "n"), [(6, 3), (7, 1), (5, 4)])
def test_definition_and_eigenvalues(m: int, n: int) -> None:
    v = torch.randn(3, m, n, dtype=torch.complex128)
    w = block_reflector(v)
    # I - 2 P with the projection P onto the span of V, by singular vectors.
    u = torch.linalg.svd(v, full_matrices=False).U
    torch.testing.assert_close(w, torch.eye(m) - 2 * u @ u.mH, rtol=0, atol=1e-12)
    expected = torch.tensor([-1.0] * n + [1.0] * (m - n), dtype=torch.float64).expand(3, m)
    torch.testing.assert_close(torch.linalg.eigvalsh(w), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e6])
def test_condition_1e3_in_single_precision(scale: float) -> None:
    u, _, vh = torch.linalg.svd(torch.randn(4, 140, 70, dtype=torch.complex128), full_matrices=False)
    v = (scale * (u * torch.logspace(0, -3, 70)) @ vh).to(torch.complex64).requires_grad_()
    w = block_reflector(v)
    values = torch.linalg.svdvals(w.detach().to(torch.complex128))
    assert float(values.max()) <= 1 + 1e-5
    assert float(values.min()) >= 1 - 1e-5
    w.real.sum().backward()
    assert v.grad is not None
    assert bool(torch.isfinite(torch.view_as_real(v.grad)).all())


@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_rank_deficient_starts(rank: int, dtype: torch.dtype) -> None:
    v = (torch.randn(5, 6, rank, dtype=dtype) @ torch.randn(5, rank, 3, dtype=dtype)).requires_grad_()
    w = block_reflector(v)
    assert float(torch.linalg.svdvals(w.detach()).max()) <= 1 + 1e-5
    # The directions that V has are reflected all the same.
    assert float((w @ v + v).detach().abs().max()) <= 1e-2 * float(v.detach().abs().max())
    w.imag.sum().backward()
    assert v.grad is not None
    assert bool(torch.isfinite(torch.view_as_real(v.grad)).all())
    if rank == 0:
        assert torch.equal(w.detach(), torch.eye(6, dtype=dtype).expand(5, 6, 6))


@pytest.mark.parametrize("image", [(4, 6), (8, 2)])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (3, 6), (6, 3), (1, 9)])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": (1, 5), "padding": (0, 4), "dilation": 2, "stride": (1, 2)},
    ],
    ids=str,
)
def test_cut_reflectors_are_isometries(
    inputs: int, outputs: int, image: tuple[int, int], options: dict[str, Any]
) -> None:
    layer = BROConv2d(inputs, outputs, **options, padding_mode="circular")
    assert layer.orthogonal
    x = torch.randn(2, inputs, *image)
    expected = layer(x)
    torch.testing.assert_close(layer.eval()(x), expected, rtol=0, atol=1e-5)
    values = singular_values(layer, (inputs, *image))
    assert float((values - 1).abs().max()) < 1e-5


def test_square_layers_are_symmetric_with_the_share_of_reflected_dimensions() -> None:
    for ratio, rank in ((0.5, 2), (0.25, 1), (0.9, 3)):
        layer = BROConv2d(4, 4, 3, padding=1, padding_mode="circular", dtype=torch.float64, rank_ratio=ratio)
        layer.image_size = (3, 5)
        matrix = dense_matrix(layer, (4, 3, 5))
        torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-12)
        assert int((torch.linalg.eigvalsh(matrix) < 0).sum()) == rank * 15


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 5), (4, 7), (7, 4)])
def test_assigned_weight_is_replaced_by_the_nearest(inputs: int, outputs: int) -> None:
    layer = BROLinear(inputs, outputs, dtype=torch.float64)
    target = torch.randn(outputs, inputs, dtype=torch.float64)
    layer.weight = target
    least = float((layer.weight.detach() - target).norm())
    for _ in range(200):
        other = BROLinear(inputs, outputs, dtype=torch.float64).weight.detach()
        assert float((other - target).norm()) >= least - 1e-12


@pytest.mark.parametrize("ratio", [0, 1, -0.5, "half", True, None])
def test_refused_ratios(ratio: Any) -> None:
    with pytest.raises(ValueError, match=r"rank_ratio=.* in BROLinear must be a number between 0 and 1"):
        BROLinear(4, 4, rank_ratio=ratio)
