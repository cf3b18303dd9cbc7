import pytest
import torch
from torch import nn

from onelip.attacks import nearest_adversarial


@pytest.fixture
def halfspace():
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    # The boundary is the diagonal; the distance of (a, b) to it is |a - b| / sqrt 2.
    x = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.3, 0.5]])
    return model, x, torch.tensor([0, 0, 0])


def test_distances_match_the_closed_form(halfspace):
    model, x, y = halfspace
    images, distances = nearest_adversarial(model, x, y, max_radius=0.5)
    assert float(distances[0]) == pytest.approx(0.2 / 2**0.5, rel=1e-2)
    assert torch.isinf(distances[1])
    assert torch.equal(images[1], x[1])
    assert float(distances[2]) == 0.0


def test_never_below_the_true_distance(halfspace):
    model, x, y = halfspace
    images, distances = nearest_adversarial(model, x[:1], y[:1], max_radius=0.5)
    assert float(distances[0]) >= 0.2 / 2**0.5 - 1e-6
    assert int(model(images).argmax()) == 1


def test_several_classes_within_a_few_per_cent():
    g = torch.Generator().manual_seed(0)
    model = nn.Linear(50, 4)
    with torch.no_grad():
        model.weight.copy_(torch.randn(4, 50, generator=g))
        model.bias.zero_()
    x = 0.4 + 0.2 * torch.rand(32, 50, generator=g)
    with torch.no_grad():
        logits, w = model(x), model.weight
    y = logits.argmax(1)
    gaps = logits.gather(1, y[:, None]) - logits
    exact = (gaps / (w[y][:, None] - w).norm(dim=2).clamp_min(1e-12)).scatter(1, y[:, None], torch.inf).amin(1)
    _, distances = nearest_adversarial(model, x, y, max_radius=0.5, steps=15, restarts=1, generator=g)
    near = exact < 0.5
    assert bool((distances[near] <= exact[near] * 1.05).all())
    assert bool((distances >= exact * (1 - 1e-5)).all())


@pytest.mark.parametrize(("name", "value"), [("max_radius", 0.0), ("max_radius", float("inf")), ("n_radii", 0)])
def test_bad_arguments(halfspace, name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        nearest_adversarial(*halfspace, **{"max_radius": 1.0, name: value})
