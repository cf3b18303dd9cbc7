"""Attacks by the names that papers and commands call them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from onelip.attacks.apgd import apgd
from onelip.attacks.autoattack import Version, autoattack
from onelip.attacks.ball import Norm
from onelip.attacks.bim import bim
from onelip.attacks.boundary import boundary
from onelip.attacks.carlini_wagner import carlini_wagner
from onelip.attacks.ddn import ddn
from onelip.attacks.deepfool import deepfool
from onelip.attacks.fgsm import fgsm
from onelip.attacks.fmn import fmn
from onelip.attacks.hopskipjump import hopskipjump
from onelip.attacks.mim import mim
from onelip.attacks.pgd import l2_pgd, linf_pgd
from onelip.attacks.pointwise import pointwise

AttackName = Literal[
    "pgd",
    "apgd",
    "apgd-ce",
    "apgd-t",
    "fgsm",
    "bim",
    "mim",
    "autoattack",
    "cw",
    "deepfool",
    "ddn",
    "fmn",
    "boundary",
    "hopskipjump",
    "pointwise",
]

_SUPPLIED = ("model", "x", "y", "radius", "norm", "start", "box", "generator")


@dataclass(frozen=True)
class NamedAttack:
    """An attack with what can be chosen of it.

    Attributes:
        name: Its name.
        functions: The function of each norm that it knows: `(model, x, y, radius, ...)` to points, or, of an attack
            that looks for the nearest point, `(model, x, y, ...)` to points and distances.
        nearest: Does it look for the nearest misclassified point, in no ball?
        defaults: Its other options, with their values where none is given.
        stages: Names of the attacks that it consists of, each of which goes on with what those before it left; a
            single one has its own name.
    """

    name: str
    functions: Mapping[Norm, Callable[..., Any]]
    nearest: bool
    defaults: Mapping[str, Any]
    stages: tuple[str, ...]

    @property
    def norms(self) -> tuple[Norm, ...]:
        """Norms that it knows."""
        return tuple(self.functions)

    def check(self, norm: Norm, options: Mapping[str, Any]) -> None:
        """Check what is asked of the attack.

        Args:
            norm: Norm of the distances.
            options: Some of `defaults`.

        Raises:
            ValueError: If the attack does not know the norm, or has no such option.
        """
        if norm not in self.functions:
            raise ValueError(f"norm={norm!r} does not go with attack={self.name!r}; use {' or '.join(self.functions)}")
        for key in options:
            if key not in self.defaults:
                takes = ", ".join(self.defaults) or "none"
                raise ValueError(f"{key}={options[key]!r} is no option of attack={self.name!r}, which has {takes}")

    def search(self, norm: Norm, options: Mapping[str, Any], **supplied: Any) -> Callable[..., Any]:
        """Fix everything but model, samples, labels and radius.

        Args:
            norm: Norm of the distances.
            options: Some of `defaults`.
            **supplied: Box and generator, for the attacks that have one.

        Returns:
            The function.

        Raises:
            ValueError: If the attack does not know the norm, or has no such option.
        """
        self.check(norm, options)
        function = self.functions[norm]
        known = inspect.signature(function).parameters
        given = {key: value for key, value in supplied.items() if key in known}
        return functools.partial(function, **{**self.defaults, **given, **options})


def _named(name: AttackName, functions: Mapping[Norm, Callable[..., Any]], **defaults: Any) -> NamedAttack:
    first = next(iter(functions.values()))
    parameters = inspect.signature(first).parameters
    fixed = (*_SUPPLIED, *getattr(first, "keywords", ()))
    own = {key: p.default for key, p in parameters.items() if key not in fixed}
    return NamedAttack(name, functions, "radius" not in parameters, own | defaults, (name,))


def _in_both(function: Callable[..., Any], **fixed: Any) -> dict[Norm, Callable[..., Any]]:
    return {
        "l2": functools.partial(function, norm="l2", **fixed),
        "linf": functools.partial(function, norm="linf", **fixed),
    }


def _autoattack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    radius: float,
    *,
    norm: Norm,
    version: Version = "standard",
    parts: Sequence[str] = (),
    generator: torch.Generator | None = None,
) -> Tensor:
    # Its batches are those of the caller.
    return autoattack(
        model, x, y, radius, norm, version=version, parts=parts, batch_size=max(len(x), 1), generator=generator
    )


# As many steps and restarts for all that have them.
_PGD = _named("pgd", {"l2": l2_pgd, "linf": linf_pgd})
_APGD_CE = _named("apgd-ce", _in_both(apgd, loss="ce"), steps=40, restarts=5)
_APGD_T = _named("apgd-t", _in_both(apgd, loss="targeted-dlr"), steps=40, restarts=5)
_APGD = NamedAttack(
    "apgd", _APGD_T.functions, False, {"steps": 40, "restarts": 5, "n_targets": 9}, ("pgd", "apgd-ce", "apgd-t")
)

ATTACKS: dict[str, NamedAttack] = {
    attack.name: attack
    for attack in (
        _PGD,
        _APGD,
        _APGD_CE,
        _APGD_T,
        _named("fgsm", _in_both(fgsm)),
        _named("bim", _in_both(bim)),
        _named("mim", _in_both(mim)),
        _named("autoattack", _in_both(_autoattack)),
        _named("cw", {"l2": carlini_wagner}),
        _named("deepfool", _in_both(deepfool)),
        _named("ddn", {"l2": ddn}),
        _named("fmn", _in_both(fmn)),
        _named("boundary", {"l2": boundary}),
        _named("hopskipjump", _in_both(hopskipjump)),
        _named("pointwise", {"l2": pointwise}),
    )
}


def named_attack(name: str) -> NamedAttack:
    """Look an attack up.

    Args:
        name: One of `AttackName`.

    Returns:
        The attack.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in ATTACKS:
        raise ValueError(f"attack={name!r} must be one of {', '.join(ATTACKS)}")
    return ATTACKS[name]
