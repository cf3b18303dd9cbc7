"""AggMo against the paper's equations."""

import numpy as np
import pytest
import torch
from tests.optim.problems import (
    assert_leaves_parameters_without_gradient,
    assert_resumes_exactly,
    gradient_of,
    parameters,
)

from onelip.optim import AggMo

SHAPES = ((3, 4), (2,))


def test_is_the_pseudo_code():
    (p,) = parameters((5,))
    theta, betas, lr, decay = p.detach().numpy().copy(), (0.0, 0.9, 0.99), 0.05, 0.1
    optimizer = AggMo([p], lr=lr, betas=betas, weight_decay=decay)
    velocities = [np.zeros(5) for _ in betas]
    for i in range(10):
        p.grad = gradient_of(p, i)
        optimizer.step()
        noise = torch.randn(5, generator=torch.Generator().manual_seed(i), dtype=torch.float64).numpy()
        gradient = 0.5 * theta + noise + decay * theta
        velocities = [beta * v - gradient for beta, v in zip(betas, velocities, strict=True)]
        theta = theta + lr / len(betas) * sum(velocities)
        np.testing.assert_allclose(p.detach().numpy(), theta, atol=1e-13)


def test_one_zero_damping_is_gradient_descent():
    p = torch.nn.Parameter(torch.ones(1))
    optimizer = AggMo([p], lr=0.5, betas=(0.0,))
    for _ in range(3):
        p.grad = p.detach().clone()
        optimizer.step()
    assert p.item() == 0.125


def test_resumes_exactly():
    assert_resumes_exactly(AggMo, SHAPES)


def test_leaves_parameters_without_gradient():
    assert_leaves_parameters_without_gradient(AggMo, SHAPES)


def test_groups_have_their_own_rates():
    a, b = parameters((2,), (2,))
    optimizer = AggMo([{"params": [a]}, {"params": [b], "lr": 0.0 + 1e-30}], lr=1.0)
    before = b.detach().clone()
    for p in (a, b):
        p.grad = torch.ones_like(p)
    optimizer.step()
    torch.testing.assert_close(b.detach(), before)
    assert optimizer.step(lambda: 3.0) == 3.0


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"betas": (1.0,)}, {"betas": ()}, {"weight_decay": -1.0}])
def test_refuses(options):
    ((name, _),) = options.items()
    with pytest.raises(ValueError, match=f"{name}="):
        AggMo(parameters((2,)), **options)
