"""Lower bounds are below the truth in exact arithmetic, at scales where rounding decides."""

from fractions import Fraction

import mpmath
import pytest
import torch
from tests.certify.relaxation.dense import exact, frozen
from torch import nn

from onelip.certify.relaxation import relaxed_margins
from onelip.certify.relaxation.backward import Enclosures
from onelip.certify.relaxation.program import rewrite
from onelip.certify.relaxation.region import make_region, values_at

SCALES = [
    (1.0, 1.0),
    (1.0, 1e8),
    (1.0, 1e15),
    (1e-8, 1e6),
    (1e60, 1e70),
    (1e-150, 1e-149),
    (1e-200, 1.0),
    (1e-310, 1e-310),
]


def _model(weights, biases, depth, seed):
    torch.manual_seed(seed)
    layers = []
    for i in range(depth):
        linear = nn.Linear(3, 3).double()
        linear.weight.data.mul_(weights)
        linear.bias.data.mul_(biases)
        layers += [nn.ReLU(), linear] if i else [linear]
    return nn.Sequential(*layers)


def _exact_logits(model, x):
    for layer in model:
        if isinstance(layer, nn.Linear):
            weight, bias = exact(layer.weight), exact(layer.bias)
            x = [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)]
        else:
            x = [max(v, Fraction(0)) for v in x]
    return x


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(("method", "constants"), [("crown", True), ("kw", False), ("crown-ibp", False), ("ibp", True)])
def test_no_point_of_the_ball_is_below_the_bound(scales, depth, method, constants):
    model = _model(*scales, depth, seed=depth)
    network = frozen(model, (3,))
    x = torch.rand(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.tensor([0, 1])
    # The ball of radius 0 leaves nothing but rounding; corners of a cross are in both kinds of balls.
    for radius, norm in ((0.0, "l2"), (0.1, "l2"), (0.1, "linf")):
        found = relaxed_margins(network, x, labels, radius, norm=norm, method=method, constants=constants)
        # The square of a coefficient overflows at most in one of the settings.
        assert bool(torch.isfinite(found[0, 1:]).all()) or (scales[0] == 1e60 and depth == 3)
        for i, axis in ((0, 0), (1, 2)):
            for sign in (-1, 0, 1):
                point = exact(x[i])
                point[axis] += sign * Fraction(radius)
                logits = _exact_logits(model, point)
                for j in range(3):
                    if j != labels[i] and found[i, j] > -torch.inf:
                        assert Fraction(found[i, j].item()) <= logits[labels[i]] - logits[j]


@pytest.mark.parametrize("between", [[], [nn.ReLU()]], ids=["linear", "relu"])
def test_offsets_that_cancel_leave_their_rounding(between):
    # Offsets of 1e15 are off by about 0.1 when they meet their opposites; the result is of size 1.
    below = 0
    for seed in range(20):
        torch.manual_seed(seed)
        first, second, third = (nn.Linear(3, 3).double() for _ in range(3))
        first.bias.data = 1e15 * torch.rand(3, dtype=torch.float64) + 1e14
        second.bias.data = -(second.weight @ first.bias).detach()
        model, x = nn.Sequential(first, *between, second, third), torch.rand(1, 3, dtype=torch.float64)
        found = relaxed_margins(frozen(model, (3,)), x, torch.tensor([0]), 0.0)
        logits = _exact_logits(model, exact(x[0]))
        for j in (1, 2):
            assert Fraction(found[0, j].item()) <= logits[0] - logits[j]
            assert logits[0] - logits[j] - Fraction(found[0, j].item()) < 1000
        computed = model(x)[0]
        below += int(Fraction((computed[0] - computed[1]).item()) > logits[0] - logits[1])
    assert below > 3


@pytest.mark.parametrize("scales", SCALES[:5])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_linear_network_has_the_exact_minimum(scales, norm):
    model = _model(*scales, 1, seed=0)
    x = torch.rand(1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = relaxed_margins(frozen(model, (3,)), x, torch.tensor([0]), 0.3, norm=norm, constants=False)
    logits, weight = _exact_logits(model, exact(x[0])), exact(model[0].weight)
    mpmath.mp.prec = 300
    for j in (1, 2):
        row = [a - b for a, b in zip(weight[0], weight[j], strict=True)]
        parts = [mpmath.mpf(abs(r).numerator) / abs(r).denominator for r in row]
        length = mpmath.sqrt(sum(p**2 for p in parts)) if norm == "l2" else sum(parts)
        value = logits[0] - logits[j]
        least = mpmath.mpf(value.numerator) / value.denominator - mpmath.mpf(0.3) * length
        bound = mpmath.mpf(found[0, j].item())
        assert bound <= least
        assert least - bound <= 1e-13 * (scales[0] + scales[1])


def test_numbers_that_overflow_prove_nothing():
    for value in (1e300, torch.inf, torch.nan):
        model = _model(1.0, 1.0, 3, seed=0)
        model[2].weight.data[1, 1] = value
        network = frozen(_model(1.0, 1.0, 3, seed=0), (3,))
        broken = [n for n in network.nodes if n.op == "linear"][1]
        broken.tensors["weight"][1, 1] = value
        found = relaxed_margins(network, torch.rand(2, 3), torch.tensor([0, 1]), 1e200 if value == 1e300 else 0.1)
        assert not bool((found[torch.isfinite(found)] > -1e200).any())
        assert not bool(found.isnan().any())


def test_boxes_of_crown_are_inside_those_of_ibp():
    network = frozen(_model(1.0, 1.0, 3, seed=0), (3,))
    program, x = rewrite(network), torch.rand(4, 3, dtype=torch.float64)
    region = make_region(program, values_at(program, x), torch.full((4,), 0.5).double(), "linf", False)
    boxes = {}
    for method in ("ibp", "crown"):
        found = Enclosures(program, region, method, "adaptive", False)
        found.enclose()
        boxes[method] = found.boxes
    narrower = 0
    for name, box in boxes["ibp"].items():
        own = boxes["crown"][name]
        assert bool(((own.lower >= box.lower - 1e-12) & (own.upper <= box.upper + 1e-12)).all())
        narrower += int(bool((own.lower > box.lower + 1e-3).any()))
    assert narrower
