"""The section `data.subset` of a configuration."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from onelip.experiments.config_section import Section


class Subset(Section):
    """A small part of the training images to learn from: drawn, or listed in files of indices.

    Drawn: `per_class` images of each class, and of what is left `validation_per_class` for validation; `seed` null
    means that of the run. Listed: `indices` and `validation_indices` are text files with the index of an image on each
    line, as every run with a subset leaves them. Without validation images of its own, `data.validation` of the
    training images is held out, none of them of the subset.
    """

    per_class: PositiveInt | None = None
    validation_per_class: PositiveInt | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    indices: str | None = None
    validation_indices: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.per_class is None) == (self.indices is None):
            raise ValueError(
                f"data.subset.per_class={self.per_class} and data.subset.indices={self.indices} say how many images to "
                "draw or which to take; give one of them"
            )
        for name, other in (
            ("validation_per_class", "per_class"),
            ("seed", "per_class"),
            ("validation_indices", "indices"),
        ):
            value = getattr(self, name)
            if value is not None and getattr(self, other) is None:
                raise ValueError(f"data.subset.{name}={value} goes with data.subset.{other}, which is not given")
        return self

    @property
    def own_validation(self) -> str | None:
        """What the validation images are taken from, written as in a configuration; None for `data.validation`."""
        for name in ("validation_per_class", "validation_indices"):
            if getattr(self, name) is not None:
                return f"data.subset.{name}={getattr(self, name)}"
        return None
