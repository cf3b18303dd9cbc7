import sys
import types

import pytest
import torch
from tests.attacks.digits import accuracy, trained

from onelip.attacks import apgd, autoattack
from onelip.attacks.ball import distances

PACKAGES = ("autoattack", "pyautoattack", "torchattacks")


@pytest.fixture
def install(monkeypatch):
    """Pretend that only one package is installed, with a given AutoAttack."""

    def pretend(name, attack):
        for other in PACKAGES:
            monkeypatch.setitem(sys.modules, other, None)
        if name:
            module = types.ModuleType(name)
            module.AutoAttack = attack
            monkeypatch.setitem(sys.modules, name, module)

    return pretend


def test_torchattacks_is_as_strong_as_apgd():
    model, x, y = trained()
    x, y = x[:4], y[:4]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    found = autoattack(model, x, y, 1.2)
    assert torch.equal(torch.get_rng_state(), state)
    assert accuracy(model, found, y) <= accuracy(model, apgd(model, x, y, 1.2, steps=20), y)
    assert bool((distances(found, x, "l2") <= 1.2 * (1 + 1e-6)).all())


class Liar:
    """Finds points by leaving the ball."""

    def __init__(self, model, *, norm, eps, seed, device=None, verbose=False, n_classes=10, version="standard"):
        self.expected = (norm, eps, seed)

    def __call__(self, x, y):
        return 1 - x

    def run_standard_evaluation(self, x, y, *, bs=None, batch_size=None):
        assert self.expected == ("Linf", 0.01, 7)
        return 1 - x if bs else (y, 1 - x, {})


@pytest.mark.parametrize("name", PACKAGES)
def test_what_a_package_returns_is_not_believed(install, name):
    install(name, Liar)
    model, x, y = trained()
    found = autoattack(model, x[:10], y[:10], 0.01, "linf", seed=7, batch_size=3)
    assert bool((distances(found, x[:10], "linf") <= 0.01 * (1 + 1e-6)).all())
    assert accuracy(model, 1 - x[:10], y[:10]) < 0.5
    right = model(found).argmax(1) == y[:10]
    assert torch.equal(found[right], x[:10][right])
    assert right.float().mean() > 0.8


def test_without_a_package_there_is_a_sentence(install):
    install(None, None)
    model, x, y = trained()
    with pytest.raises(ModuleNotFoundError, match="autoattack, pyautoattack, torchattacks, and none is installed"):
        autoattack(model, x, y, 0.1)


def test_bad_arguments():
    model, x, y = trained()
    with pytest.raises(ValueError, match="batch_size=0"):
        autoattack(model, x, y, 0.1, batch_size=0)
    with pytest.raises(ValueError, match="radius=-1"):
        autoattack(model, x, y, -1.0)
    with pytest.raises(ValueError, match="outside box"):
        autoattack(model, 2 + x, y, 0.1)
