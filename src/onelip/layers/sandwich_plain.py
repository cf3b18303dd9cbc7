"""Layers y = 2 A^T relu(B x + b): what sandwich layers are in plain form, and their proved constant.

For two inputs let d be their difference, z that of the rectified values and v = B d. Each entry of relu moves by a
share between 0 and 1 of what it is given, so <z, v - z> >= 0, and |z|^2 <= <B^T z, d>. With A A^T + B B^T <= c I,
|2 A^T z|^2 <= 4 c |z|^2 - 4 |B^T z|^2 <= 4 c |B^T z| |d| - 4 |B^T z|^2 <= c^2 |d|^2. So the constant is at most
c = ||[A B]||^2, whatever the bias. The same holds for convolutions, with the largest norm of a matrix [A B] over the
frequencies, although relu acts on pixels: nothing else was used of A and B than the norm of [A B].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.frequency import frequency_conv2d, spectrum_bound
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound, full_precision, matrix_norm_bound, multiply_up


def sandwich_linear(x: Tensor, weight: Tensor, bias: Tensor | None, outputs: int) -> Tensor:
    """Apply y = 2 A^T relu(B x + b) to the last axis.

    Args:
        x: `(..., in)`.
        weight: [A B], `(inner, out + in)`.
        bias: `(inner,)` or None.
        outputs: out.

    Returns:
        `(..., out)`.
    """
    return 2 * F.linear(F.linear(x, weight[:, outputs:], bias).relu(), weight[:, :outputs].T)


def sandwich_frequency(x: Tensor, spectrum: Tensor, bias: Tensor | None, outputs: int) -> Tensor:
    """Apply y = 2 A^H relu(B x + b) with a matrix for each frequency, circular on images of one size.

    Args:
        x: `(..., in, H, W)`.
        spectrum: [A B], `(H, W//2 + 1, groups, inner/groups, (out + in)/groups)`, complex.
        bias: `(inner,)` or None.
        outputs: out/groups.

    Returns:
        `(..., out, H, W)`.
    """
    hidden = frequency_conv2d(x, spectrum[..., outputs:], bias).relu()
    return 2 * frequency_conv2d(hidden, spectrum[..., :outputs].mH, None)


def sandwich_bound(weight: Bound) -> Bound:
    """Bound y = 2 A^T relu(B x + b) by ||[A B]||^2.

    Args:
        weight: Bound of ||[A B]||.

    Returns:
        The bound, proved if that of the weight is.
    """
    return Bound(multiply_up(weight.value, weight.value), weight.proved, f"sandwich, weight by {weight.method}")


class Sandwich1d(ConstrainedModule):
    """y = 2 A^T relu(B x + b) with a stored matrix [A B], of constant ||[A B]||^2: a dense sandwich in plain form.

    Shape: `(..., in)` to `(..., out)`.

    Args:
        weight: [A B], `(inner, out + in)`; copied.
        bias: `(inner,)` or None; copied.
        outputs: out.

    Raises:
        ValueError: If `outputs` or the bias does not fit.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, outputs: int) -> None:
        super().__init__()
        _check("Sandwich1d", weight.shape[-1], outputs, bias, len(weight))
        self.outputs = outputs
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = _own(bias)
        self.eval()

    @override
    def forward(self, x: Tensor) -> Tensor:
        return sandwich_linear(x, self.weight, self.bias, self.outputs)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return sandwich_bound(matrix_norm_bound(self.weight.detach()))

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        inner, both = self.weight.shape
        return f"{both - self.outputs}, {self.outputs}, inner_features={inner}, bias={self.bias is not None}"


class FrequencySandwich2d(ConstrainedModule):
    """y = 2 A^H relu(B x + b) with a stored matrix [A B] for each frequency, circular on images of one size.

    The constant is the largest ||[A B]||^2. Shape: `(..., in, H, W)` to `(..., out, H, W)`.

    Args:
        spectrum: [A B], `(H, W//2 + 1, groups, inner/groups, (out + in)/groups)`, complex; copied, stored as pairs of
            real numbers.
        bias: `(inner,)` or None; copied.
        image_size: (H, W); the width cannot be told from the spectrum.
        outputs: out/groups.

    Raises:
        ValueError: If the spectrum, `outputs` or the bias does not fit; in `forward`, if the image has another size.
    """

    def __init__(self, spectrum: Tensor, bias: Tensor | None, image_size: tuple[int, int], outputs: int) -> None:
        super().__init__()
        height, width = image_size
        if not spectrum.is_complex() or spectrum.dim() != 5 or spectrum.shape[:2] != (height, width // 2 + 1):
            raise ValueError(
                f"spectrum of shape {tuple(spectrum.shape)} in FrequencySandwich2d must be complex, with "
                f"({height}, {width // 2 + 1}) matrices in groups for image_size={image_size}"
            )
        _check("FrequencySandwich2d", spectrum.shape[-1], outputs, bias, spectrum.shape[2] * spectrum.shape[3])
        self.image_size, self.outputs = (height, width), outputs
        self.weight = nn.Parameter(torch.view_as_real(spectrum.detach().resolve_conj()).clone())
        self.bias = _own(bias)
        self.eval()

    @override
    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[-2:]) != self.image_size:
            raise ValueError(f"image of size {tuple(x.shape[-2:])} in FrequencySandwich2d must be {self.image_size}")
        with full_precision():
            return sandwich_frequency(x, torch.view_as_complex(self.weight), self.bias, self.outputs)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return sandwich_bound(spectrum_bound(torch.view_as_complex(self.weight.detach())))

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        _, _, groups, inner, both, _ = self.weight.shape
        return (
            f"{groups * (both - self.outputs)}, {groups * self.outputs}, inner_channels={groups * inner}, "
            f"image_size={self.image_size}, groups={groups}, bias={self.bias is not None}"
        )


def _check(owner: str, both: int, outputs: int, bias: Tensor | None, inner: int) -> None:
    if not 0 < outputs < both:
        raise ValueError(f"outputs={outputs} in {owner} must leave inputs of the {both} columns of the weight")
    if bias is not None and bias.shape != (inner,):
        raise ValueError(f"bias={tuple(bias.shape)} in {owner} must have shape ({inner},)")


def _own(tensor: Tensor | None) -> nn.Parameter | None:
    return None if tensor is None else nn.Parameter(tensor.detach().clone())
