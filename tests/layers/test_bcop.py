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


def test_frozen_kernel_never_changes_and_its_state_loads() -> None:
    layer = BCOPConv2d(4, 4, 3, padding=1, padding_mode="circular", frozen=True)
    before, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    optimizer = torch.optim.AdamW(layer.parameters(), 0.1, weight_decay=0.5)
    x = torch.randn(4, 4, 5, 5)
    for _ in range(20):
        optimizer.zero_grad()
        (layer(x) - 3).square().mean().backward()
        optimizer.step()
    assert torch.equal(layer.weight, before)
    assert not torch.equal(layer.bias, bias)
    fresh = BCOPConv2d(4, 4, 3, padding=1, padding_mode="circular", frozen=True)
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh(x), layer(x))


@pytest.mark.parametrize(("into", "out", "kernel"), [(4, 4, 3), (3, 7, 2), (7, 3, 4), (5, 2, 1)])
def test_square_is_the_published_form_of_the_same_kernels(into: int, out: int, kernel: int) -> None:
    layer = BCOPConv2d(into, out, kernel, padding="same", padding_mode="circular", square=True)
    # One start and 2 (k - 1) matrices, all of max(in, out) rows and columns, and the bias.
    published = (2 * (kernel - 1) + 1) * max(into, out) ** 2 + out
    assert sum(p.numel() for p in layer.parameters()) == published
    assert singular_values(layer, (into, 4, 5))[-1] >= 0.9999
    other = BCOPConv2d(into, out, kernel, padding="same", dtype=torch.float64)
    wide = layer.double()
    wide.weight = other.weight
    torch.testing.assert_close(wide.weight, other.weight, atol=1e-8, rtol=0)
    (wide.weight * torch.randn_like(other.weight)).sum().backward()
    assert all(bool(raw.grad.any()) for raw in wide.raw)


def test_a_doubled_kernel_holds_orthogonal_kernels_of_any_rank() -> None:
    # diag(P, I, 0) has rank n of 2 n for any rank of P, so a shift off the centre is a block of such a kernel.
    shift = torch.zeros(4, 4, 3, 3, dtype=torch.float64)
    shift[range(4), range(4), 0, 2] = 1
    for rank, distance in (("half", 1.0), ("free", 0.0), ("doubled", 0.0)):
        layer = BCOPConv2d(4, 4, 3, rank=rank, dtype=torch.float64)
        layer.weight = shift
        gap = float((layer.weight.detach() - shift).abs().max())
        assert gap >= 0.5 if distance else gap <= 1e-9
        assert layer.orthogonal is (rank != "doubled")


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_doubled_kernel_is_never_longer_than_one(scale: float) -> None:
    layer = BCOPConv2d(3, 5, 3, padding=1, padding_mode="circular", rank="doubled")
    with torch.no_grad():
        for raw in layer.raw:
            raw.mul_(scale)
    assert singular_values(layer, (3, 5, 5))[0] <= 1 + 1e-5
    assert layer.lipschitz_bound().value <= 1 + 1e-5


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e3])
def test_free_ranks_are_orthogonal_at_every_angle(scale: float) -> None:
    layer = BCOPConv2d(4, 4, 3, padding=1, padding_mode="circular", rank="free")
    with torch.no_grad():
        layer.raw_angles.copy_(scale * torch.randn_like(layer.raw_angles))
    for training in (True, False):
        assert singular_values(layer.train(training), (4, 5, 5))[-1] >= 0.9999
    layer.train()
    layer(torch.randn(2, 4, 5, 5)).square().mean().backward()
    assert all(bool(raw.grad.isfinite().all()) and bool(raw.grad.any()) for raw in layer.raw)


@pytest.mark.parametrize("rank", ["free", "doubled"])
def test_transforms_and_compilation_keep_the_kernel(rank: str) -> None:
    layer = BCOPConv2d(4, 4, 3, padding=1, padding_mode="circular", rank=rank)
    x = torch.randn(3, 2, 4, 5, 5)
    torch.testing.assert_close(torch.func.vmap(layer)(x), torch.stack([layer(one) for one in x]))
    parameters = dict(layer.named_parameters())
    gradients = torch.func.grad(lambda p: torch.func.functional_call(layer, p, (x[0],)).square().mean())(parameters)
    assert all(bool(g.isfinite().all()) for g in gradients.values())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.weight, layer.weight)
        assert layer.weight.dtype == torch.float32
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x[0]), layer(x[0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 3)])
def test_width_first_is_the_kernel_mirrored_at_the_diagonal(kernel: tuple[int, int]) -> None:
    layer = BCOPConv2d(4, 4, kernel, dtype=torch.float64)
    other = BCOPConv2d(4, 4, kernel[::-1], dtype=torch.float64, width_first=True)
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other.weight, layer.weight.mT, atol=1e-12, rtol=0)
    other.weight = layer.weight.mT.detach()
    torch.testing.assert_close(other.weight, layer.weight.mT, atol=1e-8, rtol=0)
    assert "width_first=True" in repr(other)


def test_strides_are_refused() -> None:
    with pytest.raises(ValueError, match="stride=2 in BCOPConv2d must be 1, as block convolution"):
        BCOPConv2d(4, 4, 3, 2)
    with pytest.raises(ValueError, match="frozen='no' in BCOPConv2d"):
        BCOPConv2d(4, 4, 3, frozen="no")
