"""Normal distributions."""

import pytest
import torch

from onelip.transport import Gaussian, sample_generator


def test_samples_have_the_moments():
    gaussian = Gaussian([1.0, -2.0], [0.5, 3.0])
    x = gaussian(20_000, sample_generator(0, 0))
    assert x.shape == (20_000, 2)
    z = (x - torch.tensor([1.0, -2.0])) / torch.tensor([0.5, 3.0])
    assert z.mean(0).abs().max() < 5 / 20_000**0.5
    assert z.var(0).sub(1).abs().max() < 5 * (2 / 20_000) ** 0.5


def test_one_standard_deviation_is_that_of_all_coordinates():
    assert Gaussian([1.0, 2.0], 3.0) == Gaussian([1.0, 2.0], [3.0, 3.0])
    assert Gaussian(1.0).shape == (1,)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.0, 0.0], [1.0, 1.0, 1.0], "std in Gaussian has 3 numbers; it must have one, or 2 as mean does"),
        (0.0, 0.0, "std=0.0 in Gaussian must be positive"),
        (float("nan"), 1.0, "mean in Gaussian must be finite"),
    ],
)
def test_what_is_refused(mean, std, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(mean, std)
