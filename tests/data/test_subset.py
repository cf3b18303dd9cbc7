"""Balanced subsets: as many of each class, seeded, nested, and kept as text."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.data import DataError, balanced_subset, read_indices, write_indices

LABELS = torch.tensor([0, 2, 1, 1, 0, 2, 2, 0, 1, 2, 1, 0, 2])


@given(
    labels=st.lists(st.integers(0, 3), min_size=4, max_size=60),
    per_class=st.integers(1, 4),
    validation=st.integers(0, 3),
    seed=st.integers(0, 2**63),
)
def test_parts_are_balanced_disjoint_and_in_the_order_of_the_data(labels, per_class, validation, seed):
    tensor, n_classes = torch.tensor(labels), max(labels) + 1
    fewest = min(labels.count(label) for label in range(n_classes))
    if fewest < per_class + validation:
        with pytest.raises(ValueError, match=rf"ask for {per_class + validation} images of class '\d', which has \d+"):
            balanced_subset(tensor, per_class, seed, validation_per_class=validation)
        return
    train, held = balanced_subset(tensor, per_class, seed, validation_per_class=validation)
    assert tensor[train].bincount(minlength=n_classes).tolist() == [per_class] * n_classes
    assert tensor[held].bincount(minlength=n_classes).tolist() == [validation] * n_classes
    assert not set(train.tolist()) & set(held.tolist())
    assert train.tolist() == sorted(train.tolist())
    assert held.tolist() == sorted(held.tolist())


def test_the_seed_decides_and_smaller_subsets_are_part_of_larger_ones():
    labels = torch.arange(400) % 4
    draws = [balanced_subset(labels, n, seed)[0].tolist() for n, seed in ((20, 1), (20, 1), (20, 2), (40, 1))]
    assert draws[0] == draws[1] != draws[2]
    assert set(draws[0]) < set(draws[3])
    # The next images of each class are held out.
    train, held = balanced_subset(labels, 20, 1, validation_per_class=20)
    assert (train.tolist(), sorted([*train.tolist(), *held.tolist()])) == (draws[0], draws[3])


def test_every_image_of_a_class_is_drawn_equally_often():
    labels = torch.arange(20) % 2
    counts = torch.stack([balanced_subset(labels, 5, seed)[0].bincount(minlength=20) for seed in range(400)]).sum(0)
    # Binomial, 400 draws with probability 1/2: five standard deviations.
    assert (counts - 200).abs().max() <= 50


def test_a_class_that_has_too_few_images_is_named():
    with pytest.raises(
        ValueError, match="per_class=3 and validation_per_class=2 ask for 5 images of class 'ant', which"
    ):
        balanced_subset(LABELS, 3, 0, validation_per_class=2, classes=("ant", "bee", "cat"))
    with pytest.raises(ValueError, match="ask for 1 images of class 'dog', which has 0; ask for fewer"):
        balanced_subset(LABELS, 1, 0, classes=("ant", "bee", "cat", "dog"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"per_class": 0}, "per_class=0 of a balanced subset must be an integer >= 1"),
        ({"per_class": 1.5}, "per_class=1.5 of a balanced subset"),
        ({"validation_per_class": -1}, "validation_per_class=-1 of a balanced subset must be an integer >= 0"),
        ({"seed": -1}, "seed=-1 of a balanced subset"),
    ],
)
def test_wrong_arguments_are_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        balanced_subset(LABELS, **{"per_class": 1, "seed": 0, **change})


@given(st.sets(st.integers(0, 99), min_size=1))
def test_indices_survive_a_round_trip(tmp_path_factory, chosen):
    path = tmp_path_factory.getbasetemp() / "indices.txt"
    write_indices(path, torch.tensor(list(chosen)))
    assert read_indices(path, 100).tolist() == list(chosen)


def test_the_file_has_one_index_a_line(tmp_path):
    write_indices(tmp_path / "a.txt", torch.tensor([7, 3, 0]))
    assert (tmp_path / "a.txt").read_bytes() == b"7\n3\n0\n"
    # As numpy writes them.
    np.savetxt(tmp_path / "b.txt", [4, 2], fmt="%d")
    assert read_indices(tmp_path / "b.txt", 5).tolist() == [4, 2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "a.txt is missing or no text file; it should hold the index of an image on each line"),
        (b"\xff\xfe", "a.txt is missing or no text file"),
        (b"", "a.txt holds no index of an image"),
        (b"\n \n", "a.txt holds no index of an image"),
        (b"1\n5\n", r"line 2 of .*a.txt says '5'; indices of images are 0\.\.4"),
        (b"-1\n", "line 1 of .*a.txt says '-1'; indices"),
        (b"1.0\n", "line 1 of .*a.txt says '1.0'"),
        (b"1_0\n", "line 1 of .*a.txt says '1_0'"),
        (b"9" * 5000, "line 1 of .*a.txt says '99999999999999999999'; indices"),
        (b"3\n\n2\n3\n", "line 4 of .*a.txt repeats index 3 of line 1"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_indices(tmp_path / "a.txt", 5)
