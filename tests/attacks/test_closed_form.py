"""Of two linear classes attack, certificate and the distance in closed form coincide."""

import numpy as np
import pytest
import torch
from torch import nn

from onelip.attacks import apgd, attack_curve, l2_pgd, linf_pgd
from onelip.attacks.pgd import margins
from onelip.certify import certify

CLOSE = 1e-4


@pytest.fixture(scope="module")
def halves():
    """A classifier of two classes, points on both sides, and weight and offset of its boundary in float64."""
    g = torch.Generator().manual_seed(3)
    # In numbers of float32, which certificates keep.
    weight = torch.randn(12, generator=g).double()
    model = nn.Linear(12, 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.stack([weight, -weight]) / 2)
        model.bias.copy_((torch.tensor([-0.5, 0.5]) * weight.sum() / 2).float().double())
    x = (0.3 + 0.4 * torch.rand(30, 12, generator=g)).double()
    return model.eval(), x, model(x).argmax(1), weight


def distance(halves, norm):
    model, x, y, weight = halves
    dual = {"l2": 2, "linf": 1}[norm]
    return (margins(model, x, y).numpy() / np.linalg.norm(weight.numpy(), ord=dual)).astype(np.float64)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_certificate_is_the_distance(halves, norm):
    model, x, y, _ = halves
    certificate = certify(model, x, y, norm=norm)
    truth = distance(halves, norm)
    np.testing.assert_allclose(certificate.radii, truth, rtol=CLOSE)
    assert (certificate.radii <= truth).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("kind", ["pgd", "apgd-ce", "apgd-margin"])
def test_attacks_succeed_just_outside_and_fail_just_inside(halves, norm, kind):
    model, x, y, _ = halves
    truth = torch.from_numpy(distance(halves, norm))

    def attack(radii):
        if kind == "pgd":
            return (l2_pgd if norm == "l2" else linf_pgd)(model, x, y, radii, steps=20, restarts=2)
        return apgd(model, x, y, radii, norm=norm, loss="ce" if kind == "apgd-ce" else "margin", steps=20)

    assert bool((margins(model, attack(truth * (1 + CLOSE)), y) < 0).all())
    assert bool((margins(model, attack(truth * (1 - CLOSE)), y) > 0).all())


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("attack", ["pgd", "apgd"])
def test_curves_fall_where_the_certificate_ends(halves, norm, attack):
    model, x, y, _ = halves
    certificate, truth = certify(model, x, y, norm=norm), distance(halves, norm)
    radii = np.quantile(truth, [0.2, 0.5, 0.8]).tolist()
    curve = attack_curve(
        model, x, y, radii, attack=attack, norm=norm, steps=20, restarts=2, certified=certificate.radii
    )  # fmt: skip
    assert list(curve.accuracy) == [float((truth > radius).mean()) for radius in radii]
    assert list(curve.accuracy) == [certificate.certified_accuracy(radius) for radius in radii]
