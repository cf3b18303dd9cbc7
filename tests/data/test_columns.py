"""Columns become rows, in place."""

import numpy as np
import pytest

from onelip.data.columns import rows_first


@pytest.mark.parametrize("n_images", [0, 1, 64, 150])
def test_each_image_is_transposed(n_images):
    images = np.random.default_rng(0).integers(0, 256, (n_images, 3, 4, 4), dtype=np.uint8)
    before = images.copy()
    rows_first(images)
    assert all(np.array_equal(images[i, c], before[i, c].T) for i in range(n_images) for c in range(3))
