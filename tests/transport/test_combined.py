"""Distributions made of others."""

import pytest
import torch

from onelip.transport import Gaussian, Mixture, PointMasses, Samples, Translated, sample_generator
from onelip.transport.sampler import batches


def test_a_translation_moves_every_sample_of_the_base():
    base = Samples(torch.randn(9, 1, 2, 2))
    moved = Translated(base, [1.0, 2.0, 3.0, 4.0])
    x, y = (d(5, sample_generator(0, 0)) for d in (base, moved))
    assert moved.shape == (1, 2, 2)
    torch.testing.assert_close(y - x, torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]).expand(5, 1, 2, 2))


def test_a_moved_set_without_replacement_gives_no_sample_twice_in_any_batch():
    base = Samples(torch.arange(10.0)[:, None], replacement=False)
    moved = Translated(Translated(base, [0.25]), [0.25])
    drawn = torch.cat(list(batches(moved, 10, 3, sample_generator(0, 0), "p")))
    assert drawn.flatten().sort().values.tolist() == [k + 0.5 for k in range(10)]
    with pytest.raises(ValueError, match=r"parts in Mixture have Samples\(replacement=False\)"):
        Mixture([moved])


def test_a_mixture_has_its_parts_as_often_as_they_weigh():
    mixture = Mixture([PointMasses([[0.0]]), Gaussian(100.0), PointMasses([[1.0]])], [1, 2, 1])
    x = mixture(8000, sample_generator(0, 0)).flatten()
    assert abs(float((x > 50).double().mean()) - 0.5) < 5 * 0.5 / 8000**0.5
    assert abs(float((x == 0).double().mean()) - 0.25) < 5 * (0.1875 / 8000) ** 0.5
    # Parts are not drawn one after the other.
    assert abs(float((x[:4000] > 50).double().mean()) - 0.5) < 5 * 0.5 / 4000**0.5


def test_mixtures_of_mixtures_are_values():
    inner = Mixture([Gaussian(0.0), Gaussian(1.0)])
    assert Mixture([inner, Gaussian(2.0)]) == Mixture((inner, Gaussian(2.0)), (0.5, 0.5))


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"vector in Translated has 1 coordinates; a sample of shape \(2,\)"):
        Translated(Gaussian([0.0, 0.0]), [1.0])
    with pytest.raises(ValueError, match=r"parts in Mixture have shapes \[\(1,\), \(2,\)\]"):
        Mixture([Gaussian(0.0), Gaussian([0.0, 0.0])])
    with pytest.raises(ValueError, match="parts in Mixture"):
        Mixture([])
    with pytest.raises(ValueError, match=r"weights=.* in Mixture must be 1 numbers"):
        Mixture([Gaussian(0.0)], [1.0, 2.0])
