"""The average of a network over an image and its mirror image."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.channels import ChannelKeep
from onelip.layers.explicit import ExplicitLinear

_AFTER_HEAD = (ChannelKeep, nn.Flatten, nn.Identity)


class MirrorAverage(nn.Module):
    """Evaluate a network as `(f(x) + f(m x)) / 2`, where m turns images left to right.

    m permutes the pixels, an isometry, so the constant of the average is at most that of f; what differs between the
    two images averages out. If f is an `nn.Sequential` that ends with a dense layer, features are averaged before it:
    the same function, as the layer is affine, and the pairs of its rows enter the radii as they do for f. The modules
    are f's own; it costs two evaluations of f.

    Args:
        network: f, a map of `(B, C, H, W)` images.

    Raises:
        ValueError: `network` is not a module.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            raise ValueError(f"network={network!r} in MirrorAverage must be a module")
        self.body, self.head = split_head(network)

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self.head((self.body(images) + self.body(images.flip(-1))) * 0.5)


def split_head(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Split the last dense layer, and what only rearranges its output, off a network.

    Args:
        network: Shared, not copied.

    Returns:
        Body and head, whose composition is the network; the head is `nn.Identity` if the network is not an
        `nn.Sequential`, of such too, that ends with a dense layer.
    """
    if type(network) is not nn.Sequential:
        return network, nn.Identity()
    parts = list(network._modules.items())
    last = next((i for i in reversed(range(len(parts))) if not isinstance(parts[i][1], _AFTER_HEAD)), None)
    if last is None:
        return network, nn.Identity()
    name, module = parts[last]
    if isinstance(module, (nn.Linear, ExplicitLinear)):
        return _chain(parts[:last]), _chain(parts[last:])
    body, head = split_head(module)
    if isinstance(head, nn.Identity):
        return network, head
    return _chain([*parts[:last], (name, body)]), _chain([(name, head), *parts[last + 1 :]])


def _chain(parts: list[tuple[str, nn.Module]]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(parts))
