import pytest
import torch
from tests.attacks.digits import accuracy, trained
from tests.attacks.linear import linear

from onelip.attacks import bim
from onelip.attacks.ball import distances


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved
@pytest.mark.parametrize(("norm", "radius"), [("l2", 0.6), ("linf", 0.08)])
def test_changes_as_many_answers_as_the_oracles(norm, radius):
    import foolbox
    import torchattacks

    model, x, y = trained()
    if norm == "l2":
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
        attack = foolbox.attacks.L2BasicIterativeAttack(abs_stepsize=radius / 5, steps=10, random_start=False)
        theirs = attack(wrapped, x, y, epsilons=radius)[1]
    else:
        theirs = torchattacks.BIM(model, eps=radius, alpha=radius / 5, steps=10)(x, y)
    assert 0.1 < accuracy(model, theirs, y) < 0.9, "oracles that break all or nothing compare nothing"
    ours = bim(model, x, y, radius, norm=norm, steps=10, step_size=radius / 5)
    assert accuracy(model, ours, y) == pytest.approx(accuracy(model, theirs, y), abs=0.0101)
    assert bool((ours >= 0).all() & (ours <= 1).all())
    assert bool((distances(ours, x, norm) <= radius * (1 + 1e-6)).all())


def test_nothing_is_drawn_and_no_step_stays():
    model, x, y = linear()
    state = torch.get_rng_state()
    assert torch.equal(bim(model, x, y, 0.05), bim(model, x, y, 0.05))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(bim(model, x, y, 0.05, steps=0), x)
    assert torch.equal(bim(model, x, y, 0.0), x)


def test_steps_have_the_size_asked_for():
    model, x, y = linear()
    assert distances(bim(model, x, y, 0.5, steps=1, step_size=0.01), x, "linf").max() == pytest.approx(0.01, abs=1e-6)
    with pytest.raises(ValueError, match="step_size=-1"):
        bim(model, x, y, 0.5, step_size=-1.0)
    with pytest.raises(ValueError, match="steps=-1"):
        bim(model, x, y, 0.5, steps=-1)
