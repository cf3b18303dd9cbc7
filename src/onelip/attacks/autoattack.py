"""AutoAttack, run by whichever of its packages is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Norm, checked_balls
from onelip.attacks.pgd import evaluating, margins
from onelip.attacks.randomness import drawn_seed, seeded

_NORMS = {"l2": "L2", "linf": "Linf"}

Version = Literal["standard", "plus", "rand", "custom"]

_PARTS = ("apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square")

_LEAST_CLASSES = {"standard": 4, "plus": 4, "rand": 3, "apgd-dlr": 3, "apgd-t": 4}


@dataclass(frozen=True)
class _Plan:
    radius: float
    norm: str
    version: Version
    parts: tuple[str, ...]
    seed: int


Attack = Callable[[ModuleType, nn.Module, Tensor, Tensor, _Plan], Tensor]


def autoattack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float,
    norm: Norm = "l2",
    *,
    version: Version = "standard",
    parts: Sequence[str] = (),
    batch_size: int = 250,
    seed: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Search balls by AutoAttack: APGD-CE, targeted APGD, targeted FAB and Square in its standard version.

    The first of the packages `autoattack`, `pyautoattack` and `torchattacks` that is installed does the work. What it
    returns is not believed: points are moved into ball and box, and the model is asked about them again.

    Args:
        model: Classifier of (N, C, H, W) images in [0, 1]; left as it was.
        x: (N, C, H, W) images in [0, 1].
        y: (N,) labels, int64.
        radius: Radius of the balls in the units of `x`; these packages know one for all samples only.
        norm: Norm of the balls.
        version: "standard"; "plus" with more restarts and untargeted parts; "rand" for networks that draw random
            numbers; or "custom" for `parts`. "standard" and "plus" need four classes, "rand" three.
        parts: Of version "custom", in order: of apgd-ce, apgd-dlr, apgd-t, fab, fab-t and square. apgd-dlr needs three
            classes, apgd-t four.
        batch_size: Images attacked at a time.
        seed: Seed of the attack; torch's own generator is put back.
        generator: Where the seed is drawn from instead.

    Returns:
        (N, C, H, W): misclassified images within the radius where they were found, else the images themselves.

    Raises:
        ModuleNotFoundError: If none of the packages is installed.
        ValueError: If an argument is out of range, or an image leaves [0, 1].

    Paper: Croce and Hein 2020, arXiv:2003.01690.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} of autoattack must be at least 1")
    plan = _planned(float(radius), norm, version, tuple(parts), seed if generator is None else drawn_seed(generator))
    balls = checked_balls(x, radius, norm, (0.0, 1.0))
    package, attack = _installed()
    best = x.clone()
    with evaluating(model), seeded(plan.seed, x.device):
        _check_classes(plan, model, x)
        for index in torch.arange(len(x), device=x.device).split(batch_size):
            right = index[~(margins(model, x[index], y[index]) < 0)]
            if len(right):
                raw = attack(package, model, x[right], y[right], plan)
                found = balls[right].project(raw.detach().to(x).reshape(x[right].shape).nan_to_num())
                wrong = margins(model, found, y[right]) < 0
                best[right[wrong]] = found[wrong]
    return best


def _planned(radius: float, norm: Norm, version: Version, parts: tuple[str, ...], seed: int) -> _Plan:
    if norm not in _NORMS:
        raise ValueError(f"norm={norm!r} of an attack must be 'l2' or 'linf'")
    if version not in get_args(Version):
        raise ValueError(f"version={version!r} of autoattack must be one of {', '.join(get_args(Version))}")
    unknown = [part for part in parts if part not in _PARTS]
    if unknown or (version == "custom") != bool(parts):
        raise ValueError(
            f"version={version!r}, parts={list(parts)} of autoattack do not go together: parts are for "
            f"version='custom', which needs some of {', '.join(_PARTS)}"
        )
    return _Plan(radius, _NORMS[norm], version, parts, seed)


def _installed() -> tuple[ModuleType, Attack]:
    for name, attack in _PACKAGES.items():
        try:
            return importlib.import_module(name), attack
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(
        f"autoattack needs one of the packages {', '.join(_PACKAGES)}, and none is installed; "
        "try: pip install pyautoattack"
    )


def _check_classes(plan: _Plan, model: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        n_classes = model(x[:1]).shape[1]
    for part in (plan.version, *plan.parts):
        least = _LEAST_CLASSES.get(part, 2)
        if n_classes < least:
            raise ValueError(f"{part!r} of autoattack needs at least {least} classes, not {n_classes}")


def _original(package: ModuleType, model: nn.Module, x: Tensor, y: Tensor, plan: _Plan) -> Tensor:
    attack = package.AutoAttack(
        model, norm=plan.norm, eps=plan.radius, seed=plan.seed, verbose=False, device=x.device, **_chosen(plan)
    )
    found: Tensor = attack.run_standard_evaluation(x, y, bs=len(x))
    return found


def _packaged(package: ModuleType, model: nn.Module, x: Tensor, y: Tensor, plan: _Plan) -> Tensor:
    attack = package.AutoAttack(
        model, norm=plan.norm, eps=plan.radius, seed=plan.seed, device=x.device, **_chosen(plan)
    )
    found = attack.run_standard_evaluation(x, y, batch_size=len(x))
    return next(part for part in found if part.shape == x.shape) if isinstance(found, tuple) else found


def _chosen(plan: _Plan) -> dict[str, Any]:
    chosen: dict[str, Any] = {"version": plan.version}
    return chosen | {"attacks_to_run": list(plan.parts)} if plan.parts else chosen


def _torchattacks(package: ModuleType, model: nn.Module, x: Tensor, y: Tensor, plan: _Plan) -> Tensor:
    with torch.no_grad():
        n_classes = model(x[:1]).shape[1]
    common = {"norm": plan.norm, "eps": plan.radius, "seed": plan.seed}
    found: Tensor
    if plan.version != "custom":
        found = package.AutoAttack(model, version=plan.version, n_classes=n_classes, **common)(x, y)
        return found
    found, open_ = x.clone(), torch.arange(len(x), device=x.device)
    for part in plan.parts:
        class_name, options = _TORCHATTACKS_PARTS[part]
        if class_name in ("APGDT", "FAB"):
            options = {**options, "n_classes": n_classes}
        points = getattr(package, class_name)(model, **common, **options)(x[open_], y[open_])
        wrong = margins(model, points, y[open_]) < 0
        found[open_[wrong]] = points[wrong]
        open_ = open_[~wrong]
        if not len(open_):
            break
    return found


_TORCHATTACKS_PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "apgd-ce": ("APGD", {"loss": "ce", "steps": 100}),
    "apgd-dlr": ("APGD", {"loss": "dlr", "steps": 100}),
    "apgd-t": ("APGDT", {"steps": 100}),
    "fab": ("FAB", {"steps": 100}),
    "fab-t": ("FAB", {"steps": 100, "multi_targeted": True}),
    "square": ("Square", {"n_queries": 5000}),
}

_PACKAGES: dict[str, Attack] = {"autoattack": _original, "pyautoattack": _packaged, "torchattacks": _torchattacks}
