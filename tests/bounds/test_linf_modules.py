"""Exact constants in the maximum norm, from dense Jacobians, on both sides; and sign descent in certified balls."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onelip import layers as L
from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound, register_bound
from onelip.bounds.linf_modules import conv_linf_bound, linear_linf_bound
from onelip.bounds.registry import _MODULES, has_module_rule
from onelip.layers.conv_arguments import conv_arguments
from onelip.linalg import Bound


def row_sum(module, x):
    """The largest absolute row sum of the Jacobian at a sample, float64."""
    jacobian = torch.autograd.functional.jacobian(module.double().eval(), x.double()[None])
    return float(jacobian.reshape(-1, x.numel()).abs().sum(1).max())


def circular_transposed():
    weight = torch.randn(4, 2, 2, 3)
    arguments = conv_arguments("C", 4, 4, (2, 3), 1, "same", 1, 2, "circular")
    return L.CircularConvTranspose2d(weight, torch.randn(4), arguments)


LINEAR = {
    "linear": (lambda: nn.Linear(6, 3), (6,)),
    "linear rows": (lambda: nn.Linear(6, 3), (2, 6)),
    "conv": (lambda: nn.Conv2d(2, 4, 3), (2, 6, 5)),
    "padded": (lambda: nn.Conv2d(2, 4, 3, padding=1), (2, 6, 5)),
    "kernel beyond the image": (lambda: nn.Conv2d(2, 4, 5, padding=2), (2, 3, 2)),
    "grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2, stride=2, padding=1, dilation=2), (4, 9, 8)),
    "circular": (lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), (2, 6, 5)),
    "reflect": (lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), (2, 6, 5)),
    "same": (lambda: nn.Conv2d(2, 3, (1, 5), padding="same"), (2, 5, 5)),
    "conv1d": (lambda: nn.Conv1d(4, 4, 3, padding=2, groups=4), (4, 7)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2, padding=1), (2, 3, 3, 3)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (4, 4, 3)),
    "transposed 1d": (lambda: nn.ConvTranspose1d(3, 2, 4, stride=3), (3, 5)),
    "circular module": (
        lambda: L.CircularConv2d(torch.randn(3, 2, 3, 3), None, conv_arguments("C", 2, 3, 3, 1, 1, 1, 1, "circular")),
        (2, 4, 4),
    ),
    "circular transposed": (circular_transposed, (4, 4, 4)),
    "batch norm": (lambda: nn.BatchNorm2d(3), (3, 2, 2)),
    "normalize": (lambda: L.Normalize([0.1, 0.2], [0.5, 0.25]), (2, 3, 3)),
    "scale": (lambda: L.Scale(-3.0), (4,)),
    "average": (lambda: nn.AvgPool2d(3, 2, 1), (2, 6, 5)),
    "average without padding": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False, ceil_mode=True), (2, 6, 5)),
    "divided": (lambda: nn.AvgPool2d(2, divisor_override=3), (2, 4, 4)),
    "adaptive": (lambda: nn.AdaptiveAvgPool2d(3), (2, 7, 5)),
    "scaled average": (lambda: L.ScaledAvgPool2d(2), (2, 4, 4)),
    "adaptive scaled": (lambda: L.AdaptiveScaledAvgPool2d(3), (2, 7, 5)),
    "centering": (lambda: L.LayerCentering(3, bias=False), (3, 2, 2)),
    "centering rows": (lambda: L.LayerCentering(5, bias=False), (5,)),
    "shuffle": (lambda: nn.PixelUnshuffle(2), (2, 4, 4)),
    "padding": (lambda: nn.ReplicationPad2d(2), (2, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_linear_maps_have_the_row_sum_of_their_jacobian(name):
    torch.manual_seed(0)
    build, shape = LINEAR[name]
    module = build().eval()
    bound = lipschitz_bound(module, shape, norm="linf")
    exact = row_sum(module, torch.randn(shape))
    assert bound.proved
    assert bound.norm == "linf"
    assert exact * (1 - 1e-12) <= bound.value <= exact * (1 + 1e-9)


NONLINEAR = {
    "maxmin": (L.MaxMin, (6, 2, 2), 1),
    "groupsort": (lambda: L.GroupSort(3), (6,), 1),
    "full sort": (lambda: L.FullSort(6), (6,), 1),
    "maxout": (lambda: L.Maxout(2), (6,), 1),
    "abs": (L.Abs, (6,), 1),
    "n": (lambda: L.NActivation(6), (6,), 1),
    "soft huber": (lambda: L.SoftHuber(0.1), (6,), 1),
    "householder": (lambda: L.HouseHolder(6), (6,), 2**0.5),
    "householder2": (lambda: L.HouseHolder2(6), (6,), 2**0.5),
    "max pool": (lambda: nn.MaxPool2d(3, 1), (2, 5, 5), 1),
    "l2 pool": (lambda: L.L2NormPool2d(2), (2, 4, 4), 2),
    "adaptive l2 pool": (lambda: L.AdaptiveL2NormPool2d(2), (2, 4, 4), 2),
    "leaky": (lambda: nn.LeakyReLU(-2.0), (6,), 2),
    "sigmoid": (nn.Sigmoid, (6,), 0.25),
    "softmax": (lambda: nn.Softmax(1), (6,), 0.5),
    "additive": (lambda: L.AdditiveResidual(L.Scale(2.0), init=0.0), (6,), 1.5),
    "concat": (lambda: L.ConcatResidual(nn.Linear(3, 3)), (6,), None),
    "root mean square": (lambda: L.L2NormResidual(L.Scale(3.0)), (6,), 5**0.5),
    "convex": (lambda: L.ConvexResidual(nn.Identity(), L.Scale(2.0)), (6,), 1.5),
}  # fmt: skip


@pytest.mark.parametrize("name", NONLINEAR)
def test_no_jacobian_of_other_layers_exceeds_the_constant(name):
    torch.manual_seed(0)
    build, shape, value = NONLINEAR[name]
    module = build().eval()
    bound = lipschitz_bound(module, shape, norm="linf").value
    found = max(row_sum(module, size * torch.randn(shape)) for size in (0.1, 1.0, 10.0) for _ in range(4))
    assert found <= bound * (1 + 1e-12)
    assert found >= bound / 3
    if value is not None:
        assert bound == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e200])
def test_row_sums_at_any_scale(scale):
    weight = scale * torch.randn(3, 5, dtype=torch.float64)
    exact = float((weight / scale).abs().sum(1).max())
    assert exact <= linear_linf_bound(weight).value / scale * (1 + 1e-15)
    assert linear_linf_bound(weight).value / scale == pytest.approx(exact, rel=1e-12)
    assert linear_linf_bound(torch.zeros(2, 2)).value == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_weights_have_no_constant(value):
    with pytest.raises(ValueError, match="NaN or infinite"):
        linear_linf_bound(torch.full((2, 2), value))


def test_only_the_taps_that_reach_the_image_count():
    weight = torch.ones(1, 1, 3, 3)
    geometry = {"stride": (1, 1), "dilation": (1, 1), "pads": ((1, 1), (1, 1))}
    assert conv_linf_bound(weight, (1, 1), **geometry).value == pytest.approx(1)
    assert conv_linf_bound(weight, (2, 5), **geometry).value == pytest.approx(6)
    assert conv_linf_bound(weight, (1, 1), **geometry, mode="replicate").value == pytest.approx(9)


def test_layers_of_their_own_norm_keep_their_bound():
    model = nn.Sequential(L.LInfConv2d(2, 4, 3, padding=1), L.MaxMin(), nn.Flatten(), L.LInfLinear(64, 3))
    bound = lipschitz_bound(model, (2, 4, 4), norm="linf")
    assert bound.value <= 1 + 1e-12
    assert str(bound).splitlines()[-1].startswith("Lipschitz constant (linf) <= ")
    assert lipschitz_bound(model, (2, 4, 4)).norm == "l2"


def test_what_has_no_rule_is_named():
    with pytest.raises(UnknownLipschitzConstant, match=r"AOCConv2d at '1' .* in l_inf; .*, norm='linf'\)"):
        lipschitz_bound(nn.Sequential(nn.ReLU(), L.AOCConv2d(2, 2, 3, padding=1)), (2, 4, 4), norm="linf")
    with pytest.raises(ValueError, match="norm='l1' in lipschitz_bound must be 'l2' or 'linf'"):
        lipschitz_bound(nn.ReLU(), (2,), norm="l1")


class Doubled(nn.Module):
    def forward(self, x):
        return F.relu(2 * x)


def test_users_can_register_rules():
    register_bound(Doubled, lambda module, shape: Bound(2.0, True, "by hand"), norm="linf")
    assert has_module_rule(Doubled())
    assert lipschitz_bound(nn.Sequential(Doubled()), (3,), norm="linf").layers[0].bound.method == "by hand"
    with pytest.raises(ValueError, match="norm='linfty' in register_bound"):
        register_bound(Doubled, lambda module, shape: Bound(2.0, True, "by hand"), norm="linfty")


def test_whatever_module_of_torch_has_a_constant_in_l2_has_one_here():
    kinds = {kind for kind in _MODULES["l2"] if kind.__module__.startswith("torch.")}
    assert kinds <= set(_MODULES["linf"])
