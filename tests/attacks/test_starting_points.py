import torch
from tests.attacks.digits import trained
from tests.attacks.nearest_points import Stubborn
from torch import nn

from onelip.attacks.starting_points import attacked_from, starting_points
from onelip.attacks.through_foolbox import misclassified


def test_points_are_misclassified_and_between_sample_and_noise():
    model, x, y = trained()
    torch.manual_seed(0)
    points, found = starting_points(model, x, y, (0.0, 1.0))
    assert bool(found.all())
    assert bool(misclassified(model, points, y).all())
    assert bool((points >= 0).all() & (points <= 1).all())


class Bright(nn.Module):
    """Says 1 where the mean is above 0.905, which noise of many pixels never is, else 0."""

    def forward(self, x):
        mean = x.flatten(1).mean(1)
        return torch.stack([0.905 - mean, mean - 0.905], 1)


def test_where_noise_is_of_the_class_other_images_are_tried():
    x = torch.full((2, 1, 8, 8), 0.5)
    points, found = starting_points(Bright(), x, torch.zeros(2, dtype=torch.int64), (0.0, 1.0))
    assert bool(found.all())
    # The first of 50 mixtures with the white image whose mean is above 0.905.
    assert torch.allclose(points, torch.tensor(0.5 + 0.5 * 41 / 50))


def test_other_samples_come_last():
    class Marked(nn.Module):
        """Says 1 where the first pixel is the mean of the others, which neither noise nor one value is."""

        def forward(self, x):
            is_marked = (x[:, 0] == 0.25) & (x[:, 1] == 0.75)
            return torch.stack([~is_marked, is_marked], 1).float()

    x = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    points, found = starting_points(Marked(), x, torch.tensor([0, 1]), (0.0, 1.0))
    assert bool(found.all())
    assert torch.equal(points[0], x[1])


def test_without_a_start_a_sample_is_left_alone():
    x, y = torch.rand(3, 4), torch.zeros(3, dtype=torch.int64)
    points, found = starting_points(Stubborn(), x, y, (0.0, 1.0))
    assert not bool(found.any())
    assert torch.equal(attacked_from(points, found, Stubborn(), y, lambda index, start: start + 1, x), x)


def test_only_starts_that_hold_in_their_batch_are_used():
    model, x, y = trained()
    points, found = starting_points(model, x[:4], y[:4], (0.0, 1.0))
    points[1] = x[1]
    used = []
    result = attacked_from(points, found, model, y[:4], lambda index, start: used.append(index) or start, x[:4])
    assert used[0].tolist() == [0, 2, 3]
    assert torch.equal(result, points)
