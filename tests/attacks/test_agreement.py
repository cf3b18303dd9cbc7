"""Our PGD and APGD beside those of foolbox and torchattacks, with the same steps, step sizes and starts.

Ours keep what they meet on their way and move points into ball and box at once, where the references clip them after
the projection and so do not use all of the ball. Pixels are therefore squeezed towards the middle of the box, where
both are the same; on the images as they are, ours may only be stronger.
"""

import functools

import pytest
import torch
from tests.attacks.digits import accuracy
from torch import nn

from onelip.attacks import apgd, l2_pgd, linf_pgd
from onelip.attacks.ball import row_max, row_norm
from onelip.attacks.pgd import margins
from onelip.data import load
from onelip.layers import BjorckLinear, MaxMin

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved

HALF_A_POINT = 0.005
STEPS = 20
N = 400
NETWORKS = ("ordinary", "1-Lipschitz")
# Of squeezed pixels, as shares of the box.
CASES = [("l2", 0.15), ("l2", 0.3), ("linf", 0.03), ("linf", 0.05)]


class Squeezed(nn.Module):
    """A classifier of pixels between 1/4 and 3/4."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, x):
        return self.network(2 * (x - 0.25))


@functools.cache
def trained(kind):
    """A trained network of digits, and as many images."""
    torch.manual_seed(0)
    linear, activation, scale = (nn.Linear, nn.ReLU, 1) if kind == "ordinary" else (BjorckLinear, MaxMin, 8)
    network = nn.Sequential(nn.Flatten(), linear(64, 64), activation(), linear(64, 10))
    data = load("digits")
    x, y = data.train.pixels(), data.train.labels
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(scale * network(x), y).backward()
        optimizer.step()
    images, labels = torch.cat([data.test.pixels(), x])[:N], torch.cat([data.test.labels, y])[:N]
    return network.eval().requires_grad_(False), images, labels


@pytest.mark.parametrize(("norm", "radius"), CASES)
@pytest.mark.parametrize("kind", NETWORKS)
def test_pgd_is_that_of_foolbox(kind, norm, radius):
    import foolbox

    network, x, y = trained(kind)
    model, x = Squeezed(network), 0.25 + 0.5 * x
    attack = foolbox.attacks.L2PGD if norm == "l2" else foolbox.attacks.LinfPGD
    wrapped, stood = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), torch.ones(len(x), dtype=torch.bool)
    for k in (10, 15, 20):
        # A run of fewer steps is the beginning of a longer one.
        points = attack(abs_stepsize=2.5 * radius / STEPS, steps=k, random_start=False)(wrapped, x, y, epsilons=radius)
        stood &= margins(model, points[1], y) >= 0
    theirs = float(stood.float().mean())
    search = l2_pgd if norm == "l2" else linf_pgd
    ours = accuracy(model, search(model, x, y, radius, steps=STEPS, restarts=1, loss="ce"), y)
    assert 0.02 < theirs < 0.98, "an oracle that breaks all or nothing compares nothing"
    assert abs(ours - theirs) <= HALF_A_POINT


def sphere(x, norm, radius):
    """Where torchattacks starts; it draws for the images that are read rightly."""
    torch.manual_seed(0)
    if norm == "linf":
        offset = 2 * torch.rand(x.shape) - 1
        return x + radius * offset / row_max(offset)
    offset = torch.randn(x.shape)
    return x + radius * offset / row_norm(offset)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("loss", "steps", "n"), [("ce", 50, 400), ("targeted-dlr", 20, 200)])
def test_apgd_is_that_of_torchattacks(loss, steps, n, kind):
    network, x, y = trained(kind)
    for norm, radius in CASES:
        theirs, ours = _both(Squeezed(network), 0.25 + 0.5 * x[:n], y[:n], norm, radius, loss=loss, steps=steps)
        assert 0.02 < theirs < 0.98, "an oracle that breaks all or nothing compares nothing"
        assert abs(ours - theirs) <= HALF_A_POINT


@pytest.mark.parametrize("kind", NETWORKS)
def test_apgd_is_not_weaker_where_the_box_is_in_the_way(kind):
    network, x, y = trained(kind)
    for norm, radius in CASES:
        theirs, ours = _both(network, x, y, norm, 2 * radius, loss="ce", steps=20)
        assert ours <= theirs + HALF_A_POINT
        assert norm == "l2" or ours >= theirs - HALF_A_POINT


def _both(model, x, y, norm, radius, *, loss, steps):
    theirs = accuracy(model, _theirs(loss, model, norm, radius, steps)(x, y), y)
    start, right = x.clone(), margins(model, x, y) >= 0
    start[right] = sphere(x[right], norm, radius)
    return theirs, accuracy(model, apgd(model, x, y, radius, norm=norm, loss=loss, steps=steps, start=start), y)


def _theirs(loss, model, norm, radius, steps):
    import torchattacks

    options = {"norm": {"l2": "L2", "linf": "Linf"}[norm], "eps": radius, "steps": steps}
    if loss == "ce":
        return torchattacks.APGD(model, **options)
    return torchattacks.APGDT(model, n_classes=10, **options)
