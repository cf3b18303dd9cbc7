"""Convolutions built frequency by frequency: the bases of the methods that do so."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import partial
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.cache import TensorCache
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import Pair, conv_arguments
from onelip.layers.fourier_grid import FourierGrid, covers, fourier_grid, origin_of
from onelip.layers.frequency import FrequencyConv2d, frequency_conv2d, kernel_spectrum, spectrum_bound
from onelip.linalg import Bound, conv_norm_bound, full_precision

_SIZES_KEPT = 4
"""Image sizes whose matrices a layer keeps in eval."""


class FourierModule2d(ConstrainedModule):
    """Base of layers between images that build matrices for each frequency, with the arguments of `torch.nn.Conv2d`.

    In training the matrices are built at every call, in the parameters' precision but at least float32. In eval they
    are built in float64 for each image size, rounded once, and kept until a parameter changes or training goes on.
    The plain form is tied to one image size: `image_size` if given, otherwise the size last seen.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width) of the kernel whose spectrum is constrained.
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

    paddings: ClassVar[tuple[str, ...]] = ("zeros", "circular")
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
        self.arguments = a = conv_arguments(
            type(self).__name__,
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
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = a.kernel_size, a.stride, a.padding
        self.dilation, self.groups, self.padding_mode = a.dilation, groups, padding_mode
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        if self.bias is not None:
            limit = 1 / math.sqrt(in_channels // groups * math.prod(a.kernel_size))
            nn.init.uniform_(self.bias, -limit, limit)
        # A kernel of the size of the stride has the same matrix at all frequencies.
        self.one_matrix = a.extent == a.stride and not any(a.pads)
        self.image_size: Pair | None = None
        self._caches: dict[Pair, TensorCache] = {}

    @property
    def raw(self) -> tuple[Tensor, ...]:
        """The raw parameters, in the order of `raw_names`, without those that are registered as None."""
        return tuple(raw for name in self.raw_names if (raw := getattr(self, name)) is not None)

    @property
    def inner_size(self) -> Pair:
        """Taps of kernels that act after the stride: those that blocks of pixels leave."""
        (kh, kw), (sh, sw) = self.kernel_size, self.stride
        return -(-kh // sh), -(-kw // sw)

    @abstractmethod
    def matrices(self, size: Pair, *raw: Tensor) -> Tensor:
        """Build the constrained matrices. Pure and differentiable.

        Args:
            size: Height and width of the circle.
            *raw: The tensors named in `raw_names`, in that order, float32 or float64.

        Returns:
            `(H, W//2 + 1, groups, ..., ...)`.
        """

    @abstractmethod
    def circle(self, image_size: Pair) -> Pair:
        """Height and width of the circle whose frequencies have matrices.

        Args:
            image_size: Height and width of the image.
        """

    def spectrum(self, image_size: Pair) -> Tensor:
        """The matrices that the layer applies to images of one size, in its present mode.

        Args:
            image_size: Height and width.

        Returns:
            `(H, W//2 + 1, groups, ..., ...)` for the circle of that image.
        """
        size = self.circle(image_size)
        if self.training:
            return self._build(*self.raw, size=size, at_least=torch.float32)
        if size not in self._caches:
            for oldest in list(self._caches)[: 1 - _SIZES_KEPT]:
                del self._caches[oldest]
            self._caches[size] = TensorCache()
        return self._caches[size].differentiable(self.raw, partial(self._build, size=size, at_least=torch.float64))

    def _build(self, *raw: Tensor, size: Pair, at_least: torch.dtype) -> Tensor:
        stored = raw[0].dtype
        wide = torch.promote_types(stored, at_least)
        with full_precision():
            # A lazily conjugate tensor has no imaginary part under vmap.
            built = self.matrices(size, *(r.to(wide) for r in raw)).resolve_conj()
        narrow = torch.promote_types(stored, torch.float32)
        if wide == narrow:
            return built
        return torch.complex(built.real.to(narrow), built.imag.to(narrow)) if built.is_complex() else built.to(narrow)

    def frozen_spectrum(self, image_size: Pair) -> Tensor:
        """The matrices that eval applies, whatever the mode, without gradient.

        Args:
            image_size: Height and width.

        Returns:
            As `spectrum`.
        """
        training = self.training
        self.training = False
        try:
            with torch.no_grad():
                return self.spectrum(image_size)
        finally:
            self.training = training

    @override
    def train(self, mode: bool = True) -> Self:
        if mode:
            self._caches.clear()
        return super().train(mode)

    def placed(self, x: Tensor) -> FourierGrid:
        """Note the size of an image, and find the circular map for it.

        Args:
            x: `(..., C, H, W)`.

        Returns:
            The map's place.
        """
        size = (x.shape[-2], x.shape[-1])
        if not torch.compiler.is_compiling():
            self.image_size = size
        return fourier_grid(self.arguments, *size)

    def known_size(self) -> Pair:
        """The image size that the plain form is tied to.

        Returns:
            (height, width).

        Raises:
            ValueError: If there is none yet.
        """
        if self.image_size is None:
            raise ValueError(
                f"image_size=None in {type(self).__name__}: its plain form is tied to one image size; set that, or run "
                f"the layer once"
            )
        return self.image_size

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


class FourierConv2d(FourierModule2d):
    """Base of convolutions that constrain the matrix at each frequency, drop-in for `torch.nn.Conv2d`.

    A convolution of stride s is one of stride 1 of the image whose s x s blocks were moved into channels, so the
    matrices are `(out/groups, s_h s_w in/groups)`. With padding that does not make the map circular, such as zeros,
    the circular map of the padded image is constrained and its output cropped: no longer than 1, but not an isometry.
    A kernel of the size of the stride, such as 1 x 1, has one matrix for all frequencies; it is applied as a kernel.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width) of the kernel whose spectrum is constrained.
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

    kernel_after_stride: ClassVar[bool] = False
    """Does the kernel that a subclass builds act on the image whose blocks were moved into channels?"""

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
        self.orthogonal = type(self).orthogonal and covers(self.arguments)

    @abstractmethod
    def kernel(self, *raw: Tensor) -> Tensor:
        """Build the kernel whose spectrum is constrained.

        Args:
            *raw: The tensors named in `raw_names`, in that order.

        Returns:
            `(out, in/groups, kh, kw)`, or what `constrain` makes the matrices from.
        """

    @abstractmethod
    def constrain(self, spectrum: Tensor) -> Tensor:
        """Constrain the matrix at each frequency. Pure and differentiable; complex, or real if there is one for all.

        Args:
            spectrum: `(..., out/groups, s_h s_w in/groups)`, or the spectrum of what `kernel` builds.

        Returns:
            Matrices `(..., out/groups, s_h s_w in/groups)` of norm at most 1.
        """

    @override
    def matrices(self, size: Pair, *raw: Tensor) -> Tensor:
        stride = (1, 1) if self.kernel_after_stride else self.stride
        spectrum = kernel_spectrum(
            self.kernel(*raw), size, origin_of(self.arguments), stride, self.dilation, self.groups
        )
        return self.constrain(spectrum.real if self.one_matrix else spectrum)

    @override
    def circle(self, image_size: Pair) -> Pair:
        return (1, 1) if self.one_matrix else fourier_grid(self.arguments, *image_size).size

    def _as_kernel(self, matrices: Tensor) -> Tensor:
        return matrices.reshape(self.out_channels, self.in_channels // self.groups, *self.stride)

    @override
    def forward(self, x: Tensor) -> Tensor:
        grid = self.placed(x)
        spectrum = self.spectrum((x.shape[-2], x.shape[-1]))
        if self.one_matrix:
            return F.conv2d(x, self._as_kernel(spectrum), self.bias, self.stride, groups=self.groups)
        with full_precision():
            return grid.leave(frequency_conv2d(grid.enter(x), spectrum, self.bias))

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        if self.one_matrix:
            kernel = self._as_kernel(self.frozen_spectrum((1, 1)))
            return conv_norm_bound(kernel, stride=self.stride, groups=self.groups)
        if input_shape is None:
            # The matrices depend on the image size, so there are no stored numbers to prove anything about.
            return Bound(1 + 1e-5, False, "exact arithmetic; give input_shape for a proof")
        self.image_size = (input_shape[-2], input_shape[-1])
        return spectrum_bound(self.frozen_spectrum(self.image_size))

    @override
    def to_plain(self) -> nn.Module:
        if self.one_matrix:
            return self._plain_conv(self._as_kernel(self.frozen_spectrum((1, 1))))
        grid = fourier_grid(self.arguments, *self.known_size())
        return grid.around(FrequencyConv2d(self.frozen_spectrum(self.known_size()), self.bias, grid.size))

    def _plain_conv(self, kernel: Tensor) -> nn.Module:
        plain = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.stride,
            self.stride,
            groups=self.groups,
            bias=self.bias is not None,
        ).to(kernel)
        with torch.no_grad():
            plain.weight.copy_(kernel)
            if plain.bias is not None and self.bias is not None:
                plain.bias.copy_(self.bias)
        return plain.eval()
