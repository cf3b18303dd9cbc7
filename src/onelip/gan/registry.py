"""Generators by name."""

from __future__ import annotations

from typing import Any

from torch import nn

from onelip.registry import Registry

_REGISTRY: Registry[nn.Sequential] = Registry("generator", supplied=("image_shape", "n_latent"))
available_generators = _REGISTRY.available
register_generator = _REGISTRY.register


def build_generator(
    name: str, *, image_shape: tuple[int, int, int], n_latent: int = 62, **options: Any
) -> nn.Sequential:
    """Build a generator by name.

    Args:
        name: A name from `available_generators()`.
        image_shape: `(C, H, W)` of an image.
        n_latent: Latent numbers of an image.
        **options: The generator's own.

    Returns:
        Maps `(B, n_latent)` to pixels `(B, C, H, W)` in [0, 1], the last layer being a sigmoid; weights are drawn from
        torch's generator. It normalises batches while it is in training mode: sample from it with `GeneratorSampler`.

    Raises:
        ValueError: A name is unknown, an option is unknown or out of range, or no image of this size can be made.
    """
    part = _REGISTRY.part(name, options)
    shape = tuple(image_shape)
    if len(shape) != 3 or not all(map(_is_size, shape)):
        raise ValueError(f"image_shape={shape} of generator {name!r} must be (channels, height, width), all >= 1")
    check_sizes(name, n_latent=n_latent)
    return part.factory(image_shape=shape, n_latent=n_latent, **options)


def check_sizes(where: str, **sizes: object) -> None:
    """Check that options are positive integers.

    Args:
        where: The generator's name.
        **sizes: The options by name.

    Raises:
        ValueError: One of them is not.
    """
    for option, value in sizes.items():
        if not _is_size(value):
            raise ValueError(f"{option}={value!r} of generator {where!r} must be an integer >= 1")


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
