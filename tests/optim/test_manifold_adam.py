"""Adam on orthogonal matrices against transcriptions, and what it leaves orthogonal."""

import numpy as np
import pytest
import scipy.linalg
import torch
from tests.optim.problems import (
    advance,
    assert_leaves_parameters_without_gradient,
    assert_resumes_exactly,
    gradient_of,
    parameters,
)
from torch import nn

from onelip import layers
from onelip.layers.orthogonal_block import is_trusted, trust
from onelip.linalg.polar import polar_factor
from onelip.optim import ManifoldAdam

BLOCKS = {(4, 4): (1, 4, 4), (6, 3): (1, 6, 3), (3, 2, 5): (3, 2, 5)}


def orthogonal(shape, seed=100, dtype=torch.float64):
    return nn.Parameter(polar_factor(parameters(shape, seed=seed)[0].detach()).to(dtype))


def polar_np(x):
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    return u @ vt


class Transcription:
    """Riemannian Adam in NumPy, for one square or tall matrix."""

    def __init__(self, x, retraction, lr=0.05, betas=(0.9, 0.999), eps=1e-8):
        self.x, self.retraction, self.lr, self.betas, self.eps = x, retraction, lr, betas, eps
        self.m = self.v = 0.0
        self.t = 0

    def step(self, g):
        x, (b1, b2) = self.x, self.betas
        square = x.shape[0] == x.shape[1]
        inner = x.T @ g
        a = (inner - inner.T) / 2 if square else g - x @ (inner + inner.T) / 2
        self.t += 1
        self.m, self.v = b1 * self.m + (1 - b1) * a, b2 * self.v + (1 - b2) * a * a
        d = -self.lr * self.m / (1 - b1**self.t) / (np.sqrt(self.v / (1 - b2**self.t)) + self.eps)
        if not square and self.retraction == "exponential":
            d = d - x @ (x.T @ d + d.T @ x) / 2
        if self.retraction == "polar":
            self.x = polar_np(x + (x @ d if square else d))
        elif square:
            self.x = x @ scipy.linalg.expm(d)
        else:
            w = (np.eye(len(x)) - x @ x.T / 2) @ d @ x.T
            self.x = scipy.linalg.expm(w - w.T) @ x


@pytest.mark.parametrize("retraction", ["polar", "exponential"])
@pytest.mark.parametrize("shape", [(4, 4), (6, 3)])
def test_is_the_pseudo_code(shape, retraction):
    p = orthogonal(shape)
    reference = Transcription(p.detach().numpy().copy(), retraction)
    # Control after every step, and to rounding.
    optimizer = ManifoldAdam(
        [{"params": [p], "shapes": [(1, *shape)]}], 0.05, retraction=retraction, every=1, tolerance=1e-15
    )
    for i in range(10):
        p.grad = gradient_of(p, i)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(i), dtype=torch.float64).numpy()
        reference.step(0.5 * reference.x + noise)
        optimizer.step()
        # The exponential is cut off after the second to fourth order.
        np.testing.assert_allclose(p.detach().numpy(), reference.x, atol=1e-12 if retraction == "polar" else 2e-3)


def test_wide_matrices_take_the_steps_of_their_transposes():
    tall = orthogonal((6, 3))
    wide = nn.Parameter(tall.detach().mT.contiguous())
    optimizers = [ManifoldAdam([{"params": [p], "shapes": [(1, *p.shape)]}], 0.05) for p in (tall, wide)]
    for i in range(5):
        tall.grad = gradient_of(tall, i)
        wide.grad = tall.grad.mT.contiguous()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(wide.detach(), tall.detach().mT, atol=1e-12, rtol=0)


@pytest.mark.parametrize("momentum", ["adam", "muon"])
@pytest.mark.parametrize("retraction", ["polar", "exponential"])
def test_orthogonal_after_many_large_steps(retraction, momentum):
    n_steps = 1000 if (retraction, momentum) == ("polar", "adam") else 100
    model = nn.Sequential(layers.linear("bjorck", 6, 6), layers.conv2d("aoc", 4, 4, 2))
    optimizer = ManifoldAdam.for_model(model, 0.3, retraction=retraction, momentum=momentum)
    of = list(model.parameters())
    worst = 0.0
    blocks = [b for m in model for b in m.orthogonal_blocks()]
    for i in range(n_steps):
        advance(optimizer, of, range(i, i + 1))
        if i % 25 == 24:
            values = torch.cat([torch.linalg.svdvals(p.detach().double().reshape(s)).flatten() for p, s in blocks])
            worst = max(worst, float(values.sub(1).abs().max()))
    assert worst < 0.6, "between two controls"
    assert all(is_trusted(b.parameter) for b in blocks)
    for group in optimizer.param_groups:
        group["lr"] = 1e-4
    advance(optimizer, of, range(n_steps, n_steps + 30))
    values = torch.cat([torch.linalg.svdvals(p.detach().double().reshape(s)).flatten() for p, s in blocks])
    assert float(values.sub(1).abs().max()) < 1e-2
    model.eval()
    for layer in model:
        assert layer.lipschitz_bound().value <= 1 + 1e-6


def make(of, **options):
    blocks = [p for p in of if tuple(p.shape) in BLOCKS]
    others = [p for p in of if tuple(p.shape) not in BLOCKS]
    groups = [{"params": blocks, "shapes": [BLOCKS[tuple(p.shape)] for p in blocks]}, {"params": others}]
    return ManifoldAdam(groups, 0.05, weight_decay=0.1, **options)


def test_resumes_exactly():
    assert_resumes_exactly(make, ((4, 4), (6, 3), (3, 2, 5), (4, 4), (7,)))


def test_a_period_takes_the_mean_of_the_gradients():
    often, seldom = orthogonal((4, 4)), orthogonal((4, 4))
    each = ManifoldAdam([{"params": [often], "shapes": [(1, 4, 4)]}], 0.05)
    third = ManifoldAdam([{"params": [seldom], "shapes": [(1, 4, 4)]}], 0.05, period=3)
    for _ in range(4):
        start = often.detach().clone()
        gradients = [torch.randn_like(start) for _ in range(3)]
        for g in gradients:
            assert torch.equal(seldom, start), "no step before the third gradient"
            seldom.grad = g.clone()
            third.step()
        often.grad = sum(gradients) / 3
        each.step()
        torch.testing.assert_close(seldom, often, atol=1e-12, rtol=0)
        with torch.no_grad():
            seldom.copy_(often)
            trust(seldom)


def test_resumes_exactly_between_two_steps_of_the_matrices():
    assert_resumes_exactly(lambda of: make(of, period=4), ((4, 4), (6, 3), (7,)))


def test_leaves_parameters_without_gradient():
    assert_leaves_parameters_without_gradient(make, ((4, 4), (4, 4), (6, 3), (7,)))


def test_batches_follow_which_parameters_have_gradients():
    """Two matrices of one size, of which one has no gradient now and then, go as if each had its own optimiser."""
    shapes = ((4, 4), (4, 4))
    together = [orthogonal(s, i) for i, s in enumerate(shapes)]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    both = ManifoldAdam([{"params": together, "shapes": [(1, 4, 4)] * 2}], 0.05, every=1)
    each = [ManifoldAdam([{"params": [p], "shapes": [(1, 4, 4)]}], 0.05, every=1) for p in alone]
    for i in range(9):
        for k, (p, q) in enumerate(zip(together, alone, strict=True)):
            p.grad = q.grad = None
            if k == 0 or i % 3:
                p.grad, q.grad = gradient_of(p, i), gradient_of(q, i)
        both.step()
        for optimizer in each:
            optimizer.step()
    for p, q in zip(together, alone, strict=True):
        torch.testing.assert_close(p, q, atol=1e-9, rtol=0)


def test_converges_to_the_nearest_rotation():
    """The orthogonal matrix of the largest inner product with B is its polar factor."""
    b = torch.diag(torch.tensor([3.0, 2.0, 1.0])) + 0.3 * parameters((3, 3), seed=4)[0].detach().float()
    p = nn.Parameter(torch.eye(3))
    optimizer = ManifoldAdam([{"params": [p], "shapes": [(1, 3, 3)]}], 0.05)
    for i in range(300):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * 0.97**i
        p.grad = -b
        optimizer.step()
    # It begins 0.29 away, and was 9e-5 away when its rate had run out.
    torch.testing.assert_close(p.detach(), polar_factor(b), atol=3e-4, rtol=0)


def test_changed_parameters_are_projected_first():
    p = orthogonal((4, 4))
    optimizer = ManifoldAdam([{"params": [p], "shapes": [(1, 4, 4)]}], 1e-12)
    with torch.no_grad():
        p.mul_(3.0)
    p.grad = torch.ones_like(p)
    optimizer.step()
    assert torch.linalg.svdvals(p.detach()).sub(1).abs().max() < 1e-9
    with torch.no_grad():
        p.mul_(3.0)
    optimizer.settle_()
    assert is_trusted(p)
    assert torch.linalg.svdvals(p.detach()).sub(1).abs().max() < 1e-9


def test_other_precisions():
    half = nn.Parameter(orthogonal((4, 4)).detach().bfloat16())
    optimizer = ManifoldAdam([{"params": [half], "shapes": [(1, 4, 4)]}], 0.01, precision="float64")
    advance(optimizer, [half], range(3))
    assert half.dtype == torch.bfloat16
    assert torch.linalg.svdvals(half.detach().float()).sub(1).abs().max() < 0.05


@pytest.mark.parametrize("shape", [(160, 160), (192, 160), (160, 192)])
def test_products_in_bfloat16_give_the_step_to_their_rounding(shape):
    torch.manual_seed(0)
    start = orthogonal(shape, dtype=torch.float32).detach()
    steps = []
    for precision in ("bfloat16", "float32", "float64"):
        p = nn.Parameter(start.clone())
        # eps at the size of the gradient, beside which Adam would blow up rounding of what is next to zero.
        optimizer = ManifoldAdam([{"params": [p], "shapes": [(1, *shape)]}], 0.01, eps=1.0, precision=precision)
        p.grad = gradient_of(p, 0)
        optimizer.step()
        assert p.dtype == torch.float32
        values = torch.linalg.svdvals(p.detach().double())
        assert values.sub(1).abs().max() < 1e-3
        steps.append(p.detach() - start)
    rounded, single, exact = steps
    assert torch.linalg.matrix_norm(single - exact) < 1e-4 * torch.linalg.matrix_norm(exact)
    error = torch.linalg.matrix_norm(rounded - exact) / torch.linalg.matrix_norm(exact)
    assert 1e-5 < error < 1e-2


def test_everything_else_takes_adamw():
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    (group,) = ManifoldAdam.for_model(model, 0.1, weight_decay=0.2).param_groups
    assert "shapes" not in group
    assert len(group["params"]) == 4
    only = layers.linear("bjorck", 3, 3, bias=False)
    (group,) = ManifoldAdam.for_model(only).param_groups
    assert group["shapes"] == [(1, 3, 3)]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("lr", 0.0),
        ("retraction", "polr"),
        ("momentum", "sgd"),
        ("every", 0),
        ("tolerance", 0.0),
        ("betas", (1.0, 0.9)),
        ("precision", "half"),
    ],
)
def test_refuses(option, value):
    with pytest.raises(ValueError, match=f"{option}="):
        ManifoldAdam(parameters((2,)), **{option: value})
