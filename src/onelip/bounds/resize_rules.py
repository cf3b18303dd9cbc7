"""Constants of torch's resizing: the product of the norms of its matrices along the axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.bounds.registry import Call, Refused, register_calls, register_modules
from onelip.bounds.resizing import MODES, resize_matrix
from onelip.bounds.windows import adaptive_matrix, repeats_bound, separable_bound
from onelip.linalg import Bound

AGREEMENT = 1e-12
"""How far, relative to the largest pixel, torch's own result in float64 may be from that of the matrices."""

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Resize:
    """The arguments of `F.interpolate`.

    Attributes:
        size: Pixels of the output, or None.
        scale_factor: Factor of the sizes, or None.
        mode: How.
        align_corners: As there.
        recompute_scale_factor: As there.
        antialias: As there.
    """

    size: Any = None
    scale_factor: Any = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None
    antialias: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """Resize.

        Args:
            x: `(N, C, ...)`.

        Returns:
            `(N, C, ...)` of another size.
        """
        return F.interpolate(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
            self.antialias,
        )


def resize_of_call(call: Call) -> Resize:
    """Collect the arguments of a call of `F.interpolate`.

    Args:
        call: The call.

    Returns:
        The arguments.
    """
    names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")
    defaults = (None, None, "nearest", None, None, False)
    return Resize(*(call.argument(i + 1, *pair) for i, pair in enumerate(zip(names, defaults, strict=True))))


def resize_of_module(m: Any) -> Resize:
    """Collect the options of an `nn.Upsample`.

    Args:
        m: The module.

    Returns:
        The arguments of `F.interpolate`.
    """
    return Resize(m.size, m.scale_factor, m.mode, m.align_corners, m.recompute_scale_factor)


def nearest_places(resize: Resize, sizes: Sizes) -> list[list[int]]:
    """Find which pixel each pixel of the output of nearest-neighbour resizing copies, along each axis.

    Torch rounds source positions in a precision of its own, so it is torch that is asked.

    Args:
        resize: With mode "nearest" or "nearest-exact".
        sizes: Pixels of each axis.

    Returns:
        The places along each axis.

    Raises:
        Refused: If they depend on the precision of the pixels.
    """
    places = []
    for axis, size in enumerate(sizes):
        found = []
        for dtype in (torch.float32, torch.float64):
            line = torch.arange(size, dtype=dtype).reshape([size if k == axis else 1 for k in range(len(sizes))])
            image = resize(line.expand(sizes)[None, None].contiguous())[0, 0]
            found.append(image.movedim(axis, 0).reshape(image.shape[axis], -1)[:, 0].long().tolist())
        if found[0] != found[1]:
            raise Refused(f"mode={resize.mode!r} copies other pixels in float32 than in float64 at sizes {sizes}")
        places.append(found[0])
    return places


def resize_matrices(resize: Resize, sizes: Sizes) -> list[Tensor]:
    """Write resizing by averages as one matrix along each axis.

    Args:
        resize: With mode "linear", "bilinear", "trilinear", "bicubic" or "area".
        sizes: Pixels of each axis.

    Returns:
        `(n', n)` float64 for each axis, every entry rounded once.

    Raises:
        Refused: If torch computes something else.
    """
    image = torch.rand(1, 1, *sizes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs = resize(image)
    outputs = tuple(theirs.shape[2:])
    if resize.mode == "area":
        matrices = list(map(adaptive_matrix, sizes, outputs))
    else:
        matrices = [
            resize_matrix(n, m, MODES[resize.mode], bool(resize.align_corners), scale, resize.antialias)
            for n, m, scale in zip(sizes, outputs, _scales(resize, len(sizes)), strict=True)
        ]
    if not bool(((along_axes(image, matrices) - theirs).abs() <= AGREEMENT).all()):
        raise Refused(f"torch resizes {sizes} to {outputs} differently from its definition of mode={resize.mode!r}")
    return matrices


def _scales(resize: Resize, n_axes: int) -> list[float | None]:
    factor = resize.scale_factor
    if factor is None or resize.recompute_scale_factor:
        return [None] * n_axes
    return [float(f) for f in factor] if isinstance(factor, (tuple, list)) else [float(factor)] * n_axes


def along_axes(image: Tensor, matrices: list[Tensor]) -> Tensor:
    """Apply one matrix along each of the last axes.

    Args:
        image: `(..., n_1, n_2, ...)`.
        matrices: `(m_k, n_k)` each.

    Returns:
        `(..., m_1, m_2, ...)`.
    """
    for k, matrix in enumerate(matrices):
        axis = image.dim() - len(matrices) + k
        image = (image.movedim(axis, -1) @ matrix.mT).movedim(-1, axis)
    return image


def resize_bound(resize: Resize, sizes: Sizes) -> Bound:
    """Bound resizing at one image size.

    Args:
        resize: The arguments.
        sizes: Pixels of each axis.

    Returns:
        The proved bound: the product of the norms of the matrices along the axes; for copies, the root of the number
        of copies of a pixel.

    Raises:
        Refused: If torch's result is not what its definition says, or the mode is not known.
    """
    if resize.mode in ("nearest", "nearest-exact"):
        counts = [max(line.count(p) for p in set(line)) for line in nearest_places(resize, sizes)]
        return repeats_bound(counts, "pixel copies")
    if resize.mode != "area" and resize.mode not in MODES:
        raise Refused(f"mode={resize.mode!r} is not known to be linear")
    return separable_bound(*resize_matrices(resize, sizes))


def _module(m: Any, shape: Sizes) -> Bound:
    return resize_bound(resize_of_module(m), shape[1:])


def _call(call: Call) -> Bound:
    value, before = call.only_signal()
    return before.then(resize_bound(resize_of_call(call), tuple(value.shape[2:])))


register_modules(_module, nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d)
register_calls(_call, F.interpolate)
