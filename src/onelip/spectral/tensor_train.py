"""Convolutions decomposed as tensor trains, whose singular values are those of a small core."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.linalg import full_precision

Ranks = int | tuple[int, int]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

_ORTHONORMAL = 64
"""Multiples of the machine precision by which an entry of the Gram matrix of an orthonormal frame may be off."""


class TTConv2d(nn.Module):
    """Convolution as a tensor train: 1 x 1 to r1 channels, k x k from r1 to r2 channels, 1 x 1 to the output.

    K[o, i] = sum over a, b of last[o, b] core[b, a] first[a, i], group by group. If the frames are orthonormal,
    first first^T = 1 and last^T last = 1 (`orthogonalise_`), the singular values of the whole are those of the core,
    with zeros, for every stride, dilation and padding mode: a small kernel is clipped instead of a large one.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Starts with orthonormal frames and torch's usual core.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        ranks: (r1, r2) for each group, at most its channels in and out; an int is the least of itself and those.

    Raises:
        ValueError: If the ranks are not positive or too large.

    Cost: r1 in + k^2 r1 r2 + r2 out products a pixel, in place of k^2 in out.
    Paper: Senderovich, Bulatova, Obukhov and Rakhuba 2022, arXiv:2211.13771.
    """

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
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        ranks: Ranks,
    ) -> None:
        super().__init__()
        r1, r2 = _checked_ranks(ranks, in_channels // groups, out_channels // groups)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.ranks = (r1, r2)
        self.first = nn.Conv2d(in_channels, groups * r1, 1, groups=groups, bias=False, device=device, dtype=dtype)
        self.core = nn.Conv2d(
            groups * r1,
            groups * r2,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            False,
            padding_mode,
            device,
            dtype,
        )
        self.last = nn.Conv2d(groups * r2, out_channels, 1, groups=groups, bias=bias, device=device, dtype=dtype)
        for frame in (self.first.weight, self.last.weight):
            for group in frame.detach().chunk(groups):
                nn.init.orthogonal_(group)

    @property
    def weight(self) -> Tensor:
        """The kernel of the whole, (out, in/groups, kh, kw), with gradients."""
        first, core, last = self._grouped()
        return torch.einsum("gob,gbahw,gai->goihw", last, core, first).flatten(0, 1)

    @property
    def bias(self) -> nn.Parameter | None:
        """The bias of the last factor."""
        return cast(nn.Parameter | None, self.last.bias)

    @override
    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.core(self.first(x)))
        return result

    @override
    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, ranks={self.ranks}"

    @torch.no_grad()
    def orthogonalise_(self) -> bool:
        """Make the frames orthonormal and let the core absorb the rest; the function is kept, up to rounding.

        Returns:
            Whether anything was changed: not if they were orthonormal already.
        """
        first, core, last = self._grouped()
        if _is_orthonormal(first.mT) and _is_orthonormal(last):
            return False
        with full_precision():
            q1, inner = _positive_qr(first.mT.double())
            q3, outer = _positive_qr(last.double())
            middle = torch.einsum("gcb,gbahw,gda->gcdhw", outer, core.double(), inner)
        self.first.weight.copy_(q1.mT.reshape(self.first.weight.shape))
        self.core.weight.copy_(middle.reshape(self.core.weight.shape))
        self.last.weight.copy_(q3.reshape(self.last.weight.shape))
        return True

    @classmethod
    def from_conv(cls, conv: nn.Conv2d, ranks: Ranks) -> TTConv2d:
        """Decompose a convolution by two singular value decompositions (TT-SVD).

        The squared Frobenius error of the kernel is at most the sum of squares of the singular values left out of both,
        within a factor sqrt 2 of the best; with full ranks the function is kept. The frames are orthonormal.

        Args:
            conv: Left as it is.
            ranks: (r1, r2), or an int for both.

        Returns:
            A new layer on the same device, in the same dtype.
        """
        weight = conv.weight.detach()
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            (conv.kernel_size[0], conv.kernel_size[1]),
            (conv.stride[0], conv.stride[1]),
            conv.padding if isinstance(conv.padding, str) else (conv.padding[0], conv.padding[1]),
            (conv.dilation[0], conv.dilation[1]),
            conv.groups,
            conv.bias is not None,
            conv.padding_mode,
            weight.device,
            weight.dtype,
            ranks=ranks,
        ).train(conv.training)
        r1, r2 = layer.ranks
        kernel = weight.double().unflatten(0, (conv.groups, -1))
        _, _, v = torch.linalg.svd(kernel.permute(0, 1, 3, 4, 2).flatten(1, 3), full_matrices=False)
        first = v[:, :r1]
        narrow = torch.einsum("goihw,gai->goahw", kernel, first)
        u, _, _ = torch.linalg.svd(narrow.flatten(2), full_matrices=False)
        last = u[:, :, :r2]
        core = torch.einsum("gob,goahw->gbahw", last, narrow)
        with torch.no_grad():
            layer.first.weight.copy_(first.reshape(layer.first.weight.shape))
            layer.core.weight.copy_(core.reshape(layer.core.weight.shape))
            layer.last.weight.copy_(last.reshape(layer.last.weight.shape))
            if layer.last.bias is not None and conv.bias is not None:
                layer.last.bias.copy_(conv.bias)
        return layer

    def _grouped(self) -> tuple[Tensor, Tensor, Tensor]:
        # (groups, r1, in), (groups, r2, r1, kh, kw), (groups, out, r2).
        sizes = (self.core.groups, -1)
        first, last = self.first.weight[:, :, 0, 0], self.last.weight[:, :, 0, 0]
        return first.unflatten(0, sizes), self.core.weight.unflatten(0, sizes), last.unflatten(0, sizes)


def _checked_ranks(ranks: Ranks, inner: int, outer: int) -> tuple[int, int]:
    pair = (min(ranks, inner), min(ranks, outer)) if isinstance(ranks, int) else tuple(ranks)
    right = len(pair) == 2 and all(type(rank) is int and rank >= 1 for rank in pair)
    if isinstance(ranks, bool) or not right or pair[0] > inner or pair[1] > outer:
        raise ValueError(
            f"ranks={ranks!r} in TTConv2d must be an integer of at least 1, or two of them of at most {inner} and "
            f"{outer}, the channels of a group"
        )
    return pair[0], pair[1]


def _is_orthonormal(frame: Tensor) -> bool:
    gram = frame.mT.double() @ frame.double()
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return bool((gram - eye).abs().max() <= _ORTHONORMAL * torch.finfo(frame.dtype).eps)


def _positive_qr(frame: Tensor) -> tuple[Tensor, Tensor]:
    # With a positive diagonal in R, so that a frame close to orthonormal is hardly moved.
    q, r = torch.linalg.qr(frame)
    signs = torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(q)
    return q * signs[:, None, :], r * signs[:, :, None]
