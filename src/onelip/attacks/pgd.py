"""Projected gradient descent in the l2 ball, on many samples and restarts at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.linalg import unknown_name

_TINY = 1e-12

_PROJECTIONS = 8
"""Alternations between ball and box; the last step makes the point exact for both."""

_INSIDE = 1 - 1e-6
"""Points are put this much inside of the ball, so that float32 rounding of their distance cannot reach its border."""

Loss = Callable[[Tensor, Tensor], Tensor]


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none")


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    right = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -math.inf)
    return others.amax(1) - right


LOSSES: dict[str, Loss] = {"cross_entropy": _cross_entropy, "margin": _margin}
"""What an attack increases, by name."""


@contextmanager
def attacked(model: nn.Module) -> Iterator[None]:
    """Freeze a model while it is attacked: eval mode, no gradient for its parameters; both are restored.

    Args:
        model: Any module.

    Yields:
        Nothing.
    """
    modes = [(module, module.training) for module in model.modules()]
    needs = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval()
    for parameter, _ in needs:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, need in needs:
            parameter.requires_grad_(need)


def l2_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    *,
    steps: int = 40,
    restarts: int = 5,
    step_size: float | None = None,
    loss: str = "margin",
    box: tuple[float, float] | None = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Search the l2 balls around samples for points that the model misclassifies.

    Each restart begins at a point uniform in the ball, and then takes steps along the normalised gradient of the
    loss, projected back onto ball and box. Samples that are misclassified leave the search at once.

    Args:
        model: Maps `(N, ...)` images to `(N, n_classes)` logits; left as it was.
        x: `(N, ...)` images, floating point.
        y: `(N,)` labels.
        radius: l2, one number or `(N,)`, >= 0.
        steps: Gradient steps per restart.
        restarts: Starting points per sample.
        step_size: Length of a step; None for 2.5 radius / steps.
        loss: "margin" (largest wrong logit minus the right one) or "cross_entropy".
        box: Smallest and largest pixel, or None for no box. Samples outside of it stay where they are.
        generator: For the starting points; on the device of `x` or on the CPU. None for torch's global one.

    Returns:
        `(N, ...)`: for each sample a misclassified point of its ball and box if one was found (the sample itself if
        it is misclassified already), else the sample.

    Raises:
        ValueError: If an argument is out of range.
    """
    radii = _checked(x, y, radius, steps, restarts, step_size, loss)
    found = x.detach().clone()
    objective = LOSSES[loss]
    with attacked(model), torch.enable_grad():
        active = torch.arange(len(x), device=x.device)[~misclassified(model, x, y) & (radii > 0)]
        for _ in range(restarts):
            if len(active) == 0:
                break
            centers, labels, balls = x[active], y[active], radii[active]
            length = 2.5 * balls / max(1, steps) if step_size is None else torch.full_like(balls, step_size)
            point = project(centers + _uniform(centers, balls, generator), centers, balls, box)
            survivors = _descend(model, objective, found, active, point, (centers, labels, balls, length), steps, box)
            active = active[survivors]
    return found


def _descend(
    model: nn.Module,
    objective: Loss,
    found: Tensor,
    active: Tensor,
    point: Tensor,
    samples: tuple[Tensor, Tensor, Tensor, Tensor],
    steps: int,
    box: tuple[float, float] | None,
) -> Tensor:
    # Writes what it finds to `found` and returns which of `active` are still classified rightly.
    centers, labels, balls, length = samples
    alive = torch.ones(len(active), dtype=torch.bool, device=active.device)
    index = torch.arange(len(active), device=active.device)
    for step in range(steps + 1):
        point = point.detach().requires_grad_(True)
        logits = model(point)
        wrong = logits.argmax(1) != labels
        found[active[index[wrong]]] = point.detach()[wrong].to(found.dtype)
        alive[index[wrong]] = False
        if step == steps or bool(wrong.all()):
            break
        gradient = torch.autograd.grad(objective(logits, labels).sum(), point)[0]
        keep = ~wrong
        index, point, gradient = index[keep], point.detach()[keep], gradient[keep]
        centers, labels, balls, length = centers[keep], labels[keep], balls[keep], length[keep]
        point = project(point + _column(length, point) * _unit(gradient), centers, balls, box)
    return alive


def misclassified(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Say which samples a model gets wrong.

    Args:
        model: A classifier.
        x: `(N, ...)`.
        y: `(N,)`.

    Returns:
        `(N,)` bool.
    """
    with torch.no_grad():
        return model(x).argmax(1) != y


def project(point: Tensor, center: Tensor, radius: Tensor, box: tuple[float, float] | None) -> Tensor:
    """Move points into the intersection of ball and box.

    Args:
        point: `(N, ...)`.
        center: `(N, ...)`.
        radius: `(N,)`.
        box: Smallest and largest pixel, or None.

    Returns:
        `(N, ...)`, in both: alternating projections, and then a step towards the centre along which the box holds.
    """
    inside = radius * _INSIDE
    if box is None:
        return center + _shrunk(point - center, inside)
    # A centre outside of the box keeps the ball: only pixels of the box can move.
    low, high = center.clamp(max=box[0]), center.clamp(min=box[1])
    for _ in range(_PROJECTIONS):
        point = torch.minimum(torch.maximum(point, low), high)
        distance = point - center
        if bool((_norms(distance) <= radius).all()):
            return point
        point = center + _shrunk(distance, inside)
    # The centre is in the box and the box is convex, so shrinking towards the centre leaves it.
    boxed = torch.minimum(torch.maximum(point, low), high)
    return torch.minimum(torch.maximum(center + _shrunk(boxed - center, inside), low), high)


def _checked(
    x: Tensor, y: Tensor, radius: float | Tensor, steps: int, restarts: int, step_size: float | None, loss: str
) -> Tensor:
    if not x.is_floating_point() or len(x) != len(y):
        raise ValueError(
            f"x of {x.dtype} and length {len(x)} in l2_pgd must be floating point and as long as y of length {len(y)}"
        )
    if loss not in LOSSES:
        raise ValueError(unknown_name("loss", loss, LOSSES))
    for name, value, least in (("steps", steps, 0), ("restarts", restarts, 1)):
        if value < least:
            raise ValueError(f"{name}={value} in l2_pgd must be at least {least}")
    if step_size is not None and not step_size > 0:
        raise ValueError(f"step_size={step_size} in l2_pgd must be positive")
    radii = torch.as_tensor(radius, dtype=x.dtype, device=x.device).expand(len(x))
    if not bool((radii >= 0).all()) or not bool(torch.isfinite(radii).all()):
        raise ValueError("radius in l2_pgd must be finite and >= 0 for every sample")
    return radii


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))


def _norms(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.flatten(1), dim=1)


def _unit(direction: Tensor) -> Tensor:
    return direction / _column(_norms(direction).clamp(min=_TINY), direction)


def _shrunk(distance: Tensor, radius: Tensor) -> Tensor:
    return distance * _column((radius / _norms(distance).clamp(min=_TINY)).clamp(max=1), distance)


def _uniform(centers: Tensor, radius: Tensor, generator: torch.Generator | None) -> Tensor:
    # Uniform in the ball: a uniform direction, and radius u^(1/d).
    device = centers.device if generator is None else generator.device
    normal = torch.randn(centers.shape, dtype=centers.dtype, device=device, generator=generator).to(centers.device)
    u = torch.rand(len(centers), dtype=centers.dtype, device=device, generator=generator).to(centers.device)
    return _unit(normal) * _column(radius * u ** (1 / max(1, centers[0].numel())), centers)
