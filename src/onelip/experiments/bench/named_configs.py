"""Which configurations a command is about: names, files, patterns, and a family by its factors."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace

from onelip.experiments.config_source import available_configs
from onelip.experiments.errors import UserError
from onelip.linalg import unknown_name

_FAMILY = "layers-compared"
_DATA = {"cifar10": "", "cifar100": "cifar100-", "tiny-imagenet": "tiny-imagenet-"}
_SIZES = ("xs", "s", "m", "l")
_METHODS = ("aoc", "aol", "bcop", "cayley", "cpl", "lot", "sll", "soc")


@dataclass(frozen=True)
class Named:
    """A configuration and changes of it.

    Attributes:
        name: Its name or path.
        changes: `key=value`.
    """

    name: str
    changes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.name, *self.changes))


def named_configs(words: Sequence[str]) -> list[Named]:
    """Read names, paths and patterns of configurations, and changes of all of them.

    Args:
        words: Such as "digits", "my.yaml", "layers-compared-xs-*" and "trainer.threads=1".

    Returns:
        The configurations, each once.

    Raises:
        UserError: If a pattern fits none.
    """
    changes = tuple(word for word in words if "=" in word)
    names = [name for word in words if "=" not in word for name in _matching(word)]
    return [Named(name, changes) for name in dict.fromkeys(names)]


def layers_compared(sizes: Sequence[str], methods: Sequence[str], data: Sequence[str]) -> list[Named]:
    """List configurations of "1-Lipschitz Layers Compared".

    Args:
        sizes: Of the network; none for all.
        methods: Of the layers; none for all.
        data: Data sets; none for CIFAR-10.

    Returns:
        Those that come with the package; the paper's recipe of the size with another layer where there is none.

    Raises:
        UserError: If there is no such size or data set.
    """
    shipped, found = available_configs(), []
    for kind, names, allowed in (("size", sizes, _SIZES), ("data set", data, _DATA)):
        for name in names:
            if name not in allowed:
                raise UserError(unknown_name(kind, name, allowed))
    for of_data in data or ("cifar10",):
        for size in sizes or _SIZES:
            base = f"{_FAMILY}-{_DATA[of_data]}{size}"
            for method in methods or _METHODS:
                name = f"{base}-{method}"
                found.append(Named(name) if name in shipped else Named(base, (f"layer={method}",)))
    return found


def with_changes(named: Named, changes: Sequence[str]) -> Named:
    """Change a configuration further.

    Args:
        named: The configuration.
        changes: Applied after its own.

    Returns:
        It with all changes.
    """
    return replace(named, changes=(*named.changes, *changes))


def _matching(word: str) -> list[str]:
    if not any(letter in word for letter in "*?["):
        return [word]
    found = fnmatch.filter(available_configs(), word)
    if not found:
        raise UserError(f"no configuration fits {word!r}; their names are printed by: onelip list configs")
    return found
