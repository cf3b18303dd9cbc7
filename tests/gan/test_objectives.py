"""What critics are trained for: differences, clipping, penalties."""

import pytest
import torch
from torch import nn

from onelip.gan import (
    ClippedObjective,
    LipschitzObjective,
    PenaltyObjective,
    critic_difference,
    gradient_penalty,
    interpolates,
)


def critic():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))


def source():
    return torch.Generator().manual_seed(5)


def test_the_difference_is_that_of_means_of_unequal_samples():
    f = critic()
    x, y = torch.rand(6, 1, 2, 2), torch.rand(3, 1, 2, 2)
    assert torch.allclose(critic_difference(f, x, y), f(x).mean() - f(y).mean())
    assert critic_difference(lambda x: x.flatten(1).sum(dim=1), x, y).shape == ()


def test_clipping_clips_weights_and_biases():
    f = critic()
    before = [p.clone() for p in f.parameters()]
    ClippedObjective(0.05).after_step_(f)
    for old, new in zip(before, f.parameters(), strict=True):
        assert torch.equal(new, old.clamp(-0.05, 0.05))
    assert max(float(p.detach().abs().max()) for p in f.parameters()) == pytest.approx(0.05)
    assert ClippedObjective().penalty(f, torch.rand(2, 4), torch.rand(2, 4), source()) is None


def test_the_penalty_is_weighed_and_between_the_images():
    f = critic()
    x, y = torch.rand(6, 1, 2, 2), torch.rand(6, 1, 2, 2)
    expected = 7 * gradient_penalty(f, interpolates(x, y, source()))
    assert torch.allclose(PenaltyObjective(7.0).penalty(f, x, y, source()), expected)


@pytest.mark.parametrize("objective", [LipschitzObjective(), PenaltyObjective()])
def test_only_clipping_moves_weights(objective):
    f = critic()
    before = [p.clone() for p in f.parameters()]
    objective.after_step_(f)
    assert all(torch.equal(a, b) for a, b in zip(before, f.parameters(), strict=True))
    assert LipschitzObjective().penalty(f, torch.rand(2, 4), torch.rand(2, 4), source()) is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ClippedObjective(0.0), "clip=0.0 in ClippedObjective must be positive"),
        (lambda: ClippedObjective(float("nan")), "clip=nan"),
        (lambda: PenaltyObjective(-1.0), "weight=-1.0 in PenaltyObjective must be at least 0"),
    ],
)
def test_mistakes_are_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
