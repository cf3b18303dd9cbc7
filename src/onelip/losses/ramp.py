"""A number that changes in the course of a training, such as the radius that a loss asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from onelip.linalg import unknown_name

Shape = Literal["linear", "cosine", "step"]
_KEYS = {"start": "start", "end": "end", "until": "until", "from": "from_", "shape": "shape"}


@dataclass(frozen=True)
class Ramp:
    """Lead a number from `start` to `end` while the progress of the training goes from `from_` to `until`.

    With t = (progress - from_) / (until - from_), cut off at 0 and 1: "linear" gives start + (end - start) t, "cosine"
    end + (start - end) (1 + cos(pi t)) / 2, and "step" start before `until` and end from there on. The record on
    CIFAR-10 leads the radius linearly from 0.1 to 3 times 36/255 over the first half of the training and keeps it.

    Attributes:
        start: The number at first.
        end: The number at last.
        until: Part of the training after which it is `end`, in (0, 1].
        from_: Part of the training until which it is `start`, in [0, until); `from` in mappings.
        shape: "linear", "cosine" or "step".
    """

    start: float
    end: float
    until: float = 1.0
    from_: float = 0.0
    shape: Shape = "linear"

    def __post_init__(self) -> None:
        for name in ("start", "end", "until", "from_"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"{name}={value!r} in Ramp must be a finite number")
        if self.shape not in get_args(Shape):
            raise ValueError(unknown_name("shape of a Ramp", str(self.shape), get_args(Shape)))
        if not 0 <= self.from_ < self.until <= 1:
            raise ValueError(
                f"from={self.from_} and until={self.until} in Ramp must be parts of the training, "
                f"0 <= from < until <= 1"
            )
        if self.shape == "step" and self.from_ != 0:
            raise ValueError(f"from={self.from_} in Ramp has no effect on a step, which is at `until`; leave it out")

    @classmethod
    def from_mapping(cls, arguments: Mapping[str, Any], option: str) -> Ramp:
        """Build the ramp that a configuration describes.

        Args:
            arguments: The keys start, end, until, from and shape; the first two are needed.
            option: The option it stands for, for messages: "radius in EMMA".

        Returns:
            The ramp.

        Raises:
            ValueError: A key is unknown or missing, or a value out of range.
        """
        for key in arguments:
            if key not in _KEYS:
                raise ValueError(f"{unknown_name('key', str(key), _KEYS)} in the ramp of {option}")
        missing = [key for key in ("start", "end") if key not in arguments]
        if missing:
            raise ValueError(f"the ramp of {option} has no {' and no '.join(missing)}; it needs start and end")
        return cls(**{_KEYS[key]: value for key, value in arguments.items()})

    @classmethod
    def of(cls, scheduled: Scheduled, option: str) -> Ramp:
        """Read a scheduled option.

        Args:
            scheduled: A number, a ramp, or the mapping of the arguments of one.
            option: The option, for messages.

        Returns:
            The ramp; of a number, one that stays there.

        Raises:
            ValueError: The mapping has a wrong key, or a value is not a finite number.
        """
        if isinstance(scheduled, Mapping):
            return cls.from_mapping(scheduled, option)
        return scheduled if isinstance(scheduled, Ramp) else cls(scheduled, scheduled)

    def value(self, progress: float) -> float:
        """Give the number at a point of the training.

        Args:
            progress: Part of the training that is done, in [0, 1].

        Returns:
            The number; exactly `start` and `end` outside of the ramp.
        """
        done = min(max((progress - self.from_) / (self.until - self.from_), 0.0), 1.0)
        if self.shape == "step":
            done = float(progress >= self.until)
        elif self.shape == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        # Exact at both ends.
        return self.start * (1 - done) + self.end * done


Scheduled: TypeAlias = float | Ramp | Mapping[str, Any]
"""What a scheduled option may be: a number, a ramp, or a mapping of the arguments of one."""
