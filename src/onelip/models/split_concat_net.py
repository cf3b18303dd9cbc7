"""SplitConcatNet: residual blocks of grouped convolutions in four stages, for images of 224x224 pixels."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip.layers import PrescaledResidual
from onelip.models.conv_unit import check_norm, check_odd, conv_unit, norm_part
from onelip.models.method import Method
from onelip.models.readout import check_pool, readout
from onelip.models.registry import check_flags, check_sizes, register_model
from onelip.models.residual_blocks import check_image

# Width, blocks in a stage, kernel, expansion, groups (0: two channels each), alpha, normalisation and pooling.
_SIZES = {
    "m": (1024, 2, 3, 4, 32, 2.0, "batch-centering", "l2"),
    "m2": (1024, 2, 5, 2, 4, 2.0, "none", "average"),
    "l": (3072, 3, 5, 2, 0, 3.0, "none", "average"),
}


class _Blocks:
    """Makes the stages of a network."""

    def __init__(
        self, method: Method, kernel_size: int, expansion: int, groups: int, norm: str, skip: bool, alpha: float
    ) -> None:
        self.method, self.kernel_size, self.expansion, self.groups = method, kernel_size, expansion, groups
        self.norm, self.skip, self.alpha = norm, skip, alpha

    def stage(self, in_channels: int, width: int, depth: int) -> nn.Sequential:
        # A strided convolution where the width changes, then blocks, each followed by a 1x1 convolution.
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if in_channels != width:
            parts["down"] = self.method.conv2d(
                in_channels, width, self.kernel_size, stride=2, padding_mode="zeros", bias=False
            )
        parts |= norm_part(self.norm, width)
        groups = self.groups or width // 2
        for i in range(1, depth + 1):
            branch = self._branch(width, groups)
            parts[f"block{i}"] = PrescaledResidual(branch, self.alpha) if self.skip else branch
            if groups > 1:
                parts[f"mix{i}"] = self.method.conv2d(width, width, 1, bias=False)
        return nn.Sequential(parts)

    def _branch(self, width: int, groups: int) -> nn.Sequential:
        wide = self.expansion * width
        parts: OrderedDict[str, nn.Module] = OrderedDict(conv=self._grouped(width, wide, groups))
        parts |= norm_part(self.norm, wide)
        parts |= OrderedDict(act=self.method.act(wide), back=self._grouped(wide, width, groups))
        return nn.Sequential(parts)

    def _grouped(self, n_in: int, n_out: int, groups: int) -> nn.Module:
        return self.method.conv2d(n_in, n_out, self.kernel_size, padding_mode="zeros", groups=groups, bias=False)


def split_concat_net(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    name: str,
    width: int,
    blocks: _Blocks,
    depth: int,
    pool: str,
    head: str | None,
) -> nn.Sequential:
    """Two strided convolutions, four stages of residual blocks whose width doubles, a pooling and a normalised head.

    A block is (x + f(alpha x)) / (1 + |alpha|) of two grouped convolutions around a normalisation and an activation,
    and a 1x1 convolution behind it mixes the groups. Convolutions have no bias and are padded with zeros.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 32 for methods that are not plain.
        n_classes: Number of logits.
        method: How layers are made, with strides; published with "aoc".
        name: The model's name, for messages.
        width: Channels of the last stage, a multiple of 16.
        blocks: Makes the stages.
        depth: Blocks in a stage.
        pool: "l2", "average" (times the root of the image's size), "max", "conv" or "none".
        head: Method of the last layer.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Boissin et al. 2025, arXiv:2501.08430; the library Orthogonium.
    """
    check_image(name, input_shape, method, 32)
    if width % 16:
        raise ValueError(f"width={width} for model {name!r} must be a multiple of 16")
    channels, height, wide = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem1"] = conv_unit(method, (channels, width // 16), 7, stride=2, norm=blocks.norm)
    parts["stem2"] = conv_unit(method, (width // 16, width // 8), 3, stride=2, norm=blocks.norm)
    channels = width // 8
    for stage in range(1, 5):
        out = width // 2 ** (4 - stage)
        parts[f"stage{stage}"] = blocks.stage(channels, out, depth)
        channels = out
    image = (width, -(-height // 32), -(-wide // 32))
    return nn.Sequential(parts | readout(method, image, n_classes, pool=pool, head=head, bias=False))


def _register(size: str) -> None:
    name = f"split-concat-net-{size}"
    n_width, n_blocks, side, factor, n_groups, first_alpha, norm_name, pool_name = _SIZES[size]

    @register_model(name, summary=f"SplitConcatNet-{size.upper()} of Orthogonium, for images of 224x224 pixels")
    def sized(
        *,
        input_shape: tuple[int, int, int],
        n_classes: int,
        method: Method,
        width: int = n_width,
        depth: int = n_blocks,
        kernel_size: int = side,
        expansion: int = factor,
        groups: int = n_groups,
        norm: str = norm_name,
        skip: bool = True,
        alpha: float = first_alpha,
        pool: str = pool_name,
        head: str | None = "unit-norm",
    ) -> nn.Sequential:
        check_sizes(name, width=width, depth=depth, kernel_size=kernel_size, expansion=expansion)
        check_odd(name, kernel_size=kernel_size)
        check_norm(name, norm)
        check_pool(name, pool)
        check_flags(name, skip=skip)
        _check_groups(name, groups, width)
        return split_concat_net(
            input_shape=input_shape,
            n_classes=n_classes,
            method=method,
            name=name,
            width=width,
            blocks=_Blocks(method, kernel_size, expansion, groups, norm, skip, alpha),
            depth=depth,
            pool=pool,
            head=head,
        )


def _check_groups(name: str, groups: int, width: int) -> None:
    if type(groups) is not int or groups < 0 or (groups and (width // 8) % groups):
        raise ValueError(
            f"groups={groups!r} for model {name!r} must divide the {width // 8} channels of the first stage, "
            f"or be 0 for groups of two channels"
        )


for _size in _SIZES:
    _register(_size)
