"""Small pictures inside the page, as PNG data URIs."""

from __future__ import annotations

import base64
import io

import torch
from torch import Tensor


def data_uri(image: Tensor) -> str:
    """Encode an image.

    Args:
        image: `(C, H, W)` pixels in [0, 1]; one channel is grey, three are red, green and blue, of other numbers the
            mean is shown in grey.

    Returns:
        A `data:` URI of a PNG of the same size.
    """
    from PIL import Image

    shown = image if image.shape[0] in (1, 3) else image.mean(0, keepdim=True)
    levels = (shown.detach().cpu().double().nan_to_num(0.0).clamp(0, 1) * 255).round().to(torch.uint8)
    array = levels.permute(1, 2, 0).numpy()
    picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


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
