"""Samplers of the distributions that configurations name."""

import pytest
import torch
from pydantic import TypeAdapter

from onelip.data import ImageData
from onelip.experiments.config_wasserstein import DistributionSection
from onelip.experiments.distributions import ImageSampler, build_source
from onelip.transport import exact_wasserstein1, sample_generator

SECTION = TypeAdapter(DistributionSection)


def source(other=None, **section):
    return build_source(SECTION.validate_python(section), other)


def images(n=6):
    return ImageData(torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1), torch.arange(n) % 3, 10.0)


def test_images_are_pixels_and_none_is_drawn_twice_without_replacement():
    sampler = ImageSampler(images(), replacement=False)
    drawn = torch.cat(list(sampler.passes(6, 4, sample_generator(0, 1)))).flatten()
    assert sorted(drawn.tolist()) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert sampler.shape == (1, 1, 1)
    with pytest.raises(ValueError, match="7 samples are wanted of 6"):
        sampler(7, sample_generator(0, 1))


def test_images_may_be_drawn_twice_with_replacement():
    assert ImageSampler(images())(50, sample_generator(0, 0)).unique().numel() <= 6


def test_a_translated_distribution_moves_the_other():
    first = source(name="gaussian", mean=[0, 0])
    moved = source(first, name="translated", vector=[3, 4])
    assert exact_wasserstein1(first.training, moved.training) == pytest.approx(5)
    assert "length 5" in moved.about


def test_a_translated_distribution_alone_is_refused():
    with pytest.raises(ValueError, match="needs the other one"):
        source(name="translated", vector=[1])


@pytest.mark.parametrize(
    ("section", "shape"),
    [
        ({"name": "shells", "centers": [[0, 0]], "radius": 2, "empty_dim": 2, "grid": [2, 2]}, (1, 2, 2)),
        ({"name": "gaussian", "mean": [1.0, 2.0, 3.0]}, (3,)),
        ({"name": "points", "points": [[0, 1], [2, 3]], "weights": [1, 3]}, (2,)),
    ],
)
def test_each_kind_has_the_shape_that_is_asked_for(section, shape):
    made = source(**section)
    assert made.training.shape == shape
    assert made.held_out(5, sample_generator(0, 0)).shape == (5, *shape)
    assert made.size is None


def test_data_are_learned_from_the_training_images_and_measured_on_the_test_images():
    made = source(name="images", set="digits", classes=[3])
    assert made.pixels
    assert made.size == len(made.held_out.images)
    assert made.training.images.labels.unique().tolist() == [3]
    assert len(made.training.images) > made.size
    assert f"{made.size} of the test split" in made.about


def test_a_class_without_images_is_named():
    with pytest.raises(ValueError, match=r"classes=\[3, 12\] of digits: there is no image of \[12\]"):
        source(name="images", set="digits", classes=[3, 12])
