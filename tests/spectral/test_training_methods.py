"""Methods for training by their published names."""

import pytest
import torch
from tests.spectral.dense import dense_norm
from torch import nn

from onelip.spectral.clip_batch_norm import batch_norm_norm
from onelip.spectral.clipper import SpectralClipper
from onelip.spectral.training_methods import available, training_method


def _net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
    )


@pytest.mark.parametrize("name", available())
def test_each_is_made_and_stepped_with_its_defaults(name):
    net = _net()
    method = training_method(name, net, (1, 6, 6), 1.0)
    penalty = method.penalty()
    assert penalty is None or (penalty.ndim == 0 and penalty.requires_grad)
    norms = method.step()
    assert norms is None or all(isinstance(value, float) for value in norms.values())
    method.load_state_dict(method.state_dict())


def test_none_leaves_everything():
    net = _net()
    before = [p.detach().clone() for p in net.parameters()]
    method = training_method("none", net, (1, 6, 6))
    assert method.penalty() is None
    assert method.step() is None
    assert method.state_dict() == {}
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


@pytest.mark.parametrize("name", available())
def test_batch_normalisations_are_clamped_every_period_beside_every_method(name):
    net = _net()
    method = training_method(name, net, (1, 6, 6), 0.5, batch_norm="clip", batch_norm_period=2)
    plain = training_method(name, _net(), (1, 6, 6), 0.5)
    assert (method.penalty() is None) == (plain.penalty() is None)
    assert (method.step() is None) == (plain.step() is None)
    assert batch_norm_norm(net[1]) == pytest.approx(1, rel=1e-4)
    saved = method.state_dict()
    method.step()
    assert batch_norm_norm(net[1]) <= 0.5 * (1 + 1e-6)
    with torch.no_grad():
        net[1].weight.fill_(3.0)
    method.load_state_dict(saved)
    method.step()
    assert batch_norm_norm(net[1]) <= 0.5 * (1 + 1e-6)


def test_fastclip_takes_its_own_options_and_modes():
    method = training_method("fastclip", _net(), (1, 6, 6), 0.5, period=1)
    norms = method.step()
    assert set(norms) == {"0", "4"}
    assert max(norms.values()) <= 0.5 * 1.02
    net = _net()
    with torch.no_grad():
        net[1].weight.fill_(2.0)
    training_method("fastclip", net, (1, 6, 6), 0.5, period=1, batch_norm="joint").step()
    assert torch.equal(net[1].weight, torch.full((4,), 2.0))
    assert dense_norm(net[:2], (1, 6, 6)) <= 0.5 * 1.02
    training_method("fastclip", net, (1, 6, 6), 0.5, period=1, batch_norm="clip").step()
    assert batch_norm_norm(net[1]) <= 0.5 * (1 + 1e-6)


def test_the_kind_of_event_is_an_option_of_fastclip():
    net = _net()
    with torch.no_grad():
        net[0].weight.mul_(3)
    method = training_method("fastclip", net, (1, 6, 6), 0.5, period=1, event="published")
    assert isinstance(method, SpectralClipper)
    method.step()
    assert dense_norm(net[:1], (1, 6, 6)) > 0.5 * 1.02, "one published step is not enough"
    assert not method.holds


def test_kept_batch_normalisations_are_left():
    net = _net()
    method = training_method("senderovich", net, (1, 6, 6), 0.5, period=1)
    method.step()
    assert torch.equal(net[1].weight, torch.ones(4))


def test_the_published_names_are_all_there():
    assert set(available()) == {"fastclip", "gouk", "miyato", "senderovich", "delattre", "none"}
    assert all("options" not in part.options and "model" not in part.options for part in available().values())


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="gouk"):
        training_method("guok", _net(), (1, 6, 6))
    with pytest.raises(ValueError, match="n_iters=3 is not an option of training method 'gouk'; its options: n_iter"):
        training_method("gouk", _net(), (1, 6, 6), n_iters=3)
    with pytest.raises(ValueError, match="max_norm=0 in none"):
        training_method("none", _net(), (1, 6, 6), 0)
    with pytest.raises(ValueError, match="batch_norm='joint' for training method 'gouk'"):
        training_method("gouk", _net(), (1, 6, 6), batch_norm="joint")
    with pytest.raises(ValueError, match="batch_norm_period=0 in training_method"):
        training_method("gouk", _net(), (1, 6, 6), batch_norm="clip", batch_norm_period=0)
    with pytest.raises(ValueError, match="batch_norm_period=3 goes with batch_norm='clip', not 'keep'"):
        training_method("gouk", _net(), (1, 6, 6), batch_norm_period=3)
