"""Cayley layers: orthogonal convolutions, one Cayley transform for each frequency, and dense layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.explicit import ExplicitLinear
from onelip.layers.fourier import FourierConv2d
from onelip.layers.registry import register
from onelip.linalg import cayley
from onelip.linalg.first_order import differentiable_once
from onelip.linalg.polar import polar_factor

_PAPER = "Trockman and Kolter 2021, arXiv:2104.07167, section 4"

_LARGEST = 64.0
"""Norm of a free matrix beyond which it is shrunk to that: eigenvalues of the result stay 2 degrees from -1."""


def cayley_transform(free: Tensor) -> Tensor:
    """Map free complex matrices to semi-unitary ones by the Cayley transform, without LU.

    For a tall matrix [U; V], A = U - U^H + V^H V and Q = [2 (I + A)^-1 - I; -2 V (I + A)^-1]. With I + V^H V = L L^H
    and the skew T = L^-1 (U - U^H) L^-H, (I + A)^-1 = L^-H (I - T) (I + T^H T)^-1 L^-1: Cholesky factors and
    triangular solves alone. These are constants for autograd; a Newton step for the inverse, X (2 I - (I + A) X), has
    the derivative of the inverse, -X dA X, and squares the error that the normal equation brings in. One more for Q
    leaves no singular value above 1. Wide matrices are transposed.

    Args:
        free: `(..., m, n)`, real or complex.

    Returns:
        Q, same shape: orthonormal columns (rows if wide). Second derivatives are refused.
    """
    if free.shape[-2] < free.shape[-1]:
        return cayley_transform(free.mH).mH
    free = differentiable_once(free)
    size = free.detach().abs()
    bound = (size.sum(-1).amax(-1) * size.sum(-2).amax(-1)).sqrt()
    free = free * (_LARGEST / bound.clamp_min(_LARGEST))[..., None, None]
    n = free.shape[-1]
    u, v = free[..., :n, :], free[..., n:, :]
    eye = torch.eye(n, dtype=free.dtype, device=free.device)
    skew, tall = u - u.mH, free.shape[-2] > n
    gram = v.mH @ v if tall else None
    start = _inverse(skew.detach(), None if gram is None else gram.detach(), eye)
    matrix = eye + skew if gram is None else eye + skew + gram
    inverse = 2 * start - start @ (matrix @ start)
    top = 2 * inverse - eye
    q = torch.cat([top, -2 * v @ inverse], -2) if tall else top
    # The derivative is tangent to the unitary matrices already, so it need not go through the correction.
    off = q.detach()
    return q + 0.5 * (off - off @ (off.mH @ off))


def _inverse(skew: Tensor, gram: Tensor | None, eye: Tensor) -> Tensor:
    # (I + S + G)^-1; (I + T)^-1 = (I - T) (I + T^H T)^-1 for skew T, and both factors commute.
    if gram is None:
        factor = torch.linalg.cholesky_ex(eye + skew.mH @ skew).L
        return torch.cholesky_solve((eye - skew).expand_as(factor), factor)
    lower = torch.linalg.cholesky_ex(eye + gram).L
    half = torch.linalg.solve_triangular(lower, skew, upper=False)
    half = torch.linalg.solve_triangular(lower.mH, half, upper=True, left=False)
    middle = _inverse((half - half.mH) / 2, None, eye)
    right = torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)
    return torch.linalg.solve_triangular(lower.mH, middle @ right, upper=True)


def scaled_to_length(raw: Tensor, length: Tensor) -> Tensor:
    """Give a tensor a Frobenius norm; zero stays zero.

    Args:
        raw: Any shape; it is first divided by its largest entry, the square of which may be out of range.
        length: The norm, a scalar.

    Returns:
        The scaled tensor.
    """
    peak = raw.detach().abs().amax()
    raw = raw / torch.where(peak > 0, peak, 1)
    squared = raw.square().sum()
    return raw * (length * torch.where(squared > 0, squared, 1).rsqrt())


@register(
    kind="conv2d",
    name="cayley",
    orthogonal=True,
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="H W / 2 complex Cholesky factors and triangular solves of size c",
)
class CayleyConv2d(FourierConv2d):
    """Orthogonal circular convolution: the Cayley transform of the spectrum of a k x k kernel, frequency by frequency.

    Q(w) = Cayley(length * K(w) / ||K||_F) with a learned length, see `cayley_transform`. Every singular value is 1 at
    every image size that the stride divides, under circular padding; the kernel of the result fills the image. With
    other padding the circular map of the padded image is orthogonal, and cropping its output leaves a norm of at most 1
    (see `FourierConv2d`).

    Shape: `(N, in, H, W)` to `(N, out, H', W')`, the sizes of `torch.nn.Conv2d`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair. With circular padding the image must be a multiple of it.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.
    """

    orthogonal = True
    raw_names = ("raw_weight", "length")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.raw_weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        nn.init.kaiming_uniform_(self.raw_weight, a=5**0.5)
        self.length = nn.Parameter(torch.linalg.vector_norm(self.raw_weight.detach()))

    @override
    def kernel(self, *raw: Tensor) -> Tensor:
        return scaled_to_length(raw[0], raw[1])

    @override
    def constrain(self, spectrum: Tensor) -> Tensor:
        return cayley_transform(spectrum)


@register(
    kind="linear", name="cayley", orthogonal=True, paper=_PAPER, cost="two Cholesky factors and six triangular solves"
)
class CayleyLinear(ExplicitLinear):
    """Orthogonal dense layer: W = Cayley(length * W0 / ||W0||_F) with a learned length (`onelip.linalg.cayley`).

    `(..., in)` -> `(..., out)`; every singular value is 1. Square weights are rotations (determinant 1).

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If a size is not a positive integer.
    """

    orthogonal = True
    raw_names = ("raw_weight", "length")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.raw_weight = nn.Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        nn.init.kaiming_uniform_(self.raw_weight, a=5**0.5)
        self.length = nn.Parameter(torch.linalg.vector_norm(self.raw_weight.detach()))

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return cayley(scaled_to_length(raw[0], raw[1])).matrix.to(raw[0].dtype)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        free = inverse_cayley(polar_factor(weight))
        return free, torch.linalg.vector_norm(free)


def inverse_cayley(q: Tensor) -> Tensor:
    """Find a free matrix whose Cayley transform is near a semi-orthogonal one.

    Q1 = 2 (I + A)^-1 - I and Q2 = -2 V (I + A)^-1, so I + A = 2 (I + Q1)^-1, by QR rather than LU.

    Args:
        q: `(m, n)`, orthonormal columns, or rows if wide.

    Returns:
        The same shape. An eigenvalue -1 of the square part has no inverse image; the nearest that has one is taken.
    """
    if q.shape[0] < q.shape[1]:
        return inverse_cayley(q.T).T
    n = q.shape[1]
    eye = torch.eye(n, dtype=q.dtype, device=q.device)
    factor, triangle = torch.linalg.qr(eye + q[:n])
    # An eigenvalue -1 makes the triangle singular.
    diagonal = triangle.diagonal()
    floor = 1e-4
    triangle = triangle + torch.diag(torch.where(diagonal.abs() < floor, floor - diagonal, 0))
    one_plus_a = 2 * torch.linalg.solve_triangular(triangle, factor.T, upper=True)
    skew = (one_plus_a - one_plus_a.T) / 2
    return torch.cat([skew / 2, -0.5 * q[n:] @ one_plus_a])
