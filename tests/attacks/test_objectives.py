import pytest
import torch

from onelip.attacks.objectives import margin, objective, slope

LOGITS = torch.tensor([[3.0, 1.0, 0.5, -2.0], [0.0, 2.0, -1.0, 1.0]], dtype=torch.float64)
Y, TARGET = torch.tensor([0, 3]), torch.tensor([2, 1])


def test_values_by_hand():
    assert margin(LOGITS, Y).tolist() == [2.0, -1.0]
    assert objective("margin", 4)(LOGITS, Y, TARGET).tolist() == [-2.0, 1.0]
    # -(3 - 1) / (3 - 0.5) and -(1 - 2) / (2 - 0).
    assert objective("dlr", 4)(LOGITS, Y, TARGET).tolist() == pytest.approx([-0.8, 0.5])
    # -(3 - 0.5) / (3 - (0.5 - 2) / 2) and -(1 - 2) / (2 - (0 - 1) / 2).
    assert objective("targeted-dlr", 4)(LOGITS, Y, TARGET).tolist() == pytest.approx([-2.5 / 3.75, 0.4])


def test_cross_entropy_rises_with_torchs_and_has_its_direction():
    z = LOGITS.clone().requires_grad_()
    ours = objective("ce", 4)(z, Y, TARGET)
    theirs = torch.nn.functional.cross_entropy(z, Y, reduction="none")
    assert torch.allclose(torch.log1p(ours.exp()), theirs)
    (a,), (b,) = torch.autograd.grad(ours.sum(), z), torch.autograd.grad(theirs.sum(), z)
    assert torch.allclose(torch.nn.functional.normalize(a), torch.nn.functional.normalize(b))


def test_cross_entropy_does_not_saturate():
    z = (1000 * LOGITS[:1]).requires_grad_()
    (gradient,) = torch.autograd.grad(objective("ce", 4)(z, Y[:1], TARGET[:1]).sum(), z)
    assert gradient[0].tolist() == pytest.approx([-1.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize("loss", ["dlr", "targeted-dlr"])
def test_ratios_of_differences_depend_on_neither_scale_nor_offset(loss):
    value = objective(loss, 4)(LOGITS, Y, TARGET)
    assert torch.allclose(objective(loss, 4)(1e-200 * (LOGITS + 7), Y, TARGET), value)


def test_ties_give_no_nan():
    for loss in ("ce", "dlr", "margin", "targeted-dlr"):
        assert not bool(objective(loss, 4)(torch.zeros(2, 4), Y, TARGET).isnan().any())


def test_too_few_classes_and_unknown_losses():
    with pytest.raises(ValueError, match="loss='dlr' needs at least 3 classes, not 2"):
        objective("dlr", 2)
    with pytest.raises(ValueError, match="loss='cw' of an attack must be one of ce, dlr"):
        objective("cw", 5)


@pytest.mark.parametrize("loss", ["ce", "dlr", "margin", "targeted-dlr", lambda z, y: z.square().sum(1)])
def test_slopes_are_those_of_autograd(loss):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(50, 7, dtype=torch.float64, generator=generator).requires_grad_()
    y, target = (torch.randint(7, (50,), generator=generator) for _ in range(2))
    function = objective(loss, 7)
    value = function(z, y, target)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    found = slope(function, z, y, target)
    assert torch.allclose(found.value, value)
    assert torch.allclose(found.gradient, gradient)
    assert torch.equal(found.margin, margin(z, y))
    assert not found.value.requires_grad


@pytest.mark.parametrize("loss", ["ce", "dlr", "margin", "targeted-dlr"])
def test_slopes_of_huge_logits_and_ties_are_numbers(loss):
    for z in (1e30 * LOGITS, torch.zeros(2, 4), torch.full((2, 4), 1e30)):
        found = slope(objective(loss, 4), z, Y, TARGET)
        assert bool(found.gradient.isfinite().all())
        assert bool(found.value.isfinite().all())
