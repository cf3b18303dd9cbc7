import pytest
import torch
from tests.attacks.digits import accuracy, trained
from tests.attacks.linear import linear
from torch import nn

from onelip.attacks import bim, mim
from onelip.attacks.ball import distances


def test_changes_as_many_answers_as_the_oracle():
    import torchattacks

    model, x, y = trained()
    theirs = accuracy(model, torchattacks.MIFGSM(model, eps=0.08, alpha=0.016, steps=10, decay=1.0)(x, y), y)
    assert 0.1 < theirs < 0.9, "an oracle that breaks all or nothing compares nothing"
    ours = mim(model, x, y, 0.08, steps=10, step_size=0.016)
    # It keeps what it met on its way, of which the oracle returns the end.
    assert theirs - 0.02 <= accuracy(model, ours, y) <= theirs + 0.005
    assert bool((distances(ours, x, "linf") <= 0.08 * (1 + 1e-6)).all())


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_follows_the_published_steps(norm):
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x = 0.3 + 0.4 * torch.rand(5, 8, dtype=torch.float64)
    y = model(x).argmax(1)
    point, velocity = x.clone(), torch.zeros_like(x)
    for _ in range(4):
        point.requires_grad_()
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(point), y, reduction="sum"), point)
        velocity = 0.7 * velocity + gradient / gradient.abs().sum(1, keepdim=True)
        step = velocity.sign() if norm == "linf" else velocity / velocity.norm(dim=1, keepdim=True)
        point = (point + 1e-3 * step).detach()
    found = mim(model, x, y, 0.1, norm=norm, steps=4, step_size=1e-3, decay=0.7)
    still = model(point).argmax(1) == y
    assert bool(still.any())
    assert torch.allclose(found[still], point[still], atol=1e-12)


def test_without_decay_it_is_the_basic_method():
    model, x, y = trained()
    assert torch.equal(mim(model, x, y, 0.1, steps=5, decay=0.0), bim(model, x, y, 0.1, steps=5))
    assert not torch.equal(mim(model, x, y, 0.1, steps=5), bim(model, x, y, 0.1, steps=5))


def test_gradients_that_underflow_keep_their_direction():
    model, x, y = linear()
    tiny = nn.Linear(8, 4)
    tiny.load_state_dict({k: v * 1e-30 for k, v in model.state_dict().items()})
    assert float(distances(mim(tiny, x, y, 0.1, steps=3), x, "linf").max()) == pytest.approx(0.1, rel=1e-5)


def test_no_step_stays_and_bad_arguments_are_refused():
    model, x, y = linear()
    assert torch.equal(mim(model, x, y, 0.1, steps=0), x)
    with pytest.raises(ValueError, match="decay=-1"):
        mim(model, x, y, 0.1, decay=-1.0)
