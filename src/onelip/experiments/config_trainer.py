"""The section `trainer` of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, PositiveFloat, PositiveInt, model_validator

from onelip.experiments.config_section import Milestones, Part, Section

STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")


def _offered(value: Any) -> Any:
    if isinstance(value, str) and value not in STRATEGIES:
        raise ValueError(
            f"trainer.strategy={value} is not offered: where the parameters of a layer are divided among processes, "
            f"its constrained weight cannot be built; use one of {', '.join(STRATEGIES)}"
        )
    return value


def _checked_devices(value: Any) -> Any:
    numbers = value if isinstance(value, list | tuple) else [value]
    whole = all(type(number) is int and number >= 0 for number in numbers)
    if isinstance(value, list | tuple):
        allowed = whole and len(numbers) > 0 and len(set(numbers)) == len(numbers)
        value = tuple(value)
    else:
        allowed = value == "auto" or (whole and value > 0)
    if not allowed:
        raise ValueError(
            f"trainer.devices={list(value) if isinstance(value, tuple) else value} must be auto, a number of devices, "
            "or a list of the numbers of GPUs"
        )
    return value


Devices = Annotated[Literal["auto"] | int | tuple[int, ...], BeforeValidator(_checked_devices)]
Strategy = Annotated[Literal["auto", "ddp", "ddp_find_unused_parameters_true"], BeforeValidator(_offered)]


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

    `devices` is how many processes train together on each of `num_nodes` machines, each on a GPU or on the CPU: a
    number, a list of GPUs, or auto for all GPUs, or as many as torchrun or Slurm have started. `strategy` says how
    gradients are joined; auto is ddp, which with `growth` has to look for unused parameters.
    """

    devices: Devices = 1
    num_nodes: PositiveInt = 1
    strategy: Strategy = "auto"
    process_group_backend: Literal["auto", "gloo", "nccl"] = "auto"
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
        if isinstance(self.devices, tuple) and self.accelerator in ("cpu", "mps"):
            raise ValueError(
                f"trainer.devices={list(self.devices)} are numbers of GPUs, and trainer.accelerator={self.accelerator} "
                f"has none"
            )
        joins = (0.0, *(self.growth or ()))
        if any(a >= b for a, b in pairwise(joins)):
            raise ValueError(f"trainer.growth={list(joins[1:])} must be ascending parts of the training in (0, 1)")
        return self
