"""Maps that multiply the Fourier coefficients of images by a matrix for each frequency."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import Pair
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound, complex_norm_bound, full_precision


def frequency_conv2d(x: Tensor, spectrum: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply the Fourier coefficients of images by a matrix for each frequency.

    The coefficients at w and -w are conjugate, so half of them are stored. The transforms are unitary up to a factor
    that cancels, hence the norm of the map is at most the largest norm of a matrix, whatever the matrices are.

    Args:
        x: `(..., in, H, W)`, real.
        spectrum: `(H, W//2 + 1, groups, out/groups, in/groups)`, complex.
        bias: `(out,)` or None.

    Returns:
        `(..., out, H, W)`, in the precision of the spectrum.
    """
    size, groups = x.shape[-2:], spectrum.shape[2]
    batch = x.shape[:-3]
    outputs = spectrum.shape[2] * spectrum.shape[3]
    if x.numel() == 0:
        # Some FFT libraries refuse an empty batch.
        return spectrum.real.new_zeros(*batch, outputs, *size)
    flat = x.reshape(math.prod(batch), *x.shape[-3:]).to(spectrum.real.dtype)
    # (N, in, H, W/2) -> (H, W/2, groups, in/groups, N)
    coefficients = torch.fft.rfft2(flat).permute(2, 3, 1, 0).unflatten(2, (groups, -1))
    product = (spectrum @ coefficients).flatten(2, 3).permute(3, 2, 0, 1)
    # The size is given, as an odd width cannot be told from the number of coefficients.
    y = torch.fft.irfft2(product, s=size)
    y = y if bias is None else y + bias[:, None, None]
    return y.reshape(*batch, *y.shape[1:])


def kernel_spectrum(
    kernel: Tensor, size: Pair, origin: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1
) -> Tensor:
    """The matrices by which a circular convolution acts on Fourier coefficients.

    y_u = sum over taps t of K_t x_(s u + d t - origin). With a stride this is a convolution of stride 1 of the image
    whose blocks of pixels were moved into channels, in the order of `InvertibleDownsampling2d`: tap t meets pixel r of
    the block l away, s l + r = d t - origin, so that
    K(w)_r = sum over taps t with that r of K_t exp(i w l), at the frequencies of the smaller image. A kernel larger
    than the image wraps around.

    Args:
        kernel: `(out, in/groups, kh, kw)`, real.
        size: Height and width of the output.
        origin: Pixel (row, column) from which the taps are counted.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        `(H, W//2 + 1, groups, out/groups, s_h s_w in/groups)`, complex.
    """
    (height, width), (sh, sw) = size, stride
    here, rows = _taps_by_phase(kernel.shape[2], origin[0], sh, dilation[0], height, height)
    there, columns = _taps_by_phase(kernel.shape[3], origin[1], sw, dilation[1], width, width // 2 + 1)
    angles = (2 * math.pi * (rows[:, None, :, None] + columns[:, None]))[:, :, None, None]
    meets = here[:, None, :, None] * there[:, None]
    taps = kernel.flatten(2).permute(2, 0, 1).flatten(1)
    tables = ((wave * meets).flatten(4).flatten(0, 3).to(kernel) for wave in (angles.cos(), angles.sin()))
    real, imaginary = (table @ taps for table in tables)
    shape = (height, width // 2 + 1, sh * sw, groups, kernel.shape[0] // groups, kernel.shape[1])
    parts = (part.reshape(shape).permute(0, 1, 3, 4, 5, 2).flatten(-2) for part in (real, imaginary))
    return torch.complex(*parts)


def _taps_by_phase(taps: int, origin: int, stride: int, dilation: int, size: int, count: int) -> tuple[Tensor, Tensor]:
    # (stride, taps): does the tap meet this pixel of a block? (count, taps): turns at each frequency, for the block it
    # meets. Whole turns are taken off in integers, so that the angles are accurate.
    offsets = torch.arange(taps, device="cpu") * dilation - origin
    block = offsets.div(stride, rounding_mode="floor")
    meets = (offsets - block * stride)[None] == torch.arange(stride, device="cpu")[:, None]
    turns = (torch.arange(count, device="cpu")[:, None] * block % size).double() / size
    return meets.double(), turns


def spectrum_bound(spectrum: Tensor) -> Bound:
    """Prove the norm of the map with these stored matrices: the largest norm of a matrix.

    Args:
        spectrum: `(H, W//2 + 1, groups, out/groups, in/groups)`, complex.

    Returns:
        The proved bound of the map in real arithmetic.
    """
    found = complex_norm_bound(spectrum)
    return Bound(found.value, found.proved, f"per frequency, {found.method}")


class FrequencyConv2d(ConstrainedModule):
    """Circular convolution of images of one size, stored as a matrix for each frequency.

    Shape: `(..., in, H, W)` to `(..., out, H, W)`.

    Args:
        spectrum: `(H, W//2 + 1, groups, out/groups, in/groups)`, complex; copied, stored as pairs of real numbers.
        bias: `(out,)` or None; copied.
        image_size: (H, W); the width cannot be told from the spectrum.

    Raises:
        ValueError: If the spectrum does not fit the image size; in `forward`, if the image has another size.
    """

    def __init__(self, spectrum: Tensor, bias: Tensor | None, image_size: tuple[int, int]) -> None:
        super().__init__()
        height, width = image_size
        if not spectrum.is_complex() or spectrum.dim() != 5 or spectrum.shape[:2] != (height, width // 2 + 1):
            raise ValueError(
                f"spectrum of shape {tuple(spectrum.shape)} in FrequencyConv2d must be complex, with "
                f"({height}, {width // 2 + 1}) matrices in groups for image_size={image_size}"
            )
        self.image_size = (height, width)
        self.spectrum = nn.Parameter(torch.view_as_real(spectrum.detach().resolve_conj()).clone())
        self.bias = nn.Parameter(bias.detach().clone()) if bias is not None else None
        self.eval()

    @override
    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[-2:]) != self.image_size:
            raise ValueError(f"image of size {tuple(x.shape[-2:])} in FrequencyConv2d must be {self.image_size}")
        with full_precision():
            return frequency_conv2d(x, torch.view_as_complex(self.spectrum), self.bias)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return spectrum_bound(torch.view_as_complex(self.spectrum.detach()))

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        _, _, groups, outputs, inputs, _ = self.spectrum.shape
        return (
            f"{groups * inputs}, {groups * outputs}, image_size={self.image_size}, groups={groups}, "
            f"bias={self.bias is not None}"
        )
