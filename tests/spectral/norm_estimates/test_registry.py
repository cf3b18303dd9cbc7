"""Every method keeps its claim against dense singular values, over a grid of layers, or says why it makes none."""

import itertools
import random

import pytest
import torch
from tests.spectral.norm_estimates import dense
from torch import nn

from onelip.layers import AOCConv2d
from onelip.spectral import NotApplicableError, norm_estimate, norm_estimates

MODES = ("zeros", "circular", "reflect", "replicate")
# Rounding of float64 in some hundred operations.
ROUNDING = 1e-10


def layers():
    grid = itertools.product((1, 2, 3, 5), (0, 1, 2, "same"), (1, 2, 3), (1, 2), (1, 2), MODES, ((6, 6), (7, 5)))
    for kernel, padding, stride, dilation, groups, mode, size in random.Random(0).sample(list(grid), 400):
        extent = dilation * (kernel - 1) + 1
        sides = extent - 1 if padding == "same" else 2 * padding
        fits = min(size) + sides >= extent and (mode != "reflect" or sides // 2 < min(size) - 1)
        if (padding == "same" and stride > 1) or not fits:
            continue
        torch.manual_seed(kernel + stride)
        yield (
            nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups, padding_mode=mode).double().eval(),
            (2, *size),
        )


def held(layer, input_shape, norm):
    applied = set()
    for name, method in norm_estimates().items():
        try:
            # A lower bound holds after any number of steps; few of them save time.
            steps = 3 if method.kind == "lower" else None
            value = float(norm_estimate(layer, name, input_shape, steps=steps))
        except NotApplicableError:
            continue
        applied.add(name)
        slack = ROUNDING * norm + 1e-14
        assert value >= norm - slack or method.kind == "lower", (name, layer, input_shape, value, norm)
        assert value <= norm + slack or method.kind == "upper", (name, layer, input_shape, value, norm)
    return applied


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_claims_hold_for_convolutions_of_every_kind():
    counts = dict.fromkeys(norm_estimates(), 0)
    total = 0
    for layer, input_shape in itertools.islice(layers(), 90):
        total += 1
        for name in held(layer, input_shape, dense.norm(layer, input_shape)):
            counts[name] += 1
    assert {name for name, count in counts.items() if count == total} == {"proved", "ryu", "singular-values", "svd"}
    assert {name for name, count in counts.items() if count == 0} == {"gram-dense", "power-dense"}
    assert counts["singla"] == counts["araujo"] == counts["gram-zero"] >= 40
    assert counts["sedghi"] == counts["gram-circular"] >= 10


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (1, 7), (5, 5)])
def test_claims_hold_for_dense_layers(shape):
    torch.manual_seed(0)
    layer = nn.Linear(*shape).double()
    names = held(layer, (shape[0],), dense.norm(layer, (shape[0],)))
    assert names == {"gram-dense", "power-dense", "proved", "ryu", "singular-values", "svd"}
    assert held(layer.weight, None, dense.norm(layer, (shape[0],))) == names


def test_claims_hold_for_any_affine_module():
    torch.manual_seed(0)
    bn = nn.BatchNorm2d(3).double()
    bn.running_mean.normal_()
    bn.running_var.uniform_(0.5, 2)
    layer = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1).double(), bn, nn.ConvTranspose2d(3, 2, 2).double())
    assert layer.training
    norm = dense.norm(layer.eval(), (2, 6, 5))
    layer.train()
    assert held(layer, (2, 6, 5), norm) == {"proved", "ryu", "singular-values", "svd"}
    assert layer.training
    assert bn.num_batches_tracked == 0


@pytest.mark.parametrize("layer", [nn.Conv1d(2, 3, 3, 2, 1), nn.Conv3d(1, 2, 2), AOCConv2d(2, 4, 3, padding=1)])
def test_other_layers(layer):
    layer = layer.double().eval()
    shape = {"Conv1d": (2, 9), "Conv3d": (1, 4, 3, 3)}.get(type(layer).__name__, (2, 6, 6))
    names = held(layer, shape, dense.norm(layer, shape))
    assert {"proved", "ryu", "singular-values", "svd"} <= names
    assert ("singla" in names) == (not isinstance(layer, nn.Conv3d))


def test_zero_layers_have_norm_zero():
    conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular").double()
    nn.init.zeros_(conv.weight)
    applied = held(conv, (2, 5, 5), 0.0)
    assert len(applied) == len(norm_estimates()) - 2
    for name in norm_estimates("upper").keys() & applied:
        weight = conv.weight.detach().requires_grad_()
        value = norm_estimate(weight, name, (2, 5, 5), padding=1, padding_mode="circular").value
        assert float(value.detach()) == 0.0
        (gradient,) = torch.autograd.grad(value, weight) if value.requires_grad else (torch.zeros(1),)
        assert bool(gradient.isfinite().all()), name


def test_bounds_of_every_size_hold_without_one():
    kernel = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    for name in ("singla", "singla-r", "singla-s", "singla-t", "singla-u", "araujo", "gram-zero", "proved"):
        for mode, stride in (("zeros", 1), ("zeros", 2), ("circular", 1), ("circular", 2)):
            geometry = {"padding": 1, "padding_mode": mode, "stride": stride}
            layer = nn.Conv2d(2, 3, 3, bias=False, **geometry).double()
            layer.weight.data = kernel
            value = float(norm_estimate(kernel, name, **geometry))
            assert value >= max(dense.norm(layer, (2, n, n)) for n in (2, 5, 6)) * (1 - ROUNDING), name
    for name in ("sedghi", "gram-circular", "ryu", "singular-values", "svd"):
        with pytest.raises(
            ValueError, match=f"input_shape=None for norm estimate '{name}', which is of one image size"
        ):
            norm_estimate(kernel, name, padding=1, padding_mode="circular")


@pytest.mark.parametrize("name", [n for n, m in norm_estimates().items() if m.differentiable and "dense" not in n])
def test_gradients_are_those_of_the_value(name):
    torch.manual_seed(3)
    kernel = torch.randn(3, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    options = {"padding": 1, "padding_mode": "circular"}
    (gradient,) = torch.autograd.grad(norm_estimate(kernel, name, (2, 4, 4), **options).value, kernel)
    direction = torch.randn_like(kernel)
    step = 1e-6 * direction
    ahead, behind = (float(norm_estimate(kernel.detach() + s, name, (2, 4, 4), **options)) for s in (step, -step))
    # The block method stops at 1e-4, which is that of its vectors to the power of two.
    tolerance = 2e-2 if name == "singular-values" else 1e-4
    assert float((gradient * direction).sum()) == pytest.approx((ahead - behind) / 2e-6, abs=tolerance)


@pytest.mark.parametrize("name", ["gram-dense", "power-dense", "svd"])
def test_gradients_of_dense_layers(name):
    torch.manual_seed(3)
    weight = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: norm_estimate(w, name).value, weight, atol=1e-4)


def test_what_is_listed():
    assert list(norm_estimates()) == sorted(norm_estimates())
    assert set(norm_estimates("exact")) == {"sedghi", "svd"}
    assert set(norm_estimates("lower")) == {"power-dense", "ryu", "singular-values"}
    assert len(norm_estimates("upper")) == len(norm_estimates()) - 5
    assert all(method.summary.endswith((".", "size.")) and method.paper for method in norm_estimates().values())


def test_the_best_of_a_kind_is_the_default():
    ring = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular").double()
    zero = nn.Conv2d(2, 3, 3, padding=1).double()
    assert norm_estimate(ring).method == norm_estimate(ring, input_shape=(2, 6, 6), kind="upper").method == "proved"
    assert norm_estimate(ring, input_shape=(2, 6, 6), kind="lower").method == "singular-values"
    assert norm_estimate(ring, input_shape=(2, 6, 6), kind="exact").method == "sedghi"
    assert norm_estimate(zero, input_shape=(2, 6, 6), kind="exact").method == "svd"
    with pytest.raises(NotApplicableError, match="too large"):
        norm_estimate(zero, input_shape=(2, 200, 200), kind="exact")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "singula"}, "norm estimate 'singula' is unknown; did you mean 'singla'"),
        ({"kind": "uper"}, "kind of norm estimate 'uper' is unknown; did you mean 'upper'"),
        ({"method": "ryu", "kind": "upper"}, "method='ryu' gives no 'upper' value of a norm but 'lower'; use one of a"),
        ({"method": "singla", "steps": 3}, "steps=3 for norm estimate 'singla', which has none; leave it out"),
        ({"method": "gram-zero", "steps": 0}, "steps=0 for norm estimate 'gram-zero' must be an integer >= 1"),
        ({"method": "gram-dense"}, "'gram-dense' is of dense layers and matrices, not of a 2-D convolution"),
        ({"method": "sedghi", "input_shape": (2, 5, 5)}, r"padding_mode='zeros' with \(1, 1\) makes 5 pixels of 5"),
        ({"input_shape": (3, 5, 5)}, r"input_shape=\(3, 5, 5\) does not fit a kernel of shape \(3, 2, 3, 3\)"),
        ({"stride": 2}, "stride=2 goes with a kernel alone; Conv2d has all of its geometry"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        norm_estimate(nn.Conv2d(2, 3, 3, padding=1), **arguments)
