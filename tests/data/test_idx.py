"""Files of one's own in MNIST's format: any number, any size, grey or in colour."""

import gzip

import numpy as np
import pytest
from tests.data.idx import idx

from onelip import data
from onelip.data import DataError

RNG = np.random.default_rng(0)


def write(home, part, images, labels, *, compressed=False):
    for name, array in ((f"images-idx{images.ndim}", images), ("labels-idx1", np.asarray(labels, np.uint8))):
        path = home / f"{part}-{name}-ubyte"
        if compressed:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            path.write_bytes(idx(array))


def noise(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_images_of_any_number_and_size_are_read(tmp_path, compressed, channels):
    train, test = noise(5, 6, 9, *channels), noise(3, 6, 9, *channels)
    write(tmp_path, "train", train, [0, 1, 4, 2, 1], compressed=compressed)
    write(tmp_path, "t10k", test, [3, 0, 1])
    loaded = data.load("idx", tmp_path)
    assert (loaded.input_shape, loaded.train.scale) == ((3 if channels else 1, 6, 9), 255.0)
    assert loaded.classes == ("0", "1", "2", "3", "4")
    assert np.array_equal(loaded.train.images.numpy(), np.moveaxis(train.reshape(5, 6, 9, -1), 3, 1))
    assert np.array_equal(loaded.test.images[2, -1].numpy(), test.reshape(3, 6, 9, -1)[2, :, :, -1])
    assert (loaded.train.labels.tolist(), loaded.test.labels.tolist()) == ([0, 1, 4, 2, 1], [3, 0, 1])


def test_a_class_may_be_in_the_test_part_alone(tmp_path):
    write(tmp_path, "train", noise(2, 4, 4), [0, 1])
    write(tmp_path, "t10k", noise(1, 4, 4), [5])
    assert data.load("idx", tmp_path).n_classes == 6


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda home: (home / "train-images-idx3-ubyte").unlink(), r"has neither train-images-idx3-ubyte \(grey"),
        (lambda home: (home / "t10k-images-idx4-ubyte").touch(), "has both t10k-images-idx3-ubyte"),
        (lambda home: (home / "t10k-labels-idx1-ubyte").unlink(), "t10k-labels-idx1-ubyte.gz is missing; it should"),
        (lambda home: write(home, "t10k", noise(3, 4, 4), [0, 1]), "labels-idx1-ubyte holds 2 bytes by its header, ex"),
        (lambda home: write(home, "t10k", noise(3, 4, 5), [0, 1, 1]), r"shape \(1, 4, 4\).*\(1, 4, 5\).*must agree"),
        (lambda home: write(home, "t10k", noise(0, 4, 4), []), "holds 0 x 4 x 4 bytes by its header"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, change, sentence):
    write(tmp_path, "train", noise(5, 4, 4), [0, 1, 0, 1, 0])
    write(tmp_path, "t10k", noise(3, 4, 4), [0, 1, 1])
    change(tmp_path)
    with pytest.raises(DataError, match=sentence):
        data.load("idx", tmp_path)


def test_colours_come_last(tmp_path):
    write(tmp_path, "train", noise(5, 3, 4, 4), [0] * 5)
    with pytest.raises(DataError, match=r"train-images-idx4-ubyte has 4 numbers for each pixel, the last axis"):
        data.load("idx", tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.* is not a folder; data set 'idx' needs one with train-images-idx3"):
        data.load("idx", tmp_path / "nowhere")
