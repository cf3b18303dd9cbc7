"""Pools of generated images: what is read, what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from onelip.data import DataError, DataSet, Generated, ImageData, load_generated

N, CHANNELS, HEIGHT, WIDTH = 12, 3, 4, 5


def real(channels=CHANNELS, classes=("ant", "bee", "cow")):
    part = ImageData(torch.zeros(3, channels, HEIGHT, WIDTH, dtype=torch.uint8), torch.arange(3) % len(classes), 255.0)
    return DataSet("real", part, part, classes, "here")


def pool(channels=CHANNELS):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (N, HEIGHT, WIDTH, channels), dtype=np.uint8), np.arange(N) % 3


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(("images", "labels"), [("image", "label"), ("images", "labels")])
@pytest.mark.parametrize("channels_first", [True, False])
def test_files_are_read_in_either_layout(tmp_path, save, images, labels, channels_first):
    pixels, classes = pool()
    path = tmp_path / "pool.npz"
    save(path, **{images: pixels.transpose(0, 3, 1, 2) if channels_first else pixels, labels: classes.astype(np.int32)})
    loaded = load_generated(path, real())
    assert torch.equal(loaded.images, torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert loaded.labels.tolist() == classes.tolist()
    assert loaded.scale == 255.0


def test_grey_images_need_no_channel(tmp_path):
    pixels, classes = pool(1)
    np.savez(tmp_path / "pool.npz", image=pixels[..., 0], label=classes)
    loaded = load_generated(str(tmp_path / "pool.npz"), real(1))
    assert torch.equal(loaded.images[:, 0], torch.from_numpy(pixels[..., 0]))


def test_the_images_of_a_file_are_not_read_until_they_are_used(tmp_path, monkeypatch):
    path = tmp_path / "pool.npz"
    np.savez(path, image=pool()[0], label=pool()[1])
    mapped = []
    monkeypatch.setattr(
        np, "memmap", lambda *args, _map=np.memmap, **kw: mapped.append(_map(*args, **kw)) or mapped[-1]
    )
    loaded = load_generated(path, real())
    assert np.shares_memory(loaded.images.numpy(), mapped[0])


def test_a_folder_has_one_folder_for_each_class(tmp_path):
    for k, name in enumerate(("bee", "ant", "cow")):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("RGB", (WIDTH, HEIGHT), (10 * k + i, 0, 0)).save(tmp_path / name / f"{i}.png")
    loaded = load_generated(tmp_path, real())
    assert loaded.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert loaded.images[:, 0, 0, 0].tolist() == [10, 11, 0, 1, 20, 21]
    with pytest.raises(
        DataError, match="dog is missing; it is a class of the data, whose classes are ant, bee, cow, dog"
    ):
        load_generated(tmp_path, real(classes=("ant", "bee", "cow", "dog")))
    with pytest.raises(DataError, match="cow is not a class of the data, whose classes are ant, bee"):
        load_generated(tmp_path, real(classes=("ant", "bee")))
    with pytest.raises(DataError, match=r"shape \(6, 3, 4, 5\); to be mixed with real they must be \(N, 4, 5, 1\)"):
        load_generated(tmp_path, real(1))
    Image.new("RGB", (7, 7)).save(tmp_path / "ant" / "9.png")
    with pytest.raises(DataError, match=r"9.png is 7x7 pixels"):
        load_generated(tmp_path, real())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image": None}, "has the arrays label; generated images need image and label"),
        ({"label": None}, "has the arrays image; generated"),
        ({"image": np.zeros((N, HEIGHT, WIDTH, CHANNELS))}, "dtype float64; they must be uint8"),
        ({"image": np.zeros((N, 8, 8, 3), np.uint8)}, r"shape \(12, 8, 8, 3\); to be mixed with real they must be"),
        ({"image": np.zeros((N, HEIGHT, WIDTH), np.uint8)}, r"shape \(12, 4, 5\)"),
        ({"image": np.zeros((N + 1, HEIGHT, WIDTH, CHANNELS), np.uint8)}, r"must be integers of shape \(13,\)"),
        ({"label": np.zeros(N)}, "dtype float64 and shape"),
        ({"label": np.arange(N)}, r"range from 0 to 11; with the 3 classes of real they must lie in 0..2"),
        ({"label": np.full(N, -1)}, "range from -1 to -1"),
        ({"label": np.array([None] * N)}, "cannot be read as a .npz file of plain arrays"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, changes, sentence):
    stored = dict(zip(("image", "label"), pool(), strict=True)) | changes
    np.savez(tmp_path / "pool.npz", **{name: array for name, array in stored.items() if array is not None})
    with pytest.raises(DataError, match=sentence):
        load_generated(tmp_path / "pool.npz", real())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_empty_pool_is_refused(tmp_path, save):
    save(tmp_path / "pool.npz", image=pool()[0][:0], label=pool()[1][:0])
    with pytest.raises(DataError, match=r"not empty|cannot be read"):
        load_generated(tmp_path / "pool.npz", real())


@pytest.mark.parametrize("keep", [0, 10, 300, -10])
def test_broken_files_are_refused(tmp_path, keep):
    np.savez(tmp_path / "whole.npz", image=pool()[0], label=pool()[1])
    (tmp_path / "pool.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:keep])
    with pytest.raises(DataError, match=r"pool.npz cannot be read as a .npz file of plain arrays"):
        load_generated(tmp_path / "pool.npz", real())
    with pytest.raises(DataError, match=r"is neither an .npz file nor a folder"):
        load_generated(tmp_path / "nothing.npz", real())


@pytest.mark.parametrize(
    ("ratio", "batch", "expected"), [(3, 256, 64), (3, 1024, 256), (1, 10, 5), (0.5, 30, 20), (2, 100, 33)]
)
def test_a_batch_has_one_part_of_one_and_the_ratio(ratio, batch, expected):
    assert Generated(real().train, ratio=ratio).real_images(batch) == expected


def test_options_out_of_range_are_refused():
    for ratio in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"ratio={ratio} in Generated"):
            Generated(real().train, ratio=ratio)
    with pytest.raises(ValueError, match=r"batch_size=1 leaves no room .* at ratio=3; take at least 4"):
        Generated(real().train).real_images(1)
    with pytest.raises(ValueError, match="holds no image"):
        Generated(real().train.subset(slice(0, 0)))
