"""Adversarial training: its saddle point where that has a closed form, and its random starts."""

import pytest
import torch
from tests.tasks.toy import toy_trainer
from torch import nn
from torch.nn.functional import cross_entropy

from onelip.tasks import Classification, PGDTraining, Retract, sgd


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(8, 2))


def batch(n=12):
    generator = torch.Generator().manual_seed(1)
    # Far enough from the edges of the box for the balls below.
    return torch.rand(n, 2, 2, 2, generator=generator) * 0.4 + 0.3, torch.arange(n) % 2


@pytest.mark.parametrize(("norm", "radius", "dual"), [("l2", 0.2, 2), ("linf", 0.1, 1)])
def test_of_two_linear_classes_it_is_the_loss_at_the_closed_form(norm, radius, dual):
    net, (x, y) = model(), batch()
    loss, logits = PGDTraining(radius, norm, 30, radius)(net, x, y, cross_entropy)
    w = net[1].weight[1] - net[1].weight[0]
    sign = 2.0 * y - 1.0
    # The adversary takes radius |w|_dual off the margin of the label.
    margin = sign * (net(x)[:, 1] - net(x)[:, 0]) - radius * w.norm(dual)
    expected = nn.functional.softplus(-margin).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(sign * (logits[:, 1] - logits[:, 0]), margin, rtol=1e-4, atol=1e-5)
    gradient = torch.autograd.grad(loss, net[1].weight)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, net[1].weight)[0], rtol=1e-3, atol=1e-5)


def test_it_learns_in_the_mode_of_the_network():
    net, (x, y) = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 2)), batch()
    PGDTraining(0.1, "l2", 3)(net.train(), x, y, cross_entropy)
    assert int(net[1].num_batches_tracked) == 1


def test_starts_depend_on_seed_epoch_and_batch():
    net, (x, y) = model(), batch()

    def found(seed, epoch, number, random_start=True):
        objective = PGDTraining(0.2, "l2", 1, 0.01, random_start, seed=seed)
        objective.set_batch(epoch, number)
        return objective.attack(net, x, y)

    assert torch.equal(found(1, 2, 3), found(1, 2, 3))
    assert len({tuple(found(*place).flatten().tolist()) for place in ((1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4))}) == 4
    assert torch.equal(found(1, 2, 3, False), found(2, 3, 4, False))
    distances = (found(1, 2, 3, False) - x).flatten(1).norm(dim=1)
    torch.testing.assert_close(distances, torch.full_like(distances, 0.01), rtol=1e-4, atol=0)


class Listed:
    """Sixteen images in batches."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return 16 // self.size

    def __iter__(self):
        x, y = batch(16)
        return iter(zip(x.split(self.size), y.split(self.size), strict=True))


@pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")
def test_accumulated_it_is_one_batch_of_all(tmp_path):
    weights = []
    for accumulate, size in ((1, 16), (2, 8)):
        net = model()
        objective = PGDTraining(0.1, "l2", 20, random_start=False)
        task = Classification(net, cross_entropy, optimizer=sgd(lr=0.5, momentum=0.0), objective=objective)
        toy_trainer(tmp_path, 1, Retract(), accumulate=accumulate).fit(task, Listed(size), Listed(16))
        weights.append(net[1].weight.detach())
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)
    assert not torch.equal(weights[0], model()[1].weight)
