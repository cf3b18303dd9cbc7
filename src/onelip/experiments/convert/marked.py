"""YAML and JSON with the line and the tag of every value, read without constructing anything."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from onelip.experiments.config_source import parse_yaml
from onelip.experiments.errors import UserError, one_line
from onelip.linalg import unknown_name

_PREFIX = "tag:yaml.org,2002:"
_PLAIN = frozenset(
    _PREFIX + kind for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp")
)


@dataclass(frozen=True)
class Marked:
    """A value of a file.

    Attributes:
        value: A scalar, a list of these, or a mapping from names to these.
        where: File and line, as messages begin.
        tag: What stands before it, such as "model" for `!model`; "" for nothing.
    """

    value: Any
    where: str
    tag: str = ""

    def plain(self) -> Any:
        """Drop lines and tags.

        Returns:
            Plain dicts, lists and scalars.
        """
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return [item.plain() for item in self.value] if isinstance(self.value, list) else self.value

    def shown(self) -> str:
        """Write it as it stands in the file, on one line.

        Returns:
            YAML, with its tag.
        """
        if isinstance(self.value, dict):
            text = "{" + ", ".join(f"{key}: {item.shown()}" for key, item in self.value.items()) + "}"
        elif isinstance(self.value, list):
            text = "[" + ", ".join(item.shown() for item in self.value) + "]"
        elif self.value is None or isinstance(self.value, bool):
            text = json.dumps(self.value)
        else:
            text = str(self.value)
        return f"!{self.tag} {text}" if self.tag else text

    def refuse(self, sentence: str) -> UserError:
        """Make the error that names this place.

        Args:
            sentence: What is wrong.

        Returns:
            The error.
        """
        return UserError(f"{self.where}: {sentence}")

    def one_of(self, kind: str, allowed: Collection[str]) -> str:
        """Check that it is one of some names.

        Args:
            kind: What the name stands for.
            allowed: The names.

        Returns:
            The name.

        Raises:
            UserError: If it is none of them.
        """
        if not isinstance(self.value, str) or self.value not in allowed:
            raise self.refuse(unknown_name(kind, str(self.value), allowed))
        return self.value

    def number(self, key: str) -> float | int:
        """Check that it is a number.

        Args:
            key: Its name, for messages.

        Returns:
            The number.

        Raises:
            UserError: If it is none.
        """
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.refuse(f"{key}={self.shown()} must be a number")
        return self.value


@dataclass
class Section:
    """A mapping that remembers which of its keys were read, so that none is dropped silently.

    Attributes:
        marked: The mapping.
        path: Its place in the file, such as "model.linear"; "" at the top.
        read: Keys that were read.
        children: Mappings inside that were read, by key.
    """

    marked: Marked
    path: str = ""
    read: set[str] = field(default_factory=set)
    children: dict[str, Section] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.marked.value, dict):
            raise self.marked.refuse(f"{self.path or 'the file'} must be a mapping of keys to values")

    def __contains__(self, key: str) -> bool:
        return key in self.marked.value

    def full(self, key: str) -> str:
        """Write the path of a key.

        Args:
            key: The key.

        Returns:
            The path.
        """
        return f"{self.path}.{key}" if self.path else key

    def get(self, key: str) -> Marked | None:
        """Read a key.

        Args:
            key: The key.

        Returns:
            Its value, or None if it is missing or null.
        """
        self.read.add(key)
        found: Marked | None = self.marked.value.get(key)
        return None if found is None or (found.value is None and not found.tag) else found

    def need(self, key: str) -> Marked:
        """Read a key that must be there.

        Args:
            key: The key.

        Returns:
            Its value.

        Raises:
            UserError: If it is missing.
        """
        found = self.get(key)
        if found is None:
            raise self.marked.refuse(f"{self.full(key)} is missing")
        return found

    def plain(self, key: str, default: Any) -> Any:
        """Read a key that may be missing.

        Args:
            key: The key.
            default: What it is then.

        Returns:
            Its plain value.
        """
        found = self.get(key)
        return default if found is None else found.plain()

    def section(self, key: str) -> Section | None:
        """Read a mapping inside.

        Args:
            key: The key.

        Returns:
            The mapping, the same one at each call, or None if it is missing.
        """
        found = self.get(key)
        if found is None:
            return None
        if key not in self.children:
            self.children[key] = Section(found, self.full(key))
        return self.children[key]

    def child(self, key: str) -> Section:
        """Read a mapping inside that must be there.

        Args:
            key: The key.

        Returns:
            The mapping, the same one at each call.

        Raises:
            UserError: If it is missing.
        """
        found = self.section(key)
        if found is None:
            raise self.marked.refuse(f"{self.full(key)} is missing")
        return found

    def unread(self) -> Iterator[tuple[str, Marked]]:
        """List the keys that nobody has read, in mappings inside, too; those that are null have no effect.

        Yields:
            Path and value.
        """
        for key, value in self.marked.value.items():
            if key not in self.read:
                if value.value is not None or value.tag:
                    yield self.full(key), value
            elif key in self.children:
                yield from self.children[key].unread()

    def refuse_unread(self, allowed: Collection[str]) -> None:
        """Refuse keys that are unknown here.

        Args:
            allowed: All keys that this mapping may have.

        Raises:
            UserError: If there is another one.
        """
        for key, value in self.marked.value.items():
            if key not in allowed:
                raise value.refuse(unknown_name(f"key of {self.path or 'the file'}", key, allowed))


def read_marked(text: str, source: str) -> Marked:
    """Read YAML or JSON.

    Args:
        text: The text.
        source: What the file is called in messages.

    Returns:
        What it holds.

    Raises:
        UserError: If it is neither.
    """
    try:
        # JSON may be indented with tabs, which YAML has no use for.
        node = YAML(typ="safe", pure=True).compose(text.replace("\t", "  "))
    except MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise UserError(f"{source}{line}: {one_line(str(error.problem))}") from None
    except YAMLError as error:
        raise UserError(f"{source}: {one_line(str(error))}") from None
    if node is None:
        raise UserError(f"{source} is empty")
    return _marked(node, source)


def _marked(node: Node, source: str) -> Marked:
    where = f"{source}, line {node.start_mark.line + 1}"
    tag = str(node.tag)
    tag = "" if tag in _PLAIN else tag.removeprefix(_PREFIX).removeprefix("!")
    if isinstance(node, MappingNode):
        items: dict[str, Marked] = {}
        for key, value in node.value:
            if key.value in items:
                raise UserError(f"{source}, line {key.start_mark.line + 1}: key {key.value!r} is there twice")
            items[str(key.value)] = _marked(value, source)
        return Marked(items, where, tag)
    if isinstance(node, SequenceNode):
        return Marked([_marked(item, source) for item in node.value], where, tag)
    text = str(node.value)
    quoted = getattr(node, "style", None) in ("'", '"', "|", ">")
    return Marked(text if quoted or tag else parse_yaml(text, where), where, tag)


def override(marked: Marked, changes: Sequence[str]) -> Marked:
    """Change values as LNets does, by "a.b=1 c=[1,2] d=64+64".

    A value takes the type of the one that it replaces; a list may be written with + between its items.

    Args:
        marked: What a file holds.
        changes: The changes, any number in each text.

    Returns:
        A new tree.

    Raises:
        UserError: If something is no change, or its type is another one.
    """
    for text in changes:
        for change in shlex.split(text):
            path, equals, value = change.partition("=")
            if not equals or not all(path.split(".")):
                raise UserError(f"-o {change!r} is not a change; write it as key.subkey=value")
            marked = _changed(marked, path.split("."), value, f"-o {change}")
    return marked


def _changed(marked: Marked, keys: list[str], text: str, where: str) -> Marked:
    if not isinstance(marked.value, dict):
        raise UserError(f"{where}: there are no keys below {marked.shown()}")
    key, *rest = keys
    old = marked.value.get(key)
    inside = Marked({}, where) if old is None else old
    new = _changed(inside, rest, text, where) if rest else _value(text, old, where)
    return replace(marked, value={**marked.value, key: new})


def _value(text: str, old: Marked | None, where: str) -> Marked:
    # What is drawn has no type to keep.
    before = None if old is None or old.tag else old.plain()
    if isinstance(before, list) and "+" in text and not text.startswith("["):
        text = "[" + text.replace("+", ",") + "]"
    new = read_marked(text, where) if text else Marked("", where)
    after = new.plain()
    if isinstance(before, bool) and after in (0, 1) and not isinstance(after, bool):
        return Marked(bool(after), where)
    if isinstance(before, str) and not isinstance(after, str):
        return Marked(text, where)
    kind = (int, float) if isinstance(before, float) else (int,) if isinstance(before, int) else type(before)
    wrong_bool = isinstance(before, bool) != isinstance(after, bool)
    if before is not None and (not isinstance(after, kind) or wrong_bool) and not new.tag:
        raise UserError(f"{where} is no {type(before).__name__}, as {before!r} is")
    return Marked(new.value, where, new.tag)
