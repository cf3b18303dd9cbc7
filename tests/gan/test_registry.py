"""Generators by name, and what building refuses."""

import pytest
import torch

from onelip.gan import available_generators, build_generator


def test_records_say_what_a_list_needs():
    parts = available_generators()
    assert list(parts) == ["dcgan", "infogan"]
    assert parts["infogan"].options == ("dense", "width")
    assert all(part.summary for part in parts.values())


@pytest.mark.parametrize("name", available_generators())
def test_the_generator_decides_the_weights_and_all_of_them_learn(name):
    def build(seed):
        torch.manual_seed(seed)
        return build_generator(name, image_shape=(1, 8, 8), n_latent=3, width=2)

    first, again, other = build(1), build(1), build(2)
    z = torch.rand(4, 3)
    assert torch.equal(first(z), again(z))
    assert not torch.equal(first(z), other(z))
    # The sum of pixels would do, but a batch normalisation passes no gradient of what is symmetric.
    first(z).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in first.parameters())


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("infogen", {}, "generator 'infogen' is unknown; did you mean 'infogan'"),
        ("dcgan", {"dense": 3}, "dense=3 is not an option of generator 'dcgan'; its options: width, start"),
        ("dcgan", {"width": 0}, "width=0 of generator 'dcgan' must be an integer >= 1"),
        ("dcgan", {"n_latent": True}, "n_latent=True of generator 'dcgan'"),
        ("infogan", {"image_shape": (8, 8)}, r"image_shape=\(8, 8\) of generator 'infogan' must be \(channels"),
    ],
)
def test_mistakes_are_one_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_generator(name, **({"image_shape": (1, 8, 8)} | options))
