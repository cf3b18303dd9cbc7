"""Distributions on finitely many points."""

import pytest
import torch

from onelip.transport import PointMasses, Samples, sample_generator


def test_points_come_as_often_as_they_weigh():
    masses = PointMasses([[0.0], [1.0], [2.0]], [1, 3, 0])
    x = masses(8000, sample_generator(0, 0)).flatten()
    assert masses.weights == (0.25, 0.75, 0.0)
    assert set(x.tolist()) == {0.0, 1.0}
    assert abs(float(x.mean()) - 0.75) < 5 * (0.1875 / 8000) ** 0.5


def test_a_set_with_replacement_repeats_samples_and_without_does_not():
    x = torch.arange(40.0).view(20, 1, 2)
    generator = sample_generator(0, 0)
    assert Samples(x).shape == (1, 2)
    assert len(Samples(x)(200, generator).unique(dim=0)) == 20
    once = Samples(x, replacement=False)(20, generator)
    assert once.flatten().sort().values.equal(x.flatten())
    assert not once.equal(x)


def test_a_set_keeps_its_precision():
    assert Samples(torch.zeros(3, 2))(2, sample_generator(0, 0)).dtype == torch.float32


def test_without_replacement_there_are_no_more_samples_than_the_set_has():
    few = Samples(torch.zeros(3, 2), replacement=False)
    with pytest.raises(ValueError, match=r"4 samples are wanted of 3 in Samples\(replacement=False\)"):
        few(4, sample_generator(0, 0))
    with pytest.raises(ValueError, match="4 samples are wanted of 3"):
        next(few.passes(4, 2, sample_generator(0, 0)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3), r"x in Samples is \(3,\) of torch.float32; it must be floats \(N, \*shape\)"),
        (torch.zeros(3, 2, dtype=torch.uint8), "of torch.uint8"),
        (torch.full((3, 2), torch.inf), "x in Samples must be finite"),
    ],
)
def test_sets_that_are_none_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        Samples(x)
