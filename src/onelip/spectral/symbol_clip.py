"""Clipping of a convolution or dense layer by its symbol, again and again during training."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from onelip.spectral.clip_fourier import Symbol, grid_of, symbol_on
from onelip.spectral.low_rank_projection import Projected
from onelip.spectral.parts import TRANSPOSED
from onelip.spectral.side_by_side import Measurement, Projection, Request, answers_to

_POINTS_PER_TAP = 4
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)

_CLOSE = 0.96
"""A norm that comes out below this share of the bound is a layer clipped too much."""

_UNKNOWN, _UNCERTAIN = 2.0, 1.15
"""The norm is not below the bound if the symbol's is above it by so much: the border takes less."""

_MOST_TRIES = 4

_Steps = Generator[Request, Any, "SymbolClipped"]


def has_symbol(layer: nn.Module, input_shape: tuple[int, ...]) -> bool:
    """Find out whether the norm of a layer is at most the largest norm of its symbol.

    Args:
        layer: Any module.
        input_shape: Shape of one input, without the batch.

    Returns:
        Is it a dense layer of torch, or a convolution with zeros around images or on a torus, without hooks?
    """
    if type(layer) not in _LAYERS or layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer):
        return False
    if not isinstance(layer, _ConvNd) or layer.padding_mode == "zeros":
        return True
    sizes = zip(input_shape[1:], layer.stride, strict=True)
    return layer.padding_mode == "circular" and all(n % s == 0 for n, s in sizes)


@dataclass(frozen=True, eq=False)
class SymbolClipped:
    """What one clipping did.

    Attributes:
        norm: Of the layer: where the border hardly matters, that of the symbol, which is no less but for what is
            between the frequencies of its grid; else measured, from below.
        moved: Did the weights change?
    """

    norm: float
    moved: bool


class SymbolClip:
    """Lower the norm of one layer to a bound, by the singular values of its symbol that are above.

    With zeros around an image the norm is below that of the symbol, by a share that depends on the size of the image
    and the weights: it is measured where the image is small, and remembered, so that the layer is not clipped more than
    it needs.

    Args:
        layer: A layer that has a symbol.
        input_shape: Shape of one input, without the batch.
        ratio: The norm of the symbol over that of the layer, as known from an earlier use.
        vectors: `(j, *input_shape)`, top right singular vectors from an earlier use.
    """

    def __init__(
        self,
        layer: nn.Module,
        input_shape: tuple[int, ...],
        ratio: float | None = None,
        vectors: Tensor | None = None,
    ) -> None:
        self._layer = layer
        self._input_shape = input_shape
        self._grid = grid_of(layer, input_shape, most=_POINTS_PER_TAP) if isinstance(layer, _ConvNd) else None
        self._symbol: Symbol | None = None
        self.ratio = ratio
        self.vectors = vectors
        self.measures = isinstance(layer, _ConvNd) and _is_small(layer, input_shape)

    def clip_(self, max_norm: float, tol: float) -> SymbolClipped:
        """Clip the layer.

        Args:
            max_norm: Positive.
            tol: Relative excess that is let be.

        Returns:
            The norm after.
        """
        return clip_together_([self], max_norm, tol)[0]

    def steps(self, max_norm: float, tol: float) -> _Steps:
        """Clip the layer, leaving what is expensive to whoever runs this.

        Args:
            max_norm: Positive.
            tol: Relative excess that is let be.

        Yields:
            What is to be computed; the answer is to be sent.

        Returns:
            The norm after.
        """
        first = self._kernel()
        if self.measures:
            return (yield from self._measured_steps(first, max_norm, tol))
        done: Projected = yield self._projection(first, max_norm, tol / 2)
        if done.n_steps:
            self._write_(done.kernel)
        return SymbolClipped(done.after, done.n_steps > 0)

    def _measured_steps(self, first: Tensor, max_norm: float, tol: float) -> _Steps:
        kernel, moved, measured = first, False, 0.0
        limit = max_norm * (1 + tol / 2)
        for attempt in range(_MOST_TRIES):
            done: Projected = yield self._projection(kernel, max_norm * (self.ratio or 1.0), tol / 4)
            doubt = _UNKNOWN if self.ratio is None else _UNCERTAIN * self.ratio
            if not moved and done.n_steps and done.before <= doubt * max_norm:
                measured = yield from self._measure()
                if measured <= limit:
                    return SymbolClipped(measured, False)
            if done.n_steps:
                self._write_(done.kernel)
                moved = True
            measured = yield from self._measure()
            self.ratio = max(done.after / measured, 1.0) if measured else None
            kernel = done.kernel
            if measured > limit:
                continue
            if not moved or measured >= _CLOSE * max_norm or attempt:
                return SymbolClipped(measured, moved)
            kernel = first
        self._write_(kernel * (max_norm / measured))
        return SymbolClipped(max_norm, True)

    def _measure(self) -> Generator[Request, Any, float]:
        norm, self.vectors = yield Measurement(cast(_ConvNd, self._layer), self._input_shape, self.vectors)
        return cast(float, norm)

    def _projection(self, kernel: Tensor, max_norm: float, tol: float) -> Projection:
        symbol = self._symbol
        if symbol is None or symbol.counts.device != kernel.device:
            self._symbol = symbol = _dense(kernel) if self._grid is None else symbol_on(self._grid, kernel)
        return Projection(kernel, self._grid, symbol, max_norm, tol)

    def _kernel(self) -> Tensor:
        weight = cast(Tensor, self._layer.weight).detach()
        wide = weight if weight.dtype == torch.float64 else weight.float()
        if isinstance(self._layer, nn.Linear):
            return wide[None, :, :, None].clone()
        return wide.unflatten(0, (cast(_ConvNd, self._layer).groups, -1)).flatten(3).clone()

    def _write_(self, kernel: Tensor) -> None:
        weight = cast(Tensor, self._layer.weight)
        with torch.no_grad():
            weight.copy_(kernel.reshape(weight.shape))


def clip_together_(clips: Sequence[SymbolClip], max_norm: float, tol: float) -> list[SymbolClipped]:
    """Clip layers of which no two share their weight; what they need at the same time is computed together.

    Args:
        clips: Of the layers.
        max_norm: Positive.
        tol: Relative excess that is let be.

    Returns:
        The norm of each after.
    """
    going = {i: clip.steps(max_norm, tol) for i, clip in enumerate(clips)}
    answers: dict[int, Any] = dict.fromkeys(going)
    done: dict[int, SymbolClipped] = {}
    while going:
        requests: dict[int, Request] = {}
        for i, answer in answers.items():
            try:
                requests[i] = going[i].send(answer)
            except StopIteration as end:
                done[i] = end.value
                del going[i]
        answers = answers_to(requests)
    return [done[i] for i in range(len(clips))]


def _dense(like: Tensor) -> Symbol:
    return Symbol(torch.ones(1, 1, 1, dtype=torch.complex64, device=like.device), torch.ones(1, device=like.device))


# Are there so few positions that zeros around them lower the norm much, and that the symbol has no other frequencies?
def _is_small(conv: _ConvNd, input_shape: tuple[int, ...]) -> bool:
    sizes = input_shape[-len(conv.kernel_size) :]
    steps = conv.stride if isinstance(conv, TRANSPOSED) else (1,) * len(sizes)
    spans = [d * (k - 1) + 1 for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
    axes = zip(sizes, steps, spans, strict=True)
    return any(span > 1 and n * s + span - 1 <= _POINTS_PER_TAP * span for n, s, span in axes)
