"""Margins for training are those that are proved, but for rounding, and move with the weights as they should."""

import pytest
import torch
from torch import nn

import onelip
from onelip.certify import relaxed_margins
from onelip.certify.relaxation.training import margin_estimates
from onelip.layers import AOLConv2d, BjorckLinear, InvertibleDownsampling2d, MaxMin, Normalize, ReLU

CASES = [(norm, method) for norm in ("l2", "linf") for method in ("ibp", "crown-ibp", "kw")]


def convolutional():
    torch.manual_seed(1)
    return nn.Sequential(
        Normalize([0.4], [0.5]),
        nn.Sequential(nn.Conv2d(1, 3, 4, 2, 1), nn.ReLU(), nn.Conv2d(3, 4, 3, padding="same", bias=False)),
        ReLU(),
        nn.Flatten(),
        nn.Linear(64, 12),
        nn.Linear(12, 12),
        nn.ReLU(),
        nn.Identity(),
        nn.Linear(12, 5),
    )


def constrained():
    torch.manual_seed(2)
    return nn.Sequential(
        InvertibleDownsampling2d(2), AOLConv2d(4, 6, 3, padding=1), ReLU(), nn.Flatten(), BjorckLinear(96, 8),
        nn.ReLU(), BjorckLinear(8, 4),
    )  # fmt: skip


def proved(model, images, labels, radius, norm, method):
    certificate = onelip.certify(model, images, labels)
    margins = relaxed_margins(
        certificate.network, images.double(), labels, radius, norm=norm, method=method, constants=False
    )
    return margins.scatter(1, labels[:, None], 0.0)


@pytest.mark.parametrize("radius", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("make", [convolutional, constrained])
def test_margins_are_the_proved_ones_up_to_rounding(make, radius):
    model = make().eval()
    images, labels = torch.rand(6, 1, 8, 8), torch.tensor([0, 1, 2, 3, 0, 1])
    for norm, method in CASES:
        expected = proved(model, images, labels, radius, norm, method)
        found = margin_estimates(model, images, labels, radius, norm=norm, method=method).double()
        # A hundred float32 operations on the way of numbers of this size.
        size = 1 + float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * size)
        assert bool((found[torch.arange(6), labels] == 0).all())


@pytest.mark.parametrize(("norm", "method"), CASES)
def test_no_point_of_the_ball_has_a_smaller_margin(norm, method):
    model = convolutional().eval()
    x, labels = torch.rand(1, 1, 8, 8), torch.tensor([2])
    least = margin_estimates(model, x, labels, 0.1, norm=norm, method=method)[0]
    steps = torch.randn(200, 1, 8, 8)
    steps = steps / steps.flatten(1).norm(dim=1)[:, None, None, None] if norm == "l2" else steps.sign()
    logits = model(x + 0.1 * steps)
    assert bool((logits[:, 2:3] - logits >= least - 1e-5).all())


@pytest.mark.parametrize(("norm", "method"), CASES)
def test_gradients_are_those_of_finite_differences(norm, method):
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3)
    ).double()
    images, labels = torch.rand(2, 1, 3, 3, dtype=torch.float64), torch.tensor([0, 2])
    names, values = zip(*((name, p.detach()) for name, p in model.named_parameters()), strict=True)

    def total(*parameters):
        for name, value in zip(names, parameters, strict=True):
            owner, _, key = name.rpartition(".")
            module = model.get_submodule(owner)
            module._parameters.pop(key, None)
            setattr(module, key, value)
        return margin_estimates(model, images, labels, 0.07, norm=norm, method=method).sum()

    assert torch.autograd.gradcheck(total, tuple(v.clone().requires_grad_() for v in values))


def test_methods_tighten():
    model = convolutional().eval()
    images, labels = torch.rand(6, 1, 8, 8), torch.tensor([0, 1, 2, 3, 0, 1])
    means = [margin_estimates(model, images, labels, 0.05, method=m).mean() for m in ("ibp", "crown-ibp", "kw")]
    assert means[0] < means[1] < means[2]


def test_what_is_refused():
    x, y = torch.rand(2, 4), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="MaxMin has no relaxation for training; use chains of dense layers"):
        margin_estimates(nn.Sequential(nn.Linear(4, 4), MaxMin(), nn.Linear(4, 2)), x, y, 0.1)
    for options, message in (({"norm": "l3"}, "norm of margin_estimates 'l3'"), ({"method": "lp"}, "'lp'")):
        with pytest.raises(ValueError, match=message):
            margin_estimates(nn.Linear(4, 2), x, y, 0.1, **options)
