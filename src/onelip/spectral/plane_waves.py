"""Directions to start from in the search for the largest singular value of a convolution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from onelip.spectral.affine_map import AffineMap

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_MODES = ("zeros", "circular")

_LEAST_PIXELS = 200
_MOST_ENTRIES, _ENTRIES_AT_ONCE = 2**26, 2**22
"""Of all matrices of the first grid together, and of those in memory."""

_LEAST_SAMPLES, _MOST_SAMPLES = 10, 32
"""Frequencies per axis of the first grid, unless the kernel needs more."""

_CHEAP = 2**17
"""Entries of all matrices of a grid up to which a grid twice as fine is taken."""

_FIRST_STEPS, _FIRST_PEAKS = 8, 6
"""Lanczos steps at the first grid, and how many of its frequencies go on after them, from their best vectors."""

_CLIMBING = ((0.5, 4), (0.3, 2), (0.15, 2))
"""Parts of the first grid's spacing within which a peak is looked for, and how many of the peaks go on after it."""

_STEPS, _LAST_STEPS, _CORNER_STEPS = 2, 4, 3
"""Lanczos steps from the vectors of near frequencies, on the way and where it ends."""

_TINY = 1e-30


def plane_waves(operator: AffineMap, generator: torch.Generator, k: int = 1) -> Tensor:
    """Build waves near the top right singular vector of a convolution with zero or circular padding.

    Far from the borders a convolution maps the wave v exp(i w x) to (K(w) v) exp(i w x). The frequency w with the
    largest ||K(w)|| is sought on a coarse grid by Lanczos and then moved uphill. For zero padding the wave becomes
    the lowest mode of a box, made of the waves of near frequencies; for circular padding w is a frequency of the
    image. It is a start, not an answer: nothing is promised.

    Args:
        operator: Any affine map.
        generator: Of the vectors that Lanczos starts from.
        k: How many singular values are sought. The real part of a wave does for one.

    Returns:
        `(j, n_inputs)`: real parts of the waves of one or two peaks, and the imaginary parts if k > 1; none for other
        maps, and where images are so small that it does not pay.
    """
    conv = operator.module
    if type(conv) not in _CONVOLUTIONS or not operator.by_type or not isinstance(conv, _CONVOLUTIONS):
        return torch.zeros(0, operator.n_inputs, device=operator.device)
    symbols = _Symbols(conv)
    size = operator.input_shape[1:]
    entries = len(symbols.grid) * conv.groups * symbols.shape.numel() * len(symbols.shifts)
    if conv.padding_mode not in _MODES or math.prod(size) < _LEAST_PIXELS or entries > _MOST_ENTRIES:
        return torch.zeros(0, operator.n_inputs, device=operator.device)
    peaks = _search(symbols, generator)
    unit = math.pi / torch.tensor([n + 1 for n in size], device=operator.device)
    if conv.padding_mode == "circular":
        unit = 2 * math.pi / torch.tensor(size, device=operator.device)
        peaks = _neighbours(symbols, peaks, unit, on_grid=True)
    groups, peaks = _distinct(symbols, peaks, size)
    if conv.padding_mode != "circular":
        peaks = _box_modes(symbols.of(groups), peaks, unit)
    waves = _waves(symbols, groups, peaks, size)
    # Where a wave is its own conjugate but for a phase, its real part is all of it.
    waves = waves * torch.sgn(waves.square().sum(1, keepdim=True)).sqrt().conj()
    return torch.cat([waves.real, waves.imag]) if k > 1 else waves.real.contiguous()


class _Symbols:
    # The matrices of a convolution at frequencies, for each of g groups: they map vectors that are (g, c, shifts *
    # in/g). With a stride, a matrix takes all frequencies that become one.

    def __init__(self, conv: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> None:
        weight = conv.weight.detach()
        weight = (weight / weight.abs().amax().clamp(min=torch.finfo(weight.dtype).tiny)).float()
        self.kernel = weight.shape[2:]
        device = weight.device
        self.offsets = _lattice([range(0, k * d, d) for k, d in zip(self.kernel, conv.dilation, strict=True)], device)
        if not isinstance(conv.padding, str):
            self.offsets = self.offsets - torch.tensor(conv.padding, dtype=torch.float32, device=device)
        taps = weight.flatten(2).unflatten(0, (conv.groups, -1)).permute(0, 3, 1, 2)
        self.shape = taps.shape[2:]
        # Two matrices, for the map and its adjoint, as rows times matrices are several times as fast as matrices times
        # columns: (g, cosines and sines of taps, real and imaginary parts of the entries of both).
        parts = taps.new_zeros(len(taps), 2, taps.shape[1], 2, self.shape.numel(), 2)
        parts[:, 0, :, 0, :, 0] = taps.mT.flatten(2)
        parts[:, 0, :, 1, :, 0] = taps.flatten(2)
        parts[:, 1, :, 0, :, 1] = parts[:, 0, :, 0, :, 0]
        parts[:, 1, :, 1, :, 1] = -parts[:, 0, :, 1, :, 0]
        self.taps = parts.flatten(3).flatten(1, 2)
        stride = torch.tensor(conv.stride, dtype=torch.float32, device=device)
        self.shifts = _lattice([range(s) for s in conv.stride], device) * (2 * math.pi / stride)
        # Frequencies repeat after 2 pi / dilation, or after 2 pi / stride in another order of the shifts.
        longest = [2 * math.pi / max(d if s == 1 else s, 1) for d, s in zip(conv.dilation, conv.stride, strict=True)]
        least = _LEAST_SAMPLES
        size = weight.numel() // math.prod(self.kernel) * math.prod(conv.stride)
        while least < _MOST_SAMPLES and size * least ** len(self.kernel) <= _CHEAP:
            least *= 2
        # With a stride peaks are narrower, as each matrix is of several frequencies.
        factors = [1.0 if s == 1 else 1.5 / s for s in conv.stride]
        counts = [math.ceil(max(least, 3 * k - 1) * f) for k, f in zip(self.kernel, factors, strict=True)]
        self.spacing = torch.tensor([length / n for length, n in zip(longest, counts, strict=True)], device=device)
        # The kernel is real, so half of the frequencies are the conjugates of the others.
        every = itertools.product(*(range(n) for n in counts))
        half = [place for place in every if place <= tuple(-i % n for i, n in zip(place, counts, strict=True))]
        self.grid = torch.tensor(half, dtype=torch.float32, device=device) * self.spacing

    def of(self, groups: Tensor) -> _Symbols:
        chosen = copy(self)
        chosen.taps = self.taps[groups]
        return chosen

    def matrices(self, angles: Tensor) -> tuple[Tensor, Tensor]:
        # At (g, c, d) angles, what rows are multiplied by: for images (g, c, shifts * in/g, out/g), and for the adjoint
        # (g, c, out/g, shifts * in/g).
        turns = (angles[:, :, None] + self.shifts) @ self.offsets.mT
        phases = torch.cat([turns.cos(), turns.sin()], -1).flatten(1, 2)
        entries = _complex(phases @ self.taps).unflatten(1, turns.shape[1:3]).unflatten(-1, (2, -1))
        outputs, inputs = self.shape
        forward = entries[..., 0, :].unflatten(-1, (inputs, outputs)).flatten(2, 3)
        backward = entries[..., 1, :].unflatten(-1, (outputs, inputs)).transpose(2, 3).flatten(3)
        return forward, backward


@dataclass(frozen=True, eq=False)
class _Peaks:
    # Angles per pixel (g, c, d), right vectors (g, c, shifts * in/g), and how much longer they get (g, c).
    angles: Tensor
    vectors: Tensor
    norms: Tensor

    def best(self, count: int) -> _Peaks:
        index = self.norms.topk(min(count, self.norms.shape[1])).indices
        chosen = (index + self.norms.shape[1] * torch.arange(len(index), device=index.device)[:, None]).flatten()
        parts = (self.angles, self.vectors, self.norms)
        return _Peaks(*(part.flatten(0, 1)[chosen].unflatten(0, index.shape) for part in parts))

    def split(self, count: int) -> list[_Peaks]:
        parts = (part.split(count, 1) for part in (self.angles, self.vectors, self.norms))
        return [_Peaks(*part) for part in zip(*parts, strict=True)]

    def moved(self, steps: Tensor) -> _Peaks:
        # Each peak by each of (s, d) or (g, c, s, d) steps, one after another.
        angles = (self.angles[:, :, None] + steps).flatten(1, 2)
        vectors = self.vectors[:, :, None].expand(-1, -1, steps.shape[-2], -1).flatten(1, 2)
        return _Peaks(angles, vectors, self.norms.repeat_interleave(steps.shape[-2], 1))


def _search(symbols: _Symbols, generator: torch.Generator) -> _Peaks:
    groups, count = len(symbols.taps), len(symbols.grid)
    entries = symbols.shape[1] * len(symbols.shifts)
    vectors = torch.randn(entries, generator=generator, dtype=torch.complex64, device="cpu").to(symbols.grid.device)
    angles = symbols.grid.expand(groups, -1, -1)
    peaks = _Peaks(angles, vectors.expand(groups, count, -1), angles[:, :, 0])
    peaks = _at(symbols, peaks, _FIRST_STEPS).best(_FIRST_PEAKS)
    for reach, survivors in _CLIMBING:
        peaks = _uphill(symbols, peaks, reach * symbols.spacing).best(survivors)
    return _at(symbols, peaks, _LAST_STEPS)


def _at(symbols: _Symbols, peaks: _Peaks, steps: int = _STEPS) -> _Peaks:
    # The largest singular values and vectors at the peaks, by Lanczos from the vectors that these come with.
    size = len(symbols.taps) * symbols.shape.numel() * len(symbols.shifts)
    parts = [_lanczos(symbols, part, steps) for part in peaks.split(max(_ENTRIES_AT_ONCE // size, 1))]
    if len(parts) == 1:
        return parts[0]
    return _Peaks(*(torch.cat([getattr(p, name) for p in parts], 1) for name in ("angles", "vectors", "norms")))


def _lanczos(symbols: _Symbols, peaks: _Peaks, steps: int) -> _Peaks:
    forward, backward = symbols.matrices(peaks.angles)
    steps = min(steps, peaks.vectors.shape[2])
    new = peaks.vectors
    basis: list[Tensor] = []
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    for step in range(steps):
        length = _squares(new).sqrt()
        beside.append(length)
        basis.append(new / length.clamp(min=_TINY)[..., None])
        image = basis[-1][:, :, None] @ forward
        diagonal.append(_squares(image[:, :, 0]))
        if step + 1 < steps:
            # Three terms do, as the steps are few, and errors in the basis do not make values too large.
            new = (image @ backward)[:, :, 0] - diagonal[-1][..., None] * basis[-1]
            if step:
                new = new - length[..., None] * basis[-2]
    projected = torch.diag_embed(torch.stack(diagonal, -1))
    if steps > 1:
        projected = projected + torch.diag_embed(torch.stack(beside[1:], -1), offset=-1)
    # Only the lower triangle is read.
    squares, mixing = torch.linalg.eigh(projected)
    vectors = (torch.stack(basis, 2) * mixing[..., -1:]).sum(2)
    return _Peaks(peaks.angles, vectors, squares[..., -1].clamp(min=0.0).sqrt())


def _uphill(symbols: _Symbols, peaks: _Peaks, reach: Tensor) -> _Peaks:
    # To the top of the parabola through three frequencies along each axis.
    axes = len(reach)
    steps = torch.cat([torch.zeros_like(reach)[None], torch.diag(reach), -torch.diag(reach)])
    many = _at(symbols, peaks.moved(steps))
    heights = many.norms.unflatten(1, (-1, len(steps))).square()
    middle, above, below = heights[..., :1], heights[..., 1 : axes + 1], heights[..., axes + 1 :]
    slope, bend = (above - below) / 2, above + below - 2 * middle
    moves = torch.where(bend < 0, (-slope / bend).clamp(-1, 1), 1.0 - 2.0 * (slope < 0)).nan_to_num(0.0)
    vectors = many.vectors[:, :: len(steps)]
    return _Peaks(peaks.angles + moves * reach, vectors, middle[..., 0].sqrt())


def _neighbours(symbols: _Symbols, peaks: _Peaks, unit: Tensor, *, on_grid: bool) -> _Peaks:
    # The corners around each peak: of the cell of a grid that it is in, or as far as the unit from it.
    corners = _lattice([range(2)] * len(unit), unit.device)
    steps = (2 * corners - 1) * unit
    if on_grid:
        steps = ((peaks.angles / unit).floor() * unit - peaks.angles)[:, :, None] + corners * unit
    return _at(symbols, peaks.moved(steps), _CORNER_STEPS)


def _distinct(symbols: _Symbols, peaks: _Peaks, size: Sequence[int]) -> tuple[Tensor, _Peaks]:
    # The highest peak, and a second that is no lower by more than what the borders may take from either: the groups
    # that they are of, and they as if each had a group to itself.
    order = peaks.norms.flatten().argsort(descending=True)
    groups, columns = order // peaks.norms.shape[1], order % peaks.norms.shape[1]
    angles, norms = peaks.angles[groups, columns], peaks.norms[groups, columns]
    away = torch.stack([_distance(sign * angles, angles[:1]) / symbols.spacing for sign in (1, -1)])
    chosen = (away.amax(2) > 1).all(0) | (groups != groups[0])
    chosen &= norms >= (1 - 4 * sum(1 / n**2 for n in size)) * norms[0]
    chosen[0] = True
    two = chosen.nonzero()[:2, 0]
    vectors = peaks.vectors[groups[two], columns[two]]
    return groups[two], _Peaks(angles[two, None], vectors[:, None], norms[two, None])


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b + math.pi) % (2 * math.pi) - math.pi).abs()


def _box_modes(symbols: _Symbols, peaks: _Peaks, unit: Tensor) -> _Peaks:
    # The product of sin(unit (p + 1)) is a sum of waves at the corners, here each with its own singular vector.
    corners = _neighbours(symbols, peaks, unit, on_grid=False)
    overlap = (corners.vectors.conj() * peaks.vectors).sum(2)
    signs = 2 * _lattice([range(2)] * len(unit), unit.device) - 1
    phases = torch.exp(1j * (signs @ unit)) * signs.prod(1)
    return replace(corners, vectors=corners.vectors * (torch.sgn(overlap) * phases)[..., None])


def _waves(symbols: _Symbols, groups: Tensor, peaks: _Peaks, size: Sequence[int]) -> Tensor:
    # A complex row for each group of peaks, the sum of the waves of all in it.
    wave = torch.ones(1, 1, 1, 1, device=groups.device)
    for axis, n in enumerate(size):
        angles = peaks.angles[:, :, None, axis] + symbols.shifts[:, axis]
        factor = torch.exp(1j * (angles[..., None] * torch.arange(n, device=wave.device)))
        wave = (wave[..., None] * factor[:, :, :, None]).flatten(3)
    vectors = peaks.vectors.unflatten(2, (len(symbols.shifts), -1)).flatten(1, 2).mT
    parts = vectors @ wave.flatten(1, 2)
    waves = parts.new_zeros(len(groups), len(symbols.taps), *parts.shape[1:])
    waves[torch.arange(len(groups), device=groups.device), groups] = parts
    return waves.flatten(1)


def _squares(columns: Tensor) -> Tensor:
    # Of the lengths of complex columns; several times as fast as vector_norm along them.
    return torch.view_as_real(columns).square().sum((-1, -2))


def _complex(columns: Tensor) -> Tensor:
    return torch.view_as_complex(columns.unflatten(-1, (-1, 2)))


def _lattice(ranges: Sequence[range], device: torch.device) -> Tensor:
    return torch.tensor(list(itertools.product(*ranges)), dtype=torch.float32, device=device)
