"""Attacks by the names that papers and commands call them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from onelip.attacks.apgd import apgd
from onelip.attacks.ball import Norm
from onelip.attacks.bim import bim
from onelip.attacks.carlini_wagner import carlini_wagner
from onelip.attacks.fgsm import fgsm
from onelip.attacks.mim import mim
from onelip.attacks.pgd import l2_pgd, linf_pgd

AttackName = Literal["pgd", "apgd-ce", "apgd-t", "fgsm", "bim", "mim", "cw"]

_SUPPLIED = ("model", "x", "y", "radius", "norm", "box", "generator")


@dataclass(frozen=True)
class NamedAttack:
    """An attack with what can be chosen of it.

    Attributes:
        name: Its name.
        norms: The function of each norm that it knows: `(model, x, y, radius, ...)` to points, or, of an attack that
            looks for the nearest point, `(model, x, y, ...)` to points and distances.
        nearest: Does it look for the nearest misclassified point, in no ball?
        defaults: Its other options, with their values where none is given.
    """

    name: str
    norms: Mapping[Norm, Callable[..., Any]]
    nearest: bool
    defaults: Mapping[str, Any]

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
        if norm not in self.norms:
            raise ValueError(f"norm={norm!r} does not go with attack={self.name!r}; use {' or '.join(self.norms)}")
        for key in options:
            if key not in self.defaults:
                takes = ", ".join(self.defaults) or "none"
                raise ValueError(f"{key}={options[key]!r} is no option of attack={self.name!r}, which has {takes}")
        function = self.norms[norm]
        known = inspect.signature(function).parameters
        given = {key: value for key, value in supplied.items() if key in known}
        return functools.partial(function, **{**self.defaults, **given, **options})


def _named(name: AttackName, norms: Mapping[Norm, Callable[..., Any]], **defaults: Any) -> NamedAttack:
    parameters = inspect.signature(next(iter(norms.values()))).parameters
    fixed = (*_SUPPLIED, *getattr(next(iter(norms.values())), "keywords", ()))
    own = {key: p.default for key, p in parameters.items() if key not in fixed}
    return NamedAttack(name, norms, "radius" not in parameters, own | defaults)


def _in_both(function: Callable[..., Any], **fixed: Any) -> dict[Norm, Callable[..., Any]]:
    return {
        "l2": functools.partial(function, norm="l2", **fixed),
        "linf": functools.partial(function, norm="linf", **fixed),
    }


# As many steps and restarts for all that have them.
ATTACKS: dict[str, NamedAttack] = {
    attack.name: attack
    for attack in (
        _named("pgd", {"l2": l2_pgd, "linf": linf_pgd}),
        _named("apgd-ce", _in_both(apgd, loss="ce"), steps=40, restarts=5),
        _named("apgd-t", _in_both(apgd, loss="targeted-dlr"), steps=40, restarts=5),
        _named("fgsm", _in_both(fgsm)),
        _named("bim", _in_both(bim)),
        _named("mim", _in_both(mim)),
        _named("cw", {"l2": carlini_wagner}),
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
