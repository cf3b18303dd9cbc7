"""CPL: what is special to it beyond the contract."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import CPLConv2d, CPLLinear
from onelip.linalg import conv_norm_bound, conv_singular_values


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 1e3, 1e15])
def test_scale_of_the_raw_kernel_does_not_matter(scale: float) -> None:
    layer = CPLConv2d(8, 8, 3, padding=1)
    before = layer.weight.detach().clone()
    with torch.no_grad():
        layer.raw_weight.mul_(scale)
    assert torch.allclose(layer.weight, before, rtol=1e-5, atol=1e-7)
    assert float(conv_norm_bound(layer.weight.detach()).value) <= 1 + 1e-6


def test_zero_raw_kernel_gives_the_identity() -> None:
    layer = CPLConv2d(3, 3, 3, padding=1)
    with torch.no_grad():
        layer.raw_weight.zero_()
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(layer(x), x)


def test_training_and_eval_use_the_same_formula() -> None:
    layer = CPLConv2d(6, 6, 3, padding=1)
    in_training = layer.weight.detach()
    in_eval = layer.eval().weight
    assert torch.allclose(in_training, in_eval, rtol=0, atol=1e-6)
    assert not list(layer.buffers())


@pytest.mark.parametrize(("options", "least"), [({}, 0.95), ({"oversampling": 16, "n_iter": 6}, 0.985)])
def test_norm_of_the_scaled_kernel_is_nearly_one(options: dict[str, int], least: float) -> None:
    weight = CPLConv2d(8, 8, 3, padding=1, dtype=torch.float64, **options).weight.detach()  # type: ignore[arg-type]
    assert least <= float(conv_singular_values(weight, (32, 32)).max()) <= 1


def test_kernel_that_sticks_a_power_iteration() -> None:
    # All its weight is at the frequency of alternating signs, and a little at the constant one, where a power iteration
    # that became constant over the image stays for good.
    signs = torch.tensor([[1.0, -1, 1], [-1, 1, -1], [1, -1, 1]])
    layer = CPLConv2d(2, 2, 3, padding=1, padding_mode="circular", dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.copy_(torch.eye(2)[:, :, None, None] * (10 * signs + 0.01))
    assert float(conv_singular_values(layer.weight.detach(), (8, 8)).max()) <= 1


def test_linear_norm() -> None:
    weight = CPLLinear(20, 20, inner_features=30, dtype=torch.float64).weight.detach()
    assert 0.95 < float(torch.linalg.svdvals(weight)[0]) <= 1


@pytest.mark.parametrize("option", [{"n_iter": 0}, {"oversampling": 1}, {"oversampling": 2.5}])
def test_refusals(option: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(option))}=.* in CPLConv2d must be"):
        CPLConv2d(4, 4, 3, **option)  # type: ignore[arg-type]
