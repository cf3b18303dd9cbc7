"""The packed digits: counts, range, the fixed fold."""

import numpy as np
import pytest
import torch

from onelip import data


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_all_1797_digits_are_there_in_two_disjoint_parts(digits):
    assert (len(digits.train), len(digits.test)) == (1438, 359)
    assert digits.input_shape == (1, 8, 8)
    assert digits.classes == tuple("0123456789")
    train = {image.numpy().tobytes() for image in digits.train.images}
    assert not any(image.numpy().tobytes() in train for image in digits.test.images)


def test_stored_values_are_0_to_16_and_pixels_0_to_1(digits):
    assert digits.train.images.dtype == torch.uint8
    assert (int(digits.train.images.min()), int(digits.train.images.max()), digits.train.scale) == (0, 16, 16.0)
    assert float(digits.test.pixels().max()) == 1.0


def test_a_fifth_of_each_class_is_held_out(digits):
    held, kept = torch.bincount(digits.test.labels), torch.bincount(digits.train.labels)
    # Known class sizes of the UCI test part.
    assert (held + kept).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert held.tolist() == [round(0.2 * n) for n in (held + kept).tolist()]


def test_the_fold_follows_the_documented_rule(digits):
    from importlib import resources

    with resources.files("onelip.data").joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        labels, fold = stored["labels"], stored["test"]
    rng = np.random.default_rng(0)
    expected = []
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        expected += rng.permutation(members)[: round(0.2 * len(members))].tolist()
    assert fold.tolist() == sorted(expected)


def test_the_package_file_is_small_and_credited():
    from importlib import resources

    folder = resources.files("onelip.data")
    assert len(folder.joinpath("digits.npz").read_bytes()) < 60_000
    notice = folder.joinpath("NOTICE").read_text("utf-8")
    assert "UCI" in notice
    assert "scikit-learn" in notice
