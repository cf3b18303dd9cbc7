"""What losses share: options that follow a ramp, checks of options and of batches."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.losses.ramp import Ramp, Scheduled

Check = Callable[[str, float, str], float]
"""From an option's name, its value and the class to the value, or a ValueError."""


class Loss(nn.Module, ABC):
    """Base of losses, which map logits `(N, K)` and labels `(N,)` to a scalar.

    A loss stores each option as an attribute of the same name, which `repr` shows. A scheduled one holds its value at
    present; before the first `set_progress`, that at the start.

    Attributes:
        uses_constants: Does `forward` take `constants`, the Lipschitz constants of all differences of logits?
        scheduled: The options that may be a `Ramp`.
    """

    uses_constants: ClassVar[bool] = False
    scheduled: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self._ramps: dict[str, Ramp] = {}

    @abstractmethod
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of a batch."""

    def set_progress(self, progress: float) -> None:
        """Bring the scheduled options to where they are at a point of the training.

        Args:
            progress: Part of the training that is done, in [0, 1].

        Raises:
            ValueError: It is not.
        """
        if not 0 <= progress <= 1:
            raise ValueError(f"progress={progress} in {type(self).__name__}.set_progress must be in [0, 1]")
        for name, ramp in self._ramps.items():
            setattr(self, name, ramp.value(progress))

    def follow(self, name: str, value: Scheduled, check: Check) -> float:
        """Take a scheduled option.

        Args:
            name: The option, one of `scheduled`.
            value: A number, a ramp, or a mapping of the arguments of one.
            check: Refuses numbers out of range; ramps are in range if both ends are.

        Returns:
            The number to start with.
        """
        owner = type(self).__name__
        if isinstance(value, Mapping):
            value = Ramp.from_mapping(value, f"{name} in {owner}")
        if not isinstance(value, Ramp):
            return check(name, value, owner)
        check(f"{name}.start", value.start, owner)
        check(f"{name}.end", value.end, owner)
        self._ramps[name] = value
        return value.value(0.0)

    @override
    def extra_repr(self) -> str:
        names = [p.name for p in inspect.signature(type(self)).parameters.values() if p.kind is p.KEYWORD_ONLY]
        return ", ".join(f"{name}={_shown(self._ramps.get(name, getattr(self, name)))}" for name in names)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


def positive(name: str, value: float, where: str) -> float:
    """Take an option that is a positive number.

    Args:
        name: The option.
        value: Its value.
        where: Whose option it is.

    Returns:
        The value.

    Raises:
        ValueError: It is no such number.
    """
    if not (_is_number(value) and 0 < value < math.inf):
        raise ValueError(f"{name}={value!r} in {where} must be positive and finite")
    return float(value)


def not_negative(name: str, value: float, where: str) -> float:
    """Take an option that is a number of at least 0.

    Args:
        name: The option.
        value: Its value.
        where: Whose option it is.

    Returns:
        The value.

    Raises:
        ValueError: It is no such number.
    """
    if not (_is_number(value) and 0 <= value < math.inf):
        raise ValueError(f"{name}={value!r} in {where} must be >= 0 and finite")
    return float(value)


def fraction(name: str, value: float, where: str) -> float:
    """Take an option that is a number from 0 to 1.

    Args:
        name: The option.
        value: Its value.
        where: Whose option it is.

    Returns:
        The value.

    Raises:
        ValueError: It is no such number.
    """
    if not (_is_number(value) and 0 <= value <= 1):
        raise ValueError(f"{name}={value!r} in {where} must be in [0, 1]")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def checked_logits(logits: Tensor, labels: Tensor, *, least: int = 1) -> Tensor:
    """Refuse a batch that does not fit, and widen half precision.

    Args:
        logits: `(N, K)`, floating point.
        labels: `(N,)` int64. That they are in range is checked where it is free, on the CPU.
        least: The fewest logits that the loss has a meaning for.

    Returns:
        The logits, in float32 at least.

    Raises:
        ValueError: A shape, a type or a label does not fit.
    """
    if logits.dim() != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits has shape {tuple(logits.shape)} and labels {tuple(labels.shape)}; they must be (N, K) and (N,)"
        )
    if not logits.is_floating_point() or labels.dtype != torch.int64:
        raise ValueError(f"logits is {logits.dtype} and labels {labels.dtype}; they must be floating point and int64")
    if logits.shape[1] < least:
        raise ValueError(f"logits has shape {tuple(logits.shape)}; this loss compares at least {least} classes")
    # One logit stands for two classes.
    check_labels(labels, max(2, logits.shape[1]))
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def check_labels(labels: Tensor, n_classes: int) -> None:
    """Refuse labels that name no class, where looking costs nothing: on the CPU.

    Args:
        labels: `(N,)` int64.
        n_classes: Number of classes.

    Raises:
        ValueError: A label is below 0 or too large.
    """
    if labels.device.type != "cpu" or not len(labels):
        return
    smallest, largest = labels.aminmax()
    if smallest < 0 or largest >= n_classes:
        wrong = int(smallest if smallest < 0 else largest)
        raise ValueError(f"labels hold {wrong}; with {n_classes} classes they must be 0 to {n_classes - 1}")
