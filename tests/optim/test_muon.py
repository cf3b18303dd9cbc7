"""Muon against a transcription with singular values, and which parameters it takes."""

import numpy as np
import pytest
import torch
from tests.optim.problems import (
    assert_leaves_parameters_without_gradient,
    assert_resumes_exactly,
    gradient_of,
    parameters,
)
from torch import nn

from onelip import layers
from onelip.optim import Muon
from onelip.optim.muon import hidden_matrices


def make(of):
    return Muon([{"params": of[:2], "shapes": [(1, 4, 6), (1, 3, 4)]}, {"params": of[2:]}], lr=0.05, weight_decay=0.1)


SHAPES = ((4, 3, 1, 2), (3, 4), (5,))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(4, 3), (3, 5)])
def test_is_the_pseudo_code(shape, nesterov):
    (p,) = parameters(shape)
    w, m, lr, mu, decay = p.detach().numpy().copy(), np.zeros(shape), 0.1, 0.9, 0.2
    group = {"params": [p], "shapes": [(1, *shape)]}
    optimizer = Muon([group], lr=lr, momentum=mu, nesterov=nesterov, weight_decay=decay, steps=12)
    for i in range(10):
        p.grad = gradient_of(p, i)
        optimizer.step()
        gradient = 0.5 * w + torch.randn(shape, generator=torch.Generator().manual_seed(i), dtype=torch.float64).numpy()
        m = mu * m + gradient
        u, _, vt = np.linalg.svd(gradient + mu * m if nesterov else m, full_matrices=False)
        w = (1 - lr * decay) * w - lr * np.sqrt(max(1, shape[0] / shape[1])) * u @ vt
        np.testing.assert_allclose(p.detach().numpy(), w, atol=1e-9)


def test_no_step_is_longer_than_its_rate():
    """Few steps of the iteration leave singular values below 1, never above."""
    (p,) = parameters((8, 8), dtype=torch.float32)
    for steps in (1, 2, 3, 5):
        optimizer = Muon([{"params": [p], "shapes": [(1, 8, 8)]}], lr=1.0, steps=steps)
        before = p.detach().clone()
        p.grad = gradient_of(p, steps)
        optimizer.step()
        assert torch.linalg.matrix_norm((p.detach() - before).double(), 2) <= 1 + 1e-5


def test_matrices_of_one_size_share_a_batch_without_mixing():
    shapes = ((3, 3), (3, 3), (2, 3, 3))
    together, alone = parameters(*shapes), parameters(*shapes)
    sizes = [(1, 3, 3), (1, 3, 3), (2, 3, 3)]
    optimizers = [Muon([{"params": together, "shapes": sizes}])]
    optimizers += [Muon([{"params": [p], "shapes": [s]}]) for p, s in zip(alone, sizes, strict=True)]
    for i in range(3):
        for p in (*together, *alone):
            p.grad = gradient_of(p, i)
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(together, alone, strict=True):
        torch.testing.assert_close(p, q, atol=1e-7, rtol=0)


def test_resumes_exactly():
    assert_resumes_exactly(make, SHAPES)


def test_leaves_parameters_without_gradient():
    assert_leaves_parameters_without_gradient(make, SHAPES)


def test_hidden_matrices_are_those_between_first_and_last():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), layers.conv2d("aoc", 6, 6, 3), nn.Conv2d(6, 1, 1), nn.Flatten(),
        nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2),
    )  # fmt: skip
    found = {id(block.parameter): block.shape for block in hidden_matrices(model)}
    assert found == {
        id(model[1].weight): (1, 6, 36),
        id(model[2].raw_weight): (1, 6, 6),
        id(model[2].raw_frames): (4, 6, 3),
        id(model[5].weight): (1, 4, 4),
    }


def test_other_parameters_have_their_own_rate():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    matrices, others = Muon.for_model(model, 0.1, adam_lr=0.01).param_groups
    assert (matrices["lr"], others["lr"]) == (0.1, 0.01)
    assert [p.shape for p in matrices["params"]] == [(3, 3)]
    assert len(others["params"]) == 5
    assert Muon.for_model(nn.Linear(2, 2)).step(lambda: 3.0) == 3.0


@pytest.mark.parametrize("options", [{"lr": -1.0}, {"momentum": 1.0}, {"steps": 0}])
def test_refuses(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{value}"):
        Muon(parameters((2,)), **options)
    assert name
