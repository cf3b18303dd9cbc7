"""AutoAttack, run by whichever of its packages is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Norm, checked_balls
from onelip.attacks.pgd import evaluating, margins

_NORMS = {"l2": "L2", "linf": "Linf"}

Attack = Callable[[ModuleType, nn.Module, Tensor, Tensor, float, str, int], Tensor]


def autoattack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float,
    norm: Norm = "l2",
    *,
    batch_size: int = 250,
    seed: int = 0,
) -> Tensor:
    """Search balls by the standard version of AutoAttack: APGD-CE, targeted APGD, targeted FAB and Square.

    The first of the packages `autoattack`, `pyautoattack` and `torchattacks` that is installed does the work. What it
    returns is not believed: points are moved into ball and box, and the model is asked about them again.

    Args:
        model: Classifier of (N, C, H, W) images in [0, 1]; left as it was.
        x: (N, C, H, W) images in [0, 1].
        y: (N,) labels, int64.
        radius: Radius of the balls in the units of `x`; these packages know one for all samples only.
        norm: Norm of the balls.
        batch_size: Images attacked at a time.
        seed: Seed of the attack; torch's own generator is put back.

    Returns:
        (N, C, H, W): misclassified images within the radius where they were found, else the images themselves.

    Raises:
        ModuleNotFoundError: If none of the packages is installed.
        ValueError: If an argument is out of range, or an image leaves [0, 1].

    Paper: Croce and Hein 2020, arXiv:2003.01690.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} of autoattack must be at least 1")
    balls = checked_balls(x, radius, norm, (0.0, 1.0))
    package, attack = _installed()
    best = x.clone()
    with evaluating(model), torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        for index in torch.arange(len(x), device=x.device).split(batch_size):
            right = index[~(margins(model, x[index], y[index]) < 0)]
            if len(right):
                raw = attack(package, model, x[right], y[right], float(radius), _NORMS[norm], seed)
                found = balls[right].project(raw.to(x).reshape(x[right].shape).nan_to_num())
                wrong = margins(model, found, y[right]) < 0
                best[right[wrong]] = found[wrong]
    return best


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


def _original(
    package: ModuleType, model: nn.Module, x: Tensor, y: Tensor, radius: float, norm: str, seed: int
) -> Tensor:
    attack = package.AutoAttack(model, norm=norm, eps=radius, seed=seed, verbose=False, device=x.device)
    found: Tensor = attack.run_standard_evaluation(x, y, bs=len(x))
    return found


def _packaged(
    package: ModuleType, model: nn.Module, x: Tensor, y: Tensor, radius: float, norm: str, seed: int
) -> Tensor:
    attack = package.AutoAttack(model, norm=norm, eps=radius, seed=seed, device=x.device)
    found = attack.run_standard_evaluation(x, y, batch_size=len(x))
    return next(part for part in found if part.shape == x.shape) if isinstance(found, tuple) else found


def _torchattacks(
    package: ModuleType, model: nn.Module, x: Tensor, y: Tensor, radius: float, norm: str, seed: int
) -> Tensor:
    with torch.no_grad():
        n_classes = model(x[:1]).shape[1]
    found: Tensor = package.AutoAttack(model, norm=norm, eps=radius, seed=seed, n_classes=n_classes)(x, y)
    return found


_PACKAGES: dict[str, Attack] = {"autoattack": _original, "pyautoattack": _packaged, "torchattacks": _torchattacks}
