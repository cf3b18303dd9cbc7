"""Clip the singular values of an affine module, or of every affine part of a network, at a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, cast

import torch
from torch import nn

from onelip.linalg import full_precision, unknown_name
from onelip.spectral.affine_map import AffineMap, NotAffineError
from onelip.spectral.clip_batch_norm import clip_batch_norm_
from onelip.spectral.clip_exact_dense import clip_exact_dense_
from onelip.spectral.fastclip import fastclip_
from onelip.spectral.gouk import scale_
from onelip.spectral.parts import NORMS, Part, affine_parts
from onelip.spectral.senderovich import fft_
from onelip.spectral.weighted_map import clippable_weights
from onelip.spectral.weighted_parts import checked_norm
from onelip.spectral.working_copy import WorkingCopy

Clipper = Callable[[nn.Module, tuple[int, ...], float], None]
"""Lowers the norm of an affine module in eval mode, given its input shape and the bound, in place."""


def _scale_(module: nn.Module, input_shape: tuple[int, ...], max_norm: float) -> None:
    scale_(module, max_norm, input_shape)


def _fft_(module: nn.Module, input_shape: tuple[int, ...], max_norm: float) -> None:
    fft_(module, max_norm, input_shape)


CLIP_METHODS: Mapping[str, Clipper] = MappingProxyType(
    {
        "fastclip": fastclip_,
        "exact-dense": clip_exact_dense_,
        "fft": _fft_,
        "scale": _scale_,
    }
)
"""Clippers by name; `clip_` repeats them until the bound holds."""

_MOST_ROUNDS = 100
_MOST_TRIES = 6
_MOST_PASSES = 20
_PROGRESS = 0.9
"""A round that leaves more than this share of the excess is the last."""

_SCALED = 5e-3
"""Last excess, relative, that is divided off."""


_SHRUNK = 2e-2
"""Last excess, relative, for which one weight of a map that is not proportional to it is shrunk."""


class CannotClipError(ValueError):
    """A method did not bring a part below the bound; all weights are as they were."""


@dataclass(frozen=True)
class ClippedPart:
    """What became of one affine part.

    Attributes:
        name: Of the part in the network; of its type if it is the whole.
        before: Largest singular value before.
        after: Largest singular value after.
        method: What changed it; "-" if it was left as it was, bit for bit.
        n_iter: How often the method was applied.
        change: How far its weights moved over their size, in Frobenius norm.
    """

    name: str
    before: float
    after: float
    method: str
    n_iter: int
    change: float


@dataclass(frozen=True)
class Clipped:
    """What `clip_` did.

    Attributes:
        max_norm: The bound.
        parts: Its parts, in order of execution.
    """

    max_norm: float
    parts: tuple[ClippedPart, ...]

    def __str__(self) -> str:
        width = max([len("part"), *(len(part.name) for part in self.parts)])
        rows = [f"{'part':<{width}}  {'before':>10}  {'after':>10}  {'change':>8}  method"]
        rows += [
            f"{p.name:<{width}}  {p.before:10.5g}  {p.after:10.5g}  {p.change:8.2g}  {p.method}" for p in self.parts
        ]
        return "\n".join(rows)


def clip_(
    module: nn.Module,
    max_norm: float,
    input_shape: tuple[int, ...] | None = None,
    *,
    method: str = "fastclip",
    exact: bool = False,
    batch_norm: Literal["keep", "clip", "joint"] = "keep",
    tol: float = 1e-3,
) -> Clipped:
    """Clip the singular values of an affine module, or of every affine part of a network, in place.

    Afterwards the largest singular value of each part is at most max_norm (1 + tol), measured on the stored weights. An
    affine module, also one made of several, with branches or skip connections, is one part; any other network is
    clipped convolution by convolution and dense layer by dense layer, at every shape that each runs at. A part that is
    below is left as it is, bit for bit. Weights of convolutions, dense layers and modules of your own change, and
    nothing else: no bias, statistic, gradient, mode, generator, or identity of a parameter.

    Args:
        module: Affine, or a network that runs; changed in place.
        max_norm: Bound of the norm, positive.
        input_shape: Shape of one input, without the batch; None where the module fixes it, as `nn.Linear` does.
        method: From `CLIP_METHODS`.
        exact: Also scale parts whose norm is below max_norm (1 - tol) up to it, once.
        batch_norm: "keep" them as they are; "clip" each by its scales, those inside an affine module before the whole;
            "joint", of a network: bound a convolution or dense layer, and the normalisation that alone takes its
            output, as one map, by the weight of the former, and clip other normalisations.
        tol: Relative excess that is left alone, from 1e-4 to 0.1.

    Returns:
        Norms before and after, by part; its text is a table.

    Raises:
        ValueError: If an argument is out of its range, or the shape is needed and None.
        CannotClipError: If the bound cannot be reached by the method; all weights are then as they were.
    """
    max_norm = checked_norm("clip_", max_norm)
    _check(method, batch_norm, tol)
    parts = _parts(module, input_shape, batch_norm)
    with _restored_on_failure(module), torch.inference_mode(False), torch.no_grad(), full_precision():
        rows = _Clipping(max_norm, method, tol).run(parts, exact)
    return Clipped(max_norm, rows)


def _check(method: str, batch_norm: str, tol: float) -> None:
    if method not in CLIP_METHODS:
        raise ValueError(unknown_name("method", method, CLIP_METHODS))
    if batch_norm not in ("keep", "clip", "joint"):
        raise ValueError(f"batch_norm={batch_norm!r} in clip_ must be 'keep', 'clip' or 'joint'")
    if not 1e-4 <= tol <= 0.1:
        raise ValueError(f"tol={tol} in clip_ must be from 1e-4 to 0.1")


def _parts(module: nn.Module, input_shape: tuple[int, ...] | None, batch_norm: str) -> tuple[Part, ...]:
    try:
        whole = Part(type(module).__name__, module, AffineMap(module, input_shape).input_shape)
    except NotAffineError:
        pass
    else:
        inside = batch_norm == "clip" and not isinstance(module, NORMS)
        norms = affine_parts(module, whole.input_shape) if inside else ()
        return (*(part for part in norms if isinstance(part.module, NORMS)), whole)
    parts = affine_parts(module, cast(tuple[int, ...], input_shape), joint=batch_norm == "joint")
    return tuple(part for part in parts if batch_norm != "keep" or not isinstance(part.module, NORMS))


@contextmanager
def _restored_on_failure(module: nn.Module) -> Iterator[None]:
    saved = [(parameter, parameter.detach().clone()) for parameter in module.parameters()]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for parameter, value in saved:
                if not torch.equal(parameter, value):
                    parameter.copy_(value)
        raise


class _Clipping:
    """One call of `clip_`."""

    def __init__(self, max_norm: float, method: str, tol: float) -> None:
        self._max_norm, self._method = max_norm, method
        self._clipper = CLIP_METHODS[method]
        self._tol = tol
        # Measurements of large maps are from below, by at most as much as this leaves.
        self._limit = max_norm * (1 + tol / 2)

    def run(self, parts: tuple[Part, ...], exact: bool) -> tuple[ClippedPart, ...]:
        rows = {index: self._clip(part, exact) for index, part in enumerate(parts)}
        shared = [i for i, part in enumerate(parts) if _shares(part, parts)]
        moved = any(rows[i].method != "-" for i in shared)
        for _ in range(_MOST_PASSES):
            if not moved:
                return tuple(rows.values())
            again = {i: self._clip(parts[i], False) for i in shared}
            moved = any(row.method != "-" for row in again.values())
            rows |= {i: _merged(rows[i], row) for i, row in again.items()}
        names = ", ".join(parts[i].name for i in shared)
        raise CannotClipError(f"{names} share weights, and clipping one of them raises another again and again")

    def _clip(self, part: Part, exact: bool) -> ClippedPart:
        work = WorkingCopy(part.module, part.input_shape)
        before = value = work.norm()
        row = ClippedPart(part.name, before, before, "-", 0, 0.0)
        if before <= self._limit and not (exact and before < self._max_norm * (1 - self._tol)):
            return row
        if isinstance(part.module, NORMS) and before > self._limit:
            clip_batch_norm_(part.module, self._max_norm)
            return replace(row, after=WorkingCopy(part.module, part.input_shape).norm(), method="clamp", n_iter=1)
        if not work.can_change:
            raise CannotClipError(f"{part.name} has no weight that clipping may change, and its norm is {before:.6g}")
        if before <= self._limit:
            _raise(work, part, before, self._max_norm)
            value = work.norm()
            if value <= self._limit:
                return replace(row, after=value, method="scaled up", n_iter=1, change=work.change())
        n_iter, after = self._lower(work, part, value)
        return replace(row, after=after, method=self._method, n_iter=n_iter, change=work.change())

    def _lower(self, work: WorkingCopy, part: Part, after: float) -> tuple[int, float]:
        # Until the stored weights are right: rounding, or a parametrisation, may change what was found.
        target, count = self._max_norm, 0
        for _ in range(_MOST_TRIES):
            rounds, after = self._approach(work, part, target, after)
            count += rounds
            if work.store():
                after = work.norm()
            if after <= self._limit:
                return count, after
            target *= 0.999 * self._max_norm / after
        raise CannotClipError(
            f"the weights of {part.name} round, or are parametrised, so that its norm is {after:.6g} after clipping "
            f"it at max_norm={self._max_norm}"
        )

    def _approach(self, work: WorkingCopy, part: Part, target: float, value: float) -> tuple[int, float]:
        # What is stored is compared with more than rounding adds to it.
        enough = target * (1 + self._tol / 8)
        count, aim = 0, target
        while value > enough and count < _MOST_ROUNDS:
            if not (value <= target * (1 + _SCALED) and work.scale_(target / value)):
                self._clipper(work.module, part.input_shape, aim)
            before, value, count = value, work.norm(), count + 1
            if value - target < _PROGRESS * (before - target):
                continue
            if aim > target:
                break
            # The least norm there is may be the bound, as for a skip connection: then use what is tolerated.
            aim, enough = target * (1 + self._tol * 3 / 8), target * (1 + self._tol / 2)
        for _ in range(_MOST_TRIES):
            if value > enough and (
                work.scale_(target / value) or (value <= target * (1 + _SHRUNK) and work.shrink_(enough))
            ):
                value = work.norm()
        if value > enough:
            raise CannotClipError(
                f"method={self._method!r} brings the norm of {part.name} to {value:.6g}, not to max_norm={target:.6g}"
            )
        return count, value


def _raise(work: WorkingCopy, part: Part, value: float, max_norm: float) -> None:
    if not value > 0 or not work.scale_(max_norm / value):
        raise CannotClipError(
            f"exact=True: {part.name} of norm {value:.6g} is not proportional to a weight, so scaling cannot raise it "
            f"to max_norm={max_norm}"
        )
    work.store()


def _shares(part: Part, parts: tuple[Part, ...]) -> bool:
    own = {id(weight) for weight in clippable_weights(part.module).values()}
    others = (clippable_weights(other.module) for other in parts if other is not part)
    return any(id(weight) in own for weights in others for weight in weights.values())


def _merged(first: ClippedPart, second: ClippedPart) -> ClippedPart:
    if second.method == "-":
        return replace(first, after=second.after)
    return replace(
        second, before=first.before, n_iter=first.n_iter + second.n_iter, change=max(first.change, second.change)
    )
