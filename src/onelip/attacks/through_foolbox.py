"""What the attacks that foolbox runs have in common: the package, its randomness, and the check of what it finds."""

from __future__ import annotations

import importlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Box, Norm, checked_balls, distances
from onelip.attacks.objectives import margin
from onelip.attacks.pgd import evaluating
from onelip.attacks.randomness import seeded

Run = Callable[[ModuleType, Any, Tensor, Tensor], Tensor]
"""From foolbox, the model in its wrapping, (N, ...) samples and (N,) labels to (N, ...) points."""


def nearest_by_foolbox(
    name: str, run: Run, model: nn.Module, x: Tensor, y: Tensor, *, norm: Norm, box: Box, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Let foolbox look for misclassified points, and keep those that are.

    Its attacks draw from the global generators of torch and NumPy: these are seeded, and put back afterwards. A batch
    that one of its assertions refuses is halved, so that one sample at the edge of rounding does not stop the others.

    Args:
        name: What the attack is called in errors.
        run: Runs the attack on samples that the model gets right.
        model: Classifier of (N, ...) samples; left as it was.
        x: (N, ...) samples inside the box.
        y: (N,) labels, int64.
        norm: Norm of the distances.
        box: Least and largest pixel value, both finite.
        seed: Seed of the attack.

    Returns:
        (N, ...) points inside the box, the sample itself where none was found or it is misclassified already; and (N,)
        their distances, float64: 0 for misclassified samples, infinite where none was found.

    Raises:
        ModuleNotFoundError: If foolbox is not installed.
        ValueError: If the norm is unknown, the box infinite, or `x` leaves it.
    """
    checked_balls(x, 0.0, norm, box)
    if not all(map(math.isfinite, box)):
        raise ValueError(f"box={box} of attack={name!r} must have finite ends")
    foolbox = _foolbox(name)
    best = x.detach().clone()
    with evaluating(model):
        right = torch.nonzero(~misclassified(model, best, y)).flatten()
        if len(right):
            with seeded(seed, x.device), _quietly(), torch.enable_grad():
                wrapped = foolbox.PyTorchModel(model, bounds=box, device=x.device)
                raw = _attempt(lambda a, b: run(foolbox, wrapped, a, b), best[right], y[right])
            points = raw.detach().to(x).nan_to_num().clamp(*box)
            hit = misclassified(model, points, y[right])
            best[right[hit]] = points[hit]
        wrong = misclassified(model, best, y)
    return best, torch.where(wrong, distances(best, x, norm), math.inf)


def misclassified(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Tell which points a model gets wrong.

    Args:
        model: Classifier in eval mode.
        x: (N, ...) points.
        y: (N,) labels.

    Returns:
        (N,) where another class leads, or the logits are no numbers; a tie still counts as right.
    """
    with torch.no_grad():
        return ~(margin(model(x), y) >= 0)


def check_options(name: str, **options: tuple[float, bool]) -> None:
    """Check options of an attack.

    Args:
        name: Name of the attack.
        **options: The value of each, and whether it is allowed.

    Raises:
        ValueError: If one is not.
    """
    refused = [f"{key}={value}" for key, (value, allowed) in options.items() if not allowed]
    if refused:
        raise ValueError(f"{', '.join(refused)} of attack={name!r} is out of range; see the function of that name")


def _attempt(run: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    try:
        return run(x, y)
    except AssertionError:
        if len(x) == 1:
            return x
        half = len(x) // 2
        return torch.cat([_attempt(run, x[:half], y[:half]), _attempt(run, x[half:], y[half:])])


@contextmanager
def _quietly() -> Iterator[None]:
    handlers = list(logging.root.handlers)
    with warnings.catch_warnings():
        # Means of empty slices, which it leaves out of account itself.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            yield
        finally:
            # Its messages to the root logger install a handler there.
            logging.root.handlers[:] = handlers


def _foolbox(name: str) -> ModuleType:
    try:
        with warnings.catch_warnings():
            # It imports what SciPy has moved.
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module("foolbox")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"attack={name!r} needs foolbox; install it with: pip install 'onelip[attacks]'"
        ) from error
