import pytest
import torch
from tests.attacks.digits import accuracy, trained
from tests.attacks.linear import linear
from torch import nn

from onelip.attacks import fgsm
from onelip.attacks.ball import distances


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_closed_form_of_two_linear_classes(norm):
    model, x, y = linear(n_classes=2)
    # The cross-entropy rises along w_other - w_label, at every point.
    way = (model.weight[1 - y] - model.weight[y]).detach()
    step = way.sign() if norm == "linf" else way / way.norm(dim=1, keepdim=True)
    assert torch.allclose(fgsm(model, x, y, 0.05, norm=norm), x + 0.05 * step, atol=1e-6)
    # Far steps end at the sides of the box.
    assert torch.allclose(fgsm(model, x, y, 0.9, norm=norm), (x + 0.9 * step).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_closed_form_with_several_classes(norm):
    model, x, y = linear()
    p = model(x).softmax(1).detach()
    gradient = (p - nn.functional.one_hot(y, 4)) @ model.weight.detach()
    step = gradient.sign() if norm == "linf" else gradient / gradient.norm(dim=1, keepdim=True)
    assert torch.allclose(fgsm(model, x, y, 0.01, norm=norm), x + 0.01 * step, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved
@pytest.mark.parametrize(("norm", "radius"), [("l2", 0.7), ("linf", 0.1)])
def test_changes_as_many_answers_as_the_oracles(norm, radius):
    import foolbox
    import torchattacks

    model, x, y = trained()
    attack = foolbox.attacks.L2FastGradientAttack() if norm == "l2" else foolbox.attacks.LinfFastGradientAttack()
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    theirs = [accuracy(model, attack(wrapped, x, y, epsilons=radius)[1], y)]
    if norm == "linf":
        theirs.append(accuracy(model, torchattacks.FGSM(model, eps=radius)(x, y), y))
    assert 0.1 < theirs[0] < 0.9, "oracles that break all or nothing compare nothing"
    ours = fgsm(model, x, y, radius, norm=norm)
    assert theirs == pytest.approx([accuracy(model, ours, y)] * len(theirs), abs=0.005)
    assert bool((distances(ours, x, norm) <= radius * (1 + 1e-6)).all())


def test_pixels_are_attacked_though_the_model_standardises_them(standardised):
    model, x, y = standardised
    found = fgsm(model, x, y, 0.02)
    assert float((found - x).abs().max()) == pytest.approx(0.02, abs=1e-6)
    assert bool((found >= 0).all() & (found <= 1).all())
    with pytest.raises(ValueError, match="outside box"):
        fgsm(model[1], model[0](x), y, 0.02)


@pytest.fixture
def standardised():
    """A classifier of pixels whose first layer subtracts a mean and divides by a deviation, with images."""
    from onelip.layers import Normalize

    network, x, y = trained()
    return nn.Sequential(Normalize((0.3,), (0.25,)), network), x, y


def test_a_radius_of_zero_stays_and_every_sample_may_have_its_own():
    model, x, y = linear()
    assert torch.equal(fgsm(model, x, y, 0.0), x)
    radii = torch.linspace(0, 0.3, len(x))
    assert torch.allclose(distances(fgsm(model, x, y, radii), x, "linf").float(), radii, atol=1e-6)


def test_misclassified_samples_stay_and_bad_arguments_are_refused():
    model, x, y = linear()
    wrong = (y + 1) % 4
    assert torch.equal(fgsm(model, x, wrong, 0.1), x)
    with pytest.raises(ValueError, match="radius=-1"):
        fgsm(model, x, y, -1.0)
    with pytest.raises(ValueError, match="norm='l1'"):
        fgsm(model, x, y, 0.1, norm="l1")
