"""What the configurations of all tasks have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from onelip import models
from onelip.experiments.config_section import Section, from_name


class RunConfig(Section):
    """What every run has: a task, a name, a seed, and a place for its folder."""

    task: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "experiment"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    runs_dir: str = "runs"

    def resolved(self) -> dict[str, Any]:
        """Spell out every key, defaults included.

        Returns:
            Plain dicts, lists and scalars, from which the same configuration can be read again.
        """
        return _plain(self.model_dump(mode="python"))


class StepTrainer(Section):
    """How a training on samples that are drawn at each step runs.

    It takes `max_steps` steps, and after every `validate_every` of them measures, writes a row of `metrics.csv` and
    keeps a checkpoint. `threads` null means as many as torch chooses, and is recorded in the run.
    """

    max_steps: PositiveInt = 1000
    validate_every: PositiveInt = 100
    precision: Literal[32, 64] = 32
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    gradient_clip: PositiveFloat | None = None
    threads: PositiveInt | None = None
    log_every: PositiveInt = 10

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max_steps > self.validate_every and self.max_steps % self.validate_every:
            raise ValueError(
                f"trainer.max_steps={self.max_steps} must be a multiple of trainer.validate_every={self.validate_every}"
            )
        return self


class SampledConfig(RunConfig):
    """A run of a task that draws samples at each step."""

    trainer: StepTrainer = StepTrainer()


def as_published(tree: Any) -> Any:
    """Set layer and activation to those that the architecture was published with, unless the configuration names them.

    Args:
        tree: A configuration with the key `model`, before it is checked.

    Returns:
        It with the keys `layer` and `activation`; anything else as it is.
    """
    model = from_name(tree.get("model")) if isinstance(tree, Mapping) else None
    name = model.get("name") if isinstance(model, Mapping) else None
    if not isinstance(name, str) or name not in models.available():
        return tree
    usual = models.usual_method(name)
    return {"layer": usual.layer, "activation": usual.activation, **tree}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
