"""Small pictures inside the page, as PNG data URIs."""

from __future__ import annotations

import base64
import io

from torch import Tensor

from onelip.pictures.colours import pixel_array


def data_uri(image: Tensor) -> str:
    """Encode an image.

    Args:
        image: `(C, H, W)` pixels in [0, 1]; one channel is grey, three are red, green and blue, of other numbers the
            mean is shown in grey.

    Returns:
        A `data:` URI of a PNG of the same size.
    """
    from PIL import Image

    array = pixel_array(image).numpy()
    picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
