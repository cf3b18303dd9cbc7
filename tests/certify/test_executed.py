"""Rounding in the whole ball: against 60 digits, and against searches for inputs that flip what is computed."""

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import torch
from tests.certify.networks import around, predictions, rich, samples, small
from torch import nn

from onelip import layers as L
from onelip.certify import LARGEST_RADIUS, certify, verify
from onelip.certify.executed import MARGIN, error_growth, executed_errors, growth_of, stays_in_range
from onelip.certify.export import freeze
from onelip.certify.forward import evaluate

EXECUTED = "executed-float64"


def network(sizes, seed, scale=1.0, bias=1.0):
    """A dense network with MaxMin and ReLU in turn; the last bias takes back what the first one adds."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for i, (n, m) in enumerate(pairwise(sizes)):
        linear = nn.Linear(n, m).double()
        with torch.no_grad():
            linear.weight.copy_(scale * torch.randn(m, n, generator=generator, dtype=torch.float64))
            linear.bias.copy_(bias * torch.randn(m, generator=generator, dtype=torch.float64))
        parts += [linear, L.MaxMin() if i % 2 else nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def dense_layers(model):
    return [
        (m.weight.detach().double().tolist(), m.bias.detach().double().tolist()) if isinstance(m, nn.Linear) else m
        for m in model
    ]


def activate(module, values):
    if isinstance(module, nn.ReLU):
        return [v if v > 0 else 0 * v for v in values]
    half = len(values) // 2
    first, second = values[:half], values[half : 2 * half]
    pairs = list(zip(first, second, strict=True))
    return [max(p) for p in pairs] + [min(p) for p in pairs] + values[2 * half :]


def exactly(model, x):
    """The logits to 60 digits."""
    values = [mpmath.mpf(v) for v in x]
    for part in dense_layers(model):
        if isinstance(part, tuple):
            rows = zip(*part, strict=True)
            values = [mpmath.fsum(mpmath.mpf(w) * v for w, v in zip(row, values, strict=True)) + b for row, b in rows]
        else:
            values = activate(part, values)
    return values


def shuffled(model, x, generator):
    """The logits in float64, every sum taken in an order of its own, the bias anywhere in it."""
    values = [float(v) for v in x]
    for part in dense_layers(model):
        if isinstance(part, tuple):
            sums = []
            for row, b in zip(*part, strict=True):
                terms = [w * v for w, v in zip(row, values, strict=True)] + [b]
                total = 0.0
                for i in generator.permutation(len(terms)):
                    total += terms[i]
                sums.append(total)
            values = sums
        else:
            values = activate(part, values)
    return values


def deviation(computed, exact):
    return float(mpmath.sqrt(mpmath.fsum((c - e) ** 2 for c, e in zip(computed, exact, strict=True))))


@pytest.mark.parametrize("bias", [0.0, 1.0, 1e6, 1e10])
@pytest.mark.parametrize("radius", [1e-3, 1.0, 1e6])
def test_the_error_bound_holds_in_the_whole_ball(bias, radius):
    model = network((6, 8, 8, 4), 0, bias=bias)
    growth = growth_of(freeze(model, (6,)).network)
    generator = np.random.default_rng(0)
    ratios = []
    with mpmath.workdps(60):
        for _ in range(6):
            x = generator.random(6)
            logits, error = evaluate(growth.network, torch.from_numpy(x)[None])
            bound = float(error) + growth.value * radius
            assert deviation(logits[0].tolist(), exactly(model, x)) <= float(error)
            for _ in range(4):
                direction = generator.standard_normal(6)
                moved = x + direction * (radius / np.linalg.norm(direction) * (1 - 1e-12))
                exact = exactly(model, moved)
                for _ in range(3):
                    ratios.append(deviation(shuffled(model, moved, generator), exact) / bound)
    assert max(ratios) <= 1
    assert max(ratios) > 1e-4, "the bound is much looser than it was"


def test_the_error_bound_holds_for_every_operation():
    """Two float64 evaluations in the ball differ by at most twice the bound, whatever the network is made of."""
    for build in (small, rich, around):
        model, x = build().double(), samples(n=6).double()
        growth = growth_of(freeze(model, (2, 6, 6)).network)
        errors = evaluate(growth.network, x)[1]
        for radius in (1e-2, 10.0):
            step = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
            moved = x + step * (radius / step.flatten(1).norm(dim=1))[:, None, None, None]
            with torch.no_grad():
                other = model(moved)
            ours = evaluate(growth.network, moved)[0]
            assert bool(((ours - other).norm(dim=1) <= 2 * (errors + growth.value * radius)).all())


def overtaken(model, x, label, generator):
    """Does any summation order, or torch, give another class the largest logit?"""
    tries = [shuffled(model, x, generator) for _ in range(6)]
    with torch.no_grad():
        tries.append(model(torch.from_numpy(x)[None])[0].tolist())
    return any(z[label] <= max(v for j, v in enumerate(z) if j != label) for z in tries)


def twins():
    """Two classes with the same row, told apart by a bias that large inputs swallow."""
    model = nn.Sequential(nn.Linear(2, 3)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 1 / 3], [1.0, 1 / 3], [-1.0, 0.0]]))
        model[0].bias.copy_(torch.tensor([0.0, 2.0**-10, -1e9]))
    return model


def test_what_is_certified_in_real_arithmetic_can_flip_when_it_is_executed():
    model, x = twins(), torch.tensor([[0.5, 0.5]])
    real = certify(model, x, torch.tensor([1]))
    executed = certify(model, x, torch.tensor([1]), semantics=EXECUTED)
    generator = np.random.default_rng(0)
    far = np.array([0.5, 0.5]) + np.array([2.0**43, 2.0**42])
    # No input at all lets class 0 overtake class 1 in real arithmetic.
    assert real.class_radii[0, 0] == LARGEST_RADIUS
    assert overtaken(model, far, 1, generator)
    assert executed.class_radii[0, 0] < np.linalg.norm(far)
    assert executed.radii[0] > 1e3


def search(model, x, label, radius, generator):
    """Look for a flip among inputs at the border of the ball, their float64 neighbours and orders of summation."""
    slopes = []
    for part in range(3):
        point = torch.from_numpy(x).requires_grad_()
        logits = model(point[None])[0]
        others = [logits[label] - z for j, z in enumerate(logits) if j != label]
        slopes.append(torch.autograd.grad(others[part % len(others)], point)[0].numpy())
    directions = [-g for g in slopes if np.linalg.norm(g) > 0] + list(generator.standard_normal((6, len(x))))
    for direction in directions:
        moved = x + direction * (radius / np.linalg.norm(direction) * (1 - 1e-15))
        for _ in range(4):
            moved = np.nextafter(moved, generator.choice([-np.inf, np.inf], len(x)))
            inside = math.sqrt(math.fsum((moved - x) ** 2)) <= radius
            if inside and overtaken(model, moved, label, generator):
                return True
    return False


@pytest.mark.parametrize("bias", [0.0, 1e6, 1e10, 1e13])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e6])
def test_searches_find_nothing_in_executed_radii(bias, scale):
    generator = np.random.default_rng(1)
    n_certified = 0
    for seed in range(3):
        model = network((4, 6, 3), seed, scale=scale, bias=bias * scale)
        if seed == 2:
            with torch.no_grad():
                model[-1].weight[1:] = model[-1].weight[:1]
        x = torch.rand(2, 4, dtype=torch.float32, generator=torch.Generator().manual_seed(seed))
        labels = predictions(model, x.double())
        certificate = certify(model, x, labels, semantics=EXECUTED)
        for sample, label, radius in zip(x.double().numpy(), labels.tolist(), certificate.radii, strict=True):
            if radius > 0:
                n_certified += 1
                assert not search(model, sample, label, radius, generator)
    assert n_certified > 0 or bias >= 1e13


def test_executed_radii_are_below_real_ones_and_hardly_smaller_where_rounding_is_small(tmp_path):
    model, x = small(), samples(n=6)
    labels = predictions(model, x)
    real, executed = certify(model, x, labels), certify(model, x, labels, semantics=EXECUTED)
    assert (executed.radii <= real.radii).all()
    assert np.allclose(executed.radii, real.radii, rtol=1e-9)
    assert executed.semantics in executed.claim
    assert 0 < executed.growth < 1e-11
    assert real.growth == 0
    assert verify(executed.save(tmp_path)).semantics == EXECUTED


def test_rounding_that_could_decide_leaves_no_radius():
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
        model.bias.fill_(2.0**50)
    # The margin of 1/4 is two units in the last place of the logits.
    assert certify(model, torch.tensor([[0.75, 0.5]]), torch.tensor([0]), semantics=EXECUTED).radii[0] == 0


@pytest.mark.parametrize("numbers", [(1e200, 1e-200), (2.0**201, 1.0), (1e40, 1e40)])
def test_networks_that_might_overflow_have_no_radius(numbers):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)).double()
    with torch.no_grad():
        for layer, number in zip((model[0], model[2]), numbers, strict=True):
            layer.weight.copy_(number * torch.eye(2, dtype=torch.float64))
            layer.bias.zero_()
    growth = growth_of(freeze(model, (2,)).network)
    too_large = max(numbers) > 2.0**200
    assert (growth.value == math.inf) == too_large
    x = torch.tensor([[1.0, 0.5]])
    certificate = certify(model, x, torch.tensor([0]), semantics=EXECUTED)
    assert (certificate.radii[0] == 0) == too_large


class Divided(nn.Module):
    def __init__(self, number):
        super().__init__()
        self.register_buffer("number", torch.full((1, 1), number, dtype=torch.float64))

    def forward(self, x):
        return x / self.number


@pytest.mark.parametrize(
    "model",
    [
        L.Normalize([0.0, 0.0], [1e-70, 1.0], dtype=torch.float64),
        nn.Sequential(L.L2NormPool2d(2), L.Scale(2.0**300)),
        L.SoftHuber(1e-300),
        nn.Softplus(1e-70, 40),
        nn.Sequential(Divided(1.0), nn.CELU(1e-70)),
        Divided(1e-70),
        nn.Sequential(nn.LPPool2d(1, 2), L.Scale(1e-30), Divided(2.0**-201)),
    ],
)
def test_numbers_out_of_range_are_seen(model):
    assert growth_of(freeze(model, (2, 4, 4)).network).value == math.inf


def test_range_by_hand():
    growth = growth_of(freeze(nn.Sequential(L.Scale(2.0**100)), (2,)).network)
    assert stays_in_range(growth, 2.0**396)
    assert not stays_in_range(growth, 2.0**401)


def test_samples_out_of_reach_are_not_certified():
    errors = executed_errors(torch.ones(2), torch.tensor([[1.0, 1.0], [2.0**101, 0.0]], dtype=torch.float64))
    assert errors.tolist() == [pytest.approx(1.5), math.inf]


def test_a_ball_in_linf_is_in_a_larger_one_in_l2():
    growth = growth_of(freeze(nn.Linear(16, 2), (16,)).network)
    assert error_growth(growth, "l2") == pytest.approx(MARGIN * growth.value)
    assert error_growth(growth, "linf") == pytest.approx(4 * MARGIN * growth.value)


def test_growth_by_hand():
    model = nn.Sequential(L.Scale(3.0), nn.Flatten(), L.Scale(0.5)).double()
    growth = growth_of(freeze(model, (4,)).network)
    unit = 2.0**-53
    # Each product is off by u, for which 2 u are counted: (0.5 + u) 6 u + 3 u = 6 u.
    assert growth.value == pytest.approx(6 * unit, rel=1e-6)
    assert growth.lipschitz[growth.network.output] == pytest.approx(1.5)
