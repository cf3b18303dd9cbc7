"""Gradients of logits, against closed forms and finite differences."""

import pytest
import torch
from PIL import Image
from torch import nn

import onelip
from onelip.layers import BjorckLinear, MaxMin
from onelip.pictures import class_gradients


@pytest.fixture
def linear():
    """Logit k is <w_k, x>."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


def images_of(n, channels=3):
    return torch.rand(n, channels, 2, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("linf", 1)])
def test_the_gradients_of_a_linear_map_are_its_rows(linear, norm, order):
    found = class_gradients(linear, images_of(6), torch.tensor([0, 0, 1, 1, 2, 2]), norm=norm)
    rows = linear[1].weight.detach()
    assert found.classes == (0, 1, 2)
    for row in range(3):
        assert torch.allclose(found.gradients[row].flatten(1), rows)
        assert torch.allclose(found.norms[row], torch.linalg.vector_norm(rows.double(), ord=order, dim=1))


def test_the_first_image_that_is_right_is_taken(linear):
    x = images_of(40)
    answers = linear(x).argmax(1)
    labels = torch.where(torch.arange(40) < 20, (answers + 1) % 3, answers)
    found = class_gradients(linear, x, labels)
    for label, index, right in zip(found.classes, found.index, found.right, strict=True):
        good = [k for k in range(40) if labels[k] == label and answers[k] == label]
        expected = good[0] if good else labels.tolist().index(label)
        assert (index, right) == (expected, bool(good))
        assert torch.equal(found.images[found.classes.index(label)], x[index])


def test_they_are_slopes_of_the_network_and_no_longer_than_its_constant():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), BjorckLinear(12, 16), MaxMin(), BjorckLinear(16, 4)).double()
    x = images_of(8).double()
    found = class_gradients(model, x, torch.arange(8) % 4)
    step = 1e-6 * torch.rand(found.images.shape, dtype=torch.float64)
    with torch.no_grad():
        change = model(found.images + step) - model(found.images)
    predicted = (found.gradients * step[:, None]).flatten(2).sum(2)
    assert torch.allclose(change, predicted, atol=1e-10)
    assert float(found.norms.max()) <= onelip.lipschitz_bound(model, (3, 2, 2)).value


def test_an_orthogonal_network_of_one_width_has_gradients_of_norm_1():
    torch.manual_seed(4)
    model = nn.Sequential(
        nn.Flatten(), BjorckLinear(12, 12), MaxMin(), BjorckLinear(12, 12), MaxMin(), BjorckLinear(12, 4)
    )
    found = class_gradients(model, images_of(8), torch.arange(8) % 4)
    assert torch.allclose(found.norms, torch.ones(4, 4, dtype=torch.float64), atol=1e-5)


def test_of_many_classes_some_are_taken(linear):
    found = class_gradients(linear, images_of(6), torch.tensor([0, 0, 1, 1, 2, 2]), n_classes=2)
    assert found.classes == (0, 1)
    assert found.gradients.shape == (2, 2, 3, 2, 2)


def test_the_model_is_left_as_it_was(linear):
    linear.train()
    class_gradients(linear, images_of(6), torch.arange(6) % 3)
    assert linear.training
    assert linear[1].weight.grad is None


def test_what_cannot_be_is_refused(linear):
    with pytest.raises(ValueError, match="norm='l1' in class_gradients"):
        class_gradients(linear, images_of(2), torch.tensor([0, 1]), norm="l1")
    with pytest.raises(ValueError, match=r"images of shape \(0, 3, 2, 2\)"):
        class_gradients(linear, images_of(0), torch.tensor([], dtype=torch.int64))
    with pytest.raises(ValueError, match="labels hold 7 in class_gradients, but there are 3 logits"):
        class_gradients(linear, images_of(2), torch.tensor([0, 7]))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_grid_is_drawn_with_one_scale(tmp_path, channels):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4 * channels, 3))
    found = class_gradients(model, images_of(6, channels), torch.arange(6) % 3)
    largest = float(found.gradients.abs().max())
    assert 0.5 * largest < found.scale <= largest
    found.plot(tmp_path / "g.png", classes=("cat", "dog", "a very long name of a class"))
    with Image.open(tmp_path / "g.png") as picture:
        width, height = picture.size
    assert (width, height) == (round(200 * (0.3 + 1.08 * 4 + 0.1)), round(200 * (0.3 + 1.2 * 3 + 0.4)))


def test_a_constant_network_has_a_scale_too():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        model[1].weight.zero_()
    found = class_gradients(model, images_of(2, 1), torch.tensor([0, 1]))
    assert found.scale == 1.0
    assert float(found.norms.max()) == 0
