"""BRO: block reflectors, for convolutions one at each frequency."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.explicit import ExplicitLinear
from onelip.layers.fourier import FourierConv2d
from onelip.layers.near_identity import near_identity, near_identity_inverse, near_identity_parameters
from onelip.layers.registry import register
from onelip.linalg import cholesky

_PAPER = "Lai, Huang, Kung and Chen 2025, arXiv:2505.15174, section 4"


def block_reflector(v: Tensor, rows: int | None = None, columns: int | None = None) -> Tensor:
    """Reflect at the columns of a matrix: W = I - 2 V (V^H V)^-1 V^H, of which the first rows and columns are built.

    W is Hermitian and unitary, with one eigenvalue -1 for each column and 1 elsewhere. V (V^H V)^-1 V^H = Q Q^H for
    orthonormal columns Q of the same span, by Cholesky factors of the Gram matrix taken twice, so that condition 1e3
    does not hurt in single precision. Directions that V lacks are shortened in Q, to zero if V is zero, hence
    eigenvalues 1 - 2 q^2 with 0 <= q <= 1 from any V.

    Args:
        v: `(..., m, n)`, m >= n, real or complex, any scale and rank.
        rows: How many rows, of m; None for all.
        columns: How many columns, of m; None for all.

    Returns:
        `(..., rows, columns)`.
    """
    q = cholesky(v).matrix
    left, right = q[..., :rows, :], q[..., :columns, :]
    eye = torch.eye(left.shape[-2], right.shape[-2], dtype=v.dtype, device=v.device)
    return eye - 2 * left @ right.mH


def _rank(owner: str, rank_ratio: Any, size: int) -> int:
    if not isinstance(rank_ratio, (int, float)) or isinstance(rank_ratio, bool) or not 0 < rank_ratio < 1:
        raise ValueError(f"rank_ratio={rank_ratio!r} in {owner} must be a number between 0 and 1, both excluded")
    # A reflection at everything is -I and at nothing I, neither of which can be learned.
    return min(max(1, round(rank_ratio * size)), max(1, size - 1))


def _depth(owner: str, depth: Any) -> int | None:
    return None if depth is None else positive_int(owner, "depth", depth)


def _parameters(
    shape: tuple[int, ...], depth: int | None, device: Any, dtype: Any
) -> tuple[nn.Parameter, nn.Parameter | None]:
    if depth is not None:
        return near_identity_parameters(*shape, fan=shape[0] * math.prod(shape[2:]), device=device, dtype=dtype)
    weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    return weight, None


@register(
    kind="conv2d",
    name="bro",
    orthogonal=True,
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="H W / 2 times two complex Cholesky factors and triangular solves of size c / 2, and a few products",
)
class BROConv2d(FourierConv2d):
    """Orthogonal circular convolution: a block reflector from the spectrum of a k x k kernel, frequency by frequency.

    W(w) = I - 2 V(w) (V(w)^H V(w))^-1 V(w)^H with V(w) of shape (m, n), m the larger of out and s_h s_w in, and n the
    share `rank_ratio` of m, see `block_reflector`. The first out rows and s_h s_w in columns are used: one of these
    cuts is empty, and rows or columns of a unitary matrix are orthonormal, so every singular value is 1 at every image
    size that the stride divides, under circular padding. With other padding, as in the paper, the circular map of the
    padded image is orthogonal, and cropping its output leaves a norm of at most 1. Square layers without a stride are
    symmetric, so not every orthogonal convolution is one.

    V acts after the stride, with as many taps as blocks of pixels fit over the kernel.

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
        rank_ratio: Share of the m dimensions that are reflected, between 0 and 1; at least one is and one is not.
        depth: Number of such layers in the network, for V as in the networks of the paper: E + depth^-1/2 diag(gamma) R
            with the first columns E of the identity, and R and gamma learned; the layer then starts near I - 2 E E^T,
            which changes signs and mixes nothing, with zero bias. None for a learned V that starts at random.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: no iteration; the products with V cost the share `rank_ratio` of those with W.
    Paper: Lai, Huang, Kung and Chen 2025, arXiv:2505.15174, section 4.
    """

    orthogonal = True
    kernel_after_stride = True
    raw_names = ("raw_weight", "gamma")

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
        *,
        rank_ratio: float = 0.5,
        depth: int | None = None,
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
        self.rank_ratio = rank_ratio
        rows, columns = self._matrix_shape
        size = max(rows, columns)
        rank = _rank(type(self).__name__, rank_ratio, size)
        if size == 1:
            raise ValueError(
                f"groups={groups} in BROConv2d leaves one channel per group, where the only reflection is -1 and "
                f"nothing is learned; use fewer groups"
            )
        shape = (groups * size, rank, *self.inner_size)
        self.depth = _depth(type(self).__name__, depth)
        self.raw_weight, self.gamma = _parameters(shape, self.depth, device, dtype)
        if depth is not None and self.bias is not None:
            nn.init.zeros_(self.bias)

    @property
    def _matrix_shape(self) -> tuple[int, int]:
        return self.out_channels // self.groups, self.in_channels // self.groups * math.prod(self.stride)

    @override
    def kernel(self, *raw: Tensor) -> Tensor:
        return raw[0] if self.depth is None else near_identity(*raw, depth=self.depth, groups=self.groups)

    @override
    def constrain(self, spectrum: Tensor) -> Tensor:
        rows, columns = self._matrix_shape
        return block_reflector(spectrum, rows, columns)

    @override
    def options(self) -> dict[str, Any]:
        return {"rank_ratio": self.rank_ratio, "depth": self.depth}


@register(
    kind="linear",
    name="bro",
    orthogonal=True,
    paper=_PAPER,
    cost="two Cholesky factors and triangular solves of half the size, and a few products",
)
class BROLinear(ExplicitLinear):
    """Orthogonal dense layer: rows or columns of the block reflector I - 2 V (V^T V)^-1 V^T (`block_reflector`).

    V is `(m, n)`, m the larger of in and out, n the share `rank_ratio` of m. Every singular value is 1; square weights
    are symmetric. `(..., in)` -> `(..., out)`.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        rank_ratio: Share of the m dimensions that are reflected, between 0 and 1; at least one is and one is not.
        depth: Number of such layers in the network, for V as in the networks of the paper: E + depth^-1/2 diag(gamma) R
            with the first columns E of the identity, and R and gamma learned; the layer then starts near I - 2 E E^T,
            which changes signs and mixes nothing, with zero bias. None for a learned V that starts at random.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: no iteration.
    Paper: Lai, Huang, Kung and Chen 2025, arXiv:2505.15174, section 4.
    """

    orthogonal = True
    raw_names = ("raw_weight", "gamma")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        rank_ratio: float = 0.5,
        depth: int | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.rank_ratio = rank_ratio
        size = max(in_features, out_features)
        rank = _rank(type(self).__name__, rank_ratio, size)
        if size == 1:
            raise ValueError(
                f"in_features={in_features} and out_features={out_features} in BROLinear leave one reflection, -1, and "
                f"nothing to learn; one of them must be at least 2"
            )
        self.depth = _depth(type(self).__name__, depth)
        self.raw_weight, self.gamma = _parameters((size, rank), self.depth, device, dtype)
        if depth is not None and self.bias is not None:
            nn.init.zeros_(self.bias)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        v = raw[0] if self.depth is None else near_identity(*raw, depth=self.depth)
        return block_reflector(v, self.out_features, self.in_features)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        # All such weights have one Frobenius norm, so the nearest has the largest inner product: the reflection is at
        # the lowest eigenvectors of the symmetric part of the weight, filled up with zeros.
        size, rank = self.raw_weight.shape
        square = weight.new_zeros(size, size)
        square[: self.out_features, : self.in_features] = weight
        v = torch.linalg.eigh(square + square.mT).eigenvectors[:, :rank]
        return (v,) if self.depth is None else near_identity_inverse(v, self.depth)

    @override
    def options(self) -> dict[str, Any]:
        return {"rank_ratio": self.rank_ratio, "depth": self.depth}
