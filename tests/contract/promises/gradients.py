"""Gradients: they reach every parameter, are finite everywhere, and point uphill."""

from __future__ import annotations

import torch
from tests.contract.cases import Case
from tests.contract.measure import outputs, probe_points
from tests.contract.promise import WITH_WEIGHT, promise
from tests.contract.states import perturb_, raw_parameters
from torch import Tensor, nn

STEP = 1e-6
"""Length of a step; central differences are then right to 1e-10 in float64."""

SLOPE_ERROR = 1e-3
"""Relative error allowed to the predicted decrease of the loss; curvature and rounding are far below it at 1e-6."""


def _loss(layer: nn.Module, x: Tensor, seed: int = 2) -> Tensor:
    y = layer(x)
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=y.dtype)
    loss: Tensor = (y * direction).sum()
    return loss


@promise(float32="all")
def check_every_parameter_learns(case: Case) -> None:
    """From generic raw weights every trainable parameter gets a finite gradient that is not zero."""
    layer = perturb_(case.build())
    if not any(p.requires_grad for p in layer.parameters()):
        return
    _loss(layer, case.input()).backward()
    for name, parameter in layer.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, f"{name} is cut off from the loss"
        assert torch.isfinite(parameter.grad).all(), f"{name} gets a gradient with NaN or inf"
        learns = bool(parameter.grad.any()) or (_one_channel(case) and _is_locally_constant(layer, parameter, case))
        assert learns, f"{name} gets a zero gradient"


def _one_channel(case: Case) -> bool:
    # Rows or columns of one number: only their signs are left by a constraint to norm 1, and signs cannot be learnt.
    groups = case.options.get("groups", 1)
    return case.record.kind in WITH_WEIGHT and 1 in (case.arguments[0] // groups, case.arguments[1] // groups)


def _is_locally_constant(layer: nn.Module, parameter: Tensor, case: Case) -> bool:
    before = outputs(layer, case.input())
    with torch.no_grad():
        parameter.mul_(1 + 1e-2 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(6)))
    return bool((outputs(layer, case.input()) - before).abs().max() <= 1e-5 * before.abs().max().clamp_min(1))


@promise(kinds=WITH_WEIGHT, float32="first")
def check_layer_is_trainable(case: Case) -> None:
    """Some raw weight is trainable, except where the class says it is frozen."""
    layer = case.build()
    trainable = [name for name, p in layer.named_parameters() if p.requires_grad and not name.endswith("bias")]
    assert trainable, "no raw weight is trainable"


@promise(float64="first")
def check_gradients_are_finite(case: Case) -> None:
    """At zero, tiny, huge and rank-one raw weights, and at tied and zero inputs."""
    for name, edit in _EDITS.items():
        layer = case.build()
        with torch.no_grad():
            for p in raw_parameters(layer).values():
                p.copy_(edit(p))
        y = layer(case.input())
        assert torch.isfinite(y).all(), f"the output has NaN or inf with {name} raw weights"
        _loss(layer, case.input().requires_grad_()).backward()
        for parameter_name, p in layer.named_parameters():
            if p.grad is not None:
                assert torch.isfinite(p.grad).all(), f"{parameter_name} gets NaN or inf with {name} raw weights"
    layer = case.build()
    points = probe_points(case.shape, case.dtype).requires_grad_()
    _loss(layer, points).backward()
    assert torch.isfinite(points.grad).all(), "the input gets NaN or inf in a batch of special points"
    layer.train(case.modes_for_one[0])
    for point in points.detach():
        x = point[None].clone().requires_grad_()
        _loss(layer, x).backward()
        assert x.grad is not None, "the input gets no gradient"
        assert torch.isfinite(x.grad).all(), f"the input gets NaN or inf at a point of length {float(point.norm()):.2g}"


_EDITS = {
    "zero": torch.zeros_like,
    "tiny": lambda p: p * 1e-12,
    "small": lambda p: p * 1e-3,
    "huge": lambda p: p * 1e6,
    "constant": torch.ones_like,
    "rank-one": lambda p: p.flatten(1)[:1].expand(p.shape[0], -1).reshape(p.shape) if p.dim() > 1 else p,
}


@promise(kinds=WITH_WEIGHT, float32=None, float64="core")
def check_gradient_predicts_the_loss(case: Case) -> None:
    """In train mode a small step along each parameter's gradient changes the loss by its length times the slope."""
    # Off the initialisation, where a formula with absolute values may have kinks at zeros.
    layer, x = perturb_(case.build(), size=0.1), case.input()
    for name, parameter in layer.named_parameters():
        if not parameter.requires_grad or parameter.numel() == 1:
            continue
        (gradient,) = torch.autograd.grad(_loss(layer, x), parameter)
        slope = float(gradient.norm())
        assert slope > 0, f"the gradient of {name} is zero at initialisation"
        change = 0.0
        for sign in (1.0, -1.0):
            with torch.no_grad():
                parameter.add_(sign * STEP * gradient / slope)
                change += sign * float(_loss(layer, x))
                parameter.sub_(sign * STEP * gradient / slope)
        predicted = 2 * STEP * slope
        assert abs(change - predicted) <= SLOPE_ERROR * predicted, (
            f"a step along the gradient of {name} moves the loss by {change:.6e}, not by {predicted:.6e}"
        )
