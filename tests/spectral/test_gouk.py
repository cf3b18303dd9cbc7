"""Weights divided by their norm."""

import copy
import io

import pytest
import torch
from tests.spectral.dense import dense_norm
from torch import nn

from onelip.spectral.gouk import Gouk, power_iteration, scale_

LAYERS = {
    "strided": (nn.Conv2d(3, 4, 3, stride=2, padding=1), (3, 7, 6)),
    "circular": (nn.Conv2d(3, 4, 5, padding=2, padding_mode="circular"), (3, 6, 6)),
    "reflect": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 5, 5)),
    "dilated": (nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2), (2, 6, 6)),
    "transposed": (nn.ConvTranspose2d(3, 2, 3, stride=2, output_padding=1), (3, 4, 4)),
    "line": (nn.Conv1d(2, 3, 3), (2, 9)),
    "dense": (nn.Linear(12, 7), (12,)),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    module, shape = LAYERS[request.param]
    module = copy.deepcopy(module)
    with torch.no_grad():
        module.weight.normal_()
    return module, shape


def test_power_iteration_finds_the_norm_of_the_layer_as_it_is(layer):
    module, shape = layer
    norm, vector = power_iteration(module, shape, torch.randn(shape), 300)
    exact = dense_norm(module, shape)
    assert exact * (1 - 1e-3) <= float(norm) <= exact * (1 + 1e-5)
    image = module(vector[None]) - module(torch.zeros(1, *shape))
    assert float(image.detach().norm()) == pytest.approx(exact, rel=1e-3)


def test_power_iteration_changes_nothing(layer):
    module, shape = layer
    module.weight.grad = torch.ones_like(module.weight)
    before = copy.deepcopy(module.state_dict())
    state = torch.get_rng_state()
    power_iteration(module, shape, torch.ones(shape))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(module.weight.grad, torch.ones_like(module.weight))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("max_norm", [0.5, 2.0])
def test_scaling_obeys_the_norm_and_keeps_the_direction(layer, max_norm):
    module, shape = layer
    weight, bias = module.weight.detach().clone(), module.bias.detach().clone()
    exact = dense_norm(module, shape)
    divisor = scale_(module, max_norm, shape)
    after = dense_norm(module, shape)
    assert after <= max_norm * (1 + 1e-3)
    assert after >= max_norm * (1 - 1e-3)
    assert divisor == pytest.approx(exact / max_norm, rel=1e-3)
    torch.testing.assert_close(module.weight.detach() * divisor, weight)
    assert torch.equal(module.bias, bias)


def test_scaling_again_or_below_changes_no_bit(layer):
    module, shape = layer
    scale_(module, 1.0, shape)
    once = module.weight.detach().clone()
    assert scale_(module, 1.0, shape) == 1.0
    assert scale_(module, 3.0, shape) == 1.0
    assert torch.equal(module.weight, once)


def test_zero_weights_and_starts_stay():
    layer = nn.Linear(8, 9)
    nn.init.zeros_(layer.weight)
    assert float(power_iteration(layer, (8,), torch.ones(8))[0]) == 0
    assert scale_(layer, 1.0, (8,)) == 1.0
    nn.init.constant_(layer.weight, 1.0)
    norm, vector = power_iteration(layer, (8,), torch.tensor([1.0, -1.0] * 4))
    assert float(norm) == 0
    assert vector.isfinite().all()


def _net():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, padding=1, padding_mode="circular"), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1)
    )
    return nn.Sequential(*net, nn.ReLU(), nn.Flatten(), nn.Linear(96, 4))


SHAPES = {"0": (1, 8, 8), "2": (6, 4, 4), "5": (96,)}


def _train(net, method, steps, start=0):
    for step in range(start, start + steps):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(16, 1, 8, 8, generator=generator)
        y = torch.randint(4, (16,), generator=generator)
        net.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= 0.1 * parameter.grad
        yield method.step()


def test_norms_stay_small_after_each_step_with_warm_start():
    net = _net()
    method = Gouk(net, (1, 8, 8), 1.0, warm_start=True)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 4
    for _ in range(60):
        method.step()
    for norms in _train(net, method, 12):
        exact = {name: dense_norm(net[int(name)], shape) for name, shape in SHAPES.items()}
        assert max(exact.values()) <= 1.02
        assert norms == pytest.approx(exact, rel=0.02)


def test_as_published_norms_stay_within_what_five_iterations_miss():
    net = _net()
    method = Gouk(net, (1, 8, 8), 0.5)
    for _ in _train(net, method, 30):
        pass
    exact = [dense_norm(net[int(name)], shape) for name, shape in SHAPES.items()]
    assert max(exact) <= 0.5 * 1.1
    assert min(exact) >= 0.25


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_resumed_training_goes_on_to_the_same_numbers(warm_start):
    net = _net()
    method = Gouk(net, (1, 8, 8), 0.5, warm_start=warm_start)
    list(_train(net, method, 3))
    file = io.BytesIO()
    torch.save((net.state_dict(), method.state_dict()), file)
    list(_train(net, method, 3, start=3))
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    other = _net()
    resumed = Gouk(other, (1, 8, 8), 0.5, warm_start=warm_start)
    other.load_state_dict(weights)
    resumed.load_state_dict(state)
    list(_train(other, resumed, 3, start=3))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


def test_each_option_has_its_effect():
    weights = {}
    for name, options in {
        "plain": {},
        "iter": {"n_iter": 1},
        "seed": {"seed": 1},
        "warm": {"warm_start": True},
    }.items():
        net = _net()
        method = Gouk(net, (1, 8, 8), 0.5, **options)
        method.step()
        method.step()
        weights[name] = float(net[2].weight.detach().sum())
    assert len(set(weights.values())) == 4


def test_parameters_stay_the_same_objects_with_their_gradients():
    net = _net()
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = [(id(p), p.data_ptr()) for p in net.parameters()]
    state = torch.get_rng_state()
    method = Gouk(net, (1, 8, 8), 0.1)
    method.step()
    assert method.penalty() is None
    assert before == [(id(p), p.data_ptr()) for p in net.parameters()]
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_module_at_two_shapes_obeys_at_both():
    conv = nn.Conv2d(2, 2, 3, padding=1)
    nn.init.constant_(conv.weight, 1.0)
    net = nn.Sequential(conv, nn.AvgPool2d(2), conv)
    method = Gouk(net, (2, 8, 8), 1.0, warm_start=True)
    for _ in range(9):
        norms = method.step()
    assert list(norms) == ["0"]
    assert dense_norm(conv, (2, 8, 8)) <= 1.001
    assert dense_norm(conv, (2, 4, 4)) < 0.95


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="n_iter=0 in gouk"):
        Gouk(_net(), (1, 8, 8), n_iter=0)
    with pytest.raises(ValueError, match="max_norm=-1"):
        Gouk(_net(), (1, 8, 8), -1)
