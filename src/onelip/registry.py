"""Parts that are built by name: one decorator line each, and one sentence for each mistake."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from onelip.linalg import unknown_name

Factory = Callable[..., Any]
F = TypeVar("F", bound=Factory)
T = TypeVar("T")


@dataclass(frozen=True)
class Part(Generic[T]):
    """A registered part.

    Attributes:
        name: The name users type.
        factory: The class or function that makes it.
        options: Names of the factory's arguments that users may set.
        summary: One line for lists, the first of the factory's docstring unless given.
    """

    name: str
    factory: Callable[..., T]
    options: tuple[str, ...]
    summary: str


class Registry(Generic[T]):
    """Parts of one kind by name.

    Args:
        kind: What the parts are, for messages: "loss".
        supplied: Arguments of the factories that the library sets and users cannot.
    """

    def __init__(self, kind: str, *, supplied: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.supplied = supplied
        self._parts: dict[str, Part[T]] = {}

    def register(self, name: str, *, summary: str | None = None) -> Callable[[F], F]:
        """Register a factory.

        Args:
            name: The name users type.
            summary: One line for lists; the first line of the docstring by default.

        Returns:
            A decorator that leaves the factory as it is.

        Raises:
            ValueError: The name is taken, or there is no summary.
        """
        if name in self._parts:
            raise ValueError(f"{self.kind} {name!r} is registered already; choose another name")

        def enter(factory: F) -> F:
            line = summary or (inspect.getdoc(factory) or "").partition("\n")[0]
            if not line:
                raise ValueError(f"{self.kind} {name!r} has no docstring; its first line is the summary")
            names = tuple(n for n in _named_arguments(factory) if n not in self.supplied)
            self._parts[name] = Part(name, factory, names, line)
            return factory

        return enter

    def available(self) -> dict[str, Part[T]]:
        """List the parts.

        Returns:
            Part by name, sorted by name.
        """
        return dict(sorted(self._parts.items()))

    def part(self, name: str, options: dict[str, Any]) -> Part[T]:
        """Look up a part and check the names of options for it.

        Args:
            name: Its name.
            options: What the user wants to set.

        Returns:
            The part.

        Raises:
            ValueError: The name or an option is unknown.
        """
        if name not in self._parts:
            raise ValueError(unknown_name(self.kind, name, self._parts))
        found = self._parts[name]
        for option, value in options.items():
            if option not in found.options:
                taken = ", ".join(found.options) or "none"
                raise ValueError(f"{option}={value!r} is not an option of {self.kind} {name!r}; its options: {taken}")
        return found


def _named_arguments(factory: Factory) -> list[str]:
    arguments = inspect.signature(factory).parameters.values()
    return [a.name for a in arguments if a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)]
