"""The search of adversarial training: where it goes, and what it leaves alone."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from onelip.layers import AOCConv2d, BjorckLinear, SLLLinear
from onelip.tasks.adversary import Adversary

RADII = {"l2": 0.7, "linf": 0.15}


def images(n=6):
    x = torch.rand(n, 2, 3, 3, generator=torch.Generator().manual_seed(3))
    x[0], x[1] = 0.0, 1.0
    return x


def linear(w):
    model = nn.Sequential(nn.Flatten(), nn.Linear(18, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([torch.zeros(18), w]))
    return model


def climb(adversary, model, x, height=lambda z: z[:, 1]):
    return adversary.climb(model, adversary.balls(x), x, height)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("seed", range(5))
def test_points_are_in_the_ball_and_the_box_and_higher(norm, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(18, 8), nn.Tanh(), nn.Linear(8, 3))
    x, radius = images(), RADII[norm]
    found = climb(Adversary("it", radius, norm, 5), model, x)
    offset = (found - x).flatten(1)
    lengths = offset.norm(dim=1) if norm == "l2" else offset.abs().amax(1)
    assert float(lengths.max()) <= radius * (1 + 1e-6)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    with torch.no_grad():
        assert bool((model(found)[:, 1] >= model(x)[:, 1]).all())
    assert not found.requires_grad


def test_of_a_linear_function_it_finds_the_highest_point_of_the_ball():
    w = torch.linspace(-1, 1, 18)
    x = torch.full((1, 2, 3, 3), 0.5)
    for norm, best in (("l2", 0.3 * w / w.norm()), ("linf", 0.1 * w.sign())):
        found = climb(Adversary("it", 0.3 if norm == "l2" else 0.1, norm, 10), linear(w), x)
        torch.testing.assert_close(found, x + best.reshape(x.shape), atol=1e-6, rtol=0)


def test_the_step_size_counts():
    x, w = torch.full((1, 2, 3, 3), 0.5), torch.ones(18)
    found = climb(Adversary("it", 1.0, "l2", 2, 0.1), linear(w), x)
    assert float((found - x).norm()) == pytest.approx(0.2, rel=1e-5)


class Watched(nn.Module):
    """Notes the mode of each call, with statistics and dropout that would show."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(), nn.Linear(36, 3))
        self.modes = []

    def forward(self, x):
        self.modes.append(self.training)
        return self.inner(x)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(training):
    model = Watched().train(training)
    model.inner[4].weight.requires_grad_(False)
    model.inner[0].weight.grad = torch.ones_like(model.inner[0].weight)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    frozen = [p.requires_grad for p in model.parameters()]
    first = climb(Adversary("it", 0.3, "l2", 3), model, images())
    assert model.modes == [False] * 3
    assert model.training is training
    assert all(m.training is training for m in model.modules())
    assert [p.requires_grad for p in model.parameters()] == frozen
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(model.inner[0].weight.grad, torch.ones_like(model.inner[0].weight))
    assert all(p.grad is None for p in model.inner[4].parameters())
    assert torch.equal(first, climb(Adversary("it", 0.3, "l2", 3), model, images()))


@pytest.mark.parametrize("steps", [2, 9])
def test_weights_are_built_once_for_all_steps(steps, monkeypatch):
    calls = []
    for layer in (AOCConv2d, BjorckLinear):
        original = layer.constrain

        def counted(self, *raw, original=original, layer=layer):
            calls.append(layer)
            return original(self, *raw)

        monkeypatch.setattr(layer, "constrain", counted)
    model = nn.Sequential(AOCConv2d(2, 2, 3, padding=1, padding_mode="circular"), nn.Flatten(), BjorckLinear(18, 5))
    climb(Adversary("it", 0.3, "l2", steps), model.train(), images())
    assert calls == [AOCConv2d, BjorckLinear]


def test_parametrisations_of_torch_are_computed_once(monkeypatch):
    model = nn.Sequential(nn.Flatten(), parametrizations.spectral_norm(nn.Linear(18, 3)))
    calls = []
    original = type(model[1].parametrizations.weight[0]).forward
    monkeypatch.setattr(
        type(model[1].parametrizations.weight[0]), "forward", lambda self, w: calls.append(1) or original(self, w)
    )
    climb(Adversary("it", 0.3, "l2", 6), model, images())
    assert len(calls) == 1


def test_residual_layers_and_half_precision_work():
    model = nn.Sequential(nn.Flatten(), SLLLinear(18, 18), nn.Linear(18, 3))
    with torch.autocast("cpu", torch.bfloat16):
        found = climb(Adversary("it", 0.3, "l2", 4), model, images())
        loss = model(found).float().sum()
    loss.backward()
    assert found.dtype == torch.float32
    # Autocast keeps copies of weights, which must not be those that were frozen.
    assert all(p.grad is not None for p in model.parameters())


def test_the_radius_follows_a_ramp():
    adversary = Adversary("it", {"start": 0.1, "end": 0.5, "until": 0.5}, "l2", 2)
    seen = [adversary.radius]
    for progress in (0.25, 0.5, 1.0):
        adversary.set_progress(progress)
        seen.append(adversary.radius)
    assert seen == pytest.approx([0.1, 0.3, 0.5, 0.5])
    found = climb(adversary, linear(torch.ones(18)), torch.full((1, 2, 3, 3), 0.5))
    assert float((found - 0.5).norm()) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "l1"}, "norm='l1' in it"),
        ({"steps": 0}, "steps=0 in it"),
        ({"steps": 2.0}, r"steps=2\.0 in it"),
        ({"step_size": 0.0}, r"step_size=0\.0 in it"),
        ({"radius": 0.0}, r"radius=0\.0 in it"),
        ({"radius": float("nan")}, "radius=nan in it"),
        ({"radius": {"start": -1.0, "end": 1.0}}, "must stay at least 0"),
        ({"radius": {"start": 1.0}}, "the ramp of radius in it has no end"),
    ],
)
def test_arguments_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Adversary("it", **{"radius": 0.5, "norm": "l2", "steps": 3, **changes})


def test_images_outside_of_the_box_are_refused():
    with pytest.raises(ValueError, match="pixels outside"):
        Adversary("it", 0.5, "l2", 3).balls(images() * 2)
