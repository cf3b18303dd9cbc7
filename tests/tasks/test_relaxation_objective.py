"""Training against relaxations: the formula, ramps, what is refused, and that it raises what is certified."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import onelip
from onelip import losses
from onelip.certify import relaxed_margins
from onelip.certify.relaxation.training import margin_estimates
from onelip.tasks import RelaxationObjective


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))


def test_the_loss_of_the_worst_logits_is_mixed_with_that_of_the_images():
    model, images, labels = network(), torch.rand(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    worst = -margin_estimates(model, images, labels, 0.1, norm="l2", method="kw")
    for weight in (0.0, 0.3, 1.0):
        objective = RelaxationObjective(radius=0.1, norm="l2", method="kw", weight=weight)
        loss, logits = objective(model, images, labels, F.cross_entropy)
        assert torch.equal(logits, model(images))
        expected = (1 - weight) * F.cross_entropy(logits, labels) + weight * F.cross_entropy(worst, labels)
        torch.testing.assert_close(loss, expected)


def test_radius_and_weight_follow_ramps():
    objective = RelaxationObjective(
        radius={"start": 0.0, "end": 0.2, "from": 0.2, "until": 0.6}, weight={"start": 0, "end": 0.5}
    )
    assert (objective.radius, objective.weight) == (0.0, 0.0)
    model, images, labels = network(), torch.rand(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    loss, logits = objective(model, images, labels, F.cross_entropy)
    assert torch.equal(loss, F.cross_entropy(logits, labels))
    objective.set_progress(0.4)
    assert objective.radius == pytest.approx(0.1)
    assert objective.weight == pytest.approx(0.2)
    objective.set_progress(1.0)
    assert objective.radius == 0.2


def test_a_loss_of_margins_asks_for_the_margin_in_the_whole_ball():
    # Once the loss is 0, every margin in the ball is at least that of the loss.
    torch.manual_seed(1)
    points, labels = torch.tensor([[0.2, 0.2], [0.8, 0.8]]).repeat(4, 1), torch.tensor([0, 1]).repeat(4)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    objective, loss = RelaxationObjective(radius=0.1, method="ibp"), losses.build("multi-margin", margin=0.5)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(100):
        optimizer.zero_grad()
        value, _ = objective(model, points, labels, loss)
        value.backward()
        optimizer.step()
    assert float(value.detach()) == 0
    network = onelip.certify(model, points, labels).network
    margins = relaxed_margins(network, points, labels, 0.1, norm="linf", method="ibp", constants=False)
    assert float(margins.amin()) > 0.5 - 1e-5


@pytest.mark.parametrize("method", ["crown-ibp", "kw"])
def test_it_certifies_more_than_ordinary_training(method):
    # Classes that differ strongly in a few pixels, and a little in many.
    torch.manual_seed(2)
    labels = torch.arange(64) % 2
    images = torch.cat([0.5 + 0.3 * (2 * labels[:, None] - 1) * torch.ones(64, 2), 0.5 * torch.ones(64, 14)], 1)
    images[:, 2:] += 0.03 * (2 * labels[:, None] - 1) + 0.02 * torch.randn(64, 14)
    found = []
    for weight in (0.0, 1.0):
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
        objective = RelaxationObjective(radius={"start": 0, "end": 0.2, "until": 0.5}, method=method, weight=weight)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for step in range(60):
            objective.set_progress(step / 60)
            optimizer.zero_grad()
            objective(model, images, labels, F.cross_entropy)[0].backward()
            optimizer.step()
        network = onelip.certify(model, images, labels).network
        margins = relaxed_margins(network, images, labels, 0.2, norm="linf", method=method, constants=False)
        found.append(float((margins.amin(1) > 0).double().mean()))
    assert found[0] < 0.2
    assert found[1] > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": -0.1}, "radius=-0.1 in RelaxationObjective must be >= 0"),
        ({"radius": {"start": 0.0, "end": -1.0}}, "radius=-1.0 in RelaxationObjective"),
        ({"radius": 0.1, "weight": 1.5}, r"weight=1.5 in RelaxationObjective must be in \[0, 1\]"),
        ({"radius": 0.1, "norm": "l1"}, "norm of RelaxationObjective 'l1'"),
        ({"radius": 0.1, "method": "dual"}, "method of RelaxationObjective 'dual'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        RelaxationObjective(**options)


def test_losses_of_constants_are_refused():
    with pytest.raises(ValueError, match="loss=EMMA takes Lipschitz constants"):
        RelaxationObjective(radius=0.1)(network(), torch.rand(2, 1, 2, 2), torch.tensor([0, 1]), losses.build("emma"))
