"""Latent numbers: their laws, and what decides them."""

import pytest
import torch
from scipy import stats

from onelip.gan import Latent


@pytest.mark.parametrize(("law", "reference"), [("uniform", stats.uniform), ("normal", stats.norm)])
def test_numbers_follow_their_law(law, reference):
    drawn = Latent(10, law)(1000, torch.Generator().manual_seed(0))
    assert drawn.shape == (1000, 10)
    assert stats.kstest(drawn.flatten().numpy(), reference.cdf).pvalue > 0.01


def test_the_source_decides_the_numbers():
    latent = Latent(4)
    draw = [latent(3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 0}, "size=0 in Latent"),
        ({"size": 2.0}, "size=2.0"),
        ({"law": "gauss"}, "law='gauss' in Latent must be"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Latent(**options)
