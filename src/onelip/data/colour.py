"""Colours changed: of each image by its own factor, or by its own histogram.

All functions take pixels `(B, C, H, W)` in [0, 1] of 1 or 3 channels and return new ones. What is defined on bytes
(posterize, solarize, equalize) reads a pixel p as the byte 255 p, rounded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.data.geometry import choose

# Shares of red, green and blue in the luma of ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by a factor and cut off: min(f p, 1).

    Args:
        images: `(B, C, H, W)` in [0, 1].
        factor: `(B,)`, >= 0; 1 changes nothing.

    Returns:
        `(B, C, H, W)` in [0, 1].
    """
    return (images * _wide(factor)).clamp_(0.0, 1.0)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Stretch about the mean luma m of the image, rounded to a byte: m + f (p - m), cut off.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        factor: `(B,)`, >= 0; 1 changes nothing, 0 gives a grey plane.

    Returns:
        `(B, C, H, W)` in [0, 1].
    """
    mean = luma(images).mean(dim=(1, 2, 3), keepdim=True)
    return _blend(mean.mul(255).round() / 255, images, factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Stretch the distance to the grey image g: g + f (p - g), cut off; grey images do not change.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        factor: `(B,)`, >= 0; 1 changes nothing, 0 gives a grey image.

    Returns:
        `(B, C, H, W)` in [0, 1].
    """
    return images.clone() if images.shape[1] == 1 else _blend(luma(images), images, factor)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Stretch the distance to the smoothed image s: s + f (p - s), cut off.

    Smoothing weighs a pixel by 5/13 and its eight neighbours by 1/13 each; the outermost pixels stay.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        factor: `(B,)`, >= 0; 1 changes nothing, 0 gives the smoothed image.

    Returns:
        `(B, C, H, W)` in [0, 1].
    """
    if min(images.shape[2:]) < 3:
        return images.clone()
    columns = images[..., :-2] + images[..., 1:-1] + images[..., 2:]
    nine = columns[:, :, :-2] + columns[:, :, 1:-1] + columns[:, :, 2:]
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = torch.add(nine, images[:, :, 1:-1, 1:-1], alpha=4).div_(13)
    return _blend(smooth, images, factor)


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of HSV; grey images do not change.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        turns: `(B,)`; 1/3 turns red into green, 1 changes nothing.

    Returns:
        `(B, C, H, W)` in [0, 1].
    """
    if images.shape[1] == 1:
        return images.clone()
    value, most = images.max(dim=1)
    chroma = value - images.amin(dim=1)
    red, green, blue = images.unbind(1)
    # The hue in sixths of a turn, from the two channels beside the largest one.
    beside = torch.stack([green - blue, blue - red, red - green], dim=1).gather(1, most[:, None])[:, 0]
    sixths = 2 * most + beside / torch.where(chroma > 0, chroma, 1.0) + 6 * turns.to(images)[:, None, None]
    corner = torch.tensor([5.0, 3.0, 1.0], device=images.device, dtype=images.dtype).view(1, 3, 1, 1)
    k = (corner + sixths[:, None]).remainder(6.0)
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp_(0.0, 1.0)


def posterize(images: Tensor, bits: int) -> Tensor:
    """Keep the highest bits of each byte.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        bits: How many, 0..8.

    Returns:
        `(B, C, H, W)`, multiples of 1/255.
    """
    step = 2 ** (8 - bits)
    return (_levels(images).div_(step).floor_()).mul_(step / 255)


def solarize(images: Tensor, threshold: float) -> Tensor:
    """Invert the bytes at or above a threshold.

    Args:
        images: `(B, C, H, W)` in [0, 1].
        threshold: Of 0..255.

    Returns:
        `(B, C, H, W)` in [0, 1].
    """
    return choose(_levels(images) < threshold, images, 1 - images)


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel of each image to 0..1: (p - min) / (max - min); constant channels do not change.

    Args:
        images: `(B, C, H, W)` in [0, 1].

    Returns:
        `(B, C, H, W)` in [0, 1].
    """
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    width = high - low
    constant = width == 0
    return choose(constant, images, (images - low) / torch.where(constant, 1.0, width))


def equalize(images: Tensor) -> Tensor:
    """Make the histogram of each channel of each image as flat as a map of its bytes can.

    With h_v pixels of byte v and s = floor((sum of h but for the largest byte present) / 255), byte v becomes
    floor((floor(s / 2) + sum of h below v) / s), at most 255; where s = 0, the channel does not change.

    Args:
        images: `(B, C, H, W)` in [0, 1].

    Returns:
        `(B, C, H, W)` in [0, 1].
    """
    n, channels, height, width = images.shape
    values = _levels(images).long().flatten(2)
    planes = torch.arange(n * channels, device=images.device).view(n, channels, 1)
    counts = torch.bincount((256 * planes + values).flatten(), minlength=n * channels * 256).view(n, channels, 256)
    step = (height * width - counts.gather(2, values.amax(dim=2, keepdim=True))) // 255
    below = counts.cumsum(dim=2) - counts
    table = ((step // 2 + below) // step.clamp(min=1)).clamp_(max=255)
    flat = table.gather(2, values).view(images.shape)
    return choose((step == 0)[..., None], images, flat.to(images.dtype).div_(255))


def luma(images: Tensor) -> Tensor:
    """Return grey images: 0.299 R + 0.587 G + 0.114 B, or the one channel that there is.

    Args:
        images: `(B, C, H, W)` of 1 or 3 channels.

    Returns:
        `(B, 1, H, W)`.
    """
    if images.shape[1] == 1:
        return images
    red, green, blue = images.split(1, dim=1)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def check_channels(images: Tensor, where: str) -> None:
    """Refuse images whose channels are not grey or red, green and blue.

    Args:
        images: `(B, C, H, W)`.
        where: Who asks, for the message.

    Raises:
        ValueError: C is neither 1 nor 3.
    """
    if images.shape[1] not in (1, 3):
        raise ValueError(f"images has {images.shape[1]} channels in {where}; it must have 1 (grey) or 3 (RGB)")


def _blend(start: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(start.expand_as(images), images, _wide(factor).to(images)).clamp_(0.0, 1.0)


def _wide(factor: Tensor) -> Tensor:
    return factor.view(-1, 1, 1, 1)


def _levels(images: Tensor) -> Tensor:
    return images.mul(255).round_()
