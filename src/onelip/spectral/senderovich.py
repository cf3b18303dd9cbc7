"""Senderovich et al.: singular values clipped at every frequency, for convolutions with strides and tensor trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from onelip.layers.conv_arguments import positive_int
from onelip.linalg import full_precision
from onelip.linalg.frequency_clipping import clip_frequencies
from onelip.spectral.clip_batch_norm import clip_batch_norm_
from onelip.spectral.gouk import SLACK, measured_norm, scale_
from onelip.spectral.parts import NORMS, Called
from onelip.spectral.tensor_train import TTConv2d
from onelip.spectral.torus import Torus, covering_torus, has_torus, published_torus, torus_kernel
from onelip.spectral.weighted_parts import checked_norm, own_module, scaling_parameter, weighted_parts


def senderovich_(module: nn.Module, max_norm: float, input_shape: tuple[int, ...]) -> None:
    """Clip the singular values of a layer once, as published, in place.

    The kernel is padded with zeros to the layer's input, cut into the phases of its stride, transformed, clipped by an
    SVD of every frequency, transformed back and cropped to its size. The crop raises some values again, and the torus
    is the layer itself only for circular padding, so that norms above `max_norm` are left, which `fft_` removes. For
    dense layers it is exact. A tensor train is made orthonormal first and its core clipped; a kernel larger than the
    input gets a torus of its own size.

    Args:
        module: A convolution or transposed one of one or two axes, a `TTConv2d`, or a dense layer; with a frequency
            norm below `max_norm` it is left as it is, bit for bit.
        max_norm: Largest singular value, > 0.
        input_shape: Shape of one input, without the batch.

    Raises:
        ValueError: If the module is something else, or `max_norm` is not positive.

    Cost: an FFT and SVDs of (out/groups, in/groups s_h s_w) matrices at half the frequencies of the input, divided by
    its stride.
    Paper: Senderovich, Bulatova, Obukhov and Rakhuba 2022, arXiv:2211.13771.
    """
    limit = checked_norm("senderovich_", max_norm)
    inner, shape = _inner(module, input_shape)
    _clip_once(inner, limit, published_torus(inner, shape))


def fft_(module: nn.Module, max_norm: float, input_shape: tuple[int, ...], *, max_steps: int = 16) -> int:
    """Clip the singular values of a layer until it obeys: sigma <= max_norm (1 + 1e-3), measured; in place.

    Alternating projections between kernels of at most this norm, on a torus that contains the layer, and kernels of
    this size. The layer itself is measured after 1, 2, 4, 8, ... of them; what `max_steps` leave above is divided
    away. The kernel moves no further than it would by division alone. A layer below is left as it is, bit for bit.

    Args:
        module: A convolution or transposed one of one or two axes, a `TTConv2d`, a dense layer or a batch
            normalisation.
        max_norm: Largest singular value, > 0.
        input_shape: Shape of one input, without the batch.
        max_steps: Projections, at most.

    Returns:
        The number of projections.

    Raises:
        ValueError: If the module is something else, or an argument is out of range.

    Cost: for each projection that of `senderovich_`, and a measurement by `singular_values`.
    Paper: Senderovich, Bulatova, Obukhov and Rakhuba 2022, arXiv:2211.13771, for one step.
    """
    limit = checked_norm("fft_", max_norm)
    positive_int("fft_", "max_steps", max_steps)
    if isinstance(module, NORMS):
        clip_batch_norm_(module, limit)
        return 0
    _inner(module, input_shape, orthogonalise=False)
    norm = measured_norm(module, input_shape)
    if norm <= limit * (1 + SLACK):
        return 0
    inner, shape = _inner(module, input_shape)
    weight, torus = scaling_parameter(inner), covering_torus(inner, shape)
    before = weight.detach().clone()
    divided = before * (limit / norm)
    steps = 0
    while steps < max_steps and norm > limit * (1 + SLACK) and _clip_once(inner, limit, torus):
        steps += 1
        # A measurement costs more than a projection.
        if steps & (steps - 1) == 0:
            norm = measured_norm(module, input_shape)
    scale_(module, limit, input_shape)
    with torch.no_grad():
        # Where the torus is far from the layer, as with replicated pixels, projections may move more than it takes.
        if (weight - before).norm() > (divided - before).norm():
            weight.copy_(divided)
    return steps


class Senderovich:
    """Clips the singular values of each layer at every frequency, once every `period` steps (Senderovich et al.).

    Between clips norms grow, and each clip leaves what its crop puts back: this method makes norms small, but promises
    no bound for convolutions. For dense layers it does, right after a clip.

    Args:
        model: Network to keep; its weights are set in place.
        input_shape: Shape of one input, without the batch.
        max_norm: Largest singular value of each convolution and dense layer, > 0.
        period: Steps from one clip to the next.

    Raises:
        ValueError: If an argument is out of range, a weight is parametrised, or a convolution has three axes.

    Cost: that of `senderovich_` for every layer, every `period` steps.
    Paper: Senderovich, Bulatova, Obukhov and Rakhuba 2022, arXiv:2211.13771.
    """

    def __init__(
        self, model: nn.Module, input_shape: tuple[int, ...], max_norm: float = 1.0, *, period: int = 100
    ) -> None:
        self.max_norm = checked_norm("senderovich", max_norm)
        self.period = positive_int("senderovich", "period", period)
        self._parts = weighted_parts(model, input_shape)
        for part in self._parts:
            _inner(own_module(part), part.input_shape, orthogonalise=False)
        self._n_steps = 0

    def penalty(self) -> None:
        """Add nothing to the loss."""

    def step(self) -> None:
        """Clip, if it is time to."""
        self._n_steps += 1
        if self._n_steps % self.period == 0:
            for part in self._parts:
                senderovich_(part.module, self.max_norm, part.input_shape)

    def state_dict(self) -> dict[str, Any]:
        """Give the number of steps.

        Returns:
            Plain values.
        """
        return {"n_steps": self._n_steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state.

        Args:
            state: What `state_dict` gave.
        """
        self._n_steps = int(state["n_steps"])


def _inner(
    module: nn.Module, input_shape: tuple[int, ...], *, orthogonalise: bool = True
) -> tuple[nn.Module, tuple[int, ...]]:
    # The layer with the kernel that is clipped, and its input shape.
    own = module.module if isinstance(module, Called) else module
    if not has_torus(own):
        raise ValueError(
            f"{type(own).__name__} has no matrix for each frequency; give a convolution of one or two axes, a TTConv2d "
            "or a dense layer"
        )
    if isinstance(own, TTConv2d):
        if orthogonalise:
            own.orthogonalise_()
        return own.core, (own.core.in_channels, *input_shape[1:])
    return own, input_shape


def _clip_once(module: nn.Module, limit: float, torus: Torus) -> bool:
    weight = scaling_parameter(module)
    wide = torus_kernel(module).detach()
    if wide.dtype not in (torch.float32, torch.float64):
        wide = wide.float()
    # On a torus smaller than the kernel, taps that fall together cannot be told apart when it is cropped.
    reach = [-(-(d * (k - 1) + 1) // s) for d, k, s in zip(torus.dilation, wide.shape[2:], torus.stride, strict=True)]
    size = (max(torus.size[0], reach[0]), max(torus.size[1], reach[1]))
    with torch.no_grad(), full_precision():
        clipped, top = clip_frequencies(
            wide, size, limit, stride=torus.stride, dilation=torus.dilation, groups=torus.groups
        )
        if top > limit:
            weight.copy_(clipped.reshape(weight.shape))
    return top > limit
