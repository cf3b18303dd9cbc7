"""The Gram bound lies above the norm at every frequency, close to it, and its gradient is right."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onelip.linalg.convolution import polyphase
from onelip.linalg.gram_iteration import gram_norm


def _supremum(kernel: Tensor, groups: int) -> Tensor:
    """The norm of each group on a grid so fine that it is the supremum to 1e-4, by SVD of the zero-padded FFT."""
    spectrum = torch.fft.fft2(kernel.double(), s=(48, 48)).unflatten(0, (groups, -1)).movedim((1, 2), (-2, -1))
    return torch.linalg.svdvals(spectrum)[..., 0].amax((1, 2))


@settings(max_examples=25)
@given(
    st.sampled_from([(4, 4, 3, 3), (6, 3, 1, 1), (3, 5, 2, 4), (4, 1, 3, 1), (8, 2, 5, 5)]),
    st.sampled_from([1, 2]),
    st.integers(0, 4),
    st.integers(2, 6),
    st.integers(0, 1000),
)
def test_bound_is_above_the_norm_of_every_group(
    shape: tuple[int, int, int, int], groups: int, n_iter: int, oversampling: int, seed: int
) -> None:
    groups = groups if shape[0] % groups == 0 else 1
    kernel = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = gram_norm(kernel, groups=groups, n_iter=n_iter, oversampling=oversampling)
    assert bool((found >= _supremum(kernel, groups) * (1 - 1e-13)).all())


def test_bound_is_attained_between_grid_points() -> None:
    # |1 + exp(i (w - d))|^2 is largest at w = d, half way between grid points: the second factor is needed in full.
    d = 3.141592653589793 / 4
    turn = torch.tensor([[torch.cos(torch.tensor(d)), -torch.sin(torch.tensor(d))]])
    turn = torch.cat([turn, torch.tensor([[-turn[0, 1], turn[0, 0]]])]).double()
    kernel = torch.stack([torch.eye(2, dtype=torch.float64), turn], -1)[:, :, None]
    bound = float(gram_norm(kernel, n_iter=8, oversampling=4))
    assert 2 * (1 - 1e-7) <= bound <= 2 * 1.005


@pytest.mark.parametrize(("oversampling", "excess"), [(4, 1.18), (8, 1.045)])
def test_bound_is_close(oversampling: int, excess: float) -> None:
    kernel = torch.randn(16, 16, 3, 3, dtype=torch.float64)
    ratio = gram_norm(kernel, n_iter=5, oversampling=oversampling) / _supremum(kernel, 1)
    assert float(ratio) <= excess


@pytest.mark.parametrize("size", [(7, 4), (2, 3), (1, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_on_a_torus_it_is_the_bound_of_its_frequencies(size: tuple[int, int], stride: tuple[int, int]) -> None:
    kernel = torch.randn(6, 4, 3, 4, dtype=torch.float64)
    phases = polyphase(kernel, stride)
    rows, columns = (torch.arange(n).double() for n in phases.shape[2:])
    turns = [i / size[0] * rows[:, None] + j / size[1] * columns for i in range(size[0]) for j in range(size[1])]
    symbols = torch.stack([(phases * torch.exp(-2j * torch.pi * turn)).sum((2, 3)) for turn in turns])
    grouped = symbols.unflatten(1, (2, -1))
    values = torch.linalg.svdvals(grouped)
    expected = values.pow(16).sum(-1).pow(1 / 16).amax(0)
    found = gram_norm(kernel, stride=stride, groups=2, n_iter=2, size=size)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.gradcheck(
        lambda k: gram_norm(k, stride=stride, groups=2, n_iter=2, size=size), (kernel.requires_grad_(),)
    )


@pytest.mark.parametrize("shape", [(4, 3, 3, 2), (2, 5, 1, 1), (6, 2, 2, 3)])
def test_gradient_by_differences(shape: tuple[int, ...]) -> None:
    kernel = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda k: gram_norm(k, groups=2, n_iter=2), (kernel,))
    assert torch.autograd.gradgradcheck(lambda k: gram_norm(k, groups=2, n_iter=2), (kernel,))


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e3, 1e30])
def test_scale_carries_through(scale: float) -> None:
    kernel = torch.randn(4, 4, 3, 3)
    ratio = gram_norm(kernel * scale).double() / gram_norm(kernel).double()
    assert float(ratio) == pytest.approx(scale, rel=1e-5)


def test_zero_groups_have_norm_zero_and_no_gradient() -> None:
    kernel = torch.randn(4, 2, 3, 3)
    kernel[:2] = 0
    kernel.requires_grad_()
    norms = gram_norm(kernel, groups=2)
    assert norms.tolist()[0] == 0
    norms.sum().backward()
    assert kernel.grad is not None
    assert not kernel.grad[:2].any()
    assert bool(torch.isfinite(kernel.grad).all())


def test_nan_is_no_norm() -> None:
    kernel = torch.randn(4, 2, 3, 3)
    kernel[0, 0, 0, 0] = torch.nan
    norms = gram_norm(kernel, groups=2)
    assert norms.isnan().tolist() == [True, False]
