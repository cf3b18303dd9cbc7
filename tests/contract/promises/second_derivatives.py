"""Derivatives of derivatives, against differences: of penalties on the input gradient, and of the loss itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tests.contract.cases import Case
from tests.contract.promise import WITH_WEIGHT, promise
from tests.contract.states import perturb_
from torch import Tensor, nn

STEP = 1e-6
"""Half the distance of two points in float64; longer steps would often cross a kink of a formula of absolute values."""

ERROR = 1e-6
"""Relative error allowed: about the machine's precision over the step, times the tens of terms that are added up."""

REFUSAL = "second derivatives through the constraint"


def _loss(layer: nn.Module, x: Tensor) -> Tensor:
    # Curved, since of a linear loss of a linear layer there is little to differentiate twice.
    y = layer(x)
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=y.dtype)
    loss: Tensor = (torch.tanh(y) * direction).sum() + (y * direction).square().sum() / 4
    return loss


def _gradient(value: Tensor, wanted: list[Tensor], *, again: bool = False) -> Tensor:
    found = torch.autograd.grad(value, wanted, create_graph=again, allow_unused=True)
    return torch.cat([(torch.zeros_like(t) if g is None else g).flatten() for g, t in zip(found, wanted, strict=True)])


def _slope(compute: Callable[[], Tensor], variables: list[Tensor], directions: list[Tensor]) -> Tensor:
    values = []
    for step in (STEP, -STEP):
        _move_(variables, directions, step)
        values.append(compute().detach())
        _move_(variables, directions, -step)
    return (values[0] - values[1]) / (2 * STEP)


def _move_(variables: list[Tensor], directions: list[Tensor], step: float) -> None:
    with torch.no_grad():
        for variable, direction in zip(variables, directions, strict=True):
            variable.add_(step * direction)


def _differs(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).norm() > ERROR * expected.norm().clamp_min(1))


def _prepared(case: Case) -> tuple[nn.Module, Tensor, list[Tensor], list[Tensor]]:
    # Off the initialisation, where a formula may have kinks at zeros. The input is a variable like the parameters.
    layer, x = perturb_(case.build(), size=0.1), case.input().requires_grad_()
    variables = [x, *(p for p in layer.parameters() if p.requires_grad)]
    generator = torch.Generator().manual_seed(5)
    return layer, x, variables, [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in variables]


@promise(float32=None, float64="core")
def check_gradient_penalty(case: Case) -> None:
    """In train mode (|gradient with respect to the input| - 1)^2 has the gradient that differences show."""
    layer, x, variables, directions = _prepared(case)

    def penalty() -> Tensor:
        gradient = _gradient(_loss(layer, x), [x], again=True)
        return (gradient.reshape(len(x), -1).norm(dim=1) - 1).square().mean()

    gradient = _gradient(penalty(), variables)
    found = gradient @ torch.cat([d.flatten() for d in directions])
    expected = _slope(penalty, variables, directions)
    assert not _differs(found, expected), f"the gradient of the penalty has slope {found:.9g}, not {expected:.9g}"


@promise(kinds=WITH_WEIGHT, float32=None, float64="core")
def check_second_derivatives(case: Case) -> None:
    """In train mode second derivatives with respect to parameters and input are right, or are refused."""
    layer, x, variables, directions = _prepared(case)
    gradient = _gradient(_loss(layer, x), variables, again=True)
    try:
        found = _gradient(gradient @ torch.cat([d.flatten() for d in directions]), variables)
    except RuntimeError as error:
        if REFUSAL in str(error):
            return
        raise
    expected = _slope(lambda: _gradient(_loss(layer, x), variables), variables, directions)
    off = float((found - expected).norm() / expected.norm().clamp_min(1))
    assert not _differs(found, expected), f"second derivatives are off by {off:.1e} of their size"
