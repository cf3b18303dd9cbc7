"""What the tests of optimisers share: a quadratic, exact copies, and laws of any optimiser."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable

import torch
from torch import Tensor, nn

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def parameters(*shapes: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]


def gradient_of(parameter: Tensor, step: int) -> Tensor:
    """A gradient that depends on the weights and on the step."""
    noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step), dtype=parameter.dtype)
    return 0.5 * parameter.detach() + noise


def advance(optimizer: torch.optim.Optimizer, of: list[nn.Parameter], steps: range) -> None:
    for i in steps:
        for p in of:
            p.grad = gradient_of(p, i)
        optimizer.step()


def assert_resumes_exactly(make: Make, shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype = torch.float32) -> None:
    """Saved through a file, deep-copied or not at all: the numbers that follow are the same."""
    of = parameters(*shapes, dtype=dtype)
    optimizer = make(of)
    advance(optimizer, of, range(7))
    file = io.BytesIO()
    torch.save([optimizer.state_dict(), [p.detach() for p in of]], file)
    file.seek(0)
    state, values = torch.load(file, weights_only=True)
    loaded = [nn.Parameter(v) for v in values]
    restored = make(loaded)
    restored.load_state_dict(state)
    copied, of_copied = copy.deepcopy((optimizer, of))
    for one, its in ((optimizer, of), (restored, loaded), (copied, of_copied)):
        advance(one, its, range(7, 20))
    for a, b, c in zip(of, loaded, of_copied, strict=True):
        assert torch.equal(a, b), "another course after loading a state"
        assert torch.equal(a, c), "another course after copying"


def assert_leaves_parameters_without_gradient(make: Make, shapes: tuple[tuple[int, ...], ...]) -> None:
    of = parameters(*shapes, dtype=torch.float32)
    before = [p.detach().clone() for p in of]
    optimizer = make(of)
    for i in range(3):
        of[0].grad = gradient_of(of[0], i)
        optimizer.step()
    assert not torch.equal(of[0], before[0])
    assert all(torch.equal(p, b) for p, b in zip(of[1:], before[1:], strict=True))
