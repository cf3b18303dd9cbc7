"""Circular convolutions with a spectrum that repeats: k x k matrices for the frequencies of an image of any size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import Pair, circular_pad, conv_arguments
from onelip.layers.frequency import frequency_conv2d, spectrum_bound
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound, add_up, full_precision, gamma


def grid_spectrum(kernel: Tensor, groups: int = 1) -> Tensor:
    """The matrices of a kernel at the frequencies of an image of its own size.

    S(w) = sum over taps t of K_t exp(2 pi i w (t - c) / k), c = (k - 1) // 2 along each axis.

    Args:
        kernel: `(out, in/groups, kh, kw)`, real.
        groups: Number of groups.

    Returns:
        `(kh, kw, groups, out/groups, in/groups)`, complex.
    """
    centred = kernel.roll([-((k - 1) // 2) for k in kernel.shape[2:]], (2, 3))
    return torch.fft.fft2(centred).conj().permute(2, 3, 0, 1).unflatten(2, (groups, -1)).resolve_conj()


def grid_kernel(spectrum: Tensor) -> Tensor:
    """The inverse of `grid_spectrum`.

    Args:
        spectrum: `(kh, kw, groups, out/groups, in/groups)`, complex; those at w and -w are conjugate.

    Returns:
        `(out, in/groups, kh, kw)`, real.
    """
    taps = torch.fft.ifft2(spectrum.conj().resolve_conj(), dim=(0, 1)).real
    kernel = taps.flatten(2, 3).permute(2, 3, 0, 1)
    return kernel.roll([(k - 1) // 2 for k in kernel.shape[2:]], (2, 3)).contiguous()


def grid_index(size: int, period: int, dilation: int, count: int) -> list[int]:
    """Say which matrix of the grid each frequency of an image has.

    Frequency p, taken between -n/2 and n/2, has that of dilation * p modulo k, and one that is its own mirror image
    where that is not, which only happens if k does not divide n, has the matrix of frequency 0: so that opposite
    frequencies always have opposite places.

    Args:
        size: Pixels n along the axis.
        period: Matrices k along the axis.
        dilation: Multiplies frequencies.
        count: Only the first so many frequencies.

    Returns:
        `count` numbers from 0 to k - 1.
    """
    found = []
    for p in range(count):
        turned = dilation * p % size
        signed = turned if 2 * turned <= size else turned - size
        unpaired = 2 * turned == size and size % period
        found.append(0 if unpaired else signed % period)
    return found


def periodic_conv2d(x: Tensor, kernel: Tensor, bias: Tensor | None, dilation: Pair, groups: int) -> Tensor:
    """Apply the circular convolution whose spectrum repeats that of a kernel.

    Where the kernel's size divides the image's, this is the circular convolution with the kernel, its taps spread over
    the image: dilated by n / k. Otherwise it is computed by Fourier transforms.

    Args:
        x: `(..., in, H, W)`.
        kernel: `(out, in/groups, kh, kw)`.
        bias: `(out,)` or None.
        dilation: Multiplies the distance of the taps.
        groups: Number of groups.

    Returns:
        `(..., out, H, W)`.
    """
    (height, width), (kh, kw) = x.shape[-2:], kernel.shape[2:]
    if height % kh == 0 and width % kw == 0:
        # Distances are counted modulo the image; none that is zero is one whole turn.
        dh, dw = (dilation[0] % kh or kh) * (height // kh), (dilation[1] % kw or kw) * (width // kw)
        before = (dw * ((kw - 1) // 2), dh * ((kh - 1) // 2))
        pads = (before[0], dw * (kw - 1) - before[0], before[1], dh * (kh - 1) - before[1])
        return F.conv2d(circular_pad(x, pads), kernel, bias, 1, 0, (dh, dw), groups)
    with full_precision():
        return frequency_conv2d(x, image_spectrum(kernel, (height, width), dilation, groups), bias)


def image_spectrum(kernel: Tensor, size: Pair, dilation: Pair, groups: int) -> Tensor:
    """The matrices that `periodic_conv2d` applies to the Fourier coefficients of an image.

    Args:
        kernel: `(out, in/groups, kh, kw)`.
        size: Height and width of the image.
        dilation: Multiplies frequencies.
        groups: Number of groups.

    Returns:
        `(H, W//2 + 1, groups, out/groups, in/groups)`, complex.
    """
    grid = grid_spectrum(kernel.to(torch.promote_types(kernel.dtype, torch.float32)), groups)
    rows = grid_index(size[0], grid.shape[0], dilation[0], size[0])
    columns = grid_index(size[1], grid.shape[1], dilation[1], size[1] // 2 + 1)
    chosen = (torch.tensor(index, device=kernel.device) for index in (rows, columns))
    row_index, column_index = chosen
    return grid.index_select(0, row_index).index_select(1, column_index)


def grid_bound(kernel: Tensor, groups: int) -> Bound:
    """Prove the norm of `periodic_conv2d` for every image size: the largest norm of a matrix of the grid.

    Args:
        kernel: `(out, in/groups, kh, kw)`, the stored one.
        groups: Number of groups.

    Returns:
        The bound, with the rounding of the transform, computed in float64, included.
    """
    wide = kernel.detach().double().cpu()
    found = spectrum_bound(grid_spectrum(wide, groups))
    # A sum over taps of products with roots of unity, good to a few units each, in any order of summation.
    taps = float(torch.linalg.matrix_norm(wide, dim=(0, 1)).sum())
    error = gamma(4 * wide.shape[2] * wide.shape[3] + 32) * taps * (1 + 1e-9)
    return Bound(add_up(found.value, error), found.proved, found.method)


class PeriodicSpectrumConv2d(ConstrainedModule):
    """Circular convolution whose spectrum repeats that of a stored k x k kernel, see `periodic_conv2d`.

    Shape: `(..., in, H, W)` to `(..., out, H, W)`.

    Args:
        kernel: `(out, in/groups, kh, kw)`; copied.
        bias: `(out,)` or None; copied.
        dilation: An int or a pair; multiplies the distance of the taps, n / k.
        groups: A common divisor of the channels.

    Raises:
        ValueError: If an argument is not allowed.
    """

    def __init__(
        self, kernel: Tensor, bias: Tensor | None, dilation: int | tuple[int, int] = 1, groups: int = 1
    ) -> None:
        super().__init__()
        out, inner, kh, kw = kernel.shape
        self.arguments = conv_arguments(
            "PeriodicSpectrumConv2d", inner * groups, out, (kh, kw), 1, "same", dilation, groups, "circular"
        )
        self.kernel = nn.Parameter(kernel.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone()) if bias is not None else None
        self.eval()

    @override
    def forward(self, x: Tensor) -> Tensor:
        return periodic_conv2d(x, self.kernel, self.bias, self.arguments.dilation, self.arguments.groups)

    def spectrum(self, size: Pair) -> Tensor:
        """The matrices that it applies to the Fourier coefficients of an image, in float64.

        Args:
            size: Height and width.

        Returns:
            `(H, W//2 + 1, groups, out/groups, in/groups)`, complex.
        """
        return image_spectrum(self.kernel.detach().double(), size, self.arguments.dilation, self.arguments.groups)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return grid_bound(self.kernel, self.arguments.groups)

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        a = self.arguments
        return (
            f"{a.in_channels}, {a.out_channels}, kernel_size={a.kernel_size}, dilation={a.dilation}, "
            f"groups={a.groups}, bias={self.bias is not None}"
        )
