"""Proved upper bounds of the operator norm of a convolution at one image size, in every padding mode."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from onelip.linalg.bound import Bound
from onelip.linalg.convolution.banded import operators_norm_bound, proof_cost
from onelip.linalg.convolution.grid import grid_norm_bound
from onelip.linalg.convolution.lines import Line, adjoint_line, conv_line
from onelip.linalg.convolution.norm import conv_norm_bound
from onelip.linalg.convolution.operators import LineOperators
from onelip.linalg.norms import finite_double, power_of_two_scale, scaled_bound
from onelip.linalg.rounding import multiply_up, sqrt_up

_EXACT = 1e-5
"""Relative gap from the largest norm of a row or column below which the bound for every size is good enough."""

_GOOD = 3e-3
"""The same for the estimate at the image size."""

_FAIR = 8e-3
"""The same for the bound by frequencies of one axis, before more is spent."""

_LOOSE = 5e-2
"""The same, before a minute is spent: reflected pixels cost the proofs by frequencies a factor of up to two."""

_PIXELS = "pixels"

_CHEAP, _USUAL, _MOST, _PATIENT = 1e9, 4e10, 4e11, 5e12
"""Operations of the proof pixel by pixel: up to which it is tried at once, before others, where they are only fair, and
where they are loose."""


def conv_norm_at(
    weight: Tensor,
    sizes: Sequence[int],
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    pads: Sequence[tuple[int, int]],
    mode: str = "zeros",
) -> Bound:
    """Prove an upper bound of the l2 operator norm of a padded convolution of images of one size.

    The least of
      any size      `conv_norm_size_free`;
      pixels        the Gram matrix of the operator itself, banded along one axis, by block Cholesky (`banded`);
      frequencies   the same with all axes but one replaced by rings of frequencies (`operators`), and in circular
                    padding with all axes replaced, which is exact;
    of which the later ones are tried only if the first is not seen to be tight.

    Args:
        weight: (out, in/groups, k ...) with one to three axes, real floating point; converted exactly to float64.
        sizes: Pixels along each axis.
        stride: One number for each axis.
        dilation: Likewise.
        groups: Number of groups.
        pads: Pixels added (before, after) along each axis.
        mode: "zeros", "circular", "reflect" or "replicate".

    Returns:
        The proved bound: within 1e-6 of the norm up to about 4000 rows and columns and for circular padding, within 1 %
        for zero padding; for reflected or replicated pixels in larger images, up to the root of the number of copies.

    Raises:
        ValueError: If the arguments do not fit each other, or `weight` has a non-finite entry.

    Cost: that of `conv_norm_bound` for orthogonal kernels; up to 3 s else, for 64 channels on one thread.
    """
    axes = zip(sizes, weight.shape[2:], stride, dilation, pads, strict=True)
    lines = [conv_line(n, k, stride=s, dilation=d, pads=(p[0], p[1]), mode=mode) for n, k, s, d, p in axes]
    bound = _norm_at(weight, lines, stride, dilation, groups)
    if (
        mode != "circular"
        or bound.method == _PIXELS
        or max(stride) == 1
        or all(line.ring.copies == 1 for line in lines)
    ):
        return bound
    # A stride that does not divide the size spoils the ring, but it only leaves out outputs.
    stride = (1,) * len(lines)
    other = conv_norm_at(weight, sizes, stride=stride, dilation=dilation, groups=groups, pads=pads, mode=mode)
    return min(bound, other, key=lambda found: found.value)


def conv_transpose_norm_at(
    weight: Tensor,
    sizes: Sequence[int],
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    padding: Sequence[int],
    output_padding: Sequence[int],
) -> Bound:
    """Prove an upper bound of the l2 operator norm of a transposed convolution of images of one size.

    It is the adjoint of a zero-padded convolution of its outputs, with the same norm; otherwise as `conv_norm_at`.

    Args:
        weight: (in, out/groups, k ...) with one to three axes.
        sizes: Pixels of the input along each axis.
        stride: One number for each axis.
        dilation: Likewise.
        groups: Number of groups.
        padding: Pixels cropped on either side, for each axis.
        output_padding: Pixels added at the end of each axis.

    Returns:
        The proved bound.

    Raises:
        ValueError: If the arguments do not fit each other, or `weight` has a non-finite entry.
    """
    axes = zip(sizes, weight.shape[2:], stride, dilation, padding, output_padding, strict=True)
    lines = [adjoint_line(n, k, stride=s, dilation=d, padding=p, output_padding=e) for n, k, s, d, p, e in axes]
    return _norm_at(weight, lines, stride, dilation, groups)


def conv_norm_size_free(
    weight: Tensor, *, stride: Sequence[int], dilation: Sequence[int], groups: int, copies: int = 1
) -> Bound:
    """Prove an upper bound of the norm of a convolution of one to three axes, for every image size.

    Args:
        weight: (out, in/groups, k ...).
        stride: One number for each axis.
        dilation: Likewise.
        groups: Number of groups.
        copies: How often padding copies a pixel, at most; 1 for zero padding and for circular padding of at most
            d (k - 1) pixels, if the stride divides the size.

    Returns:
        The supremum over all frequencies, within 2e-6 mostly (`conv_norm_bound`), or within some 5 % for three axes
        (`grid_norm_bound`), times the root of `copies`.
    """
    if weight.ndim == 5:
        base = grid_norm_bound(weight, stride=stride, dilation=dilation, groups=groups)
    else:
        if weight.ndim == 3:
            weight, stride, dilation = weight[:, :, None], (1, *stride), (1, *dilation)
        (s_h, s_w), (d_h, d_w) = stride, dilation
        base = conv_norm_bound(weight, stride=(s_h, s_w), dilation=(d_h, d_w), groups=groups)
    return base if copies == 1 else Bound(multiply_up(base.value, sqrt_up(float(copies))), True, base.method)


def _norm_at(
    weight: Tensor, lines: Sequence[Line], stride: Sequence[int], dilation: Sequence[int], groups: int
) -> Bound:
    if groups < 1 or weight.shape[0] % groups:
        raise ValueError(f"groups={groups} does not divide the {weight.shape[0]} channels of a convolution")
    x = finite_double(weight, "weight")
    if not bool(x.any()):
        return Bound(0.0, True, "zero")
    scaled, exponent = power_of_two_scale(x)
    operators = LineOperators.of(scaled.unflatten(0, (groups, -1)), lines)
    at_once = _at_once(operators)
    if at_once is not None and (len(lines) == 3 or not _nearly_isometric(operators)):
        return scaled_bound(operators_norm_bound(at_once[0]), exponent, at_once[1])
    if len(lines) == 3:
        # The bound for every size is dear and loose, and strips are always at hand.
        value, method = _proved(operators, math.inf)
        return scaled_bound(value, exponent, method)
    copies = math.prod(line.ring.copies for line in lines)
    free = conv_norm_size_free(x, stride=stride, dilation=dilation, groups=groups, copies=copies)
    known = math.ldexp(free.value, -exponent)
    if known <= (1 + _EXACT) * _longest(operators):
        return free
    if at_once is not None:
        value, method = operators_norm_bound(at_once[0]), at_once[1]
    else:
        value, method = _proved(operators, known)
    return free if value >= known else scaled_bound(value, exponent, method)


def _at_once(operators: LineOperators) -> tuple[LineOperators, str] | None:
    # The exact proof, if it is about as cheap as the one for every size.
    if all(line.ring.whole for line in operators.lines):
        axes = range(len(operators.lines))
        ring = operators.at_frequencies(axes, [0] * len(axes))
        if proof_cost(ring) <= _USUAL:
            return ring, "frequencies of the image"
    return (operators, _PIXELS) if proof_cost(operators) <= _CHEAP else None


def _nearly_isometric(operators: LineOperators) -> bool:
    # Could the kernel be orthogonal? Then all outputs, or all inputs, have the same norm.
    squares = operators.weights.square().flatten(3).sum(-1)
    return any(float(sums.max()) <= 1.02 * float(sums.min()) for sums in (squares.sum(1), squares.sum(2)))


def _proved(operators: LineOperators, known: float) -> tuple[float, str]:
    if _is_large(operators.lines) and known < math.inf:
        return known, ""
    cost = proof_cost(operators)
    estimate = operators.estimate(known / (1 + _GOOD))
    if known <= (1 + _GOOD) * estimate:
        return known, ""
    if cost <= _USUAL:
        return operators_norm_bound(operators, estimate), _PIXELS
    found, best = _best_strips(operators)
    loose = min(found, known) > (1 + _LOOSE) * estimate
    if (cost <= _PATIENT and loose) or (cost <= _MOST and found > (1 + _FAIR) * estimate):
        return operators_norm_bound(operators, estimate), _PIXELS
    if best is None or found >= known:
        return known, ""
    return operators_norm_bound(best, found / math.sqrt(best.factor_sq)), "frequencies and pixels"


def _best_strips(operators: LineOperators) -> tuple[float, LineOperators | None]:
    # The one with the least estimated norm.
    best: tuple[float, LineOperators | None] = math.inf, None
    for strips in _strips(operators):
        if proof_cost(strips) <= _MOST:
            found = strips.estimate() * math.sqrt(strips.factor_sq)
            best = (found, strips) if found < best[0] else best
    return best


def _strips(operators: LineOperators) -> Iterator[LineOperators]:
    lines = operators.lines
    for kept in range(len(lines)) if len(lines) > 1 else (None,):
        axes = [axis for axis in range(len(lines)) if axis != kept]
        for twists in itertools.product(*((0, 1) if lines[axis].ring.twisted else (0,) for axis in axes)):
            yield operators.at_frequencies(axes, twists)


def _is_large(lines: Sequence[Line]) -> bool:
    # On a line of n outputs a peak is missed by about pi / n, where the norm squared is lower by at most
    # (pi L / n)^2 / 4 of it, by Bernstein's inequality for a symbol of degree L.
    if any(line.ring.copies > 1 for line in lines):
        return False
    degrees = [-(-int(line.offsets[-1] - line.offsets[0]) // line.stride) for line in lines]
    losses = [(math.pi * degree / line.ring.length) ** 2 / 8 for degree, line in zip(degrees, lines, strict=True)]
    return sum(losses) <= _GOOD


def _longest(operators: LineOperators) -> float:
    # The largest norm of a row or a column of T, if no two taps read the same pixel: a lower estimate of the norm.
    squares = operators.weights.square()
    rows, columns = squares.sum(2), squares.sum(1)
    for line in reversed(operators.lines):
        rows = torch.tensordot(rows, (line.reads.T >= 0).double(), 1).movedim(-1, 2)
        columns = torch.tensordot(columns, line.readers().double(), 1).movedim(-1, 2)
    return math.sqrt(max(float(rows.max()), float(columns.max())))
