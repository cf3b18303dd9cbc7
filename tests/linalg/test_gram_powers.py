"""Scales from powers of the Gram kernel: the paper's formula, and a diagonal that dominates the Gram operator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch import Tensor

from onelip.linalg import conv_singular_values
from onelip.linalg.gram_powers import balancing_factors, gram_power_scales
from onelip.linalg.gram_sums import gram_sums, scale_channels


def _textbook(kernel: np.ndarray, n_iter: int) -> np.ndarray:
    # Spatial convolutions, channel by channel: A = K^T K, then A <- A * A, and the row sums of what is left.
    out, inner = kernel.shape[:2]

    def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.array(
            [
                [sum(convolve2d(a[i, m], b[m, j]) for m in range(a.shape[1])) for j in range(b.shape[1])]
                for i in range(a.shape[0])
            ]
        )

    adjoint = kernel.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    power = product(adjoint, kernel)
    for _ in range(n_iter - 1):
        power = product(power, power)
    assert kernel.shape[:2] == (out, inner)
    return np.abs(power).sum((1, 2, 3)) ** (2.0**-n_iter)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (2, 3, 2, 3), (3, 2, 1, 1), (1, 1, 5, 1)])
@pytest.mark.parametrize("n_iter", [1, 2, 3, 4])
def test_scales_are_those_of_the_paper(shape, n_iter):
    kernel = torch.randn(shape, dtype=torch.float64)
    expected = _textbook(kernel.numpy(), n_iter)
    np.testing.assert_allclose(gram_power_scales(kernel, side="in", n_iter=n_iter)[0], expected, rtol=1e-10)
    # The output side is the input side of the adjoint.
    adjoint = kernel.transpose(0, 1).flip(-2, -1)
    np.testing.assert_allclose(gram_power_scales(adjoint, side="out", n_iter=n_iter)[0], expected, rtol=1e-10)


@pytest.mark.parametrize("n_iter", [1, 2, 3])
@pytest.mark.parametrize("side", ["in", "out"])
def test_diagonal_dominates_the_gram_matrix(n_iter, side):
    # Loewner and Heinz: t^2 - W^T W has no negative eigenvalue.
    w = torch.randn(7, 5, dtype=torch.float64)
    t = gram_power_scales(w[:, :, None, None], side=side, n_iter=n_iter)[0]
    gram = w.T @ w if side == "in" else w @ w.T
    assert torch.linalg.eigvalsh(torch.diag(t**2) - gram)[0] >= -1e-12


@pytest.mark.parametrize(
    "options", [{"stride": (2, 2)}, {"stride": (2, 1), "dilation": (2, 3)}, {"groups": 2}, {"stride": (4, 4)}], ids=str
)
@pytest.mark.parametrize("side", ["in", "out"])
@pytest.mark.parametrize("n_iter", [1, 2, 3])
def test_either_side_of_strided_and_grouped_convolutions(options, side, n_iter):
    stride, dilation = options.get("stride", (1, 1)), options.get("dilation", (1, 1))
    channels = (16, 1) if side == "in" else (2, 4)
    kernel = torch.randn(*channels, 3, 3, dtype=torch.float64)
    t = gram_power_scales(kernel, side=side, n_iter=n_iter, **options)
    if side == "out":
        scaled = kernel / t.reshape(-1, 1, 1, 1)
    elif options.get("groups", 1) == 1:
        scaled = scale_channels(kernel, 1 / t, stride, dilation)
    else:
        scaled = (kernel.unflatten(0, (2, -1)) / t[:, None, :, None, None]).flatten(0, 1)
    size = (12 * stride[0], 12 * stride[1])
    assert float(conv_singular_values(scaled, size, **options)[0]) <= 1 + 1e-12


def test_first_power_is_aol():
    kernel = torch.randn(3, 5, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(
        gram_power_scales(kernel, side="out", n_iter=1) ** 2, gram_sums(kernel).sum(-1), rtol=1e-12, atol=0
    )


def test_scales_near_the_norm():
    kernel = torch.randn(6, 6, 3, 3, dtype=torch.float64)
    norm = float(conv_singular_values(kernel, (24, 24))[0])
    largest = [float(gram_power_scales(kernel, side="in", n_iter=n).max()) / norm for n in (1, 2, 4, 6)]
    assert largest == sorted(largest, reverse=True)
    assert 1 - 1e-12 <= largest[-1] < 1.03


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_isometries_are_exact(dtype):
    kernel = torch.zeros(4, 4, 3, 3, dtype=dtype)
    kernel[:, :, 1, 1] = torch.eye(4)
    for n_iter in (1, 2, 3, 4):
        assert torch.equal(gram_power_scales(kernel, side="in", n_iter=n_iter), torch.ones(1, 4, dtype=dtype))


def test_gradients():
    kernel = torch.randn(3, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda k: gram_power_scales(k, side="in", n_iter=3), (kernel,))
    zero = torch.zeros(3, 2, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(gram_power_scales(zero, side="out", n_iter=3).sum(), zero)
    assert gradient.isfinite().all()


def test_balancing_finds_the_perron_vector():
    m = torch.rand(1, 6, 6, dtype=torch.float64)
    m = m + m.mT

    def scales(x: Tensor) -> Tensor:
        return (x * (m @ x[..., None])[..., 0]).sqrt()

    x = balancing_factors(scales, torch.ones(1, 6, dtype=torch.float64))
    vector = torch.linalg.eigh(m[0]).eigenvectors[:, -1].abs()
    torch.testing.assert_close(x[0] / x[0].norm(), vector, rtol=1e-6, atol=1e-8)
