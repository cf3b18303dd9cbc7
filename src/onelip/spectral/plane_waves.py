"""Directions to start from in the search for the largest singular value of a convolution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from onelip.spectral.affine_map import AffineMap

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_MODES = ("zeros", "circular")

_LEAST_PIXELS = 200
_MOST_ENTRIES = 2**25
"""Of all matrices of the first grid together."""

_LEAST_SAMPLES = 8
"""Frequencies per axis of the first grid, unless the kernel needs more."""

_SCREENING = ((6, 16), (6, 3))
"""Lanczos steps, and how many of the frequencies go on after them."""

_REACHES = (0.5, 0.15)
"""Parts of the first grid's spacing within which a peak is looked for around the best frequencies, one after another."""

_STEPS = 4
"""Lanczos steps from the vectors of near frequencies."""


def plane_waves(operator: AffineMap, generator: torch.Generator) -> Tensor:
    """Build waves near the top right singular vector of a convolution with zero or circular padding.

    Far from the borders a convolution maps the wave v exp(i w x) to (K(w) v) exp(i w x). The frequency w with the
    largest ||K(w)|| is searched on a coarse grid by Lanczos and then moved uphill. For zero padding the wave becomes the
    lowest mode of a box, made of the waves of neighbouring frequencies; for circular padding w is a frequency of the
    image. It is a start, not an answer: nothing is promised.

    Args:
        operator: Any affine map.
        generator: Of the vectors that the power iterations start from.

    Returns:
        `(j, n_inputs)`: real and imaginary parts of the waves of one or two peaks; none for other maps, and where
        images are so small that it does not pay.
    """
    conv = operator.module
    if type(conv) not in _CONVOLUTIONS or not operator.by_type or not isinstance(conv, _CONVOLUTIONS):
        return torch.zeros(0, operator.n_inputs)
    symbols = _Symbols(conv)
    size = operator.input_shape[1:]
    entries = len(symbols.grid) * conv.weight.numel() // math.prod(symbols.kernel) * len(symbols.shifts)
    if conv.padding_mode not in _MODES or math.prod(size) < _LEAST_PIXELS or entries > _MOST_ENTRIES:
        return torch.zeros(0, operator.n_inputs)
    peaks = _search(symbols, generator)
    unit = math.pi / torch.tensor([n + 1 for n in size], device=operator.device)
    if conv.padding_mode == "circular":
        unit = 2 * math.pi / torch.tensor(size, device=operator.device)
        peaks = _distinct(symbols, _neighbours(symbols, peaks, unit, on_grid=True), size)
        waves = _waves(symbols, peaks, size)
    else:
        peaks = _distinct(symbols, peaks, size)
        waves = _box_modes(symbols, peaks, unit, size)
    return torch.view_as_real(waves).permute(0, 2, 1).flatten(0, 1)


class _Symbols:
    # The matrices of a convolution at chosen frequencies; with a stride, at all those together that it cannot tell apart.

    def __init__(self, conv: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> None:
        weight = conv.weight.detach().float()
        self.groups, self.kernel = conv.groups, weight.shape[2:]
        device = weight.device
        self.offsets = _lattice([range(0, k * d, d) for k, d in zip(self.kernel, conv.dilation, strict=True)], device)
        # (groups, taps, out/groups, in/groups)
        self.taps = weight.flatten(2).unflatten(0, (self.groups, -1)).permute(0, 3, 1, 2).to(torch.complex64)
        stride = torch.tensor(conv.stride, dtype=torch.float32, device=device)
        self.shifts = _lattice([range(s) for s in conv.stride], device) * (2 * math.pi / stride)
        # Frequencies repeat after 2 pi / dilation, or after 2 pi / stride in another order of the shifts.
        longest = [2 * math.pi / max(d if s == 1 else s, 1) for d, s in zip(conv.dilation, conv.stride, strict=True)]
        counts = [max(math.ceil(max(_LEAST_SAMPLES, 2 * k) / (s if s > 1 else 1)), 2)
                  for k, s in zip(self.kernel, conv.stride, strict=True)]  # fmt: skip
        self.spacing = torch.tensor([length / n for length, n in zip(longest, counts, strict=True)], device=device)
        # The kernel is real, so half of the frequencies are the conjugates of the others.
        ranges = [range(counts[0] // 2 + 1), *(range(n) for n in counts[1:])]
        self.grid = _lattice(ranges, device) * self.spacing

    def at(self, angles: Tensor, groups: Tensor) -> Tensor:
        # (c, out/groups, in/groups * shifts) at (c, d) angles
        return torch.einsum("cat,ctoi->coia", self.phases(angles), self.taps[groups]).flatten(2)

    def everywhere(self) -> Tensor:
        return torch.einsum("cat,gtoi->gcoia", self.phases(self.grid), self.taps).flatten(0, 1).flatten(2)

    def phases(self, angles: Tensor) -> Tensor:
        return torch.exp(1j * ((angles[:, None] + self.shifts) @ self.offsets.mT))


@dataclass(frozen=True, eq=False)
class _Peaks:
    # Angles per pixel (c, d), groups (c,), right vectors (c, in/groups * shifts, 1), and how much longer they get (c,).
    angles: Tensor
    groups: Tensor
    vectors: Tensor
    norms: Tensor

    def best(self, count: int) -> _Peaks:
        return self.at(self.norms.argsort(descending=True)[:count])

    def at(self, index: Tensor | slice) -> _Peaks:
        return _Peaks(self.angles[index], self.groups[index], self.vectors[index], self.norms[index])


def _search(symbols: _Symbols, generator: torch.Generator) -> _Peaks:
    matrices = symbols.everywhere()
    vectors = torch.randn(matrices.shape[2], 1, generator=generator, dtype=torch.complex64).to(matrices.device)
    groups = torch.arange(symbols.groups, device=matrices.device).repeat_interleave(len(symbols.grid))
    peaks = _Peaks(symbols.grid.repeat(symbols.groups, 1), groups, vectors.expand(len(groups), -1, -1), groups.float())
    peaks = _lanczos(matrices, peaks, _SCREENING)
    for reach in _REACHES:
        peaks = _uphill(symbols, peaks, reach * symbols.spacing)
    return _at(symbols, peaks)


def _at(symbols: _Symbols, peaks: _Peaks) -> _Peaks:
    # The vectors at the frequencies that the peaks are at, from those that they come with.
    return _lanczos(symbols.at(peaks.angles, peaks.groups), peaks, ((_STEPS, len(peaks.norms)),))


def _lanczos(matrices: Tensor, peaks: _Peaks, schedule: Sequence[tuple[int, int]]) -> _Peaks:
    # Largest singular values of many matrices, with right vectors, from given vectors; fewer and fewer of them.
    new = peaks.vectors
    basis, images = new[..., :0], matrices[..., :0]
    for steps, survivors in schedule:
        for _ in range(min(steps, matrices.shape[2] - basis.shape[2])):
            new = new - basis @ (basis.mH @ new)
            new = new / torch.linalg.vector_norm(new, dim=1, keepdim=True).clamp(min=1e-30)
            image = matrices @ new
            basis, images = torch.cat([basis, new], dim=2), torch.cat([images, image], dim=2)
            new = (image.mH @ matrices).mH
        squares, mixing = torch.linalg.eigh(images.mH @ images)
        norms = squares[:, -1].clamp(min=0.0).sqrt()
        index = norms.argsort(descending=True)[:survivors] if survivors < len(norms) else slice(None)
        matrices, basis, images, new = matrices[index], basis[index], images[index], new[index]
        peaks = replace(peaks, norms=norms).at(index)
    return replace(peaks, vectors=basis @ mixing[index][..., -1:])


def _uphill(symbols: _Symbols, peaks: _Peaks, reach: Tensor) -> _Peaks:
    # To the top of the parabola through three frequencies along each axis.
    count, axes = len(peaks.norms), len(reach)
    steps = torch.cat([torch.zeros_like(reach)[None], torch.diag(reach), -torch.diag(reach)])
    many = peaks.at(torch.arange(count, device=reach.device).repeat_interleave(len(steps)))
    many = _at(symbols, replace(many, angles=(peaks.angles[:, None] + steps).flatten(0, 1)))
    heights = many.norms.unflatten(0, (count, -1)).square()
    middle, above, below = heights[:, :1], heights[:, 1 : axes + 1], heights[:, axes + 1 :]
    slope, bend = (above - below) / 2, above + below - 2 * middle
    moves = torch.where(bend < 0, (-slope / bend).clamp(-1, 1), slope.sign()).nan_to_num(0.0)
    vectors = many.vectors.unflatten(0, (count, -1))[:, 0]
    return replace(peaks, angles=peaks.angles + moves * reach, vectors=vectors, norms=middle[:, 0].sqrt())


def _neighbours(symbols: _Symbols, peaks: _Peaks, unit: Tensor, *, on_grid: bool) -> _Peaks:
    # The corners around each peak: of the cell of a grid that it is in, or as far as the unit from it.
    corners = _lattice([range(2)] * len(unit), unit.device)
    if on_grid:
        angles = ((peaks.angles / unit).floor()[:, None] + corners) * unit
    else:
        angles = peaks.angles[:, None] + (2 * corners - 1) * unit
    many = peaks.at(torch.arange(len(peaks.norms), device=unit.device).repeat_interleave(len(corners)))
    many = replace(many, angles=angles.flatten(0, 1))
    return _at(symbols, many)


def _distinct(symbols: _Symbols, peaks: _Peaks, size: Sequence[int]) -> _Peaks:
    # The highest peak, and a second that is no lower by more than what the borders may take from either.
    peaks = peaks.best(len(peaks.norms))
    away = torch.stack([_distance(sign * peaks.angles, peaks.angles[:1]) / symbols.spacing for sign in (1, -1)])
    chosen = (away.amax(2) > 1).all(0) | (peaks.groups != peaks.groups[0])
    chosen &= peaks.norms >= (1 - 4 * sum(1 / n**2 for n in size)) * peaks.norms[0]
    chosen[0] = True
    return peaks.at(chosen.nonzero()[:2, 0])


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b + math.pi) % (2 * math.pi) - math.pi).abs()


def _box_modes(symbols: _Symbols, peaks: _Peaks, unit: Tensor, size: Sequence[int]) -> Tensor:
    # The product of sin(unit (p + 1)) is a sum of waves at the corners, here each with its own singular vector.
    corners = _neighbours(symbols, peaks, unit, on_grid=False)
    centre = peaks.vectors.repeat_interleave(2 ** len(size), dim=0)
    overlap = (corners.vectors.mH @ centre)[..., 0]
    signs = (2 * _lattice([range(2)] * len(size), unit.device) - 1).repeat(len(peaks.norms), 1)
    phases = torch.exp(1j * (signs @ unit)) * signs.prod(1)
    vectors = corners.vectors * (torch.sgn(overlap) * phases[:, None])[..., None]
    return _waves(symbols, replace(corners, vectors=vectors), size).unflatten(0, (-1, 2 ** len(size))).sum(1)


def _waves(symbols: _Symbols, peaks: _Peaks, size: Sequence[int]) -> Tensor:
    # (c, n_inputs), complex
    count = len(peaks.norms)
    wave: Tensor = torch.ones(count, len(symbols.shifts), 1, device=peaks.angles.device)
    for axis, n in enumerate(size):
        angles = peaks.angles[:, None, axis] + symbols.shifts[None, :, axis]
        factor = torch.exp(1j * (angles[..., None] * torch.arange(n, device=wave.device)))
        wave = (wave[..., None] * factor[:, :, None]).flatten(2)
    parts = peaks.vectors.unflatten(1, (-1, len(symbols.shifts)))[..., 0] @ wave
    waves = parts.new_zeros(count, symbols.groups, parts.shape[1], wave.shape[2])
    waves[torch.arange(count, device=wave.device), peaks.groups] = parts
    return waves.flatten(1)


def _lattice(ranges: Sequence[range], device: torch.device) -> Tensor:
    return torch.tensor(list(itertools.product(*ranges)), dtype=torch.float32, device=device)
