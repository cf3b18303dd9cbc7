"""Convolutions built frequency by frequency: the base of the methods that do so, and their plain form."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.cache import TensorCache
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import ConvArguments, conv_arguments
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound, full_precision, matrix_norm_bound

_SIZES_KEPT = 4
"""Image sizes whose spectrum a layer keeps in eval."""


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


def kernel_spectrum(kernel: Tensor, arguments: ConvArguments, size: tuple[int, int]) -> Tensor:
    """The matrices by which a circular convolution acts on Fourier coefficients.

    K(w) = sum over taps t of K_t exp(i w (d t - before)), at the frequencies of an image of this size; a kernel larger
    than the image wraps around.

    Args:
        kernel: `(out, in/groups, kh, kw)`, real.
        arguments: Dilation, padding and groups of the convolution.
        size: Height and width of the image.

    Returns:
        `(H, W//2 + 1, groups, out/groups, in/groups)`, complex.
    """
    (height, width), (left, _, top, _) = size, arguments.pads
    (kh, kw), (dh, dw) = arguments.kernel_size, arguments.dilation
    # Whole turns are taken off in integers, so that the angles are accurate.
    rows = torch.arange(height, device="cpu")[:, None] * (torch.arange(kh, device="cpu") * dh - top) % height
    columns = torch.arange(width // 2 + 1, device="cpu")[:, None] * (torch.arange(kw, device="cpu") * dw - left) % width
    turns = rows[:, None, :, None].double() / height + columns[:, None].double() / width
    angles = (2 * math.pi * turns).flatten(2).flatten(0, 1)
    taps = kernel.flatten(2).permute(2, 0, 1).flatten(1)
    real, imaginary = (table.to(kernel) @ taps for table in (angles.cos(), angles.sin()))
    spectrum = torch.complex(real, imaginary)
    groups = arguments.groups
    return spectrum.reshape(height, width // 2 + 1, groups, kernel.shape[0] // groups, kernel.shape[1])


def spectrum_bound(spectrum: Tensor) -> Bound:
    """Prove the norm of the map with these stored matrices: the largest norm of a matrix.

    A complex matrix A + iB has the singular values of the real [[A, -B], [B, A]].

    Args:
        spectrum: `(H, W//2 + 1, groups, out/groups, in/groups)`, complex.

    Returns:
        The proved bound of the map in real arithmetic.
    """
    real, imaginary = spectrum.real, spectrum.imag
    blocks = torch.cat([torch.cat([real, -imaginary], -1), torch.cat([imaginary, real], -1)], -2)
    found = matrix_norm_bound(blocks.flatten(0, 2))
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


class FourierConv2d(ConstrainedModule):
    """Base of circular convolutions that constrain the matrix at each frequency, drop-in for `torch.nn.Conv2d`.

    In training the matrices are built at every call, in the parameters' precision but at least float32. In eval they
    are built in float64 for each image size, rounded once, and kept until a parameter changes or training goes on.
    The plain form is tied to one image size: `image_size` if given, otherwise the size last seen.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width) of the kernel whose spectrum is constrained.
        stride: 1.
        padding: "same", or the same in numbers.
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.
    """

    paddings: ClassVar[tuple[str, ...]] = ("circular",)
    raw_names: ClassVar[tuple[str, ...]] = ("raw_weight",)
    bias: nn.Parameter | None

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
        super().__init__()
        owner = type(self).__name__
        self.arguments = conv_arguments(
            owner,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            padding_mode,
            paddings=self.paddings,
        )
        a = self.arguments
        if a.stride != (1, 1):
            raise ValueError(f"stride={stride!r} in {owner} must be 1; put InvertibleDownsampling2d before it instead")
        left, right, top, bottom = a.pads
        if (top + bottom + 1, left + right + 1) != a.extent:
            raise ValueError(f"padding={padding!r} in {owner} must be 'same', which an orthogonal circular map needs")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = a.kernel_size, a.stride, a.padding
        self.dilation, self.groups, self.padding_mode = a.dilation, groups, padding_mode
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        if self.bias is not None:
            limit = 1 / math.sqrt(in_channels // groups * math.prod(a.kernel_size))
            nn.init.uniform_(self.bias, -limit, limit)
        self.image_size: tuple[int, int] | None = None
        self._caches: dict[tuple[int, int], TensorCache] = {}

    @abstractmethod
    def kernel(self, *raw: Tensor) -> Tensor:
        """Build the kernel whose spectrum is constrained.

        Args:
            *raw: The tensors named in `raw_names`, in that order.

        Returns:
            `(out, in/groups, kh, kw)`.
        """

    @abstractmethod
    def constrain(self, spectrum: Tensor) -> Tensor:
        """Constrain the matrix at each frequency. Pure and differentiable; complex64 or complex128.

        Args:
            spectrum: `(..., out/groups, in/groups)`.

        Returns:
            Matrices of that shape and of norm at most 1.
        """

    def spectrum(self, size: tuple[int, int]) -> Tensor:
        """The matrices that the layer applies to images of one size, in its present mode.

        Args:
            size: Height and width.

        Returns:
            `(H, W//2 + 1, groups, out/groups, in/groups)`, complex.
        """
        if self.training:
            return self._build(size, at_least=torch.float32)
        if size not in self._caches:
            for oldest in list(self._caches)[: 1 - _SIZES_KEPT]:
                del self._caches[oldest]
            self._caches[size] = TensorCache()
        raw = tuple(getattr(self, name) for name in self.raw_names)
        return self._caches[size].get(raw, lambda: self._build(size, at_least=torch.float64))

    def _build(self, size: tuple[int, int], *, at_least: torch.dtype) -> Tensor:
        raw = [getattr(self, name) for name in self.raw_names]
        stored = raw[0].dtype
        wide = torch.promote_types(stored, at_least)
        with full_precision():
            spectrum = kernel_spectrum(self.kernel(*(r.to(wide) for r in raw)), self.arguments, size)
            built = self.constrain(spectrum)
        narrow = torch.promote_types(stored, torch.float32)
        return built if wide == narrow else torch.complex(built.real.to(narrow), built.imag.to(narrow))

    @override
    def train(self, mode: bool = True) -> Self:
        if mode:
            self._caches.clear()
        return super().train(mode)

    @override
    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[-2], x.shape[-1])
        if not torch.compiler.is_compiling():
            self.image_size = size
        spectrum = self.spectrum(size)
        with full_precision():
            return frequency_conv2d(x, spectrum, self.bias)

    def _frozen(self, size: tuple[int, int]) -> Tensor:
        training = self.training
        self.training = False
        try:
            with torch.no_grad():
                return self.spectrum(size)
        finally:
            self.training = training

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        if input_shape is None:
            # The matrices depend on the image size, so there are no stored numbers to prove anything about.
            return Bound(1 + 1e-5, False, "exact arithmetic; give input_shape for a proof")
        self.image_size = (input_shape[-2], input_shape[-1])
        return spectrum_bound(self._frozen(self.image_size))

    @override
    def to_plain(self) -> nn.Module:
        if self.image_size is None:
            raise ValueError(
                f"image_size=None in {type(self).__name__}: its plain form is tied to one image size; set that, or run "
                f"the layer once"
            )
        return FrequencyConv2d(self._frozen(self.image_size), self.bias, self.image_size)

    def options(self) -> dict[str, Any]:
        """The method's own keyword options, as given.

        Returns:
            Name to value; shown by `repr`.
        """
        return {}

    @override
    def extra_repr(self) -> str:
        shown = [f"{self.in_channels}", f"{self.out_channels}"]
        for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
            shown.append(f"{name}={getattr(self, name)!r}")
        shown += [f"bias={self.bias is not None}", f"padding_mode={self.padding_mode!r}"]
        return ", ".join([*shown, *(f"{k}={v!r}" for k, v in self.options().items())])
