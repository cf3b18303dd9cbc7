"""What comes out of a conversion: a configuration or a sweep, and what of the source has no counterpart."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from onelip.experiments.convert.marked import Marked, Section
from onelip.experiments.errors import UserError


@dataclass(frozen=True)
class Drawn:
    """A distribution in place of a value.

    Attributes:
        tag: "choice", "loguniform", "randint" or "uniform".
        items: The values to choose from, or both ends.
    """

    tag: str
    items: tuple[Any, ...]


@dataclass
class Conversion:
    """What a settings file becomes.

    Attributes:
        tree: The configuration; values may be `Drawn`.
        notes: What has no counterpart or differs, one sentence each.
        classes: Classes of layers of the network, by their part of it, for checkpoints.
        subtracted: How many times the mean is subtracted from pixels, for checkpoints.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    classes: dict[str, str] = field(default_factory=dict)
    subtracted: int = 1

    @property
    def drawn(self) -> bool:
        """Is a value of the configuration drawn?"""
        return any(True for _ in _drawn_in(self.tree))

    def no_counterpart(self, key: str, value: Marked, reason: str = "") -> None:
        """Note what is left out.

        Args:
            key: Its path in the source.
            value: Its value there.
            reason: Why, if it is not plain.
        """
        self.notes.append(f"no counterpart: {key}={value.shown()}" + (f" ({reason})" if reason else ""))

    def differs(self, sentence: str) -> None:
        """Note what is not quite the same.

        Args:
            sentence: What it is here and what there.
        """
        self.notes.append(f"differs: {sentence}")

    def leave_out(self, section: Section, reason: str = "") -> None:
        """Note all keys of a mapping that nobody has read, and count them as read.

        Args:
            section: The mapping.
            reason: Why they are left out.
        """
        for path, value in list(section.unread()):
            self.no_counterpart(path, value, reason)
        _count_as_read(section)

    def examples(self) -> Iterator[dict[str, Any]]:
        """Fill in values for what is drawn: the first of each, the last of each, and every one of a choice once.

        Yields:
            Configurations of plain values.
        """
        yield _filled(self.tree, lambda drawn: drawn.items[0])
        if self.drawn:
            yield _filled(self.tree, lambda drawn: drawn.items[-1])
        for chosen in [d for d in _drawn_in(self.tree) if d.tag == "choice"]:
            for item in chosen.items[1:-1]:
                yield _filled(self.tree, _taking(chosen, item))


def _count_as_read(section: Section) -> None:
    section.read.update(section.marked.value)
    for child in section.children.values():
        _count_as_read(child)


def _taking(chosen: Drawn, item: Any) -> Callable[[Drawn], Any]:
    return lambda drawn: item if drawn is chosen else drawn.items[0]


def _drawn_in(value: Any) -> Iterator[Drawn]:
    if isinstance(value, Drawn):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _drawn_in(item)


def _filled(value: Any, choose: Callable[[Drawn], Any]) -> Any:
    if isinstance(value, Drawn):
        return choose(value)
    if isinstance(value, Mapping):
        return {key: _filled(item, choose) for key, item in value.items()}
    return [_filled(item, choose) for item in value] if isinstance(value, list) else value


_LONG = 50
"""Longer values make a mapping take a line for each."""

_FIRST = ("name", "task", "seed", "data", "p", "q", "model", "layer", "layer_options", "linear", "activation", "loss")
"""In this order, before all other keys."""


class _Representer(SafeRepresenter):
    """Of plain values, lists of scalars on one line, and of distributions as tagged lists."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def short_list(self, items: list[Any]) -> Any:
        flat = not any(isinstance(item, dict | list | Drawn) for item in items)
        return self.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flat)

    def short_mapping(self, items: dict[str, Any]) -> Any:
        nested = any(isinstance(item, dict) or len(str(item)) > _LONG for item in items.values())
        node = self.represent_mapping("tag:yaml.org,2002:map", items)
        node.flow_style = not nested and len(str(items)) < 2 * _LONG
        return node

    def distribution(self, drawn: Drawn) -> Any:
        return self.represent_sequence(f"!{drawn.tag}", list(drawn.items), flow_style=True)


_Representer.add_representer(Drawn, _Representer.distribution)
_Representer.add_representer(dict, _Representer.short_mapping)
_Representer.add_representer(list, _Representer.short_list)


def to_yaml(tree: Mapping[str, Any]) -> str:
    """Write a configuration, or a sweep.

    Args:
        tree: Its keys and values.

    Returns:
        YAML.
    """
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.width = 118
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    ordered = {key: tree[key] for key in (*(k for k in _FIRST if k in tree), *(k for k in tree if k not in _FIRST))}
    yaml.dump(ordered, stream)
    return stream.getvalue()


def as_fraction(radius: float) -> float | str:
    """Write a radius that was rounded from a number of grey levels as such.

    Args:
        radius: In units of pixels in [0, 1].

    Returns:
        Such as "36/255" for 0.1411, or the number.
    """
    levels = round(radius * 255)
    close = levels and abs(radius - levels / 255) < 2e-4 and levels != 255
    return f"{levels}/255" if close else float(radius)


def parts_of(epochs: list[Any], n_epochs: int) -> list[float | str]:
    """Write epochs as parts of a training.

    Args:
        epochs: Numbers of epochs.
        n_epochs: Length of the training.

    Returns:
        Exact fractions as text; those that lie beyond its end are left out.
    """
    inside = [epoch for epoch in epochs if 0 < epoch < n_epochs]
    parts = [Fraction(epoch) / n_epochs for epoch in inside]
    return [f"{p.numerator}/{p.denominator}" for p in parts]


def check_name(text: str) -> str:
    """Make a name of an experiment out of any text.

    Args:
        text: The text.

    Returns:
        Lower-case letters, digits and dashes.

    Raises:
        UserError: If nothing is left.
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not name:
        raise UserError(f"{text!r} has no letters to make a name of")
    return name
