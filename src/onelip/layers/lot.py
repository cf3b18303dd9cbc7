"""LOT: layers orthogonalised by the inverse square root of their Gram matrix, for convolutions at each frequency."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.fourier import FourierConv2d
from onelip.layers.near_isometry import near_isometry
from onelip.layers.orthogonal_linear import OrthogonalLinear
from onelip.layers.registry import register
from onelip.linalg import polar_express
from onelip.linalg.first_order import differentiable_once
from onelip.linalg.stiefel import peak_of

_PAPER = "Xu, Li and Li 2022, arXiv:2210.11620, section 4"

_MOST_STEPS = 16
"""Eight of the minimax polynomials, then steps that multiply small singular values by 1.5: condition 1e4 and beyond."""

_SMALLEST = 1e-7
"""Share of the largest singular value below which others count as this: the root of what float64 Gram matrices keep."""


def lot_factor(v: Tensor) -> Tensor:
    """Orthogonalise matrices by the inverse square root of their Gram matrix: (V V^H)^(-1/2) V.

    The polar factor U W^H of V = U S W^H. The paper runs ten steps of a coupled Newton iteration on V V^H + 1e-4 I
    scaled by its Frobenius norm, two in training. Here training and eval apply the same map, to the last digit: on a
    CPU by the eigenvectors of the Gram matrix, elsewhere, where those are slow in batches, by polynomials of V that go
    on to a tolerance (`onelip.linalg.polar_express`).

    Args:
        v: `(..., m, n)`, real or complex; zero stays zero.

    Returns:
        Semi-orthogonal matrices of the same shape. Second derivatives are refused on a CPU.
    """
    if v.device.type != "cpu":
        return polar_express(v, max_steps=_MOST_STEPS).matrix
    return polar_by_eigenvectors(v) if v.shape[-2] >= v.shape[-1] else polar_by_eigenvectors(v.mH).mH


def polar_by_eigenvectors(v: Tensor) -> Tensor:
    """Find the polar factor from V^H V = W S^2 W^H, formed in float64.

    In the basis W the columns of V W = Q S are orthogonal, and a change dY of V W changes Q by
    Q C + (I - Q Q^H) dY / S, C_ij = (Q^H dY - dY^H Q)_ij / (s_i + s_j), whatever the multiplicities of S. Only this is
    differentiated, never the eigenvectors.

    Args:
        v: `(..., m, n)`, m >= n.

    Returns:
        The same shape.
    """
    v = differentiable_once(v)
    x = v / peak_of(v)
    base = x.detach().to(torch.promote_types(x.dtype, torch.float64))
    # Eigenvectors of NaN would be an error; it is in `base` too, and reaches the result from there.
    squares, vectors = torch.linalg.eigh((base.mH @ base).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0))
    s = squares.clamp_min(0).sqrt()
    s = torch.maximum(s, _SMALLEST * s.amax(-1, keepdim=True).clamp_min(1))
    q = base @ vectors / s[..., None, :]
    # The error of S, squared by a Newton step, which leaves no singular value above 1.
    q = 1.5 * q - 0.5 * q @ (q.mH @ q)
    value = (q @ vectors.mH).to(v.dtype)
    q, vectors, s = q.to(v.dtype), vectors.to(v.dtype), s.to(v.real.dtype)
    y = x @ vectors
    m = q.mH @ y
    change = q @ ((m - m.mH) / (s[..., :, None] + s[..., None, :]))
    if v.shape[-2] > v.shape[-1]:
        change = change + (y - q @ m) / s[..., None, :]
    change = change @ vectors.mH
    return value + (change - change.detach())


@register(
    kind="conv2d",
    name="lot",
    orthogonal=True,
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="H W / 2 complex polar factors: eigenvectors and a few products of size c",
)
class LOTConv2d(FourierConv2d):
    """Orthogonal circular convolution: the polar factor of the spectrum of a k x k kernel, frequency by frequency.

    Q(w) = (K(w) K(w)^H)^(-1/2) K(w). Every singular value is 1 at every image size that the stride divides, under
    circular padding, from kernels whose spectrum has condition numbers up to 1e3; smaller singular values may stay
    below 1, and a zero kernel gives zero. With other padding, as in the paper, the circular map of the padded image
    is orthogonal, and cropping its output leaves a norm of at most 1. A kernel smaller than the stride, with too few
    inputs to fill the outputs, is never an isometry.

    Starts as the identity, with zero bias, if no stride, as many channels out as in and more than one tap allow it,
    else at random, orthogonal.

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

    Cost: the eigenvectors, eight products and ten in the backward pass for each frequency.
    Paper: Xu, Li and Li 2022, arXiv:2210.11620, section 4.
    """

    orthogonal = True

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
        a, shape = self.arguments, (out_channels, in_channels // groups, *self.kernel_size)
        identity = in_channels == out_channels and a.stride == (1, 1) and a.kernel_size != (1, 1)
        self.raw_weight = near_isometry(a, shape, device=device, dtype=dtype)
        if identity and self.bias is not None:
            nn.init.zeros_(self.bias)
        self.orthogonal = self.orthogonal and self._reaches_full_rank()

    def _reaches_full_rank(self) -> bool:
        # Pixels of a block that some tap meets; the columns of K(w) for all others are zero.
        a, met = self.arguments, 1
        for taps, step, spread in zip(a.kernel_size, a.stride, a.dilation, strict=True):
            met *= len({spread * tap % step for tap in range(taps)})
        rows, inputs = a.out_channels // a.groups, a.in_channels // a.groups
        return met * inputs >= min(rows, inputs * a.stride[0] * a.stride[1])

    @override
    def kernel(self, *raw: Tensor) -> Tensor:
        return raw[0]

    @override
    def constrain(self, spectrum: Tensor) -> Tensor:
        return lot_factor(spectrum)


@register(
    kind="linear",
    name="lot",
    orthogonal=True,
    paper=_PAPER,
    cost="1 to 16 steps of 2 or 3 products (out, in) x (in, in)",
)
class LOTLinear(OrthogonalLinear):
    """Orthogonal dense layer: W = (V V^T)^(-1/2) V, the polar factor of the raw weight.

    `(..., in)` -> `(..., out)`; every singular value is 1.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        depth: Number of such layers in a network of residual ones: what is orthogonalised is then
            I + depth^-1/2 diag(gamma) W with learned W and gamma, near the identity at first. None for W itself.

    Raises:
        ValueError: If a size or the depth is not a positive integer.

    Cost: one step if the raw weight was retracted.
    Paper: Xu, Li and Li 2022, arXiv:2210.11620, section 4.
    """

    @override
    def orthogonalise(self, raw: Tensor, *, tol: float | None = None) -> Tensor:
        return polar_express(raw, tol=tol, max_steps=_MOST_STEPS).matrix
