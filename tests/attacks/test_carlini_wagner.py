import sys

import numpy as np
import pytest
import torch
from tests.attacks import linear as exact
from tests.attacks.digits import trained
from tests.attacks.linear import linear
from torch import nn

from onelip.attacks import carlini_wagner
from onelip.attacks.pgd import margins

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved

QUICK = {"steps": 100, "binary_search_steps": 3, "initial_const": 0.1}


def test_distance_of_two_linear_classes_is_margin_over_norm():
    model, x, y = linear(n_classes=2)
    truth = exact.distances(model, x, y).double()
    points, distance = carlini_wagner(model, x, y, steps=200, binary_search_steps=4, initial_const=1.0)
    assert bool((distance >= truth * (1 - 1e-5)).all())
    assert bool((distance <= truth * 1.1 + 0.005).all())
    assert bool((margins(model, points, y) < 0).all())


def test_is_as_strong_as_the_oracle_at_the_same_constant():
    import torchattacks

    model, x, y = trained()
    theirs = torchattacks.CW(model, c=0.5, kappa=0, steps=100, lr=0.01)(x, y)
    wrong = margins(model, theirs, y) < 0
    lengths = (theirs - x).flatten(1).norm(dim=1)[wrong]
    _, distance = carlini_wagner(model, x, y, steps=100, binary_search_steps=1, initial_const=0.5)
    assert 0.1 < float(wrong.float().mean()) < 0.98, "an oracle that breaks all or nothing compares nothing"
    assert float(distance.isfinite().float().mean()) == pytest.approx(float(wrong.float().mean()), abs=0.005)
    assert float(distance[wrong].median()) == pytest.approx(float(lengths.median()), rel=0.02)


def test_points_are_in_the_box_misclassified_and_as_far_as_is_said():
    model, x, y = trained()
    x, y = x[:20], y[:20]
    points, distance = carlini_wagner(model, x, y, **QUICK)
    found = distance.isfinite()
    assert bool((points >= 0).all() & (points <= 1).all())
    assert bool(found.any())
    assert bool((margins(model, points, y)[found] < 0).all())
    exactly = np.linalg.norm((points.double() - x.double()).flatten(1).numpy(), axis=1)
    assert distance[found].numpy() == pytest.approx(exactly[found], rel=1e-12)
    assert torch.equal(points[~found], x[~found])


def test_more_confidence_goes_farther_and_a_larger_constant_finds_more():
    model, x, y = trained()
    x, y = x[:20], y[:20]
    one = {"steps": 60, "binary_search_steps": 1, "step_size": 0.02}
    _, near = carlini_wagner(model, x, y, initial_const=10.0, **one)
    points, far = carlini_wagner(model, x, y, initial_const=10.0, confidence=1.0, **one)
    _, weak = carlini_wagner(model, x, y, initial_const=0.02, **one)
    both = near.isfinite() & far.isfinite()
    assert int(both.sum()) > 10
    assert bool((far > near)[both].all())
    assert bool((margins(model, points, y)[far.isfinite()] <= -1.0 + 1e-4).all())
    assert int(weak.isfinite().sum()) < int(near.isfinite().sum())


def test_where_nothing_is_found_the_zero_image_does_not_count():
    # The point 0 is misclassified, but no point that the search has seen is: it had no steps.
    model = nn.Linear(2, 2, bias=True)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        model.bias.copy_(torch.tensor([0.0, 0.1]))
    x, y = torch.tensor([[0.5, 0.5], [0.0, 0.0]]), torch.tensor([0, 0])
    points, distance = carlini_wagner(model, x, y, steps=0)
    assert torch.equal(points, x)
    assert distance.tolist() == [float("inf"), 0.0]


def test_leaves_the_model_and_the_callers_modes_as_they_were():
    model, x, y = linear()
    model.train()
    state = torch.get_rng_state()
    with torch.no_grad():
        _, distance = carlini_wagner(model, x, y, **QUICK)
    assert bool(distance.isfinite().any())
    assert model.training
    assert model.weight.requires_grad
    assert model.weight.grad is None
    assert torch.equal(torch.get_rng_state(), state)


def test_without_foolbox_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "foolbox", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs foolbox; install it with: pip install 'onelip\[attacks\]'"):
        carlini_wagner(*linear())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": -1}, "steps=-1"),
        ({"binary_search_steps": 0}, "binary_search_steps=0"),
        ({"confidence": -0.1}, "confidence=-0.1"),
        ({"initial_const": 0.0}, "initial_const=0.0"),
        ({"step_size": float("nan")}, "step_size=nan"),
        ({"box": (0.0, float("inf"))}, "finite"),
        ({"box": (0.5, 1.0)}, "outside box"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        carlini_wagner(*linear(), **options)
