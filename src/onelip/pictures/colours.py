"""Colours, told apart by colour-blind readers too, and how numbers of either sign become pixels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

PROVED, ATTACK, CLEAN, INK = "#1c5fb8", "#b3500c", "#57606b", "#1a1f26"
"""What is proved, what an attack did, what is neither, and text."""

ATTACKS = (
    (ATTACK, "solid", "o"),
    ("#7a3d9c", (0, (6, 2)), "s"),
    ("#0b766d", (0, (3, 1.5)), "^"),
    ("#b0246e", (0, (1, 1.2)), "D"),
    ("#6b5b00", (0, (6, 2, 1, 2)), "v"),
)
"""Colour, dash and marker of the lines of several attacks, so that no line is told from another by colour alone."""

_NEGATIVE, _ZERO, _POSITIVE = (0xB3, 0x50, 0x0C), (0xF7, 0xF7, 0xF7), (0x1C, 0x5F, 0xB8)
_LEVELS = {1: 24, 3: 8}
"""Shades on either side of zero, by the number of channels: more are hardly told apart, and would make files larger."""


def signed_picture(values: Tensor, scale: float) -> Tensor:
    """Show numbers of either sign.

    Args:
        values: `(C, H, W)`.
        scale: The absolute value that gets full colour, > 0; what is beyond gets it too.

    Returns:
        `(3, H, W)` in [0, 1]. Of three channels, each around mid-grey, brighter where it is positive; of other numbers
        their sum, orange below zero, white at zero and blue above.

    Raises:
        ValueError: If `scale` is not positive and finite.
    """
    if not 0 < scale < math.inf:
        raise ValueError(f"scale={scale} in signed_picture must be positive and finite")
    whole = values.detach().cpu().double().nan_to_num(0.0)
    shade = ((whole if len(whole) == 3 else whole.sum(0, keepdim=True)) / scale).clamp(-1, 1)
    levels = _LEVELS[len(shade)]
    shade = (shade * levels).round() / levels
    if len(whole) == 3:
        return 0.5 + 0.5 * shade
    ends = [torch.tensor(colour).double().view(3, 1, 1) / 255 for colour in (_NEGATIVE, _ZERO, _POSITIVE)]
    below, above = shade.clamp(max=0).neg(), shade.clamp(min=0)
    return ends[1] + below * (ends[0] - ends[1]) + above * (ends[2] - ends[1])


def difference_picture(before: Tensor, after: Tensor) -> tuple[Tensor, float]:
    """Show the difference of two images on mid-grey, amplified to the full range.

    Args:
        before: `(C, H, W)` pixels.
        after: `(C, H, W)` pixels.

    Returns:
        `(C, H, W)` pixels, brighter where `after` is, and the factor of amplification; 1 for equal images.
    """
    difference = after - before
    largest = float(difference.abs().max())
    gain = 0.5 / largest if largest > 0 else 1.0
    return 0.5 + gain * difference, gain


def pixel_array(image: Tensor) -> Tensor:
    """Make an image fit to be drawn.

    Args:
        image: `(C, H, W)` pixels in [0, 1]; one channel is grey, three are red, green and blue, of other numbers the
            mean is shown in grey.

    Returns:
        `(H, W, 1 or 3)` uint8.
    """
    shown = image if image.shape[0] in (1, 3) else image.mean(0, keepdim=True)
    levels = (shown.detach().cpu().double().nan_to_num(0.0).clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(1, 2, 0)


def diverging_map() -> Any:
    """Make the colours of `signed_picture` a map for matplotlib: orange below the middle, white, blue above.

    Returns:
        A matplotlib colour map.
    """
    from matplotlib.colors import LinearSegmentedColormap

    ends = [tuple(channel / 255 for channel in colour) for colour in (_NEGATIVE, _ZERO, _POSITIVE)]
    return LinearSegmentedColormap.from_list("signed", ends)


def line_style(k: int) -> tuple[str, Any, str]:
    """Choose how one of many lines is drawn.

    Args:
        k: Which line, from 0.

    Returns:
        Colour, dash and marker, in which the first 30 lines differ from each other.
    """
    colours = (PROVED, *(colour for colour, _, _ in ATTACKS))
    dashes, markers = [dash for _, dash, _ in ATTACKS], ("o", "s", "^", "D", "v", "P", "X")
    # Neighbours differ in colour and dash.
    return colours[k % len(colours)], dashes[(k + k // len(colours)) % len(dashes)], markers[k % len(markers)]
