"""The section of a configuration about attacks: radii, effort, and the options of each attack."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from onelip.attacks import AttackName
from onelip.attacks.by_name import named_attack
from onelip.experiments.config_section import NonNegativeFloat, Radius, Section

MOST_RADII = 1000
"""Radii that one range may hold."""

_Between = Annotated[float, Field(gt=0.0, lt=1.0)]
_MoreThanOne = Annotated[float, Field(gt=1.0)]


def from_ranges(value: Any) -> Any:
    """Read radii that are written as ranges "0:1:0.1" or lists "2/255,8/255".

    A range ends with its end, if the steps meet it. Where it begins at 0 it begins with the first step: accuracy at
    radius 0 is that without an attack.

    Args:
        value: One radius, range or list, or a list of such.

    Returns:
        A flat list; what is neither range nor list as it is, to be checked as a radius.

    Raises:
        ValueError: If a range is not FROM:TO:STEP with 0 <= FROM <= TO and STEP > 0, or too long.
    """
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return value
    parts: list[Any] = []
    for item in value:
        for part in item.split(",") if isinstance(item, str) else [item]:
            parts += _range(part) if isinstance(part, str) and ":" in part else [plain_number(part)]
    return parts


def plain_number(part: Any) -> Any:
    """Read a number from the command line.

    Args:
        part: Such as "0.02"; fractions stay as they are.

    Returns:
        The number; anything else as it is, to be checked by its section.
    """
    try:
        return float(part) if isinstance(part, str) and "/" not in part else part
    except ValueError:
        return part


def _range(text: str) -> list[float]:
    wanted = (
        f"attack.radii={text!r} must be a range FROM:TO:STEP such as 0:1:0.1 or 1/255:8/255:1/255, with "
        f"0 <= FROM <= TO, STEP > 0 and at most {MOST_RADII} radii"
    )
    try:
        low, high, step = (_fraction(part) for part in text.split(":"))
    except (ValueError, ZeroDivisionError):
        raise ValueError(wanted) from None
    if not (0 <= low <= high and step > 0 and (high - low) / step < MOST_RADII):
        raise ValueError(wanted)
    radii = [low + k * step for k in range(int((high - low) / step) + 1)]
    try:
        found = [float(radius) for radius in radii if radius > 0]
    except OverflowError:
        raise ValueError(wanted) from None
    if not found:
        raise ValueError(wanted)
    return found


def _fraction(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    return Fraction(numerator.strip()) / Fraction(denominator.strip() or "1")


def _from_all(value: Any) -> Any:
    return 0 if value == "all" else value


class CarliniWagner(Section):
    """Effort of the attack "cw", see `onelip.attacks.carlini_wagner`."""

    confidence: NonNegativeFloat = 0.0
    steps: PositiveInt = 1000
    binary_search_steps: PositiveInt = 9
    initial_const: PositiveFloat = 1e-3
    step_size: Radius = 0.01


class DeepFool(Section):
    """Effort of the attack "deepfool", see `onelip.attacks.deepfool`."""

    steps: PositiveInt = 50
    candidates: Annotated[int, Field(ge=2)] = 10
    overshoot: NonNegativeFloat = 0.02


class DDN(Section):
    """Effort of the attack "ddn", see `onelip.attacks.ddn`."""

    steps: PositiveInt = 100
    first_radius: Radius = 1.0
    gamma: _Between = 0.05


class FMN(Section):
    """Effort of the attack "fmn", see `onelip.attacks.fmn`."""

    steps: PositiveInt = 100
    step_size: Radius = 1.0
    gamma: _Between = 0.05


class Boundary(Section):
    """Effort of the attack "boundary", see `onelip.attacks.boundary`."""

    steps: PositiveInt = 5000
    spherical_step: PositiveFloat = 0.01
    source_step: PositiveFloat = 0.01
    step_adaptation: _MoreThanOne = 1.5


class HopSkipJump(Section):
    """Effort of the attack "hopskipjump", see `onelip.attacks.hopskipjump`."""

    steps: PositiveInt = 64
    first_evaluations: PositiveInt = 100
    most_evaluations: PositiveInt = 10000
    gamma: PositiveFloat = 1.0


class Pointwise(Section):
    """Effort of the attack "pointwise", see `onelip.attacks.pointwise`."""

    steps: PositiveInt = 1000
    bisect: bool = True


class AutoAttack(Section):
    """What the attack "autoattack" runs, see `onelip.attacks.autoattack`; `parts` are those of the version "custom"."""

    version: Literal["standard", "plus", "rand", "custom"] = "standard"
    parts: Annotated[
        tuple[Literal["apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square"], ...], Field(strict=False)
    ] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.version == "custom") != bool(self.parts):
            raise ValueError(
                f"attack.autoattack.version={self.version} does not go with attack.autoattack.parts="
                f"{list(self.parts)}; parts are those of version=custom, which needs some"
            )
        return self


OWN_SECTIONS = ("cw", "deepfool", "ddn", "fmn", "boundary", "hopskipjump", "pointwise", "autoattack")
"""Attacks whose options are in a section of their name."""

SHARED = ("steps", "restarts", "step_size", "random_start", "loss", "decay", "n_targets")
"""Options of the other attacks, each of those that have it."""


class Attack(Section):
    """The attack `kind` on `samples` images of the test split; radii and steps are in units of pixels in [0, 1].

    `norm` null means that of the certificate, or l2 without one; `step_size` null means 2.5 radius / steps; `samples`
    0 or all means every image. Radii may be ranges, such as 0:1:0.1. Attacks of packages have sections of their own;
    the other options are of the attacks that have them, and refused for the others.
    """

    kind: AttackName = "pgd"
    norm: Literal["l2", "linf"] | None = None
    radii: Annotated[
        tuple[Radius, ...], BeforeValidator(from_ranges), Field(strict=False, min_length=1), AfterValidator(tuple)
    ] = (0.25, 0.5, 0.75, 1.0)
    steps: PositiveInt = 40
    restarts: PositiveInt = 5
    step_size: Radius | None = None
    random_start: bool = False
    loss: Literal["ce", "margin", "dlr"] | None = None
    decay: NonNegativeFloat = 1.0
    n_targets: PositiveInt = 9
    cw: CarliniWagner = CarliniWagner()
    deepfool: DeepFool = DeepFool()
    ddn: DDN = DDN()
    fmn: FMN = FMN()
    boundary: Boundary = Boundary()
    hopskipjump: HopSkipJump = HopSkipJump()
    pointwise: Pointwise = Pointwise()
    autoattack: AutoAttack = AutoAttack()
    samples: Annotated[int, BeforeValidator(_from_all), Field(ge=0)] = 200

    @model_validator(mode="after")
    def _check(self) -> Self:
        attack = named_attack(self.kind)
        if self.norm is not None and self.norm not in attack.norms:
            raise ValueError(
                f"attack.kind={self.kind} measures {' or '.join(attack.norms)} distances; "
                f"use attack.norm={attack.norms[0]}"
            )
        for key in SHARED:
            value = getattr(self, key)
            if value != type(self).model_fields[key].default and key not in self._own():
                where = f"attack.{self.kind}" if self.kind in OWN_SECTIONS else ", ".join(self._own()) or "none"
                raise ValueError(f"attack.{key}={value} is no option of attack.kind={self.kind}, whose are: {where}")
        return self

    def _own(self) -> tuple[str, ...]:
        return () if self.kind in OWN_SECTIONS else tuple(named_attack(self.kind).defaults)

    @property
    def options(self) -> dict[str, Any]:
        """The attack's own options, for `onelip.attacks.attack_curves`."""
        if self.kind in OWN_SECTIONS:
            section: Section = getattr(self, self.kind)
            return section.model_dump()
        return {key: getattr(self, key) for key in self._own()}

    @property
    def n_samples(self) -> int | None:
        """How many images are attacked; None for all."""
        return self.samples or None


def changed_attack(section: Mapping[str, Any], kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Make another attack of a section, without what is no option of it.

    Args:
        section: A whole section, in plain types.
        kind: Name of the attack.
        options: What else to change: radii, samples, norm, or options of the attack.

    Returns:
        The new section, to be checked.
    """
    attack = named_attack(kind)
    changed = {**section, "kind": kind}
    in_own_section = kind in OWN_SECTIONS
    for key in SHARED:
        if in_own_section or key not in attack.defaults:
            changed[key] = Attack.model_fields[key].default
    if changed["norm"] not in (None, *attack.norms):
        changed["norm"] = None
    own = {key: value for key, value in options.items() if key in attack.defaults}
    rest = {key: value for key, value in options.items() if key not in own}
    if in_own_section:
        return {**changed, **rest, kind: {**changed[kind], **own}}
    return {**changed, **rest, **own}
