"""TRADES against the published formula, and against the largest divergence where it is known."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from onelip.tasks import TRADES


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(8, 3))


def batch(n=12):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, 2, 2, 2, generator=generator) * 0.4 + 0.3, torch.arange(n) % 3


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_it_is_the_loss_plus_beta_times_the_mean_divergence(norm):
    net, (x, y) = model(), batch()
    objective = TRADES(0.2, norm, 5, None, 3.0, seed=4)
    objective.set_batch(0, 0)
    loss, logits = objective(net, x, y, cross_entropy)
    found = objective.attack(net, x)
    # As torch has it: of the logarithm of q, with p.
    divergence = kl_div(net(found).log_softmax(1), net(x).softmax(1), reduction="batchmean")
    torch.testing.assert_close(loss, cross_entropy(net(x), y) + 3.0 * divergence)
    torch.testing.assert_close(logits, net(x))
    gradient = torch.autograd.grad(loss, net[1].weight)[0]
    expected = torch.autograd.grad(cross_entropy(net(x), y) + 3.0 * divergence, net[1].weight)[0]
    torch.testing.assert_close(gradient, expected)


def test_the_search_raises_the_divergence_to_that_of_the_best_direction():
    torch.manual_seed(0)
    net, (x, _) = nn.Sequential(nn.Flatten(), nn.Linear(8, 2)), batch()
    found = TRADES(0.2, "l2", 20).attack(net, x)
    w = net[1].weight[1] - net[1].weight[0]
    step = (0.2 * w / w.norm()).reshape(x.shape[1:])

    def divergence(points):
        return kl_div(net(points).log_softmax(1), net(x).softmax(1), reduction="none").sum(1)

    best = torch.maximum(divergence(x + step), divergence(x - step))
    reached = divergence(found)
    # Both ways along w are local maxima; the higher one is not always the one that is found.
    assert bool((reached <= best * (1 + 1e-4)).all())
    lower = torch.minimum(divergence(x + step), divergence(x - step))
    assert bool((reached >= lower * (1 - 1e-3)).all())
    assert float((found - x).flatten(1).norm(dim=1).max()) <= 0.2 * (1 + 1e-6)


def test_one_forward_pass_has_images_and_points():
    net, (x, y) = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 2)), batch()
    TRADES(0.1, "l2", 3)(net.train(), x, y % 2, cross_entropy)
    assert int(net[1].num_batches_tracked) == 1


def test_the_noise_depends_on_seed_epoch_and_batch():
    net, (x, _) = model(), batch()

    def found(seed, epoch, number):
        objective = TRADES(0.2, "l2", 1, seed=seed)
        objective.set_batch(epoch, number)
        return objective.attack(net, x)

    assert torch.equal(found(1, 2, 3), found(1, 2, 3))
    assert len({tuple(found(*p).flatten().tolist()) for p in ((1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4))}) == 4


@pytest.mark.parametrize("beta", [0.0, float("nan")])
def test_beta_is_positive(beta):
    with pytest.raises(ValueError, match=f"beta={beta} in TRADES"):
        TRADES(0.1, beta=beta)
