"""A dense layer on every patch of an image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import positive_int
from onelip.layers.dense_weight import checked_dense, frozen_weight, plain_pointwise
from onelip.linalg import Bound, matrix_norm_bound


class PatchMap2d(ConstrainedModule):
    """Apply a dense layer to each of the patches that an image is cut into: a convolution whose stride is its kernel.

    Patches do not overlap, so the constant is the norm of the matrix, and an orthogonal method makes it orthogonal,
    with any method for dense layers and without a Fourier transform.

    Shape: `(N, C, H, W)` to `(N, out, H/patch, W/patch)` for a layer from C patch^2 to out features.

    Args:
        linear: The dense layer, of this library or `torch.nn.Linear`; with its own bias, if any.
        patch: Side of the patches.

    Raises:
        ValueError: If an argument is not allowed; in `forward`, if the patch does not divide the image.

    Paper: as the neck of LiResNet, Hu, Leino, Wang and Fredrikson 2024, arXiv:2310.02513.
    """

    def __init__(self, linear: nn.Module, patch: int) -> None:
        super().__init__()
        owner = type(self).__name__
        self.patch = positive_int(owner, "patch", patch)
        self.linear = checked_dense(owner, "linear", linear)
        if self.linear.in_features % patch**2:
            raise ValueError(
                f"patch={patch} in {owner} has {patch**2} pixels, which do not divide the "
                f"in_features={self.linear.in_features} of its dense layer"
            )
        self.orthogonal = bool(getattr(linear, "orthogonal", False))

    @override
    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if height % self.patch or width % self.patch:
            raise ValueError(f"patch={self.patch} in {type(self).__name__} does not divide the image {height}x{width}")
        kernel = self.linear.weight.reshape(self.linear.out_features, -1, self.patch, self.patch)
        return F.conv2d(x, kernel, self.linear.bias, self.patch)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return matrix_norm_bound(frozen_weight(self.linear))

    @override
    def to_plain(self) -> nn.Module:
        return plain_pointwise(frozen_weight(self.linear), self.linear.bias, self.patch)

    @override
    def extra_repr(self) -> str:
        return f"patch={self.patch}"
