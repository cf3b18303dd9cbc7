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
    found = nearest_adversarial(model, x, y, max_radius=0.5)
    assert float(found.distances[0]) == pytest.approx(0.2 / 2**0.5, rel=1e-2)
    assert torch.isinf(found.distances[1])
    assert torch.equal(found.images[1], x[1])
    assert float(found.distances[2]) == 0.0


def test_never_below_the_true_distance(halfspace):
    model, x, y = halfspace
    found = nearest_adversarial(model, x[:1], y[:1], max_radius=0.5)
    assert float(found.distances[0]) >= 0.2 / 2**0.5 - 1e-6
    assert int(model(found.images).argmax()) == 1
