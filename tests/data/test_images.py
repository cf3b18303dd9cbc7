"""Labelled images: units, shapes, what is refused."""

import pytest
import torch

from onelip.data import DataError, DataSet, ImageData


def grey(n=4, scale=16.0, high=17, n_classes=2):
    return ImageData(torch.randint(0, high, (n, 1, 3, 2), dtype=torch.uint8), torch.arange(n) % n_classes, scale)


def test_pixels_are_stored_values_divided_by_the_scale_in_float32():
    stored = torch.tensor([0, 8, 16, 4], dtype=torch.uint8).view(1, 1, 2, 2)
    pixels = ImageData(stored, torch.tensor([0]), 16.0).pixels()
    assert pixels.dtype == torch.float32
    assert pixels.flatten().tolist() == [0.0, 0.5, 1.0, 0.25]


def test_pixels_of_an_index_or_slice_are_those_of_these_images():
    data = grey(6)
    index = torch.tensor([5, 0, 5])
    assert torch.equal(data.pixels(index), data.pixels()[index])
    assert torch.equal(data.pixels(slice(2, 4)), data.pixels()[2:4])


def test_reading_pixels_leaves_the_stored_values():
    data = ImageData(torch.full((2, 1, 2, 2), 0.5), torch.tensor([0, 1]), 1.0)
    data.pixels(slice(0, 1))
    assert torch.equal(data.images, torch.full((2, 1, 2, 2), 0.5))


def test_subset_keeps_images_and_labels_together():
    data = grey(6, n_classes=3)
    part = data.subset(torch.tensor([4, 1]))
    assert torch.equal(part.images, data.images[[4, 1]])
    assert part.labels.tolist() == [1, 1]
    assert part.scale == data.scale


def test_moving_to_the_same_device_is_free():
    data = grey()
    assert data.to("cpu") is data


def test_channel_mean_is_in_pixel_units():
    images = torch.stack([torch.full((2, 2), 51), torch.full((2, 2), 255)])[None].to(torch.uint8)
    assert ImageData(images, torch.tensor([0]), 255.0).channel_mean() == (0.2, 1.0)


@pytest.mark.parametrize("stored", [torch.uint8, torch.float32])
def test_channel_std_is_in_pixel_units_over_all_images_and_positions(stored):
    torch.manual_seed(0)
    scale = 255.0 if stored == torch.uint8 else 1.0
    images = (torch.rand(7, 2, 5, 4) * torch.tensor([1.0, 0.5]).reshape(1, 2, 1, 1) * scale).to(stored)
    found = ImageData(images, torch.zeros(7, dtype=torch.int64), scale).channel_std()
    assert found == pytest.approx((images.numpy().astype("float64") / scale).std((0, 2, 3)).tolist(), rel=1e-12)


@pytest.mark.parametrize(
    ("images", "labels", "scale", "sentence"),
    [
        (torch.zeros(2, 3, 3), torch.zeros(2, dtype=torch.int64), 1.0, r"shape \(2, 3, 3\); it must be \(N, C, H, W\)"),
        (torch.zeros(2, 1, 3, 3).double(), torch.zeros(2, dtype=torch.int64), 1.0, "dtype torch.float64"),
        (torch.zeros(2, 1, 3, 3), torch.zeros(2), 1.0, "labels has dtype torch.float32"),
        (torch.zeros(2, 1, 3, 3), torch.zeros(3, dtype=torch.int64), 1.0, r"of shape \(2,\), one per image"),
        (torch.zeros(2, 1, 3, 3), torch.zeros(2, dtype=torch.int64), 0.0, "scale=0.0"),
    ],
)
def test_malformed_parts_are_refused(images, labels, scale, sentence):
    with pytest.raises(ValueError, match=sentence):
        ImageData(images, labels, scale)


def test_a_data_set_says_shape_and_classes():
    data = DataSet("toy", grey(), grey(), ("a", "b"), "made up")
    assert data.input_shape == (1, 3, 2)
    assert data.n_classes == 2


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        (grey(4, n_classes=3), grey(4), "train labels of toy range from 0 to 2; with 2 classes"),
        (grey(4), grey(0), "test part of toy is empty"),
        (grey(4), grey(4, scale=255.0), "scale 16, test images .* scale 255"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(train, test, sentence):
    with pytest.raises(DataError, match=sentence):
        DataSet("toy", train, test, ("a", "b"), "made up")
