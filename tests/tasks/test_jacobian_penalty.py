"""Norms of Jacobians against dense ones in float64, and the penalties that are made of them."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from onelip.layers import BjorckLinear, MaxMin
from onelip.tasks import (
    JacobianPenalty,
    PGDTraining,
    jacobian_frobenius_sq_estimate,
    jacobian_norm_estimate,
)


def network(outputs=5, kind="tanh"):
    torch.manual_seed(0)
    if kind == "bjorck":
        return nn.Sequential(nn.Flatten(), BjorckLinear(12, 8), MaxMin(), BjorckLinear(8, outputs)).double()
    if kind == "conv":
        parts = [nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, outputs)]
        return nn.Sequential(*parts).double()
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, outputs)).double()


def images(n=4):
    return torch.rand(n, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def dense(model, x):
    """One Jacobian (N, outputs, pixels) for each image, as the network evaluates, differentiable."""
    model.eval()
    rows = [torch.autograd.functional.jacobian(lambda a: model(a[None])[0], image, create_graph=True) for image in x]
    return torch.stack(rows).flatten(2)


@pytest.mark.parametrize("kind", ["tanh", "bjorck", "conv"])
@pytest.mark.parametrize("outputs", [1, 2, 7, 20])
def test_the_spectral_norm_is_that_of_the_dense_jacobian(outputs, kind):
    model = network(outputs, kind).train()
    found = jacobian_norm_estimate(model, images(), iterations=200, generator=torch.Generator().manual_seed(2))
    assert model.training
    expected = torch.linalg.matrix_norm(dense(model, images()), 2)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_its_gradient_is_that_of_the_dense_norm():
    model, x = network(), images()
    found = jacobian_norm_estimate(model, x, iterations=200).sum()
    expected = torch.linalg.matrix_norm(dense(model, x), 2).sum()
    for p in (model[1].weight, model[3].weight, model[1].bias):
        mine, other = (torch.autograd.grad(value, p, retain_graph=True)[0] for value in (found, expected))
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_it_is_never_above_the_norm_and_rises_with_the_iterations(iterations):
    model, x = network(8), images(16)
    exact = torch.linalg.matrix_norm(dense(model, x), 2)

    def found(n):
        return jacobian_norm_estimate(model, x, iterations=n, generator=torch.Generator().manual_seed(2))

    assert bool((found(iterations) <= exact * (1 + 1e-12)).all())
    assert bool((found(iterations + 1) >= found(iterations) * (1 - 1e-12)).all())


def test_where_the_jacobian_is_zero_the_norm_and_its_gradient_are():
    model = network()
    nn.init.zeros_(model[3].weight)
    norm = jacobian_norm_estimate(model, images())
    assert torch.equal(norm, torch.zeros(4, dtype=torch.float64))
    assert bool(torch.autograd.grad(norm.sum(), model[1].weight)[0].isfinite().all())


@pytest.mark.parametrize("kind", ["tanh", "bjorck", "conv"])
@pytest.mark.parametrize("projections", [5, 50])
def test_the_frobenius_norm_is_exact_with_as_many_projections_as_logits(projections, kind):
    model, x = network(5, kind), images()
    found = jacobian_frobenius_sq_estimate(model, x, projections=projections)
    expected = dense(model, x).square().sum((1, 2))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    if kind == "tanh":
        mine, other = (torch.autograd.grad(v.sum(), model[1].weight, retain_graph=True)[0] for v in (found, expected))
        torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("projections", [1, 3])
def test_with_fewer_it_is_right_on_average(projections):
    model, x = network(6), images(1).expand(4000, -1, -1, -1)
    found = jacobian_frobenius_sq_estimate(
        model, x, projections=projections, generator=torch.Generator().manual_seed(0)
    ).detach()
    expected = float(dense(model, images(1)).square().sum().detach())
    # Five standard errors.
    assert abs(float(found.mean()) - expected) < 5 * float(found.std()) / 4000**0.5
    assert float(found.std()) > 0


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (JacobianPenalty("spectral", 0.3, iterations=300), lambda j: 0.3 * torch.linalg.matrix_norm(j, 2).mean()),
        (JacobianPenalty("frobenius", 0.3, projections=5), lambda j: 0.15 * j.square().sum((1, 2)).mean()),
    ],
)
def test_the_penalty_is_added_to_the_loss(penalty, expected):
    model, x, y = network(), images(), torch.arange(4)
    total, logits = penalty(model, x, y, cross_entropy)
    torch.testing.assert_close(total, cross_entropy(model(x), y) + expected(dense(model, x)), rtol=1e-6, atol=0)
    assert torch.equal(logits, model(x))


def test_it_lowers_the_norm_of_what_it_trains():
    norms = []
    for weight in (None, 1.0):
        model, x, y = network(), images(), torch.arange(4)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(60):
            loss = cross_entropy(model(x), y)
            if weight is not None:
                loss, _ = JacobianPenalty("spectral", weight)(model, x, y, cross_entropy)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        norms.append(float(torch.linalg.matrix_norm(dense(model, x), 2).mean().detach()))
    assert norms[1] < 0.5 * norms[0]


def test_another_objective_may_be_the_base_and_is_told_everything():
    base = PGDTraining({"start": 0.1, "end": 0.3}, "l2", 2, seed=3)
    penalty = JacobianPenalty("frobenius", 0.1, base=base, seed=3)
    penalty.set_progress(0.5)
    penalty.set_batch(1, 2)
    model, x, y = network().float(), images().float(), torch.arange(4)
    first, _ = penalty(model, x, y, cross_entropy)
    assert base.adversary.radius == pytest.approx(0.2)
    again, _ = penalty(model, x, y, cross_entropy)
    assert torch.equal(first, again)
    penalty.set_batch(1, 3)
    assert not torch.equal(penalty(model, x, y, cross_entropy)[0], first)
    assert bool(first > base(model, x, y, cross_entropy)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "nuclear"}, "kind='nuclear'"),
        ({"weight": 0.0}, r"weight=0\.0"),
        ({"iterations": 0}, "iterations=0"),
        ({"projections": 1.5}, r"projections=1\.5"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        JacobianPenalty(**{"kind": "spectral", "weight": 1.0, **arguments})
