"""What all sections of a configuration are made of: strict mappings, names, and numbers with limits."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Part = Annotated[float, Field(ge=0.0, lt=1.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]


def from_fraction(value: Any) -> Any:
    """Read a number that papers write as "36/255", or "3.6/255".

    Args:
        value: A value of a configuration.

    Returns:
        The number; anything else as it is.
    """
    if isinstance(value, str) and value.count("/") == 1:
        try:
            numerator, denominator = value.split("/")
            return float(Fraction(numerator.strip()) / Fraction(denominator.strip()))
        except (ValueError, ZeroDivisionError):
            return value
    return value


def from_fractions(value: Any) -> Any:
    """Read a number, or all numbers of a mapping such as both ends of a ramp.

    Args:
        value: A value of a configuration.

    Returns:
        It with the numbers that `from_fraction` reads.
    """
    if isinstance(value, Mapping):
        return {key: from_fractions(item) for key, item in value.items()}
    return from_fraction(value)


def from_name(value: Any) -> Any:
    """Let `sgd` stand for `{name: sgd}`.

    Args:
        value: A value of a configuration.

    Returns:
        A mapping if it was a name; anything else as it is.
    """
    return {"name": value} if isinstance(value, str) else value


Radius = Annotated[float, BeforeValidator(from_fraction), Field(gt=0.0)]
Radii = Annotated[tuple[Radius, ...], Field(strict=False, min_length=1)]
Milestone = Annotated[Part, BeforeValidator(from_fraction)]
Milestones = Annotated[tuple[Milestone, ...], Field(strict=False, min_length=1)]
Betas = Annotated[tuple[Part, Part], Field(strict=False)]


class Section(BaseModel):
    """A mapping with known keys and strict types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class NamedPart(BaseModel):
    """A registered part by name; the other keys are its options and are checked against its signature."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The part's own options."""
        return dict(self.model_extra or {})
