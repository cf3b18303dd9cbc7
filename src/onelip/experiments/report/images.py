"""Small pictures inside the page, as PNG data URIs."""

from __future__ import annotations

import base64
import io

from torch import Tensor, nn

from onelip.pictures.colours import pixel_array


def data_uri(image: Tensor, most: int = 128) -> str:
    """Encode an image.

    Args:
        image: `(C, H, W)` pixels in [0, 1]; one channel is grey, three are red, green and blue, of other numbers the
            mean is shown in grey.
        most: Longer sides are shortened to so many pixels, by means over what falls into each.

    Returns:
        A `data:` URI of a PNG.
    """
    from PIL import Image

    longest = max(image.shape[1:])
    if longest > most:
        height, width = (max(1, n * most // longest) for n in image.shape[1:])
        image = nn.functional.adaptive_avg_pool2d(image[None], (height, width))[0]
    array = pixel_array(image).numpy()
    picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
