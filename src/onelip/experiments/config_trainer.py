"""The section `trainer` of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import PositiveFloat, PositiveInt, model_validator

from onelip.experiments.config_section import Milestones, Part, Section


class WeightAverage(Section):
    """The moving average of the weights that is validated and kept, see `onelip.tasks.WeightAverage`."""

    decay: Part = 0.999
    warmup: bool = True
    start: Part = 0.0


class Trainer(Section):
    """How the training runs; `threads` null means as many as torch chooses, and is recorded in the run.

    `max_epochs` is 10 unless `max_minutes` is given, which trains for that time instead, validations not counted.
    `max_steps` shortens a training: it takes no more epochs than hold that many steps, and as many steps in each.
    `accumulate` batches make one step. Validated is after every `validate_every` epochs, and at the end.
    With `growth` the network begins shallow, and layers that begin at the identity join after those parts of the
    training, see `onelip.tasks.Growth`. `channels_last` is how images lie in memory while training. `ema` is an average
    of the weights, or null.
    """

    max_epochs: PositiveInt | None = None
    max_steps: PositiveInt | None = None
    max_minutes: PositiveFloat | None = None
    accumulate: PositiveInt = 1
    validate_every: PositiveInt = 1
    precision: Literal[32, 64, "bf16-mixed"] = 32
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    growth: Milestones | None = None
    gradient_clip: PositiveFloat | None = None
    compile: bool = False
    channels_last: bool = False
    ema: WeightAverage | None = None
    threads: PositiveInt | None = None
    log_every: PositiveInt = 10

    @model_validator(mode="before")
    @classmethod
    def _default(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("max_epochs") is None and values.get("max_minutes") is None:
            return {**values, "max_epochs": 10}
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("max_epochs", "max_steps"):
            if self.max_minutes is not None and getattr(self, key) is not None:
                raise ValueError(
                    f"trainer.max_minutes={self.max_minutes:g} and trainer.{key}={getattr(self, key)} both say when "
                    f"the training ends; set one of them to null"
                )
        joins = (0.0, *(self.growth or ()))
        if any(a >= b for a, b in pairwise(joins)):
            raise ValueError(f"trainer.growth={list(joins[1:])} must be ascending parts of the training in (0, 1)")
        return self
