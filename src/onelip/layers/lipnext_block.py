"""The LipNeXt block as it is fast: two matrices for each pixel, and a copy between them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.cache import TensorCache
from onelip.layers.channel_shift import ChannelShift2d
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.dense_weight import DenseLayer, checked_dense, frozen_weight, plain_pointwise, raw_tensors
from onelip.layers.positional_code import PositionalCode2d
from onelip.linalg import Bound, full_precision, matrix_norm_bound


class LipNeXtBlock2d(ConstrainedModule):
    """y = M R^T S(R (x + p)) + b: rotate the channels, shift some, rotate back and mix, with learned positions p.

    R and M are the weights of two square dense layers of any method, S is `ChannelShift2d`. `LipNeXtConv2d` composes
    such maps into one explicit kernel; here M R^T is one matrix, built once for a batch, so a pixel costs two products
    with matrices instead of nine. The constant is that of R times that of
    M R^T: 1 for orthogonal methods. The activation is not included.

    Shape: `(N, C, H, W)` to the same, with C the features of the dense layers.

    Args:
        rotation: R, a square dense layer without a bias, such as `CholeskyLinear(C, C, bias=False)`.
        mixing: M, another one of the same size.
        shift_ratio: Part of the channels that moves each way, above 0 and at most 1/4.
        image_size: An int or (height, width), the size of the learned positions p and of every input; None for no p and
            inputs of any size.
        bias: Add a learned bias?
        device: Device of p and the bias.
        dtype: Their precision.

    Raises:
        ValueError: If an argument is not allowed; in `forward`, if the input has other channels, or the image another
            size than p.

    Cost: two products (pixels, C) x (C, C), and M R^T: C^3 operations a batch in training, none in eval.
    Paper: Hu, Hu and Fredrikson 2026, arXiv:2601.18513 (LipNeXt, ICLR 2026), where M and R are steps on the manifold.
    """

    def __init__(
        self,
        rotation: nn.Module,
        mixing: nn.Module,
        *,
        shift_ratio: float = 0.125,
        image_size: int | tuple[int, int] | None = None,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.rotation = self._square("rotation", rotation, None)
        channels = self.rotation.in_features
        self.mixing = self._square("mixing", mixing, channels)
        self.shift = ChannelShift2d(channels, shift_ratio)
        self.positions = None if image_size is None else PositionalCode2d(channels, image_size, device, dtype)
        self.bias = nn.Parameter(torch.empty(channels, device=device, dtype=dtype)) if bias else None
        if self.bias is not None:
            nn.init.uniform_(self.bias, -1 / math.sqrt(channels), 1 / math.sqrt(channels))
        self.orthogonal = all(bool(getattr(layer, "orthogonal", False)) for layer in (rotation, mixing))
        self._cache = TensorCache()

    def _square(self, name: str, layer: nn.Module, channels: int | None) -> DenseLayer:
        owner = type(self).__name__
        dense = checked_dense(owner, name, layer, channels)
        if dense.in_features != dense.out_features or dense.bias is not None:
            raise ValueError(f"{name}={dense!r} in {owner} must be square and have bias=False")
        return dense

    def matrices(self) -> tuple[Tensor, Tensor]:
        """Build R and M R^T as the present mode applies them: differentiable in training, kept in eval.

        Returns:
            Two matrices `(C, C)`.
        """
        if not self.training:
            sources = (*raw_tensors(self.rotation), *raw_tensors(self.mixing))
            return self.rotation.weight, self._cache.get(sources, lambda: self._product(torch.float64))
        return self.rotation.weight, self._product(torch.float32)

    def _product(self, at_least: torch.dtype) -> Tensor:
        rotation, mixing = self.rotation.weight, self.mixing.weight
        wide = torch.promote_types(rotation.dtype, at_least)
        with full_precision():
            return (mixing.to(wide) @ rotation.to(wide).mT).to(rotation.dtype)

    def frozen_matrices(self) -> tuple[Tensor, Tensor]:
        """Build R and M R^T as eval applies them, whatever the mode, without gradient.

        Returns:
            Two matrices `(C, C)`.
        """
        rotation, mixing = frozen_weight(self.rotation), frozen_weight(self.mixing)
        return rotation, (mixing.double() @ rotation.double().mT).to(rotation.dtype)

    @override
    def forward(self, x: Tensor) -> Tensor:
        rotation, mixed = self.matrices()
        shifted = self.shift(F.conv2d(x if self.positions is None else self.positions(x), rotation[..., None, None]))
        return F.conv2d(shifted, mixed[..., None, None], self.bias)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        rotation, mixed = map(matrix_norm_bound, self.frozen_matrices())
        return rotation.then(mixed)

    @override
    def to_plain(self) -> nn.Module:
        rotation, mixed = self.frozen_matrices()
        first = [] if self.positions is None else [self.positions.to_plain()]
        shift = self.shift.to_plain().to(rotation)
        return nn.Sequential(*first, plain_pointwise(rotation), shift, plain_pointwise(mixed, self.bias)).eval()
