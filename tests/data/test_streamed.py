"""Images on disk: the published preparation of ImageNet, reading on demand, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import ImageFile
from tests.data.pictures import write_noise, write_picture

from onelip.data import DataError, DataSet, StreamedImages, split


def streamed(root, files, **options):
    options = {"size": 8, "resize": 10, "threads": 2, **options}
    return StreamedImages(root, files, torch.arange(len(files)), **options)


@pytest.fixture
def noise(tmp_path):
    """Seven images of different sizes; `(images on disk, their bytes)`."""
    sizes = [(10, 10), (13, 10), (10, 17), (31, 20), (20, 31), (9, 8), (5, 6)]
    originals = [write_noise(tmp_path / f"{i}.png", size, seed=i) for i, size in enumerate(sizes)]
    return streamed(tmp_path, [f"{i}.png" for i in range(len(sizes))]), originals


def shrunk(row, n):
    """A row by antialiased linear interpolation, straight from the definition: triangles as wide as two steps."""
    step = len(row) / n
    centre = (np.arange(n) + 0.5) * step
    weights = np.clip(1 - np.abs(np.arange(len(row)) + 0.5 - centre[:, None]) / max(step, 1.0), 0, None)
    return (weights / weights.sum(1, keepdims=True)) @ row


def test_the_shorter_side_is_resized_and_the_centre_kept(noise):
    images, originals = noise
    for i, original in enumerate(originals):
        height, width = original.shape[:2]
        new_height, new_width = 10 * height // min(height, width), 10 * width // min(height, width)
        whole = np.apply_along_axis(shrunk, 0, original.astype(float), new_height)
        whole = np.apply_along_axis(shrunk, 1, whole, new_width)
        top, left = round((new_height - 8) / 2), round((new_width - 8) / 2)
        expected = whole[top : top + 8, left : left + 8].clip(0, 255)
        # Pillow rounds after each of the two passes.
        assert np.abs(images.read(i).astype(float) - expected).max() <= 1.01


def test_a_box_is_stretched_over_the_image(noise):
    images, originals = noise
    sizes = []
    read = images.read(3, lambda height, width: sizes.append((height, width)) or (2, 5, 8, 8))
    assert sizes == [(20, 31)]
    assert np.array_equal(read, originals[3][2:10, 5:13])
    flat = np.apply_along_axis(shrunk, 0, originals[4][4:24, 2:18].astype(float), 8)
    flat = np.apply_along_axis(shrunk, 1, flat, 8)
    assert np.abs(images.read(4, lambda h, w: (4, 2, 20, 16)) - flat).max() <= 1.01


def test_boxes_of_large_jpegs_are_those_of_the_full_size(tmp_path, monkeypatch):
    original = write_noise(tmp_path / "a.jpeg", (320, 240))
    images, decoded = streamed(tmp_path, ["a.jpeg"]), []
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: decoded.append(image.size) or load(image))
    for top, left, height, width in ((0, 0, 240, 320), (100, 37, 64, 128), (7, 9, 8, 8)):
        read = images.read(0, lambda h, w, box=(top, left, height, width): box).astype(float)
        part = original[top : top + height, left : left + width].astype(float)
        flat = np.apply_along_axis(shrunk, 1, np.apply_along_axis(shrunk, 0, part, 8), 8)
        assert np.abs(read - flat).max() < 6
    # Decoded small where little is to be seen, whole where every pixel is.
    assert list(dict.fromkeys(decoded)) == [(40, 30), (320, 240)]
    decoded.clear()
    images.read(0)
    assert set(decoded) == {(320, 240)}


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_all_kinds_of_files_become_rgb(tmp_path, mode):
    name = f"a.{'jpg' if mode == 'CMYK' else 'png'}"
    write_picture(tmp_path / name, mode=mode)
    pixels = streamed(tmp_path, [name]).pixels()
    assert pixels.shape == (1, 3, 8, 8)
    assert pixels.dtype == torch.float32


def test_some_images_are_read_by_index_or_slice(noise):
    images, _ = noise
    stored = images.stored()
    assert (stored.shape, stored.dtype, images.shape) == ((7, 3, 8, 8), torch.uint8, (3, 8, 8))
    assert np.array_equal(stored[2].permute(1, 2, 0).numpy(), images.read(2))
    assert torch.equal(images.pixels(torch.tensor([5, 1])), stored[[5, 1]] / 255)
    assert torch.equal(images.pixels(slice(2, 4)), stored[2:4] / 255)


def test_parts_keep_files_and_labels_together(noise):
    images, _ = noise
    chosen = images.subset(torch.tensor([6, 0, 3]))
    assert chosen.labels.tolist() == [6, 0, 3]
    assert chosen.files == ("6.png", "0.png", "3.png")
    assert torch.equal(chosen.stored(), images.stored()[[6, 0, 3]])
    kept = images.subset(slice(1, 3)).in_memory()
    assert torch.equal(kept.images, images.stored()[1:3])
    assert kept.labels.tolist() == [1, 2]
    train, validation = split(StreamedImages(images.root, images.files * 2, torch.zeros(14).long(), 8, 10), 0.5, seed=0)
    assert len(train) == len(validation) == 7


def test_a_data_set_may_be_on_disk(noise):
    images, _ = noise
    made = DataSet("toy", images, images.in_memory(), tuple("abcdefg"), "made up")
    assert made.input_shape == (3, 8, 8)
    with pytest.raises(DataError, match=r"training images of shape \(3, 8, 8\) .*test images of shape \(3, 9, 9\)"):
        DataSet("toy", images, streamed(images.root, images.files, size=9), tuple("abcdefg"), "made up")


def test_statistics_are_known_or_those_of_images(noise, monkeypatch):
    images, _ = noise
    pixels = images.pixels().double()
    assert images.channel_mean() == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert images.channel_std() == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist())
    monkeypatch.setattr("onelip.data.streamed._SAMPLE", 3)
    read = []
    few = streamed(images.root, images.files)
    monkeypatch.setattr(StreamedImages, "read", lambda self, i, box=None: read.append(i) or np.zeros((8, 8, 3)))
    assert few.channel_mean() == (0.0,) * 3
    assert few.channel_std() == (0.0,) * 3
    assert sorted(read) == [0, 1, 2]
    known = streamed(images.root, images.files, statistics=((0.1, 0.2, 0.3), (1.0, 2.0, 3.0)))
    assert (known.channel_mean(), known.channel_std()) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_a_broken_file_is_named_by_its_path(tmp_path):
    write_noise(tmp_path / "deep" / "a.jpeg", (64, 64))
    path = tmp_path / "deep" / "a.jpeg"
    path.write_bytes(path.read_bytes()[:-300])
    images = streamed(tmp_path, ["deep/a.jpeg"])
    for box in (None, lambda h, w: (0, 0, h, w)):
        with pytest.raises(DataError, match=r"deep.a\.jpeg cannot be read as an image"):
            images.read(0, box)
    with pytest.raises(DataError, match=r"deep.a\.jpeg cannot be read as an image"):
        images.pixels()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 0}, "size=0 in StreamedImages must be an integer >= 1"),
        ({"size": 8, "resize": 7}, "resize=7 in StreamedImages must be an integer >= 8"),
        ({"threads": 0}, "threads=0 in StreamedImages must be an integer >= 1"),
        ({"threads": True}, "threads=True"),
        ({"labels": torch.zeros(2)}, r"labels has dtype torch.float32 and shape \(2,\); it must be torch.int64 of "),
        ({"labels": torch.zeros(3).long()}, r"shape \(3,\); it must be torch.int64 of shape \(2,\), one per file"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        StreamedImages(tmp_path, ["a", "b"], **{"labels": torch.zeros(2).long(), **options})
